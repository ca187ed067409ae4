//! What a change ought to be, told as plainly as possible: sets and booleans, and no snapshot, signature or row.

use std::collections::{BTreeMap, BTreeSet};

use super::super::word::{BoardRole, StageState, State, Verdict};
use super::{Known, PERSONS, STAGES, Truth};

/// Where a stage stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Step {
    #[default]
    Pending,
    Opening,
    Complete,
    Judged(StageState),
}

/// What is known of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) pre: Option<Truth>,
    pub(super) post: Option<Truth>,
    /// It is asked, and has not answered.
    pub(super) asked: bool,
    /// A machine was ever asked.
    pub(super) machine: bool,
    /// The last verdict of each expectation was good.
    pub(super) met: BTreeMap<&'static str, bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) step: Step,
    pub(super) targets: BTreeMap<&'static str, Target>,
    pub(super) rolled_back: bool,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) submitted: bool,
    pub(super) vetoed: bool,
    pub(super) ended: Option<State>,
    pub(super) signed: BTreeMap<BoardRole, (usize, bool)>,
    pub(super) stages: Vec<Stage>,
    pub(super) attested: BTreeSet<(&'static str, usize)>,
    pub(super) lessons: bool,
}

impl Model {
    pub(super) fn new() -> Self {
        let stage = |assets: &&[&'static str]| Stage {
            targets: assets.iter().map(|it| (*it, Target::default())).collect(),
            ..Stage::default()
        };
        Self { stages: STAGES.iter().map(stage).collect(), ..Self::default() }
    }

    pub(super) fn is_authorised(&self) -> bool {
        self.signed.len() == BoardRole::ALL.len()
    }

    pub(super) fn state(&self) -> State {
        let all = |state| self.stages.iter().all(|it| it.state() == state);
        match self.ended {
            Some(ended) => ended,
            None if self.vetoed => State::Vetoed,
            None if all(StageState::Verified) => State::Verified,
            None if self.stages.iter().any(|it| it.step != Step::Pending) => State::InProgress,
            None if self.is_authorised() => State::Authorised,
            None if self.submitted => State::InReview,
            None => State::Draft,
        }
    }

    pub(super) fn may_sign(&self, role: BoardRole, person: usize, rollback: bool) -> bool {
        if self.state() != State::InReview || self.signed.contains_key(&role) {
            return false;
        }
        let mut all = self.signed.clone();
        all.insert(role, (person, rollback));
        if all.len() < BoardRole::ALL.len() {
            return true;
        }
        let everybody: BTreeSet<usize> = all.values().map(|it| it.0).collect();
        let three = all.iter().filter(|(role, it)| role.may_veto() || it.1);
        let three: BTreeSet<usize> = three.map(|it| it.1.0).collect();
        everybody.len() > 1 && three.len() > 1 && all.values().any(|it| it.1)
    }

    pub(super) fn may_veto(&self, role: BoardRole) -> bool {
        let still = |it: &Stage| matches!(it.state(), StageState::Pending | StageState::Open);
        self.ended.is_none()
            && role.may_veto()
            && self.state() != State::Verified
            && self.stages.iter().any(still)
    }

    pub(super) fn may_open(&self, stage: usize) -> bool {
        matches!(self.state(), State::Authorised | State::InProgress)
            && self.stages[stage].step == Step::Pending
            && self.stages[..stage].iter().all(|it| it.state() == StageState::Verified)
    }

    pub(super) fn may_complete(&self, stage: usize) -> bool {
        self.ended.is_none()
            && !matches!(self.stages[stage].state(), StageState::Pending | StageState::Verified)
    }

    pub(super) fn may_roll_back(&self, stage: usize) -> bool {
        self.ended.is_none() && self.stages[stage].state() != StageState::Pending
    }

    pub(super) fn may_judge(&self, stage: usize) -> bool {
        self.ended.is_none()
            && matches!(self.stages[stage].step, Step::Complete | Step::Judged(StageState::Inconclusive))
    }

    pub(super) fn is_attested(&self) -> bool {
        let by = |expectation: &'static str| {
            (0..PERSONS.len()).filter(|it| self.attested.contains(&(expectation, *it))).count()
        };
        by("tls") > 1 && by("adv") > 1
    }

    /// The verdict on an expectation, without its reason.
    pub(super) fn verdict(
        &self,
        stage: usize,
        asset: &str,
        expectation: &'static str,
        known: Known,
    ) -> Verdict {
        let is_attested = stage == 2 && self.is_attested();
        let (stage, target) = (&self.stages[stage], &self.stages[stage].targets[asset]);
        if !target.machine {
            return if is_attested { Verdict::AttestedOnly } else { Verdict::NotAssessed };
        }
        let (Some(pre), Some(post)) = (target.pre, target.post) else { return Verdict::Inconclusive };
        let is_open = match known {
            Known::Held => false,
            Known::Deleted | Known::Revised => true,
            // Old knowledge takes the good news alone.
            Known::Stale => post == Truth::Fixed,
        };
        if expectation == "adv" && is_open {
            return Verdict::Inconclusive;
        }
        match (pre, post) {
            (Truth::Old, Truth::Old) if stage.rolled_back => Verdict::RolledBack,
            (_, Truth::Old) if !stage.rolled_back && target.met.get(expectation) == Some(&true) => {
                Verdict::Regressed
            }
            (_, Truth::Old) => Verdict::NotRemediated,
            (_, Truth::OldCode) => Verdict::InstalledNotLive,
            (Truth::Fixed, Truth::Fixed) => Verdict::AlreadyRemediated,
            (Truth::Old | Truth::OldCode, Truth::Fixed) => Verdict::Remediated,
        }
    }

    /// Takes verdicts in.
    pub(super) fn judge(&mut self, stage: usize, known: Known) {
        let assets: Vec<&'static str> = self.stages[stage].targets.keys().copied().collect();
        let mut all = Vec::new();
        for asset in assets {
            for expectation in ["tls", "adv"] {
                let verdict = self.verdict(stage, asset, expectation, known);
                all.push(verdict);
                let target = self.stages[stage].targets.get_mut(asset).unwrap();
                target.met.insert(expectation, verdict.closes() && verdict.needs_snapshots());
            }
        }
        let outcome = if all.iter().any(|it| it.fails()) {
            StageState::Failed
        } else if all.iter().all(|it| it.closes()) {
            StageState::Verified
        } else {
            StageState::Inconclusive
        };
        self.stages[stage].step = Step::Judged(outcome);
    }
}

impl Stage {
    pub(super) fn state(&self) -> StageState {
        let is_ready = |it: &Target| it.pre.is_some() || !it.machine;
        match self.step {
            Step::Opening if self.targets.values().all(is_ready) => StageState::Open,
            Step::Pending | Step::Opening => StageState::Pending,
            Step::Complete => StageState::WorkComplete,
            Step::Judged(state) => state,
        }
    }
}
