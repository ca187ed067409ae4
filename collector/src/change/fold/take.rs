//! What an entry that may come next makes of a change.

use holdpoint_common::decision;
use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{
    ChangeChallenge, ChangeEntry, CollateralItem, Decision, SignedDecision, StageJudged,
};
use prost::Message;

use super::{Attested, Change, Collateral, Decided, Refused, StageStep, Step, TestRun, Written};
use crate::change::word::{BoardRole, StageState, State, Verdict, Why};

impl Change {
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

    pub(super) fn note(&mut self, revision: u64, written: Written<'_>) {
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
