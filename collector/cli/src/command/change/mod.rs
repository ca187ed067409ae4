//! `change`: from a plan over the board and the window to a verdict.
//!
//! What a person decides is signed here, with this person's own key; the collector takes it in and cannot write it.

pub mod board;
pub mod close;
pub mod decision;
pub mod draft;
pub mod skeleton;
pub mod window;
pub mod witness;

use clap::{Args, Subcommand};

use super::Caller;
use crate::connection::Connection;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// `change`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Draft a change of a plan, or write the skeleton of a plan.
    New(draft::New),
    /// List changes with what has to be done next.
    List(draft::List),
    /// Show a change: what is next, what stands in the way, stages, signatures, verdicts.
    Show(draft::Show),
    /// Put a change before the board.
    Submit(Which),
    /// Sign a change off in a role of the board, with your own key.
    Sign(board::Sign),
    /// Stop a change for good, as operations or plant safety.
    Veto(board::Veto),
    /// Keep the record of a meeting of the board.
    Meeting(board::Meeting),
    /// Release a hold point of a stage, or note that a witness was told.
    Release(board::Release),
    /// Open a stage: check what has to be right, and take the snapshots before work.
    Open(window::Open),
    /// Say that the work of a stage is over, and ask its hosts to look again.
    Complete(window::Complete),
    /// Wait for the hosts of a stage and give the verdicts.
    Verify(window::Verify),
    /// Record that the old state was put back, and ask the hosts to show it.
    Rollback(window::Rollback),
    /// Explain what moved beside the plan.
    Explain(witness::Explain),
    /// Say what no agent can see: two persons, one artefact.
    Attest(witness::Attest),
    /// Functional tests of the plan.
    #[command(subcommand)]
    Test(witness::Test),
    /// Keep what was learnt.
    Lessons(close::Lessons),
    /// End a change.
    Close(close::Close),
}

/// Which change.
#[derive(Debug, Args)]
pub struct Which {
    /// The change, as `change list` shows it.
    #[arg(value_name = "CHANGE")]
    pub id: String,
}

const EXAMPLES: &str = "\
Examples:
  holdpoint change new --from-status DSA-5532-1 --title 'OpenSSL on line 1' --out plan.toml
  holdpoint change new -f plan.toml
  holdpoint change submit CHG-0001
  holdpoint change sign CHG-0001 --role operations
  holdpoint change open CHG-0001 --stage 1
  holdpoint change complete CHG-0001 --stage 1
  holdpoint change verify CHG-0001 --stage 1 --wait 10m
  holdpoint change close CHG-0001

A veto of operations or plant safety is final: no role lifts it.";

/// Does what needs no collector; `None` when the command needs one.
pub fn run_here(command: &Command, caller: &Caller) -> Option<Result<Exit, Failure>> {
    let (decides, offline): (&dyn decision::Decides, _) = match command {
        Command::Sign(it) => (it, &it.offline),
        Command::Veto(it) => (it, &it.offline),
        Command::Attest(it) => (it, &it.offline),
        Command::Test(witness::Test::Record(it)) => (it, &it.offline),
        Command::New(_)
        | Command::List(_)
        | Command::Show(_)
        | Command::Submit(_)
        | Command::Meeting(_)
        | Command::Release(_)
        | Command::Open(_)
        | Command::Complete(_)
        | Command::Verify(_)
        | Command::Rollback(_)
        | Command::Explain(_)
        | Command::Lessons(_)
        | Command::Close(_) => return None,
    };
    offline.files().map(|files| decision::write(decides, files, caller))
}

/// Asks the collector.
pub async fn run(
    command: Command,
    connection: &Connection,
    out: &Output,
    now_ms: i64,
) -> Result<Exit, Failure> {
    match command {
        Command::New(options) => draft::new(options, connection, out).await,
        Command::List(options) => draft::list(&options, connection, out).await,
        Command::Show(options) => draft::show(options, connection, out).await,
        Command::Submit(which) => draft::submit(which, connection, out).await,
        Command::Sign(it) => decision::send(&it, connection, out).await,
        Command::Veto(it) => decision::send(&it, connection, out).await,
        Command::Release(it) => decision::send(&it, connection, out).await,
        Command::Explain(it) => decision::send(&it, connection, out).await,
        Command::Attest(it) => decision::send(&it, connection, out).await,
        Command::Test(witness::Test::Record(it)) => decision::send(&it, connection, out).await,
        Command::Meeting(options) => board::meet(options, connection, out, now_ms).await,
        Command::Open(options) => window::open(options, connection, out).await,
        Command::Complete(options) => window::complete(options, connection, out).await,
        Command::Verify(options) => window::verify(options, connection, out).await,
        Command::Rollback(options) => window::roll_back(options, connection, out).await,
        Command::Lessons(options) => close::learn(options, connection, out).await,
        Command::Close(options) => close::close(options, connection, out).await,
    }
}

/// Parses the number of a stage.
fn stage(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|it| *it > 0).ok_or_else(|| "stages are counted from 1".to_owned())
}
