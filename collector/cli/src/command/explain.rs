//! `explain`: why a verdict is what it is.

use clap::Args;
use holdpoint_common::proto::v1::ExplainRequest;

use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::view::explanation::Explanation;

/// `explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  holdpoint explain hmi-01 SITE-1\n  holdpoint explain hmi-01 ICSA-23-193-01/CVE-2023-3595"
)]
pub struct Options {
    /// The asset.
    pub asset: String,
    /// A subject that `status` lists, or the beginning of one.
    pub subject: String,
}

/// The chain of one finding.
pub async fn ask(options: &Options, connection: &Connection) -> Result<Explanation, Failure> {
    let request = ExplainRequest { asset: options.asset.clone(), subject: options.subject.clone() };
    Ok(answer(connection.knowledge().explain(request)).await?.into())
}
