use std::num::NonZeroU16;

use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000;

fn key(class: Class, name: u64) -> Key {
    Key::new(class, format!("{name:04}")).unwrap()
}

fn item(class: Class, name: u64, revision: u64, bytes: u64) -> Item {
    Item { key: key(class, name), revision: NonZeroU64::new(revision).unwrap(), bytes, gone: false }
}

fn asset(name: u64, revision: u64) -> Item {
    item(Class::Asset, name, revision, 1_000)
}

fn tombstone(name: u64, revision: u64) -> Item {
    Item { bytes: 0, gone: true, ..asset(name, revision) }
}

fn log(name: u64) -> Item {
    item(Class::Audit, name, 1, 1_000)
}

fn spool(records: u64) -> Spool {
    let limits = Limits { records, cycle_ms: 60 * MINUTE, ..Limits::default() };
    Spool::resume(limits, Kept::default())
}

const FIRST: Load = Load::Delta { again: false };
const AGAIN: Load = Load::Delta { again: true };
const EVIDENCE: Load = Load::Evidence { again: false };

/// What waits, as load, name and revision.
fn waiting(spool: &Spool) -> Vec<(Load, u64, u64)> {
    let items = spool.parcels.values().flat_map(|it| it.items.iter().map(|item| (it.load, item)));
    items.map(|(load, it)| (load, it.key.name().parse().unwrap(), it.revision.get())).collect()
}

/// By class: taken in is what left, what waits and what was dropped; and what is held is what is counted.
fn adds_up(spool: &Spool) {
    let (tally, waiting, dropped) = (spool.tally(), spool.waiting(), spool.tally().dropped());
    for class in Class::ALL {
        let sum = tally.left.of(class) + waiting.of(class) + dropped.of(class);
        assert_eq!(tally.taken_in.of(class), sum, "{class}");
    }
    assert_eq!(spool.bytes, spool.parcels.values().map(Parcel::cost).sum::<u64>());
    let records = spool.parcels.values().map(|it| it.items.len()).sum::<usize>();
    assert_eq!((spool.records, spool.copies.len()), (u64::try_from(records).unwrap(), records));
    let again = Spool::resume(spool.limits, spool.kept());
    assert_eq!(
        (again.bytes, again.records, again.copies),
        (spool.bytes, spool.records, spool.copies.clone())
    );
}

/// Puts in as the collector does, and holds what is written against what is said to be written.
fn put(spool: &mut Spool, load: Load, items: Vec<Item>, now_ms: i64) -> Relief {
    let before = spool.parcels.clone();
    let (number, relief) = spool.put(load, items, now_ms);
    for (it, parcel) in &before {
        match spool.parcels.get(it) {
            None => assert!(relief.gone.contains(it)),
            Some(now) => assert_eq!(now != parcel, relief.smaller.contains(it)),
        }
    }
    if let Some(number) = number {
        assert_eq!(spool.parcels.contains_key(&number), !relief.gone.contains(&number));
    }
    adds_up(spool);
    relief
}

#[test]
fn what_fits_leaves_as_it_came() {
    let mut spool = spool(100);
    put(&mut spool, FIRST, vec![asset(2, 1), asset(1, 1)], 0);
    put(&mut spool, FIRST, vec![asset(1, 2)], 1);
    put(&mut spool, Load::Slice { index: 3, of: 60 }, vec![asset(1, 2)], 2);
    assert_eq!(spool.depth(), bundle::Spool { depth: 3, oldest_ms: Some(0) });
    let mut left = Vec::new();
    while let Some(Next::Parcel(number, parcel)) = spool.next(10) {
        left.push((parcel.load.kind(), parcel.items.len()));
        spool.left(number).unwrap();
        adds_up(&spool);
    }
    assert_eq!(left, [(Kind::Delta, 2), (Kind::Delta, 1), (Kind::Slice { index: 3, of: 60 }, 1)]);
    assert_eq!(spool.tally().dropped(), ByClass::default());
    assert_eq!(spool.depth(), bundle::Spool::default());
    assert_eq!(spool.left(0), None);
}

#[test]
fn a_repetition_of_what_never_left_is_none() {
    let mut spool = spool(100);
    put(&mut spool, FIRST, vec![asset(1, 1)], 0);
    assert_eq!(spool.put(AGAIN, vec![asset(1, 1)], 1), (None, Relief::default()));
    put(&mut spool, AGAIN, vec![asset(1, 1), asset(2, 1)], 1);
    assert_eq!(waiting(&spool), [(FIRST, 1, 1), (AGAIN, 2, 1)]);
    let statements = Load::Statements { digest: Digest::of(b"keys"), bytes: 300 };
    assert!(spool.put(statements, Vec::new(), 2).0.is_some());
    assert!(spool.put(statements, Vec::new(), 3).0.is_none());
    assert!(matches!(spool.next(3), Some(Next::Parcel(_, it)) if it.load == statements), "keys come first");
}

