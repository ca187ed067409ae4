//! The agent only looks: its system calls, traced, show no child, no listening socket, and no
//! file opened for writing outside its state directory.

use std::path::Path;

use holdpoint_tests::program::{self, ZoneProcess, succeed, text};

/// Runs the agent under `strace`; `None` where there is no `strace` or tracing is forbidden.
fn traced(arguments: &[&str], trace: &Path) -> Option<Vec<String>> {
    let agent = program::program("holdpoint-agent").get_program().to_owned();
    let output = program::tool("strace")
        .args(["-f", "-qq", "-e", "trace=%process,%network,open,openat,openat2,creat,unlink,rename", "-o"])
        .arg(trace)
        .arg(agent)
        .args(arguments)
        .output()
        .ok()?;
    let calls = std::fs::read_to_string(trace).ok().filter(|it| !it.is_empty())?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(calls.lines().map(str::to_owned).collect())
}

fn named<'a>(calls: &'a [String], names: &[&str]) -> Vec<&'a String> {
    let is = |call: &str, name: &str| call.split_whitespace().nth(1).is_some_and(|it| it.starts_with(name));
    calls.iter().filter(|call| names.iter().any(|name| is(call, &format!("{name}(")))).collect()
}

/// Whether a call connects to the message bus of a system on which one runs.
fn is_bus(call: &str) -> bool {
    call.contains("sa_family=AF_UNIX, sun_path=\"/run/dbus/system_bus_socket\"")
}

#[test]
fn a_scan_starts_no_process_and_has_no_socket_to_a_network() {
    let dir = tempfile::tempdir().unwrap();
    let Some(calls) = traced(&["scan", "-o", "json"], &dir.path().join("trace")) else {
        println!("left out: strace is not here or may not trace");
        return;
    };
    assert_eq!(named(&calls, &["execve", "execveat"]).len(), 1, "its own start and no other");
    assert_eq!(named(&calls, &["fork", "vfork"]).len(), 0);
    let cloned = named(&calls, &["clone", "clone3"]);
    assert!(cloned.iter().all(|it| it.contains("CLONE_THREAD")), "threads at most: {cloned:#?}");
    assert!(named(&calls, &["listen", "bind"]).is_empty());
    let elsewhere: Vec<_> = named(&calls, &["connect"]).into_iter().filter(|it| !is_bus(it)).collect();
    assert!(elsewhere.is_empty(), "only to the system's message bus: {elsewhere:#?}");
    let sockets = named(&calls, &["socket", "socketpair"]);
    assert!(!sockets.iter().any(|it| it.contains("AF_INET")), "{sockets:#?}");
    let written: Vec<_> = named(&calls, &["open", "openat", "openat2", "creat"])
        .into_iter()
        .filter(|it| it.contains("O_WRONLY") || it.contains("O_RDWR") || it.contains("O_CREAT"))
        .collect();
    assert!(written.is_empty(), "{written:#?}");
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
        named(&calls, &["execve", "execveat", "fork", "vfork"]).len(),
        1,
        "its own start and no other"
    );
    assert!(named(&calls, &["listen", "accept", "accept4"]).is_empty());
    let port = format!("htons({})", zone.address.port());
    for call in named(&calls, &["connect"]).into_iter().filter(|it| !is_bus(it)) {
        assert!(call.contains(&port), "only to the collector: {call}");
    }
    let inside = text(&state);
    for call in named(&calls, &["open", "openat", "openat2", "creat"]) {
        let writes = call.contains("O_WRONLY") || call.contains("O_RDWR") || call.contains("O_CREAT");
        assert!(!writes || call.contains(inside), "only below {inside}: {call}");
    }
}
