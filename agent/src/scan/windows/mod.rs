//! Probes of a Windows host. Keys are those of the registry's 64-bit view, paths are relative to the
//! system drive, and what only the running system knows comes through [`crate::host::Windows`].

pub mod accounts;
pub mod firmware;
pub mod hardening;
mod image_path;
pub mod listeners;
pub mod live;
pub mod platform;
pub mod services;
pub mod software;
pub mod updates;
mod values;
pub mod version_resource;

use super::probe::Probe;

/// The tables of this folder, in the order in which they run.
pub(in crate::scan) const TABLES: &[&[Probe]] = &[
    platform::PROBES,
    firmware::PROBES,
    software::PROBES,
    updates::PROBES,
    services::PROBES,
    listeners::PROBES,
    accounts::PROBES,
    live::PROBES,
    hardening::PROBES,
];
