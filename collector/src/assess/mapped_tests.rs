use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::slice::from_ref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdpoint_common::proto::store::{AssetRecord, HeldRecord, MapRuleRecord, SectionState};
use holdpoint_common::proto::v1::hardening_row::Value;
use holdpoint_common::proto::v1::{HardeningRow, SectionKind, SectionStatus};
use holdpoint_common::row::FirmwareRow;
use holdpoint_common::section::Rows;

use super::super::testing::{Shelf, asset, knowledge, rule, software};
use super::super::{Board, Class, Filter, Side};
use super::*;
use crate::knowledge::map::{CONFIRMED, REJECTED};
use crate::knowledge::{AllowedAges, Knowledge};

const MODULES: &[u8] = include_bytes!("../../fixtures/csaf/exc-26-010.json");
const EN2T: &str = "1756-EX2T Series A";
const NOW: i64 = 1_790_000_000_000;

/// A rule that says `same`, with more keys of its own and tables behind it.
fn same(id: &str, installed: &str, product: &str, keys: &str, tables: &str) -> String {
    format!(
        "[[map]]\nid = \"{id}\"\ndecision = \"same\"\nscheme = \"natural\"\n{keys}\nevidence = \"nameplate\"\n\
         author = \"kim\"\ndate = \"2026-05-01\"\n[map.installed]\n{installed}\n[map.advisory]\n\
         vendors = [\"Example Controls\"]\n{product}\n{tables}\n"
    )
}

fn not(id: &str, installed: &str, product: &str, keys: &str) -> String {
    format!(
        "[[map]]\nid = \"{id}\"\ndecision = \"not\"\n{keys}\nreason = \"another product\"\nauthor = \"kim\"\n\
         date = \"2026-05-01\"\n[map.installed]\nname = \"{installed}\"\n[map.advisory]\n\
         vendors = [\"Example Controls\"]\n{product}\n"
    )
}

fn choices(unsigned: &str, signed: &str) -> String {
    let choice = |value: &str, range: &str| {
        format!("[[map.choice]]\nfact = \"firmware.signed\"\nvalue = \"{value}\"\nranges = [\"{range}\"]\n")
    };
    choice("false", unsigned) + &choice("true", signed)
}

fn en2t() -> String {
    let installed = format!("name = \"{EN2T}\"");
    let product = format!("products = [\"{EN2T}\"]");
    same("en2t", &installed, &product, "zero_padded = \"integers\"", &choices("<= 5.008", "<= 5.028"))
}

fn declared(value: &str) -> String {
    format!(
        "[[fact]]\nasset = \"plc\"\nfact = \"firmware.signed\"\nvalue = \"{value}\"\nauthor = \"kim\"\n\
         date = \"2026-05-01\"\nevidence = \"seal\"\n"
    )
}

fn with_section(
    mut record: AssetRecord,
    shelf: &Shelf,
    kind: SectionKind,
    rows: &Rows,
    complete: bool,
) -> AssetRecord {
    let status = if complete { SectionStatus::Complete } else { SectionStatus::Partial };
    let state = |status: SectionStatus| SectionState {
        status: status.into(),
        digest: shelf.keep(rows).to_vec(),
        rows: 1,
        received_ms: NOW,
        sequence: 7,
        ..SectionState::default()
    };
    let attempt = (!complete).then(|| state(status));
    record.sections.push(HeldRecord {
        kind: kind.into(),
        shown: Some(state(SectionStatus::Complete)),
        attempt,
    });
    record
}

fn fact(signed: bool) -> Rows {
    Rows::encode(&[HardeningRow {
        id: "firmware.signed".into(),
        state: "observed".into(),
        value: Some(Value::Flag(signed)),
        ..HardeningRow::default()
    }])
}

struct World {
    shelf: Arc<Shelf>,
    board: Arc<Board>,
}

impl World {
    fn new(knowledge: Knowledge) -> Self {
        let shelf = Arc::new(Shelf::default());
        let ages = AllowedAges::default();
        let board = Board::open(shelf.clone(), ages);
        board.knowledge_changed(&Arc::new(knowledge), NOW);
        Self { shelf, board }
    }

    fn host(&self, rows: &[SoftwareRow]) -> AssetRecord {
        let mut record = asset("plc", &self.shelf, rows, SectionStatus::Complete);
        for section in &mut record.sections {
            if let Some(shown) = &mut section.shown {
                shown.received_ms = NOW;
            }
        }
        record
    }

