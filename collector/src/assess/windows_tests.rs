use super::*;
use crate::assess::Verdict;

const VECTORS: &str = include_str!("../../../common/tests/vectors/win_applicability_own.tsv");

fn host<'a>(build: &'a str, updates: &'a [&'a str]) -> WindowsHost<'a> {
    WindowsHost { build, updates, restart_pending: false, is_hotpatched: false }
}

/// `FixedBuild|track[:KB]`, as the vectors write it.
fn fix(text: &str) -> Fix<'_> {
    let (build, rest) = text.split_once('|').unwrap();
    let (track, update) = rest.split_once(':').map_or((rest, None), |(track, kb)| (track, Some(kb)));
    Fix { build: Some(build).filter(|it| !it.is_empty()), track: Track::named(track), update }
}

fn fixes(text: &str) -> Vec<Fix<'_>> {
    text.split(';').map(fix).collect()
}

/// The verdict in the words of the vectors.
fn word(verdict: &WindowsVerdict) -> &'static str {
    match (verdict.outcome.verdict(), verdict.basis) {
        (Verdict::Fixed, Some(Basis::Family)) => "fixed-by-family",
        (Verdict::Fixed, _) => "fixed",
        (Verdict::Affected, _) => "affected",
        (Verdict::Unknown, _) => "unknown",
        (other, _) => panic!("{other}"),
    }
}

#[test]
fn every_vector_is_answered_as_our_policy_says() {
    let mut lines = VECTORS.lines().filter(|it| !it.starts_with("# "));
    assert!(lines.next().unwrap().starts_with("installed_build\t"));
    let mut count = 0;
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let [build, flags, fixed, expected, note] = fields[..] else { panic!("{line}") };
        let flags: Vec<&str> = flags.split([';', ',', ' ']).filter(|it| !it.is_empty()).collect();
        let updates: Vec<&str> = flags.iter().copied().filter(|it| it.starts_with("KB")).collect();
        let host =
            WindowsHost { restart_pending: flags.contains(&"pending-reboot"), ..host(build, &updates) };
        let verdict = judge(&host, &fixes(fixed), None);
        assert_eq!(word(&verdict), expected, "{note}: {verdict:?}");
        assert!(!verdict.why.is_empty());
        count += 1;
    }
    assert_eq!(count, 9);
}

#[test]
fn a_server_at_its_newest_build_with_one_update_in_its_list_has_no_finding_from_updates() {
    let newest = host("10.0.17763.6414", &["KB5043050"]);
    let builds = [("10.0.17763.107", 10), ("10.0.17763.6414", 80)];
    // Old lines without builds, and later ones with: none of their updates is in the list.
    for (line, month) in
        [("|LCU:KB4489899", 13), ("|LCU:KB4512578", 19), ("10.0.17763.2061|LCU:KB5004244", 41)]
    {
        let without = judge(&newest, &fixes(line), None);
        assert_ne!(without.outcome, Outcome::AFFECTED, "{line}");
        let months = Months { fixed: month, builds: &builds };
        let with = judge(&newest, &fixes(line), Some(months));
        assert_eq!(with.outcome, Outcome::FIXED, "{line}: {with:?}");
    }
    let months = Months { fixed: 81, builds: &builds };
    let later = judge(&newest, &fixes("|LCU:KB9999999"), Some(months));
    assert_eq!(later.outcome, Outcome::unknown(Reason::AdvisoryOutdated), "a later month is not dominated");
}

#[test]
fn a_hotpatch_counts_on_a_host_that_runs_it_and_nowhere_else() {
    let line = "10.0.20348.4893|LCU;10.0.20348.4830|HOTPATCH:KB5078737";
    let updates = ["KB5078737"];
    let between = host("10.0.20348.4850", &updates);
    assert_eq!(judge(&between, &fixes(line), None).outcome, Outcome::unknown(Reason::TrackUnknown));
    let running = WindowsHost { is_hotpatched: true, ..between };
    assert_eq!(judge(&running, &fixes(line), None).outcome, Outcome::FIXED);
    let without = WindowsHost { updates: &[], ..running };
    assert_eq!(judge(&without, &fixes(line), None).outcome, Outcome::unknown(Reason::TrackUnknown));
    assert_eq!(judge(&host("10.0.20348.4829", &updates), &fixes(line), None).outcome, Outcome::AFFECTED);
}

#[test]
fn on_nt_6_a_lower_build_needs_the_update_and_never_its_absence() {
    let line = "6.1.7601.27670|Monthly Rollup:KB1;6.1.7601.27670|Security Only:KB2";
    let low = |updates| judge(&host("6.1.7601.24443", updates), &fixes(line), None);
    assert_eq!(low(&[]).outcome, Outcome::unknown(Reason::TrackUnknown));
    assert_eq!(low(&["kb1"]).basis, Some(Basis::Update), "the rollup alone holds everything");
    assert_eq!(judge(&host("6.1.7601.27670", &[]), &fixes(line), None).outcome, Outcome::FIXED);
    let with_browser = format!("{line};1.001|IE Cumulative:KB3");
    let both = judge(&host("6.1.7601.27670", &["KB3"]), &fixes(&with_browser), None);
    assert_eq!(both.outcome, Outcome::FIXED, "the part is proven by its own update: {both:?}");
}

#[test]
fn what_is_no_build_or_no_line_is_unknown() {
    for build in ["", "10.0.19045", "10.0.19045.x", "10.0.19045.1.2", "10.0.19045.99999999999999999999"] {
        let verdict = judge(&host(build, &[]), &fixes("10.0.19045.1|LCU"), None);
        assert_eq!(verdict.outcome, Outcome::unknown(Reason::VersionNotComparable), "{build}");
    }
    assert_eq!(
        judge(&host("10.0.19045.1", &[]), &[], None).outcome,
        Outcome::unknown(Reason::AdvisoryOutdated)
    );
}
