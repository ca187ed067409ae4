//! What several probes of one scan need and is read once.
//!
//! Whoever asks first reads, under its own read list; probes that share something all name its
//! patterns. Nothing of it outlives the scan, so that no row can be older than its section.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::linux::processes::Processes;

/// One scan's memory.
#[derive(Debug, Default)]
pub(in crate::scan) struct Shared {
    /// The processes; `None` inside when they could not be listed.
    pub(in crate::scan) processes: OnceCell<Option<Rc<Processes>>>,
    /// The package of each path that was asked for; `None` when it belongs to no package.
    pub(in crate::scan) owners: RefCell<BTreeMap<String, Option<String>>>,
}
