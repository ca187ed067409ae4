//! The order of `status`, its pages, and what ranks follow from.

use std::sync::Arc;

use holdpoint_common::proto::store::decision_record::What;
use holdpoint_common::proto::store::{AssetRecord, DecisionRecord, OverrideRecord, TriageRecord};
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::section::Digest;
use proptest::prelude::*;

use super::testing::{Shelf, asset, rule, software};
use super::{Board, Filter, FindingView, Verdict};
use crate::knowledge::kev::{Catalog, Exploited};
use crate::knowledge::map::CONFIRMED;
use crate::knowledge::{
    Advisory, AllowedAges, Entry, Held, HeldAdvisory, Identity, Kind, Knowledge, Revision, Source, Stated,
    Versions, Vulnerability, placement,
};
use crate::triage::Ledger;
use crate::triage::decide::Scheme;

const NOW: i64 = 2_000;
const DAY_MS: i64 = 86_400_000;
const REMOTE: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

fn source(file: &str) -> Arc<Source> {
    Arc::new(Source {
        digest: Digest::of(file.as_bytes()),
        file: file.into(),
        imported_ms: 1_000,
        imported_by: "kim".into(),
    })
}

/// An advisory that is about every version of three products, with one vulnerability each.
fn advisory(number: usize) -> HeldAdvisory {
    let entry = |it: usize| Entry {
        id: format!("P{it}"),
        vendor: "Example Controls".into(),
        product: format!("Product {it}"),
        versions: Versions::Range(format!("< {}", number + 2)),
        identity: Identity::Named,
        conditions: Vec::new(),
        model_numbers: Vec::new(),
        purl: None,
    };
    let vulnerability = |it: usize| Vulnerability {
        id: format!("CVE-2026-{}", number * 10 + it),
        severity: None,
        vector: (it > 0).then(|| if it == 1 { REMOTE } else { "CVSS:3.1/AV:L/AC:L/PR:L/UI:R" }.to_owned()),
        statements: vec![(u32::try_from(it).unwrap(), Stated::Affected)],
        remediations: Vec::new(),
        fixes: Vec::new(),
    };
    let revision = Revision { id: format!("EXC-{number}"), version: "1".into(), released_ms: None };
    let advisory = Advisory {
        kind: Kind::Csaf,
        revision,
        title: String::new(),
        publisher: String::new(),
        status: "final".into(),
        withdrawn: false,
        original: None,
        entries: (0..3).map(entry).collect(),
        vulnerabilities: (0..3).map(vulnerability).collect(),
    };
    HeldAdvisory { advisory: Arc::new(advisory), source: source("a.json"), superseded: false }
}

fn knowledge(listed: &[&str], placed: &str) -> Knowledge {
    let exploited = |it: &&str| {
        let one =
            Exploited { added: "2026-11-01".into(), due: None, action: String::new(), ransomware: false };
        ((*it).to_owned(), one)
    };
    let catalog = Catalog { listed: listed.iter().map(exploited).collect(), ..Catalog::default() };
    let rules = (0..3).map(|it| {
        rule(CONFIRMED, "Example Controls", &format!("Product {it}"), &format!("Tool {it}"), "natural")
    });
    let place = placement::recognise(placed.as_bytes(), placed).unwrap().unwrap().0;
    Knowledge {
        revision: 1,
        advisories: (0..4).map(advisory).collect(),
        rules: rules.collect::<Vec<_>>().into(),
        kev: Some(Held { content: Arc::new(catalog), source: source("kev.json") }),
        placements: vec![Held { content: Arc::new(place), source: source("p.csv") }],
        ..Knowledge::default()
    }
}

const PLACED: &str = "asset,zone,safety_impact,mission_impact,exposure\n\
    hmi-0,line,critical,mef-failure,controlled\nhmi-1,line,negligible,degraded,small\n\
    hmi-2,line,catastrophic,mission-failure,open\n";

/// Assets of different versions; the last one stands nowhere.
fn board(listed: &[&str]) -> Arc<Board> {
    let shelf = Arc::new(Shelf::default());
    let board = Board::open(shelf.clone(), AllowedAges::default());
    for number in 0..4 {
        let rows: Vec<_> =
            (0..3).map(|it| software(&format!("Tool {it}"), Some(&format!("{}", number + it)))).collect();
        board.asset_changed(&AssetRecord {
            id: format!("hmi-{number}"),
            ..asset("", &shelf, &rows, SectionStatus::Complete)
        });
    }
    board.knowledge_changed(&Arc::new(knowledge(listed, PLACED)), NOW);
    board
}

