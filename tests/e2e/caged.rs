//! The agent's cage as others see it: what the system says about its threads, what an operator hears while
//! the agent may not look, and what systemd thinks of its unit.

use std::fs;
use std::time::{Duration, Instant};

use holdpoint_common::one_shot::OneShot;
use holdpoint_tests::program::{Running, ZoneProcess, ask, run, succeed, text, tool, wait};
use serde_json::Value;

/// What a unit's exposure stays under; systemd counts in tenths.
const LEAST_EXPOSURE: &str = "19";

fn cage(asset: &Value) -> Vec<&str> {
    let rows = &asset["sections"]["self"]["rows"];
    rows[0]["cage"].as_array().map(|it| it.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

#[test]
fn an_operator_hears_at_once_that_a_host_may_not_be_looked_at() {
    let zone = ZoneProcess::start();
    let state = zone.beside("agent");
    let address = zone.address.to_string();
    let token = zone.token(1);
    succeed(
        "holdpoint-agent",
        &["enroll", "--collector", &address, "--token", &token, "--state", text(&state)],
    );
    let agent = Running::start("holdpoint-agent", &["run", "--state", text(&state)]);
    let profile = zone.operator();
    let assets = || ask(&profile, &["assets"]);
    wait("the first inventory is there", || assets()[0]["software_count"].is_u64());
    let id = assets()[0]["id"].as_str().unwrap().to_owned();
    let rescan = |patience: &str| {
        let output =
            run("holdpoint", &["--profile", text(&profile), "-o", "json", "rescan", &id, "--wait", patience]);
        serde_json::from_slice::<Value>(&output.stdout).expect("one JSON document")[0].clone()
    };
    wait("it can be asked", || rescan("20s")["answered"] == true);

    let kill = state.join("kill");
    fs::write(&kill, "").unwrap();
    let asked = Instant::now();
    let declined = rescan("20s");
    assert_eq!(declined["answered"], false, "{declined}");
    assert_eq!(declined["reason"], "kill-file", "{declined}");
    assert!(asked.elapsed() < Duration::from_secs(5), "nobody waits for what will not come: {declined}");
    let once = run("holdpoint-agent", &["run", "--state", text(&zone.beside("nowhere")), "--once"]);
    assert_eq!(once.status.code(), Some(2), "not enrolled");

    fs::remove_file(&kill).unwrap();
    let lifted = Instant::now();
    let answered = rescan("20s");
    assert_eq!(answered["answered"], true, "{answered}");
    assert!(lifted.elapsed() < Duration::from_secs(10), "by itself, and soon");

    let shown = ask(&profile, &["asset", "show", &id]);
    let caged = cage(&shown);
    println!("the cage here: {caged:?}");
    for name in ["idle-cpu", "idle-io", "memory-ceiling", "nice", "no-new-privileges", "no-write", "seccomp"]
    {
        assert!(caged.contains(&name), "{caged:?} lacks {name}");
    }
    threads_are_caged(&agent, caged.iter().any(|it| it.starts_with("landlock")));
}

/// The kernel's own word about every thread of a running agent.
fn threads_are_caged(agent: &Running, has_landlock: bool) {
    let process = format!("/proc/{}", agent.pid());
    let mut threads = 0;
    for thread in fs::read_dir(format!("{process}/task")).unwrap() {
        let thread = thread.unwrap().path();
        let status = fs::read_to_string(thread.join("status")).unwrap();
        for line in ["Seccomp:\t2", "NoNewPrivs:\t1"] {
            assert!(status.lines().any(|it| it == line), "{} lacks {line}:\n{status}", thread.display());
        }
        threads += 1;
    }
    assert!(threads >= 2, "the thread that scans lives as long as the agent");
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    let limit = |name: &str| limits.lines().find(|it| it.starts_with(name)).unwrap().to_owned();
    assert!(limit("Max core file size").contains(" 0 "), "{limits}");
    assert!(limit("Max data size").contains(" 67108864 "), "{limits}");
    println!("threads: {threads}, Landlock: {has_landlock}");
}

#[test]
fn an_agent_that_reports_once_says_that_it_may_not_look() {
    let zone = ZoneProcess::start();
    let state = zone.beside("agent");
    let address = zone.address.to_string();
    let token = zone.token(1);
    let enroll = ["enroll", "--collector", &address, "--token", &token, "--state", text(&state)];
    succeed("holdpoint-agent", &enroll);
    fs::write(state.join("kill"), "").unwrap();
    let once = run("holdpoint-agent", &["run", "--state", text(&state), "--once"]);
    let said = String::from_utf8_lossy(&once.stderr).into_owned();
    assert_eq!(once.status.code(), Some(1), "{said}");
    assert!(said.contains("kill file") && said.contains("remove it"), "{said}");
}

#[test]
fn a_result_is_written_where_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("here.oneshot");
    let state = dir.path().join("state");
    succeed(
        "holdpoint-agent",
        &["scan", "--section", "accounts", "--out", text(&file), "--state", text(&state)],
    );
    let read = OneShot::read(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(read.sections.len(), 2, "the platform says which machine it is of");
    assert!(!state.exists(), "a host that is not enrolled keeps no state");
}

#[test]
fn the_units_exposure_stays_low() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/systemd/holdpoint-agent.service");
    let arguments = ["security", "--offline=yes", "--no-pager", "--threshold", LEAST_EXPOSURE, unit];
    let Ok(output) = tool("systemd-analyze").args(arguments).output() else {
        println!("left out: systemd-analyze is not here");
        return;
    };
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !printed.contains("Overall exposure level") {
        println!("left out: this systemd-analyze reads no unit that is not loaded");
        return;
    }
    println!("{}", printed.lines().last().unwrap_or_default());
    assert!(output.status.success(), "{printed}");
}
