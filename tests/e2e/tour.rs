//! The tour of the README, with the three programs as a person starts them.

use std::fs;

use holdpoint_tests::program::{Running, ZoneProcess, ask, run, succeed, text, wait};
use serde_json::Value;

const REQUIREMENTS: &str = "\
id,product,source,min_version,scheme,reference,title
SITE-1,bash,dpkg,99:1.0,deb,site standard 4.2,A bash that does not exist yet
SITE-2,base-files,dpkg,1,deb,site standard 4.2,Any base-files will do
";

#[test]
fn a_host_enrols_reports_is_judged_and_looks_again() {
    if !fs::exists("/var/lib/dpkg/status").unwrap() {
        println!("left out: this machine has no dpkg");
        return;
    }
    let zone = ZoneProcess::start();
    let state = zone.beside("agent");
    let address = zone.address.to_string();
    let token = zone.token(1);
    succeed(
        "holdpoint-agent",
        &["enroll", "--collector", &address, "--token", &token, "--state", text(&state)],
    );
    let _agent = Running::start("holdpoint-agent", &["run", "--state", text(&state)]);
    let profile = zone.operator();

    let assets = || ask(&profile, &["assets"]);
    wait("the first inventory is there", || assets()[0]["software_count"].as_u64().unwrap_or(0) > 0);
    let asset = assets()[0].clone();
    assert_eq!(asset["freshness"], "fresh");
    assert_eq!(asset["sections"]["software"], "complete");
    let id = asset["id"].as_str().unwrap();
    // What no package owns counts as software too, so dpkg's own rows are what dpkg is asked about.
    let shown = ask(&profile, &["asset", "show", id]);
    let rows = shown["sections"]["software"]["rows"].as_array().unwrap();
    let of_dpkg = rows.iter().filter(|it| it["source"] == "dpkg").count();
    assert_eq!(u64::try_from(of_dpkg).unwrap(), installed_packages(), "as many as dpkg says");
    assert!(asset["software_count"].as_u64().unwrap() >= installed_packages());

    let requirements = zone.beside("requirements.csv");
    fs::write(&requirements, REQUIREMENTS).unwrap();
    let imported = ask(&profile, &["import", text(&requirements)]);
    assert_eq!(imported["taken"][0]["items"], 2, "{imported}");
    let verdict = |subject: &str| {
        let findings = ask(&profile, &["status", "--asset", id]);
        let finding = findings.as_array().unwrap().iter().find(|it| it["subject"] == subject).cloned();
        finding.map(|it| it["verdict"].clone())
    };
    assert_eq!(verdict("SITE-1"), Some(Value::from("AFFECTED")));
    assert_eq!(verdict("SITE-2"), Some(Value::from("FIXED")));
    let checked = run("holdpoint", &["--profile", text(&profile), "status", "--check"]);
    assert_eq!(checked.status.code(), Some(1), "something is affected");

    let explained = ask(&profile, &["explain", id, "SITE-1"]);
    assert_eq!(explained["verdict"], "AFFECTED");
    let steps: Vec<&str> =
        explained["chain"].as_array().unwrap().iter().filter_map(|it| it["step"].as_str()).collect();
    for step in ["row", "section", "requirement", "comparison"] {
        assert!(steps.contains(&step), "{steps:?} lacks {step}");
    }

    let before = assets()[0]["last_seen"].clone();
    let rescanned = ask(&profile, &["rescan", id, "--wait", "30s"]);
    assert_eq!(rescanned[0]["answered"], true, "{rescanned}");
    assert!(
        rescanned[0]["took_s"].as_f64().unwrap() < 5.0,
        "a held check-in is answered at once: {rescanned}"
    );
    assert!(rescanned[0]["nonce"].is_string() && before.is_string());

    let audited = ask(&profile, &["audit", "verify"]);
    assert_eq!(audited["valid"], true, "{audited}");
}

#[test]
fn an_agent_that_reports_once_says_why_it_could_not() {
    let zone = ZoneProcess::start();
    let state = zone.beside("agent");
    let address = zone.address.to_string();
    let token = zone.token(1);
    let enroll = ["enroll", "--collector", &address, "--token", &token, "--state", text(&state)];
    succeed("holdpoint-agent", &enroll);
    succeed("holdpoint-agent", &["run", "--state", text(&state), "--once"]);

    let again = run(
        "holdpoint-agent",
        &["enroll", "--collector", &address, "--token", &token, "--state", text(&zone.beside("other"))],
    );
    assert_eq!(again.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&again.stderr).contains("token"), "the cause is named");

    let profile = zone.operator();
    let id = ask(&profile, &["assets"])[0]["id"].as_str().unwrap().to_owned();
    succeed(
        "holdpoint-collector",
        &["revoke", "agent", &id, "--data", text(&zone.data()), "--reason", "stolen"],
    );
    let refused = run("holdpoint-agent", &["run", "--state", text(&state), "--once"]);
    assert_eq!(refused.status.code(), Some(3));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("revoked"), "{said}");
}

#[test]
fn a_store_that_was_replaced_is_told_and_not_taken_for_an_empty_zone() {
    let mut zone = ZoneProcess::start();
    let _token = zone.token(1);
    zone.kill();
    fs::remove_dir_all(zone.data().join("store/data.sled")).unwrap();
    zone.restart();

    let profile = zone.operator();
    let lost = || {
        let events = ask(&profile, &["events"]);
        let is_loss = |it: &&Value| it["kind"] == "collector-lost-data";
        events.as_array().unwrap().iter().filter(is_loss).count()
    };
    assert_eq!(lost(), 1);
    zone.kill();
    zone.restart();
    assert_eq!(lost(), 1, "it is told once and stays in the events");
}

/// What dpkg's own query counts as installed.
fn installed_packages() -> u64 {
    let status = fs::read_to_string("/var/lib/dpkg/status").unwrap();
    let installed = status.lines().filter(|it| it.starts_with("Status: ") && it.ends_with(" installed"));
    u64::try_from(installed.count()).unwrap()
}
