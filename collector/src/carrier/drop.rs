//! Bundles on a removable medium: files, and a manifest that a person can read.
//!
//! ```text
//! MEDIUM/holdpoint-ZONE-20261127T101500Z/
//!   EPOCH-0000000000000042.bundle      a bundle; EPOCH is its first eight hex digits
//!   statement-1.bundle                 what certifies the keys, for who has none of them yet
//!   beacon.bundle                      what the collector said last of its whole state
//!   MANIFEST.txt                       written last: a folder without one was cut off
//! ```
//! A medium carries a whole cycle, so whatever was lost before is on it. The manifest is for people and says
//! what a bundle says by itself: nobody who reads a medium believes it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::bundle::{Epoch, Stream};
use holdpoint_common::clock::readable;
use holdpoint_common::section::Digest;

/// The name of the manifest.
pub const MANIFEST: &str = "MANIFEST.txt";

/// A medium that is being written.
#[derive(Debug)]
pub struct Medium {
    folder: PathBuf,
    lines: String,
    files: u32,
    bytes: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The folder.
    pub folder: PathBuf,
    /// Files, without the manifest.
    pub files: u32,
    /// Their bytes.
    pub bytes: u64,
}

impl Medium {
    /// Begins a folder of its own.
    ///
    /// # Errors
    /// The medium is not there, is full, or holds such a folder already.
    pub fn begin(medium: &Path, stream: &Stream, now_ms: i64) -> io::Result<Self> {
        let time: String = readable(now_ms).chars().filter(|it| !matches!(it, '-' | ':')).collect();
        let time: String = time.chars().map(|it| if it == ' ' { 'T' } else { it }).collect();
        let folder = medium.join(format!("holdpoint-{}-{time}", stream.zone.zone));
        fs::create_dir(&folder)?;
        Ok(Self { folder, lines: String::new(), files: 0, bytes: 0 })
    }

    /// Writes a bundle.
    ///
    /// # Errors
    /// The medium refuses.
    pub fn bundle(&mut self, epoch: Epoch, sequence: u64, what: &str, bytes: &[u8]) -> io::Result<()> {
        let short: String = epoch.to_string().chars().take(8).collect();
        self.file(&format!("{short}-{sequence:016}.bundle"), what, bytes)
    }

    /// Writes anything else.
    ///
    /// # Errors
    /// The medium refuses.
    pub fn file(&mut self, name: &str, what: &str, bytes: &[u8]) -> io::Result<()> {
        atomic_file::replace(&self.folder.join(name), bytes, Readable::All)?;
        // Text for a person: nothing reads it back.
        let _ = writeln!(self.lines, "{}  {:>10}  {what:<18}  {name}", Digest::of(bytes), bytes.len());
        self.files = self.files.saturating_add(1);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Writes the manifest, which ends the folder.
    ///
    /// # Errors
    /// The medium refuses.
    pub fn end(self, head: &str) -> io::Result<Written> {
        let text = format!(
            "{head}\nSHA-256                                                                bytes  what                file\n{}",
            self.lines
        );
        atomic_file::replace(&self.folder.join(MANIFEST), text.as_bytes(), Readable::All)?;
        Ok(Written { folder: self.folder, files: self.files, bytes: self.bytes })
    }
}
