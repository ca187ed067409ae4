use std::io::Write as _;
use std::num::NonZeroU64;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use coset::{CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable, iana};
use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::strict::Writer;
use super::*;
use crate::identity::ZoneName;
use crate::section::Digest;

/// A key from a seed of one byte repeated: the same in every run.
pub(super) fn signer(seed: u8) -> SigningKey {
    // PKCS#8 of RFC 8410 around the 32 bytes of the seed.
    let head = HEXLOWER.decode(b"302e020100300506032b657004220420").unwrap();
    SigningKey::from_pkcs8(Algorithm::Ed25519, &[head, vec![seed; 32]].concat()).unwrap()
}

pub(super) fn signer_es256() -> SigningKey {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    SigningKey::from_pkcs8(Algorithm::Es256, pair.to_pkcs8v1().unwrap().as_ref()).unwrap()
}

pub(super) fn zone() -> ZoneName {
    ZoneName { site: "plant".parse().unwrap(), zone: "line-1".parse().unwrap() }
}

pub(super) fn stream_of(key: &SigningKey) -> Stream {
    Stream { zone: zone(), collector: key.public().id() }
}

fn trusted(key: &SigningKey) -> Trusted {
    Trusted { stream: stream_of(key), epoch: 1, key: key.public() }
}

fn ring(key: &SigningKey) -> Keyring {
    [trusted(key)].into_iter().collect()
}

pub(super) fn header(kind: Kind, sequence: u64) -> Header {
    let hash = |it: u64| (it != 4).then(|| Digest::of(&it.to_be_bytes()));
    Header {
        stream: stream_of(&signer(1)),
        epoch: [9; 16].into(),
        sequence,
        kind,
        created_ms: 1_795_000_000_000,
        clock: ClockQuality::Unsynchronised,
        key_epoch: 1,
        state: Digest::of(b"state"),
        links: Links::of(sequence, hash),
        spool: Spool { depth: 2, oldest_ms: Some(1_794_999_940_000) },
        drops: [Class::Feed, Class::Feed, Class::Health].into_iter().collect(),
        next_due_ms: 60_000,
        before: Some(Before { epoch: [8; 16].into(), sequence: 70 }),
    }
}

fn record(class: Class, name: &str, revision: u64, content: Option<&[u8]>) -> Record {
    let revision = NonZeroU64::new(revision).unwrap();
    Record { key: Key::new(class, name).unwrap(), revision, content: content.map(<[u8]>::to_vec) }
}

fn small() -> Body {
    Body::Records(vec![
        record(Class::Zone, "line-1", 3, Some(b"the zone")),
        record(Class::Asset, "hmi-01", 12, Some(b"opaque to all that carries it")),
        record(Class::Asset, "hmi-02", 4, None),
        record(Class::Finding, "hmi-01/ADV-7/CVE-2026-1", 1, Some(b"affected")),
    ])
}

/// Signs any header and any packed bytes, as a collector could that lost its key.
fn hostile(kind: Kind, summary: &Summary, packed: &[u8]) -> Vec<u8> {
    let header = header(kind, 6);
    let payload = [header.write(summary), packed.to_vec()].concat();
    seal(&payload, &header.stream, &signer(1)).unwrap().bytes
}

/// The same around any body, told as it is.
fn around(body: &[u8]) -> Vec<u8> {
    let packed = zstd::bulk::compress(body, 1).unwrap();
    hostile(Kind::Delta, &told(body), &packed)
}

fn told(body: &[u8]) -> Summary {
    let length = u64::try_from(body.len()).unwrap();
    Summary { length, digest: Digest::of(body), counts: ByClass::default() }
}

fn refusal(bytes: &[u8]) -> InvalidBundle {
    let refusal = open(bytes, &ring(&signer(1))).expect_err("it is not to be accepted");
    assert!(!refusal.to_string().is_empty());
    refusal
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Delta),
        (0_u16..60).prop_map(|index| Kind::Slice { index, of: 60 }),
        Just(Kind::Evidence),
        Just(Kind::KeyStatement),
        Just(Kind::DropRecord),
        Just(Kind::Beacon),
    ]
}

