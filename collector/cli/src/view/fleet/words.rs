//! A zone in sentences: how sure it is, what is missing and by when it will not be, and what its clock is worth.

use holdpoint_common::proto::v1 as pb;

use crate::view::{age, short_time, time};

/// From so far apart on a clock is worth a word, in milliseconds.
const WORTH_A_WORD_MS: i64 = 1_000;

/// What a person has to know of a zone, most important first.
pub(super) fn zone(zone: &pb::FleetZone) -> Vec<String> {
    let name = &zone.zone;
    let Some(last) = zone.last_sequence else {
        return vec![format!("Nothing was ever heard of {name}.")];
    };
    let mut lines = Vec::new();
    let heard = zone.age_s.and_then(|it| age(it.unsigned_abs())).unwrap_or_default();
    lines.push(match zone.silent_since_ms {
        Some(_) => format!(
            "{name} is silent: it was last heard {heard} ago, at place {last}. All that is shown of it is as old."
        ),
        None => format!("{name} was heard {heard} ago; its newest place is {last}."),
    });
    lines.push(certainty(zone));
    lines.extend(forks(zone));
    lines.extend(holes(zone));
    lines.extend(clock(zone));
    if !zone.drops.is_empty() {
        let drops: Vec<_> = zone.drops.iter().map(|it| format!("{} of {}", it.count, it.word)).collect();
        lines.push(format!("The collector had to drop records in this incarnation: {}.", drops.join(", ")));
    }
    if zone.spooled > 1 {
        lines.push(format!("{} bundles waited at the collector when it last spoke.", zone.spooled));
    }
    if zone.held > 0 {
        lines.push(format!("{} bundles wait here for something that confirms them.", zone.held));
    }
    if zone.inherited > 0 {
        lines.push(format!(
            "{} facts were said before the collector was restored or installed anew, and not again since.",
            zone.inherited
        ));
    }
    lines.extend(policy(zone));
    if zone.strangers_beyond > 0 {
        lines.push(format!("{} more incarnations that nobody believes were heard.", zone.strangers_beyond));
    }
    if zone.gaps_beyond > 0 {
        lines.push(format!("{} older gaps that are healed are not shown.", zone.gaps_beyond));
    }
    lines
}

fn certainty(zone: &pb::FleetZone) -> String {
    match (zone.uncertain_since_ms, zone.converged_since_ms) {
        (Some(since_ms), _) => {
            format!("Uncertain since {}: what is shown may not be what the collector holds.", at(since_ms))
        }
        (None, Some(since_ms)) => {
            format!(
                "What is shown is what the collector held when it was last heard, since {}.",
                at(since_ms)
            )
        }
        (None, None) => "Whether what is shown is all that the collector holds is not known.".to_owned(),
    }
}

fn forks(zone: &pb::FleetZone) -> Vec<String> {
    let frozen = zone.frozen_since_ms.map(|it| {
        format!(
            "Nothing of this incarnation is believed since {}: two writers have its key. A new key that the \
             zone's root names ends this.",
            at(it)
        )
    });
    let fork = |it: &pb::FleetFork| {
        format!(
            "Two different bundles have the place {}, found {}; both are kept.",
            it.sequence,
            at(it.at_ms)
        )
    };
    zone.forks.iter().map(fork).chain(frozen).collect()
}

fn holes(zone: &pb::FleetZone) -> Vec<String> {
    let mut lines = Vec::new();
    for gap in &zone.gaps {
        let places = if gap.from == gap.to {
            format!("Place {} is", gap.from)
        } else {
            format!("Places {}-{} are", gap.from, gap.to)
        };
        if gap.state == "open" {
            let by = zone.covered_by_ms.map_or_else(String::new, |it| {
                format!(", and will be covered by {} if the collector goes on", at(it))
            });
            lines.push(format!("{places} missing since {}{by}.", at(gap.noticed_ms)));
        } else if gap.state == "lost" {
            lines.push(format!(
                "{places} lost: what only they said, such as verdicts and the log's head, is not known here."
            ));
        }
    }
    lines
}