    /// Findings by entry.
    fn findings(&self, record: &AssetRecord) -> BTreeMap<String, String> {
        self.board.asset_changed(record);
        self.at(NOW)
    }

    fn at(&self, now_ms: i64) -> BTreeMap<String, String> {
        let page = self.board.page(&Filter::default(), now_ms, &|_| Some(now_ms)).unwrap();
        let word = |it: &super::super::FindingView| {
            let reason = it.outcome.reason().map(|it| format!("({it})")).unwrap_or_default();
            format!("{}{reason}", it.outcome.verdict())
        };
        let entry = |it: &str| it.rsplit('/').next().unwrap().to_owned();
        page.findings.iter().map(|it| (entry(&it.subject), word(it))).collect()
    }
}

/// Knowledge of files that were brought just now.
fn told(files: &[(&str, &[u8])], rules: Vec<MapRuleRecord>) -> Knowledge {
    let mut known = knowledge(files);
    for held in &mut known.advisories {
        held.source = Arc::new(crate::knowledge::Source { imported_ms: NOW, ..(*held.source).clone() });
    }
    Knowledge { rules: Arc::new(rules), ..known }
}

fn modules(map: &str) -> World {
    World::new(told(&[("exc-26-010.json", MODULES), ("map.toml", map.as_bytes())], Vec::new()))
}

fn module(version: &str) -> SoftwareRow {
    software(EN2T, Some(version))
}

#[test]
fn two_lines_under_one_name_are_told_apart_by_a_fact_and_by_nothing_else() {
    let world = modules(&en2t());
    let host = world.host(&[module("5.009")]);
    let both =
        |word: &str| BTreeMap::from([("E1".to_owned(), word.to_owned()), ("E2".to_owned(), word.to_owned())]);
    assert_eq!(world.findings(&host), both("UNKNOWN(sibling-conflict)"));
    let with = |signed, complete| {
        with_section(host.clone(), &world.shelf, SectionKind::Hardening, &fact(signed), complete)
    };
    assert_eq!(world.findings(&with(false, true)), both("NOT_AFFECTED"));
    assert_eq!(world.findings(&with(true, true)), both("AFFECTED"));
    assert_eq!(
        world.findings(&with(false, false)),
        both("UNKNOWN(sibling-conflict)"),
        "a section that was not read completely chooses nothing"
    );
    assert_eq!(world.findings(&world.host(&[module("5.008")])), both("AFFECTED"));
    assert_eq!(world.findings(&world.host(&[module("5.029")])), both("NOT_AFFECTED"));

    let told = world.board.explain("plc", "EXC-26-010/CVE-2026-1010/E1", NOW, &|_| Some(NOW)).unwrap();
    assert!(
        told.chain.iter().any(|it| it.text == "firmware.signed is not known of this asset"),
        "{:?}",
        told.chain
    );
    assert!(
        told.chain.iter().any(|it| it.text.contains("the rule `en2t` of map.toml by kim")),
        "{:?}",
        told.chain
    );
}

#[test]
fn a_declared_fact_counts_until_it_is_contradicted() {
    let word = |map: &str, observed: Option<bool>| {
        let world = modules(map);
        let mut host = world.host(&[module("5.009")]);
        if let Some(signed) = observed {
            host = with_section(host, &world.shelf, SectionKind::Hardening, &fact(signed), true);
        }
        world.findings(&host)["E1"].clone()
    };
    assert_eq!(word(&(en2t() + &declared("false")), None), "NOT_AFFECTED");
    assert_eq!(word(&(en2t() + &declared("true")), None), "AFFECTED");
    assert_eq!(word(&(en2t() + &declared("perhaps")), None), "UNKNOWN(sibling-conflict)");
    assert_eq!(word(&(en2t() + &declared("false")), Some(false)), "NOT_AFFECTED");
    assert_eq!(word(&(en2t() + &declared("false")), Some(true)), "UNKNOWN(sibling-conflict)");
    assert_eq!(
        word(&(en2t() + &declared("false").replace("\"plc\"", "\"other\"")), None),
        "UNKNOWN(sibling-conflict)"
    );
    let of_no_range = en2t().replace("<= 5.008", "<= 5.007");
    assert_eq!(
        word(&(of_no_range + &declared("false")), None),
        "UNKNOWN(sibling-conflict)",
        "an entry that no choice names still counts"
    );
}

