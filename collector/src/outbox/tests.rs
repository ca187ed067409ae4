//! The parts together: a sender and a receiver that cannot answer, with loss, crashes and old copies between.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU16, NonZeroU64};

use holdpoint_common::bundle::{Class, Epoch, Key, Outcome, Record, State};
use holdpoint_common::section::Digest;
use proptest::prelude::*;

use super::ledger::{self, At, Content, Ledger};
use super::schedule::{Progress, Repeated, Rhythm, Schedule};
use super::sequence::{Numbers, Opening, Sequence, Start, Witness};
use super::spool::{self, Item, Limits, Load, Next, Relief, Spool};

const MINUTE: i64 = 60_000;

/// A small generator, so that long runs are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

fn key(class: Class, name: u64) -> Key {
    Key::new(class, format!("{name:04}")).unwrap()
}

/// A content that is another one at every revision.
fn content(version: u64, bytes: usize) -> Vec<u8> {
    let mut content = version.to_be_bytes().to_vec();
    content.resize(bytes.max(8), 0);
    content
}

/// A sender without a spool: everything that an interval says goes out, and nothing waits.
struct Sender {
    rhythm: Rhythm,
    ledger: Ledger,
    schedule: Schedule,
    present: BTreeMap<Key, Vec<u8>>,
    now_ms: i64,
}

impl Sender {
    fn new(rhythm: Rhythm) -> Self {
        let at = At { now_ms: 0, interval: 0 };
        let (ledger, _) = Ledger::resume(rhythm, ledger::Kept::default(), [], at, None);
        let schedule = Schedule::resume(rhythm, Progress::default(), &ledger, BTreeMap::new());
        Self { rhythm, ledger, schedule, present: BTreeMap::new(), now_ms: 1_000 * MINUTE }
    }

    fn say(&mut self, key: Key, content: Option<Vec<u8>>) {
        match &content {
            Some(it) => self.present.insert(key.clone(), it.clone()),
            None => self.present.remove(&key),
        };
        let at = At { now_ms: self.now_ms, interval: self.schedule.coming() };
        let content = content.map(|it| Content::try_from(it).unwrap());
        if let Some(record) = self.ledger.say(key, content, at) {
            self.schedule.changed(record.key);
        }
    }

    fn record(&self, key: &Key) -> Record {
        let revision = self.ledger.get(key).unwrap().revision;
        Record { key: key.clone(), revision, content: self.present.get(key).cloned() }
    }

    /// What one interval says, each bundle by itself.
    fn interval(&mut self) -> [Vec<Record>; 3] {
        let interval = self.schedule.make(&self.ledger, self.now_ms);
        self.now_ms += MINUTE;
        let part: Vec<_> = self.ledger.slice(interval.slice).map(|(key, _)| key.clone()).collect();
        let said = |keys: &[Key]| keys.iter().map(|it| self.record(it)).collect::<Vec<_>>();
        let said = [said(&interval.fresh), said(&interval.again), said(&part)];
        self.ledger.slice_left(said[2].iter().map(|it| (&it.key, it.revision)));
        said
    }

    fn crash(&mut self) {
        let present = self.present.clone().into_iter();
        let present = present.map(|(key, it)| (key, Content::try_from(it).unwrap()));
        let at = At { now_ms: self.now_ms, interval: self.schedule.coming() };
        let (ledger, changed) = Ledger::resume(self.rhythm, self.ledger.kept(), present, at, None);
        assert!(changed.is_empty());
        self.ledger = ledger;
        self.schedule =
            Schedule::resume(self.rhythm, self.schedule.progress(), &self.ledger, BTreeMap::new());
    }
}

/// What is lost of 1,000 intervals.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Random(u64),
    /// Outages of so many intervals that begin so often.
    Bursts {
        length: u64,
        often: u64,
    },
}

