//! Firmware tables and variables, disks, the TPM.

use std::fmt;

/// Firmware tables and variables, disks, the TPM.
pub trait Hardware: fmt::Debug + Send + Sync {}
