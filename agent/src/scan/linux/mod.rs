//! Probes of a Linux root. Every path is relative to the root; every file format is parsed here.
#![expect(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "names on Linux are case-sensitive, and so is what reads them"
)]

pub mod accounts;
pub mod dpkg;
mod kernel;
pub mod listeners;
mod owner;
pub mod platform;
mod release;
pub mod systemd;
pub mod sysv;
mod time_sources;
mod unit;
pub mod unread;
mod virtualization;
