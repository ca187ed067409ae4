//! What waits for a carrier: bounded in bytes, records and age, also when no carrier comes for months.
//!
//! What waits is a list of parcels. A parcel is one bundle to be: which records at which revisions, not yet
//! numbered and not yet signed, so that it can still shrink. Its contents are the caller's, kept under the
//! parcel's number; the spool says which of them to write again and which to delete ([`Relief`]).
//!
//! When it is too full, this is dropped, in this order and only until it fits:
//! 1. older revisions of a record of which a newer one waits too,
//! 2. repetitions of what a carrier has taken already,
//! 3. deltas older than a cycle that a waiting slice carries too, then what waiting slices repeat,
//! 4. evidence, oldest first.
//!
//! What is older than the limit of age goes in the same order, by its age. Never dropped are statements
//! about keys, the last copy of a tombstone, and the last copy of the newest revision of a record, unless it
//! is a mere repetition: that one has left before, and slices carry it again. A beacon never waits; a drop
//! record holds nothing and so waits as one flag. What may not be dropped is one copy of the state at most:
//! a limit below that cannot be kept, and [`Spool::is_over`] says so.
//!
//! Every record that is dropped is counted, by its class and by why. At any time, by class: taken in is what
//! left, what waits and what was dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use holdpoint_common::bundle::{self, ByClass, Class, FREE_OF_RATIO, Key, Kind, MAX_RECORDS, Record};
use holdpoint_common::section::Digest;

/// What a record costs beside its name and content, in bytes: a bound for what the spool itself holds of it.
const OVERHEAD: u64 = 256;

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of contents, names and what is held beside them.
    pub bytes: u64,
    /// Records, each copy counted.
    pub records: u64,
    /// Age, in milliseconds.
    pub age_ms: i64,
    /// A cycle of slices, in milliseconds, see [`super::schedule::Rhythm::cycle_ms`].
    pub cycle_ms: i64,
    /// At most one drop record in so many milliseconds: every header counts the drops too.
    pub declare_ms: i64,
}

impl Default for Limits {
    /// 2 GB, half a million records, a week, an hour, a minute.
    fn default() -> Self {
        Self {
            bytes: 2_000_000_000,
            records: 500_000,
            age_ms: 7 * 24 * 3_600_000,
            cycle_ms: 3_600_000,
            declare_ms: 60_000,
        }
    }
}

/// What a parcel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Records that changed.
    Delta {
        /// A repetition.
        again: bool,
    },
    /// A slice of the state.
    Slice {
        /// Which, from 0.
        index: u16,
        /// Of how many.
        of: u16,
    },
    /// What no later record replaces. Each piece has a key of its own that no record of the state has.
    Evidence {
        /// A repetition.
        again: bool,
    },
    /// Statements about keys.
    Statements {
        /// Digest of them: the same ones wait only once.
        digest: Digest,
        /// How long they are.
        bytes: u64,
    },
}

impl Load {
    /// The kind of the bundle that it becomes.
    pub fn kind(self) -> Kind {
        match self {
            Self::Delta { .. } => Kind::Delta,
            Self::Slice { index, of } => Kind::Slice { index, of },
            Self::Evidence { .. } => Kind::Evidence,
            Self::Statements { .. } => Kind::KeyStatement,
        }
    }

    fn is_evidence(self) -> bool {
        matches!(self, Self::Evidence { .. })
    }

    fn is_again(self) -> bool {
        matches!(self, Self::Delta { again: true } | Self::Evidence { again: true })
    }
}

/// One record of a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Which record.
    pub key: Key,
    /// At which revision.
    pub revision: NonZeroU64,
    /// Size of its content, in bytes.
    pub bytes: u64,
    /// It is a tombstone.
    pub gone: bool,
}

impl Item {
    fn cost(&self) -> u64 {
        let name = u64::try_from(self.key.name().len()).unwrap_or(u64::MAX);
        self.bytes.saturating_add(name).saturating_add(OVERHEAD)
    }
}

