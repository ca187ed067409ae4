//! One file per command: its options, its question to the collector, its exit code.

pub mod asset;
pub mod assets;
pub mod audit;
pub mod baseline;
pub mod change;
pub mod compare;
pub mod completions;
pub mod control;
pub mod dispose;
pub mod drift;
pub mod due;
pub mod enroll;
pub mod events;
pub mod evidence;
pub mod explain;
pub mod export;
#[cfg(test)]
mod fake;
pub mod feeds;
pub mod fleet;
pub mod hardening;
pub mod import;
pub mod join;
mod judge;
pub mod man;
pub mod map;
pub mod pack;
pub mod patch;
pub mod placement;
pub mod quickstart;
pub mod range;
pub mod rescan;
pub mod software;
pub mod statements;
pub mod status;
pub mod triage;
pub mod vercmp;

use std::future::Future;

use holdpoint_common::clock::{Clock, SystemClock};

use crate::args::{Command, Global, Local, Remote};
use crate::connection::Connection;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::profile::Search;

/// Most items of one page of a list.
const PAGE: u32 = 1_000;

/// Threads of one command: one computes while the other reads.
const WORKERS: usize = 2;

/// Who typed the command, and where the answer goes.
#[derive(Debug)]
pub struct Caller {
    /// How answers are written.
    pub out: Output,
    /// Where the operator's profile is.
    pub profile: Search,
}

impl Caller {
    /// Reads the streams and the environment, no file.
    pub fn from_environment(global: Global) -> Self {
        let Global { profile, output, color } = global;
        Self {
            out: Output::from_environment(output, color),
            profile: Search::new(profile, |name| std::env::var_os(name)),
        }
    }
}

/// Does what was typed.
pub fn run(command: Command, caller: &Caller) -> Result<Exit, Failure> {
    if let Some(done) = run_alone(&command, caller) {
        return done;
    }
    match command {
        Command::Local(command) => run_here(&command, &caller.out),
        Command::Quickstart(options) => wait_for(quickstart::run(&options, caller)),
        Command::Enroll(options) => wait_for(enroll::run(&options, caller)),
        Command::Join(options) => join::run(&options, caller),
        Command::Fleet(options) => wait_for(fleet::run(options, caller)),
        Command::Remote(Remote::Map(map::Command::Lint(map::LintOptions {
            file: Some(file),
            zone: false,
        }))) => map::lint_file(&file, &caller.out, SystemClock.now_ms()),
        Command::Remote(command) => wait_for(async {
            let connection = Connection::open(&caller.profile.find()?, &caller.out).await?;
            ask(command, &connection, &caller.out).await
        }),
    }
}

/// What some commands of a collector can do without one; `None` for all the others.
fn run_alone(command: &Command, caller: &Caller) -> Option<Result<Exit, Failure>> {
    let Command::Remote(command) = command else { return None };
    if let Remote::Hardening(options) = command {
        hardening::run_here(options, &caller.out)
    } else if let Remote::Change(command) = command {
        change::run_here(command, caller)
    } else if let Remote::Evidence(command) = command {
        evidence::run_here(command, &caller.out)
    } else if let Remote::Pack(command) = command {
        pack::run_here(command, &caller.out)
    } else {
        None
    }
}

fn run_here(command: &Local, out: &Output) -> Result<Exit, Failure> {
    match command {
        Local::Vercmp(options) => vercmp::run(options, out),
        Local::Range(options) => range::run(options, out),
        Local::Completions(options) => completions::run(options),
        Local::Man(options) => man::run(options),
    }
}

/// Asks the collector.
pub async fn ask(command: Remote, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    match command {
        Remote::Assets(options) => out.print(&assets::ask(&options, connection).await?)?,
        Remote::Asset(command) => return asset::run(command, connection, out).await,
        Remote::Software(options) => out.print(&software::ask(&options, connection).await?)?,
        Remote::Events(options) => out.print(&events::ask(&options, connection).await?)?,
        Remote::Import(options) => return import::run(&options, connection, out).await,
        Remote::Status(options) => return status::run(&options, connection, out).await,
        Remote::Explain(options) => out.print(&explain::ask(&options, connection).await?)?,
        Remote::Export(command) => export::run(&command, connection, out).await?,
        Remote::Hardening(options) => return hardening::run(&options, connection, out).await,
        Remote::Rescan(options) => return rescan::run(&options, connection, out).await,
        Remote::Map(command) => return map::run(command, connection, out, SystemClock.now_ms()).await,
        Remote::Feeds(options) => feeds::run(&options, connection, out).await?,
        Remote::Placement(options) => placement::run(&options, connection, out).await?,
        Remote::Triage(options) => return triage::run(options, connection, out).await,
        Remote::Dispose(options) => dispose::run(options, connection, out, SystemClock.now_ms()).await?,
        Remote::Statements(options) => out.print(&statements::ask(options, connection).await?)?,
        Remote::Patch(command) => patch::run(command, connection, out).await?,
        Remote::Pack(command) => pack::run(command, connection, out).await?,
        Remote::Compare(options) => out.print(&compare::ask(&options, connection).await?)?,
        Remote::Change(command) => {
            return change::run(*command, connection, out, SystemClock.now_ms()).await;
        }
        Remote::Evidence(command) => return evidence::run(&command, connection, out).await,
        Remote::Baseline(command) => baseline::run(command, connection, out).await?,
        Remote::Drift(options) => drift::run(options, connection, out, SystemClock.now_ms()).await?,
        Remote::Due(options) => due::run(options, connection, out).await?,
        Remote::Control(command) => control::run(command, connection, out, SystemClock.now_ms()).await?,
        Remote::Audit(audit::Command::Verify) => return audit::run(connection, out).await,
    }
    Ok(Exit::Done)
}

fn wait_for(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    runtime.block_on(work)
}
