//! What is said of one asset, case by case, and what may never happen.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdpoint_common::proto::store::MapRuleRecord;
use holdpoint_common::proto::v1::{SectionStatus, SoftwareRow};
use holdpoint_common::row::{LiveRow, PlatformRow};
use proptest::prelude::*;

use super::testing::{Shelf, asset, knowledge, rule, software, with_live, with_platform};
use super::{Board, Filter, Verdict};
use crate::knowledge::map::{CONFIRMED, REJECTED};
use crate::knowledge::{AllowedAges, Knowledge};

const MIXER: &[u8] = include_bytes!("../../fixtures/csaf/exc-26-001.json");
const UPDATE: &[u8] = include_bytes!("../../fixtures/csaf/exc-26-001-update.json");
const VENDOR: &str = "Example Controls, Inc.";
const NOW: i64 = 2_000;
const DAY_MS: i64 = 86_400_000;

type Findings = BTreeMap<String, String>;

/// Every finding of one asset as `SUBJECT` to `VERDICT(reason)`.
fn judged(knowledge: Knowledge, rows: &[SoftwareRow], status: SectionStatus) -> Findings {
    let shelf = Arc::new(Shelf::default());
    let record = asset("hmi", &shelf, rows, status);
    let board = Board::open(shelf, AllowedAges::default());
    board.asset_changed(&record);
    board.knowledge_changed(&Arc::new(knowledge), NOW);
    findings(&board, NOW, None)
}

fn findings(board: &Board, now_ms: i64, verdict: Option<Verdict>) -> Findings {
    let page = board.page(&Filter { verdict, ..Filter::default() }, now_ms, &|_| None).unwrap();
    assert_eq!(page.next_after, None);
    let word = |it: &super::FindingView| match it.outcome.reason() {
        Some(reason) => format!("{}({reason})", it.outcome.verdict()),
        None => it.outcome.verdict().to_string(),
    };
    page.findings.iter().map(|it| (it.subject.clone(), word(it))).collect()
}

fn mixer(rules: Vec<MapRuleRecord>) -> Knowledge {
    Knowledge { rules: rules.into(), ..knowledge(&[("exc-26-001.json", MIXER)]) }
}

fn entry(id: &str) -> String {
    format!("EXC-26-001/CVE-2026-1001/{id}")
}

/// One product, bound to one installed name, in one version.
fn bound(product: &str, installed: &str, version: Option<&str>) -> Findings {
    let rules = vec![rule(CONFIRMED, VENDOR, product, installed, "natural")];
    judged(mixer(rules), &[software(installed, version)], SectionStatus::Complete)
}

#[test]
fn an_advisory_is_judged_as_the_table_says() {
    let table = [
        ("Mixer Studio", "Mixer Studio", Some("3.2.0"), "P1", "AFFECTED"),
        ("Mixer Studio", "Mixer Studio", Some("3.2.1"), "P1", "NOT_AFFECTED"),
        ("Mixer Studio", "Mixer Studio", None, "P1", "UNKNOWN(version-missing)"),
        ("Mixer Studio", "Mixer Studio", Some("blue"), "P1", "UNKNOWN(version-not-comparable)"),
        ("Mixer Link", "Link", Some("4.5"), "P2", "AFFECTED"),
        ("Mixer Link", "Link", Some("4.5"), "P3", "AFFECTED"),
        ("Mixer Link", "Link", Some("4.9.9"), "P2", "UNKNOWN(sibling-conflict)"),
        ("Mixer Link", "Link", Some("4.9.9"), "P3", "UNKNOWN(sibling-conflict)"),
        ("Mixer Link", "Link", Some("4.17.0"), "P3", "NOT_AFFECTED"),
        ("Mixer View V7.5", "Mixer View", Some("V7.5 SP1"), "P4", "AFFECTED"),
        ("Mixer View V7.5", "Mixer View V7.5 SP2", Some("V7.5 SP2"), "P4", "NOT_AFFECTED"),
        ("Mixer View V7.5", "Mixer View", Some("V8.0"), "P4", "UNKNOWN(line-unbound)"),
        ("Mixer View V7.5", "Mixer View", None, "P4", "UNKNOWN(line-unbound)"),
        ("Batch Server", "Batch", Some("1.32"), "P5", "AFFECTED"),
        ("Batch Server", "Batch", Some("1.33"), "P5", "NOT_AFFECTED"),
        ("Old Panel", "Panel", None, "P6", "AFFECTED"),
        ("Recipe Tool", "Recipe", Some("2.3.0"), "P7", "UNKNOWN(range-conditional)"),
        ("Recipe Tool", "Recipe", Some("2.4.0"), "P8", "UNKNOWN(range-conditional)"),
    ];
    for (product, installed, version, id, expected) in table {
        let found = bound(product, installed, version);
        assert_eq!(
            found.get(&entry(id)).map(String::as_str),
            Some(expected),
            "{product} {version:?}: {found:?}"
        );
    }
}

