//! Baselines and duties of a zone, kept in step with the audit log: one entry at a time, on disk before it counts.

use std::sync::{Arc, PoisonError, RwLock};

use holdpoint_common::proto::store::audit_entry::Detail;
use holdpoint_common::proto::store::{BaselineEntry, DutyEntry};
use prost::Message;
use tokio::sync::Mutex;
use tonic::Status;

use super::Duties;
use crate::assess::Board;
use crate::audit::{self, Act};
use crate::baseline::fold::Refused;
use crate::baseline::{Baselines, Shelf};
use crate::change::fold::Written;
use crate::store::{StoreError, Txn};
use crate::zone::{Zone, status_of};

/// Who writes, and what the audit log says for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// SPIFFE identity, or "local".
    pub by: String,
    /// As a past participle.
    pub action: &'static str,
    /// What it was done to.
    pub subject: String,
    /// In words.
    pub text: String,
}

/// See the module. Always behind an [`Arc`].
#[derive(Debug)]
pub struct Books {
    zone: Arc<Zone>,
    baselines: Shelf,
    duties: RwLock<Arc<Duties>>,
    /// Findings rest on controls.
    board: Arc<Board>,
    /// Whoever writes holds it. Says whether an entry was written whose outcome is not known.
    turn: Mutex<bool>,
}

impl Books {
    /// Reads the audit log and shows what follows from it: baselines on the shelf, controls on the board.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn open(zone: &Arc<Zone>, baselines: &Shelf, board: &Arc<Board>) -> Result<Arc<Self>, StoreError> {
        let books = Self {
            zone: Arc::clone(zone),
            baselines: baselines.clone(),
            duties: RwLock::default(),
            board: Arc::clone(board),
            turn: Mutex::new(false),
        };
        books.read()?;
        Ok(Arc::new(books))
    }

    /// The zone.
    pub fn zone(&self) -> &Arc<Zone> {
        &self.zone
    }

    /// The findings of its assets.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// What was approved.
    pub fn baselines(&self) -> Arc<Baselines> {
        self.baselines.current()
    }

    /// What was recorded of duties.
    pub fn duties(&self) -> Arc<Duties> {
        Arc::clone(&self.duties.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn read(&self) -> Result<(), StoreError> {
        let (mut baselines, mut duties) = (Baselines::default(), Duties::default());
        audit::each(self.zone.store(), |entry| {
            baselines.follow(&entry);
            duties.follow(&entry);
        })?;
        self.baselines.publish(Arc::new(baselines));
        self.publish(duties);
        Ok(())
    }

    fn publish(&self, duties: Duties) {
        self.board.controls_changed(Arc::clone(duties.controls()));
        *self.duties.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(duties);
    }

    /// Writes an entry about a baseline.
    ///
    /// # Errors
    /// It may not come next, or the store refuses.
    pub async fn write_baseline(self: &Arc<Self>, entry: BaselineEntry, deed: Deed) -> Result<(), Status> {
        let detail = Detail::Baseline(entry.encode_to_vec());
        self.write(deed, detail, move |books, written| {
            let mut next = (*books.baselines()).clone();
            match written {
                None => next.admit(&entry),
                Some(written) => {
                    next.take(&entry, written)?;
                    books.baselines.publish(Arc::new(next));
                    Ok(())
                }
            }
        })
        .await
    }

    /// Writes an entry about a duty.
    ///
    /// # Errors
    /// It may not come next, or the store refuses.
    pub async fn write_duty(self: &Arc<Self>, entry: DutyEntry, deed: Deed) -> Result<(), Status> {
        let detail = Detail::Duty(entry.encode_to_vec());
        self.write(deed, detail, move |books, written| {
            let mut next = (*books.duties()).clone();
            match written {
                None => next.admit(&entry),
                Some(written) => {
                    next.take(&entry, written)?;
                    books.publish(next);
                    Ok(())
                }
            }
        })
        .await
    }

    /// Asks `take` whether the entry may come next, writes it, and tells `take` that it is written; on a task that
    /// outlives the caller, so that the disk is never ahead of the memory.
    async fn write(
        self: &Arc<Self>,
        deed: Deed,
        detail: Detail,
        take: impl Fn(&Self, Option<Written<'_>>) -> Result<(), Refused> + Send + Sync + 'static,
    ) -> Result<(), Status> {
        let books = Arc::clone(self);
        let written = tokio::spawn(async move {
            let mut is_unsure = books.turn.lock().await;
            if *is_unsure {
                books.read().map_err(|it| status_of(&it))?;
                *is_unsure = false;
            }
            let refused = |it: Refused| Status::failed_precondition(it.to_string());
            take(&books, None).map_err(refused)?;
            let Deed { by, action, subject, text } = deed;
            let act = Act { by: by.clone(), action, subject, text: text.clone(), detail: Some(detail) };
            *is_unsure = true;
            let told = books.zone.change_assets_told(&[], Txn::admin(), |_, _| Ok(vec![act])).await?;
            let &(number, at_ms) =
                told.first().ok_or_else(|| Status::internal("the entry was written under no number"))?;
            take(&books, Some(Written { number, at_ms, by: &by, action, text: &text })).map_err(refused)?;
            *is_unsure = false;
            Ok::<(), Status>(())
        });
        written.await.map_err(|_| Status::internal("the entry was not carried through"))?
    }
}