prop_compose! {
    fn headers()(
        kind in kinds(),
        sequence in prop_oneof![1_u64..3_000, any::<u64>().prop_map(|it| it.max(1))],
        epoch: [u8; 16],
        created_ms: i64,
        state: [u8; 32],
        oldest_ms: Option<i64>,
        depth in 1_u64..,
        drops in prop::collection::vec((prop::sample::select(&Class::ALL[..]), any::<u64>()), 0..4),
        next_due_ms: u64,
        before: Option<([u8; 16], u64)>,
        open: u64,
    ) -> Header {
        let mut by_class = ByClass::default();
        for (class, number) in drops {
            by_class.add(class, number);
        }
        Header {
            epoch: epoch.into(),
            created_ms,
            state: state.into(),
            links: Links::of(sequence, |it| (it & open != 0).then(|| Digest::of(&it.to_be_bytes()))),
            spool: Spool { depth: oldest_ms.map_or(0, |_| depth), oldest_ms },
            drops: by_class,
            next_due_ms,
            before: before.map(|(epoch, sequence)| Before { epoch: epoch.into(), sequence }),
            ..header(kind, sequence)
        }
    }
}

prop_compose! {
    fn records()(map in prop::collection::btree_map(
        (prop::sample::select(&Class::ALL[..]), "[^\\p{Cc}]{1,30}"),
        (1_u64.., prop::option::of(prop::collection::vec(any::<u8>(), 0..200))),
        0..20,
    )) -> Vec<Record> {
        let each = map.into_iter();
        let made = each.map(|((class, name), (revision, content))| {
            record(class, &name, revision, content.as_deref())
        });
        made.collect()
    }
}

/// A header and a body that its kind may have.
fn contents() -> impl Strategy<Value = (Header, Body)> {
    (headers(), records(), prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..5)).prop_map(
        |(header, records, statements)| {
            let body = match header.kind {
                Kind::Delta | Kind::Slice { .. } | Kind::Evidence => Body::Records(records),
                Kind::DropRecord => Body::Records(Vec::new()),
                Kind::KeyStatement => Body::Statements(statements),
                Kind::Beacon => Body::Nothing,
            };
            (header, body)
        },
    )
}

proptest! {
    #[test]
    fn what_is_made_is_opened_and_made_again_to_the_same_bytes((header, body) in contents()) {
        let made = make(&header, body.clone(), &signer(1)).unwrap();
        let opened = open(&made.bytes, &ring(&signer(1))).unwrap();
        prop_assert_eq!(&opened.header, &header);
        prop_assert_eq!(&opened.body, &body);
        prop_assert_eq!(opened.hash, made.hash);
        prop_assert_eq!(make(&opened.header, opened.body, &signer(1)).unwrap(), made);
    }

    #[test]
    fn whatever_a_known_key_signs_never_panics(payload in prop::collection::vec(any::<u8>(), 0..300)) {
        // The one body among these that there is: a list of nothing.
        prop_assume!(payload != [0x80]);
        let sealed = seal(&payload, &stream_of(&signer(1)), &signer(1)).unwrap();
        refusal(&sealed.bytes);
        refusal(&around(&payload));
        refusal(&payload);
        let packed = [b"\x28\xb5\x2f\xfd", payload.as_slice()].concat();
        refusal(&hostile(Kind::Delta, &told(&payload), &packed));
    }

    #[test]
    fn records_come_in_any_order((header, body) in contents()) {
        if let Body::Records(records) = &body {
            let turned = Body::Records(records.iter().rev().cloned().collect());
            let made = make(&header, body.clone(), &signer(1)).unwrap();
            prop_assert_eq!(make(&header, turned, &signer(1)).unwrap(), made);
        }
    }
}

#[test]
fn no_flipped_bit_is_accepted() {
    let made = make(&header(Kind::Delta, 6), small(), &signer(1)).unwrap();
    let keys = ring(&signer(1));
    let mut flips = 0;
    for at in 0..made.bytes.len() {
        for bit in 0..8 {
            let mut flipped = made.bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(open(&flipped, &keys).is_err(), "bit {bit} of byte {at}");
            flips += 1;
        }
    }
    assert!(flips >= 3_200, "{flips}");
}

#[test]
fn a_bundle_that_is_cut_off_or_goes_on_is_refused() {
    let made = make(&header(Kind::Delta, 6), small(), &signer(1)).unwrap().bytes;
    for length in 0..made.len() {
        assert!(matches!(refusal(&made[..length]), InvalidBundle::Envelope(_)), "{length}");
    }
    assert_eq!(refusal(&[made.as_slice(), &[0]].concat()), InvalidBundle::Envelope(Flaw::Trailing));
}

