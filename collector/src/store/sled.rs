//! sled 0.34 behind [`Backend`]: the only file that says its name.
//!
//! The guards, each with a test: a real fsync behind the log ([`real_sync`]); half-written
//! snapshots are removed before opening, because sled takes them for the newest; damaged
//! snapshots are set aside, because the log alone is enough; a panic of the engine is an error.
//! One tree and small values only: many trees tear batches, large values become unsynced files.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use super::backend::{Backend, BackendError, Batch, Engine, Entry, MAX_PAGE_BYTES, Repairs, Upkeep};
use super::real_sync;

const CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// Also drives the engine's garbage collection.
const FLUSH_EVERY_MS: u64 = 500;
/// A key above every table; what it holds means nothing.
const PROBE_KEY: &[u8] = &[0xff];
/// sled lets go of its lock a moment after its handle is dropped.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// How often a flush that takes long is looked after, and how many times before it is given up.
const FLUSH_POKE: Duration = Duration::from_secs(1);
const FLUSH_PATIENCE: u32 = 30;
const SNAPSHOT_PREFIX: &str = "snap.";
const HALF_WRITTEN_SUFFIX: &str = ".generating";
/// Does not start like a snapshot, so sled does not look inside.
const ASIDE: &str = "aside";

struct Sled {
    db: sled::Db,
}

/// Opens or creates the database in `dir`.
pub(super) fn open(dir: &Path, upkeep: Upkeep) -> Result<(Box<dyn Backend>, Repairs), BackendError> {
    fs::create_dir_all(dir).map_err(|cause| BackendError::from_io("create its directory", cause))?;
    let mut repairs = Repairs { swept: sweep(dir)?, snapshots_set_aside: false };

    let backend = match open_proven(dir, upkeep) {
        Err(BackendError::Corrupt { .. } | BackendError::Poisoned { .. }) => {
            sweep(dir)?;
            set_snapshots_aside(dir)?;
            repairs.snapshots_set_aside = true;
            open_proven(dir, upkeep)?
        }
        other => other?,
    };
    match fs::remove_dir_all(dir.join(ASIDE)) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            return Err(BackendError::from_io("remove old snapshots", cause));
        }
        _ => {}
    }
    Ok((Box::new(backend), repairs))
}

/// Opens, and proves with a write that a flush reaches the disk.
fn open_proven(dir: &Path, upkeep: Upkeep) -> Result<Sled, BackendError> {
    let backend = Sled { db: open_unlocked(dir, upkeep)? };
    let before = real_sync::calls();
    let mut probe = Batch::default();
    probe.put(PROBE_KEY.to_vec(), before.to_le_bytes().to_vec());
    backend.apply(&probe)?;
    backend.flush()?;
    if real_sync::is_in_effect(before, real_sync::calls()) {
        Ok(backend)
    } else {
        Err(BackendError::NotSynced)
    }
}

fn open_unlocked(dir: &Path, upkeep: Upkeep) -> Result<sled::Db, BackendError> {
    // Without this thread sled collects no garbage. Our durability rests on `flush` either way.
    let flush_every = match upkeep {
        Upkeep::Normal => Some(FLUSH_EVERY_MS),
        Upkeep::Paused => None,
    };
    let mut tries = 0;
    loop {
        let opened = guarded(|| {
            sled::Config::new()
                .path(dir)
                .mode(sled::Mode::LowSpace)
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(flush_every)
                .open()
        });
        match opened {
            Err(BackendError::Io { source, .. }) if is_lock(&source) && tries < LOCK_TRIES => {
                tries += 1;
                thread::sleep(LOCK_PAUSE);
            }
            other => return other,
        }
    }
}

