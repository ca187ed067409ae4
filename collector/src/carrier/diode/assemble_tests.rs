use super::super::shape::Shape;
use super::super::testing::{Numbers, Sender, keys};
use super::*;

const LIMITS: Limits =
    Limits { of_stream: 4, objects: 8, bytes: 1 << 20, age: Duration::from_mins(10), remembered: 100 };

fn assembler(limits: Limits) -> Assembler {
    Assembler::new(keys(), &[], limits)
}

/// Takes them all; gives the objects that came of it.
fn take_all<'a>(
    assembler: &mut Assembler,
    datagrams: impl IntoIterator<Item = &'a Vec<u8>>,
    now: Instant,
) -> Vec<Object> {
    let taken = datagrams.into_iter().map(|it| assembler.take(it, now));
    taken.filter_map(|it| if let Taken::Complete(object) = it { Some(object) } else { None }).collect()
}

/// Every datagram is in one counter.
fn adds_up(counters: &Counters) -> bool {
    let Counters { datagrams, kept, completing, duplicates, patterns, corrupt, failed, rejected, .. } =
        counters;
    let parts = [kept, completing, duplicates, patterns, corrupt, failed];
    *datagrams == parts.into_iter().chain(rejected.values()).sum::<u64>()
}

#[test]
fn objects_of_every_size_come_out_as_they_went_in() {
    let (now, mut numbers) = (Instant::now(), Numbers::new(1));
    for symbol in [256, 1_400] {
        let (mut sender, mut assembler) = (Sender::new(100, symbol), assembler(Limits::default()));
        for length in [1, 2, 3, 255, 256, 257, 1_400, 1_401, 4_096, 60_000, 400_001, 1_000_000] {
            let object = numbers.bytes(length);
            for pass in 0..3 {
                let datagrams = sender.pass(&object, pass);
                let objects = take_all(&mut assembler, &datagrams, now);
                assert_eq!(objects.len(), usize::from(pass == 0), "once, {length}");
                assert!(objects.iter().all(|it| it.bytes == object && it.stream == 1));
            }
        }
        assert_eq!((assembler.waiting(), assembler.bytes()), (0, 0));
        assert!(adds_up(assembler.counters()));
    }
}

#[test]
fn a_later_pass_is_enough_alone_and_what_two_lost_parts_of_adds_up() {
    let (now, mut numbers) = (Instant::now(), Numbers::new(2));
    for length in [900, 5_000, 60_000, 500_000] {
        let mut sender = Sender::new(100, 1_400);
        let object = numbers.bytes(length);
        let passes = [sender.pass(&object, 0), sender.pass(&object, 1)];
        let mut alone = assembler(Limits::default());
        assert_eq!(take_all(&mut alone, &passes[1], now)[0].bytes, object);
        // Of one pass far too little, of two enough: 55 % each.
        let mut both = assembler(Limits::default());
        let keep = |at: usize| at % 20 < 11;
        let some = |pass: usize| passes[pass].iter().zip(0..).filter(|(_, at)| keep(*at)).map(|(it, _)| it);
        let first = take_all(&mut both, some(0), now);
        assert!(first.is_empty() || length < 6_000, "{length}: half of a pass is not enough");
        let second = take_all(&mut both, some(1), now);
        assert_eq!(first.len() + second.len(), 1, "{length}");
    }
}

#[test]
fn an_object_under_the_name_of_another_is_corrupt_and_spoils_nothing() {
    let (now, mut numbers) = (Instant::now(), Numbers::new(3));
    let (mut sender, mut assembler) = (Sender::new(100, 1_400), assembler(LIMITS));
    let (right, wrong) = (numbers.bytes(5_000), numbers.bytes(5_000));
    let name = ObjectId::of(&right);
    // Only the key's holder can do this; the digest stands all the same.
    let forged = sender.pass_named(&wrong, 0, name);
    assert!(take_all(&mut assembler, &forged, now).is_empty());
    assert_eq!(assembler.counters().corrupt, 1);
    let honest = sender.pass(&right, 1);
    let again = sender.pass(&right, 2);
    let objects = [take_all(&mut assembler, &honest, now), take_all(&mut assembler, &again, now)].concat();
    assert!(objects.iter().all(|it| it.bytes == right) && objects.len() == 1);
}