#[test]
fn nobody_but_the_key_of_the_stream_is_believed() {
    let (own, other) = (signer(1), signer(2));
    let made = make(&header(Kind::Delta, 6), small(), &own).unwrap().bytes;
    assert_eq!(refusal(&make(&header(Kind::Delta, 6), small(), &other).unwrap().bytes), {
        InvalidBundle::UnknownKey(other.public().id())
    });
    assert_eq!(claim(&made).unwrap(), (Content::Bundle, own.public().id()));

    // The same key trusted for another stream: the external data differ.
    let elsewhere =
        Stream { zone: ZoneName { zone: "line-2".parse().unwrap(), ..zone() }, ..stream_of(&own) };
    let keys: Keyring = [Trusted { stream: elsewhere.clone(), ..trusted(&own) }].into_iter().collect();
    assert_eq!(open(&made, &keys), Err(InvalidBundle::Signature(own.public().id())));

    // Signed for its own stream, and says that it is of another.
    let lie = Header { stream: elsewhere, ..header(Kind::Beacon, 6) };
    let payload = lie.write(&told(b""));
    let sealed = seal(&payload, &stream_of(&own), &own).unwrap();
    assert!(matches!(refusal(&sealed.bytes), InvalidBundle::OtherStream { .. }));
    let keys: Keyring = [Trusted { epoch: 2, ..trusted(&own) }].into_iter().collect();
    assert_eq!(open(&made, &keys), Err(InvalidBundle::OtherKeyEpoch { found: 1, trusted: 2 }));

    // Another kid in the place of the right one.
    let kid = other.public().id();
    let at = made.windows(32).position(|it| it == own.public().id().as_bytes()).unwrap();
    let mut swapped = made.clone();
    swapped[at..at + 32].copy_from_slice(kid.as_bytes());
    assert_eq!(refusal(&swapped), InvalidBundle::UnknownKey(kid));
    let both: Keyring =
        [trusted(&own), Trusted { stream: stream_of(&own), ..trusted(&other) }].into_iter().collect();
    assert_eq!(open(&swapped, &both), Err(InvalidBundle::Signature(kid)));

    let mut keys = ring(&own);
    assert!(open(&made, &keys).is_ok());
    assert_eq!(keys.revoke(&own.public().id()), Some(trusted(&own)));
    assert!(matches!(open(&made, &keys), Err(InvalidBundle::UnknownKey(_))));
}

#[test]
fn a_key_of_another_algorithm_works_and_is_never_taken_for_the_other() {
    let key = signer_es256();
    let stream = stream_of(&key);
    let made = make(&Header { stream, ..header(Kind::Delta, 6) }, small(), &key).unwrap();
    assert_eq!(open(&made.bytes, &ring(&key)).unwrap().hash, made.hash);

    // The right kid with the number of the other algorithm.
    let own = signer(1);
    let made = make(&header(Kind::Delta, 6), small(), &own).unwrap();
    let mut sign1 = CoseSign1::from_tagged_slice(&made.bytes).unwrap();
    sign1.protected.original_data = None;
    sign1.protected.header.alg = Some(coset::Algorithm::Assigned(iana::Algorithm::ESP256));
    assert_eq!(refusal(&sign1.to_tagged_vec().unwrap()), InvalidBundle::Algorithm(own.public().id()));
}

#[test]
fn another_implementation_of_cose_reads_and_writes_the_same() {
    let key = signer(1);
    let made = make(&header(Kind::Delta, 6), small(), &key).unwrap();
    let external = stream_of(&key).external();

    let read = CoseSign1::from_tagged_slice(&made.bytes).unwrap();
    read.verify_signature(&external, |signature, signed| {
        assert_eq!(Digest::of(signed), made.hash);
        if key.public().signed(signed, signature) { Ok(()) } else { Err("signature") }
    })
    .unwrap();
    assert!(
        read.verify_signature(b"", |signature, signed| {
            if key.public().signed(signed, signature) { Ok(()) } else { Err("signature") }
        })
        .is_err()
    );

    let protected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::Ed25519)
        .content_type(Content::Bundle.as_str().to_owned())
        .key_id(key.public().id().as_bytes().to_vec())
        .build();
    let written = CoseSign1Builder::new()
        .protected(protected)
        .payload(read.payload.unwrap())
        .create_signature(&external, |signed| key.sign(signed).unwrap())
        .build();
    assert_eq!(written.to_tagged_vec().unwrap(), made.bytes);
}

