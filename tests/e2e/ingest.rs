//! Agents that report all the time, and what the collector has promised each of them.
//!
//! A promise is an acknowledged report. One that was sent and not answered may be on disk or
//! not; both are allowed, and nothing in between.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use holdpoint_common::proto::v1::Outcome;
use holdpoint_common::refusal::Reason;
use holdpoint_common::token::Token;
use holdpoint_tests::fleet::Acked;
use holdpoint_tests::inventory::{Host, Images, SOFTWARE_ROWS};
use holdpoint_tests::operator::Operator;
use holdpoint_tests::peer::{Held, Link, Peer, Traffic, all_stored};
use holdpoint_tests::program::ZoneProcess;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::{Code, Status};

/// Golden images that the hosts were cloned from.
const IMAGES: u32 = 5;
/// Pause after a failed attempt.
const PAUSE: Duration = Duration::from_millis(20);
/// Pause of an agent whose allowance is spent.
const SPENT: Duration = Duration::from_millis(500);
/// Longest wait until every agent was served.
const SOON: Duration = Duration::from_secs(90);

/// Agents between two runs.
#[derive(Default)]
pub(crate) struct Fleet {
    agents: Vec<Agent>,
    images: Arc<Images>,
}

/// An agent and its promises.
struct Agent {
    peer: Peer,
    link: Option<Link>,
    held: Vec<Held>,
    before: Vec<Held>,
    acked: Option<Acked>,
    pending: Option<Acked>,
    /// Acknowledged reports so far.
    reports: usize,
    /// Answers that trying again could not mend.
    refused: Vec<String>,
}

impl Fleet {
    /// Adds hosts with identities of their own.
    pub(crate) async fn enrol(&mut self, zone: &ZoneProcess, hosts: u32) {
        let token: Token = zone.token(hosts).parse().unwrap();
        let first = u32::try_from(self.agents.len()).unwrap() + 1;
        for number in first..first + hosts {
            let host = Host { number, image: number % IMAGES, updated: 0 };
            let peer = Peer::enrol(zone.address, &token, host).await.unwrap();
            let held = self.images.sections_of(&host);
            self.agents.push(Agent {
                peer,
                link: None,
                held,
                before: Vec::new(),
                acked: None,
                pending: None,
                reports: 0,
                refused: Vec::new(),
            });
        }
    }

    /// Lets all agents report until told to stop.
    pub(crate) fn start(self, collector: SocketAddr) -> Working {
        let (stop, stopped) = watch::channel(false);
        let (served, all, images) = (Arc::new(AtomicUsize::new(0)), self.agents.len(), self.images);
        let mut tasks = JoinSet::new();
        for agent in self.agents {
            tasks.spawn(agent.work(collector, images.clone(), stopped.clone(), served.clone()));
        }
        Working { tasks, stop, served, all, images }
    }

    /// Looks every promise up.
    pub(crate) async fn check(&self, operator: &Operator) {
        let assets = operator.assets().await.unwrap();
        for agent in &self.agents {
            assert!(agent.refused.is_empty(), "{} was refused: {:?}", agent.peer.asset(), agent.refused);
            let Some(acked) = &agent.acked else { continue };
            let asset = assets.get(&agent.peer.asset()).expect("an asset with a report is there");
            let kept =
                [Some(acked), agent.pending.as_ref()].into_iter().flatten().any(|it| it.is_held(asset));
            assert!(kept, "a promise is broken: {acked:?} {:?} {asset:?}", agent.pending);
        }
    }

    /// Acknowledged reports of all agents.
    pub(crate) fn reports(&self) -> usize {
        self.agents.iter().map(|it| it.reports).sum()
    }
}

/// Agents at work.
pub(crate) struct Working {
    tasks: JoinSet<Agent>,
    stop: watch::Sender<bool>,
    served: Arc<AtomicUsize>,
    all: usize,
    images: Arc<Images>,
}

