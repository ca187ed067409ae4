//! A change as its entries in the audit log make it: the one place that says what may follow what.
//!
//! [`Change::admit`] says whether an entry may come next, [`Change::take`] takes it. Whoever writes an entry asks
//! first; whoever reads the log again (a collector that starts, a checker of evidence) asks the same and takes
//! nothing that may not follow. No state is kept anywhere else. `admit` has the rules, `take` what follows from an
//! entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{
    Attestation, AuditEntry, ChangeChallenge, ChangeClosed, ChangeEntry, CollateralItem, FunctionalTest,
    PreflightCheck, Regressed, SnapshotRecord, TargetVerdict,
};
use holdpoint_common::section::Digest;

use super::plan::{self, Plan};
use super::word::{BoardRole, StageState, State, Why};

mod admit;
mod take;

/// Longest text of a person, in characters.
pub const MAX_TEXT: usize = 4_000;
/// Most entries of one change.
pub const MAX_ENTRIES: u64 = 200_000;

/// Why an entry may not follow, each as one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct Refused(pub Vec<String>);

impl Refused {
    fn because(why: impl Into<String>) -> Self {
        Self(vec![why.into()])
    }
}

/// A change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// "CHG-0001".
    pub id: String,
    /// Entries that were taken.
    pub revision: u64,
    /// What is planned.
    pub plan: Arc<Plan>,
    /// The plan as it was written.
    pub text: String,
    /// SHA-256 of that text.
    pub plan_digest: Digest,
    /// Where it stands; a veto goes before everything else.
    pub state: State,
    /// In the order of the plan.
    pub stages: Vec<Stage>,
    /// Rules that the board decided on: name and digest.
    pub rules: Vec<(String, Vec<u8>)>,
    /// Who signed, by role.
    pub sign_offs: BTreeMap<BoardRole, Decided>,
    /// Who said no.
    pub vetoes: Vec<Decided>,
    /// When the board met, who was there, and the minutes.
    pub meetings: Vec<(i64, Vec<String>, String)>,
    /// What moved and was not declared.
    pub collateral: Vec<Collateral>,
    /// Functional tests as they were recorded.
    pub tests: Vec<TestRun>,
    /// Persons' words about what no agent sees.
    pub attestations: Vec<Attested>,
    /// Old states that came back.
    pub regressions: Vec<Regressed>,
    /// What was learnt.
    pub lessons: Option<String>,
    /// How it ended.
    pub closed: Option<ChangeClosed>,
    /// Every entry in short.
    pub steps: Vec<Step>,
    nonces: BTreeSet<Vec<u8>>,
    /// The highest number that a collateral change ever had.
    numbered: u32,
}

/// A decision of a person that counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The role of the board.
    pub role: String,
    /// The person behind the operator.
    pub person: String,
    /// The operator who signed.
    pub operator: String,
    /// When the collector took it in, Unix milliseconds.
    pub at_ms: i64,
    /// The person's words.
    pub text: String,
    /// This person has verified the rollback procedure.
    pub rollback_verified: bool,
    /// SHA-256 of what was signed.
    pub digest: Digest,
}

/// A stage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stage {
    /// Where it stands, see [`Stage::state`].
    step: StageStep,
    /// By asset.
    pub targets: BTreeMap<String, Target>,
    /// What was checked before it opened.
    pub preflight: Vec<PreflightCheck>,
    /// Why it opened all the same.
    pub overridden: String,
    /// Points that were released, with the person.
    pub released: BTreeMap<String, String>,
    /// Until when answers count, Unix milliseconds.
    pub answers_until_ms: Option<i64>,
    /// What was judged last; empty before.
    pub verdicts: Vec<TargetVerdict>,
    /// Revision of the entry with these verdicts.
    pub judged_at: Option<u64>,
    /// A rollback was recorded: what is asked for is the old state.
    pub rollback: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum StageStep {
    #[default]
    Pending,
    Opening,
    WorkComplete,
    Judged(StageState),
}

/// A target of a stage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Target {
    /// What was asked before work.
    pub pre_asked: Option<ChangeChallenge>,
    /// What it was before.
    pub pre: Option<SnapshotRecord>,
    /// Why there is no pre-snapshot.
    pub left_out: Option<String>,
    /// What was asked after work; the newest question alone can be answered.
    pub post_asked: Option<ChangeChallenge>,
    /// What it was after.
    pub post: Option<SnapshotRecord>,
    /// Why an answer to the newest question did not count; the newest reason.
    pub refused: Option<(Why, String)>,
    /// Questions that were asked and are none any more.
    pub old_nonces: Vec<Vec<u8>>,
}

/// Something that moved and was not declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Collateral {
    /// What.
    pub item: CollateralItem,
    /// Who explained it, and how; `None` while it is open.
    pub explained: Option<Decided>,
}