#[test]
fn an_envelope_with_anything_more_or_less_than_the_profile_is_refused() {
    let key = signer(1);
    let made = make(&header(Kind::Delta, 6), small(), &key).unwrap();
    let external = stream_of(&key).external();
    let signed = |change: &dyn Fn(&mut CoseSign1)| {
        let mut sign1 = CoseSign1::from_tagged_slice(&made.bytes).unwrap();
        sign1.protected.original_data = None;
        change(&mut sign1);
        sign1.signature = key.sign(&sign1.tbs_data(&external)).unwrap();
        sign1
    };
    let bytes = |change: &dyn Fn(&mut CoseSign1)| signed(change).to_tagged_vec().unwrap();
    assert_eq!(bytes(&|_| {}), made.bytes);

    let critical = coset::RegisteredLabelWithPrivate::Assigned(iana::HeaderParameter::Kid);
    for refused in [
        bytes(&|it| it.protected.header.crit = vec![critical.clone()]),
        bytes(&|it| it.protected.header.iv = vec![1]),
        bytes(&|it| it.protected.header.alg = None),
        bytes(&|it| it.protected.header.alg = Some(coset::Algorithm::Assigned(iana::Algorithm::EdDSA))),
        bytes(&|it| it.protected.header.key_id.push(0)),
        bytes(&|it| it.protected.header.content_type = None),
        bytes(&|it| it.protected.header = coset::Header::default()),
    ] {
        assert!(matches!(refusal(&refused), InvalidBundle::Protected(_)));
    }
    for refused in [
        bytes(&|it| it.unprotected.key_id = vec![1]),
        bytes(&|it| it.payload = None),
        signed(&|_| {}).to_vec().unwrap(),
    ] {
        assert!(matches!(refusal(&refused), InvalidBundle::Envelope(_)));
    }
    let text = |it: &str| Some(coset::ContentType::Text(it.to_owned()));
    let other = bytes(&|it| it.protected.header.content_type = text("application/other"));
    assert_eq!(refusal(&other), InvalidBundle::Content("application/other".to_owned()));
    let statement = bytes(&|it| it.protected.header.content_type = text(Content::Certified.as_str()));
    assert!(matches!(refusal(&statement), InvalidBundle::Content(_)));
    assert!(matches!(claim(&vec![0; MAX_OBJECT + 1]), Err(InvalidBundle::TooLong { .. })));
}

#[test]
fn a_header_is_bounded_and_may_grow() {
    let plain = header(Kind::Beacon, 6).write(&told(b""));
    let sealed = |payload: &[u8]| seal(payload, &stream_of(&signer(1)), &signer(1)).unwrap().bytes;
    let longer = |bytes: usize| {
        let mut more = Writer::default();
        more.unsigned(17).bytes(&vec![0; bytes]);
        // A map of 16 becomes one of 17 pairs.
        assert_eq!(plain[0], 0xb0);
        sealed(&[&[0xb1], &plain[1..], &more.finish()].concat())
    };
    let bundle = open(&longer(100), &ring(&signer(1))).unwrap();
    assert_eq!(bundle.header, header(Kind::Beacon, 6));
    assert_eq!(refusal(&longer(MAX_HEADER)), InvalidBundle::HeaderTooLong);
    assert_eq!(refusal(&sealed(b"")), InvalidBundle::Header(Flaw::CutOff));
    for length in 1..plain.len() {
        assert_eq!(refusal(&sealed(&plain[..length])), InvalidBundle::Header(Flaw::CutOff));
    }
    for wrong in [
        Header { key_epoch: 0, ..header(Kind::Beacon, 6) },
        Header { sequence: 0, ..header(Kind::Beacon, 1) },
        Header { sequence: 7, ..header(Kind::Beacon, 4) },
        Header { spool: Spool { depth: 0, oldest_ms: Some(1) }, ..header(Kind::Beacon, 6) },
        header(Kind::Slice { index: 3, of: 3 }, 6),
    ] {
        assert!(matches!(refusal(&sealed(&wrong.write(&told(b"")))), InvalidBundle::Header(Flaw::Value(_))));
        assert!(matches!(make(&wrong, Body::Nothing, &signer(1)), Err(MakeError::Header(_))));
    }
}

