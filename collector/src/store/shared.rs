//! What the writer and the readers share.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use holdpoint_proto::store::SeenRecord;

use super::StoreConfig;
use super::backend::Backend;
use super::catalog::Catalog;
use super::error::StoreError;
use super::plan::View;
use super::sections::Cache;

/// The newest flushes that percentiles are made of.
const FLUSHES_KEPT: usize = 1024;

/// The engine with what is known of it. The writer changes both under the write lock, so that a
/// reader never sees half a transaction.
pub(super) struct Core {
    /// Absent while the engine is being opened again, and after the store was closed.
    pub(super) backend: Option<Box<dyn Backend>>,
    pub(super) catalog: Catalog,
}

impl Core {
    pub(super) fn view<'a>(&'a self, cache: &'a Cache) -> Result<View<'a>, StoreError> {
        let backend = self
            .backend
            .as_deref()
            .ok_or(StoreError::Unavailable { why: "it is closed or being opened again" })?;
        Ok(View { backend, catalog: &self.catalog, cache })
    }
}

/// Whether the engine takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Good,
    /// The disk is full; nothing is lost, and it goes on when there is space.
    Full,
    /// It has failed and is being opened again.
    Failed,
}

/// When each asset was last heard of. Kept in memory, written every few seconds.
#[derive(Debug, Default)]
pub(super) struct Seen {
    all: HashMap<String, SeenRecord>,
    dirty: HashSet<String>,
}

impl Seen {
    pub(super) fn put_clean(&mut self, id: &str, record: SeenRecord) {
        self.all.insert(id.to_owned(), record);
    }

    pub(super) fn put(&mut self, id: &str, record: SeenRecord) {
        self.put_clean(id, record);
        if !self.dirty.contains(id) {
            self.dirty.insert(id.to_owned());
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<SeenRecord> {
        self.all.get(id).copied()
    }

    pub(super) fn forget(&mut self, id: &str) {
        self.all.remove(id);
        self.dirty.remove(id);
    }

    /// At most `max` of those that are not written yet; they count as written from now on.
    pub(super) fn take_dirty(&mut self, max: usize) -> Vec<(String, SeenRecord)> {
        let ids: Vec<String> = self.dirty.iter().take(max).cloned().collect();
        ids.into_iter()
            .filter_map(|id| {
                self.dirty.remove(&id);
                self.all.get(&id).copied().map(|record| (id, record))
            })
            .collect()
    }

    /// They could not be written after all.
    pub(super) fn put_back(&mut self, ids: Vec<(String, SeenRecord)>) {
        self.dirty.extend(ids.into_iter().map(|(id, _)| id).filter(|id| self.all.contains_key(id)));
    }
}

/// See the module.
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    pub(super) config: StoreConfig,
    pub(super) cache: Cache,
    core: RwLock<Core>,
    seen: Mutex<Seen>,
    health: AtomicU8,
    /// A read was refused by the engine: the writer looks after it.
    pub(super) suspect: AtomicBool,
    pub(super) transactions: AtomicU64,
    pub(super) flushes: AtomicU64,
    flush_times: Mutex<VecDeque<Duration>>,
}

impl Shared {
    pub(super) fn new(dir: &Path, config: &StoreConfig, core: Core, seen: Seen) -> Self {
        Self {
            dir: dir.to_owned(),
            config: config.clone(),
            cache: Cache::default(),
            core: RwLock::new(core),
            seen: Mutex::new(seen),
            health: AtomicU8::new(0),
            suspect: AtomicBool::new(false),
            transactions: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
            flush_times: Mutex::default(),
        }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Core> {
        self.core.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Core> {
        self.core.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn health(&self) -> Health {
        match self.health.load(Ordering::Relaxed) {
            0 => Health::Good,
            1 => Health::Full,
            _ => Health::Failed,
        }
    }

    pub(super) fn set_health(&self, health: Health) {
        let code = match health {
            Health::Good => 0,
            Health::Full => 1,
            Health::Failed => 2,
        };
        self.health.store(code, Ordering::Relaxed);
    }

    pub(super) fn flushed(&self, took: Duration) {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        let mut times = self.flush_times.lock().unwrap_or_else(PoisonError::into_inner);
        if times.len() == FLUSHES_KEPT {
            times.pop_front();
        }
        times.push_back(took);
    }

    /// The time that 99 of 100 recent flushes stayed below; `None` before the first.
    pub(super) fn flush_p99(&self) -> Option<Duration> {
        let times = self.flush_times.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times: Vec<Duration> = times.iter().copied().collect();
        times.sort_unstable();
        times.get((times.len() * 99 / 100).min(times.len().saturating_sub(1))).copied()
    }
}
