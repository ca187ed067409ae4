//! What an asset is now against what was approved: pure, but for the rows that are looked up.
//!
//! Equal sections are never read. A part is undetermined as a whole when any of its sections is not complete on
//! either side: half of a comparison would look like a whole one.

use holdpoint_common::proto::store::{AssetRecord, SnapshotRecord};
use holdpoint_common::row::SectionKind;
use holdpoint_common::section::Digest;

use super::parts::{Items, Part, items};
use super::sections::{Gap, Stated, rows_of};
use crate::assess::{Held, RowSource};

/// What a digest of drift is over begins with this.
const PURPOSE: &[u8] = b"holdpoint drift 1\0";

/// One item that is not as it was approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The part.
    pub part: Part,
    /// The section.
    pub kind: SectionKind,
    /// What a person would name.
    pub item: String,
    /// What was approved; `None` when it is new.
    pub approved: Option<String>,
    /// What is there; `None` when it is gone.
    pub now: Option<String>,
    /// Stable: the same difference has the same digest whenever it is looked at.
    pub digest: Digest,
}

/// What is said of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// It was compared, and these differ; none when it is as approved.
    Compared(Vec<Difference>),
    /// There is no such source, now or when it was approved.
    Unsupported,
    /// Nothing can be said.
    Undetermined(Gap),
}

/// A part of an asset now against what was approved.
///
/// # Errors
/// One sentence on why rows cannot be read now.
pub fn compare(
    part: Part,
    approved: &SnapshotRecord,
    record: &AssetRecord,
    rows: &dyn RowSource,
) -> Result<Drift, String> {
    let sides =
        part.kinds().iter().map(|&kind| (kind, Stated::then(approved, kind), Stated::now(record, kind)));
    let sides: Vec<_> = sides.collect();
    for (_, before, now) in &sides {
        let gap = match (before, now) {
            (Stated::Not(_), _) | (Stated::Unsupported, Stated::Whole(_)) => Some(Gap::NoBaseline),
            (_, Stated::Not(gap)) => Some(*gap),
            // What could be looked at once and cannot be now was not looked at.
            (Stated::Whole(_), Stated::Unsupported) => Some(Gap::SectionIncomplete),
            (Stated::Whole(_), Stated::Whole(_)) | (Stated::Unsupported, Stated::Unsupported) => None,
        };
        if let Some(gap) = gap {
            return Ok(Drift::Undetermined(gap));
        }
    }
    if sides.iter().all(|it| it.1 == Stated::Unsupported) {
        return Ok(Drift::Unsupported);
    }
    let mut found = Vec::new();
    for (kind, before, now) in sides {
        let (Stated::Whole(before), Stated::Whole(now)) = (before, now) else { continue };
        if before == now {
            continue;
        }
        let (Some(before), Some(now)) = (rows_of(rows, kind, &before)?, rows_of(rows, kind, &now)?) else {
            return Ok(Drift::Undetermined(Gap::RowsUnreadable));
        };
        let before = items(part, kind, before.iter().map(Vec::as_slice));
        let now = items(part, kind, now.iter().map(Vec::as_slice));
        found.extend(differences(&record.id, part, kind, &before, &now));
    }
    Ok(Drift::Compared(found))
}

/// Why nothing can be said of an asset at all; `None` when its parts can be compared.
pub fn gap_of(record: &AssetRecord, seen_ms: Option<i64>, allowed_ms: i64, now_ms: i64) -> Option<Gap> {
    if record.retired_ms.is_some() {
        return Some(Gap::Retired);
    }
    let kinds = Part::ALL.iter().flat_map(|it| it.kinds());
    let heard = kinds.filter_map(|&kind| Held::of(record, kind).heard_ms(seen_ms)).max();
    match heard {
        None => Some(Gap::SectionMissing),
        Some(heard) if now_ms.saturating_sub(heard) > allowed_ms => Some(Gap::InventoryStale),
        Some(_) => None,
    }
}

fn differences(asset: &str, part: Part, kind: SectionKind, before: &Items, now: &Items) -> Vec<Difference> {
    let names = before.keys().chain(now.keys().filter(|it| !before.contains_key(*it)));
    let mut found: Vec<Difference> = names
        .filter_map(|item| {
            let (old, new) = (before.get(item), now.get(item));
            if old.map(|it| it.digest) == new.map(|it| it.digest) {
                return None;
            }
            Some(Difference {
                part,
                kind,
                item: item.clone(),
                approved: old.map(|it| it.text.clone()),
                now: new.map(|it| it.text.clone()),
                digest: digest(asset, part, item, old.map(|it| it.digest), new.map(|it| it.digest)),
            })
        })
        .collect();
    found.sort_by(|a, b| a.item.cmp(&b.item));
    found
}

fn digest(asset: &str, part: Part, item: &str, before: Option<Digest>, now: Option<Digest>) -> Digest {
    let mut bytes = PURPOSE.to_vec();
    for text in [asset, part.as_str(), item] {
        bytes.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    for side in [before, now] {
        bytes.push(u8::from(side.is_some()));
        bytes.extend(side.iter().flat_map(|it| *it.as_bytes()));
    }
    Digest::of(&bytes)
}
