//! `holdpoint-collector`: arguments, logging, exit code. The work is in the library.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use holdpoint_collector::args::{Arguments, LogFormat};
use holdpoint_collector::{memory, verbs};
use tracing_subscriber::EnvFilter;

/// 0 done, 1 the answer is "no", 2 usage, 3 could not reach or not permitted.
fn main() -> ExitCode {
    memory::stay_compact();
    run()
}

#[tokio::main]
#[expect(clippy::print_stderr, reason = "this is the program's edge")]
async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(cause) = start_logging(&arguments) {
        eprintln!("error: --log `{}`: {cause}", arguments.log);
        return ExitCode::from(2);
    }
    let outcome = verbs::run(arguments.command).await.map_err(anyhow::Error::from);
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(3)
    })
}

fn start_logging(arguments: &Arguments) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(&arguments.log)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match arguments.log_format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
