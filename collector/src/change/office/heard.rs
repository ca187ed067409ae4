//! What changes wait to hear of their targets: answers that are on disk, and answers that do not count.
//!
//! Intake knows nothing of changes: it keeps the report of a question that has a purpose, and tells whoever watches.
//! What was heard is written by a task of its own, so that no report waits for it; what a collector missed while it
//! was down it finds in the store.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{AnswerRefused, AssetRecord, SnapshotTaken};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::{ChangeOffice, New};
use crate::change::fold::{Change, Stage};
use crate::change::judge;
use crate::change::snapshot::Snapshot;
use crate::change::word::Why;
use crate::zone::{Unanswered, Watcher};

/// Something that was heard of a target.
pub(super) struct Heard {
    change: String,
    stage: u32,
    asset: String,
    what: News,
}

enum News {
    /// The answer to this question is on disk.
    Answered(Vec<u8>),
    /// An answer did not count.
    Refused(Uncounted),
    /// It reported something new, and the change still watches it.
    Moved,
}

/// Why an answer does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uncounted {
    why: Why,
    text: &'static str,
}

impl Uncounted {
    pub(super) const LATE: Self =
        Self { why: Why::Late, text: "the answer came after the time that was set" };
    pub(super) const OLD_NONCE: Self =
        Self { why: Why::OldNonce, text: "a report answered a question that is not asked any more" };
    pub(super) const REPLAYED: Self =
        Self { why: Why::Replayed, text: "a report came that was taken before" };
    pub(super) const SEQUENCE: Self = Self {
        why: Why::SequenceNotHigher,
        text: "a report came whose sequence is not higher than the one before",
    };
    pub(super) const IDENTITY: Self =
        Self { why: Why::IdentityMismatch, text: "another machine presented the asset's certificate" };
    pub(super) const DECLINED: Self =
        Self { why: Why::HostDeclined, text: "the host said that it may not look now" };
}

/// Answers that are waited for, by asset.
#[derive(Debug, Default)]
pub(super) struct Waits {
    answers: HashMap<String, Vec<Wait>>,
    /// Changes that watch an asset after the work.
    soaking: HashMap<String, BTreeSet<String>>,
}

#[derive(Debug)]
struct Wait {
    change: String,
    stage: u32,
    nonce: Vec<u8>,
    /// Questions of this stage that are asked no more.
    old: Vec<Vec<u8>>,
    /// What was told before.
    told: Vec<Why>,
}

impl Waits {
    /// Adds the answers that a stage waits for.
    pub(super) fn add(&mut self, change: &str, number: u32, stage: &Stage) {
        for (asset, target) in &stage.targets {
            let asked = match (&target.post_asked, &target.pre_asked) {
                (Some(asked), _) if target.post.is_none() => asked,
                (None, Some(asked)) if target.pre.is_none() && target.left_out.is_none() => asked,
                _ => continue,
            };
            let mut old = target.old_nonces.clone();
            old.extend(
                target.pre_asked.iter().filter(|it| it.nonce != asked.nonce).map(|it| it.nonce.clone()),
            );
            let wait = Wait {
                change: change.to_owned(),
                stage: number,
                nonce: asked.nonce.clone(),
                old,
                told: target.refused.iter().map(|it| it.0).collect(),
            };
            self.answers.entry(asset.clone()).or_default().push(wait);
        }
    }

    /// Watches the targets of a change for what comes back.
    pub(super) fn soak(&mut self, change: &Change) {
        for asset in change.stages.iter().flat_map(|it| it.targets.keys()) {
            self.soaking.entry(asset.clone()).or_default().insert(change.id.clone());
        }
    }
}

/// Watches the zone for changes. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Ear {
    waits: Arc<Mutex<Waits>>,
    queue: mpsc::UnboundedSender<Heard>,
}

impl Ear {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Heard>) {
        // Bounded by what is waited for: each wait is told once.
        let (queue, ears) = mpsc::unbounded_channel();
        (Self { waits: Arc::default(), queue }, ears)
    }

    /// Listens for these instead of those before.
    pub(super) fn listen_for(&self, waits: Waits) {
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = waits;
    }

    fn tell(&self, wait: &Wait, asset: &str, what: News) {
        let heard = Heard { change: wait.change.clone(), stage: wait.stage, asset: asset.to_owned(), what };
        // Without the task the collector is stopping.
        let _ = self.queue.send(heard);
    }
}

impl Watcher for Ear {
    fn asset_changed(&self, record: &Arc<AssetRecord>) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        for change in waits.soaking.get(&record.id).into_iter().flatten() {
            let (change, asset) = (change.clone(), record.id.clone());
            // Without the task the collector is stopping.
            let _ = self.queue.send(Heard { change, stage: 0, asset, what: News::Moved });
        }
        let Some(of_asset) = waits.answers.get_mut(&record.id) else { return };
        of_asset.retain(|wait| {
            let answered = record.answers.iter().any(|it| it.nonce == wait.nonce);
            if answered {
                self.tell(wait, &record.id, News::Answered(wait.nonce.clone()));
            }
            !answered
        });
    }

    fn answer_refused(&self, asset: &str, nonces: &[Vec<u8>], why: Unanswered) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        for wait in waits.answers.get_mut(asset).into_iter().flatten() {
            let uncounted = match why {
                Unanswered::OldQuestion if nonces.iter().any(|it| wait.old.contains(it)) => {
                    Uncounted::OLD_NONCE
                }
                Unanswered::OldQuestion => continue,
                Unanswered::Order => Uncounted::SEQUENCE,
                Unanswered::Replay => Uncounted::REPLAYED,
                Unanswered::Identity => Uncounted::IDENTITY,
            };
            if !wait.told.contains(&uncounted.why) {
                wait.told.push(uncounted.why);
                self.tell(wait, asset, News::Refused(uncounted));
            }
        }
    }
}

