//! Tests of the walk, over small roots.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use holdpoint_common::row::SectionKind;

use super::*;
use crate::host::ReadList;
use crate::scan::linux::packages::PROBES;
use crate::scan::linux::packages::elf::tests::program;
use crate::scan::look::tests::{ample, host, rows_of, write};

const DPKG: (&str, &str) = ("var/lib/dpkg/status", "");

/// Makes a file that may be run.
fn run(root: &Path, path: &str, content: &[u8]) {
    write(root, path, content);
    fs::set_permissions(root.join(path), Permissions::from_mode(0o755)).unwrap();
}

fn elf(id: u8) -> Vec<u8> {
    program(true, false, &[id; 4])
}

fn said(rows: &[SoftwareRow]) -> Vec<String> {
    let mut said: Vec<String> = rows
        .iter()
        .map(|it| {
            assert_eq!((it.source.as_str(), &it.purl), ("unowned", &None));
            let path = it.path.as_deref().unwrap();
            let version = it.version.as_deref().unwrap_or("-");
            format!("{path} {} {version} {}", it.name, it.build_id.as_deref().unwrap_or("-"))
        })
        .collect();
    said.sort();
    said
}

/// What the probe says of a host, with no more than its own read list.
fn read(host: &crate::host::Host) -> (Vec<String>, Vec<String>) {
    let probe = PROBES.iter().find(|it| it.name == "linux/unowned").unwrap();
    assert_eq!(probe.kind, SectionKind::Software);
    let host = host.limited_to(ReadList::new(probe.reads.iter().copied().flatten()));
    let (rows, faults, _) = rows_of::<SoftwareRow>(&host, super::probe);
    (said(&rows), faults)
}

#[test]
fn products_of_opt_are_told_with_and_without_a_vendor() {
    let (dir, host) = host(&[
        DPKG,
        ("opt/historian/VERSION", "7.5.2\n"),
        ("opt/historian/data/x", ""),
        ("opt/acme/README", ""),
        ("opt/acme/jdk-17/release", "IMPLEMENTOR=\"Acme\"\nJAVA_VERSION=\"17.0.8\"\n"),
        ("opt/acme/logs/today", ""),
        ("opt/onlydata/files/a", ""),
        ("opt/plain/a.jar", ""),
        ("opt/tool.AppImage", ""),
        ("opt/notes.txt", ""),
        ("opt/.cache/VERSION", "1.0"),
        ("opt/lost+found/x", ""),
    ]);
    let root = dir.path();
    fs::create_dir_all(root.join("opt/empty")).unwrap();
    fs::create_dir_all(root.join("opt/containerd/bin")).unwrap();
    fs::create_dir_all(root.join("opt/containerd/lib")).unwrap();
    run(root, "opt/historian/bin/historian", &elf(1));
    run(root, "opt/historian/bin/other", &elf(2));
    run(root, "opt/acme/jdk-17/bin/java", &elf(3));
    run(root, "opt/acme/jdk-17/bin/jar", &elf(4));
    run(root, "opt/acme/viewer/start", &elf(5));
    run(root, "opt/tool.AppImage", &elf(6));
    let (rows, faults) = read(&host);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(
        rows,
        [
            "/opt/acme/jdk-17 acme/jdk-17 17.0.8 03030303",
            "/opt/acme/viewer acme/viewer - 05050505",
            "/opt/historian historian 7.5.2 01010101",
            "/opt/onlydata onlydata - -",
            "/opt/plain plain - -",
            "/opt/tool.AppImage tool.AppImage - 06060606",
        ]
    );
}

#[test]
fn where_no_program_is_the_main_one_each_has_its_row() {
    let (dir, host) = host(&[DPKG, ("opt/suite/package.json", "{\"name\":\"scada\",\"version\":\"1.0\"}")]);
    run(dir.path(), "opt/suite/bin/server", &elf(1));
    run(dir.path(), "opt/suite/bin/client", &elf(2));
    run(dir.path(), "opt/suite/bin/start.sh", b"#!/bin/sh\n");
    let (rows, _) = read(&host);
    assert_eq!(
        rows,
        [
            "/opt/suite scada 1.0 -",
            "/opt/suite/bin/client client - 02020202",
            "/opt/suite/bin/server server - 01010101",
        ]
    );
}

