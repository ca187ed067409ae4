//! What a zone said, with where and when it said so.
//!
//! Within an incarnation the higher revision wins ([`State`]). A slice lists everything of its part of the
//! sender's state, tombstones too; so what it does not list, and nothing later said, the sender does not
//! have. That ends tombstones, and facts that an earlier incarnation said and a restored one does not know.
//! An older copy that still travels cannot bring them back: each part remembers the slice that listed it
//! last.
//!
//! A new incarnation begins with an empty state, so that its digest is compared with what it said itself.
//! What it has not spoken of yet stays, marked as said by the one before, until a slice or the digest shows
//! that the sender does not have it.

mod kept;

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use holdpoint_common::bundle::{Class, Epoch, Key, Outcome, Record, State, slice_of};
use holdpoint_common::section::Digest;

/// Most records of a zone, tombstones included: 5,000 assets with 200 records each.
pub const MAX_FACTS: usize = 1 << 20;
/// Most content of a zone, in bytes: 5,000 assets are about 20 MB.
pub const MAX_BYTES: usize = 1 << 30;

/// What a zone says of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The revision that holds.
    pub revision: NonZeroU64,
    /// `None` for a tombstone.
    pub content: Option<Vec<u8>>,
    /// The incarnation that said it.
    pub epoch: Epoch,
    /// The highest place that said it.
    pub sequence: u64,
    /// When this revision came first, by the receiver's clock, Unix milliseconds.
    pub since_ms: i64,
    /// When the sender said it last, by the receiver's clock, Unix milliseconds: its age counts from here.
    pub said_ms: i64,
    /// It is evidence: no part of the sender's state, and never taken back.
    pub evidence: bool,
    /// Its part of the state.
    slice: u16,
}

/// The places of the slices that listed the parts of the state last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// One for each slice of a cycle; empty before the first.
    slices: Vec<u64>,
    /// The place since which every part was listed, when the state was cut into another number of slices.
    all: u64,
}

impl Listed {
    fn of(&self) -> u16 {
        u16::try_from(self.slices.len()).unwrap_or(u16::MAX)
    }

    fn last(&self, slice: u16) -> u64 {
        self.slices.get(usize::from(slice)).copied().unwrap_or_default().max(self.all)
    }
}

/// What came of the records of a bundle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// They are what holds now.
    pub applied: u64,
    /// They were held.
    pub known: u64,
    /// Something newer is held, or the sender has said since that they are gone.
    pub stale: u64,
    /// The same revision is held with another content.
    pub conflicts: u64,
    /// There was no room for them.
    pub over_limit: u64,
    /// They hold now, and an earlier incarnation had said a higher revision.
    pub went_back: u64,
    /// Facts that the sender has no more.
    pub gone: u64,
}

impl Applied {
    /// Adds what came of another bundle.
    pub fn absorb(&mut self, other: Self) {
        let Self { applied, known, stale, conflicts, over_limit, went_back, gone } = other;
        for (sum, more) in [
            (&mut self.applied, applied),
            (&mut self.known, known),
            (&mut self.stale, stale),
            (&mut self.conflicts, conflicts),
            (&mut self.over_limit, over_limit),
            (&mut self.went_back, went_back),
            (&mut self.gone, gone),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// All that a zone said and has not taken back.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    facts: BTreeMap<Key, Fact>,
    /// What the present incarnation said.
    state: State,
    /// `None` after a change.
    digest: Option<Digest>,
    listed: Listed,
    bytes: usize,
    /// Some may be of an earlier incarnation.
    inherits: bool,
    /// What is otherwise than when it was asked last.
    touched: BTreeMap<Key, Touch>,
}

/// How a fact is otherwise than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touch {
    /// It was said again.
    Said,
    /// It says something else, or is gone.
    Changed,
}

/// Where a bundle stands and when it came.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// Its incarnation.
    pub epoch: Epoch,
    /// Its place.
    pub sequence: u64,
    /// When it came, by the receiver's clock, Unix milliseconds.
    pub now_ms: i64,
}

impl Facts {
    /// What is there, in order of class and name.
    pub fn live(&self) -> impl Iterator<Item = (&Key, &Fact)> {
        self.facts.iter().filter(|(_, it)| it.content.is_some())
    }

