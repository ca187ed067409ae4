//! One zone: a row among others, and a page of its own.

use std::collections::BTreeMap;

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{ago, by_word, counts, words};
use crate::output::{Answer, Page, Table};
use crate::view::{hex, number, short_time, some_text, text, time};

/// All that is known of a zone.
#[derive(Debug, Serialize)]
pub struct Zone {
    zone: String,
    last_sequence: Option<u64>,
    age_s: Option<i64>,
    gaps: Vec<Gap>,
    alarms: Vec<Alarm>,
    assets: u64,
    changes: u64,
    converged_since: Option<String>,
    uncertain_since: Option<String>,
    covered_by: Option<String>,
    silent_since: Option<String>,
    frozen_since: Option<String>,
    clock_offset_ms: Option<i64>,
    clock_drift_ms_per_day: Option<i64>,
    clock_source: Option<String>,
    clock_steps: u64,
    drops: BTreeMap<String, u64>,
    policy: Option<String>,
    redacted: Vec<String>,
    epoch: Option<String>,
    key_epoch: Option<u64>,
    keys: Vec<Key>,
    collector: String,
    version: Option<String>,
    counters: BTreeMap<String, u64>,
    refused: BTreeMap<String, u64>,
    spooled: u64,
    held: u64,
    inherited: u64,
    facts: u64,
    verdicts: BTreeMap<String, u64>,
    reasons: BTreeMap<String, u64>,
    freshness: BTreeMap<String, u64>,
    past: Vec<Past>,
    strangers: Vec<Stranger>,
    strangers_beyond: u64,
    forks: Vec<Fork>,
    feeds: Vec<Feed>,
    forgotten: BTreeMap<String, u64>,
    gaps_beyond: u64,
    alarms_beyond: u64,
    trusted: Option<String>,
    trusted_by: Option<String>,
    text: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Gap {
    from: u64,
    to: u64,
    state: String,
    noticed: Option<String>,
    closed: Option<String>,
    how: Option<String>,
    epoch: Option<String>,
    resend: Option<String>,
}

/// What people have to look at.
#[derive(Debug, Serialize)]
pub struct Alarm {
    kind: String,
    sequence: Option<u64>,
    text: String,
    since: Option<String>,
    last: Option<String>,
    count: u64,
    acknowledged_by: Option<String>,
    acknowledged: Option<String>,
}

#[derive(Debug, Serialize)]
struct Key {
    id: String,
    epoch: u64,
    expires: Option<String>,
}

#[derive(Debug, Serialize)]
struct Past {
    epoch: String,
    last_sequence: u64,
    ended: Option<String>,
    lost: u64,
    open: u64,
}

#[derive(Debug, Serialize)]
struct Stranger {
    epoch: String,
    first: Option<String>,
    bundles: u64,
    last_sequence: u64,
}

#[derive(Debug, Serialize)]
struct Fork {
    sequence: u64,
    held: Option<String>,
    other: Option<String>,
    at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Feed {
    kind: String,
    imported: Option<String>,
    items: u64,
    allowed_s: u64,
    usable: bool,
}

impl Alarm {
    /// Its sentence.
    pub(super) fn words(&self) -> &str {
        &self.text
    }
}

impl From<pb::FleetAlarm> for Alarm {
    fn from(wire: pb::FleetAlarm) -> Self {
        let pb::FleetAlarm { kind, sequence, text: words, first_ms, last_ms, count, .. } = wire;
        let pb::FleetAlarm { ended_ms: _, acknowledged_by, acknowledged_ms, .. } = wire;
        Self {
            kind,
            sequence,
            text: words,
            since: time(first_ms),
            last: time(last_ms),
            count,
            acknowledged_by: some_text(acknowledged_by),
            acknowledged: acknowledged_ms.and_then(time),
        }
    }
}

impl Zone {
    /// A zone from an answer.
    pub fn new(wire: pb::FleetZone) -> Self {
        let text_of = words::zone(&wire);
        let moment = |it: Option<i64>| it.and_then(time);
        Self {
            zone: wire.zone,
            last_sequence: wire.last_sequence,
            age_s: wire.age_s,
            gaps: wire.gaps.into_iter().map(gap).collect(),
            alarms: wire.alarms.into_iter().map(Alarm::from).collect(),
            assets: wire.assets,
            changes: wire.changes,
            converged_since: moment(wire.converged_since_ms),
            uncertain_since: moment(wire.uncertain_since_ms),
            covered_by: moment(wire.covered_by_ms),
            silent_since: moment(wire.silent_since_ms),
            frozen_since: moment(wire.frozen_since_ms),
            // Behind is negative, and so is to lose.
            clock_offset_ms: wire.clock_behind_ms.map(i64::saturating_neg),
            clock_drift_ms_per_day: wire.clock_drift_ms_per_day.map(i64::saturating_neg),
            clock_source: text(wire.clock_source),
            clock_steps: wire.clock_steps,
            drops: by_word(wire.drops),
            policy: text(wire.policy),
            redacted: wire.redacted,
            epoch: text(wire.epoch),
            key_epoch: (wire.key_epoch > 0).then_some(wire.key_epoch),
            keys: wire
                .keys
                .into_iter()
                .map(|it| Key { id: it.id, epoch: it.epoch, expires: it.expires_ms.and_then(time) })
                .collect(),
            collector: wire.collector,
            version: text(wire.version),
            counters: by_word(wire.counters),
            refused: by_word(wire.refused),
            spooled: wire.spooled,
            held: wire.held,
            inherited: wire.inherited,
            facts: wire.facts,
            verdicts: by_word(wire.verdicts),
            reasons: by_word(wire.reasons),
            freshness: by_word(wire.freshness),
            past: wire.past.into_iter().map(past).collect(),
            strangers: wire.strangers.into_iter().map(stranger).collect(),
            strangers_beyond: wire.strangers_beyond,
            forks: wire.forks.into_iter().map(fork).collect(),
            feeds: wire.feeds.into_iter().map(feed).collect(),
            forgotten: by_word(wire.forgotten),
            gaps_beyond: wire.gaps_beyond,
            alarms_beyond: wire.alarms_beyond,
            trusted: time(wire.trusted_ms),
            trusted_by: text(wire.trusted_by),
            text: text_of,
        }
    }