impl From<&Record> for Item {
    fn from(record: &Record) -> Self {
        let Record { key, revision, content } = record;
        let length = content.as_ref().map_or(0, Vec::len);
        let bytes = u64::try_from(length).unwrap_or(u64::MAX);
        Self { key: key.clone(), revision: *revision, bytes, gone: content.is_none() }
    }
}

/// A bundle to be. Survives a crash, one value of the store for each parcel, its contents beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// What it is for.
    pub load: Load,
    /// When it was made, Unix milliseconds.
    pub made_ms: i64,
    /// In order of their keys. Contents of which nothing is said here are not sent any more.
    pub items: Vec<Item>,
}

impl Parcel {
    fn cost(&self) -> u64 {
        let own = if let Load::Statements { bytes, .. } = self.load { bytes } else { 0 };
        self.items.iter().map(Item::cost).fold(own.saturating_add(OVERHEAD), u64::saturating_add)
    }
}

/// What became of everything that was ever put into the spool in this epoch, in records. Survives a crash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Put in.
    pub taken_in: ByClass,
    /// Taken by a carrier; delivery is unknown by design.
    pub left: ByClass,
    /// Dropped: a newer revision waited.
    pub superseded: ByClass,
    /// Dropped: a repetition of what has left already, or one copy of what still waits.
    pub repeated: ByClass,
    /// Dropped: evidence. This alone is lost for good.
    pub evidence: ByClass,
}

impl Tally {
    /// All that was dropped, as headers state it.
    pub fn dropped(&self) -> ByClass {
        let mut sum = ByClass::default();
        for class in Class::ALL {
            for part in [&self.superseded, &self.repeated, &self.evidence] {
                sum.add(class, part.of(class));
            }
        }
        sum
    }
}

/// All of the spool that survives a crash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// What waits, by number.
    pub parcels: BTreeMap<u64, Parcel>,
    /// What became of the rest.
    pub tally: Tally,
    /// Something was dropped that no drop record has said.
    pub undeclared: bool,
}

/// What to write after the spool has changed, together with [`Spool::tally`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relief {
    /// Parcels with fewer records than before, or with another load.
    pub smaller: BTreeSet<u64>,
    /// Parcels that are gone: delete them and their contents.
    pub gone: BTreeSet<u64>,
    /// Evidence that is dropped for good: it is not to be repeated either.
    pub lost: Vec<Key>,
}

/// What a carrier is to get next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'a> {
    /// A drop record: its header says it all.
    DropRecord,
    /// A parcel and its number.
    Parcel(u64, &'a Parcel),
}

/// Why records go, and which.
#[derive(Debug, Clone, Copy)]
enum Cause {
    /// Those of which a newer revision waits.
    Superseded,
    /// Those that are not needed.
    Repeated,
    /// All of them.
    Evidence,
}

/// What waits for a carrier.
#[derive(Debug, Clone)]
pub struct Spool {
    limits: Limits,
    parcels: BTreeMap<u64, Parcel>,
    tally: Tally,
    undeclared: bool,
    declared_ms: Option<i64>,
    /// The number of the parcel to come. Numbers rise with age.
    coming: u64,
    bytes: u64,
    records: u64,
    /// Every copy of a record that waits: key, revision, parcel.
    copies: BTreeSet<(Key, NonZeroU64, u64)>,
}

impl Spool {
    /// Takes up what was kept.
    pub fn resume(limits: Limits, kept: Kept) -> Self {
        let Kept { parcels, tally, undeclared } = kept;
        let coming = parcels.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        let mut spool = Self {
            limits,
            parcels: BTreeMap::new(),
            tally,
            undeclared,
            declared_ms: None,
            coming,
            bytes: 0,
            records: 0,
            copies: BTreeSet::new(),
        };
        for (number, parcel) in parcels {
            spool.insert(number, parcel);
        }
        spool
    }

