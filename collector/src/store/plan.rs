//! From a transaction to one batch of the engine and one change of the catalog.
//!
//! Reads the store and writes nothing. Here live the rules of what is kept: a section is stored
//! once, as long as somebody refers to it; one that differs little from what the asset held is
//! stored as a difference; what nobody refers to any more goes in the same batch.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use holdpoint_proto::store::{
    AssetRecord, AuditEntry, AuditRecord, EventRecord, OperatorRecord, OverlayRecord, SectionRecord,
    TokenRecord,
};
use holdpoint_proto::v1::{SectionKind, SoftwareRow};
use prost::Message;

use super::backend::{Backend, Batch};
use super::catalog::{Catalog, Change, Reference, Stored, references, snapshot_references};
use super::document;
use super::error::StoreError;
use super::keys::{self, SectionKey, Table};
use super::rows::{self, Rows, sha256};
use super::sections::{self, Cache};
use super::txn::{Expected, NewSection, Op, Txn};
use super::value;

/// What a transaction comes to.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) batch: Batch,
    pub(super) change: Change,
    /// Assets whose last-seen goes with them.
    pub(super) forgotten: Vec<String>,
}

/// What the plan may look at.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) backend: &'a dyn Backend,
    pub(super) catalog: &'a Catalog,
    pub(super) cache: &'a Cache,
}

struct Planner<'a> {
    view: View<'a>,
    batch: Batch,
    change: Change,
    assets: BTreeMap<Arc<str>, Option<Vec<Reference>>>,
    snapshots: BTreeMap<Arc<[u8]>, Vec<Reference>>,
    offered: HashMap<SectionKey, &'a NewSection>,
    forgotten: Vec<String>,
}

/// Works out what a transaction writes.
pub(super) fn plan(view: View<'_>, txn: &Txn, max_events: u64) -> Result<Plan, StoreError> {
    check_expected(view.backend, &txn.expected)?;
    let mut record = view.catalog.record.clone();
    record.sequence += 1;
    let mut planner = Planner {
        view,
        batch: Batch::default(),
        change: Change { record, ..Change::default() },
        assets: BTreeMap::new(),
        snapshots: BTreeMap::new(),
        offered: HashMap::new(),
        forgotten: Vec::new(),
    };
    let mut events = Vec::new();
    for op in &txn.ops {
        planner.take(op, &mut events)?;
    }
    planner.write_events(&events, max_events)?;
    planner.settle_sections()?;

    let Planner { mut batch, mut change, assets, snapshots, forgotten, .. } = planner;
    change.assets = assets.into_iter().collect();
    change.snapshots = snapshots.into_iter().collect();
    value::put_new(&mut batch, keys::store(), &change.record.encode_to_vec());
    Ok(Plan { batch, change, forgotten })
}

fn check_expected(backend: &dyn Backend, expected: &[Expected]) -> Result<(), StoreError> {
    for expectation in expected {
        let (what, holds) = match expectation {
            Expected::Asset { id, record } => {
                let now = read::<AssetRecord>(backend, &Table::Asset.key(id.as_bytes()))?;
                ("the asset", now.as_ref() == record.as_deref())
            }
            Expected::Token { secret, record } => {
                ("the token", read::<TokenRecord>(backend, &Table::Token.key(secret))? == *record)
            }
            Expected::Operator { name, record } => {
                let now = read::<OperatorRecord>(backend, &Table::Operator.key(name.as_bytes()))?;
                ("the operator", now == *record)
            }
        };
        if !holds {
            return Err(StoreError::Conflict { what });
        }
    }
    Ok(())
}

/// A record under its key.
pub(super) fn read<M: Message + Default>(backend: &dyn Backend, key: &[u8]) -> Result<Option<M>, StoreError> {
    value::get(backend, key)?.map(|content| value::decode(key, &content)).transpose()
}

