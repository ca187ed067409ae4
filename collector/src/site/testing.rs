//! A sender for tests: what a collector of this zone would send.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use holdpoint_common::bundle::{
    Before, Body, Bundle, ByClass, Class, ClockQuality, Header, Key, Kind, Links, Record, Spool, State,
    Stream, slice_of,
};
use holdpoint_common::section::Digest;

pub(super) const SLICES: u16 = 4;
pub(super) const MINUTE: i64 = 60_000;

pub(super) fn stream() -> Stream {
    Stream {
        zone: holdpoint_common::identity::ZoneName {
            site: "plant".parse().unwrap(),
            zone: "line-1".parse().unwrap(),
        },
        collector: [7; 32].into(),
    }
}

pub(super) fn key(name: &str) -> Key {
    Key::new(Class::Asset, name).unwrap()
}

pub(super) fn record(name: &str, revision: u64, content: Option<&str>) -> Record {
    let content = content.map(|it| it.as_bytes().to_vec());
    Record { key: key(name), revision: NonZeroU64::new(revision).unwrap(), content }
}

/// What a collector holds and has sent in this incarnation. A clone of it is a backup, or a second writer.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) epoch: u8,
    /// The sequence of the newest bundle.
    pub(super) head: u64,
    pub(super) before: Option<Before>,
    pub(super) key_epoch: u64,
    pub(super) records: BTreeMap<Key, Record>,
    /// The last revision of each record, also of those whose tombstone is forgotten.
    pub(super) revisions: BTreeMap<Key, u64>,
    pub(super) drops: ByClass,
    pub(super) hashes: BTreeMap<u64, Digest>,
    /// Told apart from that of a clone.
    pub(super) writer: u8,
    pub(super) state: State,
}

impl Sender {
    pub(super) fn new() -> Self {
        Self {
            epoch: 1,
            head: 0,
            before: None,
            key_epoch: 1,
            records: BTreeMap::new(),
            revisions: BTreeMap::new(),
            drops: ByClass::default(),
            hashes: BTreeMap::new(),
            writer: 0,
            state: State::default(),
        }
    }

    /// The incarnation after this one has ended.
    pub(super) fn next(&self, epoch: u8) -> Self {
        let before = Some(Before { epoch: [self.epoch; 16].into(), sequence: self.head });
        let (head, drops, hashes) = (0, ByClass::default(), BTreeMap::new());
        Self { epoch, head, before, drops, hashes, ..self.clone() }
    }

    /// Sets a record to its next revision, `None` for a tombstone.
    pub(super) fn set(&mut self, name: &str, content: Option<&str>) -> Record {
        let revision = self.revisions.entry(key(name)).or_default();
        *revision += 1;
        let record = record(name, *revision, content);
        self.state.apply(&record);
        self.records.insert(record.key.clone(), record.clone());
        record
    }

    /// Forgets a tombstone, as a sender does after some cycles.
    pub(super) fn forget(&mut self, key: &Key) {
        if self.records.get(key).is_some_and(|it| it.content.is_none()) {
            self.records.remove(key);
            self.state.forget(key);
        }
    }

    /// What is there.
    pub(super) fn live(&self) -> BTreeMap<Key, (u64, Vec<u8>)> {
        let live = |it: &Record| Some((it.key.clone(), (it.revision.get(), it.content.clone()?)));
        self.records.values().filter_map(live).collect()
    }

    fn header(&mut self, kind: Kind, sequence: u64, created_ms: i64) -> Header {
        Header {
            stream: stream(),
            epoch: [self.epoch; 16].into(),
            sequence,
            kind,
            created_ms,
            clock: ClockQuality::Unsynchronised,
            key_epoch: self.key_epoch,
            state: self.state.digest(),
            links: Links::of(sequence, |it| self.hashes.get(&it).copied()),
            spool: Spool::default(),
            drops: self.drops.clone(),
            next_due_ms: MINUTE.unsigned_abs(),
            before: self.before,
        }
    }

    pub(super) fn send(&mut self, kind: Kind, mut records: Vec<Record>, created_ms: i64) -> Bundle {
        records.sort_by(|a, b| a.key.cmp(&b.key));
        records.dedup_by(|a, b| a.key == b.key);
        self.head += 1;
        let header = self.header(kind, self.head, created_ms);
        let hash = Digest::of(format!("{} {header:?} {records:?}", self.writer).as_bytes());
        self.hashes.insert(self.head, hash);
        Bundle { header, hash, body: Body::Records(records) }
    }

    /// Changes one record and sends it.
    pub(super) fn change(&mut self, name: &str, content: &str, created_ms: i64) -> Bundle {
        let record = self.set(name, Some(content));
        self.send(Kind::Delta, vec![record], created_ms)
    }

    pub(super) fn slice(&mut self, index: u16, created_ms: i64) -> Bundle {
        let part = |it: &&Record| slice_of(&it.key, SLICES) == index;
        let records = self.records.values().filter(part).cloned().collect();
        self.send(Kind::Slice { index, of: SLICES }, records, created_ms)
    }

    pub(super) fn beacon(&mut self, created_ms: i64) -> Bundle {
        let header = self.header(Kind::Beacon, self.head + 1, created_ms);
        let hash = Digest::of(format!("beacon {} {header:?}", self.writer).as_bytes());
        Bundle { header, hash, body: Body::Nothing }
    }
}
