//! The part of changes that acts: it writes entries, asks agents to look again, and waits for them.
//!
//! What it knows is folded from the audit log when it opens and kept beside it from then on. An entry is on disk
//! before anybody sees what follows from it. Nothing here is ever sent to a host but the question to look again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use holdpoint_common::proto::store::audit_entry::Detail;
use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{
    AuditEntry, ChallengePurpose, ChallengeRecord, ChangeChallenge, ChangeDrafted, ChangeEntry, RuleDigest,
    StageTargets,
};
use prost::Message;
use tokio::sync::watch;
use tonic::Status;
use tracing::warn;

use crate::assess::{Board, Filter, Verdict as Finding};
use crate::audit::{self, Act};
use crate::knowledge::{Knowledge, Library};
use crate::store::{Store, StoreError, Txn};
use crate::zone::{self, Zone};

use super::fold::{Change, Refused, Written};
use super::plan::{self, Plan};
use super::resolve::{self, Inventory, Known};
use super::word::StageState;

mod board;
mod heard;
mod window;

pub use window::Phase;

/// Most changes of a zone.
const MAX_CHANGES: usize = 10_000;

/// See the module. Always behind an [`Arc`].
pub struct ChangeOffice {
    zone: Arc<Zone>,
    library: Arc<Library>,
    board: Arc<Board>,
    changes: RwLock<BTreeMap<String, Arc<Change>>>,
    /// Who holds it may write an entry. Says whether one was written whose outcome is not known: then the log is read
    /// again before the next.
    turn: tokio::sync::Mutex<bool>,
    /// Counts entries: whoever waits for a change of a change waits for this.
    written: watch::Sender<u64>,
    heard: heard::Ear,
}

impl std::fmt::Debug for ChangeOffice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeOffice").finish_non_exhaustive()
    }
}

/// An entry that is to be written.
struct New<'a> {
    by: &'a str,
    /// A past participle: `change-submitted`.
    action: &'static str,
    text: String,
    what: What,
    /// Questions that are put to assets with it.
    asks: Vec<(String, ChallengeRecord)>,
    /// It rests on the change as it was at this revision, and on no other.
    rests_on: Option<u64>,
}

impl ChangeOffice {
    /// Folds every change from the audit log and listens to the zone from now on.
    ///
    /// # Errors
    /// The audit log cannot be read.
    pub fn open(zone: &Arc<Zone>, library: Arc<Library>, board: Arc<Board>) -> Result<Arc<Self>, StoreError> {
        let changes = folded(zone.store())?;
        let (heard, ears) = heard::Ear::new();
        let office = Arc::new(Self {
            zone: Arc::clone(zone),
            library,
            board,
            changes: RwLock::new(changes),
            turn: tokio::sync::Mutex::default(),
            written: watch::Sender::new(0),
            heard,
        });
        office.listen();
        heard::start(&office, ears);
        Ok(office)
    }

    /// The zone.
    pub fn zone(&self) -> &Arc<Zone> {
        &self.zone
    }

