//! When what is said, and when it is said again: nobody answers, so everything is repeated.
//!
//! A delta goes out again 1, 3, 7, 15, 31 and 47 intervals after the first time: distances that grow, so
//! that no outage swallows all of them at once. Each interval carries one slice of the whole state, all
//! slices make a cycle, and so whatever was lost is said again within one cycle. A beacon goes out every few
//! seconds.
//!
//! Intervals are counted and not read off the clock: a clock that steps, or a collector that was away, leaves
//! no slice out. A record that changed again is not repeated in its older form. What is repeated is derived
//! from the ledger, where each record has the interval that said it first; only [`Progress`] is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use holdpoint_common::bundle::Key;

use super::ledger::{Ledger, Said};

/// After how many intervals a delta goes out again.
pub const AGAIN: [u64; 6] = [1, 3, 7, 15, 31, 47];
/// Most pieces of evidence that are repeated; over it, the oldest are not repeated any more.
pub const MAX_REPEATED_EVIDENCE: usize = 65_536;
/// Most bytes of contents of evidence that is repeated; over it, as above.
pub const MAX_REPEATED_BYTES: u64 = 256 * 1024 * 1024;
/// For how many cycles a tombstone is repeated at least: copies of older revisions still travel.
pub const MIN_TOMBSTONE_CYCLES: u16 = 3;

/// The last of [`AGAIN`].
const LAST: u64 = AGAIN[AGAIN.len() - 1];

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// From one interval to the next, in milliseconds.
    pub interval_ms: u32,
    /// Intervals of a cycle, and slices of the state.
    pub slices: NonZeroU16,
    /// From one beacon to the next, in milliseconds.
    pub beacon_ms: u32,
    /// For how long evidence is repeated, in milliseconds.
    pub evidence_ms: u32,
    /// For how many cycles a tombstone is in its slice after it was there first, at least
    /// [`MIN_TOMBSTONE_CYCLES`]. A receiver that hears nothing for longer keeps what is gone: this is the
    /// longest outage that heals by itself.
    pub tombstone_cycles: u16,
}

impl Default for Rhythm {
    /// A minute, an hour, ten seconds, a week, and a week of cycles.
    fn default() -> Self {
        let slices = NonZeroU16::MIN.saturating_add(59);
        Self {
            interval_ms: 60_000,
            slices,
            beacon_ms: 10_000,
            evidence_ms: 7 * 24 * 3_600_000,
            tombstone_cycles: 7 * 24,
        }
    }
}

impl Rhythm {
    /// How long a cycle takes, in milliseconds.
    pub fn cycle_ms(&self) -> i64 {
        i64::from(self.interval_ms) * i64::from(self.slices.get())
    }

    /// For how many cycles a tombstone is repeated.
    pub fn tombstone_cycles(&self) -> u16 {
        self.tombstone_cycles.max(MIN_TOMBSTONE_CYCLES)
    }
}

/// How far the sender is. Survives a crash; written with what the interval puts into the spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Intervals that were made.
    pub intervals: u64,
    /// When the newest was made, Unix milliseconds.
    pub made_ms: Option<i64>,
}

/// A piece of evidence that is repeated. Survives a crash, beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated {
    /// The interval that says it first.
    pub interval: u64,
    /// When it was said first, Unix milliseconds.
    pub said_ms: i64,
    /// Size of its content.
    pub bytes: u64,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Make an interval.
    pub interval: bool,
    /// Send a beacon.
    pub beacon: bool,
}

/// What one interval says. Contents are the caller's to bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// Its number, from 0.
    pub number: u64,
    /// Records that are said for the first time.
    pub fresh: Vec<Key>,
    /// Records that are said again and did not change since.
    pub again: Vec<Key>,
    /// Evidence for the first time.
    pub evidence: Vec<Key>,
    /// Evidence again.
    pub evidence_again: Vec<Key>,
    /// The slice of the state that goes with it. With slice 0, once a cycle, go the statements about keys.
    pub slice: u16,
    /// Of how many.
    pub of: NonZeroU16,
    /// Evidence that is repeated no longer: its content may go once the spool holds none of it.
    pub over: Vec<Key>,
}

