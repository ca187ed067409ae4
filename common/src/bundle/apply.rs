//! The rule by which records become a state: the higher revision wins, whatever the order and however often.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use super::record::{Key, Record};
use super::state::{BUCKETS, bucket, bucket_of, leaf, root};
use crate::section::Digest;

/// What is known of each record: its revision and a hash, tombstones included. Contents are the caller's to
/// keep.
///
/// A revision has no limit, so a thief of a key can write one that nothing displaces, and records that the
/// sender does not know of. Both end with the state: at
/// [`News::Recertified`](super::News::Recertified) the receiver begins with a new one, which the slices of
/// one cycle fill.
#[derive(Debug, Clone, Default)]
pub struct State {
    buckets: BTreeMap<u8, Bucket>,
}

#[derive(Debug, Clone, Default)]
struct Bucket {
    entries: BTreeMap<Key, Entry>,
    /// `None` after a change.
    digest: Option<Digest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    revision: NonZeroU64,
    /// `None` for a tombstone.
    leaf: Option<Digest>,
}

/// What came of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is what holds now: keep its content, or forget that of the record that is gone.
    Applied,
    /// It is held already.
    Known,
    /// A higher revision is held.
    Stale,
    /// The same revision is held with another content. What is held stays, because no rule can know which of
    /// the two is right: somebody has to be told.
    Conflict,
}

impl State {
    /// Applies one record.
    pub fn apply(&mut self, record: &Record) -> Outcome {
        let Record { key, revision, content } = record;
        let leaf = content.as_ref().map(|it| leaf(key.class(), key.name(), revision.get(), it));
        let entry = Entry { revision: *revision, leaf };
        let bucket = self.buckets.entry(bucket_of(key)).or_default();
        match bucket.entries.get(key) {
            Some(held) if *held == entry => return Outcome::Known,
            Some(held) if held.revision == entry.revision => return Outcome::Conflict,
            Some(held) if held.revision > entry.revision => return Outcome::Stale,
            Some(_) | None => {}
        }
        bucket.entries.insert(key.clone(), entry);
        bucket.digest = None;
        Outcome::Applied
    }

    /// The revision that is held of a record or of its tombstone.
    pub fn revision(&self, key: &Key) -> Option<NonZeroU64> {
        self.entry(key).map(|it| it.revision)
    }

    /// Whether a record is there and not gone.
    pub fn is_live(&self, key: &Key) -> bool {
        self.entry(key).is_some_and(|it| it.leaf.is_some())
    }

    /// Forgets a tombstone; what is live stays. A copy of an older revision that still travels would bring
    /// the record back: keep a tombstone for three cycles at least.
    pub fn forget(&mut self, key: &Key) {
        if let Some(bucket) = self.buckets.get_mut(&bucket_of(key))
            && bucket.entries.get(key).is_some_and(|it| it.leaf.is_none())
        {
            bucket.entries.remove(key);
        }
    }

    /// The tombstones and their revisions, in no order that means something.
    pub fn tombstones(&self) -> impl Iterator<Item = (&Key, NonZeroU64)> {
        let entries = self.buckets.values().flat_map(|it| &it.entries);
        entries.filter(|(_, it)| it.leaf.is_none()).map(|(key, it)| (key, it.revision))
    }

    /// The digest over all live records: equal when both sides hold the same, and only then.
    pub fn digest(&mut self) -> Digest {
        let none = bucket(std::iter::empty());
        let mut live = 0_u64;
        let mut digests = BTreeMap::new();
        for (number, held) in &mut self.buckets {
            let leaves = || held.entries.values().filter_map(|it| it.leaf.as_ref());
            live = live.saturating_add(u64::try_from(leaves().count()).unwrap_or(u64::MAX));
            let digest = held.digest.unwrap_or_else(|| bucket(leaves()));
            held.digest = Some(digest);
            digests.insert(usize::from(*number), digest);
        }
        root(live, (0..BUCKETS).map(|it| digests.get(&it).copied().unwrap_or(none)))
    }

    fn entry(&self, key: &Key) -> Option<&Entry> {
        self.buckets.get(&bucket_of(key))?.entries.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Class, slice_of};
    use proptest::prelude::*;

    fn key(name: u8) -> Key {
        let class = if name.is_multiple_of(2) { Class::Asset } else { Class::Finding };
        Key::new(class, format!("asset-{name}")).unwrap()
    }

    /// What a sender says of a record at a revision is always the same; some revisions are tombstones.
    fn record(name: u8, revision: u64) -> Record {
        let content = !(u64::from(name) + revision).is_multiple_of(4);
        let content = content.then(|| format!("{name} at {revision}").into_bytes());
        Record { key: key(name), revision: NonZeroU64::new(revision).unwrap(), content }
    }

    /// Bundles of records, each as its name and its revision.
    type Bundles = Vec<Vec<(u8, u64)>>;