#[test]
fn a_fix_of_which_the_old_code_still_runs_is_not_in_effect() {
    let shelf = Arc::new(Shelf::default());
    let record = asset("hmi", &shelf, &[software("Studio", Some("9.0"))], SectionStatus::Complete);
    let live = LiveRow {
        kind: "mapped-file".into(),
        state: "deleted".into(),
        package: Some("Studio".into()),
        program: Some("/opt/studio/run".into()),
        ..LiveRow::default()
    };
    let record = with_live(record, &shelf, &[live]);
    let restarted = with_live(
        asset("hmi", &shelf, &[software("Studio", Some("9.0"))], SectionStatus::Complete),
        &shelf,
        &[],
    );
    let board = Board::open(shelf, AllowedAges::default());
    let confirmed = vec![rule(CONFIRMED, VENDOR, "Mixer Studio", "Studio", "natural")];
    board.knowledge_changed(&Arc::new(mixer(confirmed)), NOW);
    board.asset_changed(&record);
    assert_eq!(findings(&board, NOW, None)[&entry("P1")], "INSTALLED_NOT_LIVE");
    let told = board.explain("hmi", &entry("P1"), NOW, &|_| None).unwrap();
    let steps: Vec<&str> = told.chain.iter().map(|it| it.step).collect();
    assert!(steps.contains(&"live"), "{steps:?}");
    assert_eq!(told.outcome.verdict(), Verdict::InstalledNotLive);
    board.asset_changed(&restarted);
    assert_eq!(findings(&board, NOW, None)[&entry("P1")], "NOT_AFFECTED");
}

#[test]
fn a_product_that_nobody_confirmed_is_unknown_or_unmentioned() {
    let rows = [software("mixer-studio", Some("1.0")), software("Mixer Studio Viewer", Some("1.0"))];
    let found = judged(mixer(Vec::new()), &rows, SectionStatus::Complete);
    assert_eq!(found, Findings::from([(entry("P1"), "UNKNOWN(identity-unconfirmed)".into())]));

    let rejected = vec![rule(REJECTED, VENDOR, "Mixer Studio", "mixer-studio", "natural")];
    assert_eq!(judged(mixer(rejected), &rows, SectionStatus::Complete), Findings::new());
}

#[test]
fn a_rule_that_has_expired_leaves_unknown_behind() {
    let shelf = Arc::new(Shelf::default());
    let record = asset("hmi", &shelf, &[software("Studio", Some("9.0"))], SectionStatus::Complete);
    let board = Board::open(shelf, AllowedAges::default());
    let mut confirmed = rule(CONFIRMED, VENDOR, "Mixer Studio", "Studio", "natural");
    confirmed.expires_ms = Some(NOW + 10);
    board.knowledge_changed(&Arc::new(mixer(vec![confirmed])), NOW);
    board.asset_changed(&record);
    assert_eq!(findings(&board, NOW, None)[&entry("P1")], "NOT_AFFECTED");
    assert_eq!(findings(&board, NOW + 10, None)[&entry("P1")], "UNKNOWN(no-map-rule)");
}

#[test]
fn a_section_that_was_not_read_completely_takes_good_news_and_leaves_bad_news() {
    let rules = || vec![rule(CONFIRMED, VENDOR, "Mixer Studio", "Studio", "natural")];
    let found =
        |version| judged(mixer(rules()), &[software("Studio", Some(version))], SectionStatus::Partial);
    assert_eq!(found("3.3")[&entry("P1")], "UNKNOWN(section-incomplete)");
    assert_eq!(found("3.1")[&entry("P1")], "AFFECTED");
}

