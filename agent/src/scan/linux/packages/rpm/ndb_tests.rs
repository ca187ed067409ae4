//! Tests of the reader of rpm's own format.

use proptest::prelude::*;

use super::super::tests::{Seen, packages};
use super::super::written::ndb;
use super::*;

fn seen(file: &Vec<u8>) -> (io::Result<()>, Seen) {
    let mut seen = Seen::default();
    let result = read(file, &mut seen);
    (result, seen)
}

#[test]
fn every_blob_of_a_slot_is_read() {
    let (result, seen) = seen(&ndb(&packages()));
    result.unwrap();
    assert_eq!(seen.sound(), packages());
}

#[test]
fn a_slot_that_was_given_up_is_none() {
    let mut file = ndb(&packages());
    file[32 + 8..32 + 12].fill(0);
    let (result, seen) = seen(&file);
    result.unwrap();
    assert_eq!((seen.headers.len(), seen.faults.len()), (packages().len() - 1, 0));
}

#[test]
fn a_damaged_blob_is_a_fault_and_the_others_stay() {
    let file = ndb(&packages());
    let first = 4096;
    let end = first + 16 * usize::try_from(word(&file, 32 + 12)).unwrap();
    for (at, why) in [
        (first, "its blob is damaged at the beginning"),
        (first + 4, "its blob is damaged at the beginning"),
        (first + 12, "its blob is damaged at the beginning"),
        (first + 8, "the checksum of its blob is wrong"),
        (first + 40, "the checksum of its blob is wrong"),
        (end - 12, "the checksum of its blob is wrong"),
        (end - 8, "its blob is damaged at the end"),
        (end - 1, "its blob is damaged at the end"),
    ] {
        let mut file = file.clone();
        file[at] ^= 0x40;
        let (result, seen) = seen(&file);
        result.unwrap();
        assert_eq!(seen.faults, [format!("package 1: {why}")], "{at}");
        assert_eq!(seen.headers.len(), packages().len() - 1);
    }
}

#[test]
fn blobs_that_overlap_or_lie_outside_are_refused() {
    let sound = ndb(&packages());
    for (at, value) in [(8, 1_u32), (8, 0xffff_fff0), (12, u32::MAX), (12, 0), (12, 1)] {
        let mut file = sound.clone();
        file[32 + at..36 + at].copy_from_slice(&value.to_le_bytes());
        let (result, seen) = seen(&file);
        assert!(result.is_err() || seen.faults.len() == 1, "{at} {value}");
    }
    // Every slot claims the same blob, as often as it has place.
    let mut same = sound.clone();
    for slot in same[32..4096].chunks_exact_mut(16) {
        slot.copy_from_slice(&sound[32 + 8 * 16..32 + 9 * 16]);
    }
    let (result, seen) = seen(&same);
    assert_eq!(result.unwrap_err().to_string(), "its blobs overlap, or it is cut off");
    assert!(seen.headers.len() <= 2);
}

#[test]
fn what_is_no_such_database_is_refused() {
    for (at, value, why) in [
        (0, 0_u32, "it is no NDB database"),
        (4, 1, "it is of version 1"),
        (12, 0, "it has 0 pages of slots"),
        (12, 0x10_0000, "it has 1048576 pages of slots"),
        (48, 0, "page 0 of its slots is damaged"),
    ] {
        let mut file = ndb(&packages());
        file[at..at + 4].copy_from_slice(&value.to_le_bytes());
        assert_eq!(seen(&file).0.unwrap_err().to_string(), why);
    }
}

#[test]
fn the_checksum_is_that_of_the_standard() {
    let mut sum = Adler::new();
    sum.add(b"Wikipedia");
    assert_eq!(sum.value(), 0x11e6_0398);
    assert_eq!(Adler::new().value(), 1);
}

proptest! {
    #[test]
    fn the_checksum_is_the_same_in_parts_and_by_the_definition(
        bytes in prop::collection::vec(any::<u8>(), 0..20_000), at in any::<prop::sample::Index>(),
    ) {
        let (mut plain, mut weighed) = (1_u32, 0_u32);
        for byte in &bytes {
            plain = (plain + u32::from(*byte)) % 65_521;
            weighed = (weighed + plain) % 65_521;
        }
        let at = at.index(bytes.len() + 1);
        let mut sum = Adler::new();
        sum.add(&bytes[..at]);
        sum.add(&bytes[at..]);
        prop_assert_eq!(sum.value(), weighed << 16 | plain);
    }

    #[test]
    fn the_largest_bytes_do_not_overflow(len in 0_usize..200_000) {
        let mut sum = Adler::new();
        sum.add(&vec![0xff; len]);
        let len = u64::try_from(len).unwrap();
        let plain = (1 + 255 * len) % 65_521;
        let weighed = (len + 255 * (len * (len + 1) / 2)) % 65_521;
        prop_assert_eq!(u64::from(sum.value()), weighed << 16 | plain);
    }
}
