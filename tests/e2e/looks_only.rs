//! The agent only looks: its system calls, traced, show no child, no listening socket, no file opened
//! for writing outside its state directory, and no path that is not on the published read list.

use std::collections::BTreeSet;
use std::path::Path;

use holdpoint_agent::host::{Access, ReadList};
use holdpoint_agent::scan::read_list;
use holdpoint_tests::program::{self, ZoneProcess, succeed, text};

/// One system call as `strace` writes it: name, and everything after the opening parenthesis.
struct Call {
    name: String,
    rest: String,
}

impl Call {
    fn read(line: &str) -> Option<Self> {
        let (_process, call) = line.split_once(' ')?;
        let (name, rest) = call.trim_start().split_once('(')?;
        let is_name = name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
        is_name.then(|| Self { name: name.to_owned(), rest: rest.to_owned() })
    }

    fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
    }

    fn opens(&self) -> bool {
        self.is(&["open", "openat", "openat2", "creat"])
    }

    fn writes(&self) -> bool {
        self.is(&["creat"])
            || ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"]
                .iter()
                .any(|it| self.rest.contains(it))
    }

    /// The path that it names; `None` when it works on an open file.
    fn path(&self) -> Option<String> {
        let start = self.rest.find('"')?;
        let is_first = self.rest[..start].is_empty()
            || self.rest.starts_with("AT_FDCWD")
            || self.rest[..start].bytes().all(|it| it.is_ascii_digit() || b", ".contains(&it));
        let quoted = &self.rest[start + 1..];
        let mut path = String::new();
        let mut characters = quoted.chars();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => path.extend(characters.next()),
                other => path.push(other),
            }
        }
        (is_first && !path.is_empty()).then_some(path)
    }
}

/// Runs the agent under `strace`; `None` where there is no `strace` or tracing is forbidden.
fn traced(arguments: &[&str], trace: &Path) -> Option<Vec<Call>> {
    let agent = program::program("holdpoint-agent").get_program().to_owned();
    let output = program::tool("strace")
        .args(["-f", "-qq", "-e", "trace=%process,%network,%file,io_uring_setup", "-o"])
        .arg(trace)
        .arg(agent)
        .args(arguments)
        // The test's own start has left a path here that no installed agent has.
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .ok()?;
    let calls = std::fs::read_to_string(trace).ok().filter(|it| !it.is_empty())?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(calls.lines().filter_map(Call::read).collect())
}

fn named<'a>(calls: &'a [Call], names: &'a [&str]) -> impl Iterator<Item = &'a Call> {
    calls.iter().filter(move |it| it.is(names))
}

/// Calls of a path that are not on the list; each once.
fn off_the_list(calls: &[Call], list: &ReadList) -> BTreeSet<String> {
    // Starting the program is the one thing that the agent does not do itself.
    let not_files = [
        "execve",
        "connect",
        "bind",
        "sendto",
        "sendmsg",
        "recvfrom",
        "recvmsg",
        "socket",
        "setsockopt",
        "getsockopt",
    ];
    let looked = calls.iter().filter(|it| !it.is(&not_files));
    looked
        .filter_map(|call| {
            let path = call.path()?;
            let place = Path::new(&path);
            let may = if call.opens() {
                list.may_read(place) || list.may_list(place)
            } else {
                list.may_look(place)
            };
            (!may).then(|| format!("{} {path}", call.name))
        })
        .collect()
}

/// No child, no ears, nothing written; and only kinds of sockets that reach no network.
fn only_looks(calls: &[Call]) {
    assert_eq!(named(calls, &["execve", "execveat"]).count(), 1, "its own start and no other");
    assert_eq!(named(calls, &["fork", "vfork"]).count(), 0);
    assert!(named(calls, &["clone"]).all(|it| it.rest.contains("CLONE_THREAD")), "threads at most");
    // Where the cage answers that the newer call is not there, nothing was started by it.
    let started = named(calls, &["clone3"]).filter(|it| !it.rest.contains("= -1 ENOSYS"));
    assert!(started.into_iter().all(|it| it.rest.contains("CLONE_THREAD")), "threads at most");
    assert_eq!(named(calls, &["listen", "accept", "accept4", "io_uring_setup"]).count(), 0);
    let changing = [
        "unlink",
        "unlinkat",
        "rename",
        "renameat",
        "renameat2",
        "mkdir",
        "mkdirat",
        "rmdir",
        "link",
        "linkat",
        "symlink",
        "symlinkat",
        "chmod",
        "fchmodat",
        "fchmodat2",
        "chown",
        "lchown",
        "fchownat",
        "truncate",
        "mknod",
        "mknodat",
        "utime",
        "utimes",
        "utimensat",
        "setxattr",
        "lsetxattr",
        "mount",
        "umount2",
        "chroot",
        "pivot_root",
    ];
    let changed: Vec<_> = named(calls, &changing).map(|it| format!("{} {}", it.name, it.rest)).collect();
    assert!(changed.is_empty(), "{changed:#?}");
}