#[test]
fn a_slice_takes_the_place_of_the_same_one() {
    let mut spool = spool(100);
    let slice = Load::Slice { index: 0, of: 60 };
    put(&mut spool, slice, vec![asset(1, 1), asset(2, 1)], 0);
    put(&mut spool, Load::Slice { index: 1, of: 60 }, vec![], 0);
    put(&mut spool, slice, vec![asset(1, 1), asset(2, 2)], 60);
    assert_eq!(waiting(&spool), [(slice, 1, 1), (slice, 2, 2)]);
    let relief = put(&mut spool, Load::Slice { index: 1, of: 60 }, vec![], 60);
    assert_eq!((relief.gone.len(), spool.depth().depth), (1, 2), "an empty slice takes its place too");
}

#[test]
fn when_full_it_drops_in_the_order_that_is_promised() {
    let slice = Load::Slice { index: 0, of: 60 };
    let filled = |records| {
        let mut it = spool(records);
        put(&mut it, EVIDENCE, vec![log(1)], 0);
        put(&mut it, FIRST, vec![asset(1, 1), asset(2, 1)], 0);
        put(&mut it, FIRST, vec![asset(1, 2), tombstone(3, 9)], MINUTE);
        put(&mut it, AGAIN, vec![asset(4, 1), tombstone(5, 5)], MINUTE);
        put(&mut it, EVIDENCE, vec![log(2)], 2 * MINUTE);
        put(&mut it, slice, vec![asset(1, 2), asset(2, 1), asset(6, 1)], 3 * MINUTE);
        it
    };
    // Twelve records are there with the last one; the limit says how many have to go.
    let last = |records, minute: i64| {
        let mut spool = filled(12);
        spool.limits.records = records;
        let relief = put(&mut spool, FIRST, vec![asset(7, 1)], minute * MINUTE);
        (waiting(&spool), relief.lost)
    };
    let all = [
        (EVIDENCE, 1, 1),
        (FIRST, 1, 1),
        (FIRST, 2, 1),
        (FIRST, 1, 2),
        (FIRST, 3, 9),
        (AGAIN, 4, 1),
        (AGAIN, 5, 5),
        (EVIDENCE, 2, 1),
        (slice, 1, 2),
        (slice, 2, 1),
        (slice, 6, 1),
        (FIRST, 7, 1),
    ];
    let without = |gone: &[usize]| {
        let left = all.iter().enumerate().filter(|(at, _)| !gone.contains(at));
        left.map(|(_, it)| *it).collect::<Vec<_>>()
    };
    assert_eq!(last(12, 62), (all.to_vec(), vec![]));
    // The older revision and the repetition; then what the slice carries too; then evidence, oldest first.
    assert_eq!(last(11, 62).0, without(&[1, 5]));
    assert_eq!(last(9, 62), (without(&[1, 5, 2, 3]), vec![]));
    assert_eq!(last(8, 62), (without(&[1, 5, 2, 3, 0]), vec![key(Class::Audit, 1)]));
    assert_eq!(last(6, 62), (without(&[1, 5, 2, 3, 0, 7]), vec![key(Class::Audit, 1), key(Class::Audit, 2)]));
    // Before a cycle has passed it is the slice that gives way.
    let (early, none) = last(9, 30);
    assert_eq!((early.len(), none), (8, vec![]));
    assert_eq!(early[1..3], [(FIRST, 2, 1), (FIRST, 1, 2)]);
    assert_eq!(early[6..], [(FIRST, 6, 1), (FIRST, 7, 1)]);
    // Nothing is left that may go.
    assert_eq!(last(2, 62), last(6, 62));
}

#[test]
fn a_slice_of_which_a_part_was_dropped_is_called_a_delta() {
    let mut spool = spool(3);
    let slice = Load::Slice { index: 0, of: 60 };
    put(&mut spool, slice, vec![asset(1, 1), asset(2, 1)], 0);
    put(&mut spool, FIRST, vec![asset(1, 2), asset(3, 1)], 1);
    assert_eq!(waiting(&spool), [(FIRST, 2, 1), (FIRST, 1, 2), (FIRST, 3, 1)]);
}

