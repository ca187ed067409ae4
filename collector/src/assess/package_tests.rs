use super::*;
use crate::knowledge::{Identity, Kind, Revision};

fn introduced(version: &str) -> Event {
    Event::Introduced(version.into())
}

fn fixed(version: &str) -> Event {
    Event::Fixed(version.into())
}

fn last(version: &str) -> Event {
    Event::LastAffected(version.into())
}

fn range(events: &[Event]) -> Branch {
    Branch { events: events.to_vec(), listed: Vec::new() }
}

fn ecosystem(distribution: &str, release: Option<&str>, scheme: Scheme) -> Ecosystem {
    Ecosystem { distribution: distribution.into(), release: release.map(Into::into), scheme }
}

fn host(id: &str, release: Option<&str>) -> Distribution {
    let platform = PlatformFacts {
        os_id: Some(id.into()),
        os_version: release.map(Into::into),
        ..PlatformFacts::default()
    };
    Distribution::of(Some(&platform))
}

fn dpkg(version: &str) -> SoftwareRow {
    SoftwareRow {
        name: "libtls3".into(),
        version: Some(version.into()),
        source: "dpkg".into(),
        source_package: Some("tls".into()),
        source_version: Some(version.into()),
        ..SoftwareRow::default()
    }
}

fn entry(versions: Versions, eco: &Ecosystem) -> Entry {
    Entry {
        id: "E".into(),
        vendor: "Debian".into(),
        product: "tls".into(),
        versions,
        identity: Identity::Package(eco.clone()),
        conditions: Vec::new(),
        model_numbers: Vec::new(),
        purl: None,
    }
}

/// What entries with statements say of a row, in words.
fn judged(entries: &[(Versions, Stated)], eco: &Ecosystem, row: &SoftwareRow) -> String {
    let numbers: Vec<u32> = (0_u32..).take(entries.len()).collect();
    let advisory = Advisory {
        kind: Kind::Osv,
        revision: Revision { id: "CVE-2026-1".into(), version: "1".into(), released_ms: None },
        title: String::new(),
        publisher: String::new(),
        status: "final".into(),
        withdrawn: false,
        original: None,
        entries: entries.iter().map(|it| entry(it.0.clone(), eco)).collect(),
        vulnerabilities: vec![Vulnerability {
            id: "CVE-2026-1".into(),
            severity: None,
            vector: None,
            statements: numbers.iter().copied().zip(entries.iter().map(|it| it.1)).collect(),
            remediations: Vec::new(),
            fixes: Vec::new(),
        }],
    };
    let said = &advisory.vulnerabilities[0];
    let mut trace = Trace::on();
    let found = judge(&advisory, said, &numbers, (eco, Fit::Yes), row, false, &mut trace);
    if !entries.is_empty() {
        assert!(trace.take().iter().any(|it| it.step == "range"));
    }
    match found.first() {
        None => "nothing".into(),
        Some((_, outcome)) => match outcome.reason() {
            Some(reason) => format!("{}({reason})", outcome.verdict()),
            None => outcome.verdict().to_string(),
        },
    }
}

fn of_deb(branches: &[Branch], version: &str) -> String {
    let eco = ecosystem("debian", Some("12"), Scheme::Deb);
    judged(&[(Versions::Events(branches.to_vec()), Stated::Affected)], &eco, &dpkg(version))
}

#[test]
fn events_are_evaluated_in_the_order_of_the_distribution() {
    let one = [range(&[introduced("0"), fixed("3.0.11-1~deb12u2")])];
    let table = [
        ("3.0.9-1", "AFFECTED"),
        ("3.0.11-1~deb12u1", "AFFECTED"),
        ("3.0.11-1~deb12u2", "FIXED"),
        ("3.0.11-1", "FIXED"),
        ("1:0.1-1", "FIXED"),
        ("not a version", "UNKNOWN(version-not-comparable)"),
    ];
    for (version, expected) in table {
        assert_eq!(of_deb(&one, version), expected, "{version}");
    }
    // Twice affected, with the events in another order than their versions.
    let twice = [range(&[fixed("4.2-1"), introduced("4.0-1"), fixed("2.0-1"), introduced("1.0-1")])];
    for (version, expected) in [
        ("0.9-1", "NOT_AFFECTED"),
        ("1.0-1", "AFFECTED"),
        ("2.0-1", "FIXED"),
        ("4.1-1", "AFFECTED"),
        ("4.2-1", "FIXED"),
    ] {
        assert_eq!(of_deb(&twice, version), expected, "{version}");
    }
    let upto = [range(&[introduced("1.0-1"), last("1.5-1")])];
    for (version, expected) in [("0.9-1", "NOT_AFFECTED"), ("1.5-1", "AFFECTED"), ("1.5-2", "NOT_AFFECTED")] {
        assert_eq!(of_deb(&upto, version), expected, "{version}");
    }
    assert_eq!(of_deb(&[range(&[introduced("0")])], "9-1"), "AFFECTED", "nothing fixes it");
    let single = [range(&[introduced("2.0-1"), last("2.0-1")])];
    assert_eq!(of_deb(&single, "2.0-1"), "AFFECTED");
    assert_eq!(of_deb(&single, "2.0-2"), "NOT_AFFECTED");
}

