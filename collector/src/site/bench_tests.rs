//! A site of 500 zones whose carriers have all been away for an hour: everything lies in the trays at once.
//!
//! Time is printed, not judged: `tests/benches/site`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use holdpoint_common::bundle::Class;
use holdpoint_common::clock::SystemClock;

use super::config::Config;
use super::daemon;
use super::plant::Plant;
use super::trays::{INBOX, round};
use crate::carrier::tray::{Emptier, Filler, Limits};

/// The release build measures; any other shows that the bench still says what it should.
const ZONES: usize = if cfg!(debug_assertions) { 10 } else { 500 };
/// Carriers that bring them.
const TRAYS: usize = 4;
const ASSETS: usize = 50;
/// Bundles and beacons of each zone after its first cycle.
const MINUTES: usize = if cfg!(debug_assertions) { 2 } else { 10 };
/// Records of a bundle.
const CHANGED: usize = 10;

fn name(zone: usize) -> String {
    format!("line-{zone:03}")
}

#[test]
fn a_site_of_many_zones_takes_in_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    daemon::init(dir.path(), &Config::new(&"plant".parse().unwrap())).unwrap();
    let keeper = daemon::open(dir.path(), Arc::new(SystemClock)).unwrap().keeper;
    let mut plants: Vec<_> =
        (0..ZONES).map(|it| Plant::new(&name(it), u16::try_from(it + 1).unwrap())).collect();
    for plant in &plants {
        keeper
            .act(|fleet, now_ms| fleet.trust(&plant.zone, &plant.root(), &plant.enrolment(), "bench", now_ms))
            .unwrap();
    }

    let inbox = dir.path().join(INBOX);
    let mut trays: Vec<_> = (0..TRAYS)
        .map(|it| Filler::open(&inbox.join(format!("relay-{it}")), Limits::default()).unwrap())
        .collect();
    let (mut objects, mut bytes) = (0, 0);
    for (at, plant) in plants.iter_mut().enumerate() {
        for asset in 0..ASSETS {
            plant.asset(&format!("hmi-{asset:02}"), "fresh", 3);
            plant.findings(&format!("hmi-{asset:02}"), &[("ADV-1/CVE-1", "AFFECTED"); 20]);
        }
        let mut said = plant.cycle();
        for minute in 0..MINUTES {
            let records = (0..CHANGED)
                .map(|it| plant.asset(&format!("hmi-{:02}", (minute * CHANGED + it) % ASSETS), "stale", 4));
            let records = records.collect();
            said.push(plant.delta(records));
            said.push(plant.beacon());
        }
        for object in said {
            (objects, bytes) = (objects + 1, bytes + object.len());
            trays[at % TRAYS].put(&object).unwrap();
        }
    }

    let stop = AtomicBool::new(false);
    let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
    loop {
        let round_begun = Instant::now();
        if round(&inbox, &keeper, &stop).unwrap() == 0 {
            break;
        }
        slowest = slowest.max(round_begun.elapsed());
    }
    let took = begun.elapsed();
    let per_second = f64::from(objects) / took.as_secs_f64();
    println!("{ZONES} zones: {objects} objects of {bytes} bytes in {took:.1?}, {per_second:.0}/s");
    println!("slowest round of up to 256 objects: {slowest:.1?}");
    for tray in 0..TRAYS {
        assert!(Emptier::new(&inbox.join(format!("relay-{tray}"))).places().unwrap().is_empty());
    }
    {
        let fleet = keeper.fleet();
        assert!(fleet.members().all(|(_, it)| it.zone.facts().count(Class::Asset) == ASSETS));
        assert!(fleet.members().all(|(_, it)| it.zone.uncertain_since(0).is_none()));
    }
    let begun = Instant::now();
    keeper.look().unwrap();
    println!("a look at all zones: {:.1?}", begun.elapsed());
    let disk = keeper.store().stats().bytes_on_disk.unwrap_or_default();
    drop(keeper);
    let begun = Instant::now();
    let again = daemon::open(dir.path(), Arc::new(SystemClock)).unwrap().keeper;
    println!("opened again in {:.1?}, {disk} bytes on disk", begun.elapsed());
    assert_eq!(again.fleet().members().count(), ZONES);
}