/// When what is said.
#[derive(Debug, Clone)]
pub struct Schedule {
    rhythm: Rhythm,
    progress: Progress,
    beacon_ms: Option<i64>,
    /// The records that each of the last intervals said first.
    said: BTreeMap<u64, BTreeSet<Key>>,
    evidence: BTreeMap<Key, Repeated>,
}

impl Schedule {
    /// Takes up what was kept.
    pub fn resume(
        rhythm: Rhythm,
        progress: Progress,
        ledger: &Ledger,
        evidence: BTreeMap<Key, Repeated>,
    ) -> Self {
        let mut schedule = Self { rhythm, progress, beacon_ms: None, said: BTreeMap::new(), evidence };
        let recent = |it: &Said| it.interval.saturating_add(LAST) >= progress.intervals;
        for (key, said) in ledger.iter().filter(|(_, it)| recent(it)) {
            schedule.said.entry(said.interval).or_default().insert(key.clone());
        }
        schedule
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The interval to come: what changes now is said in it.
    pub fn coming(&self) -> u64 {
        self.progress.intervals
    }

    /// Takes note of a record that changed.
    pub fn changed(&mut self, key: Key) {
        self.said.entry(self.coming()).or_default().insert(key);
    }

    /// Takes note of evidence. Returns what is to be kept of it.
    pub fn witnessed(&mut self, key: Key, bytes: u64, now_ms: i64) -> Repeated {
        let repeated = Repeated { interval: self.coming(), said_ms: now_ms, bytes };
        *self.evidence.entry(key).or_insert(repeated)
    }

    /// Repeats a piece of evidence no more.
    pub fn forget(&mut self, key: &Key) {
        self.evidence.remove(key);
    }

    /// What is due now.
    pub fn due(&self, now_ms: i64) -> Due {
        let Rhythm { interval_ms, beacon_ms, .. } = self.rhythm;
        Due {
            interval: is_due(self.progress.made_ms, interval_ms, now_ms),
            beacon: is_due(self.beacon_ms, beacon_ms, now_ms),
        }
    }

    /// How long there is nothing to do, in milliseconds; never more than the shorter of the two distances.
    pub fn rest_ms(&self, now_ms: i64) -> u64 {
        let Rhythm { interval_ms, beacon_ms, .. } = self.rhythm;
        rest(self.progress.made_ms, interval_ms, now_ms).min(rest(self.beacon_ms, beacon_ms, now_ms))
    }

    /// Takes note of a beacon that goes out. After a crash one is due at once: one too many hurts nobody.
    pub fn beacon(&mut self, now_ms: i64) {
        self.beacon_ms = Some(now_ms);
    }

    /// Makes the interval to come. One that was missed is not made up for: its slice comes now, and what
    /// changed meanwhile is fresh now.
    pub fn make(&mut self, ledger: &Ledger, now_ms: i64) -> Interval {
        let number = self.coming();
        self.progress = Progress { intervals: number.saturating_add(1), made_ms: Some(now_ms) };
        let said = |at: u64, first: bool| {
            let keys = self.said.get(&at).into_iter().flatten();
            // What was said anew since then is repeated by its own distances.
            let same = move |it: &&Key| first || ledger.get(it).is_some_and(|said| said.interval == at);
            keys.filter(same).cloned()
        };
        let fresh: Vec<_> = said(number, true).filter(|it| ledger.get(it).is_some()).collect();
        let before = AGAIN.iter().filter_map(|it| number.checked_sub(*it));
        let again = before.flat_map(|at| said(at, false)).collect();
        self.said.retain(|at, _| at.saturating_add(LAST) > number);
        let over = self.end_of_repetition(now_ms);
        let (mut evidence, mut evidence_again) = (Vec::new(), Vec::new());
        let cycle = u64::from(self.rhythm.slices.get());
        for (key, it) in &self.evidence {
            match number.saturating_sub(it.interval) {
                0 => evidence.push(key.clone()),
                age if AGAIN.contains(&age) || age.is_multiple_of(cycle) => evidence_again.push(key.clone()),
                _ => {}
            }
        }
        let slice = u16::try_from(number % cycle).unwrap_or_default();
        let of = self.rhythm.slices;
        Interval { number, fresh, again, evidence, evidence_again, slice, of, over }
    }

    /// Takes out evidence that was repeated for long enough, and the oldest when there is too much of it.
    fn end_of_repetition(&mut self, now_ms: i64) -> Vec<Key> {
        let coming = self.progress.intervals;
        let limit = i64::from(self.rhythm.evidence_ms);
        let made = |it: &Repeated| it.interval.saturating_add(1) < coming;
        let ended =
            self.evidence.iter().filter(|(_, it)| made(it) && now_ms.saturating_sub(it.said_ms) > limit);
        let mut over: Vec<_> = ended.map(|(key, _)| key.clone()).collect();
        for key in &over {
            self.forget(key);
        }
        let mut many = self.evidence.len();
        let mut much = self.evidence.values().fold(0_u64, |sum, it| sum.saturating_add(it.bytes));
        if many > MAX_REPEATED_EVIDENCE || much > MAX_REPEATED_BYTES {
            let rest = self.evidence.iter().filter(|(_, it)| made(it));
            let mut rest: Vec<_> = rest.map(|(key, it)| (it.interval, it.bytes, key.clone())).collect();
            rest.sort();
            for (_, bytes, key) in rest {
                if many <= MAX_REPEATED_EVIDENCE && much <= MAX_REPEATED_BYTES {
                    break;
                }
                (many, much) = (many.saturating_sub(1), much.saturating_sub(bytes));
                self.forget(&key);
                over.push(key);
            }
        }
        over
    }
}

/// Whether something is due. A clock that was set back makes it due: nobody waits for a time to come again.
fn is_due(last_ms: Option<i64>, distance_ms: u32, now_ms: i64) -> bool {
    rest(last_ms, distance_ms, now_ms) == 0
}

fn rest(last_ms: Option<i64>, distance_ms: u32, now_ms: i64) -> u64 {
    let Some(passed) = last_ms.map(|it| now_ms.saturating_sub(it)) else { return 0 };
    u64::try_from(passed).map_or(0, |passed| u64::from(distance_ms).saturating_sub(passed))
}

#[cfg(test)]
mod tests {
    use super::super::ledger::{At, Content, Kept};
    use super::*;
    use holdpoint_common::bundle::Class;

