//! Peers that lie, stall or flood, against one real collector each time: what they are answered,
//! what it costs, and what an honest agent gets meanwhile.

mod flood;
mod frames;
mod identity;
mod report;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use holdpoint_common::refusal::Reason;
use holdpoint_common::token::Token;
use holdpoint_tests::fleet::{Acked, lost, resident_kib};
use holdpoint_tests::inventory::{Host, Images};
use holdpoint_tests::operator::Operator;
use holdpoint_tests::peer::{Held, Link, Peer, Traffic, all_stored};
use holdpoint_tests::program::ZoneProcess;
use tonic::Status;

/// Longest time in which an honest agent connects and gets a report through, whatever others do.
const SERVED_WITHIN: Duration = Duration::from_secs(10);
/// Most resident memory of a collector with few assets, under any attack of these tests, KiB.
const MEMORY: u64 = 256 * 1024;
/// Most hosts of a test.
const HOSTS: u32 = 100;

/// A collector with an honest agent whose report it has, and a witness.
struct Site {
    zone: ZoneProcess,
    witness: Operator,
    token: Token,
    images: Images,
    next: AtomicU32,
    honest: Acked,
}

/// An agent with its connection and what it holds.
struct Agent {
    peer: Peer,
    link: Link,
    held: Vec<Held>,
}

impl Site {
    async fn start() -> Self {
        let zone = ZoneProcess::start();
        let witness = Operator::enrol(zone.address, &zone.operator_token("witness")).await.unwrap();
        let token: Token = zone.token(HOSTS).parse().unwrap();
        let host = Host { number: 1, image: 1, updated: 0 };
        let images = Images::default();
        let mut peer = Peer::enrol(zone.address, &token, host).await.unwrap();
        let honest = report_all(zone.address, &mut peer, &images.sections_of(&host)).await.unwrap();
        Self { zone, witness, token, images, next: AtomicU32::new(2), honest }
    }

    /// Another enrolled host.
    async fn enrol(&self) -> Peer {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Peer::enrol(self.zone.address, &self.token, Host { number, image: 1, updated: 0 }).await.unwrap()
    }

    /// Another enrolled host with a connection.
    async fn agent(&self) -> Agent {
        let peer = self.enrol().await;
        let link = peer.connect(self.zone.address, &Traffic::default().into()).await.unwrap();
        let held = self.images.sections_of(&peer.host);
        Agent { peer, link, held }
    }

    /// How long an honest agent takes to connect and to get a report on disk.
    async fn serve(&self, mut peer: Peer, during: &str) {
        let started = Instant::now();
        let held = self.images.sections_of(&peer.host);
        let served =
            tokio::time::timeout(SERVED_WITHIN, report_all(self.zone.address, &mut peer, &held)).await;
        served.unwrap_or_else(|_| panic!("an agent was not served during {during}")).unwrap();
        println!(
            "{during}: an honest agent was served in {} ms, {}",
            started.elapsed().as_millis(),
            self.memory()
        );
    }

    /// The collector's memory in words; it is bounded.
    fn memory(&self) -> String {
        let resident = resident_kib(self.zone.pid()).expect("the collector runs");
        assert!(resident < MEMORY, "{resident} KiB");
        format!("collector at {} MiB", resident / 1024)
    }

    /// The honest report is there and the collector is the same process.
    async fn end(mut self) {
        assert_eq!(self.zone.ended(), None);
        let assets = self.witness.assets().await.unwrap();
        assert_eq!(lost(&assets, [&self.honest]), [""; 0]);
        let asset = &assets["sim-00001"];
        assert!(asset.alarms.is_empty(), "{:?}", asset.alarms);
        println!("{}", self.memory());
    }
}

/// Connects, checks in and brings every section.
async fn report_all(
    collector: std::net::SocketAddr,
    peer: &mut Peer,
    held: &[Held],
) -> Result<Acked, Box<dyn std::error::Error + Send + Sync>> {
    let mut link = peer.connect(collector, &Traffic::default().into()).await?;
    let wanted = peer.check_in(&mut link, held, 0).await?.wanted;
    let ack = peer.report(&mut link, &wanted, held, &[]).await?;
    assert!(all_stored(&ack), "{ack:?}");
    Ok(Acked::of(peer, held))
}

/// The reason of a refused call, with its advice.
fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Option<Reason>, String) {
    let status = answer.expect_err("a refusal");
    (Reason::of(&status), status.message().to_owned())
}