#[test]
fn a_scan_starts_nothing_writes_nothing_and_keeps_to_its_read_list() {
    let dir = tempfile::tempdir().unwrap();
    let Some(calls) = traced(&["scan", "-o", "json"], &dir.path().join("trace")) else {
        println!("left out: strace is not here or may not trace");
        return;
    };
    only_looks(&calls);
    let written: Vec<_> =
        calls.iter().filter(|it| it.opens() && it.writes()).map(|it| it.rest.clone()).collect();
    assert!(written.is_empty(), "{written:#?}");
    let strayed = off_the_list(&calls, &read_list());
    assert!(strayed.is_empty(), "not in agent/READS.md: {strayed:#?}");
    // Allowed and listed: the kernel's own answers, and one connection to a bus that runs already.
    let sockets: BTreeSet<_> = named(&calls, &["socket"]).map(|it| it.rest.clone()).collect();
    println!("sockets of a scan: {sockets:#?}");
    assert!(
        sockets.iter().all(|it| it.starts_with("AF_NETLINK") || it.starts_with("AF_UNIX")),
        "{sockets:#?}"
    );
    let connected: Vec<_> = named(&calls, &["connect"]).map(|it| it.rest.clone()).collect();
    assert!(connected.len() <= 1, "{connected:#?}");
    assert!(connected.iter().all(|it| it.contains("AF_UNIX") && it.contains("dbus")), "{connected:#?}");
}

#[test]
fn a_scan_of_another_root_touches_nothing_outside_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("image");
    std::fs::create_dir_all(root.join("var/lib/dpkg")).unwrap();
    std::fs::create_dir_all(root.join("etc")).unwrap();
    std::fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", root.join("etc/passwd")).unwrap();
    let trace = dir.path().join("trace");
    let Some(calls) = traced(&["scan", "--root", text(&root), "-o", "json"], &trace) else {
        println!("left out: strace is not here or may not trace");
        return;
    };
    only_looks(&calls);
    assert_eq!(named(&calls, &["socket"]).count(), 0, "another root has no kernel to ask");
    // The program itself, and the directories that lead to the root.
    let mut list = ReadList::new(holdpoint_agent::host::RUNTIME);
    list.add(&format!("{}/**", text(&root)), Access::Read);
    let strayed = off_the_list(&calls, &list);
    assert!(strayed.is_empty(), "{strayed:#?}");
}

#[test]
fn a_report_talks_to_its_collector_alone_and_writes_its_state_alone() {
    let zone = ZoneProcess::start();
    let state = zone.beside("agent");
    let address = zone.address.to_string();
    let token = zone.token(1);
    succeed(
        "holdpoint-agent",
        &["enroll", "--collector", &address, "--token", &token, "--state", text(&state)],
    );
    let Some(calls) = traced(&["run", "--state", text(&state), "--once"], &zone.beside("trace")) else {
        println!("left out: strace is not here or may not trace");
        return;
    };
    assert_eq!(
        named(&calls, &["execve", "execveat", "fork", "vfork"]).count(),
        1,
        "its own start and no other"
    );
    assert_eq!(named(&calls, &["listen", "accept", "accept4"]).count(), 0);
    let port = format!("htons({})", zone.address.port());
    for call in named(&calls, &["connect"]).filter(|it| !it.rest.contains("AF_UNIX")) {
        assert!(call.rest.contains(&port), "only to the collector: {}", call.rest);
    }
    let inside = text(&state);
    for call in calls.iter().filter(|it| it.opens() && it.writes()) {
        assert!(call.path().is_some_and(|it| it.starts_with(inside)), "only below {inside}: {}", call.rest);
    }
    let mut list = read_list();
    list.add(&format!("{inside}/**"), Access::Read);
    let strayed = off_the_list(&calls, &list);
    assert!(strayed.is_empty(), "not in agent/READS.md: {strayed:#?}");
}
