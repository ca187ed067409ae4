//! What one answer about the registry may hold, wherever it comes from.

use std::io;

/// Most keys below one key.
pub(super) const MAX_KEYS: u32 = 128 * 1024;
/// Most values of one key.
pub(super) const MAX_VALUES: u32 = 64 * 1024;
/// Most bytes of one value: the limit of Windows for the standard format ("Registry Element Size Limits").
pub(super) const MAX_VALUE: usize = 1024 * 1024;
/// Most bytes that the names below one key, or the values of one key, may have together.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// What an item of an answer costs beside its text, in bytes.
const ITEM: usize = 64;

/// Counts what an answer holds.
#[derive(Debug, Default)]
pub(super) struct Held(usize);

impl Held {
    /// Adds an item of so many bytes.
    ///
    /// # Errors
    /// That is more than an answer may hold.
    pub(super) fn add(&mut self, bytes: usize) -> io::Result<()> {
        self.0 = self.0.saturating_add(ITEM).saturating_add(bytes);
        if self.0 > MAX_ANSWER {
            let why = format!("more than {MAX_ANSWER} bytes of names and values in one key");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(())
    }
}
