//! The window: opening a stage, asking again after work, waiting, judging.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::clock::readable;
use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{
    ChallengeRecord, ChangeChallenge, ChangeClosed, LeftOut, RollbackRecorded, RuleDigest, StageCompleted,
    StageJudged, StageOpening,
};
use tokio::time::Instant;
use tonic::{Code, Status};

use super::heard::Uncounted;
use super::{ChangeOffice, New, refused, rules};
use crate::change::fold::{Change, Stage, Target};
use crate::change::judge::{self, Question};
use crate::change::preflight;
use crate::change::word::{State, Verdict, Why};
use crate::duty::DAY_MS;

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;
/// How often a wait looks at what hosts declined, which is on no disk.
const LOOK: Duration = Duration::from_secs(2);

/// When in a stage a question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before work.
    Pre,
    /// After work.
    Post,
    /// After the way back.
    Rollback,
}

impl Phase {
    /// The word in entries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pre => "pre",
            Self::Post => "post",
            Self::Rollback => "rollback",
        }
    }
}

/// Questions as assets keep them, and as the change does.
type Questions = (Vec<(String, ChallengeRecord)>, Vec<ChangeChallenge>);

/// How often a stage is judged when its change goes on meanwhile.
const MAX_JUDGED: usize = 5;

impl ChangeOffice {
    /// Opens a stage: looks at everything that has to be right before work, and asks every target what it is now.
    /// Work may begin when [`Stage::state`] says that it is open.
    ///
    /// # Errors
    /// The stage may not open, or a check did not pass and nobody overrides it.
    pub async fn open_stage(
        &self,
        by: &str,
        id: &str,
        stage: u32,
        overriding: &str,
        left_out: BTreeMap<String, String>,
    ) -> Result<Arc<Change>, Status> {
        let change = self.change(id)?;
        let targets = targets(&change, stage)?;
        let checks = preflight::look(&preflight::Question {
            plan: &change.plan,
            targets: &targets,
            zone: &self.zone,
            partners: &|asset| self.partner(asset),
            now_ms: self.zone.now_ms(),
        });
        let failed: Vec<String> = checks
            .iter()
            .filter(|it| it.result != preflight::PASS)
            .map(|it| {
                let of = if it.asset.is_empty() { String::new() } else { format!(" of {}", it.asset) };
                format!("{}{of}: {}", it.check, it.text)
            })
            .collect();
        if !failed.is_empty() && overriding.trim().is_empty() {
            let list = failed.join("\n");
            return Err(Status::failed_precondition(format!(
                "stage {stage} does not open:\n{list}\nPut it right, or say why it opens all the same: --override"
            )));
        }
        let mut asks = Vec::new();
        let mut challenges = Vec::new();
        let mut left: Vec<LeftOut> =
            left_out.into_iter().map(|(asset, reason)| LeftOut { asset, reason }).collect();
        for asset in &targets {
            if left.iter().any(|it| it.asset == *asset) {
                continue;
            }
            if self.zone.asset(asset).is_none() {
                left.push(LeftOut { asset: asset.clone(), reason: "no agent speaks for it".to_owned() });
                continue;
            }
            let asked = self.question(by, id, stage, Phase::Pre, asset)?;
            challenges.push(asked.asked);
            asks.push((asset.clone(), asked.challenge));
        }
        let text = if failed.is_empty() {
            format!("stage {stage}, every check passed")
        } else {
            format!("stage {stage}, {} checks overridden: {overriding}", failed.len())
        };
        let what = What::Opening(StageOpening {
            stage,
            checks,
            r#override: if failed.is_empty() { String::new() } else { overriding.to_owned() },
            challenges,
            left_out: left,
        });
        self.write(id, New { asks, ..New::of(by, "stage-opened", text, what) }).await
    }

    /// Asks every target again, after work. Older questions of the stage count no more.
    ///
    /// # Errors
    /// The stage is not open.
    pub async fn complete_stage(
        &self,
        by: &str,
        id: &str,
        stage: u32,
        note: &str,
    ) -> Result<Arc<Change>, Status> {
        let change = self.change(id)?;
        let (asks, challenges) = self.ask_after(by, &change, stage, Phase::Post)?;
        let answers_until_ms = self.answers_until(&change);
        let text = format!("stage {stage}, answers count until {}", readable(answers_until_ms));
        let what = What::Completed(StageCompleted {
            stage,
            challenges,
            answers_until_ms,
            note: note.chars().take(1_000).collect(),
        });
        self.write(id, New { asks, ..New::of(by, "stage-completed", text, what) }).await
    }

