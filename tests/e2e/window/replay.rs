//! An agent that answers once and then never looks again: it sends its old answer for every new question.
//!
//! It has the identity of a host whose own agent is stopped, and says what that agent said last, under the next
//! sequence: nothing about its answer is wrong but its age.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use holdpoint_common::credentials::Credentials;
use holdpoint_common::proto::v1::report_part::Part;
use holdpoint_common::proto::v1::{
    CheckInRequest, HeldSection, ReportAck, ReportHeader, ReportPart, SectionBody, SectionContent,
    SectionPart,
};
use holdpoint_tests::inventory;
use holdpoint_tests::operator::Operator;
use holdpoint_tests::peer::{Link, Peer, Traffic, all_stored};
use tokio::runtime::Runtime;

use super::host::Host;

/// How long a check-in may be held, in seconds.
const HOLD_S: u32 = 10;

/// The agent.
#[derive(Debug)]
pub(super) struct Replayer {
    runtime: Runtime,
    collector: SocketAddr,
    peer: Peer,
    /// What it says of the machine.
    speaks: ReportHeader,
    sections: Vec<SectionPart>,
    /// Its answer, once there is one.
    answer: Vec<ReportPart>,
}

impl Replayer {
    /// Takes the place of a host's agent; `profile` is an operator's, by whom it learns what that agent said last.
    pub(super) fn of(host: &Host, asset: &str, collector: SocketAddr, profile: &Path) -> Self {
        let runtime = Runtime::new().unwrap();
        let operator = Operator::from_profile(profile).unwrap();
        let known = runtime.block_on(operator.asset(asset)).unwrap();
        let sequence = known.asset.unwrap().sequence;
        let state = host.state();
        let speaks = ReportHeader {
            boot_id: host.boot_id(),
            fingerprint: fs::read(state.join("machine")).unwrap(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..ReportHeader::default()
        };
        // The simulated host is only asked for an address of its own.
        let simulated = inventory::Host { number: 1, image: 0, updated: 0 };
        let peer = Peer::with(simulated, Credentials::load(&state).unwrap(), sequence);
        let sections = known.sections.into_iter().map(reference).collect();
        Self { runtime, collector, peer, speaks, sections, answer: Vec::new() }
    }

    /// Waits until it is asked, and answers as an agent should.
    pub(super) fn answer(&mut self) {
        let Self { runtime, collector, peer, speaks, sections, answer } = self;
        let acknowledged: ReportAck = runtime.block_on(async {
            let mut link = connect(peer, *collector).await;
            let nonces = loop {
                let request = CheckInRequest {
                    sequence: peer.sequence,
                    boot_id: speaks.boot_id.clone(),
                    fingerprint: speaks.fingerprint.clone(),
                    held: sections.iter().map(held).collect(),
                    agent_version: speaks.agent_version.clone(),
                    anchors_digest: peer.anchors.clone(),
                    max_hold_s: HOLD_S,
                    ..CheckInRequest::default()
                };
                let asked = link.check_in(request).await.unwrap().into_inner().challenges;
                if !asked.is_empty() {
                    break asked.into_iter().map(|it| it.nonce).collect();
                }
            };
            let host_time_ms = peer.header().host_time_ms;
            let header = ReportHeader { sequence: peer.sequence + 1, nonces, host_time_ms, ..speaks.clone() };
            let sections = sections.iter().map(|it| Part::Section(it.clone()));
            let parts = std::iter::once(Part::Header(header)).chain(sections);
            *answer = parts.map(|it| ReportPart { part: Some(it) }).collect();
            link.report(tokio_stream::iter(answer.clone())).await.unwrap().into_inner()
        });
        assert!(all_stored(&acknowledged), "{acknowledged:?}");
    }

    /// Sends its answer once more; what it is told.
    pub(super) fn replay(&self) -> tonic::Status {
        self.runtime.block_on(async {
            let mut link = connect(&self.peer, self.collector).await;
            link.report(tokio_stream::iter(self.answer.clone())).await.unwrap_err()
        })
    }
}

async fn connect(peer: &Peer, collector: SocketAddr) -> Link {
    peer.connect(collector, &Arc::new(Traffic::default())).await.unwrap()
}

/// A section that the collector has, without its rows.
fn reference(known: SectionContent) -> SectionPart {
    let SectionContent { kind, status, reasons, digest, rows: _, grade: _ } = known;
    let body = SectionBody::Reference.into();
    SectionPart { kind, status, reasons, digest, body, ..SectionPart::default() }
}

fn held(section: &SectionPart) -> HeldSection {
    HeldSection { kind: section.kind, digest: section.digest.clone(), status: section.status }
}
