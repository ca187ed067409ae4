//! What a bundle can become, and how many became what.

use holdpoint_proto::store as pb;

/// What became of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// It is the newest, and was applied.
    Accepted,
    /// It was missing, and was applied.
    Late,
    /// It came before.
    Duplicate,
    /// A sign of life.
    Beacon,
    /// A beacon that came before, or that a later bundle has made old.
    OldBeacon,
    /// Too old to know whether it came: not applied. A later slice has what it says.
    Old,
    /// Too far ahead: kept until something confirms it.
    Held,
    /// Of an incarnation that has ended: not applied.
    Ended,
    /// Of an incarnation that does not follow the present one: not applied.
    Stranger,
    /// It shows that two writers have the key: not applied, and to be kept for people.
    Fork,
    /// It came after that.
    Frozen,
    /// Of another stream: not for this zone.
    Elsewhere,
}

/// How many bundles became what, since this zone is known. `taken` is the sum of all the others and of those
/// that are held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// All bundles and beacons.
    pub taken: u64,
    /// In order, or ahead of a hole.
    pub accepted: u64,
    /// Into a hole.
    pub late: u64,
    /// Again.
    pub duplicates: u64,
    /// Signs of life.
    pub beacons: u64,
    /// Beacons that say nothing new.
    pub old_beacons: u64,
    /// Too old to know.
    pub old: u64,
    /// Of ended incarnations.
    pub ended: u64,
    /// Of incarnations that are not believed.
    pub strangers: u64,
    /// Of a place that another bundle has.
    pub forks: u64,
    /// After a fork.
    pub frozen: u64,
    /// Of other streams.
    pub elsewhere: u64,
    /// Held, and given up because there was no room or the incarnation ended.
    pub given_up: u64,
    /// Dated in the future; they are among the others too.
    pub future_dated: u64,
}

impl Counters {
    /// Counts one.
    pub fn count(&mut self, ruling: Ruling) {
        let count = match ruling {
            Ruling::Accepted => &mut self.accepted,
            Ruling::Late => &mut self.late,
            Ruling::Duplicate => &mut self.duplicates,
            Ruling::Beacon => &mut self.beacons,
            Ruling::OldBeacon => &mut self.old_beacons,
            Ruling::Old => &mut self.old,
            // Counted when it is held no more.
            Ruling::Held => return,
            Ruling::Ended => &mut self.ended,
            Ruling::Stranger => &mut self.strangers,
            Ruling::Fork => &mut self.forks,
            Ruling::Frozen => &mut self.frozen,
            Ruling::Elsewhere => &mut self.elsewhere,
        };
        *count = count.saturating_add(1);
    }

    /// The sum of all that were taken and are not held.
    pub fn sum(&self) -> u64 {
        let Self { accepted, late, duplicates, beacons, old_beacons, old, .. } = self;
        let Self { ended, strangers, forks, frozen, elsewhere, given_up, .. } = self;
        [accepted, late, duplicates, beacons, old_beacons, old]
            .into_iter()
            .chain([ended, strangers, forks, frozen, elsewhere, given_up])
            .fold(0, |sum, it| sum.saturating_add(*it))
    }
}

impl Counters {
    /// For whoever keeps them.
    pub fn to_page(&self) -> pb::FleetCounters {
        let Self { taken, accepted, late, duplicates, beacons, old_beacons, old, ended, .. } = *self;
        let Self { strangers, forks, frozen, elsewhere, given_up, future_dated, .. } = *self;
        pb::FleetCounters {
            taken,
            accepted,
            late,
            duplicates,
            beacons,
            old_beacons,
            old,
            ended,
            strangers,
            forks,
            frozen,
            elsewhere,
            given_up,
            future_dated,
        }
    }

    /// What [`Counters::to_page`] gave.
    pub fn of_page(page: &pb::FleetCounters) -> Self {
        let pb::FleetCounters { taken, accepted, late, duplicates, beacons, old_beacons, old, ended, .. } =
            *page;
        let pb::FleetCounters { strangers, forks, frozen, elsewhere, given_up, future_dated, .. } = *page;
        Self {
            taken,
            accepted,
            late,
            duplicates,
            beacons,
            old_beacons,
            old,
            ended,
            strangers,
            forks,
            frozen,
            elsewhere,
            given_up,
            future_dated,
        }
    }

    /// Each number with its word.
    pub fn words(&self) -> [(&'static str, u64); 14] {
        [
            ("taken", self.taken),
            ("accepted", self.accepted),
            ("late", self.late),
            ("duplicates", self.duplicates),
            ("beacons", self.beacons),
            ("old_beacons", self.old_beacons),
            ("old", self.old),
            ("ended", self.ended),
            ("strangers", self.strangers),
            ("forks", self.forks),
            ("frozen", self.frozen),
            ("elsewhere", self.elsewhere),
            ("given_up", self.given_up),
            ("future_dated", self.future_dated),
        ]
    }
}

impl Ruling {
    /// The word that programs read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::Beacon => "beacon",
            Self::OldBeacon => "old_beacon",
            Self::Old => "old",
            Self::Held => "held",
            Self::Ended => "ended",
            Self::Stranger => "stranger",
            Self::Fork => "fork",
            Self::Frozen => "frozen",
            Self::Elsewhere => "elsewhere",
        }
    }
}
