//! What moved between two snapshots and was not declared.
//!
//! Everything that a person could name in software, services, listeners, accounts, hardening, firmware, updates and
//! the platform is held against what it was. Rows that are equal are never looked at; of the others the item and its
//! value as `compare` shows them count, and then every other field that does not move by itself. A section that was
//! not read completely on either side shows nothing, and says so when it was complete before.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_common::proto::store::CollateralItem;
use holdpoint_common::proto::v1::ListenerRow;
use holdpoint_common::row::{self, SectionKind, section_name};
use prost::Message;
use serde_json::Value;

use super::expectation::Pair;
use super::plan::Allowed;
use super::snapshot::{Section, Snapshot};
use crate::knowledge::Pattern;
use crate::zone::items::{bounded, items};

mod declared;

pub use declared::Declared;

/// Sections that are compared. What runs and what the agent says of itself is evidence of its own.
const COMPARED: [SectionKind; 8] = [
    SectionKind::Platform,
    SectionKind::Firmware,
    SectionKind::Software,
    SectionKind::Updates,
    SectionKind::Services,
    SectionKind::Listeners,
    SectionKind::Accounts,
    SectionKind::Hardening,
];
/// Most items of one target; what is beyond is one item that says how many.
const MAX_ITEMS: usize = 1_000;
/// From this port on, systems hand out ports by themselves (Linux from here, Windows from 49,152).
const DYNAMIC_PORT: u32 = 32_768;
/// Longest value of an item, in characters.
const MAX_VALUE: usize = 400;

/// What moved, without its number and stage, and the sections of which less was read than before, in words.
pub fn compare(pair: &Pair<'_>, mut declared: Declared<'_>) -> (Vec<CollateralItem>, Option<String>) {
    let digest = |it: &Snapshot, kind| it.section(kind).and_then(Section::digest);
    let differs = |kind: &SectionKind| digest(pair.pre, *kind) != digest(pair.post, *kind);
    if COMPARED.iter().any(differs) {
        declared.widen(pair);
    }
    let mut moved = Vec::new();
    let mut lowered = Vec::new();
    for kind in COMPARED {
        match (pair.pre.is_complete(kind), pair.post.is_complete(kind)) {
            (true, true) => {}
            (true, false) => {
                lowered.push(section_name(kind));
                continue;
            }
            (false, true | false) => continue,
        }
        if !differs(&kind) {
            continue;
        }
        let is_declared = |row: &[u8]| kind == SectionKind::Software && declared.is_product(row);
        for it in differences(kind, pair.pre.rows(kind), pair.post.rows(kind), &is_declared) {
            if !declared.covers(kind, &it) {
                let Moved { item, before, after } = it;
                let asset = pair.post.record.asset.clone();
                let kind = kind.into();
                moved.push(CollateralItem { asset, kind, item, before, after, ..CollateralItem::default() });
            }
        }
    }
    if let Some(beyond) = moved.len().checked_sub(MAX_ITEMS).filter(|it| *it > 0) {
        moved.truncate(MAX_ITEMS);
        moved.push(CollateralItem {
            asset: pair.post.record.asset.clone(),
            kind: SectionKind::Unspecified.into(),
            item: format!("{beyond} more"),
            ..CollateralItem::default()
        });
    }
    (moved, (!lowered.is_empty()).then(|| lowered.join(", ")))
}

/// Whether the plan lets an item move.
pub fn is_allowed(allowed: &[Allowed], kind: SectionKind, item: &str) -> bool {
    allowed
        .iter()
        .filter(|it| it.kind == kind)
        .any(|it| Pattern::new(&it.item).is_ok_and(|it| it.matches(item)))
}

/// Something that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) item: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// Rows about one item that only one side has.
#[derive(Debug, Default)]
struct Side<'a> {
    rows: Vec<&'a [u8]>,
    values: Vec<String>,
}

impl Side<'_> {
    /// As `compare` shows it; `None` when there is none.
    fn value(&self) -> Option<String> {
        let mut values = self.values.clone();
        values.sort_unstable();
        (!self.rows.is_empty()).then(|| short(&values.join(", ")))
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_VALUE).collect()
}

/// The items that differ, in order, but for rows that are declared.
pub(super) fn differences(
    kind: SectionKind,
    before: &[Vec<u8>],
    after: &[Vec<u8>],
    is_declared: &dyn Fn(&[u8]) -> bool,
) -> Vec<Moved> {
    let (mut only_before, mut only_after) = only(before, after);
    only_before.retain(|it| !is_declared(it));
    only_after.retain(|it| !is_declared(it));
    let (only_before, only_after) = if kind == SectionKind::Listeners {
        without_dynamic(only_before, only_after)
    } else {
        (only_before, only_after)
    };
    let mut sides: BTreeMap<String, (Side<'_>, Side<'_>)> = BTreeMap::new();
    for encoded in only_before {
        for (item, value) in items(kind, [encoded]) {
            let side = &mut sides.entry(item).or_default().0;
            side.rows.push(encoded);
            side.values.push(value);
        }
    }
    for encoded in only_after {
        for (item, value) in items(kind, [encoded]) {
            let side = &mut sides.entry(item).or_default().1;
            side.rows.push(encoded);
            side.values.push(value);
        }
    }
    let is_one_row = kind == SectionKind::Platform;
    let moved = sides.into_iter().filter_map(|(item, (before, after))| {
        if is_volatile(kind, &item) && is_one_row {
            return None;
        }
        let (was, is) = (before.value(), after.value());
        if was != is {
            return Some(Moved { item, before: was, after: is });
        }
        // A row of one kind is a list of items: there is nothing beside them.
        let (was, is) = if is_one_row { (None, None) } else { other_fields(kind, &before.rows, &after.rows) };
        (was != is).then_some(Moved { item, before: was, after: is })
    });
    moved.collect()
}

