//! Packs against whoever changes them, and against the limits.

use super::*;
use crate::bundle::Algorithm;
use crate::identity::ZoneName;

fn key() -> SigningKey {
    signing_key(generate().unwrap().private_pem.as_bytes()).unwrap()
}

fn manifest() -> Manifest {
    Manifest {
        format: FORMAT,
        title: "November".into(),
        serial: 7,
        made_ms: 1_700_000_000_000,
        zones: vec!["plant/line-1".into()],
        members: Vec::new(),
    }
}

fn members() -> Vec<(Listed, Vec<u8>)> {
    [("site.csv", "requirements", &b"id,product\n"[..]), ("kev.json", "kev", b"{}")]
        .map(|(name, kind, bytes)| (Listed::of(name, kind, bytes), bytes.to_vec()))
        .into()
}

#[test]
fn a_pack_is_what_was_put_into_it() {
    let key = key();
    let bytes = make(manifest(), &members(), &key).unwrap();
    let pack = Pack::read(&bytes).unwrap();
    assert_eq!((pack.manifest.title.as_str(), pack.manifest.serial), ("November", 7));
    assert_eq!(pack.members, [&b"id,product\n"[..], b"{}"]);
    assert_eq!(pack.key, key.public());
    assert_eq!([pack.head, &pack.members.concat()].concat(), bytes);
    assert!(pack.id().ends_with("-7") && key.public().id().to_string().starts_with(&pack.id()[..8]));
    let zone = |zone: &str| ZoneName { site: "plant".parse().unwrap(), zone: zone.parse().unwrap() };
    assert!(pack.manifest.is_for(&zone("line-1")) && !pack.manifest.is_for(&zone("line-2")));
    assert!(Manifest { zones: Vec::new(), ..pack.manifest.clone() }.is_for(&zone("line-2")));
    let (head, rest) = Head::read(pack.head).unwrap();
    assert!(rest.is_empty() && head.open().unwrap().1 == pack.digest, "the head stands by itself");
}

#[test]
fn no_byte_of_it_can_be_another() {
    let bytes = make(manifest(), &members(), &key()).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert!(Pack::read(&changed).is_err(), "byte {at}, bit {bit}");
        }
        assert!(Pack::read(&bytes[..at]).is_err(), "cut off at {at}");
        let mut longer = bytes.clone();
        longer.insert(at, bytes[at]);
        assert!(Pack::read(&longer).is_err(), "a byte more at {at}");
    }
    let longer = [&bytes[..], b"\0"].concat();
    assert!(matches!(Pack::read(&longer), Err(InvalidPack::Longer(1))));
}

#[test]
fn a_second_signature_makes_no_second_pack_and_another_key_does() {
    let pem = crate::credentials::new_key().unwrap().serialize_pem();
    let key = signing_key(pem.as_bytes()).unwrap();
    assert_eq!(key.public().algorithm(), Algorithm::Es256);
    let [one, two] = [0, 1].map(|_| make(manifest(), &members(), &key).unwrap());
    assert_ne!(one, two, "ECDSA signs with chance");
    let digest = |bytes: &[u8]| Pack::read(bytes).unwrap().digest;
    assert_eq!(digest(&one), digest(&two));
    let other = make(manifest(), &members(), &self::key()).unwrap();
    assert_ne!(digest(&one), digest(&other));
}