    /// Every change, by id.
    pub fn changes(&self) -> Vec<Arc<Change>> {
        self.changes.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// A change by its id.
    ///
    /// # Errors
    /// There is none.
    pub fn change(&self, id: &str) -> Result<Arc<Change>, Status> {
        let changes = self.changes.read().unwrap_or_else(PoisonError::into_inner);
        changes.get(id).cloned().ok_or_else(|| {
            let id: String = id.chars().take(60).collect();
            Status::not_found(format!("there is no change `{id}`: `holdpoint change list` shows them"))
        })
    }

    /// Tells when an entry was written.
    pub fn written(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }

    /// Takes in a plan: reads it, finds its assets, and drafts a change.
    ///
    /// # Errors
    /// Every fault of the plan at once, or the store refuses.
    pub async fn draft(&self, by: &str, text: &[u8], file: &str) -> Result<Arc<Change>, Status> {
        if text.len() > plan::MAX_PLAN {
            return Err(Status::invalid_argument(format!("a plan has at most {} bytes", plan::MAX_PLAN)));
        }
        let plan_text =
            std::str::from_utf8(text).map_err(|_| Status::invalid_argument("the plan is not UTF-8 text"))?;
        let plan = plan::read(plan_text).map_err(|it| listed(&it))?;
        let assets = resolve::resolve(&plan, self).map_err(|it| listed(&it))?;
        let mut turn = self.turn().await?;
        let (count, last) = {
            let changes = self.changes.read().unwrap_or_else(PoisonError::into_inner);
            (changes.len(), changes.keys().next_back().cloned())
        };
        if count >= MAX_CHANGES {
            return Err(Status::resource_exhausted(format!("there are {MAX_CHANGES} changes already")));
        }
        let number = last.and_then(|it| it.strip_prefix("CHG-")?.parse::<u32>().ok()).unwrap_or(0) + 1;
        let entry = ChangeEntry {
            change: format!("CHG-{number:04}"),
            revision: 1,
            what: Some(What::Drafted(ChangeDrafted {
                plan: text.to_vec(),
                file: file.chars().take(200).collect(),
                stages: assets.into_iter().map(|assets| StageTargets { assets }).collect(),
            })),
        };
        let written = Written { number: 0, at_ms: 0, by, action: "change-drafted", text: &plan.title };
        // Whatever the fold would refuse is refused before it is written.
        Change::draft(&entry, written).map_err(|it| refused(&it))?;
        let act = Act {
            by: by.to_owned(),
            action: "change-drafted",
            subject: entry.change.clone(),
            text: plan.title.clone(),
            detail: Some(Detail::Change(entry.encode_to_vec())),
        };
        *turn = true;
        let told = self.zone.change_assets_told(&[], Txn::admin(), |_, _| Ok(vec![act])).await?;
        *turn = false;
        let (number, at_ms) = told.first().copied().unwrap_or_default();
        let change =
            Change::draft(&entry, Written { number, at_ms, ..written }).map_err(|it| refused(&it))?;
        Ok(self.publish(change))
    }

    /// Puts a change before the board.
    ///
    /// # Errors
    /// Everything that the board asks for and the plan does not say.
    pub async fn submit(&self, by: &str, id: &str) -> Result<Arc<Change>, Status> {
        let change = self.change(id)?;
        let rules = rules(&self.library.current(), &change.plan);
        let rules = rules.into_iter().map(|(rule, digest)| RuleDigest { rule, digest }).collect();
        let what = What::Submitted(holdpoint_common::proto::store::ChangeSubmitted { rules });
        self.write(id, New::of(by, "change-submitted", String::new(), what)).await
    }

    /// Writes an entry. It is on disk, with the questions that go with it, before anybody sees it.
    ///
    /// # Errors
    /// The entry may not come next, each reason; or the store refuses.
    async fn write(&self, id: &str, new: New<'_>) -> Result<Arc<Change>, Status> {
        let mut turn = self.turn().await?;
        let change = self.change(id)?;
        let New { by, action, text, what, asks, rests_on } = new;
        if rests_on.is_some_and(|it| it != change.revision) {
            return Err(Status::aborted("the change went on meanwhile; ask again"));
        }
        let entry = ChangeEntry { change: id.to_owned(), revision: change.revision + 1, what: Some(what) };
        change.admit(&entry).map_err(|it| refused(&it))?;
        let act = Act {
            by: by.to_owned(),
            action,
            subject: id.to_owned(),
            text: text.clone(),
            detail: Some(Detail::Change(entry.encode_to_vec())),
        };
        let ids: Vec<&str> = asks.iter().map(|it| it.0.as_str()).collect();
        *turn = true;
        let told = self
            .zone
            .change_assets_told(&ids, Txn::admin(), |assets, _| {
                for (asset, challenge) in &asks {
                    let record = assets
                        .get_mut(asset)
                        .ok_or_else(|| Status::not_found(format!("no asset has the id `{asset}`")))?;
                    // The newest question of a stage is the only one that can be answered.
                    record.challenges.retain(|it| !is_of_same_stage(it, challenge));
                    zone::ask(record, challenge.clone())?;
                }
                Ok(vec![act])
            })
            .await?;
        *turn = false;
        for (asset, _) in &asks {
            self.zone.grant(asset);
        }
        let (number, at_ms) = told.first().copied().unwrap_or_default();
        let mut next = Change::clone(&change);
        next.take(&entry, Written { number, at_ms, by, action, text: &text }).map_err(|it| refused(&it))?;
        Ok(self.publish(next))
    }

    /// The right to write an entry, with everything that the log has.
    async fn turn(&self) -> Result<tokio::sync::MutexGuard<'_, bool>, Status> {
        let mut turn = self.turn.lock().await;
        if *turn {
            let changes = folded(self.zone.store()).map_err(|it| zone::status_of(&it))?;
            *self.changes.write().unwrap_or_else(PoisonError::into_inner) = changes;
            *turn = false;
        }
        Ok(turn)
    }