impl<'a> Planner<'a> {
    fn take(&mut self, op: &'a Op, events: &mut Vec<&'a EventRecord>) -> Result<(), StoreError> {
        match op {
            Op::PutAsset(asset) => {
                self.put(Table::Asset.key(asset.id.as_bytes()), &asset.encode_to_vec())?;
                self.assets.insert(asset.id.as_str().into(), Some(references(asset)));
                self.forgotten.retain(|it| *it != asset.id);
                Ok(())
            }
            Op::DeleteAsset(id) => {
                self.delete(Table::Asset.key(id.as_bytes()))?;
                self.delete(Table::Seen.key(id.as_bytes()))?;
                self.assets.insert(id.as_str().into(), None);
                self.forgotten.push(id.clone());
                Ok(())
            }
            Op::PutSection(section) => {
                self.offered.insert(SectionKey::new(section.kind, section.digest), section);
                Ok(())
            }
            Op::AddEvent(event) => {
                events.push(event);
                Ok(())
            }
            Op::AppendAudit(audit) => self.append_audit(audit),
            Op::PutToken(token) => self.put(Table::Token.key(&token.secret_digest), &token.encode_to_vec()),
            Op::DeleteToken(secret) => self.delete(Table::Token.key(secret)),
            Op::PutOperator(it) => self.put(Table::Operator.key(it.name.as_bytes()), &it.encode_to_vec()),
            Op::DeleteOperator(name) => self.delete(Table::Operator.key(name.as_bytes())),
            Op::PutDocument(document, bytes) => {
                if let Some(bytes) = bytes {
                    let key = Table::DocumentBytes.key(&document.digest);
                    value::put_new(&mut self.batch, key, &document::packed(bytes));
                }
                self.put(Table::Document.key(&document.digest), &document.encode_to_vec())
            }
            Op::PutMapRule(rule) => self.put(Table::MapRule.key(rule.id.as_bytes()), &rule.encode_to_vec()),
            Op::DeleteMapRule(id) => self.delete(Table::MapRule.key(id.as_bytes())),
            Op::PutSetting(name, bytes) => self.put(Table::Setting.key(name.as_bytes()), bytes),
            Op::PutSnapshot(it) => {
                self.snapshots.insert(it.nonce.as_slice().into(), snapshot_references(it));
                self.put(Table::Snapshot.key(&it.nonce), &it.encode_to_vec())
            }
            Op::PutDecision(it) => self.put(keys::decision(it.number), &it.encode_to_vec()),
            Op::DeleteSetting(name) => self.delete(Table::Setting.key(name.as_bytes())),
            Op::PutPage(volume, key, bytes) => self.put(volume.table().key(key), bytes),
            Op::DeletePage(volume, key) => self.delete(volume.table().key(key)),
        }
    }

    fn put(&mut self, key: Vec<u8>, content: &[u8]) -> Result<(), StoreError> {
        if content.len() > value::MAX_VALUE {
            return Err(StoreError::Invalid { what: "a record", why: "it is too large" });
        }
        value::put(self.view.backend, &mut self.batch, key, content)
    }

    fn delete(&mut self, key: Vec<u8>) -> Result<(), StoreError> {
        value::delete(self.view.backend, &mut self.batch, key)
    }

    fn append_audit(&mut self, audit: &AuditRecord) -> Result<(), StoreError> {
        let entry = AuditEntry::decode(audit.entry.as_slice())
            .map_err(|_| StoreError::Invalid { what: "an audit record", why: "it holds no entry" })?;
        if entry.number != self.change.record.next_audit {
            return Err(StoreError::Conflict { what: "the audit log" });
        }
        self.change.record.next_audit += 1;
        self.put(keys::audit(entry.number), &audit.encode_to_vec())
    }

