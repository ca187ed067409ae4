//! A zone of 10,000 assets that says everything in one cycle, and then what 100 of them changed to.
//!
//! 500 images of 400 programs, 60 requirements that most of them miss, everything under the policy `full`. Time is
//! printed, not judged: `tests/benches/outbox`.

use std::time::Instant;

use holdpoint_common::proto::store::{AssetRecord, HeldRecord, SectionState};
use holdpoint_common::proto::v1::{SectionKind, SectionStatus, SoftwareRow};
use holdpoint_common::section::Rows;
use prost::Message;
use tokio::task::block_in_place;

use super::office::Office;
use super::office_tests::{Sender, full};
use crate::store::{NewSection, Store, Txn};
use crate::zone::world::{START, World};

/// The release build measures; any other shows that the bench still says what it should.
const ASSETS: usize = if cfg!(debug_assertions) { 400 } else { 10_000 };
const IMAGES: usize = ASSETS / 20;
const ROWS: usize = 400;
const REQUIREMENTS: usize = 60;

fn rows(image: usize) -> Rows {
    let row = |number: usize| {
        let row = SoftwareRow {
            name: format!("program-{number:04}"),
            version: Some(format!("1.{}.{}", number % 10, (image + number) % 10)),
            source: "dpkg".into(),
            ..SoftwareRow::default()
        };
        row.encode_to_vec()
    };
    Rows::from_encoded((0..ROWS).map(row).collect())
}

fn fill(store: &Store) {
    let images: Vec<Rows> = (0..IMAGES).map(rows).collect();
    for first in (0..ASSETS).step_by(500) {
        let mut txn = Txn::report();
        for number in first..(first + 500).min(ASSETS) {
            let rows = &images[number % IMAGES];
            let kind = SectionKind::Software;
            let shown = SectionState {
                status: SectionStatus::Complete.into(),
                digest: rows.digest().to_vec(),
                rows: 400,
                received_ms: START,
                ..SectionState::default()
            };
            txn = txn
                .put_section(NewSection {
                    kind,
                    digest: rows.digest().as_bytes().to_owned(),
                    rows: rows.as_slice().to_vec(),
                    payload: None,
                    base: None,
                })
                .put_asset(AssetRecord {
                    id: format!("hmi-{number:05}"),
                    name: format!("HMI {number}"),
                    role: Some("hmi".into()),
                    sections: vec![HeldRecord {
                        kind: kind.into(),
                        shown: Some(shown),
                        ..HeldRecord::default()
                    }],
                    software_count: 400,
                    ..AssetRecord::default()
                });
        }
        store.commit_blocking(txn).unwrap();
    }
}

fn requirements() -> Vec<u8> {
    let one = |it: usize| {
        format!(
            "[[requirement]]\nid = \"R-{it}\"\nproduct = \"program-{:04}\"\nmin_version = \"2\"\nscheme = \"deb\"\n",
            it * 6
        )
    };
    (0..REQUIREMENTS).map(one).collect::<String>().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_of_ten_thousand_assets_and_a_delta_of_a_hundred() {
    let mut sender = Sender::of(block_in_place(|| World::filled(fill)), full(), vec!["relay"], 60);
    sender.learn("requirements.toml", requirements()).await;
    let zone = sender.world.zone.clone();
    let summary = sender.sources.board.summary(zone.now_ms(), &|_| None).unwrap();
    assert_eq!(summary.by_verdict.values().sum::<u64>(), u64::try_from(ASSETS * REQUIREMENTS).unwrap());

    // The first interval says everything for the first time.
    timed("everything, said for the first time", || sender.ask(Office::step).unwrap());
    sender.world.clock.advance(60_000);
    let objects = sender.taken();
    println!("    {} objects of {} bytes", objects.len(), objects.iter().map(Vec::len).sum::<usize>());
    let mut cycle = 0.0;
    for interval in 0..60 {
        let took = timed("", || sender.ask(Office::step).unwrap());
        if [1, 3, 7, 15, 31, 47].contains(&(interval + 1)) {
            println!("an interval that says everything again, by the policy of repetition: {took:.0} ms");
        } else {
            cycle += took;
        }
        sender.world.clock.advance(60_000);
        sender.taken();
    }
    println!("the slices of a whole cycle: {cycle:.0} ms in 54 intervals");
    for round in 0..5 {
        for number in 0..ASSETS / 100 {
            let id = format!("hmi-{:05}", number * 100 + round);
            zone.change_asset(&id, |it, _| {
                it.name = format!("HMI {number} of round {round}");
                Ok(())
            })
            .await
            .unwrap();
        }
        timed("an interval with a hundred changed assets and its slice", || {
            sender.ask(Office::step).unwrap()
        });
        sender.world.clock.advance(60_000);
        sender.taken();
    }
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    work();
    let took = start.elapsed().as_secs_f64() * 1_000.0;
    if !what.is_empty() {
        println!("{what}: {took:.1} ms");
    }
    took
}
