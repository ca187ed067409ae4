use super::*;
use crate::credentials::{Credentials, new_key};
use crate::proto::v1::{HostFacts, OneShotHead, SectionBody, SectionKind, SectionPart, SectionStatus};
use crate::section::Rows;
use proptest::prelude::*;
use prost::Message;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, SanType};
use rustls::pki_types::PrivateKeyDer;

fn agent(name: &str) -> Credentials {
    let ca_key = new_key().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca_certificate = ca.self_signed(&ca_key).unwrap().der().clone();
    let key = new_key().unwrap();
    let mut leaf = CertificateParams::default();
    let uri = format!("spiffe://plant/zone/line-1/agent/{name}");
    leaf.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Credentials::new(vec![leaf, ca_certificate.clone()], key, vec![ca_certificate]).unwrap()
}

fn section(kind: SectionKind, rows: &[&[u8]]) -> SectionPart {
    let rows = Rows::from_encoded(rows.iter().map(|it| it.to_vec()).collect());
    SectionPart {
        kind: kind.into(),
        status: SectionStatus::Complete.into(),
        digest: rows.digest().to_vec(),
        payload: rows.pack().unwrap(),
        ..SectionPart::default()
    }
}

fn contents() -> Contents {
    let host = HostFacts { hostname: "hmi-01".into(), fingerprint: vec![7; 32], ..HostFacts::default() };
    let sections =
        vec![section(SectionKind::Platform, &[b"p"]), section(SectionKind::Software, &[b"a", b"b"])];
    Contents { host, host_time_ms: -5, sections }
}

/// A file with any head and openings, its digest right and no signature.
fn forged(head: &OneShotHead, count: u32, sections: &[(SectionPart, &[u8])]) -> Vec<u8> {
    let mut file = [MAGIC.as_slice(), &VERSION.to_le_bytes()].concat();
    let put = |file: &mut Vec<u8>, bytes: &[u8]| {
        file.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        file.extend_from_slice(bytes);
    };
    put(&mut file, &head.encode_to_vec());
    file.extend(count.to_le_bytes());
    for (opening, payload) in sections {
        put(&mut file, &opening.encode_to_vec());
        file.extend_from_slice(payload);
    }
    let digest = Digest::of(&file);
    file.extend_from_slice(digest.as_bytes());
    put(&mut file, &[]);
    file
}

fn head() -> OneShotHead {
    OneShotHead { host: Some(HostFacts::default()), ..OneShotHead::default() }
}

#[test]
fn what_an_agent_signed_is_read_as_its_word() {
    let key = agent("hmi-01");
    let file = write(contents(), Some((&key, 17))).unwrap();
    assert!(is_one_shot(&file));
    let read = OneShot::read(&file).unwrap();
    let Proof::Signed { leaf, sequence, certificate } = read.proof else { panic!("it is signed") };
    assert_eq!((sequence, &leaf.identity, &certificate), (17, &key.identity, &key.chain[0]));
    assert_eq!((read.host.hostname.as_str(), read.host_time_ms), ("hmi-01", -5));
    let rows = Rows::unpack(&read.sections[1].payload).unwrap();
    assert_eq!(rows.as_slice(), [b"a".to_vec(), b"b".to_vec()]);
}

#[test]
fn an_unsigned_file_has_no_sequence_and_no_certificate() {
    let file = write(contents(), None).unwrap();
    let read = OneShot::read(&file).unwrap();
    assert!(matches!(read.proof, Proof::Unsigned));
    assert_eq!(read.sections.len(), 2);
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    for file in [write(contents(), None).unwrap(), write(contents(), Some((&agent("a"), 1))).unwrap()] {
        for end in 0..file.len() {
            assert!(OneShot::read(&file[..end]).is_err(), "{end} of {}", file.len());
        }
        assert_eq!(OneShot::read(&[&file[..], b"x"].concat()).unwrap_err(), InvalidOneShot::Trailing(1));
    }
}

#[test]
fn no_byte_of_a_file_can_change() {
    for file in [write(contents(), None).unwrap(), write(contents(), Some((&agent("a"), 1))).unwrap()] {
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(OneShot::read(&changed).is_err(), "byte {at}");
        }
    }
}

