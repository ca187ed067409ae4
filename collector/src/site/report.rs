//! What became of a medium, file by file, for the person who carried it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use holdpoint_proto::v1::SiteTakeResponse;
use serde::Serialize;

use super::medium::Contents;

/// The whole answer of `site ingest`.
#[derive(Debug, Serialize)]
pub struct Report {
    files: Vec<File>,
    /// How many files became what.
    summary: BTreeMap<String, u64>,
    /// Folders that were not written to their end.
    cut_off: Vec<String>,
    /// Entries beyond the limits, which nobody looked at.
    pub(super) beyond: u64,
}

/// One file.
#[derive(Debug, Serialize)]
pub struct File {
    file: String,
    bytes: Option<usize>,
    outcome: String,
    zone: Option<String>,
    sequence: Option<u64>,
    reason: Option<String>,
}

/// What was not opened or could not be read.
const NOT_READ: &str = "not_read";
/// What is as it should be: applied, or applied before.
const GOOD: [&str; 7] = ["accepted", "late", "duplicate", "beacon", "old_beacon", "old", "statement"];

impl File {
    /// A file that was taken as an object.
    pub fn taken(file: String, bytes: usize, taken: SiteTakeResponse) -> Self {
        let SiteTakeResponse { outcome, zone, sequence, reason } = taken;
        let text = |it: String| (!it.is_empty()).then_some(it);
        Self { file, bytes: Some(bytes), outcome, zone: text(zone), sequence, reason: text(reason) }
    }

    /// A file that was not read.
    pub fn not_read(file: String, why: String) -> Self {
        let (bytes, zone, sequence) = (None, None, None);
        Self { file, bytes, outcome: NOT_READ.to_owned(), zone, sequence, reason: Some(why) }
    }
}

impl Report {
    /// Begins with what is not read at all.
    pub fn of(contents: &Contents) -> Self {
        let (files, summary, cut_off) = (Vec::new(), BTreeMap::new(), contents.cut_off.clone());
        let mut report = Self { files, summary, cut_off, beyond: contents.beyond };
        for it in &contents.not_read {
            report.add(File::not_read(it.shown.clone(), it.why.clone()));
        }
        report
    }

    /// Adds what became of a file.
    pub fn add(&mut self, file: File) {
        let count = self.summary.entry(file.outcome.clone()).or_default();
        *count = count.saturating_add(1);
        self.files.push(file);
    }

    /// Whether everything was taken that was there.
    pub fn is_good(&self) -> bool {
        self.beyond == 0
            && self.cut_off.is_empty()
            && self.summary.keys().all(|it| GOOD.contains(&it.as_str()))
    }

    /// For people: what was taken as a count, what was not file by file.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for file in self.files.iter().filter(|it| !GOOD.contains(&it.outcome.as_str())) {
            let File { file, outcome, zone, sequence, reason, .. } = file;
            // A string takes whatever is written.
            let mut line = format!("{outcome:<10} {}", file.escape_debug());
            if let Some((zone, sequence)) = zone.as_ref().zip(*sequence) {
                let _ = write!(line, " ({zone}, place {sequence})");
            }
            if let Some(reason) = reason {
                let _ = write!(line, ": {}", reason.escape_debug());
            }
            lines.push(line);
        }
        let sums: Vec<String> = self.summary.iter().map(|(word, count)| format!("{count} {word}")).collect();
        lines.push(if sums.is_empty() { "nothing was there".to_owned() } else { sums.join(", ") });
        for folder in &self.cut_off {
            lines.push(format!("{} has no manifest: its writing was cut off", folder.escape_debug()));
        }
        if self.beyond > 0 {
            lines.push(format!("{} more entries are over the limits and were not looked at", self.beyond));
        }
        lines
    }
}
