//! From a section as it arrived to the rows that it stands for, checked.
//!
//! Reads the store, changes nothing. Rows keep their bytes whatever fields they have; decoding
//! them here only shows that they are what their section says, and counts what lists show.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use holdpoint_common::proto::store::{AssetRecord, SectionState};
use holdpoint_common::proto::v1::{Outcome, SectionStatus};
use holdpoint_common::row::{
    AccountRow, FirmwareRow, HardeningRow, ListenerRow, LiveRow, PlatformRow, SectionKind, SelfRow,
    ServiceRow, SoftwareRow, UpdateRow,
};
use holdpoint_common::section::{Digest, InvalidSection, Rows, unpack_delta};
use prost::Message;

use super::admit::{newest, section_of};
use super::parse::{Body, SectionHead, kind_name};
use super::receive::Incoming;
use crate::store::{NewSection, SectionKey, Store, StoreError};
use crate::zone::Grade;
use crate::zone::items::describe;

/// Sections whose facts are remembered.
const MAX_FACTS: usize = 4_096;
/// Rows that an event names on each side.
const EXAMPLES: usize = 3;
/// The source of rows that no longer stand for installed software.
const LEFTOVER: &str = "leftover-dpkg";

/// What lists show of a section, so that they need not read its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) rows: u32,
    /// Rows of installed software.
    pub(super) software_count: u32,
    pub(super) os_name: Option<String>,
    pub(super) os_version: Option<String>,
}

/// How the rows differ from those that were shown before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) added: usize,
    pub(super) removed: usize,
    /// A few of them in words, with `+` or `-`.
    pub(super) examples: Vec<String>,
}

/// What became of one section of a report.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) kind: i32,
    pub(super) outcome: Outcome,
    /// Why, unless it is stored.
    pub(super) reason: String,
    /// The digest of the rows that were refused.
    pub(super) refused: Option<Digest>,
    /// What the record shall say; `None` for one that has to come again or that nobody knows.
    pub(super) taken: Option<Taken>,
}

/// A section that goes into the record.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) kind: SectionKind,
    pub(super) state: SectionState,
    pub(super) facts: Facts,
    /// Rows that the store does not have yet.
    pub(super) new: Option<NewSection>,
    /// `None` when nothing was shown before, or the same.
    pub(super) change: Option<Change>,
}

/// Facts of sections that were read not long ago: images are cloned, so few serve many hosts.
#[derive(Debug, Default)]
pub(super) struct KnownFacts(Mutex<HashMap<SectionKey, Facts>>);

impl KnownFacts {
    fn get(&self, key: SectionKey) -> Option<Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn put(&self, key: SectionKey, facts: &Facts) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_FACTS {
            known.clear();
        }
        known.insert(key, facts.clone());
    }
}

