use super::*;
use crate::change::plan::{Allowed, Expectation, Protocol, Tier, Wanted};
use crate::change::testing::{
    ASSET, Case, FIXED, Host, OLD, Shelf, advisory_of, at_least, expectation, fact, moved, named_advisory,
    nonce, plan, service, word,
};
use crate::knowledge::Knowledge;
use crate::knowledge::name_pattern::NamePattern;
use crate::triage::control;
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::proto::v1::hardening_row::Value;
use holdpoint_common::row::LiveRow;

fn tls() -> Vec<Expectation> {
    vec![at_least("tls", "openssl", FIXED)]
}

fn host() -> Host {
    Host::new(12)
}

fn live(kind: &str, state: &str, package: &str) -> LiveRow {
    LiveRow {
        source: "proc".into(),
        kind: kind.into(),
        state: state.into(),
        package: Some(package.into()),
        service: Some("ssh".into()),
        file: Some("/usr/lib/libssl.so.3".into()),
        ..LiveRow::default()
    }
}

fn with_live(mut host: Host, row: LiveRow) -> Host {
    host.live.push(row);
    host
}

#[test]
fn a_product_is_judged_by_what_is_installed_and_in_effect() {
    let patched = || host().patched();
    let partly = |kind| patched().incomplete(kind, SectionStatus::Partial, "stopped in time");
    let software = SectionKind::Software;
    let table: Vec<(&str, Host, Host, &str)> = vec![
        ("the work was done", host(), patched(), "REMEDIATED"),
        ("nothing was done", host(), host(), "NOT_REMEDIATED"),
        ("it was done before", patched(), patched(), "ALREADY_REMEDIATED"),
        ("it was taken back", patched(), host(), "NOT_REMEDIATED"),
        ("it was removed", host(), host().remove("libssl3").remove("openssl"), "REMEDIATED_OTHERWISE"),
        (
            "the name is nobody's",
            host().remove("libssl3").remove("openssl"),
            host().remove("libssl3").remove("openssl"),
            "INCONCLUSIVE(NO_RULE)",
        ),
        ("one of two packages", host(), host().install("libssl3", FIXED), "PARTIAL"),
        (
            "as partial as before",
            host().install("libssl3", FIXED),
            host().install("libssl3", FIXED),
            "NOT_REMEDIATED",
        ),
        (
            "a version that is none",
            host(),
            host().install("libssl3", "x").install("openssl", "x"),
            "INCONCLUSIVE(UNPARSED_VERSION)",
        ),
        (
            "old code",
            host(),
            with_live(patched(), live("mapped-file", "deleted", "libssl3")),
            "INSTALLED_NOT_LIVE(OLD_CODE_MAPPED)",
        ),
        (
            "a service that was not restarted",
            host(),
            with_live(patched(), live("service", "stale", "openssl")),
            "INSTALLED_NOT_LIVE(SERVICE_NOT_RESTARTED)",
        ),
        (
            "a mark",
            host(),
            with_live(patched(), live("restart-mark", "pending", "libssl3")),
            "INSTALLED_NOT_LIVE(RESTART_PENDING)",
        ),
        ("less was read", host(), partly(software), "INCONCLUSIVE(COVERAGE_LOWER)"),
        ("what runs was not read", host(), partly(SectionKind::Live), "INCONCLUSIVE(COVERAGE_LOWER)"),
        (
            "as little was read before, by right",
            host().incomplete(software, SectionStatus::Partial, "permission denied"),
            patched().incomplete(software, SectionStatus::Partial, "permission denied"),
            "INCONCLUSIVE(ACCESS_DENIED)",
        ),
        (
            "as little was read before, by failure",
            host().incomplete(software, SectionStatus::Failed, "malformed"),
            patched().incomplete(software, SectionStatus::Failed, "malformed"),
            "INCONCLUSIVE(COLLECTION_ERROR)",
        ),
        (
            "nobody knows what was before",
            host().incomplete(software, SectionStatus::Partial, "stopped").patched(),
            patched(),
            "INCONCLUSIVE(COVERAGE_LOWER)",
        ),
        (
            "bad news counts however little was read",
            host(),
            host().incomplete(software, SectionStatus::Partial, "stopped"),
            "NOT_REMEDIATED",
        ),
    ];
    for (what, pre, post, wanted) in table {
        let case = Case::new(tls(), pre, post);
        let judged = case.judged();
        assert_eq!(word(&judged, "tls"), wanted, "{what}: {judged:#?}");
        let whole = judged.verdicts.iter().find(|it| it.expectation.is_empty()).unwrap();
        let good = Verdict::named(&whole.verdict).unwrap().closes();
        assert_eq!(good, Verdict::named(wanted).is_some_and(Verdict::closes), "{what}");
        assert!(!whole.text.is_empty() && whole.grade == "B", "{what}");
    }
}