#[test]
fn what_a_newer_revision_no_longer_says_is_withdrawn_and_never_fixed() {
    let vendors = [VENDOR, "Example Controls Inc"];
    let both =
        |product: &str, installed: &str| vendors.map(|it| rule(CONFIRMED, it, product, installed, "natural"));
    let rules =
        [both("Mixer Studio", "Studio"), both("Old Panel", "Panel"), both("Batch Server", "Batch")].concat();
    let files: [(&str, &[u8]); 2] = [("1.json", MIXER), ("2.json", UPDATE)];
    let rows =
        [software("Studio", Some("1.0")), software("Panel", Some("1")), software("Batch", Some("2.0"))];
    let found =
        judged(Knowledge { rules: rules.into(), ..knowledge(&files) }, &rows, SectionStatus::Complete);
    let expected = [
        ("EXC-26-001/CVE-2026-1001/A1".to_owned(), "AFFECTED".to_owned()),
        ("EXC-26-001@2/CVE-2026-1001/P6".to_owned(), "UNKNOWN(advisory-withdrawn)".to_owned()),
    ];
    assert_eq!(found, Findings::from(expected), "the batch server was never concerned");
}

const LIST: &[u8] = b"id,product,min_version,min_build,scheme,role,source,match\n\
    R-MET,openssl*,3.0.11,,deb,,,\n\
    R-FAIL,curl,8.0,,deb,,,\n\
    R-ODD,vim,2.0,,deb,,,\n\
    R-NOVER,make,2.0,,deb,,,\n\
    R-ABSENT,telnetd,1.0,,deb,,,\n\
    R-ROLE,curl,99,,deb,engineering,,\n\
    R-SRC,xz-utils,5.6,,deb,,,source_package\n\
    R-ELSE,curl,99,,deb,,snap,\n\
    R-BUILD,Microsoft Windows 10*,,10.0.19045.5131,,,,\n\
    R-KERNEL,kernel,,6.1.0-20,natural,,,\n";

#[test]
fn a_requirement_is_judged_as_the_table_says() {
    let mut liblzma = software("liblzma5", Some("5.4.1"));
    liblzma.source_package = Some("xz-utils".into());
    let mut older = software("openssl-libs", Some("3.0.9"));
    older.architecture = Some("i386".into());
    let rows = [
        software("openssl", Some("3.0.11")),
        software("curl", Some("7.88")),
        software("vim", Some("!")),
        software("make", None),
        liblzma,
    ];
    let list = knowledge(&[("list.csv", LIST)]);
    let found = judged(list.clone(), &rows, SectionStatus::Complete);
    let expected = [
        ("R-MET", "FIXED"),
        ("R-FAIL", "AFFECTED"),
        ("R-ODD", "UNKNOWN(version-not-comparable)"),
        ("R-NOVER", "UNKNOWN(version-missing)"),
        ("R-SRC", "AFFECTED"),
        ("R-BUILD", "UNKNOWN(section-incomplete)"),
        ("R-KERNEL", "UNKNOWN(section-incomplete)"),
    ];
    assert_eq!(found, expected.map(|(id, word)| (id.to_owned(), word.to_owned())).into());

    let partial = judged(list.clone(), &rows, SectionStatus::Failed);
    assert_eq!(partial["R-MET"], "UNKNOWN(section-incomplete)");
    assert_eq!(partial["R-FAIL"], "AFFECTED");
    assert_eq!(partial["R-ABSENT"], "UNKNOWN(section-incomplete)");

    // Of two instances the worse one counts, and both are named.
    let shelf = Arc::new(Shelf::default());
    let record = asset("hmi", &shelf, &[software("openssl", Some("3.0.11")), older], SectionStatus::Complete);
    let board = Board::open(shelf, AllowedAges::default());
    board.knowledge_changed(&Arc::new(list), NOW);
    board.asset_changed(&record);
    let page = board.page(&Filter::default(), NOW, &|_| None).unwrap();
    let finding = page.findings.iter().find(|it| it.subject == "R-MET").unwrap();
    assert_eq!(finding.outcome.verdict(), Verdict::Affected);
    assert_eq!(finding.installed.as_deref(), Some("openssl 3.0.11 (amd64), openssl-libs 3.0.9 (i386)"));
    assert_eq!(finding.required.as_deref(), Some(">= 3.0.11"));
    assert!(page.any_open);

    // What is not there is said only when asked for, and only where everything was read.
    let absent = findings(&board, NOW, Some(Verdict::NoProduct));
    assert!(
        absent.contains_key("R-ABSENT") && !absent.contains_key("R-ROLE") && !absent.contains_key("R-BUILD")
    );
}

