//! A whole zone: 10,000 assets of 2,000 images made of 5,000 rows, 3,000 advisories, 5,000 confirmed links.
//!
//! Time is printed, not judged, except for bounds that only a wrong algorithm would break.

use std::sync::Arc;
use std::time::{Duration, Instant};

use holdpoint_common::proto::store::AssetRecord;
use holdpoint_common::proto::v1::{SectionStatus, SoftwareRow};
use holdpoint_common::section::Digest;

use super::testing::{Shelf, asset, rule, software};
use super::{Board, Filter, Verdict};
use crate::knowledge::map::CONFIRMED;
use crate::knowledge::{
    Advisory, AllowedAges, Entry, HeldAdvisory, Identity, Kind, Knowledge, Revision, Source, Stated,
    Versions, Vulnerability,
};

const ASSETS: usize = 10_000 / SHARE;
const IMAGES: usize = 2_000 / SHARE;
/// Without optimisation nothing is measured, and a tenth of the zone shows that nothing is wrong.
const SHARE: usize = if cfg!(debug_assertions) { 10 } else { 1 };
const ROWS: usize = 400;
/// Rows of an image that rules bind: the products of a plant among everything else.
const BOUND: usize = 16;
/// Installed names, each in two versions: 5,000 distinct rows.
const NAMES: usize = 2_500;
/// Names that rules bind, each to ten products: 5,000 links.
const BOUND_NAMES: usize = 500;
const LINKS: usize = 10;
const ADVISORIES: usize = 3_000;
/// As in the published advisories: 6.7 entries and 3.3 vulnerabilities a file.
const ENTRIES: usize = 7;
const VULNERABILITIES: usize = 3;
const PRODUCTS: usize = 6_000;
const NOW: i64 = 2_000;

fn advisory(number: usize) -> HeldAdvisory {
    advisory_named(number, &format!("EXC-{number:04}-01"))
}

fn advisory_named(number: usize, id: &str) -> HeldAdvisory {
    let entry = |it: usize| Entry {
        id: format!("P{it}"),
        vendor: "Example Controls".into(),
        product: format!("Product {}", (number * 13 + it * 857) % PRODUCTS),
        versions: Versions::Range(format!("< {}.{it}", number % 7)),
        identity: Identity::Named,
        conditions: Vec::new(),
        model_numbers: Vec::new(),
        purl: None,
    };
    let vulnerability = |it| Vulnerability {
        fixes: Vec::new(),
        id: format!("CVE-2026-{}", number * VULNERABILITIES + it),
        severity: None,
        vector: None,
        statements: (0_u32..).take(ENTRIES).map(|it| (it, Stated::Affected)).collect(),
        remediations: Vec::new(),
    };
    let revision = Revision { id: id.to_owned(), version: "1".into(), released_ms: None };
    let advisory = Advisory {
        original: None,
        kind: Kind::Csaf,
        revision,
        title: String::new(),
        publisher: String::new(),
        status: "final".into(),
        withdrawn: false,
        entries: (0..ENTRIES).map(entry).collect(),
        vulnerabilities: (0..VULNERABILITIES).map(vulnerability).collect(),
    };
    let digest = Digest::of(&number.to_be_bytes());
    let source = Source { digest, file: "a".into(), imported_ms: 1_000, imported_by: "t".into() };
    HeldAdvisory { advisory: Arc::new(advisory), source: Arc::new(source), superseded: false }
}

/// One of the 5,000 rows.
fn row(name: usize, version: usize) -> SoftwareRow {
    software(&format!("Tool {name}"), Some(&format!("{}.{}", name % 7, version % 2)))
}

/// The rows of an image: a few that rules bind, the rest not.
fn rows(image: usize) -> Vec<SoftwareRow> {
    let bound = (0..BOUND).map(|it| row((image * 7 + it * 31) % BOUND_NAMES, image / 3 + it));
    let others = NAMES - BOUND_NAMES;
    let rest = (0..ROWS - BOUND).map(|it| row(BOUND_NAMES + (image * 11 + it * 5) % others, image / 2 + it));
    bound.chain(rest).collect()
}

