//! What one look at a host gave: sections by kind, and who the host is.

use std::time::Duration;

use holdpoint_common::row::{IdentityPart, PlatformRow, SectionKind};
use holdpoint_common::section::{Digest, Section};
use prost::Message;

/// The sections of one scan, in the order in which sections are shown.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// One per kind that was asked for.
    pub sections: Vec<Section>,
    /// How long the scan took.
    pub took: Duration,
}

/// What tells a host from its copies, read out of its platform row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostIdentity {
    /// The host's name; empty when it has none.
    pub hostname: String,
    /// SHA-256 over the identity parts.
    pub fingerprint: Digest,
    /// Changes with every boot; empty when unknown.
    pub boot_id: String,
    /// The operating system's name, where it says one.
    pub os_name: Option<String>,
    /// The operating system's version, where it says one.
    pub os_version: Option<String>,
}

impl HostIdentity {
    /// A host of which nothing is known.
    pub fn unknown() -> Self {
        Snapshot { sections: Vec::new(), took: Duration::ZERO }.identity()
    }
}

impl Snapshot {
    /// The section of that kind, when it was asked for.
    pub fn section(&self, kind: SectionKind) -> Option<&Section> {
        self.sections.iter().find(|it| it.kind == kind)
    }

    /// The host's identity, as far as the platform section says it.
    pub fn identity(&self) -> HostIdentity {
        let row = self
            .section(SectionKind::Platform)
            .and_then(|it| it.rows.as_slice().first())
            .and_then(|it| PlatformRow::decode(it.as_slice()).ok())
            .unwrap_or_default();
        HostIdentity {
            fingerprint: fingerprint(&row.identity),
            hostname: row.hostname.unwrap_or_default(),
            boot_id: row.boot_id.unwrap_or_default(),
            os_name: row.os_name,
            os_version: row.os_version,
        }
    }
}

/// SHA-256 over the parts that stay when a network card is added or replaced; hardware
/// addresses count only where the firmware says nothing about the machine.
fn fingerprint(parts: &[IdentityPart]) -> Digest {
    let is_address = |it: &&IdentityPart| it.kind == "mac";
    let from_firmware = parts.iter().any(|it| it.kind != "mac" && it.kind != "machine-id");
    let mut lines: Vec<String> = parts
        .iter()
        .filter(|it| !(from_firmware && is_address(it)))
        .map(|it| format!("{}={}\n", it.kind, it.value))
        .collect();
    lines.sort_unstable();
    Digest::of(lines.concat().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: &str, value: &str) -> IdentityPart {
        IdentityPart { kind: kind.into(), value: value.into() }
    }

    #[test]
    fn a_new_network_card_is_the_same_machine_where_the_firmware_knows_it() {
        let known = [part("machine-id", "a"), part("smbios-uuid", "b"), part("mac", "c")];
        assert_eq!(fingerprint(&known), fingerprint(&known[..2]));
        let unknown = [part("machine-id", "a"), part("mac", "c")];
        assert_ne!(fingerprint(&unknown), fingerprint(&unknown[..1]));
    }

    #[test]
    fn a_clone_with_another_board_is_another_machine() {
        let here = [part("machine-id", "a"), part("smbios-uuid", "b")];
        let there = [part("machine-id", "a"), part("smbios-uuid", "c")];
        assert_ne!(fingerprint(&here), fingerprint(&there));
        assert_eq!(fingerprint(&here), fingerprint(&[here[1].clone(), here[0].clone()]));
    }
}
