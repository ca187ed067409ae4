//! Tests of the reader of Berkeley DB.

use super::super::tests::{Seen, packages};
use super::super::written::{bdb, package};
use super::*;

fn seen(file: &Vec<u8>) -> (io::Result<()>, Seen) {
    let mut seen = Seen::default();
    let result = read(file, &mut seen);
    (result, seen)
}

#[test]
fn headers_on_the_page_and_off_it_are_read_in_both_byte_orders() {
    let many: Vec<Vec<u8>> = (0..60).map(|it| package("x", it)).collect();
    for order in [Order::Little, Order::Big] {
        for page_size in [512, 4096, 16_384] {
            for headers in [&packages(), &many, &vec![]] {
                let (result, seen) = seen(&bdb(headers, order, page_size));
                result.unwrap();
                assert_eq!(seen.sound(), *headers, "{order:?} {page_size}");
            }
        }
    }
}

#[test]
fn pages_that_lead_in_a_circle_end() {
    let sound = bdb(&packages(), Order::Little, 512);
    // A bucket that follows itself, and a chain that does.
    let mut bucket = sound.clone();
    bucket[512 + 16..512 + 20].copy_from_slice(&1_u32.to_le_bytes());
    let mut chain = sound.clone();
    let overflow = chain.chunks(512).rposition(|it| it[25] == OVERFLOW).unwrap() - 1;
    let number = u32::try_from(overflow).unwrap();
    chain[overflow * 512 + 16..overflow * 512 + 20].copy_from_slice(&number.to_le_bytes());
    for file in [bucket, chain] {
        let (_, seen) = seen(&file);
        assert_eq!(seen.faults.len(), 1, "{:?}", seen.faults);
        assert!(seen.faults[0].ends_with("is used twice"));
        assert!(seen.headers.len() <= packages().len());
    }
}

#[test]
fn a_broken_bucket_costs_only_what_is_in_it() {
    let mut file = bdb(&packages(), Order::Big, 4096);
    file[2 * 4096 + 25] = 0;
    let (result, seen) = seen(&file);
    result.unwrap();
    assert_eq!(seen.faults, ["page 2: it is no page of the hash"]);
    assert_eq!(seen.headers.len(), packages().len() / 2);
}

#[test]
fn what_rpm_never_writes_is_refused() {
    let sound = bdb(&packages(), Order::Little, 512);
    for (at, byte, why) in [
        (12, 0, "it is no Berkeley DB hash"),
        (16, 7, "it is a hash of version 7"),
        (25, 9, "it is a hash of version 9"),
        (24, 1, "it is encrypted or has checksums, which rpm never writes"),
        (26, 1, "it is encrypted or has checksums, which rpm never writes"),
        (20, 1, "it has pages of 513 bytes"),
        (35, 0x7f, "it has more than 1048576 pages"),
        (75, 0x7f, "it has 2130706433 buckets in"),
    ] {
        let mut file = sound.clone();
        file[at] = byte;
        let said = seen(&file).0.unwrap_err().to_string();
        assert!(said.starts_with(why), "{said}");
    }
}

#[test]
fn items_outside_their_page_and_of_other_kinds_are_faults() {
    let sound = bdb(&[package("x", 3_000)], Order::Little, 512);
    let value = usize::from(Order::Little.half(&sound, 2 * 512 + 28));
    for (at, bytes) in [
        (20, &[3, 0][..]),
        (20, &[0xff, 0xff]),
        (26, &[0xff, 0xff]),
        (28, &[0xff, 0xff]),
        (28, &[0, 0]),
        (value, &[2]),
        (value, &[4]),
        (value + 4, &[0, 0, 0, 0]),
        (value + 8, &[0xff, 0xff, 0xff, 0xff]),
        (value + 8, &[1, 0, 0, 0]),
    ] {
        let mut file = sound.clone();
        let at = 2 * 512 + at;
        file[at..at + bytes.len()].copy_from_slice(bytes);
        let (result, seen) = seen(&file);
        result.unwrap();
        assert!(seen.faults.len() == 1 && seen.headers.is_empty(), "{at} {bytes:?}: {:?}", seen.faults);
    }
}
