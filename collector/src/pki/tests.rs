//! A zone CA on a real directory.

use super::*;
use holdpoint_common::tls::{Anchor, Leaf, Purpose};
use rcgen::{CertificateParams, KeyPair};

const NOW: i64 = 1_800_000_000_000;

fn zone() -> ZoneName {
    ZoneName { site: "plant".parse().unwrap(), zone: "line-1".parse().unwrap() }
}

fn request() -> Request {
    let key = KeyPair::generate().unwrap();
    Request::read(CertificateParams::default().serialize_request(&key).unwrap().der()).unwrap()
}

fn opened(dir: &Path) -> Pki {
    Pki::init(dir, &zone(), Origin::NewRoot, NOW).unwrap();
    Pki::open(dir, &zone(), NOW).unwrap()
}

fn hmi() -> Identity {
    zone().agent("hmi-01".parse().unwrap())
}

#[test]
fn a_leaf_names_one_identity_for_a_year_and_is_signed_by_the_zone_ca() {
    let dir = tempfile::tempdir().unwrap();
    let pki = opened(dir.path());
    let issued = pki.issue(&hmi(), &request(), NOW).unwrap();

    let leaf = Leaf::read(&issued.chain[0]).unwrap();
    assert_eq!(leaf.identity, hmi());
    assert_eq!(leaf.not_before_ms, NOW - BACKDATE_MS);
    assert_eq!(leaf.not_after_ms, NOW + LEAF_LIFE_MS);
    assert_eq!(issued.record.issuer, pki.fingerprint().unwrap().to_vec());
    let anchor = Anchor::new(issued.chain[1].clone()).unwrap();
    assert!(anchor.signed(&issued.chain[0], &leaf, Purpose::Client));
    assert!(!anchor.signed(&issued.chain[0], &leaf, Purpose::Server), "an agent is no collector");
}

#[test]
fn no_two_leaves_have_the_same_serial() {
    let dir = tempfile::tempdir().unwrap();
    let pki = opened(dir.path());
    let serial = || {
        let issued = pki.issue(&hmi(), &request(), NOW).unwrap();
        x509_parser::parse_x509_certificate(&issued.chain[0]).unwrap().1.raw_serial().to_vec()
    };
    let (one, two) = (serial(), serial());
    assert_eq!(one.len(), 16);
    assert_ne!(one, two);
}

#[cfg(unix)]
#[test]
fn keys_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let founded = Pki::init(dir.path(), &zone(), Origin::NewRoot, NOW).unwrap();
    let root = founded.root_to_take_away.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join("pki/ca-1.key")), 0o600);
    assert_eq!(mode(&root.join("root.key")), 0o600);
    assert_eq!(mode(&dir.path().join("pki")), 0o700);
    assert_eq!(mode(&root), 0o700);
}

#[test]
fn a_zone_is_initialised_once_and_opened_under_its_own_name() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Pki::open(dir.path(), &zone(), NOW), Err(PkiError::Missing(_))));
    opened(dir.path());
    let again = Pki::init(dir.path(), &zone(), Origin::NewRoot, NOW);
    assert!(matches!(again, Err(PkiError::Exists(_))));
    let other = ZoneName { zone: "line-2".parse().unwrap(), ..zone() };
    assert!(matches!(Pki::open(dir.path(), &other, NOW), Err(PkiError::OtherZone { .. })));
}

#[test]
fn a_rotation_adds_an_anchor_changes_the_digest_and_issues_from_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let pki = opened(dir.path());
    let (old, digest) = (pki.fingerprint().unwrap(), pki.anchors_digest());

    let founded = pki.rotate(Origin::NewRoot, NOW).unwrap();

    assert_eq!(pki.fingerprint().unwrap(), founded.fingerprint);
    assert_ne!(founded.fingerprint, old);
    assert_ne!(pki.anchors_digest(), digest);
    assert_eq!(pki.anchors().iter().map(|it| Digest::of(it)).collect::<Vec<_>>(), [founded.fingerprint, old]);
    let issued = pki.issue(&hmi(), &request(), NOW).unwrap();
    assert_eq!(issued.record.issuer, founded.fingerprint.to_vec());

    let reopened = Pki::open(dir.path(), &zone(), NOW).unwrap();
    assert_eq!(reopened.anchors(), pki.anchors());
}

