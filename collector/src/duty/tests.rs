use std::collections::BTreeSet;
use std::sync::Arc;

use holdpoint_common::proto::store::audit_entry::Detail;
use holdpoint_common::proto::store::baseline_entry;
use holdpoint_common::proto::store::decision_record;
use holdpoint_common::proto::store::duty_entry::What;
use holdpoint_common::proto::store::{
    AuditEntry, BaselineApproved, BaselineEntry, ControlEnded, ControlRecord, ControlRegistered,
    ControlTested, DecisionRecord, DispositionRecord, DriftDisposed, DutyEntry, EvaluationRecorded,
    PatchSourceNamed, SectionState, SnapshotRecord, SnapshotSection, WithdrawalRecord,
};
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::SectionKind;
use proptest::prelude::*;
use prost::Message;

use super::control::{Lapse, lapsed};
use super::short::TargetShort;
use super::*;
use crate::baseline::Baselines;
use crate::change::word::{State, Verdict};
use crate::hardening::Exception;
use crate::triage::Ledger;
use crate::triage::control::{self, Tested};
use crate::triage::disposition::Standing;

const T0: i64 = 1_700_000_000_000;

fn log(entries: &[(i64, What)]) -> Vec<AuditEntry> {
    let entry = |(at, (at_ms, what)): (usize, &(i64, What))| AuditEntry {
        number: u64::try_from(at).unwrap() + 1,
        at_ms: *at_ms,
        by: "kim".into(),
        detail: Some(Detail::Duty(DutyEntry { what: Some(what.clone()) }.encode_to_vec())),
        ..AuditEntry::default()
    };
    entries.iter().enumerate().map(entry).collect()
}

fn source(kind: &str, assets: &[&str]) -> What {
    What::Source(PatchSourceNamed {
        source: "oem".into(),
        kind: kind.into(),
        contact: "a portal".into(),
        assets: assets.iter().map(|&it| it.to_owned()).collect(),
    })
}

fn evaluation(from_ms: i64, to_ms: i64, items: &[&str]) -> What {
    What::Evaluation(EvaluationRecorded {
        source: "oem".into(),
        from_ms,
        to_ms,
        items: items.iter().map(|&it| it.to_owned()).collect(),
        text: "looked".into(),
    })
}

fn control(id: &str, fact: Option<&str>, until_ms: i64) -> What {
    What::Control(ControlRegistered {
        id: id.into(),
        asset: "hmi".into(),
        subject: "ADV-1".into(),
        owner: "lee".into(),
        description: "the port is closed".into(),
        fact: fact.map(|it| control::read(it).unwrap()),
        interval_days: 10,
        until_ms,
    })
}

fn test(id: &str, works: bool) -> What {
    What::Tested(ControlTested { id: id.into(), works, text: "tried".into() })
}

fn end(id: &str) -> What {
    What::Ended(ControlEnded { id: id.into(), reason: "removed".into() })
}

/// Everything that duties follow from, for one asset "hmi".
struct Zone {
    duties: Duties,
    baselines: Baselines,
    ledger: Ledger,
    changes: Vec<ChangeShort>,
    exceptions: Vec<Exception>,
    assets: Vec<AssetShort>,
    fixed: BTreeSet<String>,
    machine: Tested,
}

impl Zone {
    fn of(entries: &[(i64, What)]) -> Self {
        Self {
            duties: Duties::fold(&log(entries)),
            baselines: Baselines::default(),
            ledger: Ledger::default(),
            changes: Vec::new(),
            exceptions: Vec::new(),
            assets: vec![AssetShort { id: "hmi".into(), since_ms: T0, retired: false }],
            fixed: BTreeSet::new(),
            machine: Tested::Open("nothing is heard".into()),
        }
    }

    fn due(&self, now_ms: i64, all: bool) -> Vec<Duty> {
        let exceptions: Vec<&Exception> = self.exceptions.iter().collect();
        let known = Known {
            duties: &self.duties,
            baselines: &self.baselines,
            ledger: &self.ledger,
            changes: &self.changes,
            exceptions: &exceptions,
            assets: &self.assets,
            settled: &|_| self.fixed.clone(),
            tested: &|_, _: &ControlRecord| self.machine.clone(),
            now_ms,
        };
        due(&known, all)
    }

