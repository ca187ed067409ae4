//! Knowledge packs of a zone: whose are taken, which wait, and what was decided about them.
//!
//! ```text
//! import --pack ─► signature ─► signer ─► zone ─► serial ─► limits ─► every member read, nothing taken
//!                                                                                 │
//!                                                             quarantine ◄────────┘
//! pack release, by another person ─► the same again ─► members taken in order ─► released
//! ```
//! A pack counts for nothing while it waits. What is here knows whose keys are trusted, what was brought and by
//! whom, and which serials were released ([`Quarantine`]); [`admit`] judges, purely. How members are read and taken
//! is the library's matter, who may ask is the service's.
//!
//! # What survives a crash
//!
//! The members are written before the pack's own page says that it waits; what has only arrived is swept away. A
//! release is written first, with its entry in the audit log, then one member a transaction, each with the count of
//! those that are done. A crash in between is finished at the next start: no member is taken twice or left out.

pub mod admit;
pub mod quarantine;
mod unpacked;

pub use quarantine::{Contents, Quarantine, QuarantineError, Record, Signer};
pub use unpacked::{MAX_UNPACKED, measure};

/// Most packs that wait at the same time.
pub const MAX_WAITING: usize = 16;
/// Most bytes of packs that wait, together.
pub const MAX_WAITING_BYTES: u64 = 256 * 1024 * 1024;
/// Decided packs that stay listed; the audit log has them all.
pub const MAX_DECIDED: usize = 256;
/// Most signers, those that are trusted no more included.
pub const MAX_SIGNERS: usize = 64;
