//! One expectation against one snapshot.
//!
//! Products and advisories are judged by `assess`, facts by `triage::control`; what is left is read from rows. Only a
//! section that was read completely says that something is not there, or that all is well: bad news is believed from
//! any row, good news from none that others may be missing beside.

use std::collections::BTreeSet;
use std::sync::Arc;

use holdpoint_common::proto::store::Evidence;
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::SectionKind;

use super::plan::{Expectation, Plan, Wanted};
use super::snapshot::{Section, Snapshot};
use super::word::Why;
use crate::assess::snapshots::{Answer, Asked, Instance, Looked, Snapshots, Waiting};
use crate::assess::{Outcome, Reason, RowSource, Verdict};
use crate::knowledge::{AllowedAges, Knowledge};

mod rows;

pub(super) use rows::{decoded, is_service};

/// Most instances that are named in evidence.
const MAX_NAMED: usize = 8;

/// What a snapshot says of an expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It holds, and is in effect.
    Holds,
    /// What it is about is not there, by a complete enumeration.
    Gone,
    /// It does not hold.
    Fails,
    /// It holds for some of several instances.
    Several,
    /// It holds on disk and is not in effect.
    NotLive(Why),
    /// Two sources of equal rank disagree.
    Contradicted,
    /// Nobody can tell.
    Unknown(Why),
}

/// What a snapshot says of an expectation, and on what that rests.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What it says.
    pub finding: Finding,
    /// What was seen, as the end of a sentence: "openssl is 3.0.11".
    pub text: String,
    /// What was looked at; the phase is still to be said.
    pub evidence: Vec<Evidence>,
    /// Sections that decide.
    pub decides: BTreeSet<SectionKind>,
    /// Installed things that it is about, where there are such.
    pub instances: Vec<Instance>,
    /// What was seen can only have come into effect by a restart.
    pub by_restart: bool,
}

impl Reading {
    fn new(finding: Finding, text: impl Into<String>) -> Self {
        Self {
            finding,
            text: text.into(),
            evidence: Vec::new(),
            decides: BTreeSet::new(),
            instances: Vec::new(),
            by_restart: false,
        }
    }

    fn resting_on(mut self, snapshot: &Snapshot, kind: SectionKind, what: &str, value: &str) -> Self {
        self.decides.insert(kind);
        self.evidence.push(evidence(snapshot, kind, what, value));
        self
    }

    /// Whether the deciding facts are the same in both.
    pub fn is_as(&self, other: &Self) -> bool {
        let installed = |it: &Self| -> Vec<(String, String)> {
            let mut all: Vec<_> =
                it.instances.iter().map(|it| (it.name.clone(), it.installed.clone())).collect();
            all.sort_unstable();
            all
        };
        self.finding == other.finding && self.text == other.text && installed(self) == installed(other)
    }
}

/// Evidence from a section; its phase is still to be said.
pub(super) fn evidence(snapshot: &Snapshot, kind: SectionKind, what: &str, value: &str) -> Evidence {
    let digest = snapshot.section(kind).map(|it| it.state.digest.clone()).unwrap_or_default();
    Evidence {
        phase: String::new(),
        what: what.to_owned(),
        value: value.to_owned(),
        digest,
        kind: kind.into(),
    }
}

/// Why a section leaves something open; `None` when it was read completely and is still there.
pub fn why_open(section: Option<&Section>) -> Option<Why> {
    let Some(section) = section else { return Some(Why::CoverageLower) };
    let denied = section.state.reasons.iter().any(|it| {
        let it = it.to_lowercase();
        it.contains("denied") || it.contains("permission") || it.contains("not permitted")
    });
    match SectionStatus::try_from(section.state.status) {
        Ok(SectionStatus::Complete) if section.rows.is_some() => None,
        Ok(SectionStatus::Partial | SectionStatus::Failed) if denied => Some(Why::AccessDenied),
        Ok(SectionStatus::Partial | SectionStatus::Unsupported | SectionStatus::Unspecified) => {
            Some(Why::CoverageLower)
        }
        Ok(SectionStatus::Complete | SectionStatus::Failed) | Err(_) => Some(Why::CollectionError),
    }
}

/// The expectations of a plan, ready to be held against snapshots.
#[derive(Debug)]
pub struct Expectations {
    plan: Arc<Plan>,
    snapshots: Snapshots,
    /// By expectation, its place among what is asked of `assess`.
    asked: Vec<Option<usize>>,
}

/// Both snapshots of a target, looked at.
#[derive(Debug)]
pub struct Pair<'a> {
    /// Before the work.
    pub pre: &'a Snapshot,
    /// After the work.
    pub post: &'a Snapshot,
    looked: Option<(Looked, Looked)>,
}

