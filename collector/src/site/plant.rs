//! A zone for tests that signs what it says: bundles as they come off a carrier.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use data_encoding::HEXLOWER;
use holdpoint_common::bundle::{
    Algorithm, Before, Body, ByClass, Class, ClockQuality, Header, Key, Kind, Links, PublicKey, Record,
    SigningKey, Spool, State, Statement, Stream, make, slice_of,
};
use holdpoint_common::identity::ZoneName;
use holdpoint_common::section::Digest;
use holdpoint_proto::summary::{
    AssetSummary, ChangeSummary, Count, FindingSummary, FindingsSummary, ZoneSummary,
};
use prost::Message;

/// A key from a seed of two bytes repeated: the same in every run.
pub(super) fn signer(seed: u16) -> SigningKey {
    // PKCS#8 of RFC 8410 around the 32 bytes of the seed.
    let head = HEXLOWER.decode(b"302e020100300506032b657004220420").unwrap();
    SigningKey::from_pkcs8(Algorithm::Ed25519, &[head, seed.to_be_bytes().repeat(16)].concat()).unwrap()
}

/// Slices of a cycle.
pub(super) const SLICES: u16 = 4;

/// A collector of a zone, with its root beside it.
pub(super) struct Plant {
    pub(super) zone: ZoneName,
    /// Seeds: of the first key, and of the present one.
    first: u16,
    pub(super) key: u16,
    pub(super) key_epoch: u64,
    root: u16,
    pub(super) epoch: [u8; 16],
    pub(super) before: Option<Before>,
    pub(super) head: u64,
    hashes: BTreeMap<u64, Digest>,
    pub(super) records: BTreeMap<Key, Record>,
    state: State,
    pub(super) now_ms: i64,
}

impl Plant {
    /// A collector that has said nothing. The seeds of its keys follow from the number.
    pub(super) fn new(zone: &str, number: u16) -> Self {
        Self {
            zone: ZoneName { site: "plant".parse().unwrap(), zone: zone.parse().unwrap() },
            first: number * 10,
            key: number * 10,
            key_epoch: 1,
            root: number * 10 + 9,
            epoch: [number.to_be_bytes(); 8].concat().try_into().unwrap(),
            before: None,
            head: 0,
            hashes: BTreeMap::new(),
            records: BTreeMap::new(),
            state: State::default(),
            now_ms: 1_795_000_000_000,
        }
    }

    /// The same collector on another machine.
    pub(super) fn copy(&self) -> Self {
        Self {
            zone: self.zone.clone(),
            epoch: self.epoch,
            before: self.before,
            hashes: self.hashes.clone(),
            records: self.records.clone(),
            state: self.state.clone(),
            ..*self
        }
    }

    pub(super) fn root(&self) -> PublicKey {
        signer(self.root).public()
    }

    /// The root's word about the first key.
    pub(super) fn enrolment(&self) -> Vec<u8> {
        self.statement(1, 1, self.first, self.root)
    }

    /// A statement about the key of this seed, certified by that one. Each key announces the seed after its own.
    pub(super) fn statement(&self, serial: u64, epoch: u64, seed: u16, by: u16) -> Vec<u8> {
        let statement = Statement {
            stream: self.stream(),
            serial,
            epoch,
            key: signer(seed).public(),
            next: signer(seed + 1).public().id(),
            created_ms: self.now_ms,
            expires_ms: None,
        };
        statement.certify(&signer(seed), &signer(by)).unwrap()
    }

    fn stream(&self) -> Stream {
        Stream { zone: self.zone.clone(), collector: signer(self.first).public().id() }
    }

    /// Says something of a thing, or that it is gone.
    pub(super) fn set(&mut self, class: Class, name: &str, content: Option<Vec<u8>>) -> Record {
        let key = Key::new(class, name).unwrap();
        let revision = self.records.get(&key).map_or(1, |it| it.revision.get() + 1);
        let record = Record { key: key.clone(), revision: NonZeroU64::new(revision).unwrap(), content };
        self.state.apply(&record);
        self.records.insert(key, record.clone());
        record
    }

