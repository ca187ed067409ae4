//! Probes of a Linux root. Every path is relative to the root; every file format is parsed here.
#![expect(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "names on Linux are case-sensitive, and so is what reads them"
)]

pub mod accounts;
pub mod hardening;
mod kernel;
pub mod listeners;
pub mod live;
pub mod packages;
pub mod platform;
pub(in crate::scan) mod processes;
mod release;
pub mod systemd;
pub mod sysv;
mod time_sources;
mod unit;
pub(in crate::scan) mod virtualization;

use holdpoint_common::row::SectionKind;

use super::probe::Probe;

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[
    Probe {
        name: "linux/platform",
        kind: SectionKind::Platform,
        reads: &[platform::READS, release::READS, kernel::READS, time_sources::READS, virtualization::READS],
        run: platform::probe,
    },
    Probe {
        name: "linux/systemd",
        kind: SectionKind::Services,
        reads: &[systemd::READS],
        run: systemd::probe,
    },
    Probe { name: "linux/sysv", kind: SectionKind::Services, reads: &[sysv::READS], run: sysv::probe },
    Probe {
        name: "linux/sockets",
        kind: SectionKind::Listeners,
        reads: &[listeners::READS, processes::READS, packages::owner::READS],
        run: listeners::probe,
    },
    Probe {
        name: "linux/passwd",
        kind: SectionKind::Accounts,
        reads: &[accounts::READS],
        run: accounts::probe,
    },
];
