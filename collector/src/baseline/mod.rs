//! Baselines: what was approved to be on an asset, in the five parts of CIP-010, and how an asset differs from it now.
//!
//! An entry of the audit log is the only thing that is written; [`Baselines`] is folded from these entries, and the
//! rows stand in the snapshot that was approved. Where a section was not read completely, on either side, nothing is
//! said: no path makes "no drift" of a baseline or a section that is missing.

pub mod approve;
pub mod drift;
pub mod fold;
pub mod parts;
pub mod sections;
#[cfg(test)]
mod tests;

pub use drift::{Difference, Drift};
pub use fold::{Approved, Baselines, Disposed, DriftWord, Shelf};
pub use parts::{Item, Items, Part};
pub use sections::{Gap, Stated};
