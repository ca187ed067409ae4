//! Judging: (asset, sections, knowledge, rules, now) -> findings, and the index that keeps them at hand.
//!
//! Everything but [`board`] is pure. Nothing here reads a file, a clock or the store: rows come
//! through [`RowSource`], time is an argument. An asset's row is looked up by its name, never held
//! against every advisory; equal rows and equal images are judged once, and again when a change touches them.

mod advisory;
mod asset;
pub mod board;
mod brief;
mod chain;
mod change;
#[cfg(test)]
mod change_tests;
mod compare;
mod explain;
#[cfg(test)]
mod explain_tests;
mod firmware;
#[cfg(test)]
mod honest_tests;
mod in_effect;
mod index;
mod judge;
mod map_rules;
mod mapped;
mod matchability;
mod memory;
mod microsoft;
mod package;
mod page;
mod product;
mod qualifiers;
mod rank;
#[cfg(test)]
mod rank_tests;
mod requirement;
mod row;
#[cfg(test)]
mod scale_tests;
pub mod snapshots;
mod standing;
mod subject;
mod summary;
#[cfg(test)]
mod testing;
mod verdict;
#[cfg(test)]
mod verdict_tests;
pub mod windows;
mod work;
#[cfg(test)]
mod work_tests;

pub use asset::{AssetFacts, Coverage, Held, PlatformFacts, RowSource};
pub use board::{Board, BoardError};
pub use brief::{Brief, Stamp};
pub use explain::{Explanation, Step};
pub use matchability::{Class, Side, Standing};
pub use page::{Cursor, DEFAULT_LIMIT, Filter, FindingView, InvalidCursor, MAX_LIMIT, Page};
pub use rank::{outcomes, rank_of};
pub use standing::{Listed, TriageView};
pub use summary::Summary;
pub use verdict::{Outcome, REASONS, Reason, UnknownVerdict, VERDICTS, Verdict};
