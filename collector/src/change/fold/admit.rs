//! What may come next in a change.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_common::decision::{self, Verified};
use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{
    ChangeChallenge, ChangeClosed, ChangeEntry, Decision, FunctionalTest, LeftOut, SignedDecision,
    SnapshotTaken, StageJudged, StageOpening, TargetVerdict,
};

use super::{Change, MAX_ENTRIES, MAX_TEXT, Refused, Stage, StageStep};
use crate::change::word::{BoardRole, StageState, State, Verdict, Why};

impl Change {
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

    fn admit_opening(&self, it: &StageOpening) -> Result<(), Refused> {
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
            let closes = |it: &&TargetVerdict| Verdict::named(&it.verdict).is_some_and(Verdict::closes);
            let (whole, parts): (Vec<_>, Vec<_>) =
                it.verdicts.iter().filter(|it| it.asset == *asset).partition(|it| it.expectation.is_empty());
            if whole.iter().any(closes) && !parts.iter().all(closes) {
                why.push(format!("`{asset}` as a whole is better than one of its expectations"));
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