    /// The state of the one duty of a kind; "-" when there is none.
    fn state(&self, kind: DutyKind, now_ms: i64) -> &'static str {
        let found: Vec<Duty> = self.due(now_ms, false).into_iter().filter(|it| it.kind == kind).collect();
        assert!(found.len() < 2, "{found:?}");
        found.first().map_or("-", |it| it.state.as_str())
    }
}

#[test]
fn what_a_source_released_is_evaluated_every_35_days_also_when_it_was_nothing() {
    let named = (T0, source("oem", &["hmi"]));
    let zone = Zone::of(std::slice::from_ref(&named));
    let state = |zone: &Zone, now_ms| zone.state(DutyKind::Evaluate, now_ms);
    assert_eq!(state(&zone, T0 + 35 * DAY_MS), "due", "in time at the very millisecond");
    assert_eq!(state(&zone, T0 + 35 * DAY_MS + 1), "overdue");
    let (to, at) = (T0 + 20 * DAY_MS, T0 + 21 * DAY_MS);
    let zone = Zone::of(&[named.clone(), (at, evaluation(T0, to, &[]))]);
    assert_eq!(state(&zone, to + 35 * DAY_MS), "due");
    assert_eq!(state(&zone, to + 35 * DAY_MS + 1), "overdue", "from the end of the last one, not its record");
    let done: Vec<_> = zone.due(at, true).into_iter().filter(|it| it.state == DutyState::Done).collect();
    assert!(done.len() == 1 && !done[0].text.contains("late"), "{done:?}");
    let future = Zone::of(&[named.clone(), (T0, evaluation(T0 - 1, T0 + 300 * DAY_MS, &[]))]);
    assert_eq!(state(&future, T0 + 36 * DAY_MS), "overdue", "nobody evaluates what is not released yet");
    let hole = Duties::fold(&log(&[named.clone(), (at, evaluation(T0, to, &[]))]));
    let entry = |from_ms| DutyEntry { what: Some(evaluation(from_ms, at + 1, &[])) };
    assert!(hole.admit(&entry(to)).is_ok());
    assert!(hole.admit(&entry(to + 1)).is_err(), "what was released in between would be left out");
    // Saying that there is no source, and taking it back, wins no time.
    let back = Zone::of(&[named.clone(), (at, source("none", &["hmi"])), (at + 1, source("oem", &["hmi"]))]);
    assert_eq!(state(&back, T0 + 35 * DAY_MS + 1), "overdue");
    let none = Zone::of(&[(T0, source("none", &["hmi"]))]);
    assert_eq!(state(&none, T0 + 900 * DAY_MS), "-", "that there is no source is an answer");
}

#[test]
fn an_asset_without_a_source_is_named() {
    let zone = Zone::of(&[]);
    let found = zone.due(T0 + 35 * DAY_MS + 1, false);
    assert_eq!((found.len(), found[0].asset.as_str(), found[0].rule), (1, "hmi", "CIP-007-6 R2.1"));
    assert_eq!(found[0].state, DutyState::Overdue);
    assert!(Zone::of(&[(T0, source("oem", &[]))]).due(T0, false).iter().any(|it| it.asset == "hmi"));
}

fn disposition(number: u64, kind: &str, subject: &str, until_ms: Option<i64>) -> DecisionRecord {
    let what = DispositionRecord {
        asset: "hmi".into(),
        subject: subject.into(),
        kind: kind.into(),
        owner: "kim".into(),
        until_ms,
        reason: "because".into(),
        control: None,
    };
    DecisionRecord {
        number,
        what: Some(decision_record::What::Disposition(what)),
        ..DecisionRecord::default()
    }
}

fn change(state: State, subject: &str, window_end_ms: Option<i64>, verdict: Option<Verdict>) -> ChangeShort {
    let target = TargetShort {
        asset: "hmi".into(),
        subjects: Arc::new([subject.to_owned()].into()),
        verdict,
        post: None,
    };
    ChangeShort { id: "CHG-0001".into(), state, window_end_ms, ended_ms: None, targets: vec![target] }
}

