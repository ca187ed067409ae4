//! The service control manager: services and drivers.

use std::fmt;

/// The service control manager: services and drivers.
pub trait Services: fmt::Debug + Send + Sync {}

/// Answers that a test brings. What it does not bring is not there.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded;

#[cfg(test)]
impl Services for Recorded {}
