//! The plant's network: name spaces of its own, in which the test itself, the collector and every host live.
//!
//! Nothing that a test does there is left behind, however it ends: with the first process goes everything that it
//! started, mounted or wired. No address of the machine is touched; these are for documentation (RFC 5737).

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use holdpoint_tests::program::tool;

const INSIDE: &str = "HOLDPOINT_TEST_PLANT";
const SWITCH: &str = "plant";
const PREFIX: u8 = 24;

/// Where hosts find the collector.
pub(super) const COLLECTOR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The directory of the plant in which this process runs; `None` outside.
pub(super) fn here() -> Option<PathBuf> {
    std::env::var_os(INSIDE).map(PathBuf::from)
}

/// Runs a test of this program once more, in a plant of its own.
pub(super) fn run(test: &str) {
    let program = std::env::current_exe().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut command = tool("unshare");
    command.args(["--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"]).arg(program);
    command.args(["--exact", test, "--nocapture"]).env(INSIDE, dir.path());
    let ended = command.status().unwrap();
    assert!(ended.success(), "{test} in its plant ended with {ended}");
}

/// Puts up the switch that everything hangs on. What hosts write stays in memory: package managers wait for the
/// disk after each file, and these disks need not outlive the power.
pub(super) fn build(dir: &Path) {
    let mounted = tool("mount").args(["-t", "tmpfs", "-o", "size=4g", "plant"]).arg(dir).status().unwrap();
    assert!(mounted.success(), "{}: {mounted}", dir.display());
    ip(&["link", "set", "lo", "up"]);
    ip(&["link", "add", "name", SWITCH, "type", "bridge"]);
    ip(&["address", "add", &format!("{COLLECTOR}/{PREFIX}"), "dev", SWITCH]);
    ip(&["link", "set", SWITCH, "up"]);
}

/// Puts a copy in the place of a directory of the machine, for this plant alone.
pub(super) fn copy_of(dir: &Path, directory: &Path) {
    let copy = dir.join(directory.file_name().unwrap());
    let copied = tool("cp").arg("-a").arg(directory).arg(&copy).status().unwrap();
    assert!(copied.success(), "{}: {copied}", directory.display());
    let mounted = tool("mount").arg("--bind").arg(&copy).arg(directory).status().unwrap();
    assert!(mounted.success(), "{}: {mounted}", directory.display());
}

/// Wires a host: `pid` is its first process, `number` counts hosts from 1.
pub(super) fn connect(name: &str, pid: u32, number: u8) {
    let pid = pid.to_string();
    // The cable of an earlier boot goes with its name space, which the kernel takes down when it finds the time.
    drop(tool("ip").args(["link", "delete", name]).output());
    ip(&["link", "add", "name", name, "type", "veth", "peer", "name", "eth0", "netns", &pid]);
    ip(&["link", "set", name, "master", SWITCH, "up"]);
    let [a, b, c, _] = COLLECTOR.octets();
    let address = format!("{}/{PREFIX}", Ipv4Addr::new(a, b, c, 10 + number));
    let there = |arguments: &[&str]| {
        let mut command = tool("nsenter");
        command.args(["--target", &pid, "--net", "ip"]).args(arguments);
        assert!(command.status().unwrap().success(), "{name}: ip {arguments:?}");
    };
    there(&["link", "set", "lo", "up"]);
    there(&["address", "add", &address, "dev", "eth0"]);
    there(&["link", "set", "eth0", "up"]);
}

fn ip(arguments: &[&str]) {
    let done = tool("ip").args(arguments).status().unwrap();
    assert!(done.success(), "ip {arguments:?}");
}