/// Named on T0, evaluated a day later with one item.
fn evaluated() -> Zone {
    let day = T0 + DAY_MS;
    Zone::of(&[(T0, source("oem", &["hmi"])), (day, evaluation(T0, day, &["ADV-1"]))])
}

#[test]
fn what_an_evaluation_named_is_applied_or_planned_within_35_days() {
    let (zone, last) = (evaluated(), T0 + 36 * DAY_MS);
    assert_eq!(zone.state(DutyKind::Act, last), "due");
    assert_eq!(zone.state(DutyKind::Act, last + 1), "overdue");

    let with = |records: &[DecisionRecord]| {
        Zone { ledger: Ledger::of(records.iter().cloned()), ..evaluated() }.state(DutyKind::Act, last + 1)
    };
    let later = Some(last + DAY_MS);
    for (kind, subject, until_ms, said) in [
        ("defer", "ADV-1", later, "-"),
        ("mitigate", "ADV-1", later, "-"),
        ("patch", "ADV-1", later, "-"),
        ("patch", "ADV-1", None, "overdue"),
        ("defer", "ADV-1", Some(last), "overdue"),
        ("defer", "ADV-1/CVE-1", later, "overdue"),
        ("defer", "ADV-11", later, "overdue"),
    ] {
        assert_eq!(with(&[disposition(1, kind, subject, until_ms)]), said, "{kind} {subject} {until_ms:?}");
    }
    let what = WithdrawalRecord { number: 1, reason: "wrong".into() };
    let what = Some(decision_record::What::Withdrawal(what));
    let withdrawn = DecisionRecord { number: 2, what, ..DecisionRecord::default() };
    assert_eq!(with(&[disposition(1, "defer", "ADV-1", later), withdrawn]), "overdue");

    let with = |state, subject: &str, end, verdict| {
        let changes = vec![change(state, subject, end, verdict)];
        Zone { changes, ..evaluated() }.state(DutyKind::Act, last + 1)
    };
    for (state, subject, end, verdict, said) in [
        (State::Authorised, "ADV-1", later, None, "-"),
        (State::Draft, "ADV-1", later, None, "-"),
        (State::Authorised, "ADV-1", Some(last), None, "overdue"),
        (State::Authorised, "ADV-1", None, None, "overdue"),
        (State::Authorised, "ADV-2", later, None, "overdue"),
        (State::Closed, "ADV-1", Some(T0), Some(Verdict::Remediated), "-"),
        (State::Closed, "ADV-1", Some(T0), Some(Verdict::NotRemediated), "overdue"),
        (State::Closed, "ADV-1", Some(T0), None, "overdue"),
        (State::Vetoed, "ADV-1", later, None, "overdue"),
        (State::RolledBack, "ADV-1", later, Some(Verdict::RolledBack), "overdue"),
        (State::ClosedUnremediated, "ADV-1", later, None, "overdue"),
    ] {
        assert_eq!(with(state, subject, end, verdict), said, "{state} {subject} {end:?} {verdict:?}");
    }

    let fixed = Zone { fixed: ["hmi".to_owned()].into(), ..evaluated() };
    assert_eq!(fixed.state(DutyKind::Act, last + 1), "-");
    assert!(fixed.due(last, true).iter().any(|it| it.kind == DutyKind::Act && it.state == DutyState::Done));
    let forgotten = Zone { assets: Vec::new(), ..evaluated() };
    assert_eq!(
        forgotten.state(DutyKind::Act, last + 1),
        "overdue",
        "an asset that is not there owes all the same"
    );
    let retired = vec![AssetShort { id: "hmi".into(), since_ms: T0, retired: true }];
    assert_eq!(Zone { assets: retired, ..evaluated() }.state(DutyKind::Act, last + 1), "-");
}