#[test]
fn builds_compare_within_their_branch_and_a_kernel_must_run() {
    let platform = |build: &str, running: &str, newest: &str| PlatformRow {
        source: "registry".into(),
        os_name: Some("Microsoft Windows 10 Enterprise".into()),
        build: Some(build.into()),
        kernel_running: Some(running.into()),
        kernel_newest: Some(newest.into()),
        ..PlatformRow::default()
    };
    let table = [
        (platform("10.0.19045.5130", "6.1.0-18", "6.1.0-18"), "AFFECTED", "AFFECTED"),
        (platform("10.0.19045.5131", "6.1.0-18", "6.1.0-21"), "FIXED", "INSTALLED_NOT_LIVE(restart-pending)"),
        (platform("10.0.17763.9999", "6.1.0-21", "6.1.0-21"), "UNKNOWN(branch-unknown)", "FIXED"),
    ];
    for (row, build, kernel) in table {
        let shelf = Arc::new(Shelf::default());
        let record = with_platform(asset("hmi", &shelf, &[], SectionStatus::Complete), &shelf, row);
        let board = Board::open(shelf, AllowedAges::default());
        board.knowledge_changed(&Arc::new(knowledge(&[("list.csv", LIST)])), NOW);
        board.asset_changed(&record);
        let found = findings(&board, NOW, None);
        assert_eq!((found["R-BUILD"].as_str(), found["R-KERNEL"].as_str()), (build, kernel));
    }
}

#[test]
fn old_inventories_and_old_feeds_are_never_green() {
    let shelf = Arc::new(Shelf::default());
    let rows = [software("openssl", Some("3.0.11")), software("curl", Some("7.88"))];
    let record = asset("hmi", &shelf, &rows, SectionStatus::Complete);
    let board = Board::open(shelf, AllowedAges::default());
    board.knowledge_changed(&Arc::new(knowledge(&[("list.csv", LIST)])), NOW);
    board.asset_changed(&record);
    let at = |now_ms: i64, seen_ms: i64| {
        let page = board.page(&Filter::default(), now_ms, &|_| Some(seen_ms)).unwrap();
        let word = |id: &str| {
            let it = page.findings.iter().find(|it| it.subject == id).unwrap();
            (it.outcome.verdict().as_str(), it.outcome.reason().map(super::Reason::as_str))
        };
        [word("R-MET"), word("R-FAIL")]
    };
    assert_eq!(at(NOW, NOW), [("FIXED", None), ("AFFECTED", None)]);
    let stale = ("UNKNOWN", Some("inventory-stale"));
    assert_eq!(at(8 * DAY_MS, NOW), [stale, stale]);
    assert_eq!(at(401 * DAY_MS, 401 * DAY_MS), [("UNKNOWN", Some("feed-stale")), ("AFFECTED", None)]);
}

#[test]
fn an_explanation_names_every_link_of_the_chain() {
    let shelf = Arc::new(Shelf::default());
    let record = asset("hmi", &shelf, &[software("Link", Some("4.9.9"))], SectionStatus::Complete);
    let board = Board::open(shelf, AllowedAges::default());
    let confirmed = rule(CONFIRMED, VENDOR, "Mixer Link", "Link", "natural");
    let id = confirmed.id.clone();
    board.knowledge_changed(&Arc::new(mixer(vec![confirmed])), NOW);
    board.asset_changed(&record);
    let told = board.explain("hmi", "EXC-26-001/CVE-2026-1001/P2", NOW, &|_| None).unwrap();
    let steps: Vec<&str> = told.chain.iter().map(|it| it.step).collect();
    for needed in ["document", "section", "row", "map", "range", "siblings", "feed", "verdict"] {
        assert!(steps.contains(&needed), "{needed} is missing in {steps:?}");
    }
    let text = told.chain.iter().map(|it| it.text.as_str()).collect::<Vec<_>>().join(
        "
",
    );
    for needed in ["Link 4.9.9", "<4.17.0", "nameplate", "sequence 7", "UNKNOWN(sibling-conflict)"] {
        assert!(text.contains(needed), "{needed} is missing in\n{text}");
    }
    assert!(told.chain.iter().any(|it| it.evidence.as_deref() == Some(id.as_str())));
    // The beginning of a subject means the worst finding below it; what was not found is told too.
    assert_eq!(board.explain("hmi", "EXC", NOW, &|_| None).unwrap().subject, told.subject);
    let absent = board.explain("hmi", &entry("P1"), NOW, &|_| None).unwrap();
    assert_eq!(absent.outcome.reason().map(super::Reason::as_str), Some("no-map-rule"));
    assert!(board.explain("hmi", "NOTHING", NOW, &|_| None).is_err());
    assert!(board.explain("nobody", "EXC", NOW, &|_| None).is_err());
}

