//! `hardening`: which expectations of a host's configuration hold.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use holdpoint_collector::hardening::{Ruleset, lint};
use holdpoint_collector::knowledge::MAX_FILE;
use holdpoint_collector::query::knowledge::rules_message;
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::proto::v1::{ListHardeningRequest, ListHardeningRulesRequest, ScoreHardeningRequest};

use super::PAGE;
use crate::connection::{Connection, answer};
use crate::failure::{Exit, Failure};
use crate::input;
use crate::output::Output;
use crate::view::hardening::{Linted, RESULTS, Rules, Scores, Tested};
use crate::xccdf;

/// `hardening`.
#[derive(Debug, Default, Clone, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Options {
    /// Only this asset.
    #[arg(long, value_name = "ID")]
    pub asset: Option<String>,
    /// Only this rule, or this check with all its rules.
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,
    /// Only this result.
    #[arg(long, value_parser = RESULTS, ignore_case = true)]
    pub result: Option<String>,
    /// Only assets of this role.
    #[arg(long)]
    pub role: Option<String>,
    /// At most so many results; without it all pages are fetched.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Start after this cursor, which the page before named.
    #[arg(long, value_name = "CURSOR", value_parser = input::cursor)]
    pub after: Option<String>,
    /// Count and weigh instead of listing: each asset, then the zone.
    #[arg(long, conflicts_with_all = ["rule", "result", "limit", "after", "xccdf"])]
    pub score: bool,
    /// Also write the results as XCCDF 1.2 into this file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["result", "limit", "after"])]
    pub xccdf: Option<PathBuf>,
    /// What to do beside listing results.
    #[command(subcommand)]
    pub action: Option<Action>,
}

/// Beside listing results.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// List the rules that hold, with what they expect and where that comes from.
    Rules {
        /// Only those that come with the collector; needs no collector.
        #[arg(long)]
        shipped: bool,
    },
    /// Look a file of rules over before it is imported. Needs no collector; exits 1 when it would be refused.
    Lint {
        /// A file of rules (TOML).
        file: PathBuf,
    },
}

const EXAMPLES: &str = "\
Examples:
  holdpoint hardening --result FAIL --role hmi
  holdpoint hardening --asset hmi-01 --rule W06
  holdpoint hardening --score -o csv
  holdpoint hardening --asset hmi-01 --xccdf hmi-01.xml
  holdpoint hardening rules
  holdpoint hardening lint site-rules.toml

NOT_CHECKED is a result with a reason: it is not an all-clear, and no score counts it as good.";

/// Does what needs no collector; `None` when the command needs one.
pub fn run_here(options: &Options, out: &Output) -> Option<Result<Exit, Failure>> {
    match &options.action {
        Some(Action::Lint { file }) => Some(look_over(file, out)),
        Some(Action::Rules { shipped: true }) => {
            let rules = rules_message(&Ruleset::new(&[]), SystemClock.now_ms());
            Some(out.print(&Rules::from(rules)).map(|()| Exit::Done))
        }
        Some(Action::Rules { shipped: false }) | None => None,
    }
}

fn look_over(file: &PathBuf, out: &Output) -> Result<Exit, Failure> {
    let read = |source| Failure::Read { path: file.clone(), source };
    let size = fs::metadata(file).map_err(read)?.len();
    if usize::try_from(size).map_or(true, |it| it > MAX_FILE) {
        return Err(Failure::Argument(format!("{} is larger than {} MiB", file.display(), MAX_FILE >> 20)));
    }
    let bytes = fs::read(file).map_err(read)?;
    let text = String::from_utf8_lossy(&bytes);
    let linted = Linted::from(lint(&text, SystemClock.now_ms()));
    let is_fine = linted.is_valid();
    out.print(&linted)?;
    Ok(Exit::yes_or_no(is_fine))
}

