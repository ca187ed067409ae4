//! How the outbox lies in the store: one page for each record, piece of evidence and parcel, and one for the rest.
//!
//! Keys begin with a letter for the kind of page; a record's is followed by its class and its name. Values are
//! the messages of `proto/holdpoint/store/v1/outbox.proto`.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use holdpoint_common::bundle::{Before, ByClass, Class, Epoch, Key, Record};
use holdpoint_common::proto::store as pb;
use holdpoint_common::section::Digest;
use prost::Message;

use super::ledger::{self, Said};
use super::schedule::{Progress, Repeated};
use super::sequence::{Numbers, Skip, Witness};
use super::spool::{Item, Load, Parcel, Tally};
use crate::store::{Store, StoreError, Txn, Volume};

const SAID: u8 = b's';
const EVIDENCE: u8 = b'e';
const PARCEL: u8 = b'p';
const REST: &[u8] = b"r";

/// A page that cannot be read: a newer collector wrote it, or it is damaged in a way that no hash shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the page of {0} cannot be read: a newer collector wrote it")]
pub struct Unreadable(&'static str);

/// A record as it was said, with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidRecord {
    /// What the ledger keeps of it.
    pub said: Said,
    /// `None` when it is gone.
    pub content: Option<Vec<u8>>,
}

/// A piece of evidence with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// When it is repeated.
    pub repeated: Repeated,
    /// Its only revision.
    pub revision: NonZeroU64,
    /// What it says.
    pub content: Vec<u8>,
}

/// Everything that is not one record, piece or parcel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rest {
    /// How far the schedule is.
    pub progress: Progress,
    /// See [`ledger::Kept::floor`].
    pub floor: u64,
    /// What became of what was put into the spool.
    pub tally: Tally,
    /// A drop waits to be declared.
    pub undeclared: bool,
    /// `None` before the first bundle.
    pub numbers: Option<Numbers>,
    /// Entries of the audit log up to here were looked at for evidence.
    pub audited: u64,
}

/// Everything that is kept.
#[derive(Debug, Default)]
pub struct Kept {
    /// Each record.
    pub said: BTreeMap<Key, SaidRecord>,
    /// Each piece of evidence.
    pub evidence: BTreeMap<Key, Evidence>,
    /// Each parcel.
    pub parcels: BTreeMap<u64, Parcel>,
    /// The rest.
    pub rest: Rest,
}

/// Why the outbox cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A page.
    #[error(transparent)]
    Page(#[from] Unreadable),
}

/// Reads everything.
///
/// # Errors
/// The store cannot be read, or a page of it is none.
pub fn read(store: &Store) -> Result<Kept, PagesError> {
    let mut kept = Kept::default();
    for (key, bytes) in store.pages(Volume::Outbox, &[SAID])? {
        let said = pb::SaidPage::decode(bytes.as_slice()).ok().and_then(said_record);
        let (key, said) = record_key(&key).zip(said).ok_or(Unreadable("a record"))?;
        kept.said.insert(key, said);
    }
    for (key, bytes) in store.pages(Volume::Outbox, &[EVIDENCE])? {
        let piece = pb::EvidencePage::decode(bytes.as_slice()).ok().and_then(evidence);
        let (key, piece) = record_key(&key).zip(piece).ok_or(Unreadable("a piece of evidence"))?;
        kept.evidence.insert(key, piece);
    }
    for (key, bytes) in store.pages(Volume::Outbox, &[PARCEL])? {
        let number = key.get(1..).and_then(|it| it.try_into().ok()).map(u64::from_be_bytes);
        let parcel = pb::ParcelPage::decode(bytes.as_slice()).ok().and_then(parcel);
        let (number, parcel) = number.zip(parcel).ok_or(Unreadable("a parcel"))?;
        kept.parcels.insert(number, parcel);
    }
    if let Some(bytes) = store.page(Volume::Outbox, REST)? {
        let state = pb::OutboxState::decode(bytes.as_slice()).ok().and_then(rest);
        kept.rest = state.ok_or(Unreadable("the outbox's state"))?;
    }
    Ok(kept)
}

/// A record, or a piece of evidence, as it is kept now.
///
/// # Errors
/// The store cannot be read, or the page is none.
pub fn current(store: &Store, key: &Key) -> Result<Option<Record>, PagesError> {
    if let Some(bytes) = store.page(Volume::Outbox, &page_key(SAID, key))? {
        let said = pb::SaidPage::decode(bytes.as_slice()).ok().and_then(said_record);
        let said = said.ok_or(Unreadable("a record"))?;
        return Ok(Some(Record { key: key.clone(), revision: said.said.revision, content: said.content }));
    }
    let Some(bytes) = store.page(Volume::Outbox, &page_key(EVIDENCE, key))? else { return Ok(None) };
    let piece = pb::EvidencePage::decode(bytes.as_slice()).ok().and_then(evidence);
    let piece = piece.ok_or(Unreadable("a piece of evidence"))?;
    Ok(Some(Record { key: key.clone(), revision: piece.revision, content: Some(piece.content) }))
}