fn all(board: &Board, filter: &Filter, now_ms: i64) -> Vec<FindingView> {
    let filter = Filter { limit: 1_000, ..filter.clone() };
    let page = board.page(&filter, now_ms, &|_| Some(now_ms)).unwrap();
    assert_eq!(page.next_after, None);
    page.findings
}

fn triage_of(board: &Board, asset: &str, cve: &str) -> (Option<&'static str>, Vec<&'static str>) {
    let found = all(board, &Filter { asset: Some(asset.into()), ..Filter::default() }, NOW);
    let one = found.into_iter().find(|it| it.vulnerability.as_deref() == Some(cve)).unwrap();
    (one.triage, one.triage_missing)
}

#[test]
fn the_worst_comes_first_and_what_is_closed_last() {
    let board = board(&["CVE-2026-31"]);
    let found = all(&board, &Filter::default(), NOW);
    let place = |it: &FindingView| match it.triage {
        Some(word) => ["immediate", "out-of-cycle", "scheduled", "defer"].iter().position(|one| *one == word),
        None => Some(9),
    };
    let order: Vec<_> = found.iter().map(|it| (place(it), it.asset.clone(), it.subject.clone())).collect();
    assert!(order.is_sorted(), "{order:#?}");
    assert!(found.iter().any(|it| it.triage.is_none()) && found[0].triage == Some("immediate"));
    for it in &found {
        assert_eq!(it.triage.is_some(), it.outcome.verdict().is_open(), "{it:?}");
        assert_eq!(it.disposition, it.outcome.verdict().is_open().then_some("open"));
    }
}

#[test]
fn what_is_known_of_the_asset_and_of_the_vulnerability_decides_together() {
    let board = board(&["CVE-2026-31"]);
    assert_eq!(triage_of(&board, "hmi-2", "CVE-2026-31"), (Some("immediate"), vec![]));
    assert_eq!(triage_of(&board, "hmi-0", "CVE-2026-31"), (Some("out-of-cycle"), vec![]));
    assert_eq!(triage_of(&board, "hmi-1", "CVE-2026-31"), (Some("scheduled"), vec![]));
    assert_eq!(triage_of(&board, "hmi-1", "CVE-2026-32"), (Some("defer"), vec![]));
    let (word, missing) = triage_of(&board, "hmi-3", "CVE-2026-31");
    assert_eq!(
        (word, missing),
        (Some("immediate"), vec!["system_exposure", "safety_impact", "mission_impact"])
    );
    assert_eq!(
        triage_of(&board, "hmi-1", "CVE-2026-30"),
        (Some("defer"), vec![]),
        "no vector, and it changes nothing"
    );
}

