use proptest::prelude::*;

use std::num::NonZeroU64;

use super::super::tests::{header, signer, signer_es256, stream_of, zone};
use super::super::{
    Body, Class, Header, Key, Keyring, Kind, Outcome, Record, Sealed, State, make, open, slice_of,
};
use super::*;
use crate::identity::ZoneName;

/// The statement about key number `epoch`, whose key has this seed too; the next one is announced.
fn about(epoch: u8) -> Statement {
    under(1, epoch)
}

/// The same under another word of the root.
fn under(serial: u64, epoch: u8) -> Statement {
    Statement {
        stream: stream_of(&signer(1)),
        serial,
        epoch: epoch.into(),
        key: signer(epoch).public(),
        next: signer(epoch + 1).public().id(),
        created_ms: 1_795_000_000_000,
        expires_ms: None,
    }
}

const ROOT: u8 = 200;

fn by_root(serial: u64, epoch: u8) -> Vec<u8> {
    under(serial, epoch).certify(&signer(epoch), &signer(ROOT)).unwrap()
}

fn by_the_one_before(epoch: u8) -> Vec<u8> {
    follows(1, epoch)
}

fn follows(serial: u64, epoch: u8) -> Vec<u8> {
    under(serial, epoch).certify(&signer(epoch), &signer(epoch - 1)).unwrap()
}

/// Signs a statement as [`Statement::certify`] does, and does not look whether it would make it.
fn unasked(statement: &Statement, own: &SigningKey, authority: &SigningKey) -> Vec<u8> {
    let stated = envelope::seal(Content::Statement, &statement.write(), EXTERNAL, own).unwrap();
    envelope::seal(Content::Certified, &stated.bytes, EXTERNAL, authority).unwrap().bytes
}

fn line() -> Line {
    Line::found(&zone(), &signer(ROOT).public(), &by_root(1, 1)).unwrap()
}

fn trusted(line: &Line) -> Vec<u64> {
    line.trusted().map(|it| it.epoch).collect()
}

#[test]
fn an_announced_key_follows_by_the_word_of_the_one_before() {
    let mut line = line();
    assert_eq!(line.accept(&by_root(1, 1)), Ok(News::Known));
    assert_eq!(line.accept(&by_the_one_before(2)), Ok(News::Followed));
    assert_eq!(line.accept(&by_the_one_before(2)), Ok(News::Known));
    assert_eq!(line.accept(&by_root(1, 1)), Ok(News::Known), "a late copy says nothing new");
    assert_eq!((line.current(), trusted(&line)), (&about(2), vec![1, 2]));
    for epoch in 3..20 {
        assert_eq!(line.accept(&by_the_one_before(epoch)), Ok(News::Followed));
    }
    assert_eq!(trusted(&line), (11..20).collect::<Vec<_>>());
    assert_eq!(line.accept(&by_root(1, 1)), Ok(News::Known), "the root's word is known for as long as it is");
    let late = NotAccepted::Missing(signer(1).public().id());
    assert_eq!(line.accept(&by_the_one_before(2)), Err(late), "its key is too early to count");
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
    let forged = unasked(&about(2), &thief, &signer(1));
    let not_its_own = InvalidBundle::NotItsOwn(about(2).key.id());
    assert_eq!(line.accept(&forged), Err(NotAccepted::Invalid(not_its_own)));
    // Nor put the name of the announced key upon what he signed himself.
    let (kid, announced) = (thief.public().id(), about(2).key.id());
    let mut renamed = envelope::seal(Content::Statement, &about(2).write(), EXTERNAL, &thief).unwrap().bytes;
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
    assert_eq!(line.accept(&by_root(3, 5)), Ok(News::Recertified));
    assert_eq!(trusted(&line), [5]);
    assert_eq!(line.accept(&by_root(2, 9)), Err(NotAccepted::Old { found: 2, held: 3 }));
    assert!(matches!(line.accept(&by_the_one_before(2)), Err(NotAccepted::Missing(_))));
    assert_eq!(line.accept(&follows(2, 6)), Err(NotAccepted::Old { found: 2, held: 3 }));
    assert_eq!(line.accept(&follows(3, 6)), Ok(News::Followed));
    assert_eq!(trusted(&line), [5, 6]);
    // The root goes back in the line when it wants to.
    assert_eq!(line.accept(&by_root(4, 3)), Ok(News::Recertified));
    assert_eq!(trusted(&line), [3]);
}