impl Expectations {
    /// Arranges what is known and what the plan expects. `hosts` says how many will be looked at, at most.
    pub fn new(
        plan: &Arc<Plan>,
        rows: Arc<dyn RowSource>,
        knowledge: &Knowledge,
        ages: &AllowedAges,
        now_ms: i64,
        hosts: usize,
    ) -> Self {
        let mut all = Vec::new();
        let mut asked = Vec::new();
        for expectation in &plan.expectations {
            let ask = match &expectation.wanted {
                Wanted::AtLeast(requirement) => Some(Asked::Requirement(Arc::new((**requirement).clone()))),
                Wanted::NotAffected { subject, .. } => Some(Asked::Subject(subject.clone())),
                Wanted::Fact(_)
                | Wanted::Absent { .. }
                | Wanted::ServiceRunning(_)
                | Wanted::Listener { .. }
                | Wanted::Restarted => None,
            };
            asked.push(ask.map(|it| {
                all.push(it);
                all.len() - 1
            }));
        }
        // Two snapshots of each host.
        let snapshots = Snapshots::new(rows, knowledge, ages, now_ms, &all, 2 * hosts);
        Self { plan: Arc::clone(plan), snapshots, asked }
    }

    /// Looks at both snapshots of a target.
    pub fn look<'a>(&mut self, pre: &'a Snapshot, post: &'a Snapshot, role: Option<&str>) -> Pair<'a> {
        let looked = if self.asked.iter().any(Option::is_some) {
            let both = pre.facts(role).zip(post.facts(role));
            both.map(|(before, after)| (self.snapshots.look(before), self.snapshots.look(after)))
        } else {
            None
        };
        Pair { pre, post, looked }
    }

    /// What both snapshots say of the expectation at a position; `None` when the plan has none there.
    pub fn read(&self, pair: &Pair<'_>, position: usize) -> Option<(Reading, Reading)> {
        let expectation = self.plan.expectations.get(position)?;
        let asked = self.asked.get(position).copied().flatten();
        let (before, after) = match (asked, &pair.looked) {
            (Some(asked), Some((pre, post))) => {
                (self.snapshots.answer(asked, pre, post), self.snapshots.answer(asked, post, pre))
            }
            (Some(_) | None, _) => (None, None),
        };
        let before = read(expectation, pair.pre, before, pair);
        let mut after = read(expectation, pair.post, after, pair);
        if after.finding == Finding::Gone && !after.by_restart {
            let names: Vec<&str> = before.instances.iter().map(|it| it.name.as_str()).collect();
            after = rows::gone(after, pair, &|package| names.contains(&package));
        }
        Some((before, after))
    }
}

fn read(expectation: &Expectation, snapshot: &Snapshot, answer: Option<Answer>, pair: &Pair<'_>) -> Reading {
    match &expectation.wanted {
        Wanted::AtLeast(_) | Wanted::NotAffected { .. } => match answer {
            Some(answer) => of_answer(snapshot, answer),
            None => {
                Reading::new(Finding::Unknown(Why::NoRule), "nothing that is known speaks of it on this host")
            }
        },
        Wanted::Fact(control) => rows::fact(snapshot, control),
        Wanted::Absent { name, source } => rows::absent(pair, snapshot, name, source.as_deref()),
        Wanted::ServiceRunning(name) => rows::service(snapshot, name),
        Wanted::Listener { protocol, port, open } => rows::listener(snapshot, *protocol, *port, *open),
        Wanted::Restarted => rows::restarted(snapshot, pair.pre),
    }
}