#[test]
fn nothing_but_a_manifest_is_one() {
    let key = key();
    let sealed = |text: &str| head::seal(text.as_bytes(), &key).unwrap();
    let whole = Manifest { members: members().into_iter().map(|it| it.0).collect(), ..manifest() };
    let text = String::from_utf8(whole.to_bytes().unwrap()).unwrap();
    assert!(matches!(Pack::read(&sealed(&text)), Err(InvalidPack::Cut)), "without its members");
    for (from, to) in [
        ("\"format\": 1", "\"format\": 2"),
        ("\"format\": 1", "\"format\":  1"),
        ("\"serial\": 7", "\"serial\": 0"),
        ("\"serial\": 7", "\"serial\": 7,\n  \"other\": 1"),
        ("plant/line-1", "plant"),
        ("plant/line-1", "plant/line/1"),
        ("November", " "),
        ("November", "a\\nb"),
        ("site.csv", "../site.csv"),
        ("site.csv", "c:\\\\site.csv"),
        ("site.csv", "kev.json"),
        ("site.csv", ".."),
        ("\"kev\"", "\"KEV\""),
        ("\"size\": 2", "\"size\": 0"),
        ("\"size\": 2", "\"size\": 33554433"),
        ("\"size\": 2", "\"size\": -1"),
        ("\"sha256\": \"", "\"sha256\": \"A"),
    ] {
        assert!(text.contains(from), "{from}");
        let changed = sealed(&text.replacen(from, to, 1));
        assert!(matches!(Pack::read(&changed), Err(InvalidPack::Manifest(_))), "{from} as {to}");
    }
    assert!(matches!(Pack::read(&sealed("")), Err(InvalidPack::ManifestSize)));
    let deep = "[".repeat(100_000);
    assert!(matches!(Pack::read(&sealed(&deep)), Err(InvalidPack::Manifest(_))));
}

#[test]
fn a_pack_is_bounded_before_anything_is_read() {
    let bytes = make(manifest(), &members(), &key()).unwrap();
    let at = MAGIC.len() + 1 + 32 + 64;
    let mut giant = bytes.clone();
    giant[at..at + 4].copy_from_slice(&[0xff; 4]);
    assert!(matches!(Pack::read(&giant), Err(InvalidPack::ManifestSize)));
    let mut unknown = bytes;
    unknown[MAGIC.len()] = 9;
    assert!(matches!(Pack::read(&unknown), Err(InvalidPack::Key)));
    assert!(matches!(Pack::read(b""), Err(InvalidPack::OtherKind)));
    assert!(matches!(Pack::read(&vec![0; MAX_PACK + 1]), Err(InvalidPack::TooLarge)));
    let many = vec![members()[0].clone(); MAX_MEMBERS + 1];
    assert!(matches!(make(manifest(), &many, &key()), Err(MakeError::Manifest(_))));
    assert!(matches!(make(manifest(), &[], &key()), Err(MakeError::Manifest(_))));
}

#[test]
fn an_archive_is_no_member() {
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    let pack = make(manifest(), &members(), &key()).unwrap();
    for inner in [b"PK\x03\x04".to_vec(), b"\x28\xb5\x2f\xfd".to_vec(), tar, pack] {
        let member = [(Listed::of("a", "csaf", &inner), inner.clone())];
        assert!(matches!(make(manifest(), &member, &key()), Err(MakeError::Archive(_))));
        let listed = Manifest { members: vec![member[0].0.clone()], ..manifest() };
        let forced = [head::seal(&listed.to_bytes().unwrap(), &key()).unwrap(), inner].concat();
        assert!(matches!(Pack::read(&forced), Err(InvalidPack::Archive(_))));
    }
}

#[test]
fn keys_are_files_that_every_tool_reads_and_fingerprints_are_typed() {
    let Generated { private_pem, public } = generate().unwrap();
    assert_eq!(signing_key(private_pem.as_bytes()).unwrap().public(), public);
    let pem = public_pem(&public);
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"));
    assert_eq!(public_key(pem.as_bytes()).unwrap(), public);
    let elliptic = crate::credentials::new_key().unwrap();
    let elliptic = signing_key(elliptic.serialize_pem().as_bytes()).unwrap().public();
    assert_eq!(public_key(public_pem(&elliptic).as_bytes()).unwrap(), elliptic);
    assert_eq!(public_key(private_pem.as_bytes()), Err(InvalidSigner::Pem("public")));
    assert!(matches!(signing_key(pem.as_bytes()), Err(InvalidSigner::Pem("private"))));

    let shown = fingerprint(&public);
    assert_eq!(shown.split(' ').count(), 16);
    assert!(is_typed(&public, &shown) && is_typed(&public, &shown[..24].to_uppercase()));
    assert!(!is_typed(&public, &shown[..23]), "too little");
    assert!(!is_typed(&public, "") && !is_typed(&elliptic, &shown));
    assert!(!is_typed(&public, &format!("{shown} 0")), "all that was typed counts");
}
