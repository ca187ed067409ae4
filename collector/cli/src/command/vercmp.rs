//! `vercmp`: which of two versions is newer. Needs no collector.

use clap::Args;
use holdpoint_common::version::{Comparison, Scheme};

use super::judge::judge;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view::version::Judged;

/// `vercmp`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// deb, rpm, win4, intdot, semver, alpine or natural.
    pub scheme: Scheme,
    /// The first version; `-` reads lines `A TAB B` from stdin.
    #[arg(allow_hyphen_values = true)]
    pub a: String,
    /// The second version.
    #[arg(allow_hyphen_values = true)]
    pub b: Option<String>,
}

const EXAMPLES: &str = "\
Prints <, =, > or ?, a tab, and why the two are not comparable. `?` is an answer: the exit code is 0.

Examples:
  holdpoint vercmp deb 1.0~rc1-1 1.0-1
  printf '1.2\\t1.10\\n' | holdpoint vercmp intdot -";

/// Compares the two versions, or each line of stdin.
pub fn run(options: &Options, out: &Output) -> Result<Exit, Failure> {
    let Options { scheme, a, b } = options;
    judge((a, b.as_deref()), "?", out, |a, b| compare(*scheme, a, b))
}

fn compare(scheme: Scheme, a: &str, b: &str) -> Judged {
    let (result, reason) = match scheme.compare(a, b) {
        Comparison::Less => ("<", String::new()),
        Comparison::Equal => ("=", String::new()),
        Comparison::Greater => (">", String::new()),
        Comparison::NotComparable(why) => ("?", why.to_string()),
    };
    Judged::new(Some((a.to_owned(), b.to_owned())), result, reason)
}