/// What `assess` found, as a reading.
fn of_answer(snapshot: &Snapshot, answer: Answer) -> Reading {
    let Answer { outcome, decides, mut instances } = answer;
    instances.sort_unstable();
    let on_platform = !decides.contains(&SectionKind::Software);
    let finding = match outcome.verdict() {
        Verdict::Affected => {
            let good = instances.iter().any(|it| it.outcome.verdict().is_good());
            let bad = instances.iter().any(|it| it.outcome.verdict() == Verdict::Affected);
            if good && bad { Finding::Several } else { Finding::Fails }
        }
        Verdict::InstalledNotLive => Finding::NotLive(why_not_live(outcome, &instances)),
        Verdict::Unknown => unknown(snapshot, outcome, &decides),
        // What is installed is in effect only where somebody looked at what runs.
        Verdict::Fixed | Verdict::NotAffected if !on_platform => {
            why_open(snapshot.section(SectionKind::Live)).map_or(Finding::Holds, Finding::Unknown)
        }
        Verdict::Fixed | Verdict::NotAffected => Finding::Holds,
        Verdict::NoProduct => Finding::Gone,
    };
    let text = told(finding, outcome, &instances);
    let mut reading = Reading { by_restart: on_platform, ..Reading::new(finding, text) };
    for kind in &decides {
        if instances.is_empty() {
            reading = reading.resting_on(snapshot, *kind, "what it is about", "not there");
        } else if *kind == SectionKind::Platform && !on_platform {
            reading = reading.resting_on(snapshot, *kind, "the release", "read");
        }
    }
    reading.decides = decides;
    for it in instances.iter().take(MAX_NAMED) {
        let about = if it.subject.is_empty() { String::new() } else { format!(" ({})", it.subject) };
        let value = format!("{}: {}", it.installed, word(it.outcome));
        reading.evidence.push(evidence(snapshot, it.kind, &format!("{}{about}", it.name), &value));
    }
    if !on_platform && !matches!(finding, Finding::Gone) {
        let waits = instances.iter().find_map(|it| it.waits.as_ref());
        let value = match (waits, why_open(snapshot.section(SectionKind::Live))) {
            (Some((_, because)), _) => because.clone(),
            (None, None) => "nothing older runs".to_owned(),
            (None, Some(_)) => "not read completely".to_owned(),
        };
        reading = reading.resting_on(snapshot, SectionKind::Live, "in effect", &value);
    }
    reading.instances = instances;
    reading
}

fn word(outcome: Outcome) -> String {
    let reason = outcome.reason().map(|it| format!(" ({it})")).unwrap_or_default();
    format!("{}{reason}", outcome.verdict())
}

/// What was found, in words.
fn told(finding: Finding, outcome: Outcome, instances: &[Instance]) -> String {
    let named: BTreeSet<String> =
        instances.iter().map(|it| format!("{} {}", it.name, it.installed)).take(MAX_NAMED).collect();
    let named = named.into_iter().collect::<Vec<_>>().join(", ");
    match finding {
        Finding::Gone => "nothing of it is installed".to_owned(),
        Finding::NotLive(_) => {
            let because = instances.iter().find_map(|it| it.waits.as_ref()).map(|it| it.1.clone());
            format!("{named}, and {}", because.unwrap_or_else(|| "a restart is pending".to_owned()))
        }
        Finding::Unknown(_) if outcome.verdict().is_good() => {
            format!("{named}, and what runs was not read completely")
        }
        Finding::Unknown(_) | Finding::Contradicted => {
            let reason = outcome.reason().map_or("no reason", Reason::as_str);
            if named.is_empty() { reason.to_owned() } else { format!("{named}: {reason}") }
        }
        Finding::Holds | Finding::Fails | Finding::Several if named.is_empty() => {
            outcome.verdict().as_str().to_lowercase().replace('_', " ")
        }
        Finding::Holds | Finding::Fails | Finding::Several => named,
    }
}

fn why_not_live(outcome: Outcome, instances: &[Instance]) -> Why {
    let waiting = instances.iter().filter_map(|it| it.waits.as_ref()).map(|it| it.0).min();
    match waiting {
        Some(Waiting::Service) => Why::ServiceNotRestarted,
        Some(Waiting::Kernel) => Why::KernelNotBooted,
        Some(Waiting::OldCode) => Why::OldCodeMapped,
        None if outcome == Outcome::OLD_CODE => Why::OldCodeMapped,
        Some(Waiting::Restart) | None => Why::RestartPending,
    }
}

/// The closed reasons of `assess` in the words of changes.
fn unknown(snapshot: &Snapshot, outcome: Outcome, decides: &BTreeSet<SectionKind>) -> Finding {
    let why = match outcome.reason() {
        Some(Reason::SiblingConflict) => return Finding::Contradicted,
        // The fix is on disk: what is not known is whether it is in effect before the restart.
        Some(Reason::RestartPending) => return Finding::NotLive(Why::RestartPending),
        Some(
            Reason::VersionMissing
            | Reason::VersionNotComparable
            | Reason::RangeUnparsed
            | Reason::RangeConditional,
        ) => Why::UnparsedVersion,
        Some(Reason::FeedStale | Reason::AdvisoryOutdated) => Why::FeedStale,
        Some(Reason::InventoryStale) => Why::Stale,
        Some(Reason::SectionIncomplete) => {
            decides.iter().find_map(|it| why_open(snapshot.section(*it))).unwrap_or(Why::CoverageLower)
        }
        Some(
            Reason::IdentityUnconfirmed
            | Reason::BranchUnknown
            | Reason::LineUnbound
            | Reason::TrackUnknown
            | Reason::AdvisoryWithdrawn
            | Reason::NoMapRule,
        )
        | None => Why::NoRule,
    };
    Finding::Unknown(why)
}

#[cfg(test)]
#[path = "expectation_tests.rs"]
mod tests;
