//! The command line: arguments to settings, failures to exit codes.
//!
//! Exit codes are those of every Holdpoint program: 0 done, 1 the answer is "no", 2 usage,
//! 3 could not reach or not permitted.

mod args;
mod scan;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use args::{Args, Command, LogFormat};

/// Could not reach or not permitted.
const EXIT_REACH: u8 = 3;

/// Runs what the arguments ask for.
pub fn main() -> ExitCode {
    // Prints help and usage itself and leaves with 0 or 2.
    let args = Args::parse();
    start_log(args.log_format, &args.log);
    let done = match &args.command {
        Command::Scan(args) => scan::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            // Standard error may be gone; the exit code still says it.
            let _ = writeln!(io::stderr(), "holdpoint-agent: {cause:#}");
            ExitCode::from(EXIT_REACH)
        }
    }
}

fn start_log(format: LogFormat, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
}
