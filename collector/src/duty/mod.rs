//! What has to be done in time: evaluating what patch sources released, acting on it, updating baselines, testing
//! controls, and what ends (NERC CIP-007 and CIP-010).
//!
//! [`Duties`] is folded from entries of the audit log. [`due()`] is a pure function of it, of what else was decided, and
//! of the time. Days are calendar days of 24 hours; whatever has to be done within N days is in time at the very
//! millisecond and overdue at the next one, whatever has an end is over at its millisecond.

pub mod books;
pub mod control;
pub mod due;
pub mod fold;
pub mod short;
#[cfg(test)]
mod tests;

pub use books::Books;
pub use control::{Control, Controls, Kept};
pub use due::{Duty, DutyKind, DutyState, Known, due};
pub use fold::Duties;
pub use short::{AssetShort, ChangeShort};

/// A day, in milliseconds.
pub const DAY_MS: i64 = 86_400_000;
/// Time between the end of an evaluation and that of the next one (CIP-007-6 R2.2), in milliseconds.
pub const EVALUATE_MS: i64 = 35 * DAY_MS;
/// Time from an evaluation until its items are acted upon or planned (CIP-007-6 R2.3), in milliseconds.
pub const ACT_MS: i64 = 35 * DAY_MS;
/// Time in which a baseline follows a change (CIP-010-4 R1.3), in milliseconds.
pub const BASELINE_MS: i64 = 30 * DAY_MS;
