//! How packs lie in the store: one page for each signer and pack, and the contents of those that wait.
//!
//! ```text
//! s KEY              who is trusted           p DIGEST           a pack
//! h DIGEST           its head, as it came     m DIGEST NUMBER    a member, as it came
//! ```
//! Contents go when a pack is decided; its page stays for a while, so that who brings it again is told.

use holdpoint_common::bundle::{Algorithm, KeyId, PublicKey};
use holdpoint_common::pack::{self, Head, InvalidPack, Manifest};
use holdpoint_common::proto::store::pack_page::State;
use holdpoint_common::proto::store::{PackPage, PackSignerPage};
use holdpoint_common::section::Digest;
use prost::Message;
use tokio::sync::{Mutex, MutexGuard};

use crate::store::{Store, StoreError, Txn, Volume};

const SIGNER: u8 = b's';
const PACK: u8 = b'p';
const HEAD: u8 = b'h';
const MEMBER: u8 = b'm';

/// What is kept of packs cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A page that a newer collector wrote, or that is damaged in a way that no hash shows.
    #[error("the page of {0} cannot be read: a newer collector wrote it")]
    Page(&'static str),
    /// Contents that are not those that came.
    #[error("the contents of a pack that waits are not what was signed: reject it and bring it again")]
    Contents(#[from] InvalidPack),
}

/// Somebody whose packs are taken, or were.
#[derive(Debug, Clone, PartialEq)]
pub struct Signer {
    /// The key.
    pub key: PublicKey,
    /// What is kept.
    pub page: PackSignerPage,
}

impl Signer {
    /// The name of the key.
    pub fn id(&self) -> KeyId {
        self.key.id()
    }

    /// Whether its packs are taken.
    pub fn is_trusted(&self) -> bool {
        self.page.distrusted_ms.is_none()
    }
}

/// A pack.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What it is known by.
    pub digest: Digest,
    /// What is kept.
    pub page: PackPage,
}

impl Record {
    /// Where it stands.
    pub fn state(&self) -> State {
        self.page.state()
    }

    /// Whether its contents are here.
    pub fn is_open(&self) -> bool {
        matches!(self.state(), State::Waiting | State::Releasing)
    }

    /// The name of its signer's key; `None` for a damaged page.
    pub fn signer(&self) -> Option<KeyId> {
        <[u8; 32]>::try_from(self.page.signer.as_slice()).ok().map(KeyId::from)
    }

    /// What people call it.
    pub fn id(&self) -> String {
        self.signer().map_or_else(|| self.digest.to_string(), |it| pack::id(&it, self.page.serial))
    }

    /// Whether that key signed it.
    pub fn is_of(&self, signer: &KeyId) -> bool {
        self.page.signer == signer.as_bytes()
    }
}

/// What a pack that waits holds, member by member.
#[derive(Debug)]
pub struct Contents {
    /// Its manifest, whose signature was checked again.
    pub manifest: Manifest,
    /// Whose signature that is.
    pub key: PublicKey,
    store: Store,
    digest: Digest,
}

impl Contents {
    /// The bytes of a member, checked again. Blocks.
    ///
    /// # Errors
    /// The store refuses, or they are others.
    pub fn member(&self, number: usize) -> Result<Vec<u8>, QuarantineError> {
        let listed = self.manifest.members.get(number).ok_or(QuarantineError::Page("a member"))?;
        let bytes = self.store.page(Volume::Packs, &member_key(&self.digest, number))?;
        let bytes = bytes.ok_or(QuarantineError::Page("a member"))?;
        listed.check(&bytes)?;
        Ok(bytes)
    }
}

/// The packs of a zone. Every read is of the store; it blocks.
#[derive(Debug)]
pub struct Quarantine {
    store: Store,
    turn: Mutex<()>,
}

impl Quarantine {
    /// The packs in a store.
    pub fn new(store: Store) -> Self {
        Self { store, turn: Mutex::default() }
    }

    /// One change at a time: to be held from looking until the change is durable.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Every signer, in order of the keys.
    ///
    /// # Errors
    /// The store refuses, or a page is none.
    pub fn signers(&self) -> Result<Vec<Signer>, QuarantineError> {
        let pages = self.store.pages(Volume::Packs, &[SIGNER])?;
        pages.into_iter().map(|(_, bytes)| read_signer(&bytes)).collect()
    }

