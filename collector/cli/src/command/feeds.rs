//! `feeds`: what knowledge is how old, and which of its lines can never be decided.

use clap::{Args, Subcommand};
use holdpoint_common::proto::v1::{LintFeedsRequest, LintFeedsResponse, ListFeedsRequest};

use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::output::Output;
use crate::view::feed::Feed;
use crate::view::lint::Lint;

/// Faults that are asked for at once.
const PAGE: u32 = 1_000;

/// `feeds`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  holdpoint feeds                              every kind, its age and its allowed age\n  \
    holdpoint feeds lint                         lines that cannot be decided, of all advisories\n  \
    holdpoint feeds lint --advisory ICSA-23-193-01"
)]
pub struct Options {
    /// What to show instead of the ages.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What can be asked of feeds.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show which lines of advisories can never be decided, and why.
    Lint(LintOptions),
}

/// `feeds lint`.
#[derive(Debug, Args)]
pub struct LintOptions {
    /// Only this advisory.
    #[arg(long, value_name = "ID")]
    pub advisory: Option<String>,
    /// At most so many lines; the counts are of all.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub limit: u32,
}

/// Answers what was asked.
pub async fn run(options: &Options, connection: &Connection, out: &Output) -> Result<(), Failure> {
    match &options.command {
        None => out.print(&ask(connection).await?),
        Some(Command::Lint(options)) => out.print(&lint(options, connection).await?),
    }
}

/// Every kind of knowledge that was imported.
pub async fn ask(connection: &Connection) -> Result<Vec<Feed>, Failure> {
    let found = answer(connection.knowledge().list_feeds(ListFeedsRequest {})).await?;
    Ok(found.feeds.into_iter().map(Feed::from).collect())
}

async fn lint(options: &LintOptions, connection: &Connection) -> Result<Lint, Failure> {
    let mut lint = Lint::default();
    let mut after = 0;
    loop {
        let limit = PAGE.min(options.limit - after);
        let request = LintFeedsRequest { advisory: options.advisory.clone(), limit: limit.max(1), after };
        let LintFeedsResponse { faults, total, advisories, by_kind } =
            answer(connection.knowledge().lint_feeds(request)).await?;
        lint.counts(total, advisories, by_kind);
        let more = u32::try_from(faults.len()).unwrap_or(u32::MAX);
        lint.add(faults.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)));
        after = after.saturating_add(more);
        if more == 0 || after >= total || after >= options.limit {
            return Ok(lint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;

    #[tokio::test]
    async fn all_pages_are_asked_for_up_to_the_limit() {
        let connection = fake::collector().await;
        for (limit, expected) in [(10, 3), (3, 3), (2, 2), (0, 0)] {
            let options = LintOptions { advisory: Some("EXC-2".into()), limit };
            let found = lint(&options, &connection).await.unwrap();
            let json = serde_json::to_value(&found).unwrap();
            assert_eq!(json["faults"].as_array().unwrap().len(), expected, "limit {limit}");
            assert_eq!(json["total"], 3);
        }
    }
}
