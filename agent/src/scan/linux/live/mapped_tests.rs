//! Tests of the probe of mapped files. Device and number are those of real files.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use super::*;
use crate::host::Host;
use crate::scan::look::tests::{host, rows_of, write};

const MOUNTS: &str = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n";
const CONTAINER: &str = "400 300 0:57 / / rw - overlay overlay rw\n";

/// A running system with a first process and a library.
fn running() -> (tempfile::TempDir, Host) {
    let (dir, host) = host(&[
        ("proc/stat", "btime 1700000000\n"),
        ("proc/self/mountinfo", MOUNTS),
        ("usr/lib/libdemo.so.1", "new"),
        ("var/lib/dpkg/info/libdemo1:amd64.list", "/usr/lib/libdemo.so.1\n"),
        ("var/lib/dpkg/info/daemon.list", "/usr/sbin/daemon\n"),
        ("usr/sbin/daemon", ""),
    ]);
    process(dir.path(), 1, "/usr/lib/systemd/systemd", "0::/init.scope\n", &[]);
    (dir, host)
}

fn process(dir: &Path, number: u32, program: &str, cgroup: &str, maps: &[String]) {
    let directory = format!("proc/{number}");
    write(dir, &format!("{directory}/cgroup"), cgroup.as_bytes());
    write(dir, &format!("{directory}/mountinfo"), MOUNTS.as_bytes());
    write(dir, &format!("{directory}/maps"), maps.concat().as_bytes());
    symlink(program, dir.join(format!("{directory}/exe"))).unwrap();
}

fn line(device: u64, inode: u64, path: &str) -> String {
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xffff_ff00);
    format!("7f00-7f01 r-xp 00000000 {major:02x}:{minor:02x} {inode}    {path}\n")
}

fn numbers(dir: &Path, path: &str) -> (u64, u64) {
    let metadata = fs::metadata(dir.join(path)).unwrap();
    (metadata.dev(), metadata.ino())
}

type Said = (String, Option<String>, Option<String>, String, Option<String>);

fn scan(host: &Host) -> Vec<Said> {
    let (rows, faults, _) = rows_of::<LiveRow>(host, probe);
    assert!(faults.is_empty(), "{faults:?}");
    rows.into_iter().map(|it| (it.state, it.program, it.service, it.file.unwrap(), it.package)).collect()
}

fn said(state: &str, service: Option<&str>, file: &str, package: Option<&str>) -> Said {
    let owned = |it: &str| it.to_owned();
    (owned(state), Some(owned("/usr/sbin/daemon")), service.map(owned), owned(file), package.map(owned))
}

const GROUP: &str = "0::/system.slice/demo.service\n";

#[test]
fn an_upgraded_library_names_program_service_and_package_once() {
    let (dir, host) = running();
    let (device, inode) = numbers(dir.path(), "usr/lib/libdemo.so.1");
    let old = line(device, inode + 1_000_000, "/usr/lib/libdemo.so.1 (deleted)");
    for number in [70, 71] {
        process(dir.path(), number, "/usr/sbin/daemon", GROUP, std::slice::from_ref(&old));
    }
    let expected = said("replaced", Some("demo"), "/usr/lib/libdemo.so.1", Some("libdemo1"));
    assert_eq!(scan(&host), [expected]);
}

#[test]
fn a_process_of_the_installed_files_has_no_row() {
    let (dir, host) = running();
    let (device, inode) = numbers(dir.path(), "usr/lib/libdemo.so.1");
    let maps = [
        line(device, inode, "/usr/lib/libdemo.so.1"),
        // Back under its name, as after an upgrade that was undone.
        line(device, inode, "/usr/lib/libdemo.so.1 (deleted)"),
        line(1, 5, "/memfd:doublemapper (deleted)"),
        line(device, 5, "/tmp/jna-1/jna2.tmp (deleted)"),
        line(0, 0, "[vdso]"),
        // A number of another device says nothing: btrfs, overlayfs.
        line(device + 1, inode + 1, "/usr/lib/libdemo.so.1"),
        line(device, inode, "/usr/lib/not-seen-from-here.so"),
    ];
    process(dir.path(), 70, "/usr/sbin/daemon", GROUP, &maps);
    process(dir.path(), 71, "/memfd:runc_cloned:/proc/self/exe (deleted)", "", &[]);
    assert_eq!(scan(&host), []);
}