/// Rows that only one side has.
fn only<'a>(before: &'a [Vec<u8>], after: &'a [Vec<u8>]) -> (Vec<&'a [u8]>, Vec<&'a [u8]>) {
    let set = |rows: &'a [Vec<u8>]| rows.iter().map(Vec::as_slice).collect::<BTreeSet<&[u8]>>();
    let (ours, theirs) = (set(before), set(after));
    (ours.difference(&theirs).copied().collect(), theirs.difference(&ours).copied().collect())
}

/// Without listeners that only got another port from the system: the same owner listens on both sides.
fn without_dynamic<'a>(before: Vec<&'a [u8]>, after: Vec<&'a [u8]>) -> (Vec<&'a [u8]>, Vec<&'a [u8]>) {
    type Owner = (String, String, Option<String>, Option<String>, Option<String>);
    let owner = |encoded: &[u8]| -> Option<Owner> {
        let row = ListenerRow::decode(encoded).ok().filter(|it| it.port >= DYNAMIC_PORT)?;
        let ListenerRow { protocol, address, program, service, package, .. } = row;
        let is_known = program.is_some() || service.is_some();
        is_known.then_some((protocol, address, program, service, package))
    };
    let owners = |rows: &[&[u8]]| rows.iter().filter_map(|it| owner(it)).collect::<BTreeSet<_>>();
    let (ours, theirs) = (owners(&before), owners(&after));
    let keep =
        |encoded: &&[u8]| owner(encoded).is_none_or(|it| !(ours.contains(&it) && theirs.contains(&it)));
    (before.into_iter().filter(keep).collect(), after.into_iter().filter(keep).collect())
}

/// Fields that differ although the item and its value do not, on each side.
fn other_fields(kind: SectionKind, before: &[&[u8]], after: &[&[u8]]) -> (Option<String>, Option<String>) {
    let fields = |rows: &[&[u8]]| {
        let mut found: BTreeSet<(String, String)> = BTreeSet::new();
        for encoded in rows {
            let Ok(Value::Object(fields)) = row::to_json(kind, encoded) else { continue };
            let fields = fields.into_iter().filter(|it| !it.1.is_null() && !is_volatile(kind, &it.0));
            found.extend(fields.filter_map(|(field, value)| Some((field.clone(), told(&field, value)?))));
        }
        found
    };
    let (ours, theirs) = (fields(before), fields(after));
    let text = |one: &BTreeSet<(String, String)>, two: &BTreeSet<(String, String)>| {
        let only: Vec<String> =
            one.difference(two).map(|(field, value)| format!("{field}={value}")).collect();
        (!only.is_empty()).then(|| short(&only.join(", ")))
    };
    (text(&ours, &theirs), text(&theirs, &ours))
}

/// The value of a field; `None` when nothing of it stays still.
fn told(field: &str, value: Value) -> Option<String> {
    let text = match (field, value) {
        // How an account may be used, without what time and wrong passwords do to it.
        ("flags", Value::Array(flags)) => {
            let still = flags.iter().filter_map(Value::as_str);
            let still: Vec<&str> =
                still.filter(|it| !["locked-out", "password-expired"].contains(it)).collect();
            still.join(" ")
        }
        (_, Value::String(text)) => text,
        (_, Value::Array(list)) if list.is_empty() => String::new(),
        (_, other) => other.to_string(),
    };
    (!text.is_empty()).then(|| bounded(&text))
}

/// Fields that move by themselves, follow from others, or say how something was read.
fn is_volatile(kind: SectionKind, field: &str) -> bool {
    let fields: &[&str] = match kind {
        SectionKind::Platform => &["source", "boot_id", "restart_pending", "restart_reasons"],
        SectionKind::Software => &["install_date", "purl"],
        SectionKind::Updates => &["source", "install_date"],
        SectionKind::Accounts => &["source", "last_logon"],
        SectionKind::Hardening => &["source", "checks", "reason"],
        SectionKind::Firmware | SectionKind::Services | SectionKind::Listeners => &["source"],
        SectionKind::Unspecified | SectionKind::Live | SectionKind::Devices | SectionKind::Self_ => &[],
    };
    fields.contains(&field)
}

#[cfg(test)]
#[path = "collateral_tests.rs"]
mod tests;