fn snapshot(sequence: u64) -> SnapshotRecord {
    let state = SectionState {
        status: SectionStatus::Complete.into(),
        digest: vec![1; 32],
        ..SectionState::default()
    };
    let section = |kind: SectionKind| SnapshotSection { kind: kind.into(), state: Some(state.clone()) };
    let kinds = [
        SectionKind::Platform,
        SectionKind::Firmware,
        SectionKind::Software,
        SectionKind::Listeners,
        SectionKind::Updates,
    ];
    SnapshotRecord {
        asset: "hmi".into(),
        nonce: vec![7; 16],
        sequence,
        sections: kinds.map(section).to_vec(),
        ..SnapshotRecord::default()
    }
}

fn baselines(entries: &[(i64, baseline_entry::What)]) -> Baselines {
    let mut version = 0;
    let entry = |(at, (at_ms, what)): (usize, &(i64, baseline_entry::What))| {
        version += u64::from(matches!(what, baseline_entry::What::Approved(_)));
        let entry = BaselineEntry { asset: "hmi".into(), version, what: Some(what.clone()) };
        AuditEntry {
            number: u64::try_from(at).unwrap() + 1,
            at_ms: *at_ms,
            detail: Some(Detail::Baseline(entry.encode_to_vec())),
            ..AuditEntry::default()
        }
    };
    let entries: Vec<AuditEntry> = entries.iter().enumerate().map(entry).collect();
    Baselines::fold(&entries)
}

fn approved(sequence: u64) -> baseline_entry::What {
    baseline_entry::What::Approved(BaselineApproved {
        snapshot: Some(snapshot(sequence)),
        reason: "good".into(),
        ..BaselineApproved::default()
    })
}

#[test]
fn a_baseline_follows_a_change_and_authorised_drift_within_30_days() {
    let mut ended = change(State::Closed, "ADV-1", None, Some(Verdict::Remediated));
    ended.ended_ms = Some(T0);
    ended.targets[0].post = Some(snapshot(5));
    let at = |known: Baselines, now_ms| {
        Zone { baselines: known, changes: vec![ended.clone()], ..Zone::of(&[]) }
            .state(DutyKind::UpdateBaseline, now_ms)
    };
    let last = T0 + 30 * DAY_MS;
    for (known, said) in [
        (Baselines::default(), ["due", "overdue"]),
        (baselines(&[(T0, approved(4))]), ["due", "overdue"]),
        (baselines(&[(T0, approved(5))]), ["-", "-"]),
        (baselines(&[(T0, approved(4)), (last + 9, approved(6))]), ["-", "-"]),
    ] {
        assert_eq!([at(known.clone(), last), at(known, last + 1)], said);
    }

    let authorised = baseline_entry::What::Disposed(DriftDisposed {
        items: vec![vec![1; 32]],
        r#as: "authorised".into(),
        reason: "meant".into(),
        until_ms: None,
    });
    let entries = [(T0, approved(4)), (T0 + 1, authorised), (T0 + 2, approved(5))];
    let state = |count: usize, now_ms| {
        Zone { baselines: baselines(&entries[..count]), ..Zone::of(&[]) }
            .state(DutyKind::UpdateBaseline, now_ms)
    };
    assert_eq!((state(1, last), state(2, last + 1), state(2, last + 2)), ("-", "due", "overdue"));
    assert_eq!(state(3, last + 2), "-");
}

#[test]
fn what_is_put_off_ends_and_stays_until_somebody_decides_anew() {
    let zone =
        |records: &[DecisionRecord]| Zone { ledger: Ledger::of(records.iter().cloned()), ..Zone::of(&[]) };
    let state = |zone: &Zone, now_ms| zone.state(DutyKind::AcceptanceEnds, now_ms);
    let accepted = disposition(1, "accept", "ADV-1", Some(T0));
    let one = zone(std::slice::from_ref(&accepted));
    assert_eq!((state(&one, T0 - 1), state(&one, T0)), ("due", "overdue"), "over at its millisecond");
    assert_eq!(state(&one, T0 + 900 * DAY_MS), "overdue");
    let renewed = zone(&[accepted.clone(), disposition(2, "accept", "ADV-1", Some(T0 + DAY_MS))]);
    assert_eq!(state(&renewed, T0), "due");
    let other = zone(&[accepted, disposition(2, "accept", "ADV-2", None)]);
    assert_eq!(state(&other, T0), "overdue", "about another finding");
}