fn clock(zone: &pb::FleetZone) -> Option<String> {
    let behind_ms = zone.clock_behind_ms?;
    let mut parts = Vec::new();
    if behind_ms.saturating_abs() >= WORTH_A_WORD_MS {
        let way = if behind_ms > 0 { "behind" } else { "ahead" };
        parts.push(format!("{} {way}", span(behind_ms)?));
    }
    if let Some(drift) = zone.clock_drift_ms_per_day.filter(|it| it.saturating_abs() >= WORTH_A_WORD_MS) {
        let way = if drift > 0 { "losing" } else { "gaining" };
        parts.push(format!("{way} {} a day", span(drift)?));
    }
    if parts.is_empty() && zone.clock_source == "synchronised" {
        return None;
    }
    if parts.is_empty() {
        parts.push("right as far as can be seen".to_owned());
    }
    parts.push(format!("source {}", zone.clock_source));
    Some(format!("Zone clock {}.", parts.join(", ")))
}

fn policy(zone: &pb::FleetZone) -> Option<String> {
    match zone.policy.as_str() {
        "" => Some("The zone has not said how much it tells.".to_owned()),
        "counts" => Some("The zone tells how many and not which: its policy is counts.".to_owned()),
        "assets" => {
            Some("The zone tells its assets and no single findings: its policy is assets.".to_owned())
        }
        _ => None,
    }
}

/// How far a clock is off, in a cell: behind is negative. Nothing is said of less than a second.
pub(super) fn offset(offset_ms: i64) -> Option<String> {
    let sign = if offset_ms < 0 { "-" } else { "+" };
    let worth = offset_ms.saturating_abs() >= WORTH_A_WORD_MS;
    if worth { span(offset_ms).map(|it| format!("{sign}{it}")) } else { None }
}

fn span(ms: i64) -> Option<String> {
    age(ms.unsigned_abs() / 1_000)
}

fn at(ms: i64) -> String {
    short_time(time(ms).as_deref()).unwrap_or_else(|| "a time that no calendar has".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard() -> pb::FleetZone {
        pb::FleetZone {
            zone: "line-1".into(),
            last_sequence: Some(1_210),
            age_s: Some(12),
            clock_source: "unsynchronised".into(),
            policy: "full".into(),
            converged_since_ms: Some(1_795_000_000_000),
            ..pb::FleetZone::default()
        }
    }

    #[test]
    fn a_clock_is_told_as_a_person_would() {
        let zone =
            pb::FleetZone { clock_behind_ms: Some(37_400), clock_drift_ms_per_day: Some(2_100), ..heard() };
        assert_eq!(clock(&zone).unwrap(), "Zone clock 37 s behind, losing 2 s a day, source unsynchronised.");
        assert_eq!(offset(-37_400).as_deref(), Some("-37 s"));
        assert_eq!(offset(-400), None);
    }

    #[test]
    fn a_hole_says_by_when_it_is_covered_and_a_lost_one_what_is_not_known() {
        let gap = |from, to, state: &str| pb::FleetGap {
            from,
            to,
            state: state.into(),
            noticed_ms: 1_795_000_000_000,
            ..pb::FleetGap::default()
        };
        let zone = pb::FleetZone {
            gaps: vec![gap(1_204, 1_207, "open"), gap(7, 7, "lost"), gap(3, 3, "healed")],
            covered_by_ms: Some(1_795_003_600_000),
            uncertain_since_ms: Some(1_795_000_000_000),
            ..heard()
        };
        let text = super::zone(&zone).join("\n");
        assert!(
            text.contains(
                "Places 1204-1207 are missing since 2026-11-18 11:06:40Z, and will be covered by 2026-11-18 \
                 12:06:40Z"
            ),
            "{text}"
        );
        assert!(text.contains("Place 7 is lost"), "{text}");
        assert!(text.contains("Uncertain since 2026-11-18 11:06:40Z"), "{text}");
        assert!(!text.contains("Place 3"), "{text}");
    }

    #[test]
    fn a_zone_that_was_never_heard_says_nothing_else() {
        let zone = pb::FleetZone { zone: "line-9".into(), ..pb::FleetZone::default() };
        assert_eq!(super::zone(&zone), ["Nothing was ever heard of line-9."]);
    }
}
