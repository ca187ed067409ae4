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

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::counters::Counters;
use super::datagram::{self, Cause, Datagram, Load, ObjectId, Pattern, Shard};
use super::delivered::Delivered;
use super::erasure::Decoder;
use super::incomplete::Keep;
use super::keys::Keys;
use super::quality::Quality;
pub use super::waiting::Limits;
use super::waiting::Waiting;

/// Between two looks for what is too old.
const SWEEP: Duration = Duration::from_secs(1);

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

/// Makes objects of datagrams.
pub struct Assembler {
    keys: Keys,
    /// Senders that are awaited; all when empty.
    streams: Vec<u64>,
    waiting: Waiting,
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
            waiting: Waiting::new(limits),
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
        self.counters.evicted = self.waiting.evicted();
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
        self.waiting.len()
    }

    /// Bytes that they take, as the budget counts.
    pub fn bytes(&self) -> usize {
        self.waiting.bytes()
    }

    fn take_shard(&mut self, stream: u64, shard: &Shard<'_>, now: Instant) -> Taken {
        if self.delivered.has(stream, shard.object) {
            return Taken::Duplicate;
        }
        let place = (stream, shard.object, shard.shape);
        match self.waiting.keep(place, shard, now) {
            Keep::Not => return Taken::Duplicate,
            Keep::Kept => {
                self.waiting.make_space(place);
                return Taken::Kept;
            }
            Keep::Enough => {}
        }
        let Some(object) = self.waiting.get_mut(place) else { return Taken::Failed };
        // A panic of the code ends this object and not the process.
        let decoder = &mut self.decoder;
        match catch_unwind(AssertUnwindSafe(|| object.restore(decoder, shard))) {
            Ok(Ok(true)) => self.complete(stream, shard, now),
            Ok(Ok(false)) => {
                self.waiting.make_space(place);
                Taken::Kept
            }
            Ok(Err(_)) | Err(_) => {
                self.decoder = Decoder::default();
                self.waiting.take(place);
                Taken::Failed
            }
        }
    }

    fn complete(&mut self, stream: u64, shard: &Shard<'_>, now: Instant) -> Taken {
        let Shard { object: id, shape, pass, .. } = *shard;
        let Some(object) = self.waiting.take((stream, id, shape)) else { return Taken::Failed };
        let took = now.saturating_duration_since(object.born);
        let bytes = object.join(shape);
        if ObjectId::of(&bytes) != id {
            return Taken::Corrupt;
        }
        self.delivered.add(stream, id);
        self.waiting.forget(stream, id);
        Taken::Complete(Object { stream, id, bytes, pass, took })
    }

    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|it| now.saturating_duration_since(it) >= SWEEP) {
            self.swept = Some(now);
            self.counters.expired += self.waiting.expire(now);
        }
    }
}

#[cfg(test)]
#[path = "assemble_tests.rs"]
mod tests;
