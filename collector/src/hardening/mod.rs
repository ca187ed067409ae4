//! Which value of a fact is good: rules as data, and the pure function that holds facts against them.
//!
//! Agents say what a host has; nothing here reads a host, a file or a clock. What is shipped are the TOML files
//! in `rules`, one for each family of systems; a site's own files have the same form. A fact that could not be
//! read, a section that is not whole, and a baseline that nobody approved are `NOT_CHECKED` with their reason:
//! no path makes PASS of any of them.

mod approved;
pub mod board;
#[cfg(test)]
mod cases;
pub mod condition;
mod conditions;
pub mod facts;
pub mod file;
pub mod judge;
mod lint;
pub mod page;
mod read;
pub mod result;
pub mod rule;
pub mod ruleset;
pub mod score;
pub mod shipped;
#[cfg(test)]
mod shipped_tests;
mod told;
pub mod value;
mod wire;

pub use board::{Board, Filter, Page};
pub use file::{Exception, InvalidRules, RuleFile};
pub use judge::{Asset, judge};
pub use lint::{Lint, lint};
pub use read::{looks_like, read};
pub use result::{Outcome, Verdict};
pub use ruleset::Ruleset;
pub use score::Score;
