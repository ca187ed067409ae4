//! The section `self`: the agent about itself, and what its probes could see.
//!
//! Source of truth: the running program and the coverage of this very scan.

use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::{Coverage, SectionKind, SelfRow};
use holdpoint_common::section::{Rows, Section};

use crate::host::{Host, has_lowest_priority};

pub(super) fn section(host: &Host, coverage: &[Coverage]) -> Section {
    let row = SelfRow {
        source: "agent".to_owned(),
        agent_version: host.agent.version.clone(),
        agent_digest: host.agent.digest.map(|it| it.to_string()),
        config_digest: host.agent.config_digest.map(|it| it.to_string()),
        cage: cage(),
        coverage: coverage.to_vec(),
    };
    Section::new(SectionKind::Self_, SectionStatus::Complete, Vec::new(), Rows::encode(&[row]))
}

/// Restrictions that hold for the thread that scans.
fn cage() -> Vec<String> {
    has_lowest_priority().then(|| "nice".to_owned()).into_iter().collect()
}
