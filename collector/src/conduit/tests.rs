use std::path::Path;

use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::credentials::pem_of_certificates;
use holdpoint_common::section::Digest;
use holdpoint_common::tls::{Anchor, Leaf, Purpose};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SanType};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;

use super::args::{Conduit, ConduitInit, ConduitInstall, ConduitIssue};
use super::testing::{Ca, Signer, collector, name, relay, site};
use super::*;

fn der(pem: &str) -> Vec<u8> {
    CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

fn written_by(key: &KeyPair, uris: &[&str], dns: &[&str]) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = uris.iter().map(|it| SanType::URI((*it).try_into().unwrap())).collect();
    params.subject_alt_names.extend(dns.iter().map(|it| SanType::DnsName((*it).try_into().unwrap())));
    params.serialize_request(key).unwrap().der().to_vec()
}

fn p256() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

#[test]
fn a_request_says_whom_it_is_for_and_only_the_holder_of_the_key_makes_it() {
    let (_, pem) = request(&relay(), &[Purpose::Server], &["relay.plant".into(), "fd00::1".into()]).unwrap();
    let good = der(&pem);
    let read = Requested::read(&good).unwrap();
    assert_eq!(read.party, relay());
    assert_eq!(read.names, ["relay.plant", "fd00::1"]);
    assert_eq!(read.purposes.iter().copied().collect::<Vec<_>>(), [Purpose::Server]);
    let expected = (read.party.clone(), read.names.clone(), read.key_fingerprint());

    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        // The name of the signature's algorithm is not part of what is signed, and nothing depends on it.
        if let Ok(same) = Requested::read(&changed) {
            assert_eq!(
                (same.party.clone(), same.names.clone(), same.key_fingerprint()),
                expected,
                "byte {at}"
            );
        }
    }
    assert_eq!(Requested::read(&[good.as_slice(), b"x"].concat()).unwrap_err(), InvalidRequest::Malformed);
    assert_eq!(Requested::read(&vec![0; MAX_REQUEST + 1]).unwrap_err(), InvalidRequest::TooLarge);
}

