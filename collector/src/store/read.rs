//! Reading the store. Every call sees whole transactions; between two calls others may happen.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use holdpoint_proto::store::{
    AssetRecord, AuditRecord, DecisionRecord, DocumentRecord, EventRecord, MapRuleRecord, OperatorRecord,
    SeenRecord, SnapshotRecord, TokenRecord,
};
use prost::Message;

use super::backend::BackendError;
use super::error::StoreError;
use super::keys::{self, Digest, SectionKey, Table, Volume};
use super::plan::{View, read};
use super::rows::{self, Rows};
use super::software::{self, NamePattern, SoftwareHit, SoftwarePage};
use super::{Store, document, sections, value};

/// Most records that one call brings.
const MAX_PAGE: usize = 1000;

/// A page of a volume: its key and its bytes.
pub type Page = (Vec<u8>, Vec<u8>);

impl Store {
    fn with<T>(&self, work: impl FnOnce(View<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let shared = &self.inner.shared;
        let core = shared.read();
        work(core.view(&shared.cache)?).map_err(|error| {
            // The writer notices the same within a moment and opens the engine again.
            if matches!(
                error,
                StoreError::Full | StoreError::Engine { source: BackendError::Poisoned { .. }, .. }
            ) {
                shared.suspect.store(true, Ordering::Relaxed);
                StoreError::Unavailable { why: "the engine has stopped and is being opened again" }
            } else {
                error
            }
        })
    }

    fn record<M: Message + Default>(&self, key: &[u8]) -> Result<Option<M>, StoreError> {
        self.with(|view| read(view.backend, key))
    }

    /// Records whose keys start with `prefix` and are greater than `after`, at most `max`.
    fn records<M: Message + Default>(
        &self,
        prefix: &[u8],
        after: Option<Vec<u8>>,
        max: usize,
    ) -> Result<Vec<(Vec<u8>, M)>, StoreError> {
        self.with(|view| {
            let (mut found, mut after) = (Vec::new(), after);
            while found.len() < max {
                let page = value::page(view.backend, prefix, after.as_deref(), max - found.len())?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                for (key, content) in page {
                    let record = value::decode(&key, &content)?;
                    found.push((key, record));
                }
            }
            Ok(found)
        })
    }

    fn all<M: Message + Default>(&self, table: Table) -> Result<Vec<M>, StoreError> {
        Ok(self.records(&table.prefix(), None, usize::MAX)?.into_iter().map(|(_, record)| record).collect())
    }

    /// An asset; `None` when there is none of that id.
    pub fn asset(&self, id: &str) -> Result<Option<AssetRecord>, StoreError> {
        self.record(&Table::Asset.key(id.as_bytes()))
    }

    /// Assets whose ids come after `after`, sorted by id; at most `max`, at most 1,000. An empty
    /// answer is the end.
    pub fn assets(&self, after: Option<&str>, max: usize) -> Result<Vec<AssetRecord>, StoreError> {
        let after = after.map(|id| Table::Asset.key(id.as_bytes()));
        let found = self.records(&Table::Asset.prefix(), after, max.min(MAX_PAGE))?;
        Ok(found.into_iter().map(|(_, asset)| asset).collect())
    }

    /// When an asset was last heard of; `None` when never.
    pub fn seen(&self, id: &str) -> Option<SeenRecord> {
        self.inner.shared.seen().get(id)
    }

    /// Notes that an asset was heard of: at once for readers, on disk within two seconds. Says
    /// whether there is such an asset.
    pub fn touch(&self, id: &str, seen: SeenRecord) -> bool {
        // The lock is held on, so that a deletion cannot come in between.
        let core = self.inner.shared.read();
        let known = core.catalog.asset(id).is_some();
        if known {
            self.inner.shared.seen().put(id, seen);
        }
        known
    }

    /// Whether the rows of a section are in the store.
    pub fn has_section(&self, key: SectionKey) -> bool {
        self.inner.shared.read().catalog.section(key).is_some()
    }

    /// The rows of a section, verified against the digest; `None` when they are not in the store.
    pub fn section(&self, key: SectionKey) -> Result<Option<Arc<Rows>>, StoreError> {
        self.with(|view| sections::load(view, key))
    }

    /// The rows of a section as zstd over the length-prefixed rows, to be sent on or unpacked by
    /// the caller; `None` when they are not in the store. Not verified when they are stored so.
    pub fn section_payload(&self, key: SectionKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|view| match view.catalog.section(key) {
            None => Ok(None),
            Some(stored) if stored.base.is_none() => value::get(view.backend, &key.key(Table::Payload)),
            Some(_) => {
                let rows = sections::load(view, key)?;
                let failed = || value::corrupt(&key.key(Table::Payload), "the rows cannot be packed");
                rows.map(|rows| rows::compress(&rows).map_err(|_| failed())).transpose()
            }
        })
    }

    /// Every section with a program of exactly that name.
    pub fn software_named(&self, name: &str) -> Result<Vec<SoftwareHit>, StoreError> {
        self.with(|view| software::named(view.backend, view.catalog, name))
    }

