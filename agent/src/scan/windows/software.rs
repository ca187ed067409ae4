//! Installed software: both views of the Uninstall keys, users' hives, MSI, AppX.

use crate::scan::probe::Probe;

/// The probes of this file.
pub(in crate::scan) const PROBES: &[Probe] = &[];
