//! Identities for a fleet: enrolled once over the real protocol, kept for later runs.

use std::fs;
use std::sync::Arc;

use anyhow::Context;
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::credentials::{Credentials, anchors_digest};
use holdpoint_common::enrolment;
use holdpoint_common::proto::v1::HostFacts;
use holdpoint_common::token::Token;
use tokio::task::JoinSet;

use super::{Plan, host};
use crate::peer::Peer;

/// Enrolments at once: far below the collector's limit for one address.
const AT_ONCE: usize = 16;

/// Every host of the plan with an identity.
pub(super) async fn all(plan: &Plan) -> anyhow::Result<Vec<Peer>> {
    let mut peers = Vec::new();
    let mut running = JoinSet::new();
    for number in 1..=plan.agents {
        if running.len() >= AT_ONCE
            && let Some(done) = running.join_next().await
        {
            peers.push(done??);
        }
        running.spawn(one(plan.clone(), number));
    }
    while let Some(done) = running.join_next().await {
        peers.push(done??);
    }
    peers.sort_by_key(|it: &Peer| it.host.number);
    Ok(peers)
}

async fn one(plan: Plan, number: u32) -> anyhow::Result<Peer> {
    let host = host(&plan, number);
    let dir = plan.identities.join(format!("sim-{number:05}"));
    let credentials = match Credentials::load(&dir) {
        Ok(kept) => kept,
        Err(_) => {
            let token: Token = plan
                .token
                .as_deref()
                .context("hosts without an identity need --token")?
                .parse()
                .context("--token")?;
            let facts = HostFacts {
                hostname: format!("sim-{number:05}"),
                fingerprint: host.fingerprint().to_vec(),
                boot_id: host.boot_id(1),
                agent_version: env!("CARGO_PKG_VERSION").into(),
                os_name: None,
                os_version: None,
            };
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let enrolled = enrolment::enrol(&plan.collector.to_string(), &token, Some(facts), clock).await?;
            fs::create_dir_all(&dir)?;
            enrolled.credentials.save(&dir)?;
            enrolled.credentials
        }
    };
    let sequence_file = dir.join("sequence");
    // Each run takes a range of its own, as an agent does that counts before it sends.
    let sequence = fs::read_to_string(&sequence_file).ok().and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    fs::write(&sequence_file, (sequence + 1_000_000).to_string())?;
    let anchors = anchors_digest(&credentials.anchors).to_vec();
    Ok(Peer { host, sequence, boot: 1, credentials, anchors })
}
