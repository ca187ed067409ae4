//! `patch`: where a patch stands with the owner, in a zone or for a class of assets.

use clap::{Args, Subcommand};
use holdpoint_common::proto::v1::{DecidePatchRequest, ListPatchesRequest};

use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::output::Output;
use crate::view::patch::Track;

/// `patch`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// List patches with their steps.
    List {
        /// Only this patch.
        patch: Option<String>,
    },
    /// Say whether a patch concerns anything here.
    Evaluate {
        /// Which patch, and where.
        #[command(flatten)]
        what: What,
        /// It concerns nothing here.
        #[arg(long)]
        not_applicable: bool,
    },
    /// Say that the owner tests it.
    Test(What),
    /// Allow its use: needs the supplier's approval, or two people who answer for a deviation.
    Authorize {
        /// Which patch, and where.
        #[command(flatten)]
        what: What,
        /// Who answers for a deviation from the supplier, as NAME (ROLE); two people of two roles.
        #[arg(long, value_name = "NAME (ROLE)")]
        deviation: Vec<String>,
    },
    /// Forbid its use.
    Refuse(What),
    /// Acknowledge a condition of a supplier's approval, in the supplier's own words.
    Acknowledge {
        /// Which patch, and where.
        #[command(flatten)]
        what: What,
        /// The condition.
        #[arg(long)]
        condition: String,
    },
    /// Say that it lies ready to be fetched. The standard calls this "effective".
    Post(What),
}

/// What a step is about.
#[derive(Debug, Args)]
pub struct What {
    /// The patch, as suppliers name it.
    pub patch: String,
    /// The zone or the class of assets.
    #[arg(long, value_name = "ZONE")]
    pub scope: String,
    /// Why, for the record.
    #[arg(long, default_value = "")]
    pub reason: String,
}

const EXAMPLES: &str = "\
Examples:
  holdpoint patch evaluate KB5031356 --scope line-1 --reason 'View SE runs on four stations'
  holdpoint patch acknowledge KB5031356 --scope line-1 --condition 'not with the web client' --reason 'it is not used'
  holdpoint patch authorize KB5031356 --scope line-1 --reason 'tested on the bench for a week'";

/// Lists or decides.
pub async fn run(command: Command, connection: &Connection, out: &Output) -> Result<(), Failure> {
    let mut knowledge = connection.knowledge();
    let step = |what: What, step: &str| {
        let What { patch, scope, reason } = what;
        DecidePatchRequest { patch, scope, step: step.to_owned(), reason, ..DecidePatchRequest::default() }
    };
    let request = match command {
        Command::List { patch } => {
            let found = answer(knowledge.list_patches(ListPatchesRequest { patch })).await?;
            return out.print(&found.patches.into_iter().map(Track::from).collect::<Vec<_>>());
        }
        Command::Evaluate { what, not_applicable } => {
            step(what, if not_applicable { "not-applicable" } else { "applicable" })
        }
        Command::Test(what) => step(what, "test"),
        Command::Authorize { what, deviation } => DecidePatchRequest { deviation, ..step(what, "authorize") },
        Command::Refuse(what) => step(what, "refuse"),
        Command::Acknowledge { what, condition } => {
            DecidePatchRequest { condition, ..step(what, "acknowledge") }
        }
        Command::Post(what) => step(what, "post"),
    };
    let decided = answer(knowledge.decide_patch(request)).await?;
    out.print(&vec![Track::from(decided)])
}