#[test]
fn every_verdict_names_what_was_looked_at_before_and_after() {
    let judged = Case::new(tls(), host(), host().patched()).judged();
    let [one, whole] = judged.verdicts.as_slice() else { panic!("{judged:?}") };
    let of = |phase: &str| one.evidence.iter().filter(|it| it.phase == phase).collect::<Vec<_>>();
    for (phase, version) in [("pre", OLD), ("post", FIXED)] {
        assert!(of(phase).iter().any(|it| it.value.contains(version) && it.digest.len() == 32));
        assert!(of(phase).iter().any(|it| it.what == "in effect"));
        for what in ["sequence", "boot id", "agent program"] {
            assert!(whole.evidence.iter().any(|it| it.phase == phase && it.what == what), "{phase} {what}");
        }
    }
}

#[test]
fn a_restart_that_was_expected_is_seen_by_the_boot_id_alone() {
    let both = || vec![at_least("tls", "openssl", FIXED), expectation("boot", Wanted::Restarted)];
    let done = Case::new(both(), host(), host().patched().restarted());
    assert_eq!(
        (done.word("boot"), done.word("tls"), done.word("")),
        ("REMEDIATED".into(), "REMEDIATED".into(), "REMEDIATED".into())
    );
    assert!(moved(&done.judged()).is_empty());
    let waits = Case::new(both(), host(), host().patched());
    for it in ["boot", "tls", ""] {
        assert_eq!(waits.word(it), "INSTALLED_NOT_LIVE(RESTART_PENDING)", "{it}");
    }
    let mut silent = host().patched();
    silent.boot.clear();
    assert_eq!(Case::new(both(), host(), silent).word("boot"), "INCONCLUSIVE(COLLECTION_ERROR)");
}

#[test]
fn who_did_not_answer_as_was_asked_is_inconclusive_with_the_reason() {
    let case = |pre: Option<Host>, post: Option<Host>| Case { pre, post, ..Case::new(tls(), host(), host()) };
    assert_eq!(case(Some(host()), None).word("tls"), "INCONCLUSIVE(STALE)");
    assert_eq!(case(None, Some(host().patched())).word("tls"), "INCONCLUSIVE(NO_PRE_SNAPSHOT)");
    let shelf = std::sync::Arc::new(Shelf::default());
    for why in [
        Why::OldNonce,
        Why::Replayed,
        Why::SequenceNotHigher,
        Why::HostDeclined,
        Why::Late,
        Why::IdentityMismatch,
        Why::BeforeWorkEnd,
    ] {
        let case = case(Some(host()), None);
        let mut change = case.change(&shelf);
        change.stages[0].targets.get_mut(ASSET).unwrap().refused = Some((why, "so it was".into()));
        let judged = case.judge_change(&change, &shelf);
        assert_eq!(word(&judged, ""), format!("INCONCLUSIVE({why})"));
        assert!(judged.verdicts.iter().all(|it| it.text == "so it was"));
    }
    let case = Case::new(tls(), host(), host().patched());
    let mut change = case.change(&shelf);
    change.stages[0].targets.get_mut(ASSET).unwrap().post.as_mut().unwrap().sequence = 2;
    assert_eq!(word(&case.judge_change(&change, &shelf), ""), "INCONCLUSIVE(SEQUENCE_NOT_HIGHER)");

    let mut copy = host().patched();
    copy.fingerprint = [8; 32];
    assert_eq!(Case::new(tls(), host(), copy).word("tls"), "INCONCLUSIVE(IDENTITY_MISMATCH)");
}

#[test]
fn another_program_of_the_agent_proves_nothing_unless_that_was_the_plan() {
    let mut other = host().patched().install("holdpoint-agent", "0.2.0");
    other.agent.agent_digest = Some("bb".repeat(32));
    let mut before = host().install("holdpoint-agent", "0.1.0");
    before.agent.agent_digest = Some("aa".repeat(32));
    let case = Case::new(tls(), before.clone(), other.clone());
    assert_eq!(case.word(""), "INCONCLUSIVE(AGENT_ALTERED)");
    let mut planned = Case::new(tls(), before.clone(), other.clone());
    planned.plan.allowed = vec![Allowed { kind: SectionKind::Self_, item: "agent_digest".into() }];
    assert_eq!(planned.word("tls"), "REMEDIATED");
    let mut expected = tls();
    expected.push(at_least("agent", "holdpoint-agent", "0.2.0"));
    assert_eq!(Case::new(expected, before, other).word(""), "REMEDIATED");
    let mut silent = host().patched();
    silent.agent.agent_digest = None;
    assert_eq!(Case::new(tls(), host(), silent).word(""), "INCONCLUSIVE(COVERAGE_LOWER)");
}