#[test]
fn a_request_is_bounded_in_names_uses_and_keys() {
    let read = |der: &[u8]| Requested::read(der).map(|it| it.party);
    let site_uri = "spiffe://plant/site";
    assert_eq!(read(&written_by(&p256(), &[site_uri], &["a.b"])), Ok(site()));
    assert_eq!(read(&written_by(&p256(), &[site_uri, site_uri], &[])), Err(InvalidRequest::Names));
    assert_eq!(read(&written_by(&p256(), &[], &["a.b"])), Err(InvalidRequest::Names));
    assert_eq!(read(&written_by(&p256(), &[site_uri], &["*.b"])), Err(InvalidRequest::Names));
    let many: Vec<_> = (0..=MAX_NAMES).map(|it| format!("h{it}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(read(&written_by(&p256(), &[site_uri], &many)), Err(InvalidRequest::Names));
    let agent = "spiffe://plant/zone/line-1/agent/hmi-01";
    assert!(matches!(read(&written_by(&p256(), &[agent], &[])), Err(InvalidRequest::Party(_))));
    let other = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    assert_eq!(read(&written_by(&other, &[site_uri], &[])), Err(InvalidRequest::Key));

    let (_, asks_for_more) = request(&collector("line-1"), &[Purpose::Server], &[]).unwrap();
    assert!(matches!(read(&der(&asks_for_more)), Err(InvalidRequest::Purpose(_))));
    assert!(request(&relay(), &[], &["-".into()]).is_err());
}

#[test]
fn what_is_issued_is_good_for_its_party_and_its_use_alone() {
    let ca = Ca::new();
    let held = ca.party(&collector("line-1"));
    let certificate = &held.credentials.chain[0];
    let leaf = &held.credentials.leaf;
    assert_eq!(leaf.names, ["relay.plant", "10.0.0.1"]);
    assert!(leaf.is_by(ca.authority.anchor(), certificate, Purpose::Client));
    assert!(!leaf.is_by(ca.authority.anchor(), certificate, Purpose::Server));
    assert!(!leaf.is_by(Ca::new().authority.anchor(), certificate, Purpose::Client));
    let kept = std::fs::read_dir(ca.dir.path().join("issued")).unwrap().count();
    assert_eq!(kept, 1, "its fingerprint can be found again");
}

#[test]
fn a_zone_and_the_conduit_believe_nothing_of_each_other() {
    let ca = Ca::new();
    // The same name, made as the zone's CA makes it.
    let zone_key = p256();
    let mut zone_ca = CertificateParams::default();
    zone_ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let zone_certificate = zone_ca.self_signed(&zone_key).unwrap();
    let zone_anchor = Anchor::new(zone_certificate.der().clone()).unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(collector("line-1").to_string().try_into().unwrap())];
    let issuer = rcgen::Issuer::new(zone_ca, zone_key);
    let inside = params.signed_by(&p256(), &issuer).unwrap().der().clone();
    let as_party = PartyLeaf::read(&inside).unwrap();
    for purpose in [Purpose::Client, Purpose::Server] {
        assert!(!as_party.is_by(ca.authority.anchor(), &inside, purpose));
    }

    for party in [collector("line-1"), relay(), site()] {
        let held = ca.party(&party);
        let certificate = &held.credentials.chain[0];
        // With names of hosts it cannot be read as a zone's at all; without, no zone CA signed it.
        assert!(Leaf::read(certificate).is_err());
        let dir = tempfile::tempdir().unwrap();
        let csr = save_request(dir.path(), &party, party.purposes(), &[]).unwrap();
        let requested = Requested::read(&der(&std::fs::read_to_string(csr).unwrap())).unwrap();
        let (bare, _) = ca.authority.issue(&requested, 1, SystemClock.now_ms()).unwrap();
        if let Ok(leaf) = Leaf::read(&bare) {
            assert!(
                [Purpose::Client, Purpose::Server].iter().all(|it| !zone_anchor.signed(&bare, &leaf, *it))
            );
        }
    }
}

#[test]
fn an_authority_signs_for_its_own_site_and_while_it_lives() {
    let ca = Ca::new();
    let other = Party::Site { site: name("other") };
    let (_, pem) = request(&other, &[], &[]).unwrap();
    let refused = ca.authority.issue(&Requested::read(&der(&pem)).unwrap(), 1, SystemClock.now_ms());
    assert!(matches!(refused, Err(ConduitError::OtherSite { .. })));
    let (_, pem) = request(&site(), &[], &[]).unwrap();
    let requested = Requested::read(&der(&pem)).unwrap();
    assert!(matches!(ca.authority.issue(&requested, 1, 0), Err(ConduitError::NotNow)));
    assert!(matches!(
        Authority::found(ca.dir.path(), &name("plant"), SystemClock.now_ms()),
        Err(ConduitError::Exists(_))
    ));
    assert_eq!(Authority::load(ca.dir.path()).unwrap().site(), &name("plant"));
}

#[cfg(unix)]
#[test]
fn keys_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let ca = Ca::new();
    let held = ca.party(&relay());
    for key in [ca.dir.path().join("conduit-ca.key"), held.dir.path().join(KEY_FILE)] {
        assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(!held.dir.path().join(".install").exists());
}

#[test]
fn a_certificate_of_somebody_else_is_not_installed_and_changes_nothing() {
    let ca = Ca::new();
    let (held, other) = (ca.party(&relay()), ca.party(&relay()));
    let read = |path: &Path, file| std::fs::read(path.join(file)).unwrap();
    let before = read(held.dir.path(), CERTIFICATE_FILE);
    let foreign = read(other.dir.path(), CERTIFICATE_FILE);
    assert!(install(held.dir.path(), &foreign, ca.authority.certificate_pem().as_bytes()).is_err());
    let stranger = Ca::new().authority.certificate_pem();
    assert!(install(held.dir.path(), &before, stranger.as_bytes()).is_err());
    assert_eq!(read(held.dir.path(), CERTIFICATE_FILE), before);
    assert!(Credentials::load(held.dir.path()).is_ok());
    assert!(!held.dir.path().join(".install").exists(), "no copy of the key stays");
    assert!(matches!(save_request(held.dir.path(), &relay(), &[], &[]), Err(ConduitError::Exists(_))));
}

#[test]
fn a_revoked_certificate_is_found_and_a_damaged_list_is_not_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let revoked = Revoked::beside(dir.path());
    let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
    assert!(!revoked.holds(&one).unwrap());
    std::fs::write(dir.path().join(REVOKED_FILE), format!("# ended\n\n{one} laptop lost\n")).unwrap();
    assert!(revoked.holds(&one).unwrap());
    assert!(!revoked.holds(&other).unwrap());
    std::fs::write(dir.path().join(REVOKED_FILE), format!("{one}\nbla\n")).unwrap();
    assert!(revoked.holds(&other).is_err());
}

