//! The collector on a disk that others fill, and on one that loses its power.

use std::fs;
use std::net::TcpStream;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use holdpoint_common::proto::v1::ReportAck;
use holdpoint_common::refusal::Reason;
use holdpoint_common::token::Token;
use holdpoint_tests::fleet::{Acked, lost};
use holdpoint_tests::inventory::{Host, Images};
use holdpoint_tests::operator::Operator;
use holdpoint_tests::peer::{Held, Link, Peer, Traffic, all_stored};
use holdpoint_tests::program::{ZoneProcess, wait};
use rustix::process::{Pid, Signal, kill_process};
use tonic::{Code, Status};

use crate::disks::{Mount, make_ext4, may_mount, snapshot, take_the_rest};
use crate::ingest::{Fleet, random, rounds};

/// Size of the small disk, MiB.
const SMALL_MIB: u32 = 64;
/// Hosts on the small disk.
const HOSTS: u32 = 6;
/// Longest wait for what should happen soon.
const SOON: Duration = Duration::from_mins(1);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Size of the disk that loses its power, MiB.
const CUT_MIB: u64 = 128;
/// Hosts that report until the power is cut.
const CUT_AGENTS: u32 = 24;
/// Latest moment of a power cut, milliseconds.
const LATEST_CUT: u64 = 3_000;

/// A host that reports one change after another.
struct Reporter {
    peer: Peer,
    held: Vec<Held>,
    acked: Option<Acked>,
}

impl Reporter {
    async fn connect(&self, zone: &ZoneProcess) -> Link {
        self.peer
            .connect(zone.address, &Traffic::default().into())
            .await
            .expect("a full disk refuses no connection")
    }

    /// Checks in, which always has to work, and reports what is wanted.
    async fn report(&mut self, zone: &ZoneProcess) -> Result<ReportAck, Status> {
        let mut link = self.connect(zone).await;
        let directives = self.peer.check_in(&mut link, &self.held, 0).await.expect("check-ins are answered");
        self.peer.sequence = self.peer.sequence.max(directives.sequence_floor);
        let ack = self.peer.report(&mut link, &directives.wanted, &self.held, &[]).await?;
        assert!(all_stored(&ack), "{ack:?}");
        self.acked = Some(Acked::of(&self.peer, &self.held));
        Ok(ack)
    }

    fn drift(&mut self, images: &Images) {
        self.peer.host.updated += 1;
        self.held = images.sections_of(&self.peer.host);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_reports_and_nothing_else() {
    if !may_mount() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let disk = Mount::memory(SMALL_MIB, &work.path().join("disk"));
    let mut zone = ZoneProcess::start_in(disk.at.join("zone"), |settings| {
        let store = settings["store"].as_table_mut().unwrap();
        store.insert("low_watermark_mib".into(), 12.into());
        store.insert("ballast_mib".into(), 8.into());
    });
    let witness = Operator::enrol(zone.address, &zone.operator_token("witness")).await.unwrap();
    let token: Token = zone.token(HOSTS).parse().unwrap();
    let images = Images::default();
    let mut hosts = Vec::new();
    for number in 1..=HOSTS {
        let host = Host { number, image: number, updated: 0 };
        let peer = Peer::enrol(zone.address, &token, host).await.unwrap();
        hosts.push(Reporter { peer, held: images.sections_of(&host), acked: None });
    }
    for host in &mut hosts {
        host.report(&zone).await.unwrap();
        host.drift(&images);
    }

    let filler = disk.at.join("filler");
    take_the_rest(&filler);
    let full = refused(&zone, &mut hosts[0], &images).await;
    assert!(full.message().contains("disk") || full.message().contains("space"), "{full:?}");
    for host in &mut hosts[1..4] {
        refused(&zone, host, &images).await;
    }
    assert!(zone.ended().is_none(), "a full disk ends no collector");
    check(&witness, &hosts).await;

    // It opens while the disk is still full, after a kill too.
    for _ in 0..2 {
        zone.kill();
        zone.restart();
        check(&witness, &hosts).await;
        refused(&zone, &mut hosts[4], &images).await;
    }

    // Where others took the room that it keeps for this, it may have to give up, in words.
    zone.kill();
    let last = disk.at.join("last");
    take_the_rest(&last);
    zone.launch();
    if let Some(status) = ended_or_serves(&mut zone) {
        assert_eq!(status.code(), Some(3), "not served, and said so: {status}");
        fs::remove_file(&last).unwrap();
        zone.restart();
    }
    check(&witness, &hosts).await;

    fs::remove_file(&filler).unwrap();
    for host in &mut hosts {
        let started = Instant::now();
        while let Err(status) = host.report(&zone).await {
            assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
            assert!(started.elapsed() < SOON, "still refused with space on the disk: {status:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }
    assert!(zone.ended().is_none(), "it recovers without a restart");
    check(&witness, &hosts).await;
}

/// Reports until the full disk is noticed; what is taken before that is a promise like any other.
async fn refused(zone: &ZoneProcess, host: &mut Reporter, images: &Images) -> Status {
    let started = Instant::now();
    loop {
        match host.report(zone).await {
            Ok(_) => host.drift(images),
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                if Reason::of(&status).is_none() {
                    return status;
                }
            }
        }
        assert!(started.elapsed() < SOON, "reports go on being taken on a full disk");
        tokio::time::sleep(PAUSE).await;
    }
}

/// How the collector ended, unless it serves.
fn ended_or_serves(zone: &mut ZoneProcess) -> Option<ExitStatus> {
    let mut ended = None;
    wait("the collector serves or ends", || {
        ended = zone.ended();
        ended.is_some() || TcpStream::connect(zone.address).is_ok()
    });
    ended
}

async fn check(witness: &Operator, hosts: &[Reporter]) {
    let assets = witness.assets().await.expect("operators are answered on a full disk");
    assert_eq!(lost(&assets, hosts.iter().filter_map(|it| it.acked.as_ref())), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_loses_no_acknowledged_report() {
    if !may_mount() {
        return;
    }
    let mut total = 0;
    for round in 1..=rounds("HOLDPOINT_POWER_CUTS", 3) {
        let work = tempfile::tempdir().unwrap();
        let (image, cut) = (work.path().join("disk.img"), work.path().join("cut.img"));
        make_ext4(&image, CUT_MIB);
        let disk = Mount::loop_file(&image, &work.path().join("disk"));
        let zone = ZoneProcess::start_in(disk.at.join("zone"), |settings| {
            let store = settings["store"].as_table_mut().unwrap();
            store.insert("low_watermark_mib".into(), 8.into());
        });
        let witness = Operator::enrol(zone.address, &zone.operator_token("witness")).await.unwrap();
        let mut fleet = Fleet::default();
        fleet.enrol(&zone, CUT_AGENTS).await;

        let working = fleet.start(zone.address);
        let delay = 100 + random(LATEST_CUT);
        tokio::time::sleep(Duration::from_millis(delay)).await;
        let pid = Pid::from_raw(i32::try_from(zone.pid()).unwrap()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        // An answer that is still under way counts as none, which both outcomes satisfy.
        fleet = working.stop().await;
        snapshot(&image, &cut);
        drop((zone, disk));

        let survivor = Mount::loop_file(&cut, &work.path().join("survivor"));
        let zone = ZoneProcess::adopt(survivor.at.join("zone"));
        fleet.check(&witness).await;
        println!("round {round}: power cut after {delay} ms, {} reports acked", fleet.reports());
        total += fleet.reports();
        drop(zone);
    }
    assert!(total > 0, "nothing was ever acknowledged: the test has tested nothing");
}
