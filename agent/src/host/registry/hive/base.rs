//! The first block of a hive and of its logs.
//!
//! Layout: "Windows registry file format specification" (M. Suhanov), which agrees with hivex and with
//! what Windows writes. Numbers are little-endian.

use super::broken;
use super::field::{u32_at, u64_at};
use std::io;

/// Bytes of a hive before its first bin.
pub(super) const BASE: usize = 4096;
/// Bytes of the block that mean something, and all that a log has of it.
pub(super) const BLOCK: usize = 512;
/// Bytes that the checksum is of; it follows them.
const CHECKED: usize = 508;

/// What the first block says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Base {
    /// Raised before a change is written, and after it; they differ in a hive that was not closed.
    pub(super) sequences: (u32, u32),
    /// Minor version; the major one is 1.
    pub(super) minor: u32,
    /// 0 for a hive, 1 or 2 for a log of Windows up to 8, 6 for one of Windows 8.1 and later.
    pub(super) kind: u32,
    /// Cell of the topmost key.
    pub(super) root: u32,
    /// Bytes of all bins.
    pub(super) bins: u32,
    /// When the hive was written last, as Windows counts.
    pub(super) written: u64,
    /// Whether the checksum is right.
    pub(super) is_sound: bool,
}

impl Base {
    /// Reads the block.
    ///
    /// # Errors
    /// It is of no hive, or of a version that nothing since Windows NT 4.0 wrote.
    pub(super) fn read(block: &[u8; BLOCK]) -> io::Result<Self> {
        if !block.starts_with(b"regf") {
            return Err(broken("no hive of a registry"));
        }
        let (major, minor) = (u32_at(block, 20), u32_at(block, 24));
        if major != 1 || !(3..=6).contains(&minor) {
            return Err(broken(format!("a hive of version {major}.{minor}, which is not known")));
        }
        Ok(Self {
            sequences: (u32_at(block, 4), u32_at(block, 8)),
            written: u64_at(block, 12),
            minor,
            kind: u32_at(block, 28),
            root: u32_at(block, 36),
            bins: u32_at(block, 40),
            is_sound: checksum(block) == u32_at(block, CHECKED),
        })
    }

    /// Whether every change that was begun is in the file.
    pub(super) fn is_closed(&self) -> bool {
        self.is_sound && self.sequences.0 == self.sequences.1
    }
}

/// All words before the checksum, exclusive-or; two values are never used.
pub(super) fn checksum(block: &[u8; BLOCK]) -> u32 {
    let sum = block[..CHECKED].chunks_exact(4).fold(0, |sum, word| sum ^ u32_at(word, 0));
    match sum {
        0 => 1,
        u32::MAX => u32::MAX - 1,
        it => it,
    }
}