/// Writes a record.
pub fn put_said(txn: Txn, key: &Key, said: &Said, content: Option<&[u8]>) -> Txn {
    let page = pb::SaidPage {
        revision: said.revision.get(),
        content: content.map(<[u8]>::to_vec),
        interval: said.interval,
        slices: said.slices.into(),
    };
    txn.put_page(Volume::Outbox, page_key(SAID, key), page.encode_to_vec())
}

/// Forgets a record.
pub fn delete_said(txn: Txn, key: &Key) -> Txn {
    txn.delete_page(Volume::Outbox, page_key(SAID, key))
}

/// Writes a piece of evidence.
pub fn put_evidence(txn: Txn, key: &Key, piece: &Evidence) -> Txn {
    let page = pb::EvidencePage {
        revision: piece.revision.get(),
        content: piece.content.clone(),
        interval: piece.repeated.interval,
        said_ms: piece.repeated.said_ms,
    };
    txn.put_page(Volume::Outbox, page_key(EVIDENCE, key), page.encode_to_vec())
}

/// Forgets a piece of evidence.
pub fn delete_evidence(txn: Txn, key: &Key) -> Txn {
    txn.delete_page(Volume::Outbox, page_key(EVIDENCE, key))
}

/// Writes a parcel.
pub fn put_parcel(txn: Txn, number: u64, parcel: &Parcel) -> Txn {
    use pb::parcel_page::Load as Wire;
    let load = match parcel.load {
        Load::Delta { again } => Wire::Delta(again),
        Load::Slice { index, of } => Wire::Slice(pb::SliceOf { index: index.into(), of: of.into() }),
        Load::Evidence { again } => Wire::Evidence(again),
        Load::Statements { digest, bytes } => {
            Wire::Statements(pb::StatementsOf { digest: digest.as_bytes().to_vec(), bytes })
        }
    };
    let items = parcel.items.iter().map(|it| pb::ItemPage {
        class: it.key.class().number().into(),
        name: it.key.name().to_owned(),
        revision: it.revision.get(),
        bytes: it.bytes,
        gone: it.gone,
    });
    let page = pb::ParcelPage { made_ms: parcel.made_ms, load: Some(load), items: items.collect() };
    txn.put_page(Volume::Outbox, parcel_key(number), page.encode_to_vec())
}

/// Forgets a parcel.
pub fn delete_parcel(txn: Txn, number: u64) -> Txn {
    txn.delete_page(Volume::Outbox, parcel_key(number))
}

/// Writes the rest.
pub fn put_rest(txn: Txn, rest: &Rest) -> Txn {
    let Rest { progress, floor, tally, undeclared, numbers, audited } = rest;
    let state = pb::OutboxState {
        intervals: progress.intervals,
        made_ms: progress.made_ms,
        floor: *floor,
        tally: Some(pb::TallyPage {
            taken_in: counts(&tally.taken_in),
            left: counts(&tally.left),
            superseded: counts(&tally.superseded),
            repeated: counts(&tally.repeated),
            evidence: counts(&tally.evidence),
        }),
        undeclared: *undeclared,
        numbers: numbers.as_ref().map(|it| pb::NumbersPage {
            epoch: it.epoch.as_bytes().to_vec(),
            head: it.head,
            reserved: it.reserved,
            before: it.before.map(|before| pb::BeforePage {
                epoch: before.epoch.as_bytes().to_vec(),
                sequence: before.sequence,
            }),
            skips: it.skips.iter().map(|it| pb::SkipPage { from: it.from, to: it.to }).collect(),
        }),
        audited: *audited,
    };
    txn.put_page(Volume::Outbox, REST, state.encode_to_vec())
}

/// The bytes of a witness.
pub fn witness_bytes(witness: &Witness) -> Vec<u8> {
    let Witness { epoch, head, reserved, revision, place } = witness;
    let file = pb::WitnessFile {
        epoch: epoch.as_bytes().to_vec(),
        head: *head,
        reserved: *reserved,
        revision: *revision,
        place: place.as_bytes().to_vec(),
    };
    file.encode_to_vec()
}

