//! Tests of the dpkg probe.

use std::fs::File;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::scan::look::tests::{host, rows_of};

const STATUS_TEXT: &str = "\
Package: libssl3
Status: install ok installed
Maintainer: Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>
Architecture: amd64
Multi-Arch: same
Source: openssl (3.0.11-1)
Version: 3.0.11-1~deb12u2
Description: library
 a continuation: with a colon
 .

Package: libc6
Status: hold ok installed
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Architecture: i386
Source: glibc
Version: 2.36-9+deb12u4

Package: old
Status: deinstall ok config-files
Architecture: all
Version: 1:0-1

Package: gone
Status: purge ok not-installed
Architecture: all

Package: broken
Status: install reinstreq half-installed
Version: 2

";

fn packages(text: &[u8]) -> (Vec<Package>, Vec<String>) {
    parse(text, Form::Database)
}

#[test]
fn installed_is_the_third_word_and_nothing_else() {
    let (_dir, host) = host(&[(STATUS, STATUS_TEXT), ("etc/os-release", "ID=debian\n")]);
    let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
    let said: Vec<_> =
        rows.iter().map(|it| (it.name.as_str(), it.source.as_str(), it.state.as_deref())).collect();
    assert_eq!(
        said,
        [
            ("libssl3", "dpkg", None),
            ("libc6", "dpkg", None),
            ("old", "leftover-dpkg", Some("config-files")),
            ("broken", "leftover-dpkg", Some("half-installed")),
        ]
    );
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn sources_default_to_the_package_and_its_version() {
    let (packages, _) = packages(STATUS_TEXT.as_bytes());
    let sources: Vec<_> = packages.iter().take(3).map(source_of).collect();
    let some = |it: &str| Some(it.to_owned());
    assert_eq!(
        sources,
        [
            (some("openssl"), some("3.0.11-1")),
            (some("glibc"), some("2.36-9+deb12u4")),
            (some("old"), some("1:0-1")),
        ]
    );
}

#[test]
fn only_the_distributions_own_packages_have_its_url() {
    let (packages, _) = packages(STATUS_TEXT.as_bytes());
    let debian = Namespace::of("debian").unwrap();
    assert_eq!(debian.purl(&packages[0]), None, "a list outside debian.org proves nothing");
    assert_eq!(debian.purl(&packages[1]).as_deref(), Some("pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=i386"));
    assert_eq!(Namespace::of("ubuntu").unwrap().purl(&packages[1]), None);
    assert_eq!(Namespace::of("raspbian"), None);
}

#[test]
fn twins_of_two_architectures_are_two_rows_with_their_own_days() {
    let twin = |arch: &str| {
        format!("Package: zlib1g\nStatus: install ok installed\nArchitecture: {arch}\nVersion: 1\n\n")
    };
    let status = twin("amd64") + &twin("i386");
    let lists = ["zlib1g:amd64.list", "zlib1g:i386.list"].map(|it| format!("{INFO}/{it}"));
    let (dir, host) = host(&[(STATUS, &status), (&lists[0], ""), (&lists[1], "")]);
    for (list, days) in lists.iter().zip([19_000, 19_001]) {
        let file = File::options().write(true).open(dir.path().join(list)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(days * 86_400)).unwrap();
    }
    let (rows, _, _) = rows_of::<SoftwareRow>(&host, probe);
    let days: Vec<_> = rows.iter().map(|it| it.install_date.as_deref().unwrap()).collect();
    assert_eq!(days, ["2022-01-08", "2022-01-09"]);
}

#[test]
fn a_file_cut_off_anywhere_is_never_complete_and_keeps_what_is_whole() {
    let whole = packages(STATUS_TEXT.as_bytes()).0;
    let mut boundaries = 0;
    for end in 1..STATUS_TEXT.len() {
        let cut = &STATUS_TEXT.as_bytes()[..end];
        let (kept, faults) = packages(cut);
        // A cut exactly between two stanzas leaves a file that is in order by itself.
        if cut.ends_with(b"\n\n") {
            boundaries += 1;
            assert!(faults.is_empty(), "{end}: {faults:?}");
        } else {
            assert!(!faults.is_empty(), "a cut after {end} bytes was not noticed");
        }
        let whole_stanzas = kept.iter().take_while(|it| whole.contains(it)).count();
        assert!(kept.len() - whole_stanzas <= 1, "{end}");
    }
    assert_eq!(boundaries, 4);
}

#[test]
fn a_malformed_stanza_is_named_and_the_others_stay() {
    let text = "Package: a\nStatus: install ok installed\nVersion: 1\n\nno field here\nPackage: b\n\nStatus: install ok installed\n\nPackage: c\nStatus: install ok\n\nPackage: d\nStatus: install ok installed\n\n";
    let (packages, faults) = packages(text.as_bytes());
    let names: Vec<_> = packages.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["a", "d"]);
    assert_eq!(
        faults,
        [
            "b (line 5): line 5 is no field",
            "b (line 5): it has no state; it is left out",
            "stanza (line 8): it names no package",
            "c (line 10): line 11 has a status without a state",
            "c (line 10): it has no state; it is left out",
            "d (line 13): it has no version",
        ]
    );
}

