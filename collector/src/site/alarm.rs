//! What people have to look at: a closed list of kinds, each alarm with its place and one sentence.

mod kept;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use holdpoint_common::bundle::{InvalidBundle, KeyId};

/// Most alarms that are kept: more of them say nothing new to a person.
pub const MAX_ALARMS: usize = 256;
/// Most unknown keys that are told apart.
pub const MAX_KEYS: usize = 16;
/// The same alarm is told again after so long, in milliseconds.
pub const AGAIN_MS: i64 = 3_600_000;
/// So many refused datagrams a minute are told; fewer are noise of a line.
pub const RATE_PER_MINUTE: u64 = 100;

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Two bundles of one place: two writers have the same key.
    Fork,
    /// Two contents of one record at one revision.
    Conflict,
    /// Bundles of an incarnation that has ended.
    Replay,
    /// An incarnation that does not follow the present one.
    Incarnation,
    /// The collector came back from a backup.
    RolledBack,
    /// A place too far ahead, which nothing confirms yet.
    Jump,
    /// The state here is not the sender's, for longer than a cycle.
    NotConverged,
    /// Nothing is heard.
    Silent,
    /// Beacons come and bundles do not.
    NoBundles,
    /// Bundles that will not come any more.
    Lost,
    /// The sender says that it dropped records.
    Dropped,
    /// Bundles are dated in the future.
    Clock,
    /// An object that was damaged on its way.
    Corrupt,
    /// A signature that is wrong, or by a key that is not known.
    Unverified,
    /// Many datagrams that are none of ours.
    Rejected,
    /// A limit was hit.
    Limit,
    /// Statements about keys contradict each other: a key is in two hands.
    Keys,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Fork,
        Self::Conflict,
        Self::Replay,
        Self::Incarnation,
        Self::RolledBack,
        Self::Jump,
        Self::NotConverged,
        Self::Silent,
        Self::NoBundles,
        Self::Lost,
        Self::Dropped,
        Self::Clock,
        Self::Corrupt,
        Self::Unverified,
        Self::Rejected,
        Self::Limit,
        Self::Keys,
    ];

    /// The word that machines read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Conflict => "conflict",
            Self::Replay => "replay",
            Self::Incarnation => "incarnation",
            Self::RolledBack => "rolled_back",
            Self::Jump => "jump",
            Self::NotConverged => "not_converged",
            Self::Silent => "silent",
            Self::NoBundles => "no_bundles",
            Self::Lost => "lost",
            Self::Dropped => "dropped",
            Self::Clock => "clock",
            Self::Corrupt => "corrupt",
            Self::Unverified => "unverified",
            Self::Rejected => "rejected",
            Self::Limit => "limit",
            Self::Keys => "keys",
        }
    }
}

/// A word that names no kind of alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such kind of alarm")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|it| it.as_str() == word).ok_or(UnknownKind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What it is about.
    pub kind: Kind,
    /// The place, where it has one.
    pub sequence: Option<u64>,
    /// One sentence for a person.
    pub text: String,
    /// When it began, by the receiver's clock, Unix milliseconds.
    pub first_ms: i64,
    /// When it was seen last.
    pub last_ms: i64,
    /// When it was told last, see [`AGAIN_MS`].
    pub told_ms: i64,
    /// How often it was seen.
    pub count: u64,
    /// When its cause was gone; `None` as long as it is there, or as nobody can know that it is gone.
    pub ended_ms: Option<i64>,
    /// Who said that he has seen it, and when. It goes on all the same.
    pub acknowledged: Option<(String, i64)>,
}

/// The alarms of a zone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alarms {
    /// In the order of their beginning.
    list: Vec<Alarm>,
    beyond: u64,
}

impl Alarms {
    /// All that are kept, those that are over too.
    pub fn iter(&self) -> impl Iterator<Item = &Alarm> {
        self.list.iter()
    }

    /// Those that are not over.
    pub fn active(&self) -> impl Iterator<Item = &Alarm> {
        self.list.iter().filter(|it| it.ended_ms.is_none())
    }

    /// Whether one of a kind is not over.
    pub fn is_active(&self, kind: Kind) -> bool {
        self.active().any(|it| it.kind == kind)
    }

