//! Hardening from end to end: captured machines and this one, scanned by the real agent, judged by the shipped
//! rules. `HOLDPOINT_BLESS=1` rewrites what the captured machines come to.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use holdpoint_agent::host::{Agent, Host};
use holdpoint_agent::scan::{self, Budget};
use holdpoint_collector::assess::RowSource;
use holdpoint_collector::hardening::board::{Board, Filter, MAX_LIMIT, World};
use holdpoint_collector::hardening::facts::catalog;
use holdpoint_collector::hardening::value::Value as Fact;
use holdpoint_collector::knowledge::AllowedAges;
use holdpoint_common::proto::store::{AssetRecord, HeldRecord, SectionState};
use holdpoint_common::row::{HardeningRow, REPORTED, SectionKind};
use holdpoint_common::section::{Digest, Section};
use holdpoint_tests::program::{ZoneProcess, ask, run, succeed, text};
use prost::Message;
use serde_json::Value;

const NOW: i64 = 1_790_000_000_000;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Captured machines with their names.
fn machines() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for family in ["linux", "windows"] {
        for entry in fs::read_dir(repository().join("agent/fixtures").join(family)).unwrap() {
            let path = entry.unwrap().path();
            if path.join("root").is_dir() {
                found.push((path.file_name().unwrap().to_string_lossy().into_owned(), path));
            }
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn scanned(machine: &Path) -> Vec<Section> {
    let root = tempfile::tempdir().unwrap();
    copy(&machine.join("root"), root.path());
    for line in fs::read_to_string(machine.join("links.txt")).unwrap_or_default().lines() {
        let (path, target) = line.split_once(" -> ").unwrap();
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }
    let agent = Agent { version: "0.0.0-test".into(), digest: None, config_digest: None };
    let budget = Budget::measured_by(Duration::MAX, || Duration::ZERO);
    scan::take(&Host::captured(root.path(), agent), &REPORTED, &budget).sections
}

#[derive(Debug, Default)]
struct Rows(HashMap<Digest, Arc<Vec<Vec<u8>>>>);

impl RowSource for Rows {
    fn rows(&self, _: SectionKind, digest: &Digest) -> Result<Option<Arc<Vec<Vec<u8>>>>, String> {
        Ok(self.0.get(digest).cloned())
    }
}

fn record(sections: &[Section], rows: &mut Rows) -> AssetRecord {
    let mut record = AssetRecord { id: "machine".into(), name: "machine".into(), ..AssetRecord::default() };
    for section in sections {
        rows.0.insert(section.digest, Arc::new(section.rows.as_slice().to_vec()));
        let state = SectionState {
            digest: section.digest.to_vec(),
            status: section.status.into(),
            received_ms: NOW,
            ..SectionState::default()
        };
        let shown = Some(state.clone());
        record.sections.push(HeldRecord { kind: section.kind.into(), shown, attempt: Some(state) });
    }
    record
}

/// What all rules say of a machine: its results, one a line.
fn judged(sections: &[Section]) -> String {
    let mut rows = Rows::default();
    let assets = [Arc::new(record(sections, &mut rows))];
    let ages = AllowedAges::default();
    let world =
        World { assets: &assets, rows: &rows, files: &[], ages: &ages, seen: &|_| Some(NOW), now_ms: NOW };
    let page = Board::default().page(&Filter { limit: MAX_LIMIT, ..Filter::default() }, &world);
    let mut text = String::new();
    for line in page.lines {
        let verdict = line.told.verdict.as_str();
        let code = line.told.reason.filter(|_| verdict == "NOT_CHECKED").unwrap_or_default();
        let code = code.split(':').next().unwrap_or_default();
        writeln!(text, "{}", format!("{:<20} {verdict} {code}", line.rule).trim_end()).unwrap();
    }
    text
}

#[test]
fn captured_machines_are_judged_as_reviewed() {
    let expected = repository().join("collector/fixtures/hardening/machines");
    let mut passed = 0;
    for (name, path) in machines() {
        let sections = scanned(&path);
        let found = judged(&sections);
        let file = expected.join(format!("{name}.txt"));
        if std::env::var_os("HOLDPOINT_BLESS").is_some() {
            fs::create_dir_all(&expected).unwrap();
            fs::write(&file, &found).unwrap();
        }
        assert_eq!(found, fs::read_to_string(&file).unwrap_or_default(), "{name}");
        passed += found.matches(" PASS").count();

        let partial: Vec<Section> = sections
            .into_iter()
            .map(|mut it| {
                it.status = holdpoint_common::proto::v1::SectionStatus::Partial;
                it
            })
            .collect();
        let found = judged(&partial);
        assert!(!found.contains(" PASS") && !found.contains(" FAIL"), "{name}, partial:\n{found}");
    }
    assert!(passed > 100, "{passed}");
}

#[test]
fn agents_say_what_the_catalogue_of_facts_says() {
    let mut sections: Vec<Section> = machines().iter().flat_map(|(_, path)| scanned(path)).collect();
    sections.extend(scan::take_gently(&Host::running(), &[SectionKind::Hardening]).unwrap().sections);
    let mut unknown = Vec::new();
    let mut seen = 0;
    for section in sections.iter().filter(|it| it.kind == SectionKind::Hardening) {
        for row in section.rows.as_slice() {
            let row = HardeningRow::decode(row.as_slice()).unwrap();
            if row.id.starts_with("site.") {
                continue;
            }
            seen += 1;
            match (catalog().types(&row.id), &row.value) {
                (None, _) => unknown.push(format!("{}: not in the catalogue", row.id)),
                (Some(types), Some(value)) => {
                    let kind = Fact::of_row(value).kind();
                    if !types.contains(&kind) {
                        unknown.push(format!("{} is a {kind}", row.id));
                    }
                }
                (Some(_), None) => {}
            }
        }
    }
    unknown.sort();
    unknown.dedup();
    assert!(unknown.is_empty() && seen > 1_000, "{seen}: {unknown:#?}");
}

const SITE_RULES: &str = r#"
kind = "hardening"

[[rule]]
id = "SITE.layout"
title = "Programs lie at other addresses with every start, or at least some do"
expect = { fact = "sysctl.kernel.randomize_va_space", at_least = 1 }

[[rule]]
id = "SITE.never"
title = "A host without a kernel"
expect = { fact = "sysctl.kernel.randomize_va_space", at_least = 99 }

[[exception]]
rule = "SITE.never"
tag = "bench"
reason = "no kernel has that"
owner = "the process engineer"
expires = 2099-12-31
"#;

#[test]
fn a_real_host_is_judged_scored_excepted_and_exported() {
    let zone = ZoneProcess::start();
    let state = zone.beside("agent");
    let (address, token) = (zone.address.to_string(), zone.token(1));
    succeed(
        "holdpoint-agent",
        &["enroll", "--collector", &address, "--token", &token, "--state", text(&state)],
    );
    succeed("holdpoint-agent", &["run", "--state", text(&state), "--once"]);
    let profile = zone.operator();
    let asset = ask(&profile, &["assets"])[0].clone();
    let id = asset["id"].as_str().unwrap().to_owned();

    let rules = zone.beside("site-rules.toml");
    fs::write(&rules, SITE_RULES).unwrap();
    succeed("holdpoint", &["hardening", "lint", text(&rules)]);
    assert_eq!(ask(&profile, &["import", text(&rules)])["taken"][0]["kind"], "hardening");

    let of = |rule: &str| {
        let found = ask(&profile, &["hardening", "--asset", &id, "--rule", rule]);
        let exact = found.as_array().unwrap().iter().find(|it| it["rule"] == rule).cloned();
        exact.unwrap_or_else(|| panic!("{rule} is not in {found}"))
    };
    let kernel = fs::read_to_string("/proc/sys/kernel/randomize_va_space").unwrap();
    let it = of("L09.layout");
    let expected = if kernel.trim() == "2" { "PASS" } else { "FAIL" };
    assert_eq!(it["result"], expected, "{it}");
    assert_eq!(it["observed"], kernel.trim());
    assert_eq!(it["expected"], "is 2");
    assert_eq!(it["source"], "proc/sys/kernel/randomize_va_space");
    assert_eq!(of("SITE.layout")["result"], if kernel.trim() == "0" { "FAIL" } else { "PASS" });
    assert_eq!(of("SITE.never")["result"], "FAIL", "this asset has no such tag");
    assert_eq!(of("L18")["result"], "NOT_CHECKED");
    assert!(of("L18")["reason"].as_str().unwrap().starts_with("no-baseline: "));
    // Where other programs could not be looked at, a listener may be anybody's.
    let listens = of("A03");
    let expected = if asset["sections"]["listeners"] == "complete" { "PASS" } else { "NOT_CHECKED" };
    assert_eq!(listens["result"], expected, "{listens}");

    let all = ask(&profile, &["hardening"]);
    let all = all.as_array().unwrap();
    assert!(all.iter().all(|it| !it["rule"].as_str().unwrap().starts_with('W')), "no rule of Windows");
    let failed = ask(&profile, &["hardening", "--result", "fail"]);
    let count = |word: &str| all.iter().filter(|it| it["result"] == word).count();
    assert_eq!(failed.as_array().unwrap().len(), count("FAIL"));

    let scores = ask(&profile, &["hardening", "--score"]);
    let zone_score = &scores["zone"];
    assert_eq!(zone_score["passed"], count("PASS"), "{zone_score}");
    assert_eq!(zone_score["not_checked"], count("NOT_CHECKED"));
    assert!(zone_score["score"].as_f64().unwrap() < 100.0);
    assert!(zone_score["checked"].as_f64().unwrap() < 100.0, "what is not checked is shown");

    let listed = ask(&profile, &["hardening", "rules"]);
    let site = listed["rules"].as_array().unwrap().iter().find(|it| it["id"] == "SITE.never").cloned();
    assert_eq!(site.unwrap()["profile"], "site-rules.toml");

    let file = zone.beside("results.xml");
    let found = ask(&profile, &["hardening", "--asset", &id, "--xccdf", text(&file)]);
    let xml = fs::read_to_string(&file).unwrap();
    assert_eq!(xml.matches("<rule-result ").count(), found.as_array().unwrap().len());
    assert!(xml.contains("<TestResult xmlns=\"http://checklists.nist.gov/xccdf/1.2\""), "{xml}");

    let csv = run("holdpoint", &["--profile", text(&profile), "-o", "csv", "hardening", "--rule", "L09"]);
    let csv = String::from_utf8(csv.stdout).unwrap();
    assert!(csv.starts_with("asset,rule,result,observed,expected,source,reason,"), "{csv}");
    assert_eq!(csv.lines().count(), 5, "{csv}");

    let bad = zone.beside("bad.toml");
    fs::write(&bad, "kind = \"hardening\"\n[[rule]]\nid = \"X\"\n").unwrap();
    assert_eq!(run("holdpoint", &["hardening", "lint", text(&bad)]).status.code(), Some(1));
    let refused = run("holdpoint", &["--profile", text(&profile), "-o", "json", "import", text(&bad)]);
    let refused: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert!(refused["refused"][0]["reason"].as_str().unwrap().starts_with("rule 1 (X): "), "{refused}");
}
