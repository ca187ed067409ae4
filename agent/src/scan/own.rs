//! The section `self`: the agent about itself, and what its probes could see.
//!
//! Source of truth: the running program, the coverage of this very scan, and what the system answers
//! about the cage of the thread that scans; of the network half's walls, what the system said when they
//! were built.

use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::{Coverage, SectionKind, SelfRow};
use holdpoint_common::section::{Rows, Section};

use crate::cage::{self, Walls};
use crate::host::Host;

pub(super) fn section(host: &Host, coverage: &[Coverage], walls: Option<&Walls>) -> Section {
    let row = SelfRow {
        source: "agent".to_owned(),
        agent_version: host.agent.version.clone(),
        agent_digest: host.agent.digest.map(|it| it.to_string()),
        config_digest: host.agent.config_digest.map(|it| it.to_string()),
        cage: cage::active(walls).into_iter().map(str::to_owned).collect(),
        coverage: coverage.to_vec(),
        key_protection: host.home.as_ref().map(|it| it.key_protection.to_owned()),
        state_storage: host.home.as_ref().map(|it| it.storage.word().to_owned()),
    };
    Section::new(SectionKind::Self_, SectionStatus::Complete, Vec::new(), Rows::encode(&[row]))
}