#[test]
fn a_drop_is_declared_once_and_before_anything_else() {
    let mut spool = spool(1);
    put(&mut spool, EVIDENCE, vec![log(1)], 0);
    assert!(matches!(spool.next(0), Some(Next::Parcel(..))));
    put(&mut spool, EVIDENCE, vec![log(2)], 1);
    assert_eq!(spool.next(1), Some(Next::DropRecord));
    assert_eq!(spool.next(1), Some(Next::DropRecord), "until a carrier has taken it");
    assert_eq!(Spool::resume(spool.limits, spool.kept()).next(1), Some(Next::DropRecord));
    spool.declared(2);
    put(&mut spool, EVIDENCE, vec![log(3)], 3);
    assert!(!matches!(spool.next(4), Some(Next::DropRecord)), "not one for each");
    assert_eq!(spool.next(2 + MINUTE), Some(Next::DropRecord));
    assert_eq!(spool.tally().evidence.of(Class::Audit), 2);
}

#[test]
fn age_takes_what_need_not_wait_and_nothing_else() {
    let mut spool = spool(100);
    put(&mut spool, FIRST, vec![asset(1, 1), asset(2, 1)], 0);
    put(&mut spool, AGAIN, vec![asset(3, 1), tombstone(4, 4)], 0);
    put(&mut spool, EVIDENCE, vec![log(1)], 0);
    put(&mut spool, FIRST, vec![asset(1, 2)], MINUTE);
    let week = 7 * 24 * 60 * MINUTE;
    let mut relief = Relief::default();
    spool.make_room(week, &mut relief);
    assert_eq!(relief, Relief::default());
    spool.make_room(week + 1, &mut relief);
    assert_eq!(waiting(&spool), [(FIRST, 2, 1), (AGAIN, 4, 4), (FIRST, 1, 2)]);
    assert_eq!(relief.lost, [key(Class::Audit, 1)]);
    adds_up(&spool);
}

#[test]
fn a_new_epoch_counts_anew() {
    let mut spool = spool(1);
    put(&mut spool, EVIDENCE, vec![log(1)], 0);
    put(&mut spool, FIRST, vec![asset(1, 1)], 1);
    spool.new_epoch();
    adds_up(&spool);
    assert_eq!(spool.tally().taken_in.of(Class::Asset), 1);
    assert_eq!(spool.tally().dropped(), ByClass::default());
}

#[test]
fn parcels_are_cut_so_that_a_bundle_is_never_refused() {
    let items: Vec<_> = (0..5_000).map(|it| item(Class::Finding, it, 1, 700)).collect();
    let parcels = cut(items.clone());
    assert!(parcels.len() > 4);
    for parcel in &parcels {
        assert!(parcel.iter().map(Item::cost).sum::<u64>() <= 1024 * 1024);
    }
    assert_eq!(parcels.concat(), items);
    let large = cut(vec![item(Class::Asset, 1, 1, 1024 * 1024), asset(2, 1)]);
    assert_eq!(large.len(), 2, "one that is too large for it goes alone");
    assert!(cut(Vec::new()).is_empty());
}

/// A small generator, so that long runs are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

#[test]
fn a_year_without_a_carrier_keeps_its_bounds_and_the_newest_of_everything() {
    let of = NonZeroU16::new(60).unwrap();
    let limits = Limits { bytes: 600_000, records: 400, ..Limits::default() };
    let mut spool = Spool::resume(limits, Kept::default());
    let mut newest: BTreeMap<u64, Item> = BTreeMap::new();
    let mut dice = Dice(1);
    let mut most = (0, 0);
    for step in 0..365 * 48_u64 {
        let now = i64::try_from(step).unwrap() * 30 * MINUTE;
        let revision = step + 1;
        let mut fresh = Vec::new();
        for name in [dice.roll(150), dice.roll(150)] {
            let gone = dice.roll(20) == 0;
            let it = if gone { tombstone(name, revision) } else { asset(name, revision) };
            newest.insert(name, it.clone());
            fresh.push(it);
        }
        fresh.dedup_by(|a, b| a.key == b.key);
        fresh.retain(|it| newest[&it.key.name().parse::<u64>().unwrap()] == *it);
        let slice = u16::try_from(step % 60).unwrap();
        let part = newest.values().filter(|it| bundle::slice_of(&it.key, of.get()) == slice);
        let part = part.cloned().collect();
        spool.put(FIRST, fresh, now);
        spool.put(EVIDENCE, vec![log(step)], now);
        spool.put(Load::Slice { index: slice, of: of.get() }, part, now);
        assert!(!spool.is_over(), "step {step}: {} bytes, {} records", spool.bytes, spool.records);
        most = (most.0.max(spool.bytes), most.1.max(spool.records));
        if step % 1_000 == 0 {
            adds_up(&spool);
        }
    }
    adds_up(&spool);
    assert!(most.1 > 350, "it was full: {most:?}");
    assert!(spool.tally().evidence.of(Class::Audit) > 15_000);
    assert_eq!(spool.next(0), Some(Next::DropRecord));
    for (name, it) in &newest {
        assert_eq!(spool.newest(&it.key), Some(it.revision), "asset {name}");
    }
    // A carrier comes at last, and takes all of it.
    let mut state: BTreeMap<Key, (NonZeroU64, bool)> = BTreeMap::new();
    spool.declared(0);
    while let Some(Next::Parcel(number, _)) = spool.next(0) {
        for it in spool.left(number).unwrap().items.into_iter().filter(|it| it.key.class() == Class::Asset) {
            let held = state.entry(it.key).or_insert((it.revision, it.gone));
            *held = (*held).max((it.revision, it.gone));
        }
    }
    let expected: BTreeMap<_, _> = newest.into_values().map(|it| (it.key, (it.revision, it.gone))).collect();
    assert_eq!(state, expected);
    adds_up(&spool);
}