    /// How many were forgotten or never kept, because there were more than [`MAX_ALARMS`].
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// Raises an alarm. One of a kind is enough, whatever its place; a fork and a conflict are one for each
    /// place. Says whether somebody should be told now.
    pub fn raise(&mut self, kind: Kind, sequence: Option<u64>, text: String, now_ms: i64) -> bool {
        let each = matches!(kind, Kind::Fork | Kind::Conflict);
        let same =
            |it: &&mut Alarm| it.kind == kind && it.ended_ms.is_none() && (!each || it.sequence == sequence);
        if let Some(alarm) = self.list.iter_mut().find(same) {
            (alarm.last_ms, alarm.count) = (now_ms, alarm.count.saturating_add(1));
            (alarm.sequence, alarm.text) = (sequence, text);
            let tell = now_ms.saturating_sub(alarm.told_ms) >= AGAIN_MS;
            if tell {
                alarm.told_ms = now_ms;
            }
            return tell;
        }
        if self.list.len() >= MAX_ALARMS {
            self.beyond = self.beyond.saturating_add(1);
            match self.list.iter().position(|it| it.ended_ms.is_some()) {
                Some(over) => drop(self.list.remove(over)),
                None => return false,
            }
        }
        let (first_ms, last_ms, told_ms) = (now_ms, now_ms, now_ms);
        self.list.push(Alarm {
            kind,
            sequence,
            text,
            first_ms,
            last_ms,
            told_ms,
            count: 1,
            ended_ms: None,
            acknowledged: None,
        });
        true
    }

    /// Notes that somebody has seen the alarms of a kind that are not over, or the one of a place. Gives how
    /// many these are.
    pub fn acknowledge(&mut self, kind: Kind, sequence: Option<u64>, by: &str, now_ms: i64) -> usize {
        let meant = |it: &&mut Alarm| {
            it.kind == kind && it.ended_ms.is_none() && (sequence.is_none() || it.sequence == sequence)
        };
        let seen = self.list.iter_mut().filter(meant);
        seen.map(|it| it.acknowledged = Some((by.to_owned(), now_ms))).count()
    }

    /// Ends the alarms of a kind: their cause is gone.
    pub fn end(&mut self, kind: Kind, now_ms: i64) {
        for alarm in self.list.iter_mut().filter(|it| it.kind == kind && it.ended_ms.is_none()) {
            alarm.ended_ms = Some(now_ms);
        }
    }
}

/// Why something that came for a zone is no bundle of it. It has touched nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A datagram or frame that is none of ours: MAC, length or first bytes.
    Rejected,
    /// An object that is not what its hash says, or whose body is not what its header says.
    Corrupt,
    /// Signed by a key that is not known, or its signature is wrong.
    Unverified(KeyId),
    /// Signed by a key whose time was over when it came.
    Expired(KeyId),
    /// Over a limit.
    Limit,
}

impl Refusal {
    /// What a bundle is that cannot be opened.
    pub fn of(invalid: &InvalidBundle) -> Self {
        match invalid {
            InvalidBundle::TooLong { .. }
            | InvalidBundle::HeaderTooLong
            | InvalidBundle::Body { .. }
            | InvalidBundle::Ratio { .. } => Self::Limit,
            InvalidBundle::Envelope(_) | InvalidBundle::Protected(_) | InvalidBundle::Content(_) => {
                Self::Rejected
            }
            InvalidBundle::UnknownKey(key)
            | InvalidBundle::Algorithm(key)
            | InvalidBundle::Signature(key)
            | InvalidBundle::NotItsOwn(key) => Self::Unverified(*key),
            InvalidBundle::OtherStream { trusted, .. } => Self::Unverified(trusted.key.id()),
            // The signature is right, and what it is over is not: the sender is broken, or newer than this.
            InvalidBundle::OtherKeyEpoch { .. }
            | InvalidBundle::Header(_)
            | InvalidBundle::Packing(_)
            | InvalidBundle::BodyDigest
            | InvalidBundle::Records(_)
            | InvalidBundle::Counts
            | InvalidBundle::Statement(_) => Self::Corrupt,
        }
    }
}

/// How much was refused, by cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals {
    /// None of ours.
    pub rejected: u64,
    /// Damaged.
    pub corrupt: u64,
    /// Over a limit.
    pub limits: u64,
    /// By the key that is not known or did not sign it, at most [`MAX_KEYS`] of them.
    pub unverified: BTreeMap<KeyId, u64>,
    /// The same for all other keys.
    pub unverified_beyond: u64,
    /// The present minute since 1970 and how many were rejected in it.
    minute: (i64, u64),
}

