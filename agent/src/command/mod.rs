//! The command line: arguments to settings, failures to exit codes.
//!
//! Exit codes are those of every Holdpoint program: 0 done, 1 the answer is "no", 2 usage,
//! 3 could not reach or not permitted.

mod args;
mod enroll;
mod run;
mod scan;
mod service;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

use args::{Args, Command, LogFormat};

use crate::cage::{self, Needs, Walls};
use crate::host::keep_memory_small;
use crate::notice::Notices;
use crate::scan::scanner::Scanner;

/// How a command ends that did not do what was asked.
#[derive(Debug)]
enum Failure {
    /// The collector did not take what was offered.
    No(anyhow::Error),
    /// The arguments or the settings are wrong.
    Usage(anyhow::Error),
    /// Could not reach or not permitted.
    Reach(anyhow::Error),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::No(_) => 1,
            Self::Usage(_) => 2,
            Self::Reach(_) => 3,
        }
    }

    fn cause(&self) -> &anyhow::Error {
        match self {
            Self::No(cause) | Self::Usage(cause) | Self::Reach(cause) => cause,
        }
    }
}

/// The command line itself, for manual pages: the agent writes none, it writes to its state directory alone.
pub fn arguments() -> clap::Command {
    Args::command()
}

/// Runs what the arguments ask for.
pub fn main() -> ExitCode {
    keep_memory_small();
    // Prints help and usage itself and leaves with 0 or 2.
    let args = Args::parse();
    let notices = match &args.command {
        Command::Service(command) => service::notices(command),
        Command::Enroll(_) | Command::Run(_) | Command::Scan(_) => None,
    };
    start_log(args.log_format, &args.log, notices);
    let done = match &args.command {
        Command::Enroll(args) => enroll::run(args),
        Command::Run(args) => run::run(args),
        Command::Scan(args) => scan::run(args),
        Command::Service(command) => service::run(command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Standard error may be gone; the exit code still says it.
            let _ = writeln!(io::stderr(), "holdpoint-agent: {:#}", failure.cause());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Cages the program and starts the thread that scans; before anything else is started, because what a
/// thread gives up holds for it and for those that it starts.
fn cage(needs: &Needs, loudly: bool) -> Result<Scanner, Failure> {
    let mut gaps = cage::enter();
    let mut scanner = Scanner::start().map_err(|cause| Failure::Reach(cause.into()))?;
    gaps.extend(cage::enter_network(needs, &scanner.walls));
    let (refused, mut active) = std::mem::take(&mut scanner.cage);
    gaps.extend(refused);
    active.extend(scanner.walls.get().map(Walls::name));
    cage::log(&gaps, &active, loudly);
    Ok(scanner)
}

/// Lines to standard error, and notices to the system's own log where it has one; those whatever the
/// filter says.
fn start_log(format: LogFormat, filter: &str, notices: Option<Notices>) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(notices).init();
}

/// The one thread on which an agent waits; scans and name lookups have one beside it.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .map_err(|cause| Failure::Reach(anyhow::Error::new(cause).context("cannot start")))
}