#[test]
fn images_without_dpkg_keep_one_file_per_package() {
    let (_dir, host) = host(&[
        ("var/lib/dpkg/status.d/base", "Package: base-files\nArchitecture: amd64\nVersion: 12.4"),
        ("var/lib/dpkg/status.d/base.md5sums", "d41d8cd98f00b204e9800998ecf8427e  etc/x\n"),
    ]);
    let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].source.as_str(), rows[0].version.as_deref()), ("dpkg", Some("12.4")));
}

#[test]
fn an_empty_database_is_complete_and_has_no_package() {
    let (_dir, host) = host(&[(STATUS, "")]);
    let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
    assert!(rows.is_empty() && faults.is_empty());
}

#[test]
fn every_state_but_gone_is_a_row_and_only_installed_is_software() {
    let states = [
        "not-installed",
        "config-files",
        "half-installed",
        "unpacked",
        "half-configured",
        "triggers-awaited",
        "triggers-pending",
        "installed",
    ];
    let stanza =
        |it: &str| format!("Package: p-{it}\nEssential: yes\nStatus: hold reinstreq {it}\nVersion: 1\n\n");
    let text = states.map(stanza).concat();
    // A virtual package that somebody asked for has an entry without a version or an architecture.
    let text = text + "Package: mail-transport-agent\nStatus: unknown ok not-installed\n\n";
    let (_dir, host) = host(&[(STATUS, &text)]);
    let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
    assert!(faults.is_empty(), "{faults:?}");
    let said: Vec<_> =
        rows.iter().map(|it| (it.source.as_str(), it.state.as_deref().unwrap_or("-"))).collect();
    let mut expected: Vec<_> = states[1..7].iter().map(|it| ("leftover-dpkg", *it)).collect();
    expected.push(("dpkg", "-"));
    assert_eq!(said, expected);
}

#[test]
fn a_file_with_line_ends_of_another_system_reads_the_same() {
    let (packages, faults) = packages(STATUS_TEXT.replace('\n', "\r\n").as_bytes());
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(packages, super::parse(STATUS_TEXT.as_bytes(), Form::Database).0);
}

#[test]
fn a_giant_field_does_not_take_its_package_along() {
    let conffiles = format!("Conffiles:\n /etc/{}\n", "x".repeat(300_000));
    let text = STATUS_TEXT.replace("Source: glibc\n", &format!("{conffiles}Source: glibc\n"));
    let (_dir, host) = host(&[(STATUS, &text)]);
    let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!((rows.len(), rows[1].source_package.as_deref()), (4, Some("glibc")));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = packages(&bytes);
        let _ = parse(&bytes, Form::Part);
    }

    #[test]
    fn no_damage_to_a_real_file_panics_or_invents_names(at in 0..STATUS_TEXT.len(), byte in any::<u8>()) {
        let mut bytes = STATUS_TEXT.as_bytes().to_vec();
        bytes[at] = byte;
        let (packages, _) = packages(&bytes);
        prop_assert!(packages.len() <= 7);
        for package in &packages {
            prop_assert!(!package.name.is_empty());
            let _ = row(package, Namespace::of("debian").as_ref(), &BTreeMap::new());
        }
    }
}
