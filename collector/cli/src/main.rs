//! `holdpoint`: what an operator types.
//!
//! Data goes to stdout, everything else to stderr; exit codes are in [`holdpoint_cli::failure::Exit`].

use std::process::ExitCode;

use clap::Parser;
use holdpoint_cli::args::Arguments;
use holdpoint_cli::command::{self, Caller};

fn main() -> ExitCode {
    let Arguments { global, command } = Arguments::parse();
    let caller = Caller::from_environment(global);
    match command::run(command, &caller) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            caller.out.fail(&failure);
            failure.exit().into()
        }
    }
}
