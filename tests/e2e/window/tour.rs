//! The window of the README's tour, on this machine.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use holdpoint_tests::program::{Running, ZoneProcess, ask, run, succeed, text, wait};
use serde_json::Value;

use super::board::{Change, operator};
use super::plant;

/// What the plan is about.
const SETTINGS: &str = "/etc/tour-station.conf";
/// Where this machine's administrator says what else is read.
const FACTS: &str = "/etc/holdpoint-agent/facts.d";

#[test]
fn the_tour_has_a_failing_and_a_passing_verdict() {
    if let Some(reason) = super::missing() {
        println!("left out: {reason}");
        return;
    }
    // The tour writes below /etc: here that is a copy.
    match plant::here() {
        Some(dir) => {
            plant::build(&dir);
            plant::copy_of(&dir, Path::new("/etc"));
            tour();
        }
        None => plant::run("window::tour::the_tour_has_a_failing_and_a_passing_verdict"),
    }
}

fn tour() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/tour/window");
    fs::write(SETTINGS, "version = 1.0\n").unwrap();
    fs::create_dir_all(FACTS).unwrap();
    let facts = Path::new(FACTS).join("tour.toml");
    fs::copy(beside.join("facts.toml"), &facts).unwrap();
    // Whatever the umask of who runs this is.
    fs::set_permissions(&facts, Permissions::from_mode(0o644)).unwrap();
    for directory in [Path::new(FACTS), Path::new(FACTS).parent().unwrap()] {
        fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    }

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

    let plan = fs::read_to_string(beside.join("plan.toml")).unwrap();
    let written = zone.beside("plan.toml");
    fs::write(&written, plan.replace("THIS-HOST", asset["name"].as_str().unwrap())).unwrap();
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
    fs::write(SETTINGS, "version = 2.0\n").unwrap();
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
