//! Logs that somebody had in hand.

use super::super::{AuditKey, START, link};
use super::*;

const ENTRIES: u64 = 7;

fn record(key: &AuditKey, before: &[u8; 32], number: u64, text: &str) -> AuditRecord {
    let entry = AuditEntry { number, text: text.to_owned(), ..AuditEntry::default() }.encode_to_vec();
    let chain = link(before, &entry);
    AuditRecord { entry, chain: chain.to_vec(), signature: key.sign(&chain) }
}

fn log(key: &AuditKey) -> Vec<AuditRecord> {
    let mut before = START;
    let next = |number| {
        let record = record(key, &before, number, &format!("entry {number}"));
        before.copy_from_slice(&record.chain);
        record
    };
    (1..=ENTRIES).map(next).collect()
}

fn faults(key: &AuditKey, log: &[AuditRecord]) -> Vec<String> {
    let mut verifier = Verifier::new(key.public());
    for record in log {
        verifier.check(record);
    }
    verifier.finish(Some(ENTRIES + 1)).faults
}

fn key() -> AuditKey {
    AuditKey::open(tempfile::tempdir().unwrap().path(), true).unwrap()
}

/// What is done to a log, and every fault that is told of it.
type Case = (&'static str, fn(&AuditKey, &mut Vec<AuditRecord>), &'static [&'static str]);

const CHANGED: &str = "was changed: it is not what was chained and signed";

const CASES: &[Case] = &[
    ("nothing", |_, _| {}, &[]),
    ("one is removed", |_, it| drop(it.remove(2)), &["entry 3 is missing"]),
    ("the first is removed", |_, it| drop(it.remove(0)), &["entry 1 is missing"]),
    ("the last but one is removed", |_, it| drop(it.remove(5)), &["entry 6 is missing"]),
    ("some are removed", |_, it| drop(it.drain(1..4)), &["entries 2 to 4 are missing"]),
    (
        "two holes",
        |_, it| {
            it.remove(4);
            it.remove(1);
        },
        &["entry 2 is missing", "entry 5 is missing"],
    ),
    ("the last is removed", |_, it| drop(it.pop()), &["entry 7 is missing, as the store has counted"]),
    ("all are removed", |_, it| it.clear(), &["entries 1 to 7 are missing, as the store has counted"]),
    ("neighbours are swapped", |_, it| it.swap(1, 2), &["entry 2 is reordered: it stands behind entry 3"]),
    ("the last two are swapped", |_, it| it.swap(5, 6), &["entry 6 is reordered: it stands behind entry 7"]),
    (
        "two far apart are swapped",
        |_, it| it.swap(1, 4),
        &[
            "entry 2 is reordered: it stands behind entry 5",
            "entry 3 is reordered: it stands behind entry 5",
            "entry 4 is reordered: it stands behind entry 5",
        ],
    ),
    (
        "one is moved to the end",
        |_, it| {
            let moved = it.remove(1);
            it.push(moved);
        },
        &["entry 2 is reordered: it stands behind entry 7"],
    ),
    (
        "one is moved and changed",
        |_, it| {
            let mut moved = it.remove(1);
            moved.entry.push(0x32);
            moved.entry.push(0);
            it.push(moved);
        },
        &[
            "entry 2 is reordered: it stands behind entry 7",
            "entry 2 was changed: it is not what was chained and signed",
        ],
    ),
    (
        "one is there twice",
        |_, it| it.insert(3, it[1].clone()),
        &["entry 2 is there twice: again behind entry 3"],
    ),
    (
        "the text is changed",
        |_, it| {
            it[2].entry = AuditEntry { number: 3, text: "x".into(), ..AuditEntry::default() }.encode_to_vec();
        },
        &["entry 3 was changed: it is not what was chained and signed"],
    ),
    (
        "the number is changed",
        |_, it| it[2].entry = AuditEntry { number: 9, ..AuditEntry::default() }.encode_to_vec(),
        &["entry 3 was changed: it says that it is number 9"],
    ),
    (
        "the number is lowered",
        |_, it| it[2].entry = AuditEntry { number: 1, ..AuditEntry::default() }.encode_to_vec(),
        &["entry 3 was changed: it says that it is number 1"],
    ),
    (
        "the last number is changed",
        |_, it| it[6].entry = AuditEntry { number: 9, ..AuditEntry::default() }.encode_to_vec(),
        &["entry 7 was changed: it says that it is number 9"],
    ),
    (
        "it is no entry any more",
        |_, it| it[2].entry = vec![0xff; 9],
        &[
            "entry 3 cannot be read: it was changed",
            "entry 3 was changed: it is not what was chained and signed",
        ],
    ),
    (
        "the chain value is changed",
        |_, it| it[2].chain[0] ^= 1,
        &["entry 3 was changed: its chain value is not the one that was signed"],
    ),
    (
        "the chain value is gone",
        |_, it| it[2].chain.clear(),
        &["entry 3 was changed: its chain value is not the one that was signed"],
    ),
    (
        "the signature is changed",
        |_, it| it[2].signature[0] ^= 1,
        &["entry 3 is not signed by this collector's audit key"],
    ),
    (
        "one is written and chained by somebody else",
        |key, it| {
            let before = it[6].chain.as_slice().try_into().unwrap();
            it.push(record(&self::key(), &before, 8, "forged"));
            it.push(record(key, &before, 8, "entry 8"));
        },
        &[
            "entry 8 is not signed by this collector's audit key",
            "entry 8 was added behind the last one that the store has counted",
            "entry 8 is there twice: again behind entry 8",
        ],
    ),
];

#[test]
fn what_was_done_is_what_is_told() {
    let key = key();
    for (what, tamper, expected) in CASES {
        let mut log = log(&key);
        tamper(&key, &mut log);
        let mut expected: Vec<&str> = expected.to_vec();
        let mut told = faults(&key, &log);
        // The order within one number does not matter.
        let first = told.first().cloned();
        told.sort();
        expected.sort_unstable();
        assert_eq!(told, expected, "{what}");
        let number = |it: &str| it.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
        let least = told.iter().map(|it| number(it)).min();
        assert_eq!(first.map(|it| number(&it)), least, "{what}: the first comes first");
    }
    assert!(CASES.iter().any(|it| it.2.contains(&format!("entry 3 {CHANGED}").as_str())));
}

#[test]
fn every_byte_counts_and_the_first_faulty_entry_is_named() {
    let key = key();
    let good = log(&key);
    for at in 0..good.len() {
        let sizes = [good[at].entry.len(), 32, 64];
        for (part, size) in sizes.into_iter().enumerate() {
            for byte in 0..size {
                let mut log = good.clone();
                let record = &mut log[at];
                let place = [&mut record.entry, &mut record.chain, &mut record.signature];
                place.into_iter().nth(part).unwrap()[byte] ^= 1 << (byte % 8);
                let told = faults(&key, &log);
                let named = told.first().is_some_and(|it| it.starts_with(&format!("entry {} ", at + 1)));
                assert!(named, "entry {}, part {part}, byte {byte}: {told:?}", at + 1);
            }
        }
    }
}

#[test]
fn random_edits_of_the_whole_log_are_all_found() {
    let key = key();
    let good = log(&key);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((state >> 33) % u64::try_from(end).unwrap()).unwrap()
    };
    for _ in 0..1_500 {
        let mut log = good.clone();
        let (one, two) = (random(log.len()), random(log.len()));
        match random(5) {
            0 => log.swap(one, two),
            1 => drop(log.remove(one)),
            2 => log.insert(two, good[one].clone()),
            3 => log.truncate(one),
            _ => {
                let entry = &mut log[one].entry;
                let at = random(entry.len());
                entry[at] ^= 1 << random(8);
            }
        }
        assert_eq!(faults(&key, &log).is_empty(), log == good, "{one} {two}");
    }
}

#[test]
fn a_log_of_another_key_is_wrong_from_its_first_entry() {
    let told = faults(&key(), &log(&key()));
    assert_eq!(told.len(), usize::try_from(ENTRIES).unwrap());
    assert_eq!(told[0], "entry 1 is not signed by this collector's audit key");
}

#[test]
fn no_more_faults_are_listed_than_people_read_and_the_first_are_kept() {
    let key = key();
    let mut before = START;
    let mut verifier = Verifier::new(key.public());
    for number in 1..=200 {
        let mut record = record(&key, &before, number, "");
        before.copy_from_slice(&record.chain);
        record.signature.clear();
        verifier.check(&record);
    }
    let told = verifier.finish(None).faults;
    assert_eq!(told.len(), MAX_FAULTS);
    assert!(told[0].starts_with("entry 1 ") && told[99].starts_with("entry 100 "));
}