/// Who has the present and the announced key lets as many follow as he likes; an offline root knows of none.
#[test]
fn a_thief_who_runs_ahead_does_not_outrun_the_root() {
    let mut robbed = line();
    for epoch in 2..100 {
        assert_eq!(robbed.accept(&by_the_one_before(epoch)), Ok(News::Followed));
    }
    // About a place that he took, one that he left, one that he has not reached, and the first key again.
    for word in [under(2, 99), under(2, 50), under(2, 150), under(2, 1)] {
        let (mut line, seed) = (robbed.clone(), if word.epoch == 1 { 1 } else { 150 });
        let word = Statement { key: signer(seed).public(), ..word };
        let sent = word.certify(&signer(seed), &signer(ROOT)).unwrap();
        assert_eq!(line.accept(&sent), Ok(News::Recertified));
        assert_eq!((line.current(), line.trusted().count()), (&word, 1));
        if word.epoch == 1 {
            // Certified again, a key that he has is still his.
            assert_eq!(line.accept(&follows(2, 2)), Ok(News::Followed));
            continue;
        }
        // Whatever he says from now on changes nothing.
        let held = line.clone();
        for epoch in 2..110 {
            for serial in [1, 2, 3, u64::MAX] {
                assert!(line.accept(&follows(serial, epoch)).is_err());
            }
        }
        assert_eq!(line, held);
    }
}

#[test]
fn only_the_root_raises_the_serial() {
    let mut line = line();
    let early = NotAccepted::Missing(signer(1).public().id());
    for serial in [2, u64::MAX] {
        assert_eq!(line.accept(&follows(serial, 2)), Err(early.clone()));
    }
    assert_eq!(line, self::line());
    // What was early counts as soon as the word that it stands under is there.
    assert_eq!(line.accept(&by_root(2, 1)), Ok(News::Recertified));
    assert_eq!(line.accept(&follows(2, 2)), Ok(News::Followed));
    assert_eq!(line.accept(&follows(1, 2)), Err(NotAccepted::Old { found: 1, held: 2 }));
}

#[test]
fn the_root_says_something_else_of_a_key_under_a_higher_serial_only() {
    let mut line = line();
    line.accept(&by_the_one_before(2)).unwrap();
    let certify = |it: &Statement| it.certify(&signer(1), &signer(ROOT)).unwrap();
    let longer = Statement { expires_ms: Some(1_900_000_000_000), ..about(1) };
    let elsewhere = Statement { next: signer(9).public().id(), ..about(1) };
    for other in [&longer, &elsewhere, &Statement { created_ms: 0, ..about(1) }] {
        assert_eq!(line.accept(&certify(other)), Err(NotAccepted::RootFork(1)));
    }
    assert_eq!(line.accept(&by_root(1, 7)), Err(NotAccepted::RootFork(1)));
    assert_eq!(line.current(), &about(2));
    let longer = Statement { serial: 2, ..longer };
    assert_eq!(line.accept(&certify(&longer)), Ok(News::Recertified));
    assert_eq!(line.current(), &longer);
    let elsewhere = Statement { serial: 3, ..elsewhere };
    assert_eq!(line.accept(&certify(&elsewhere)), Ok(News::Recertified));
    let follower = Statement { key: signer(9).public(), ..under(3, 2) };
    assert_eq!(line.accept(&follower.certify(&signer(9), &signer(1)).unwrap()), Ok(News::Followed));
}

