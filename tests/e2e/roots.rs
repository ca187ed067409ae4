//! Roots that mean harm, looked at by the real program: whatever stands there, a scan ends in bounded
//! time and memory, says what it could not read, and never hangs.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use holdpoint_tests::program::{self, text};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde_json::Value;

/// Longest that a scan of such a root may take: a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// The contract: resident memory at the peak of a scan, KiB.
const MOST_MEMORY_KIB: u64 = 24 * 1024;
/// The size that no file of a host has.
const GIANT: u64 = 10 << 30;
const A_MILLION: usize = 1_000_000;

/// What parsers ask for first; each is replaced by something that is no such file.
const SOURCES: [&str; 24] = [
    "etc/os-release",
    "etc/passwd",
    "etc/group",
    "etc/shadow",
    "etc/sudoers",
    "etc/fstab",
    "etc/login.defs",
    "etc/ssh/sshd_config",
    "etc/pam.d/common-auth",
    "etc/apt/apt.conf",
    "etc/apt/sources.list",
    "etc/sysctl.conf",
    "etc/modprobe.d/a.conf",
    "etc/audit/auditd.conf",
    "etc/systemd/system/a.service",
    "etc/holdpoint-agent/facts.d/a.toml",
    "var/lib/dpkg/status",
    "var/lib/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/Packages.db",
    "lib/apk/db/installed",
    "var/lib/pacman/local/a-1-1/desc",
    "var/lib/snapd/snaps/a_1.snap",
    "opt/vendor/VERSION",
    "usr/local/bin/tool",
];

struct Scan {
    sections: Value,
    took: Duration,
    peak_kib: u64,
}

impl Scan {
    /// Scans a root with the real program and watches how much memory it takes.
    fn of(root: &Path) -> Self {
        Self::by(program::program("holdpoint-agent"), root)
    }

