use super::*;

fn platform(name: &str, version: &str, build: &str, kind: &str, architecture: &str) -> PlatformFacts {
    let some = |it: &str| Some(it.to_owned()).filter(|it| !it.is_empty());
    PlatformFacts {
        os_id: some("windows"),
        os_name: some(name),
        os_version: some(version),
        build: some(build),
        installation_type: some(kind),
        architecture: some(architecture),
        ..PlatformFacts::default()
    }
}

fn server_2019(build: &str) -> PlatformFacts {
    platform("Windows Server 2019 Standard", "1809", build, "Server", "x86_64")
}

#[test]
fn a_host_is_a_product_when_everything_that_the_name_says_agrees() {
    let client = platform("Windows 10 Enterprise LTSC 2021", "21H2", "10.0.19044.4529", "Client", "x86_64");
    let newer = platform("Windows 11 Pro", "23H2", "10.0.22631.3007", "Client", "aarch64");
    let server = server_2019("10.0.17763.6054");
    let core = platform("Windows Server 2022 Datacenter", "21H2", "10.0.20348.2582", "Server Core", "x86_64");
    let old = platform("Windows Server 2008 R2 Standard", "", "6.1.7601.24443", "Server", "x86_64");
    let unit = platform("Windows 7 Professional", "", "6.1.7601.24443", "Client", "x86");
    let yes = [
        ("Windows 10 Version 21H2 for x64-based Systems", &client),
        ("Windows 11 Version 23H2 for ARM64-based Systems", &newer),
        ("Windows Server 2019", &server),
        ("Microsoft Windows Server 2019", &server),
        ("Windows Server 2022 (Server Core installation)", &core),
        ("Windows Server 2008 R2 for x64-based Systems Service Pack 1", &old),
        ("Windows 7 for 32-bit Systems Service Pack 1", &unit),
    ];
    for (product, host) in yes {
        assert_eq!(fit(product, host), Fit::Yes, "{product}");
    }
    let no = [
        ("Windows 10 Version 21H2 for 32-bit Systems", &client),
        ("Windows 10 Version 21H2 for ARM64-based Systems", &client),
        ("Windows 11 Version 23H2 for x64-based Systems", &newer),
        ("Windows Server 2019 (Server Core installation)", &server),
        ("Windows 10 Version 1809 for x64-based Systems", &server),
        ("Windows Server 2016", &server),
        ("Windows Server 2022", &core),
        ("Windows Server 2012 R2", &old),
        ("Windows 11 Version 22H2 for x64-based Systems", &client),
        ("Microsoft Office 2019 for 32-bit editions", &client),
        ("Windows Server 2022, 23H2 Edition (Server Core installation)", &server),
        ("Windows Server 2008 for x64-based Systems Service Pack 2", &old),
    ];
    for (product, host) in no {
        assert_eq!(fit(product, host), Fit::No, "{product}");
    }
    assert_eq!(fit("Windows 10 Version 22H2 for x64-based Systems", &client), Fit::OtherRelease(19_045));
    let part = |product: &str, host: &PlatformFacts| matches!(fit(product, host), Fit::Part(_));
    assert!(part("Microsoft .NET Framework 4.8 on Windows 10 Version 21H2 for x64-based Systems", &client));
    assert!(part("Windows Server 2019", &PlatformFacts { installation_type: None, ..server.clone() }));
    assert!(part("Windows Server 2019", &PlatformFacts { build: None, ..server.clone() }));
    let no_architecture = PlatformFacts { architecture: None, ..client.clone() };
    assert!(part("Windows 10 Version 21H2 for x64-based Systems", &no_architecture));
    // A release that came after this program: the displayed version tells.
    let future = platform("Windows 11 Pro", "27H1", "10.0.29000.1", "Client", "x86_64");
    assert_eq!(fit("Windows 11 Version 27H1 for x64-based Systems", &future), Fit::Yes);
    assert!(matches!(fit("Windows 11 Version 27H2 for x64-based Systems", &future), Fit::OtherRelease(_)));
}

fn fix(build: Option<&str>, update: &str) -> KnownFix {
    KnownFix { build: build.map(Into::into), track: "Security Update".into(), update: Some(update.into()) }
}