#[test]
fn a_fork_takes_the_key_before_and_the_announced_one() {
    let mut line = line();
    (2..6).for_each(|epoch| assert_eq!(line.accept(&by_the_one_before(epoch)), Ok(News::Followed)));
    let held = line.clone();
    let thief = signer(77);
    for place in 1..=6 {
        let own = Statement { key: thief.public(), created_ms: 0, ..about(place) };
        let other = Statement { created_ms: 0, ..about(place) };
        for stolen in 1..6 {
            let (found, key_before) = (u64::from(place), u64::from(stolen));
            let is_next = key_before + 1 == found;
            // With one key that he stole, whichever: he cannot say anything of another place, and at the next
            // he has not the key that was announced.
            let refusal = line.accept(&unasked(&own, &thief, &signer(stolen))).unwrap_err();
            let skips = NotAccepted::Skips { found, held: key_before };
            if place == 1 {
                assert!(matches!(refusal, NotAccepted::Invalid(InvalidBundle::Statement(_))));
            } else if is_next {
                assert_eq!(refusal, NotAccepted::NotAnnounced(thief.public().id()));
            } else {
                assert_eq!(refusal, skips);
            }
            // With the key of the place as well it is a fork behind the one before, and nowhere else. Nobody
            // has said anything of place 6 yet.
            if stolen == place || place == 6 {
                continue;
            }
            let refusal = line.accept(&unasked(&other, &signer(place), &signer(stolen))).unwrap_err();
            assert_eq!(refusal, if is_next { NotAccepted::Fork(found) } else { skips });
        }
    }
    assert_eq!(line, held);
}

#[test]
fn a_key_keeps_its_place() {
    let certify = |it: &Statement, own: u8, by: u8| it.certify(&signer(own), &signer(by));
    // Of what shows in one statement nothing is made, nor taken when somebody makes it.
    let mut line = line();
    let first_again = Statement { key: signer(1).public(), ..under(2, 5) };
    let itself = about(2);
    for (wrong, own, by) in [(&first_again, 1, ROOT), (&first_again, 1, 4), (&itself, 2, 2)] {
        assert!(matches!(certify(wrong, own, by), Err(CertifyError::Statement(_))));
    }
    let refusal = line.accept(&unasked(&first_again, &signer(1), &signer(ROOT)));
    assert!(matches!(refusal, Err(NotAccepted::Invalid(InvalidBundle::Statement(_)))));
    line.accept(&by_the_one_before(2)).unwrap();
    let itself = Statement { key: signer(2).public(), next: signer(4).public().id(), ..about(3) };
    let refusal = line.accept(&unasked(&itself, &signer(2), &signer(2)));
    assert!(matches!(refusal, Err(NotAccepted::Invalid(InvalidBundle::Statement(_)))));

    // A key that comes again later in the line, as it was announced.
    let third = Statement { next: signer(2).public().id(), ..about(3) };
    line.accept(&certify(&third, 3, 2).unwrap()).unwrap();
    let again = Statement { key: signer(2).public(), next: signer(5).public().id(), ..about(4) };
    let other_place = NotAccepted::OtherPlace { found: 4, held: 2 };
    assert_eq!(line.accept(&certify(&again, 2, 3).unwrap()), Err(other_place));

    // A thief gets round that with a key that is too early to count. The root, who knows nothing of it, is
    // heard all the same.
    let mut robbed = self::line();
    (2..12).for_each(|epoch| assert_eq!(robbed.accept(&by_the_one_before(epoch)), Ok(News::Followed)));
    let back = Statement { next: signer(2).public().id(), ..about(12) };
    robbed.accept(&certify(&back, 12, 11).unwrap()).unwrap();
    let again = Statement { key: signer(2).public(), next: signer(14).public().id(), ..about(13) };
    assert_eq!(robbed.accept(&certify(&again, 2, 12).unwrap()), Ok(News::Followed));
    assert_eq!(robbed.accept(&by_root(2, 2)), Ok(News::Recertified));
    assert_eq!(trusted(&robbed), [2]);

    // The root moves no key that it placed itself, and can certify it again where it is.
    line.accept(&by_root(2, 6)).unwrap();
    let moved = Statement { key: signer(6).public(), next: signer(9).public().id(), ..under(3, 8) };
    let other_place = NotAccepted::OtherPlace { found: 8, held: 6 };
    assert_eq!(line.accept(&certify(&moved, 6, ROOT).unwrap()), Err(other_place));
    assert_eq!(line.accept(&by_root(3, 6)), Ok(News::Recertified));
    assert_eq!(trusted(&line), [6]);
}