/// Why a section is not taken as it came.
enum Fault {
    /// Only the whole section helps.
    WantFull(String),
    /// Nothing helps.
    Refused(String),
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Fault {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

impl From<InvalidSection> for Fault {
    fn from(cause: InvalidSection) -> Self {
        Self::Refused(holdpoint_common::chain::Chain(&cause).to_string())
    }
}

/// Works out the rows of a section for an asset as it was when the report began.
///
/// # Errors
/// The store cannot be read.
pub(super) fn resolve(
    store: &Store,
    known: &KnownFacts,
    record: &AssetRecord,
    incoming: Incoming,
    sequence: u64,
    now_ms: i64,
) -> Result<Resolved, StoreError> {
    let (head, payload) = match incoming {
        Incoming::Taken { head, payload } => (head, payload),
        Incoming::Refused { kind, digest, why } => {
            return Ok(refused(kind, digest, why, sequence, now_ms));
        }
    };
    let kind = head.kind;
    match rows_of(store, known, record, &head, payload) {
        Ok((facts, new)) => {
            let change = change(store, record, &head, new.as_ref())?;
            let state = SectionState {
                status: head.status.into(),
                reasons: head.reasons,
                digest: head.digest.to_vec(),
                rows: facts.rows,
                received_ms: now_ms,
                sequence,
                grade: Grade::B.into(),
            };
            Ok(Resolved {
                kind: kind.into(),
                outcome: Outcome::Stored,
                reason: String::new(),
                refused: None,
                taken: Some(Taken { kind, state, facts, new, change }),
            })
        }
        Err(Fault::WantFull(reason)) => {
            Ok(Resolved { kind: kind.into(), outcome: Outcome::WantFull, reason, refused: None, taken: None })
        }
        Err(Fault::Refused(why)) => Ok(refused(kind.into(), Some(head.digest), why, sequence, now_ms)),
        Err(Fault::Store(cause)) => Err(cause),
    }
}

/// A refused section leaves a trace in the record: a failed attempt without rows, with the reason.
fn refused(kind: i32, digest: Option<Digest>, why: String, sequence: u64, now_ms: i64) -> Resolved {
    let taken = SectionKind::try_from(kind).ok().filter(|&it| it != SectionKind::Unspecified).map(|kind| {
        let empty = Rows::default().digest();
        Taken {
            kind,
            state: SectionState {
                status: SectionStatus::Failed.into(),
                reasons: vec![format!("refused by the collector: {why}")],
                digest: empty.to_vec(),
                rows: 0,
                received_ms: now_ms,
                sequence,
                grade: Grade::B.into(),
            },
            facts: Facts::default(),
            new: Some(NewSection {
                kind,
                digest: *empty.as_bytes(),
                rows: Vec::new(),
                payload: None,
                base: None,
            }),
            change: None,
        }
    });
    Resolved { kind, outcome: Outcome::Refused, reason: why, refused: digest, taken }
}

/// The facts of the rows, and the rows themselves when the store does not have them.
fn rows_of(
    store: &Store,
    known: &KnownFacts,
    record: &AssetRecord,
    head: &SectionHead,
    payload: Vec<u8>,
) -> Result<(Facts, Option<NewSection>), Fault> {
    let key = SectionKey::new(head.kind, *head.digest.as_bytes());
    if store.has_section(key) {
        if let Some(facts) = known.get(key) {
            return Ok((facts, None));
        }
        if let Some(rows) = store.section(key)? {
            let facts = facts(head.kind, &rows).map_err(Fault::Refused)?;
            known.put(key, &facts);
            return Ok((facts, None));
        }
    }
    let (rows, payload) = match head.body {
        Body::Reference => {
            return Err(Fault::WantFull("the collector does not hold these rows".into()));
        }
        Body::Full => (Rows::unpack(&payload)?, Some(payload)),
        Body::Delta { base } => (patched(store, record, head.kind, &base, &payload)?, None),
    };
    if rows.digest() != head.digest {
        return Err(match head.body {
            Body::Delta { .. } => {
                Fault::WantFull("the delta does not lead to the digest that it promises".into())
            }
            Body::Full | Body::Reference => {
                Fault::Refused("its rows have another digest than it says".into())
            }
        });
    }
    let facts = facts(head.kind, rows.as_slice()).map_err(Fault::Refused)?;
    known.put(key, &facts);
    let base = shown_digest(record, head.kind).and_then(|it| <[u8; 32]>::try_from(it).ok());
    let digest = *head.digest.as_bytes();
    Ok((facts, Some(NewSection { kind: head.kind, digest, rows: rows.into_encoded(), payload, base })))
}

fn patched(
    store: &Store,
    record: &AssetRecord,
    kind: SectionKind,
    base: &Digest,
    payload: &[u8],
) -> Result<Rows, Fault> {
    let not_held =
        || Fault::WantFull("the collector does not hold the rows that the delta starts from".into());
    let held = section_of(record, kind).ok_or_else(not_held)?;
    // Only what this asset itself has reported can be its base.
    let own =
        [held.shown.as_ref(), newest(held)].into_iter().flatten().any(|it| it.digest == base.as_bytes());
    if !own {
        return Err(not_held());
    }
    let rows = store.section(SectionKey::new(kind, *base.as_bytes()))?.ok_or_else(not_held)?;
    let delta = unpack_delta(payload)?;
    Rows::from_encoded(rows.to_vec())
        .apply(&delta)
        .map_err(|cause| Fault::WantFull(holdpoint_common::chain::Chain(&cause).to_string()))
}

fn shown_digest(record: &AssetRecord, kind: SectionKind) -> Option<&[u8]> {
    section_of(record, kind)?.shown.as_ref().map(|it| it.digest.as_slice())
}

/// How the new rows differ from those that are shown.
fn change(
    store: &Store,
    record: &AssetRecord,
    head: &SectionHead,
    new: Option<&NewSection>,
) -> Result<Option<Change>, StoreError> {
    let Some(before) = shown_digest(record, head.kind).filter(|it| *it != head.digest.as_bytes()) else {
        return Ok(None);
    };
    let Some(before) = SectionKey::of(head.kind.into(), before) else { return Ok(None) };
    let Some(before) = store.section(before)? else { return Ok(None) };
    let after = match new {
        Some(new) => Arc::new(new.rows.clone()),
        None => match store.section(SectionKey::new(head.kind, *head.digest.as_bytes()))? {
            Some(rows) => rows,
            None => return Ok(None),
        },
    };
    let old: BTreeSet<&[u8]> = before.iter().map(Vec::as_slice).collect();
    let now: BTreeSet<&[u8]> = after.iter().map(Vec::as_slice).collect();
    let mut change = Change::default();
    for row in now.difference(&old) {
        change.added += 1;
        if change.added <= EXAMPLES {
            change.examples.push(format!("+ {}", describe(head.kind, row)));
        }
    }
    for row in old.difference(&now) {
        change.removed += 1;
        if change.removed <= EXAMPLES {
            change.examples.push(format!("- {}", describe(head.kind, row)));
        }
    }
    Ok(Some(change))
}

/// Checks that every row is of its section's kind, and counts. Rows of kinds that this version
/// does not know are kept unread.
fn facts(kind: SectionKind, rows: &[Vec<u8>]) -> Result<Facts, String> {
    let mut facts = Facts { rows: u32::try_from(rows.len()).unwrap_or(u32::MAX), ..Facts::default() };
    match kind {
        SectionKind::Platform => {
            for row in decoded::<PlatformRow>(kind, rows) {
                let row = row?;
                facts.os_name = row.os_name.or(row.os_id);
                facts.os_version = row.os_version;
            }
        }
        SectionKind::Software => {
            for row in decoded::<SoftwareRow>(kind, rows) {
                if row?.source != LEFTOVER {
                    facts.software_count += 1;
                }
            }
        }
        SectionKind::Firmware => decoded::<FirmwareRow>(kind, rows).try_for_each(|it| it.map(drop))?,
        SectionKind::Services => decoded::<ServiceRow>(kind, rows).try_for_each(|it| it.map(drop))?,
        SectionKind::Listeners => decoded::<ListenerRow>(kind, rows).try_for_each(|it| it.map(drop))?,
        SectionKind::Accounts => decoded::<AccountRow>(kind, rows).try_for_each(|it| it.map(drop))?,
        SectionKind::Live => decoded::<LiveRow>(kind, rows).try_for_each(|it| it.map(drop))?,
        SectionKind::Hardening => decoded::<HardeningRow>(kind, rows).try_for_each(|it| it.map(drop))?,
        SectionKind::Self_ => decoded::<SelfRow>(kind, rows).try_for_each(|it| it.map(drop))?,
        SectionKind::Updates => decoded::<UpdateRow>(kind, rows).try_for_each(|it| it.map(drop))?,
        SectionKind::Unspecified | SectionKind::Devices => {}
    }
    Ok(facts)
}

fn decoded<R: Message + Default>(
    kind: SectionKind,
    rows: &[Vec<u8>],
) -> impl Iterator<Item = Result<R, String>> {
    rows.iter().enumerate().map(move |(at, row)| {
        R::decode(row.as_slice())
            .map_err(|_| format!("row {at} is no row of section {}", kind_name(kind.into())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_rows_and_not_software() {
        let row = |name: &str, source: &str| {
            SoftwareRow { name: name.into(), source: source.into(), ..SoftwareRow::default() }.encode_to_vec()
        };
        let rows = [row("a", "dpkg"), row("b", LEFTOVER), row("c", "unowned")];
        let facts = facts(SectionKind::Software, &rows).unwrap();
        assert_eq!((facts.rows, facts.software_count), (3, 2));
    }

    #[test]
    fn rows_of_another_kind_are_refused_and_unknown_kinds_are_kept_unread() {
        let rows = [vec![0xff; 4]];
        assert!(facts(SectionKind::Software, &rows).unwrap_err().contains("software"));
        assert_eq!(facts(SectionKind::Devices, &rows).map(|it| it.rows), Ok(1));
    }
}
