//! Firmware of a Windows host, in the same rows as that of a Linux host: what the system keeps of tables
//! and devices. Nothing here opens a device to read or write it, loads a driver or starts a service.
//!
//! Known gaps: Windows has no interface that tells the firmware of a network card, so that there is no
//! row of one; nor the release of a management engine or a baseboard controller, beside what SMBIOS lists.

mod disks;
mod microcode;
mod secure_boot;
pub mod smbios;
mod tpm;

use holdpoint_common::row::SectionKind;

use crate::host::Reads;
use crate::scan::probe::Probe;
use crate::scan::{Look, Reading};

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[
    firmware("windows/smbios", smbios::READS, smbios::probe),
    firmware("windows/secure-boot", secure_boot::READS, secure_boot::probe),
    firmware("windows/microcode", microcode::READS, microcode::probe),
    firmware("windows/disks", &[], disks::probe),
    firmware("windows/tpm", tpm::READS, tpm::probe),
];

const fn firmware(
    name: &'static str,
    reads: &'static [&'static [Reads]],
    run: fn(&mut Look<'_>) -> Reading,
) -> Probe {
    Probe { name, kind: SectionKind::Firmware, reads, run }
}
