//! The collector's store, in the domain's words: assets, sections, events, knowledge, audit.
//!
//! Knows what is kept, under which key, and when it is safe. Refuses to know what a row means
//! (only the software index looks at names), who may do what, and what time it is. The source of
//! truth for the records is `proto/holdpoint/store/v1/records.proto`. Only [`Store`] is used
//! outside; nothing outside `store/sled.rs` and `store/redb.rs` says an engine's name.
//!
//! # Acknowledged means durable
//! [`Store::commit`] returns after the data would survive a power cut. One thread writes; it
//! applies every waiting transaction as a batch of its own, flushes once, and answers all.
//!
//! # The real-sync guard, and why
//! **Stock sled loses acknowledged data on a Linux power cut.** It "syncs" its log with
//! `sync_file_range`, which commits neither the file's size nor its block allocation and sends no
//! cache flush to the drive. Of 15 simulated power cuts on ext4, 10 lost acknowledged data or left
//! a database that did not open; some opened cleanly and were empty. When that call fails with
//! ENOSYS, sled falls back to a real `fsync`, and of 40 cuts none lost anything. So this program
//! defines its own `sync_file_range`, which always fails with ENOSYS (`store/real_sync.rs`, the
//! one `unsafe` of the collector). Because a change of the linker could silently undo that, every
//! opening writes and flushes a probe and **refuses to start when our function was not called**.
//! Calling `fdatasync` after the flush instead is not enough: the log's own writes stay unordered
//! between acknowledgements.
//!
//! # The other guards
//! - Half-written snapshots are removed before sled opens; it takes them for the newest and then
//!   never opens again. Damaged snapshots are set aside and the log is read. Files that still do
//!   not open go to `quarantine.N/`, the store starts empty, and [`OpenReport`] says so.
//! - `store.marker`, outside the engine, holds the last durable sequence: a store that comes back
//!   empty or older is told in [`OpenReport::lost_data`], at every opening until acknowledged.
//! - Below a mark of free space reports are refused with [`StoreError::Full`], below a lower one
//!   everything is. A ballast file can be given up, so that an engine can open on a full disk. An
//!   engine that met a full disk or a fault is closed, swept and opened again in the same process.
//!   While space is short sled runs without its garbage collection, which takes before it gives.
//! - Every value carries a hash over its key and content; rows are verified against their digest.
//! - Values are cut into pieces of 6 KiB, because sled writes large leaves of its tree to files of
//!   their own, without a sync.
//! - One tree and a batch per transaction: batches over several trees tear, large ones cost memory.
//! - Files that have grown far beyond their contents are rewritten when the store is opened.
//!
//! # Layout
//! An asset names its sections by digest; rows are stored once per digest and kind, and as a
//! difference when they differ little from what the asset held. The software index is by section,
//! never by asset. What nobody refers to any more is removed by the transaction that let go of it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

mod backend;
mod catalog;
#[cfg(test)]
mod conformance;
mod document;
mod error;
mod export;
mod files;
mod keys;
mod lock;
mod maintain;
mod marker;
mod offline;
mod open;
mod plan;
mod read;
mod real_sync;
#[cfg(feature = "store-redb")]
mod redb;
mod rows;
mod sections;
mod shared;
mod sled;
mod software;
mod space;
mod txn;
mod value;
mod writer;

pub use backend::{BackendError, Engine, UnknownEngine};
pub use error::StoreError;
pub use export::BackupSummary;
pub use keys::{Digest, MAX_NAME_BYTES, MAX_PAGE_KEY_BYTES, SectionKey, Volume};
pub use maintain::Fault;
pub use marker::LostData;
pub use open::OpenReport;
pub use read::Page;
pub use rows::{MAX_OVERLAY_ROWS, MAX_ROWS, MAX_SECTION_BYTES, Rows, section_digest, sha256};
pub use shared::Health;
pub use software::{NamePattern, SoftwareHit, SoftwarePage};
pub use txn::{Class, NewSection, Txn};
pub use writer::Durable;

use shared::Shared;
use writer::{Command, Task, Writer};

