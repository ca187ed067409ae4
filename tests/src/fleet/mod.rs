//! The fleet simulator: N agents against one collector, and a proof that nothing acked is lost.
//!
//! ```text
//! storm    connect all, report everything for the first time, drop all, reconnect all at once
//! steady   keep all connected, check in at the collector's pace with nothing changed
//! churn    a tenth of the hosts updates packages each round and reports deltas
//! ```
//!
//! Afterwards every acknowledged report is looked up with an operator's own call.

mod enrol;
mod figures;
mod modes;
mod verify;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use figures::{Figures, resident_kib};
pub use verify::lost;

use crate::inventory::Host;
use crate::operator::Operator;
use crate::peer::{Held, Peer, Traffic};

/// What to simulate.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The collector under test.
    pub collector: SocketAddr,
    /// A token with enough uses; needed for hosts that have no identity yet.
    pub token: Option<String>,
    /// Where identities are kept between runs.
    pub identities: PathBuf,
    /// An operator's profile, to look up what was acknowledged.
    pub profile: Option<PathBuf>,
    /// Number of hosts.
    pub agents: u32,
    /// Number of golden images that they were cloned from.
    pub images: u32,
    /// What they do.
    pub mode: Mode,
    /// How long `steady` and `churn` go on.
    pub duration: Duration,
    /// Process whose memory is read while the fleet is connected.
    pub collector_pid: Option<u32>,
}

/// What a fleet does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// First contact of all, then all come back at once.
    Storm,
    /// Nothing changes.
    Steady,
    /// Hosts change and report deltas.
    Churn,
}

impl Mode {
    /// The word in the figures.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Storm => "storm",
            Self::Steady => "steady",
            Self::Churn => "churn",
        }
    }
}

/// Runs the plan.
///
/// # Errors
/// The fleet cannot be made or the collector cannot be asked; a refused agent is a figure and not an error.
pub async fn run(plan: &Plan) -> anyhow::Result<Figures> {
    let peers = enrol::all(plan).await?;
    let traffic = Arc::new(Traffic::default());
    let mut outcome = modes::run(plan, peers, &traffic).await?;
    if let Some(profile) = &plan.profile {
        let assets = Operator::from_profile(profile)?.assets().await?;
        outcome.figures.lost = Some(u64::try_from(lost(&assets, &outcome.acked).len())?);
    }
    Ok(outcome.figures)
}

/// The host with that number: hosts of one image are equal but for their identity.
fn host(plan: &Plan, number: u32) -> Host {
    Host { number, image: number % plan.images.max(1), updated: 0 }
}

/// What was acknowledged for one asset.
#[derive(Debug, Clone)]
pub struct Acked {
    asset: String,
    sequence: u64,
    digests: Vec<(i32, Vec<u8>)>,
}

impl Acked {
    /// The last report of an agent that holds these sections.
    pub fn of(peer: &Peer, held: &[Held]) -> Self {
        Self {
            asset: peer.asset(),
            sequence: peer.sequence,
            digests: held.iter().map(|it| (it.kind.into(), it.digest.to_vec())).collect(),
        }
    }
}
