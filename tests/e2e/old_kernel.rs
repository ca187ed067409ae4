//! The static agent on a kernel as old as RHEL 7's.
//!
//! No such kernel runs here, so `strace` refuses every system call that Linux 3.10 does not have,
//! with the answer that a kernel gives for a number it does not know. What it cannot show: flags
//! of older calls (known ones are looked for in the trace), calls newer than `strace` itself (none
//! may be made), and an older kernel's other behaviour.
//! `tests/run` names the program in `HOLDPOINT_STATIC_AGENT` where the machine can build it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use holdpoint_tests::program::{self, ZoneProcess, ask, text, tool};
use serde_json::Value;

/// What later kernels have, as lines of number, name and version; `-` marks a flag.
const NEWER: &str = include_str!("../../deploy/cross/newer-than-3.10");
/// The last system call of Linux 3.10 on `x86_64` (`finit_module`).
const LAST: u32 = 313;
/// The last number below those that belong to another architecture (x32).
const END: u32 = 511;
/// `PT_INTERP` of elf(5): the program needs a loader.
const PT_INTERP: u32 = 3;

/// The static agent; says so where there is none.
fn static_agent() -> Option<PathBuf> {
    let agent = std::env::var_os("HOLDPOINT_STATIC_AGENT").map(PathBuf::from);
    if agent.is_none() {
        println!("left out: no static agent (deploy/cross/setup-musl makes this machine able to build it)");
    }
    agent
}

/// A run of the agent on the old kernel, and the lines of its trace.
struct Run {
    output: Output,
    calls: Vec<String>,
}

impl Run {
    /// `None` where there is no `strace` or tracing is forbidden.
    fn of(agent: &Path, arguments: &[&str], trace: &Path) -> Option<Self> {
        // The question mark passes over numbers that this `strace` does not know.
        let refused: Vec<String> = (LAST + 1..=END).map(|it| format!("?{it}")).collect();
        let output = tool("strace")
            .args(["-f", "-qq", "-o"])
            .arg(trace)
            .arg(format!("--inject={}:error=ENOSYS", refused.join(",")))
            .arg(agent)
            .args(arguments)
            .output()
            .ok();
        let calls = fs::read_to_string(trace).ok().filter(|it| !it.is_empty());
        let (Some(output), Some(calls)) = (output, calls) else {
            println!("left out: strace is not here or may not trace");
            return None;
        };
        Some(Self { output, calls: calls.lines().map(str::to_owned).collect() })
    }

    /// It did what was asked, without a newer call and without a newer flag.
    fn must_succeed(&self) {
        let said = String::from_utf8_lossy(&self.output.stderr);
        // So `strace` writes a call that it does not know, and so cannot refuse.
        let unknown = self.calls.iter().find(|it| it.contains(" syscall_0x"));
        assert!(unknown.is_none(), "newer than this strace: {unknown:?}");
        let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
        for call in self.calls.iter().filter(|it| it.ends_with("(INJECTED)")) {
            let name = call.split_once('(').map_or(call.as_str(), |(start, _)| start);
            *refused.entry(name.split_whitespace().last().unwrap_or(name)).or_default() += 1;
        }
        println!("refused, and done without: {refused:?}");
        assert!(self.output.status.success(), "without {refused:?}: {}\n{said}", self.output.status);
        for flag in NEWER.lines().filter_map(|it| it.strip_prefix("- ")) {
            let (name, version) = flag.split_once(' ').unwrap();
            let used = |call: &&String| {
                call.split(|it: char| !it.is_alphanumeric() && it != '_').any(|word| word == name)
            };
            let found = self.calls.iter().find(used);
            assert!(found.is_none(), "{name} came with Linux {version}: {found:?}");
        }
    }
}

#[test]
fn the_list_of_newer_calls_is_one_of_calls_that_the_old_kernel_lacks() {
    let mut last = LAST;
    for line in NEWER.lines().filter(|it| !it.starts_with(['#', '-'])) {
        let [number, _, version] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("no call: {line}");
        };
        let number: u32 = number.parse().unwrap();
        assert!(number > last && number <= END, "out of order or in 3.10 already: {line}");
        last = number;
        let (major, minor) = version.split_once('.').unwrap();
        let version: (u32, u32) = (major.parse().unwrap(), minor.parse().unwrap());
        assert!(version > (3, 10), "{line}");
    }
}

#[test]
fn the_static_agent_needs_no_loader_no_library_and_no_file() {
    let Some(agent) = static_agent() else { return };
    assert!(!segments(&fs::read(&agent).unwrap()).contains(&PT_INTERP), "it asks for a loader");

    let root = tempfile::tempdir().unwrap();
    fs::copy(&agent, root.path().join("agent")).unwrap();
    let scan = tool("chroot").arg(root.path()).args(["/agent", "scan", "-o", "json"]).output();
    match scan {
        Ok(scan) if scan.status.success() => {
            let answer: Value = serde_json::from_slice(&scan.stdout).unwrap();
            assert_eq!(answer["sections"]["software"]["status"], "unsupported", "there is nothing to see");
        }
        // 125 is chroot's own failure.
        Ok(scan) if scan.status.code() == Some(125) => println!("left out: only root may change its root"),
        other => panic!("{other:?}"),
    }
}

/// The kinds of the program's segments.
fn segments(elf: &[u8]) -> Vec<u32> {
    let short = |at: usize| usize::from(u16::from_le_bytes(elf[at..at + 2].try_into().unwrap()));
    let start = usize::try_from(u64::from_le_bytes(elf[32..40].try_into().unwrap())).unwrap();
    let (size, count) = (short(54), short(56));
    (0..count)
        .map(|it| start + it * size)
        .map(|at| u32::from_le_bytes(elf[at..at + 4].try_into().unwrap()))
        .collect()
}

#[test]
fn a_scan_on_an_old_kernel_sees_what_it_sees_on_this_one() {
    let Some(agent) = static_agent() else { return };
    let dir = tempfile::tempdir().unwrap();
    let scan = ["scan", "-o", "json"];
    let Some(old) = Run::of(&agent, &scan, &dir.path().join("trace")) else { return };
    old.must_succeed();
    let today = tool(text(&agent)).args(scan).output().unwrap();

    let (old, today) = (sections(&old.output.stdout), sections(&today.stdout));
    for (name, section) in &today {
        assert_eq!(old[name]["status"], section["status"], "{name}: {}", old[name]["reasons"]);
    }
    assert_eq!(old["software"]["digest"], today["software"]["digest"]);
}

fn sections(output: &[u8]) -> BTreeMap<String, Value> {
    let answer: Value = serde_json::from_slice(output).unwrap();
    answer["sections"].as_object().unwrap().iter().map(|(name, it)| (name.clone(), it.clone())).collect()
}

#[test]
fn an_agent_on_an_old_kernel_enrols_and_reports() {
    let Some(agent) = static_agent() else { return };
    let zone = ZoneProcess::start();
    let (state, trace) = (zone.beside("agent"), zone.beside("trace"));
    let (address, token) = (zone.address.to_string(), zone.token(1));
    let enroll = ["enroll", "--collector", &address, "--token", &token, "--state", text(&state)];
    let Some(enrolled) = Run::of(&agent, &enroll, &trace) else { return };
    enrolled.must_succeed();
    Run::of(&agent, &["run", "--state", text(&state), "--once"], &trace).unwrap().must_succeed();

    let assets = ask(&zone.operator(), &["assets"]);
    assert_eq!(assets.as_array().map(Vec::len), Some(1), "{assets}");
    program::succeed("holdpoint-agent", &["run", "--state", text(&state), "--once"]);
}
