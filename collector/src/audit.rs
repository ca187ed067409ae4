//! The zone's audit log: who did what, hash-chained and signed.
//!
//! An entry is written in the same transaction as the action that it tells of, so neither
//! exists without the other. The chain is over the encoded entries; each chain value is signed
//! with the collector's audit key (Ed25519, `audit.key` in the data directory). What the log
//! cannot show by itself is that its newest entries were cut off: note the head elsewhere.
//! `verify` walks the log and names what is wrong.

mod verify;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::proto::store::audit_entry::Detail;
use holdpoint_common::proto::store::{AuditEntry, AuditRecord};
use prost::Message;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::store::{Store, StoreError, Txn};
use crate::zone::amend;

pub use verify::{MAX_FAULTS, Verification, Verifier};

/// The value that the first entry is chained to.
pub(crate) const START: [u8; 32] = [0; 32];
/// Entries that are read at once.
const PAGE: usize = 512;
/// The key's file in the data directory.
const KEY_FILE: &str = "audit.key";

/// Reads every entry, in order: states are folded from them. What cannot be read is left out; [`Audit::verify`] tells
/// of it.
///
/// # Errors
/// The store refuses.
pub(crate) fn each(store: &Store, mut take: impl FnMut(AuditEntry)) -> Result<(), StoreError> {
    let mut next = 1;
    loop {
        let page = store.audit(next, PAGE)?;
        if page.is_empty() {
            return Ok(());
        }
        page.iter().filter_map(|it| AuditEntry::decode(it.entry.as_slice()).ok()).for_each(&mut take);
        next += u64::try_from(page.len()).unwrap_or(u64::MAX);
    }
}

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// SPIFFE identity, or `local` for the collector's own account.
    pub by: String,
    /// What was done, as a past participle: `asset-retired`.
    pub action: &'static str,
    /// What it was done to.
    pub subject: String,
    /// Details and the reason that was given.
    pub text: String,
    /// What a state is folded from.
    pub detail: Option<Detail>,
}

/// The key that signs the chain.
pub struct AuditKey(Ed25519KeyPair);

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditKey")
    }
}

/// The audit log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The key's file cannot be read or written.
    #[error("cannot use the audit key {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file holds no Ed25519 key.
    #[error("the audit key {} is damaged; restore it from a backup", .0.display())]
    Damaged(PathBuf),
    /// There are entries and no key that could have signed them.
    #[error("the audit key {} is missing although the log has entries; restore it from a backup", .0.display())]
    Missing(PathBuf),
    /// The key could not be made.
    #[error("cannot make an audit key")]
    Generate,
    /// The newest entry cannot be read.
    #[error("cannot read the audit log")]
    Read(#[from] StoreError),
}

