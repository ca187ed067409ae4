//! Probes of firmware: what the kernel read from tables and devices, and offers as files.
//!
//! Nothing here opens a device or loads a driver.

pub mod bmc;
pub mod disks;
pub mod dmi;
pub mod microcode;
pub mod nics;
pub mod tpm;

use holdpoint_common::row::SectionKind;

use super::probe::Probe;

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[
    Probe { name: "firmware/dmi", kind: SectionKind::Firmware, reads: &[dmi::READS], run: dmi::probe },
    Probe {
        name: "firmware/microcode",
        kind: SectionKind::Firmware,
        reads: &[microcode::READS],
        run: microcode::probe,
    },
    Probe { name: "firmware/disks", kind: SectionKind::Firmware, reads: &[disks::READS], run: disks::probe },
    Probe { name: "firmware/nics", kind: SectionKind::Firmware, reads: &[nics::READS], run: nics::probe },
    Probe { name: "firmware/tpm", kind: SectionKind::Firmware, reads: &[tpm::READS], run: tpm::probe },
    Probe { name: "firmware/bmc", kind: SectionKind::Firmware, reads: &[bmc::READS], run: bmc::probe },
];
