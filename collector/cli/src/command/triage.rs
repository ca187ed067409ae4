//! `triage`: how soon a finding has to be dealt with, and on what that rests.

use clap::{Args, Subcommand};
use holdpoint_common::proto::v1::{CheckTriageRequest, RecordTriageRequest, TriageRequest};

use crate::connection::{Connection, answer};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view::triage::{Checked, Recorded, Triage};

/// `triage`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = EXAMPLES)]
pub struct Options {
    /// What else than one finding.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The asset.
    #[arg(required = true)]
    pub asset: Option<String>,
    /// The finding, or the beginning of its subject.
    #[arg(required = true)]
    pub subject: Option<String>,
    /// Keep the decision as it comes out now.
    #[arg(long)]
    pub record: bool,
    /// Keep it with another outcome.
    #[arg(long = "override", value_name = "OUTCOME", requires = "reason")]
    pub overridden: Option<String>,
    /// Why another outcome.
    #[arg(long, requires = "overridden")]
    pub reason: Option<String>,
    /// The scheme that is kept.
    #[arg(long, default_value = "ssvc-deployer", value_parser = ["ssvc-deployer", "now-next-never", "bod-26-04"])]
    pub scheme: String,
}

/// What concerns all recorded decisions.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compute every recorded decision again and compare it byte for byte.
    Check,
}

const EXAMPLES: &str = "\
Examples:
  holdpoint triage hmi-01 ICSA-26-001-01/CVE-2026-1001
  holdpoint triage hmi-01 ICSA-26-001-01 --record
  holdpoint triage hmi-01 ICSA-26-001-01 --override scheduled --reason 'the port is blocked by fw-1'
  holdpoint triage check

What is not known counts as the worst that it can be; the outcome is undetermined then, and says what is missing.";

/// Shows, keeps or checks.
pub async fn run(options: Options, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let mut knowledge = connection.knowledge();
    let Options { command, asset, subject, record, overridden, reason, scheme } = options;
    if let Some(Command::Check) = command {
        let checked = Checked::from(answer(knowledge.check_triage(CheckTriageRequest {})).await?);
        out.print(&checked)?;
        return Ok(Exit::yes_or_no(checked.agrees()));
    }
    let (asset, subject) = (asset.unwrap_or_default(), subject.unwrap_or_default());
    if record || overridden.is_some() {
        let (override_outcome, override_reason) = (overridden, reason);
        let request = RecordTriageRequest { asset, subject, scheme, override_outcome, override_reason };
        out.print(&Recorded::from(answer(knowledge.record_triage(request)).await?))?;
    } else {
        out.print(&Triage::from(answer(knowledge.show_triage(TriageRequest { asset, subject })).await?))?;
    }
    Ok(Exit::Done)
}