/// The zone that the policy was chosen for: 500 assets of 400 bytes, each of which changes every six
/// hours, one interval a minute. Ten days after the first cycle: share of stale assets in percent, mean
/// and largest bundle in bytes.
fn simulate(loss: Loss) -> (f64, f64, usize) {
    let mut sender = Sender::new(Rhythm::default());
    let mut dice = Dice(1);
    let mut held: BTreeMap<Key, NonZeroU64> = BTreeMap::new();
    let mut stale: BTreeSet<Key> = BTreeSet::new();
    let (mut sum_stale, mut sum_bytes, mut max_bytes, mut dark) = (0_usize, 0, 0, 0);
    let minutes = 10 * 24 * 60;
    for minute in 0..60 + minutes {
        for name in 0..500 {
            if minute == 0 || dice.roll(360) == 0 {
                sender.say(key(Class::Asset, name), Some(content(minute, 400)));
                stale.insert(key(Class::Asset, name));
            }
        }
        let missed = match loss {
            Loss::Random(share) => dice.roll(1_000) < share,
            Loss::Bursts { length, often } => {
                dark = if dice.roll(1_000_000) < often { length } else { u64::saturating_sub(dark, 1) };
                dark > 0
            }
        };
        let said = sender.interval().concat();
        if minute < 60 {
            // The whole state has just begun: that is another question.
            stale.clear();
            continue;
        }
        // Records, and about 300 bytes of header and signature.
        let bytes = 300 + said.iter().map(|it| it.content.as_ref().unwrap().len()).sum::<usize>();
        sum_bytes += bytes;
        max_bytes = max_bytes.max(bytes);
        for record in said {
            if !missed && held.get(&record.key) < Some(&record.revision) {
                stale.remove(&record.key);
                held.insert(record.key, record.revision);
            }
        }
        sum_stale += stale.len();
    }
    let count = |it: usize| f64::from(u32::try_from(it).unwrap());
    let minutes = count(usize::try_from(minutes).unwrap());
    (count(sum_stale) / minutes / 5.0, count(sum_bytes) / minutes, max_bytes)
}

/// The figures that decided for this policy, and against five others: mean 7.4 kB and at most 14 kB;
/// stale 0.0028 % at 1 % of loss, 0.0158 % at 5 %, 0.056 % with outages of 30 minutes in 1 % of the time.
/// Another seed and a third of the time: a quarter more is allowed.
#[test]
fn repetition_keeps_the_figures_it_was_chosen_for() {
    let cases = [
        (Loss::Random(10), 0.0035),
        (Loss::Random(50), 0.0198),
        (Loss::Bursts { length: 30, often: 333 }, 0.070),
    ];
    for (loss, allowed) in cases {
        let (stale, mean, max) = simulate(loss);
        println!("{loss:?}: stale {stale:.4} %, mean {mean:.0} bytes, at most {max}");
        assert!(stale <= allowed, "{loss:?}: {stale} % stale");
        assert!((7_300.0..7_500.0).contains(&mean), "{loss:?}: mean {mean}");
        assert!(max <= 14_499, "{loss:?}: {max}");
    }
}

fn losses() -> impl Strategy<Value = (Loss, u64)> {
    let loss = prop_oneof![
        Just(Loss::Random(10)),
        Just(Loss::Random(50)),
        Just(Loss::Random(500)),
        (1_u64..150).prop_map(|length| Loss::Bursts { length, often: 20_000 }),
    ];
    (loss, any::<u64>())
}

