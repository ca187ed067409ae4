use super::*;

const RECORD: &[u8] = include_bytes!("../../../fixtures/osv/example-2026-1.json");

fn record(affected: &str) -> String {
    format!(r#"{{"id": "X-1", "modified": "2026-01-01T00:00:00Z", "affected": [{affected}]}}"#)
}

fn entry(advisory: &Advisory, id: &str) -> Entry {
    advisory.entries.iter().find(|it| it.id == id).unwrap_or_else(|| panic!("no entry {id}")).clone()
}

fn text(entry: &Entry) -> String {
    entry.versions.text().into_owned()
}

#[test]
fn a_record_names_source_packages_of_releases() {
    let (advisory, skipped) = read(RECORD).unwrap();
    assert_eq!(advisory.kind, Kind::Osv);
    assert_eq!(advisory.revision.id, "EXAMPLE-2026-1");
    assert_eq!(advisory.revision.version, "2026-11-20T10:00:00Z");
    assert_eq!(advisory.publisher, "Debian");
    let vulnerability = &advisory.vulnerabilities[0];
    assert_eq!(vulnerability.id, "CVE-2026-1001");
    assert_eq!(vulnerability.severity.as_deref(), Some("9.8 CRITICAL"));
    assert!(vulnerability.vector.is_some());
    assert_eq!(vulnerability.statements.len(), advisory.entries.len());

    let debian = entry(&advisory, "Debian:12:libexample");
    assert_eq!(text(&debian), ">= 0 < 1.2.3-1+deb12u2 = 9.9-1", "what the range covers is not listed again");
    let expected =
        Ecosystem { distribution: "debian".into(), release: Some("12".into()), scheme: Scheme::Deb };
    assert_eq!(debian.identity, Identity::Package(expected));
    assert_eq!(debian.purl.as_deref(), Some("pkg:deb/debian/libexample?arch=source"));
    assert_eq!(text(&entry(&advisory, "Alpine:v3.19:libexample")), ">= 1.0-r0 <= 1.2.3-r1");
    assert_eq!(
        skipped,
        [
            "`libexample` of Debian:12: a range of type GIT is not used",
            "`libexample` of npm: not a Linux distribution that is known here",
            "`libexample` of Debian:11: a range of type GIT is not used",
            "`libexample` of Debian:11: it has no versions",
            "`libexample` of Ubuntu:Pro:22.04:LTS: the entry for hosts without a subscription decides",
            "`libexample` of Ubuntu:Pro:18.04:LTS: a fix for subscribers alone; it counts as affected without a fix",
        ]
    );
}

#[test]
fn a_fix_for_subscribers_never_says_fixed() {
    let (advisory, _) = read(RECORD).unwrap();
    let pro = entry(&advisory, "Ubuntu:Pro:18.04:LTS:libexample");
    assert_eq!(text(&pro), ">= 0");
    for entry in &advisory.entries {
        assert!(!text(entry).contains("esm"), "{}", text(entry));
    }
    let listed = r#"{"package": {"ecosystem": "Ubuntu:Pro:18.04:LTS", "name": "a"}, "versions": ["1"]}"#;
    let (advisory, _) = read(record(listed).as_bytes()).unwrap();
    assert!(
        text(&advisory.entries[0]).starts_with(">= 0"),
        "a list alone would leave later versions outside"
    );
}

#[test]
fn what_is_only_ordered_within_something_else_has_a_condition() {
    let (advisory, _) = read(RECORD).unwrap();
    assert_eq!(entry(&advisory, "AlmaLinux:9:libexample").conditions.len(), 1, "module streams");
    let other = r#"{"package": {"ecosystem": "Debian:12", "name": "a"}, "ranges": [
        {"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]},
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"limit": "3"}]}]}"#;
    let (advisory, _) = read(record(other).as_bytes()).unwrap();
    assert_eq!(advisory.entries[0].conditions.len(), 2, "{:?}", advisory.entries[0].conditions);
}

#[test]
fn one_package_in_several_parts_is_one_entry() {
    let part = |fixed: &str| {
        format!(
            r#"{{"package": {{"ecosystem": "Debian:12", "name": "a"}},
                "ranges": [{{"type": "ECOSYSTEM", "events": [{{"introduced": "0"}}, {{"fixed": "{fixed}"}}]}}]}}"#
        )
    };
    let (advisory, _) = read(record(&format!("{},{}", part("1"), part("2"))).as_bytes()).unwrap();
    assert_eq!(advisory.entries.len(), 1);
    assert_eq!(text(&advisory.entries[0]), ">= 0 < 1 || >= 0 < 2");
}

#[test]
fn a_vulnerability_is_named_by_its_only_cve() {
    let named = |id: &str, aliases: &[&str], upstream: &[&str]| {
        let owned = |list: &[&str]| list.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        vulnerability_of(id, &owned(aliases), &owned(upstream))
    };
    assert_eq!(named("DSA-1-1", &[], &["CVE-2026-0001"]), "CVE-2026-0001");
    assert_eq!(named("DSA-1-1", &["CVE-2026-0001"], &["CVE-2026-0001"]), "CVE-2026-0001");
    assert_eq!(named("DSA-1-1", &["CVE-2026-0001"], &["CVE-2026-0002"]), "DSA-1-1");
    assert_eq!(named("ALSA-2026:1", &["GHSA-x"], &[]), "ALSA-2026:1");
}

#[test]
fn a_withdrawn_record_is_kept_as_withdrawn_even_when_it_is_empty() {
    let text = r#"{"id": "X-1", "modified": "2026-01-01T00:00:00Z", "withdrawn": "2026-01-01T00:00:00Z"}"#;
    let (advisory, _) = read(text.as_bytes()).unwrap();
    assert!(advisory.withdrawn && advisory.entries.is_empty());
}

#[test]
fn each_unusable_record_is_refused_in_one_sentence() {
    let refused = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        refused(&record(r#"{"package": {"ecosystem": "npm", "name": "a"}, "versions": ["1"]}"#)),
        "it names no package of a Linux distribution that can be compared (`a` of npm: not a Linux \
         distribution that is known here)"
    );
    assert_eq!(
        refused(&record("")),
        "it names no package of a Linux distribution that can be compared (it has no `affected`)"
    );
    assert_eq!(
        refused(r#"{"id": "X", "modified": "soon"}"#),
        "its date of modification `soon` cannot be read"
    );
    assert_eq!(refused(r#"{"id": " ", "modified": "2026-01-01T00:00:00Z"}"#), "its id is empty");
    assert!(refused(r#"{"id": "X", "schema_version": "2.0", "modified": ""}"#).contains("schema 2.0"));
    let versions = vec!["\"1\""; MAX_VERSIONS + 1].join(",");
    let many =
        format!(r#"{{"package": {{"ecosystem": "Debian:12", "name": "a"}}, "versions": [{versions}]}}"#);
    assert_eq!(refused(&record(&many)), "it has more than 200000 versions");
}
