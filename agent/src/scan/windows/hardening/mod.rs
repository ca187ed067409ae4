//! Hardening facts W01 to W45.

use crate::scan::probe::Probe;

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[];
