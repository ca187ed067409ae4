//! `events`: what happened.

use clap::Args;
use holdpoint_common::proto::v1::ListEventsRequest;

use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::view::event::Event;

/// `events`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  holdpoint events\n  holdpoint events hmi-01 --limit 20\n  holdpoint events -o cef"
)]
pub struct Options {
    /// One asset instead of the whole zone.
    pub asset: Option<String>,
    /// How many, newest first.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,
}

/// The newest events.
pub async fn ask(options: &Options, connection: &Connection) -> Result<Vec<Event>, Failure> {
    let request =
        ListEventsRequest { asset: options.asset.clone().unwrap_or_default(), limit: options.limit };
    let page = answer(connection.inventory().list_events(request)).await?;
    Ok(page.events.into_iter().map(Event::from).collect())
}
