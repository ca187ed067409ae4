//! Changing assets: one at a time, on disk first, shown afterwards.
//!
//! The writing runs on a task of its own. A caller that goes away (a closed connection) can
//! therefore never leave the disk ahead of the memory, or the audit chain half told.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdpoint_common::chain::Chain;
use holdpoint_common::proto::store::{AssetRecord, EventRecord, OperatorRecord};
use tokio::sync::OwnedMutexGuard;
use tonic::Status;

use super::{Slot, Zone, read, write};
use crate::audit::Act;
use crate::store::{StoreError, Txn};

/// The assets of a change by id; those that do not exist are absent and may be added.
pub type Assets = BTreeMap<String, AssetRecord>;

/// What becomes visible once a transaction is durable.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) assets: Vec<AssetRecord>,
    pub(super) operator: Option<OperatorRecord>,
}

/// Adds to a transaction in place.
pub fn amend(txn: &mut Txn, add: impl FnOnce(Txn) -> Txn) {
    let taken = std::mem::replace(txn, Txn::admin());
    *txn = add(taken);
}

/// An event of an asset.
pub fn event(at_ms: i64, asset: &str, kind: &str, text: impl Into<String>) -> EventRecord {
    EventRecord {
        at_ms,
        asset: asset.to_owned(),
        kind: kind.to_owned(),
        text: text.into(),
        host_time_ms: None,
    }
}

/// What a caller is told when the store does not do something: trying again helps where the
/// code is `RESOURCE_EXHAUSTED`, `UNAVAILABLE` or `ABORTED`.
pub fn status_of(cause: &StoreError) -> Status {
    let text = Chain(cause).to_string();
    match cause {
        StoreError::Full => Status::resource_exhausted(text),
        StoreError::Unavailable { .. } => Status::unavailable(text),
        StoreError::Conflict { .. } | StoreError::UnknownSection { .. } => Status::aborted(text),
        StoreError::Invalid { .. } => Status::invalid_argument(text),
        StoreError::Corrupt { .. }
        | StoreError::Locked { .. }
        | StoreError::Open { .. }
        | StoreError::Engine { .. }
        | StoreError::File { .. }
        | StoreError::Stream { .. }
        | StoreError::Backup { .. }
        | StoreError::NotEmpty { .. }
        | StoreError::Newer { .. } => {
            tracing::error!(error = cause as &dyn std::error::Error, "the store failed");
            Status::internal("the collector's store failed; its log says why")
        }
    }
}

impl Zone {
    /// Changes an asset: one change at a time per asset, on disk before it counts. What `change`
    /// puts into the transaction is written with it.
    ///
    /// # Errors
    /// What `change` says (then nothing happens), the asset is unknown, or the store refuses.
    pub async fn change_asset<T>(
        self: &Arc<Self>,
        id: &str,
        change: impl FnOnce(&mut AssetRecord, &mut Txn) -> Result<T, Status>,
    ) -> Result<T, Status> {
        self.change_asset_in(id, Txn::admin(), |record, txn| Ok((change(record, txn)?, Vec::new()))).await
    }

    /// As [`Zone::change_asset`], in a transaction of the caller's, with entries for the audit log.
    ///
    /// # Errors
    /// What `change` says (then nothing happens), the asset is unknown, or the store refuses.
    pub async fn change_asset_in<T>(
        self: &Arc<Self>,
        id: &str,
        txn: Txn,
        change: impl FnOnce(&mut AssetRecord, &mut Txn) -> Result<(T, Vec<Act>), Status>,
    ) -> Result<T, Status> {
        self.change_assets(&[id], txn, |assets, txn| {
            let record =
                assets.get_mut(id).ok_or_else(|| Status::not_found(format!("no asset has the id `{id}`")))?;
            change(record, txn)
        })
        .await
    }

    /// Adds an asset.
    ///
    /// # Errors
    /// The id is taken (`ALREADY_EXISTS`), or the store refuses.
    pub async fn create_asset(
        self: &Arc<Self>,
        record: AssetRecord,
        txn: Txn,
        acts: Vec<Act>,
    ) -> Result<(), Status> {
        let id = record.id.clone();
        self.change_assets(&[&id.clone()], txn, |assets, _| {
            if assets.contains_key(&id) {
                return Err(Status::already_exists(format!("asset `{id}` exists already")));
            }
            assets.insert(id, record);
            Ok(((), acts))
        })
        .await
    }

    /// Changes several assets together, and adds those that `change` inserts under one of `ids`.
    ///
    /// # Errors
    /// What `change` says (then nothing happens), or the store refuses.
    pub async fn change_assets<T>(
        self: &Arc<Self>,
        ids: &[&str],
        txn: Txn,
        change: impl FnOnce(&mut Assets, &mut Txn) -> Result<(T, Vec<Act>), Status>,
    ) -> Result<T, Status> {
        self.change_and_tell(ids, txn, change).await.map(|it| it.0)
    }

