//! What a storage engine has to offer: ordered keys, bytes, atomic batches, and a flush that means it.
//!
//! Knows nothing of assets or sections and lets no engine's type out. The source of truth for
//! what every engine must do is the conformance suite beside this file.

use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;

/// Largest number of bytes that one page brings; a page always has one entry if there is one.
pub(crate) const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// A key with its value, as the engine keeps them.
pub(crate) type Entry = (Vec<u8>, Vec<u8>);

/// Keys and bytes on disk, owned by one process.
pub(crate) trait Backend: Send + Sync {
    /// Which engine this is.
    fn engine(&self) -> Engine;

    /// The value of a key; `None` when there is none.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError>;

    /// Entries whose keys start with `prefix` and are greater than `after`, in the order of
    /// their bytes: at most `max`, at most [`MAX_PAGE_BYTES`]. Only an empty page is the end.
    fn page(&self, prefix: &[u8], after: Option<&[u8]>, max: usize) -> Result<Vec<Entry>, BackendError>;

    /// Applies all of a batch or nothing, also across a crash. It is not durable yet.
    fn apply(&self, batch: &Batch) -> Result<(), BackendError>;

    /// Returns when every batch applied so far would survive a power cut.
    fn flush(&self) -> Result<(), BackendError>;

    /// Bytes that the engine's files take.
    fn size_on_disk(&self) -> Result<u64, BackendError>;

    /// Flushes and lets go of the files.
    fn close(self: Box<Self>) -> Result<(), BackendError>;
}

/// Changes that happen together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    bytes: usize,
}

impl Batch {
    /// Sets a key. A later change of the same key wins.
    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.changes.push((key, Some(value)));
    }

    /// Removes a key, whether or not it is there.
    pub(crate) fn delete(&mut self, key: Vec<u8>) {
        self.bytes += key.len();
        self.changes.push((key, None));
    }

    /// The changes in the order in which they were made; `None` removes.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// Bytes of keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of changes.
    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether nothing would change.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Why an engine could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// No space left on the device, or the quota is used up.
    #[error("no space is left on the device")]
    Full,
    /// An earlier error or a panic has made this handle useless; the files must be opened again.
    #[error("the engine has stopped after an earlier fault ({detail}); it must be opened again")]
    Poisoned {
        /// The engine's own words.
        detail: String,
    },
    /// The engine's files contradict themselves.
    #[error("the engine's files are damaged ({detail})")]
    Corrupt {
        /// The engine's own words.
        detail: String,
    },
    /// Writes would not be forced to the disk.
    #[error(
        "a flush does not reach the disk: this program's `sync_file_range` is not the one that the engine \
         calls, so acknowledged data could be lost in a power cut; use the released program, or convert the \
         store to redb"
    )]
    NotSynced,
    /// This program was built without the engine.
    #[error("this program was built without the engine {0}")]
    NotBuilt(Engine),
    /// The operating system refused.
    #[error("the engine could not {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl BackendError {
    /// Sorts an error of the operating system: a full disk is a state, not a fault.
    pub(crate) fn from_io(doing: &'static str, source: io::Error) -> Self {
        if is_full(&source) { Self::Full } else { Self::Io { doing, source } }
    }
}

/// Whether the system says that there is no space.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The storage engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// sled 0.34, with the guards of this module.
    #[default]
    Sled,
    /// redb, the cargo feature `store-redb`.
    Redb,
}

impl Engine {
    /// Every engine that this program was built with.
    pub const BUILT: &[Engine] =
        if cfg!(feature = "store-redb") { &[Engine::Sled, Engine::Redb] } else { &[Engine::Sled] };

    /// The name in the marker file and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Sled => "sled",
            Engine::Redb => "redb",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, UnknownEngine> {
        match name {
            "sled" => Ok(Engine::Sled),
            "redb" => Ok(Engine::Redb),
            _ => Err(UnknownEngine { name: name.to_owned() }),
        }
    }
}

/// There is no engine of that name.
#[derive(Debug, thiserror::Error)]
#[error("there is no storage engine {name:?}; it is sled or redb")]
pub struct UnknownEngine {
    name: String,
}

/// What opening an engine had to repair.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repairs {
    /// Half-written snapshots that were removed.
    pub(crate) swept: usize,
    /// The snapshots were damaged; the log was read in their stead.
    pub(crate) snapshots_set_aside: bool,
}

/// Whether an engine may write on its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upkeep {
    /// It tidies its files in the background.
    Normal,
    /// Space is short: tidying takes space before it gives any, so it waits.
    Paused,
}

/// Opens the files of an engine in `dir`, which is created when it is missing.
pub(crate) fn open(
    engine: Engine,
    dir: &Path,
    upkeep: Upkeep,
) -> Result<(Box<dyn Backend>, Repairs), BackendError> {
    match engine {
        Engine::Sled => super::sled::open(dir, upkeep),
        #[cfg(feature = "store-redb")]
        Engine::Redb => super::redb::open(dir),
        #[cfg(not(feature = "store-redb"))]
        Engine::Redb => Err(BackendError::NotBuilt(engine)),
    }
}
