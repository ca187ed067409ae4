//! A window of 1,000 targets with 10 expectations each, once the reports are in.
//!
//! Images are believable: 400 packages, 50 services, 100 hardening facts, and as many different hosts as there are
//! targets. Time is printed, not judged: `tests/benches/verify`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use holdpoint_common::proto::v1::hardening_row::Value;

use super::fold::Change;
use super::judge::{Question, judge};
use super::plan::{Expectation, Protocol, Tier, Wanted};
use super::testing::{FIXED, Host, Shelf, advisory_of, at_least, challenge, expectation, fact, nonce, plan};
use crate::assess::RowSource;
use crate::knowledge::name_pattern::NamePattern;
use crate::knowledge::{AllowedAges, HeldAdvisory, Knowledge};
use crate::triage::control;

/// The release build measures; any other shows that the bench still says what it should.
const TARGETS: usize = if cfg!(debug_assertions) { 50 } else { 1_000 };
const ROWS: usize = 400;
const ADVISORIES: usize = 1_000;
const RUNS: usize = 5;

fn expectations() -> Vec<Expectation> {
    let advisory = |id: &str| Wanted::NotAffected { subject: id.into(), control: None };
    let fact = |typed: &str| Wanted::Fact(control::read(typed).unwrap());
    vec![
        at_least("tls", "openssl", FIXED),
        at_least("lib-2", "src-2", "1.2.3-4"),
        at_least("lib-3", "src-3", "1.2.3"),
        expectation("dsa", advisory("DSA-1")),
        expectation("dsa-2", advisory("DSA-2")),
        expectation("smb", fact("smb.v1=false")),
        expectation("ssh", Wanted::ServiceRunning("ssh".into())),
        expectation("port", Wanted::Listener { protocol: Protocol::Tcp, port: 22, open: true }),
        expectation("gone", Wanted::Absent { name: NamePattern::new("telnetd").unwrap(), source: None }),
        expectation("boot", Wanted::Restarted),
    ]
}

/// A host of its own among many: its address, its name, a package or two.
fn host(number: usize) -> Host {
    let mut host =
        Host::new(ROWS).install("lib-2", "1.2.3-3").install("site-tools", &format!("1.{}", number % 50));
    host.fingerprint[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
    host.boot = format!("boot-{number}");
    host.platform.hostname = Some(format!("hmi-{number}"));
    host.platform.boot_id = Some(host.boot.clone());
    host.hardening.push(fact("net.address", Value::Text(format!("10.0.{}.{}", number / 250, number % 250))));
    host
}

/// The first is about TLS, every other about a library.
fn record(number: usize) -> HeldAdvisory {
    let id = format!("DSA-{number}");
    match number {
        1 => advisory_of(&id, "openssl", FIXED),
        it => advisory_of(&id, &format!("src-{}", it % ROWS), "1.2.3-4"),
    }
}

#[test]
fn a_window_of_a_thousand_targets_is_judged_in_seconds() {
    let shelf = Arc::new(Shelf::default());
    let ids: Vec<String> = (0..TARGETS).map(|it| format!("hmi-{it:04}")).collect();
    let mut change =
        Change::of_plan("CHG-0001", plan(expectations(), &[Tier::Hmi]), std::slice::from_ref(&ids));
    let mut tally: BTreeMap<String, usize> = BTreeMap::new();
    for (number, id) in ids.iter().enumerate() {
        let pre = host(number).install("telnetd", "1");
        let work = |it: Host| it.patched().install("lib-2", "1.2.3-4").remove("telnetd");
        let post = match number % 10 {
            0 => pre.clone(),
            1 => work(pre.clone()),
            2 => work(pre.clone()).install("nmap", "7.93").restarted(),
            _ => work(pre.clone()).restarted(),
        };
        let target = change.stages[0].targets.get_mut(id).unwrap();
        let number = u64::try_from(number).unwrap();
        let [asked, again] = [nonce(2 * number), nonce(2 * number + 1)];
        target.pre = Some(pre.report(&shelf, id, 2, &asked));
        target.post = Some(post.report(&shelf, id, 3, &again));
        target.pre_asked = Some(challenge(id, asked, 1));
        target.post_asked = Some(challenge(id, again, 2));
    }
    let advisories = (1..=ADVISORIES).map(record).collect();
    let knowledge = Arc::new(Knowledge { revision: 1, advisories, ..Knowledge::default() });
    let rules = vec![("DSA-1".to_owned(), vec![1]), ("DSA-2".to_owned(), vec![2])];
    change.rules.clone_from(&rules);
    let question = Question {
        change: &change,
        stage: 1,
        rows: Arc::clone(&shelf) as Arc<dyn RowSource>,
        knowledge: &knowledge,
        ages: &AllowedAges::default(),
        now_ms: 2_000,
        role: &|_| None,
        rules: &rules,
    };
    let runs = if cfg!(debug_assertions) { 1 } else { RUNS };
    let mut took = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        let judged = judge(&question).unwrap();
        took.push(start.elapsed());
        assert_eq!(judged.verdicts.len(), TARGETS * 11);
        assert_eq!(judged.collateral.len(), TARGETS / 10, "{:?}", judged.collateral.first());
        tally = BTreeMap::new();
        for it in judged.verdicts.iter().filter(|it| it.expectation.is_empty()) {
            let modifiers = it.modifiers.join("+");
            *tally.entry(format!("{} {}{modifiers}", it.verdict, it.reason)).or_default() += 1;
        }
    }
    took.sort_unstable();
    println!("{TARGETS} targets x {} expectations, {ROWS} rows each: {tally:?}", expectations().len());
    println!("median {:?} of {took:?}", took[took.len() / 2]);
    assert_eq!(tally.get("INSTALLED_NOT_LIVE RESTART_PENDING"), Some(&(TARGETS / 10)));
}