/// Lists, scores or exports.
pub async fn run(options: &Options, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    if options.action.is_some() {
        let found = answer(connection.knowledge().list_hardening_rules(ListHardeningRulesRequest {})).await?;
        out.print(&Rules::from(found))?;
        return Ok(Exit::Done);
    }
    if options.score {
        out.print(&scores(options.asset.clone(), options.role.clone(), connection).await?)?;
        return Ok(Exit::Done);
    }
    let (results, next_after) = results(options, connection).await?;
    if let Some(file) = &options.xccdf {
        let rules = answer(connection.knowledge().list_hardening_rules(ListHardeningRulesRequest {})).await?;
        let scores = scores(options.asset.clone(), options.role.clone(), connection).await?;
        let document = xccdf::document(&results, &Rules::from(rules), &scores, SystemClock.now_ms())?;
        fs::write(file, document).map_err(|source| Failure::Write { path: file.clone(), source })?;
        out.note(&format!("{} results written to {}", results.len(), file.display()));
    }
    out.print(&results)?;
    if let Some(next) = next_after {
        out.hint(&format!("more follow: repeat with --after {}", input::cursor_to_type(&next)));
    }
    Ok(Exit::Done)
}

async fn results(
    options: &Options,
    connection: &Connection,
) -> Result<(Vec<Tested>, Option<String>), Failure> {
    let mut knowledge = connection.knowledge();
    let (mut all, mut next_after, mut left) = (Vec::new(), options.after.clone(), options.limit);
    loop {
        let request = ListHardeningRequest {
            asset: options.asset.clone(),
            rule: options.rule.clone(),
            result: options.result.as_ref().map(|it| it.to_uppercase()),
            role: options.role.clone(),
            limit: left.map_or(PAGE, |it| it.min(PAGE)),
            after: next_after.take().unwrap_or_default(),
        };
        let page = answer(knowledge.list_hardening(request)).await?;
        let count = u32::try_from(page.results.len()).unwrap_or(u32::MAX);
        all.extend(page.results.into_iter().map(Tested::from));
        next_after = page.next_after;
        left = left.map(|it| it.saturating_sub(count));
        if next_after.is_none() || left == Some(0) {
            return Ok((all, next_after));
        }
    }
}

async fn scores(
    asset: Option<String>,
    role: Option<String>,
    connection: &Connection,
) -> Result<Scores, Failure> {
    let mut knowledge = connection.knowledge();
    let (mut all, mut after) = (Scores::default(), String::new());
    loop {
        let request = ScoreHardeningRequest { asset: asset.clone(), role: role.clone(), limit: PAGE, after };
        let page = answer(knowledge.score_hardening(request)).await?;
        after = page.next_after.clone().unwrap_or_default();
        all.add(page);
        if after.is_empty() {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use crate::args::Format;

    #[tokio::test]
    async fn without_a_limit_every_page_is_fetched() {
        let connection = fake::collector().await;
        let (all, next) = results(&Options::default(), &connection).await.unwrap();
        assert_eq!((all.len(), next), (fake::RESULTS, None));
        let limited = Options { limit: Some(1), ..Options::default() };
        let (some, next) = results(&limited, &connection).await.unwrap();
        assert_eq!((some.len(), next.as_deref()), (1, Some("0")));
    }

    #[tokio::test]
    async fn a_file_is_looked_over_without_a_collector() {
        let out = Output::plain(Format::Json, None);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rules.toml");
        let lint = |text: &str| {
            fs::write(&file, text).unwrap();
            let options = Options { action: Some(Action::Lint { file: file.clone() }), ..Options::default() };
            run_here(&options, &out).unwrap()
        };
        let good = "kind = \"hardening\"\n[[disable]]\nrule = \"W26\"\nreason = \"scripts of the HMI\"\n";
        assert_eq!(lint(good).unwrap(), Exit::Done);
        assert_eq!(lint("kind = \"hardening\"\n[[disable]]\nrule = 5\n").unwrap(), Exit::No);
        let shipped = Options { action: Some(Action::Rules { shipped: true }), ..Options::default() };
        assert_eq!(run_here(&shipped, &out).unwrap().unwrap(), Exit::Done);
        assert!(run_here(&Options::default(), &out).is_none());
    }

    #[tokio::test]
    async fn an_export_holds_every_asset() {
        let connection = fake::collector().await;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("results.xml");
        let options = Options { xccdf: Some(file.clone()), ..Options::default() };
        let out = Output::plain(Format::Csv, None);
        assert_eq!(run(&options, &connection, &out).await.unwrap(), Exit::Done);
        let text = fs::read_to_string(file).unwrap();
        assert_eq!(text.matches("<TestResult ").count(), 2, "{text}");
    }
}
