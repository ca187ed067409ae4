//! What was last said of each record, so that the same is not said twice and a revision never falls.
//!
//! The ledger keeps a revision and a hash of each record; contents are the caller's, who tells the present
//! content of what may have changed. Content that is the same as before says nothing; other content gets the
//! revision `max(previous + 1, now)`. The clock in it keeps revisions rising over incarnations: a store that
//! was restored knows older revisions than its receivers, and the clock has gone on since.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use holdpoint_common::bundle::{Key, MAX_CONTENT, Record, State, slice_of};
use holdpoint_common::section::Digest;

use super::schedule::Rhythm;

/// The content of a record, small enough for a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content(Vec<u8>);

impl Content {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// More than a bundle takes of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content of a record is {bytes} bytes long, over the limit of {MAX_CONTENT}")]
pub struct InvalidContent {
    /// How many there are.
    pub bytes: usize,
}

impl TryFrom<Vec<u8>> for Content {
    type Error = InvalidContent;

    fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidContent> {
        if bytes.len() > MAX_CONTENT { Err(InvalidContent { bytes: bytes.len() }) } else { Ok(Self(bytes)) }
    }
}

/// When something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Unix milliseconds of this collector's clock.
    pub now_ms: i64,
    /// The interval to come, see [`super::schedule::Schedule::coming`].
    pub interval: u64,
}

/// What was last said of one record. Survives a crash, one value of the store for each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Its revision.
    pub revision: NonZeroU64,
    /// SHA-256 of its content; `None` when the record is gone.
    pub content: Option<Digest>,
    /// The interval whose delta says it first.
    pub interval: u64,
    /// Of a tombstone: how many slices with it have left.
    pub slices: u16,
}

/// All of the ledger that survives a crash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Each record and each tombstone.
    pub records: BTreeMap<Key, Said>,
    /// The highest revision of a tombstone that was forgotten: a record that comes back is above it.
    pub floor: u64,
}

/// What was last said of each record.
#[derive(Debug, Clone)]
pub struct Ledger {
    rhythm: Rhythm,
    records: BTreeMap<Key, Held>,
    floor: u64,
    highest: u64,
    state: State,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    said: Said,
    /// Its slice, so that a slice costs no hash of every record.
    slice: u16,
}

impl Ledger {
    /// Takes up what was kept, with the present content of every record. Returns what is said anew: what
    /// changed or went while nobody looked.
    ///
    /// `above` is there after a new epoch was opened: then receivers may hold revisions that this store never
    /// saw, and every record gets a revision that is higher than that. What did not change is no delta, the
    /// slices of the next cycle carry it. All of [`Ledger::kept`] is to be written then.
    pub fn resume(
        rhythm: Rhythm,
        kept: Kept,
        present: impl IntoIterator<Item = (Key, Content)>,
        at: At,
        above: Option<u64>,
    ) -> (Self, Vec<Record>) {
        let floor = kept.floor.max(above.unwrap_or_default());
        let mut ledger =
            Self { rhythm, records: BTreeMap::new(), floor, highest: floor, state: State::default() };
        let mut absent: BTreeSet<Key> = BTreeSet::new();
        for (key, mut said) in kept.records {
            if said.content.is_some() {
                absent.insert(key.clone());
            } else if above.is_some() {
                said.revision = ledger.next_revision(Some(said.revision), at.now_ms);
                said.slices = 0;
            }
            ledger.hold(key, said, None);
        }
        let mut changed = Vec::new();
        for (key, content) in present {
            absent.remove(&key);
            let same = ledger.get(&key).filter(|it| it.content == Some(Digest::of(&content.0))).copied();
            let Some(mut said) = same else {
                changed.extend(ledger.say(key, Some(content), at));
                continue;
            };
            if above.is_some() {
                said.revision = ledger.next_revision(Some(said.revision), at.now_ms);
            }
            ledger.hold(key, said, Some(content.0));
        }
        changed.extend(absent.into_iter().filter_map(|key| ledger.say(key, None, at)));
        (ledger, changed)
    }

    /// Says the present content of a record, `None` when it is gone. Returns the record with its new revision
    /// when this is news.
    ///
    /// Its [`Said`] is to be durable before the record goes anywhere: after a crash it would get the same
    /// revision again, perhaps with another content.
    pub fn say(&mut self, key: Key, content: Option<Content>, at: At) -> Option<Record> {
        let before = self.get(&key);
        let digest = content.as_ref().map(|it| Digest::of(&it.0));
        if before.map(|it| it.content).unwrap_or_default() == digest {
            return None;
        }
        let revision = self.next_revision(before.map(|it| it.revision), at.now_ms);
        let said = Said { revision, content: digest, interval: at.interval, slices: 0 };
        let content = content.map(|it| it.0);
        self.hold(key.clone(), said, content.clone());
        Some(Record { key, revision, content })
    }