#[test]
fn less_than_before_in_a_section_that_is_compared_leaves_the_target_open() {
    let post = host().patched().incomplete(SectionKind::Accounts, SectionStatus::Failed, "denied");
    let case = Case::new(tls(), host(), post);
    assert_eq!(
        (case.word("tls"), case.word("")),
        ("REMEDIATED".into(), "INCONCLUSIVE(COVERAGE_LOWER)".into())
    );
}

#[test]
fn services_listeners_facts_and_absence_come_from_complete_sections() {
    let control = |typed: &str| control::read(typed).unwrap();
    let open = |port, open| Wanted::Listener { protocol: Protocol::Tcp, port, open };
    let gone = |name: &str| Wanted::Absent { name: NamePattern::new(name).unwrap(), source: None };
    let stopped = || {
        let mut it = host();
        it.services.retain(|it| it.name != "ssh");
        it.services.push(service("ssh", "stopped"));
        it
    };
    let closed = || {
        let mut it = host();
        it.listeners.retain(|it| it.port != 22);
        it
    };
    let on = || {
        let mut it = host();
        it.hardening.retain(|it| it.id != "smb.v1");
        it.hardening.push(fact("smb.v1", Value::Flag(true)));
        it
    };
    let blind = |kind| host().incomplete(kind, SectionStatus::Failed, "permission denied");
    let table = vec![
        (Wanted::ServiceRunning("ssh.service".into()), stopped(), host(), "REMEDIATED"),
        (Wanted::ServiceRunning("ssh".into()), host(), stopped(), "NOT_REMEDIATED"),
        (Wanted::ServiceRunning("ssh".into()), host(), host(), "ALREADY_REMEDIATED"),
        (Wanted::ServiceRunning("other".into()), host(), host(), "NOT_REMEDIATED"),
        (
            Wanted::ServiceRunning("ssh".into()),
            host(),
            with_live(host(), live("service", "stale", "x")),
            "INSTALLED_NOT_LIVE(SERVICE_NOT_RESTARTED)",
        ),
        (
            Wanted::ServiceRunning("ssh".into()),
            stopped(),
            blind(SectionKind::Services),
            "INCONCLUSIVE(COVERAGE_LOWER)",
        ),
        (open(22, false), host(), closed(), "REMEDIATED"),
        (open(22, false), closed(), host(), "NOT_REMEDIATED"),
        (open(22, true), closed(), host(), "REMEDIATED"),
        (open(22, false), blind(SectionKind::Listeners), blind(SectionKind::Listeners), "NOT_REMEDIATED"),
        (
            open(23, false),
            blind(SectionKind::Listeners),
            blind(SectionKind::Listeners),
            "INCONCLUSIVE(ACCESS_DENIED)",
        ),
        (Wanted::Fact(control("smb.v1=false")), on(), host(), "REMEDIATED"),
        (Wanted::Fact(control("smb.v1=false")), host(), on(), "NOT_REMEDIATED"),
        (Wanted::Fact(control("smb.v9=false")), host(), host(), "INCONCLUSIVE(COVERAGE_LOWER)"),
        (Wanted::Fact(control("smb.v1>=1")), host(), host(), "INCONCLUSIVE(UNPARSED_VERSION)"),
        (gone("lib-3"), host(), host().remove("lib-3"), "REMEDIATED"),
        (gone("lib-3"), host(), host(), "NOT_REMEDIATED"),
        (
            gone("lib-3"),
            host(),
            host().remove("lib-3").incomplete(SectionKind::Software, SectionStatus::Partial, "x"),
            "INCONCLUSIVE(COVERAGE_LOWER)",
        ),
        (
            gone("lib-3"),
            host(),
            with_live(host().remove("lib-3"), live("mapped-file", "deleted", "lib-3")),
            "INSTALLED_NOT_LIVE(OLD_CODE_MAPPED)",
        ),
    ];
    for (number, (wanted, pre, post, verdict)) in table.into_iter().enumerate() {
        let case = Case::new(vec![expectation("it", wanted.clone())], pre, post);
        assert_eq!(case.word("it"), verdict, "{number}: {wanted:?}");
    }
}