/// Peak of resident memory, as the system counts it; empty where it does not.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|it| it.starts_with("VmHWM")).unwrap_or_default().to_owned()
}

#[test]
fn a_zone_of_ten_thousand_assets_is_judged_in_seconds_and_read_at_once() {
    let shelf = Arc::new(Shelf::default());
    let board = Board::open(shelf.clone(), AllowedAges::default());
    let links = (0..BOUND_NAMES * LINKS).map(|it| {
        let installed = format!("Tool {}", it % BOUND_NAMES);
        rule(CONFIRMED, "Example Controls", &format!("Product {it}"), &installed, "natural")
    });
    let knowledge = Knowledge {
        revision: 1,
        advisories: (0..ADVISORIES).map(advisory).collect(),
        rules: Arc::new(links.collect()),
        ..Knowledge::default()
    };
    let images: Vec<_> =
        (0..IMAGES).map(|it| asset("", &shelf, &rows(it), SectionStatus::Complete)).collect();
    for number in 0..ASSETS {
        let record = AssetRecord { id: format!("hmi-{number:05}"), ..images[number % IMAGES].clone() };
        board.asset_changed(&record);
    }
    let everything = |board: &Board| board.page(&Filter::default(), NOW, &|_| None).unwrap();
    everything(&board);
    println!("made; {}", peak());

    board.knowledge_changed(&Arc::new(knowledge.clone()), NOW);
    let took = timed("everything judged for the first time", || everything(&board));
    assert!(took < Duration::from_mins(2));
    timed("the summary", || board.summary(NOW, &|_| None).unwrap());
    println!("{}", peak());

    // A change of the map touches everything.
    let mut rules = knowledge.rules.to_vec();
    rules.push(rule(CONFIRMED, "Example Controls", "Product 5000", "Tool 0", "natural"));
    let knowledge = Knowledge { revision: 2, rules: Arc::new(rules), ..knowledge };
    board.knowledge_changed(&Arc::new(knowledge.clone()), NOW);
    timed("everything judged again", || everything(&board));

    // Each moves the numbers of the subjects behind it: near the end, in the middle, near the beginning.
    let mut more = knowledge;
    for (revision, number, id) in [
        (3, ADVISORIES, "EXC-2900-02"),
        (4, ADVISORIES + 1, "EXC-1500-02"),
        (5, ADVISORIES + 2, "EXC-0100-02"),
    ] {
        more.revision = revision;
        more.advisories.push(advisory_named(number, id));
        board.knowledge_changed(&Arc::new(more.clone()), NOW);
        timed("one imported advisory", || everything(&board));
    }
    let one = ASSETS / 2 + 1;
    let name = format!("hmi-{one:05}");
    let mut changed = rows(one % IMAGES);
    changed[3].version = Some("9.9".into());
    board.asset_changed(&asset(&name, &shelf, &changed, SectionStatus::Complete));
    timed("one changed asset", || everything(&board));

    let filters = [
        Filter::default(),
        Filter { verdict: Some(Verdict::Unknown), ..Filter::default() },
        Filter { verdict: Some(Verdict::InstalledNotLive), ..Filter::default() },
        Filter { advisory: Some("EXC-0003-01".into()), ..Filter::default() },
        Filter { asset: Some(name), ..Filter::default() },
        Filter { role: Some("nobody".into()), ..Filter::default() },
        Filter {
            verdict: Some(Verdict::Affected),
            after: Some(format!("2/hmi-{:05}/", ASSETS * 4 / 5).parse().unwrap()),
            ..Filter::default()
        },
    ];
    for filter in filters {
        let took =
            timed(&format!("a page for {filter:?}"), || board.page(&filter, NOW, &|_| Some(NOW)).unwrap());
        assert!(took < Duration::from_secs(20));
    }
    println!("{}", peak());
}

fn timed<T>(what: &str, act: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    act();
    let took = start.elapsed();
    println!("{what}: {took:?}");
    took
}
