//! `export`: what is known, for other programs.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::proto::v1::{GetAssetRequest, ListEventsRequest};

use crate::command::status;
use crate::connection::{Connection, answer};
use crate::export::{cef, cyclonedx, ocsf};
use crate::failure::Failure;
use crate::output::{Output, write_stdout};
use crate::view::event::Event;

/// Most events that are fetched.
const EVENTS: u32 = 1_000;

/// `export`.
#[derive(Debug, Clone, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// One asset as CycloneDX 1.6: its components, and a VEX statement for each finding.
    Cyclonedx {
        /// Which asset.
        asset: String,
        /// Write into this file instead of stdout.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Findings as events of OCSF 1.4.0, one JSON object a line: class 2002, and 2003 for requirements.
    Ocsf(Chosen),
    /// Events and findings as CEF, one line each.
    Cef {
        /// Which.
        #[command(flatten)]
        chosen: Chosen,
        /// Each line in the frame of syslog, by RFC 5424.
        #[arg(long)]
        syslog: bool,
    },
}

/// What is exported, and where to.
#[derive(Debug, Clone, Default, Args)]
pub struct Chosen {
    /// Only this asset.
    #[arg(long, value_name = "ID")]
    pub asset: Option<String>,
    /// Only assets of this role.
    #[arg(long)]
    pub role: Option<String>,
    /// Write into this file instead of stdout.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  holdpoint export cyclonedx hmi-01 --out hmi-01.cdx.json
  holdpoint export ocsf --role hmi --out findings.jsonl
  holdpoint export cef --syslog

An export says what the collector says: UNKNOWN is in_triage in CycloneDX and status 0 in OCSF, never resolved.";

/// Writes an export.
pub async fn run(command: &Command, connection: &Connection, out: &Output) -> Result<(), Failure> {
    let now_ms = SystemClock.now_ms();
    let (text, file) = match command {
        Command::Cyclonedx { asset, out } => {
            let found =
                answer(connection.inventory().get_asset(GetAssetRequest { id: asset.clone() })).await?;
            let chosen = Chosen { asset: Some(asset.clone()), ..Chosen::default() };
            let findings = findings(&chosen, connection).await?;
            let document = cyclonedx::document(&found, &findings, now_ms)?;
            (serde_json::to_string_pretty(&document)? + "\n", out)
        }
        Command::Ocsf(chosen) => {
            let findings = findings(chosen, connection).await?;
            let lines = findings.iter().map(|it| ocsf::finding(it, now_ms).to_string() + "\n");
            (lines.collect(), &chosen.out)
        }
        Command::Cef { chosen, syslog } => (cef_lines(chosen, *syslog, connection).await?, &chosen.out),
    };
    match file {
        Some(path) => {
            fs::write(path, &text).map_err(|source| Failure::Write { path: path.clone(), source })?;
            out.note(&format!("written to {}", path.display()));
            Ok(())
        }
        None => write_stdout(text.as_bytes()),
    }
}

async fn findings(
    chosen: &Chosen,
    connection: &Connection,
) -> Result<Vec<crate::view::finding::Finding>, Failure> {
    let options = status::Options {
        asset: chosen.asset.clone(),
        role: chosen.role.clone(),
        ..status::Options::default()
    };
    Ok(status::ask(&options, connection).await?.findings)
}

async fn cef_lines(chosen: &Chosen, syslog: bool, connection: &Connection) -> Result<String, Failure> {
    let mut lines = Vec::new();
    let mut add = |line: String, time: Option<&str>, asset: Option<&str>| {
        lines.push(if syslog { cef::framed(&line, time, asset) } else { line });
    };
    // A role is of assets, and an event that names none is of nobody's role.
    if chosen.role.is_none() {
        let request = ListEventsRequest { asset: chosen.asset.clone().unwrap_or_default(), limit: EVENTS };
        let page = answer(connection.inventory().list_events(request)).await?;
        for it in page.events.into_iter().map(Event::from) {
            add(cef::event(&it), it.at.as_deref(), it.asset.as_deref());
        }
    }
    for it in findings(chosen, connection).await? {
        add(cef::finding(&it), it.as_of.as_deref(), Some(&it.asset));
    }
    Ok(lines.into_iter().map(|it| it + "\n").collect())
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use crate::args::Format;

    #[tokio::test]
    async fn every_export_reaches_its_file() {
        let connection = fake::collector().await;
        let out = Output::plain(Format::Table, None);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("export");
        let chosen = || Chosen { role: Some("hmi".into()), out: Some(file.clone()), ..Chosen::default() };
        let commands = [
            Command::Cyclonedx { asset: "hmi-01".into(), out: Some(file.clone()) },
            Command::Ocsf(chosen()),
            Command::Cef { chosen: chosen(), syslog: true },
        ];
        let mut texts = Vec::new();
        for command in &commands {
            run(command, &connection, &out).await.unwrap();
            texts.push(fs::read_to_string(&file).unwrap());
        }
        let document: serde_json::Value = serde_json::from_str(&texts[0]).unwrap();
        assert_eq!(document["components"].as_array().unwrap().len(), 2);
        assert_eq!(document["compositions"][0]["aggregate"], "incomplete", "its section is partial");
        assert_eq!(texts[1].lines().count(), fake::FINDINGS);
        for line in texts[1].lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(event["class_uid"].is_u64(), "{event}");
        }
        assert_eq!(texts[2].lines().count(), fake::FINDINGS);
        assert!(texts[2].lines().all(|it| it.starts_with('<') && it.contains("CEF:0|")), "{}", texts[2]);
        let nobody = Command::Cyclonedx { asset: "hmi-99".into(), out: None };
        assert!(run(&nobody, &connection, &out).await.is_err());
    }
}
