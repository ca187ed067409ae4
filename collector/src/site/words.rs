//! The sentences of alarms, for people.

use std::fmt;

use holdpoint_common::bundle::{Before, Class, Epoch, Header};

use super::incarnation::MAX_JUMP;
use super::places::Hole;

pub(super) const ENDED: &str =
    "Bundles of an incarnation that has ended came: they are late, or somebody repeats old ones.";
pub(super) const ENDED_GOES_ON: &str = "Bundles of an incarnation that has ended go on behind its end: they \
                                        are late, or a copy of the collector still runs.";
pub(super) const FUTURE: &str =
    "Bundles are dated in the future: the zone's clock was set forward, or is wrong. They count.";
pub(super) const CONFLICT: &str =
    "The collector says two different things of one record at one revision; the first is kept.";
pub(super) const NO_ROOM: &str = "The zone says more than there is room for: some of it is not kept.";

pub(super) fn silent(silence_ms: i64) -> String {
    let s = silence_ms / 1_000;
    format!(
        "Nothing was heard of this zone for {s} s: all that is shown of it is as old. Its link or its \
         collector has stopped."
    )
}

pub(super) fn not_converged(holes: usize) -> String {
    let why = if holes == 0 { "though no bundle is missing" } else { "and bundles are missing" };
    format!("What is shown of this zone is not what its collector holds, for longer than a cycle, {why}.")
}

pub(super) fn rolled_back(before: Option<Before>, high: u64) -> String {
    let known = before.map_or_else(|| "no place".to_owned(), |it| format!("place {} at most", it.sequence));
    format!(
        "A new incarnation of the collector began. Of the one before it knows {known}, and place {high} is \
         known here: it was restored or installed anew."
    )
}

pub(super) fn stranger(epoch: Epoch) -> String {
    format!(
        "The incarnation {epoch} of the collector does not say that it follows the one that is known here. \
         It is not believed until the zone's root names a new key or a person admits it."
    )
}

pub(super) fn jump(sequence: u64) -> String {
    format!(
        "A bundle of the place {sequence} came, more than {MAX_JUMP} ahead of what is known: it waits for a \
         beacon or another bundle to confirm it."
    )
}

pub(super) fn fork(sequence: u64) -> String {
    format!(
        "Two different bundles have the place {sequence}: somebody else signs with this collector's key, or \
         a copy of it runs. Nothing more of this incarnation is believed until the zone's root names a new \
         key."
    )
}

pub(super) fn no_bundles(unheard: u64) -> String {
    format!(
        "Beacons come, and the last {unheard} bundles that they speak of do not: more is lost than this way \
         is made for, or its sender is blocked."
    )
}

pub(super) fn lost(from: u64, holes: &[Hole]) -> String {
    let places = holes.iter().fold(0_u64, |sum, it| sum.saturating_add(it.places()));
    format!(
        "{places} bundles from {from} on did not come and will not: what only they said, such as verdicts \
         and the log's head, is not known here."
    )
}

pub(super) fn dropped(header: &Header) -> String {
    let drops = Drops(header);
    format!("The collector had to drop what it could not send: in this incarnation {drops}.")
}

pub(super) fn keys(why: &str) -> String {
    format!("A statement about the keys of this zone does not count: {why}. Ask who keeps its root.")
}

/// What a sender says that it dropped.
struct Drops<'a>(&'a Header);

impl fmt::Display for Drops<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for class in Class::ALL {
            let dropped = self.0.drops.of(class);
            if dropped > 0 {
                write!(f, "{between}{dropped} of {class}")?;
                between = ", ";
            }
        }
        Ok(())
    }
}