/// Starts the task that writes what was heard, first of all what was missed. It ends with the office.
pub(super) fn start(office: &Arc<ChangeOffice>, mut ears: mpsc::UnboundedReceiver<Heard>) {
    office.zone.watch(Arc::new(office.heard.clone()));
    for (asset, waits) in &office.heard.waits.lock().unwrap_or_else(PoisonError::into_inner).answers {
        for wait in waits {
            if matches!(office.zone.store().snapshot(&wait.nonce), Ok(Some(_))) {
                office.heard.tell(wait, asset, News::Answered(wait.nonce.clone()));
            }
        }
    }
    let office: Weak<ChangeOffice> = Arc::downgrade(office);
    tokio::spawn(async move {
        while let Some(heard) = ears.recv().await {
            let Some(office) = office.upgrade() else { return };
            office.write_heard(heard).await;
        }
    });
}

impl ChangeOffice {
    async fn write_heard(&self, heard: Heard) {
        let Heard { change, stage, asset, what } = heard;
        let by = self.agent(&asset);
        let written = match what {
            News::Answered(nonce) => self.take_answer(&by, &change, stage, &asset, &nonce).await,
            News::Refused(why) => self.refuse(&by, &change, stage, &asset, why).await,
            News::Moved => self.look_back(&by, &change, &asset).await,
        };
        if let Err(cause) = written {
            // A stage may have been judged meanwhile: then nobody waits for it any more.
            debug!(change, asset, error = &cause as &dyn std::error::Error, "an answer is not taken");
        }
    }

    /// An agent as the audit log writes it.
    pub(super) fn agent(&self, asset: &str) -> String {
        asset.parse().map_or_else(|_| asset.to_owned(), |it| self.zone.name().agent(it).to_string())
    }

    async fn take_answer(
        &self,
        by: &str,
        change: &str,
        stage: u32,
        asset: &str,
        nonce: &[u8],
    ) -> Result<(), tonic::Status> {
        let snapshot = match self.zone.store().snapshot(nonce) {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => return Ok(()),
            Err(cause) => {
                warn!(change, asset, error = &cause as &dyn std::error::Error, "a snapshot cannot be read");
                return Ok(());
            }
        };
        let now = self.change(change)?;
        let of_stage = now.stage(stage);
        let post = of_stage
            .and_then(|it| it.targets.get(asset)?.post_asked.as_ref())
            .is_some_and(|it| it.nonce == nonce);
        let until = of_stage.and_then(|it| it.answers_until_ms).filter(|_| post);
        if until.is_some_and(|it| snapshot.received_ms > it) {
            return self.refuse(by, change, stage, asset, Uncounted::LATE).await;
        }
        let rollback = of_stage.is_some_and(|it| it.rollback.is_some());
        let phase = match (post, rollback) {
            (false, _) => super::Phase::Pre,
            (true, false) => super::Phase::Post,
            (true, true) => super::Phase::Rollback,
        };
        let text = format!("{} snapshot of {asset}, report {}", phase.as_str(), snapshot.sequence);
        let what = What::Snapshot(SnapshotTaken {
            stage,
            phase: phase.as_str().to_owned(),
            snapshot: Some(snapshot),
        });
        self.write(change, New::of(by, "snapshot-taken", text, what)).await.map(drop)
    }

    /// Writes what came back on an asset after the work.
    async fn look_back(&self, by: &str, id: &str, asset: &str) -> Result<(), tonic::Status> {
        let change = self.change(id)?;
        let Some(record) = self.zone.asset(asset).filter(|_| change.is_soaking(self.zone.now_ms())) else {
            return Ok(());
        };
        let stages = (1..).zip(&change.stages).filter(|it| it.1.targets.contains_key(asset));
        for (stage, _) in stages {
            let now = Snapshot::now(&record);
            let name = asset.to_owned();
            let found = self
                .ask(&change, stage, move |question| {
                    let now = Snapshot::load(now, question.rows.as_ref())?;
                    judge::regressed(question, &name, &now)
                })
                .await?;
            for it in found {
                let text = format!("{asset}, {}: {}", it.expectation, it.text);
                self.write(id, New::of(by, "target-regressed", text, What::Regressed(it))).await?;
            }
        }
        Ok(())
    }

    /// Writes that an answer did not count.
    pub(super) async fn refuse(
        &self,
        by: &str,
        change: &str,
        stage: u32,
        asset: &str,
        Uncounted { why, text }: Uncounted,
    ) -> Result<(), tonic::Status> {
        let what = What::Refused(AnswerRefused {
            stage,
            asset: asset.to_owned(),
            reason: why.as_str().to_owned(),
            text: text.to_owned(),
            at_ms: self.zone.now_ms(),
        });
        let told = format!("{asset}: {why}: {text}");
        self.write(change, New::of(by, "answer-refused", told, what)).await.map(drop)
    }
}
