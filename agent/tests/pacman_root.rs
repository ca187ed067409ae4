//! A root that the real pacman made, held against what it says of it.
//!
//! Debian's `pacman-package-manager` makes it in a moment from packages that the test writes. Without
//! pacman, or without root, the test says so and is left out.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use holdpoint_agent::host::{Agent, Host};
use holdpoint_agent::scan::{self, Budget};
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::{SectionKind, SoftwareRow};
use prost::Message;

#[expect(clippy::disallowed_methods, reason = "real databases are made by the real tools")]
fn must(name: &str, arguments: &[&str], dir: &Path) -> String {
    let mut command = Command::new(name);
    let output =
        command.args(arguments).current_dir(dir).env("LC_ALL", "C").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Writes a package as makepkg would: its description first, then its files.
fn package(dir: &Path, name: &str, version: &str, base: &str, files: &[&str]) {
    let tree = dir.join(name);
    fs::create_dir_all(&tree).unwrap();
    let info = format!(
        "pkgname = {name}\npkgbase = {base}\npkgver = {version}\npkgdesc = made for a test\n\
         builddate = 1700000000\npackager = Somebody <somebody@example.org>\nsize = 10\narch = any\n"
    );
    fs::write(tree.join(".PKGINFO"), info).unwrap();
    for file in files {
        let file = tree.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "9.9\n").unwrap();
    }
    let archive = format!("{name}.pkg.tar");
    let within = name.to_owned();
    must("tar", &["-C", &within, "--owner=0", "--group=0", "-cf", &archive, ".PKGINFO", "opt"], dir);
}

#[test]
fn rows_equal_what_pacman_prints() {
    if fs::metadata("/proc/self").map_or(1, |it| it.uid()) != 0 {
        return println!("left out: only root may make a root");
    }
    if !Path::new("/usr/bin/pacman").exists() {
        return println!("left out: pacman is not here");
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for made in ["root/var/lib/pacman", "root/opt/loose", "cache", "hooks"] {
        fs::create_dir_all(dir.join(made)).unwrap();
    }
    fs::write(dir.join("root/opt/loose/VERSION"), "1.0\n").unwrap();
    fs::write(
        dir.join("pacman.conf"),
        "[options]\nSigLevel = Never\nLocalFileSigLevel = Never\nArchitecture = auto\n",
    )
    .unwrap();
    package(dir, "hp-tool", "1:2.0-3", "hp-suite", &["opt/tool/VERSION"]);
    package(dir, "hp-tool-doc", "2.0.r5.g1234-1", "hp-suite", &["opt/doc/VERSION"]);
    package(dir, "hp-old", "0-1", "hp-old", &["opt/old/VERSION"]);
    let options = "--root root --dbpath root/var/lib/pacman --config pacman.conf --cachedir cache --hookdir hooks \
                   --logfile log --gpgdir gpg --noconfirm";
    let pacman = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split_whitespace().chain(options.split_whitespace()).collect();
        must("pacman", &arguments, dir)
    };
    pacman("-U hp-tool.pkg.tar hp-tool-doc.pkg.tar hp-old.pkg.tar");
    pacman("-R hp-old");

    let agent = Agent { version: "0.0.0-test".into(), digest: None, config_digest: None };
    let budget = Budget::starting_now(scan::TIME_LIMIT);
    let snapshot = scan::take(&Host::captured(dir.join("root"), agent), &[SectionKind::Software], &budget);
    let section = snapshot.section(SectionKind::Software).unwrap();
    assert_eq!(section.status, SectionStatus::Complete, "{:?}", section.reasons);
    let rows: Vec<SoftwareRow> =
        section.rows.as_slice().iter().map(|it| SoftwareRow::decode(it.as_slice()).unwrap()).collect();
    let packages = || rows.iter().filter(|it| it.source == "pacman");
    let mut found: Vec<String> =
        packages().map(|it| format!("{} {}", it.name, it.version.as_deref().unwrap())).collect();
    found.sort();
    let listed = pacman("-Q");
    let expected: Vec<&str> = listed.lines().collect();
    assert_eq!(found, expected);
    assert_eq!(found.len(), 2);
    for row in packages() {
        let info = pacman(&format!("-Qi {}", row.name));
        let field = |name: &str| {
            let line = info.lines().find(|it| it.starts_with(name)).unwrap();
            line.split_once(" : ").unwrap().1.to_owned()
        };
        assert_eq!(row.architecture.as_deref(), Some(field("Architecture").as_str()));
        assert_eq!(row.publisher.as_deref(), Some(field("Packager").as_str()));
        assert_eq!(row.source_package.as_deref(), Some("hp-suite"));
        assert!(row.install_date.is_some() && row.purl.is_none());
    }
    let unowned: Vec<_> =
        rows.iter().filter(|it| it.source == "unowned").map(|it| it.name.as_str()).collect();
    assert_eq!(unowned, ["loose"]);
}
