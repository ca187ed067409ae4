//! Firmware tables and variables, disks, the TPM.

use std::fmt;
use std::io;

/// Firmware tables and variables, disks, the TPM.
pub trait Hardware: fmt::Debug + Send + Sync {
    /// The tables that firmware describes its machine with, behind the header that Windows puts before
    /// them (`RawSMBIOSData`). Every user may ask.
    ///
    /// # Errors
    /// The machine has none (`NotFound`), or they are larger than anybody needs.
    fn smbios(&self) -> io::Result<Vec<u8>>;

    /// Whether the machine started by UEFI. Every user may ask.
    ///
    /// # Errors
    /// The system does not say.
    fn started_by_uefi(&self) -> io::Result<bool>;

    /// The value of a variable of UEFI: `db` of `d719b2cb-3d3a-4596-a3bc-dad00e67656f`.
    ///
    /// # Errors
    /// There is none, or the machine did not start by UEFI (`NotFound`); asking needs the privilege
    /// `SeSystemEnvironmentPrivilege` (`PermissionDenied`).
    fn variable(&self, name: &str, vendor: &str) -> io::Result<Vec<u8>>;

    /// The family of the specification that the TPM has: 1 or 2. The module itself is not opened.
    ///
    /// # Errors
    /// There is no module (`NotFound`), or this Windows has no way to ask (`Unsupported`: before 8).
    fn tpm_family(&self) -> io::Result<u32>;

    /// Every disk that is attached. No right to read or write a disk is asked for.
    ///
    /// # Errors
    /// The system refuses, or has more of them than anybody needs.
    fn disks(&self) -> io::Result<Vec<Disk>>;
}

/// A disk, and what it said when it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Number by which Windows knows it now: `PhysicalDrive0`.
    pub number: Option<u32>,
    /// `STORAGE_DEVICE_DESCRIPTOR`, as the system hands it out, or why it does not.
    pub descriptor: Result<Vec<u8>, io::ErrorKind>,
}

/// Answers that a test brings. What it does not bring is not there.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) smbios: super::Answer<Vec<u8>>,
    pub(crate) started_by_uefi: super::Answer<bool>,
    pub(crate) variables: super::Answers<&'static str, Vec<u8>>,
    pub(crate) tpm_family: super::Answer<u32>,
    pub(crate) disks: super::Answer<Vec<Disk>>,
}

#[cfg(test)]
impl Hardware for Recorded {
    fn smbios(&self) -> io::Result<Vec<u8>> {
        self.smbios.give()
    }

    fn started_by_uefi(&self) -> io::Result<bool> {
        self.started_by_uefi.give()
    }

    fn variable(&self, name: &str, _vendor: &str) -> io::Result<Vec<u8>> {
        super::find(&self.variables, &name)
    }

    fn tpm_family(&self) -> io::Result<u32> {
        self.tpm_family.give()
    }

    fn disks(&self) -> io::Result<Vec<Disk>> {
        self.disks.give()
    }
}
