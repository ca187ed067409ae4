//! `kill -9` of the collector while agents report.

use std::time::Duration;

use holdpoint_tests::operator::Operator;
use holdpoint_tests::program::ZoneProcess;

use crate::ingest::{Fleet, random, rounds};

/// Hosts that drift through all rounds.
const AGENTS: u32 = 40;
/// Hosts whose first reports each round brings.
const NEW_IN_A_ROUND: u32 = 4;
/// Latest moment of a kill after the agents have started, milliseconds.
const LATEST_KILL: u64 = 900;
/// Latest moment of a kill that is meant for the opening of the store, milliseconds.
const LATEST_KILL_IN_OPEN: u64 = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_killed_loses_no_acknowledged_report() {
    let mut zone = ZoneProcess::start();
    let witness = Operator::enrol(zone.address, &zone.operator_token("witness")).await.unwrap();
    let mut fleet = Fleet::default();
    fleet.enrol(&zone, AGENTS).await;

    for round in 1..=rounds("HOLDPOINT_KILLS", 10) {
        fleet.enrol(&zone, NEW_IN_A_ROUND).await;
        let before = fleet.reports();
        let working = fleet.start(zone.address);
        let delay = 1 + random(LATEST_KILL);
        tokio::time::sleep(Duration::from_millis(delay)).await;
        zone.kill();
        fleet = working.stop().await;
        if round % 3 == 0 {
            zone.launch();
            tokio::time::sleep(Duration::from_millis(random(LATEST_KILL_IN_OPEN))).await;
            zone.kill();
        }
        zone.restart();
        println!("round {round}: killed after {delay} ms, {} reports acked", fleet.reports() - before);
        fleet.check(&witness).await;
    }

    let before = fleet.reports();
    let working = fleet.start(zone.address);
    working.until_all_are_served().await;
    fleet = working.stop().await;
    fleet.check(&witness).await;
    assert!(before > 0, "nothing was acknowledged before a kill: the test has tested nothing");
    println!("{} acknowledged reports, none lost, nobody refused", fleet.reports());
}