#[test]
fn the_root_taken_away_signs_the_next_zone_ca() {
    let dir = tempfile::tempdir().unwrap();
    let founded = Pki::init(dir.path(), &zone(), Origin::NewRoot, NOW).unwrap();
    let root = founded.root_to_take_away.unwrap();
    let certificate = fs::read_to_string(root.join("root.crt")).unwrap();
    let key = fs::read_to_string(root.join("root.key")).unwrap();
    fs::remove_dir_all(&root).unwrap();

    let pki = Pki::open(dir.path(), &zone(), NOW).unwrap();
    let next = pki.rotate(Origin::Root { certificate: &certificate, key: &key }, NOW).unwrap();

    assert_eq!(next.root_to_take_away, None);
    assert!(!root.exists(), "the root's key is not kept");
    let other = KeyPair::generate().unwrap().serialize_pem();
    let mixed = pki.rotate(Origin::Root { certificate: &certificate, key: &other }, NOW);
    assert!(matches!(mixed, Err(PkiError::Unusable { .. })));
    assert_eq!(pki.anchors().len(), 2, "a refused rotation changes nothing");
}

#[test]
fn an_intermediate_can_be_brought_in_and_a_leaf_cannot() {
    let elsewhere = tempfile::tempdir().unwrap();
    let brought = opened(elsewhere.path());
    let read = |name| fs::read_to_string(elsewhere.path().join("pki").join(name)).unwrap();
    let (certificate, key) = (read("ca-1.crt"), read("ca-1.key"));

    let dir = tempfile::tempdir().unwrap();
    let origin = Origin::Brought { certificate: &certificate, key: &key };
    let founded = Pki::init(dir.path(), &zone(), origin, NOW).unwrap();
    assert_eq!(founded.root_to_take_away, None);
    assert_eq!(founded.fingerprint, brought.fingerprint().unwrap());

    let (_, files) = brought.issue_with_key(&zone().operator("anna".parse().unwrap()), NOW).unwrap();
    let leaf = Origin::Brought { certificate: &files.certificate_pem, key: &files.key_pem };
    let empty = tempfile::tempdir().unwrap();
    let refused = Pki::init(empty.path(), &zone(), leaf, NOW);
    assert!(matches!(refused, Err(PkiError::Unusable { .. })));
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn the_collector_makes_its_own_certificate_again_in_time_and_after_the_clock_was_set() {
    let dir = tempfile::tempdir().unwrap();
    let pki = opened(dir.path());
    assert!(!pki.refresh(NOW + COLLECTOR_LIFE_MS / 2).unwrap());
    assert!(pki.refresh(NOW + COLLECTOR_LIFE_MS / 3 * 2).unwrap());
    assert!(pki.refresh(NOW).unwrap(), "the clock went back");
    assert!(!pki.refresh(NOW).unwrap());
}

#[test]
fn an_expired_authority_is_trusted_no_longer_and_no_leaf_outlives_its_authority() {
    let dir = tempfile::tempdir().unwrap();
    let pki = opened(dir.path());
    let late = NOW + AUTHORITY_LIFE_MS - 1_000;
    let issued = pki.issue(&hmi(), &request(), late).unwrap();
    assert_eq!(issued.record.not_after_ms, NOW + AUTHORITY_LIFE_MS);
    let next = pki.rotate(Origin::NewRoot, late).unwrap();

    let after = late + 2_000;
    assert!(pki.refresh(after).unwrap());
    assert_eq!(pki.anchors().iter().map(|it| Digest::of(it)).collect::<Vec<_>>(), [next.fingerprint]);
    assert!(matches!(pki.refresh(after + AUTHORITY_LIFE_MS), Err(PkiError::NoneValid)));

    assert!(pki.refresh(after - BACKDATE_MS - 1_000).unwrap(), "the clock was only ahead");
    assert_eq!(pki.anchors().len(), 2);
}