/// A bundle as the holder of this key makes it.
fn bundle(key: u8, kind: Kind, records: &[Record]) -> Sealed {
    let header = Header { stream: stream_of(&signer(1)), key_epoch: key.into(), ..header(kind, 6) };
    make(&header, Body::Records(records.to_vec()), &signer(key)).unwrap()
}

fn record(name: &str, revision: u64, content: &str) -> Record {
    let key = Key::new(Class::Asset, name).unwrap();
    Record { key, revision: NonZeroU64::new(revision).unwrap(), content: Some(content.into()) }
}

fn apply(state: &mut State, bundle: &Sealed, keys: &Keyring) -> Result<Vec<Outcome>, InvalidBundle> {
    match open(&bundle.bytes, keys)?.body {
        Body::Records(records) => Ok(records.iter().map(|it| state.apply(it)).collect()),
        Body::Statements(_) | Body::Nothing => Ok(Vec::new()),
    }
}

#[test]
fn what_a_thief_wrote_for_ever_ends_with_the_word_of_the_root() {
    let (mut line, mut keys, mut state) = (line(), Keyring::default(), State::default());
    keys.follow(&line);
    let truth = [record("hmi-01", 7, "runs old code"), record("hmi-02", 3, "is fine")];
    let poison = [record("hmi-01", u64::MAX, "is fine"), record("invented", u64::MAX, "nobody tells of it")];
    let (poison, said) = (bundle(1, Kind::Delta, &poison), bundle(1, Kind::Delta, &truth));
    assert_eq!(apply(&mut state, &poison, &keys).unwrap(), [Outcome::Applied; 2]);
    assert_eq!(apply(&mut state, &said, &keys).unwrap(), [Outcome::Stale, Outcome::Applied]);

    line.accept(&by_root(2, 5)).unwrap();
    keys.follow(&line);
    // Now, as `News::Recertified` says, with a new state.
    state = State::default();
    let gone = InvalidBundle::UnknownKey(signer(1).public().id());
    assert_eq!(apply(&mut state, &poison, &keys), Err(gone), "his bundles are refused, however late");
    for index in 0..4 {
        let of_slice: Vec<_> = truth.iter().filter(|it| slice_of(&it.key, 4) == index).cloned().collect();
        apply(&mut state, &bundle(5, Kind::Slice { index, of: 4 }, &of_slice), &keys).unwrap();
    }
    let mut sender = State::default();
    assert!(truth.iter().all(|it| sender.apply(it) == Outcome::Applied));
    assert_eq!(state.digest(), sender.digest());
}

