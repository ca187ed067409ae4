//! The five parts of a baseline, and what rows come to as their items.
//!
//! An item is what a person would name, with what is said of it. What is shown of it is bounded; what is compared is
//! the digest of the whole fields, so that no change hides behind a cut. Fields are named here one by one: an agent
//! that says more than the one before is no drift. Fields that move by themselves (boot id, what waits for a restart,
//! the day of an installation) are none of them.
//!
//! Custom software is what no package owns (source `unowned`). The product map has no word for "the site's own", so
//! nothing else counts as custom yet.

use std::collections::BTreeMap;

use holdpoint_common::row::{self, SectionKind};
use holdpoint_common::section::Digest;
use serde_json::{Map, Value};

use crate::zone::items::bounded;

/// Rows about one item that are shown; the others are counted.
const MAX_SHOWN: usize = 4;
/// What is compared and what a digest is over begins with this.
const PURPOSE: &[u8] = b"holdpoint baseline 1\0";
/// What is compared where a field is not said.
const NOTHING: &Value = &Value::Null;
/// Fields of the platform that move by themselves, tell machines apart, or name the probe.
const NOT_THE_SYSTEM: [&str; 5] = ["source", "boot_id", "restart_pending", "restart_reasons", "identity"];
/// States of an update that is applied, or was until something newer took its place.
const APPLIED: [&str; 4] = ["installed", "superseded", "uninstall-pending", "partially-installed"];

/// A part of a baseline (CIP-010-4 R1.1.1 to R1.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Operating system and firmware, with their versions.
    OperatingSystem,
    /// What a package manager or an installer installed.
    Software,
    /// What no package owns.
    CustomSoftware,
    /// What listens.
    Ports,
    /// Updates that are applied. Where packages are the patches (Linux), the section is `unsupported`.
    Patches,
}

impl Part {
    /// Every part, in the order of the standard.
    pub const ALL: [Self; 5] =
        [Self::OperatingSystem, Self::Software, Self::CustomSoftware, Self::Ports, Self::Patches];

    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OperatingSystem => "operating-system",
            Self::Software => "software",
            Self::CustomSoftware => "custom-software",
            Self::Ports => "ports",
            Self::Patches => "patches",
        }
    }

    /// The sections that it rests on.
    pub fn kinds(self) -> &'static [SectionKind] {
        match self {
            Self::OperatingSystem => &[SectionKind::Platform, SectionKind::Firmware],
            Self::Software | Self::CustomSoftware => &[SectionKind::Software],
            Self::Ports => &[SectionKind::Listeners],
            Self::Patches => &[SectionKind::Updates],
        }
    }

    /// What a row of its kind comes to in this part; `None` when it belongs to another part, or to none.
    fn fields(self, kind: SectionKind, row: &Map<String, Value>) -> Option<Fields> {
        let is = |field: &str, word: &str| row.get(field).and_then(Value::as_str) == Some(word);
        let source = row.get("source").and_then(Value::as_str).unwrap_or_default();
        match (self, kind) {
            (Self::OperatingSystem, SectionKind::Firmware) => Some(Fields {
                name: &["kind", "name", "vendor", "model", "guid"],
                value: if is("kind", "secure-boot") {
                    &["version", "date", "digest", "state"]
                } else {
                    // The state of a last update moves.
                    &["version", "date", "digest"]
                },
            }),
            (Self::Software, SectionKind::Software) => (source != "unowned" && source != "leftover-dpkg")
                .then_some(Fields {
                    name: &["name", "architecture"],
                    value: &["version", "state", "source", "module", "user", "patches"],
                }),
            (Self::CustomSoftware, SectionKind::Software) => (source == "unowned").then_some(Fields {
                name: &["name", "architecture", "path"],
                value: &["version", "build_id"],
            }),
            (Self::Ports, SectionKind::Listeners) => Some(Fields {
                name: &["protocol", "address", "port"],
                value: &["program", "service", "package"],
            }),
            (Self::Patches, SectionKind::Updates) => APPLIED
                .iter()
                .any(|it| is("state", it))
                .then_some(Fields { name: &["name", "architecture", "kb"], value: &["version", "state"] }),
            (_, _) => None,
        }
    }
}

/// The fields that name an item and those that are said of it.
struct Fields {
    name: &'static [&'static str],
    value: &'static [&'static str],
}

/// What is said of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// In words, bounded.
    pub text: String,
    /// SHA-256 over everything that is compared.
    pub digest: Digest,
}

/// Items by what a person would name.
pub type Items = BTreeMap<String, Item>;

/// The items of one section in a part.
pub fn items<'a>(part: Part, kind: SectionKind, rows: impl IntoIterator<Item = &'a [u8]>) -> Items {
    let mut found: BTreeMap<String, Vec<(String, Digest)>> = BTreeMap::new();
    for encoded in rows {
        let Ok(Value::Object(row)) = row::to_json(kind, encoded) else {
            // It is there, and it may be anything.
            let name = "a row that cannot be read".to_owned();
            found.entry(name).or_default().push(("?".to_owned(), Digest::of(encoded)));
            continue;
        };
        if kind == SectionKind::Platform {
            let fields = row.iter().filter(|it| !NOT_THE_SYSTEM.contains(&it.0.as_str()) && is_said(it.1));
            for (field, value) in fields {
                found.entry(field.clone()).or_default().push((text(value), exact([value])));
            }
        } else if let Some(Fields { name, value }) = part.fields(kind, &row) {
            let all = name.iter().chain(value).map(|it| row.get(*it).unwrap_or(NOTHING));
            let told = (joined(&row, value), exact(all));
            found.entry(joined(&row, name)).or_default().push(told);
        }
    }
    found.into_iter().map(|(name, said)| (name, one(said))).collect()
}

/// Several rows about one item are one item.
fn one(mut said: Vec<(String, Digest)>) -> Item {
    said.sort_unstable();
    let mut texts: Vec<String> = said.iter().take(MAX_SHOWN).map(|it| it.0.clone()).collect();
    if said.len() > MAX_SHOWN {
        texts.push(format!("and {} more", said.len() - MAX_SHOWN));
    }
    let digest = match said.as_slice() {
        [(_, digest)] => *digest,
        many => Digest::of(&many.iter().flat_map(|it| *it.1.as_bytes()).collect::<Vec<u8>>()),
    };
    Item { text: texts.join(", "), digest }
}

/// The digest of a part: over its items in order.
pub fn digest(part: Part, items: &Items) -> Digest {
    let mut bytes = [PURPOSE, part.as_str().as_bytes(), b"\0"].concat();
    for (name, item) in items {
        bytes.extend_from_slice(&u64::try_from(name.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(item.digest.as_bytes());
    }
    Digest::of(&bytes)
}

fn exact<'a>(values: impl IntoIterator<Item = &'a Value>) -> Digest {
    let values: Vec<&Value> = values.into_iter().collect();
    Digest::of(serde_json::to_string(&values).unwrap_or_default().as_bytes())
}

fn is_said(value: &Value) -> bool {
    !value.is_null() && value.as_array().is_none_or(|it| !it.is_empty())
}

fn joined(row: &Map<String, Value>, fields: &[&str]) -> String {
    let said = fields.iter().filter_map(|it| row.get(*it)).filter(|it| is_said(it)).map(text);
    said.collect::<Vec<_>>().join(" ")
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => bounded(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            bounded(&value.to_string())
        }
    }
}
