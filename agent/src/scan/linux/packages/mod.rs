//! What is installed: one probe for each package database, and who owns a file.

pub mod apk;
pub mod dpkg;
mod dpkg_lists;
mod elf;
pub mod flatpak;
mod gvariant;
mod lines;
pub(super) mod owner;
pub mod pacman;
mod purl;
pub mod rpm;
pub mod snap;
pub mod unowned;
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
    Probe {
        name: "linux/apk",
        kind: SectionKind::Software,
        reads: &[apk::READS, release::READS],
        run: apk::probe,
    },
    Probe {
        name: "linux/pacman",
        kind: SectionKind::Software,
        reads: &[pacman::READS, release::READS],
        run: pacman::probe,
    },
    Probe { name: "linux/snap", kind: SectionKind::Software, reads: &[snap::READS], run: snap::probe },
    Probe {
        name: "linux/flatpak",
        kind: SectionKind::Software,
        reads: &[flatpak::READS],
        run: flatpak::probe,
    },
    Probe {
        name: "linux/unowned",
        kind: SectionKind::Software,
        reads: &[unowned::READS, owner::READS],
        run: unowned::probe,
    },
    Probe { name: "linux/other", kind: SectionKind::Software, reads: &[unread::READS], run: unread::others },
];