#[test]
fn a_ring_follows_a_line_and_keeps_what_is_not_of_it() {
    let known = |keys: &Keyring| {
        (1..=6).filter(|it| keys.find(&signer(*it).public().id()).is_some()).collect::<Vec<_>>()
    };
    let other = Trusted { stream: stream_of(&signer(90)), epoch: 1, key: signer(90).public() };
    let (mut line, mut keys) = (line(), Keyring::default());
    keys.trust(other.clone());
    keys.follow(&line);
    line.accept(&by_the_one_before(2)).unwrap();
    line.accept(&by_the_one_before(3)).unwrap();
    keys.follow(&line);
    assert_eq!(known(&keys), [1, 2, 3]);
    // A person's no holds until a person says otherwise.
    assert_eq!(keys.revoke(&signer(2).public().id()).map(|it| it.epoch), Some(2));
    keys.follow(&line);
    assert_eq!(known(&keys), [1, 3]);
    keys.trust(line.trusted().nth(1).unwrap());
    keys.follow(&line);
    assert_eq!(known(&keys), [1, 2, 3]);
    line.accept(&by_root(2, 5)).unwrap();
    keys.follow(&line);
    assert_eq!(known(&keys), [5]);
    assert_eq!(keys.find(&other.key.id()), Some(&other));
    // Who has a key of another stream, and states it in this one too, does not take it from there.
    let both = Statement { key: signer(90).public(), next: signer(91).public().id(), ..under(3, 7) };
    line.accept(&both.certify(&signer(90), &signer(ROOT)).unwrap()).unwrap();
    keys.follow(&line);
    assert_eq!(keys.find(&other.key.id()), Some(&other));
    assert_eq!(known(&keys), [0_u8; 0]);
}

#[test]
fn a_line_begins_with_the_root_of_its_own_zone() {
    let root = signer(ROOT).public();
    let kid = signer(1).public().id();
    assert_eq!(Line::found(&zone(), &root, &by_the_one_before(2)), Err(NotAccepted::NotByRoot(kid)));
    let other = ZoneName { zone: "line-2".parse().unwrap(), ..zone() };
    assert!(matches!(Line::found(&other, &root, &by_root(1, 1)), Err(NotAccepted::OtherStream(_))));
    assert!(Line::found(&zone(), &signer(201).public(), &by_root(1, 1)).is_err());
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
    assert_eq!(line.accept(&under(2, 3).certify(&signer(3), &root).unwrap()), Ok(News::Recertified));
    // The same word signed again has another signature and is no other word.
    assert_eq!(line.accept(&under(2, 3).certify(&signer(3), &root).unwrap()), Ok(News::Known));
}

#[test]
fn a_statement_that_contradicts_itself_is_neither_made_nor_read() {
    for wrong in [
        Statement { serial: 0, ..about(1) },
        Statement { epoch: 0, ..about(1) },
        Statement { epoch: 2, ..about(1) },
        Statement { stream: stream_of(&signer(2)), ..about(1) },
        Statement { next: signer(1).public().id(), ..about(1) },
    ] {
        assert!(matches!(wrong.certify(&signer(1), &signer(ROOT)), Err(CertifyError::Statement(_))));
        let sent = unasked(&wrong, &signer(1), &signer(ROOT));
        let read = Line::found(&zone(), &signer(ROOT).public(), &sent);
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

    /// A thief who has every key up to the root's last word, and says whatever he likes: in whatever order it
    /// arrives, the line ends at the root's last word, and at once.
    #[test]
    fn the_last_word_of_the_root_stands_whatever_else_arrives(
        words in prop::collection::vec(1_u8..12, 3),
        said in prop::collection::vec((1_u64..6, 2_u8..14, 1_u8..14), 0..40),
        at in 0_usize..40,
    ) {
        let last = Statement { key: signer(50).public(), ..under(5, 20) };
        let sent = last.certify(&signer(50), &signer(ROOT)).unwrap();
        let words = words.iter().zip(2..).map(|(epoch, serial)| by_root(serial, *epoch));
        let forged = said.iter().map(|(serial, epoch, by)| {
            unasked(&under(*serial, *epoch), &signer(*epoch), &signer(*by))
        });
        let mut all: Vec<_> = forged.collect();
        words.for_each(|it| all.insert(at.min(all.len()), it));
        let (before, after) = all.split_at(at.min(all.len()));
        let mut line = line();
        for early in before {
            let _ = line.accept(early);
        }
        prop_assert_eq!(line.accept(&sent), Ok(News::Recertified));
        for late in after.iter().chain(before) {
            prop_assert!(line.accept(late).is_err());
        }
        prop_assert_eq!(line.current(), &last);
        prop_assert_eq!(line.trusted().count(), 1);
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
