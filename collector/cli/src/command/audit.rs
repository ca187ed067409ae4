//! `audit verify`: whether the collector's record of decisions is whole.

use clap::Subcommand;
use holdpoint_common::proto::v1::VerifyAuditRequest;

use crate::connection::{Connection, answer};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view::audit::Audit;

/// `audit`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the chain and the signatures of the record; exit 1 when it is not valid.
    Verify,
}

/// Asks the collector to check its record.
pub async fn run(connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let audit = Audit::from(answer(connection.admin().verify_audit(VerifyAuditRequest {})).await?);
    out.print(&audit)?;
    Ok(Exit::yes_or_no(audit.is_valid()))
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use crate::args::Format;

    #[tokio::test]
    async fn a_record_with_a_fault_is_a_no() {
        let out = Output::plain(Format::Json, None);
        assert_eq!(run(&fake::collector().await, &out).await.unwrap(), Exit::No);
    }
}
