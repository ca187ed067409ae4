//! What is installed: one probe for each package database, and who owns a file.

pub mod dpkg;
pub(super) mod owner;
mod purl;
pub mod rpm;
pub mod unread;

use holdpoint_common::row::SectionKind;

use super::release;
use crate::scan::probe::Probe;

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[
    Probe {
        name: "linux/dpkg",
        kind: SectionKind::Software,
        reads: &[dpkg::READS, release::READS],
        run: dpkg::probe,
    },
    Probe {
        name: "linux/rpm",
        kind: SectionKind::Software,
        reads: &[rpm::READS, release::READS],
        run: rpm::probe,
    },
    Probe { name: "linux/apk", kind: SectionKind::Software, reads: &[unread::READS], run: unread::apk },
    Probe { name: "linux/pacman", kind: SectionKind::Software, reads: &[unread::READS], run: unread::pacman },
    Probe { name: "linux/snap", kind: SectionKind::Software, reads: &[unread::READS], run: unread::snap },
];