    fn by(mut command: Command, root: &Path) -> Self {
        let out = tempfile::NamedTempFile::new().unwrap();
        let start = Instant::now();
        let mut child = command
            .args(["scan", "--root", text(root), "-o", "json"])
            .stdin(Stdio::null())
            .stdout(out.reopen().unwrap())
            .spawn()
            .unwrap();
        let status_file = format!("/proc/{}/status", child.id());
        let mut peak_kib = 0;
        let status = loop {
            let said = fs::read_to_string(&status_file).unwrap_or_default();
            let high = said.lines().find_map(|it| it.strip_prefix("VmHWM:"));
            let high = high.and_then(|it| it.split_whitespace().next()?.parse().ok());
            peak_kib = peak_kib.max(high.unwrap_or(0));
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("the scan of {} did not end within {PATIENCE:?}", root.display());
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        assert!(status.success(), "{status}");
        let document: Value = serde_json::from_slice(&fs::read(out.path()).unwrap()).unwrap();
        let scan = Self { sections: document["sections"].clone(), took: start.elapsed(), peak_kib };
        assert!(scan.peak_kib <= MOST_MEMORY_KIB, "{} KiB at the peak", scan.peak_kib);
        scan
    }

    fn status(&self, section: &str) -> &str {
        self.sections[section]["status"].as_str().unwrap()
    }

    /// Whether a gap is told with a word that a person can act on.
    fn says(&self, section: &str, word: &str) -> bool {
        let reasons = self.sections[section]["reasons"].as_array().unwrap();
        reasons.iter().any(|it| it.as_str().unwrap().contains(word))
    }

    /// The one section of a root that cannot have what is asked for as complete.
    fn is_honest(&self, sections: &[&str], word: &str) {
        for section in sections {
            assert!(
                matches!(self.status(section), "partial" | "failed"),
                "{section}: {}",
                self.sections[section]
            );
            assert!(
                self.says(section, word),
                "{section}: no `{word}` in {}",
                self.sections[section]["reasons"]
            );
        }
    }
}

/// A root in which each source is made by `make`.
fn root_of(make: impl Fn(&Path)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for source in SOURCES {
        let path = dir.path().join(source);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        make(&path);
    }
    dir
}

#[test]
fn link_loops_end() {
    let dir = root_of(|path| symlink(path.file_name().unwrap(), path).unwrap());
    symlink("..", dir.path().join("etc/up")).unwrap();
    symlink("/opt/round", dir.path().join("opt/round")).unwrap();
    let scan = Scan::of(dir.path());
    scan.is_honest(&["software", "accounts"], "too many symbolic links");
}

#[test]
fn fifos_and_sockets_are_not_waited_for() {
    let fifo = |path: &Path| {
        mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    };
    let scan = Scan::of(root_of(fifo).path());
    scan.is_honest(&["software", "accounts"], "not a regular file");
    let scan = Scan::of(root_of(|path| drop(UnixListener::bind(path).unwrap())).path());
    scan.is_honest(&["software", "accounts"], "");
}

#[test]
fn devices_are_not_opened_for_what_they_do() {
    if !rustix::process::geteuid().is_root() {
        println!("left out: making device nodes needs root");
        return;
    }
    // The endless one, and one that would act on being opened in earnest: a watchdog.
    for device in [makedev(1, 5), makedev(10, 130)] {
        let node = |path: &Path| {
            mknodat(CWD, path, FileType::CharacterDevice, Mode::from_raw_mode(0o600), device).unwrap();
        };
        let scan = Scan::of(root_of(node).path());
        scan.is_honest(&["software", "accounts"], "");
    }
}

#[test]
fn sparse_giants_are_refused_by_their_size() {
    let dir = root_of(|path| File::create(path).unwrap().set_len(GIANT).unwrap());
    let scan = Scan::of(dir.path());
    scan.is_honest(&["software", "accounts"], "more than");
    println!("sparse giants: {:?}, {} KiB at the peak", scan.took, scan.peak_kib);
}

#[test]
fn a_million_files_are_a_number() {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let places = ["var/lib/dpkg/info", "etc/systemd/system", "opt/vendor/data", "usr/local/bin", "usr/bin"];
    std::thread::scope(|scope| {
        for place in places {
            let folder = dir.path().join(place);
            scope.spawn(move || {
                fs::create_dir_all(&folder).unwrap();
                for number in 0..A_MILLION / places.len() {
                    File::create(folder.join(format!("{number}.list"))).unwrap();
                }
            });
        }
    });
    fs::write(dir.path().join("var/lib/dpkg/status"), "").unwrap();
    let scan = Scan::of(dir.path());
    println!("a million files: {:?}, {} KiB at the peak", scan.took, scan.peak_kib);
    assert!(scan.says("services", "entries"), "{}", scan.sections["services"]["reasons"]);
}

#[test]
fn what_may_not_be_read_is_a_gap_with_that_reason() {
    let dir = root_of(|path| fs::write(path, "x").unwrap());
    for closed in
        ["etc/ssh", "etc/pam.d", "etc/apt", "var/lib/dpkg", "var/lib/rpm", "lib/apk/db", "opt/vendor"]
    {
        fs::set_permissions(dir.path().join(closed), fs::Permissions::from_mode(0o000)).unwrap();
    }
    fs::set_permissions(dir.path().join("etc/passwd"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let agent = program::program("holdpoint-agent").get_program().to_owned();
    let scan = if rustix::process::geteuid().is_root() {
        // The program may lie where only root may go; a copy in the open is what nobody runs.
        let copy = dir.path().join("agent");
        fs::copy(&agent, &copy).unwrap();
        let mut nobody = program::tool("setpriv");
        nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(copy);
        Scan::by(nobody, dir.path())
    } else {
        Scan::of(dir.path())
    };
    scan.is_honest(&["software", "accounts"], "permission denied");
    for closed in
        ["etc/ssh", "etc/pam.d", "etc/apt", "var/lib/dpkg", "var/lib/rpm", "lib/apk/db", "opt/vendor"]
    {
        fs::set_permissions(dir.path().join(closed), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn bytes_that_are_no_text_are_neither_trusted_nor_fatal() {
    let noise: Vec<u8> = (0..=255).cycle().take(40_000).collect();
    let dir = root_of(|path| fs::write(path, &noise).unwrap());
    for folder in ["var/lib/dpkg/info", "etc/systemd/system", "etc/modprobe.d", "opt", "usr/local/bin"] {
        let folder = dir.path().join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(std::ffi::OsStr::from_bytes(b"\xff\xfe.service")), "x").unwrap();
    }
    let scan = Scan::of(dir.path());
    scan.is_honest(&["software"], "");
    for section in ["services", "software"] {
        assert!(scan.says(section, "UTF-8"), "{section}: {}", scan.sections[section]["reasons"]);
    }
}

#[test]
fn files_that_change_while_they_are_read_end_in_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let stanza = |n: usize| format!("Package: p{n}\nStatus: install ok installed\nVersion: {n}\n\n");
    let files = [
        "var/lib/dpkg/status",
        "etc/passwd",
        "etc/sudoers",
        "lib/apk/db/installed",
        "var/lib/rpm/rpmdb.sqlite",
    ];
    for file in files {
        fs::create_dir_all(dir.path().join(file).parent().unwrap()).unwrap();
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for file in files {
            let (path, done) = (dir.path().join(file), &done);
            scope.spawn(move || {
                let mut length = 1;
                while !done.load(Ordering::Relaxed) {
                    // In place and without a pause: grows, shrinks, is half there.
                    let mut file = File::create(&path).unwrap();
                    for number in 0..length {
                        file.write_all(stanza(number).as_bytes()).unwrap();
                    }
                    length = length * 7 % 997;
                }
            });
        }
        for _ in 0..10 {
            let scan = Scan::of(dir.path());
            let known = ["complete", "partial", "failed"];
            assert!(known.contains(&scan.status("software")), "{}", scan.status("software"));
        }
        done.store(true, Ordering::Relaxed);
    });
}
