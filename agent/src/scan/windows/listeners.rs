//! Endpoints that are open, with their process and service.

use crate::scan::probe::Probe;

/// The probes of this file.
pub(in crate::scan) const PROBES: &[Probe] = &[];