fn month(id: &str, released_ms: i64, lines: &[(&str, Vec<KnownFix>)]) -> HeldAdvisory {
    use crate::knowledge::{Entry, Revision, Source};
    use holdpoint_common::section::Digest;
    let entry = |(number, (product, fixes)): (usize, &(&str, Vec<KnownFix>))| Entry {
        id: format!("{number}"),
        vendor: "Microsoft".into(),
        product: (*product).into(),
        versions: Versions::Builds(fixes.clone()),
        identity: Identity::Windows,
        conditions: Vec::new(),
        model_numbers: Vec::new(),
        purl: None,
    };
    let advisory = Advisory {
        kind: Kind::Microsoft,
        revision: Revision { id: id.into(), version: "1".into(), released_ms: Some(released_ms) },
        title: String::new(),
        publisher: "Microsoft".into(),
        status: "final".into(),
        withdrawn: false,
        original: None,
        entries: lines.iter().enumerate().map(entry).collect(),
        vulnerabilities: vec![Vulnerability {
            id: format!("CVE-{id}"),
            severity: None,
            vector: None,
            statements: (0_u32..).take(lines.len()).map(|it| (it, Stated::Affected)).collect(),
            remediations: Vec::new(),
            fixes: Vec::new(),
        }],
    };
    let source = Source {
        digest: Digest::of(id.as_bytes()),
        file: id.into(),
        imported_ms: 1_000,
        imported_by: "t".into(),
    };
    HeldAdvisory { advisory: advisory.into(), source: source.into(), superseded: false }
}

/// The first of a month, Unix milliseconds.
fn at(year: i32, month: u8) -> i64 {
    let month = time::Month::try_from(month).unwrap();
    let date = time::Date::from_calendar_date(year, month, 9).unwrap();
    date.midnight().assume_utc().unix_timestamp() * 1_000
}

fn judged(advisories: Vec<HeldAdvisory>, host: &PlatformFacts, updates: &[&str]) -> Vec<(String, String)> {
    let knowledge = crate::knowledge::Knowledge { revision: 1, advisories, ..Default::default() };
    let index = Index::build(&std::sync::Arc::new(knowledge), 2_000, &Index::default());
    let updates: Vec<Box<str>> = updates.iter().map(|it| (*it).into()).collect();
    let host = Host { platform: host, coverage: Coverage::Complete, updates: &updates };
    let found = judge(&index, host, None, &mut Trace::off());
    let word = |outcome: Outcome| match outcome.reason() {
        Some(reason) => format!("{}({reason})", outcome.verdict()),
        None => outcome.verdict().to_string(),
    };
    found.into_iter().map(|it| (index.subject(it.0).unwrap().text.to_string(), word(it.1))).collect()
}

const SERVER: &str = "Windows Server 2019";

#[test]
fn a_server_at_its_newest_build_with_one_update_has_no_finding_from_updates() {
    // Old months have no builds at all; what supersedes what is never asked.
    let mut months = vec![
        month("2019-Mar", at(2019, 3), &[(SERVER, vec![fix(None, "KB4489899")])]),
        month("2020-Jul", at(2020, 7), &[(SERVER, vec![fix(None, "KB4558998")])]),
    ];
    for (id, released, build, update) in [
        ("2021-Jul", at(2021, 7), "10.0.17763.2061", "KB5004244"),
        ("2024-Sep", at(2024, 9), "10.0.17763.6293", "KB5043050"),
        ("2024-Oct", at(2024, 10), "10.0.17763.6414", "KB5044277"),
    ] {
        months.push(month(id, released, &[(SERVER, vec![fix(Some(build), update)])]));
    }
    let newest = judged(months.clone(), &server_2019("10.0.17763.6414"), &["KB5044277"]);
    assert_eq!(newest.len(), 5);
    assert!(newest.iter().all(|it| it.1 == "FIXED"), "{newest:?}");
    let behind = judged(months.clone(), &server_2019("10.0.17763.6293"), &[]);
    let words: Vec<&str> = behind.iter().map(|it| it.1.as_str()).collect();
    assert_eq!(words, ["FIXED", "FIXED", "FIXED", "AFFECTED", "FIXED"], "{behind:?}");
    // A month later than every build that is known is not dominated.
    months.push(month("2024-Nov", at(2024, 11), &[(SERVER, vec![fix(None, "KB9")])]));
    let later = judged(months, &server_2019("10.0.17763.6414"), &[]);
    let of = |id: &str| later.iter().find(|it| it.0.starts_with(id)).unwrap().1.clone();
    assert_eq!(of("2024-Nov"), "UNKNOWN(advisory-outdated)");
}

