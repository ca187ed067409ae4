//! Tests of the SQLite reader and of its write-ahead log; `tests/rpm.rs` has the real ones.

use super::super::blob::size;
use super::super::tests::{Seen, packages};
use super::super::written::{package, sqlite, wal};
use super::*;

fn seen(main: &Vec<u8>, log: Option<&Vec<u8>>) -> (io::Result<()>, Seen) {
    let mut seen = Seen::default();
    let result = read(main, log.map(|it| -> &dyn ReadAt { it }), &mut seen);
    (result, seen)
}

fn headers(main: &Vec<u8>, log: Option<&Vec<u8>>) -> Vec<Vec<u8>> {
    let (result, seen) = seen(main, log);
    result.unwrap();
    seen.sound()
}

/// The frames that make a log of the difference between two databases.
fn frames<'a>(before: &[u8], after: &'a [u8], page_size: usize) -> Vec<(usize, &'a [u8], usize)> {
    let pages = after.len() / page_size;
    let mut frames: Vec<_> = after
        .chunks(page_size)
        .enumerate()
        .filter(|(page, it)| before.get(page * page_size..(page + 1) * page_size) != Some(it))
        .map(|(page, it)| (page + 1, it, 0))
        .collect();
    frames.last_mut().unwrap().2 = pages;
    frames
}

#[test]
fn headers_of_every_length_are_read_from_pages_of_every_size() {
    for page_size in [512, 1024, 4096, 65_536] {
        assert_eq!(headers(&sqlite(&packages(), page_size), None), packages(), "{page_size}");
    }
    // Around every place at which a row begins to overflow its page.
    let many: Vec<Vec<u8>> = (0..1_200).map(|it| package("x", it)).collect();
    for some in many.chunks(20) {
        assert_eq!(headers(&sqlite(some, 512), None), some);
    }
}

#[test]
fn what_is_committed_in_the_log_counts_and_nothing_else_does() {
    let (before, after) = (sqlite(&packages()[..2], 512), sqlite(&packages(), 512));
    for is_big in [false, true] {
        let frames = frames(&before, &after, 512);
        let log = wal(&frames, 512, is_big);
        assert_eq!(headers(&before, Some(&log)), packages());
        // Without the last frame there is no commit.
        let cut = log[..log.len() - 1].to_vec();
        assert_eq!(headers(&before, Some(&cut)), packages()[..2]);
        // A second transaction that is not committed leaves the first one.
        let half = [&frames[..], &[(2, &[0xff; 512], 0)]].concat();
        assert_eq!(headers(&before, Some(&wal(&half, 512, is_big))), packages());
        // A page that was written twice has what was written last.
        let twice = [&[(2, &[0xff; 512][..], 0)], &frames[..]].concat();
        assert_eq!(headers(&before, Some(&wal(&twice, 512, is_big))), packages());
        for damaged in [0, 9, 17, 25, 32, 41, 48, 60, 32 + 24 + 300] {
            let mut log = log.clone();
            log[damaged] ^= 1;
            assert_eq!(headers(&before, Some(&log)), packages()[..2], "byte {damaged}");
        }
    }
}

#[test]
fn an_empty_log_is_none_and_one_of_another_kind_is_refused() {
    let main = sqlite(&packages()[..2], 512);
    for log in [vec![], vec![0; 32], vec![0; 5_000], wal(&[], 512, true)] {
        assert_eq!(headers(&main, Some(&log)).len(), 2);
    }
    let other = sqlite(&packages()[..2], 1024);
    let (result, _) = seen(&main, Some(&wal(&frames(&[], &other, 1024), 1024, true)));
    // The first page is in the log, so its size is that of the database.
    result.unwrap();
    let (result, _) = seen(&main, Some(&wal(&frames(&[], &other, 1024)[1..], 1024, true)));
    assert_eq!(result.unwrap_err().to_string(), "its write-ahead log has pages of another size");
}

