//! The numbers of bundles, without gaps as long as nothing fails, never given twice, never going back.
//!
//! Numbers are reserved in ranges: [`Numbers`] with a higher `reserved` is made durable, then [`Witness`],
//! and only then a number of the new range is given. Between two reservations no number costs a write. After
//! a crash the sequence goes on behind the range: what is skipped was given perhaps, and nobody knows with
//! which content. [`Opening`] names the skip, [`Numbers::skips`] keeps it to be declared, and the links to
//! the skipped places stay open.
//!
//! A store that was restored from a backup, or copied to another machine, would give numbers a second time.
//! It is known by its witness, a few bytes that live outside the store and its backups: when the witness is
//! gone, knows higher numbers, or is of another place, the store is not the one that gave the last number,
//! and a new epoch begins. It names the head of the one before, as far as either of the two knows it.
//!
//! Not seen by this is a store that went back by less than one range, and a machine that went back as a
//! whole to a snapshot of itself. [`Start::restored`] is for who knows better: the store's own marker, or
//! the person who restored. Where nobody says it, receivers see a fork, or records that do not converge.

use std::collections::BTreeMap;

use holdpoint_common::bundle::{Before, Epoch, Links};
use holdpoint_common::section::Digest;

/// Numbers of one reservation: at three bundles an interval and one interval a minute, a write in 20 minutes.
pub const RANGE: u64 = 64;
/// How far ahead of the highest revision a reservation goes: an hour of a clock in milliseconds.
pub const REVISIONS_AHEAD: u64 = 3_600_000;
/// Skips that are kept; the oldest go first.
pub const MAX_SKIPS: usize = 64;
/// Hashes that links can reach back to.
const REACH: u64 = 1_024;

/// Numbers that were skipped after a crash. Each was given perhaps, and none will be given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skip {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

/// What is kept of the numbers. Survives a crash, in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    /// The incarnation.
    pub epoch: Epoch,
    /// The highest number that is known to be given. Written whenever something else is; it may lag behind.
    pub head: u64,
    /// No number above this one was given.
    pub reserved: u64,
    /// The head of the incarnation before.
    pub before: Option<Before>,
    /// What was skipped in this epoch, newest last. To be said in the record of the collector's health: no
    /// header has a place for it.
    pub skips: Vec<Skip>,
}

/// What lives outside the store and its backups, to know a restored store by. Written after [`Numbers`] are
/// durable and before a number of their range is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// The incarnation.
    pub epoch: Epoch,
    /// See [`Numbers::head`].
    pub head: u64,
    /// See [`Numbers::reserved`].
    pub reserved: u64,
    /// No record of a higher revision left.
    pub revision: u64,
    /// Where the collector runs: a digest of what a copy on another machine does not share.
    pub place: Digest,
}

/// What a sequence begins with.
#[derive(Debug, Clone)]
pub struct Start {
    /// What the store holds.
    pub kept: Option<Numbers>,
    /// What is beside it.
    pub witness: Option<Witness>,
    /// Where this runs, see [`Witness::place`].
    pub place: Digest,
    /// It is known in another way that the store is not the newest.
    pub restored: bool,
    /// 16 random bytes, for the case that a new epoch begins.
    pub fresh: Epoch,
}

/// How a sequence was taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The same incarnation; what was reserved and not used is skipped.
    Continued(Option<Skip>),
    /// A new incarnation, and why. The ledger is to be taken up above this revision.
    New {
        /// Why.
        cause: Cause,
        /// No record of a higher revision left, as far as the witness knows; 0 when there is none.
        above: u64,
    },
}

/// Why an incarnation is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There was none before.
    First,
    /// The store was lost, and the witness is of the one before.
    StoreLost,
    /// The store is there and its witness is not: a copy, or a restore to a new machine.
    WitnessLost,
    /// The store is older than its witness.
    Restored,
    /// The store runs where it did not run before.
    Moved,
}

/// The numbers, the links, and what is given next.
#[derive(Debug, Clone)]
pub struct Sequence {
    numbers: Numbers,
    place: Digest,
    /// Numbers up to here may be given: numbers and witness are durable.
    durable: u64,
    /// Revisions up to here may leave.
    revision: u64,
    hashes: BTreeMap<u64, Digest>,
}