impl AuditKey {
    /// Reads the key; makes one when there is none and `may_create`.
    ///
    /// # Errors
    /// The file is unreadable or damaged, or missing when it must not be.
    pub fn open(dir: &Path, may_create: bool) -> Result<Self, AuditError> {
        let path = dir.join(KEY_FILE);
        match fs::read(&path) {
            Ok(bytes) => Ed25519KeyPair::from_pkcs8(&bytes).map(Self).map_err(|_| AuditError::Damaged(path)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && may_create => {
                let pair = Ed25519KeyPair::generate().map_err(|_| AuditError::Generate)?;
                let bytes = pair.to_pkcs8().map_err(|_| AuditError::Generate)?;
                atomic_file::replace(&path, bytes.as_ref(), Readable::Owner)
                    .map_err(|source| AuditError::File { path, source })?;
                Ok(Self(pair))
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Err(AuditError::Missing(path)),
            Err(source) => Err(AuditError::File { path, source }),
        }
    }

    /// The public key that evidence is checked with, 32 bytes.
    pub fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// Signs a statement. It begins with what it is for, and so is never a chain value.
    pub(crate) fn sign(&self, statement: &[u8]) -> Vec<u8> {
        self.0.sign(statement).as_ref().to_vec()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    /// Number of the next entry; the first is 1.
    next: u64,
    chain: [u8; 32],
}

/// The log's writing end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Audit {
    key: Arc<AuditKey>,
    /// `None` after a commit whose outcome is not known: the next writer reads the store.
    head: Arc<Mutex<Option<Head>>>,
    store: Store,
}

impl Audit {
    /// Opens the log of a store; its key is in `dir`.
    ///
    /// # Errors
    /// The key or the newest entry cannot be read.
    pub fn open(dir: &Path, store: Store) -> Result<Self, AuditError> {
        let head = head_of(&store)?;
        let key = AuditKey::open(dir, head.next == 1)?;
        Ok(Self { key: Arc::new(key), head: Arc::new(Mutex::new(Some(head))), store })
    }

    /// Waits for a turn at the chain. Entries are appended through it and count once it is told
    /// that their transaction is durable.
    ///
    /// # Errors
    /// The newest entry cannot be read.
    pub(crate) async fn turn(&self) -> Result<Turn, StoreError> {
        let mut guard = Arc::clone(&self.head).lock_owned().await;
        let head = match *guard {
            Some(head) => head,
            None => head_of(&self.store)?,
        };
        // Unless this turn ends with `durable`, nobody may trust what is remembered.
        *guard = None;
        Ok(Turn { key: Arc::clone(&self.key), head, guard })
    }

    /// The key that signs the chain.
    pub fn key(&self) -> &AuditKey {
        &self.key
    }

    /// Walks the whole log. Entries that are written meanwhile are left to the next time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn verify(&self) -> Result<Verification, StoreError> {
        let counted = self.store.next_audit();
        let mut verifier = Verifier::new(self.key.public());
        let mut next = 1;
        loop {
            let page = self.store.audit_numbered(next, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            next = last.saturating_add(1);
            for (_, record) in page.iter().take_while(|(number, _)| *number < counted) {
                verifier.check(record);
            }
            if next >= counted {
                break;
            }
        }
        Ok(verifier.finish(Some(counted)))
    }
}

/// One writer's turn at the chain.
pub(crate) struct Turn {
    key: Arc<AuditKey>,
    head: Head,
    guard: OwnedMutexGuard<Option<Head>>,
}

impl Turn {
    /// Adds an entry to a transaction.
    pub(crate) fn append(&mut self, txn: &mut Txn, act: Act, now_ms: i64) -> u64 {
        let Act { by, action, subject, text, detail } = act;
        let number = self.head.next;
        let entry =
            AuditEntry { number, at_ms: now_ms, by, action: action.to_owned(), subject, text, detail }
                .encode_to_vec();
        let chain = link(&self.head.chain, &entry);
        let signature = self.key.sign(&chain);
        self.head = Head { next: number + 1, chain };
        let record = AuditRecord { entry, chain: chain.to_vec(), signature };
        amend(txn, |it| it.append_audit(record));
        number
    }

    /// The transaction is on disk.
    pub(crate) fn durable(mut self) {
        *self.guard = Some(self.head);
    }
}

fn head_of(store: &Store) -> Result<Head, StoreError> {
    let next = store.next_audit();
    let last = store.last_audit()?;
    let chain = last.and_then(|it| it.chain.try_into().ok()).unwrap_or(START);
    Ok(Head { next, chain })
}

/// The chain value of an entry.
pub(crate) fn link(before: &[u8; 32], entry: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(before);
    context.update(entry);
    let mut chain = START;
    chain.copy_from_slice(context.finish().as_ref());
    chain
}

/// Whether the audit key of `public` signed a statement.
pub(crate) fn is_signed(public: &[u8], statement: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(statement, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_damaged_key_is_never_replaced_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(AuditKey::open(dir.path(), false), Err(AuditError::Missing(_))));
        fs::write(dir.path().join(KEY_FILE), b"no key").unwrap();
        assert!(matches!(AuditKey::open(dir.path(), true), Err(AuditError::Damaged(_))));
    }

    #[test]
    fn the_key_stays_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let key = AuditKey::open(dir.path(), true).unwrap();
        let again = AuditKey::open(dir.path(), false).unwrap();
        assert_eq!(key.public(), again.public());
    }
}