/// A functional test as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct TestRun {
    /// What was observed.
    pub test: FunctionalTest,
    /// Who signed it.
    pub by: Decided,
    /// Every step passed.
    pub passed: bool,
}

/// A person's word about what no agent sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Attested {
    /// The word.
    pub word: Attestation,
    /// Stage, from 1.
    pub stage: u32,
    /// Whose.
    pub by: Decided,
}

/// An entry in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Within the change, from 1.
    pub revision: u64,
    /// Within the audit log.
    pub audit_number: u64,
    /// When it was written, Unix milliseconds.
    pub at_ms: i64,
    /// Who.
    pub by: String,
    /// What, as the audit log says it.
    pub action: String,
    /// In words.
    pub text: String,
}

/// When and by whom an entry is written.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// Within the audit log.
    pub number: u64,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// SPIFFE identity, or "local".
    pub by: &'a str,
    /// As the audit log says it.
    pub action: &'a str,
    /// In words.
    pub text: &'a str,
}

impl<'a> From<&'a AuditEntry> for Written<'a> {
    fn from(entry: &'a AuditEntry) -> Self {
        let AuditEntry { number, at_ms, by, action, text, .. } = entry;
        Self { number: *number, at_ms: *at_ms, by, action, text }
    }
}

impl Stage {
    /// Where it stands.
    pub fn state(&self) -> StageState {
        match self.step {
            StageStep::Opening if self.targets.values().all(Target::is_ready) => StageState::Open,
            StageStep::Pending | StageStep::Opening => StageState::Pending,
            StageStep::WorkComplete => StageState::WorkComplete,
            StageStep::Judged(state) => state,
        }
    }

    /// Whether it was opened, its pre-snapshots taken or not.
    pub fn is_opened(&self) -> bool {
        self.step != StageStep::Pending
    }

    /// Whether nobody has said yet that its work is over.
    pub fn is_before_work_end(&self) -> bool {
        matches!(self.step, StageStep::Pending | StageStep::Opening)
    }

    /// Whether its verdicts are those of the newest answers.
    pub fn is_judged(&self) -> bool {
        matches!(self.step, StageStep::Judged(_))
    }

    /// Takes its verdicts for good ones on the newest answers, written at a revision.
    #[cfg(test)]
    pub(super) fn verified_at(&mut self, revision: u64) {
        self.step = StageStep::Judged(StageState::Verified);
        self.judged_at = Some(revision);
    }

    /// Whether verdicts may be given, for the first time or for what was inconclusive.
    fn may_be_judged(&self) -> bool {
        matches!(self.step, StageStep::WorkComplete | StageStep::Judged(StageState::Inconclusive))
    }

    /// Whether an answer to this stage's question is waited for.
    pub fn waits(&self) -> bool {
        match self.step {
            StageStep::Opening => self.state() != StageState::Open,
            StageStep::WorkComplete | StageStep::Judged(StageState::Inconclusive) => {
                self.targets.values().any(Target::is_waited_for)
            }
            StageStep::Pending | StageStep::Judged(_) => false,
        }
    }
}

impl Target {
    /// Whether work may begin as far as this target goes.
    fn is_ready(&self) -> bool {
        self.pre.is_some() || self.left_out.is_some()
    }

    /// Whether a machine was ever asked: then no person's word takes the place of its answer.
    pub fn was_asked(&self) -> bool {
        self.pre_asked.is_some() || self.post_asked.is_some() || !self.old_nonces.is_empty()
    }

    /// Whether its answer after work is waited for.
    pub fn is_waited_for(&self) -> bool {
        self.post_asked.is_some() && self.post.is_none()
    }
}

impl Change {
    /// The change that a first entry makes.
    ///
    /// # Errors
    /// It is no draft, or its plan cannot be read.
    pub fn draft(entry: &ChangeEntry, written: Written<'_>) -> Result<Self, Refused> {
        let Some(What::Drafted(drafted)) = &entry.what else {
            return Err(Refused::because("a change begins with its draft"));
        };
        if entry.revision != 1 {
            return Err(Refused::because("a draft is the first entry of a change"));
        }
        let text = String::from_utf8(drafted.plan.clone())
            .map_err(|_| Refused::because("the plan is not UTF-8 text"))?;
        let plan = plan::read(&text).map_err(Refused)?;
        if drafted.stages.len() != plan.stages.len() {
            return Err(Refused::because("the draft names targets of other stages than its plan"));
        }
        let mut seen = BTreeSet::new();
        if !drafted.stages.iter().flat_map(|it| &it.assets).all(|it| seen.insert(it)) {
            return Err(Refused::because("an asset is a target of two stages"));
        }
        // Where nobody is asked, nothing can be verified.
        if drafted.stages.iter().any(|it| it.assets.is_empty()) {
            return Err(Refused::because("a stage has no targets"));
        }
        let stages = drafted.stages.iter().map(|it| it.assets.as_slice());
        let mut change = Self::of(&entry.change, Arc::new(plan), text, stages);
        change.note(entry.revision, written);
        Ok(change)
    }