    fn key(name: &str) -> Key {
        Key::new(Class::Asset, name).unwrap()
    }

    struct Sender {
        ledger: Ledger,
        schedule: Schedule,
        now_ms: i64,
    }

    impl Sender {
        fn new() -> Self {
            let rhythm = Rhythm::default();
            let at = At { now_ms: 0, interval: 0 };
            let (ledger, _) = Ledger::resume(rhythm, Kept::default(), [], at, None);
            let schedule = Schedule::resume(rhythm, Progress::default(), &ledger, BTreeMap::new());
            Self { ledger, schedule, now_ms: 1_000_000 }
        }

        fn say(&mut self, name: &str, text: &str) {
            let at = At { now_ms: self.now_ms, interval: self.schedule.coming() };
            let content = Content::try_from(text.as_bytes().to_vec()).unwrap();
            let record = self.ledger.say(key(name), Some(content), at).unwrap();
            self.schedule.changed(record.key);
        }

        fn make(&mut self) -> Interval {
            assert!(self.schedule.due(self.now_ms).interval);
            let interval = self.schedule.make(&self.ledger, self.now_ms);
            self.now_ms += 60_000;
            interval
        }

        /// As after a crash: only what is kept is there.
        fn again(&mut self) {
            let (progress, evidence) = (self.schedule.progress(), self.schedule.evidence.clone());
            self.schedule = Schedule::resume(Rhythm::default(), progress, &self.ledger, evidence);
        }
    }

