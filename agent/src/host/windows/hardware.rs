//! Firmware tables and variables, disks, the TPM.

use std::fmt;

/// Firmware tables and variables, disks, the TPM.
pub trait Hardware: fmt::Debug + Send + Sync {}

/// Answers that a test brings. What it does not bring is not there.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded;

#[cfg(test)]
impl Hardware for Recorded {}
