use super::*;
use crate::change::testing::{FIXED, Host, Shelf};
use crate::knowledge::{Pattern, Requirement, Wanted as Required};
use holdpoint_common::version::Scheme;

fn snapshot(host: &Host) -> Snapshot {
    let shelf = Shelf::default();
    Snapshot::load(host.report(&shelf, "hmi-1", 1, &[1; 16]), &shelf).unwrap()
}

#[test]
fn a_section_says_why_it_leaves_something_open() {
    let of = |status, reason| {
        let host = Host::new(3).incomplete(SectionKind::Software, status, reason);
        why_open(snapshot(&host).section(SectionKind::Software))
    };
    assert_eq!(of(SectionStatus::Complete, ""), None);
    assert_eq!(of(SectionStatus::Partial, "stopped in time"), Some(Why::CoverageLower));
    assert_eq!(of(SectionStatus::Partial, "Permission denied: x"), Some(Why::AccessDenied));
    assert_eq!(of(SectionStatus::Failed, "malformed"), Some(Why::CollectionError));
    assert_eq!(of(SectionStatus::Failed, "access is denied"), Some(Why::AccessDenied));
    assert_eq!(of(SectionStatus::Unsupported, "no such source"), Some(Why::CoverageLower));
    assert_eq!(why_open(None), Some(Why::CoverageLower));
}

#[test]
fn rows_that_are_gone_from_the_store_were_not_read() {
    let shelf = Shelf::default();
    let record = Host::new(3).report(&shelf, "hmi-1", 1, &[1; 16]);
    shelf.burn();
    let snapshot = Snapshot::load(record, &shelf).unwrap();
    assert_eq!(why_open(snapshot.section(SectionKind::Software)), Some(Why::CollectionError));
    let facts = snapshot.facts(None).unwrap();
    assert_eq!(facts.software.coverage, crate::assess::Coverage::Incomplete);
}

/// What both snapshots say of a requirement.
fn pair(wanted: Required, scheme: Scheme, minimum: &str, pre: &Host, post: &Host) -> (Finding, Finding) {
    let requirement = Requirement {
        id: "R".into(),
        wanted,
        minimum: minimum.into(),
        scheme,
        role: None,
        reference: None,
        title: None,
    };
    let expected = vec![Expectation { id: "r".into(), wanted: Wanted::AtLeast(Box::new(requirement)) }];
    let plan = Arc::new(crate::change::testing::plan(expected, &[crate::change::plan::Tier::Hmi]));
    let shelf = Arc::new(Shelf::default());
    let load = |it: &Host, sequence| {
        Snapshot::load(it.report(&shelf, "hmi-1", sequence, &[1; 16]), shelf.as_ref()).unwrap()
    };
    let (pre, post) = (load(pre, 1), load(post, 2));
    let mut known =
        Expectations::new(&plan, shelf.clone(), &Knowledge::default(), &AllowedAges::default(), 5, 1);
    let pair = known.look(&pre, &post, None);
    let (before, after) = known.read(&pair, 0).unwrap();
    assert!(known.read(&pair, 1).is_none());
    (before.finding, after.finding)
}

#[test]
fn a_kernel_counts_when_it_runs() {
    let at = |running: &str, newest: &str| {
        let mut host = Host::new(3);
        host.platform.kernel_running = Some(running.into());
        host.platform.kernel_newest = Some(newest.into());
        host
    };
    let (old, new) = ("6.1.0-18-amd64", "6.1.0-21-amd64");
    let judged = |post: &Host| pair(Required::Kernel, Scheme::Natural, new, &at(old, old), post);
    assert_eq!(judged(&at(old, old)), (Finding::Fails, Finding::Fails));
    assert_eq!(judged(&at(old, new)).1, Finding::NotLive(Why::KernelNotBooted));
    assert_eq!(judged(&at(new, new)).1, Finding::Holds);
}

#[test]
fn a_build_of_windows_waits_for_the_restart_that_is_pending() {
    let at = |build: &str, pending: bool| {
        let mut host = Host::new(3);
        host.platform.os_id = Some("windows".into());
        host.platform.os_name = Some("Microsoft Windows 10 Enterprise LTSC".into());
        host.platform.build = Some(build.into());
        host.platform.restart_pending = Some(pending);
        host
    };
    let os = || Required::Build { os: Pattern::new("*Windows*").unwrap() };
    let (old, new) = ("10.0.17763.107", "10.0.17763.6414");
    let judged = |post: &Host| pair(os(), Scheme::Win4, new, &at(old, false), post);
    assert_eq!(judged(&at(old, true)), (Finding::Fails, Finding::Fails));
    assert_eq!(judged(&at(new, true)).1, Finding::NotLive(Why::RestartPending));
    assert_eq!(judged(&at(new, false)).1, Finding::Holds);
    let linux = pair(
        Required::Build { os: Pattern::new("Windows*").unwrap() },
        Scheme::Win4,
        new,
        &Host::new(3),
        &Host::new(3),
    );
    assert!(matches!(linux.1, Finding::Gone | Finding::Unknown(_)), "another system: {linux:?}");
}

#[test]
fn the_same_package_in_two_versions_is_several() {
    let mut both = Host::new(3);
    both.software.push(crate::change::testing::package("libssl3", FIXED, "openssl"));
    let wanted = Required::Software {
        name: Pattern::new("openssl").unwrap(),
        by: crate::knowledge::NameKind::SourcePackage,
        source: None,
    };
    let (before, after) = pair(wanted, Scheme::Deb, FIXED, &Host::new(3), &both);
    assert_eq!((before, after), (Finding::Fails, Finding::Several));
}
