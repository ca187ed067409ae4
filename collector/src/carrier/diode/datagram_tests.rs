use super::super::testing::{KEY, Numbers, Sender, keys};
use super::*;

const ORIGIN: Origin =
    Origin { stream: 0x0102_0304_0506_0708, session: 0xdead_beef, sequence: 0x0a0b_0c0d_0e0f };

fn sample() -> Vec<u8> {
    let shape = Shape::new(2_999, 300).unwrap();
    let object = ObjectId([0xc3; 16]);
    let shard = Shard { pass: 1, object, shape, block: 0, index: 12, symbol: &[9; 299] };
    let mut bytes = Vec::new();
    write_shard(&mut bytes, &keys(), ORIGIN, &shard);
    bytes
}

#[test]
fn what_is_written_reads_back() {
    let bytes = sample();
    assert_eq!(bytes.len(), HEADER + 300);
    let read = parse(&keys(), &bytes).unwrap();
    assert_eq!(read.origin, ORIGIN);
    let Load::Shard(shard) = read.load else { panic!("a shard was written") };
    assert_eq!((shard.pass, shard.block, shard.index, shard.shape.length()), (1, 0, 12, 2_999));
    assert_eq!((shard.symbol[298], shard.symbol[299]), (9, 0), "short symbols are filled up");
    let pattern = Pattern { step: 3, steps: 4, rate: 1 << 40, place: 99, count: 100, symbol: 200 };
    let mut bytes = Vec::new();
    write_pattern(&mut bytes, &keys(), ORIGIN, &pattern);
    assert_eq!(parse(&keys(), &bytes).unwrap().load, Load::Pattern(pattern));
}

#[test]
fn the_layout_is_the_one_that_is_drawn() {
    let bytes = sample();
    assert_eq!(&bytes[..6], b"HD\x01\x07\x00\x01");
    assert_eq!(bytes[8..16], ORIGIN.stream.to_be_bytes());
    assert_eq!(bytes[16..20], ORIGIN.session.to_be_bytes());
    assert_eq!(bytes[20..26], [10, 11, 12, 13, 14, 15]);
    assert_eq!(bytes[26..28], 12_u16.to_be_bytes());
    assert_eq!(bytes[28..32], 2_999_u32.to_be_bytes());
    assert_eq!(bytes[32..48], [0xc3; 16]);
}

#[test]
fn every_flipped_bit_is_refused() {
    let bytes = sample();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let cause = parse(&keys(), &flipped).unwrap_err();
        let expected = match bit / 8 {
            0..3 => Cause::Magic,
            3 => Cause::Key,
            _ => Cause::Mac,
        };
        assert_eq!(cause, expected, "bit {bit}");
    }
}

#[test]
fn every_other_length_is_refused() {
    let bytes = sample();
    for length in 0..bytes.len() {
        let cause = parse(&keys(), &bytes[..length]).unwrap_err();
        let odd = length < HEADER + 2 || length % 2 == 1;
        assert_eq!(cause, if odd { Cause::Length } else { Cause::Mac }, "{length}");
    }
    for more in [1, 2, 300, 9_000, 60_000] {
        let longer = [bytes.as_slice(), &vec![0; more]].concat();
        assert!(parse(&keys(), &longer).is_err(), "{more}");
    }
}

/// Signed by the key, and wrong all the same.
#[test]
fn numbers_out_of_bounds_are_refused_also_with_the_right_mac() {
    let sign = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = sample();
        change(&mut bytes);
        seal(&mut bytes, &keys());
        parse(&keys(), &bytes).map(|_| ()).err()
    };
    assert_eq!(sign(&|_| ()), None);
    assert_eq!(sign(&|it| it[4] = 2), Some(Cause::Bounds), "kind");
    assert_eq!(sign(&|it| it[7] = 1), Some(Cause::Bounds), "block");
    assert_eq!(sign(&|it| it[26] = 0x10), Some(Cause::Bounds), "index");
    assert_eq!(sign(&|it| it[28..32].fill(0)), Some(Cause::Bounds), "no length");
    assert_eq!(sign(&|it| it[28] = 4), Some(Cause::Bounds), "too long");
    assert_eq!(sign(&|it| it[26..28].copy_from_slice(&MAX_SHARDS.to_be_bytes())), Some(Cause::Bounds));
    assert_eq!(sign(&|it| (it[4], it[7]) = (1, 12)), Some(Cause::Bounds), "step of no steps");
    assert_eq!(sign(&|it| (it[4], it[7]) = (1, 11)), Some(Cause::Bounds), "place behind the count");
}

#[test]
fn another_key_is_unknown_or_wrong() {
    let bytes = sample();
    let other = Keys::new(&[(KEY.0, [1; 32])]).unwrap();
    assert_eq!(parse(&other, &bytes), Err(Cause::Mac));
    let elsewhere = Keys::new(&[(KEY.0 + 1, KEY.1)]).unwrap();
    assert_eq!(parse(&elsewhere, &bytes), Err(Cause::Key));
    let both = Keys::new(&[(1, [1; 32]), KEY]).unwrap();
    assert!(parse(&both, &bytes).is_ok());
}

/// Random, short, spliced and damaged datagrams.
fn storm(count: usize, seed: u64) {
    let mut numbers = Numbers::new(seed);
    let mut sender = Sender::new(100, 200);
    let object = numbers.bytes(3_000);
    let seeds = [sender.pass(&object, 0), sender.pass(&object, 1)].concat();
    let keys = keys();
    for _ in 0..count {
        let seed = &seeds[numbers.below(seeds.len())];
        let mut bytes = match numbers.below(4) {
            0 => {
                let length = numbers.below(300);
                numbers.bytes(length)
            }
            1 => seed[..numbers.below(seed.len())].to_vec(),
            2 => {
                let other = &seeds[numbers.below(seeds.len())];
                let at = numbers.below(seed.len());
                let mut spliced = seed.clone();
                spliced[at..].copy_from_slice(&other[at..]);
                spliced
            }
            _ => {
                let mut bytes = seed.clone();
                for _ in 0..=numbers.below(4) {
                    let at = numbers.below(bytes.len());
                    bytes[at] = numbers.bytes(1)[0];
                }
                bytes
            }
        };
        if numbers.below(8) == 0 {
            bytes.push(0);
        }
        let known = seeds.contains(&bytes);
        assert_eq!(parse(&keys, &bytes).is_ok(), known);
    }
}

#[test]
fn nothing_made_up_is_believed() {
    storm(if cfg!(debug_assertions) { 50_000 } else { 1_000_000 }, 1);
}
