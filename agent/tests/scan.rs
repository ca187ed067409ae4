//! Whole scans: of captured machines, compared with what a person reviewed, and of this one.
//!
//! `HOLDPOINT_BLESS=1 cargo test -p holdpoint-agent --test scan` rewrites the expectations.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use holdpoint_agent::host::{Agent, Host};
use holdpoint_agent::scan::{self, Budget};
use holdpoint_agent::show;
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::{REPORTED, SectionKind};

/// The day on which every file of a captured machine was written.
const CAPTURED: Duration = Duration::from_secs(1_700_000_000);

fn fixtures(family: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures")).join(family)
}

/// A checkout gives files the time of the checkout; a copy has the time of the capture.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
            File::options().write(true).open(&to).unwrap().set_modified(UNIX_EPOCH + CAPTURED).unwrap();
        }
    }
}

/// Links are kept as text beside the root: hostile ones would lead every tool astray that walks the checkout.
fn link(list: &Path, root: &Path) {
    for line in fs::read_to_string(list).unwrap_or_default().lines() {
        let (path, target) = line.split_once(" -> ").unwrap();
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }
}

fn agent() -> Agent {
    Agent { version: "0.0.0-test".into(), digest: None, config_digest: None }
}

fn report(host: &Path) -> String {
    let dir = tempfile::tempdir().unwrap();
    copy(&host.join("root"), dir.path());
    link(&host.join("links.txt"), dir.path());
    let budget = Budget::measured_by(Duration::MAX, || Duration::ZERO);
    let snapshot = scan::take(&Host::captured(dir.path(), agent()), &REPORTED, &budget);
    let mut out = Vec::new();
    show::text(&snapshot, true, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    // Whoever runs the tests may have caged them: a container does.
    text.split_inclusive('\n').map(without_cage).collect()
}

fn without_cage(line: &str) -> String {
    match line.split_once("  cage=") {
        None => line.to_owned(),
        Some((before, rest)) => {
            before.to_owned() + rest.split_once("  ").map_or("\n", |it| &rest[it.0.len()..])
        }
    }
}

/// Compares every captured machine of a family; says how many there are.
fn review(family: &str) -> usize {
    let mut hosts = 0;
    for entry in fs::read_dir(fixtures(family)).unwrap() {
        let host = entry.unwrap().path();
        // Beside the machines there may be a file of cases.
        if !host.is_dir() {
            continue;
        }
        let found = report(&host);
        let expected = host.join("expected.txt");
        if std::env::var_os("HOLDPOINT_BLESS").is_some() {
            fs::write(&expected, &found).unwrap();
        }
        assert_eq!(found, fs::read_to_string(&expected).unwrap(), "{}", host.display());
        hosts += 1;
    }
    hosts
}

#[test]
fn captured_machines_read_as_they_were_reviewed() {
    assert!(review("linux") >= 5);
}

#[test]
fn captured_windows_machines_read_as_they_were_reviewed() {
    assert!(review("windows") >= 7);
}

#[test]
fn a_hostile_image_shows_nothing_of_the_machine_that_scans_it() {
    let found = report(&fixtures("linux").join("hostile-links"));
    let own = [fs::read_to_string("/etc/hostname"), fs::read_to_string("/etc/machine-id")];
    for secret in own.into_iter().flatten().map(|it| it.trim().to_owned()).filter(|it| it.len() > 6) {
        assert!(!found.contains(&secret), "{secret}");
    }
}

#[test]
fn two_scans_of_an_idle_host_have_equal_digests() {
    let host = Host::running();
    let scan = || scan::take_gently(&host, &REPORTED).unwrap().sections;
    // Other programs may start or stop something between two scans, so a few attempts are fair;
    // a row that moves by itself fails every one of them.
    let attempts = 10;
    let is_equal = (0..attempts).any(|_| {
        let (first, second) = (scan(), scan());
        first.iter().zip(&second).all(|(a, b)| (a.kind, a.status, a.digest) == (b.kind, b.status, b.digest))
    });
    assert!(is_equal);
}

#[test]
fn the_cage_costs_no_facts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let host = Host::running();
    let kinds: Vec<SectionKind> = REPORTED.into_iter().filter(|it| *it != SectionKind::Self_).collect();
    let free = || scan::take(&host, &kinds, &Budget::starting_now(scan::TIME_LIMIT));
    let caged = || scan::take_gently(&host, &kinds).unwrap();
    // Other programs may start or stop something between two scans, so a few attempts are fair.
    let mut differ = Vec::new();
    for _ in 0..10 {
        let (free, caged) = (free(), caged());
        differ = (free.sections.iter().zip(&caged.sections))
            .filter(|(a, b)| (a.status, &a.reasons, a.digest) != (b.status, &b.reasons, b.digest))
            .map(|(a, _)| a.kind)
            .collect();
        if differ.is_empty() {
            // What belongs to this very process needs nobody's leave.
            let rows = &caged.section(SectionKind::Listeners).unwrap().rows;
            let rows = rows.as_slice().iter();
            let found: Vec<_> = rows
                .map(|it| holdpoint_common::row::to_json(SectionKind::Listeners, it).unwrap())
                .filter(|it| it["port"] == port)
                .collect();
            assert!(found[0]["program"].is_string(), "{found:?}");
            return;
        }
    }
    panic!("these differ in the cage: {differ:?}");
}

#[test]
fn this_machine_has_as_many_packages_as_its_database_says() {
    let Ok(status) = fs::read_to_string("/var/lib/dpkg/status") else { return };
    let installed = status
        .lines()
        .filter_map(|it| it.strip_prefix("Status: "))
        .filter(|it| it.split_whitespace().nth(2) == Some("installed"))
        .count();
    let budget = Budget::starting_now(scan::TIME_LIMIT);
    let snapshot = scan::take(&Host::running(), &[SectionKind::Software], &budget);
    let section = snapshot.section(SectionKind::Software).unwrap();
    let names: Vec<_> = section
        .rows
        .as_slice()
        .iter()
        .map(|it| holdpoint_common::row::to_json(SectionKind::Software, it).unwrap())
        .filter(|it| it["source"] == "dpkg")
        .collect();
    assert_eq!(names.len(), installed);
}

#[test]
fn another_root_has_no_facts_of_the_running_system() {
    // The running system itself, mounted as somebody else's image would be.
    let snapshot =
        scan::take(&Host::captured("/", agent()), &REPORTED, &Budget::starting_now(scan::TIME_LIMIT));
    let listeners = snapshot.section(SectionKind::Listeners).unwrap();
    assert_eq!(listeners.status, SectionStatus::Unsupported);
    assert_eq!(listeners.reasons, ["proc/net is not there: this is no running system"]);
    assert_eq!(snapshot.identity().boot_id, "");
}
