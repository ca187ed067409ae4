//! The operating system: what it is, its build and revision, its boot, whether a restart is pending.

use crate::scan::probe::Probe;

/// The probes of this file.
pub(in crate::scan) const PROBES: &[Probe] = &[];
