//! Two name spaces and the line between them, set up with the files that are deployed.
//!
//! Each name space is held by a process of this test that waits for the end of its input. So none has a name that
//! could be another's, and all goes with this process, however it ends.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use holdpoint_tests::program::{program, tool, wait};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

/// Addresses and port of the deployed rules.
pub(super) const FROM: &str = "10.20.4.1:6000";
pub(super) const TO: &str = "10.20.4.2:6000";
/// The receiver's interface has this address, and the sender has it written down.
const RECEIVER_MAC: &str = "02:00:00:00:00:0b";
/// Bits of `capabilities(7)`: to make name spaces, and to wire them.
const CAPABILITIES: u64 = 1 << 21 | 1 << 12;

/// Whether a line can be set up here. A refusal in spite of that is a failure.
pub(super) fn is_possible() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|it| it.strip_prefix("CapEff:")).unwrap_or("0").trim();
    if u64::from_str_radix(effective, 16).unwrap() & CAPABILITIES != CAPABILITIES {
        println!("left out: name spaces of the network need root (CAP_SYS_ADMIN, CAP_NET_ADMIN)");
        return false;
    }
    ["unshare", "nsenter", "ip", "nft", "sysctl"].iter().all(|it| has(it))
}

/// Whether a tool is here; says so when it is not.
pub(super) fn has(name: &str) -> bool {
    let is_here = tool(name).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !is_here {
        println!("left out: {name} is not here");
    }
    is_here
}

fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dmz").join(name)
}

/// A name space of the network.
pub(super) struct Space(Child);

impl Space {
    fn new() -> Self {
        let mut holder = tool("unshare");
        holder.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let space = Self(holder.spawn().unwrap());
        let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
        wait("the name space is there", || of(&space.pid()) != of("self"));
        space.run("ip", &["link", "set", "lo", "up"]);
        space
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    /// A program of the system, in here; it has the process id of what is started.
    pub(super) fn tool(&self, name: &str) -> Command {
        let mut command = tool("nsenter");
        command.args(["--target", &self.pid(), "--net", "--", name]);
        command
    }

    /// The collector, in here.
    pub(super) fn collector(&self) -> Command {
        self.tool(program("holdpoint-collector").get_program().to_str().unwrap())
    }

    /// Runs a tool that must succeed; what it printed.
    pub(super) fn run(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.tool(name).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Gives rules to the packet filter.
    pub(super) fn rules(&self, rules: &str) {
        let mut nft = self.tool("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
        assert!(nft.wait().unwrap().success(), "{rules}");
    }

    /// A socket in here, for this process.
    pub(super) fn socket(&self, at: &str) -> UdpSocket {
        let name_space = File::open(format!("/proc/{}/ns/net", self.pid())).unwrap();
        let open = || {
            move_into_link_name_space(name_space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            UdpSocket::bind(at).unwrap()
        };
        // The thread that went there ends there.
        let socket = thread::scope(|it| it.spawn(open).join().unwrap());
        let buffer = 32 * 1024 * 1024;
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, buffer).unwrap();
        socket
    }

    /// Waits until somebody has opened the port of the line.
    pub(super) fn is_listened_on(&self) {
        wait("the port is open", || self.run("cat", &["/proc/net/udp"]).contains(":1770 "));
    }

    /// Every named counter of the packet filter, in packets.
    fn counters(&self) -> BTreeMap<String, u64> {
        let listed: Value = serde_json::from_str(&self.run("nft", &["-j", "list", "counters"])).unwrap();
        let counters = listed["nftables"].as_array().unwrap().iter().map(|it| &it["counter"]);
        let named = |it: &Value| Some((it["name"].as_str()?.to_owned(), it["packets"].as_u64()?));
        counters.filter_map(named).collect()
    }

    /// One counter.
    pub(super) fn counter(&self, name: &str) -> u64 {
        let counters = self.counters();
        *counters.get(name).unwrap_or_else(|| panic!("{name} is none of {counters:?}"))
    }

    /// Packets of the interface of the line: those that came in, those that left.
    fn packets(&self) -> (u64, u64) {
        let shown = self.run("ip", &["-s", "-j", "link", "show", "dev", "diode0"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let of = |way: &str| shown[0]["stats64"][way]["packets"].as_u64().unwrap();
        (of("rx"), of("tx"))
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // It may be gone by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The two ends, wired.
pub(super) struct Wire {
    pub(super) sender: Space,
    pub(super) receiver: Space,
}

impl Wire {
    /// As a person sets it up: the network first, then the rules.
    pub(super) fn set_up() -> Self {
        let wire = Self { sender: Space::new(), receiver: Space::new() };
        let Self { sender, receiver } = &wire;
        let pair = ["link", "add", "name", "line", "type", "veth"];
        let other = ["peer", "name", "line", "address", RECEIVER_MAC, "netns", &receiver.pid()];
        sender.run("ip", &[&pair[..], &other].concat());
        let up = deployed("diode-up");
        let up = up.to_str().unwrap();
        receiver.run(up, &["receive", "line", "10.20.4.2/24"]);
        sender.run(up, &["send", "line", "10.20.4.1/24", "10.20.4.2", RECEIVER_MAC]);
        // Rules are to see datagrams as a real line would carry them, and not several in one.
        sender.run("ip", &["link", "set", "dev", "diode0", "gso_max_segs", "1"]);
        receiver.run("nft", &["-f", deployed("diode-receiver.nft").to_str().unwrap()]);
        sender.run("nft", &["-f", deployed("diode-sender.nft").to_str().unwrap()]);
        wire
    }

    /// What the line does to datagrams, as a rule before those of the receiver. What it takes is counted by
    /// [`Self::lost`] when the rule says `counter name lost`.
    pub(super) fn spoil(&self, rule: &str) {
        let hook = "type filter hook ingress device \"diode0\" priority -10";
        self.receiver.rules(&format!(
            "table netdev weather {{\n  counter lost {{ }}\n  chain in {{ {hook};\n    {rule}\n  }}\n}}\n"
        ));
    }

    /// Makes the line good again.
    pub(super) fn clear(&self) {
        self.receiver.run("nft", &["delete", "table", "netdev", "weather"]);
    }

    /// Datagrams that were taken since the line was spoilt.
    pub(super) fn lost(&self) -> u64 {
        self.receiver.counter("lost")
    }

    /// Whatever went, or tried to go, from the receiver to the sender.
    pub(super) fn backwards(&self) -> Backwards {
        let counters = self.receiver.counters();
        let tried = |it: &str| counters.get(it).copied().unwrap_or(0);
        Backwards {
            silenced: tried("silenced"),
            attempts: tried("attempts"),
            left: self.receiver.packets().1,
            arrived: self.sender.packets().0,
            came_in: self.sender.counters().get("came_in").copied().unwrap_or(0),
        }
    }
}

/// What is 0 on a diode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Backwards {
    /// Packets that the receiver's machine made and its outgoing rules refused.
    pub(super) silenced: u64,
    /// Frames that came as far as the receiver's interface and were refused there.
    pub(super) attempts: u64,
    /// Frames that left the receiver's interface.
    pub(super) left: u64,
    /// Frames that arrived at the sender's interface.
    pub(super) arrived: u64,
    /// Those of them that the sender's rules saw.
    pub(super) came_in: u64,
}
