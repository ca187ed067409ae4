//! What people see of a zone: the words of `fleet`.

use holdpoint_common::bundle::{Class, Stream};

use super::alarm::Alarm;
use super::places::{Hole, HoleState};
use super::zone::{Agreement, Zone};

/// Places that were missing, as people see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first of them.
    pub from: u64,
    /// The last of them.
    pub to: u64,
    /// `open`, `healed` or `lost`.
    pub state: &'static str,
}

/// One zone as `fleet` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which zone, and whose bundles.
    pub stream: Stream,
    /// The highest place that there must be; `None` before the first bundle.
    pub last_sequence: Option<u64>,
    /// Seconds since it was heard; `None` when it never was.
    pub age_s: Option<i64>,
    /// What was missing, of the present incarnation and of those before, oldest first.
    pub gaps: Vec<Gap>,
    /// What people have to look at.
    pub alarms: Vec<Alarm>,
    /// Assets that it speaks of.
    pub assets: usize,
    /// Changes that it speaks of.
    pub changes: usize,
    /// Since when what is shown is known to be what its collector held; `None` when it is not known to be.
    pub converged_since_ms: Option<i64>,
    /// Since when what is shown may be something else.
    pub uncertain_since_ms: Option<i64>,
    /// When what is missing now is covered at the latest.
    pub covered_by_ms: Option<i64>,
    /// How far its clock is behind, the shortest delay included.
    pub clock_behind_ms: Option<i64>,
    /// How much it loses a day.
    pub clock_drift_ms_per_day: Option<i64>,
}

impl Row {
    /// What is to be shown of a zone now.
    pub fn of(zone: &Zone, now_ms: i64) -> Self {
        let past = zone.past().iter().flat_map(|it| it.incarnation.holes().iter());
        let present = zone.incarnation().into_iter().flat_map(|it| it.holes().iter());
        let age_ms = zone.heard_ms().map(|it| now_ms.saturating_sub(it).max(0));
        let converged_since_ms = match zone.agreement() {
            Agreement::Same { since_ms } => Some(since_ms),
            Agreement::Unknown | Agreement::Differs { .. } => None,
        };
        Self {
            stream: zone.stream().clone(),
            last_sequence: zone.incarnation().map(super::incarnation::Incarnation::high),
            age_s: age_ms.map(|it| it / 1_000),
            gaps: past.chain(present).map(gap).collect(),
            alarms: zone.alarms().active().cloned().collect(),
            assets: zone.facts().count(Class::Asset),
            changes: zone.facts().count(Class::Change),
            converged_since_ms,
            uncertain_since_ms: zone.uncertain_since(now_ms),
            covered_by_ms: zone.covered_by_ms(),
            clock_behind_ms: zone.clock().behind_ms(),
            clock_drift_ms_per_day: zone.clock().drift_ms_per_day(),
        }
    }
}

fn gap(hole: &Hole) -> Gap {
    Gap { from: hole.from, to: hole.to, state: gap_word(hole.state) }
}

/// What people call a hole: `open`, `healed` or `lost`.
pub fn gap_word(state: HoleState) -> &'static str {
    match state {
        HoleState::Open => "open",
        HoleState::Arrived | HoleState::Superseded => "healed",
        HoleState::Lost => "lost",
    }
}
