//! Tests of the apk probe. The databases follow what apk-tools 2.14 and 3.0 write.

use super::*;
use crate::host::Host;
use crate::scan::look::tests::{ample, host, rows_of};
use proptest::prelude::*;

const DATABASE: &str = "\
C:Q1gTWl5ZQ7RQ0P7rlqfnlJvyJxDCA=
P:musl
V:1.2.4_git20230717-r4
A:x86_64
S:407278
I:667648
T:the musl c library (libc) implementation
U:https://musl.libc.org/
L:MIT
o:musl
m:Timo Teräs <timo.teras@iki.fi>
t:1700000000
c:ca7f2ab5e88794e4e654b40776f8a92256f50639
p:so:libc.musl-x86_64.so.1=1
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1WqGwYzZ9Z9ZJ7f3hZzZ9ZZZZZZZ=
R:libc.musl-x86_64.so.1

C:Q1x=
P:ssl_client
V:1.36.1-r15
A:x86_64
o:busybox
F:usr
F:usr/bin
R:ssl_client
F:
R:.top

P:.build-deps
V:20240101.120000
A:noarch

";

const OWN: [(&str, &str); 3] = [
    ("etc/os-release", "ID=alpine\n"),
    ("etc/apk/keys/alpine-devel@lists.alpinelinux.org-4a6a0840.rsa.pub", ""),
    ("etc/apk/world", "alpine-base\nssl_client><Q1x=\n"),
];

fn alpine(database: &str) -> (tempfile::TempDir, Host) {
    let mut files = OWN.to_vec();
    files.push((PLACES[1], database));
    host(&files)
}

fn read(database: &str) -> (Vec<SoftwareRow>, Vec<String>) {
    let (_dir, host) = alpine(database);
    let (rows, faults, _) = rows_of(&host, probe);
    (rows, faults)
}

#[test]
fn every_package_is_a_row_with_its_origin() {
    let (rows, faults) = read(DATABASE);
    assert!(faults.is_empty(), "{faults:?}");
    let said: Vec<_> = rows
        .iter()
        .map(|it| (it.name.as_str(), it.version.as_deref().unwrap(), it.source_package.as_deref()))
        .collect();
    assert_eq!(
        said,
        [
            ("musl", "1.2.4_git20230717-r4", Some("musl")),
            ("ssl_client", "1.36.1-r15", Some("busybox")),
            (".build-deps", "20240101.120000", None),
        ]
    );
    assert_eq!(rows[0].publisher.as_deref(), Some("Timo Teräs <timo.teras@iki.fi>"));
    assert_eq!(rows[1].source_version.as_deref(), Some("1.36.1-r15"));
}

#[test]
fn a_package_url_needs_own_keys_and_a_package_from_a_repository() {
    let (rows, _) = read(DATABASE);
    let urls: Vec<_> = rows.iter().map(|it| it.purl.as_deref()).collect();
    assert_eq!(urls, [Some("pkg:apk/alpine/musl@1.2.4_git20230717-r4?arch=x86_64"), None, None]);
    let mut files = OWN.to_vec();
    files.extend([(PLACES[1], DATABASE), ("etc/apk/keys/vendor.rsa.pub", "")]);
    let (_dir, host) = host(&files);
    let (rows, _, _) = rows_of::<SoftwareRow>(&host, probe);
    assert!(rows.iter().all(|it| it.purl.is_none()), "whose package it is, is not known");
}

#[test]
fn the_newer_place_wins_and_the_other_one_is_said() {
    let newer = "P:new\nV:1-r0\nA:x86_64\n\n";
    let mut files = OWN.to_vec();
    files.extend([(PLACES[0], newer), (PLACES[1], DATABASE)]);
    let (_dir, host) = host(&files);
    let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
    assert_eq!(rows.len(), 1);
    assert_eq!(faults, ["lib/apk/db/installed is there too and is not read"]);
}

#[cfg(unix)]
#[test]
fn a_merged_usr_has_one_database() {
    let (dir, host) = host(&[(PLACES[0], DATABASE)]);
    std::os::unix::fs::symlink("usr/lib", dir.path().join("lib")).unwrap();
    let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
    assert_eq!((rows.len(), faults), (3, vec![]));
}

/// Parses as reading in pieces does.
fn parse(bytes: &[u8]) -> (Vec<Package>, Vec<String>) {
    let mut parser = Parser::default();
    for line in bytes.split_inclusive(|it| *it == b'\n') {
        let stripped = line.strip_suffix(b"\n");
        parser.line(Line { bytes: stripped.unwrap_or(line), is_whole: stripped.is_some() });
    }
    parser.finish()
}

#[test]
fn a_database_that_is_cut_off_is_never_complete() {
    let whole = parse(DATABASE.as_bytes()).0;
    for end in 1..DATABASE.len() {
        let cut = &DATABASE.as_bytes()[..end];
        let (kept, faults) = parse(cut);
        // A cut exactly between two packages leaves a file that is in order by itself.
        assert_eq!(faults.is_empty(), cut.ends_with(b"\n\n"), "{end}: {faults:?}");
        let whole_packages = kept.iter().take_while(|it| whole.contains(it)).count();
        assert!(kept.len() - whole_packages <= 1, "{end}");
    }
}

#[test]
fn absent_empty_and_wrong_are_three_answers() {
    let (_dir, nothing) = host(&[]);
    let budget = ample();
    assert_eq!(
        probe(&mut Look::new(&nothing, &budget, "test")),
        Reading::Absent("no apk database".to_owned())
    );
    assert_eq!(read(""), (vec![], vec![]));
    let (rows, faults) = read("P:a\nV:1\nnonsense\n\nV:2\n\nP:b\n\n");
    assert_eq!(rows.len(), 2);
    assert_eq!(
        faults,
        [
            "lib/apk/db/installed: line 3 (of the package in line 1) is no field",
            "lib/apk/db/installed: the package in line 5 has no name",
            "lib/apk/db/installed: b (line 7): it has no version",
        ]
    );
}

#[test]
fn owners_are_found_for_files_and_directories() {
    let (_dir, host) = alpine(DATABASE);
    let budget = ample();
    let mut look = Look::new(&host, &budget, "test");
    let paths =
        ["/usr/bin/ssl_client", "/lib", "/.top", "/usr/lib/ld-musl-x86_64.so.1", "/opt/x"].map(str::to_owned);
    let mut names: BTreeMap<Vec<u8>, &String> = paths.iter().map(|it| (it.as_bytes().to_vec(), it)).collect();
    names.insert(b"/lib/ld-musl-x86_64.so.1".to_vec(), &paths[3]);
    let mut found = BTreeMap::new();
    owners(&mut look, &names, &mut found);
    let said: Vec<_> = found.iter().map(|(path, name)| (path.as_str(), name.as_str())).collect();
    assert_eq!(
        said,
        [
            ("/.top", "ssl_client"),
            ("/lib", "musl"),
            ("/usr/bin/ssl_client", "ssl_client"),
            ("/usr/lib/ld-musl-x86_64.so.1", "musl"),
        ]
    );
    assert!(look.finish().1.is_empty());
}

proptest! {
    #[test]
    fn no_damage_panics_or_invents_names(at in 0..DATABASE.len(), byte in any::<u8>()) {
        let mut bytes = DATABASE.as_bytes().to_vec();
        bytes[at] = byte;
        let (packages, _) = parse(&bytes);
        prop_assert!(packages.len() <= 5);
        prop_assert!(packages.iter().all(|it| !it.name.is_empty()));
    }
}
