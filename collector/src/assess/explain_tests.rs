//! What is told of a package of a distribution and of a Windows, link by link.

use std::sync::Arc;

use super::change_tests::{NOW, World, advisory};
use super::testing::{Shelf, software};
use super::{Board, Explanation, Verdict};
use crate::knowledge::AllowedAges;

fn told(world: &World, subject: &str) -> Explanation {
    let sections = Arc::new(Shelf::default());
    let board = Board::open(sections.clone(), AllowedAges::default());
    board.knowledge_changed(&Arc::new(world.knowledge.clone()), NOW);
    for number in 0..world.rows.len() {
        world.tell(&board, &sections, number);
    }
    board.explain("hmi-0", subject, NOW, &|_| Some(NOW)).unwrap()
}

fn assert_told(told: &Explanation, steps: &[&str], texts: &[&str]) {
    let has: Vec<&str> = told.chain.iter().map(|it| it.step).collect();
    for step in steps {
        assert!(has.contains(step), "{step} is missing in {has:?}");
    }
    let all: String = told.chain.iter().map(|it| it.text.clone() + "\n").collect();
    for text in texts {
        assert!(all.contains(text), "`{text}` is missing in\n{all}");
    }
    // What a person may decide comes after the verdict and changes nothing of it.
    let judged = told.chain.iter().rfind(|it| it.step != "triage").unwrap();
    assert!(judged.step == "verdict" && judged.text.starts_with(told.outcome.verdict().as_str()), "{all}");
    let digests =
        told.chain.iter().filter(|it| it.evidence.as_ref().is_some_and(|it| it.len() == 64)).count();
    assert!(digests >= 2, "the document and the section are named by their digests: {:?}", told.chain);
}

/// Debian 12 with a package, and a record that says fixed in 2.
fn debian() -> World {
    let mut world = World { now_ms: NOW, ..World::default() };
    world.knowledge.revision = 1;
    world.knowledge.advisories.push(advisory(0, 0, 0, 2));
    world.releases[0] = 1;
    let mut row = software("alpha", Some("1.1"));
    row.source = "dpkg".into();
    world.rows[0].push(row);
    world
}

#[test]
fn a_package_is_told_from_its_source_to_the_events() {
    let mut world = debian();
    let of = told(&world, "ADV-0");
    assert_eq!(of.outcome.verdict(), Verdict::Affected);
    let steps = ["document", "section", "row", "identity", "range", "feed"];
    assert_told(
        &of,
        &steps,
        &[
            "alpha 1.1 (amd64) is installed (source dpkg",
            "source package alpha 1.1 of debian 12; the record is about debian 12",
            "is written `>= 0 < 2` and read as affected from the first version on, fixed in 2",
            "section platform",
            "newest osv import",
        ],
    );
    world.rows[0][0].version = Some("2.1".into());
    let of = told(&world, "ADV-0");
    assert_eq!(of.outcome.verdict(), Verdict::Fixed);
    assert_told(&of, &steps, &["2.1 is at or above the fix 2"]);

    world.releases[0] = 3;
    let of = told(&world, "ADV-0");
    assert_eq!(of.outcome.verdict(), Verdict::NoProduct);
    assert_told(&of, &["identity"], &["the host runs ubuntu 22.04, and the record is about debian 12"]);
    world.releases[0] = 2;
    let of = told(&world, "ADV-0");
    assert_eq!(of.outcome.reason().map(super::Reason::as_str), Some("branch-unknown"));
    assert_told(&of, &["identity"], &["the host does not say its release"]);
    world.releases[0] = 1;
    world.rows[0].clear();
    let of = told(&world, "ADV-0");
    assert_told(&of, &["identity"], &["no package that was built from that source is installed"]);
}

#[test]
fn a_windows_is_told_from_its_name_to_its_build() {
    let mut world = debian();
    world.knowledge.advisories = vec![advisory(0, 1, 0, 3)];
    world.releases[0] = 4;
    let of = told(&world, "ADV-0");
    assert_eq!(of.outcome.verdict(), Verdict::Affected);
    assert_told(
        &of,
        &["document", "section", "identity", "range", "comparison", "feed"],
        &[
            "the host is Windows Server 2019, build 10.0.17763.2",
            "the document names `Windows Server 2019`, which is this host",
            "is written `< 10.0.17763.3`",
            "build 10.0.17763.2 is below 10.0.17763.3",
            "section updates",
            "newest microsoft import",
        ],
    );
    world.releases[0] = 1;
    let of = told(&world, "ADV-0");
    assert_eq!(of.outcome.verdict(), Verdict::NoProduct);
    world.releases[0] = 0;
    let of = told(&world, "ADV-0");
    assert_eq!(of.outcome.reason().map(super::Reason::as_str), Some("section-incomplete"));
}
