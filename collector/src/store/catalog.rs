//! What is kept in memory about the store: who refers to which section, and the counters.
//!
//! Rebuilt from the engine at every open; changed only by what was applied. Without it every
//! report would have to search who else uses the rows that it replaces.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use holdpoint_proto::store::{AssetRecord, SectionRecord, SnapshotRecord, SnapshotSection, StoreRecord};
use holdpoint_proto::v1::SectionStatus;

use super::backend::Backend;
use super::error::StoreError;
use super::keys::{self, SectionKey, Table};
use super::value;

/// Layout of keys and values.
pub(super) const FORMAT: u32 = 1;
/// Entries per page when the engine is read from end to end.
pub(super) const PAGE: usize = 512;

/// How an asset refers to a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) key: SectionKey,
    /// These are the rows that are shown and judged; else they are only kept.
    pub(super) shown: bool,
    /// Rows must be there for the asset to be readable.
    pub(super) needed: bool,
}

/// A stored section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) rows: u32,
    /// What an overlay lies on.
    pub(super) base: Option<SectionKey>,
}

/// What a transaction changes here.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) assets: Vec<(Arc<str>, Option<Vec<Reference>>)>,
    pub(super) snapshots: Vec<(Arc<[u8]>, Vec<Reference>)>,
    pub(super) added: Vec<(SectionKey, Stored)>,
    pub(super) removed: Vec<SectionKey>,
    pub(super) record: StoreRecord,
}

/// See the module.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Catalog {
    pub(super) record: StoreRecord,
    assets: BTreeMap<Arc<str>, Vec<Reference>>,
    /// By the question that each answers.
    snapshots: BTreeMap<Arc<[u8]>, Vec<Reference>>,
    sections: HashMap<SectionKey, Stored>,
    references: HashMap<SectionKey, u32>,
    holders: HashMap<SectionKey, BTreeSet<Arc<str>>>,
    overlays: HashMap<SectionKey, BTreeSet<SectionKey>>,
}

