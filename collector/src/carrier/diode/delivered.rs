//! Which objects were given out: later passes of them are duplicates.

use std::collections::{HashSet, VecDeque};

use super::datagram::ObjectId;

/// Names of objects, the newest so many. What is forgotten may be given out a second time, and whoever gets it
/// knows it by its own number.
pub(super) struct Delivered {
    most: usize,
    known: HashSet<(u64, ObjectId)>,
    order: VecDeque<(u64, ObjectId)>,
}

impl Delivered {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), known: HashSet::new(), order: VecDeque::new() }
    }

    pub(super) fn has(&self, stream: u64, id: ObjectId) -> bool {
        self.known.contains(&(stream, id))
    }

    pub(super) fn add(&mut self, stream: u64, id: ObjectId) {
        if !self.known.insert((stream, id)) {
            return;
        }
        self.order.push_back((stream, id));
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_known_and_streams_are_apart() {
        let mut delivered = Delivered::new(3);
        for number in 0..5 {
            delivered.add(1, ObjectId([number; 16]));
            delivered.add(1, ObjectId([number; 16]));
        }
        let known: Vec<bool> = (0..5).map(|it| delivered.has(1, ObjectId([it; 16]))).collect();
        assert_eq!(known, [false, false, true, true, true]);
        assert!(!delivered.has(2, ObjectId([4; 16])));
    }
}
