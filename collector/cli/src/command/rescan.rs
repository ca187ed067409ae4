//! `rescan`: asks hosts to look again, and tells which did.

use std::time::Duration;

use clap::Args;
use holdpoint_common::proto::v1::RescanRequest;

use crate::connection::Connection;
use crate::failure::{Exit, Failure};
use crate::input;
use crate::output::Output;
use crate::view::rescan::{Rescan, complete};

/// Longest wait that the collector accepts, in seconds.
const MAX_WAIT_S: u64 = 3_600;

/// How much longer than the wait the answer may take.
const GRACE: Duration = Duration::from_secs(30);

/// `rescan`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  holdpoint rescan hmi-01 hmi-02 --wait 5m\n  holdpoint rescan hmi-01\n\n\
    With --wait the exit code is 1 when an asset did not answer in time."
)]
pub struct Options {
    /// Which assets.
    #[arg(required = true, value_name = "ASSET")]
    pub assets: Vec<String>,
    /// Wait this long for answers, at most 1h; without it the challenges are only issued.
    #[arg(long, value_name = "DURATION", value_parser = wait)]
    pub wait: Option<Duration>,
}

fn wait(text: &str) -> Result<Duration, String> {
    let duration = input::duration(text).map_err(|cause| cause.to_string())?;
    if duration.is_zero() || duration.as_secs() > MAX_WAIT_S {
        return Err("wait between 1s and 1h".into());
    }
    Ok(duration)
}

/// Whole seconds, rounded up: a person who waits half a second gets one.
fn seconds(wait: Duration) -> u32 {
    let up = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    u32::try_from(up).unwrap_or(u32::MAX)
}

/// Asks, tells the answers as they come, and prints all of them.
pub async fn run(options: &Options, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let rows = ask(options, connection, |it| {
        if out.is_watched() {
            out.note(&it.progress());
        }
    })
    .await?;
    out.print(&rows)?;
    let waited = options.wait.is_some();
    Ok(Exit::yes_or_no(rows.iter().all(|it| it.is_good(waited))))
}

/// One row for each asset; `tell` sees each answer as it arrives.
pub async fn ask(
    options: &Options,
    connection: &Connection,
    mut tell: impl FnMut(&Rescan),
) -> Result<Vec<Rescan>, Failure> {
    let wait = options.wait.unwrap_or_default();
    let request = RescanRequest { assets: options.assets.clone(), wait_s: seconds(wait) };
    let mut inventory = connection.inventory();
    let mut answers = Vec::new();
    let collect = async {
        let mut stream = inventory.rescan(request).await?.into_inner();
        while let Some(it) = stream.message().await? {
            let row = Rescan::from(it);
            tell(&row);
            answers.push(row);
        }
        Ok::<_, Failure>(())
    };
    match tokio::time::timeout(wait + GRACE, collect).await {
        // What did not come in time is listed as not answered.
        Err(_) | Ok(Ok(())) => {}
        Ok(Err(failure)) => return Err(failure),
    }
    Ok(complete(&options.assets, answers))
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use crate::args::Format;

    #[test]
    fn the_wait_is_bounded_and_rounded_up() {
        assert!(wait("0s").is_err() && wait("2h").is_err() && wait("x").is_err());
        assert_eq!(seconds(wait("500ms").unwrap()), 1);
        assert_eq!(seconds(wait("1h").unwrap()), 3_600);
    }

    #[tokio::test]
    async fn the_exit_code_is_no_when_one_did_not_answer() {
        let connection = fake::collector().await;
        let exit = async |assets: &[&str], wait: Option<u64>| {
            let assets = assets.iter().map(ToString::to_string).collect();
            let options = Options { assets, wait: wait.map(Duration::from_secs) };
            run(&options, &connection, &Output::plain(Format::Json, None)).await.unwrap()
        };
        assert_eq!(exit(&["hmi-01"], Some(1)).await, Exit::Done);
        assert_eq!(exit(&["hmi-01", "hist-01"], Some(1)).await, Exit::No);
        assert_eq!(exit(&["hmi-01", "hist-01"], None).await, Exit::Done);
        assert_eq!(exit(&["hmi-01", "untold-01"], None).await, Exit::No);
    }

    #[tokio::test]
    async fn answers_are_told_as_they_come() {
        let options = Options { assets: vec!["hmi-01".into()], wait: Some(Duration::from_secs(1)) };
        let mut told = Vec::new();
        let rows =
            ask(&options, &fake::collector().await, |it| told.push(it.asset().to_owned())).await.unwrap();
        assert_eq!((rows.len(), told), (1, vec!["hmi-01".to_owned()]));
    }
}