#[test]
fn a_page_at_a_time_is_the_same_as_all_at_once() {
    let board = board(&["CVE-2026-31", "CVE-2026-10"]);
    let advisory = Some("EXC-3".to_owned());
    let filters = [
        Filter::default(),
        Filter { advisory: advisory.clone(), ..Filter::default() },
        Filter { verdict: Some(Verdict::Affected), ..Filter::default() },
        Filter { verdict: Some(Verdict::NotAffected), advisory, ..Filter::default() },
        Filter { triage: Some("immediate".into()), ..Filter::default() },
        Filter { asset: Some("hmi-3".into()), ..Filter::default() },
        Filter { verdict: Some(Verdict::NoProduct), ..Filter::default() },
    ];
    for filter in filters {
        let whole = all(&board, &filter, NOW);
        for limit in [1, 2, 5] {
            let (mut parts, mut after) = (Vec::new(), None);
            loop {
                let page =
                    board.page(&Filter { limit, after, ..filter.clone() }, NOW, &|_| Some(NOW)).unwrap();
                let open = whole.iter().any(|it| it.outcome.verdict().is_open());
                assert!(page.any_open == open || !page.any_open, "{filter:?}");
                if parts.is_empty() {
                    assert_eq!(page.any_open, open, "{filter:?}");
                }
                parts.extend(page.findings);
                // As it travels: as text.
                after = page.next_after.map(|it| it.to_string().parse().unwrap());
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(parts, whole, "{limit} at a time of {filter:?}");
        }
    }
}

#[test]
fn counts_agree_with_the_list_when_things_are_fresh_and_when_they_are_old() {
    let board = board(&["CVE-2026-31"]);
    for now_ms in [NOW, NOW + 20 * DAY_MS, NOW + 100 * DAY_MS, NOW + 500 * DAY_MS] {
        let summary = board.summary(now_ms, &|_| Some(now_ms)).unwrap();
        let found = all(&board, &Filter::default(), now_ms);
        for word in ["immediate", "out-of-cycle", "scheduled", "defer"] {
            let listed = found.iter().filter(|it| it.triage == Some(word)).count();
            assert_eq!(
                summary.by_triage.get(word).copied().unwrap_or(0),
                u64::try_from(listed).unwrap(),
                "{word}"
            );
        }
    }
}

#[test]
fn a_catalogue_that_became_too_old_makes_the_unlisted_undetermined_and_nothing_milder() {
    let board = board(&["CVE-2026-31"]);
    let place =
        |word: Option<&str>| Scheme::Deployer.table().outcomes.iter().position(|it| Some(*it) == word);
    let before = all(&board, &Filter::default(), NOW);
    let after = all(&board, &Filter::default(), NOW + 20 * DAY_MS);
    for it in before.iter().filter(|it| it.triage.is_some()) {
        let then = after.iter().find(|one| (&one.asset, &one.subject) == (&it.asset, &it.subject)).unwrap();
        assert!(place(then.triage) >= place(it.triage), "{then:?}");
        if it.vulnerability.as_deref() == Some("CVE-2026-31") && it.asset != "hmi-3" {
            assert!(then.triage_missing.is_empty(), "a listing stays one");
        }
    }
    assert!(after.iter().any(|it| it.triage_missing.contains(&"exploitation")));
}

#[test]
fn a_persons_outcome_goes_before_the_computed_one_until_it_is_taken_back() {
    let board = board(&["CVE-2026-31"]);
    let subject = "EXC-3/CVE-2026-31/P1";
    let said = |number, outcome: Option<&str>| {
        let overridden = outcome.map(|it| OverrideRecord { outcome: it.into(), reason: "r".into() });
        let triage = TriageRecord {
            asset: "hmi-0".into(),
            subject: subject.into(),
            computed: Vec::new(),
            r#override: overridden,
        };
        DecisionRecord { number, what: Some(What::Triage(triage)), ..DecisionRecord::default() }
    };
    let shown = || triage_of(&board, "hmi-0", "CVE-2026-31").0;
    board.decided(Arc::new(Ledger::of([said(1, Some("defer"))])), Some("hmi-0"));
    assert_eq!(shown(), Some("defer"));
    let both = Ledger::of([said(1, Some("defer")), said(2, None)]);
    board.decided(Arc::new(both), Some("hmi-0"));
    assert_eq!(
        shown(),
        Some("out-of-cycle"),
        "a newer record without another outcome agrees with the computed one"
    );
    let foreign = Ledger::of([said(1, Some("defer")), said(2, Some("now"))]);
    board.decided(Arc::new(foreign), Some("hmi-0"));
    assert_eq!(shown(), Some("defer"), "outcomes of other schemes sort nothing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_listing_never_makes_any_finding_milder(listed in prop::collection::vec(0..40_u32, 0..6)) {
        let ids: Vec<String> = listed.iter().map(|it| format!("CVE-2026-{it}")).collect();
        let lent: Vec<&str> = ids.iter().map(String::as_str).collect();
        let (with, without) = (board(&lent), board(&[]));
        let place = |it: &FindingView| Scheme::Deployer.table().outcomes.iter().position(|one| Some(*one) == it.triage);
        let plain = all(&without, &Filter::default(), NOW);
        for it in all(&with, &Filter::default(), NOW) {
            let same = plain.iter().find(|one| (&one.asset, &one.subject) == (&it.asset, &it.subject)).unwrap();
            prop_assert!(place(&it) >= place(same));
        }
    }
}
