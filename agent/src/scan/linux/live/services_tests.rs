//! Tests of the probe of stale services.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::host::Host;
use crate::scan::look::tests::{host, rows_of, write};

const BOOT: u64 = 1_700_000_000;
const MOUNTS: &str = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n";

/// A system that is up for a day.
fn running() -> (tempfile::TempDir, Host) {
    host(&[
        ("proc/stat", "cpu 1 2 3\nbtime 1700000000\n"),
        ("proc/uptime", "86400.22 1.00\n"),
        ("proc/self/mountinfo", MOUNTS),
        ("usr/sbin/daemon", ""),
        ("var/lib/dpkg/info/daemon.list", "/usr/sbin/daemon\n/lib/systemd/system/daemon.service\n"),
        ("var/lib/dpkg/info/python.list", "/usr/bin/python\n"),
        ("var/lib/dpkg/info/script.list", "/usr/lib/systemd/system/script@.service\n"),
    ])
}

fn process(dir: &Path, number: u32, program: &str, group: &str, parent: u32, started: u64) {
    let stat =
        format!("{number} (a) b) S {parent} 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {} 1 1\n", started * 100);
    write(dir, &format!("proc/{number}/stat"), stat.as_bytes());
    write(dir, &format!("proc/{number}/mountinfo"), MOUNTS.as_bytes());
    write(dir, &format!("proc/{number}/maps"), b"");
    write(dir, &format!("proc/{number}/cgroup"), format!("0::{group}\n").as_bytes());
    symlink(program, dir.join(format!("proc/{number}/exe"))).unwrap();
}

fn change(dir: &Path, package: &str, after_boot: u64) {
    let list = dir.join(format!("var/lib/dpkg/info/{package}.list"));
    let at = UNIX_EPOCH + Duration::from_secs(BOOT + after_boot);
    File::options().write(true).open(list).unwrap().set_modified(at).unwrap();
}

fn scan(host: &Host) -> (Vec<(String, String, String)>, Vec<String>) {
    let (rows, faults, _) = rows_of::<LiveRow>(host, probe);
    let said = |it: LiveRow| (it.service.unwrap(), it.program.unwrap(), it.package.unwrap());
    (rows.into_iter().map(said).collect(), faults)
}

fn stale(service: &str, program: &str, package: &str) -> (String, String, String) {
    (service.to_owned(), program.to_owned(), package.to_owned())
}

#[test]
fn a_service_is_stale_by_a_clear_margin_only() {
    for (changed, is_stale) in [(0, false), (100, false), (104, false), (105, true), (86_400, true)] {
        let (dir, host) = running();
        process(dir.path(), 70, "/usr/sbin/daemon", "/system.slice/daemon.service", 1, 100);
        change(dir.path(), "daemon", changed);
        let expected: &[_] = &[stale("daemon", "/usr/sbin/daemon", "daemon")];
        assert_eq!(scan(&host), (if is_stale { expected } else { &[] }.to_vec(), vec![]), "{changed}");
    }
}

#[test]
fn a_script_is_as_old_as_the_package_of_its_unit() {
    let (dir, host) = running();
    process(dir.path(), 70, "/usr/bin/python", "/system.slice/system-script.slice/script@a.service", 1, 100);
    change(dir.path(), "python", 50);
    change(dir.path(), "script", 500);
    assert_eq!(scan(&host).0, [stale("script@a", "/usr/bin/python", "script")]);
}

#[test]
fn a_change_in_the_future_is_a_gap_and_no_row() {
    let (dir, host) = running();
    process(dir.path(), 70, "/usr/sbin/daemon", "/system.slice/daemon.service", 1, 100);
    change(dir.path(), "daemon", 90_000);
    let (rows, faults) = scan(&host);
    assert!(rows.is_empty());
    assert_eq!(faults, ["daemon changed in the future: whether its services are older is not known"]);
}

#[test]
fn a_program_that_started_itself_again_is_not_stale() {
    let (dir, host) = running();
    process(dir.path(), 70, "/usr/sbin/daemon", "/system.slice/daemon.service", 1, 100);
    change(dir.path(), "daemon", 500);
    let inode = fs::metadata(dir.path().join("usr/sbin/daemon")).unwrap().ino();
    let maps = |inode: u64| format!("7f00-7f01 r-xp 0 fe:00 {inode} /usr/sbin/daemon\n");
    write(dir.path(), "proc/70/maps", maps(inode).as_bytes());
    assert!(scan(&host).0.is_empty());
    write(dir.path(), "proc/70/maps", maps(inode + 1).as_bytes());
    assert_eq!(scan(&host).0.len(), 1);
}

#[test]
fn workers_and_what_an_earlier_start_left_behind_do_not_count() {
    let (dir, host) = running();
    let group = "/system.slice/daemon.service";
    // A child of the service as it was before, the service, and a worker that it keeps.
    process(dir.path(), 60, "/usr/bin/python", group, 1, 100);
    process(dir.path(), 70, "/usr/sbin/daemon", group, 1, 600);
    process(dir.path(), 71, "/usr/sbin/daemon", group, 70, 601);
    change(dir.path(), "daemon", 500);
    change(dir.path(), "python", 50);
    assert_eq!(scan(&host), (vec![], vec![]));
}

#[test]
fn sessions_containers_and_other_roots_are_not_asked_for_the_hosts_package() {
    let (dir, host) = running();
    change(dir.path(), "daemon", 500);
    process(dir.path(), 70, "/usr/sbin/daemon", "/user.slice/user-0.slice/daemon.service", 1, 100);
    process(dir.path(), 71, "/usr/sbin/daemon", "/lxc.payload.a/system.slice/daemon.service", 1, 100);
    process(dir.path(), 72, "/usr/sbin/daemon", "/", 1, 100);
    process(dir.path(), 73, "/usr/sbin/daemon", "/system.slice/other.service", 1, 100);
    write(dir.path(), "proc/73/mountinfo", b"400 300 0:57 / / rw - overlay overlay rw\n");
    assert_eq!(scan(&host), (vec![], vec![]));
}

#[test]
fn a_start_that_cannot_be_read_is_a_gap() {
    let (dir, host) = running();
    process(dir.path(), 70, "/usr/sbin/daemon", "/system.slice/daemon.service", 1, 100);
    write(dir.path(), "proc/70/stat", b"70 (a) S 1");
    assert_eq!(scan(&host), (vec![], vec!["starts of services: a line cannot be read".to_owned()]));
    fs::write(dir.path().join("proc/stat"), "cpu").unwrap();
    let budget = crate::scan::look::tests::ample();
    let reading = probe(&mut Look::new(&host, &budget, "test"));
    assert_eq!(reading, Reading::Failed("proc does not say when the system started".to_owned()));
}
