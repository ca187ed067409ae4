//! The shipped rules, held against what agents really say and against a case for each answer.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::cases::{self, Case, asset, read, reviewed, row};
use super::condition::{Condition, Expect};
use super::facts::{Facts, catalog};
use super::judge::Asset;
use super::read::read as read_rules;
use super::result::{Missing, Outcome, Verdict};
use super::rule::{Asks, Family, is_named};
use super::ruleset::{Entry, LaidChange, Ruleset};
use super::shipped::{TEXTS, shipped};

const AGENT_CASES: &str = "agent/fixtures/windows/hardening.cases";
const OWN_CASES: &str = "collector/fixtures/hardening/rules.cases";

fn word(outcome: Outcome) -> String {
    match outcome {
        Outcome::NotChecked(missing) => format!("NOT_CHECKED({})", missing.as_str()),
        Outcome::Pass | Outcome::Fail | Outcome::NotApplicable(_) | Outcome::Error => {
            outcome.verdict().to_string()
        }
    }
}

fn family(entry: &Entry) -> Family {
    if entry.rule.id.starts_with('W') { Family::Windows } else { Family::Linux }
}

/// Every fact that a rule asks for on some asset.
fn facts_of(entry: &Entry) -> BTreeSet<String> {
    let changed = entry.changes.iter().filter_map(|it| match &it.change {
        LaidChange::Asks(Asks::Facts(condition)) => Some(condition),
        LaidChange::Asks(Asks::Nothing(_, _))
        | LaidChange::NotApplicable
        | LaidChange::Disabled
        | LaidChange::Nothing => None,
    });
    let own = match &entry.rule.asks {
        Asks::Facts(condition) => Some(condition),
        Asks::Nothing(_, _) => None,
    };
    let all = own.into_iter().chain(&entry.rule.when).chain(changed);
    all.flat_map(Condition::leaves).map(|it| it.fact.clone()).collect()
}

fn is_only_baseline(entry: &Entry) -> bool {
    match &entry.rule.asks {
        Asks::Facts(condition) => condition.leaves().iter().all(|it| it.expect == [Expect::Baseline]),
        Asks::Nothing(_, _) => true,
    }
}

/// An asset that the rule is about.
fn meant(entry: &Entry) -> Asset {
    let mut it = asset(family(entry));
    it.role = entry.rule.applies.roles.first().cloned();
    it.tags.clone_from(&entry.rule.applies.tags);
    it
}

