//! The entries of one change out of the audit log, so that each link and signature can be computed again.
//!
//! ```text
//! magic (8) | number of the first record (u64) | records (u32)
//! record of somebody else's entry   0 | chain value (32) | signature (64)
//! record of the change's own entry  1 | chain value (32) | signature (64) | length (u32) | entry
//! ```
//! Numbers are little endian. The first record is the one before the change's first entry (or that entry itself, when
//! it is the log's first), the last one is the change's last. What others did is not in it: of their entries only the
//! signed chain values, which show that nothing was put between them.

use holdpoint_common::proto::store::audit_entry::Detail;
use holdpoint_common::proto::store::{AuditEntry, AuditRecord, ChangeEntry};
use prost::Message;

use crate::audit::{START, is_signed, link};
use crate::store::{Store, StoreError};

const MAGIC: [u8; 8] = *b"\x89HPL\r\n\x1a\n";
/// Most records: own entries and those of others between them.
pub const MAX_RECORDS: usize = 1_000_000;
/// Largest entry, in bytes.
pub const MAX_ENTRY: usize = 4 * 1024 * 1024;
/// Entries that are read from the store at once.
const PAGE: usize = 512;

/// Entries of a change in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// Number of the first record in the log.
    pub first: u64,
    /// In the order of the log.
    pub records: Vec<Record>,
}

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The chain value.
    pub chain: [u8; 32],
    /// Over the chain value.
    pub signature: [u8; 64],
    /// Encoded `AuditEntry`; `None` for what is not of this change.
    pub entry: Option<Vec<u8>>,
}

/// An entry of the change.
#[derive(Debug, Clone, PartialEq)]
pub struct Own {
    /// As the audit log has it.
    pub audit: AuditEntry,
    /// What is in it.
    pub change: ChangeEntry,
}

/// Why bytes are no excerpt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExcerpt {
    /// Begins otherwise.
    #[error("audit.bin is no part of an audit log")]
    OtherKind,
    /// Ends inside a record, or after the last one comes more.
    #[error("audit.bin is cut off, or has something behind its end")]
    Cut,
    /// Over a limit.
    #[error("audit.bin has more than {MAX_RECORDS} records, or an entry of more than {MAX_ENTRY} bytes")]
    TooLarge,
    /// A mark that no record has.
    #[error("audit.bin has a record of an unknown kind")]
    Record,
}

/// Puts an excerpt together from the records of a log, one after the other.
#[derive(Debug)]
pub struct Gathering<'a> {
    change: &'a str,
    before: Option<(u64, Record)>,
    excerpt: Option<Excerpt>,
    /// Records up to the change's last entry.
    length: usize,
}

impl<'a> Gathering<'a> {
    /// Nothing yet.
    pub fn of(change: &'a str) -> Self {
        Self { change, before: None, excerpt: None, length: 0 }
    }

    /// Takes the next record of the log. `None` when it is none that a log has: a chain value or signature of
    /// another length.
    pub fn take(&mut self, number: u64, record: AuditRecord) -> Option<()> {
        let AuditRecord { entry, chain, signature } = record;
        let is_own = own(&entry).is_some_and(|it| it.change.change == self.change);
        let record = Record {
            chain: chain.try_into().ok()?,
            signature: signature.try_into().ok()?,
            entry: is_own.then_some(entry),
        };
        match (&mut self.excerpt, is_own) {
            (None, false) => self.before = Some((number, record)),
            (None, true) => {
                let before = self.before.take();
                let first = before.as_ref().map_or(number, |it| it.0);
                let records: Vec<Record> = before.map(|it| it.1).into_iter().chain([record]).collect();
                self.length = records.len();
                self.excerpt = Some(Excerpt { first, records });
            }
            (Some(excerpt), _) => {
                excerpt.records.push(record);
                if is_own {
                    self.length = excerpt.records.len();
                }
            }
        }
        Some(())
    }

    /// What was gathered; `None` when the change has no entry.
    pub fn finish(self) -> Option<Excerpt> {
        let mut excerpt = self.excerpt?;
        excerpt.records.truncate(self.length);
        Some(excerpt)
    }
}