#[test]
fn a_document_that_was_revised_later_makes_no_build_newer() {
    let old =
        |released| month("2021-Jul", released, &[(SERVER, vec![fix(Some("10.0.17763.2061"), "KB5004244")])]);
    let unbuilt = month("2022-Jan", at(2022, 1), &[(SERVER, vec![fix(None, "KB1")])]);
    for released in [at(2021, 7), at(2023, 2)] {
        let found = judged(vec![old(released), unbuilt.clone()], &server_2019("10.0.17763.2061"), &[]);
        assert_eq!(found[1].1, "UNKNOWN(advisory-outdated)", "{found:?}");
    }
}

#[test]
fn a_release_that_is_no_longer_named_is_unknown_and_one_that_fits_in_part_too() {
    let host = platform("Windows 10 Enterprise", "1803", "10.0.17134.2208", "Client", "x86_64");
    let lines: Vec<(&str, Vec<KnownFix>)> = [
        ("Windows 10 Version 1607 for x64-based Systems", "10.0.14393.1"),
        ("Windows 10 Version 1809 for x64-based Systems", "10.0.17763.1"),
        ("Windows 10 Version 22H2 for x64-based Systems", "10.0.19045.1"),
        ("Windows 10 Version 1809 for 32-bit Systems", "10.0.17763.1"),
        (SERVER, "10.0.17763.1"),
    ]
    .map(|(product, build)| (product, vec![fix(Some(build), "KB1")]))
    .to_vec();
    let found = judged(vec![month("2024-Oct", at(2024, 10), &lines)], &host, &[]);
    assert_eq!(found, [("2024-Oct/CVE-2024-Oct/1".to_owned(), "UNKNOWN(branch-unknown)".to_owned())]);
    // Where the document names the host's release, the others mean somebody else.
    let mut named = lines.clone();
    named.push(("Windows 10 Version 1803 for x64-based Systems", vec![fix(Some("10.0.17134.2208"), "KB1")]));
    let found = judged(vec![month("2024-Oct", at(2024, 10), &named)], &host, &[]);
    assert_eq!(found, [("2024-Oct/CVE-2024-Oct/5".to_owned(), "FIXED".to_owned())]);
    let vague = PlatformFacts { installation_type: None, ..server_2019("10.0.17763.6414") };
    let found = judged(vec![month("2024-Oct", at(2024, 10), &lines)], &vague, &[]);
    assert_eq!(found, [("2024-Oct/CVE-2024-Oct/4".to_owned(), "UNKNOWN(branch-unknown)".to_owned())]);
}

#[test]
fn what_waits_for_a_restart_or_comes_from_half_a_section_is_not_fixed() {
    let months =
        || vec![month("2024-Oct", at(2024, 10), &[(SERVER, vec![fix(Some("10.0.17763.1"), "KB1")])])];
    let waiting = PlatformFacts { restart_pending: true, ..server_2019("10.0.17763.6414") };
    assert_eq!(judged(months(), &waiting, &[])[0].1, "UNKNOWN(restart-pending)");
    let knowledge = crate::knowledge::Knowledge { revision: 1, advisories: months(), ..Default::default() };
    let index = Index::build(&std::sync::Arc::new(knowledge), 2_000, &Index::default());
    let platform = server_2019("10.0.17763.6414");
    let host = Host { platform: &platform, coverage: Coverage::Incomplete, updates: &[] };
    let found = judge(&index, host, None, &mut Trace::off());
    assert_eq!(found[0].1.reason(), Some(Reason::SectionIncomplete));
    let mut withdrawn = months();
    withdrawn[0].superseded = true;
    assert_eq!(judged(withdrawn.clone(), &platform, &[]), []);
    let low = server_2019("10.0.17763.0");
    assert_eq!(judged(withdrawn, &low, &[])[0].1, "UNKNOWN(advisory-withdrawn)");
}
