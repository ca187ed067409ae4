//! `service`: the agent under the service manager of Windows, and how it gets there and goes again.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::sync::watch;
use tracing::{error, warn};

use super::args::{InstallArgs, RemoveArgs, ServiceCommand, StateArgs};
use super::{Failure, cage, runtime};
use crate::RunError;
use crate::agent::home;
use crate::cage::Needs;
use crate::host::{Host, service_manager as manager};
use crate::link::state;
use crate::notice::{Notice, Notices};
use crate::service::live::{LiveError, live};
use crate::service::{self, EVENT_MESSAGE_FILE, EVENT_SOURCE_KEY, EVENT_TYPES, NAME, Plan, order};

/// How long name look-ups that hang are waited for at the end.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// Where the notices of a service go; `None` where the system has no log for them.
pub(super) fn notices(command: &ServiceCommand) -> Option<Notices> {
    match command {
        ServiceCommand::Run(_) => manager::event_log(service::DISPLAY_NAME).ok().map(Notices::to),
        ServiceCommand::Install(_) | ServiceCommand::Remove(_) => None,
    }
}

pub(super) fn run(command: &ServiceCommand) -> Result<(), Failure> {
    match command {
        ServiceCommand::Run(args) => serve(args),
        ServiceCommand::Install(args) => install(args).map_err(Failure::Reach),
        ServiceCommand::Remove(args) => remove(args).map_err(Failure::Reach),
    }
}

fn serve(args: &StateArgs) -> Result<(), Failure> {
    let state = plain(&args.dir);
    let body = Box::new(move |stop| match be(&state, stop) {
        Ok(()) => 0,
        Err(failure) => {
            error!(notice = Notice::Failed.id(), "the agent cannot run: {:#}", failure.cause());
            u32::from(failure.exit_code())
        }
    });
    manager::serve(NAME, body)
        .context("this is for the service manager alone: type `holdpoint-agent run`, or `sc start holdpoint-agent`")
        .map_err(Failure::Usage)
}

/// What the service manager's thread does until it is told to stop.
fn be(state: &Path, mut stop: watch::Receiver<bool>) -> Result<(), Failure> {
    let host = Host::running();
    let scanner = cage(&Needs::link(state, ""), true)?;
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let shutdown = async {
            // Nobody is left who could say it: that is the end, too.
            let _ = stop.wait_for(|it| *it).await;
        };
        live(state, host, scanner, shutdown).await.map_err(failure)
    });
    runtime.shutdown_timeout(LAST_WAIT);
    ended
}

fn failure(cause: LiveError) -> Failure {
    match cause {
        LiveError::Settings(cause) => Failure::Usage(cause.into()),
        LiveError::Scan(cause) => Failure::Reach(cause.into()),
        LiveError::Run(RunError::NotTaken { .. } | RunError::Held { .. }) => Failure::No(cause.into()),
        LiveError::Run(
            RunError::State(_)
            | RunError::Credentials(_)
            | RunError::Scan(_)
            | RunError::Pack(_)
            | RunError::Link(_),
        ) => Failure::Reach(cause.into()),
    }
}

fn install(args: &InstallArgs) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let dir = plain(&args.state.dir);
    if !dir.is_absolute() {
        return Err(anyhow!("--state {} is not absolute: a service starts elsewhere", dir.display()));
    }
    state::make(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    if let (Some(collector), Some(token)) = (&args.collector, &args.token) {
        order::place(&dir, collector, &token.reveal())
            .with_context(|| format!("cannot write to {}", dir.display()))?;
    }
    let plan = Plan::new(&program, &dir, args.account, !args.not_write_restricted);
    let refused = manager::install(&plan).context("the service cannot be made: are you an administrator?")?;
    for (setting, cause) in &refused {
        warn!(setting, error = cause as &dyn std::error::Error, "this Windows does not take a setting");
    }
    manager::register_events(EVENT_SOURCE_KEY, EVENT_MESSAGE_FILE, EVENT_TYPES)
        .context("the source of events cannot be registered")?;
    if let Some(warning) = home(&Host::running(), &dir).storage.warning() {
        warn!("{warning}");
    }
    if !args.no_start {
        manager::start(NAME).context("the service is there and does not start")?;
    }
    say(&format!(
        "service {NAME} runs {} as {}; state in {}",
        program.display(),
        plan.account,
        dir.display()
    ));
    if args.token.is_none() && crate::Settings::load(&dir).is_err() {
        say(&format!(
            "now enrol it: holdpoint-agent enroll --collector HOST:PORT --state \"{}\"",
            dir.display()
        ));
    }
    Ok(())
}

fn remove(args: &RemoveArgs) -> anyhow::Result<()> {
    let was_there =
        manager::remove(NAME).context("the service cannot be removed: are you an administrator?")?;
    manager::forget_events(EVENT_SOURCE_KEY).context("the source of events cannot be removed")?;
    let dir = plain(&args.state.dir);
    if !args.keep_state {
        service::remove_state(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    let what = if was_there { "removed" } else { "was not there" };
    let state = if args.keep_state { "kept" } else { "removed" };
    say(&format!("service {NAME} {what}; state in {} {state}", dir.display()));
    Ok(())
}

fn say(line: &str) {
    // A closed standard output changes nothing about what was done.
    let _ = writeln!(io::stdout(), "{line}");
}

/// The same directory without a `.` at its end, which an installer writes so that no backslash stands
/// before a quote.
fn plain(dir: &Path) -> PathBuf {
    dir.components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_the_same_with_a_dot_at_its_end() {
        assert_eq!(plain(Path::new("/var/lib/agent/.")), Path::new("/var/lib/agent"));
        assert_eq!(plain(Path::new("relative/./x/")).to_str(), Some("relative/x"));
    }

    #[cfg(not(windows))]
    #[test]
    fn where_there_is_no_service_manager_a_person_reads_what_to_type() {
        let args = StateArgs { dir: "/nowhere".into() };
        let Err(Failure::Usage(cause)) = serve(&args) else { panic!("must not run") };
        assert!(format!("{cause:#}").contains("holdpoint-agent run"), "{cause:#}");
    }
}
