//! A change as its entries in the audit log make it: the one place that says what may follow what.
//!
//! [`Change::admit`] says whether an entry may come next, [`Change::take`] takes it. Whoever writes an entry asks
//! first; whoever reads the log again (a collector that starts, a checker of evidence) asks the same and takes
//! nothing that may not follow. No state is kept anywhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdpoint_common::decision::{self, Verified};
use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{
    Attestation, AuditEntry, ChangeChallenge, ChangeClosed, ChangeEntry, CollateralItem, Decision,
    FunctionalTest, LeftOut, PreflightCheck, Regressed, SignedDecision, SnapshotRecord, SnapshotTaken,
    StageJudged, TargetVerdict,
};
use holdpoint_common::section::Digest;
use prost::Message;

use super::plan::{self, Plan};
use super::word::{BoardRole, StageState, State, Verdict, Why};

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

    /// Says whether an entry may come next.
    ///
    /// # Errors
    /// Every reason why not.
    pub fn admit(&self, entry: &ChangeEntry) -> Result<(), Refused> {
        if entry.change != self.id || entry.revision != self.revision + 1 {
            return Err(Refused::because(format!(
                "entry {} of `{}` does not follow entry {} of `{}`",
                entry.revision, entry.change, self.revision, self.id
            )));
        }
        if entry.revision > MAX_ENTRIES {
            return Err(Refused::because("the change has too many entries"));
        }
        let what = entry.what.as_ref().ok_or_else(|| Refused::because("the entry says nothing"))?;
        if self.state.has_ended() && !matches!(what, What::Regressed(_) | What::Exported(_)) {
            return Err(Refused::because(format!("the change is {}", self.state)));
        }
        match what {
            What::Drafted(_) => Err(Refused::because("the change was drafted before")),
            What::Submitted(_) => {
                self.in_state(&[State::Draft])?;
                faults(self.plan.missing().into_iter().map(|it| format!("the plan does not say {it}")))
            }
            What::Decision(signed) => self.admit_decision(signed),
            What::Meeting(it) => {
                self.in_state(&[State::Draft, State::InReview, State::Authorised])?;
                worded("the minutes", &it.minutes)
            }
            What::Point(it) => {
                let verified = self.decided(it.decision.as_ref(), "point")?;
                let stage = self.wanted_stage(it.stage)?;
                let planned = self.planned_stage(it.stage)?.points.iter().any(|point| point.name == it.point);
                if !planned || verified.decision.point != it.point || verified.decision.stage != it.stage {
                    return Err(Refused::because(format!("stage {} has no point `{}`", it.stage, it.point)));
                }
                if stage.released.contains_key(&it.point) {
                    return Err(Refused::because(format!("`{}` was released before", it.point)));
                }
                self.in_state(&[State::Authorised, State::InProgress])
            }
            What::Opening(it) => self.admit_opening(it),
            What::Snapshot(it) => self.admit_snapshot(it),
            What::Refused(it) => {
                let stage = self.wanted_stage(it.stage)?;
                if !stage.targets.contains_key(&it.asset) || Why::named(&it.reason).is_none() {
                    return Err(Refused::because("the refused answer is of nobody in the stage"));
                }
                Ok(())
            }
            What::Completed(it) => {
                let stage = self.wanted_stage(it.stage)?;
                let may = matches!(
                    stage.state(),
                    StageState::Open
                        | StageState::WorkComplete
                        | StageState::Failed
                        | StageState::Inconclusive
                );
                if !may {
                    let waits = stage.is_opened() && stage.state() == StageState::Pending;
                    return Err(Refused::because(if waits {
                        "the stage waits for its pre-snapshots".to_owned()
                    } else {
                        format!("stage {} is {}", it.stage, stage.state())
                    }));
                }
                self.asks(stage, &it.challenges)
            }
            What::RolledBack(it) => {
                let stage = self.wanted_stage(it.stage)?;
                if !stage.is_opened() || stage.state() == StageState::Pending {
                    return Err(Refused::because("nothing was done in that stage"));
                }
                if it.assets.iter().any(|it| !stage.targets.contains_key(it)) {
                    return Err(Refused::because("a rollback names an asset that is no target of the stage"));
                }
                worded("a rollback", &it.reason)?;
                self.asks(stage, &it.challenges)
            }
            What::Judged(it) => self.admit_judged(it),
            What::Explained(it) => {
                let verified = self.decided(it.decision.as_ref(), "explain")?;
                worded("an explanation", &verified.decision.text)?;
                if verified.decision.items != it.items {
                    return Err(Refused::because("the explanation was signed for other collateral changes"));
                }
                let known = |number: &u32| self.collateral.iter().any(|it| it.item.number == *number);
                if it.items.is_empty() || !it.items.iter().all(known) {
                    return Err(Refused::because("there is no such collateral change"));
                }
                Ok(())
            }
            What::Lessons(it) => worded("the lessons", &it.text),
            What::Closed(it) => self.admit_closed(it),
            What::Regressed(it) => {
                let was_good = self.stages.iter().flat_map(|it| &it.verdicts).any(|verdict| {
                    verdict.asset == it.asset
                        && verdict.expectation == it.expectation
                        && Verdict::named(&verdict.verdict).is_some_and(Verdict::closes)
                });
                if was_good { Ok(()) } else { Err(Refused::because("nothing good was said of that before")) }
            }
            What::Exported(_) => Ok(()),
        }
    }

    fn admit_decision(&self, signed: &SignedDecision) -> Result<(), Refused> {
        let verified = self.verified(signed)?;
        let Decision { kind, role, text, rollback_verified, stage, .. } = &verified.decision;
        match kind.as_str() {
            "sign-off" => {
                self.in_state(&[State::InReview])?;
                let role = board_role(role)?;
                if let Some(before) = self.sign_offs.get(&role) {
                    return Err(Refused::because(format!("{} has signed as {role} before", before.person)));
                }
                self.two_persons(role, &signed.person, *rollback_verified)
            }
            "veto" => {
                let role = board_role(role)?;
                if !role.may_veto() {
                    return Err(Refused::because("only operations and plant-safety can veto"));
                }
                worded("a veto", text)?;
                let is_done = |it: &Stage| !matches!(it.state(), StageState::Pending | StageState::Open);
                if self.state == State::Verified || self.stages.iter().all(is_done) {
                    return Err(Refused::because("work is complete: a veto can no longer stop it"));
                }
                Ok(())
            }
            "attest" => {
                let word = verified.decision.attestation.as_ref();
                let word = word.ok_or_else(|| Refused::because("the attestation says nothing"))?;
                let wanted = self.wanted_stage(*stage)?;
                if !wanted.targets.contains_key(&word.asset) || !self.expects(*stage, &word.expectation) {
                    return Err(Refused::because("the attestation is about nothing that this stage expects"));
                }
                if word.artefact_digest.len() != 32 {
                    return Err(Refused::because("an attestation needs the SHA-256 of its artefact"));
                }
                worded("the method of an attestation", &word.method)?;
                if !["remediated", "not-remediated"].contains(&word.claim.as_str()) {
                    return Err(Refused::because("an attestation claims `remediated` or `not-remediated`"));
                }
                let again = self.attestations.iter().any(|it| {
                    it.word.asset == word.asset
                        && it.word.expectation == word.expectation
                        && it.by.person == signed.person
                });
                if again {
                    return Err(Refused::because("the same person has attested that before"));
                }
                self.in_state(&[State::InProgress, State::Vetoed])
            }
            "functional-test" => {
                let test = verified.decision.test.as_ref();
                let test = test.ok_or_else(|| Refused::because("the functional test says nothing"))?;
                self.admit_test(test, role)
            }
            other => Err(Refused::because(format!("nobody decides `{other}`"))),
        }
    }

    /// At least two persons among all roles, and among whoever verified the rollback, operations and plant safety.
    fn two_persons(&self, role: BoardRole, person: &str, rollback: bool) -> Result<(), Refused> {
        let mut signed: BTreeMap<BoardRole, (&str, bool)> = self
            .sign_offs
            .iter()
            .map(|(&role, it)| (role, (it.person.as_str(), it.rollback_verified)))
            .collect();
        signed.insert(role, (person, rollback));
        if signed.len() < BoardRole::ALL.len() {
            return Ok(());
        }
        let everybody: BTreeSet<&str> = signed.values().map(|it| it.0).collect();
        if everybody.len() < 2 {
            return Err(Refused::because("all five roles cannot be one person: somebody else has to sign"));
        }
        let verified: BTreeSet<&str> = signed.values().filter(|it| it.1).map(|it| it.0).collect();
        if verified.is_empty() {
            return Err(Refused::because(
                "nobody who signed has verified the rollback: the last to sign says so with --rollback-verified",
            ));
        }
        let mut three = verified;
        for role in [BoardRole::Operations, BoardRole::PlantSafety] {
            three.extend(signed.get(&role).map(|it| it.0));
        }
        if three.len() < 2 {
            return Err(Refused::because(
                "rollback, operations and plant safety cannot be one person: somebody else has to sign",
            ));
        }
        Ok(())
    }

    fn admit_test(&self, test: &FunctionalTest, role: &str) -> Result<(), Refused> {
        let procedure = self.plan.tests.iter().find(|it| it.id == test.procedure);
        let procedure = procedure.ok_or_else(|| {
            Refused::because(format!("the plan has no functional test `{}`", test.procedure))
        })?;
        if !procedure.may_sign.iter().any(|it| it == role) {
            return Err(Refused::because(format!(
                "`{}` is signed by {}",
                procedure.id,
                procedure.may_sign.join(" or ")
            )));
        }
        if test.procedure_digest != self.plan_digest.as_bytes() {
            return Err(Refused::because("the functional test was recorded against another plan"));
        }
        let opened = self.stages.iter().any(Stage::is_opened);
        if !opened {
            return Err(Refused::because("no stage was opened: there is nothing to test yet"));
        }
        let mut why = Vec::new();
        for (step, result) in procedure.steps.iter().zip(&test.steps) {
            match step.limits.admit(&result.observed) {
                _ if step.id != result.step => {
                    why.push(format!("`{}` stands where `{}` belongs", result.step, step.id));
                }
                Ok(passed) if passed == result.passed => {}
                Ok(_) => why.push(format!("`{}` says otherwise than its limits", step.id)),
                Err(wrong) => why.push(format!("`{}`: {wrong}", step.id)),
            }
        }
        if procedure.steps.len() != test.steps.len() {
            why.push(format!("`{}` has {} steps", procedure.id, procedure.steps.len()));
        }
        faults(why)
    }

    fn admit_opening(&self, it: &holdpoint_common::proto::store::StageOpening) -> Result<(), Refused> {
        self.in_state(&[State::Authorised, State::InProgress])?;
        let stage = self.wanted_stage(it.stage)?;
        let planned = self.planned_stage(it.stage)?;
        if stage.is_opened() {
            return Err(Refused::because(format!("stage {} was opened before", it.stage)));
        }
        let mut why = Vec::new();
        for (number, before) in (1..it.stage).zip(&self.stages) {
            if before.state() != StageState::Verified {
                why.push(format!("stage {number} is {}: the next one opens on its verdicts", before.state()));
            }
        }
        // Stages come in the order of the plant; an entry that was written otherwise gains nothing by it.
        let lower = (1_u32..).zip(self.plan.stages.iter().zip(&self.stages)).filter(|at| at.0 > it.stage);
        for (number, (_, before)) in lower.filter(|it| it.1.0.tier < planned.tier) {
            if before.state() != StageState::Verified {
                why.push(format!(
                    "stage {number} is {}, and comes first by the plant's order",
                    before.state()
                ));
            }
        }
        for point in planned.points.iter().filter(|it| it.holds && !stage.released.contains_key(&it.name)) {
            why.push(format!("the hold point `{}` is not released", point.name));
        }
        let failed = it.checks.iter().filter(|it| it.result != "pass").count();
        if failed > 0 && it.r#override.trim().is_empty() {
            why.push(format!("{failed} checks did not pass and nobody overrode them"));
        }
        let asked: BTreeSet<&str> = it.challenges.iter().map(|it| it.asset.as_str()).collect();
        let left: BTreeSet<&str> = it.left_out.iter().map(|it| it.asset.as_str()).collect();
        for asset in stage.targets.keys() {
            if !asked.contains(asset.as_str()) && !left.contains(asset.as_str()) {
                why.push(format!("`{asset}` is neither asked nor left out"));
            }
        }
        for LeftOut { asset, reason } in &it.left_out {
            if reason.trim().is_empty() {
                why.push(format!("`{asset}` is left out without a reason"));
            }
        }
        faults(why)?;
        self.asks(stage, &it.challenges)
    }

    /// Whether questions may be put to targets of a stage.
    fn asks(&self, stage: &Stage, challenges: &[ChangeChallenge]) -> Result<(), Refused> {
        let mut nonces = BTreeSet::new();
        for it in challenges {
            if !stage.targets.contains_key(&it.asset) {
                return Err(Refused::because(format!("`{}` is no target of the stage", it.asset)));
            }
            if it.nonce.len() != 16 || self.nonces.contains(&it.nonce) || !nonces.insert(&it.nonce) {
                return Err(Refused::because("a question has to be a new one"));
            }
        }
        Ok(())
    }

    fn admit_snapshot(&self, it: &SnapshotTaken) -> Result<(), Refused> {
        let stage = self.wanted_stage(it.stage)?;
        let snapshot = it.snapshot.as_ref().ok_or_else(|| Refused::because("the snapshot is empty"))?;
        let target = stage
            .targets
            .get(&snapshot.asset)
            .ok_or_else(|| Refused::because(format!("`{}` is no target of the stage", snapshot.asset)))?;
        let (asked, taken, floor) = match it.phase.as_str() {
            "pre" if stage.step == StageStep::Opening => (&target.pre_asked, &target.pre, 0),
            "post" | "rollback" if stage.may_be_judged() => {
                let pre = target.pre.as_ref().map_or(0, |it| it.sequence);
                (&target.post_asked, &target.post, pre)
            }
            _ => return Err(Refused::because(format!("no {} snapshot is waited for", it.phase))),
        };
        let asked = asked.as_ref().filter(|it| it.nonce == snapshot.nonce);
        let asked = asked.ok_or_else(|| Refused::because("the snapshot answers another question"))?;
        if taken.is_some() {
            return Err(Refused::because("the question was answered before"));
        }
        if snapshot.sequence <= asked.sequence.max(floor) {
            return Err(Refused::because("the snapshot's sequence is not higher"));
        }
        Ok(())
    }

    fn admit_judged(&self, it: &StageJudged) -> Result<(), Refused> {
        let stage = self.wanted_stage(it.stage)?;
        if !stage.may_be_judged() {
            return Err(Refused::because("the stage's work is not complete"));
        }
        let mut why = Vec::new();
        for (asset, target) in &stage.targets {
            let whole = it.verdicts.iter().filter(|it| it.asset == *asset && it.expectation.is_empty());
            if whole.count() != 1 {
                why.push(format!("`{asset}` has no verdict of its own"));
            }
            for verdict in it.verdicts.iter().filter(|it| it.asset == *asset) {
                let Some(word) = Verdict::named(&verdict.verdict) else {
                    why.push(format!("`{}` is no verdict", verdict.verdict));
                    continue;
                };
                // Nothing good, and nothing bad either, is said of what was not read before and after.
                if word.needs_snapshots() && (target.pre.is_none() || target.post.is_none()) {
                    why.push(format!("`{asset}` cannot be {word}: it has no pair of snapshots"));
                }
                if word == Verdict::AttestedOnly && !self.is_attested(it.stage, asset) {
                    why.push(format!("`{asset}` is not attested by two persons"));
                }
                if word == Verdict::AttestedOnly && target.was_asked() {
                    why.push(format!("`{asset}` was asked itself: no person's word takes its place"));
                }
                if word == Verdict::RolledBack && stage.rollback.is_none() {
                    why.push(format!("no rollback of `{asset}` is recorded"));
                }
            }
        }
        if let Some(other) = it.verdicts.iter().find(|it| !stage.targets.contains_key(&it.asset)) {
            why.push(format!("`{}` is no target of the stage", other.asset));
        }
        if (self.next_collateral()..).zip(&it.collateral).any(|(number, it)| it.number != number) {
            why.push("collateral changes are not numbered on".to_owned());
        }
        faults(why)
    }

    fn admit_closed(&self, it: &ChangeClosed) -> Result<(), Refused> {
        if self.state == State::Vetoed {
            return Err(Refused::because("a veto is the end of a change: a new one may refer to it"));
        }
        match State::named(&it.r#as) {
            Some(State::Closed) => faults(self.open_for_closure()),
            Some(State::ClosedUnremediated) => {
                worded("closing without remediation", &it.reason)?;
                let waits = self.stages.iter().any(|it| {
                    matches!(it.state(), StageState::Open | StageState::WorkComplete)
                        || it.is_opened() && it.state() == StageState::Pending
                });
                if waits {
                    return Err(Refused::because(
                        "a stage was opened and not verified: no host is left unverified",
                    ));
                }
                Ok(())
            }
            Some(State::RolledBack) => {
                let all = self.stages.iter().filter(|it| it.is_opened()).all(|stage| {
                    let whole = stage.verdicts.iter().filter(|it| it.expectation.is_empty());
                    // Verdicts from before the last question say nothing any more.
                    matches!(stage.step, StageStep::Judged(_))
                        && whole.into_iter().all(|it| it.verdict == Verdict::RolledBack.as_str())
                });
                if !all || !self.stages.iter().any(Stage::is_opened) {
                    return Err(Refused::because("not every target was seen in its old state"));
                }
                Ok(())
            }
            _ => Err(Refused::because(format!(
                "a change that is {} does not end as `{}`",
                self.state, it.r#as
            ))),
        }
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

    fn expects(&self, stage: u32, id: &str) -> bool {
        self.planned_stage(stage).is_ok_and(|it| {
            it.expectations.iter().any(|it| self.plan.expectations.get(*it).is_some_and(|it| it.id == id))
        })
    }

    fn in_state(&self, states: &[State]) -> Result<(), Refused> {
        if states.contains(&self.state) {
            return Ok(());
        }
        let wanted: Vec<&str> = states.iter().map(|it| it.as_str()).collect();
        Err(Refused::because(format!(
            "the change is {}, and would have to be {}",
            self.state,
            wanted.join(" or ")
        )))
    }

    fn wanted_stage(&self, number: u32) -> Result<&Stage, Refused> {
        self.stage(number).ok_or_else(|| Refused::because(format!("the change has no stage {number}")))
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

    fn verified(&self, signed: &SignedDecision) -> Result<Verified, Refused> {
        let verified = decision::verify(signed).map_err(|it| Refused::because(it.to_string()))?;
        let Decision { change, plan_digest, nonce, text, .. } = &verified.decision;
        if *change != self.id || plan_digest != self.plan_digest.as_bytes() {
            return Err(Refused::because("the decision is about another change or another plan"));
        }
        if nonce.len() != 16 || self.nonces.contains(nonce) {
            return Err(Refused::because("the decision was taken in before"));
        }
        if signed.person.is_empty() {
            return Err(Refused::because("nobody knows the person who signed"));
        }
        if text.chars().count() > MAX_TEXT {
            return Err(Refused::because(format!("the text is longer than {MAX_TEXT} characters")));
        }
        Ok(verified)
    }

    fn decided(&self, signed: Option<&SignedDecision>, kind: &str) -> Result<Verified, Refused> {
        let signed = signed.ok_or_else(|| Refused::because("the decision is not signed"))?;
        let verified = self.verified(signed)?;
        if verified.decision.kind != kind {
            return Err(Refused::because(format!("`{}` is not `{kind}`", verified.decision.kind)));
        }
        Ok(verified)
    }

    /// Takes an entry that was admitted.
    ///
    /// # Errors
    /// It may not come next; then nothing changes.
    pub fn take(&mut self, entry: &ChangeEntry, written: Written<'_>) -> Result<(), Refused> {
        self.admit(entry)?;
        let Some(what) = &entry.what else { return Ok(()) };
        match what {
            What::Drafted(_) | What::Exported(_) => {}
            What::Submitted(it) => {
                self.rules = it.rules.iter().map(|it| (it.rule.clone(), it.digest.clone())).collect();
                self.state = State::InReview;
            }
            What::Decision(signed) => self.take_decision(signed, written),
            What::Meeting(it) => self.meetings.push((it.held_ms, it.present.clone(), it.minutes.clone())),
            What::Point(it) => {
                let by = it.decision.as_ref().map(|it| it.person.clone()).unwrap_or_default();
                self.used(it.decision.as_ref());
                if let Some(stage) = self.stage_mut(it.stage) {
                    stage.released.insert(it.point.clone(), by);
                }
            }
            What::Opening(it) => {
                self.state = State::InProgress;
                self.remember(&it.challenges);
                if let Some(stage) = self.stage_mut(it.stage) {
                    stage.step = StageStep::Opening;
                    stage.preflight.clone_from(&it.checks);
                    stage.overridden.clone_from(&it.r#override);
                    for asked in &it.challenges {
                        if let Some(target) = stage.targets.get_mut(&asked.asset) {
                            target.pre_asked = Some(asked.clone());
                        }
                    }
                    for left in &it.left_out {
                        if let Some(target) = stage.targets.get_mut(&left.asset) {
                            target.left_out = Some(left.reason.clone());
                        }
                    }
                }
            }
            What::Snapshot(it) => {
                let Some(snapshot) = &it.snapshot else { return Ok(()) };
                let target =
                    self.stage_mut(it.stage).and_then(|stage| stage.targets.get_mut(&snapshot.asset));
                if let Some(target) = target {
                    match it.phase.as_str() {
                        "pre" => target.pre = Some(snapshot.clone()),
                        _ => {
                            target.post = Some(snapshot.clone());
                            target.refused = None;
                        }
                    }
                }
            }
            What::Refused(it) => {
                let target = self.stage_mut(it.stage).and_then(|stage| stage.targets.get_mut(&it.asset));
                if let (Some(target), Some(why)) = (target, Why::named(&it.reason))
                    && target.post.is_none()
                {
                    target.refused = Some((why, it.text.clone()));
                }
            }
            What::Completed(it) => self.ask_again(it.stage, &it.challenges, it.answers_until_ms, None),
            What::RolledBack(it) => {
                self.ask_again(it.stage, &it.challenges, it.answers_until_ms, Some(it.reason.clone()));
            }
            What::Judged(it) => self.take_judged(it, entry.revision),
            What::Explained(it) => {
                let by = it.decision.as_ref().and_then(|signed| decided_by(signed, written.at_ms));
                self.used(it.decision.as_ref());
                for collateral in self.collateral.iter_mut().filter(|at| it.items.contains(&at.item.number)) {
                    collateral.explained.clone_from(&by);
                }
            }
            What::Lessons(it) => self.lessons = Some(it.text.clone()),
            What::Closed(it) => {
                self.state = State::named(&it.r#as).unwrap_or(self.state);
                self.closed = Some(it.clone());
            }
            What::Regressed(it) => self.regressions.push(it.clone()),
        }
        self.note(entry.revision, written);
        Ok(())
    }

    fn take_decision(&mut self, signed: &SignedDecision, written: Written<'_>) {
        let (Ok(verified), Some(by)) = (decision::verify(signed), decided_by(signed, written.at_ms)) else {
            return;
        };
        self.used(Some(signed));
        match verified.decision.kind.as_str() {
            "sign-off" => {
                if let Some(role) = BoardRole::named(&by.role) {
                    self.sign_offs.insert(role, by);
                }
                if self.missing_roles().is_empty() {
                    self.state = State::Authorised;
                }
            }
            "veto" => {
                self.vetoes.push(by);
                self.state = State::Vetoed;
            }
            "attest" => {
                if let Some(word) = verified.decision.attestation {
                    self.attestations.push(Attested { word, stage: verified.decision.stage, by });
                }
            }
            "functional-test" => {
                if let Some(test) = verified.decision.test {
                    let passed = test.steps.iter().all(|it| it.passed);
                    self.tests.push(TestRun { test, by, passed });
                }
            }
            _ => {}
        }
    }

    fn ask_again(&mut self, stage: u32, asked: &[ChangeChallenge], until_ms: i64, rollback: Option<String>) {
        self.remember(asked);
        if self.state == State::Verified {
            self.state = State::InProgress;
        }
        let Some(stage) = self.stage_mut(stage) else { return };
        stage.step = StageStep::WorkComplete;
        stage.answers_until_ms = Some(until_ms);
        stage.rollback = rollback;
        for (asset, target) in &mut stage.targets {
            let asked = asked.iter().find(|it| it.asset == *asset).cloned();
            let is_left = asked.is_none() && target.post_asked.is_some();
            if let Some(old) = std::mem::replace(&mut target.post_asked, asked) {
                target.old_nonces.push(old.nonce);
            }
            target.post = None;
            // What answered before this work ended says nothing about it.
            target.refused = is_left
                .then(|| (Why::BeforeWorkEnd, "it was last asked before this work was over".to_owned()));
        }
    }

    fn take_judged(&mut self, it: &StageJudged, revision: u64) {
        let worst = it.verdicts.iter().filter_map(|it| Verdict::named(&it.verdict));
        let (mut fails, mut closes) = (false, true);
        for verdict in worst {
            fails |= verdict.fails();
            closes &= verdict.closes();
        }
        let state = match (fails, closes) {
            (true, _) => StageState::Failed,
            (false, true) => StageState::Verified,
            (false, false) => StageState::Inconclusive,
        };
        // What is judged again is found again: what a person explained stays explained.
        let same = |one: &CollateralItem, two: &CollateralItem| {
            (&one.asset, one.kind, &one.item, &one.before, &one.after)
                == (&two.asset, two.kind, &two.item, &two.before, &two.after)
        };
        let (earlier, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.collateral).into_iter().partition(|at| at.item.stage == it.stage);
        self.collateral = kept;
        for item in &it.collateral {
            let explained =
                earlier.iter().find(|at| same(&at.item, item)).and_then(|it| it.explained.clone());
            self.collateral.push(Collateral { item: item.clone(), explained });
        }
        self.collateral.sort_by_key(|it| it.item.number);
        // No number is given twice, so that an explanation stays about what it was about.
        self.numbered = self.collateral.last().map_or(0, |it| it.item.number).max(self.numbered);
        if let Some(stage) = self.stage_mut(it.stage) {
            stage.step = StageStep::Judged(state);
            stage.verdicts.clone_from(&it.verdicts);
            stage.judged_at = Some(revision);
        }
        if self.state == State::InProgress && self.stages.iter().all(|it| it.state() == StageState::Verified)
        {
            self.state = State::Verified;
        } else if self.state == State::Verified {
            self.state = State::InProgress;
        }
    }

    fn remember(&mut self, asked: &[ChangeChallenge]) {
        self.nonces.extend(asked.iter().map(|it| it.nonce.clone()));
    }

    fn used(&mut self, signed: Option<&SignedDecision>) {
        let decision = signed.and_then(|it| Decision::decode(it.decision.as_slice()).ok());
        self.nonces.extend(decision.map(|it| it.nonce));
    }

    fn note(&mut self, revision: u64, written: Written<'_>) {
        self.revision = revision;
        let Written { number, at_ms, by, action, text } = written;
        self.steps.push(Step {
            revision,
            audit_number: number,
            at_ms,
            by: by.to_owned(),
            action: action.to_owned(),
            text: text.to_owned(),
        });
    }
}

fn decided_by(signed: &SignedDecision, at_ms: i64) -> Option<Decided> {
    let verified = decision::verify(signed).ok()?;
    let Decision { role, text, rollback_verified, .. } = verified.decision;
    Some(Decided {
        role,
        person: signed.person.clone(),
        operator: verified.leaf.identity.to_string(),
        at_ms,
        text,
        rollback_verified,
        digest: verified.digest,
    })
}

fn board_role(word: &str) -> Result<BoardRole, Refused> {
    BoardRole::named(word).ok_or_else(|| {
        let known: Vec<&str> = BoardRole::ALL.iter().map(|it| it.as_str()).collect();
        Refused::because(format!("`{word}` is no role of the board: use {}", known.join(", ")))
    })
}

fn worded(what: &str, text: &str) -> Result<(), Refused> {
    if text.trim().is_empty() {
        return Err(Refused::because(format!("{what} needs words")));
    }
    if text.chars().count() > MAX_TEXT {
        return Err(Refused::because(format!("{what} is longer than {MAX_TEXT} characters")));
    }
    Ok(())
}

fn faults(why: impl IntoIterator<Item = String>) -> Result<(), Refused> {
    let why: Vec<String> = why.into_iter().collect();
    if why.is_empty() { Ok(()) } else { Err(Refused(why)) }
}
