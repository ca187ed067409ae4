//! Commissioning: what a link can bear, measured once and typed in by a person.
//!
//! The sender never learns how a link does, so nobody but a person can bring that back. One side sends
//! patterns at rising rates ([`send`]), the other counts what arrives ([`Survey`]) and proposes the words of a
//! profile ([`Proposal`]): 60 % of the highest clean rate, a design loss with margin, a spacing that no silence
//! outlasts.

mod proposal;
mod ramp;
mod survey;
#[cfg(test)]
#[path = "commission_tests.rs"]
mod tests;

pub use proposal::{Proposal, Unfit, table};
pub use ramp::{InvalidRamp, Ramp, send};
pub use survey::{Step, Survey};
