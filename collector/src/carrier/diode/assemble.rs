//! Objects out of shards, whatever arrives, within a budget.
//!
//! Judged in this order: the datagram ([`datagram::parse`]), the sender, whether the object is known already,
//! the budget, the code, the object's digest. Shards of all passes add up. An object is given out once, and
//! only if its SHA-256 begins with the name that every shard of it bore; else it is counted and nothing of it
//! kept.
//!
//! Objects are kept apart by name *and* shape, so that shards of another shape, which only a sender with the
//! key could make, cannot spoil those of the right one. Memory grows with what arrived and never with what a
//! header states. When it is too much, the oldest incomplete object goes.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::counters::Counters;
use super::datagram::{self, Cause, Datagram, Load, ObjectId, Pattern, Shard};
use super::delivered::Delivered;
use super::erasure::{Decoder, Kept};
use super::keys::Keys;
use super::quality::Quality;
use super::shape::Shape;

/// What one shard costs beside its bytes: the list's entry and the allocator's.
const SHARD_COST: usize = 64;
/// What one block costs beside its shards.
const BLOCK_COST: usize = 128;
/// What one object costs beside its blocks.
const OBJECT_COST: usize = 512;
/// Between two looks for what is too old.
const SWEEP: Duration = Duration::from_secs(1);

/// How much is kept of what is incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Objects of one sender.
    pub of_stream: usize,
    /// Objects of all senders.
    pub objects: usize,
    /// Bytes, what is needed beside shards included. The largest object needs 67 MiB.
    pub bytes: usize,
    /// Since the first shard.
    pub age: Duration,
    /// Names of objects that were given out.
    pub remembered: usize,
}

impl Default for Limits {
    /// 64 of a sender, 256 in all, 96 MiB, 10 minutes, 65,536 names.
    fn default() -> Self {
        Self {
            of_stream: 64,
            objects: 256,
            bytes: 96 * 1024 * 1024,
            age: Duration::from_mins(10),
            remembered: 65_536,
        }
    }
}

/// What became of a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// Kept; its object is not complete.
    Kept,
    /// Not needed: the shard, its block or its object is there already.
    Duplicate,
    /// It made an object complete.
    Complete(Object),
    /// A test of the link.
    Pattern(Pattern),
    /// Refused before it touched anything.
    Rejected(Cause),
    /// It completed an object whose digest is another; nothing of it is kept.
    Corrupt,
    /// The code failed or panicked on its object, which is a fault of this program; nothing of it is kept.
    Failed,
}

/// An object as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// By whom.
    pub stream: u64,
    /// Its name.
    pub id: ObjectId,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The pass whose shard completed it, from 0.
    pub pass: u8,
    /// From its first shard on.
    pub took: Duration,
}

type Place = (u64, ObjectId, Shape);

/// An object on its way.
struct Incomplete {
    born: Instant,
    blocks: BTreeMap<u16, Vec<Kept>>,
    /// Blocks that have all their sources.
    whole: u16,
    cost: usize,
}

/// Makes objects of datagrams.
pub struct Assembler {
    keys: Keys,
    /// Senders that are awaited; all when empty.
    streams: Vec<u64>,
    limits: Limits,
    objects: BTreeMap<Place, Incomplete>,
    cost: usize,
    delivered: Delivered,
    decoder: Decoder,
    counters: Counters,
    quality: Quality,
    swept: Option<Instant>,
}

impl Assembler {
    /// Awaits the senders of `streams`, or all that have the key when there are none.
    pub fn new(keys: Keys, streams: &[u64], limits: Limits) -> Self {
        Self {
            keys,
            streams: streams.to_vec(),
            limits,
            objects: BTreeMap::new(),
            cost: 0,
            delivered: Delivered::new(limits.remembered),
            decoder: Decoder::default(),
            counters: Counters::default(),
            quality: Quality::default(),
            swept: None,
        }
    }

    /// Takes one datagram of a stranger.
    pub fn take(&mut self, bytes: &[u8], now: Instant) -> Taken {
        self.counters.datagrams += 1;
        self.sweep(now);
        let taken = match datagram::parse(&self.keys, bytes) {
            Ok(Datagram { origin, .. })
                if !self.streams.is_empty() && !self.streams.contains(&origin.stream) =>
            {
                Taken::Rejected(Cause::Stream)
            }
            Ok(Datagram { origin, load }) => {
                self.quality.take(origin, now);
                match load {
                    Load::Shard(shard) => self.take_shard(origin.stream, &shard, now),
                    Load::Pattern(pattern) => Taken::Pattern(pattern),
                }
            }
            Err(cause) => Taken::Rejected(cause),
        };
        self.counters.count(&taken);
        taken
    }

    /// What became of everything so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How the links do.
    pub fn quality(&self) -> &Quality {
        &self.quality
    }

    /// Objects that are not complete.
    pub fn waiting(&self) -> usize {
        self.objects.len()
    }

    /// Bytes that they take, as the budget counts.
    pub fn bytes(&self) -> usize {
        self.cost
    }

