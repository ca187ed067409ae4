//! redb behind [`Backend`]: the only file that says its name.
//!
//! One table. A batch commits without durability; a flush is one durable commit that carries a
//! counter, so that it is never an empty one. A panic of the engine is an error.

use std::fs;
use std::io::ErrorKind;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::backend::{Backend, BackendError, Batch, Engine, Entry, MAX_PAGE_BYTES, Repairs};

const CACHE_BYTES: usize = 32 * 1024 * 1024;
const FILE: &str = "store.redb";
const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");
const FLUSHES: TableDefinition<'_, (), u64> = TableDefinition::new("flushes");

struct Redb {
    db: Database,
    file: PathBuf,
}

/// Opens or creates the database in `dir`.
pub(super) fn open(dir: &Path) -> Result<(Box<dyn Backend>, Repairs), BackendError> {
    fs::create_dir_all(dir).map_err(|cause| BackendError::from_io("create its directory", cause))?;
    let file = dir.join(FILE);
    let db = guarded(|| Ok(Database::builder().set_cache_size(CACHE_BYTES).create(&file)?))?;
    let backend = Redb { db, file };
    backend.write(Durability::Immediate, |_, _| Ok(()))?;
    super::files::sync_dir(dir).map_err(|cause| BackendError::from_io("sync its directory", cause))?;
    Ok((Box::new(backend), Repairs::default()))
}

type Entries<'txn> = redb::Table<'txn, &'static [u8], &'static [u8]>;
type Flushes<'txn> = redb::Table<'txn, (), u64>;

impl Redb {
    fn write(
        &self,
        durability: Durability,
        change: impl FnOnce(&mut Entries<'_>, &mut Flushes<'_>) -> Result<(), redb::Error>,
    ) -> Result<(), BackendError> {
        guarded(|| {
            let mut txn = self.db.begin_write()?;
            txn.set_durability(durability)?;
            {
                let mut entries = txn.open_table(ENTRIES)?;
                let mut flushes = txn.open_table(FLUSHES)?;
                change(&mut entries, &mut flushes)?;
            }
            Ok(txn.commit()?)
        })
    }
}

impl Backend for Redb {
    fn engine(&self) -> Engine {
        Engine::Redb
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        guarded(|| {
            let entries = self.db.begin_read()?.open_table(ENTRIES)?;
            Ok(entries.get(key)?.map(|value| value.value().to_vec()))
        })
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, BackendError> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        guarded(|| {
            let table = self.db.begin_read()?.open_table(ENTRIES)?;
            let (mut entries, mut bytes) = (Vec::new(), 0);
            for entry in table.range::<&[u8]>((from, Bound::Unbounded))? {
                let (key, value) = entry?;
                let (key, value) = (key.value(), value.value());
                if entries.len() >= max || !key.starts_with(prefix) {
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
        self.write(Durability::None, |entries, _| {
            for (key, value) in batch.changes() {
                match value {
                    Some(value) => drop(entries.insert(key, value)?),
                    None => drop(entries.remove(key)?),
                }
            }
            Ok(())
        })
    }

    fn flush(&self) -> Result<(), BackendError> {
        self.write(Durability::Immediate, |_, flushes| {
            let count = flushes.get(())?.map_or(0, |count| count.value());
            flushes.insert((), count.wrapping_add(1))?;
            Ok(())
        })
    }

    fn size_on_disk(&self) -> Result<u64, BackendError> {
        fs::metadata(&self.file)
            .map(|it| it.len())
            .map_err(|cause| BackendError::from_io("measure its file", cause))
    }

    fn close(self: Box<Self>) -> Result<(), BackendError> {
        let flushed = self.flush();
        let db = self.db;
        guarded(move || {
            drop(db);
            Ok(())
        })?;
        flushed
    }
}

fn guarded<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, BackendError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(sorted),
        Err(_) => Err(BackendError::Poisoned { detail: "it panicked".to_owned() }),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the engine's enum is non-exhaustive; the rest is misuse")]
fn sorted(error: redb::Error) -> BackendError {
    match error {
        redb::Error::Io(cause)
            if matches!(cause.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
        {
            BackendError::Corrupt { detail: cause.to_string() }
        }
        redb::Error::Io(cause) => BackendError::from_io("read or write its file", cause),
        redb::Error::Corrupted(detail) => BackendError::Corrupt { detail },
        redb::Error::UpgradeRequired(version) => {
            BackendError::Corrupt { detail: format!("file format {version} is not readable") }
        }
        other => BackendError::Poisoned { detail: other.to_string() },
    }
}
