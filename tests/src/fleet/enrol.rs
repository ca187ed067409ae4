//! Identities for a fleet: enrolled once over the real protocol, kept for later runs.

use std::fs;

use anyhow::Context;
use holdpoint_common::credentials::Credentials;
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
    let mut peer = match Credentials::load(&dir) {
        Ok(kept) => Peer::with(host, kept, 0),
        Err(_) => {
            let token = plan.token.as_deref().context("hosts without an identity need --token")?;
            let token: Token = token.parse().context("--token")?;
            let peer = Peer::enrol(plan.collector, &token, host).await?;
            fs::create_dir_all(&dir)?;
            peer.credentials.save(&dir)?;
            peer
        }
    };
    let sequence_file = dir.join("sequence");
    // Each run takes a range of its own, as an agent does that counts before it sends.
    let spent = fs::read_to_string(&sequence_file).ok().and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    fs::write(&sequence_file, (spent + 1_000_000).to_string())?;
    peer.sequence = spent;
    Ok(peer)
}
