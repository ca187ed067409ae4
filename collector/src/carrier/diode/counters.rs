//! What became of datagrams and objects, by cause.

use std::collections::BTreeMap;

use super::assemble::Taken;
use super::datagram::Cause;

/// Counts since the start of the receiver. Each datagram is in one of `kept`, `completing`, `duplicates`,
/// `patterns`, `corrupt`, `failed` and `rejected`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams that arrived.
    pub datagrams: u64,
    /// Datagrams that an object waits with, or waited.
    pub kept: u64,
    /// Datagrams that made an object complete: objects that were given out.
    pub completing: u64,
    /// Datagrams that were not needed.
    pub duplicates: u64,
    /// Datagrams of tests.
    pub patterns: u64,
    /// Objects whose digest was another than their name.
    pub corrupt: u64,
    /// Objects on which the code failed or panicked.
    pub failed: u64,
    /// Incomplete objects that went for room.
    pub evicted: u64,
    /// Incomplete objects that went for their age.
    pub expired: u64,
    /// Datagrams that were refused.
    pub rejected: BTreeMap<Cause, u64>,
}

impl Counters {
    /// Datagrams refused for one cause.
    pub fn rejected(&self, cause: Cause) -> u64 {
        self.rejected.get(&cause).copied().unwrap_or(0)
    }

    pub(super) fn count(&mut self, taken: &Taken) {
        let counter = match taken {
            Taken::Kept => &mut self.kept,
            Taken::Duplicate => &mut self.duplicates,
            Taken::Complete(_) => &mut self.completing,
            Taken::Pattern(_) => &mut self.patterns,
            Taken::Rejected(cause) => self.rejected.entry(*cause).or_default(),
            Taken::Corrupt => &mut self.corrupt,
            Taken::Failed => &mut self.failed,
        };
        *counter += 1;
    }
}