    /// Its row among others, for people.
    pub(super) fn row(&self) -> [Option<String>; 9] {
        let open = self.gaps.iter().filter(|it| it.state == "open").count();
        let lost = self.gaps.iter().filter(|it| it.state == "lost").count();
        let gaps = [(open, "open"), (lost, "lost")];
        let gaps: Vec<_> =
            gaps.iter().filter(|it| it.0 > 0).map(|(count, word)| format!("{count} {word}")).collect();
        let kinds: Vec<_> = self.alarms.iter().map(|it| it.kind.as_str()).collect();
        [
            Some(self.zone.clone()),
            self.last_sequence.and_then(number),
            ago(self.age_s),
            Some(self.state().to_owned()),
            text(gaps.join(", ")),
            number(self.assets),
            number(self.changes),
            text(kinds.join(", ")),
            self.clock_offset_ms.and_then(words::offset),
        ]
    }

    /// How sure it is that what is shown is what the zone holds, in a word or two.
    fn state(&self) -> &'static str {
        if self.last_sequence.is_none() {
            "never heard"
        } else if self.frozen_since.is_some() {
            "frozen"
        } else if self.silent_since.is_some() {
            "silent"
        } else if self.uncertain_since.is_some() {
            "uncertain"
        } else if self.converged_since.is_some() {
            "same"
        } else {
            "unknown"
        }
    }
}

fn gap(wire: pb::FleetGap) -> Gap {
    let pb::FleetGap { from, to, state, noticed_ms, closed_ms, how, epoch, resend } = wire;
    let (noticed, closed) = (time(noticed_ms), closed_ms.and_then(time));
    Gap { from, to, state, noticed, closed, how: text(how), epoch: text(epoch), resend: text(resend) }
}

fn past(wire: pb::FleetPast) -> Past {
    let pb::FleetPast { epoch, high, ended_ms, lost, open } = wire;
    Past { epoch, last_sequence: high, ended: time(ended_ms), lost, open }
}

fn stranger(wire: pb::FleetStranger) -> Stranger {
    let pb::FleetStranger { epoch, first_ms, count, high } = wire;
    Stranger { epoch, first: time(first_ms), bundles: count, last_sequence: high }
}

fn fork(wire: pb::FleetFork) -> Fork {
    let pb::FleetFork { sequence, held, other, at_ms } = wire;
    Fork { sequence, held: hex(&held), other: hex(&other), at: time(at_ms) }
}

fn feed(wire: pb::FleetFeed) -> Feed {
    let pb::FleetFeed { kind, imported_ms, items, allowed_s, usable } = wire;
    Feed { kind, imported: imported_ms.and_then(time), items, allowed_s, usable }
}

/// Zones for spreadsheets.
pub(super) fn records(zones: &[Zone]) -> Table {
    let mut table = Table::new([
        "zone",
        "last_sequence",
        "age_s",
        "gaps",
        "alarms",
        "assets",
        "changes",
        "converged_since",
        "uncertain_since",
        "covered_by",
        "clock_offset_ms",
        "clock_drift_ms_per_day",
        "clock_source",
        "drops",
        "policy",
        "epoch",
        "key_epoch",
    ]);
    for it in zones {
        let gaps: Vec<_> = it.gaps.iter().map(|it| format!("{}-{} {}", it.from, it.to, it.state)).collect();
        let alarms: Vec<_> = it.alarms.iter().map(|it| it.kind.clone()).collect();
        table.row([
            Some(it.zone.clone()),
            it.last_sequence.and_then(number),
            it.age_s.and_then(number),
            text(gaps.join("; ")),
            text(alarms.join("; ")),
            number(it.assets),
            number(it.changes),
            it.converged_since.clone(),
            it.uncertain_since.clone(),
            it.covered_by.clone(),
            it.clock_offset_ms.and_then(number),
            it.clock_drift_ms_per_day.and_then(number),
            it.clock_source.clone(),
            counts(&it.drops),
            it.policy.clone(),
            it.epoch.clone(),
            it.key_epoch.and_then(number),
        ]);
    }
    table
}

impl Answer for Zone {
    fn page(&self) -> Page {
        let mut page = Page::default();
        for line in &self.text {
            page = page.line(line.clone());
        }
        let mut gaps = Table::new(["gap", "state", "noticed", "closed", "how", "resend"]);
        for it in &self.gaps {
            let places =
                if it.from == it.to { it.from.to_string() } else { format!("{}-{}", it.from, it.to) };
            let closed = match it.state.as_str() {
                "open" => self.covered_by.as_deref().map(|by| format!("by {}", short(by))),
                _ => short_time(it.closed.as_deref()),
            };
            gaps.row([
                Some(places),
                Some(it.state.clone()),
                short_time(it.noticed.as_deref()),
                closed,
                it.how.clone(),
                it.resend.clone(),
            ]);
        }
        let mut alarms = Table::new(["alarm", "since", "times", "seen_by", "text"]);
        for it in &self.alarms {
            alarms.row([
                Some(it.kind.clone()),
                short_time(it.since.as_deref()),
                number(it.count),
                it.acknowledged_by.clone(),
                Some(it.text.clone()),
            ]);
        }
        let mut past = Table::new(["ended_incarnation", "last_sequence", "ended", "lost", "open"]);
        for it in &self.past {
            past.row([
                Some(it.epoch.clone()),
                number(it.last_sequence),
                short_time(it.ended.as_deref()),
                number(it.lost),
                number(it.open),
            ]);
        }
        let mut strangers = Table::new(["unbelieved_incarnation", "last_sequence", "first", "bundles"]);
        for it in &self.strangers {
            strangers.row([
                Some(it.epoch.clone()),
                number(it.last_sequence),
                short_time(it.first.as_deref()),
                number(it.bundles),
            ]);
        }
        let mut feeds = Table::new(["feed", "imported", "items", "usable"]);
        for it in &self.feeds {
            feeds.row([
                Some(it.kind.clone()),
                short_time(it.imported.as_deref()),
                number(it.items),
                Some(it.usable.to_string()),
            ]);
        }
        let mut keys = Table::new(["key", "number", "expires"]);
        for it in &self.keys {
            keys.row([Some(it.id.clone()), number(it.epoch), short_time(it.expires.as_deref())]);
        }
        for table in [gaps, alarms, past, strangers, feeds, keys] {
            if !table.rows().is_empty() {
                page = page.table(table.dense());
            }
        }
        page.facts([
            ("policy", self.policy.clone()),
            ("assets", number(self.assets)),
            ("freshness", counts(&self.freshness)),
            ("findings", counts(&self.verdicts)),
            ("unknown because", counts(&self.reasons)),
            (
                "bundles",
                counts(&self.counters.iter().filter(|it| *it.1 > 0).map(|(a, b)| (a.clone(), *b)).collect()),
            ),
            ("refused", counts(&self.refused)),
            ("incarnation", self.epoch.clone()),
            ("collector", Some(self.collector.clone())),
            ("version", self.version.clone()),
            ("trusted", short_time(self.trusted.as_deref())),
        ])
    }

    fn records(&self) -> Table {
        records(std::slice::from_ref(self))
    }
}

fn short(time: &str) -> String {
    short_time(Some(time)).unwrap_or_else(|| time.to_owned())
}
