//! One zone: all that is known of it and of what is missing.

use holdpoint_common::bundle::resend::Code;
use holdpoint_common::bundle::{Class, ClockQuality, Stream};
use holdpoint_proto::summary::{FeedSummary, HealthSummary};
use holdpoint_proto::v1 as pb;

use super::{alarm, counts, facts};
use crate::site::alarm::Refusals;
use crate::site::fleet::Member;
use crate::site::incarnation::Incarnation;
use crate::site::places::{Hole, HoleState, Tally};
use crate::site::view::{Row, gap_word};
use crate::site::zone::Zone;

/// Most gaps of a zone that is asked for.
const MAX_GAPS: usize = 1_000;
/// The same of one among all zones.
const MAX_GAPS_OF_MANY: usize = 100;

/// A zone as it is shown now.
pub fn zone(member: &Member, now_ms: i64) -> pb::FleetZone {
    with_gaps(member, now_ms, MAX_GAPS)
}

/// A zone as it is shown now among all others.
pub(super) fn one_of_many(member: &Member, now_ms: i64) -> pb::FleetZone {
    with_gaps(member, now_ms, MAX_GAPS_OF_MANY)
}

fn with_gaps(member: &Member, now_ms: i64, most: usize) -> pb::FleetZone {
    let zone = &member.zone;
    let row = Row::of(zone, now_ms);
    let said = member.summary.clone().unwrap_or_default();
    let current = zone.incarnation();
    let head = current.and_then(|it| it.head.as_ref()).map(|it| &it.header);
    let number = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
    let (strangers, strangers_beyond) = zone.strangers();
    let counted = zone.counters().words().into_iter().map(|(word, count)| count_of(word, count));
    let alarms = zone.alarms().iter().filter(|it| it.ended_ms.is_none()).map(alarm);
    let health = facts::<HealthSummary>(member, Class::Health).next().map(|it| it.2);
    let (gaps, gaps_beyond) = gaps(zone, most);
    let (trusted_ms, trusted_by) = member.lineage.trusted.clone();
    pb::FleetZone {
        trusted_ms,
        trusted_by,
        zone: row.stream.zone.zone.to_string(),
        collector: row.stream.collector.to_string(),
        last_sequence: row.last_sequence,
        age_s: row.age_s,
        gaps,
        gaps_beyond,
        alarms: alarms.collect(),
        assets: number(row.assets),
        changes: number(row.changes),
        converged_since_ms: row.converged_since_ms,
        uncertain_since_ms: row.uncertain_since_ms,
        covered_by_ms: row.covered_by_ms,
        clock_behind_ms: row.clock_behind_ms,
        clock_drift_ms_per_day: row.clock_drift_ms_per_day,
        clock_source: head.map_or("unknown", |it| source(it.clock)).to_owned(),
        clock_steps: zone.clock().steps(),
        drops: head
            .map(|it| Class::ALL.map(|class| count_of(&class.to_string(), it.drops.of(class))))
            .map_or_else(Vec::new, |all| all.into_iter().filter(|it| it.count > 0).collect()),
        policy: said.policy,
        redacted: said.redacted,
        epoch: current.map_or_else(String::new, |it| it.epoch.to_string()),
        key_epoch: head.map_or(0, |it| it.key_epoch),
        counters: counted.collect(),
        past: zone.past().iter().map(past).collect(),
        strangers: strangers.iter().map(stranger).collect(),
        strangers_beyond,
        forks: zone.forks().iter().map(fork).collect(),
        frozen_since_ms: current.and_then(|it| it.frozen).map(|it| it.1),
        silent_since_ms: zone.silent_since(now_ms),
        spooled: head.map_or(0, |it| it.spool.depth),
        held: number(zone.held()),
        inherited: current.map_or(0, |it| number(zone.facts().inherited(it.epoch))),
        verdicts: counts(said.verdicts),
        reasons: counts(said.reasons),
        freshness: counts(said.freshness),
        version: health.map_or(said.collector_version, |it| it.version),
        refused: refused(zone.refusals()),
        feeds: facts::<FeedSummary>(member, Class::Feed).map(|(kind, _, it)| feed(kind, &it)).collect(),
        alarms_beyond: zone.alarms().beyond(),
        facts: number(zone.facts().live().count()),
        keys: keys(member),
        forgotten: forgotten(zone),
    }
}