    /// Sections with programs whose names match, from `after` (a page's `next`) on. Stops after
    /// the name with which `max` sections are reached.
    pub fn software_matching(
        &self,
        pattern: &NamePattern,
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<SoftwarePage, StoreError> {
        self.with(|view| software::matching(view.backend, view.catalog, pattern, after, max))
    }

    /// Every operator, by name.
    pub fn operators(&self) -> Result<Vec<OperatorRecord>, StoreError> {
        self.all(Table::Operator)
    }

    /// An operator; `None` when there is none of that name.
    pub fn operator(&self, name: &str) -> Result<Option<OperatorRecord>, StoreError> {
        self.record(&Table::Operator.key(name.as_bytes()))
    }

    /// The token with that SHA-256 of its secret; `None` when there is none.
    pub fn token(&self, secret_digest: &Digest) -> Result<Option<TokenRecord>, StoreError> {
        self.record(&Table::Token.key(secret_digest))
    }

    /// Every token.
    pub fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        self.all(Table::Token)
    }

    /// Events of an asset or of the zone with their numbers, newest first, before the event
    /// `before`; at most `max`, at most 1,000. An empty answer is the end.
    pub fn events(
        &self,
        asset: Option<&str>,
        before: Option<u64>,
        max: usize,
    ) -> Result<Vec<(u64, EventRecord)>, StoreError> {
        let max = max.min(MAX_PAGE);
        let number =
            |key: &[u8]| keys::event_number(key).ok_or_else(|| value::corrupt(key, "it has no number"));
        let Some(asset) = asset else {
            let found = self.records(&Table::Event.prefix(), before.map(keys::event), max)?;
            return found.into_iter().map(|(key, event)| Ok((number(&key)?, event))).collect();
        };
        self.with(|view| {
            let prefix = keys::events_of(asset);
            let mut after = before.map(|it| keys::event_by_asset(asset, it));
            let mut found = Vec::new();
            while found.len() < max {
                let page = value::page(view.backend, &prefix, after.as_deref(), max - found.len())?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                for (key, _) in &page {
                    let number = number(key)?;
                    found.extend(read(view.backend, &keys::event(number))?.map(|event| (number, event)));
                }
            }
            Ok(found)
        })
    }

    /// Entries of the audit log from number `from` on; at most `max`, at most 1,000. An empty
    /// answer is the end.
    pub fn audit(&self, from: u64, max: usize) -> Result<Vec<AuditRecord>, StoreError> {
        let after = from.checked_sub(1).map(keys::audit);
        let found = self.records(&Table::Audit.prefix(), after, max.min(MAX_PAGE))?;
        Ok(found.into_iter().map(|(_, entry)| entry).collect())
    }

    /// As [`Store::audit`], each with the number that it is kept under, whatever number it says itself.
    pub fn audit_numbered(&self, from: u64, max: usize) -> Result<Vec<(u64, AuditRecord)>, StoreError> {
        let after = from.checked_sub(1).map(keys::audit);
        let found = self.records(&Table::Audit.prefix(), after, max.min(MAX_PAGE))?;
        Ok(found.into_iter().filter_map(|(key, entry)| Some((keys::audit_number(&key)?, entry))).collect())
    }

    /// The number that the next entry of the audit log must have; the first is 1.
    pub fn next_audit(&self) -> u64 {
        self.inner.shared.read().catalog.record.next_audit
    }

    /// The last entry of the audit log; `None` before the first.
    pub fn last_audit(&self) -> Result<Option<AuditRecord>, StoreError> {
        self.with(|view| read(view.backend, &keys::audit(view.catalog.record.next_audit.saturating_sub(1))))
    }

    /// Every imported document, without its bytes.
    pub fn documents(&self) -> Result<Vec<DocumentRecord>, StoreError> {
        self.all(Table::Document)
    }

    /// The bytes of a document as they were imported; `None` when there is none.
    pub fn document_bytes(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let key = Table::DocumentBytes.key(digest);
        let Some(stored) = self.with(|view| value::get(view.backend, &key))? else { return Ok(None) };
        let bytes = document::unpacked(stored, digest);
        bytes.map(Some).ok_or_else(|| value::corrupt(&key, "the bytes have another digest"))
    }

    /// Every rule of the product map.
    pub fn map_rules(&self) -> Result<Vec<MapRuleRecord>, StoreError> {
        self.all(Table::MapRule)
    }

    /// Everything that people decided, in order.
    pub fn decisions(&self) -> Result<Vec<DecisionRecord>, StoreError> {
        self.all(Table::Decision)
    }

    /// What a report said in answer to a question; `None` when there is no such answer.
    pub fn snapshot(&self, nonce: &[u8]) -> Result<Option<SnapshotRecord>, StoreError> {
        self.record(&Table::Snapshot.key(nonce))
    }

    /// The bytes under a name; `None` when there are none.
    pub fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|view| value::get(view.backend, &Table::Setting.key(name.as_bytes())))
    }
    /// A page of a volume; `None` when there is none.
    pub fn page(&self, volume: Volume, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|view| value::get(view.backend, &volume.table().key(key)))
    }

    /// Every page whose key starts with `prefix`, in order of the keys. The keys are whole.
    pub fn pages(&self, volume: Volume, prefix: &[u8]) -> Result<Vec<Page>, StoreError> {
        let prefix = volume.table().key(prefix);
        self.with(|view| {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = value::page(view.backend, &prefix, after.as_deref(), MAX_PAGE)?;
                let Some((last, _)) = page.last() else { return Ok(found) };
                after = Some(last.clone());
                let own =
                    |(key, bytes): (Vec<u8>, Vec<u8>)| (key.get(1..).unwrap_or_default().to_vec(), bytes);
                found.extend(page.into_iter().map(own));
            }
        })
    }
}
