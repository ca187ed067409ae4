//! The running system itself: its version, its boot, its processes and volumes.

use std::fmt;
use std::io;

/// The running system itself: its version, its boot, its processes and volumes.
pub trait System: fmt::Debug + Send + Sync {
    /// Every volume with a drive letter that is fixed in the machine.
    ///
    /// # Errors
    /// The system refuses.
    fn volumes(&self) -> io::Result<Vec<Volume>>;
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

/// Answers that a test brings. What it does not bring is not there.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) volumes: super::Answer<Vec<Volume>>,
}

#[cfg(test)]
impl System for Recorded {
    fn volumes(&self) -> io::Result<Vec<Volume>> {
        self.volumes.give()
    }
}