#[test]
fn shapes_of_one_object_are_apart() {
    let (now, mut numbers) = (Instant::now(), Numbers::new(4));
    let object = numbers.bytes(50_000);
    let (mut long, mut short) = (Sender::new(100, 1_400), Sender::new(100, 256));
    let mut assembler = assembler(LIMITS);
    let few: Vec<_> = short.pass(&object, 0).into_iter().take(20).collect();
    assert!(take_all(&mut assembler, &few, now).is_empty());
    assert_eq!(take_all(&mut assembler, &long.pass(&object, 0), now).len(), 1);
    assert_eq!((assembler.waiting(), assembler.bytes()), (0, 0), "the other shape goes with it");
}

#[test]
fn the_oldest_incomplete_object_goes_for_room_and_is_counted() {
    let (start, mut numbers) = (Instant::now(), Numbers::new(5));
    let (mut sender, mut assembler) = (Sender::new(100, 1_400), assembler(LIMITS));
    let mut firsts = Vec::new();
    for number in 0..10_u32 {
        let object = numbers.bytes(5_000);
        let datagrams = sender.pass(&object, 0);
        assembler.take(&datagrams[0], start + Duration::from_secs(u64::from(number)));
        firsts.push(datagrams);
    }
    assert_eq!((assembler.waiting(), assembler.counters().evicted), (LIMITS.of_stream, 6));
    let later = start + Duration::from_secs(20);
    let rest = |it: &[Vec<u8>]| it[1..].to_vec();
    assert_eq!(take_all(&mut assembler, &rest(&firsts[9]), later).len(), 1, "the newest is there");
    for stream in 2..10 {
        sender.origin.stream = stream;
        let object = numbers.bytes(5_000);
        assembler.take(&sender.pass(&object, 0)[0], later);
    }
    assert_eq!(assembler.waiting(), LIMITS.objects);
}

#[test]
fn what_is_too_old_goes() {
    let (start, mut numbers) = (Instant::now(), Numbers::new(6));
    let (mut sender, mut assembler) = (Sender::new(100, 1_400), assembler(LIMITS));
    let datagrams = sender.pass(&numbers.bytes(5_000), 0);
    assembler.take(&datagrams[0], start);
    assembler.take(&[], start + LIMITS.age);
    assert_eq!((assembler.waiting(), assembler.counters().expired), (1, 0));
    assembler.take(&[], start + LIMITS.age + Duration::from_secs(2));
    assert_eq!((assembler.waiting(), assembler.counters().expired), (0, 1));
}

#[test]
fn no_flood_of_signed_parts_exceeds_the_budget() {
    let (now, mut numbers) = (Instant::now(), Numbers::new(7));
    let limits = Limits { of_stream: 1_000, objects: 1_000, ..LIMITS };
    let (mut sender, mut assembler) = (Sender::new(0, 1_400), assembler(limits));
    for _ in 0..60 {
        let object = numbers.bytes(100_000);
        let datagrams = sender.pass(&object, 0);
        for datagram in &datagrams[1..] {
            assembler.take(datagram, now);
            assert!(assembler.bytes() <= limits.bytes);
        }
    }
    assert!(assembler.counters().evicted > 40, "{:?}", assembler.counters());
    // An object that does not fit at all takes nobody else's place for good.
    let large = sender.pass(&numbers.bytes(2 << 20), 0);
    assert!(take_all(&mut assembler, &large, now).is_empty());
    assert!(assembler.bytes() <= limits.bytes);
    let small = sender.pass(&numbers.bytes(1_000), 0);
    assert_eq!(take_all(&mut assembler, &small, now).len(), 1);
}

/// Nothing is set aside for what a header states: one shard of the largest object costs one shard.
#[test]
fn a_stated_length_costs_nothing() {
    let (now, mut numbers) = (Instant::now(), Numbers::new(8));
    let mut assembler = assembler(LIMITS);
    let mut bytes = Vec::new();
    let shape = Shape::new(64 << 20, 1_400).unwrap();
    let symbol = numbers.bytes(1_400);
    let origin = datagram::Origin { stream: 1, session: 1, sequence: 0 };
    for block in 0..shape.blocks() {
        let object = ObjectId([1; 16]);
        let shard = Shard { pass: 0, object, shape, block, index: 4_095, symbol: &symbol };
        bytes.clear();
        datagram::write_shard(&mut bytes, &keys(), origin, &shard);
        assert_eq!(assembler.take(&bytes, now), Taken::Kept);
    }
    assert!(assembler.bytes() < 188 * 2_200, "{}", assembler.bytes());
}