impl Working {
    /// Waits until every agent had a report acknowledged since the start.
    pub(crate) async fn until_all_are_served(&self) {
        let started = Instant::now();
        while self.served.load(Ordering::Relaxed) < self.all {
            let served = self.served.load(Ordering::Relaxed);
            assert!(started.elapsed() < SOON, "only {served} of {} agents were served", self.all);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Stops all at once; what is under way stays a report without an answer.
    pub(crate) async fn stop(self) -> Fleet {
        self.stop.send_replace(true);
        let mut agents = self.tasks.join_all().await;
        agents.sort_by_key(|it| it.peer.host.number);
        Fleet { agents, images: self.images }
    }
}

impl Agent {
    async fn work(
        mut self,
        collector: SocketAddr,
        images: Arc<Images>,
        mut stopped: watch::Receiver<bool>,
        served: Arc<AtomicUsize>,
    ) -> Self {
        let before = self.reports;
        let mut counted = false;
        loop {
            tokio::select! {
                biased;
                () = told(&mut stopped) => break,
                outcome = self.report(collector, &images) => if let Err(status) = outcome {
                    self.judge(&status);
                    tokio::time::sleep(if spent(&status) { SPENT } else { PAUSE }).await;
                },
            }
            if !counted && self.reports > before {
                counted = true;
                served.fetch_add(1, Ordering::Relaxed);
            }
        }
        // The connections of a stopped agent are of no use to the next run.
        self.link = None;
        self
    }

    /// One turn: changes the host if its last state has arrived, and brings what is wanted.
    async fn report(&mut self, collector: SocketAddr, images: &Images) -> Result<(), Status> {
        let link = match &mut self.link {
            Some(link) => link,
            none => {
                let connected = self.peer.connect(collector, &Arc::new(Traffic::default())).await;
                none.insert(connected.map_err(|it| Status::unavailable(it.to_string()))?)
            }
        };
        if self.acked.is_some() && self.pending.is_none() {
            self.peer.host.updated = self.peer.host.updated % SOFTWARE_ROWS + 1;
            self.before = std::mem::replace(&mut self.held, images.sections_of(&self.peer.host));
        }
        let directives = self.peer.check_in(link, &self.held, 0).await?;
        self.peer.sequence = self.peer.sequence.max(directives.sequence_floor);
        if directives.wanted.is_empty() {
            // The report whose answer was lost had arrived.
            self.acked = self.pending.take().or(self.acked.take());
            return Ok(());
        }
        // `report` counts before it sends.
        self.peer.sequence += 1;
        self.pending = Some(Acked::of(&self.peer, &self.held));
        self.peer.sequence -= 1;
        let ack = self.peer.report(link, &directives.wanted, &self.held, &self.before).await?;
        if all_stored(&ack) {
            self.acked = self.pending.take();
            self.reports += 1;
        } else if ack.outcomes.iter().any(|it| it.outcome() == Outcome::Refused) {
            self.refused.push(format!("{:?}", ack.outcomes));
        }
        // Rows that were known a moment ago are gone with their last holder: they come again, in full.
        Ok(())
    }

    /// Keeps an answer that trying again cannot mend; any other costs the connection.
    fn judge(&mut self, status: &Status) {
        let transient = [
            Code::Unavailable,
            Code::Unknown,
            Code::Internal,
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::ResourceExhausted,
            Code::FailedPrecondition,
        ];
        if transient.contains(&status.code()) {
            if !spent(status) {
                self.link = None;
            }
        } else {
            self.refused.push(format!("{status:?}"));
        }
    }
}

/// Completes when the fleet is stopped, or is gone.
async fn told(stopped: &mut watch::Receiver<bool>) {
    drop(stopped.wait_for(|it| *it).await);
}

fn spent(status: &Status) -> bool {
    Reason::of(status) == Some(Reason::Pace)
}

/// Anything below the limit, differently each time; it is printed where it decides something.
pub(crate) fn random(below: u64) -> u64 {
    RandomState::new().build_hasher().finish() % below
}

/// How often a test that depends on chance repeats itself.
pub(crate) fn rounds(variable: &str, default: u32) -> u32 {
    std::env::var(variable).ok().map_or(default, |it| it.parse().unwrap())
}