fn exception(expires_ms: i64) -> Exception {
    Exception {
        rule: "W06".into(),
        asset: None,
        role: None,
        tag: None,
        reason: "old station".into(),
        owner: "kim".into(),
        expires_ms,
        last_day: "2027-03-31".into(),
    }
}

#[test]
fn of_several_exceptions_for_the_same_the_last_end_counts() {
    let zone =
        |ends: &[i64]| Zone { exceptions: ends.iter().map(|&it| exception(it)).collect(), ..Zone::of(&[]) };
    let state = |ends: &[i64]| zone(ends).state(DutyKind::ExceptionEnds, T0);
    assert_eq!((state(&[]), state(&[T0]), state(&[T0 + 1])), ("-", "overdue", "due"));
    assert_eq!(state(&[T0, T0 + 1, T0 - 1]), "due");
}

#[test]
fn a_control_lapses_with_its_interval_its_end_a_bad_test_and_the_machines_word() {
    let until = T0 + 100 * DAY_MS;
    let of = |more: &[(i64, What)], fact: Option<&str>| {
        let all = [&[(T0, control("C-1", fact, until))], more].concat();
        Duties::fold(&log(&all)).controls().get("C-1").unwrap().clone()
    };
    let fresh = of(&[], None);
    let edge = T0 + 10 * DAY_MS;
    assert_eq!((lapsed(&fresh, None, edge), lapsed(&fresh, None, edge + 1)), (None, Some(Lapse::Overdue)));
    assert_eq!((fresh.state(None, edge), fresh.state(None, edge + 1)), ("untested", "overdue"));
    let tested = of(&[(T0 + DAY_MS, test("C-1", true))], None);
    assert_eq!(
        (tested.state(None, edge + DAY_MS), tested.state(None, edge + DAY_MS + 1)),
        ("works", "overdue")
    );
    let failed = of(&[(T0 + DAY_MS, test("C-1", true)), (T0 + DAY_MS, test("C-1", false))], Some("a=1"));
    assert_eq!(failed.state(Some(&Tested::Holds), edge), "fails", "of two words the worse one holds");
    let seen = of(&[], Some("a=1"));
    assert_eq!(lapsed(&seen, Some(&Tested::Holds), until - 1), None, "a machine sees it every day");
    assert_eq!(lapsed(&seen, Some(&Tested::Holds), until), Some(Lapse::Expired));
    assert_eq!(seen.state(Some(&Tested::Broken("a is 2".into())), T0), "fails");
    assert_eq!(seen.state(Some(&Tested::Open("denied".into())), edge + 1), "overdue", "unseen is not seen");
    let ended = of(&[(T0 + 1, end("C-1"))], None);
    assert!(matches!(lapsed(&ended, None, T0 + 2), Some(Lapse::Ended(_))));

    let zone = |machine: Tested, fact| Zone { machine, ..Zone::of(&[(T0, control("C-1", fact, until))]) };
    let open = zone(Tested::Holds, None);
    assert_eq!(open.state(DutyKind::ControlTest, edge), "due");
    assert_eq!(open.state(DutyKind::ControlTest, edge + 1), "overdue");
    assert_eq!(open.state(DutyKind::ControlEnds, until - 1), "due");
    assert_eq!(open.state(DutyKind::ControlEnds, until), "overdue");
    assert_eq!(zone(Tested::Holds, Some("a=1")).state(DutyKind::ControlTest, edge + 1), "-");
    assert_eq!(zone(Tested::Broken("off".into()), Some("a=1")).state(DutyKind::ControlTest, T0), "overdue");
}

