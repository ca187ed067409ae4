//! The window of the README's tour, on this machine.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use holdpoint_tests::program::{Running, ZoneProcess, ask, free_address, run, succeed, text, wait};
use serde_json::Value;

use super::board::{Change, operator};
use super::plant;

/// The port of the plan; another one is taken here, as it may be in use.
const PORT: &str = "4999";

#[test]
fn the_tour_has_a_failing_and_a_passing_verdict() {
    if let Some(reason) = super::missing() {
        println!("left out: {reason}");
        return;
    }
    // An agent that may not see every process says so, and a listener is then nobody's proof: here it sees all.
    match plant::here() {
        Some(dir) => {
            plant::build(&dir);
            tour();
        }
        None => plant::run("window::tour::the_tour_has_a_failing_and_a_passing_verdict"),
    }
}

fn tour() {
    let mut zone = ZoneProcess::start();
    let address = zone.address.to_string();
    let state = zone.beside("agent");
    let token = zone.token(1);
    let enroll = ["enroll", "--collector", &address, "--token", &token, "--state", text(&state)];
    succeed("holdpoint-agent", &enroll);
    let _agent = Running::start("holdpoint-agent", &["--log", "warn", "run", "--state", text(&state)]);
    let planner = ["engineer", "ot-security", "control-engineer", "maintenance"];
    let planner = operator(&zone, "planner", "planner", &planner);
    let shift = operator(&zone, "shift", "shift", &["operations", "plant-safety"]);
    let assets = || ask(&planner, &["assets"]);
    wait("the first inventory is there", || assets()[0]["software_count"].as_u64().unwrap_or(0) > 0);
    let asset = assets()[0].clone();
    let id = asset["id"].as_str().unwrap();

    let port = free_address().port().to_string();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/tour/window/plan.toml");
    let plan = fs::read_to_string(file).unwrap().replace("THIS-HOST", asset["name"].as_str().unwrap());
    let written = zone.beside("plan.toml");
    fs::write(&written, plan.replace(PORT, &port)).unwrap();
    let decision = zone.beside("safety.hpd");
    let mut change = Change::new(&mut zone, &planner, &written);
    change.does(&planner, "submit", &[]);
    change.does(&planner, "sign", &["--role", "ot-security"]);
    change.does(&planner, "sign", &["--role", "control-engineer"]);
    change.does(&planner, "sign", &["--role", "maintenance", "--rollback-verified"]);
    change.does(&shift, "sign", &["--role", "operations"]);
    let offline = ["--role", "plant-safety", "--offline", "--plan", text(&written), "--out", text(&decision)];
    change.does(&shift, "sign", &offline);
    ask(&planner, &["import", text(&decision)]);

    let open = ["--profile", text(&planner), "change", "open", &change.id, "--stage", "1"];
    let refused = run("holdpoint", &open);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("window: ") && said.contains("backup-age: "),
        "{said}"
    );
    change.does(&planner, "open", &["--stage", "1", "--override", "a tour, not a plant"]);
    change.does(&planner, "complete", &["--stage", "1"]);
    let verdict = |verified: &Value| super::whole(verified, id)["verdict"].clone();
    let (code, verified) = change.step(&planner, &["verify"], &["--stage", "1"]);
    assert_eq!((code, verdict(&verified)), (Some(1), "NOT_REMEDIATED".into()), "{verified:#}");

    // The work.
    let _station = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    change.does(&planner, "complete", &["--stage", "1"]);
    let verified = change.does(&planner, "verify", &["--stage", "1"]);
    assert_eq!(verdict(&verified), "REMEDIATED", "{verified:#}");

    // On a machine that others use, other things may move meanwhile.
    let moved = verified["collateral"].as_array().unwrap();
    let numbers: Vec<String> = moved.iter().map(|it| it["number"].to_string()).collect();
    if !numbers.is_empty() {
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        change.does(&shift, "explain", &[&numbers[..], &["--reason", "this machine is used"]].concat());
    }
    change.step(&shift, &["test", "record"], &["FTP-1", "--role", "operations", "--observe", "page=1s"]);
    ask(&planner, &["baseline", "approve", id, "--change", &change.id]);
    change.does(&planner, "lessons", &["--text", "none"]);
    let closed = change.does(&planner, "close", &[]);
    assert_eq!(closed["state"], "closed", "{closed:#}");
    let id = change.id.clone();
    super::evidence(&planner, &id, &zone.beside(""));
}
