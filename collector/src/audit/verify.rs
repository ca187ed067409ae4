//! Walking the audit log: what was changed, what is missing, what stands elsewhere, what nobody signed.
//!
//! Whoever can write to the disk can do anything but sign, so an entry is good when its number is the next one, its
//! chain value follows from the one before and that value is signed. What an entry that is not good *is* shows by
//! its surroundings: one that only says another number is followed by the entry that belonged behind it, one that
//! was moved or stands behind a hole is not. So the judgement waits for one more entry.

use std::collections::BTreeMap;

use holdpoint_common::proto::store::{AuditEntry, AuditRecord};
use prost::Message;

use super::{START, is_signed, link};

/// Most faults that verification lists; the first ones by number.
pub const MAX_FAULTS: usize = 100;

/// What walking the log showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Entries that were read.
    pub entries: u64,
    /// The newest chain value.
    pub head: [u8; 32],
    /// What is wrong, in the order of numbers: the first is the first faulty entry. At most [`MAX_FAULTS`].
    pub faults: Vec<String>,
}

/// Checks entries one after the other, from the first.
#[derive(Debug)]
pub struct Verifier<'a> {
    public: &'a [u8],
    entries: u64,
    /// Number of the entry where the log stands.
    last: u64,
    /// Its chain value.
    head: [u8; 32],
    /// An entry with an unexpected number, until the one behind it shows what it is.
    suspect: Option<Suspect>,
    /// Numbers that did not come where they belong, by the first of each hole.
    holes: BTreeMap<u64, Hole>,
    faults: BTreeMap<(u64, u64), String>,
}

#[derive(Debug)]
struct Suspect {
    /// The number that belongs where it stands.
    place: u64,
    /// The number that it says.
    says: u64,
    /// The chain value that it claims.
    chain: [u8; 32],
    signed: bool,
    /// Whether it follows from what is known to come before the number that it says; `None` when that is not known.
    follows: Option<bool>,
}

#[derive(Debug, Clone, Copy)]
struct Hole {
    last: u64,
    /// The chain value before it, where that is known.
    before: Option<[u8; 32]>,
}

impl<'a> Verifier<'a> {
    /// A verifier for the log that is signed with the key of `public`.
    pub fn new(public: &'a [u8]) -> Self {
        Self {
            public,
            entries: 0,
            last: 0,
            head: START,
            suspect: None,
            holes: BTreeMap::new(),
            faults: BTreeMap::new(),
        }
    }

    /// Checks the next entry.
    pub fn check(&mut self, record: &AuditRecord) {
        self.entries += 1;
        let AuditRecord { entry, chain, signature } = record;
        let says = AuditEntry::decode(entry.as_slice()).ok().map(|it| it.number);
        let claimed = <[u8; 32]>::try_from(chain.as_slice()).ok();
        if let Some(suspect) = self.suspect.take() {
            let goes_on = says == Some(suspect.place + 1) && claimed == Some(link(&suspect.chain, entry));
            self.settle(&suspect, goes_on);
        }
        let place = self.last + 1;
        let expected = link(&self.head, entry);
        let signed = is_signed(self.public, chain, signature);
        let elsewhere = says.filter(|it| *it != place && claimed != Some(expected));
        if let Some((says, chain)) = elsewhere.zip(claimed) {
            let before = self.hole_of(says).and_then(|(first, hole)| hole.before.filter(|_| first == says));
            let follows = before.map(|it| link(&it, entry) == chain);
            self.suspect = Some(Suspect { place, says, chain, signed, follows });
            return;
        }
        match says {
            None => self.fault(place, "cannot be read: it was changed"),
            Some(says) if says != place => self.fault(place, &format!("says that it is number {says}")),
            Some(_) => {}
        }
        let fits = claimed == Some(expected);
        // Only when the claimed value does not: whether the one that belongs here was signed.
        let was_signed = !fits && !signed && is_signed(self.public, &expected, signature);
        match (fits, signed) {
            (true, true) => {}
            (true, false) => self.fault(place, "is not signed by this collector's audit key"),
            (false, true) => self.fault(place, "was changed: it is not what was chained and signed"),
            (false, false) if was_signed => {
                self.fault(place, "was changed: its chain value is not the one that was signed");
            }
            (false, false) => {
                self.fault(place, "was changed, and is not signed by this collector's audit key");
            }
        }
        self.last = place;
        // One broken link is one fault: what follows is judged against what it claims to follow.
        self.head = claimed.filter(|_| !was_signed).unwrap_or(expected);
    }

    /// The result. `next` is the number of the next entry as the store counts; `None` when nobody counts, and then
    /// nothing can be said of entries that were cut off at the end.
    pub fn finish(mut self, next: Option<u64>) -> Verification {
        if let Some(suspect) = self.suspect.take() {
            let is_last = next == Some(suspect.place + 1);
            self.settle(&suspect, is_last);
        }
        match next {
            Some(next) if self.last + 1 < next => {
                let why = "as the store has counted";
                self.missing(self.last + 1, next - 1, why);
            }
            Some(next) if self.last >= next => {
                self.fault(next, "was added behind the last one that the store has counted");
            }
            Some(_) | None => {}
        }
        for (first, hole) in std::mem::take(&mut self.holes) {
            self.missing(first, hole.last, "");
        }
        Verification { entries: self.entries, head: self.head, faults: self.faults.into_values().collect() }
    }

    /// What a suspect is, now that it is known whether the log goes on as if it stood in its right place.
    fn settle(&mut self, suspect: &Suspect, goes_on: bool) {
        let Suspect { place, says, chain, signed, follows } = *suspect;
        if goes_on {
            self.fault(place, &format!("was changed: it says that it is number {says}"));
            (self.last, self.head) = (place, chain);
            return;
        }
        if !signed {
            self.fault(says, "is not signed by this collector's audit key");
        }
        if says > place {
            self.holes.insert(place, Hole { last: says - 1, before: Some(self.head) });
            (self.last, self.head) = (says, chain);
            return;
        }
        let Some((first, hole)) = self.hole_of(says) else {
            self.fault(says, &format!("is there twice: again behind entry {}", self.last));
            return;
        };
        self.holes.remove(&first);
        if first < says {
            self.holes.insert(first, Hole { last: says - 1, before: hole.before });
        }
        if says < hole.last {
            self.holes.insert(says + 1, Hole { last: hole.last, before: Some(chain) });
        }
        self.fault(says, &format!("is reordered: it stands behind entry {}", self.last));
        if follows == Some(false) {
            self.fault(says, "was changed: it is not what was chained and signed");
        }
    }

    fn hole_of(&self, number: u64) -> Option<(u64, Hole)> {
        let (first, hole) = self.holes.range(..=number).next_back()?;
        (hole.last >= number).then_some((*first, *hole))
    }

    fn missing(&mut self, first: u64, last: u64, why: &str) {
        let gap = if why.is_empty() { "" } else { ", " };
        let text = if first == last {
            format!("entry {first} is missing{gap}{why}")
        } else {
            format!("entries {first} to {last} are missing{gap}{why}")
        };
        self.push(first, text);
    }

    fn fault(&mut self, number: u64, what: &str) {
        self.push(number, format!("entry {number} {what}"));
    }

    fn push(&mut self, number: u64, text: String) {
        let nth = self.faults.range((number, 0)..=(number, u64::MAX)).next_back().map_or(0, |it| it.0.1 + 1);
        self.faults.insert((number, nth), text);
        if self.faults.len() > MAX_FAULTS {
            self.faults.pop_last();
        }
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