/// sled tells a held lock only by its text.
fn is_lock(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

/// Removes snapshots that were being written when the process or the disk gave up.
fn sweep(dir: &Path) -> Result<usize, BackendError> {
    let mut swept = 0;
    for path in snapshots(dir)? {
        if path.to_string_lossy().ends_with(HALF_WRITTEN_SUFFIX) {
            fs::remove_file(&path).map_err(|cause| BackendError::from_io("sweep a snapshot", cause))?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn set_snapshots_aside(dir: &Path) -> Result<(), BackendError> {
    let aside = dir.join(ASIDE);
    fs::create_dir_all(&aside).map_err(|cause| BackendError::from_io("set snapshots aside", cause))?;
    for path in snapshots(dir)? {
        if let Some(name) = path.file_name() {
            fs::rename(&path, aside.join(name))
                .map_err(|cause| BackendError::from_io("set a snapshot aside", cause))?;
        }
    }
    Ok(())
}

fn snapshots(dir: &Path) -> Result<Vec<std::path::PathBuf>, BackendError> {
    let list = || {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(SNAPSHOT_PREFIX) {
                found.push(entry.path());
            }
        }
        Ok(found)
    };
    list().map_err(|cause| BackendError::from_io("list its snapshots", cause))
}

impl Backend for Sled {
    fn engine(&self) -> Engine {
        Engine::Sled
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(guarded(|| self.db.get(key))?.map(|value| value.to_vec()))
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, BackendError> {
        use std::ops::Bound;

        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        guarded(|| {
            let (mut entries, mut bytes) = (Vec::new(), 0);
            for entry in self.db.range::<&[u8], _>((from, Bound::Unbounded)) {
                let (key, value) = entry?;
                if entries.len() >= max || !key.starts_with(prefix) || key.as_ref() == PROBE_KEY {
                    break;
                }
                bytes += key.len() + value.len();
                if bytes > MAX_PAGE_BYTES && !entries.is_empty() {
                    break;
                }
                entries.push((key.to_vec(), value.to_vec()));
            }
            Ok(entries)
        })
    }

    fn apply(&self, batch: &Batch) -> Result<(), BackendError> {
        let mut changes = sled::Batch::default();
        for (key, value) in batch.changes() {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        guarded(|| self.db.apply_batch(changes))
    }

    fn flush(&self) -> Result<(), BackendError> {
        let db = self.db.clone();
        let flushed = started(move || guarded(|| db.flush()))?;
        for _ in 0..FLUSH_PATIENCE {
            if let Ok(result) = flushed.recv_timeout(FLUSH_POKE) {
                return result.map(|_| ());
            }
            // One of sled's write paths notes an error without waking those who wait for the write
            // (`exit_reservation`). Whoever asks next meets the error and wakes the others.
            let db = self.db.clone();
            drop(started(move || guarded(|| db.flush()))?);
        }
        Err(stuck())
    }

    fn size_on_disk(&self) -> Result<u64, BackendError> {
        guarded(|| self.db.size_on_disk())
    }

    fn close(self: Box<Self>) -> Result<(), BackendError> {
        let flushed = self.flush();
        let db = self.db;
        let closed = started(move || {
            guarded(move || {
                drop(db);
                Ok(())
            })
        })?;
        closed.recv_timeout(FLUSH_POKE * FLUSH_PATIENCE).unwrap_or_else(|_| Err(stuck()))?;
        flushed
    }
}

/// Runs what may wait for ever on a thread of its own.
fn started<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackendError> + Send + 'static,
) -> Result<Receiver<Result<T, BackendError>>, BackendError> {
    let (done, result) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("store-flush".to_owned())
        // A receiver that has given up does not want to know.
        .spawn(move || drop(done.send(work())))
        .map_err(|cause| BackendError::from_io("start a thread", cause))?;
    Ok(result)
}

fn stuck() -> BackendError {
    BackendError::Poisoned { detail: "a flush did not come back; restart this program".to_owned() }
}

/// Runs the engine; it panics on damaged files and on its own mistakes.
fn guarded<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, BackendError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(sorted),
        Err(panic) => {
            let detail = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
                .unwrap_or_else(|| "it panicked".to_owned());
            Err(BackendError::Poisoned { detail })
        }
    }
}

fn sorted(error: sled::Error) -> BackendError {
    match error {
        sled::Error::Io(cause) => BackendError::from_io("read or write its files", cause),
        sled::Error::Corruption { at, .. } => BackendError::Corrupt { detail: format!("at {at:?}") },
        sled::Error::ReportableBug(detail) => BackendError::Poisoned { detail },
        sled::Error::Unsupported(detail) => BackendError::Corrupt { detail },
        sled::Error::CollectionNotFound(_) => {
            BackendError::Corrupt { detail: "its tree is missing".to_owned() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_one_entry(dir: &Path) {
        let (backend, _) = open(dir, Upkeep::Normal).unwrap();
        let mut batch = Batch::default();
        batch.put(b"k".to_vec(), b"v".to_vec());
        backend.apply(&batch).unwrap();
        backend.close().unwrap();
    }

    #[test]
    fn a_half_written_snapshot_is_swept_and_nothing_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        with_one_entry(dir.path());
        let half = dir.path().join("snap.FFFFFFFFFFFFFFFF.generating");
        fs::write(&half, b"garbage that sorts after every real snapshot").unwrap();

        let (backend, repairs) = open(dir.path(), Upkeep::Normal).unwrap();

        assert_eq!(repairs, Repairs { swept: 1, snapshots_set_aside: false });
        assert!(!half.exists());
        assert_eq!(backend.get(b"k").unwrap().as_deref(), Some(&b"v"[..]));
    }

    #[test]
    fn damaged_snapshots_are_set_aside_and_the_log_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        with_one_entry(dir.path());
        fs::write(dir.path().join("snap.FFFFFFFFFFFFFFFF"), b"not a snapshot at all, but long enough")
            .unwrap();

        let (backend, repairs) = open(dir.path(), Upkeep::Normal).unwrap();

        assert!(repairs.snapshots_set_aside);
        assert_eq!(backend.get(b"k").unwrap().as_deref(), Some(&b"v"[..]));
        assert!(!dir.path().join(ASIDE).exists());
    }

    #[test]
    fn a_flush_goes_through_our_sync() {
        let dir = tempfile::tempdir().unwrap();
        let (backend, _) = open(dir.path(), Upkeep::Normal).unwrap();
        let before = real_sync::calls();
        let mut batch = Batch::default();
        batch.put(b"k".to_vec(), b"v".to_vec());
        backend.apply(&batch).unwrap();
        backend.flush().unwrap();
        assert!(real_sync::is_in_effect(before, real_sync::calls()));
    }

    #[test]
    fn leaves_of_the_largest_values_never_become_unsynced_files() {
        let dir = tempfile::tempdir().unwrap();
        let (backend, _) = open(dir.path(), Upkeep::Normal).unwrap();
        for round in 0..4_u8 {
            for number in 0..200_u8 {
                let key = [b"A".as_slice(), &[number.reverse_bits()], &[0; 250]].concat();
                let mut batch = Batch::default();
                crate::store::value::put_new(&mut batch, key, &[round; crate::store::value::MAX_PIECE]);
                backend.apply(&batch).unwrap();
            }
            backend.flush().unwrap();
            let files = fs::read_dir(dir.path().join("blobs")).unwrap().count();
            assert_eq!(files, 0, "written without a sync");
        }
    }

    #[test]
    fn a_panic_of_the_engine_is_an_error() {
        let panicked = guarded::<()>(|| panic!("tried to serialize"));
        assert!(matches!(panicked, Err(BackendError::Poisoned { detail }) if detail == "tried to serialize"));
    }
}
