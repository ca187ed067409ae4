//! The end of a change.

use clap::Args;
use holdpoint_common::proto::v1::{CloseChangeRequest, RecordLessonsRequest};

use crate::connection::{Connection, answer};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view::change::Change;

/// `change lessons`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  holdpoint change lessons CHG-0001 --text 'none'\n\n\
    A change does not close before somebody has said what was learnt, or that nothing was.")]
pub struct Lessons {
    /// The change.
    #[arg(value_name = "CHANGE")]
    pub id: String,
    /// What was learnt.
    #[arg(long)]
    pub text: String,
}

/// `change close`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  holdpoint change close CHG-0001\n  \
    holdpoint change close CHG-0001 --unremediated 'the vendor withdrew the patch'\n\n\
    Exits 1 and says everything that is open when the change cannot close.")]
pub struct Close {
    /// The change.
    #[arg(value_name = "CHANGE")]
    pub id: String,
    /// End it although nothing was remediated, for this reason.
    #[arg(long, value_name = "WHY")]
    pub unremediated: Option<String>,
}

/// Keeps what was learnt.
pub async fn learn(options: Lessons, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let Lessons { id, text } = options;
    let request = RecordLessonsRequest { id, text };
    out.print(&Change::from(answer(connection.changes().record_lessons(request)).await?))?;
    Ok(Exit::Done)
}

/// Ends a change.
pub async fn close(options: Close, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let Close { id, unremediated } = options;
    let request = CloseChangeRequest { id, unremediated: unremediated.unwrap_or_default() };
    out.print(&Change::from(answer(connection.changes().close_change(request)).await?))?;
    Ok(Exit::Done)
}