#[test]
fn a_versioned_library_that_is_gone_belongs_to_its_sonames_package() {
    let (dir, host) = running();
    process(dir.path(), 70, "/usr/sbin/daemon", "", &[line(9, 9, "/usr/lib/libdemo.so.1.0.1 (deleted)")]);
    assert_eq!(scan(&host), [said("deleted", None, "/usr/lib/libdemo.so.1.0.1", Some("libdemo1"))]);
}

#[test]
fn a_deleted_program_is_said_even_when_its_code_moved_to_plain_memory() {
    let (dir, host) = running();
    process(dir.path(), 70, "/usr/sbin/daemon (deleted)", GROUP, &[]);
    process(dir.path(), 71, "/usr/sbin/daemon;5f3a0b1c (deleted)", GROUP, &[]);
    let rows = scan(&host);
    assert_eq!(rows[0], said("replaced", Some("demo"), "/usr/sbin/daemon", Some("daemon")));
    assert_eq!(rows[1].3, "/usr/sbin/daemon");
}

#[test]
fn another_file_under_the_same_name_is_a_replaced_one() {
    let (dir, host) = running();
    let (device, inode) = numbers(dir.path(), "usr/lib/libdemo.so.1");
    let maps = [line(device, inode + 1, "/usr/lib/libdemo.so.1")];
    process(dir.path(), 70, "/usr/sbin/daemon", GROUP, &maps);
    let expected = said("replaced", Some("demo"), "/usr/lib/libdemo.so.1", Some("libdemo1"));
    assert_eq!(scan(&host), [expected]);
    // The same lines of a container speak of its own files.
    write(dir.path(), "proc/70/mountinfo", CONTAINER.as_bytes());
    assert_eq!(scan(&host), []);
}

#[test]
fn what_a_container_deleted_is_said_without_the_hosts_package() {
    let (dir, host) = running();
    process(dir.path(), 70, "/usr/sbin/daemon", "", &[line(9, 9, "/usr/lib/libdemo.so.1 (deleted)")]);
    write(dir.path(), "proc/70/mountinfo", CONTAINER.as_bytes());
    let (rows, _, _) = rows_of::<LiveRow>(&host, probe);
    assert_eq!((rows[0].source.as_str(), rows[0].state.as_str()), ("linux/mapped-elsewhere", "deleted"));
    assert_eq!((rows.len(), rows[0].package.clone()), (1, None));
}

#[test]
fn names_of_a_package_manager_at_work_are_not_shown() {
    let (dir, host) = running();
    let maps = ["libdemo.so.1.dpkg-new", "libdemo.so.1.dpkg-tmp", "libdemo.so.1;5f3a0b1c", "a;b"]
        .map(|it| line(9, 9, &format!("/usr/lib/{it} (deleted)")));
    process(dir.path(), 70, "/usr/sbin/daemon", "", &maps);
    let files: Vec<_> = scan(&host).into_iter().map(|it| (it.0, it.3)).collect();
    assert_eq!(
        files,
        [("deleted".into(), "/usr/lib/a;b".into()), ("replaced".into(), "/usr/lib/libdemo.so.1".into())]
    );
}

#[test]
fn a_name_that_ends_like_the_kernels_mark_is_no_deleted_file() {
    let (dir, host) = running();
    write(dir.path(), "opt/a (deleted)", b"");
    let (device, inode) = numbers(dir.path(), "opt/a (deleted)");
    process(dir.path(), 70, "/opt/a (deleted)", "", &[line(device, inode, "/opt/a (deleted)")]);
    assert_eq!(scan(&host), []);
}

#[test]
fn broken_maps_and_hidden_processes_are_gaps() {
    let (dir, host) = running();
    process(dir.path(), 70, "/usr/sbin/daemon", "", &["rubbish\n".to_owned()]);
    fs::remove_dir_all(dir.path().join("proc/1")).unwrap();
    let (rows, faults, _) = rows_of::<LiveRow>(&host, probe);
    assert!(rows.is_empty());
    assert_eq!(
        faults,
        [
            "proc shows a part of the processes only (mount option hidepid)",
            "maps of /usr/sbin/daemon: not all of them can be read"
        ]
    );
}

#[test]
fn a_process_that_ends_is_no_gap() {
    let (dir, host) = running();
    process(dir.path(), 70, "/usr/sbin/daemon", "", &[]);
    fs::remove_file(dir.path().join("proc/70/maps")).unwrap();
    assert_eq!(scan(&host), []);
}