/// How a store is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// The engine of a new store. One that exists keeps its own until it is converted.
    pub engine: Engine,
    /// Reports are refused when fewer bytes are free.
    pub low_free_bytes: u64,
    /// Everything is refused when fewer bytes are free.
    pub admin_free_bytes: u64,
    /// Bytes that are kept back for opening on a full disk; 0 for none.
    pub ballast_bytes: u64,
    /// Events of the zone; the oldest go first.
    pub max_events: u64,
    /// Files smaller than this are never rewritten, in bytes.
    pub rebuild_min_bytes: u64,
    /// Files are rewritten when they are more than this many times their contents.
    pub rebuild_factor: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            engine: Engine::default(),
            low_free_bytes: 128 * MIB,
            admin_free_bytes: 8 * MIB,
            ballast_bytes: 16 * MIB,
            max_events: 100_000,
            rebuild_min_bytes: 512 * MIB,
            rebuild_factor: 8,
        }
    }
}

/// Figures about a running store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStats {
    /// The engine in use.
    pub engine: Engine,
    /// Whether it takes writes.
    pub health: Health,
    /// Bytes of the engine's files; `None` when it does not say.
    pub bytes_on_disk: Option<u64>,
    /// Bytes free on the disk; `None` when the system does not say.
    pub bytes_free: Option<u64>,
    /// Whether reports are accepted as far as space goes.
    pub admits_reports: bool,
    /// The last transaction.
    pub sequence: u64,
    /// Assets, copies and retired ones included.
    pub assets: usize,
    /// Distinct sections, overlays included.
    pub sections: usize,
    /// Events that are kept.
    pub events: u64,
    /// Transactions since the store was opened.
    pub transactions: u64,
    /// Flushes since the store was opened; one serves a group of transactions.
    pub flushes: u64,
    /// 99 of 100 recent flushes took no longer; `None` before the first.
    pub flush_p99: Option<Duration>,
    /// How often the engine's sync was sent to `fsync` by the guard, in this process.
    pub real_syncs: u64,
}

/// A handle to the open store. Clones share it; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    queue: Option<mpsc::Sender<Command>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dir", &self.inner.shared.dir).finish_non_exhaustive()
    }
}

const STOPPED: StoreError = StoreError::Unavailable { why: "it was closed" };

impl Store {
    /// Opens the store in `dir`, which is created when it is missing, and says what was found.
    pub fn open(dir: &Path, config: &StoreConfig) -> Result<(Store, OpenReport), StoreError> {
        let open::Opened { shared, lock, marker, report, upkeep } = open::open(dir, config)?;
        let shared = Arc::new(shared);
        let (queue, commands) = mpsc::channel(writer::QUEUE);
        let failed = StoreError::file("start a writer for", dir);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let work = Writer::new(shared.clone(), marker, lock, upkeep, Instant::now());
        let writer = runtime.and_then(|runtime| {
            thread::Builder::new()
                .name("store".to_owned())
                .spawn(move || runtime.block_on(work.run(commands)))
        });
        let writer = Mutex::new(Some(writer.map_err(failed)?));
        Ok((Store { inner: Arc::new(Inner { shared, queue: Some(queue), writer }) }, report))
    }

    /// Writes a transaction and returns when it would survive a power cut. A caller that stops
    /// waiting does not undo it.
    pub async fn commit(&self, txn: Txn) -> Result<Durable, StoreError> {
        self.check(&txn)?;
        self.ask(|reply| Command::Commit { txn, reply }).await
    }

    /// [`Store::commit`] for threads outside the asynchronous runtime.
    pub fn commit_blocking(&self, txn: Txn) -> Result<Durable, StoreError> {
        self.check(&txn)?;
        self.ask_blocking(|reply| Command::Commit { txn, reply })
    }

    fn check(&self, txn: &Txn) -> Result<(), StoreError> {
        // Rows that are stored already were checked when they came.
        txn.check(|key| self.has_section(key))
    }

    /// Writes a backup. Nothing else is written meanwhile.
    pub async fn export(&self, out: Box<dyn std::io::Write + Send>) -> Result<BackupSummary, StoreError> {
        self.ask(|reply| Command::Do(Task::Export { out, reply })).await
    }

    /// [`Store::export`] for threads outside the asynchronous runtime.
    pub fn export_blocking(&self, out: Box<dyn std::io::Write + Send>) -> Result<BackupSummary, StoreError> {
        self.ask_blocking(|reply| Command::Do(Task::Export { out, reply }))
    }

    /// Reads every value, row and reference; returns what is wrong. Nothing is written meanwhile.
    pub async fn verify(&self) -> Result<Vec<Fault>, StoreError> {
        self.ask(|reply| Command::Do(Task::Verify { reply })).await
    }

