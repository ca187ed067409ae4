use super::*;
use crate::scan::look::tests::{ample, host};
use crate::scan::take;
use holdpoint_common::credentials::new_key;
use holdpoint_common::one_shot::{OneShot, Proof};
use holdpoint_common::row::{REPORTED, SectionKind};
use holdpoint_common::section::Rows;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, SanType};
use rustls::pki_types::PrivateKeyDer;

fn enrolled(dir: &Path) {
    let ca_key = new_key().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca_certificate = ca.self_signed(&ca_key).unwrap().der().clone();
    let key = new_key().unwrap();
    let mut leaf = CertificateParams::default();
    let uri = "spiffe://plant/zone/line-1/agent/hmi-01".to_owned();
    leaf.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let held = Credentials::new(vec![leaf, ca_certificate.clone()], key, vec![ca_certificate]).unwrap();
    held.save(dir).unwrap();
}

fn scanned() -> (Snapshot, Host, tempfile::TempDir) {
    let status = "Package: curl\nStatus: install ok installed\nVersion: 8\n\n";
    let (dir, host) = host(&[("var/lib/dpkg/status", status), ("etc/hostname", "hmi-01\n")]);
    (take(&host, &REPORTED, &ample()), host, dir)
}

#[test]
fn an_enrolled_host_signs_and_numbers_its_files() {
    let state = tempfile::tempdir().unwrap();
    enrolled(state.path());
    let (snapshot, host, _dir) = scanned();
    let mut signer = Signer::open(state.path()).unwrap().unwrap();
    for number in 1..=2 {
        let made = make(snapshot.clone(), &host, Some(&mut signer)).unwrap();
        assert_eq!(made.sequence, Some(number));
        let read = OneShot::read(&made.bytes).unwrap();
        let Proof::Signed { sequence, leaf, .. } = read.proof else { panic!("it is signed") };
        assert_eq!((sequence, &leaf.identity), (number, signer.identity()));
    }
    drop(signer);
    assert_eq!(State::open(state.path()).unwrap().next_sequence().unwrap(), 3, "reports go on above");
}

#[test]
fn a_file_holds_what_the_scan_found() {
    let (snapshot, host, _dir) = scanned();
    let made = make(snapshot.clone(), &host, None).unwrap();
    let read = OneShot::read(&made.bytes).unwrap();
    assert!(matches!((made.sequence, read.proof), (None, Proof::Unsigned)));
    assert_eq!(read.host.fingerprint, snapshot.identity().fingerprint.to_vec());
    assert_eq!(read.sections.len(), REPORTED.len());
    for part in read.sections {
        let kind = SectionKind::try_from(part.kind).unwrap();
        let section = snapshot.section(kind).unwrap();
        assert_eq!(Rows::unpack(&part.payload).unwrap(), section.rows, "{kind:?}");
        assert_eq!(part.digest, section.digest.to_vec());
        assert_eq!((part.status, part.reasons), (section.status.into(), section.reasons.clone()));
    }
}

#[test]
fn without_an_identity_nobody_signs_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Signer::open(&dir.path().join("none")).unwrap().is_none());
    assert!(!dir.path().join("none").exists());
    assert!(Signer::open(dir.path()).unwrap().is_none());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn an_identity_that_cannot_be_used_is_no_reason_to_leave_the_signature_out() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(KEY_FILE), "no key").unwrap();
    assert!(matches!(Signer::open(dir.path()), Err(OneShotError::Credentials(_))));
    let state = tempfile::tempdir().unwrap();
    enrolled(state.path());
    let _running = State::open(state.path()).unwrap();
    assert!(matches!(Signer::open(state.path()), Err(OneShotError::State(StateError::InUse { .. }))));
}
