//! A real Debian root with real leftovers, held against what `dpkg-query` says of it.
//!
//! The root is made once by debootstrap from the machine's own mirror and kept in
//! `target/roots/debian`; each run works on a copy. It needs root, dpkg and, the first time,
//! debootstrap and the mirror; otherwise it says what is missing and is left out.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use holdpoint_agent::host::{Agent, Host};
use holdpoint_agent::scan::{self, Budget};
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::{SectionKind, SoftwareRow};
use prost::Message;

#[expect(clippy::disallowed_methods, reason = "real databases are made by the real tools")]
fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    command.stdin(Stdio::null()).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

fn is_here(name: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|it| Path::new(it).join(name).exists())
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|cause| panic!("{command:?}: {cause}"))
}

fn must(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Suite and mirror of the machine itself.
fn mirror() -> Option<(String, String)> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    let suite =
        release.lines().find_map(|it| it.strip_prefix("VERSION_CODENAME="))?.trim_matches('"').to_owned();
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|it| it.path()));
    for text in files.iter().filter_map(|it| fs::read_to_string(it).ok()) {
        // `deb [options] URI SUITE COMPONENTS`
        for line in text.lines().filter_map(|it| it.trim().strip_prefix("deb ")) {
            let line = line.split_once(']').map_or(line, |(_, rest)| rest);
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [uri, of, ..] = words.as_slice()
                && *of == suite
            {
                return Some((suite, (*uri).to_owned()));
            }
        }
        for stanza in text.split("\n\n") {
            let field = |name: &str| stanza.lines().find_map(|it| it.strip_prefix(name));
            let is_own = field("Suites:").is_some_and(|it| it.split_whitespace().any(|it| it == suite));
            if let (true, Some(uris)) = (is_own, field("URIs:")) {
                return Some((suite, uris.split_whitespace().next()?.to_owned()));
            }
        }
    }
    None
}

/// The cached root, made now when it is not there; or why it cannot be.
fn base() -> Result<PathBuf, String> {
    let roots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../roots");
    let base = roots.join("debian");
    if base.join("var/lib/dpkg/status").exists() {
        return Ok(base);
    }
    if !is_here("debootstrap") {
        return Err("debootstrap is not here".to_owned());
    }
    let (suite, uri) = mirror().ok_or("apt has no source of this machine's own suite")?;
    let told = |cause: io::Error| cause.to_string();
    fs::create_dir_all(&roots).map_err(told)?;
    let new = tempfile::Builder::new().prefix("debian-new-").tempdir_in(&roots).map_err(told)?;
    let mut first = tool("debootstrap");
    first.args(["--foreign", "--variant=minbase"]).arg(&suite).arg(new.path()).arg(&uri);
    let mut second = tool("chroot");
    second.arg(new.path()).args(["/debootstrap/debootstrap", "--second-stage"]);
    for stage in [&mut first, &mut second] {
        let output = run(stage);
        if !output.status.success() {
            return Err(format!("debootstrap failed: {}", String::from_utf8_lossy(&output.stdout)));
        }
        // Nothing here has to survive a power cut, and flushing is most of the second stage.
        let settings = new.path().join("etc/dpkg/dpkg.cfg.d");
        fs::create_dir_all(&settings).map_err(told)?;
        fs::write(settings.join("unsafe-io"), "force-unsafe-io\n").map_err(told)?;
    }
    let new = new.keep();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).map_err(told)?;
    fs::rename(&new, &base).map_err(told)?;
    Ok(base)
}

/// A root to change, with what is needed to change it.
struct Root {
    dir: tempfile::TempDir,
}

