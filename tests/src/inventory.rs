//! Believable inventories: a few golden images, cloned to many hosts, some of which drift.
//!
//! Everything follows from numbers, so a run can be repeated and every row can be predicted
//! when the collector is checked afterwards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use holdpoint_common::proto::v1::{
    AccountRow, FirmwareRow, IdentityPart, ListenerRow, PlatformRow, SectionKind, SectionStatus, SelfRow,
    ServiceRow, SoftwareRow,
};
use holdpoint_common::section::{Digest, Rows, Section};

/// Software rows of a host.
pub const SOFTWARE_ROWS: u32 = 400;

/// A simulated host: which image it was cloned from and how far it has drifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// Number of the host; also makes its machine identity.
    pub number: u32,
    /// The golden image it was cloned from.
    pub image: u32,
    /// Packages that were updated since.
    pub updated: u32,
}

impl Host {
    /// The machine's fingerprint.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(format!("machine {}", self.number).as_bytes())
    }

    /// A boot id, as the kernel writes it, for the given boot of this host.
    pub fn boot_id(&self, boot: u32) -> String {
        format!("{:08x}-{boot:04x}-4000-8000-{:012x}", self.number, self.image)
    }

    /// All sections of this host.
    pub fn sections(&self) -> Vec<Section> {
        let mut sections = self.shared_sections();
        sections.push(self.own_section());
        sections
    }

    /// The section that no other host has.
    fn own_section(&self) -> Section {
        complete(SectionKind::Platform, Rows::encode(&[self.platform()]))
    }

    /// What all clones of an image with the same updates have.
    fn shared_sections(&self) -> Vec<Section> {
        vec![
            complete(SectionKind::Firmware, Rows::encode(&self.firmware())),
            complete(SectionKind::Software, Rows::encode(&self.software())),
            complete(SectionKind::Services, Rows::encode(&self.services())),
            complete(SectionKind::Listeners, Rows::encode(&self.listeners())),
            complete(SectionKind::Accounts, Rows::encode(&accounts())),
            complete(SectionKind::Self_, Rows::encode(&[self_row()])),
        ]
    }

    fn platform(&self) -> PlatformRow {
        PlatformRow {
            source: "etc/os-release".into(),
            hostname: Some(format!("sim-{:05}", self.number)),
            os_id: Some("debian".into()),
            os_name: Some("Debian GNU/Linux".into()),
            os_version: Some("12".into()),
            architecture: Some("x86_64".into()),
            kernel_running: Some("6.1.0-29-amd64".into()),
            kernel_newest: Some("6.1.0-29-amd64".into()),
            boot_id: Some(self.boot_id(1)),
            restart_pending: Some(false),
            virtualization: Some("physical".into()),
            identity: vec![IdentityPart {
                kind: "smbios-uuid".into(),
                value: format!("4c4c4544-0042-4a10-8050-{:012x}", self.number),
            }],
            ..PlatformRow::default()
        }
    }

    fn firmware(&self) -> Vec<FirmwareRow> {
        ["bios", "board", "system"]
            .map(|kind| FirmwareRow {
                source: "sys/class/dmi/id".into(),
                kind: kind.into(),
                vendor: Some("Example Industrial".into()),
                model: Some(format!("IPC-{}", 400 + self.image % 7)),
                version: Some(format!("V{}.02.0{}", 20 + self.image % 5, self.image % 9)),
                ..FirmwareRow::default()
            })
            .into()
    }

    fn software(&self) -> Vec<SoftwareRow> {
        (0..SOFTWARE_ROWS).map(|package| self.package(package)).collect()
    }

    /// One package of this host; drifted hosts have a newer revision of the first `updated` ones.
    pub fn package(&self, package: u32) -> SoftwareRow {
        // Images share most versions, as hosts of one distribution do.
        let patch = if package.is_multiple_of(8) { self.image } else { package % 10 };
        let revision = if package < self.updated { 2 + self.number % 3 } else { 1 };
        SoftwareRow {
            name: format!("lib{}{package:03}", STEMS[stem_of(package)]),
            version: Some(format!("{}.{}.{patch}-{revision}", 1 + package % 4, package % 20)),
            architecture: Some("amd64".into()),
            source: "dpkg".into(),
            publisher: Some("Debian Maintainers <maintainers@debian.example>".into()),
            source_package: Some(STEMS[stem_of(package)].into()),
            install_date: Some("2026-03-14".into()),
            ..SoftwareRow::default()
        }
    }

    fn services(&self) -> Vec<ServiceRow> {
        (0..40)
            .map(|it| ServiceRow {
                source: "systemd".into(),
                name: format!("svc-{it:02}.service"),
                state: Some(if (it + self.image).is_multiple_of(5) { "stopped" } else { "running" }.into()),
                start_mode: Some("enabled".into()),
                image_path: Some(format!("/usr/sbin/svc-{it:02}")),
                ..ServiceRow::default()
            })
            .collect()
    }

    fn listeners(&self) -> Vec<ListenerRow> {
        [22, 102, 502, 4840, 44_818]
            .into_iter()
            .take(usize::try_from(2 + self.image % 4).unwrap_or(2))
            .map(|port| ListenerRow {
                source: "proc/net/tcp".into(),
                protocol: "tcp".into(),
                address: "0.0.0.0".into(),
                port,
                program: Some("/usr/sbin/server".into()),
                ..ListenerRow::default()
            })
            .collect()
    }
}

