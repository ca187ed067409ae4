//! Triage: how soon a finding has to be dealt with, what a person decided about it, and where its patch stands.
//!
//! Everything here is pure: (knowledge, placement, facts of the asset, decisions, now) -> outcome. What is not known
//! is never taken for harmless: an open input counts as the worst of what it can be, and the outcome says what is
//! missing. No decision here changes a verdict.

pub mod control;
pub mod decide;
pub mod disposition;
pub mod inputs;
pub mod ledger;
pub mod owner;
pub mod places;
pub mod service;
pub mod state;
pub mod table;
pub mod tracks;
pub mod vector;

pub use decide::Decision;
pub use inputs::{Input, Sources};
pub use ledger::Ledger;
pub use places::Places;
pub use tracks::Tracks;