#[test]
fn what_a_package_owns_is_not_among_them() {
    let (dir, host) = host(&[
        DPKG,
        ("var/lib/dpkg/info/chrome.list", "/opt\n/opt/google\n/opt/google/chrome\n/usr/local/bin/packaged\n"),
        ("var/lib/pacman/local/viewer-1-1/files", "%FILES%\nopt/viewer/VERSION\n"),
        ("lib/apk/db/installed", "P:agent\nV:1\nF:opt/agent\nR:VERSION\n\n"),
        ("opt/google/chrome/VERSION", "120.0"),
        ("opt/google/earth/VERSION", "7.3"),
        ("opt/viewer/VERSION", "1"),
        ("opt/agent/VERSION", "1"),
    ]);
    run(dir.path(), "usr/local/bin/packaged", &elf(1));
    run(dir.path(), "usr/local/bin/own", b"#!/bin/sh\n");
    let (rows, faults) = read(&host);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(rows, ["/opt/google/earth google/earth 7.3 -", "/usr/local/bin/own own - -"]);
}

#[test]
fn usr_local_has_programs_libraries_distributions_and_products() {
    let (dir, host) = host(&[
        DPKG,
        ("usr/local/bin/LICENSE.txt", ""),
        ("usr/local/lib/pkgconfig/openssl.pc", "Name: OpenSSL\nVersion: 3.0.2\n"),
        (
            "usr/local/lib/python3.11/dist-packages/pymodbus-3.5.4.dist-info/METADATA",
            "Name: pymodbus\nVersion: 3.5.4\n",
        ),
        ("usr/local/lib/python3.11/dist-packages/old.egg-info", "Name: old\nVersion: 1\n"),
        ("usr/local/lib/python3.11/dist-packages/older.egg-info/PKG-INFO", "Name: older\nVersion: 2\n"),
        ("usr/local/lib/python3.11/dist-packages/pymodbus/__init__.py", ""),
        ("usr/local/lib/node_modules/npm/package.json", "{\"name\":\"npm\",\"version\":\"10.2.4\"}"),
        ("usr/local/lib/node_modules/@acme/ui/package.json", "{\"name\":\"@acme/ui\",\"version\":\"2.0.0\"}"),
        ("usr/local/lib/plugins/readme", ""),
        ("usr/local/lib/jvm/jdk/release", "JAVA_VERSION=\"21\"\n"),
        ("usr/local/go/VERSION", "go1.21.3\n"),
        ("usr/local/share/pkgconfig/data.pc", "Version: 4\n"),
        ("usr/local/etc/x/VERSION", "1"),
        ("usr/local/src/x/VERSION", "1"),
    ]);
    let root = dir.path();
    run(root, "usr/local/bin/tool", &elf(1));
    fs::hard_link(root.join("usr/local/bin/tool"), root.join("usr/local/bin/tool-again")).unwrap();
    symlink("tool", root.join("usr/local/bin/tool-link")).unwrap();
    run(root, "usr/local/go/bin/go", &elf(2));
    run(root, "usr/local/libexec/helper", &elf(4));
    write(root, "usr/local/lib/libssl.so.3", &elf(3));
    write(root, "usr/local/lib/x86_64-linux-gnu/libown.so.1", &elf(5));
    write(root, "usr/local/lib/libtext.so", b"INPUT ( -lx )");
    symlink("lib", root.join("usr/local/lib64")).unwrap();
    let (rows, faults) = read(&host);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(
        rows,
        [
            "/usr/local/bin/tool tool - 01010101",
            "/usr/local/go go go1.21.3 02020202",
            "/usr/local/lib/jvm/jdk jvm/jdk 21 -",
            "/usr/local/lib/libssl.so.3 libssl.so.3 - 03030303",
            "/usr/local/lib/node_modules/@acme/ui @acme/ui 2.0.0 -",
            "/usr/local/lib/node_modules/npm npm 10.2.4 -",
            "/usr/local/lib/pkgconfig/openssl.pc openssl 3.0.2 -",
            "/usr/local/lib/python3.11/dist-packages/old.egg-info old 1 -",
            "/usr/local/lib/python3.11/dist-packages/older.egg-info older 2 -",
            "/usr/local/lib/python3.11/dist-packages/pymodbus-3.5.4.dist-info pymodbus 3.5.4 -",
            "/usr/local/lib/x86_64-linux-gnu/libown.so.1 libown.so.1 - 05050505",
            "/usr/local/libexec/helper helper - 04040404",
            "/usr/local/share/pkgconfig/data.pc data 4 -",
        ]
    );
}