impl Sequence {
    /// Takes up what was kept. Nothing can be given before the first [`Sequence::reserve`] is durable.
    pub fn open(start: Start) -> (Self, Opening) {
        let Start { kept, witness, place, restored, fresh } = start;
        let cause = match (&kept, &witness) {
            (None, None) => Some(Cause::First),
            (None, Some(_)) => Some(Cause::StoreLost),
            (Some(_), None) => Some(Cause::WitnessLost),
            (Some(_), Some(_)) if restored => Some(Cause::Restored),
            (Some(_), Some(witness)) if witness.place != place => Some(Cause::Moved),
            (Some(kept), Some(witness)) => {
                let same = kept.epoch == witness.epoch && kept.reserved >= witness.reserved;
                // A crash between the two writes of a new epoch: it has given no number yet.
                let begun = kept.head == 0 && kept.before.is_some_and(|it| it.epoch == witness.epoch);
                (!same && !begun).then_some(Cause::Restored)
            }
        };
        match (cause, kept) {
            (None, Some(numbers)) => Self::continued(numbers, place, witness.map_or(0, |it| it.revision)),
            (cause, kept) => {
                let before = newest(kept.as_ref(), witness.as_ref());
                let numbers = Numbers { epoch: fresh, head: 0, reserved: 0, before, skips: Vec::new() };
                let above = witness.map_or(0, |it| it.revision);
                let opening = Opening::New { cause: cause.unwrap_or(Cause::First), above };
                (Self { numbers, place, durable: 0, revision: 0, hashes: BTreeMap::new() }, opening)
            }
        }
    }

    fn continued(mut numbers: Numbers, place: Digest, revision: u64) -> (Self, Opening) {
        let skip = (numbers.head < numbers.reserved)
            .then_some(Skip { from: numbers.head.saturating_add(1), to: numbers.reserved });
        numbers.skips.extend(skip);
        let surplus = numbers.skips.len().saturating_sub(MAX_SKIPS);
        numbers.skips.drain(..surplus);
        numbers.head = numbers.reserved;
        let durable = numbers.reserved;
        (Self { numbers, place, durable, revision, hashes: BTreeMap::new() }, Opening::Continued(skip))
    }

    /// The hashes of earlier bundles of this epoch, where the caller kept them. What it did not keep stays
    /// an open link.
    pub fn remember(&mut self, hashes: impl IntoIterator<Item = (u64, Digest)>) {
        let head = self.numbers.head;
        self.hashes.extend(hashes.into_iter().filter(|(number, _)| *number <= head));
        self.trim();
    }

    /// What to write when numbers or revisions come to an end: first the numbers into the store, then the
    /// witness beside it, then [`Sequence::reserved`]. `None` while there are enough: more than half of the
    /// range, and up to the `highest` revision, see [`super::ledger::Ledger::highest`].
    pub fn reserve(&self, highest: u64) -> Option<(Numbers, Witness)> {
        if self.durable.saturating_sub(self.numbers.head) > RANGE / 2 && highest <= self.revision {
            return None;
        }
        let revision = self.revision.max(highest.saturating_add(REVISIONS_AHEAD));
        let reserved = self.numbers.head.saturating_add(RANGE).max(self.durable);
        let numbers = Numbers { reserved, ..self.numbers.clone() };
        let Numbers { epoch, head, .. } = numbers;
        Some((numbers, Witness { epoch, head, reserved, revision, place: self.place }))
    }

    /// Takes note that a reservation is durable, in the store and beside it.
    pub fn reserved(&mut self, witness: &Witness) {
        if witness.epoch == self.numbers.epoch {
            self.durable = self.durable.max(witness.reserved);
            self.revision = self.revision.max(witness.revision);
            self.numbers.reserved = self.durable;
        }
    }

    /// Gives the next number, for a bundle whose records are at most of the `highest` revision. `None` when
    /// so much is not reserved: then a reservation has to become durable first. A number that is given and
    /// not used is a hole that looks like a lost bundle.
    pub fn give(&mut self, highest: u64) -> Option<u64> {
        let next = self.next();
        if next > self.durable || next == self.numbers.head || highest > self.revision {
            return None;
        }
        self.numbers.head = next;
        Some(next)
    }

    /// The number that the next bundle gets: that of a beacon. It is not given by that. Before the first
    /// reservation is durable no beacon goes out either: after a crash its epoch would be another one.
    pub fn next(&self) -> u64 {
        self.numbers.head.saturating_add(1)
    }

    /// The links of the bundle or beacon with this number.
    pub fn links(&self, number: u64) -> Links {
        Links::of(number, |place| self.hashes.get(&place).copied())
    }

    /// Takes note of the hash of a bundle that was sealed with this number.
    pub fn sealed(&mut self, number: u64, hash: Digest) {
        self.hashes.insert(number, hash);
        self.trim();
    }

    /// The incarnation.
    pub fn epoch(&self) -> Epoch {
        self.numbers.epoch
    }

    /// The head of the incarnation before.
    pub fn before(&self) -> Option<Before> {
        self.numbers.before
    }

