//! How the host is configured: typed facts, each with its source and its state.
//!
//! Nothing here says which value is good; that is the collector's. Where several files compete the
//! *effective* value is read, and its source names the file that won.

pub mod access_control;
mod apt_conf;
pub mod audit;
pub mod authorities;
pub mod backup;
mod files;
mod ini;
pub mod kernel_parameters;
pub mod keys;
mod layers;
pub mod legacy;
pub mod logins;
pub mod logs;
mod modprobe;
pub mod modules;
mod mountinfo;
pub mod mounts;
pub mod nftables;
pub mod packet_filter;
pub mod pam;
pub mod privileged_files;
pub mod remote;
mod remote_tools;
pub mod repositories;
pub mod site;
pub mod sshd;
pub mod sudo;
pub mod time_sync;
pub mod updates;
pub mod usb;

use holdpoint_common::row::SectionKind;

use super::{systemd, time_sources};
use crate::scan::probe::Probe;

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[
    Probe {
        name: "linux/sysctl",
        kind: SectionKind::Hardening,
        reads: &[kernel_parameters::READS],
        run: kernel_parameters::probe,
    },
    Probe {
        name: "linux/modules",
        kind: SectionKind::Hardening,
        reads: &[modules::READS, modules::KERNEL_READS],
        run: modules::probe,
    },
    Probe { name: "linux/usb", kind: SectionKind::Hardening, reads: &[usb::READS], run: usb::probe },
    Probe { name: "linux/mounts", kind: SectionKind::Hardening, reads: &[mounts::READS], run: mounts::probe },
    Probe {
        name: "linux/packet-filter",
        kind: SectionKind::Hardening,
        reads: &[packet_filter::READS, modules::KERNEL_READS],
        run: packet_filter::probe,
    },
    Probe {
        name: "linux/audit",
        kind: SectionKind::Hardening,
        reads: &[audit::READS, layers::ENABLED_READS, modules::COMMAND_LINE_READS],
        run: audit::probe,
    },
    Probe {
        name: "linux/logs",
        kind: SectionKind::Hardening,
        reads: &[logs::READS, layers::ENABLED_READS],
        run: logs::probe,
    },
    Probe {
        name: "linux/time-sync",
        kind: SectionKind::Hardening,
        reads: &[time_sync::READS, time_sources::READS, layers::ENABLED_READS],
        run: time_sync::probe,
    },
    Probe {
        name: "linux/access-control",
        kind: SectionKind::Hardening,
        reads: &[access_control::READS, modules::COMMAND_LINE_READS],
        run: access_control::probe,
    },
    Probe {
        name: "linux/privileged-files",
        kind: SectionKind::Hardening,
        reads: &[privileged_files::READS],
        run: privileged_files::probe,
    },
    Probe {
        name: "linux/backup",
        kind: SectionKind::Hardening,
        reads: &[backup::READS, layers::ENABLED_READS],
        run: backup::probe,
    },
    Probe {
        name: "linux/site",
        kind: SectionKind::Hardening,
        reads: &[site::READS, systemd::READS],
        run: site::probe,
    },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host};
    use crate::scan::{Budget, take};
    use holdpoint_common::proto::v1::SectionStatus;
    use std::time::Duration;

    #[test]
    fn nothing_at_all_is_no_fact_and_no_time_is_a_failure() {
        let (_dir, empty) = host(&[]);
        let snapshot = take(&empty, &[SectionKind::Hardening], &ample());
        let section = &snapshot.sections[0];
        assert_eq!(section.status, SectionStatus::Unsupported, "{:?}", section.reasons);
        assert!(!section.reasons.is_empty());

        let (_dir, some) = host(&[("etc/fstab", "/dev/a / ext4 ro\n"), ("proc/sys/kernel/sysrq", "1\n")]);
        let spent = Budget::measured_by(Duration::ZERO, || Duration::ZERO);
        let snapshot = take(&some, &[SectionKind::Hardening], &spent);
        let section = &snapshot.sections[0];
        assert_eq!(section.status, SectionStatus::Failed, "{:?}", section.reasons);
        assert!(section.reasons.iter().all(|it| it.contains("time")), "{:?}", section.reasons);
    }
}