    fn take_shard(&mut self, stream: u64, shard: &Shard<'_>, now: Instant) -> Taken {
        if self.delivered.has(stream, shard.object) {
            return Taken::Duplicate;
        }
        let place = (stream, shard.object, shard.shape);
        if !self.objects.contains_key(&place) {
            self.make_room(stream);
            self.cost += OBJECT_COST;
            let new = Incomplete { born: now, blocks: BTreeMap::new(), whole: 0, cost: OBJECT_COST };
            self.objects.insert(place, new);
        }
        let Some(object) = self.objects.get_mut(&place) else { return Taken::Duplicate };
        let before = object.cost;
        let kept = object.keep(shard);
        self.cost += object.cost - before;
        let born = object.born;
        match kept {
            Keep::Not => return Taken::Duplicate,
            Keep::Kept => {
                self.make_space(place);
                return Taken::Kept;
            }
            Keep::Enough => {}
        }
        // A panic of the code ends this object and not the process.
        let decoder = &mut self.decoder;
        let restored = catch_unwind(AssertUnwindSafe(|| object.restore(decoder, shard)));
        if !matches!(restored, Ok(Ok(()))) {
            self.decoder = Decoder::default();
            self.forget(place);
            return Taken::Failed;
        }
        if object.whole < shard.shape.blocks() {
            self.make_space(place);
            return Taken::Kept;
        }
        let Some(object) = self.forget(place) else { return Taken::Failed };
        let bytes = object.join(shard.shape);
        if ObjectId::of(&bytes) != shard.object {
            return Taken::Corrupt;
        }
        self.delivered.add(stream, shard.object);
        self.forget_all(stream, shard.object);
        let took = now.saturating_duration_since(born);
        Taken::Complete(Object { stream, id: shard.object, bytes, pass: shard.pass, took })
    }

    fn forget(&mut self, place: Place) -> Option<Incomplete> {
        let object = self.objects.remove(&place)?;
        self.cost = self.cost.saturating_sub(object.cost);
        Some(object)
    }

    /// Drops the same object in other shapes.
    fn forget_all(&mut self, stream: u64, id: ObjectId) {
        let same = self.objects.keys().filter(|it| it.0 == stream && it.1 == id).copied();
        for place in same.collect::<Vec<_>>() {
            self.forget(place);
        }
    }

    /// Makes room for one object more.
    fn make_room(&mut self, stream: u64) {
        while self.objects.keys().filter(|it| it.0 == stream).count() >= self.limits.of_stream.max(1) {
            self.evict(|it| it.0 == stream);
        }
        while self.objects.len() >= self.limits.objects.max(1) {
            self.evict(|_| true);
        }
    }

    /// Makes space for what has arrived. The object that is growing goes last.
    fn make_space(&mut self, growing: Place) {
        while self.cost > self.limits.bytes && self.objects.len() > 1 {
            self.evict(|it| *it != growing);
        }
        if self.cost > self.limits.bytes {
            self.evict(|_| true);
        }
    }

    fn evict(&mut self, may: impl Fn(&Place) -> bool) {
        let oldest = self.objects.iter().filter(|it| may(it.0)).min_by_key(|it| it.1.born).map(|it| *it.0);
        if let Some(place) = oldest {
            self.forget(place);
            self.counters.evicted += 1;
        }
    }

    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|it| now.saturating_duration_since(it) < SWEEP) {
            return;
        }
        self.swept = Some(now);
        let age = self.limits.age;
        let old = self.objects.iter().filter(|it| now.saturating_duration_since(it.1.born) > age);
        for place in old.map(|it| *it.0).collect::<Vec<_>>() {
            self.forget(place);
            self.counters.expired += 1;
        }
    }
}

enum Keep {
    Not,
    Kept,
    /// The block can be restored.
    Enough,
}

impl Incomplete {
    fn keep(&mut self, shard: &Shard<'_>) -> Keep {
        let sources = usize::from(shard.shape.sources(shard.block));
        let new = !self.blocks.contains_key(&shard.block);
        let block = self.blocks.entry(shard.block).or_default();
        if block.len() >= sources || block.iter().any(|it| it.0 == shard.index) {
            return Keep::Not;
        }
        block.push((shard.index, shard.symbol.into()));
        self.cost += shard.symbol.len() + SHARD_COST + if new { BLOCK_COST } else { 0 };
        if block.len() < sources { Keep::Kept } else { Keep::Enough }
    }

    fn restore(&mut self, decoder: &mut Decoder, shard: &Shard<'_>) -> Result<(), reed_solomon_simd::Error> {
        let sources = shard.shape.sources(shard.block);
        if let Some(block) = self.blocks.get_mut(&shard.block) {
            decoder.restore(sources, shard.shape.symbol(), block)?;
            self.whole += 1;
        }
        Ok(())
    }

    /// Puts the blocks behind each other, each freed as soon as it is copied.
    fn join(self, shape: Shape) -> Vec<u8> {
        let length = usize::try_from(shape.length()).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(length);
        for (_, shard) in self.blocks.into_values().flatten() {
            let rest = length.saturating_sub(bytes.len());
            bytes.extend_from_slice(shard.get(..rest).unwrap_or(&shard));
        }
        bytes
    }
}

#[cfg(test)]
#[path = "assemble_tests.rs"]
mod tests;
