//! `status`: which asset misses what.

use std::time::Duration;

use clap::Args;
use holdpoint_common::proto::v1::{StatusRequest, SummarizeRequest};

use super::PAGE;
use crate::connection::{Connection, answer};
use crate::failure::{Exit, Failure};
use crate::input;
use crate::output::Output;
use crate::view::finding::{Finding, VERDICTS};
use crate::view::summary::Summary;

/// `status`.
#[derive(Debug, Default, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Only this asset.
    #[arg(long, value_name = "ID")]
    pub asset: Option<String>,
    /// Only this advisory.
    #[arg(long, value_name = "ID")]
    pub advisory: Option<String>,
    /// Only this verdict.
    #[arg(long, value_parser = VERDICTS, ignore_case = true)]
    pub verdict: Option<String>,
    /// Only this outcome of triage.
    #[arg(long, value_name = "OUTCOME", value_parser = ["immediate", "out-of-cycle", "scheduled", "defer"])]
    pub triage: Option<String>,
    /// Only assets of this role.
    #[arg(long)]
    pub role: Option<String>,
    /// Only assets that were not seen for this long.
    #[arg(long, value_name = "DURATION", value_parser = input::duration)]
    pub stale: Option<Duration>,
    /// At most so many findings; without it all pages are fetched.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Start after this cursor, which the page before named.
    #[arg(long, value_name = "CURSOR", value_parser = input::cursor)]
    pub after: Option<String>,
    /// Count instead of listing.
    #[arg(long, conflicts_with_all = ["asset", "advisory", "verdict", "triage", "role", "stale", "limit", "after"])]
    pub summary: bool,
    /// Exit 1 when anything is affected, installed but not live, or unknown.
    #[arg(long)]
    pub check: bool,
}

const EXAMPLES: &str = "\
Examples:
  holdpoint status --verdict AFFECTED
  holdpoint status --triage out-of-cycle
  holdpoint status --role hmi --stale 7d -o csv
  holdpoint status --asset hmi-01 --check && echo 'nothing open'

The worst triage comes first; a question mark says that it could be milder if more were known.
UNKNOWN is a verdict with a reason: it is not an all-clear.";

/// Findings, whether more follow, and whether anything of the whole answer is open.
#[derive(Debug)]
pub struct Answered {
    /// In the collector's order.
    pub findings: Vec<Finding>,
    /// Cursor of the next page, when a limit cut the answer.
    pub next_after: Option<String>,
    /// Also over what the limit cut off.
    pub any_open: bool,
}

/// Lists or counts.
pub async fn run(options: &Options, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let any_open = if options.summary {
        let summary = Summary::from(answer(connection.knowledge().summarize(SummarizeRequest {})).await?);
        out.print(&summary)?;
        summary.any_open()
    } else {
        let answered = ask(options, connection).await?;
        out.print(&answered.findings)?;
        if let Some(next) = &answered.next_after {
            out.hint(&format!("more follow: repeat with --after {}", input::cursor_to_type(next)));
        }
        answered.any_open
    };
    Ok(Exit::yes_or_no(!(options.check && any_open)))
}

/// Fetches pages until the limit or the end.
pub async fn ask(options: &Options, connection: &Connection) -> Result<Answered, Failure> {
    let mut knowledge = connection.knowledge();
    let mut all = Answered { findings: Vec::new(), next_after: options.after.clone(), any_open: false };
    let mut left = options.limit;
    loop {
        let limit = left.map_or(PAGE, |it| it.min(PAGE));
        let page = answer(knowledge.status(request(options, limit, all.next_after.take()))).await?;
        let count = u32::try_from(page.findings.len()).unwrap_or(u32::MAX);
        all.findings.extend(page.findings.into_iter().map(Finding::from));
        all.any_open |= page.any_open;
        all.next_after = page.next_after;
        left = left.map(|it| it.saturating_sub(count));
        if all.next_after.is_none() || left == Some(0) {
            all.any_open |= all.findings.iter().any(Finding::is_open);
            return Ok(all);
        }
    }
}

fn request(options: &Options, limit: u32, after: Option<String>) -> StatusRequest {
    StatusRequest {
        asset: options.asset.clone(),
        advisory: options.advisory.clone(),
        verdict: options.verdict.as_ref().map(|it| it.to_uppercase()),
        role: options.role.clone(),
        stale_s: options.stale.map(|it| it.as_secs()),
        limit,
        after: after.unwrap_or_default(),
        triage: options.triage.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use crate::args::Format;

    #[tokio::test]
    async fn without_a_limit_every_page_is_fetched() {
        let all = ask(&Options::default(), &fake::collector().await).await.unwrap();
        assert_eq!(all.findings.len(), fake::FINDINGS);
        assert_eq!(all.next_after, None);
    }

    #[tokio::test]
    async fn a_limit_stops_and_names_the_next_cursor() {
        let connection = fake::collector().await;
        let limited = |after| Options { limit: Some(3), after, ..Options::default() };
        let first = ask(&limited(None), &connection).await.unwrap();
        assert_eq!((first.findings.len(), first.next_after.as_deref()), (3, Some("2")));
        let rest = ask(&limited(first.next_after), &connection).await.unwrap();
        assert_eq!((rest.findings.len(), rest.next_after), (fake::FINDINGS - 3, None));
    }

    #[tokio::test]
    async fn a_check_judges_more_than_the_page_that_is_shown() {
        let connection = fake::collector().await;
        let out = Output::plain(Format::Json, None);
        let exit = async |check, verdict: Option<&str>| {
            let verdict = verdict.map(Into::into);
            let options = Options { check, verdict, limit: Some(1), ..Options::default() };
            run(&options, &connection, &out).await.unwrap()
        };
        // The first finding is FIXED; an open one follows on a later page.
        assert_eq!(exit(true, None).await, Exit::No);
        assert_eq!(exit(false, None).await, Exit::Done);
        assert_eq!(exit(true, Some("FIXED")).await, Exit::Done);
        assert_eq!(exit(true, Some("affected")).await, Exit::No);
    }
}