#[test]
fn what_rests_on_a_control_that_lapsed_is_open_at_once() {
    let until = T0 + 100 * DAY_MS;
    let controls = |entries: &[(i64, What)]| Arc::clone(Duties::fold(&log(entries)).controls());
    let kept = |controls: &Controls, finding: &str, now_ms, machine: &Tested| {
        controls.kept("hmi", finding, Some("CVE-1"), now_ms, |_| machine.clone())
    };
    let (holds, open) = (Tested::Holds, Tested::Open("denied".into()));
    let one = controls(&[(T0, control("C-1", None, until)), (T0, test("C-1", true))]);
    let now = T0 + DAY_MS;
    assert_eq!(kept(&one, "ADV-1/CVE-1/P", now, &open), Some(Kept::Told));
    assert_eq!(kept(&one, "ADV-2/CVE-1/P", now, &open), None, "about another finding");
    assert!(one.kept("other", "ADV-1/CVE-1/P", None, now, |_| open.clone()).is_none());
    assert!(matches!(kept(&one, "ADV-1/CVE-1/P", T0 + 11 * DAY_MS, &open), Some(Kept::Lapsed(_))));
    let seen = controls(&[(T0, control("C-1", Some("a=1"), until))]);
    assert_eq!(kept(&seen, "ADV-1/CVE-1/P", now, &holds), Some(Kept::Seen));
    assert!(matches!(kept(&seen, "ADV-1/CVE-1/P", now, &open), Some(Kept::Open(_))));
    assert!(matches!(
        kept(&seen, "ADV-1/CVE-1/P", now, &Tested::Broken("off".into())),
        Some(Kept::Lapsed(_))
    ));
    let two = [(T0, control("C-1", None, until)), (T0, control("C-2", None, until)), (T0 + 1, end("C-1"))];
    assert!(
        matches!(kept(&controls(&two), "ADV-1/CVE-1/P", now, &open), Some(Kept::Open(_))),
        "C-2 is in its place"
    );
    let gone = [two.to_vec(), vec![(T0 + 2, end("C-2"))]].concat();
    assert!(matches!(kept(&controls(&gone), "ADV-1/CVE-1/P", now, &holds), Some(Kept::Lapsed(_))));

    let lapsed = || Kept::Lapsed("why".into());
    assert_eq!(lapsed().over(Standing::Verified), Standing::Failed("why".into()));
    assert_eq!(lapsed().over(Standing::Withdrawn), Standing::Withdrawn);
    assert_eq!(Kept::Seen.over(Standing::InForce), Standing::Verified);
    assert_eq!(Kept::Seen.over(Standing::Failed("own".into())), Standing::Failed("own".into()));
    assert_eq!(Kept::Seen.over(Standing::Expired), Standing::Expired);
    assert_eq!(Kept::Told.over(Standing::InForce), Standing::InForce);

    let mitigated = [disposition(1, "mitigate", "ADV-1", Some(T0 + 90 * DAY_MS))];
    let day = T0 + DAY_MS;
    let zone = |more: &[(i64, What)]| {
        let first = [(T0, source("oem", &["hmi"])), (day, evaluation(T0, day, &["ADV-1"]))];
        Zone { ledger: Ledger::of(mitigated.iter().cloned()), ..Zone::of(&[&first[..], more].concat()) }
    };
    assert_eq!(zone(&[]).state(DutyKind::Act, T0 + 37 * DAY_MS), "-");
    let failed = [(day, control("C-1", None, until)), (day, test("C-1", false))];
    assert_eq!(zone(&failed).state(DutyKind::Act, T0 + 37 * DAY_MS), "overdue");
}

#[test]
fn entries_that_may_not_follow_are_refused() {
    let duties = Duties::fold(&log(&[
        (T0, source("oem", &["hmi"])),
        (T0, control("C-1", None, T0 + DAY_MS)),
        (T0, control("C-2", None, T0 + DAY_MS)),
        (T0, end("C-2")),
    ]));
    let unknown = EvaluationRecorded { source: "other".into(), from_ms: 0, to_ms: 1, ..Default::default() };
    let silent = EvaluationRecorded { source: "oem".into(), from_ms: 0, to_ms: 1, ..Default::default() };
    let daily = |days| {
        let What::Control(it) = control("C-3", None, T0) else { unreachable!("a control is one") };
        What::Control(ControlRegistered { interval_days: days, ..it })
    };
    let cases = [
        ("vendor", source("vendor", &[])),
        ("an unknown source", What::Evaluation(unknown)),
        ("nothing, without words", What::Evaluation(silent)),
        ("backwards", evaluation(5, 5, &[])),
        ("the same name again", control("C-1", None, T0 + DAY_MS)),
        ("the name of one that was ended", control("C-2", None, T0 + DAY_MS)),
        ("no interval", daily(0)),
        ("a test of none", test("C-9", true)),
        ("a test of one that was ended", test("C-2", true)),
        ("ended twice", end("C-2")),
    ];
    for (what, entry) in cases {
        assert!(duties.admit(&DutyEntry { what: Some(entry) }).is_err(), "{what}");
    }
    assert!(duties.admit(&DutyEntry { what: None }).is_err());
    assert!(duties.admit(&DutyEntry { what: Some(daily(1)) }).is_ok());
}