#[test]
fn an_enrolment_survives_its_file_and_a_changed_one_is_refused_or_looks_different() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("line-1.zone");
    let enrolment = Signer::new("line-1").enrolment();
    enrolment.write(&path).unwrap();
    assert_eq!(Enrolment::read(&path).unwrap(), enrolment);
    assert!(enrolment.keyring().is_ok());
    let shown = enrolment.fingerprint();
    assert_eq!(shown.split(' ').map(str::len).collect::<Vec<_>>(), [4; 16]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(&shown));

    let other = Signer::new("line-1").enrolment();
    assert_ne!(other.fingerprint(), shown);
    // Parts of two enrolments do not make a third.
    for mixed in [
        Enrolment { root: other.root.clone(), ..enrolment.clone() },
        Enrolment { statement: other.statement.clone(), ..enrolment.clone() },
        Enrolment { zone: testing::zone("line-2"), ..enrolment.clone() },
    ] {
        assert!(mixed.write(&path).is_err());
        assert_ne!(mixed.fingerprint(), shown);
    }
    for (from, to) in [("line-1", "line-2"), ("ES256", "Ed25519"), ("collector = \"", "collector = \"0")] {
        std::fs::write(&path, text.replace(from, to)).unwrap();
        assert!(Enrolment::read(&path).is_err(), "{to}");
    }
    std::fs::write(&path, text + "more = 1\n").unwrap();
    assert!(Enrolment::read(&path).is_err());
}

#[test]
fn from_the_authority_to_the_relay_by_what_is_typed() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, machine, out) = (dir.path().join("ca"), dir.path().join("relay"), dir.path().join("stick"));
    let said = std::cell::RefCell::new(Vec::new());
    let say = |line: &str| said.borrow_mut().push(line.to_owned());
    verbs::run(Conduit::Init(ConduitInit { data: ca.clone(), site: "plant".into() }), &say).unwrap();
    let csr = save_request(&machine, &relay(), &[Purpose::Client], &[]).unwrap();
    let key = Requested::read(&der(&std::fs::read_to_string(&csr).unwrap())).unwrap().key_fingerprint();
    let issue = ConduitIssue { requests: vec![csr], data: ca, out: Some(out.clone()), days: 30 };
    verbs::run(Conduit::Issue(issue), &say).unwrap();
    let certificate = out.join("relay-dmz-1-forward.crt");
    let install = ConduitInstall { certificate, data: machine.clone() };
    verbs::run(Conduit::Install(install), &say).unwrap();

    let said = said.into_inner().join("\n");
    assert!(said.contains("spiffe://plant/relay/dmz-1") && said.contains(&key.to_string()), "{said}");
    let credentials = Credentials::load(&machine).unwrap();
    assert_eq!(credentials.party, relay());
    assert!(!pem_of_certificates(&credentials.chain).is_empty());
}