#[test]
fn the_real_module_needs_the_fact_as_well() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["../../shared/data/csaf", "../../../shared/data/csaf"].map(|it| dir.join(it));
    let Some(file) = found.iter().map(|it| it.join("icsa-23-193-01.json")).find(|it| it.is_file()) else {
        println!("no real advisories beside this workspace");
        return;
    };
    let rule =
        en2t().replace("1756-EX2T", "1756-EN2T").replace("\"Example Controls\"", "\"Rockwell Automation\"");
    let bytes = fs::read(file).unwrap();
    let words = |map: &str| {
        let world = World::new(told(&[("icsa.json", &bytes), ("map.toml", map.as_bytes())], Vec::new()));
        let host = world.host(&[software("1756-EN2T Series A", Some("5.009"))]);
        let found = world.findings(&host);
        assert_eq!(found.len(), 2, "{found:?}");
        found["CSAFPID-0001"].clone()
    };
    assert_eq!(words(&rule), "UNKNOWN(sibling-conflict)");
    assert_eq!(words(&(rule.clone() + &declared("false"))), "NOT_AFFECTED");
    assert_eq!(words(&(rule + &declared("true"))), "AFFECTED");
}

#[test]
fn firmware_is_installed_too_and_only_a_complete_section_gives_good_news() {
    let world = modules(&(en2t() + &declared("false")));
    let row = FirmwareRow {
        kind: "device".into(),
        model: Some(EN2T.into()),
        vendor: Some("Example Controls".into()),
        version: Some("5.009".into()),
        ..FirmwareRow::default()
    };
    let rows = Rows::encode(&[row]);
    let host = |complete| with_section(world.host(&[]), &world.shelf, SectionKind::Firmware, &rows, complete);
    assert_eq!(world.findings(&host(true))["E1"], "NOT_AFFECTED");
    assert_eq!(world.findings(&host(false))["E1"], "UNKNOWN(section-incomplete)");
    let decided = world.board.suggest(None, NOW).unwrap();
    assert!(decided.iter().all(|it| it.product.product != EN2T), "{decided:?}");

    let world = modules(&same("other", "name = \"Other\"", "products = [\"Drive D7\"]", "", ""));
    let host = with_section(world.host(&[]), &world.shelf, SectionKind::Firmware, &rows, true);
    assert_eq!(world.findings(&host)["E1"], "UNKNOWN(identity-unconfirmed)");
    let found = world.board.suggest(None, NOW).unwrap();
    assert_eq!((found[0].installed.source.as_str(), found[0].product.product.as_str()), ("firmware", EN2T));
}

#[test]
fn an_order_number_is_a_likeness_by_itself_and_chooses_entries_where_a_rule_says_so() {
    let row = software("Drive 6XX7 518-4AX00-1AB0", Some("2.5"));
    let world = modules(&en2t());
    assert_eq!(world.findings(&world.host(from_ref(&row)))["E3"], "UNKNOWN(identity-unconfirmed)");

    let numbered = |numbers: &str| {
        same("d7", "order_number = \"6XX7518-4AX00-1AB0\"", &format!("order_numbers = [{numbers}]"), "", "")
    };
    let world = modules(&numbered("\"6XX7518-4AX00-1AB0\""));
    let found = world.findings(&world.host(from_ref(&row)));
    assert_eq!((found["E3"].as_str(), found["E4"].as_str()), ("NOT_AFFECTED", "NOT_AFFECTED"));
    let by_name = same("d7", "order_number = \"6XX7518-4AX00-1AB0\"", "products = [\"Drive D7\"]", "", "");
    let world = modules(&by_name);
    assert_eq!(
        world.findings(&world.host(&[row]))["E3"],
        "UNKNOWN(sibling-conflict)",
        "the name alone chooses nothing"
    );
}

