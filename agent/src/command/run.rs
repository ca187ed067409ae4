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

/// Ends when a person asks for it (Ctrl-C, Ctrl-Break), closes the console, or shuts the system down. The
/// service manager has a way of its own.
#[cfg(windows)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
    let (mut interrupt, mut terminate) = (ctrl_c()?, ctrl_break()?);
    let (mut close, mut shutdown) = (ctrl_close()?, ctrl_shutdown()?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = close.recv() => {}
            _ = shutdown.recv() => {}
        }
    })
}
