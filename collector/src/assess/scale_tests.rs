//! A whole zone: 10,000 assets of 50 images with drift against 1,000 advisories.
//!
//! Time is printed, not judged, except for a bound that only a wrong algorithm would break.

use std::sync::Arc;
use std::time::{Duration, Instant};

use holdpoint_common::proto::store::AssetRecord;
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::section::Digest;

use super::testing::{Shelf, asset, rule, software};
use super::{Board, Filter, Verdict};
use crate::knowledge::map::CONFIRMED;
use crate::knowledge::{
    Advisory, AllowedAges, Entry, HeldAdvisory, Identity, Kind, Knowledge, Revision, Source, Stated,
    Versions, Vulnerability,
};

const ASSETS: usize = 10_000;
const IMAGES: usize = 50;
const ADVISORIES: usize = 1_000;
const ROWS: usize = 200;
const PRODUCTS: usize = 400;

fn advisory(number: usize) -> HeldAdvisory {
    let entries: Vec<Entry> = (0..5)
        .map(|it| Entry {
            id: format!("P{it}"),
            vendor: "Example Controls".into(),
            product: format!("Product {}", (number * 3 + it) % PRODUCTS),
            versions: Versions::Range(format!("< {}.{}", number % 7, it)),
            identity: Identity::Named,
            conditions: Vec::new(),
            model_numbers: Vec::new(),
            purl: None,
        })
        .collect();
    let vulnerability = |it| Vulnerability {
        id: format!("CVE-2026-{it}"),
        severity: None,
        vector: None,
        statements: (0..5).map(|it| (it, Stated::Affected)).collect(),
        remediations: Vec::new(),
    };
    let revision = Revision { id: format!("EXC-{number:04}-01"), version: "1".into(), released_ms: None };
    let advisory = Advisory {
        kind: Kind::Csaf,
        revision,
        title: String::new(),
        publisher: String::new(),
        status: "final".into(),
        withdrawn: false,
        entries,
        vulnerabilities: (0..3).map(vulnerability).collect(),
    };
    let source =
        Source { digest: Digest::of(b"a"), file: "a".into(), imported_ms: 1_000, imported_by: "t".into() };
    HeldAdvisory { advisory: Arc::new(advisory), source: Arc::new(source), superseded: false }
}

#[test]
fn a_zone_of_ten_thousand_assets_is_judged_in_seconds_and_read_at_once() {
    let shelf = Arc::new(Shelf::default());
    let board = Board::open(shelf.clone(), AllowedAges::default());
    // Only a few of what is installed is a product of an advisory, as on a real host.
    let rules = (0..20).map(|it| {
        rule(CONFIRMED, "Example Controls", &format!("Product {it}"), &format!("Tool {it}"), "natural")
    });
    let knowledge = Knowledge {
        revision: 1,
        advisories: (0..ADVISORIES).map(advisory).collect(),
        rules: Arc::new(rules.collect()),
        ..Knowledge::default()
    };
    let start = Instant::now();
    let rows = |image: usize| -> Vec<_> {
        let name = |it: usize| format!("Tool {}", (image + it) % (PRODUCTS + image));
        (0..ROWS).map(|it| software(&name(it), Some(&format!("{}.2", it % 5)))).collect()
    };
    let complete = SectionStatus::Complete;
    let images: Vec<_> = (0..IMAGES).map(|it| asset("", &shelf, &rows(it), complete)).collect();
    for number in 0..ASSETS {
        let id = format!("hmi-{number:05}");
        if number % 4 > 0 {
            board.asset_changed(&AssetRecord { id, ..images[number % IMAGES].clone() });
        } else {
            let mut drifted = rows(number % IMAGES);
            drifted[number % ROWS].version = Some(format!("9.{number}"));
            board.asset_changed(&asset(&id, &shelf, &drifted, complete));
        }
    }
    println!("made in {:?}", start.elapsed());
    let start = Instant::now();
    board.knowledge_changed(&Arc::new(knowledge), 2_000);
    println!("arranged in {:?}", start.elapsed());
    let start = Instant::now();
    let summary = board.summary(2_000, &|_| None).unwrap();
    println!("judged in {:?}: {:?}", start.elapsed(), summary.by_verdict);
    assert!(start.elapsed() < Duration::from_mins(1));

    let filters = [
        Filter::default(),
        Filter { verdict: Some(Verdict::Unknown), ..Filter::default() },
        Filter { advisory: Some("EXC-0003-01".into()), ..Filter::default() },
        Filter { asset: Some("hmi-04711".into()), ..Filter::default() },
        Filter {
            verdict: Some(Verdict::Affected),
            after: Some("2/hmi-08000/".parse().unwrap()),
            ..Filter::default()
        },
    ];
    for filter in filters {
        let start = Instant::now();
        let page = board.page(&filter, 2_000, &|_| None).unwrap();
        println!("page of {} in {:?} for {filter:?}", page.findings.len(), start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
