//! What runs now, compared with what is on disk.
//!
//! An offline root runs nothing: every probe then says so, and the section is unsupported. That
//! holds for marks under `run/` too, which an image can only have by mistake.

mod kernel;
mod livepatch;
mod mapped;
mod maps;
mod marks;
mod services;
mod views;

use holdpoint_common::row::SectionKind;

use super::packages::owner;
use super::{processes, virtualization};
use crate::scan::probe::Probe;
use crate::scan::{Look, Reading};

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[
    Probe {
        name: "linux/mapped",
        kind: SectionKind::Live,
        reads: &[mapped::READS, views::READS, processes::READS, owner::READS],
        run: mapped::probe,
    },
    Probe {
        name: "linux/running-kernel",
        kind: SectionKind::Live,
        reads: &[kernel::READS, super::kernel::READS, virtualization::READS, processes::READS],
        run: kernel::probe,
    },
    Probe {
        name: "linux/stale-services",
        kind: SectionKind::Live,
        reads: &[services::READS, mapped::READS, views::READS, processes::READS, owner::READS],
        run: services::probe,
    },
    Probe {
        name: "linux/restart-marks",
        kind: SectionKind::Live,
        reads: &[marks::READS, processes::READS],
        run: marks::probe,
    },
    Probe {
        name: "linux/livepatch",
        kind: SectionKind::Live,
        reads: &[livepatch::READS, processes::READS],
        run: livepatch::probe,
    },
];

/// The reading of a root that does not run.
fn at_rest(look: &mut Look<'_>) -> Reading {
    look.missing("proc/stat is not there: this is no running system")
}