impl Refusals {
    /// Counts one and raises the alarm that belongs to it. Says whether somebody should be told now.
    pub fn note(&mut self, refusal: Refusal, alarms: &mut Alarms, now_ms: i64) -> bool {
        let more = |count: &mut u64| *count = count.saturating_add(1);
        match refusal {
            Refusal::Rejected => {
                more(&mut self.rejected);
                let minute = now_ms.div_euclid(60_000);
                if self.minute.0 != minute {
                    self.minute = (minute, 0);
                }
                more(&mut self.minute.1);
                if self.minute.1 < RATE_PER_MINUTE {
                    return false;
                }
                let text = format!(
                    "More than {RATE_PER_MINUTE} datagrams a minute are none of ours: somebody else sends to \
                     this port, or the link key differs."
                );
                alarms.raise(Kind::Rejected, None, text, now_ms)
            }
            Refusal::Corrupt => {
                more(&mut self.corrupt);
                let text =
                    "An object was damaged on its way, or its sender is broken: nothing of it was kept.";
                alarms.raise(Kind::Corrupt, None, text.to_owned(), now_ms)
            }
            Refusal::Limit => {
                more(&mut self.limits);
                let text = "An object is over a limit: nothing of it was kept.";
                alarms.raise(Kind::Limit, None, text.to_owned(), now_ms)
            }
            Refusal::Unverified(key) | Refusal::Expired(key) => {
                if self.unverified.contains_key(&key) || self.unverified.len() < MAX_KEYS {
                    more(self.unverified.entry(key).or_default());
                } else {
                    more(&mut self.unverified_beyond);
                }
                let why = if let Refusal::Expired(_) = refusal {
                    "whose time is over: the collector has to go on with the next one"
                } else {
                    "which is not trusted here or did not sign it"
                };
                let text = format!("A bundle names the key {key}, {why}: it was set aside and not applied.");
                alarms.raise(Kind::Unverified, None, text, now_ms)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_told_once_an_hour_and_a_fork_for_each_place() {
        let mut alarms = Alarms::default();
        let mut raise = |kind, sequence, now_ms| alarms.raise(kind, Some(sequence), String::new(), now_ms);
        assert!(raise(Kind::Replay, 4, 0));
        assert!(!raise(Kind::Replay, 5, AGAIN_MS - 1));
        assert!(raise(Kind::Replay, 6, AGAIN_MS));
        assert!(!raise(Kind::Replay, 6, AGAIN_MS + 1));
        assert!(raise(Kind::Fork, 4, 0));
        assert!(raise(Kind::Fork, 5, 0));
        assert!(!raise(Kind::Fork, 4, 1));
        assert_eq!(alarms.active().count(), 3);
        assert_eq!(alarms.iter().next().map(|it| (it.count, it.sequence)), Some((4, Some(6))));
        alarms.end(Kind::Replay, 9);
        assert!(!alarms.is_active(Kind::Replay));
        assert!(alarms.raise(Kind::Replay, None, String::new(), 10), "a new one");
    }

    #[test]
    fn more_alarms_than_the_limit_are_counted() {
        let mut alarms = Alarms::default();
        alarms.raise(Kind::Silent, None, String::new(), 0);
        alarms.end(Kind::Silent, 1);
        for sequence in 0..=u64::try_from(MAX_ALARMS).unwrap() {
            alarms.raise(Kind::Fork, Some(sequence), String::new(), 2);
        }
        assert_eq!(alarms.iter().count(), MAX_ALARMS);
        assert_eq!(alarms.beyond(), 2, "the one that was over, and one that found no room");
        assert_eq!(alarms.active().count(), MAX_ALARMS);
    }

    #[test]
    fn each_kind_has_its_own_word() {
        let words: std::collections::BTreeSet<_> = Kind::ALL.iter().map(|it| it.as_str()).collect();
        assert_eq!(words.len(), Kind::ALL.len());
    }

    #[test]
    fn noise_is_counted_and_told_only_when_there_is_much_of_it() {
        let (mut refusals, mut alarms) = (Refusals::default(), Alarms::default());
        for minute in 0..10 {
            for _ in 1..RATE_PER_MINUTE {
                assert!(!refusals.note(Refusal::Rejected, &mut alarms, minute * 60_000));
            }
        }
        assert!(alarms.iter().next().is_none());
        assert!(refusals.note(Refusal::Rejected, &mut alarms, 9 * 60_000));
        assert_eq!(refusals.rejected, (RATE_PER_MINUTE - 1) * 10 + 1);
        for key in 0..20 {
            refusals.note(Refusal::Unverified([key; 32].into()), &mut alarms, 0);
        }
        assert_eq!((refusals.unverified.len(), refusals.unverified_beyond), (MAX_KEYS, 4));
        assert!(alarms.is_active(Kind::Unverified));
    }
}