#[test]
fn branch_line_and_the_place_of_the_version_are_what_the_rule_says() {
    let logic = |keys: &str| same("l", "name = \"Logic\"", "products = [\"Logic 5580\"]", keys, "");
    let studio =
        |installed: &str, keys: &str| same("s", installed, "products = [\"Studio Designer V33\"]", keys, "");
    for (map, name, version, entry, expected) in [
        (logic(""), "Logic", Some("35.012"), "E5", "UNKNOWN(branch-unknown)"),
        (logic("branch = 1\nzero_padded = \"integers\""), "Logic", Some("35.012"), "E5", "AFFECTED"),
        (logic("branch = 1\nzero_padded = \"integers\""), "Logic", Some("34.014"), "E5", "NOT_AFFECTED"),
        (
            studio(
                "name = \"Designer v{version} (*)\"",
                "version_from = \"name\"\nline = \"V33\"\nzero_padded = \"integers\"",
            ),
            "Designer v33.01 (x64)",
            Some("1.0"),
            "E6",
            "AFFECTED",
        ),
        (
            studio("name = \"Designer *\"", "line = \"V33\""),
            "Designer 7",
            Some("34.00"),
            "E6",
            "UNKNOWN(line-unbound)",
        ),
        (
            studio("name = \"Designer *\"", "line = \"V33\""),
            "Designer 7",
            None,
            "E6",
            "UNKNOWN(line-unbound)",
        ),
        (
            studio("name = \"Designer *\"", "version_from = \"fact:designer.version\"\nline = \"V33\""),
            "Designer V33",
            Some("1.0"),
            "E6",
            "UNKNOWN(version-missing)",
        ),
    ] {
        let world = modules(&map);
        let found = world.findings(&world.host(&[software(name, version)]));
        assert_eq!(found.get(entry).map(String::as_str), Some(expected), "{name} {version:?}");
    }
}

#[test]
fn a_negative_rule_ends_with_the_revision_that_it_is_bound_to() {
    let product = "products = [\"Studio Designer V33\"]\ndocument = \"EXC-26-010\"\nrevision = \"1\"";
    let map = not("not-designer", "Designer", product, "");
    let row = software("Designer", Some("33.00"));
    let world = modules(&map);
    assert_eq!(world.findings(&world.host(from_ref(&row))), BTreeMap::new());
    let next =
        String::from_utf8(MODULES.to_vec()).unwrap().replace("\"version\": \"1\"", "\"version\": \"2\"");
    let files: [(&str, &[u8]); 2] = [("b.json", next.as_bytes()), ("map.toml", map.as_bytes())];
    let world = World::new(told(&files, Vec::new()));
    assert_eq!(
        world.findings(&world.host(&[row])),
        BTreeMap::from([("E6".to_owned(), "UNKNOWN(identity-unconfirmed)".to_owned())])
    );
}

#[test]
fn what_is_rejected_expired_or_contradicted_is_never_good() {
    let row = software("Designer V33", Some("33.09"));
    let products = "products = [\"Studio Designer V33\"]";
    let good = same(
        "s",
        "name = \"Designer V33\"",
        products,
        "expires = \"2027-01-01\"\nzero_padded = \"integers\"",
        "",
    );
    let world = modules(&good);
    let host = world.host(from_ref(&row));
    assert_eq!(world.findings(&host)["E6"], "NOT_AFFECTED");
    let end = 1_798_761_600_000;
    assert!(world.at(end)["E6"].starts_with("UNKNOWN("), "{:?}", world.at(end));

    let contradicted = format!("{good}{}", not("n", "Designer V33", products, ""));
    let world = modules(&contradicted);
    assert_eq!(world.findings(&world.host(from_ref(&row)))["E6"], "UNKNOWN(identity-unconfirmed)");
    let (lints, _) = world.board.review_map(None, NOW).unwrap();
    assert!(
        lints.iter().any(|it| it.rule == "s" && it.text.contains("`n` says that it is another")),
        "{lints:?}"
    );

    // A person's word stands beside the file's.
    for (word, expected) in [(CONFIRMED, "NOT_AFFECTED"), (REJECTED, "UNKNOWN(identity-unconfirmed)")] {
        let mut decision = rule(word, "Example Controls", "Studio Designer V33", "Designer V33", "intdot");
        decision.id = "by-kim".into();
        let files: [(&str, &[u8]); 2] = [("a.json", MODULES), ("map.toml", good.as_bytes())];
        let world = World::new(told(&files, vec![decision]));
        assert_eq!(world.findings(&world.host(from_ref(&row)))["E6"], expected, "{word}");
    }
}