proptest! {
    /// Bundles are lost one by one, changes and ends go on, the sender crashes now and then; after the last
    /// loss one cycle makes the receiver equal, and it stays so.
    #[test]
    fn one_cycle_after_the_last_loss_the_receiver_is_equal((loss, seed) in losses()) {
        let slices = NonZeroU16::new(12).unwrap();
        // An outage of 150 intervals is less than 13 cycles.
        let mut sender = Sender::new(Rhythm { slices, tombstone_cycles: 13, ..Rhythm::default() });
        let mut receiver = State::default();
        let mut dice = Dice(seed);
        let mut dark = 0;
        let (last, end) = (300, 360);
        for minute in 0..end {
            for _ in 0..2 {
                let name = key(Class::Asset, dice.roll(30));
                let said = (dice.roll(5) > 0).then(|| content(minute, 8));
                sender.say(name, said);
            }
            if dice.roll(20) == 0 {
                sender.crash();
            }
            dark = match loss {
                Loss::Bursts { length, often } if dice.roll(1_000_000) < often => length,
                Loss::Bursts { .. } | Loss::Random(_) => u64::saturating_sub(dark, 1),
            };
            for bundle in sender.interval() {
                let lost = matches!(loss, Loss::Random(share) if dice.roll(1_000) < share) || dark > 0;
                if lost && minute < last {
                    continue;
                }
                for record in bundle {
                    prop_assert_ne!(receiver.apply(&record), Outcome::Conflict);
                }
            }
            if minute >= last + u64::from(slices.get()) {
                prop_assert_eq!(receiver.digest(), sender.ledger.digest());
            }
        }
    }
}

/// Why tombstones are kept for longer than three cycles.
#[test]
fn an_outage_heals_as_long_as_tombstones_are_kept_and_no_longer() {
    for (cycles, heals) in [(3, false), (12, true)] {
        let slices = NonZeroU16::new(10).unwrap();
        let mut sender = Sender::new(Rhythm { slices, tombstone_cycles: cycles, ..Rhythm::default() });
        let mut receiver = State::default();
        for minute in 0..160 {
            match minute {
                0 => sender.say(key(Class::Asset, 1), Some(content(1, 8))),
                5 => sender.say(key(Class::Asset, 1), None),
                _ => {}
            }
            let said = sender.interval().concat();
            if !(5..115).contains(&minute) {
                for record in &said {
                    assert_ne!(receiver.apply(record), Outcome::Conflict);
                }
            }
        }
        assert_eq!(receiver.digest() == sender.ledger.digest(), heals, "{cycles} cycles");
    }
}

/// What a disk holds: everything that survives.
#[derive(Clone, Default)]
struct Disk {
    ledger: ledger::Kept,
    progress: Progress,
    evidence: BTreeMap<Key, (Repeated, Record)>,
    spool: spool::Kept,
    contents: BTreeMap<u64, Vec<Record>>,
    numbers: Option<Numbers>,
}

/// What left: incarnation, number and records of each bundle.
type Wire = Vec<(Epoch, u64, Vec<Record>)>;

/// Everything that is not the collector's memory.
struct World {
    disk: Disk,
    witness: Option<Witness>,
    present: BTreeMap<Key, Vec<u8>>,
    wire: Wire,
    now_ms: i64,
    opened: u8,
    /// How often something was said to be kept as evidence, and was.
    witnessed: u64,
    /// So many writes and sends are left until it stops.
    fuel: usize,
}

/// It stopped.
#[derive(Debug)]
struct Crash;

impl World {
    fn new() -> Self {
        Self {
            disk: Disk::default(),
            witness: None,
            present: BTreeMap::new(),
            wire: Vec::new(),
            now_ms: 1_000 * MINUTE,
            opened: 0,
            witnessed: 0,
            fuel: usize::MAX,
        }
    }

    fn burn(&mut self) -> Result<(), Crash> {
        self.fuel = self.fuel.checked_sub(1).ok_or(Crash)?;
        Ok(())
    }
}

/// A whole sending side, with each write as one step in the order that the module promises.
struct Collector {
    ledger: Ledger,
    schedule: Schedule,
    spool: Spool,
    sequence: Sequence,
    opening: Opening,
}

fn rhythm() -> Rhythm {
    Rhythm { slices: NonZeroU16::new(5).unwrap(), ..Rhythm::default() }
}