    /// A change as it is before its first entry was noted.
    fn of<'a>(id: &str, plan: Arc<Plan>, text: String, stages: impl Iterator<Item = &'a [String]>) -> Self {
        let stage = |assets: &[String]| Stage {
            targets: assets.iter().map(|it| (it.clone(), Target::default())).collect(),
            ..Stage::default()
        };
        Self {
            id: id.to_owned(),
            revision: 0,
            plan_digest: Digest::of(text.as_bytes()),
            plan,
            text,
            state: State::Draft,
            stages: stages.map(stage).collect(),
            rules: Vec::new(),
            sign_offs: BTreeMap::new(),
            vetoes: Vec::new(),
            meetings: Vec::new(),
            collateral: Vec::new(),
            tests: Vec::new(),
            attestations: Vec::new(),
            regressions: Vec::new(),
            lessons: None,
            closed: None,
            steps: Vec::new(),
            nonces: BTreeSet::new(),
            numbered: 0,
        }
    }

    /// A drafted change without the text of its plan.
    #[cfg(test)]
    pub(super) fn of_plan(id: &str, plan: Plan, stages: &[Vec<String>]) -> Self {
        let stages = stages.iter().map(Vec::as_slice);
        let mut change = Self::of(id, Arc::new(plan), id.to_owned(), stages);
        change.note(1, Written { number: 1, at_ms: 0, by: "local", action: "change-drafted", text: "" });
        change
    }

    /// The number that the next collateral change gets.
    pub fn next_collateral(&self) -> u32 {
        self.numbered.saturating_add(1)
    }

    /// A stage by its number, from 1.
    pub fn stage(&self, number: u32) -> Option<&Stage> {
        self.stages.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    fn stage_mut(&mut self, number: u32) -> Option<&mut Stage> {
        self.stages.get_mut(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// Roles that have not signed.
    pub fn missing_roles(&self) -> Vec<BoardRole> {
        BoardRole::ALL.iter().copied().filter(|it| !self.sign_offs.contains_key(it)).collect()
    }

    /// Whether later reports are held against it.
    pub fn is_soaking(&self, now_ms: i64) -> bool {
        let until_ms = self.closed.as_ref().map(|it| it.soak_until_ms);
        self.state == State::Verified || self.state == State::Closed && until_ms.is_some_and(|it| now_ms < it)
    }

    /// Why the change cannot close as remediated, each as one sentence. What baselines say is the caller's to add.
    pub fn open_for_closure(&self) -> Vec<String> {
        let mut why = Vec::new();
        for (number, stage) in (1..).zip(&self.stages) {
            if stage.state() != StageState::Verified {
                why.push(format!("stage {number} is {}", stage.state()));
            }
        }
        let open = self.collateral.iter().filter(|it| it.explained.is_none()).count();
        if open > 0 {
            why.push(format!("{open} collateral changes are not explained"));
        }
        for procedure in &self.plan.tests {
            let newest = self.tests.iter().rev().find(|it| it.test.procedure == procedure.id);
            match newest {
                None => why.push(format!("the functional test `{}` is not recorded", procedure.id)),
                Some(run) if !run.passed => {
                    why.push(format!("the functional test `{}` did not pass", procedure.id));
                }
                Some(_) => {}
            }
        }
        if self.lessons.is_none() {
            why.push("no lessons are recorded, not even that there were none".to_owned());
        }
        why
    }

    /// Whether two persons attest a target of a stage, with one artefact and one claim, for every expectation.
    pub fn is_attested(&self, stage: u32, asset: &str) -> bool {
        let Ok(planned) = self.planned_stage(stage) else { return false };
        let mut expected =
            planned.expectations.iter().filter_map(|&it| self.plan.expectations.get(it)).peekable();
        // Who expects nothing attests nothing.
        expected.peek().is_some()
            && expected.all(|expectation| {
                let words: Vec<&Attested> = self
                    .attestations
                    .iter()
                    .filter(|it| {
                        it.stage == stage
                            && it.word.asset == asset
                            && it.word.expectation == expectation.id
                            && it.word.claim == "remediated"
                    })
                    .collect();
                words.iter().any(|one| {
                    words.iter().any(|two| {
                        one.by.person != two.by.person && one.word.artefact_digest == two.word.artefact_digest
                    })
                })
            })
    }

    /// A stage as it was planned.
    ///
    /// # Errors
    /// There is none of that number.
    pub fn planned_stage(&self, number: u32) -> Result<&plan::Stage, Refused> {
        let at = usize::try_from(number).ok().and_then(|it| it.checked_sub(1));
        at.and_then(|it| self.plan.stages.get(it))
            .ok_or_else(|| Refused::because(format!("the change has no stage {number}")))
    }
}
