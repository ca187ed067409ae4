//! `due`: what somebody has to do in time, and the record that it was done.

use clap::{Args, Subcommand};
use holdpoint_common::proto::v1::{ListDutiesRequest, NamePatchSourceRequest, RecordEvaluationRequest};

use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::input::moment;
use crate::output::Output;
use crate::view::duty::Duty;

/// `due`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Options {
    /// What else than listing.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Also what is done.
    #[arg(long)]
    pub all: bool,
}

/// Beside listing.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record that somebody looked at what a patch source released, also when that was nothing.
    Evaluate(Evaluate),
    /// Name a source of patches, and for which assets.
    Source(Source),
}

/// `due evaluate`.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// The source.
    pub source: String,
    /// From when on was looked at.
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub from: i64,
    /// Until when was looked at.
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub to: i64,
    /// An advisory or patch that was released; may be repeated; none when nothing was.
    #[arg(long, value_name = "ITEM")]
    pub item: Vec<String>,
    /// What came out.
    #[arg(long)]
    pub text: String,
}

/// `due source`.
#[derive(Debug, Args)]
pub struct Source {
    /// Its name.
    pub source: String,
    /// What it is.
    #[arg(long, value_parser = ["oem", "integrator", "aggregator", "none"])]
    pub kind: String,
    /// Where to ask.
    #[arg(long, default_value = "")]
    pub contact: String,
    /// An asset whose patches come from there; may be repeated.
    #[arg(long, value_name = "ID")]
    pub asset: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  holdpoint due
  holdpoint due source debian-security --kind oem --asset hist-01
  holdpoint due evaluate debian-security --from 2027-02-01 --to 2027-03-01 --item DSA-5532-1 --text 'applies to line 1'";

/// Lists or records; the answer is what is due then.
pub async fn run(options: Options, connection: &Connection, out: &Output) -> Result<(), Failure> {
    let mut changes = connection.changes();
    let Options { command, all } = options;
    let found = match command {
        None => answer(changes.list_duties(ListDutiesRequest { all })).await?,
        Some(Command::Evaluate(Evaluate { source, from, to, item, text })) => {
            let request = RecordEvaluationRequest { source, from_ms: from, to_ms: to, items: item, text };
            answer(changes.record_evaluation(request)).await?
        }
        Some(Command::Source(Source { source, kind, contact, asset })) => {
            let request = NamePatchSourceRequest { source, kind, contact, assets: asset };
            answer(changes.name_patch_source(request)).await?
        }
    };
    out.print(&found.duties.into_iter().map(Duty::from).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use crate::args::Format;

    #[tokio::test]
    async fn an_evaluation_is_recorded_also_when_nothing_was_released() {
        let connection = fake::collector().await;
        let out = Output::plain(Format::Json, None);
        let evaluate = Evaluate {
            source: "debian-security".into(),
            from: moment("2027-02-01").unwrap(),
            to: moment("2027-03-01").unwrap(),
            item: Vec::new(),
            text: "nothing".into(),
        };
        let options = |command| Options { command, all: true };
        run(options(Some(Command::Evaluate(evaluate))), &connection, &out).await.unwrap();
        run(options(None), &connection, &out).await.unwrap();
    }
}
