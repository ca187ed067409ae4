//! `man`: the manual pages.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::args::Arguments;
use crate::failure::{Exit, Failure};
use crate::output::write_stdout;

/// `man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  holdpoint man | man -l -\n  holdpoint man /usr/local/share/man/man1")]
pub struct Options {
    /// Write a page for each command of all three programs into this directory instead.
    pub dir: Option<PathBuf>,
}

/// Prints the page, or writes all of them.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    if let Some(dir) = &options.dir {
        let failed = |source| Failure::Write { path: dir.clone(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let collector = holdpoint_collector::args::Arguments::command();
        for program in [Arguments::command(), holdpoint_agent::command::arguments(), collector] {
            clap_mangen::generate_to(program, dir).map_err(failed)?;
        }
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Arguments::command()).render(&mut page).map_err(Failure::Stdout)?;
        write_stdout(&page)?;
    }
    Ok(Exit::Done)
}
