//! What is due, what is overdue, and by which rule: a pure function.
//!
//! A duty ends because something was recorded or seen that ends it, never because something is missing: an asset that
//! nobody knows any more still owes what it owed, and one without a patch source is named.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_common::clock::readable;
use holdpoint_common::proto::store::{ControlRecord, DecisionRecord, DispositionRecord};

use super::control::{Control, fails, lapsed};
use super::fold::{Duties, Evaluation, NO_SOURCE, Source};
use super::short::{AssetShort, ChangeShort};
use super::{ACT_MS, BASELINE_MS, EVALUATE_MS};
use crate::baseline::Baselines;
use crate::hardening::Exception;
use crate::triage::Ledger;
use crate::triage::control::Tested;
use crate::triage::disposition::{self, Disposition, Standing};

/// Assets that one text names; the others are counted.
const MAX_NAMED: usize = 8;
const R2_1: &str = "CIP-007-6 R2.1";
const R2_2: &str = "CIP-007-6 R2.2";
const R2_3: &str = "CIP-007-6 R2.3";
const R2_4: &str = "CIP-007-6 R2.4";
const R1_3: &str = "CIP-010-4 R1.3";
const CONTROL: &str = "compensating control";
const EXCEPTION: &str = "hardening exception";

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DutyKind {
    /// To evaluate what a source released.
    Evaluate,
    /// To act on what an evaluation named, or to plan it.
    Act,
    /// To approve a new baseline.
    UpdateBaseline,
    /// To decide anew: an acceptance, deferral, mitigation or plan ends.
    AcceptanceEnds,
    /// To test a control.
    ControlTest,
    /// To decide anew: a control ends.
    ControlEnds,
    /// To decide anew: an exception from a hardening rule ends.
    ExceptionEnds,
}

impl DutyKind {
    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evaluate => "evaluate",
            Self::Act => "act",
            Self::UpdateBaseline => "update-baseline",
            Self::AcceptanceEnds => "acceptance-ends",
            Self::ControlTest => "control-test",
            Self::ControlEnds => "control-ends",
            Self::ExceptionEnds => "exception-ends",
        }
    }
}

/// How a duty stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DutyState {
    /// There is time left.
    Due,
    /// There is none.
    Overdue,
    /// It was done.
    Done,
}

impl DutyState {
    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Overdue => "overdue",
            Self::Done => "done",
        }
    }

    /// Of something to be done within a time: in time at its very millisecond.
    fn within(due_ms: i64, now_ms: i64) -> Self {
        if now_ms > due_ms { Self::Overdue } else { Self::Due }
    }

    /// Of something that ends: over at its millisecond.
    fn until(end_ms: i64, now_ms: i64) -> Self {
        if now_ms >= end_ms { Self::Overdue } else { Self::Due }
    }
}

/// A duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// What has to be done.
    pub kind: DutyKind,
    /// About what: a source, an item, a finding, a control, a rule.
    pub subject: String,
    /// Whose; empty when it is about several or none.
    pub asset: String,
    /// By when, Unix milliseconds.
    pub due_ms: i64,
    /// How it stands.
    pub state: DutyState,
    /// In words.
    pub text: String,
    /// The rule behind it.
    pub rule: &'static str,
}

/// Everything that duties follow from.
pub struct Known<'a> {
    /// What was recorded of duties.
    pub duties: &'a Duties,
    /// What was approved.
    pub baselines: &'a Baselines,
    /// What people decided.
    pub ledger: &'a Ledger,
    /// Every change.
    pub changes: &'a [ChangeShort],
    /// Exceptions of the hardening rules.
    pub exceptions: &'a [&'a Exception],
    /// Every asset, retired ones included.
    pub assets: &'a [AssetShort],
    /// Assets on which a machine sees nothing open of an item: fixed, or not affected.
    pub settled: &'a dyn Fn(&str) -> BTreeSet<String>,
    /// Whether a control holds on an asset now.
    pub tested: &'a dyn Fn(&str, &ControlRecord) -> Tested,
    /// Unix milliseconds.
    pub now_ms: i64,
}