#[test]
fn a_body_that_is_not_in_strict_form_or_not_of_the_layout_is_refused() {
    let one = |build: &dyn Fn(&mut Writer)| {
        let mut writer = Writer::default();
        build(&mut writer);
        writer.finish()
    };
    let record = |class: u64, name: &str, revision: u64| {
        one(&|it| {
            it.array(4).unsigned(class).text(name).unsigned(revision).null();
        })
    };
    let list = |items: &[Vec<u8>]| {
        let head = one(&|it| {
            it.array(items.len());
        });
        [head, items.concat()].concat()
    };
    let strict = |flaw| InvalidBundle::Records(flaw);
    for (body, expected) in [
        ([vec![0x81; 1 << 19], vec![0x80]].concat(), strict(Flaw::TooDeep)),
        (vec![0x9b, 255, 255, 255, 255, 255, 255, 255, 255], strict(Flaw::TooMany)),
        (vec![0x9a, 0, 1, 0, 0, 0], strict(Flaw::CutOff)),
        (vec![0x9f, 0xff], strict(Flaw::Indefinite)),
        (vec![0x81, 0xa2, 1, 0, 1, 0], strict(Flaw::KeyTwice)),
        (vec![0x98, 1, 0], strict(Flaw::NotShortest)),
        (vec![0x80, 0], strict(Flaw::Trailing)),
        (vec![0x80, 0x80], strict(Flaw::Trailing)),
        (vec![0xa0], strict(Flaw::Expected("a list of records"))),
        (list(&vec![vec![0]; MAX_RECORDS + 1]), strict(Flaw::Value("too many records"))),
        (list(&[record(2, "b", 1), record(2, "a", 1)]), {
            strict(Flaw::Value("records that are not in order, or one of them twice"))
        }),
        (list(&[record(2, "a", 1), record(2, "a", 2)]), {
            strict(Flaw::Value("records that are not in order, or one of them twice"))
        }),
        (list(&[record(9, "a", 1)]), {
            strict(Flaw::Value("a class of records that only a newer version knows"))
        }),
        (list(&[record(1, "", 1)]), strict(Flaw::Value("a record with an impossible name"))),
        (list(&[record(1, "a\nb", 1)]), strict(Flaw::Value("a record with an impossible name"))),
        (list(&[record(1, "a", 0)]), strict(Flaw::Value("a record of revision 0"))),
        (list(&[record(1, "a", 1)]), InvalidBundle::Counts),
    ] {
        assert_eq!(refusal(&around(&body)), expected, "{:02x?}", &body[..body.len().min(16)]);
    }
    let noise = |at: usize| (at.wrapping_mul(0x9e37_79b9) >> 11).to_le_bytes()[0];
    let large = one(&|it| {
        it.array(1).array(4).unsigned(1).text("a").unsigned(1);
        it.bytes(&(0..=MAX_CONTENT).map(noise).collect::<Vec<_>>());
    });
    assert_eq!(refusal(&around(&large)), strict(Flaw::Value("a record that is too large")));

    let body = list(&[]);
    let packed = zstd::bulk::compress(&body, 1).unwrap();
    let wrong = Summary { digest: Digest::of(b"another"), ..told(&body) };
    assert_eq!(refusal(&hostile(Kind::Delta, &wrong, &packed)), InvalidBundle::BodyDigest);
    let beacon = hostile(Kind::Beacon, &told(&body), &packed);
    assert_eq!(refusal(&beacon), InvalidBundle::Records(Flaw::Value("a body behind a beacon")));
    assert!(matches!(refusal(&hostile(Kind::Delta, &told(b""), b"")), InvalidBundle::Records(_)));
}

/// A frame with a window and a stated size of anybody's choice, around bytes as they are.
fn frame(window_log: u8, stated: u64, bytes: &[u8]) -> Vec<u8> {
    let block = (u32::try_from(bytes.len()).unwrap() << 3 | 1).to_le_bytes();
    [b"\x28\xb5\x2f\xfd\xc0".as_slice(), &[(window_log - 10) << 3], &stated.to_le_bytes(), &block[..3], bytes]
        .concat()
}

