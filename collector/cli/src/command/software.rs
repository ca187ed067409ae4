//! `software`: where something is installed.

use clap::Args;
use holdpoint_common::proto::v1::SearchSoftwareRequest;

use super::PAGE;
use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::view::software::Software;

/// `software`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  holdpoint software openssl\n  holdpoint software 'lib*' -o csv")]
pub struct Options {
    /// Part of a name, in any case; with `*` a pattern over the whole name.
    pub query: String,
}

/// All pages.
pub async fn ask(options: &Options, connection: &Connection) -> Result<Vec<Software>, Failure> {
    let mut inventory = connection.inventory();
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let request = SearchSoftwareRequest { query: options.query.clone(), limit: PAGE, after };
        let page = answer(inventory.search_software(request)).await?;
        found.extend(page.found.into_iter().map(Software::from));
        match page.next_after {
            Some(next) => after = next,
            None => return Ok(found),
        }
    }
}
