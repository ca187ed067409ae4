//! Local users, groups and the policies for them.

use std::fmt;

/// Local users, groups and the policies for them.
pub trait Accounts: fmt::Debug + Send + Sync {}