#[test]
fn no_bomb_goes_off() {
    let zeros = |size: u64, stated: bool| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.set_pledged_src_size(stated.then_some(size)).unwrap();
        let chunk = vec![0; 1 << 20];
        (0..size >> 20).for_each(|_| encoder.write_all(&chunk).unwrap());
        encoder.finish().unwrap()
    };
    let saying = |length: u64| Summary { length, ..told(b"") };
    let max = u64::try_from(MAX_BODY).unwrap();
    let giant = zeros(1 << 32, true);
    assert!(giant.len() < 1 << 20);
    let sent = |length: u64, packed: &[u8]| refusal(&hostile(Kind::Delta, &saying(length), packed));
    let packing = |why| InvalidBundle::Packing(why);
    assert_eq!(sent(1 << 32, &giant), InvalidBundle::Body { bytes: 1 << 32 });
    assert_eq!(sent(max, &giant), packing("states another size than the header"));
    assert_eq!(sent(max, &zeros(1 << 32, false)), packing("does not state its size"));
    let full = zeros(max, true);
    assert_eq!(sent(max, &full), InvalidBundle::Ratio { packed: full.len(), bytes: MAX_BODY });
    assert!(matches!(sent(max + 1, &zeros(max, true)), InvalidBundle::Body { .. }));

    // Frames that lie about their size: what follows the stated bytes is never kept.
    let mut lie = zeros(1 << 29, true);
    let at = lie.windows(4).position(|it| it == 0x2000_0000_u32.to_le_bytes()).unwrap();
    lie[at..at + 4].copy_from_slice(&(1_u32 << 20).to_le_bytes());
    assert_eq!(sent(1 << 20, &lie), packing("holds more than it states"));
    assert!(matches!(sent(2, &frame(20, 2, &[0x80])), InvalidBundle::Packing(_)));
    assert!(matches!(sent(1, &frame(20, 1, &[0x80, 0x80])), InvalidBundle::Packing(_)));

    // Well made by hand: refused for nothing but what is changed.
    let (body, good) = ([0x80], frame(23, 1, &[0x80]));
    assert!(open(&hostile(Kind::Delta, &told(&body), &good), &ring(&signer(1))).is_ok());
    let sent = |packed: &[u8]| refusal(&hostile(Kind::Delta, &told(&body), packed));
    let window = packing("asks for a window over 8 MiB");
    assert_eq!(sent(&frame(24, 1, &[0x80])), window);
    assert_eq!(sent(&frame(31, 1, &[0x80])), window);
    let mut larger = good.clone();
    larger[5] |= 1;
    assert_eq!(sent(&larger), window, "an eighth more than 8 MiB");
    assert_eq!(sent(&[good.clone(), vec![0]].concat()), packing("goes on after its frame"));
    assert_eq!(sent(&[good.clone(), good.clone()].concat()), packing("goes on after its frame"));
    let skipped = [b"\x50\x2a\x4d\x18\0\0\0\0".to_vec(), good.clone()].concat();
    assert_eq!(sent(&skipped), packing("is no zstd frame"));
    assert_eq!(sent(b""), packing("is no zstd frame"));
    let mut dictionary = good.clone();
    dictionary[4] |= 1;
    dictionary.insert(6, 7);
    assert_eq!(sent(&dictionary), packing("asks for a dictionary"));
    for length in 0..good.len() {
        assert!(matches!(sent(&good[..length]), InvalidBundle::Packing(_)), "{length}");
    }
}

#[test]
fn a_bomb_of_a_stranger_is_not_even_unpacked() {
    let packed = zstd::bulk::compress(&vec![0; MAX_BODY], 1).unwrap();
    let summary = Summary { length: u64::try_from(MAX_BODY).unwrap(), ..told(b"") };
    let mut bomb = hostile(Kind::Delta, &summary, &packed);
    assert!(matches!(refusal(&bomb), InvalidBundle::Ratio { .. }));
    *bomb.last_mut().unwrap() ^= 1;
    assert!(matches!(refusal(&bomb), InvalidBundle::Signature(_)));
}

