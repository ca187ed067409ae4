//! The one thread that writes.
//!
//! It takes transactions from a bounded queue, applies each as a batch of its own, flushes once
//! for all that were waiting, and only then answers. It also writes last-seen, the marker and the
//! ballast, and opens the engine again after a fault. It uses the monotonic clock for its pace
//! and nothing else.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use prost::Message;
use tokio::sync::{mpsc, oneshot};

use super::backend::{self, BackendError, Batch, Upkeep};
use super::catalog::Catalog;
use super::error::StoreError;
use super::export::{self, BackupSummary};
use super::keys::Table;
use super::lock::Lock;
use super::maintain::{self, Fault, NotRewritten};
use super::marker::Marker;
use super::open::{self, data_dir};
use super::plan::{self, plan};
use super::shared::{Health, Shared};
use super::txn::Txn;
use super::{space, value};

/// Transactions that may wait; more make their callers wait.
pub(super) const QUEUE: usize = 256;
/// A group is closed at so many transactions, bytes, or this long after it was begun.
const GROUP_TXNS: usize = 64;
const GROUP_BYTES: usize = 256 * 1024;
const GROUP_TIME: Duration = Duration::from_millis(20);
/// Losing the last two seconds of last-seen harms nobody.
const SEEN_EVERY: Duration = Duration::from_secs(2);
const SEEN_PER_BATCH: usize = 256;
const MARKER_EVERY: Duration = Duration::from_secs(1);
const RETRY_EVERY: Duration = Duration::from_secs(1);
const SPACE_EVERY: Duration = Duration::from_secs(5);
/// How long the thread sleeps when nothing happens.
const TICK: Duration = Duration::from_millis(250);

/// A transaction is on disk and survives a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Durable {
    /// Its number; every later transaction has a higher one.
    pub sequence: u64,
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked for.
pub(super) enum Command {
    Commit { txn: Txn, reply: Reply<Durable> },
    Do(Task),
    Close { reply: Reply<()> },
}

/// What is done between two groups.
pub(super) enum Task {
    Export { out: Box<dyn Write + Send>, reply: Reply<BackupSummary> },
    Verify { reply: Reply<Vec<Fault>> },
    Reindex { reply: Reply<u64> },
    Compact { reply: Reply<(u64, u64)> },
    WriteSeen { reply: Reply<()> },
    AcknowledgeLoss { reply: Reply<()> },
}