    pub(super) fn asset(&mut self, name: &str, freshness: &str, affected: u64) -> Record {
        let asset = AssetSummary {
            name: format!("{name}-host"),
            freshness: freshness.into(),
            verdicts: vec![count("AFFECTED", affected)],
            ..AssetSummary::default()
        };
        self.set(Class::Asset, name, Some(asset.encode_to_vec()))
    }

    pub(super) fn findings(&mut self, asset: &str, subjects: &[(&str, &str)]) -> Record {
        let finding = |(subject, verdict): &(&str, &str)| FindingSummary {
            subject: (*subject).into(),
            verdict: (*verdict).into(),
            ..FindingSummary::default()
        };
        let summary = FindingsSummary { findings: subjects.iter().map(finding).collect(), beyond: 0 };
        self.set(Class::Finding, asset, Some(summary.encode_to_vec()))
    }

    pub(super) fn change(&mut self, id: &str, state: &str) -> Record {
        let change = ChangeSummary { state: state.into(), ..ChangeSummary::default() };
        self.set(Class::Change, id, Some(change.encode_to_vec()))
    }

    pub(super) fn policy(&mut self, policy: &str) -> Record {
        let summary = ZoneSummary {
            policy: policy.into(),
            cycle_ms: 3_600_000,
            verdicts: vec![count("AFFECTED", 7)],
            ..ZoneSummary::default()
        };
        let zone = self.zone.zone.to_string();
        self.set(Class::Zone, &zone, Some(summary.encode_to_vec()))
    }

    /// The next bundle.
    pub(super) fn send(&mut self, kind: Kind, records: Vec<Record>) -> Vec<u8> {
        self.head += 1;
        self.seal(kind, self.head, Body::Records(records))
    }

    pub(super) fn delta(&mut self, records: Vec<Record>) -> Vec<u8> {
        self.send(Kind::Delta, records)
    }

    pub(super) fn slice(&mut self, index: u16) -> Vec<u8> {
        let part = |it: &&Record| slice_of(&it.key, SLICES) == index;
        let records = self.records.values().filter(part).cloned().collect();
        self.send(Kind::Slice { index, of: SLICES }, records)
    }

    /// A judgement, which is no part of the state.
    pub(super) fn evidence(&mut self, name: &str) -> Vec<u8> {
        let (key, content) = (Key::new(Class::Audit, name).unwrap(), Some(name.as_bytes().to_vec()));
        let record = Record { key, revision: NonZeroU64::MIN, content };
        self.send(Kind::Evidence, vec![record])
    }

    pub(super) fn cycle(&mut self) -> Vec<Vec<u8>> {
        (0..SLICES).map(|it| self.slice(it)).collect()
    }

    pub(super) fn beacon(&mut self) -> Vec<u8> {
        self.seal(Kind::Beacon, self.head + 1, Body::Nothing)
    }

    fn seal(&mut self, kind: Kind, sequence: u64, body: Body) -> Vec<u8> {
        self.now_ms += 1_000;
        let header = self.header_of(kind, sequence);
        let sealed = make(&header, body, &signer(self.key)).unwrap();
        if kind != Kind::Beacon {
            self.hashes.insert(sequence, sealed.hash);
        }
        sealed.bytes
    }

    pub(super) fn header_of(&mut self, kind: Kind, sequence: u64) -> Header {
        Header {
            stream: self.stream(),
            epoch: self.epoch.into(),
            sequence,
            kind,
            created_ms: self.now_ms,
            clock: ClockQuality::Unsynchronised,
            key_epoch: self.key_epoch,
            state: self.state.digest(),
            links: Links::of(sequence, |it| self.hashes.get(&it).copied()),
            spool: Spool::default(),
            drops: ByClass::default(),
            next_due_ms: 10_000,
            before: self.before,
        }
    }
}

fn count(word: &str, count: u64) -> Count {
    Count { word: word.into(), count }
}
