//! Probes of firmware: what the kernel read from tables and devices and offers as files, and two
//! questions to what runs already (the drivers of network cards, fwupd).
//!
//! Nothing here opens a device, loads a driver or starts a service.

pub mod bmc;
pub mod disks;
pub mod dmi;
pub mod esrt;
pub mod fwupd;
pub mod microcode;
pub mod nics;
pub mod placeholder;
pub mod secure_boot;
pub mod signatures;
pub mod smbios;
pub mod tpm;
pub mod vpd;

use holdpoint_common::row::SectionKind;

use super::look::{Look, Reading};
use super::probe::Probe;
use crate::host::Reads;

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[
    firmware("firmware/dmi", &[dmi::READS, smbios::READS], dmi::probe),
    firmware("firmware/esrt", &[esrt::READS], esrt::probe),
    firmware("firmware/secure-boot", &[secure_boot::READS], secure_boot::probe),
    firmware("firmware/microcode", &[microcode::READS], microcode::probe),
    firmware("firmware/disks", &[disks::READS], disks::probe),
    firmware("firmware/nics", &[nics::READS], nics::probe),
    firmware("firmware/tpm", &[tpm::READS, smbios::READS], tpm::probe),
    firmware("firmware/bmc", &[bmc::READS, smbios::READS], bmc::probe),
    firmware("firmware/fwupd", &[fwupd::READS], fwupd::probe),
];

const fn firmware(
    name: &'static str,
    reads: &'static [&'static [Reads]],
    run: fn(&mut Look<'_>) -> Reading,
) -> Probe {
    Probe { name, kind: SectionKind::Firmware, reads, run }
}