#[test]
fn what_readers_would_refuse_is_not_made() {
    let delta = header(Kind::Delta, 6);
    let made = |body| make(&delta, body, &signer(1));
    let alike = |count: usize, content: Vec<u8>| {
        let each = (0..count).map(|it| record(Class::Asset, &format!("{it}"), 1, Some(&content)));
        Body::Records(each.collect())
    };
    let twice = vec![record(Class::Asset, "a", 1, None), record(Class::Asset, "a", 2, None)];
    assert!(matches!(made(Body::Records(twice)), Err(MakeError::Twice(_))));
    assert!(matches!(made(Body::Nothing), Err(MakeError::Kind)));
    assert!(matches!(made(alike(MAX_RECORDS + 1, vec![])), Err(MakeError::TooLarge { .. })));
    assert!(matches!(made(alike(1, vec![0; MAX_CONTENT + 1])), Err(MakeError::TooLarge { .. })));
    assert!(matches!(made(alike(65, vec![1; MAX_CONTENT])), Err(MakeError::TooLarge { .. })));
    assert!(matches!(made(alike(2, vec![0; MAX_CONTENT])), Err(MakeError::Ratio { .. })));
    let half = made(alike(1, vec![0; MAX_CONTENT - 64])).unwrap();
    assert!(open(&half.bytes, &ring(&signer(1))).is_ok(), "a bundle up to 1 MiB is always taken");
    let statements = header(Kind::KeyStatement, 6);
    let many = Body::Statements(vec![vec![]; MAX_STATEMENTS + 1]);
    assert!(matches!(make(&statements, many, &signer(1)), Err(MakeError::TooLarge { .. })));
}

#[test]
fn a_full_bundle_of_every_limit_is_taken() {
    let each = (0..MAX_RECORDS).map(|it| {
        let digest = Digest::of(&it.to_le_bytes());
        record(Class::Finding, &digest.to_string(), u64::MAX, Some(&digest.as_bytes().repeat(3)))
    });
    let made =
        make(&header(Kind::Slice { index: 0, of: 1 }, 6), Body::Records(each.collect()), &signer(1)).unwrap();
    let bundle = open(&made.bytes, &ring(&signer(1))).unwrap();
    assert_eq!(bundle.body.counts().of(Class::Finding), 65_536);
}

#[test]
fn the_committed_vectors_are_what_is_made_today() {
    let (first, second) = (signer(1), signer(2));
    let statement = Statement {
        stream: stream_of(&first),
        serial: 1,
        epoch: 1,
        key: first.public(),
        next: second.public().id(),
        created_ms: 1_795_000_000_000,
        expires_ms: Some(1_826_536_000_000),
    };
    let delta = make(&header(Kind::Delta, 6), small(), &first).unwrap();
    let beacon = make(&header(Kind::Beacon, 7), Body::Nothing, &first).unwrap();
    let mut state = State::default();
    if let Body::Records(records) = small() {
        assert!(records.iter().all(|it| state.apply(it) == Outcome::Applied));
    }
    let vectors = [
        ("key", first.public().as_bytes().to_vec()),
        ("kid", first.public().id().as_bytes().to_vec()),
        ("external", stream_of(&first).external()),
        ("body", small().write()),
        ("state", state.digest().to_vec()),
        ("delta", delta.bytes),
        ("delta-hash", delta.hash.to_vec()),
        ("beacon", beacon.bytes),
        ("statement", statement.certify(&first, &signer(9)).unwrap()),
    ];
    let made = vectors.map(|(name, it)| format!("{name} {}", HEXLOWER.encode(&it)));
    let committed = include_str!("vectors.txt").lines().filter(|it| !it.starts_with('#'));
    let committed: Vec<_> = committed.collect();
    assert_eq!(committed, made, "what is made is:\n{}", made.join("\n"));

    for line in committed {
        let (name, hex) = line.split_once(' ').unwrap();
        let bytes = HEXLOWER.decode(hex.as_bytes()).unwrap();
        match name {
            "delta" => assert_eq!(open(&bytes, &ring(&first)).unwrap().body, small()),
            "beacon" => assert_eq!(open(&bytes, &ring(&first)).unwrap().body, Body::Nothing),
            "statement" => {
                let line = Line::found(&zone(), &signer(9).public(), &bytes).unwrap();
                assert_eq!(line.current(), &statement);
            }
            _ => {}
        }
    }
}
