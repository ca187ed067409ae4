//! Firmware of a Windows host: SMBIOS as the system hands it out, TPM, disks, microcode, Secure Boot.

use crate::scan::probe::Probe;

/// The probes of this file.
pub(in crate::scan) const PROBES: &[Probe] = &[];