    /// Records that the old state was put back, and asks every target to show it.
    ///
    /// # Errors
    /// Nothing was done in the stage.
    pub async fn roll_back(
        &self,
        by: &str,
        id: &str,
        stage: u32,
        assets: Vec<String>,
        reason: String,
    ) -> Result<Arc<Change>, Status> {
        let change = self.change(id)?;
        let (asks, challenges) = self.ask_after(by, &change, stage, Phase::Rollback)?;
        let answers_until_ms = self.answers_until(&change);
        let text = format!("stage {stage}: {reason}");
        let what = What::RolledBack(RollbackRecorded { stage, assets, reason, challenges, answers_until_ms });
        self.write(id, New { asks, ..New::of(by, "rollback-recorded", text, what) }).await
    }

    fn answers_until(&self, change: &Change) -> i64 {
        self.zone.now_ms() + i64::from(change.plan.answer_within_min) * MINUTE_MS
    }

    fn ask_after(&self, by: &str, change: &Change, stage: u32, phase: Phase) -> Result<Questions, Status> {
        let (mut asks, mut challenges) = (Vec::new(), Vec::new());
        for asset in targets(change, stage)? {
            if self.zone.asset(&asset).is_none_or(|it| it.retired_ms.is_some()) {
                continue;
            }
            let asked = self.question(by, &change.id, stage, phase, &asset)?;
            challenges.push(asked.asked);
            asks.push((asset, asked.challenge));
        }
        Ok((asks, challenges))
    }

    /// Waits until a stage waits for nothing any more, tells of every change on the way, and returns at the deadline
    /// at the latest. What hosts declined is written on the way.
    pub async fn wait(
        &self,
        id: &str,
        stage: u32,
        deadline: Instant,
        mut tell: impl FnMut(&Change),
    ) -> Result<Arc<Change>, Status> {
        let mut written = self.written();
        let mut shutdown = self.zone.shutdown();
        loop {
            let change = self.change(id)?;
            tell(&change);
            let now = change.stage(stage).ok_or_else(|| Status::not_found("there is no such stage"))?;
            if !now.waits() || Instant::now() >= deadline || *shutdown.borrow() {
                return Ok(change);
            }
            self.hear_declined(&change, stage).await;
            let all_declined = self.change(id)?.stage(stage).is_some_and(nobody_will_answer);
            if all_declined {
                return self.change(id);
            }
            tokio::select! {
                _ = written.changed() => {}
                _ = shutdown.changed() => {}
                () = tokio::time::sleep_until(deadline.min(Instant::now() + LOOK)) => {}
            }
        }
    }

    async fn hear_declined(&self, change: &Change, number: u32) {
        let Some(stage) = change.stage(number) else { return };
        let waited = stage.targets.iter().filter(|it| it.1.is_waited_for() && it.1.refused.is_none());
        for (asset, target) in waited {
            let Some(asked) = &target.post_asked else { continue };
            if self.zone.declined(asset, &asked.nonce).is_some() {
                let by = self.agent(asset);
                // What is not written now is looked for again.
                let _ = self.refuse(&by, &change.id, number, asset, Uncounted::DECLINED).await;
            }
        }
    }

    /// Puts a question about a stage to the judge, off the tasks that serve others.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        change: &Arc<Change>,
        stage: u32,
        judge: impl FnOnce(&Question<'_>) -> Result<T, String> + Send + 'static,
    ) -> Result<T, Status> {
        let knowledge = self.library.current();
        let rules = rules(&knowledge, &change.plan);
        let (zone, board, change) = (Arc::clone(&self.zone), Arc::clone(&self.board), Arc::clone(change));
        let judged = tokio::task::spawn_blocking(move || {
            let role = |asset: &str| zone.asset(asset).and_then(|it| it.role.clone());
            judge(&Question {
                change: &change,
                stage,
                rows: Arc::new(zone.store().clone()),
                knowledge: &knowledge,
                ages: board.ages(),
                now_ms: zone.now_ms(),
                role: &role,
                rules: &rules,
            })
        });
        let judged = judged.await.map_err(|_| Status::internal("the verdicts could not be worked out"))?;
        judged.map_err(Status::unavailable)
    }

