//! The objects of which not all is there, within a budget: when it is exceeded, the oldest goes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

use super::datagram::{ObjectId, Shard};
use super::incomplete::{Incomplete, Keep};
use super::shape::Shape;

/// How much is kept of what is incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Objects of one sender. What a burst took parts of waits for its later pass, seconds long.
    pub of_stream: usize,
    /// Objects of all senders.
    pub objects: usize,
    /// Bytes, what is needed beside shards included. The largest object needs 67 MiB with usual symbols.
    pub bytes: usize,
    /// Since the first shard.
    pub age: Duration,
    /// Names of objects that were given out.
    pub remembered: usize,
}

impl Default for Limits {
    /// 1,024 of a sender, 4,096 in all, 96 MiB, 10 minutes, 65,536 names.
    fn default() -> Self {
        Self {
            of_stream: 1_024,
            objects: 4_096,
            bytes: 96 * 1024 * 1024,
            age: Duration::from_mins(10),
            remembered: 65_536,
        }
    }
}

/// Sender, name, shape.
pub(super) type Place = (u64, ObjectId, Shape);

/// The objects, by place and by age.
pub(super) struct Waiting {
    limits: Limits,
    objects: BTreeMap<Place, Incomplete>,
    /// In the order in which they came, of all senders and of each.
    by_age: BTreeMap<u64, Place>,
    by_stream: BTreeMap<(u64, u64), Place>,
    of_stream: BTreeMap<u64, usize>,
    /// The number of the object to come.
    coming: u64,
    cost: usize,
    /// Objects that went for room.
    evicted: u64,
}

impl Waiting {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            objects: BTreeMap::new(),
            by_age: BTreeMap::new(),
            by_stream: BTreeMap::new(),
            of_stream: BTreeMap::new(),
            coming: 0,
            cost: 0,
            evicted: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.cost
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Keeps a shard, of a new object where it has none. Room is made for that before, and after it by
    /// [`Self::make_space`].
    pub(super) fn keep(&mut self, place: Place, shard: &Shard<'_>, now: Instant) -> Keep {
        if !self.objects.contains_key(&place) {
            self.make_room(place.0);
            self.begin(place, now);
        }
        let Some(object) = self.objects.get_mut(&place) else { return Keep::Not };
        let before = object.cost;
        let keep = object.keep(shard);
        self.cost += object.cost - before;
        keep
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Incomplete> {
        self.objects.get_mut(&place)
    }

    pub(super) fn take(&mut self, place: Place) -> Option<Incomplete> {
        let object = self.objects.remove(&place)?;
        self.by_age.remove(&object.number);
        self.by_stream.remove(&(place.0, object.number));
        if let Entry::Occupied(mut count) = self.of_stream.entry(place.0) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        self.cost = self.cost.saturating_sub(object.cost);
        Some(object)
    }

    /// Drops an object in all shapes.
    pub(super) fn forget(&mut self, stream: u64, id: ObjectId) {
        let from = (stream, id, Shape::LEAST);
        let same = self.objects.range(from..).map(|it| *it.0).take_while(|it| it.0 == stream && it.1 == id);
        for place in same.collect::<Vec<_>>() {
            self.take(place);
        }
    }

    /// Makes space for what has arrived. The object that is growing goes last.
    pub(super) fn make_space(&mut self, growing: Place) {
        while self.cost > self.limits.bytes {
            let other = self.by_age.values().find(|it| **it != growing).copied();
            if !self.evict(other.or(Some(growing))) {
                return;
            }
        }
    }

    /// Drops what is too old; gives how many.
    pub(super) fn expire(&mut self, now: Instant) -> u64 {
        let mut expired = 0;
        while let Some(oldest) = self.by_age.values().next().copied() {
            let born = self.objects.get(&oldest).map_or(now, |it| it.born);
            if now.saturating_duration_since(born) <= self.limits.age {
                break;
            }
            self.take(oldest);
            expired += 1;
        }
        expired
    }

    fn begin(&mut self, place: Place, now: Instant) {
        let number = self.coming;
        self.coming += 1;
        let object = Incomplete::new(number, now);
        self.cost += object.cost;
        self.objects.insert(place, object);
        self.by_age.insert(number, place);
        self.by_stream.insert((place.0, number), place);
        *self.of_stream.entry(place.0).or_default() += 1;
    }

    /// Makes room for one object more.
    fn make_room(&mut self, stream: u64) {
        if self.of_stream.get(&stream).copied().unwrap_or(0) >= self.limits.of_stream.max(1) {
            let oldest = self.by_stream.range((stream, 0)..).next().map(|it| *it.1);
            self.evict(oldest);
        }
        if self.objects.len() >= self.limits.objects.max(1) {
            self.evict(self.by_age.values().next().copied());
        }
    }

    fn evict(&mut self, place: Option<Place>) -> bool {
        let there = place.and_then(|it| self.take(it)).is_some();
        self.evicted += u64::from(there);
        there
    }
}