    /// All that survives a crash.
    pub fn kept(&self) -> Kept {
        Kept { parcels: self.parcels.clone(), tally: self.tally.clone(), undeclared: self.undeclared }
    }

    /// Counts anew, for a new epoch: what waits is all that was taken in.
    pub fn new_epoch(&mut self) {
        self.tally = Tally { taken_in: self.waiting(), ..Tally::default() };
        self.undeclared = false;
    }

    /// Puts a parcel in and makes room. Returns its number, or `None` when all of it waits already: a
    /// repetition of what never left is none.
    ///
    /// A slice takes the place of the same one of an earlier cycle. The parcel may be among those that are
    /// smaller or gone at once: [`Relief`] counts.
    pub fn put(&mut self, load: Load, mut items: Vec<Item>, now_ms: i64) -> (Option<u64>, Relief) {
        let mut relief = Relief::default();
        if load.is_again() {
            items.retain(|it| self.copies_of(&it.key, it.revision) == 0);
        }
        let waits = self.parcels.values().any(|it| it.load == load);
        let nothing = match load {
            Load::Statements { .. } => waits,
            Load::Slice { .. } => false,
            Load::Delta { .. } | Load::Evidence { .. } => items.is_empty(),
        };
        if nothing {
            return (None, relief);
        }
        items.sort_by(|a, b| a.key.cmp(&b.key));
        items.dedup_by(|a, b| a.key == b.key);
        for item in &items {
            self.tally.taken_in.add(item.key.class(), 1);
        }
        let number = self.coming;
        self.coming = self.coming.saturating_add(1);
        self.insert(number, Parcel { load, made_ms: now_ms, items });
        if matches!(load, Load::Slice { .. }) {
            let same = self.parcels.iter().filter(|(other, it)| **other != number && it.load == load);
            for older in same.map(|(other, _)| *other).collect::<Vec<_>>() {
                self.thin(older, Cause::Superseded, &mut relief);
                self.thin(older, Cause::Repeated, &mut relief);
            }
        }
        self.make_room(now_ms, &mut relief);
        (Some(number), relief)
    }