impl Collector {
    fn open(world: &mut World, limits: Limits) -> Result<Self, Crash> {
        world.opened += 1;
        let (sequence, opening) = Sequence::open(Start {
            kept: world.disk.numbers.clone(),
            witness: world.witness,
            place: Digest::of(b"a machine"),
            restored: false,
            fresh: [world.opened; 16].into(),
        });
        let above = match opening {
            Opening::Continued(_) => None,
            Opening::New { above, .. } => Some(above),
        };
        let at = At { now_ms: world.now_ms, interval: world.disk.progress.intervals };
        let present = world.present.iter();
        let present = present.map(|(key, it)| (key.clone(), Content::try_from(it.clone()).unwrap()));
        let (ledger, _) = Ledger::resume(rhythm(), world.disk.ledger.clone(), present, at, above);
        let evidence = world.disk.evidence.iter().map(|(key, (it, _))| (key.clone(), *it)).collect();
        let schedule = Schedule::resume(rhythm(), world.disk.progress, &ledger, evidence);
        let mut spool = Spool::resume(limits, world.disk.spool.clone());
        if above.is_some() {
            spool.new_epoch();
        }
        let mut collector = Self { ledger, schedule, spool, sequence, opening };
        let first = collector.sequence.reserve(collector.ledger.highest()).unwrap();
        world.burn()?;
        world.disk.ledger = collector.ledger.kept();
        world.disk.spool = collector.spool.kept();
        collector.reserve(world, first)?;
        Ok(collector)
    }

    fn reserve(&mut self, world: &mut World, (numbers, witness): (Numbers, Witness)) -> Result<(), Crash> {
        world.disk.numbers = Some(numbers);
        world.burn()?;
        world.witness = Some(witness);
        world.burn()?;
        self.sequence.reserved(&witness);
        Ok(())
    }

    fn change(&mut self, world: &mut World, key: Key, content: Option<Vec<u8>>) -> Result<(), Crash> {
        match &content {
            Some(it) => world.present.insert(key.clone(), it.clone()),
            None => world.present.remove(&key),
        };
        let at = At { now_ms: world.now_ms, interval: self.schedule.coming() };
        let content = content.map(|it| Content::try_from(it).unwrap());
        if let Some(record) = self.ledger.say(key, content, at) {
            world.burn()?;
            world.disk.ledger.records.insert(record.key.clone(), *self.ledger.get(&record.key).unwrap());
            self.schedule.changed(record.key);
        }
        Ok(())
    }

    fn witness(&mut self, world: &mut World) -> Result<(), Crash> {
        world.burn()?;
        world.witnessed += 1;
        let key = key(Class::Audit, world.witnessed);
        let content = Some(content(world.witnessed, 8));
        let repeated = self.schedule.witnessed(key.clone(), 8, world.now_ms);
        let record = Record { key: key.clone(), revision: NonZeroU64::MIN, content };
        world.disk.evidence.insert(key, (repeated, record));
        Ok(())
    }

    fn interval(&mut self, world: &mut World) -> Result<(), Crash> {
        let interval = self.schedule.make(&self.ledger, world.now_ms);
        let record = |key: &Key| Record {
            key: key.clone(),
            revision: self.ledger.get(key).unwrap().revision,
            content: world.present.get(key).cloned(),
        };
        let part: Vec<_> = self.ledger.slice(interval.slice).map(|(key, _)| record(key)).collect();
        let witnessed = |it: &Key| world.disk.evidence[it].1.clone();
        let loads = [
            (Load::Evidence { again: false }, interval.evidence.iter().map(witnessed).collect()),
            (Load::Evidence { again: true }, interval.evidence_again.iter().map(witnessed).collect()),
            (Load::Delta { again: false }, interval.fresh.iter().map(record).collect()),
            (Load::Delta { again: true }, interval.again.iter().map(record).collect()),
            (Load::Slice { index: interval.slice, of: interval.of.get() }, part),
        ];
        let (mut contents, mut reliefs) = (Vec::new(), Vec::new());
        for (load, records) in loads {
            let records: Vec<Record> = records;
            let (number, relief) =
                self.spool.put(load, records.iter().map(Item::from).collect(), world.now_ms);
            contents.extend(number.map(|it| (it, records)));
            reliefs.push(relief);
        }
        world.burn()?;
        world.disk.progress = self.schedule.progress();
        world.disk.contents.extend(contents);
        for Relief { gone, lost, .. } in reliefs {
            world.disk.contents.retain(|it, _| !gone.contains(it));
            for key in lost {
                self.schedule.forget(&key);
                world.disk.evidence.remove(&key);
            }
        }
        world.disk.spool = self.spool.kept();
        assert!(world.disk.contents.keys().eq(world.disk.spool.parcels.keys()));
        Ok(())
    }