#[derive(Debug, Clone)]
enum Step {
    First(Vec<(u64, bool)>),
    Again(Vec<u64>),
    Slice(u16),
    Evidence,
    Leave,
    Later(i64),
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::collection::vec((0_u64..10, prop::bool::weighted(0.2)), 1..5).prop_map(Step::First),
        2 => prop::collection::vec(0_u64..10, 1..5).prop_map(Step::Again),
        3 => (0_u16..3).prop_map(Step::Slice),
        2 => Just(Step::Evidence),
        3 => Just(Step::Leave),
        1 => (0_i64..3 * 60 * MINUTE).prop_map(Step::Later),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    /// Against a model: the newest of each record, and what has left of it.
    #[test]
    fn the_newest_of_a_record_has_left_or_waits(steps in steps(), limit in 1_u64..40, age in 1_i64..500) {
        let (age_ms, cycle_ms) = (age * MINUTE, 60 * MINUTE);
        let limits = Limits { records: limit, age_ms, cycle_ms, ..Limits::default() };
        let mut spool = Spool::resume(limits, Kept::default());
        let mut newest: BTreeMap<u64, Item> = BTreeMap::new();
        let mut left: BTreeMap<Key, NonZeroU64> = BTreeMap::new();
        let (mut now, mut revision, mut logs) = (0, 0, 0);
        for step in steps {
            now += MINUTE;
            match step {
                Step::First(changes) => {
                    let mut fresh = BTreeMap::new();
                    for (name, gone) in changes {
                        revision += 1;
                        let it = if gone { tombstone(name, revision) } else { asset(name, revision) };
                        fresh.insert(name, it);
                    }
                    newest.extend(fresh.clone());
                    put(&mut spool, FIRST, fresh.into_values().collect(), now);
                }
                // Only what was said first is said again.
                Step::Again(names) => {
                    let names: BTreeSet<_> = names.into_iter().collect();
                    let again = names.iter().filter_map(|it| newest.get(it)).cloned().collect();
                    put(&mut spool, AGAIN, again, now);
                }
                Step::Slice(index) => {
                    let part = newest.values().filter(|it| bundle::slice_of(&it.key, 3) == index);
                    let part = part.cloned().collect();
                    put(&mut spool, Load::Slice { index, of: 3 }, part, now);
                }
                Step::Evidence => {
                    logs += 1;
                    put(&mut spool, EVIDENCE, vec![log(logs)], now);
                }
                Step::Leave => match spool.next(now) {
                    Some(Next::DropRecord) => spool.declared(now),
                    Some(Next::Parcel(number, _)) => {
                        for it in spool.left(number).unwrap().items {
                            let held = left.entry(it.key).or_insert(it.revision);
                            *held = it.revision.max(*held);
                        }
                    }
                    None => {}
                },
                Step::Later(ms) => now += ms,
                Step::Crash => spool = Spool::resume(limits, spool.kept()),
            }
            adds_up(&spool);
            for it in newest.values() {
                let held = left.get(&it.key).copied().max(spool.newest(&it.key));
                prop_assert_eq!(held, Some(it.revision));
            }
            // What may not be dropped is one copy of each record, the evidence of a parcel that just came in,
            // and nothing else.
            prop_assert!(!spool.is_over() || spool.records <= 10);
        }
    }
}