/// Owns the engine's files.
pub(super) struct Writer {
    shared: Arc<Shared>,
    marker: Marker,
    marker_stale: bool,
    upkeep: Upkeep,
    marker_at: Instant,
    seen_at: Instant,
    retry_at: Instant,
    space_at: Instant,
    _lock: Lock,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, marker: Marker, lock: Lock, upkeep: Upkeep, now: Instant) -> Self {
        Self {
            shared,
            marker,
            marker_stale: false,
            upkeep,
            marker_at: now,
            seen_at: now,
            retry_at: now,
            space_at: now,
            _lock: lock,
        }
    }

    /// Works until the last handle is gone or somebody closes the store.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let closing = loop {
            let command = match tokio::time::timeout(TICK, queue.recv()).await {
                Ok(Some(command)) => command,
                Ok(None) => break None,
                Err(_) => {
                    self.keep_house(Instant::now());
                    continue;
                }
            };
            let mut next = Some(command);
            let mut closing = None;
            while let Some(command) = next.take() {
                match command {
                    Command::Commit { txn, reply } => next = self.group(txn, reply, &mut queue),
                    Command::Close { reply } => closing = Some(reply),
                    Command::Do(task) => self.maintain(task),
                }
            }
            if closing.is_some() {
                break closing;
            }
            self.keep_house(Instant::now());
        };
        queue.close();
        let closed = self.close();
        if let Err(error) = &closed {
            tracing::error!(error = error as &dyn std::error::Error, "the store did not close cleanly");
        }
        if let Some(reply) = closing {
            // The lock must be free when the caller hears of it.
            drop(self);
            answer(reply, closed);
        }
    }

    /// Applies transactions until the queue is empty or the group is full, flushes, answers.
    /// Returns a command of another kind that it met.
    fn group(
        &mut self,
        first: Txn,
        reply: Reply<Durable>,
        queue: &mut mpsc::Receiver<Command>,
    ) -> Option<Command> {
        let begun = Instant::now();
        let (mut waiting, mut bytes, mut other) = (Vec::new(), 0, None);
        let mut next = Some((first, reply));
        while let Some((txn, reply)) = next.take() {
            match self.apply(&txn) {
                Ok((durable, written)) => {
                    bytes += written;
                    waiting.push((durable, reply));
                }
                Err(error) => answer(reply, Err(error)),
            }
            if waiting.len() >= GROUP_TXNS || bytes >= GROUP_BYTES || begun.elapsed() >= GROUP_TIME {
                break;
            }
            match queue.try_recv() {
                Ok(Command::Commit { txn, reply }) => next = Some((txn, reply)),
                Ok(command) => other = Some(command),
                Err(_) => {}
            }
        }
        if waiting.is_empty() {
            return other;
        }
        match self.flush() {
            Ok(()) => {
                for (durable, reply) in waiting {
                    self.shared.transactions.fetch_add(1, Ordering::Relaxed);
                    self.marker.sequence = self.marker.sequence.max(durable.sequence);
                    self.marker_stale = true;
                    answer(reply, Ok(durable));
                }
            }
            Err(error) => {
                for (_, reply) in waiting {
                    answer(reply, Err(refusal(&error)));
                }
            }
        }
        other
    }

    fn apply(&mut self, txn: &Txn) -> Result<(Durable, usize), StoreError> {
        let shared = self.shared.clone();
        match shared.health() {
            Health::Good => {}
            Health::Full => return Err(StoreError::Full),
            Health::Failed => {
                return Err(StoreError::Unavailable { why: "the engine is being opened again" });
            }
        }
        if !space::admits(txn.class, space::free(&shared.dir), &shared.config) {
            return Err(StoreError::Full);
        }
        let planned = {
            let core = shared.read();
            plan(core.view(&shared.cache)?, txn, shared.config.max_events)?
        };
        let plan::Plan { batch, change, forgotten } = planned;
        let durable = Durable { sequence: change.record.sequence };
        let mut core = shared.write();
        let applied = core.view(&shared.cache)?.backend.apply(&batch);
        if let Err(error) = applied {
            drop(core);
            self.fail(&error);
            return Err(refusal(&error));
        }
        core.catalog.apply(change);
        drop(core);
        let mut seen = shared.seen();
        for id in forgotten {
            seen.forget(&id);
        }
        Ok((durable, batch.bytes()))
    }

    fn flush(&mut self) -> Result<(), BackendError> {
        let begun = Instant::now();
        let flushed = match self.shared.read().backend.as_deref() {
            Some(backend) => backend.flush(),
            None => Err(BackendError::Poisoned { detail: "it is closed".to_owned() }),
        };
        self.shared.flushed(begun.elapsed());
        if let Err(error) = &flushed {
            self.fail(error);
        }
        flushed
    }

    fn fail(&mut self, error: &BackendError) {
        let health = if matches!(error, BackendError::Full) { Health::Full } else { Health::Failed };
        self.shared.set_health(health);
        tracing::error!(
            error = error as &dyn std::error::Error,
            "the store's engine has stopped taking writes"
        );
    }

    /// After a fault: closes the engine, sweeps, opens it again. Engines keep their first error
    /// for ever. While there is no space to open, the old handle stays, because it still reads.
    fn recover(&mut self) {
        let shared = self.shared.clone();
        if shared.health() == Health::Full && space::free(&shared.dir).is_some_and(|it| it < space::TO_OPEN) {
            space::release_ballast(&shared.dir);
            if space::free(&shared.dir).is_some_and(|it| it < space::TO_OPEN) {
                return;
            }
        }
        let mut core = shared.write();
        if let Some(backend) = core.backend.take() {
            // It has failed already; what was acknowledged is on disk.
            let _ = backend.close();
        }
        self.upkeep = space::upkeep(&shared.dir, &shared.config);
        let opened =
            backend::open(self.marker.engine, &data_dir(&shared.dir, self.marker.engine), self.upkeep)
                .map_err(StoreError::engine("open again"))
                .and_then(|(backend, _)| {
                    Catalog::load(backend.as_ref()).map(|(catalog, _)| (backend, catalog))
                });
        match opened {
            Ok((backend, catalog)) => {
                self.marker.lost = open::loss(Some(&self.marker), &catalog.record);
                if let Some(lost) = self.marker.lost {
                    tracing::error!(?lost, "acknowledged data is missing after the engine was opened again");
                }
                self.marker_stale = true;
                *core = super::shared::Core { backend: Some(backend), catalog };
                shared.set_health(Health::Good);
                tracing::info!("the store's engine takes writes again");
            }
            Err(error) => {
                let health = if matches!(error, StoreError::Full) { Health::Full } else { Health::Failed };
                shared.set_health(health);
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the store's engine cannot be opened yet"
                );
            }
        }
    }

    fn keep_house(&mut self, now: Instant) {
        if self.shared.suspect.swap(false, Ordering::Relaxed) && self.shared.health() == Health::Good {
            // The engine's background threads meet faults too; after one, not all reads are answered.
            let short = space::free(&self.shared.dir).is_some_and(|it| it < space::TO_OPEN);
            let detail = "it refused a read".to_owned();
            self.fail(&if short { BackendError::Full } else { BackendError::Poisoned { detail } });
        }
        if self.shared.health() != Health::Good && now >= self.retry_at {
            self.recover();
            self.retry_at = Instant::now() + RETRY_EVERY;
        }
        if now >= self.seen_at + SEEN_EVERY {
            self.seen_at = now;
            // Whatever could not be written stays for the next time.
            let _ = self.write_seen();
        }
        if self.marker_stale && now >= self.marker_at + MARKER_EVERY {
            self.marker_at = now;
            self.write_marker();
        }
        if now >= self.space_at + SPACE_EVERY {
            self.space_at = now;
            self.look_after_space();
        }
    }

    /// Keeps the ballast, and lets the engine tidy its files only while there is space for it.
    fn look_after_space(&mut self) {
        let shared = self.shared.clone();
        if shared.health() != Health::Good {
            return;
        }
        if let Err(error) = space::restore_ballast(&shared.dir, &shared.config) {
            tracing::warn!(error = &error as &dyn std::error::Error, "the store's ballast could not be made");
        }
        // With the ballast back there is more than the mark, so this does not swing to and fro.
        let ample = shared.config.ballast_bytes == 0 || space::has_ballast(&shared.dir);
        let change = match (self.upkeep, space::upkeep(&shared.dir, &shared.config)) {
            // Without space to open, the handle that is open is worth more.
            (Upkeep::Normal, Upkeep::Paused) => {
                space::free(&shared.dir).is_none_or(|it| it >= space::TO_OPEN)
            }
            (Upkeep::Paused, Upkeep::Normal) => ample,
            (Upkeep::Normal, Upkeep::Normal) | (Upkeep::Paused, Upkeep::Paused) => false,
        };
        if change {
            self.recover();
        }
    }

    fn write_marker(&mut self) {
        match self.marker.write(&self.shared.dir) {
            Ok(()) => self.marker_stale = false,
            // The old one is still true; it is written when there is space.
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the store's marker could not be written"
                );
            }
        }
    }

    fn write_seen(&mut self) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        let mut written = false;
        loop {
            if shared.health() != Health::Good {
                return Err(StoreError::Unavailable { why: "the engine is being opened again" });
            }
            if !space::admits(super::txn::Class::Admin, space::free(&shared.dir), &shared.config) {
                return Err(StoreError::Full);
            }
            let dirty = shared.seen().take_dirty(SEEN_PER_BATCH);
            if dirty.is_empty() {
                break;
            }
            let mut batch = Batch::default();
            for (id, record) in &dirty {
                value::put_new(&mut batch, Table::Seen.key(id.as_bytes()), &record.encode_to_vec());
            }
            let applied = shared.read().view(&shared.cache)?.backend.apply(&batch);
            if let Err(error) = applied {
                shared.seen().put_back(dirty);
                self.fail(&error);
                return Err(refusal(&error));
            }
            written = true;
        }
        if written { self.flush().map_err(|error| refusal(&error)) } else { Ok(()) }
    }

    fn maintain(&mut self, task: Task) {
        let shared = self.shared.clone();
        match task {
            Task::Export { mut out, reply } => {
                let _ = self.write_seen();
                let core = shared.read();
                let record = &core.catalog.record;
                let done = core.view(&shared.cache).and_then(|view| {
                    export::export(view.backend, (&record.id, record.sequence), out.as_mut())
                });
                answer(reply, done);
            }
            Task::Verify { reply } => {
                let core = shared.read();
                answer(reply, core.view(&shared.cache).and_then(maintain::verify));
            }
            Task::Reindex { reply } => {
                let mut core = shared.write();
                let super::shared::Core { backend, catalog } = &mut *core;
                let done = match backend.as_deref() {
                    Some(backend) => maintain::reindex(backend, catalog, &shared.cache),
                    None => Err(StoreError::Unavailable { why: "it is being opened again" }),
                };
                answer(reply, done);
            }
            Task::Compact { reply } => answer(reply, self.compact()),
            Task::WriteSeen { reply } => answer(reply, self.write_seen()),
            Task::AcknowledgeLoss { reply } => {
                self.marker.lost = None;
                answer(reply, self.marker.write(&shared.dir));
            }
        }
    }

    fn compact(&mut self) -> Result<(u64, u64), StoreError> {
        let shared = self.shared.clone();
        let mut core = shared.write();
        let measure = StoreError::engine("measure its files");
        let before = core.view(&shared.cache)?.backend.size_on_disk().map_err(measure)?;
        let record = core.catalog.record.clone();
        let Some(backend) = core.backend.take() else {
            return Err(StoreError::Unavailable { why: "it is being opened again" });
        };
        match maintain::rewrite(&shared.dir, backend, &record) {
            Ok(backend) => {
                let after = backend.size_on_disk();
                core.backend = Some(backend);
                Ok((before, after.map_err(StoreError::engine("measure its files"))?))
            }
            Err(NotRewritten { kept: Some(old), error }) => {
                core.backend = Some(old);
                Err(error)
            }
            Err(NotRewritten { kept: None, error }) => {
                drop(core);
                shared.set_health(Health::Failed);
                self.recover();
                Err(error)
            }
        }
    }

    fn close(&mut self) -> Result<(), StoreError> {
        let seen = self.write_seen();
        if self.marker_stale {
            self.write_marker();
        }
        let backend = self.shared.write().backend.take();
        let closed = backend.map_or(Ok(()), |it| it.close().map_err(StoreError::engine("close")));
        match seen {
            // Last-seen may be lost; that is no reason to call the store unclean.
            Err(StoreError::Full | StoreError::Unavailable { .. }) | Ok(()) => closed,
            Err(error) => closed.and(Err(error)),
        }
    }
}

/// What callers hear of a fault of the engine.
fn refusal(error: &BackendError) -> StoreError {
    if matches!(error, BackendError::Full) {
        StoreError::Full
    } else {
        StoreError::Unavailable { why: "the engine has failed and is being opened again" }
    }
}

/// A caller that went away does not want to know.
fn answer<T>(reply: Reply<T>, result: Result<T, StoreError>) {
    let _ = reply.send(result);
}
