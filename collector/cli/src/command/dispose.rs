//! `dispose`: what is done about a finding, by whom and until when.

use clap::{Args, Subcommand};
use holdpoint_common::proto::v1::{DisposeRequest, ListDispositionsRequest, WithdrawDispositionRequest};

use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::input::{Expiry, expiry};
use crate::output::Output;
use crate::view::disposition::Disposition;

/// `dispose`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = EXAMPLES)]
pub struct Options {
    /// What else than deciding.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The asset.
    #[arg(required = true)]
    pub asset: Option<String>,
    /// The finding, the beginning of its subject in whole parts, or a vulnerability.
    #[arg(required = true)]
    pub subject: Option<String>,
    /// What is done about it.
    #[arg(required = true, value_parser = ["patch", "mitigate", "accept", "defer", "avoid"])]
    pub kind: Option<String>,
    /// Who answers for it; needed for all but patch.
    #[arg(long)]
    pub owner: Option<String>,
    /// When it ends and the finding is open again: a date, a time, or a duration from now; needed for all but patch.
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    pub until: Option<Expiry>,
    /// Why, for the record.
    #[arg(long)]
    pub reason: Option<String>,
    /// For mitigate: the hardening fact by which the collector sees that it works.
    #[arg(long, value_name = "FACT=VALUE")]
    pub control: Option<String>,
}

/// What concerns decisions that were made.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what was decided and whether it stands.
    List {
        /// Only about this asset.
        #[arg(long, value_name = "ID")]
        asset: Option<String>,
        /// Also what has ended or was taken back.
        #[arg(long)]
        all: bool,
    },
    /// Take a decision back; the record stays.
    Withdraw {
        /// Its number, as `dispose list` shows it.
        number: u64,
        /// Why, for the record.
        #[arg(long)]
        reason: String,
    },
}

const EXAMPLES: &str = "\
Examples:
  holdpoint dispose hmi-01 CVE-2026-1001 patch --reason 'with the window of May'
  holdpoint dispose hmi-01 ICSA-26-001-01 mitigate --owner ada --until 90d --reason 'SMB 1 is off' \\
      --control smb.server_v1=false
  holdpoint dispose list --asset hmi-01

A disposition never changes a verdict. When it ends, or its control no longer holds, the finding is open again.";

/// Decides, lists or takes back.
pub async fn run(
    options: Options,
    connection: &Connection,
    out: &Output,
    now_ms: i64,
) -> Result<(), Failure> {
    let mut knowledge = connection.knowledge();
    let decided = match options.command {
        Some(Command::List { asset, all }) => {
            let found = answer(knowledge.list_dispositions(ListDispositionsRequest { asset, all })).await?;
            found.dispositions
        }
        Some(Command::Withdraw { number, reason }) => {
            vec![answer(knowledge.withdraw_disposition(WithdrawDispositionRequest { number, reason })).await?]
        }
        None => {
            let Options { asset, subject, kind, owner, until, reason, control, command: _ } = options;
            let request = DisposeRequest {
                asset: asset.unwrap_or_default(),
                subject: subject.unwrap_or_default(),
                kind: kind.unwrap_or_default(),
                owner: owner.unwrap_or_default(),
                until_ms: until.map(|it| it.resolve(now_ms)),
                reason: reason.unwrap_or_default(),
                control,
            };
            vec![answer(knowledge.dispose(request)).await?]
        }
    };
    out.print(&decided.into_iter().map(Disposition::from).collect::<Vec<_>>())
}