fn step() -> impl Strategy<Value = What> {
    prop_oneof![
        prop_oneof![Just("oem"), Just("none")].prop_map(|it| source(it, &["hmi"])),
        (0..40_i64, 1..40_i64, 0..3_usize).prop_map(|(from, length, items)| {
            evaluation(T0 + from * DAY_MS, T0 + (from + length) * DAY_MS, &["ADV-1", "ADV-2"][..items.min(2)])
        }),
        (0..3_u8, 1..90_i64).prop_map(|(id, days)| control(&format!("C-{id}"), None, T0 + days * DAY_MS)),
        (0..3_u8, any::<bool>()).prop_map(|(id, works)| test(&format!("C-{id}"), works)),
        (0..3_u8).prop_map(|id| end(&format!("C-{id}"))),
    ]
}

fn history() -> impl Strategy<Value = Vec<(i64, What)>> {
    proptest::collection::vec(step(), 0..25)
        .prop_map(|steps| steps.into_iter().zip(0..).map(|(what, at)| (T0 + at * 3 * DAY_MS, what)).collect())
}

proptest! {
    #[test]
    fn folding_any_prefix_twice_is_the_same(history in history(), cut in 0..25_usize) {
        let log = log(&history);
        let prefix = &log[..cut.min(log.len())];
        let once = Duties::fold(prefix);
        prop_assert_eq!(&once, &Duties::fold(prefix));
        prop_assert_eq!(&once, &Duties::fold(prefix.iter().chain(prefix)));
        let mut rest = once;
        for entry in &log {
            rest.follow(entry);
        }
        prop_assert_eq!(rest, Duties::fold(&log));
    }

    /// Time alone settles nothing, and nothing that goes away does: assets, changes, findings.
    #[test]
    fn nothing_that_is_missing_reads_as_nothing_due(history in history(), days in 0..200_i64, later in 0..200_i64) {
        let zone = Zone::of(&history);
        let open = |zone: &Zone, now_ms| -> BTreeSet<(DutyKind, String, i64)> {
            zone.due(now_ms, false).into_iter().map(|it| (it.kind, it.subject, it.due_ms)).collect()
        };
        let now_ms = T0 + days * DAY_MS;
        let there = open(&zone, now_ms);
        prop_assert!(there.is_subset(&open(&zone, now_ms + later * DAY_MS)));
        let without = Zone { assets: Vec::new(), ..Zone::of(&history) };
        let named = |it: &&(DutyKind, String, i64)| it.1 != "patch sources";
        let left = open(&without, now_ms);
        prop_assert!(there.iter().filter(named).all(|it| left.contains(it)));
        let fixed = Zone { fixed: ["hmi".to_owned()].into(), ..Zone::of(&history) };
        prop_assert!(open(&fixed, now_ms).is_subset(&there), "what was fixed and is not seen any more is due again");
        let overdue = |now_ms| zone.due(now_ms, false).iter().filter(|it| it.state == DutyState::Overdue).count();
        prop_assert!(overdue(now_ms) <= overdue(now_ms + later * DAY_MS));
    }

    #[test]
    fn soonest_comes_first(history in history(), days in 0..200_i64) {
        let due = Zone::of(&history).due(T0 + days * DAY_MS, true);
        prop_assert!(due.is_sorted_by_key(|it| it.due_ms));
    }
}
