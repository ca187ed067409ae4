//! The running system itself: its version, its boot, its processes and volumes.

#[cfg(windows)]
pub(super) mod live;
// Laid out by Windows and read in every test.
#[cfg(any(windows, test))]
mod process_list;

use std::fmt;
use std::io;
use std::time::SystemTime;

/// The running system itself: its version, its boot, its processes and volumes.
pub trait System: fmt::Debug + Send + Sync {
    /// Every volume with a drive letter that is fixed in the machine.
    ///
    /// # Errors
    /// The system refuses.
    fn volumes(&self) -> io::Result<Vec<Volume>>;

    /// When the system started, by the clock of that moment, in units of 100 ns since 1601. It never moves
    /// while the system runs: not when the clock is set, and not over sleep or hibernation.
    ///
    /// # Errors
    /// The system refuses.
    fn booted(&self) -> io::Result<u64>;

    /// Every process that runs a program, in no order. Every user may ask.
    ///
    /// # Errors
    /// The system refuses, or has more of them than anybody needs.
    fn processes(&self) -> io::Result<Vec<Process>>;

    /// When the file came to be that stands at a path now, and when its content last changed. The path is
    /// one that [`System::processes`] gave.
    ///
    /// # Errors
    /// Nothing stands there (`NotFound`), or it may not be looked at (`PermissionDenied`).
    fn file_times(&self, path: &str) -> io::Result<FileTimes>;
}

/// A volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Volume {
    /// Its root: `C:\`.
    pub root: String,
    /// File system: `NTFS`.
    pub file_system: String,
    /// Size, bytes.
    pub total_bytes: u64,
    /// Free for everybody, bytes.
    pub free_bytes: u64,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Path of its program when it was started, on a drive that is fixed in the machine:
    /// `C:\Windows\System32\svchost.exe`. `None` for one of the kernel, and for a program elsewhere.
    pub program: Option<String>,
    /// When it was started, by the clock of that moment.
    pub started: SystemTime,
}

/// Times of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileTimes {
    /// When it came to be.
    pub created: SystemTime,
    /// When its content last changed.
    pub written: SystemTime,
}

/// Answers that a test brings. What it does not bring is not there.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) volumes: super::Answer<Vec<Volume>>,
    pub(crate) booted: super::Answer<u64>,
    pub(crate) processes: super::Answer<Vec<Process>>,
    pub(crate) file_times: Vec<(&'static str, super::Answer<FileTimes>)>,
}

#[cfg(test)]
impl System for Recorded {
    fn volumes(&self) -> io::Result<Vec<Volume>> {
        self.volumes.give()
    }

    fn booted(&self) -> io::Result<u64> {
        self.booted.give()
    }

    fn processes(&self) -> io::Result<Vec<Process>> {
        self.processes.give()
    }

    fn file_times(&self, path: &str) -> io::Result<FileTimes> {
        super::find(&self.file_times, &path)
    }
}