#[test]
fn a_starter_rule_never_decides_and_a_stranger_is_listed_as_such() {
    let wincc = String::from_utf8(MODULES.to_vec())
        .unwrap()
        .replace("Example Controls ", "Siemens")
        .replace("Studio Designer V33", "SIMATIC WinCC V7.5");
    let world = World::new(told(&[("a.json", wincc.as_bytes())], Vec::new()));
    let row =
        |name: &str| SoftwareRow { publisher: Some("Siemens AG".into()), ..software(name, Some("7.5.2.17")) };
    let rows =
        [row("SIMATIC WinCC Configuration V7.5 SP2"), row("SIMATIC WinCC V7.4 SP1"), software("Paint", None)];
    let found = world.findings(&world.host(&rows[..1]));
    assert_eq!(found["E6"], "UNKNOWN(identity-unconfirmed)");
    assert_eq!(world.findings(&world.host(&rows[1..2])), BTreeMap::new(), "its name states another line");

    world.board.asset_changed(&world.host(&rows));
    let installed = world.board.standings(Side::Installed, NOW).unwrap();
    let class = |name: &str| installed.iter().find(|it| it.name == name).unwrap().class;
    assert_eq!(class("SIMATIC WinCC Configuration V7.5 SP2"), Class::Candidate);
    assert_eq!(class("Paint"), Class::NoFeed);
    let advisory = world.board.standings(Side::Advisory, NOW).unwrap();
    let of = |name: &str| advisory.iter().find(|it| it.name == name).map(|it| (it.class, it.assets)).unwrap();
    assert_eq!(of("SIMATIC WinCC V7.5"), (Class::Candidate, 1));
    assert_eq!(of("Drive D7"), (Class::NoData, 0));
    let summary = world.board.summary(NOW, &|_| Some(NOW)).unwrap();
    let count = |name: &str| summary.matchability.iter().find(|it| it.0 == name).unwrap().1;
    assert_eq!(
        (count("advisory-candidate"), count("advisory-no-data"), count("advisory-no-feed")),
        (1, 3, 0)
    );
}

#[test]
fn a_review_against_the_zone_names_what_binds_nothing() {
    let map = en2t() + &same("lost", "name = \"Nobody\"", "products = [\"Nothing\"]", "", "");
    let world = modules(&map);
    world.board.asset_changed(&world.host(&[module("blue moon")]));
    let (lints, looked_at) = world.board.review_map(None, NOW).unwrap();
    assert_eq!(looked_at, 2);
    let has = |rule: &str, text: &str| lints.iter().any(|it| it.rule == rule && it.text.contains(text));
    assert!(
        has("lost", "no advisory that is held") && has("lost", "nothing that is installed"),
        "{lints:#?}"
    );
    assert!(has("en2t", "cannot compare 1 installed versions"), "{lints:#?}");
    let more = crate::knowledge::map_file::read(&same("more", "name = \"x\"", "products = [\"y\"]", "", ""))
        .unwrap();
    let (lints, looked_at) = world.board.review_map(Some(more), NOW).unwrap();
    assert_eq!(looked_at, 3);
    assert!(lints.iter().any(|it| it.rule == "more"), "{lints:#?}");
    assert_eq!(world.board.review_map(None, NOW).unwrap().1, 2, "nothing was kept");
}

#[test]
fn five_thousand_rules_are_found_by_their_first_words() {
    let mut map = String::new();
    for number in 0..5_000 {
        let name = if number % 2 == 0 { format!("Tool {number} *") } else { format!("Tool {number}") };
        let rule =
            same(&format!("r{number}"), &format!("name = \"{name}\""), "products = [\"Logic 5580\"]", "", "");
        let _ = map.write_str(&rule);
    }
    let world = modules(&map);
    let rows: Vec<SoftwareRow> =
        (0..400).map(|it| software(&format!("Tool {} extra", it * 20), Some("1.0"))).collect();
    let start = Instant::now();
    let found = world.findings(&world.host(&rows));
    let took = start.elapsed();
    println!("400 rows beside 5,000 rules in {took:?}");
    assert_eq!(found.len(), 1);
    assert!(took < Duration::from_secs(2), "{took:?}");
    let bound = world.board.bound_products(NOW).unwrap();
    assert_eq!(bound.values().filter(|it| **it == 1).count(), 5_000);
}
