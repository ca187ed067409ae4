//! `holdpoint-collector`: arguments, logging, exit code. The work is in the library.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use holdpoint_collector::args::{Arguments, Command, LogFormat};
use holdpoint_collector::verbs;
use tracing_subscriber::EnvFilter;

/// 0 done, 1 the answer is "no", 2 usage, 3 could not reach or not permitted.
#[tokio::main]
#[expect(clippy::print_stderr, reason = "this is the program's edge")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(cause) = start_logging(&arguments) {
        eprintln!("error: --log `{}`: {cause}", arguments.log);
        return ExitCode::from(2);
    }
    let outcome = match arguments.command {
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Arguments::command(),
                "holdpoint-collector",
                &mut std::io::stdout(),
            );
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { dir } => clap_mangen::generate_to(Arguments::command(), dir)
            .map(|()| ExitCode::SUCCESS)
            .map_err(anyhow::Error::from),
        command => verbs::run(command).await.map_err(anyhow::Error::from),
    };
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