    fn write_events(&mut self, events: &[&EventRecord], max_events: u64) -> Result<(), StoreError> {
        for event in events {
            let number = self.change.record.next_event;
            self.change.record.next_event += 1;
            value::put_new(&mut self.batch, keys::event(number), &event.encode_to_vec());
            if !event.asset.is_empty() {
                value::put_new(&mut self.batch, keys::event_by_asset(&event.asset, number), b"");
            }
        }
        // Those of this very transaction are in no table yet: they stay until the next one.
        let written = self.view.catalog.record.next_event;
        while self.change.record.first_event < written
            && self.change.record.next_event - self.change.record.first_event > max_events
        {
            let number = self.change.record.first_event;
            if let Some(event) = read::<EventRecord>(self.view.backend, &keys::event(number))? {
                self.batch.delete(keys::event_by_asset(&event.asset, number));
            }
            self.delete(keys::event(number))?;
            self.change.record.first_event += 1;
        }
        Ok(())
    }

    /// Writes the offered sections that somebody refers to, removes those that nobody does.
    fn settle_sections(&mut self) -> Result<(), StoreError> {
        let mut balance: HashMap<SectionKey, i64> = HashMap::new();
        for (id, new) in &self.assets {
            for old in self.view.catalog.asset(id).unwrap_or_default() {
                *balance.entry(old.key).or_default() -= 1;
            }
            for new in new.iter().flatten() {
                *balance.entry(new.key).or_default() += 1;
            }
        }
        for (nonce, new) in &self.snapshots {
            for old in self.view.catalog.snapshot(nonce).unwrap_or_default() {
                *balance.entry(old.key).or_default() -= 1;
            }
            for new in new {
                *balance.entry(new.key).or_default() += 1;
            }
        }
        let referred = |key, balance: &HashMap<SectionKey, i64>| {
            i64::from(self.view.catalog.references(key)) + balance.get(&key).copied().unwrap_or(0) > 0
        };

        let offered: BTreeMap<SectionKey, &NewSection> =
            self.offered.iter().map(|(&key, &it)| (key, it)).collect();
        let mut written = BTreeSet::new();
        let mut added = Vec::new();
        for (key, section) in offered {
            if self.view.catalog.section(key).is_none() && referred(key, &balance) {
                let stored = write_section(self.view, &mut self.batch, key, section)?;
                if let Some(base) = stored.base {
                    *balance.entry(base).or_default() += 1;
                }
                written.insert(key);
                added.push((key, stored));
            }
        }
        self.change.added = added;

        let references = self.assets.values().flatten().chain(self.snapshots.values()).flatten();
        for reference in references.filter(|it| it.needed) {
            if self.view.catalog.section(reference.key).is_none() && !written.contains(&reference.key) {
                return Err(StoreError::UnknownSection { digest: HEXLOWER.encode(reference.key.digest()) });
            }
        }

        let mut doubtful: BTreeSet<SectionKey> =
            balance.iter().filter(|&(_, &change)| change < 0).map(|(&key, _)| key).collect();
        while let Some(key) = doubtful.pop_first() {
            let Some(stored) = self.view.catalog.section(key) else { continue };
            if referred(key, &balance) {
                continue;
            }
            remove_section(self.view, &mut self.batch, key)?;
            self.change.removed.push(key);
            if let Some(base) = stored.base {
                *balance.entry(base).or_default() -= 1;
                doubtful.insert(base);
            }
        }
        Ok(())
    }
}