/// A witness from its bytes; `None` when they are none.
pub fn witness(bytes: &[u8]) -> Option<Witness> {
    let file = pb::WitnessFile::decode(bytes).ok()?;
    Some(Witness {
        epoch: epoch(&file.epoch)?,
        head: file.head,
        reserved: file.reserved,
        revision: file.revision,
        place: Digest::try_from(file.place.as_slice()).ok()?,
    })
}

fn page_key(kind: u8, key: &Key) -> Vec<u8> {
    let mut page = vec![kind, key.class().number()];
    page.extend_from_slice(key.name().as_bytes());
    page
}

fn parcel_key(number: u64) -> Vec<u8> {
    let mut page = vec![PARCEL];
    page.extend_from_slice(&number.to_be_bytes());
    page
}

fn record_key(page: &[u8]) -> Option<Key> {
    let (class, name) = page.get(1..)?.split_first()?;
    Key::new(class_of((*class).into())?, std::str::from_utf8(name).ok()?).ok()
}

fn class_of(number: u32) -> Option<Class> {
    Class::ALL.into_iter().find(|it| u32::from(it.number()) == number)
}

fn epoch(bytes: &[u8]) -> Option<Epoch> {
    <[u8; 16]>::try_from(bytes).ok().map(Epoch::from)
}

fn said_record(page: pb::SaidPage) -> Option<SaidRecord> {
    let said = Said {
        revision: NonZeroU64::new(page.revision)?,
        content: page.content.as_deref().map(Digest::of),
        interval: page.interval,
        slices: u16::try_from(page.slices).unwrap_or(u16::MAX),
    };
    Some(SaidRecord { said, content: page.content })
}

fn evidence(page: pb::EvidencePage) -> Option<Evidence> {
    let bytes = u64::try_from(page.content.len()).unwrap_or(u64::MAX);
    let repeated = Repeated { interval: page.interval, said_ms: page.said_ms, bytes };
    Some(Evidence { repeated, revision: NonZeroU64::new(page.revision)?, content: page.content })
}

fn parcel(page: pb::ParcelPage) -> Option<Parcel> {
    use pb::parcel_page::Load as Wire;
    let load = match page.load? {
        Wire::Delta(again) => Load::Delta { again },
        Wire::Slice(it) => {
            Load::Slice { index: u16::try_from(it.index).ok()?, of: u16::try_from(it.of).ok()? }
        }
        Wire::Evidence(again) => Load::Evidence { again },
        Wire::Statements(it) => {
            Load::Statements { digest: Digest::try_from(it.digest.as_slice()).ok()?, bytes: it.bytes }
        }
    };
    let item = |it: pb::ItemPage| {
        let key = Key::new(class_of(it.class)?, it.name).ok()?;
        Some(Item { key, revision: NonZeroU64::new(it.revision)?, bytes: it.bytes, gone: it.gone })
    };
    let items = page.items.into_iter().map(item).collect::<Option<_>>()?;
    Some(Parcel { load, made_ms: page.made_ms, items })
}

fn rest(state: pb::OutboxState) -> Option<Rest> {
    let tally = state.tally.unwrap_or_default();
    let numbers = match state.numbers {
        None => None,
        Some(it) => {
            let before = match it.before {
                None => None,
                Some(before) => Some(Before { epoch: epoch(&before.epoch)?, sequence: before.sequence }),
            };
            let skips = it.skips.into_iter().map(|it| Skip { from: it.from, to: it.to }).collect();
            let (head, reserved) = (it.head, it.reserved);
            Some(Numbers { epoch: epoch(&it.epoch)?, head, reserved, before, skips })
        }
    };
    Some(Rest {
        progress: Progress { intervals: state.intervals, made_ms: state.made_ms },
        floor: state.floor,
        tally: Tally {
            taken_in: by_class(&tally.taken_in)?,
            left: by_class(&tally.left)?,
            superseded: by_class(&tally.superseded)?,
            repeated: by_class(&tally.repeated)?,
            evidence: by_class(&tally.evidence)?,
        },
        undeclared: state.undeclared,
        numbers,
        audited: state.audited,
    })
}

fn counts(by_class: &ByClass) -> Vec<pb::ClassCount> {
    let count = |class: Class| pb::ClassCount { class: class.number().into(), count: by_class.of(class) };
    Class::ALL.into_iter().map(count).filter(|it| it.count > 0).collect()
}

fn by_class(counts: &[pb::ClassCount]) -> Option<ByClass> {
    let mut sum = ByClass::default();
    for count in counts {
        sum.add(class_of(count.class)?, count.count);
    }
    Some(sum)
}

impl Kept {
    /// What the ledger takes up.
    pub fn ledger(&self) -> ledger::Kept {
        let records = self.said.iter().map(|(key, it)| (key.clone(), it.said)).collect();
        ledger::Kept { records, floor: self.rest.floor }
    }
}
