//! What is kept of work that others go on beside.

use std::sync::Arc;

use holdpoint_common::proto::v1::{SectionStatus, SoftwareRow};

use super::asset::AssetFacts;
use super::change_tests::{NAMES, NOW, advisory};
use super::index::Index;
use super::testing::{Shelf, asset, rule, software};
use super::work::{Looked, SPARE, Sections, Work};
use crate::knowledge::Knowledge;
use crate::knowledge::map::CONFIRMED;

#[test]
fn numbers_of_rows_that_are_forgotten_while_findings_are_joined_are_not_kept() {
    let shelf = Arc::new(Shelf::default());
    let sections = Sections(shelf.clone());
    let facts =
        |row: SoftwareRow| AssetFacts::of(&asset("hmi-1", &shelf, &[row], SectionStatus::Complete)).unwrap();
    let knowledge = Knowledge {
        rules: Arc::new(vec![rule(CONFIRMED, "Example Controls", NAMES[0], NAMES[0], "natural")]),
        ..Knowledge::default()
    };
    let mut work = Work::default();
    work.advance(&Arc::new(Index::build(&Arc::new(knowledge.clone()), NOW, &Index::default())));

    let host = facts(software(NAMES[0], Some("1")));
    let Looked::ToJoin(job) = work.look(&sections, &host, 0) else { panic!("nobody has judged it before") };
    // More images come and go than are remembered.
    for number in 0..SPARE + 2 {
        drop(work.judge(&sections, &facts(software(&format!("tool {number}"), Some("1"))), 0));
    }
    let joined = Arc::new(job.join());
    assert!(joined.findings.is_empty());
    drop(work.keep(*job, &joined));

    let knowledge = Knowledge { advisories: vec![advisory(0, 2, 0, 2)], ..knowledge };
    work.advance(&Arc::new(Index::build(&Arc::new(knowledge), NOW, work.index())));
    assert_eq!(work.judge(&sections, &host, 1).findings.len(), 1, "the advisory speaks of its row");
}
