//! A snapshot for programs (JSON, with the field names of the contract) and for people (text).
//!
//! Both write row by row: a large inventory is never held a second time.

use std::io::{self, Write};

use holdpoint_common::row::{self, SectionKind, section_name, status_name};
use holdpoint_common::section::Section;
use serde_json::{Map, Value, json};

use crate::host::Agent;
use crate::scan::Snapshot;

/// Rows of a section that a summary shows.
const SUMMARY_ROWS: usize = 10;
/// Widest field of a row in text, in characters.
const MAX_FIELD: usize = 60;

/// Writes one JSON document: `{"agent":{...},"sections":{NAME:{...}}}`.
///
/// # Errors
/// The output could not be written.
pub fn json(snapshot: &Snapshot, agent: &Agent, out: &mut impl Write) -> io::Result<()> {
    let agent = json!({
        "version": agent.version,
        "digest": agent.digest.map(|it| it.to_string()),
        "config_digest": agent.config_digest.map(|it| it.to_string()),
    });
    write!(out, "{{\"agent\":{agent},\"sections\":{{")?;
    for (number, section) in snapshot.sections.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let (status, reasons) = (json!(status_name(section.status)), json!(section.reasons));
        write!(
            out,
            "{comma}\"{}\":{{\"status\":{status},\"reasons\":{reasons},\"digest\":\"{}\",\"rows\":[",
            section_name(section.kind),
            section.digest
        )?;
        for (number, row) in section.rows.as_slice().iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            let value = row::to_json(section.kind, row).map_err(io::Error::other)?;
            write!(out, "{comma}{value}")?;
        }
        write!(out, "]}}")?;
    }
    writeln!(out, "}}}}")
}

/// Writes a summary: a line for each section, its reasons, and its rows; the first few rows of
/// each when `whole` is false.
///
/// # Errors
/// The output could not be written.
pub fn text(snapshot: &Snapshot, whole: bool, out: &mut impl Write) -> io::Result<()> {
    for section in &snapshot.sections {
        let (name, rows) = (section_name(section.kind), section.rows.len());
        let status = status_name(section.status).unwrap_or("unknown");
        let plural = if rows == 1 { "row" } else { "rows" };
        writeln!(out, "{name:<10} {status:<11} {rows} {plural}")?;
        for reason in &section.reasons {
            writeln!(out, "  ! {}", printable(reason))?;
        }
        let shown = if whole { rows } else { rows.min(SUMMARY_ROWS) };
        for row in &section.rows.as_slice()[..shown] {
            let value = row::to_json(section.kind, row).map_err(io::Error::other)?;
            writeln!(out, "  {}", line(section, value))?;
        }
        if shown < rows {
            writeln!(out, "  ... and {} more: --section {name}", rows - shown)?;
        }
    }
    Ok(())
}

/// The fields that say something, in the order in which people look for them.
fn line(section: &Section, row: Value) -> String {
    let Value::Object(mut fields) = row else { return row.to_string() };
    let leading: &[&str] = match section.kind {
        SectionKind::Listeners => &["protocol", "address", "port"],
        SectionKind::Accounts => &["kind", "group", "name"],
        SectionKind::Firmware => &["kind", "name"],
        SectionKind::Software => &["name", "version", "architecture", "source"],
        SectionKind::Updates => &["kb", "name", "version", "state"],
        SectionKind::Services => &["name", "state", "start_mode"],
        SectionKind::Live => &["kind", "state", "program", "file", "package"],
        SectionKind::Hardening => &["id", "subject", "value"],
        SectionKind::Unspecified | SectionKind::Platform | SectionKind::Devices | SectionKind::Self_ => &[],
    };
    let mut words: Vec<String> =
        leading.iter().filter_map(|it| fields.remove(*it)).filter_map(|it| shown(&it)).collect();
    if section.kind != SectionKind::Software {
        fields.remove("source");
    }
    words.extend(rest(&fields));
    words.join("  ")
}

fn rest(fields: &Map<String, Value>) -> Vec<String> {
    // Long and derived fields are for programs.
    const LEFT_OUT: [&str; 3] = ["purl", "publisher", "coverage"];
    fields
        .iter()
        .filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()))
        .filter_map(|(name, value)| Some(format!("{name}={}", shown(value)?)))
        .collect()
}

fn shown(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::Array(items) if items.is_empty() => return None,
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(shown).collect::<Vec<_>>().join(","),
        Value::Object(fields) => fields.values().filter_map(shown).collect::<Vec<_>>().join(":"),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    };
    let mut text = printable(&text);
    if let Some((cut, _)) = text.char_indices().nth(MAX_FIELD) {
        text.truncate(cut);
        text.push_str("...");
    }
    Some(text)
}

/// Text of a host without what could steer a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { '?' } else { it }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{agent, ample, host};
    use crate::scan::take;
    use holdpoint_common::row::REPORTED;

    fn snapshot() -> Snapshot {
        let stanza = |name: &str| format!("Package: {name}\nStatus: install ok installed\nVersion: 1\n\n");
        let status: String = (0..15).map(|it| stanza(&format!("p{it:02}\u{1b}[31m"))).collect();
        let (_dir, host) = host(&[("var/lib/dpkg/status", &status)]);
        take(&host, &REPORTED, &ample())
    }

    #[test]
    fn json_has_the_fields_of_the_contract() {
        let mut out = Vec::new();
        json(&snapshot(), &agent(), &mut out).unwrap();
        let value: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["agent"]["version"], "0.0.0-test");
        assert!(value["agent"]["digest"].is_null());
        let software = &value["sections"]["software"];
        assert_eq!(software["status"], "complete");
        assert_eq!(software["reasons"], json!([]));
        assert_eq!(software["digest"].as_str().unwrap().len(), 64);
        assert_eq!(software["rows"].as_array().unwrap().len(), 15);
        assert_eq!(software["rows"][0]["version"], "1");
        assert!(software["rows"][0]["purl"].is_null());
        assert_eq!(value["sections"]["accounts"]["status"], "unsupported");
    }

    #[test]
    fn a_summary_is_short_and_cannot_steer_a_terminal() {
        let mut out = Vec::new();
        text(&snapshot(), false, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("software   complete    15 rows"), "{out}");
        assert!(out.contains("... and 5 more: --section software"), "{out}");
        assert!(out.contains("! etc/passwd is not there"), "{out}");
        assert!(!out.contains('\u{1b}'));
    }
}
