//! Installed software: both views of the Uninstall keys, users' hives, Windows Installer, `AppX`, and lists
//! that vendors keep where the Uninstall key tells too little.
//!
//! One product is one row. What Windows Installer put in is listed both by the Uninstall key and by the
//! installer itself: the row is that of the Uninstall key, with the installer's codes and patches, and the
//! source `msi` is for products that the Uninstall key does not have. Two architectures are two
//! rows. Updates are no software: see [`super::updates`].

mod appx;
mod guid;
mod msi;
mod programs;
mod uninstall;
mod vendors;

use holdpoint_common::row::SectionKind;

use super::platform::ARCHITECTURE_READS;
use crate::scan::probe::Probe;

pub(super) use uninstall::{Entry, READS as UNINSTALL_READS, entries};

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[
    Probe {
        name: "windows/programs",
        kind: SectionKind::Software,
        reads: &[uninstall::READS, msi::READS, ARCHITECTURE_READS],
        run: programs::probe,
    },
    Probe { name: "windows/appx", kind: SectionKind::Software, reads: &[appx::READS], run: appx::probe },
    Probe {
        name: "windows/vendors",
        kind: SectionKind::Software,
        reads: &[vendors::READS, ARCHITECTURE_READS],
        run: vendors::probe,
    },
];

/// The source of what stands in the view that programs of the system's own width see: on a 32-bit
/// Windows there is no other.
fn native_source(look: &mut crate::scan::Look<'_>) -> &'static str {
    match super::platform::architecture(look).as_deref() {
        Some("x86") => "registry32",
        Some(_) | None => "registry64",
    }
}