    fn bundles() -> impl Strategy<Value = Bundles> {
        prop::collection::vec(prop::collection::vec((0_u8..12, 1_u64..8), 0..8), 1..12)
    }

    /// The same bundles in another order, some of them again.
    fn schedules() -> impl Strategy<Value = (Bundles, Bundles)> {
        bundles().prop_flat_map(|once| {
            let again = prop::sample::subsequence(once.clone(), 0..=once.len());
            let order = again.prop_flat_map({
                let once = once.clone();
                move |again| Just([once.clone(), again].concat()).prop_shuffle()
            });
            (Just(once), order)
        })
    }

    fn applied(bundles: &[Vec<(u8, u64)>]) -> State {
        let mut state = State::default();
        for (name, revision) in bundles.iter().flatten() {
            let before = state.revision(&key(*name));
            let outcome = state.apply(&record(*name, *revision));
            let after = state.revision(&key(*name)).unwrap();
            assert!(before <= Some(after), "a stale revision won");
            assert_eq!(outcome == Outcome::Applied, before < Some(after));
            assert_ne!(outcome, Outcome::Conflict);
        }
        state
    }

    proptest! {
        #[test]
        fn any_order_and_any_repetition_give_the_same_state((once, order) in schedules()) {
            let (mut one, mut other) = (applied(&once), applied(&order));
            prop_assert_eq!(one.digest(), other.digest());
            for name in 0..12 {
                let newest = once.iter().flatten().filter(|it| it.0 == name).map(|it| it.1).max();
                let live = newest.is_some_and(|it| record(name, it).content.is_some());
                for state in [&one, &other] {
                    prop_assert_eq!(state.revision(&key(name)).map(NonZeroU64::get), newest);
                    prop_assert_eq!(state.is_live(&key(name)), live);
                }
            }
        }

        #[test]
        fn the_digest_after_every_step_is_that_of_a_state_built_at_once(once in bundles()) {
            let mut state = State::default();
            for (name, revision) in once.iter().flatten() {
                state.apply(&record(*name, *revision));
                let _ = state.digest();
            }
            prop_assert_eq!(state.digest(), applied(&once).digest());
        }

        #[test]
        fn a_missing_or_older_record_shows_in_the_digest(once in bundles(), name in 0_u8..12) {
            let mut state = applied(&once);
            let held = state.digest();
            let next = state.revision(&key(name)).map_or(1, |it| it.get() + 1);
            let was_live = state.is_live(&key(name));
            let newer = record(name, next);
            prop_assert_eq!(state.apply(&newer), Outcome::Applied);
            prop_assert_eq!(state.digest() != held, was_live || newer.content.is_some());
        }

        #[test]
        fn every_record_is_in_one_slice(name in "[a-z]{1,8}", slices in 1_u16..) {
            let key = Key::new(Class::Asset, name).unwrap();
            prop_assert!(slice_of(&key, slices) < slices);
        }
    }

    #[test]
    fn equal_revisions_with_other_content_are_told_and_change_nothing() {
        let mut state = State::default();
        let held = record(1, 1);
        assert_eq!(state.apply(&held), Outcome::Applied);
        let digest = state.digest();
        let other = Record { content: Some(b"other".to_vec()), ..held.clone() };
        assert_eq!(state.apply(&other), Outcome::Conflict);
        assert_eq!(state.apply(&Record { content: None, ..held.clone() }), Outcome::Conflict);
        assert_eq!(state.apply(&held), Outcome::Known);
        assert_eq!(state.digest(), digest);
    }

    #[test]
    fn a_tombstone_holds_against_the_past_until_it_is_forgotten() {
        let mut state = State::default();
        let empty = state.digest();
        let (live, gone) = (record(1, 2), record(1, 3));
        assert!(gone.content.is_none());
        assert_eq!(state.apply(&gone), Outcome::Applied);
        assert_eq!(state.apply(&live), Outcome::Stale);
        assert_eq!(state.tombstones().collect::<Vec<_>>(), [(&key(1), gone.revision)]);
        assert_eq!(state.digest(), empty, "what is gone is no part of the state");
        state.forget(&key(1));
        assert_eq!(state.revision(&key(1)), None);
        assert_eq!(state.apply(&live), Outcome::Applied);
        state.forget(&key(1));
        assert!(state.is_live(&key(1)), "what is live is never forgotten");
    }

    #[test]
    fn slices_share_the_state_about_evenly() {
        let mut sizes = [0_u32; 60];
        for number in 0..6_000 {
            let key = Key::new(Class::Asset, format!("hmi-{number:04}")).unwrap();
            sizes[usize::from(slice_of(&key, 60))] += 1;
        }
        assert!(sizes.iter().all(|it| (50..160).contains(it)), "{sizes:?}");
    }
}
