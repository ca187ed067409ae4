//! What a site knows of its zones: `fleet`.

pub mod asset;
pub mod change;
pub mod finding;
pub mod site;
mod words;
pub mod zone;

use std::collections::BTreeMap;
use std::path::Path;

use holdpoint_common::proto::v1 as pb;
use holdpoint_common::section::Digest;
use serde::Serialize;

use self::zone::Zone;
use super::{age, number, short_time, time};
use crate::output::{Answer, Page, Table};

/// All zones.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Zones(Vec<Zone>);

impl Zones {
    /// The zones of an answer.
    pub fn new(answer: pb::FleetZonesResponse) -> Self {
        Self(answer.zones.into_iter().map(Zone::new).collect())
    }
}

impl Answer for Zones {
    fn page(&self) -> Page {
        let header =
            ["zone", "last_sequence", "age", "state", "gaps", "assets", "changes", "alarms", "clock"];
        let mut table = Table::new(header);
        for zone in &self.0 {
            table.row(zone.row());
        }
        Page::of(table.dense()).or_line(
            "no zone is trusted here yet: `holdpoint-collector site trust FILE.zone --data DIR` on the site",
        )
    }

    fn records(&self) -> Table {
        zone::records(&self.0)
    }
}

/// Numbers by their words.
fn by_word(counts: Vec<pb::FleetCount>) -> BTreeMap<String, u64> {
    counts.into_iter().map(|it| (it.word, it.count)).collect()
}

/// Numbers by their words in one cell.
fn counts(counts: &BTreeMap<String, u64>) -> Option<String> {
    let all: Vec<_> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// How something was at one time.
#[derive(Debug, Serialize)]
pub struct Moment {
    at: Option<String>,
    sequence: u64,
    state: Option<String>,
    gone: bool,
    vetoed: bool,
    verdicts: BTreeMap<String, u64>,
}

impl From<pb::FleetMoment> for Moment {
    fn from(wire: pb::FleetMoment) -> Self {
        let pb::FleetMoment { at_ms, sequence, state, gone, verdicts, vetoed } = wire;
        let verdicts = by_word(verdicts);
        Self { at: time(at_ms), sequence, state: super::text(state), gone, vetoed, verdicts }
    }
}

/// Moments for people, newest first.
fn moments(history: &[Moment]) -> Table {
    let mut table = Table::new(["at", "state", "verdicts"]);
    for it in history {
        let state = if it.gone { Some("gone".to_owned()) } else { it.state.clone() };
        let state = if it.vetoed { state.map(|it| format!("{it}, vetoed")) } else { state };
        table.row([short_time(it.at.as_deref()), state, counts(&it.verdicts)]);
    }
    table
}

/// A file with a zone's state, signed by the site.
#[derive(Debug, Serialize)]
pub struct Exported {
    zone: String,
    file: String,
    bytes: usize,
    digest: String,
}

impl Exported {
    /// What was written.
    pub fn new(zone: String, path: &Path, envelope: &[u8]) -> Self {
        let (file, bytes) = (path.display().to_string(), envelope.len());
        Self { zone, file, bytes, digest: Digest::of(envelope).to_string() }
    }
}

impl Answer for Exported {
    fn page(&self) -> Page {
        Page::default().rows_or_facts(self.records())
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["zone", "file", "bytes", "digest"]);
        table.row([
            Some(self.zone.clone()),
            Some(self.file.clone()),
            number(self.bytes),
            Some(self.digest.clone()),
        ]);
        table
    }
}

/// How long ago something was, in a cell.
fn ago(seconds: Option<i64>) -> Option<String> {
    age(u64::try_from(seconds?).unwrap_or_default())
}