#[test]
fn pages_join_to_the_whole_answer() {
    let shelf = Arc::new(Shelf::default());
    let board = Board::open(shelf.clone(), AllowedAges::default());
    for id in ["a", "b", "c"] {
        board.asset_changed(&asset(
            id,
            &shelf,
            &[software("curl", Some("7")), software("openssl", Some("9"))],
            SectionStatus::Complete,
        ));
    }
    board.knowledge_changed(&Arc::new(knowledge(&[("list.csv", LIST)])), NOW);
    let whole = board.page(&Filter::default(), NOW, &|_| None).unwrap();
    let mut joined = Vec::new();
    let mut after = None;
    loop {
        let page = board.page(&Filter { limit: 2, after, ..Filter::default() }, NOW, &|_| None).unwrap();
        assert!(page.any_open && page.findings.len() <= 2);
        joined.extend(page.findings);
        after = page.next_after;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(joined, whole.findings);
    let filter = Filter { verdict: Some(Verdict::Fixed), ..Filter::default() };
    assert!(!board.page(&filter, NOW, &|_| None).unwrap().any_open);
}

/// Product and version of each row, product and kind of each rule.
type Scenario = (Vec<(usize, usize)>, Vec<(usize, u8)>);

/// Any of the products, installed under some name in some version, bound or not.
fn scenario() -> impl Strategy<Value = Scenario> {
    let rows = prop::collection::vec((0..PRODUCTS.len(), 0..VERSIONS.len()), 1..6);
    let rules = prop::collection::btree_map(0..PRODUCTS.len(), 0_u8..3, 0..5);
    (rows, rules.prop_map(|it| it.into_iter().collect()))
}

const PRODUCTS: [&str; 6] =
    ["Mixer Studio", "Mixer Link", "Mixer View V7.5", "Batch Server", "Old Panel", "Recipe Tool"];
const VERSIONS: [&str; 7] = ["1.0", "3.2.1", "4.9.9", "4.17.0", "7.5", "2.4.0", "odd"];

proptest! {
    #[test]
    fn taking_a_rule_or_an_advisory_away_never_makes_an_unknown_good((rows, rules) in scenario(), taken in any::<prop::sample::Index>()) {
        let rows: Vec<_> = rows.iter().map(|&(product, version)| software(PRODUCTS[product], Some(VERSIONS[version]))).collect();
        let rules: Vec<_> = rules
            .iter()
            .map(|&(product, kind)| {
                let decision = if kind == 0 { REJECTED } else { CONFIRMED };
                rule(decision, VENDOR, PRODUCTS[product], PRODUCTS[product], if kind == 1 { "natural" } else { "semver" })
            })
            .collect();
        let before = judged(mixer(rules.clone()), &rows, SectionStatus::Complete);
        let mut fewer = rules.clone();
        if !fewer.is_empty() {
            fewer.remove(taken.index(rules.len()));
        }
        let mut expired = rules.clone();
        for rule in &mut expired {
            rule.expires_ms = Some(NOW);
        }
        let without_advisory = Knowledge { rules: rules.clone().into(), revision: 1, ..Knowledge::default() };
        for after in [mixer(fewer), mixer(expired), without_advisory] {
            let after = judged(after, &rows, SectionStatus::Complete);
            for (subject, word) in before.iter().filter(|it| it.1.starts_with("UNKNOWN")) {
                let now = after.get(subject).map_or("", String::as_str);
                prop_assert!(!matches!(now, "FIXED" | "NOT_AFFECTED" | "NO_PRODUCT"), "{subject}: {word} became {now}");
            }
        }
    }
}
