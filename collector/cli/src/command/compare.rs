//! `compare`: the test bench against production. Differences are data, so the exit code is 0.

use clap::Args;
use holdpoint_common::proto::v1::CompareAssetsRequest;

use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::view::comparison::Comparison;

/// `compare`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  holdpoint compare bench-01 hmi-01 -o csv")]
pub struct Options {
    /// The first asset.
    pub left: String,
    /// The second asset.
    pub right: String,
}

/// The differences.
pub async fn ask(options: &Options, connection: &Connection) -> Result<Comparison, Failure> {
    let Options { left, right } = options;
    let request = CompareAssetsRequest { left: left.clone(), right: right.clone() };
    let found = answer(connection.inventory().compare_assets(request)).await?;
    Ok(Comparison::new(left.clone(), right.clone(), found))
}
