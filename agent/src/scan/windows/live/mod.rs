//! What runs now, compared with what is on disk.
//!
//! An image that does not run has none of it: every probe then says so, and the section is unsupported.
//! Not known on Windows: which libraries a process still runs that were replaced since; asking needs the
//! right to read its memory.

mod images;
mod kernel;
mod marks;

use holdpoint_common::row::SectionKind;

use super::{platform, updates};
use crate::scan::probe::Probe;
use crate::scan::{Look, Reading};

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[
    Probe {
        name: "windows/running-programs",
        kind: SectionKind::Live,
        reads: &[images::READS],
        run: images::probe,
    },
    Probe {
        name: "windows/running-kernel",
        kind: SectionKind::Live,
        reads: &[
            platform::RELEASE_READS,
            platform::RESTART_READS,
            platform::KERNEL_READS,
            updates::ROLLUP_READS,
        ],
        run: kernel::probe,
    },
    Probe {
        name: "windows/restart-marks",
        kind: SectionKind::Live,
        reads: &[platform::RESTART_READS],
        run: marks::probe,
    },
];

/// The reading of a machine that does not run.
fn at_rest(look: &mut Look<'_>) -> Reading {
    look.missing("this is no running Windows")
}
