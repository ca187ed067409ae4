//! How the host is configured: typed facts, each with its source and its state.
//!
//! Nothing here says which value is good; that is the collector's. Where several files compete the
//! *effective* value is read, and its source names the file that won.

mod apt_conf;
pub mod authorities;
mod fact;
mod files;
mod ini;
pub mod keys;
pub mod legacy;
pub mod logins;
pub mod pam;
pub mod remote;
mod remote_tools;
pub mod repositories;
pub mod sshd;
pub mod sudo;
pub mod updates;

use holdpoint_common::row::SectionKind;

use crate::scan::probe::Probe;

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[
    Probe { name: "linux/sshd", kind: SectionKind::Hardening, reads: &[sshd::READS], run: sshd::probe },
    Probe { name: "linux/sudo", kind: SectionKind::Hardening, reads: &[sudo::READS], run: sudo::probe },
    Probe { name: "linux/logins", kind: SectionKind::Hardening, reads: &[logins::READS], run: logins::probe },
    Probe { name: "linux/pam", kind: SectionKind::Hardening, reads: &[pam::READS], run: pam::probe },
    Probe { name: "linux/updates", kind: SectionKind::Hardening, reads: updates::READS, run: updates::probe },
    Probe {
        name: "linux/repositories",
        kind: SectionKind::Hardening,
        reads: repositories::READS,
        run: repositories::probe,
    },
    Probe { name: "linux/legacy", kind: SectionKind::Hardening, reads: &[legacy::READS], run: legacy::probe },
    Probe { name: "linux/remote", kind: SectionKind::Hardening, reads: remote::READS, run: remote::probe },
    Probe { name: "linux/keys", kind: SectionKind::Hardening, reads: &[keys::READS], run: keys::probe },
    Probe {
        name: "linux/authorities",
        kind: SectionKind::Hardening,
        reads: &[authorities::READS],
        run: authorities::probe,
    },
];
