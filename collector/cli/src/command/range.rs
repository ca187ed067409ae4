//! `range`: whether a version lies in a range. Needs no collector.

use clap::Args;
use holdpoint_common::version::Scheme;
use holdpoint_common::version::range::{Containment, Range};

use super::judge::judge;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view::version::Judged;

/// `range`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// deb, rpm, win4, intdot, semver, alpine or natural.
    pub scheme: Scheme,
    /// The range; `-` reads lines `RANGE TAB VERSION` from stdin.
    #[arg(allow_hyphen_values = true)]
    pub range: String,
    /// The version.
    #[arg(allow_hyphen_values = true)]
    pub version: Option<String>,
}

const EXAMPLES: &str = "\
Prints in, out or unknown, a tab, and why it is unknown. `unknown` is an answer: the exit code is 0.

Examples:
  holdpoint range deb '< 3.0.16' 3.0.11-1
  printf '>= 1.0 | < 2.0\\t1.5\\n' | holdpoint range intdot -";

/// Asks about the one version, or about each line of stdin.
pub fn run(options: &Options, out: &Output) -> Result<Exit, Failure> {
    let Options { scheme, range, version } = options;
    judge((range, version.as_deref()), "unknown", out, |range, version| contains(*scheme, range, version))
}

fn contains(scheme: Scheme, range: &str, version: &str) -> Judged {
    let (result, reason) = match Range::parse(range).contains(scheme, version) {
        Containment::In => ("in", String::new()),
        Containment::Out => ("out", String::new()),
        Containment::Unknown(why) => ("unknown", why.to_string()),
    };
    Judged::new(Some((range.to_owned(), version.to_owned())), result, reason)
}
