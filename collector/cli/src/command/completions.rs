//! `completions`: a script for a shell.

use clap::{Args, CommandFactory};

use crate::args::Arguments;
use crate::failure::{Exit, Failure};
use crate::output::write_stdout;

/// `completions`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  holdpoint completions bash > /etc/bash_completion.d/holdpoint")]
pub struct Options {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// Writes the script.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "holdpoint", &mut script);
    write_stdout(&script)?;
    Ok(Exit::Done)
}
