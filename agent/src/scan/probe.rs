//! A probe: one source of facts, what it is called, and all that it may touch.

use holdpoint_common::row::SectionKind;

use super::look::{Look, Reading};
use crate::host::{ReadList, Reads};

/// A source of facts.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// `os/source`, as coverage names it.
    pub name: &'static str,
    /// The section that its rows belong to.
    pub kind: SectionKind,
    /// All that it may touch; the host's root refuses it everything else.
    pub reads: &'static [&'static [Reads]],
    /// Looks.
    pub run: fn(&mut Look<'_>) -> Reading,
}

impl Probe {
    /// Its patterns as the host's root asks them.
    pub fn read_list(&self) -> ReadList {
        ReadList::new(self.reads.iter().copied().flatten())
    }
}
