//! A throw-away authority and its parties, for tests.

use std::path::Path;
use std::time::Duration;

use holdpoint_common::bundle::{
    Algorithm, Body, Class, ClockQuality, Header, Key, KeyId, Kind, Links, PublicKey, Record, SigningKey,
    Spool, Statement, Stream, make,
};
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::credentials::pem_of_certificates;
use holdpoint_common::identity::{Name, ZoneName};
use holdpoint_common::section::Digest;
use holdpoint_common::tls::Purpose;
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;

use super::{Authority, Credentials, Enrolment, Party, Requested, install, save_request};

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn zone(text: &str) -> ZoneName {
    ZoneName { site: name("plant"), zone: name(text) }
}

pub(crate) fn relay() -> Party {
    Party::Relay { site: name("plant"), name: name("dmz-1") }
}

pub(crate) fn site() -> Party {
    Party::Site { site: name("plant") }
}

pub(crate) fn collector(zone_name: &str) -> Party {
    Party::Collector(zone(zone_name))
}

/// The authority of the site `plant`.
pub(crate) struct Ca {
    pub(crate) dir: TempDir,
    pub(crate) authority: Authority,
}

/// A party and its directory.
pub(crate) struct Held {
    pub(crate) dir: TempDir,
    pub(crate) credentials: Credentials,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::found(dir.path(), &name("plant"), SystemClock.now_ms()).unwrap();
        Self { dir, authority }
    }

    pub(crate) fn party(&self, party: &Party) -> Held {
        self.party_at(party, SystemClock.now_ms(), 30)
    }

    /// A party whose certificate was issued then, for so many days.
    pub(crate) fn party_at(&self, party: &Party, now_ms: i64, days: u32) -> Held {
        let dir = tempfile::tempdir().unwrap();
        self.settle_in(dir.path(), party, party.purposes(), now_ms, days);
        Held { credentials: Credentials::load(dir.path()).unwrap(), dir }
    }

    pub(crate) fn settle_in(&self, dir: &Path, party: &Party, purposes: &[Purpose], now_ms: i64, days: u32) {
        let csr =
            save_request(dir, party, purposes, &["relay.plant".to_owned(), "10.0.0.1".to_owned()]).unwrap();
        let der = CertificateSigningRequestDer::from_pem_slice(&std::fs::read(csr).unwrap()).unwrap();
        let requested = Requested::read(&der).unwrap();
        assert_eq!(&requested.party, party);
        let (certificate, _) = self.authority.issue(&requested, days, now_ms).unwrap();
        let ca = self.authority.certificate_pem();
        install(dir, pem_of_certificates(&[certificate]).as_bytes(), ca.as_bytes()).unwrap();
    }
}

/// A zone's collector with its root, as far as bundles go.
pub(crate) struct Signer {
    pub(crate) root: SigningKey,
    pub(crate) keys: Vec<SigningKey>,
    stream: Stream,
    sequence: u64,
}

fn key() -> SigningKey {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    SigningKey::from_pkcs8(Algorithm::Ed25519, key.serialized_der()).unwrap()
}

impl Signer {
    pub(crate) fn new(zone_name: &str) -> Self {
        let root = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let root = SigningKey::from_pkcs8(Algorithm::Es256, root.serialized_der()).unwrap();
        let keys = vec![key(), key()];
        let stream = Stream { zone: zone(zone_name), collector: keys[0].public().id() };
        Self { root, keys, stream, sequence: 0 }
    }

    fn statement(&self, epoch: usize, next: KeyId) -> Statement {
        Statement {
            stream: self.stream.clone(),
            serial: 1,
            epoch: u64::try_from(epoch).unwrap(),
            key: self.present().public(),
            next,
            created_ms: 1,
            expires_ms: None,
        }
    }

    /// The key that signs now: the last but one, since the last is announced.
    pub(crate) fn present(&self) -> &SigningKey {
        &self.keys[self.keys.len() - 2]
    }

    pub(crate) fn enrolment(&self) -> Enrolment {
        let statement = self.statement(1, self.keys[1].public().id());
        Enrolment {
            zone: self.stream.zone.clone(),
            root: PublicKey::new(self.root.public().algorithm(), self.root.public().as_bytes()).unwrap(),
            statement: statement.certify(self.present(), &self.root).unwrap(),
        }
    }

    pub(crate) fn enrol(&self, data: &Path) {
        let zones = data.join("zones");
        std::fs::create_dir_all(&zones).unwrap();
        self.enrolment().write(&zones.join(format!("{}.zone", self.stream.zone.zone))).unwrap();
    }

    /// Goes on with the announced key; the statement that says so.
    pub(crate) fn rotate(&mut self) -> Vec<u8> {
        self.keys.push(key());
        let before = self.keys.len() - 3;
        let next = self.keys[self.keys.len() - 1].public().id();
        let statement = self.statement(before + 2, next);
        statement.certify(self.present(), &self.keys[before]).unwrap()
    }

    /// A bundle of about so many bytes.
    pub(crate) fn bundle(&mut self, bytes: usize) -> Vec<u8> {
        self.sequence += 1;
        let part = 1_000_000;
        let records = (0..bytes.div_ceil(part)).map(|number| {
            let content = noise(part.min(bytes - number * part), self.sequence);
            Record {
                key: Key::new(Class::Asset, format!("hmi-{number}")).unwrap(),
                revision: std::num::NonZeroU64::MIN,
                content: Some(content),
            }
        });
        let header = Header {
            stream: self.stream.clone(),
            epoch: [7; 16].into(),
            sequence: self.sequence,
            kind: Kind::Delta,
            created_ms: 1,
            clock: ClockQuality::Unknown,
            key_epoch: u64::try_from(self.keys.len() - 1).unwrap(),
            state: Digest::of(b"state"),
            links: Links::of(self.sequence, |_| None),
            spool: Spool { depth: 0, oldest_ms: None },
            drops: [].into_iter().collect(),
            next_due_ms: 1_000,
            before: None,
        };
        make(&header, Body::Records(records.collect()), self.present()).unwrap().bytes
    }
}

/// Bytes that do not pack, the same for each seed.
fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    };
    (0..bytes.div_ceil(8)).flat_map(|_| next()).take(bytes).collect()
}

/// Waits for a condition, ten seconds at most.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to this: {what}");
}