    /// What a carrier is to get next. It waits until [`Spool::left`] or [`Spool::declared`] is told, so that
    /// a crash in between sends it again, under another number.
    pub fn next(&self, now_ms: i64) -> Option<Next<'_>> {
        let since = self.declared_ms.map(|it| now_ms.saturating_sub(it));
        if self.undeclared && since.is_none_or(|it| !(0..self.limits.declare_ms).contains(&it)) {
            return Some(Next::DropRecord);
        }
        let statements =
            |it: &&u64| self.parcels.get(it).is_some_and(|it| matches!(it.load, Load::Statements { .. }));
        let number = self.parcels.keys().find(statements).or_else(|| self.parcels.keys().next())?;
        self.parcels.get(number).map(|it| Next::Parcel(*number, it))
    }

    /// A carrier has taken a parcel. Returns it, because the tombstones of a slice are the ledger's to count;
    /// `None` when it was dropped meanwhile.
    pub fn left(&mut self, number: u64) -> Option<Parcel> {
        let parcel = self.remove(number)?;
        for item in &parcel.items {
            self.tally.left.add(item.key.class(), 1);
        }
        Some(parcel)
    }

    /// A carrier has taken a drop record.
    pub fn declared(&mut self, now_ms: i64) {
        self.undeclared = false;
        self.declared_ms = Some(now_ms);
    }

    /// Drops what is too old or too much. Called by every [`Spool::put`]; in between only age adds up.
    pub fn make_room(&mut self, now_ms: i64, relief: &mut Relief) {
        self.drop_aged(now_ms, relief);
        if !self.is_over() {
            return;
        }
        // A little more than needed, so that not every parcel comes with a look at all of them.
        let less = |it: u64| it - it / 8;
        let (bytes, records) = (less(self.limits.bytes), less(self.limits.records));
        let too_much = |spool: &Self| spool.bytes > bytes || spool.records > records;
        for number in self.with_superseded() {
            self.thin(number, Cause::Superseded, relief);
        }
        let cycle_ago = now_ms.saturating_sub(self.limits.cycle_ms);
        let again = self.numbers(|it| it.load.is_again());
        let old = self.numbers(|it| it.load == Load::Delta { again: false } && it.made_ms < cycle_ago);
        let slices = self.numbers(|it| matches!(it.load, Load::Slice { .. }));
        for number in again.into_iter().chain(old).chain(slices) {
            if !too_much(self) {
                return;
            }
            self.thin(number, Cause::Repeated, relief);
        }
        for number in self.numbers(|it| it.load.is_evidence()) {
            if !too_much(self) {
                return;
            }
            self.thin(number, Cause::Evidence, relief);
        }
    }

    /// Whether more waits than may, because nothing of it may be dropped.
    pub fn is_over(&self) -> bool {
        self.bytes > self.limits.bytes || self.records > self.limits.records
    }

    /// A parcel that waits.
    pub fn parcel(&self, number: u64) -> Option<&Parcel> {
        self.parcels.get(&number)
    }

    /// Whether something was dropped that no drop record has said.
    pub fn is_undeclared(&self) -> bool {
        self.undeclared
    }

    /// How many bytes wait, as the limit counts them.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What became of everything, for the header and for who operates the collector.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The records that wait, by class.
    pub fn waiting(&self) -> ByClass {
        self.parcels.values().flat_map(|it| &it.items).map(|it| it.key.class()).collect()
    }

    /// What waits, as a header states it.
    pub fn depth(&self) -> bundle::Spool {
        let oldest_ms = self.parcels.values().map(|it| it.made_ms).min();
        bundle::Spool { depth: u64::try_from(self.parcels.len()).unwrap_or(u64::MAX), oldest_ms }
    }

    /// What waits longer than the limit of age and need not wait.
    fn drop_aged(&mut self, now_ms: i64, relief: &mut Relief) {
        let limit = now_ms.saturating_sub(self.limits.age_ms);
        let aged: Vec<_> =
            self.parcels.iter().take_while(|(_, it)| it.made_ms < limit).map(|(it, _)| *it).collect();
        for number in aged {
            let Some(load) = self.parcels.get(&number).map(|it| it.load) else { continue };
            match load {
                Load::Evidence { .. } => self.thin(number, Cause::Evidence, relief),
                Load::Delta { .. } | Load::Slice { .. } => {
                    self.thin(number, Cause::Superseded, relief);
                    self.thin(number, Cause::Repeated, relief);
                }
                Load::Statements { .. } => {}
            }
        }
    }

    /// Takes the records out of a parcel that go for this cause, one after the other: each looks at what is
    /// left.
    fn thin(&mut self, number: u64, cause: Cause, relief: &mut Relief) {
        let Some(mut parcel) = self.parcels.remove(&number) else { return };
        let (before, cost) = (parcel.items.len(), parcel.cost());
        let load = parcel.load;
        parcel.items.retain(|item| {
            let goes = match cause {
                Cause::Superseded => self.newest(&item.key) > Some(item.revision),
                Cause::Repeated => !self.is_needed(item, load),
                Cause::Evidence => true,
            };
            if !goes {
                return true;
            }
            self.copies.remove(&(item.key.clone(), item.revision, number));
            let class = item.key.class();
            match cause {
                Cause::Superseded => self.tally.superseded.add(class, 1),
                // A repetition of evidence is no evidence.
                Cause::Evidence if !load.is_again() => {
                    self.tally.evidence.add(class, 1);
                    relief.lost.push(item.key.clone());
                }
                Cause::Evidence | Cause::Repeated => self.tally.repeated.add(class, 1),
            }
            false
        });
        let dropped = before.saturating_sub(parcel.items.len());
        let empty = parcel.items.is_empty() && !matches!(parcel.load, Load::Statements { .. });
        if dropped == 0 && !(empty && before == 0) {
            self.parcels.insert(number, parcel);
            return;
        }
        self.undeclared |= dropped > 0;
        self.records = self.records.saturating_sub(u64::try_from(dropped).unwrap_or(u64::MAX));
        self.bytes = self.bytes.saturating_sub(cost);
        if empty {
            relief.smaller.remove(&number);
            relief.gone.insert(number);
            return;
        }
        let was_slice = matches!(parcel.load, Load::Slice { .. });
        if was_slice {
            parcel.load = Load::Delta { again: false };
        }
        self.bytes = self.bytes.saturating_add(parcel.cost());
        self.parcels.insert(number, parcel);
        relief.smaller.insert(number);
        // A slice has all of its records, or it is none; then only what is needed of it has a reason to wait.
        if was_slice {
            self.thin(number, Cause::Repeated, relief);
        }
    }

    /// Whether this is the last copy of the newest revision that waits. A repetition is not needed, because a
    /// carrier has taken the first of them; one of a tombstone is, because nothing else tells of it later.
    fn is_needed(&self, item: &Item, load: Load) -> bool {
        let last =
            self.newest(&item.key) == Some(item.revision) && self.copies_of(&item.key, item.revision) == 1;
        last && (item.gone || !load.is_again())
    }

    /// The parcels with records that are superseded, in one pass: this is asked for whenever it is full.
    fn with_superseded(&self) -> BTreeSet<u64> {
        let mut newest: Option<(&Key, NonZeroU64)> = None;
        let mut parcels = BTreeSet::new();
        for (key, revision, number) in self.copies.iter().rev() {
            match newest {
                Some((same, newer)) if same == key => {
                    if *revision < newer {
                        parcels.insert(*number);
                    }
                }
                Some(_) | None => newest = Some((key, *revision)),
            }
        }
        parcels.retain(|it| self.parcels.get(it).is_some_and(|it| !it.load.is_evidence()));
        parcels
    }

    fn insert(&mut self, number: u64, parcel: Parcel) {
        self.bytes = self.bytes.saturating_add(parcel.cost());
        for item in &parcel.items {
            self.records = self.records.saturating_add(1);
            self.copies.insert((item.key.clone(), item.revision, number));
        }
        self.parcels.insert(number, parcel);
    }

    fn remove(&mut self, number: u64) -> Option<Parcel> {
        let parcel = self.parcels.remove(&number)?;
        self.bytes = self.bytes.saturating_sub(parcel.cost());
        for item in &parcel.items {
            self.records = self.records.saturating_sub(1);
            self.copies.remove(&(item.key.clone(), item.revision, number));
        }
        Some(parcel)
    }

    fn numbers(&self, of: impl Fn(&Parcel) -> bool) -> Vec<u64> {
        self.parcels.iter().filter(|(_, it)| of(it)).map(|(number, _)| *number).collect()
    }

    fn newest(&self, key: &Key) -> Option<NonZeroU64> {
        let all = (key.clone(), NonZeroU64::MIN, 0)..=(key.clone(), NonZeroU64::MAX, u64::MAX);
        self.copies.range(all).next_back().map(|(_, revision, _)| *revision)
    }

    fn copies_of(&self, key: &Key, revision: NonZeroU64) -> usize {
        self.copies.range((key.clone(), revision, 0)..=(key.clone(), revision, u64::MAX)).count()
    }
}

/// Cuts records into parcels that become bundles within all limits, however well they pack. For deltas and
/// evidence: a slice is one bundle.
pub fn cut(items: Vec<Item>) -> Vec<Vec<Item>> {
    let most = u64::try_from(FREE_OF_RATIO).unwrap_or(u64::MAX);
    let mut parcels: Vec<Vec<Item>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let cost = item.cost();
        match parcels.last_mut().filter(|it| it.len() < MAX_RECORDS && bytes + cost <= most) {
            Some(parcel) => {
                bytes += cost;
                parcel.push(item);
            }
            None => {
                bytes = cost;
                parcels.push(vec![item]);
            }
        }
    }
    parcels
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