    /// What was last said of a record or of its end.
    pub fn get(&self, key: &Key) -> Option<&Said> {
        self.records.get(key).map(|it| &it.said)
    }

    /// Every record and tombstone.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Said)> {
        self.records.iter().map(|(key, it)| (key, &it.said))
    }

    /// The records and tombstones of a slice.
    pub fn slice(&self, index: u16) -> impl Iterator<Item = (&Key, &Said)> {
        let of_it = self.records.iter().filter(move |(_, it)| it.slice == index);
        of_it.map(|(key, it)| (key, &it.said))
    }

    /// Counts a slice that has left. Returns the tombstones whose count changed, with `None` for those that
    /// are forgotten now; the floor is to be written with them.
    pub fn slice_left<'a>(
        &mut self,
        items: impl IntoIterator<Item = (&'a Key, NonZeroU64)>,
    ) -> Vec<(Key, Option<Said>)> {
        let mut counted = Vec::new();
        for (key, revision) in items {
            let Some(held) = self.records.get_mut(key) else { continue };
            if held.said.content.is_some() || held.said.revision != revision {
                continue;
            }
            held.said.slices = held.said.slices.saturating_add(1);
            let said = held.said;
            // The first slice with it begins the first cycle.
            if said.slices <= self.rhythm.tombstone_cycles() {
                counted.push((key.clone(), Some(said)));
                continue;
            }
            self.records.remove(key);
            self.state.forget(key);
            self.floor = self.floor.max(revision.get());
            counted.push((key.clone(), None));
        }
        counted
    }

    /// The digest over all live records, as every header states it.
    pub fn digest(&mut self) -> Digest {
        self.state.digest()
    }

    /// No revision above this one was given, see [`super::sequence::Sequence::reserve`].
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// See [`Kept::floor`].
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// All that survives a crash.
    pub fn kept(&self) -> Kept {
        let records = self.iter().map(|(key, said)| (key.clone(), *said)).collect();
        Kept { records, floor: self.floor }
    }

    /// The floor counts only where nothing was said before: what was, is above what it was.
    fn next_revision(&self, before: Option<NonZeroU64>, now_ms: i64) -> NonZeroU64 {
        let least = before.map_or(0, NonZeroU64::get).max(self.floor).saturating_add(1);
        let now = u64::try_from(now_ms).unwrap_or_default();
        NonZeroU64::new(least.max(now)).unwrap_or(NonZeroU64::MAX)
    }

    /// Only this changes the records, so that the state never lags behind them. A live record without its
    /// content is no part of the state yet; [`Ledger::resume`] brings the content or says that it is gone.
    fn hold(&mut self, key: Key, said: Said, content: Option<Vec<u8>>) {
        if content.is_some() || said.content.is_none() {
            self.state.apply(&Record { key: key.clone(), revision: said.revision, content });
        }
        self.highest = self.highest.max(said.revision.get());
        let slice = slice_of(&key, self.rhythm.slices.get());
        self.records.insert(key, Held { said, slice });
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;
    use holdpoint_common::bundle::{Class, Outcome};

    const RHYTHM: Rhythm = Rhythm {
        interval_ms: 60_000,
        slices: NonZeroU16::new(4).unwrap(),
        beacon_ms: 10_000,
        evidence_ms: 60_000,
        tombstone_cycles: 0,
    };

    fn key(name: &str) -> Key {
        Key::new(Class::Asset, name).unwrap()
    }

    fn content(text: &str) -> Content {
        Content::try_from(text.as_bytes().to_vec()).unwrap()
    }

    fn at(now_ms: i64) -> At {
        At { now_ms, interval: 0 }
    }

    fn empty() -> Ledger {
        Ledger::resume(RHYTHM, Kept::default(), [], at(0), None).0
    }

    fn present(names: &[(&str, &str)]) -> Vec<(Key, Content)> {
        names.iter().map(|(name, text)| (key(name), content(text))).collect()
    }

    /// The digest that a receiver has who holds these.
    fn digest_of(records: &[Record]) -> Digest {
        let mut state = State::default();
        for record in records {
            assert_eq!(state.apply(record), Outcome::Applied);
        }
        state.digest()
    }

    #[test]
    fn the_same_content_says_nothing_and_another_rises() {
        let mut ledger = empty();
        let first = ledger.say(key("hmi-01"), Some(content("a")), at(100)).unwrap();
        assert_eq!(first.revision.get(), 100);
        assert_eq!(ledger.say(key("hmi-01"), Some(content("a")), at(200)), None);
        let second = ledger.say(key("hmi-01"), Some(content("b")), at(50)).unwrap();
        assert_eq!(second.revision.get(), 101, "a clock that went back takes no revision back");
        let back = ledger.say(key("hmi-01"), Some(content("a")), at(300)).unwrap();
        assert_eq!(back.revision.get(), 300);
        assert_eq!(ledger.digest(), digest_of(&[first, second, back]));
    }

    #[test]
    fn what_never_was_cannot_go_and_what_is_gone_goes_once() {
        let mut ledger = empty();
        assert_eq!(ledger.say(key("hmi-01"), None, at(1)), None);
        ledger.say(key("hmi-01"), Some(content("a")), at(1)).unwrap();
        let gone = ledger.say(key("hmi-01"), None, at(1)).unwrap();
        assert_eq!((gone.revision.get(), gone.content), (2, None));
        assert_eq!(ledger.say(key("hmi-01"), None, at(9)), None);
        assert_eq!(ledger.digest(), digest_of(&[]));
    }

    #[test]
    fn a_tombstone_is_in_slices_for_three_cycles_and_its_record_comes_back_above_it() {
        let mut ledger = empty();
        ledger.say(key("hmi-01"), Some(content("a")), at(500)).unwrap();
        let gone = ledger.say(key("hmi-01"), None, at(600)).unwrap();
        let slice = slice_of(&gone.key, RHYTHM.slices.get());
        for left in 1..=4 {
            let items: Vec<_> = ledger.slice(slice).map(|(key, it)| (key.clone(), it.revision)).collect();
            assert_eq!(items, [(gone.key.clone(), gone.revision)]);
            let counted = ledger.slice_left(items.iter().map(|(key, revision)| (key, *revision)));
            let still = counted.first().unwrap().1.map(|it| it.slices);
            assert_eq!(still, (left < 4).then_some(left));
        }
        assert_eq!(ledger.slice(slice).count(), 0);
        let back = ledger.say(key("hmi-01"), Some(content("a")), at(10)).unwrap();
        assert!(back.revision > gone.revision, "the clock went back, the revision does not");
    }

    #[test]
    fn what_changed_while_nobody_looked_is_said_when_the_ledger_is_taken_up() {
        let mut ledger = empty();
        for (name, text) in [("same", "1"), ("other", "2"), ("gone", "3")] {
            ledger.say(key(name), Some(content(text)), at(100)).unwrap();
        }
        let now = present(&[("same", "1"), ("other", "changed"), ("new", "4")]);
        let (mut again, changed) = Ledger::resume(RHYTHM, ledger.kept(), now, at(100), None);
        let names: Vec<_> = changed.iter().map(|it| (it.key.name(), it.revision.get())).collect();
        assert_eq!(names, [("other", 101), ("new", 100), ("gone", 101)]);
        assert_eq!(again.get(&key("same")), ledger.get(&key("same")));
        let same = Record {
            key: key("same"),
            revision: NonZeroU64::new(100).unwrap(),
            content: Some(b"1".to_vec()),
        };
        assert_eq!(again.digest(), digest_of(&[[same].as_slice(), &changed].concat()));
    }

    #[test]
    fn a_restored_store_rises_over_all_that_was_said_since_its_backup() {
        let mut ledger = empty();
        ledger.say(key("hmi-01"), Some(content("a")), at(100)).unwrap();
        ledger.say(key("hmi-02"), Some(content("a")), at(100)).unwrap();
        ledger.say(key("hmi-02"), None, at(100)).unwrap();
        let backup = ledger.kept();
        let later = ledger.say(key("hmi-01"), Some(content("b")), at(9_000)).unwrap();
        let highest = ledger.highest();
        assert_eq!(highest, 9_000);
        // The clock is behind too.
        let now = present(&[("hmi-01", "a")]);
        let (restored, changed) = Ledger::resume(RHYTHM, backup, now, at(50), Some(highest));
        assert!(changed.is_empty(), "slices carry what did not change");
        for name in ["hmi-01", "hmi-02"] {
            assert!(restored.get(&key(name)).unwrap().revision > later.revision);
        }
    }

    #[test]
    fn every_record_is_in_its_slice_alone() {
        let mut ledger = empty();
        for number in 0..100 {
            ledger.say(key(&format!("hmi-{number}")), Some(content("a")), at(1)).unwrap();
        }
        let all: usize = (0..RHYTHM.slices.get()).map(|it| ledger.slice(it).count()).sum();
        assert_eq!(all, 100);
        for (key, _) in ledger.slice(2) {
            assert_eq!(slice_of(key, RHYTHM.slices.get()), 2);
        }
    }

    #[test]
    fn no_content_is_taken_that_no_bundle_takes() {
        assert!(Content::try_from(vec![0; MAX_CONTENT]).is_ok());
        let refused = Content::try_from(vec![0; MAX_CONTENT + 1]).unwrap_err();
        assert_eq!(refused.bytes, MAX_CONTENT + 1);
    }
}