/// The sections of golden images, made once: a fleet of 10,000 clones shares them.
#[derive(Debug, Default)]
pub struct Images(Mutex<HashMap<u32, Vec<Arc<Section>>>>);

impl Images {
    /// All sections of a host; those of an image that nobody updated are shared.
    pub fn sections_of(&self, host: &Host) -> Vec<Arc<Section>> {
        let shared = || host.shared_sections().into_iter().map(Arc::new).collect::<Vec<_>>();
        let mut sections = if host.updated == 0 {
            let mut images = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            images.entry(host.image).or_insert_with(shared).clone()
        } else {
            shared()
        };
        sections.push(Arc::new(host.own_section()));
        sections
    }
}

const STEMS: [&str; 8] = ["opc", "modbus", "ssl", "qt", "curl", "xml", "gl", "usb"];

fn stem_of(package: u32) -> usize {
    usize::try_from(package).unwrap_or(0) % STEMS.len()
}

fn accounts() -> Vec<AccountRow> {
    ["root", "operator", "maintenance"]
        .map(|name| AccountRow {
            source: "etc/passwd".into(),
            kind: "user".into(),
            name: name.into(),
            shell: Some("/bin/bash".into()),
            password: Some("set".into()),
            ..AccountRow::default()
        })
        .into()
}

fn self_row() -> SelfRow {
    SelfRow {
        source: "agent".into(),
        agent_version: env!("CARGO_PKG_VERSION").into(),
        agent_digest: Some(Digest::of(b"simulated agent").to_string()),
        ..SelfRow::default()
    }
}

fn complete(kind: SectionKind, rows: Rows) -> Section {
    Section::new(kind, SectionStatus::Complete, Vec::new(), rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn software(host: Host) -> Section {
        host.sections().into_iter().find(|it| it.kind == SectionKind::Software).unwrap()
    }

    #[test]
    fn clones_of_an_image_share_their_software_and_nothing_else() {
        let one = Host { number: 1, image: 7, updated: 0 };
        let two = Host { number: 2, ..one };
        assert_eq!(software(one).digest, software(two).digest);
        assert_eq!(software(one).rows.len(), usize::try_from(SOFTWARE_ROWS).unwrap());
        assert_ne!(one.fingerprint(), two.fingerprint());
    }

    #[test]
    fn images_and_drift_differ() {
        let one = Host { number: 1, image: 7, updated: 0 };
        assert_ne!(software(one).digest, software(Host { image: 8, ..one }).digest);
        assert_ne!(software(one).digest, software(Host { updated: 3, ..one }).digest);
    }
}
