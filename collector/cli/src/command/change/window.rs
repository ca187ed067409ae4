//! The window: a stage is opened, worked on, completed, verified; or the old state is put back.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use holdpoint_common::proto::v1::{
    Change as ChangeMessage, ChangeProgress, CompleteStageRequest, LeaveOut, OpenStageRequest,
    RollBackStageRequest, StageTarget, VerifyStageRequest,
};
use tonic::{Status, Streaming};

use super::stage;
use crate::connection::{Connection, answer};
use crate::failure::{Exit, Failure};
use crate::input::{duration, pair};
use crate::output::Output;
use crate::view::change::{Change, progress};

/// Longest wait, in seconds.
const MAX_WAIT_S: u64 = 6 * 3_600;
/// How much longer than the wait the answer may take: checks before, verdicts after.
const GRACE: Duration = Duration::from_mins(2);

/// `change open`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  holdpoint change open CHG-0001 --stage 1\n  \
    holdpoint change open CHG-0001 --stage 2 --leave-out 'hmi-07=does not start, ticket 4711'\n\n\
    Work may begin when the stage is open; the exit code is 1 while it waits for a host.")]
pub struct Open {
    /// The change.
    #[arg(value_name = "CHANGE")]
    pub id: String,
    /// The stage.
    #[arg(long, value_name = "N", value_parser = stage)]
    pub stage: u32,
    /// Open although a check did not pass, or outside the agreed time, for this reason; it stays in the record.
    #[arg(long = "override", value_name = "WHY")]
    pub overriding: Option<String>,
    /// Leave an asset without a snapshot before work: nothing will be said of it. May be repeated.
    #[arg(long, value_name = "ASSET=REASON", value_parser = pair)]
    pub leave_out: Vec<(String, String)>,
    /// How long to wait for the hosts.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = wait)]
    pub wait: Duration,
}

/// `change complete`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  holdpoint change complete CHG-0001 --stage 1 --note 'hmi-03 restarted twice'"
)]
pub struct Complete {
    /// The change.
    #[arg(value_name = "CHANGE")]
    pub id: String,
    /// The stage.
    #[arg(long, value_name = "N", value_parser = stage)]
    pub stage: u32,
    /// A note for the record.
    #[arg(long, default_value = "")]
    pub note: String,
}

/// `change verify`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  holdpoint change verify CHG-0001 --stage 1 --wait 10m\n\n\
    The exit code is 0 when every verdict of the stage allows closing, else 1.")]
pub struct Verify {
    /// The change.
    #[arg(value_name = "CHANGE")]
    pub id: String,
    /// The stage.
    #[arg(long, value_name = "N", value_parser = stage)]
    pub stage: u32,
    /// How long to wait for the hosts.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = wait)]
    pub wait: Duration,
}

/// `change rollback`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  holdpoint change rollback CHG-0001 --stage 1 --reason 'trends stay empty'\n\n\
    `change verify` shows afterwards whether the old state is back."
)]
pub struct Rollback {
    /// The change.
    #[arg(value_name = "CHANGE")]
    pub id: String,
    /// The stage.
    #[arg(long, value_name = "N", value_parser = stage)]
    pub stage: u32,
    /// Only this asset; may be repeated.
    #[arg(long, value_name = "ID")]
    pub asset: Vec<String>,
    /// Why.
    #[arg(long)]
    pub reason: String,
}

fn wait(text: &str) -> Result<Duration, String> {
    let duration = duration(text).map_err(|cause| cause.to_string())?;
    if duration.is_zero() || duration.as_secs() > MAX_WAIT_S {
        return Err("wait between 1s and 6h".into());
    }
    Ok(duration)
}

/// Whole seconds, rounded up.
fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).unwrap_or(u32::MAX)
}