#[test]
fn every_shipped_file_is_read_and_every_check_has_a_rule() {
    for (name, text) in TEXTS {
        let faults = read_rules(text).err().map(|it| it.faults).unwrap_or_default();
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
    assert_eq!(shipped().len(), TEXTS.len());
    let rules = Ruleset::new(&[]);
    assert!(rules.warnings.is_empty(), "{:?}", rules.warnings);
    let windows = (1..=45).map(|it| format!("W{it:02}"));
    let linux = (1..=22).map(|it| format!("L{it:02}"));
    for check in windows.chain(linux).chain((1..=5).map(|it| format!("A{it:02}"))) {
        let of = rules.rules.iter().filter(|it| is_named(&check, &it.rule.id)).count();
        assert!(of > 0, "{check} has no rule");
    }
    for entry in &rules.rules {
        assert!(!entry.rule.references.is_empty(), "{} has no reference", entry.rule.id);
        for fact in facts_of(entry) {
            assert!(catalog().types(&fact).is_some(), "{}: nobody says {fact}", entry.rule.id);
        }
    }
}

#[test]
fn the_sample_files_are_taken() {
    for (text, items) in [
        (include_str!("../../../deploy/config/hardening/site.toml"), 4),
        (include_str!("../../../deploy/config/hardening/vendor.toml"), 2),
    ] {
        let file = read_rules(text).unwrap_or_else(|it| panic!("{:#?}", it.faults));
        assert_eq!(file.items(), items);
        let linted = super::lint(text, 1_790_000_000_000);
        assert!(linted.warnings.is_empty(), "{:?}", linted.warnings);
    }
}

/// Facts of the agent's own cases, judged by every rule of their check; reviewed as text.
#[test]
fn the_agents_cases_are_judged_as_reviewed() {
    let rules = Ruleset::new(&[]);
    let mut text = String::new();
    for mut case in read(AGENT_CASES) {
        // Island mode is what that check is about.
        if case.of == "W14" && case.kind != "absent" {
            case.asset.tags.push("island".to_owned());
        }
        writeln!(text, "{} {}", case.of, case.kind).unwrap();
        let facts = case.facts();
        for entry in rules.rules.iter().filter(|it| is_named(&case.of, &it.rule.id)) {
            let (_, seen) = rules.judge(entry, &case.asset, &facts);
            writeln!(text, "  {:<20} {}", entry.rule.id, word(seen.outcome)).unwrap();
            let place = format!("line {}: {} {}", case.line, entry.rule.id, case.kind);
            let is_denied = case.rows.iter().all(|it| it.state == "denied");
            if is_denied {
                assert_ne!(seen.outcome, Outcome::Pass, "{place}");
            }
        }
    }
    reviewed("fixtures/hardening/windows-cases.txt", &text);
}

#[test]
fn every_rule_has_a_case_that_passes_and_one_that_fails() {
    let rules = Ruleset::new(&[]);
    let mut all: BTreeSet<(String, Verdict)> = BTreeSet::new();
    let mut wrong = Vec::new();
    for case in read(OWN_CASES) {
        let Case { of, kind, asset, line, .. } = &case;
        let named = |it: &&Entry| it.rule.id == *of;
        let entry = rules.rules.iter().find(named).unwrap_or_else(|| panic!("line {line}: no rule {of}"));
        let facts = case.facts();
        let (_, seen) = rules.judge(entry, asset, &facts);
        let verdict = seen.outcome.verdict();
        if !verdict.as_str().eq_ignore_ascii_case(kind) {
            wrong.push(format!("line {line}: {of} is {}, not {kind}", word(seen.outcome)));
        }
        all.insert((of.clone(), verdict));
    }
    for entry in rules.rules.iter().filter(|it| !is_only_baseline(it)) {
        for verdict in [Verdict::Pass, Verdict::Fail] {
            if !all.contains(&(entry.rule.id.clone(), verdict)) {
                wrong.push(format!("{} has no case for {verdict}", entry.rule.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_could_not_be_read_never_passes() {
    let rules = Ruleset::new(&[]);
    for entry in &rules.rules {
        let asset = meant(entry);
        for (said, expected) in [("denied", Some(Missing::Denied)), ("error", None)] {
            let rows = facts_of(entry).into_iter().map(|it| row(&it, said));
            let facts = Facts::of(rows);
            let (_, seen) = rules.judge(entry, &asset, &facts);
            let is_right = match (&entry.rule.asks, expected) {
                (Asks::Nothing(missing, _), _) => seen.outcome == Outcome::NotChecked(*missing),
                (Asks::Facts(_), Some(missing)) => seen.outcome == Outcome::NotChecked(missing),
                (Asks::Facts(_), None) => seen.outcome == Outcome::Error,
            };
            assert!(is_right, "{} {said}: {}", entry.rule.id, word(seen.outcome));
        }
        let none = Facts::default();
        let (_, seen) = rules.judge(entry, &asset, &none);
        assert_ne!(seen.outcome, Outcome::Pass, "{} without any fact", entry.rule.id);
    }
}

/// What the absence of every fact of a rule means, for an old, a usual and a new Windows; reviewed as text.
#[test]
fn absence_means_what_is_documented() {
    let rules = Ruleset::new(&[]);
    let mut text = String::new();
    for entry in rules.rules.iter().filter(|it| matches!(it.rule.asks, Asks::Facts(_))) {
        let builds: &[Option<u32>] = match family(entry) {
            Family::Windows => &[Some(7_601), Some(19_044), Some(26_100), None],
            Family::Linux => &[None],
        };
        let mut said = Vec::new();
        for build in builds {
            let mut asset = meant(entry);
            asset.build = *build;
            // Several subjects are each absent; a fact without any is absent as a whole.
            let leaves: Vec<String> = entry_leaves(entry);
            let facts = Facts::of(leaves.iter().map(|it| row(it, "absent")));
            let (_, seen) = rules.judge(entry, &asset, &facts);
            let build = build.map_or_else(|| "?".to_owned(), |it| it.to_string());
            said.push(format!("{build}: {}", word(seen.outcome)));
        }
        writeln!(text, "{:<20} {}", entry.rule.id, said.join(", ")).unwrap();
    }
    reviewed("fixtures/hardening/absent.txt", &text);
}

/// The facts of a rule, with a subject where it asks for one.
fn entry_leaves(entry: &Entry) -> Vec<String> {
    let Asks::Facts(condition) = &entry.rule.asks else { return Vec::new() };
    let when: Vec<&super::condition::Leaf> = entry.rule.when.iter().flat_map(Condition::leaves).collect();
    let name = |it: &&super::condition::Leaf| match &it.subject {
        Some(subject) => format!("{}[{}]", it.fact, subject.as_str().replace('*', "x")),
        None => it.fact.clone(),
    };
    let mut names: Vec<String> = condition.leaves().iter().map(name).collect();
    names.extend(when.iter().map(name));
    names.sort();
    names.dedup();
    names
}

#[test]
fn roles_of_operators_are_held_to_what_operators_need() {
    let rules = Ruleset::new(&[]);
    let judged = |rule: &str, role: Option<&str>, tags: &[&str], facts: &[(&str, &str)]| {
        let entry = rules.rules.iter().find(|it| it.rule.id == rule).unwrap();
        let mut asset = asset(family(entry));
        asset.role = role.map(str::to_owned);
        asset.tags = tags.iter().map(|it| (*it).to_owned()).collect();
        let facts = Facts::of(facts.iter().map(|(name, said)| cases::row(name, said)));
        rules.judge(entry, &asset, &facts).1.outcome.verdict()
    };
    let locks = [("session.inactivity_seconds", "600")];
    let never = [
        ("session.inactivity_seconds", "0"),
        ("session.screen_saver[S-1-5-21-1]", "false"),
        ("session.screen_saver_locks[S-1-5-21-1]", "false"),
        ("session.screen_saver_seconds[S-1-5-21-1]", "0"),
    ];
    assert_eq!(judged("W16", Some("ews"), &[], &locks), Verdict::Pass);
    assert_eq!(judged("W16", Some("hmi"), &["physical-control"], &locks), Verdict::Fail, "the view is lost");
    assert_eq!(judged("W16", Some("hmi"), &["physical-control"], &never), Verdict::Pass);
    assert_eq!(judged("W16", Some("hmi"), &[], &never), Verdict::Fail, "nobody noted who may stand there");
    assert_eq!(judged("W16", Some("ews"), &["physical-control"], &never), Verdict::Fail);

    let none = [("logon.cached", "0")];
    assert_eq!(judged("W14.island", None, &["island"], &none), Verdict::Fail);
    assert_eq!(judged("W14.island", None, &[], &none), Verdict::NotApplicable);
    let automatic = [("logon.automatic", "true")];
    assert_eq!(judged("W15.automatic", Some("kiosk"), &[], &automatic), Verdict::NotApplicable);
    assert_eq!(judged("W15.automatic", Some("server"), &[], &automatic), Verdict::Fail);
    let forwards = [("sysctl.net.ipv4.ip_forward", "1"), ("sysctl.net.ipv6.conf.all.forwarding", "0")];
    assert_eq!(judged("L08.forwarding", Some("gateway"), &[], &forwards), Verdict::NotApplicable);
    assert_eq!(judged("L08.forwarding", Some("server"), &[], &forwards), Verdict::Fail);
}