fn advisory(subject: &str, control: Option<&str>) -> Vec<Expectation> {
    let control = control.map(|it| control::read(it).unwrap());
    vec![expectation("adv", Wanted::NotAffected { subject: subject.into(), control })]
}

/// A record of Debian about `openssl`, fixed in the wanted version.
fn held() -> Knowledge {
    Knowledge {
        revision: 1,
        advisories: vec![advisory_of("DSA-1", "openssl", FIXED)],
        ..Knowledge::default()
    }
}

#[test]
fn an_advisory_is_judged_by_the_zones_own_knowledge() {
    let case = |subject: &str, post: Host| Case {
        knowledge: held(),
        ..Case::new(advisory(subject, None), host(), post)
    };
    for subject in ["DSA-1", "DSA-1/CVE-DSA-1"] {
        assert_eq!(case(subject, host().patched()).word("adv"), "REMEDIATED", "{subject}");
        assert_eq!(case(subject, host()).word("adv"), "NOT_REMEDIATED", "{subject}");
    }
    assert_eq!(case("DSA", host().patched()).word("adv"), "INCONCLUSIVE(NO_RULE)", "not a whole part");
    let runs =
        with_live(host().remove("libssl3").remove("openssl"), live("mapped-file", "deleted", "libssl3"));
    assert_eq!(case("DSA-1", runs.clone()).word("adv"), "INSTALLED_NOT_LIVE(OLD_CODE_MAPPED)");
    let mut nobodys = runs;
    nobodys.live.last_mut().unwrap().package = None;
    assert_eq!(case("DSA-1", nobodys).word("adv"), "INSTALLED_NOT_LIVE(OLD_CODE_MAPPED)");
    let removed = case("DSA-1", host().remove("libssl3").remove("openssl"));
    assert_eq!(removed.word("adv"), "REMEDIATED_OTHERWISE");
}

#[test]
fn knowledge_that_is_gone_old_or_another_never_makes_a_fix() {
    let case = || Case { knowledge: held(), ..Case::new(advisory("DSA-1", None), host(), host().patched()) };
    let deleted = Case { knowledge: Knowledge::default(), ..case() };
    assert_eq!(deleted.word("adv"), "INCONCLUSIVE(NO_RULE)");
    let mut unheld = case();
    unheld.rules[1].clear();
    assert_eq!(unheld.word("adv"), "INCONCLUSIVE(NO_RULE)");
    let mut revised = case();
    revised.rules[1] = vec![("DSA-1".into(), vec![2])];
    assert_eq!(revised.word("adv"), "INCONCLUSIVE(RULE_CHANGED_BETWEEN)");
    let late = Case { now_ms: 400 * 24 * 3_600_000, ..case() };
    assert_eq!(late.word("adv"), "INCONCLUSIVE(FEED_STALE)");
    let nobodys = Knowledge { advisories: vec![named_advisory("DSA-1", "OpenSSL")], ..held() };
    let unmapped = Case { knowledge: nobodys, ..case() };
    assert!(unmapped.word("adv").starts_with("INCONCLUSIVE("), "{}", unmapped.word("adv"));
    let shelf = std::sync::Arc::new(Shelf::default());
    let change = case().change(&shelf);
    shelf.burn();
    assert!(word(&case().judge_change(&change, &shelf), "").starts_with("INCONCLUSIVE("));
}

#[test]
fn a_control_mitigates_what_still_affects_while_it_is_seen_working() {
    let case = |control: &str, post: Host| Case {
        knowledge: held(),
        ..Case::new(advisory("DSA-1", Some(control)), host(), post)
    };
    assert_eq!(case("smb.v1=false", host()).word(""), "MITIGATED");
    assert_eq!(case("smb.v1=true", host()).word(""), "NOT_REMEDIATED");
    assert_eq!(case("smb.v1=false", host().patched()).word(""), "REMEDIATED");
    let blind = host().incomplete(SectionKind::Hardening, SectionStatus::Partial, "x");
    assert_eq!(case("smb.v1=false", blind).word("adv"), "NOT_REMEDIATED");
}

#[test]
fn a_rollback_is_seen_when_the_deciding_facts_are_as_before() {
    let shelf = std::sync::Arc::new(Shelf::default());
    let said = |case: &Case| {
        let mut change = case.change(&shelf);
        change.stages[0].rollback = Some("the HMI did not start".into());
        word(&case.judge_change(&change, &shelf), "tls")
    };
    assert_eq!(said(&Case::new(tls(), host(), host())), "ROLLED_BACK");
    assert_eq!(said(&Case::new(tls(), host(), host().patched())), "REMEDIATED");
    let third = host().install("libssl3", "3.0.12-1").install("openssl", "3.0.12-1");
    assert_eq!(said(&Case::new(tls(), host(), third)), "NOT_REMEDIATED");
}

