//! The state directory: one agent's identity, sequence and memory of time.
//!
//! ```text
//! lock       held while an agent uses the directory
//! sequence   number of the last report that was made, whether it arrived or not
//! machine    fingerprint of the machine that was seen last (32 bytes), for check-ins before a look
//! believed   the latest time that there was reason to believe, Unix milliseconds
//! held/      see `held`       journal   see `journal`       key.pem ...   see `common::credentials`
//! ```
//! The directory is the owner's alone (mode 0700; on Windows also administrators', SYSTEM's and the agent's
//! own service's). Everything in it together stays under 16 MiB.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::private;
use holdpoint_common::section::Digest;

const LOCK: &str = "lock";
const SEQUENCE: &str = "sequence";
const MACHINE: &str = "machine";
const BELIEVED: &str = "believed";

/// The believed time is written again when it moved this far, in milliseconds: an hour.
const BELIEVED_STEP_MS: i64 = 60 * 60 * 1_000;

/// An open state directory.
#[derive(Debug)]
pub struct State {
    dir: PathBuf,
    sequence: u64,
    believed_ms: i64,
    machine: Option<Digest>,
    /// Released when the agent ends, however it ends.
    _lock: File,
}

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory cannot be made.
    #[error("cannot make {}", path.display())]
    Make {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another agent uses it.
    #[error("another agent uses {}: stop it first", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
}

impl State {
    /// Opens a state directory and makes it when it is not there.
    ///
    /// # Errors
    /// It cannot be made, read or locked.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        make(dir).map_err(|source| StateError::Make { path: dir.to_owned(), source })?;
        let path = dir.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| StateError::Write { path: path.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse { path: dir.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(StateError::Write { path, source }),
        }
        Ok(Self {
            sequence: number(&dir.join(SEQUENCE))?.unwrap_or(0),
            believed_ms: number(&dir.join(BELIEVED))?.unwrap_or(0),
            machine: machine(&dir.join(MACHINE))?,
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Number of the last report that was made; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The number of the next report, which is on disk before the report can be sent.
    ///
    /// # Errors
    /// It cannot be written; then no report may be made.
    pub fn next_sequence(&mut self) -> Result<u64, StateError> {
        self.write_sequence(self.sequence.saturating_add(1))
    }

    /// The collector has seen this number: the next one is higher.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn raise_sequence(&mut self, floor: u64) -> Result<(), StateError> {
        if floor > self.sequence { self.write_sequence(floor).map(|_| ()) } else { Ok(()) }
    }

    /// The latest time that was written down, Unix milliseconds; 0 when none was.
    pub fn believed_ms(&self) -> i64 {
        self.believed_ms
    }

    /// Fingerprint of the machine that was seen last; `None` before the first look.
    pub fn machine(&self) -> Option<Digest> {
        self.machine
    }

    /// Writes down which machine was seen, when it is another one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_machine(&mut self, fingerprint: Digest) -> Result<(), StateError> {
        if self.machine != Some(fingerprint) {
            self.write(MACHINE, fingerprint.as_bytes())?;
            self.machine = Some(fingerprint);
        }
        Ok(())
    }

    /// Writes a time down when it moved far enough to matter after a restart.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_believed(&mut self, at_ms: i64) -> Result<(), StateError> {
        if at_ms < self.believed_ms.saturating_add(BELIEVED_STEP_MS) {
            return Ok(());
        }
        self.write(BELIEVED, at_ms.to_string().as_bytes())?;
        self.believed_ms = at_ms;
        Ok(())
    }

    fn write_sequence(&mut self, sequence: u64) -> Result<u64, StateError> {
        self.write(SEQUENCE, sequence.to_string().as_bytes())?;
        self.sequence = sequence;
        Ok(sequence)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.dir.join(name);
        atomic_file::replace(&path, bytes, Readable::Agent)
            .map_err(|source| StateError::Write { path, source })
    }
}

/// A number in a file; one that is damaged counts as absent, because the collector knows the
/// highest sequence and the time too.
fn number<N: std::str::FromStr>(path: &Path) -> Result<Option<N>, StateError> {
    match fs::read(path) {
        Ok(bytes) => Ok(std::str::from_utf8(&bytes).ok().and_then(|it| it.trim().parse().ok())),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::Read { path: path.to_owned(), source }),
    }
}

/// A fingerprint in a file; one that is damaged counts as absent, because the next look finds it.
fn machine(path: &Path) -> Result<Option<Digest>, StateError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Digest::try_from(bytes.as_slice()).ok()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::Read { path: path.to_owned(), source }),
    }
}

/// Makes a state directory when it is not there.
///
/// # Errors
/// It cannot be made.
pub fn make(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent)?;
    }
    private::create_directory(dir, Readable::Agent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_on_disk_before_it_is_used_and_never_comes_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let mut state = State::open(&path).unwrap();
        assert_eq!(state.sequence(), 0);
        assert_eq!(state.next_sequence().unwrap(), 1);
        assert_eq!(fs::read(path.join(SEQUENCE)).unwrap(), b"1");
        state.raise_sequence(40).unwrap();
        state.raise_sequence(3).unwrap();
        drop(state);
        assert_eq!(State::open(&path).unwrap().next_sequence().unwrap(), 41);
    }

    #[test]
    fn a_sequence_that_cannot_be_written_is_not_given_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = State::open(dir.path()).unwrap();
        fs::create_dir(dir.path().join("sequence.new")).unwrap();
        assert!(state.next_sequence().is_err());
        assert_eq!(state.sequence(), 0);
    }

    #[test]
    fn a_damaged_number_is_healed_by_the_collector() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(SEQUENCE), [0xff, 0]).unwrap();
        let mut state = State::open(dir.path()).unwrap();
        assert_eq!(state.sequence(), 0);
        state.raise_sequence(7).unwrap();
        assert_eq!(state.next_sequence().unwrap(), 8);
    }

    #[test]
    fn the_machine_is_known_after_a_restart_unless_its_file_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let seen = Digest::of(b"this machine");
        let mut state = State::open(dir.path()).unwrap();
        assert_eq!(state.machine(), None);
        state.keep_machine(seen).unwrap();
        drop(state);
        assert_eq!(State::open(dir.path()).unwrap().machine(), Some(seen));
        fs::write(dir.path().join(MACHINE), b"short").unwrap();
        assert_eq!(State::open(dir.path()).unwrap().machine(), None);
    }

    #[test]
    fn two_agents_cannot_share_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = State::open(dir.path()).unwrap();
        assert!(matches!(State::open(dir.path()), Err(StateError::InUse { .. })));
        drop(first);
        State::open(dir.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn the_directory_is_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/state");
        State::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn the_believed_time_is_written_by_the_hour() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = State::open(dir.path()).unwrap();
        state.keep_believed(1_000).unwrap();
        assert!(!dir.path().join(BELIEVED).exists());
        state.keep_believed(BELIEVED_STEP_MS).unwrap();
        drop(state);
        assert_eq!(State::open(dir.path()).unwrap().believed_ms(), BELIEVED_STEP_MS);
    }
}
