use proptest::prelude::*;

use super::super::tests::{signer, signer_es256, stream_of, zone};
use super::*;
use crate::identity::ZoneName;

/// The statement about key number `epoch`, whose key has this seed too; the next one is announced.
fn about(epoch: u8) -> Statement {
    Statement {
        stream: stream_of(&signer(1)),
        epoch: epoch.into(),
        key: signer(epoch).public(),
        next: signer(epoch + 1).public().id(),
        created_ms: 1_795_000_000_000,
        expires_ms: None,
    }
}

const ROOT: u8 = 200;

fn by_root(epoch: u8) -> Vec<u8> {
    about(epoch).certify(&signer(epoch), &signer(ROOT)).unwrap()
}

fn by_the_one_before(epoch: u8) -> Vec<u8> {
    about(epoch).certify(&signer(epoch), &signer(epoch - 1)).unwrap()
}

fn line() -> Line {
    Line::found(&zone(), &signer(ROOT).public(), &by_root(1)).unwrap()
}

fn trusted(line: &Line) -> Vec<u64> {
    line.trusted().map(|it| it.epoch).collect()
}

#[test]
fn an_announced_key_follows_by_the_word_of_the_one_before() {
    let mut line = line();
    assert_eq!(line.accept(&by_root(1)), Ok(News::Known));
    assert_eq!(line.accept(&by_the_one_before(2)), Ok(News::Followed));
    assert_eq!(line.accept(&by_the_one_before(2)), Ok(News::Known));
    assert_eq!(line.accept(&by_root(1)), Ok(News::Known), "a late copy says nothing new");
    assert_eq!((line.current(), trusted(&line)), (&about(2), vec![1, 2]));
    for epoch in 3..20 {
        assert_eq!(line.accept(&by_the_one_before(epoch)), Ok(News::Followed));
    }
    assert_eq!(trusted(&line), (11..20).collect::<Vec<_>>());
}

#[test]
fn who_has_the_present_key_alone_cannot_bring_another() {
    let mut line = line();
    let thief = signer(77);
    let own = Statement { key: thief.public(), ..about(2) };
    let forged = own.certify(&thief, &signer(1)).unwrap();
    assert_eq!(line.accept(&forged), Err(NotAccepted::NotAnnounced(thief.public().id())));
    // Nor state the announced key without having it.
    assert_eq!(about(2).certify(&thief, &signer(1)), Err(CertifyError::OtherKey));
    let stated = envelope::seal(Content::Statement, &about(2).write(), EXTERNAL, &thief).unwrap();
    let forged = envelope::seal(Content::Certified, &stated.bytes, EXTERNAL, &signer(1)).unwrap();
    let not_its_own = InvalidBundle::NotItsOwn(about(2).key.id());
    assert_eq!(line.accept(&forged.bytes), Err(NotAccepted::Invalid(not_its_own)));
    // Nor put the name of the announced key upon what he signed himself.
    let (kid, announced) = (thief.public().id(), about(2).key.id());
    let mut renamed = stated.bytes;
    let at = renamed.windows(32).position(|it| it == kid.as_bytes()).unwrap();
    renamed[at..at + 32].copy_from_slice(announced.as_bytes());
    let forged = envelope::seal(Content::Certified, &renamed, EXTERNAL, &signer(1)).unwrap();
    let not_signed = InvalidBundle::Signature(announced);
    assert_eq!(line.accept(&forged.bytes), Err(NotAccepted::Invalid(not_signed)));
    assert_eq!(line, self::line());
}

#[test]
fn the_root_ends_all_keys_before_and_nothing_goes_back() {
    let mut line = line();
    line.accept(&by_the_one_before(2)).unwrap();
    assert_eq!(line.accept(&by_root(5)), Ok(News::Recertified));
    assert_eq!(trusted(&line), [5]);
    assert_eq!(line.accept(&by_root(3)), Err(NotAccepted::Old { found: 3, held: 5 }));
    assert!(matches!(line.accept(&by_the_one_before(2)), Err(NotAccepted::Missing(_))));
    assert_eq!(line.accept(&by_the_one_before(6)), Ok(News::Followed));
    let other = Statement { created_ms: 0, ..about(6) };
    assert_eq!(line.accept(&other.certify(&signer(6), &signer(5)).unwrap()), Err(NotAccepted::Fork(6)));
    assert_eq!(line.accept(&other.certify(&signer(6), &signer(ROOT)).unwrap()), Err(NotAccepted::Fork(6)));
    let skipped = about(8).certify(&signer(8), &signer(6)).unwrap();
    assert_eq!(line.accept(&skipped), Err(NotAccepted::Skips { found: 8, held: 6 }));
    let by_an_earlier_one = about(7).certify(&signer(7), &signer(5)).unwrap();
    assert_eq!(line.accept(&by_an_earlier_one), Err(NotAccepted::Skips { found: 7, held: 6 }));
}