#[test]
fn several_ranges_and_listed_versions_count_together() {
    let two = [range(&[introduced("1-1"), fixed("2-1")]), range(&[introduced("5-1"), fixed("6-1")])];
    for (version, expected) in
        [("0.5-1", "NOT_AFFECTED"), ("1.5-1", "AFFECTED"), ("3-1", "FIXED"), ("5.5-1", "AFFECTED")]
    {
        assert_eq!(of_deb(&two, version), expected, "{version}");
    }
    let listed = Branch { events: Vec::new(), listed: vec!["1.0-1".into(), "1.2-0".into()] };
    assert_eq!(of_deb(std::slice::from_ref(&listed), "1.2"), "AFFECTED", "a missing revision is 0");
    assert_eq!(of_deb(std::slice::from_ref(&listed), "1.1-1"), "NOT_AFFECTED");
    let odd = Branch { events: vec![introduced("0"), fixed("2-1")], listed: vec!["not a version".into()] };
    assert_eq!(of_deb(&[odd], "3-1"), "UNKNOWN(version-not-comparable)");
}

#[test]
fn what_names_nothing_or_contradicts_itself_is_never_good() {
    let unparsed = "UNKNOWN(range-unparsed)";
    assert_eq!(of_deb(&[], "1-1"), unparsed);
    assert_eq!(of_deb(&[Branch::default()], "1-1"), unparsed);
    assert_eq!(of_deb(&[range(&[fixed("1-1")])], "2-1"), unparsed, "it never begins");
    assert_eq!(of_deb(&[range(&[introduced("0"), fixed("0")])], "2-1"), unparsed);
    let broken = [range(&[introduced("0"), fixed("broken version")])];
    assert_eq!(of_deb(&broken, "2-1"), "UNKNOWN(version-not-comparable)");
    let eco = ecosystem("debian", Some("12"), Scheme::Deb);
    let missing = SoftwareRow { version: None, source_version: None, ..dpkg("1-1") };
    let events = Versions::Events(vec![range(&[introduced("0"), fixed("1-1")])]);
    assert_eq!(judged(&[(events.clone(), Stated::Affected)], &eco, &missing), "UNKNOWN(version-missing)");
    let in_name = [(Versions::InName, Stated::Affected)];
    assert_eq!(judged(&in_name, &eco, &dpkg("1-1")), unparsed);
    let only_fixed = [(Versions::One("2-1".into()), Stated::Fixed)];
    assert_eq!(judged(&only_fixed, &eco, &dpkg("1-1")), "UNKNOWN(branch-unknown)");
    let both = [(events, Stated::Affected), (Versions::All, Stated::NotAffected)];
    assert_eq!(judged(&both, &eco, &dpkg("0.5-1")), "UNKNOWN(sibling-conflict)");
}

#[test]
fn the_version_of_the_source_is_compared_and_an_rpm_has_its_epoch() {
    let eco = ecosystem("debian", Some("12"), Scheme::Deb);
    let events =
        |fix: &str| vec![(Versions::Events(vec![range(&[introduced("0"), fixed(fix)])]), Stated::Affected)];
    let rebuilt = SoftwareRow { version: Some("9:1.0-1+b4".into()), ..dpkg("1.0-1") };
    assert_eq!(judged(&events("1.0-2"), &eco, &rebuilt), "AFFECTED", "the package counts for itself");

    let el = ecosystem("rocky", Some("9"), Scheme::Rpm);
    let rpm = |version: &str, source: &str| SoftwareRow {
        version: Some(version.into()),
        source_version: Some(source.into()),
        source: "rpm".into(),
        ..dpkg("")
    };
    let openssl = rpm("1:3.0.7-24.el9", "3.0.7-24.el9");
    assert_eq!(judged(&events("1:3.0.7-25.el9_3"), &el, &openssl), "AFFECTED");
    assert_eq!(judged(&events("1:3.0.7-24.el9"), &el, &openssl), "FIXED");
    let other = rpm("2:1.0-3.el9", "3.0.7-24.el9");
    assert_eq!(judged(&events("1:3.0.7-20.el9"), &el, &other), "UNKNOWN(version-not-comparable)");
    assert_eq!(judged(&events("3.0.7-25.el9"), &el, &other), "AFFECTED");
    let streamed = SoftwareRow { module: Some("nodejs:18".into()), ..rpm("18.1-1.el9", "18.1-1.el9") };
    assert_eq!(judged(&events("16.0-1.el9"), &el, &streamed), "UNKNOWN(branch-unknown)");
}

#[test]
fn a_host_is_a_release_only_when_it_says_so() {
    let bookworm = ecosystem("debian", Some("12"), Scheme::Deb);
    assert_eq!(host("debian", Some("12")).fit(&bookworm), Fit::Yes);
    assert_eq!(host("debian", Some("13")).fit(&bookworm), Fit::No);
    assert_eq!(host("debian", Some("12.5")).fit(&bookworm), Fit::No, "not how this distribution counts");
    assert_eq!(host("debian", None).fit(&bookworm), Fit::Unclear, "testing has no number");
    assert_eq!(host("ubuntu", None).fit(&bookworm), Fit::No);
    assert_eq!(Distribution::of(None).fit(&bookworm), Fit::Unclear);
    assert_eq!(host("debian", None).fit(&ecosystem("debian", None, Scheme::Deb)), Fit::Yes);
    let el9 = ecosystem("rocky", Some("9"), Scheme::Rpm);
    assert_eq!(host("rocky", Some("9.3")).fit(&el9), Fit::Yes);
    assert_eq!(host("rocky", Some("90")).fit(&el9), Fit::No);
    let alpine = ecosystem("alpine", Some("3.1"), Scheme::Alpine);
    assert_eq!(host("alpine", Some("3.18.4")).fit(&alpine), Fit::No);
    let sles = ecosystem("sles", Some("15"), Scheme::Rpm);
    assert_eq!(host("sles", Some("15.5")).fit(&sles), Fit::No, "service packs have packages of their own");
}
