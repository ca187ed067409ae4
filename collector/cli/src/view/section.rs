//! A section as `holdpoint-agent scan` prints it.

use holdpoint_common::proto::v1::{self as pb, SectionKind, SectionStatus};
use holdpoint_common::row;
use serde::Serialize;
use serde_json::{Value, json};

use super::hex;
use crate::output::Table;

/// Rows with their status.
#[derive(Debug, Serialize)]
pub struct Section {
    status: String,
    reasons: Vec<String>,
    digest: Option<String>,
    rows: Vec<Value>,
    grade: Option<String>,
}

impl From<pb::SectionContent> for Section {
    fn from(wire: pb::SectionContent) -> Self {
        let pb::SectionContent { kind, status, reasons, digest, rows, grade } = wire;
        let kind = SectionKind::try_from(kind).unwrap_or(SectionKind::Unspecified);
        // A row of a newer agent cannot be read here; it is shown as bytes, never dropped.
        let shown = |encoded: &Vec<u8>| {
            row::to_json(kind, encoded).unwrap_or_else(|_| json!({ "encoded": hex(encoded) }))
        };
        Self {
            status: status_name(status),
            reasons,
            digest: hex(&digest),
            rows: rows.iter().map(shown).collect(),
            grade: super::some_text(grade),
        }
    }
}

impl Section {
    /// "complete", "partial", ...
    pub fn status(&self) -> &str {
        &self.status
    }

    /// Why it is not complete.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// Of its rows.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// How far its rows can be trusted.
    pub fn grade(&self) -> Option<&str> {
        self.grade.as_deref()
    }

    /// As JSON objects.
    pub fn rows(&self) -> &[Value] {
        &self.rows
    }

    /// Its rows in the order of their names; the name comes first, then the other fields by theirs.
    pub fn table(&self) -> Table {
        let mut names: Vec<&str> = Vec::new();
        for row in self.rows.iter().filter_map(Value::as_object) {
            for name in row.keys() {
                if let Err(place) = names.binary_search(&name.as_str()) {
                    names.insert(place, name);
                }
            }
        }
        names.sort_by_key(|&it| (it != "name", it));
        let mut table = Table::new(names.iter().copied());
        for row in &self.rows {
            table.row(names.iter().map(|it| cell(&row[*it])));
        }
        table.sorted()
    }
}

fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => super::text(text.clone()),
        Value::Array(items) => super::text(items.iter().filter_map(cell).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => super::text(
            fields
                .iter()
                .filter_map(|(name, it)| Some(format!("{name}={}", cell(it)?)))
                .collect::<Vec<_>>()
                .join(" "),
        ),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
    }
}

/// The status as it is printed; a value that this version does not know says so.
pub(super) fn status_name(status: i32) -> String {
    SectionStatus::try_from(status)
        .ok()
        .and_then(row::status_name)
        .map_or_else(|| format!("status-{status}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use holdpoint_common::section::Rows;

    use super::*;

    #[test]
    fn rows_become_a_table_with_the_name_first() {
        let rows = [row::SoftwareRow { name: "zlib1g".into(), source: "dpkg".into(), ..Default::default() }];
        let section = Section::from(pb::SectionContent {
            kind: SectionKind::Software.into(),
            status: SectionStatus::Complete.into(),
            rows: Rows::encode(&rows).as_slice().to_vec(),
            ..Default::default()
        });
        assert_eq!(section.table().dense().header(), ["name", "source"]);
        assert_eq!(section.rows()[0]["version"], Value::Null);
    }

    #[test]
    fn what_cannot_be_read_is_shown_as_bytes() {
        let section = Section::from(pb::SectionContent {
            kind: 77,
            status: 9,
            rows: vec![vec![1, 2]],
            ..Default::default()
        });
        assert_eq!(section.rows()[0]["encoded"], "0102");
        assert_eq!(section.status(), "status-9");
    }
}