impl Excerpt {
    /// The entries of a change in the log; `None` when there are none, or one of them is damaged. `from` is the number
    /// of its first entry, or any before that.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn gather(store: &Store, change: &str, from: u64) -> Result<Option<Self>, StoreError> {
        let mut gathering = Gathering::of(change);
        let mut next = from.saturating_sub(1).max(1);
        loop {
            let page = store.audit_numbered(next, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(gathering.finish()) };
            next = last.saturating_add(1);
            for (number, record) in page {
                if gathering.take(number, record).is_none() {
                    return Ok(None);
                }
            }
        }
    }

    /// The bytes of audit.bin.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(self.records.len()).unwrap_or(u32::MAX).to_le_bytes());
        for Record { chain, signature, entry } in &self.records {
            bytes.push(u8::from(entry.is_some()));
            bytes.extend_from_slice(chain);
            bytes.extend_from_slice(signature);
            if let Some(entry) = entry {
                bytes.extend_from_slice(&u32::try_from(entry.len()).unwrap_or(u32::MAX).to_le_bytes());
                bytes.extend_from_slice(entry);
            }
        }
        bytes
    }

    /// Reads audit.bin.
    ///
    /// # Errors
    /// It is none, over a limit or not whole.
    pub fn read(bytes: &[u8]) -> Result<Self, InvalidExcerpt> {
        let mut rest = bytes.strip_prefix(&MAGIC).ok_or(InvalidExcerpt::OtherKind)?;
        let first = u64::from_le_bytes(taken(&mut rest)?);
        let count = length(&mut rest)?;
        if count > MAX_RECORDS {
            return Err(InvalidExcerpt::TooLarge);
        }
        let mut records = Vec::new();
        for _ in 0..count {
            let [kind] = taken(&mut rest)?;
            let (chain, signature) = (taken(&mut rest)?, taken(&mut rest)?);
            let entry = match kind {
                0 => None,
                1 => {
                    let length = length(&mut rest)?;
                    if length > MAX_ENTRY {
                        return Err(InvalidExcerpt::TooLarge);
                    }
                    let (entry, tail) = rest.split_at_checked(length).ok_or(InvalidExcerpt::Cut)?;
                    rest = tail;
                    Some(entry.to_vec())
                }
                _ => return Err(InvalidExcerpt::Record),
            };
            records.push(Record { chain, signature, entry });
        }
        if rest.is_empty() { Ok(Self { first, records }) } else { Err(InvalidExcerpt::Cut) }
    }

    /// Computes each link and each signature again. The change's own entries, in order.
    ///
    /// # Errors
    /// The first that is wrong, as one sentence.
    pub fn verified(&self, change: &str, public: &[u8; 32]) -> Result<Vec<Own>, String> {
        let mut before = (self.first == 1).then_some(START);
        let mut entries: Vec<Own> = Vec::new();
        for (number, record) in (self.first..).zip(&self.records) {
            let Record { chain, signature, entry } = record;
            if !is_signed(public, chain, signature) {
                return Err(format!("entry {number} of the audit log is not signed by the audit key"));
            }
            if let Some(entry) = entry {
                let before = before.ok_or("audit.bin does not say what its first entry follows")?;
                if link(&before, entry) != *chain {
                    return Err(format!(
                        "entry {number} of the audit log is not what was chained and signed"
                    ));
                }
                let own = own(entry)
                    .filter(|it| it.audit.number == number && it.change.change == change)
                    .ok_or_else(|| {
                        format!("entry {number} of the audit log is no entry {number} of the change")
                    })?;
                let revision = entries.last().map_or(1, |it| it.change.revision.saturating_add(1));
                if own.change.revision != revision {
                    return Err(format!(
                        "entry {number} of the audit log is entry {} of the change, where entry {revision} belongs: \
                         one is missing",
                        own.change.revision
                    ));
                }
                entries.push(own);
            }
            before = Some(*chain);
        }
        let ends = self.records.last().is_some_and(|it| it.entry.is_some());
        let begins = self.records.iter().take(2).any(|it| it.entry.is_some());
        if ends && begins {
            Ok(entries)
        } else {
            Err("audit.bin holds more than the change's entries need".into())
        }
    }
}

/// An entry of a change, whichever it is.
fn own(entry: &[u8]) -> Option<Own> {
    let audit = AuditEntry::decode(entry).ok()?;
    let Some(Detail::Change(bytes)) = &audit.detail else { return None };
    let change = ChangeEntry::decode(bytes.as_slice()).ok()?;
    Some(Own { audit, change })
}

fn taken<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], InvalidExcerpt> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(InvalidExcerpt::Cut)?;
    *rest = tail;
    Ok(*head)
}

fn length(rest: &mut &[u8]) -> Result<usize, InvalidExcerpt> {
    Ok(usize::try_from(u32::from_le_bytes(taken(rest)?)).unwrap_or(usize::MAX))
}
