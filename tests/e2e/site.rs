//! A zone, its site and a person, as they are set up by hand: real programs, certificates of the conduit, a medium.

use std::fs;
use std::path::Path;

use holdpoint_tests::program::{Running, ask, free_address, run, succeed, text, wait};
use serde_json::Value;
use toml::Table;

const COLLECTOR: &str = "holdpoint-collector";

/// Issues and installs, as a person does it.
fn certify(ca: &Path, request: &Path, data: &Path) {
    let out = tempfile::tempdir().unwrap();
    succeed(COLLECTOR, &["conduit", "issue", text(request), "--data", text(ca), "--out", text(out.path())]);
    let certificate = out.path().join(request.file_name().unwrap()).with_extension("crt");
    succeed(COLLECTOR, &["conduit", "install", text(&certificate), "--data", text(data)]);
}

fn zones(profile: &Path) -> Value {
    ask(profile, &["fleet"])
}

/// A zone that says everything within four seconds, and delivers to this address.
fn set_up_zone(data: &Path, deliver_to: &str) {
    let listen = free_address().to_string();
    succeed(
        COLLECTOR,
        &["init", "--data", text(data), "--site", "plant", "--zone", "line-1", "--listen", &listen],
    );
    let root = data.join("root-to-take-away");
    let root = if root.exists() { root } else { data.join("pki/root-to-take-away") };
    let place = ["--data", text(data), "--root", text(&root)];
    succeed(
        COLLECTOR,
        &[&["outbox", "init", "--policy", "full", "--relay", deliver_to], &place[..]].concat(),
    );
    let path = data.join("collector.toml");
    let mut settings: Table = fs::read_to_string(&path).unwrap().parse().unwrap();
    let outbox = settings["outbox"].as_table_mut().unwrap();
    for (key, value) in [("interval_s", 1), ("slices", 4), ("beacon_s", 1)] {
        outbox.insert(key.into(), value.into());
    }
    fs::write(path, settings.to_string()).unwrap();
}

#[test]
fn a_site_that_was_set_up_by_hand_shows_a_zone_is_killed_and_takes_in_a_medium() {
    let dir = tempfile::tempdir().unwrap();
    let at = |it: &str| dir.path().join(it);
    let (ca, site, zone) = (at("ca"), at("site"), at("zone"));
    succeed(COLLECTOR, &["conduit", "init", "--data", text(&ca), "--site", "plant"]);
    let (listen, operators) = (free_address().to_string(), free_address().to_string());
    let place = ["--data", text(&site)];
    let who = ["--site", "plant", "--listen", &listen, "--operators", &operators];
    succeed(COLLECTOR, &[&["site", "init"], &place[..], &who[..]].concat());
    certify(&ca, &site.join("site.csr"), &site);

    set_up_zone(&zone, &listen);
    let conduit = zone.join("outbox/conduit");
    certify(&ca, &conduit.join("zone-line-1.csr"), &conduit);

    // Trust is a fingerprint on paper.
    let enrolment = zone.join("outbox/line-1.zone");
    let trust = ["site", "trust", text(&enrolment), "--data", text(&site)];
    let shown = run(COLLECTOR, &trust);
    assert_eq!(shown.status.code(), Some(1), "only shown");
    let fingerprint = String::from_utf8(shown.stdout).unwrap().trim().to_owned();
    let wrong = fingerprint.replace('0', "1");
    if wrong != fingerprint {
        assert_eq!(run(COLLECTOR, &[&trust[..], &["--fingerprint", &wrong]].concat()).status.code(), Some(3));
    }
    succeed(COLLECTOR, &[&trust[..], &["--fingerprint", &fingerprint]].concat());

    let person = at("anna");
    let who = ["--site", "plant", "--name", "anna", "--server", &operators, "--out", text(&person)];
    succeed("holdpoint", &[&["join"], &who[..]].concat());
    certify(&ca, &person.join("operator-anna.csr"), &person);
    let profile = person.join("operator.toml");

    let mut serving = Running::start(COLLECTOR, &["site", "run", "--data", text(&site)]);
    let _collector = Running::start(COLLECTOR, &["run", "--data", text(&zone)]);
    let is_up = || run("holdpoint", &["--profile", text(&profile), "fleet"]).status.success();
    wait("the site answers", is_up);
    wait("the zone has told its state", || zones(&profile)[0]["converged_since"].is_string());
    let before = zones(&profile)[0].clone();
    assert_eq!((&before["zone"], &before["policy"]), (&"line-1".into(), &"full".into()), "{before:#}");
    assert_eq!(before["gaps"].as_array().unwrap().len(), 0, "{before:#}");

    // Killed in the middle of it, again and again: it goes on where it was.
    for _ in 0..5 {
        serving.kill().unwrap();
        serving = Running::start(COLLECTOR, &["site", "run", "--data", text(&site)]);
        wait("the site answers again", is_up);
        let after = zones(&profile)[0].clone();
        assert!(after["last_sequence"].as_u64() >= before["last_sequence"].as_u64(), "{after:#}");
        assert_eq!(after["epoch"], before["epoch"]);
        assert!(
            after["alarms"].as_array().unwrap().iter().all(|it| it["kind"] != "fork"),
            "it contradicts nothing: {after:#}"
        );
    }
    wait("nothing is uncertain", || zones(&profile)[0]["uncertain_since"].is_null());

    // A medium says nothing that the site does not know, but for what left since.
    let medium = at("medium");
    fs::create_dir(&medium).unwrap();
    succeed(COLLECTOR, &["outbox", "carry", text(&medium), "--data", text(&zone)]);
    let ingest = ["site", "ingest", text(&medium), "--data", text(&site), "-o", "json"];
    let report: Value = serde_json::from_str(&succeed(COLLECTOR, &ingest)).unwrap();
    assert!(report["files"].as_array().unwrap().len() > 4, "{report:#}");
    assert_eq!(report["cut_off"], Value::Array(Vec::new()));
    let page = succeed("holdpoint", &["--profile", text(&profile), "fleet", "zone", "line-1"]);
    assert!(page.contains("line-1 was heard"), "{page}");

    let export = at("line-1.dsse");
    succeed("holdpoint", &["--profile", text(&profile), "fleet", "export", "line-1", "--out", text(&export)]);
    let envelope: Value = serde_json::from_slice(&fs::read(export).unwrap()).unwrap();
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
}
