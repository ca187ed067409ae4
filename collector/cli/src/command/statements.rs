//! `statements`: what suppliers state about patches.

use clap::Args;
use holdpoint_common::proto::v1::ListStatementsRequest;

use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::view::statement::Statement;

/// `statements`.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:\n  holdpoint statements --product 'View SE'\n  \
    holdpoint statements --patch KB5031356 -o csv\n\nSilence is not approval: what no supplier states is not there.")]
pub struct Options {
    /// Only products whose name has this in it.
    #[arg(long, value_name = "NAME")]
    pub product: Option<String>,
    /// Only patches whose name has this in it.
    #[arg(long, value_name = "PATCH")]
    pub patch: Option<String>,
}

/// Lists, newest list first.
pub async fn ask(options: Options, connection: &Connection) -> Result<Vec<Statement>, Failure> {
    let Options { product, patch } = options;
    let found =
        answer(connection.knowledge().list_statements(ListStatementsRequest { product, patch })).await?;
    Ok(found.statements.into_iter().map(Statement::from).collect())
}