#[test]
fn a_section_that_was_swapped_breaks_the_signature_even_with_a_new_digest() {
    let key = agent("hmi-01");
    let file = write(contents(), Some((&key, 1))).unwrap();
    let mut other = contents();
    other.sections[1] = section(SectionKind::Software, &[b"a", b"c"]);
    let other = write(other, Some((&key, 1))).unwrap();
    // Signatures differ in length; what is before the digest does not.
    let said = |file: &[u8]| {
        let length = (66..=76).find(|it| {
            let at = file.len() - it;
            u32::from_le_bytes(file[at - 4..at].try_into().unwrap()) == u32::try_from(*it).unwrap()
        });
        file.len() - length.unwrap() - 4 - 32
    };
    let body = &other[..said(&other)];
    let signature = &file[said(&file) + 32..];
    let mixed = [body, Digest::of(body).as_bytes(), signature].concat();
    assert_eq!(OneShot::read(&mixed).unwrap_err(), InvalidOneShot::Signature);
}

#[test]
fn the_signature_of_another_agent_is_not_this_ones() {
    let (mine, theirs) = (agent("hmi-01"), agent("hmi-02"));
    let posing = Credentials { key: theirs.key.clone_key(), ..mine };
    let file = write(contents(), Some((&posing, 1))).unwrap();
    assert_eq!(OneShot::read(&file).unwrap_err(), InvalidOneShot::Signature);
}

#[test]
fn a_certificate_without_signature_and_a_signature_of_nothing_are_refused() {
    let key = agent("a");
    let half = OneShotHead { chain: vec![key.chain[0].to_vec()], sequence: 1, ..head() };
    assert_eq!(OneShot::read(&forged(&half, 0, &[])).unwrap_err(), InvalidOneShot::HalfSigned);
    let file = write(contents(), Some((&key, 0))).unwrap();
    assert_eq!(OneShot::read(&file).unwrap_err(), InvalidOneShot::NoSequence);
}

#[test]
fn counts_and_lengths_are_judged_before_anything_is_read() {
    let limit = |it: Result<OneShot, InvalidOneShot>| matches!(it, Err(InvalidOneShot::Limit { .. }));
    assert!(limit(OneShot::read(&forged(&head(), u32::MAX, &[]))));
    let giant = SectionPart {
        body: SectionBody::Full.into(),
        payload_bytes: u32::MAX,
        ..section(SectionKind::Live, &[])
    };
    let giant = SectionPart { payload: Vec::new(), ..giant };
    assert!(limit(OneShot::read(&forged(&head(), 1, &[(giant, b"")]))));
    let long = OneShotHead { chain: vec![Vec::new(); MAX_CHAIN + 1], ..head() };
    assert!(limit(OneShot::read(&forged(&long, 0, &[]))));
    let wide = OneShotHead { chain: vec![vec![0; MAX_MESSAGE]], ..head() };
    assert!(limit(OneShot::read(&forged(&wide, 0, &[]))));
    assert!(limit(OneShot::read(&[&MAGIC[..], &vec![0; MAX_FILE]].concat())));
}

#[test]
fn a_section_is_there_once_and_whole_in_itself() {
    let whole = || SectionPart { body: SectionBody::Full.into(), kind: 3, ..SectionPart::default() };
    let twice = forged(&head(), 2, &[(whole(), b""), (whole(), b"")]);
    assert!(matches!(OneShot::read(&twice), Err(InvalidOneShot::Section { kind: 3, .. })));
    for body in [SectionBody::Delta, SectionBody::Reference, SectionBody::Unspecified] {
        let part = SectionPart { body: body.into(), ..whole() };
        let read = OneShot::read(&forged(&head(), 1, &[(part, b"")]));
        assert!(matches!(read, Err(InvalidOneShot::Section { .. })), "{body:?}");
    }
    let inside = SectionPart { payload: vec![1], ..whole() };
    assert!(OneShot::read(&forged(&head(), 1, &[(inside, b"")])).is_err());
    assert!(OneShot::read(&forged(&head(), 1, &[(whole(), b"")])).is_ok());
}

#[test]
fn a_newer_layout_says_that_it_is_newer() {
    let file = [&MAGIC[..], &2_u32.to_le_bytes()].concat();
    assert_eq!(OneShot::read(&file).unwrap_err(), InvalidOneShot::Version(2));
    assert_eq!(OneShot::read(b"{\"agent\":{}}").unwrap_err(), InvalidOneShot::OtherKind);
}

#[test]
fn more_than_readers_take_is_not_written() {
    let mut large = contents();
    large.sections[0].payload = vec![0; MAX_PAYLOADS + 1];
    assert!(matches!(write(large, None), Err(WriteError::TooLarge { .. })));
    let mut many = contents();
    many.sections = vec![SectionPart::default(); MAX_SECTIONS + 1];
    assert!(matches!(write(many, None), Err(WriteError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = OneShot::read(&bytes);
        let _ = OneShot::read(&[&MAGIC[..], &VERSION.to_le_bytes(), &bytes].concat());
    }
}
