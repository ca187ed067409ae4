//! How the host is configured: typed facts, each with its source and its state.
//!
//! Nothing here says which value is good; that is the collector's. Where several files compete the
//! *effective* value is read, and its source names the file that won.

#![expect(dead_code, reason = "the first probes of this folder come with the next commits")]

mod fact;

use crate::scan::probe::Probe;

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[];
