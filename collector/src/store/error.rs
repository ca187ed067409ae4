//! Why the store could not do something, in words that say what to do next.

use std::io;
use std::path::PathBuf;

use super::backend::{BackendError, Engine};

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is too little space. Nothing was written; it may be tried again later.
    #[error("the disk of the store is full or nearly so: free some space, the store goes on by itself")]
    Full,
    /// The engine is being opened again, or the store was closed. It may be tried again later.
    #[error("the store cannot be used at the moment: {why}")]
    Unavailable {
        /// What it waits for.
        why: &'static str,
    },
    /// Something else has changed what the transaction was based on. Nothing was written.
    #[error("{what} changed in the meantime")]
    Conflict {
        /// What was expected to be as it was.
        what: &'static str,
    },
    /// An asset names rows that are not in the store. Nothing was written: ask for the whole section.
    #[error("the store has no rows for section {digest}")]
    UnknownSection {
        /// Hexadecimal.
        digest: String,
    },
    /// The caller's data is not acceptable. Trying again does not help.
    #[error("{what} cannot be kept: {why}")]
    Invalid {
        /// Which part.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A value is not what was written. Run `store verify`.
    #[error("damaged value in {table}, key {key}: {why}")]
    Corrupt {
        /// Which kind of record.
        table: &'static str,
        /// Hexadecimal.
        key: String,
        /// What was found.
        why: &'static str,
    },
    /// Another process has the store.
    #[error(
        "{} is in use by another process ({holder}): talk to that one, or stop it first", dir.display()
    )]
    Locked {
        /// The store's directory.
        dir: PathBuf,
        /// Its process id, or that it is not known.
        holder: String,
    },
    /// The engine could not be opened.
    #[error("cannot open the {engine} store in {}", dir.display())]
    Open {
        /// Which engine.
        engine: Engine,
        /// Its directory.
        dir: PathBuf,
        /// The engine's answer.
        source: BackendError,
    },
    /// The engine failed.
    #[error("the storage engine failed to {doing}")]
    Engine {
        /// What it was to do.
        doing: &'static str,
        /// The engine's answer.
        source: BackendError,
    },
    /// A file beside the engine could not be used.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was to be done with it.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Writing or reading a backup failed.
    #[error("cannot {doing} the backup")]
    Stream {
        /// "write" or "read".
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// A backup is truncated, altered or of an unknown format. Nothing was restored.
    #[error("the backup cannot be used: {why}")]
    Backup {
        /// What is wrong with it.
        why: &'static str,
    },
    /// A restore needs an empty directory.
    #[error("{} is not empty: move it aside first", dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// A store of a later version.
    #[error("the store has format {found}; this version reads up to {known}")]
    Newer {
        /// In the store.
        found: u32,
        /// What this version writes.
        known: u32,
    },
}

impl StoreError {
    /// Puts an engine's error under what was being done.
    pub(super) fn engine(doing: &'static str) -> impl FnOnce(BackendError) -> StoreError {
        move |source| match source {
            BackendError::Full => StoreError::Full,
            BackendError::Poisoned { .. }
            | BackendError::Corrupt { .. }
            | BackendError::NotSynced
            | BackendError::NotBuilt(_)
            | BackendError::Io { .. } => StoreError::Engine { doing, source },
        }
    }

    /// Puts a system's error under the file that it is about.
    pub(super) fn file(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |source| StoreError::File { doing, path, source }
    }

    /// Whether trying the same again later can help.
    pub fn may_pass(&self) -> bool {
        match self {
            StoreError::Full | StoreError::Unavailable { .. } | StoreError::Engine { .. } => true,
            StoreError::Conflict { .. }
            | StoreError::UnknownSection { .. }
            | StoreError::Invalid { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Locked { .. }
            | StoreError::Open { .. }
            | StoreError::File { .. }
            | StoreError::Stream { .. }
            | StoreError::Backup { .. }
            | StoreError::NotEmpty { .. }
            | StoreError::Newer { .. } => false,
        }
    }
}
