//! Local users, groups and the policies for them.

use std::fmt;

/// Local users, groups and the policies for them.
pub trait Accounts: fmt::Debug + Send + Sync {}

/// Answers that a test brings. What it does not bring is not there.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded;

#[cfg(test)]
impl Accounts for Recorded {}