#[test]
fn a_tree_or_a_chain_that_leads_in_a_circle_ends() {
    let mut upwards = sqlite(&packages(), 512);
    upwards[512 + 8..512 + 12].copy_from_slice(&2_u32.to_be_bytes());
    let (result, seen_) = seen(&upwards, None);
    assert!(result.is_err() || !seen_.faults.is_empty());
    assert!(seen_.headers.len() < packages().len());
    let big = [package("big", 60_000)];
    let sound = sqlite(&big, 512);
    for target in [3, 4, 5, 0, 1_000_000] {
        let mut looping = sound.clone();
        // Page 4 is the first of the chain.
        looping[3 * 512..3 * 512 + 4].copy_from_slice(&u32::to_be_bytes(target));
        let (_, seen) = seen(&looping, None);
        let expected = if target == 5 { (1, 0) } else { (0, 1) };
        assert_eq!((seen.headers.len(), seen.faults.len()), expected, "{target}: {:?}", seen.faults);
    }
}

#[test]
fn rows_that_are_out_of_order_end_the_reading_and_a_page_is_read_once() {
    let sound = sqlite(&packages()[..3], 512);
    // Both ways down of the root lead to the same leaf.
    let mut twice = sound.clone();
    for place in 0..2 {
        let cell = 512 + usize::from(u16_at(&twice, 512 + 12 + 2 * place));
        twice[cell..cell + 4].copy_from_slice(&3_u32.to_be_bytes());
    }
    let (result, seen_twice) = seen(&twice, None);
    result.unwrap();
    assert_eq!(seen_twice.headers.len(), 2);
    assert_eq!(seen_twice.faults, ["page 3: page 3 is used twice"]);
    // The second row has the number of the first; its cell is two bytes of length, then the number.
    let mut same = sound.clone();
    let leaf = same[1024..].chunks(512).skip(1).position(|it| it[0] == LEAF).unwrap() + 3;
    let cell = leaf * 512 + usize::from(u16_at(&same, leaf * 512 + 8));
    assert_eq!(same[cell + 2], 2);
    same[cell + 2] = 1;
    let (result, seen) = seen(&same, None);
    assert_eq!(result.unwrap_err().to_string(), format!("page {}: row 1 is out of order", leaf + 1));
    assert_eq!(seen.headers.len(), 1);
}

#[test]
fn a_broken_page_costs_only_what_is_on_it() {
    let mut broken = sqlite(&packages()[..4], 512);
    // The leaf of the first header.
    broken[2 * 512] = 10;
    let (result, seen) = seen(&broken, None);
    result.unwrap();
    assert_eq!(seen.headers.len(), 3);
    assert_eq!(seen.faults, ["page 3: it is no page of a table but of kind 10"]);
}

#[test]
fn a_file_that_is_cut_off_says_how_much_is_there() {
    let whole = sqlite(&packages(), 4096);
    let cut = whole[..whole.len() - 1].to_vec();
    let (result, seen) = seen(&cut, None);
    result.unwrap();
    let pages = whole.len() / 4096;
    assert_eq!(seen.faults[0], format!("it is cut off: {} of {pages} pages are there", pages - 1));
}

#[test]
fn what_is_no_database_of_rpm_is_refused() {
    let sound = sqlite(&packages()[..1], 512);
    for (at, bytes, why) in [
        (0, &b"X"[..], "it is no SQLite database"),
        (16, &[3, 1], "it has pages of 769 bytes"),
        (19, &[3], "it is of version 3"),
        (20, &[200], "it reserves 200 bytes of each page"),
        (56, &[0, 0, 0, 2], "its text is not UTF-8"),
    ] {
        let mut other = sound.clone();
        other[at..at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(seen(&other, None).0.unwrap_err().to_string(), why);
    }
    let mut renamed = sound.clone();
    let place = renamed.windows(8).position(|it| it == b"Packages").unwrap();
    renamed[place] = b'p';
    assert_eq!(seen(&renamed, None).0.unwrap_err().to_string(), "it has no table Packages");
}

#[test]
fn a_number_of_nine_bytes_is_the_longest() {
    assert_eq!(varint(&[0x81, 0x00], 0), Some((128, 2)));
    assert_eq!(varint(&[0xff; 9], 0), Some((u64::MAX, 9)));
    assert_eq!(varint(&[0xff; 8], 0), None);
    assert_eq!(varint(&[1], 1), None);
    assert_eq!(size(&[1, 2]), 2);
}
