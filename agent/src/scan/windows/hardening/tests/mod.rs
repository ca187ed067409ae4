mod answers;
mod cases;

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::hardening_row::Value as Said;
use holdpoint_common::row::{HardeningRow, SectionKind};
use prost::Message;

use self::answers::answers;
use self::cases::{Case, Expected, base, cases, rows_of, said};
use super::PROBES;
use crate::scan::look::tests::{ample, windows_host};
use crate::scan::{take, take_of};

const KINDS: [&str; 4] = ["pass", "fail", "absent", "denied"];

#[test]
fn every_case_says_what_it_should() {
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|it| !it.never) {
        let rows = rows_of(case);
        for expected in &case.expected {
            let place = format!("line {}, {} {}: {}", case.line, case.check, case.kind, expected.id);
            let found: Vec<&HardeningRow> =
                rows.iter().filter(|it| it.id == expected.id && it.subject == expected.subject).collect();
            let [row] = found.as_slice() else {
                wrong.push(format!("{place}: {} rows", found.len()));
                continue;
            };
            let reason = row.reason.as_deref().unwrap_or_default();
            if said(row) != expected.said {
                wrong.push(format!("{place}: {} ({reason}), not {}", said(row), expected.said));
            }
            if !expected.source.as_ref().is_none_or(|it| row.source.contains(it)) {
                wrong.push(format!("{place}: from {}", row.source));
            }
            if !expected.reason.as_ref().is_none_or(|it| reason.contains(it)) {
                wrong.push(format!("{place}: because {reason}"));
            }
            let needs_reason = row.value.is_none() && reason.is_empty();
            if needs_reason {
                wrong.push(format!("{place}: no reason for {}", row.state));
            }
        }
        let is_about =
            |it: &Expected| rows.iter().any(|row| row.id == it.id && row.checks.contains(&case.check));
        if !case.expected.iter().any(is_about) {
            wrong.push(format!("line {}: nothing there is about {}", case.line, case.check));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_check_has_each_kind_of_case() {
    let cases = cases();
    for number in 1..=45 {
        let check = format!("W{number:02}");
        for kind in KINDS {
            assert!(cases.iter().any(|it| it.check == check && it.kind == kind), "{check} {kind}");
        }
    }
    for case in &cases {
        assert!(KINDS.contains(&case.kind.as_str()), "line {}: {}", case.line, case.kind);
        assert!(case.never || !case.expected.is_empty(), "line {}", case.line);
        let is_denied = |it: &Expected| it.said == "denied";
        let is_absent = |it: &Expected| it.said == "absent";
        match case.kind.as_str() {
            "denied" => assert!(case.never || case.expected.iter().any(is_denied), "line {}", case.line),
            "absent" => assert!(case.never || case.expected.iter().any(is_absent), "line {}", case.line),
            _ => {}
        }
    }
}

#[test]
fn no_password_is_ever_told() {
    for case in cases() {
        let rows = format!("{:?}", rows_of(&case));
        assert!(!rows.contains("never-told"), "line {}", case.line);
    }
}

#[test]
fn each_fact_is_one_row_and_names_its_checks() {
    let cases = cases();
    for name in [None, Some("hardened"), Some("weak"), Some("refused")] {
        let reg = cases.iter().map(|it| it.reg.as_str()).collect::<String>();
        let case =
            Case { answers: name.map(str::to_owned), base: "19044".to_owned(), reg, ..Case::default() };
        let rows = rows_of(&case);
        let mut seen = BTreeSet::new();
        for row in &rows {
            assert!(seen.insert((row.id.clone(), row.subject.clone())), "{} {:?} twice", row.id, row.subject);
            assert!(row.checks.iter().all(|it| it.starts_with('W')) && !row.checks.is_empty(), "{}", row.id);
            assert!(!row.source.is_empty(), "{}", row.id);
        }
    }
}

#[test]
fn a_part_of_a_registry_says_that_it_is_one() {
    let (_dir, host) = windows_host(
        "[HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion]\n\"CurrentBuildNumber\"=\"19044\"\n",
    );
    let snapshot = take(&host, &[SectionKind::Hardening], &ample());
    let section = &snapshot.sections[0];
    assert_eq!(section.status, SectionStatus::Partial);
    assert!(section.reasons.iter().any(|it| it.contains("no SYSTEM hive")), "{:?}", section.reasons);
    let rows: BTreeMap<String, HardeningRow> = section
        .rows
        .as_slice()
        .iter()
        .map(|it| HardeningRow::decode(it.as_slice()).unwrap())
        .map(|it| (it.id.clone(), it))
        .collect();
    assert_eq!(rows["smb1.server"].state, "error", "nobody knows what the other half says");
    assert_eq!(rows["names.llmnr"].state, "absent");

    let (_dir, host) = windows_host("[HKLM\\SOFTWARE\\Vendor]\n");
    let snapshot = take(&host, &[SectionKind::Hardening], &ample());
    assert_eq!(snapshot.sections[0].status, SectionStatus::Unsupported);
}

#[test]
fn two_looks_are_equal() {
    let reg = cases().iter().map(|it| it.reg.clone()).collect::<String>();
    let case = Case { answers: Some("weak".into()), base: "19044".into(), reg, ..Case::default() };
    assert_eq!(rows_of(&case), rows_of(&case));
}

#[test]
fn a_domain_controller_is_not_asked_for_its_users() {
    let (_dir, mut host) = windows_host(&base("20348").replace("WinNT\"", "LanmanNT\""));
    host.windows = Some(answers("weak"));
    let section = take_of(SectionKind::Hardening, PROBES.iter(), &host, &ample());
    let rows = section.rows.as_slice().iter().map(|it| HardeningRow::decode(it.as_slice()).unwrap());
    let row = rows.into_iter().find(|it| it.id == "accounts.administrators").unwrap();
    assert_eq!(
        (row.state.as_str(), row.reason.as_deref()),
        ("absent", Some("a domain controller has no local accounts"))
    );
}

#[test]
fn the_states_that_wine_imports_are_what_they_are_called() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/wine/hosts");
    for name in ["hardened", "weak"] {
        let read = |end: &str| std::fs::read_to_string(format!("{folder}/{name}.{end}")).unwrap();
        let (_dir, host) = windows_host(&read("reg"));
        let section = take_of(SectionKind::Hardening, PROBES.iter(), &host, &ample());
        let rows: Vec<HardeningRow> =
            section.rows.as_slice().iter().map(|it| HardeningRow::decode(it.as_slice()).unwrap()).collect();
        for line in read("facts").lines() {
            let [id, subject, value] = line.split('|').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let found: Vec<_> = rows
                .iter()
                .filter(|it| it.id == id && it.subject.as_deref().unwrap_or_default() == subject)
                .collect();
            assert_eq!(found.len(), 1, "{name}: {line}");
            let expected: serde_json::Value = serde_json::from_str(value).unwrap();
            let said = match found[0].value.as_ref().unwrap_or_else(|| panic!("{name}: {:?}", found[0])) {
                Said::Flag(it) => serde_json::json!(it),
                Said::Number(it) => serde_json::json!(it),
                Said::Text(it) => serde_json::json!(it),
                Said::List(it) => serde_json::json!(it.items),
            };
            assert_eq!(said, expected, "{name}: {line}");
        }
    }
}