impl Root {
    fn path(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn dpkg(&self, arguments: &[&str]) -> Output {
        run(tool("dpkg").arg(format!("--root={}", self.path().display())).args(arguments))
    }

    fn dpkg_must(&self, arguments: &[&str]) {
        let output = self.dpkg(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Builds a package: the fields of its control file beside the required ones, and its scripts.
    fn package(&self, name: &str, architecture: &str, fields: &str, files: &[(&str, &str)]) -> String {
        let tree = self.dir.path().join(format!("{name}-{architecture}"));
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        let version = if fields.contains("Version:") { "" } else { "Version: 1:2.0-3+b1\n" };
        let control = format!(
            "Package: {name}\nArchitecture: {architecture}\n{version}Maintainer: Nobody <nobody@example.org>\n\
             Description: made for a test\n{fields}"
        );
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        for (path, content) in files {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            if content.starts_with("#!") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        let deb = self.dir.path().join(format!("{name}_{architecture}.deb")).display().to_string();
        must(tool("dpkg-deb").args(["--root-owner-group", "-Znone", "--build"]).arg(&tree).arg(&deb));
        deb
    }

    /// Each package as `dpkg-query` prints it, and as the scan has it, both in order.
    fn both(&self) -> (Vec<String>, Vec<String>) {
        let format = "${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t\
                      ${db:Status-Status}\t${Maintainer}\n";
        let admin = self.path().join("var/lib/dpkg");
        let text = must(
            tool("dpkg-query")
                .arg(format!("--admindir={}", admin.display()))
                .arg("-W")
                .arg(format!("-f={format}")),
        );
        let mut expected: Vec<String> = text.lines().map(str::to_owned).collect();
        expected.sort();
        let mut found: Vec<String> =
            self.rows().iter().filter(|it| it.source != "unowned").map(line).collect();
        found.sort();
        (expected, found)
    }

    fn rows(&self) -> Vec<SoftwareRow> {
        let agent = Agent { version: "0.0.0-test".into(), digest: None, config_digest: None };
        let budget = Budget::starting_now(scan::TIME_LIMIT);
        let snapshot = scan::take(&Host::captured(self.path(), agent), &[SectionKind::Software], &budget);
        let section = snapshot.section(SectionKind::Software).unwrap();
        assert_eq!(section.status, SectionStatus::Complete, "{:?}", section.reasons);
        section.rows.as_slice().iter().map(|it| SoftwareRow::decode(it.as_slice()).unwrap()).collect()
    }
}

fn line(row: &SoftwareRow) -> String {
    let state = match (row.source.as_str(), row.state.as_deref()) {
        ("dpkg", None) => "installed",
        ("leftover-dpkg", Some(state)) => state,
        other => panic!("{other:?}"),
    };
    let text = |it: &Option<String>| it.clone().unwrap_or_default();
    [
        row.name.clone(),
        text(&row.version),
        text(&row.architecture),
        text(&row.source_package),
        text(&row.source_version),
        state.to_owned(),
        text(&row.publisher),
    ]
    .join("\t")
}

fn state_of<'a>(lines: &'a [String], name: &str) -> Vec<&'a str> {
    let own = lines.iter().filter(|it| it.split('\t').next() == Some(name));
    own.map(|it| it.split('\t').nth(5).unwrap()).collect()
}

#[test]
fn rows_equal_what_dpkg_query_prints_leftovers_and_journal_too() {
    if fs::metadata("/proc/self").map_or(1, |it| it.uid()) != 0 {
        return println!("left out: only root may make a root");
    }
    if !is_here("dpkg-deb") {
        return println!("left out: dpkg is not here");
    }
    let base = match base() {
        Ok(base) => base,
        Err(why) => return println!("left out: {why}"),
    };
    let dir = tempfile::Builder::new().prefix("work-").tempdir_in(base.parent().unwrap()).unwrap();
    let root = Root { dir };
    // Hard links: dpkg writes new files and renames them, so the cached root stays as it is.
    must(tool("cp").arg("-al").arg(&base).arg(root.path()));
    let own = must(tool("dpkg").arg("--print-architecture")).trim().to_owned();
    let foreign = if own == "i386" { "amd64" } else { "i386" };

    let (expected, found) = root.both();
    assert!(expected.len() > 70, "{}", expected.len());
    assert_eq!(found, expected, "the root as it is made");

    leave(&root, &own, foreign);
    let (expected, found) = root.both();
    assert_eq!(found, expected);
    for (name, states) in [
        ("hp-held", &["installed"][..]),
        ("hp-removed", &["config-files"]),
        ("hp-half", &["half-installed"]),
        ("hp-unpacked", &["unpacked"]),
        ("hp-unconfigured", &["half-configured"]),
        ("hp-fires", &["triggers-awaited"]),
        ("hp-watches", &["triggers-pending"]),
        ("hp-twin", &["installed", "installed"]),
        ("hp-gone", &[]),
    ] {
        assert_eq!(state_of(&found, name), states, "{name}");
    }
    owned_and_unowned(&root);

    // A script that kills dpkg leaves the journal as a power cut would.
    let killed =
        root.package("hp-killed", &own, "", &[("DEBIAN/postinst", "#!/bin/sh\nkill -KILL $PPID\nsleep 1\n")]);
    assert!(!root.dpkg(&["-i", &killed]).status.success());
    let journal = fs::read_dir(root.path().join("var/lib/dpkg/updates")).unwrap().count();
    assert!(journal > 0, "dpkg left no journal");
    let (expected, found) = root.both();
    assert_eq!(found, expected, "with {journal} parts of a journal");
    assert_eq!(state_of(&found, "hp-killed"), ["half-configured"]);
    println!("{} packages, {journal} parts of a journal", found.len());
}

/// Brings packages into every state that dpkg knows.
fn leave(root: &Root, own: &str, foreign: &str) {
    let script = |name: &str, text: &str| (format!("DEBIAN/{name}"), format!("#!/bin/sh\n{text}\n"));
    let package = |name: &str, fields: &str, files: &[(String, String)]| {
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        root.package(name, own, fields, &files)
    };
    let held = package("hp-held", "Source: hp-source (2:1.0~rc1-3)\nEssential: yes\n", &[]);
    root.dpkg_must(&["-i", &held]);
    let admin = format!("--admindir={}", root.path().join("var/lib/dpkg").display());
    let selections = root.dir.path().join("selections");
    fs::write(&selections, "hp-held hold\n").unwrap();
    let mut set = tool("dpkg");
    must(set.arg(&admin).arg("--set-selections").stdin(fs::File::open(&selections).unwrap()));

    let conffiles = ("DEBIAN/conffiles".to_owned(), "/etc/hp.conf\n".to_owned());
    let removed = package("hp-removed", "", &[conffiles, ("etc/hp.conf".to_owned(), "a=1\n".to_owned())]);
    root.dpkg_must(&["-i", &removed]);
    root.dpkg_must(&["--remove", "hp-removed"]);

    let half = package("hp-half", "", &[script("preinst", "exit 1"), script("postrm", "exit 1")]);
    assert!(!root.dpkg(&["-i", &half]).status.success());
    root.dpkg_must(&["--unpack", &package("hp-unpacked", "Source: hp-other\n", &[])]);
    let unconfigured = package("hp-unconfigured", "", &[script("postinst", "exit 1")]);
    assert!(!root.dpkg(&["-i", &unconfigured]).status.success());

    let triggers = |text: &str| ("DEBIAN/triggers".to_owned(), format!("{text}\n"));
    let watches = package("hp-watches", "", &[triggers("interest hp-news"), script("postinst", "exit 0")]);
    root.dpkg_must(&["-i", &watches]);
    root.dpkg_must(&["--no-triggers", "-i", &package("hp-fires", "", &[triggers("activate hp-news")])]);

    root.dpkg_must(&["--add-architecture", foreign]);
    for architecture in [own, foreign] {
        let fields = "Multi-Arch: same\nVersion: 0.1-1\nSource: hp-source\n";
        root.dpkg_must(&["-i", &root.package("hp-twin", architecture, fields, &[])]);
    }
    root.dpkg_must(&["-i", &package("hp-gone", "", &[])]);
    root.dpkg_must(&["--purge", "hp-gone"]);
    let vendor = ("opt/acme/packaged/VERSION".to_owned(), "3.1\n".to_owned());
    root.dpkg_must(&["-i", &package("hp-vendor", "", &[vendor])]);
}

/// A vendor's package in `/opt` is its own row; what lies beside it is unowned.
fn owned_and_unowned(root: &Root) {
    let place = root.path().join("opt/acme/copied");
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("VERSION"), "7.5\n").unwrap();
    let rows = root.rows();
    let unowned: Vec<_> = rows
        .iter()
        .filter(|it| it.source == "unowned")
        .map(|it| (it.path.as_deref().unwrap(), it.version.as_deref()))
        .collect();
    assert_eq!(unowned, [("/opt/acme/copied", Some("7.5"))]);
    let vendor = rows.iter().find(|it| it.name == "hp-vendor").unwrap();
    assert!(vendor.install_date.is_some() && vendor.purl.is_none());
}
