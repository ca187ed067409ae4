//! Probes of firmware: what the kernel read from tables and devices, and offers as files.
//!
//! Nothing here opens a device or loads a driver.

pub mod bmc;
pub mod disks;
pub mod dmi;
pub mod microcode;
pub mod nics;
pub mod tpm;