#[test]
fn a_line_begins_with_the_root_of_its_own_zone() {
    let root = signer(ROOT).public();
    let kid = signer(1).public().id();
    assert_eq!(Line::found(&zone(), &root, &by_the_one_before(2)), Err(NotAccepted::NotByRoot(kid)));
    let other = ZoneName { zone: "line-2".parse().unwrap(), ..zone() };
    assert!(matches!(Line::found(&other, &root, &by_root(1)), Err(NotAccepted::OtherStream(_))));
    assert!(Line::found(&zone(), &signer(201).public(), &by_root(1)).is_err());
    let mut line = line();
    let stranger = signer(50);
    let foreign = Statement { stream: stream_of(&stranger), key: stranger.public(), ..about(1) };
    let foreign = foreign.certify(&stranger, &signer(ROOT)).unwrap();
    assert!(matches!(line.accept(&foreign), Err(NotAccepted::OtherStream(_))));
}

#[test]
fn a_root_of_a_zone_is_an_ecdsa_key() {
    let root = signer_es256();
    let first = about(1).certify(&signer(1), &root).unwrap();
    let mut line = Line::found(&zone(), &root.public(), &first).unwrap();
    assert_eq!(line.accept(&about(3).certify(&signer(3), &root).unwrap()), Ok(News::Recertified));
    // The same word signed again has another signature and is no other word.
    assert_eq!(line.accept(&about(3).certify(&signer(3), &root).unwrap()), Ok(News::Known));
}

#[test]
fn a_statement_that_contradicts_itself_is_neither_made_nor_read() {
    for wrong in [
        Statement { epoch: 0, ..about(1) },
        Statement { stream: stream_of(&signer(2)), ..about(1) },
        Statement { next: signer(1).public().id(), ..about(1) },
    ] {
        assert!(matches!(wrong.certify(&signer(1), &signer(ROOT)), Err(CertifyError::Statement(_))));
        let stated = envelope::seal(Content::Statement, &wrong.write(), EXTERNAL, &signer(1)).unwrap();
        let sent = envelope::seal(Content::Certified, &stated.bytes, EXTERNAL, &signer(ROOT)).unwrap();
        let read = Line::found(&zone(), &signer(ROOT).public(), &sent.bytes);
        assert!(matches!(read, Err(NotAccepted::Invalid(InvalidBundle::Statement(Flaw::Value(_))))));
    }
}

#[test]
fn no_flipped_bit_and_no_cut_is_accepted() {
    let line = line();
    let good = by_the_one_before(2);
    for at in 0..good.len() {
        assert!(line.clone().accept(&good[..at]).is_err());
        for bit in 0..8 {
            let mut flipped = good.clone();
            flipped[at] ^= 1 << bit;
            assert!(line.clone().accept(&flipped).is_err(), "bit {bit} of byte {at}");
        }
    }
    assert!(line.clone().accept(&[good, vec![0]].concat()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Of a hundred copies of each statement one arrives, in any order; what came too early is tried again.
    #[test]
    fn a_receiver_catches_up_with_the_few_copies_that_arrive(
        order in Just((2..9).flat_map(|it| vec![it; 100]).collect::<Vec<u8>>()).prop_shuffle(),
        lucky in prop::collection::vec(0_usize..100, 7),
    ) {
        let mut seen = [0_usize; 16];
        let mut line = line();
        let mut waiting: Vec<Vec<u8>> = Vec::new();
        for epoch in order {
            let nth = seen[usize::from(epoch)];
            seen[usize::from(epoch)] += 1;
            if lucky[usize::from(epoch) - 2] != nth {
                continue;
            }
            waiting.push(by_the_one_before(epoch));
            loop {
                let before = waiting.len();
                waiting.retain(|it| matches!(line.accept(it), Err(NotAccepted::Missing(_))));
                if waiting.len() == before {
                    break;
                }
            }
        }
        prop_assert_eq!(line.current().epoch, 8);
        prop_assert!(waiting.is_empty());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, inner: bool) {
        let content = if inner { Content::Statement } else { Content::Certified };
        let sealed = envelope::seal(content, &bytes, EXTERNAL, &signer(1)).unwrap();
        let outer = envelope::seal(Content::Certified, &sealed.bytes, EXTERNAL, &signer(1)).unwrap();
        for object in [&bytes, &sealed.bytes, &outer.bytes] {
            prop_assert!(line().accept(object).is_err());
        }
    }
}