impl Catalog {
    /// Reads everything that has to be known. Damaged records are left out and told: one flipped
    /// bit must not keep a zone's store closed.
    pub(super) fn load(backend: &dyn Backend) -> Result<(Self, Vec<StoreError>), StoreError> {
        let mut catalog = Catalog::default();
        let mut damaged = Vec::new();
        match value::get(backend, &keys::store())
            .and_then(|found| found.map(|content| value::decode(&keys::store(), &content)).transpose())
        {
            Ok(found) => catalog.record = found.unwrap_or_default(),
            Err(error @ StoreError::Corrupt { .. }) => {
                catalog.record = counted(backend)?;
                damaged.push(error);
            }
            Err(error) => return Err(error),
        }
        let mut change = Change { record: catalog.record.clone(), ..Change::default() };
        each_checked(backend, &Table::Section.prefix(), |key, content| {
            match content.and_then(|content| section(key, &content)) {
                Ok(section) => change.added.push(section),
                Err(error @ StoreError::Corrupt { .. }) => damaged.push(error),
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        each_checked(backend, &Table::Asset.prefix(), |key, content| {
            match content.and_then(|content| value::decode::<AssetRecord>(key, &content)) {
                Ok(asset) => change.assets.push((asset.id.as_str().into(), Some(references(&asset)))),
                Err(error @ StoreError::Corrupt { .. }) => damaged.push(error),
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        each_checked(backend, &Table::Snapshot.prefix(), |key, content| {
            match content.and_then(|content| value::decode::<SnapshotRecord>(key, &content)) {
                Ok(it) => change.snapshots.push((it.nonce.as_slice().into(), snapshot_references(&it))),
                Err(error @ StoreError::Corrupt { .. }) => damaged.push(error),
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        catalog.apply(change);
        Ok((catalog, damaged))
    }

    /// Takes in what was written.
    pub(super) fn apply(&mut self, change: Change) {
        let Change { assets, snapshots, added, removed, record } = change;
        self.record = record;
        for (key, stored) in added {
            if let Some(base) = stored.base {
                *self.references.entry(base).or_default() += 1;
                self.overlays.entry(base).or_default().insert(key);
            }
            self.sections.insert(key, stored);
        }
        for (id, new) in assets {
            for old in self.assets.remove(&id).unwrap_or_default() {
                self.release(old.key);
                if old.shown {
                    take_from(&mut self.holders, old.key, &id);
                }
            }
            let Some(new) = new else { continue };
            for reference in &new {
                *self.references.entry(reference.key).or_default() += 1;
                if reference.shown {
                    self.holders.entry(reference.key).or_default().insert(id.clone());
                }
            }
            self.assets.insert(id, new);
        }
        for (nonce, new) in snapshots {
            for old in self.snapshots.remove(&nonce).unwrap_or_default() {
                self.release(old.key);
            }
            for reference in &new {
                *self.references.entry(reference.key).or_default() += 1;
            }
            self.snapshots.insert(nonce, new);
        }
        for key in removed {
            if let Some(base) = self.sections.remove(&key).and_then(|it| it.base) {
                self.release(base);
                take_from(&mut self.overlays, base, &key);
            }
        }
    }

    fn release(&mut self, key: SectionKey) {
        if let Some(count) = self.references.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.references.remove(&key);
            }
        }
    }

    pub(super) fn section(&self, key: SectionKey) -> Option<Stored> {
        self.sections.get(&key).copied()
    }

    pub(super) fn sections(&self) -> impl Iterator<Item = (SectionKey, Stored)> {
        self.sections.iter().map(|(&key, &stored)| (key, stored))
    }

    pub(super) fn section_count(&self) -> usize {
        self.sections.len()
    }

    /// How many assets and overlays refer to a section.
    pub(super) fn references(&self, key: SectionKey) -> u32 {
        self.references.get(&key).copied().unwrap_or(0)
    }

    /// Assets that are shown with these rows.
    pub(super) fn holders(&self, key: SectionKey) -> impl Iterator<Item = &Arc<str>> {
        self.holders.get(&key).into_iter().flatten()
    }

    pub(super) fn overlays(&self, base: SectionKey) -> impl Iterator<Item = SectionKey> {
        self.overlays.get(&base).into_iter().flatten().copied()
    }

    /// What an asset refers to; `None` when there is no such asset.
    pub(super) fn asset(&self, id: &str) -> Option<&[Reference]> {
        self.assets.get(id).map(Vec::as_slice)
    }

    /// What a snapshot refers to; `None` when there is none for that question.
    pub(super) fn snapshot(&self, nonce: &[u8]) -> Option<&[Reference]> {
        self.snapshots.get(nonce).map(Vec::as_slice)
    }

    pub(super) fn assets(&self) -> impl Iterator<Item = (&Arc<str>, &[Reference])> {
        self.assets.iter().map(|(id, held)| (id, held.as_slice()))
    }

    pub(super) fn asset_count(&self) -> usize {
        self.assets.len()
    }
}

fn section(key: &[u8], content: &[u8]) -> Result<(SectionKey, Stored), StoreError> {
    let section = SectionKey::parse(key).ok_or_else(|| value::corrupt(key, "it is no section's key"))?;
    let SectionRecord { rows, base } = value::decode(key, content)?;
    let base = match base.as_slice() {
        [] => None,
        base => {
            let base = base.try_into().map_err(|_| value::corrupt(key, "its base is no digest"))?;
            Some(section.sibling(base))
        }
    };
    Ok((section, Stored { rows, base }))
}

/// The counters as the tables show them, when the record that holds them is damaged.
fn counted(backend: &dyn Backend) -> Result<StoreRecord, StoreError> {
    let mut record = StoreRecord {
        format: FORMAT,
        first_event: u64::MAX,
        next_event: 1,
        next_audit: 1,
        ..StoreRecord::default()
    };
    each_checked(backend, &Table::Event.prefix(), |key, _| {
        if let Some(number) = keys::event_number(key) {
            record.first_event = record.first_event.min(number);
            record.next_event = record.next_event.max(number + 1);
        }
        Ok(())
    })?;
    each_checked(backend, &Table::Audit.prefix(), |key, _| {
        if let Some(number) = key.get(1..).and_then(|it| it.try_into().ok()).map(u64::from_be_bytes) {
            record.next_audit = record.next_audit.max(number + 1);
        }
        Ok(())
    })?;
    record.first_event = record.first_event.min(record.next_event);
    Ok(record)
}

fn take_from<T: Ord + ?Sized, S: Ord + std::borrow::Borrow<T>>(
    map: &mut HashMap<SectionKey, BTreeSet<S>>,
    key: SectionKey,
    item: &T,
) {
    if let Some(set) = map.get_mut(&key) {
        set.remove(item);
        if set.is_empty() {
            map.remove(&key);
        }
    }
}

/// Everything that an asset's record refers to. The empty section needs no rows.
pub(super) fn references(asset: &AssetRecord) -> Vec<Reference> {
    let mut found = Vec::new();
    for held in &asset.sections {
        for (state, shown) in [(&held.shown, true), (&held.attempt, false)] {
            let Some(state) = state else { continue };
            if let Some(key) = SectionKey::of(held.kind, &state.digest) {
                found.push(Reference { key, shown, needed: shown && state.rows > 0 });
            }
        }
    }
    for section in asset.answers.iter().flat_map(|answer| &answer.sections) {
        if let Some(key) = SectionKey::of(section.kind, &section.digest) {
            found.push(Reference { key, shown: false, needed: false });
        }
    }
    found
}

/// Everything that a snapshot refers to. Only what was read completely is sure to have been stored.
pub(super) fn snapshot_references(snapshot: &SnapshotRecord) -> Vec<Reference> {
    let complete = i32::from(SectionStatus::Complete);
    let reference = |section: &SnapshotSection| {
        let state = section.state.as_ref()?;
        let key = SectionKey::of(section.kind, &state.digest)?;
        Some(Reference { key, shown: false, needed: state.status == complete && state.rows > 0 })
    };
    snapshot.sections.iter().filter_map(reference).collect()
}

/// Calls `work` with every entry below a prefix; the first damaged value ends it.
pub(super) fn each(
    backend: &dyn Backend,
    prefix: &[u8],
    mut work: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    each_checked(backend, prefix, |key, content| work(key, &content?))
}

/// Calls `work` with every entry below a prefix, damaged ones included.
pub(super) fn each_checked(
    backend: &dyn Backend,
    prefix: &[u8],
    mut work: impl FnMut(&[u8], Result<Vec<u8>, StoreError>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = backend.page(prefix, after.as_deref(), PAGE).map_err(StoreError::engine("read a page"))?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, stored) in &page {
            work(key, value::open(backend, key, stored))?;
        }
    }
}
