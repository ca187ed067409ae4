//! Servicing: component packages by their state, history as explanation.

use crate::scan::probe::Probe;

/// The probes of this file.
pub(in crate::scan) const PROBES: &[Probe] = &[];