fn write_section(
    view: View<'_>,
    batch: &mut Batch,
    key: SectionKey,
    section: &NewSection,
) -> Result<Stored, StoreError> {
    // Rows are bounded when the transaction is checked.
    let rows = u32::try_from(section.rows.len()).unwrap_or(u32::MAX);
    let own = by_stem(key, &section.rows);
    let (base, payload, index) = if let Some((base, overlay)) = overlay(view, key, section)? {
        let differing =
            overlay.names.iter().map(|stem| (stem.clone(), own.get(stem).cloned().unwrap_or_default()));
        (Some(base), overlay.encode_to_vec(), differing.collect())
    } else if let Some(payload) = &section.payload {
        (None, payload.clone(), own)
    } else {
        let payload = rows::compress(&section.rows)
            .map_err(|_| StoreError::Invalid { what: "a section", why: "it cannot be compressed" })?;
        (None, payload, own)
    };
    for (stem, rows) in index {
        value::put_new(batch, keys::software(&stem, key.digest()), &rows::encode(&rows));
    }
    let record = SectionRecord { rows, base: base.map(|it| it.digest().to_vec()).unwrap_or_default() };
    value::put_new(batch, key.key(Table::Section), &record.encode_to_vec());
    value::put_new(batch, key.key(Table::Payload), &payload);
    Ok(Stored { rows, base })
}

/// The section as a difference to what the asset held, or to what that one lies on.
fn overlay(
    view: View<'_>,
    key: SectionKey,
    section: &NewSection,
) -> Result<Option<(SectionKey, OverlayRecord)>, StoreError> {
    let Some(hint) = section.base.map(|digest| key.sibling(digest)) else { return Ok(None) };
    let Some(stored) = view.catalog.section(hint) else { return Ok(None) };
    let base = stored.base.unwrap_or(hint);
    let Some(base_rows) = sections::load(view, base)? else { return Ok(None) };
    let Some((removed, added)) = rows::difference(&base_rows, &section.rows) else { return Ok(None) };

    let mut names = BTreeSet::new();
    for row in removed.iter().map(|&at| &base_rows[at]).chain(added.iter().map(|&at| &section.rows[at])) {
        names.extend(stem_of(key, row));
    }
    let overlay = OverlayRecord {
        removed: removed.iter().map(|&at| sha256(&base_rows[at]).to_vec()).collect(),
        added: added.iter().map(|&at| section.rows[at].clone()).collect(),
        names: names.into_iter().collect(),
    };
    Ok(Some((base, overlay)))
}

fn remove_section(view: View<'_>, batch: &mut Batch, key: SectionKey) -> Result<(), StoreError> {
    for (stem, _) in index_entries(view, key)? {
        value::delete(view.backend, batch, keys::software(&stem, key.digest()))?;
    }
    value::delete(view.backend, batch, key.key(Table::Payload))?;
    value::delete(view.backend, batch, key.key(Table::Section))
}

/// What the software index holds for a stored section: for an overlay, the names that differ from
/// its base, each with all rows of that name that the section has, which may be none.
pub(super) fn index_entries(view: View<'_>, key: SectionKey) -> Result<BTreeMap<Vec<u8>, Rows>, StoreError> {
    if key.kind() != SectionKind::Software {
        return Ok(BTreeMap::new());
    }
    let Some(rows) = sections::load(view, key)? else { return Ok(BTreeMap::new()) };
    let mut entries = by_stem(key, &rows);
    if view.catalog.section(key).is_some_and(|it| it.base.is_some()) {
        let at = key.key(Table::Payload);
        let overlay = read::<OverlayRecord>(view.backend, &at)?.unwrap_or_default();
        entries = overlay
            .names
            .into_iter()
            .map(|stem| (stem.clone(), entries.remove(&stem).unwrap_or_default()))
            .collect();
    }
    Ok(entries)
}

fn by_stem(key: SectionKey, rows: &[Vec<u8>]) -> BTreeMap<Vec<u8>, Rows> {
    let mut stems: BTreeMap<Vec<u8>, Rows> = BTreeMap::new();
    for row in rows {
        if let Some(stem) = stem_of(key, row) {
            stems.entry(stem).or_default().push(row.clone());
        }
    }
    stems
}

/// The index stem of a software row. A row that cannot be read is kept and found by no name.
fn stem_of(key: SectionKey, row: &[u8]) -> Option<Vec<u8>> {
    if key.kind() != SectionKind::Software {
        return None;
    }
    SoftwareRow::decode(row).ok().map(|row| keys::stem(&row.name))
}
