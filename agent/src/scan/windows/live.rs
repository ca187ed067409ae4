//! What is in effect: processes that run replaced images, the kernel image against the revision.

use crate::scan::probe::Probe;

/// The probes of this file.
pub(in crate::scan) const PROBES: &[Probe] = &[];