    /// Gives one parcel to a carrier.
    fn send(&mut self, world: &mut World) -> Result<(), Crash> {
        let Some(next) = self.spool.next(world.now_ms) else { return Ok(()) };
        let parcel = match next {
            Next::DropRecord => None,
            Next::Parcel(number, parcel) => Some((number, parcel.clone())),
        };
        if let Some(reservation) = self.sequence.reserve(self.ledger.highest()) {
            world.burn()?;
            self.reserve(world, reservation)?;
        }
        let number = self.sequence.give(self.ledger.highest()).unwrap();
        let records = parcel.iter().flat_map(|(it, parcel)| {
            let contents = &world.disk.contents[it];
            let content = |item: &Item| contents.iter().find(|it| it.key == item.key).unwrap().clone();
            parcel.items.iter().map(content).collect::<Vec<_>>()
        });
        let records = records.collect::<Vec<_>>();
        world.burn()?;
        self.sequence.sealed(number, Digest::of(format!("{records:?}").as_bytes()));
        world.wire.push((self.sequence.epoch(), number, records));
        world.burn()?;
        match parcel {
            None => self.spool.declared(world.now_ms),
            Some((number, parcel)) => {
                self.spool.left(number).unwrap();
                world.disk.contents.remove(&number);
                if matches!(parcel.load, Load::Slice { .. }) {
                    for (key, said) in
                        self.ledger.slice_left(parcel.items.iter().map(|it| (&it.key, it.revision)))
                    {
                        match said {
                            Some(said) => world.disk.ledger.records.insert(key, said),
                            None => world.disk.ledger.records.remove(&key),
                        };
                    }
                    world.disk.ledger.floor = self.ledger.floor();
                }
            }
        }
        world.disk.spool = self.spool.kept();
        world.disk.numbers = Some(self.sequence.numbers().clone());
        Ok(())
    }

    /// Minutes of a zone's life: changes, an interval, and a carrier that takes now nothing and now all.
    fn live(&mut self, world: &mut World, dice: &mut Dice, minutes: u64) -> Result<(), Crash> {
        for _ in 0..minutes {
            world.now_ms += MINUTE;
            for _ in 0..dice.roll(3) {
                let name = key(Class::Asset, dice.roll(12));
                let content = (dice.roll(4) > 0).then(|| content(dice.roll(1_000_000), 8));
                self.change(world, name, content)?;
            }
            if dice.roll(3) == 0 {
                self.witness(world)?;
            }
            self.interval(world)?;
            for _ in 0..dice.roll(8) {
                self.send(world)?;
            }
        }
        Ok(())
    }
}

/// No number twice, none going back within an incarnation, and no revision of a record with two contents.
fn consistent(wire: &Wire) {
    let mut heads: BTreeMap<Epoch, u64> = BTreeMap::new();
    let mut said: BTreeMap<(&Key, NonZeroU64), &Option<Vec<u8>>> = BTreeMap::new();
    for (epoch, number, records) in wire {
        let before = heads.insert(*epoch, *number);
        assert!(before < Some(*number), "{epoch}: {number} after {before:?}");
        for it in records {
            let same = said.insert((&it.key, it.revision), &it.content);
            assert!(same.is_none_or(|same| *same == it.content), "{:?} says two things", it.key);
        }
    }
}