    /// One signer.
    ///
    /// # Errors
    /// As [`Quarantine::signers`].
    pub fn signer(&self, key: &KeyId) -> Result<Option<Signer>, QuarantineError> {
        let page = self.store.page(Volume::Packs, &signer_key(key))?;
        page.map(|it| read_signer(&it)).transpose()
    }

    /// Every pack, those that have only arrived included, newest first.
    ///
    /// # Errors
    /// As [`Quarantine::signers`].
    pub fn packs(&self) -> Result<Vec<Record>, QuarantineError> {
        let pages = self.store.pages(Volume::Packs, &[PACK])?;
        let mut found =
            pages.into_iter().map(|(key, bytes)| read_pack(&key, &bytes)).collect::<Result<Vec<_>, _>>()?;
        found.sort_by_key(|it| (std::cmp::Reverse(it.page.brought_ms), it.digest));
        Ok(found)
    }

    /// What a pack that waits holds.
    ///
    /// # Errors
    /// The store refuses, or it is not what was signed.
    pub fn contents(&self, digest: &Digest) -> Result<Contents, QuarantineError> {
        let head =
            self.store.page(Volume::Packs, &key(HEAD, digest))?.ok_or(QuarantineError::Page("a pack"))?;
        let (head, _) = Head::read(&head)?;
        let (manifest, signed) = head.open()?;
        if signed != *digest {
            return Err(QuarantineError::Contents(InvalidPack::Signature));
        }
        Ok(Contents { manifest, key: head.key().clone(), store: self.store.clone(), digest: *digest })
    }
}

/// Adds what is kept of a signer.
pub fn put_signer(txn: Txn, signer: &Signer) -> Txn {
    txn.put_page(Volume::Packs, signer_key(&signer.id()), signer.page.encode_to_vec())
}

/// Adds what is kept of a pack.
pub fn put_pack(txn: Txn, record: &Record) -> Txn {
    txn.put_page(Volume::Packs, key(PACK, &record.digest), record.page.encode_to_vec())
}

/// Removes what is kept of a pack.
pub fn delete_pack(txn: Txn, digest: &Digest) -> Txn {
    txn.delete_page(Volume::Packs, key(PACK, digest))
}

/// Adds the head of a pack.
pub fn put_head(txn: Txn, digest: &Digest, head: &[u8]) -> Txn {
    txn.put_page(Volume::Packs, key(HEAD, digest), head)
}

/// Adds a member.
pub fn put_member(txn: Txn, digest: &Digest, number: usize, bytes: &[u8]) -> Txn {
    txn.put_page(Volume::Packs, member_key(digest, number), bytes)
}

/// Removes the head and every member.
pub fn delete_contents(txn: Txn, record: &Record) -> Txn {
    let files = usize::try_from(record.page.files).unwrap_or_default();
    (0..files).fold(txn.delete_page(Volume::Packs, key(HEAD, &record.digest)), |txn, number| {
        txn.delete_page(Volume::Packs, member_key(&record.digest, number))
    })
}

fn signer_key(id: &KeyId) -> Vec<u8> {
    [&[SIGNER][..], id.as_bytes()].concat()
}

fn key(kind: u8, digest: &Digest) -> Vec<u8> {
    [&[kind][..], digest.as_bytes()].concat()
}

fn member_key(digest: &Digest, number: usize) -> Vec<u8> {
    let number = u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    [&key(MEMBER, digest)[..], &number].concat()
}

fn read_signer(bytes: &[u8]) -> Result<Signer, QuarantineError> {
    let unreadable = || QuarantineError::Page("a signer");
    let page = PackSignerPage::decode(bytes).map_err(|_| unreadable())?;
    let algorithm = match page.algorithm {
        1 => Algorithm::Ed25519,
        2 => Algorithm::Es256,
        _ => return Err(unreadable()),
    };
    Ok(Signer { key: PublicKey::new(algorithm, &page.key).map_err(|_| unreadable())?, page })
}

fn read_pack(key: &[u8], bytes: &[u8]) -> Result<Record, QuarantineError> {
    let digest = key.get(1..).and_then(|it| Digest::try_from(it).ok());
    let page = PackPage::decode(bytes).ok();
    let (digest, page) = digest.zip(page).ok_or(QuarantineError::Page("a pack"))?;
    Ok(Record { digest, page })
}

/// What is kept of a key's algorithm.
pub fn algorithm_number(key: &PublicKey) -> u32 {
    match key.algorithm() {
        Algorithm::Ed25519 => 1,
        Algorithm::Es256 => 2,
    }
}