    fn publish(&self, change: Change) -> Arc<Change> {
        let change = Arc::new(change);
        self.changes
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(change.id.clone(), Arc::clone(&change));
        self.listen();
        self.written.send_modify(|it| *it += 1);
        change
    }

    /// Listens for the answers that changes wait for, and asks those assets to call more often.
    fn listen(&self) {
        let mut hurried = BTreeSet::new();
        let mut waits = heard::Waits::default();
        let now_ms = self.zone.now_ms();
        for change in self.changes() {
            if change.is_soaking(now_ms) {
                waits.soak(&change);
            }
            for (number, stage) in (1..).zip(&change.stages) {
                let is_over = stage.state() == StageState::Verified || change.state.has_ended();
                if !stage.is_opened() || is_over {
                    continue;
                }
                hurried.extend(stage.targets.keys().cloned());
                if stage.waits() {
                    waits.add(&change.id, number, stage);
                }
            }
        }
        self.zone.hurry(hurried);
        self.heard.listen_for(waits);
    }

    /// A question for an asset, with the purpose that makes its answer be kept.
    fn question(&self, by: &str, id: &str, stage: u32, phase: Phase, asset: &str) -> Result<Asked, Status> {
        let record = self
            .zone
            .asset(asset)
            .ok_or_else(|| Status::not_found(format!("no asset has the id `{asset}`")))?;
        let purpose = ChallengePurpose { change: id.to_owned(), stage, phase: phase.as_str().to_owned() };
        let challenge = self.zone.question(by, Some(purpose))?;
        let asked = ChangeChallenge {
            asset: asset.to_owned(),
            nonce: challenge.nonce.clone(),
            issued_ms: challenge.issued_ms,
            sequence: record.sequence,
        };
        Ok(Asked { asked, challenge })
    }
}

/// A question as a change and as an asset keep it.
struct Asked {
    asked: ChangeChallenge,
    challenge: ChallengeRecord,
}

impl<'a> New<'a> {
    fn of(by: &'a str, action: &'static str, text: String, what: What) -> Self {
        Self { by, action, text, what, asks: Vec::new(), rests_on: None }
    }
}

fn is_of_same_stage(one: &ChallengeRecord, two: &ChallengeRecord) -> bool {
    let stage = |it: &ChallengeRecord| it.purpose.as_ref().map(|it| (it.change.clone(), it.stage));
    stage(one).is_some() && stage(one) == stage(two)
}

/// Every change, as the audit log makes it.
fn folded(store: &Store) -> Result<BTreeMap<String, Arc<Change>>, StoreError> {
    let mut changes = BTreeMap::new();
    audit::each(store, |entry| take(&mut changes, &entry))?;
    Ok(changes.into_iter().map(|(id, it)| (id, Arc::new(it))).collect())
}