    async fn change_and_tell<T>(
        self: &Arc<Self>,
        ids: &[&str],
        mut txn: Txn,
        change: impl FnOnce(&mut Assets, &mut Txn) -> Result<(T, Vec<Act>), Status>,
    ) -> Result<(T, Vec<(u64, i64)>), Status> {
        let turns = self.turns(ids).await;
        let mut assets: Assets = ids
            .iter()
            .filter_map(|&id| Some((id.to_owned(), AssetRecord::clone(&*self.asset(id)?))))
            .collect();
        let (result, acts) = change(&mut assets, &mut txn)?;

        let mut changed = Vec::new();
        for (id, record) in assets {
            if record.id != id || !ids.contains(&id.as_str()) {
                return Err(Status::internal("a change of assets changed an id"));
            }
            if self.asset(&id).is_none_or(|before| *before != record) {
                amend(&mut txn, |it| it.put_asset(record.clone()));
                changed.push(record);
            }
        }
        if txn.is_empty() && acts.is_empty() {
            return Ok((result, Vec::new()));
        }
        let told = self.write(txn, acts, Shown { assets: changed, operator: None }, turns).await?;
        Ok((result, told))
    }

    /// Writes what belongs to no asset, with entries for the audit log.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn commit(self: &Arc<Self>, txn: Txn, acts: Vec<Act>) -> Result<(), Status> {
        self.write(txn, acts, Shown::default(), ()).await.map(drop)
    }

    /// As [`Zone::change_assets`], and says under which numbers and when the audit log has the entries.
    ///
    /// # Errors
    /// What `change` says (then nothing happens), or the store refuses.
    pub async fn change_assets_told(
        self: &Arc<Self>,
        ids: &[&str],
        txn: Txn,
        change: impl FnOnce(&mut Assets, &mut Txn) -> Result<Vec<Act>, Status>,
    ) -> Result<Vec<(u64, i64)>, Status> {
        self.change_and_tell(ids, txn, |assets, txn| Ok(((), change(assets, txn)?))).await.map(|it| it.1)
    }

    /// Writes a transaction, shows what it changed, and lets go of `turn`, on a task that
    /// outlives the caller. Says under which numbers and when the audit log has the entries.
    pub(super) async fn write(
        self: &Arc<Self>,
        mut txn: Txn,
        acts: Vec<Act>,
        shown: Shown,
        turn: impl Send + 'static,
    ) -> Result<Vec<(u64, i64)>, Status> {
        let zone = Arc::clone(self);
        let written = tokio::spawn(async move {
            let chain = if acts.is_empty() { None } else { Some(zone.audit.turn().await?) };
            let mut told = Vec::with_capacity(acts.len());
            let chain = chain.map(|mut chain| {
                let now = zone.now_ms();
                for act in acts {
                    told.push((chain.append(&mut txn, act, now), now));
                }
                chain
            });
            zone.store.commit(txn).await?;
            if let Some(chain) = chain {
                chain.durable();
            }
            zone.show(shown);
            drop(turn);
            Ok::<_, StoreError>(told)
        });
        match written.await {
            Ok(outcome) => outcome.map_err(|cause| status_of(&cause)),
            Err(cause) => {
                tracing::error!(error = &cause as &dyn std::error::Error, "a change was not carried through");
                Err(Status::internal("the change was not carried through; the collector's log says why"))
            }
        }
    }

    /// The turns of the assets, in the order of their ids. When one does not exist, also the
    /// right to add assets, which comes before every turn.
    async fn turns(&self, ids: &[&str]) -> Vec<OwnedMutexGuard<()>> {
        let mut sorted = ids.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut turns = Vec::with_capacity(sorted.len() + 1);
        if sorted.iter().any(|id| self.slot(id).is_none()) {
            turns.push(Arc::clone(&self.adding).lock_owned().await);
        }
        for slot in sorted.iter().filter_map(|id| self.slot(id)) {
            turns.push(Arc::clone(&slot.turn).lock_owned().await);
        }
        turns
    }

    fn show(&self, shown: Shown) {
        let Shown { assets, operator } = shown;
        if let Some(operator) = operator {
            self.operators.publish(operator);
        }
        for record in assets {
            let slot = self.slot(&record.id);
            let before = slot.as_ref().map(|it| it.record());
            write(&self.machines).replace(before.as_deref(), &record);
            let record = Arc::new(record);
            if let Some(slot) = slot {
                slot.publish(Arc::clone(&record));
            } else {
                let slot = Slot::new(AssetRecord::clone(&record), &self.settings.allowances, self.now_ms());
                write(&self.assets).insert(record.id.clone(), Arc::new(slot));
            }
            for watcher in read(&self.watchers).iter() {
                watcher.asset_changed(&record);
            }
        }
    }
}