#[test]
fn what_was_good_and_is_old_again_is_a_regression_that_names_the_old_verdict() {
    let shelf = std::sync::Arc::new(Shelf::default());
    let good = Case::new(tls(), host(), host().patched());
    let mut change = good.change(&shelf);
    change.stages[0].verdicts = good.judge_change(&change, &shelf).verdicts;

    let question = |change: &Change, later: &Host| {
        let later = Snapshot::load(later.report(&shelf, ASSET, 9, &nonce(9)), shelf.as_ref()).unwrap();
        let knowledge = std::sync::Arc::new(Knowledge::default());
        let question = Question {
            change,
            stage: 1,
            rows: shelf.clone(),
            knowledge: &knowledge,
            ages: &AllowedAges::default(),
            now_ms: 2_000,
            role: &|_| None,
            rules: &[],
        };
        regressed(&question, ASSET, &later).unwrap()
    };
    assert!(question(&change, &host()).is_empty(), "the newest answers are still to be judged");
    change.stages[0].verified_at(9);
    let found = question(&change, &host());
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].expectation.as_str(), found[0].verdict_revision), ("tls", 9));
    assert!(question(&change, &host().patched()).is_empty());
    let blind = host().patched().incomplete(SectionKind::Software, SectionStatus::Failed, "x");
    assert!(question(&change, &blind).is_empty(), "what was not read is no regression");

    change.stages[0].targets.get_mut(ASSET).unwrap().post = Some(host().report(&shelf, ASSET, 4, &nonce(2)));
    assert_eq!(word(&good.judge_change(&change, &shelf), "tls"), "REGRESSED");
}

#[test]
fn a_target_without_a_machine_is_attested_by_two_or_was_never_assessed() {
    let shelf = std::sync::Arc::new(Shelf::default());
    let case = Case { pre: None, post: None, ..Case::new(tls(), host(), host()) };
    let mut change = case.change(&shelf);
    let target = change.stages[0].targets.get_mut(ASSET).unwrap();
    (target.pre_asked, target.post_asked) = (None, None);
    target.left_out = Some("a controller".into());
    assert_eq!(word(&case.judge_change(&change, &shelf), ""), "NOT_ASSESSED");
    let by = |person: &str| crate::change::fold::Attested {
        word: holdpoint_common::proto::store::Attestation {
            asset: ASSET.into(),
            expectation: "tls".into(),
            artefact_digest: vec![3; 32],
            claim: "remediated".into(),
            ..Default::default()
        },
        stage: 1,
        by: crate::change::fold::Decided {
            role: String::new(),
            person: person.into(),
            operator: person.into(),
            at_ms: 1,
            text: String::new(),
            rollback_verified: false,
            digest: holdpoint_common::section::Digest::of(b""),
        },
    };
    change.attestations = vec![by("kim"), by("kim")];
    assert_eq!(word(&case.judge_change(&change, &shelf), ""), "NOT_ASSESSED", "one person twice");
    change.attestations.push(by("lee"));
    let judged = case.judge_change(&change, &shelf);
    assert_eq!((word(&judged, ""), judged.verdicts[0].grade.as_str()), ("ATTESTED_ONLY".into(), "E"));
    let nothing = Change::of_plan("CHG-0001", plan(Vec::new(), &[Tier::Hmi]), &[vec![ASSET.to_owned()]]);
    assert!(!nothing.is_attested(1, ASSET), "nothing is expected, so nothing is attested");
    assert_eq!(word(&Case::new(Vec::new(), host(), host()).judged(), ""), "NOT_ASSESSED");
}

#[test]
fn what_held_before_anyway_does_not_speak_for_the_work() {
    let both =
        || vec![at_least("tls", "openssl", FIXED), expectation("ssh", Wanted::ServiceRunning("ssh".into()))];
    let case = Case::new(both(), host(), host().patched());
    assert_eq!((case.word("ssh"), case.word("")), ("ALREADY_REMEDIATED".into(), "REMEDIATED".into()));
    let done = Case::new(both(), host().patched(), host().patched());
    assert_eq!(done.word(""), "ALREADY_REMEDIATED");
    let failed = Case::new(both(), host(), host());
    assert_eq!(failed.word(""), "NOT_REMEDIATED");
}