/// Takes an entry of the audit log into the changes, if it is one of a change.
fn take(changes: &mut BTreeMap<String, Change>, entry: &AuditEntry) {
    let Some(Detail::Change(encoded)) = &entry.detail else { return };
    let read = ChangeEntry::decode(encoded.as_slice());
    let taken =
        read.map_err(|_| Refused(vec!["it cannot be read".to_owned()])).and_then(|step| {
            match changes.get_mut(&step.change) {
                Some(change) => change.take(&step, entry.into()),
                None => {
                    let change = Change::draft(&step, entry.into())?;
                    changes.insert(step.change.clone(), change);
                    Ok(())
                }
            }
        });
    if let Err(why) = taken {
        // Never taken: a log that was changed, or written by a newer collector, proves nothing.
        warn!(entry = entry.number, %why, "an entry of a change does not follow the one before it");
    }
}

impl Inventory for ChangeOffice {
    fn assets(&self) -> Vec<Known> {
        let records = self.zone.assets();
        let enrolled = records.iter().filter(|it| it.retired_ms.is_none() && it.copy_of.is_none());
        let mut known: BTreeMap<String, Known> = enrolled
            .map(|it| {
                let known = Known {
                    id: it.id.clone(),
                    name: it.name.clone(),
                    role: it.role.clone(),
                    tags: it.tags.iter().cloned().collect(),
                    has_agent: true,
                    ..Known::default()
                };
                (it.id.clone(), known)
            })
            .collect();
        let retired: BTreeSet<&str> =
            records.iter().filter(|it| it.retired_ms.is_some()).map(|it| it.id.as_str()).collect();
        let placed = self.board.look(self.zone.now_ms(), |places, _| {
            places.all().into_iter().map(|it| it.0.clone()).collect::<Vec<_>>()
        });
        for placed in placed.unwrap_or_default() {
            if retired.contains(placed.asset.as_str()) {
                continue;
            }
            let asset = known.entry(placed.asset.clone()).or_insert_with(|| Known {
                id: placed.asset.clone(),
                name: placed.asset.clone(),
                ..Known::default()
            });
            asset.role = asset.role.take().or(placed.role);
            asset.criticality = placed.criticality;
            asset.partner = placed.partner;
        }
        known.into_values().collect()
    }

    fn affected_by(&self, subject: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        let mut filter = Filter {
            advisory: Some(subject.to_owned()),
            verdict: Some(Finding::Affected),
            limit: crate::assess::MAX_LIMIT,
            ..Filter::default()
        };
        let seen = |asset: &str| self.zone.last_seen(asset).map(|it| it.seen_ms);
        while let Ok(page) = self.board.page(&filter, self.zone.now_ms(), &seen) {
            found.extend(page.findings.into_iter().map(|it| it.asset));
            match page.next_after {
                Some(next) if found.len() <= resolve::MAX_ASSETS => filter.after = Some(next),
                _ => break,
            }
        }
        found.into_iter().collect()
    }

    fn knows(&self, subject: &str) -> bool {
        let first = subject.split('/').next().unwrap_or(subject);
        let knowledge = self.library.current();
        knowledge.advisories.iter().any(|it| it.label() == first)
            || knowledge.requirements.iter().any(|it| it.requirement.id == first)
    }

    fn has_change(&self, id: &str) -> bool {
        self.change(id).is_ok()
    }
}

/// What a caller is told of an entry that may not come next.
fn refused(why: &Refused) -> Status {
    Status::failed_precondition(why.to_string())
}

/// Faults of a plan, a line each.
fn listed(faults: &[String]) -> Status {
    Status::invalid_argument(faults.join("\n"))
}

/// Digests of the advisories and requirements that a plan names, as `knowledge` has them; of one that it lacks, none.
fn rules(knowledge: &Knowledge, plan: &Plan) -> Vec<(String, Vec<u8>)> {
    let digest = |subject: &str| {
        let advisories = knowledge.advisories.iter().filter(|it| it.label() == subject).map(|it| &it.source);
        let requirements =
            knowledge.requirements.iter().filter(|it| it.requirement.id == subject).map(|it| &it.source);
        advisories.chain(requirements).next().map(|it| it.digest.to_vec()).unwrap_or_default()
    };
    plan.subjects().into_iter().map(|it| (it.to_owned(), digest(it))).collect()
}
