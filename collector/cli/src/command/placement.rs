//! `placement`: where assets stand, beside what they say of themselves.

use clap::Args;
use holdpoint_common::proto::v1::ListPlacementRequest;

use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::output::Output;
use crate::view::placement::{Conduit, Placed};

/// `placement`.
#[derive(Debug, Default, Args)]
#[command(
    after_help = "Examples:\n  holdpoint placement -o csv > placement.csv     edit it, then import it again\n  \
    holdpoint placement --conduits -o csv > conduits.csv"
)]
pub struct Options {
    /// List the conduits between zones instead.
    #[arg(long)]
    pub conduits: bool,
}

/// Lists.
pub async fn run(options: &Options, connection: &Connection, out: &Output) -> Result<(), Failure> {
    let found = answer(connection.knowledge().list_placement(ListPlacementRequest {})).await?;
    if options.conduits {
        out.print(&found.conduits.into_iter().map(Conduit::from).collect::<Vec<_>>())
    } else {
        out.print(&found.assets.into_iter().map(Placed::from).collect::<Vec<_>>())
    }
}