    /// [`Store::verify`] for threads outside the asynchronous runtime.
    pub fn verify_blocking(&self) -> Result<Vec<Fault>, StoreError> {
        self.ask_blocking(|reply| Command::Do(Task::Verify { reply }))
    }

    /// Builds the software index anew; returns the number of its entries.
    pub async fn reindex(&self) -> Result<u64, StoreError> {
        self.ask(|reply| Command::Do(Task::Reindex { reply })).await
    }

    /// [`Store::reindex`] for threads outside the asynchronous runtime.
    pub fn reindex_blocking(&self) -> Result<u64, StoreError> {
        self.ask_blocking(|reply| Command::Do(Task::Reindex { reply }))
    }

    /// Rewrites the engine's files; returns their size in bytes before and after. Reads wait.
    pub async fn compact(&self) -> Result<(u64, u64), StoreError> {
        self.ask(|reply| Command::Do(Task::Compact { reply })).await
    }

    /// [`Store::compact`] for threads outside the asynchronous runtime.
    pub fn compact_blocking(&self) -> Result<(u64, u64), StoreError> {
        self.ask_blocking(|reply| Command::Do(Task::Compact { reply }))
    }

    /// Writes last-seen now instead of within two seconds.
    pub async fn write_seen(&self) -> Result<(), StoreError> {
        self.ask(|reply| Command::Do(Task::WriteSeen { reply })).await
    }

    /// Stops telling of a loss at every opening: somebody has seen to it.
    pub async fn acknowledge_loss(&self) -> Result<(), StoreError> {
        self.ask(|reply| Command::Do(Task::AcknowledgeLoss { reply })).await
    }

    /// Writes what is left and closes the files. Other handles are refused from then on.
    pub async fn close(self) -> Result<(), StoreError> {
        self.ask(|reply| Command::Close { reply }).await
    }

    /// [`Store::close`] for threads outside the asynchronous runtime.
    pub fn close_blocking(self) -> Result<(), StoreError> {
        self.ask_blocking(|reply| Command::Close { reply })
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Command,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let queue = self.inner.queue.as_ref().ok_or(STOPPED)?;
        queue.send(command(reply)).await.map_err(|_| STOPPED)?;
        answer.await.unwrap_or(Err(STOPPED))
    }

    fn ask_blocking<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Command,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let queue = self.inner.queue.as_ref().ok_or(STOPPED)?;
        queue.blocking_send(command(reply)).map_err(|_| STOPPED)?;
        answer.blocking_recv().unwrap_or(Err(STOPPED))
    }

    /// Figures for operators and metrics.
    pub fn stats(&self) -> StoreStats {
        let shared = &self.inner.shared;
        let bytes_free = space::free(&shared.dir);
        let core = shared.read();
        let record = &core.catalog.record;
        StoreStats {
            engine: core.backend.as_deref().map_or(shared.config.engine, backend::Backend::engine),
            health: shared.health(),
            bytes_on_disk: core.backend.as_deref().and_then(|it| it.size_on_disk().ok()),
            bytes_free,
            admits_reports: shared.health() == Health::Good
                && space::admits(Class::Report, bytes_free, &shared.config),
            sequence: record.sequence,
            assets: core.catalog.asset_count(),
            sections: core.catalog.section_count(),
            events: record.next_event.saturating_sub(record.first_event),
            transactions: shared.transactions.load(Ordering::Relaxed),
            flushes: shared.flushes.load(Ordering::Relaxed),
            flush_p99: shared.flush_p99(),
            real_syncs: real_sync::calls(),
        }
    }

    /// Assets that are shown with these rows.
    pub fn assets_with_section(&self, key: SectionKey) -> Vec<Arc<str>> {
        self.inner.shared.read().catalog.holders(key).cloned().collect()
    }

    /// The ids of all assets, sorted.
    pub fn asset_ids(&self) -> BTreeSet<Arc<str>> {
        self.inner.shared.read().catalog.assets().map(|(id, _)| id.clone()).collect()
    }
}

impl Drop for Inner {
    /// The writer ends when its queue does; waiting for it means that the files are free afterwards.
    fn drop(&mut self) {
        drop(self.queue.take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that panicked has nothing left to close.
            let _ = writer.join();
        }
    }
}
