//! Changes: from a plan over the board and the window to a verdict that holds before an auditor.
//!
//! An entry of the audit log is the only thing that is ever written of a change. [`plan`] reads what a person wrote,
//! [`fold`] says what may follow what and what follows from it, [`judge`] compares two snapshots: all three are pure.
//! [`office`] is the part that asks agents to look again, waits, and writes.

pub mod collateral;
pub mod expectation;
pub mod fold;
pub mod judge;
pub mod office;
pub mod plan;
pub mod preflight;
pub mod resolve;
pub mod snapshot;
pub mod word;

#[cfg(test)]
mod bench_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod office_tests;
#[cfg(test)]
mod testing;

pub use fold::{Change, Refused};
pub use office::ChangeOffice;
pub use plan::Plan;
pub use snapshot::Snapshot;
pub use word::{BoardRole, StageState, State, Verdict, Why};
