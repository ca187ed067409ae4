//! What differs between two assets, by the things that a person would name.
//!
//! A section that one side has not completely is named: its differences prove nothing.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_common::proto::store::AssetRecord;
use holdpoint_common::proto::v1::{CompareAssetsResponse, Difference, SectionKind};
use holdpoint_common::row::section_name;
use tonic::Status;

use super::view::is_complete;
use crate::store::{SectionKey, Store};
use crate::zone::items::items;
use crate::zone::status_of;

/// Compares what is shown of two assets.
pub(super) fn compare(
    store: &Store,
    left: &AssetRecord,
    right: &AssetRecord,
) -> Result<CompareAssetsResponse, Status> {
    let mut response = CompareAssetsResponse::default();
    let kinds: BTreeSet<i32> = left.sections.iter().chain(&right.sections).map(|it| it.kind).collect();
    for kind in kinds.into_iter().filter_map(|it| SectionKind::try_from(it).ok()) {
        if !is_complete(left, kind) || !is_complete(right, kind) {
            response.incomplete.push(section_name(kind).to_owned());
        }
        let (Some(ours), Some(theirs)) = (shown(left, kind), shown(right, kind)) else { continue };
        if ours == theirs {
            continue;
        }
        let (ours, theirs) = (named(store, ours)?, named(store, theirs)?);
        response.differences.extend(differences(kind, ours, theirs));
    }
    Ok(response)
}

fn shown(record: &AssetRecord, kind: SectionKind) -> Option<SectionKey> {
    let held = record.sections.iter().find(|it| it.kind == i32::from(kind))?;
    SectionKey::of(held.kind, &held.shown.as_ref()?.digest)
}

fn named(store: &Store, key: SectionKey) -> Result<BTreeMap<String, String>, Status> {
    let rows = store.section(key).map_err(|cause| status_of(&cause))?.unwrap_or_default();
    Ok(items(key.kind(), rows.iter().map(Vec::as_slice)))
}

fn differences(
    kind: SectionKind,
    left: BTreeMap<String, String>,
    mut right: BTreeMap<String, String>,
) -> Vec<Difference> {
    let mut found = Vec::new();
    for (item, ours) in left {
        let theirs = right.remove(&item);
        if theirs.as_ref() != Some(&ours) {
            found.push(Difference { kind: kind.into(), item, left: Some(ours), right: theirs });
        }
    }
    found.extend(right.into_iter().map(|(item, theirs)| Difference {
        kind: kind.into(),
        item,
        left: None,
        right: Some(theirs),
    }));
    found.sort_by(|a, b| a.item.cmp(&b.item));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_what_is_missing_added_and_other() {
        let side = |items: &[(&str, &str)]| items.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        let left = side(&[("curl", "8"), ("nginx", "1.1"), ("zlib", "1")]);
        let right = side(&[("nginx", "1.2"), ("bash", "5"), ("zlib", "1")]);
        let found = differences(SectionKind::Software, left, right);
        let told: Vec<_> =
            found.iter().map(|it| (it.item.as_str(), it.left.as_deref(), it.right.as_deref())).collect();
        assert_eq!(
            told,
            [("bash", None, Some("5")), ("curl", Some("8"), None), ("nginx", Some("1.1"), Some("1.2"))]
        );
    }
}