/// What is due, soonest first; with what is done when `all`.
pub fn due(known: &Known<'_>, all: bool) -> Vec<Duty> {
    let retired: BTreeSet<&str> =
        known.assets.iter().filter(|it| it.retired).map(|it| it.id.as_str()).collect();
    let desk = Desk { known, retired };
    let mut duties = Vec::new();
    desk.evaluations(&mut duties);
    desk.unnamed(&mut duties);
    desk.baselines(&mut duties);
    desk.dispositions(&mut duties);
    desk.controls(&mut duties);
    desk.exceptions(&mut duties);
    duties.retain(|it| all || it.state != DutyState::Done);
    duties.sort_by(|a, b| {
        let key = |it: &Duty| (it.due_ms, it.kind);
        key(a).cmp(&key(b)).then_with(|| (&a.subject, &a.asset).cmp(&(&b.subject, &b.asset)))
    });
    duties
}

struct Desk<'a> {
    known: &'a Known<'a>,
    retired: BTreeSet<&'a str>,
}

impl Desk<'_> {
    fn now_ms(&self) -> i64 {
        self.known.now_ms
    }

    fn is_retired(&self, asset: &str) -> bool {
        self.retired.contains(asset)
    }

    fn evaluations(&self, duties: &mut Vec<Duty>) {
        let mut settled: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (name, source) in self.known.duties.sources() {
            duties.extend(self.evaluate(name, source));
            for evaluation in &source.evaluations {
                duties.push(done(name, evaluation));
                for item in &evaluation.said.items {
                    let settled = settled.entry(item.as_str()).or_insert_with(|| (self.known.settled)(item));
                    duties.push(self.act(name, evaluation, item, settled));
                }
            }
        }
    }

    fn evaluate(&self, name: &str, source: &Source) -> Option<Duty> {
        let due_ms = source.due_ms()?;
        let count = source.named.assets.len();
        let last = match source.evaluated_to_ms() {
            Some(end) => format!("the last evaluation ended at {}", readable(end)),
            None => "it was never evaluated".to_owned(),
        };
        Some(Duty {
            kind: DutyKind::Evaluate,
            subject: name.to_owned(),
            asset: String::new(),
            due_ms,
            state: DutyState::within(due_ms, self.now_ms()),
            text: format!(
                "evaluate what `{name}` released for {count} assets, also when that is nothing; {last}"
            ),
            rule: R2_2,
        })
    }

    fn act(&self, source: &str, evaluation: &Evaluation, item: &str, settled: &BTreeSet<String>) -> Duty {
        let due_ms = evaluation.at_ms.saturating_add(ACT_MS);
        let assets = &evaluation.assets;
        let open: Vec<&str> = assets
            .iter()
            .map(String::as_str)
            .filter(|it| !settled.contains(*it) && !self.is_answered(it, item))
            .collect();
        let count = assets.len();
        let text = match open.as_slice() {
            [] => format!("{item} of `{source}`: dealt with on all {count} assets"),
            open => {
                format!(
                    "apply or plan {item} of `{source}`: open on {} of {count}: {}",
                    open.len(),
                    listed(open)
                )
            }
        };
        let state = if open.is_empty() { DutyState::Done } else { DutyState::within(due_ms, self.now_ms()) };
        Duty {
            kind: DutyKind::Act,
            subject: item.to_owned(),
            asset: if let [one] = open.as_slice() { (*one).to_owned() } else { String::new() },
            due_ms,
            state,
            text,
            rule: R2_3,
        }
    }

    /// Whether a plan with a date, or the end of its service, answers an item on an asset.
    fn is_answered(&self, asset: &str, item: &str) -> bool {
        if self.is_retired(asset)
            || self.known.changes.iter().any(|it| it.answers(asset, item, self.now_ms()))
        {
            return true;
        }
        let mut about = self
            .known
            .ledger
            .dispositions(asset)
            .filter(|it| !self.known.ledger.is_withdrawn(it.0.number))
            .filter(|it| disposition::covers(&it.1.subject, item, None));
        // A plan without a date is none.
        about
            .next()
            .is_some_and(|(record, said)| said.until_ms.is_some() && self.standing(record, said).counts())
    }

    fn standing(&self, record: &DecisionRecord, said: &DispositionRecord) -> Standing {
        let tested = |it: &ControlRecord| (self.known.tested)(&said.asset, it);
        let alone = disposition::standing(self.known.ledger, record, said, self.now_ms(), tested);
        if said.kind != Disposition::Mitigate.as_str() {
            return alone;
        }
        let controls = self.known.duties.controls();
        match controls.kept_of(&said.asset, &said.subject, self.now_ms(), tested) {
            Some(kept) => kept.over(alone),
            None => alone,
        }
    }

    /// Assets of which nobody said where their patches come from, not even that there is no such place.
    fn unnamed(&self, duties: &mut Vec<Duty>) {
        let sources = self.known.duties.sources();
        let named: BTreeSet<&str> =
            sources.flat_map(|it| it.1.named.assets.iter().map(String::as_str)).collect();
        let open: Vec<&AssetShort> =
            self.known.assets.iter().filter(|it| !it.retired && !named.contains(it.id.as_str())).collect();
        let Some(since_ms) = open.iter().map(|it| it.since_ms).min() else { return };
        let ids: Vec<&str> = open.iter().map(|it| it.id.as_str()).collect();
        let due_ms = since_ms.saturating_add(EVALUATE_MS);
        duties.push(Duty {
            kind: DutyKind::Evaluate,
            subject: "patch sources".to_owned(),
            asset: if let [one] = ids.as_slice() { (*one).to_owned() } else { String::new() },
            due_ms,
            state: DutyState::within(due_ms, self.now_ms()),
            text: format!(
                "name the patch source of {} assets, or `{NO_SOURCE}` where there is none: {}",
                ids.len(),
                listed(&ids)
            ),
            rule: R2_1,
        });
    }

    fn baselines(&self, duties: &mut Vec<Duty>) {
        let baselines = self.known.baselines;
        for change in self.known.changes {
            let Some(ended_ms) = change.ended_ms else { continue };
            let due_ms = ended_ms.saturating_add(BASELINE_MS);
            for post in change.targets.iter().filter_map(|it| it.post.as_ref()) {
                if self.is_retired(&post.asset) {
                    continue;
                }
                let is_done = baselines.covers(post);
                let state = if is_done { DutyState::Done } else { DutyState::within(due_ms, self.now_ms()) };
                duties.push(Duty {
                    kind: DutyKind::UpdateBaseline,
                    subject: change.id.clone(),
                    asset: post.asset.clone(),
                    due_ms,
                    state,
                    text: format!("approve a baseline of `{}` that holds what {} did", post.asset, change.id),
                    rule: R1_3,
                });
            }
        }
        for (asset, history) in baselines.all().filter(|it| !self.is_retired(it.0)) {
            let Some(authorised_ms) = history.authorised_ms() else { continue };
            let due_ms = authorised_ms.saturating_add(BASELINE_MS);
            duties.push(Duty {
                kind: DutyKind::UpdateBaseline,
                subject: "authorised drift".to_owned(),
                asset: asset.to_owned(),
                due_ms,
                state: DutyState::within(due_ms, self.now_ms()),
                text: format!(
                    "approve a baseline of `{asset}` that holds the drift authorised at {}",
                    readable(authorised_ms)
                ),
                rule: R1_3,
            });
        }
    }

    fn dispositions(&self, duties: &mut Vec<Duty>) {
        let ledger = self.known.ledger;
        for asset in ledger.disposed_assets().into_iter().filter(|it| !self.is_retired(it)) {
            let mut newest: BTreeSet<&str> = BTreeSet::new();
            let standing = ledger.dispositions(asset).filter(|it| !ledger.is_withdrawn(it.0.number));
            for (record, said) in standing.filter(|it| newest.insert(it.1.subject.as_str())) {
                let Some(end_ms) = said.until_ms else { continue };
                // A machine that sees nothing open any more ends what was put off.
                let is_done = (self.known.settled)(&said.subject).contains(asset);
                let state = if is_done { DutyState::Done } else { DutyState::until(end_ms, self.now_ms()) };
                let DispositionRecord { kind, subject, owner, .. } = said;
                duties.push(Duty {
                    kind: DutyKind::AcceptanceEnds,
                    subject: subject.clone(),
                    asset: asset.to_owned(),
                    due_ms: end_ms,
                    state,
                    text: format!("{kind} of {subject} by {owner} (decision {}) ends", record.number),
                    rule: R2_4,
                });
            }
        }
    }

    fn controls(&self, duties: &mut Vec<Duty>) {
        let standing = self.known.duties.controls().all().filter(|it| it.ended.is_none());
        for control in standing.filter(|it| !self.is_retired(&it.said.asset)) {
            let machine = control.said.fact.as_ref().map(|it| (self.known.tested)(&control.said.asset, it));
            let duty = |kind, due_ms, state, text: String| Duty {
                kind,
                subject: control.said.id.clone(),
                asset: control.said.asset.clone(),
                due_ms,
                state,
                text,
                rule: CONTROL,
            };
            let (id, subject) = (&control.said.id, &control.said.subject);
            let end_ms = control.said.until_ms;
            let text = format!("control {id} of {} for {subject} ends", control.said.owner);
            duties.push(duty(DutyKind::ControlEnds, end_ms, DutyState::until(end_ms, self.now_ms()), text));
            let (due_ms, state, text) = self.test(control, machine.as_ref());
            duties.push(duty(DutyKind::ControlTest, due_ms, state, text));
        }
    }

    fn test(&self, control: &Control, machine: Option<&Tested>) -> (i64, DutyState, String) {
        let (id, due_ms) = (&control.said.id, control.test_due_ms());
        if let Some(why) = fails(control, machine) {
            let text = format!("control {id} does not work, and what rests on it is open: {why}");
            // Since nobody has vouched for it any more.
            let last_ms = control.tested.as_ref().map_or(control.since_ms, |it| it.0);
            return (last_ms, DutyState::Overdue, text);
        }
        let is_seen = matches!(machine, Some(Tested::Holds));
        if is_seen && lapsed(control, machine, self.now_ms()).is_none() {
            return (due_ms, DutyState::Done, format!("control {id} is seen working"));
        }
        (due_ms, DutyState::within(due_ms, self.now_ms()), format!("test control {id}"))
    }

    fn exceptions(&self, duties: &mut Vec<Duty>) {
        // Of several for the same, the one that ends last.
        let mut last: BTreeMap<(String, String), &Exception> = BTreeMap::new();
        for &it in self.known.exceptions {
            let place = last.entry((it.rule.clone(), it.scope())).or_insert(it);
            if it.expires_ms > place.expires_ms {
                *place = it;
            }
        }
        for ((rule, scope), it) in last {
            duties.push(Duty {
                kind: DutyKind::ExceptionEnds,
                asset: String::new(),
                due_ms: it.expires_ms,
                state: DutyState::until(it.expires_ms, self.now_ms()),
                text: format!(
                    "the exception of {} from {rule} for {scope} ends with {}",
                    it.owner, it.last_day
                ),
                subject: rule,
                rule: EXCEPTION,
            });
        }
    }
}

fn done(source: &str, evaluation: &Evaluation) -> Duty {
    let late = if evaluation.end_ms() > evaluation.due_ms { ", late" } else { "" };
    let count = evaluation.said.items.len();
    Duty {
        kind: DutyKind::Evaluate,
        subject: source.to_owned(),
        asset: String::new(),
        due_ms: evaluation.due_ms,
        state: DutyState::Done,
        text: format!(
            "evaluated by {} up to {}{late}: {count} items",
            evaluation.by,
            readable(evaluation.end_ms())
        ),
        rule: R2_2,
    }
}

fn listed(assets: &[&str]) -> String {
    let named = assets.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
    match assets.len().saturating_sub(MAX_NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Vulnerabilities and advisories that dispositions speak of, for whoever asks a machine about them once.
pub fn subjects(duties: &Duties, ledger: &Ledger) -> BTreeSet<String> {
    let items =
        duties.sources().flat_map(|it| &it.1.evaluations).flat_map(|it| it.said.items.iter().cloned());
    let disposed = ledger.disposed_assets().into_iter().flat_map(|it| ledger.dispositions(it));
    items.chain(disposed.map(|it| it.1.subject.clone())).collect()
}
