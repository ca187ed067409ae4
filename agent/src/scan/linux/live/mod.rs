//! What runs now, compared with what is on disk.

use crate::scan::probe::Probe;

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[];