    #[test]
    fn a_delta_goes_out_again_at_the_distances_of_the_policy() {
        for crash in [false, true] {
            let mut sender = Sender::new();
            for _ in 0..5 {
                sender.make();
            }
            sender.say("hmi-01", "a");
            let mut at = Vec::new();
            for number in 5..200_u64 {
                if crash {
                    sender.again();
                }
                let interval = sender.make();
                assert_eq!(interval.number, number);
                assert_eq!(!interval.fresh.is_empty(), number == 5);
                if interval.again == [key("hmi-01")] {
                    at.push(number - 5);
                }
            }
            assert_eq!(at, [1, 3, 7, 15, 31, 47], "crash: {crash}");
            assert_eq!(AGAIN.last(), Some(&LAST));
        }
    }

    #[test]
    fn a_record_that_changed_again_is_not_repeated_in_its_older_form() {
        let mut sender = Sender::new();
        sender.say("hmi-01", "a");
        sender.say("hmi-02", "a");
        sender.make();
        sender.make();
        sender.say("hmi-01", "b");
        let third = sender.make();
        assert_eq!((third.fresh, third.again), (vec![key("hmi-01")], vec![]));
        // One after b, three after a.
        assert_eq!(sender.make().again, [key("hmi-01"), key("hmi-02")]);
    }

    #[test]
    fn each_cycle_carries_each_slice_once_whatever_the_clock_does() {
        let mut sender = Sender::new();
        let mut slices = Vec::new();
        for number in 0..60 {
            if number == 20 {
                sender.now_ms += 10 * 3_600_000;
            }
            if number == 40 {
                sender.now_ms -= 30 * 3_600_000;
            }
            let interval = sender.make();
            assert_eq!(interval.of.get(), 60);
            slices.push(interval.slice);
        }
        assert_eq!(slices, (0..60).collect::<Vec<_>>());
        assert_eq!(sender.make().slice, 0);
    }

    #[test]
    fn beacons_and_intervals_are_due_in_their_time_and_not_before() {
        let mut sender = Sender::new();
        let start = sender.now_ms;
        assert_eq!(sender.schedule.due(start), Due { interval: true, beacon: true });
        sender.make();
        sender.schedule.beacon(start);
        assert_eq!(sender.schedule.rest_ms(start), 10_000);
        assert_eq!(sender.schedule.due(start + 9_999), Due { interval: false, beacon: false });
        assert_eq!(sender.schedule.due(start + 10_000), Due { interval: false, beacon: true });
        sender.schedule.beacon(start + 55_000);
        assert_eq!(sender.schedule.rest_ms(start + 58_000), 2_000);
        assert_eq!(sender.schedule.due(start + 60_000), Due { interval: true, beacon: false });
        assert_eq!(sender.schedule.due(start - 1), Due { interval: true, beacon: true });
        assert_eq!(sender.schedule.due(i64::MIN), Due { interval: true, beacon: true });
    }

    #[test]
    fn evidence_is_repeated_until_its_age_limit() {
        let mut sender = Sender::new();
        sender.schedule.witnessed(key("log-1"), 100, sender.now_ms);
        assert_eq!(sender.make().evidence, [key("log-1")]);
        let (mut at, mut over) = (Vec::new(), None);
        for age in 1..11_000_u64 {
            if age == 100 {
                sender.again();
            }
            let interval = sender.make();
            assert!(interval.evidence.is_empty());
            if !interval.evidence_again.is_empty() {
                at.push(age);
            }
            if !interval.over.is_empty() {
                over = Some(age);
            }
        }
        assert_eq!(at[..9], [1, 3, 7, 15, 31, 47, 60, 120, 180]);
        let week = 7 * 24 * 60;
        assert_eq!((at.last().copied(), over), (Some(week), Some(week + 1)));
    }

    #[test]
    fn too_much_evidence_is_said_once_and_its_oldest_not_again() {
        let mut sender = Sender::new();
        let third = MAX_REPEATED_BYTES / 3;
        for name in ["log-1", "log-2", "log-3", "log-4"] {
            sender.schedule.witnessed(key(name), third, sender.now_ms);
            let interval = sender.make();
            assert_eq!(interval.evidence, [key(name)]);
            assert_eq!(interval.over.is_empty(), name != "log-4");
        }
        let left: Vec<_> = sender.schedule.evidence.keys().map(Key::name).collect();
        assert_eq!(left, ["log-2", "log-3", "log-4"]);
    }
}