    /// What is there of one class, in order of the names.
    pub fn of(&self, class: Class) -> impl Iterator<Item = (&Key, &Fact)> {
        // A class has no first name that could be looked for, so all before it are passed over.
        self.live().skip_while(move |it| it.0.class() < class).take_while(move |it| it.0.class() == class)
    }

    /// What is known of one thing, a tombstone too.
    pub fn find(&self, key: &Key) -> Option<&Fact> {
        self.facts.get(key)
    }

    /// How many of a class are there.
    pub fn count(&self, class: Class) -> usize {
        self.live().filter(|(key, _)| key.class() == class).count()
    }

    /// How many are there that only an earlier incarnation said.
    pub fn inherited(&self, epoch: Epoch) -> usize {
        self.live().filter(|(_, it)| !it.evidence && it.epoch != epoch).count()
    }

    /// The digest over what the present incarnation said.
    pub fn digest(&mut self) -> Digest {
        let state = &mut self.state;
        *self.digest.get_or_insert_with(|| state.digest())
    }

    /// What became otherwise since this was asked last, for whoever keeps the facts.
    pub fn take_touched(&mut self) -> BTreeMap<Key, Touch> {
        std::mem::take(&mut self.touched)
    }

    fn touch(&mut self, key: &Key, touch: Touch) {
        match self.touched.get_mut(key) {
            Some(held) => *held = touch.max(*held),
            None => drop(self.touched.insert(key.clone(), touch)),
        }
    }

    /// Forgets what this incarnation did not say: its digest shows that it said all that there is. Gives how
    /// many facts these were.
    pub fn settle(&mut self, epoch: Epoch) -> u64 {
        if !self.inherits {
            return 0;
        }
        self.inherits = false;
        let gone: Vec<Key> = self
            .facts
            .iter()
            .filter(|(_, it)| !it.evidence && it.epoch != epoch)
            .map(|(key, _)| key.clone())
            .collect();
        gone.iter().fold(0, |sum, key| sum.saturating_add(u64::from(self.remove(key))))
    }

    /// Another incarnation speaks from now on.
    pub fn begin(&mut self) {
        (self.state, self.digest, self.inherits) = (State::default(), None, true);
        self.listed = Listed { slices: vec![0; self.listed.slices.len()], all: 0 };
        // A tombstone of the incarnation before says nothing of this one.
        let tombstones: Vec<Key> =
            self.facts.iter().filter(|(_, it)| it.content.is_none()).map(|(key, _)| key.clone()).collect();
        for key in tombstones {
            self.facts.remove(&key);
            self.touch(&key, Touch::Changed);
        }
    }

    /// Applies the records of one bundle.
    pub fn apply(&mut self, records: Vec<Record>, from: Origin) -> Applied {
        let mut sum = Applied::default();
        for record in records {
            let place = match self.apply_one(record, from, &mut sum.went_back) {
                None => &mut sum.over_limit,
                Some(Outcome::Applied) => &mut sum.applied,
                Some(Outcome::Known) => &mut sum.known,
                Some(Outcome::Stale) => &mut sum.stale,
                Some(Outcome::Conflict) => &mut sum.conflicts,
            };
            *place = place.saturating_add(1);
        }
        sum
    }

    /// Keeps evidence: what happened stays, whatever the sender holds later, and its digest does not speak of it.
    pub fn witness(&mut self, records: Vec<Record>, from: Origin) -> Applied {
        let Origin { epoch, sequence, now_ms } = from;
        let mut sum = Applied::default();
        for Record { key, revision, content } in records {
            let length = content.as_ref().map_or(0, Vec::len);
            let full = self.facts.len() >= MAX_FACTS || self.bytes.saturating_add(length) > MAX_BYTES;
            let count = match self.facts.get_mut(&key) {
                Some(held) if held.evidence && held.content == content => {
                    if held.epoch != epoch || held.sequence < sequence {
                        (held.sequence, held.epoch, held.said_ms) = (sequence, epoch, now_ms);
                        self.touch(&key, Touch::Said);
                    }
                    &mut sum.known
                }
                Some(_) => &mut sum.conflicts,
                None if full => &mut sum.over_limit,
                None => {
                    self.bytes = self.bytes.saturating_add(length);
                    self.touch(&key, Touch::Changed);
                    let (since_ms, said_ms, slice) = (now_ms, now_ms, slice_of(&key, self.listed.of()));
                    let fact =
                        Fact { revision, content, epoch, sequence, since_ms, said_ms, evidence: true, slice };
                    self.facts.insert(key, fact);
                    &mut sum.applied
                }
            };
            *count = count.saturating_add(1);
        }
        sum
    }