    /// What survives a crash: written with whatever else is written, so that skips stay short.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    fn trim(&mut self) {
        let oldest = self.numbers.head.saturating_sub(REACH);
        self.hashes = self.hashes.split_off(&oldest);
    }
}

/// The newest head that store and witness know.
fn newest(kept: Option<&Numbers>, witness: Option<&Witness>) -> Option<Before> {
    let of_store = kept.map(|it| (it.epoch, it.head));
    let of_witness = witness.map(|it| (it.epoch, it.head));
    let head = match (of_store, of_witness) {
        (Some(store), Some(witness)) if store.0 == witness.0 => Some((store.0, store.1.max(witness.1))),
        (store, witness) => witness.or(store),
    };
    let here = head.filter(|it| it.1 > 0).map(|(epoch, sequence)| Before { epoch, sequence });
    // An epoch that gave no number is known to nobody: what was before it is what receivers know.
    here.or_else(|| kept.and_then(|it| it.before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Digest {
        Digest::of(b"a machine")
    }

    fn epoch(number: u8) -> Epoch {
        [number; 16].into()
    }

    /// What a disk holds, and every number that ever left.
    #[derive(Clone, Default)]
    struct World {
        store: Option<Numbers>,
        witness: Option<Witness>,
        epochs: u8,
    }

    impl World {
        fn start(&self, fresh: Epoch) -> Start {
            let (kept, witness) = (self.store.clone(), self.witness);
            Start { kept, witness, place: place(), restored: false, fresh }
        }

        fn open(&mut self) -> (Sequence, Opening) {
            self.epochs += 1;
            Sequence::open(self.start(epoch(self.epochs)))
        }

        fn reserve(&mut self, sequence: &mut Sequence) {
            if let Some((numbers, witness)) = sequence.reserve(7) {
                self.store = Some(numbers);
                self.witness = Some(witness);
                sequence.reserved(&witness);
            }
        }

        fn give(&mut self, sequence: &mut Sequence, count: u64) -> Vec<u64> {
            let give = |_| {
                self.reserve(sequence);
                sequence.give(7).unwrap()
            };
            (0..count).map(give).collect()
        }
    }

    #[test]
    fn numbers_begin_with_one_and_have_no_gaps() {
        let mut world = World::default();
        let (mut sequence, opening) = world.open();
        assert_eq!(opening, Opening::New { cause: Cause::First, above: 0 });
        assert_eq!(sequence.give(7), None, "nothing is reserved yet");
        assert_eq!(sequence.next(), 1);
        assert_eq!(world.give(&mut sequence, 500), (1..=500).collect::<Vec<_>>());
        assert_eq!(sequence.before(), None);
    }

    #[test]
    fn no_revision_leaves_that_a_witness_does_not_know() {
        let mut world = World::default();
        let (mut sequence, _) = world.open();
        world.give(&mut sequence, 1);
        let highest = 7 + REVISIONS_AHEAD;
        assert!(sequence.reserve(highest).is_none());
        assert_eq!(sequence.give(highest), Some(2));
        assert_eq!(sequence.give(highest + 1), None);
        let (_, witness) = sequence.reserve(highest + 1).unwrap();
        assert!(witness.revision > highest);
        sequence.reserved(&witness);
        assert_eq!(sequence.give(highest + 1), Some(3));
    }

    #[test]
    fn a_crash_skips_forward_and_says_what() {
        let mut world = World::default();
        let (mut sequence, _) = world.open();
        world.give(&mut sequence, 10);
        // The head as it was when something else was written.
        world.store.as_mut().unwrap().head = 8;
        let (mut again, opening) = world.open();
        assert_eq!(opening, Opening::Continued(Some(Skip { from: 9, to: RANGE })));
        assert_eq!(again.epoch(), sequence.epoch());
        assert_eq!(again.give(7), None);
        assert_eq!(world.give(&mut again, 2), [RANGE + 1, RANGE + 2]);
        assert_eq!(world.store.as_ref().unwrap().skips, [Skip { from: 9, to: RANGE }]);
    }

    /// Stops after every write, many times over, at each place of the range.
    #[test]
    fn no_number_is_given_twice_wherever_it_stops() {
        for used in [0, 1, 31, 32, 33, 63, 64, 65, 130] {
            for stop in 0..4 {
                let mut world = World::default();
                let mut given: Vec<(Epoch, u64)> = Vec::new();
                for _ in 0..20 {
                    let (mut sequence, _) = world.open();
                    let last = given.last().copied();
                    for _ in 0..used {
                        world.reserve(&mut sequence);
                        given.push((sequence.epoch(), sequence.give(7).unwrap()));
                    }
                    // The reservation that the crash falls into: nothing, the store, both, or a number more.
                    if let Some((numbers, witness)) = sequence.reserve(7) {
                        if stop >= 1 {
                            world.store = Some(numbers);
                        }
                        if stop >= 2 {
                            world.witness = Some(witness);
                        }
                        if stop >= 3 {
                            sequence.reserved(&witness);
                            given.push((sequence.epoch(), sequence.give(7).unwrap()));
                        }
                    }
                    // Only a store without a witness, in which nothing was ever given, begins anew.
                    if let (Some(before), Some(now)) = (last, given.last()) {
                        assert_eq!(before.0, now.0, "used {used}, stop {stop}");
                    }
                }
                assert!(given.is_sorted_by(|a, b| a.1 < b.1), "used {used}, stop {stop}: {given:?}");
            }
        }
    }

    /// A store that went back to an old copy, and the sequence that had gone on from there.
    fn set_back() -> (World, Sequence) {
        let mut world = World::default();
        let (mut sequence, _) = world.open();
        world.give(&mut sequence, 40);
        let backup = world.store.clone();
        world.give(&mut sequence, 300);
        world.store = backup;
        (world, sequence)
    }

    #[test]
    fn a_restored_store_opens_a_new_epoch_that_names_the_old_head() {
        let (mut world, sequence) = set_back();
        let (restored, opening) = world.open();
        assert_eq!(opening, Opening::New { cause: Cause::Restored, above: 7 + REVISIONS_AHEAD });
        assert_ne!(restored.epoch(), sequence.epoch());
        let before = restored.before().unwrap();
        assert_eq!(before.epoch, sequence.epoch());
        assert!((305..=340).contains(&before.sequence), "{before:?}");
        assert_eq!(restored.next(), 1);
    }

    #[test]
    fn every_store_that_is_not_the_last_one_opens_a_new_epoch() {
        let mut world = World::default();
        let (mut sequence, _) = world.open();
        world.give(&mut sequence, 40);
        let (store, witness) = (world.store.clone(), world.witness);
        let elsewhere = witness.map(|it| Witness { place: Digest::of(b"another machine"), ..it });
        let head = store.as_ref().unwrap().head;
        let before = Some(Before { epoch: sequence.epoch(), sequence: head });
        let told = Sequence::open(Start { restored: true, ..world.start(epoch(98)) });
        assert_eq!(told.1, Opening::New { cause: Cause::Restored, above: 7 + REVISIONS_AHEAD });
        assert_eq!(told.0.before(), before);
        let cases = [
            (None, None, Cause::First, None),
            (None, witness, Cause::StoreLost, before),
            (store.clone(), None, Cause::WitnessLost, before),
            (store, elsewhere, Cause::Moved, before),
        ];
        for (store, witness, expected, before) in cases {
            let start = Start { kept: store, witness, ..world.start(epoch(99)) };
            let (opened, opening) = Sequence::open(start);
            assert!(matches!(opening, Opening::New { cause, .. } if cause == expected), "{opening:?}");
            assert_eq!((opened.epoch(), opened.before()), (epoch(99), before));
        }
    }

    #[test]
    fn a_crash_while_a_new_epoch_begins_leaves_no_epoch_between() {
        let (mut world, _) = set_back();
        let (restored, _) = world.open();
        world.store = Some(restored.reserve(7).unwrap().0);
        let (mut again, opening) = world.open();
        assert!(matches!(opening, Opening::Continued(_)), "{opening:?}");
        assert_eq!((again.epoch(), again.before()), (restored.epoch(), restored.before()));
        world.give(&mut again, 1);
        // And back to the very first store, which knows nothing of that epoch.
        world.store = None;
        let (third, _) = world.open();
        assert_eq!(third.before(), Some(Before { epoch: again.epoch(), sequence: RANGE }));
    }

    #[test]
    fn links_name_what_was_sealed_and_leave_open_what_is_not_known() {
        let mut world = World::default();
        let (mut sequence, _) = world.open();
        let hash = |number: u64| Digest::of(&number.to_be_bytes());
        for number in world.give(&mut sequence, 3_000) {
            sequence.sealed(number, hash(number));
        }
        let claims: Vec<_> = sequence.links(3_001).claims(3_001).collect();
        assert_eq!(claims.len(), 11);
        assert!(claims.iter().all(|(number, it)| *it == hash(*number)));
        assert!(sequence.hashes.len() <= 1_025);

        let (mut again, _) = world.open();
        again.remember([(2_900, hash(2_900))]);
        let next = again.next();
        assert_eq!(again.links(next).claims(next).count(), 0);
        assert_eq!(again.links(2_902).claims(2_902).collect::<Vec<_>>(), [(2_900, hash(2_900))]);
    }
}