/// The gaps in the order of their places, and how many are left out: what healed first, and of what did not only
/// what is more than twice the most.
fn gaps(zone: &Zone, most: usize) -> (Vec<pb::FleetGap>, u64) {
    let past = zone.past().iter().map(|it| &it.incarnation);
    let all: Vec<_> =
        past.chain(zone.incarnation()).flat_map(|it| it.holes().iter().map(move |hole| (it, hole))).collect();
    let healed = |hole: &Hole| matches!(hole.state, HoleState::Arrived | HoleState::Superseded);
    let mut over = all.len().saturating_sub(most);
    let (mut gaps, mut beyond) = (Vec::new(), 0_u64);
    for (incarnation, hole) in all {
        if over > 0 && healed(hole) {
            (over, beyond) = (over.saturating_sub(1), beyond.saturating_add(1));
        } else if gaps.len() < most.saturating_mul(2) {
            gaps.push(gap(zone.stream(), incarnation, hole));
        } else {
            beyond = beyond.saturating_add(1);
        }
    }
    (gaps, beyond)
}

fn gap(stream: &Stream, incarnation: &Incarnation, hole: &Hole) -> pb::FleetGap {
    let code = (hole.state == HoleState::Open)
        .then(|| Code::of(stream, &incarnation.epoch, hole.from, hole.to).ok())
        .flatten();
    pb::FleetGap {
        from: hole.from,
        to: hole.to,
        state: gap_word(hole.state).to_owned(),
        noticed_ms: hole.noticed_ms,
        closed_ms: hole.closed_ms,
        how: match hole.state {
            HoleState::Open | HoleState::Lost => String::new(),
            HoleState::Arrived | HoleState::Superseded => hole.state.as_str().to_owned(),
        },
        epoch: incarnation.epoch.to_string(),
        resend: code.map(|it| it.to_string()).unwrap_or_default(),
    }
}

fn forgotten(zone: &Zone) -> Vec<pb::FleetCount> {
    let mut sum = zone.past_forgotten();
    let past = zone.past().iter().map(|it| &it.incarnation);
    past.chain(zone.incarnation()).for_each(|it| sum.absorb(it.holes().forgotten()));
    let Tally { open, arrived, superseded, lost } = sum;
    let all = [("open", open), ("arrived", arrived), ("superseded", superseded), ("lost", lost)];
    all.into_iter().filter(|it| it.1 > 0).map(|(word, count)| count_of(word, count)).collect()
}

fn past(past: &crate::site::zone::Past) -> pb::FleetPast {
    let tally = past.incarnation.holes().tally();
    pb::FleetPast {
        epoch: past.incarnation.epoch.to_string(),
        high: past.high,
        ended_ms: past.ended_ms,
        lost: tally.lost,
        open: tally.open,
    }
}

fn stranger(stranger: &crate::site::zone::Stranger) -> pb::FleetStranger {
    let crate::site::zone::Stranger { epoch, first_ms, count, high } = stranger;
    pb::FleetStranger { epoch: epoch.to_string(), first_ms: *first_ms, count: *count, high: *high }
}

fn fork((fork, at_ms): &(crate::site::incarnation::Fork, i64)) -> pb::FleetFork {
    let (held, other) = (fork.held.to_vec(), fork.other.to_vec());
    pb::FleetFork { sequence: fork.sequence, held, other, at_ms: *at_ms }
}

fn refused(refusals: &Refusals) -> Vec<pb::FleetCount> {
    let unverified =
        refusals.unverified.values().fold(refusals.unverified_beyond, |sum, it| sum.saturating_add(*it));
    let all = [
        ("rejected", refusals.rejected),
        ("corrupt", refusals.corrupt),
        ("limits", refusals.limits),
        ("unverified", unverified),
    ];
    all.into_iter().filter(|it| it.1 > 0).map(|(word, count)| count_of(word, count)).collect()
}

fn keys(member: &Member) -> Vec<pb::FleetKey> {
    let line = member.lineage.line();
    let key = |it: holdpoint_common::bundle::Trusted| {
        let id = it.key.id();
        let expires_ms = line.about(&id).and_then(|it| it.expires_ms);
        pb::FleetKey { id: id.to_string(), epoch: it.epoch, expires_ms }
    };
    line.trusted().map(key).collect()
}

fn feed(kind: &str, said: &FeedSummary) -> pb::FleetFeed {
    let FeedSummary { imported_ms, items, allowed_s, usable } = *said;
    pb::FleetFeed { kind: kind.to_owned(), imported_ms, items, allowed_s, usable }
}

fn source(clock: ClockQuality) -> &'static str {
    match clock {
        ClockQuality::Unknown => "unknown",
        ClockQuality::Unsynchronised => "unsynchronised",
        ClockQuality::Synchronised => "synchronised",
    }
}

fn count_of(word: &str, count: u64) -> pb::FleetCount {
    pb::FleetCount { word: word.to_owned(), count }
}