    /// `None` when there is no room.
    fn apply_one(&mut self, record: Record, from: Origin, went_back: &mut u64) -> Option<Outcome> {
        let Origin { epoch, sequence, now_ms } = from;
        let slice = slice_of(&record.key, self.listed.of());
        if self.state.revision(&record.key).is_none() && sequence < self.listed.last(slice) {
            return Some(Outcome::Stale);
        }
        let held = self.facts.get(&record.key);
        if held.is_some_and(|it| it.evidence) {
            return Some(Outcome::Conflict);
        }
        let held_bytes = held.and_then(|it| it.content.as_ref()).map_or(0, Vec::len);
        let bytes = self.bytes.saturating_sub(held_bytes);
        let bytes = bytes.saturating_add(record.content.as_ref().map_or(0, Vec::len));
        if (held.is_none() && self.facts.len() >= MAX_FACTS) || bytes > MAX_BYTES {
            return None;
        }
        let outcome = self.state.apply(&record);
        if outcome == Outcome::Applied {
            self.digest = None;
        }
        let Record { key, revision, content } = record;
        match outcome {
            Outcome::Applied => {
                if held.is_some_and(|it| it.epoch != epoch && it.revision > revision) {
                    *went_back = went_back.saturating_add(1);
                }
                let (since_ms, said_ms) = (now_ms, now_ms);
                self.touch(&key, Touch::Changed);
                let evidence = false;
                self.facts.insert(
                    key,
                    Fact { revision, content, epoch, sequence, since_ms, said_ms, evidence, slice },
                );
                self.bytes = bytes;
            }
            Outcome::Known => {
                if let Some(fact) = self.facts.get_mut(&key)
                    && fact.sequence < sequence
                {
                    (fact.sequence, fact.said_ms) = (sequence, now_ms);
                    self.touch(&key, Touch::Said);
                }
            }
            Outcome::Stale | Outcome::Conflict => {}
        }
        Some(outcome)
    }

    /// Takes a slice in as the whole of its part. Gives how many facts the sender has no more.
    pub fn list(&mut self, index: u16, of: u16, records: &[Key], from: Origin) -> u64 {
        let Origin { epoch, sequence, .. } = from;
        if self.listed.of() != of {
            let all = self.listed.slices.iter().copied().min().unwrap_or_default().max(self.listed.all);
            self.listed = Listed { slices: vec![0; usize::from(of)], all };
            self.facts.iter_mut().for_each(|(key, it)| it.slice = slice_of(key, of));
        }
        if sequence <= self.listed.last(index) {
            return 0;
        }
        if let Some(last) = self.listed.slices.get_mut(usize::from(index)) {
            *last = sequence;
        }
        // Records of a body are in order.
        let unlisted = |(key, it): &(&Key, &Fact)| {
            let earlier = it.epoch != epoch || it.sequence < sequence;
            !it.evidence && it.slice == index && earlier && records.binary_search(key).is_err()
        };
        let gone: Vec<Key> = self.facts.iter().filter(unlisted).map(|(key, _)| key.clone()).collect();
        gone.iter().fold(0, |sum, key| sum.saturating_add(u64::from(self.remove(key))))
    }

    /// Says whether it was there and no tombstone.
    fn remove(&mut self, key: &Key) -> bool {
        let Some(fact) = self.facts.remove(key) else { return false };
        self.touch(key, Touch::Changed);
        self.bytes = self.bytes.saturating_sub(fact.content.as_ref().map_or(0, Vec::len));
        self.digest = None;
        // A state forgets tombstones alone, so what is live becomes one first.
        if self.state.is_live(key) {
            let revision = fact.revision.saturating_add(1);
            self.state.apply(&Record { key: key.clone(), revision, content: None });
        }
        self.state.forget(key);
        fact.content.is_some()
    }
}
