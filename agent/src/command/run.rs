//! `run`: the agent itself, until the service manager or a person stops it.

use anyhow::Context;

use super::args::RunArgs;
use super::{Failure, cage, runtime};
use crate::cage::Needs;
use crate::host::Host;
use crate::{RunError, Settings, agent};

pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let settings = Settings::load(&args.state.dir).map_err(|it| Failure::Usage(it.into()))?;
    let host = Host::running();
    let scanner = cage(&Needs::link(&settings.state, &settings.collector), true)?;
    runtime()?.block_on(async {
        if args.once {
            return agent::run_once_with(settings, host, scanner).await.map_err(failure);
        }
        let shutdown = stop_signal().context("cannot wait for signals").map_err(Failure::Reach)?;
        agent::run_with(settings, host, scanner, shutdown).await.map_err(failure)
    })
}

fn failure(cause: RunError) -> Failure {
    match cause {
        RunError::NotTaken { .. } | RunError::Held { .. } => Failure::No(cause.into()),
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
