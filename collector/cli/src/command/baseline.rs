//! `baseline`: what was approved for an asset.

use clap::{Args, Subcommand};
use holdpoint_common::proto::v1::{ApproveBaselineRequest, GetBaselineRequest};

use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::output::Output;
use crate::view::baseline::Baseline;

/// `baseline`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Show the approved baseline of an asset.
    Show {
        /// The asset.
        asset: String,
        /// A version before the newest.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        version: Option<u64>,
    },
    /// Approve what an asset is as its next baseline.
    Approve(Approve),
}

/// `baseline approve`.
#[derive(Debug, Args)]
pub struct Approve {
    /// The asset.
    pub asset: String,
    /// The change whose verified snapshot it is.
    #[arg(long, value_name = "CHANGE", required_unless_present = "reason")]
    pub change: Option<String>,
    /// Why, where no change stands behind it.
    #[arg(long)]
    pub reason: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  holdpoint baseline show hmi-01
  holdpoint baseline approve hmi-01 --change CHG-0001
  holdpoint baseline approve hmi-01 --reason 'as commissioned'";

/// Shows or approves.
pub async fn run(command: Command, connection: &Connection, out: &Output) -> Result<(), Failure> {
    let mut changes = connection.changes();
    let baseline = match command {
        Command::Show { asset, version } => {
            let request = GetBaselineRequest { asset, version: version.unwrap_or_default() };
            answer(changes.get_baseline(request)).await?
        }
        Command::Approve(Approve { asset, change, reason }) => {
            let (change, reason) = (change.unwrap_or_default(), reason.unwrap_or_default());
            answer(changes.approve_baseline(ApproveBaselineRequest { asset, change, reason })).await?
        }
    };
    out.print(&Baseline::from(baseline))
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use crate::args::Format;

    #[tokio::test]
    async fn a_baseline_is_shown() {
        let connection = fake::collector().await;
        let show = Command::Show { asset: "hmi-01".into(), version: None };
        run(show, &connection, &Output::plain(Format::Json, None)).await.unwrap();
    }
}