    /// Judges a stage and writes the verdicts.
    ///
    /// # Errors
    /// Work is not complete, or rows cannot be read now.
    pub async fn judge_stage(&self, by: &str, id: &str, stage: u32) -> Result<Arc<Change>, Status> {
        for _ in 1..MAX_JUDGED {
            match self.judged(by, id, stage).await {
                // Something was written of the change while rows were read: what was judged is of before.
                Err(moved) if moved.code() == Code::Aborted => {}
                done => return done,
            }
        }
        self.judged(by, id, stage).await
    }

    async fn judged(&self, by: &str, id: &str, stage: u32) -> Result<Arc<Change>, Status> {
        let change = self.change(id)?;
        if change.stage(stage).is_none_or(Stage::is_before_work_end) {
            return Err(refused(&crate::change::Refused(vec![format!(
                "the work of stage {stage} is not complete: `holdpoint change complete` says so"
            )])));
        }
        // With the digests that were judged by: knowledge may change while rows are read.
        let with_rules =
            |question: &Question<'_>| judge::judge(question).map(|it| (it, question.rules.to_vec()));
        let (judged, rules) = self.ask(&change, stage, with_rules).await?;
        let whole = judged.verdicts.iter().filter(|it| it.expectation.is_empty());
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for it in whole {
            *counts.entry(it.verdict.as_str()).or_default() += 1;
        }
        let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
        let text = format!("stage {stage}: {}", counts.join(", "));
        let what = What::Judged(StageJudged {
            stage,
            verdicts: judged.verdicts,
            collateral: judged.collateral,
            rules: rules.into_iter().map(|(rule, digest)| RuleDigest { rule, digest }).collect(),
            judge: judge::JUDGE.to_owned(),
        });
        let rests_on = Some(change.revision);
        self.write(id, New { rests_on, ..New::of(by, "stage-judged", text, what) }).await
    }

    /// Ends a change: remediated, rolled back, or with the reason why not. `blocked` is what stands in the way beside
    /// the change itself.
    ///
    /// # Errors
    /// Everything that is still open.
    pub async fn close(
        &self,
        by: &str,
        id: &str,
        unremediated: &str,
        blocked: Vec<String>,
    ) -> Result<Arc<Change>, Status> {
        let change = self.change(id)?;
        let rolled_back = change.stages.iter().filter(|it| it.is_opened()).all(|it| {
            let mut whole = it.verdicts.iter().filter(|it| it.expectation.is_empty()).peekable();
            whole.peek().is_some() && whole.all(|it| it.verdict == Verdict::RolledBack.as_str())
        });
        let any_opened = change.stages.iter().any(Stage::is_opened);
        let state = match unremediated.trim() {
            "" if rolled_back && any_opened => State::RolledBack,
            "" => State::Closed,
            _ => State::ClosedUnremediated,
        };
        if state == State::Closed {
            let open: Vec<String> = change.open_for_closure().into_iter().chain(blocked).collect();
            if !open.is_empty() {
                return Err(refused(&crate::change::Refused(open)));
            }
        }
        let soak_until_ms = self.zone.now_ms() + i64::from(change.plan.soak_days) * DAY_MS;
        let what = What::Closed(ChangeClosed {
            r#as: state.as_str().to_owned(),
            reason: unremediated.to_owned(),
            soak_until_ms,
        });
        self.write(id, New::of(by, "change-closed", format!("as {state}"), what)).await
    }

    fn partner(&self, asset: &str) -> Option<String> {
        let partner = self
            .board
            .look(self.zone.now_ms(), |places, _| places.asset(asset).and_then(|it| it.0.partner.clone()));
        partner.ok().flatten()
    }
}

/// Whether every target that is waited for has said why no answer will come.
fn nobody_will_answer(stage: &Stage) -> bool {
    let said_so = |it: &Target| {
        it.refused.as_ref().is_some_and(|it| matches!(it.0, Why::HostDeclined | Why::IdentityMismatch))
    };
    let mut waited = stage.targets.values().filter(|it| it.is_waited_for()).peekable();
    waited.peek().is_some() && waited.all(said_so)
}

fn targets(change: &Change, stage: u32) -> Result<Vec<String>, Status> {
    let stage = change
        .stage(stage)
        .ok_or_else(|| Status::not_found(format!("`{}` has no stage {stage}", change.id)))?;
    Ok(stage.targets.keys().cloned().collect())
}
