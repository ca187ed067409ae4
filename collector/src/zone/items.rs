//! What the rows of a section are about, in words: the item that a person would name and what is said of it.
//!
//! Knows which fields of a row name the thing and which describe it. Rows of kinds that this
//! version does not know have no items.

use std::collections::BTreeMap;

use holdpoint_common::row::{self, SectionKind};
use serde_json::Value;

/// Longest printed item or value, in characters.
const MAX_TEXT: usize = 200;

/// How the rows of one kind are told apart.
enum Shape {
    /// Many rows: the fields that name an item and those that describe it.
    Many { name: &'static [&'static str], value: &'static [&'static str] },
    /// One row: every field is an item, but for those that differ between any two machines.
    One { unlike: &'static [&'static str] },
    /// Rows that this version cannot read.
    Unknown,
}

fn shape(kind: SectionKind) -> Shape {
    match kind {
        SectionKind::Platform => Shape::One { unlike: &["boot_id", "identity"] },
        SectionKind::Self_ => Shape::One { unlike: &[] },
        SectionKind::Firmware => {
            Shape::Many { name: &["kind", "name", "vendor", "model"], value: &["version", "date"] }
        }
        SectionKind::Software => {
            Shape::Many { name: &["name", "architecture"], value: &["version", "state"] }
        }
        SectionKind::Services => {
            Shape::Many { name: &["name"], value: &["state", "start_mode", "image_path", "account"] }
        }
        SectionKind::Listeners => {
            Shape::Many { name: &["protocol", "address", "port"], value: &["program", "service", "package"] }
        }
        SectionKind::Accounts => Shape::Many {
            name: &["kind", "group", "name"],
            value: &["uid", "gid", "home", "shell", "password"],
        },
        SectionKind::Live => Shape::Many {
            name: &["kind", "program", "service", "file", "package"],
            value: &["state", "running", "installed"],
        },
        SectionKind::Hardening => Shape::Many { name: &["id", "subject"], value: &["state", "value"] },
        SectionKind::Updates => Shape::Many { name: &["name", "architecture"], value: &["version", "state"] },
        SectionKind::Unspecified | SectionKind::Devices => Shape::Unknown,
    }
}

/// The items of a section and what each is said to be. Several rows about one item are listed together.
pub fn items<'a>(kind: SectionKind, rows: impl IntoIterator<Item = &'a [u8]>) -> BTreeMap<String, String> {
    let mut items: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let Ok(Value::Object(fields)) = row::to_json(kind, row) else { continue };
        match shape(kind) {
            Shape::Many { name, value } => {
                items.entry(joined(&fields, name)).or_default().push(joined(&fields, value));
            }
            Shape::One { unlike } => {
                for (field, value) in &fields {
                    if !value.is_null() && !unlike.contains(&field.as_str()) {
                        items.entry(field.clone()).or_default().push(text(value));
                    }
                }
            }
            Shape::Unknown => {}
        }
    }
    items
        .into_iter()
        .map(|(item, mut values)| {
            values.sort_unstable();
            (item, values.join(", "))
        })
        .collect()
}

/// One row in a few words, for an event.
pub fn describe(kind: SectionKind, row: &[u8]) -> String {
    items(kind, [row])
        .into_iter()
        .next()
        .map_or_else(|| format!("a row of {} bytes", row.len()), |(item, value)| format!("{item} {value}"))
        .trim_end()
        .to_owned()
}

fn joined(fields: &serde_json::Map<String, Value>, names: &[&str]) -> String {
    let parts: Vec<_> =
        names.iter().filter_map(|it| fields.get(*it)).filter(|it| !it.is_null()).map(text).collect();
    parts.join(" ")
}

fn text(value: &Value) -> String {
    let plain = match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    };
    bounded(&plain)
}

/// A peer's text without control characters and of bounded length, for events and messages.
pub fn bounded(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdpoint_common::row::{PlatformRow, SoftwareRow};
    use prost::Message;

    fn software(name: &str, version: &str) -> Vec<u8> {
        SoftwareRow {
            name: name.into(),
            version: Some(version.into()),
            architecture: Some("amd64".into()),
            source: "dpkg".into(),
            ..SoftwareRow::default()
        }
        .encode_to_vec()
    }

    #[test]
    fn two_versions_of_one_package_are_one_item() {
        let rows = [software("nginx", "1.2"), software("nginx", "1.1"), software("curl", "8")];
        let items = items(SectionKind::Software, rows.iter().map(Vec::as_slice));
        assert_eq!(items.get("nginx amd64").map(String::as_str), Some("1.1, 1.2"));
        assert_eq!(items.len(), 2);
    }

    #[test]
    fn what_always_differs_between_machines_is_no_item() {
        let row = PlatformRow {
            boot_id: Some("x".into()),
            os_name: Some("Debian".into()),
            ..PlatformRow::default()
        };
        let items = items(SectionKind::Platform, [row.encode_to_vec().as_slice()]);
        assert!(!items.contains_key("boot_id"));
        assert_eq!(items.get("os_name").map(String::as_str), Some("Debian"));
    }

    #[test]
    fn hostile_text_is_bounded_and_printable() {
        let text = describe(SectionKind::Software, &software(&"\u{1b}[31m".repeat(500), "1"));
        assert!(text.chars().count() < 3 * MAX_TEXT && !text.contains('\u{1b}'), "{text}");
        assert_eq!(describe(SectionKind::Devices, b"abc"), "a row of 3 bytes");
    }
}
