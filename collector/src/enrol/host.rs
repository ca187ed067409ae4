//! What a host says of itself when it asks for a certificate, bounded.

use holdpoint_common::proto::store::AssetRecord;
use holdpoint_common::proto::v1::HostFacts;
use holdpoint_common::section::Digest;
use tonic::Status;

/// Longest host name, in bytes: the longest name of the domain name system.
const MAX_HOSTNAME: usize = 253;
/// Longest of the other texts, in bytes.
const MAX_TEXT: usize = 128;

/// Checked host facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) hostname: String,
    pub(super) fingerprint: Digest,
    boot_id: String,
    agent_version: String,
    os_name: Option<String>,
    os_version: Option<String>,
}

impl TryFrom<HostFacts> for Host {
    type Error = Status;

    fn try_from(wire: HostFacts) -> Result<Self, Status> {
        let HostFacts { hostname, fingerprint, boot_id, agent_version, os_name, os_version } = wire;
        let fingerprint = Digest::try_from(fingerprint.as_slice())
            .map_err(|_| Status::invalid_argument("the machine fingerprint has 32 bytes"))?;
        Ok(Self {
            hostname: text("the host name", hostname, MAX_HOSTNAME)?,
            fingerprint,
            boot_id: text("the boot id", boot_id, MAX_TEXT)?,
            agent_version: text("the agent's version", agent_version, MAX_TEXT)?,
            os_name: os_name.map(|it| text("the system's name", it, MAX_TEXT)).transpose()?,
            os_version: os_version.map(|it| text("the system's version", it, MAX_TEXT)).transpose()?,
        })
    }
}

impl Host {
    /// Writes what the host said into its record; what it did not say stays.
    pub(super) fn introduce(&self, record: &mut AssetRecord) {
        record.hostname.clone_from(&self.hostname);
        record.fingerprint = self.fingerprint.to_vec();
        record.boot_id.clone_from(&self.boot_id);
        record.agent_version.clone_from(&self.agent_version);
        record.os_name = self.os_name.clone().or(record.os_name.take());
        record.os_version = self.os_version.clone().or(record.os_version.take());
    }
}

fn text(what: &str, text: String, most: usize) -> Result<String, Status> {
    if text.len() > most || text.chars().any(char::is_control) {
        return Err(Status::invalid_argument(format!(
            "{what} has at most {most} bytes and no control characters"
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> HostFacts {
        HostFacts { hostname: "HMI-01".into(), fingerprint: vec![7; 32], ..HostFacts::default() }
    }

    #[test]
    fn what_a_host_says_is_bounded() {
        assert!(Host::try_from(facts()).is_ok());
        for wrong in [
            HostFacts { hostname: "x".repeat(254), ..facts() },
            HostFacts { hostname: "hmi\u{1b}[2J".into(), ..facts() },
            HostFacts { fingerprint: vec![7; 31], ..facts() },
            HostFacts { boot_id: "x".repeat(129), ..facts() },
            HostFacts { agent_version: "x".repeat(129), ..facts() },
            HostFacts { os_name: Some("x".repeat(129)), ..facts() },
            HostFacts { os_version: Some("a\nb".into()), ..facts() },
        ] {
            let refused = Host::try_from(wrong.clone()).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{wrong:?}");
        }
    }
}
