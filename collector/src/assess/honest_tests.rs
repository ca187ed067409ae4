//! What may never happen: nothing empty, old, taken back, rejected, expired, partial or unknown is good news.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdpoint_common::proto::v1::{SectionKind, SectionStatus};
use proptest::prelude::*;

use super::change_tests::{ASSETS, Happens, NAMES, NOW, World, happens};
use super::testing::software;
use super::{FindingView, Outcome, REASONS, Reason, Verdict};
use crate::knowledge::map::REJECTED;
use crate::knowledge::{Kind, Knowledge};

const DAY_MS: i64 = 86_400_000;

fn is_good(it: &FindingView) -> bool {
    it.outcome.verdict().is_good()
}

fn world(story: &[Happens]) -> World {
    let mut world = World { now_ms: NOW, ..World::default() };
    for it in story {
        world.happens(it);
    }
    world
}

/// The outcomes of a world by asset and subject.
fn outcomes(findings: Vec<FindingView>) -> BTreeMap<(String, String), Outcome> {
    findings.into_iter().map(|it| ((it.asset, it.subject), it.outcome)).collect()
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let fixed = [
        Outcome::AFFECTED,
        Outcome::OLD_CODE,
        Outcome::RESTART_PENDING,
        Outcome::FIXED,
        Outcome::NOT_AFFECTED,
        Outcome::NO_PRODUCT,
    ];
    prop_oneof![
        prop::sample::select(fixed.to_vec()),
        prop::sample::select(REASONS.to_vec()).prop_map(Outcome::unknown)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn nothing_empty_old_taken_back_or_partial_is_good(story in prop::collection::vec(happens(), 5..40)) {
        let world = world(&story);
        let of = |it: &Knowledge| World { knowledge: it.clone(), ..world.clone() };
        let none_good = |world: &World, kinds: &[Kind]| {
            world.judged().into_iter().find(|it| kinds.contains(&it.kind) && is_good(it))
        };
        let all = [Kind::Csaf, Kind::Osv, Kind::Microsoft];

        let empty = Knowledge { advisories: Vec::new(), ..world.knowledge.clone() };
        prop_assert_eq!(of(&empty).judged(), Vec::new());
        let old = World { now_ms: NOW + 46 * DAY_MS, ..world.clone() };
        prop_assert_eq!(none_good(&old, &all), None, "older than allowed");

        let mut withdrawn = world.knowledge.clone();
        let mut superseded = world.knowledge.clone();
        for held in &mut withdrawn.advisories {
            Arc::make_mut(&mut held.advisory).withdrawn = true;
        }
        for held in &mut superseded.advisories {
            held.superseded = true;
        }
        prop_assert_eq!(none_good(&of(&withdrawn), &all), None, "withdrawn");
        prop_assert_eq!(none_good(&of(&superseded), &all), None, "superseded");

        let mut rejected = world.knowledge.clone();
        let mut expired = world.knowledge.clone();
        for rule in Arc::make_mut(&mut rejected.rules) {
            REJECTED.clone_into(&mut rule.decision);
        }
        for rule in Arc::make_mut(&mut expired.rules) {
            rule.expires_ms = Some(NOW);
        }
        prop_assert_eq!(none_good(&of(&rejected), &[Kind::Csaf]), None, "rejected");
        prop_assert_eq!(none_good(&of(&expired), &[Kind::Csaf]), None, "expired");

        for status in [SectionStatus::Partial, SectionStatus::Failed, SectionStatus::Unsupported] {
            let software = World { attempts: vec![(SectionKind::Software, status)], ..world.clone() };
            prop_assert_eq!(none_good(&software, &[Kind::Csaf, Kind::Osv]), None, "software {:?}", status);
            let platform = World { attempts: vec![(SectionKind::Platform, status)], ..world.clone() };
            prop_assert_eq!(none_good(&platform, &[Kind::Osv, Kind::Microsoft]), None, "platform {:?}", status);
        }
        let without = World { releases: [0; ASSETS], ..world.clone() };
        prop_assert_eq!(none_good(&without, &[Kind::Osv, Kind::Microsoft]), None, "no platform section");
        let unknown = World { releases: [2; ASSETS], ..world.clone() };
        prop_assert_eq!(none_good(&unknown, &[Kind::Osv, Kind::Microsoft]), None, "no release");
    }

    #[test]
    fn taking_a_rule_or_a_revision_away_never_makes_an_unknown_good(
        story in prop::collection::vec(happens(), 5..40),
        taken in any::<prop::sample::Index>(),
    ) {
        let before = world(&story);
        let unknown = outcomes(before.judged());
        let mut fewer = before.clone();
        if !fewer.knowledge.rules.is_empty() {
            let rules = Arc::make_mut(&mut fewer.knowledge.rules);
            rules.remove(taken.index(rules.len()));
        }
        let mut less = before.clone();
        if !less.knowledge.advisories.is_empty() {
            less.knowledge.advisories.remove(taken.index(less.knowledge.advisories.len()));
        }
        for after in [fewer, less] {
            let after = outcomes(after.judged());
            for (key, outcome) in unknown.iter().filter(|it| it.1.verdict() == Verdict::Unknown) {
                let now = after.get(key);
                prop_assert!(now.is_none_or(|it| !it.verdict().is_good()), "{:?}: {:?} became {:?}", key, outcome, now);
            }
        }
    }

    #[test]
    fn one_more_instance_never_makes_anything_better(
        story in prop::collection::vec(happens(), 5..40),
        asset in 0..ASSETS,
        name in 0..NAMES.len(),
        version in prop::option::of(0_u8..4),
        source in prop::sample::select(vec!["dpkg", "registry64"]),
    ) {
        let mut world = world(&story);
        let before = outcomes(world.judged());
        let mut row = software(NAMES[name], version.map(|it| format!("{it}.1")).as_deref());
        row.source = source.into();
        world.rows[asset].push(row);
        let after = outcomes(world.judged());
        for (key, outcome) in before {
            let now = after.get(&key).copied();
            prop_assert_eq!(now.map(|it| it.worse(outcome)), now, "{:?} was {:?}", key, outcome);
        }
    }

    #[test]
    fn joining_outcomes_has_no_order_and_keeps_the_worst(one in any_outcome(), two in any_outcome(), three in any_outcome()) {
        prop_assert_eq!(one.worse(two), two.worse(one));
        prop_assert_eq!(one.worse(two).worse(three), one.worse(two.worse(three)));
        prop_assert_eq!(one.worse(one), one);
        prop_assert!(one.worse(two).verdict() <= two.verdict());
        prop_assert_eq!(one.worse(two).verdict().is_good(), one.verdict().is_good() && two.verdict().is_good());
        let doubted = one.doubt_good(Reason::FeedStale);
        prop_assert!(!doubted.verdict().is_good() && doubted.verdict() <= one.verdict());
    }
}