fn limits(records: u64) -> Limits {
    Limits { records, cycle_ms: rhythm().cycle_ms(), ..Limits::default() }
}

/// After all that happened, a receiver that heard everything once holds what the zone is.
fn converges(world: &mut World, limits: Limits) -> Collector {
    world.fuel = usize::MAX;
    let mut collector = Collector::open(world, limits).unwrap();
    for _ in 0..=rhythm().slices.get() {
        world.now_ms += MINUTE;
        collector.interval(world).unwrap();
        while collector.spool.next(world.now_ms).is_some() {
            collector.send(world).unwrap();
        }
    }
    consistent(&world.wire);
    let all = || world.wire.iter().flat_map(|(.., records)| records);
    // Evidence is no part of the state. What was kept has left, or it is declared as dropped; a crash may
    // hide that it left before it was dropped.
    let is_evidence = |it: &&Record| it.key.class() == Class::Audit;
    let left: BTreeSet<_> = all().filter(is_evidence).map(|it| &it.key).collect();
    let dropped = collector.spool.tally().evidence.of(Class::Audit);
    assert!(world.witnessed <= u64::try_from(left.len()).unwrap() + dropped);
    let mut receiver = State::default();
    for record in all().filter(|it| !is_evidence(it)) {
        assert_ne!(receiver.apply(record), Outcome::Conflict);
    }
    assert_eq!(receiver.digest(), collector.ledger.digest());
    collector
}

#[test]
fn it_may_stop_before_any_write_and_contradicts_nothing() {
    for fuel in 0..400 {
        for records in [12, 500_000] {
            let mut world = World::new();
            let mut dice = Dice(u64::try_from(fuel).unwrap());
            for round in 0..4 {
                world.fuel = if round == 0 { fuel } else { usize::try_from(dice.roll(60)).unwrap() };
                let Ok(mut collector) = Collector::open(&mut world, limits(records)) else { continue };
                let _ = collector.live(&mut world, &mut dice, 40);
            }
            let collector = converges(&mut world, limits(records));
            let incarnations: BTreeSet<_> = world.wire.iter().map(|(epoch, ..)| *epoch).collect();
            assert_eq!(incarnations, BTreeSet::from([collector.sequence.epoch()]), "{fuel}");
        }
    }
}

#[test]
fn an_old_copy_opens_a_new_epoch_and_its_revisions_still_rise() {
    for seed in 0..60 {
        let mut world = World::new();
        let mut dice = Dice(seed);
        let mut collector = Collector::open(&mut world, limits(500_000)).unwrap();
        collector.live(&mut world, &mut dice, 20).unwrap();
        let backup = (world.disk.clone(), world.present.clone());
        collector.live(&mut world, &mut dice, 60).unwrap();
        let said: BTreeMap<Key, NonZeroU64> =
            collector.ledger.iter().map(|(key, it)| (key.clone(), it.revision)).collect();
        let (old, head) = (collector.sequence.epoch(), collector.sequence.numbers().head);
        (world.disk, world.present) = backup;
        // Contents of the waiting parcels are of the backup too; what is present is what it was then.
        let restored = Collector::open(&mut world, limits(500_000)).unwrap();
        assert!(matches!(restored.opening, Opening::New { .. }), "seed {seed}: {:?}", restored.opening);
        assert_ne!(restored.sequence.epoch(), old);
        let before = restored.sequence.before().unwrap();
        assert!(before.epoch == old && before.sequence <= head, "{before:?}");
        for (key, it) in restored.ledger.iter() {
            assert!(said.get(key).is_none_or(|old| *old < it.revision), "seed {seed}: {key:?}");
        }
        drop(restored);
        let mut restored = Collector::open(&mut world, limits(500_000)).unwrap();
        assert!(matches!(restored.opening, Opening::Continued(_)));
        restored.live(&mut world, &mut dice, 20).unwrap();
        consistent(&world.wire);
    }
}
