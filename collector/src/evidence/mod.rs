//! Evidence of a change as one file that stands on its own: made here, checked anywhere.
//!
//! ```text
//! report.html              for people
//! manifest.json            every other member with size and SHA-256, the change, the zone, the audit key
//! manifest.sig             Ed25519 by the audit key over "holdpoint evidence 1", a zero byte, SHA-256 of the manifest
//! plan.toml                the plan as it was written
//! audit.bin                the change's entries of the audit log, and the chain values between them
//! snapshots/NONCE.bin      what hosts answered (`SnapshotRecord`)
//! sections/DIGEST.bin      rows of sections, packed; none by the policy `digests`
//! certificates/DIGEST.der  of those who signed, of agents as far as known, and of who issued them
//! ```
//! A file has one form: [`container`] fixes every byte of the archive, the manifest every byte of its members, the
//! signature the manifest. [`export()`] makes a file from what it is given; [`check()`] reads one without a clock, a
//! network or a disk, folds the change again, and says in sentences what that proves and what it does not.

pub mod certificates;
pub mod check;
pub mod container;
pub mod excerpt;
pub mod export;
pub mod manifest;
pub mod member;
pub mod rejudge;
mod report;
#[cfg(test)]
mod tests;

pub use check::{Checked, MAX_FAULTS, Pins, check};
pub use container::MAX_PACK;
pub use excerpt::Excerpt;
pub use export::{ExportError, Input, export};
pub use manifest::Policy;

/// Text from a file in a sentence: one line, of a length that can be read.
fn shown(text: &str) -> String {
    const MOST: usize = 120;
    let short: String = text.chars().take(MOST).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("{}{more}", short.escape_debug())
}
