//! `drift`: what is otherwise than the approved baseline, and what is done about it.

use clap::{Args, Subcommand};
use holdpoint_common::proto::v1::{DisposeDriftRequest, ListDriftRequest};

use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::input::{Expiry, expiry};
use crate::output::Output;
use crate::view::drift::Drift;

/// `drift`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Options {
    /// What else than listing.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Only this asset.
    pub asset: Option<String>,
    /// Also what somebody has decided about.
    #[arg(long)]
    pub all: bool,
}

/// Beside listing.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Decide about what is otherwise.
    Dispose(Dispose),
}

/// `drift dispose`.
#[derive(Debug, Args)]
pub struct Dispose {
    /// The asset.
    pub asset: String,
    /// Which items: the beginnings of their digests [default: everything that is open].
    #[arg(value_name = "DIGEST")]
    pub items: Vec<String>,
    /// What is done about it.
    #[arg(long = "as", value_name = "DISPOSITION", value_parser = ["authorised", "investigate", "revert"])]
    pub kind: String,
    /// Why, for the record.
    #[arg(long)]
    pub reason: String,
    /// When it is open again: a date, a time, or a duration from now.
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    pub until: Option<Expiry>,
}

const EXAMPLES: &str = "\
Examples:
  holdpoint drift
  holdpoint drift hmi-01 --all
  holdpoint drift dispose hmi-01 3fa9c1 --as authorised --reason 'ticket 4711' --until 30d

An asset without a baseline, or whose sections are not complete, is listed with that: it is not free of drift.";

/// Lists or decides.
pub async fn run(
    options: Options,
    connection: &Connection,
    out: &Output,
    now_ms: i64,
) -> Result<(), Failure> {
    let mut changes = connection.changes();
    let Options { command, asset, all } = options;
    let found = match command {
        None => answer(changes.list_drift(ListDriftRequest { asset, all })).await?,
        Some(Command::Dispose(Dispose { asset, items, kind, reason, until })) => {
            let until_ms = until.map(|it| it.resolve(now_ms));
            answer(changes.dispose_drift(DisposeDriftRequest { asset, items, r#as: kind, reason, until_ms }))
                .await?
        }
    };
    out.print(&found.items.into_iter().map(Drift::from).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use crate::args::Format;

    #[tokio::test]
    async fn a_disposition_ends_when_it_was_said_to() {
        let connection = fake::collector().await;
        let out = Output::plain(Format::Table, None);
        let dispose = Dispose {
            asset: "hmi-01".into(),
            items: vec!["3fa9".into()],
            kind: "authorised".into(),
            reason: "r".into(),
            until: Some(expiry("1d").unwrap()),
        };
        let options = |command| Options { command, asset: None, all: false };
        run(options(Some(Command::Dispose(dispose))), &connection, &out, 5).await.unwrap();
        run(options(None), &connection, &out, 5).await.unwrap();
    }
}
