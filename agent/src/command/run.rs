//! `run`: the agent itself, until the service manager or a person stops it.

use anyhow::Context;

use super::args::RunArgs;
use super::{Failure, runtime};
use crate::host::Host;
use crate::{RunError, Settings};

pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let settings = Settings::load(&args.state.dir).map_err(|it| Failure::Usage(it.into()))?;
    let host = Host::running();
    runtime()?.block_on(async {
        if args.once {
            return crate::run_once(settings, host).await.map_err(failure);
        }
        let shutdown = stop_signal().context("cannot wait for signals").map_err(Failure::Reach)?;
        crate::run(settings, host, shutdown).await.map_err(failure)
    })
}

fn failure(cause: RunError) -> Failure {
    match cause {
        RunError::NotTaken { .. } => Failure::No(cause.into()),
        RunError::State(_)
        | RunError::Credentials(_)
        | RunError::Scan(_)
        | RunError::Pack(_)
        | RunError::Link(_) => Failure::Reach(cause.into()),
    }
}

/// Ends when the service manager (SIGTERM) or a person (SIGINT) asks for it.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Ends when a person asks for it.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler the system ends the process by itself.
        let _ = tokio::signal::ctrl_c().await;
    })
}