#[test]
fn other_senders_are_refused_before_anything_is_kept() {
    let (now, mut numbers) = (Instant::now(), Numbers::new(9));
    let mut sender = Sender::new(100, 1_400);
    let mut assembler = Assembler::new(keys(), &[5], LIMITS);
    let datagrams = sender.pass(&numbers.bytes(500), 0);
    assert_eq!(assembler.take(&datagrams[0], now), Taken::Rejected(Cause::Stream));
    assert_eq!((assembler.waiting(), assembler.quality().sessions().len()), (0, 0));
    assert_eq!(assembler.counters().rejected(Cause::Stream), 1);
}

/// What a bad line does, to datagrams of one seed: lost in bursts and alone, doubled, swapped, damaged, cut,
/// spliced, and some of yesterday's between them.
fn spoil(datagrams: &[Vec<u8>], yesterday: &[Vec<u8>], loss: u16, numbers: &mut Numbers) -> Vec<Vec<u8>> {
    let mut line: Vec<Vec<u8>> = Vec::new();
    let mut burst = 0_usize;
    for datagram in datagrams {
        if numbers.permille(1) {
            burst = numbers.below(20);
        }
        burst = burst.saturating_sub(1);
        if burst > 0 || numbers.permille(loss) {
            continue;
        }
        line.push(datagram.clone());
        match numbers.below(60) {
            0 => line.push(datagram.clone()),
            1 if line.len() > 2 => {
                let (last, other) = (line.len() - 1, numbers.below(line.len()));
                line.swap(last, other);
            }
            2 => {
                let mut damaged = datagram.clone();
                let at = numbers.below(damaged.len());
                damaged[at] ^= 0x10;
                line.push(damaged);
            }
            3 => line.push(datagram[..numbers.below(datagram.len())].to_vec()),
            4 => {
                let other = &datagrams[numbers.below(datagrams.len())];
                let at = numbers.below(datagram.len().min(other.len()));
                line.push([&datagram[..at], &other[at..]].concat());
            }
            5 if !yesterday.is_empty() => line.push(yesterday[numbers.below(yesterday.len())].clone()),
            _ => {}
        }
    }
    line
}

#[test]
fn whatever_the_line_does_no_wrong_object_comes_out() {
    let start = Instant::now();
    for seed in 0..12 {
        let mut numbers = Numbers::new(100 + seed);
        let (mut sender, mut assembler) = (Sender::new(100, 700), assembler(Limits::default()));
        sender.origin.session = 1;
        let old = numbers.bytes(20_000);
        let yesterday = sender.pass(&old, 0);
        sender.origin = datagram::Origin { session: 2, sequence: 0, ..sender.origin };
        let objects: Vec<Vec<u8>> = (0..12)
            .map(|_| {
                let length = 1 + numbers.below(30_000);
                numbers.bytes(length)
            })
            .collect();
        let mut sent: Vec<Vec<u8>> = Vec::new();
        for pass in 0..2 {
            sent.extend(objects.iter().flat_map(|it| sender.pass(it, pass)));
        }
        let line = spoil(&sent, &yesterday, 80, &mut numbers);
        let out = take_all(&mut assembler, &line, start);
        for object in &out {
            assert!(objects.contains(&object.bytes) || object.bytes == old, "seed {seed}: a wrong object");
        }
        assert_eq!(out.iter().filter(|it| it.bytes != old).count(), objects.len(), "seed {seed}: each once");
        assert_eq!((assembler.counters().corrupt, assembler.counters().failed), (0, 0));
        assert!(adds_up(assembler.counters()));
        // The whole capture again: nothing comes of it.
        assert!(take_all(&mut assembler, &line, start + Duration::from_mins(1)).is_empty());
    }
}

#[test]
fn damaged_and_made_up_datagrams_leave_the_assembler_as_it_is() {
    let (now, mut numbers) = (Instant::now(), Numbers::new(11));
    let (mut sender, mut assembler) = (Sender::new(100, 256), assembler(LIMITS));
    let seeds = sender.pass(&numbers.bytes(10_000), 0);
    let count = if cfg!(debug_assertions) { 60_000 } else { 1_000_000 };
    for _ in 0..count {
        let mut bytes = seeds[numbers.below(seeds.len())].clone();
        let at = numbers.below(bytes.len());
        bytes[at] ^= 1 << numbers.below(8);
        bytes.truncate(bytes.len() - numbers.below(2) * numbers.below(bytes.len()));
        assert!(matches!(assembler.take(&bytes, now), Taken::Rejected(_)));
    }
    assert_eq!((assembler.waiting(), assembler.bytes()), (0, 0));
    assert!(adds_up(assembler.counters()));
}
