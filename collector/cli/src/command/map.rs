//! `map`: which installed product an advisory means. A person decides; a candidate is worth nothing.

use clap::{Args, Subcommand};
use holdpoint_common::proto::v1::{ConfirmMapRequest, RejectMapRequest, SuggestMapRequest};
use holdpoint_common::version::Scheme;

use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::input::{Expiry, expiry};
use crate::output::Output;
use crate::view::map::{Candidate, Rule};

/// `map`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what is installed and may be meant by an advisory, best guess first.
    Suggest {
        /// Only products of this advisory.
        #[arg(long, value_name = "ID")]
        advisory: Option<String>,
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
    },
    /// Decide that the installed product is the one that the advisory names.
    Confirm(Confirm),
    /// Decide that it is another product.
    Reject {
        /// The candidate, as `map suggest` lists it.
        candidate: String,
        /// Why it is another product.
        #[arg(long)]
        reason: String,
        /// When the decision ends: a date, a time, or a duration from now.
        #[arg(long, value_name = "WHEN", value_parser = expiry)]
        expires: Option<Expiry>,
    },
}

/// `map confirm`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  holdpoint map confirm c-17 --scheme deb --evidence 'order number on the \
    delivery note 4711' --expires 365d"
)]
pub struct Confirm {
    /// The candidate, as `map suggest` lists it.
    pub candidate: String,
    /// The scheme that owns this product's versions: deb, rpm, win4, intdot, semver, alpine, natural.
    #[arg(long)]
    pub scheme: Scheme,
    /// Why it is the same product: a document, an order number, an inspection.
    #[arg(long)]
    pub evidence: String,
    /// When the decision ends: a date, a time, or a duration from now.
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    pub expires: Option<Expiry>,
}

/// Lists or decides.
pub async fn run(
    command: Command,
    connection: &Connection,
    out: &Output,
    now_ms: i64,
) -> Result<(), Failure> {
    let mut knowledge = connection.knowledge();
    let ends = |it: Option<Expiry>| it.map(|it| it.resolve(now_ms));
    let rule = match command {
        Command::Suggest { advisory, limit } => {
            let found = answer(knowledge.suggest_map(SuggestMapRequest { advisory, limit })).await?;
            return out.print(&found.candidates.into_iter().map(Candidate::from).collect::<Vec<_>>());
        }
        Command::Confirm(Confirm { candidate, scheme, evidence, expires }) => {
            let request = ConfirmMapRequest {
                candidate,
                scheme: scheme.name().to_owned(),
                evidence,
                expires_ms: ends(expires),
            };
            answer(knowledge.confirm_map(request)).await?
        }
        Command::Reject { candidate, reason, expires } => {
            let request = RejectMapRequest { candidate, reason, expires_ms: ends(expires) };
            answer(knowledge.reject_map(request)).await?
        }
    };
    out.print(&Rule::from(rule))
}