/// Opens a stage and waits until its hosts have shown what they are before work.
pub async fn open(options: Open, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let Open { id, stage, overriding, leave_out, wait } = options;
    let leave_out = leave_out.into_iter().map(|(asset, reason)| LeaveOut { asset, reason }).collect();
    let overriding = overriding.unwrap_or_default();
    let request = OpenStageRequest { id, stage, r#override: overriding, leave_out, wait_s: seconds(wait) };
    let mut changes = connection.changes();
    let change = follow(changes.open_stage(request), wait, |it| it.pre.clone(), out).await?;
    let change = Change::from(change);
    out.print(&change)?;
    Ok(Exit::yes_or_no(change.stage_is(stage, "open")))
}

/// Says that work is over.
pub async fn complete(options: Complete, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let Complete { id, stage, note } = options;
    let request = CompleteStageRequest { id, stage, note };
    out.print(&Change::from(answer(connection.changes().complete_stage(request)).await?))?;
    Ok(Exit::Done)
}

/// Waits for the hosts and prints the verdicts.
pub async fn verify(options: Verify, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let Verify { id, stage, wait } = options;
    let request = VerifyStageRequest { id, stage, wait_s: seconds(wait) };
    let mut changes = connection.changes();
    let change = follow(changes.verify_stage(request), wait, |it| it.post.clone(), out).await?;
    let change = Change::from(change);
    out.print(&change)?;
    Ok(Exit::yes_or_no(change.closes(stage)))
}

/// Records that the old state was put back.
pub async fn roll_back(options: Rollback, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let Rollback { id, stage, asset, reason } = options;
    let request = RollBackStageRequest { id, stage, assets: asset, reason };
    out.print(&Change::from(answer(connection.changes().roll_back_stage(request)).await?))?;
    Ok(Exit::Done)
}

/// Follows a stage until the last message, and tells a person who watches how each target stands.
async fn follow(
    call: impl Future<Output = Result<tonic::Response<Streaming<ChangeProgress>>, Status>>,
    wait: Duration,
    state: impl Fn(&StageTarget) -> String,
    out: &Output,
) -> Result<ChangeMessage, Failure> {
    let mut told = BTreeMap::new();
    let collect = async {
        let mut stream = call.await?.into_inner();
        let mut last = None;
        while let Some(ChangeProgress { targets, change }) = stream.message().await? {
            for target in &targets {
                let now = state(target);
                if told.insert(target.asset.clone(), now.clone()).as_ref() != Some(&now) && out.is_watched() {
                    out.note(&progress(target, &now));
                }
            }
            last = change.or(last);
        }
        last.ok_or(Failure::Incomplete("the change"))
    };
    let late =
        || Status::deadline_exceeded("the collector did not end its answer: `change show` has the rest");
    tokio::time::timeout(wait + GRACE, collect).await.unwrap_or_else(|_| Err(late().into()))
}

#[cfg(test)]
mod tests {
    use super::super::super::fake;
    use super::*;
    use crate::args::Format;

    #[test]
    fn the_wait_is_bounded_and_rounded_up() {
        assert!(wait("0s").is_err() && wait("7h").is_err() && wait("x").is_err());
        assert_eq!(seconds(wait("1500ms").unwrap()), 2);
    }

    #[tokio::test]
    async fn the_exit_code_of_verify_is_that_of_the_worst_verdict() {
        let connection = fake::collector().await;
        let out = Output::plain(Format::Json, None);
        for (stage, exit) in [(1, Exit::Done), (2, Exit::No), (3, Exit::No)] {
            let options = Verify { id: fake::CHANGE.into(), stage, wait: Duration::from_secs(1) };
            assert_eq!(verify(options, &connection, &out).await.unwrap(), exit, "stage {stage}");
        }
    }

    #[tokio::test]
    async fn work_may_begin_only_in_an_open_stage() {
        let connection = fake::collector().await;
        let out = Output::plain(Format::Table, None);
        for (left, exit) in [(Vec::new(), Exit::No), (vec![("hmi-02".into(), "off".into())], Exit::Done)] {
            let options = Open {
                id: fake::CHANGE.into(),
                stage: 1,
                overriding: None,
                leave_out: left,
                wait: Duration::from_secs(1),
            };
            assert_eq!(open(options, &connection, &out).await.unwrap(), exit);
        }
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_no_verdict() {
        let connection = fake::collector().await;
        let options = Verify { id: "CHG-BROKEN".into(), stage: 1, wait: Duration::from_secs(1) };
        let out = Output::plain(Format::Json, None);
        let failure = verify(options, &connection, &out).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::Unreachable);
    }
}