#[test]
fn links_are_followed_to_nowhere() {
    let (dir, host) =
        host(&[DPKG, ("opt/app-1.2/VERSION", "1.2"), ("data/scada/VERSION", "9"), ("etc/shadow", "x")]);
    let root = dir.path();
    symlink("app-1.2", root.join("opt/app")).unwrap();
    symlink("/data/scada", root.join("opt/scada")).unwrap();
    symlink("/nowhere", root.join("opt/dangling")).unwrap();
    symlink("self", root.join("opt/self")).unwrap();
    fs::create_dir_all(root.join("opt/trap/bin")).unwrap();
    symlink("/etc/shadow", root.join("opt/trap/VERSION")).unwrap();
    symlink("/etc", root.join("opt/trap/bin/all")).unwrap();
    fs::create_dir_all(root.join("usr/local")).unwrap();
    symlink("/data", root.join("usr/local/bin")).unwrap();
    let (rows, faults) = read(&host);
    // Whether there is anything at the end of a link may not be asked off the read list.
    assert_eq!(
        rows,
        [
            "/opt/app-1.2 app-1.2 1.2 -",
            "/opt/dangling dangling - -",
            "/opt/scada scada - -",
            "/opt/trap trap - -"
        ]
    );
    assert_eq!(faults, ["usr/local/bin: a link that leads elsewhere; it is not looked at"]);
}

#[test]
fn a_read_only_usr_keeps_them_under_var() {
    let (dir, host) = host(&[DPKG, ("var/opt/app/VERSION", "1.2"), ("var/usrlocal/go/VERSION", "go1.21\n")]);
    fs::create_dir_all(dir.path().join("usr")).unwrap();
    symlink("var/opt", dir.path().join("opt")).unwrap();
    symlink("../var/usrlocal", dir.path().join("usr/local")).unwrap();
    let (rows, faults) = read(&host);
    assert_eq!(
        (rows, faults),
        (vec!["/opt/app app 1.2 -".to_owned(), "/usr/local/go go go1.21 -".to_owned()], vec![])
    );
}

#[test]
fn a_host_without_a_known_database_is_never_complete() {
    let (_dir, one) = host(&[("opt/app/VERSION", "1.2")]);
    let (rows, faults) = read(&one);
    assert_eq!((rows.len(), faults.len()), (1, 1));
    let (_dir, none) = host(&[("usr/local/share/x", "")]);
    let budget = ample();
    let mut look = Look::new(&none, &budget, "test");
    assert!(matches!(super::probe(&mut look), Reading::Absent(_)), "no row, and no claim of being complete");
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let (dir, host) = host(&[DPKG, ("opt/app/VERSION", "1.2")]);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.path().join("opt/app/fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o755),
        0,
    )
    .unwrap();
    fs::File::create(dir.path().join("opt/app/package.json")).unwrap().set_len(1 << 40).unwrap();
    let (rows, faults) = read(&host);
    assert_eq!(rows, ["/opt/app app 1.2 -"]);
    assert_eq!(faults, ["opt/app/package.json: more than 262144 bytes"]);
}

#[test]
fn a_walk_out_of_time_ends_and_says_so() {
    let (_dir, host) = host(&[DPKG, ("opt/app/VERSION", "1.2")]);
    let calls = std::cell::Cell::new(0);
    let budget = crate::scan::Budget::measured_by(std::time::Duration::from_secs(1), move || {
        calls.set(calls.get() + 1);
        std::time::Duration::from_secs(u64::from(calls.get() > 1))
    });
    let mut look = Look::new(&host, &budget, "test");
    let Reading::Failed(why) = super::probe(&mut look) else { panic!("must not be complete") };
    assert!(why.contains("time"), "{why}");
}
