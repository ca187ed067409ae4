//! A scan that a person carries from a host to the collector, with the programs as a person starts them.

use std::fs;
use std::path::{Path, PathBuf};

use holdpoint_tests::program::{Running, ZoneProcess, ask, run, succeed, text, wait};
use serde_json::Value;

const REQUIREMENT: &str = "id,product,source,min_version,scheme\nSITE-1,base-files,dpkg,1,deb\n";

/// Sections that are read quickly; the platform comes with every file.
const FEW: [&str; 4] = ["--section", "accounts", "--section", "software"];

struct Host {
    state: PathBuf,
    profile: PathBuf,
    zone: ZoneProcess,
}

impl Host {
    fn enrolled() -> Self {
        let zone = ZoneProcess::start();
        let state = zone.beside("agent");
        let (address, token) = (zone.address.to_string(), zone.token(1));
        let enroll = ["enroll", "--collector", &address, "--token", &token, "--state", text(&state)];
        succeed("holdpoint-agent", &enroll);
        Self { state, profile: zone.operator(), zone }
    }

    /// Writes a file; returns it with what the agent said.
    fn scan(&self, name: &str, more: &[&str]) -> (PathBuf, String) {
        let file = self.zone.beside(name);
        let mut arguments = vec!["scan", "--out", text(&file), "--state", text(&self.state)];
        arguments.extend(FEW);
        arguments.extend(more);
        let said = succeed("holdpoint-agent", &arguments);
        (file, said)
    }

    fn import(&self, file: &Path, more: &[&str]) -> (Option<i32>, Value) {
        let mut arguments = vec!["--profile", text(&self.profile), "-o", "json", "import", text(file)];
        arguments.extend(more);
        let output = run("holdpoint", &arguments);
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    fn refused(&self, file: &Path, more: &[&str]) -> String {
        let (code, answer) = self.import(file, more);
        assert_eq!(code, Some(1), "{answer}");
        answer["refused"][0]["reason"].as_str().unwrap_or_default().to_owned()
    }

    fn asset(&self, at: usize) -> Value {
        ask(&self.profile, &["assets"])[at].clone()
    }
}

#[test]
fn a_signed_scan_is_carried_in_shown_with_its_grade_and_replaced_by_a_report() {
    let host = Host::enrolled();
    let (first, said) = host.scan("first.oneshot", &[]);
    assert!(
        said.contains("signed by spiffe://plant/zone/line-1/agent/") && said.ends_with("report 1"),
        "{said}"
    );
    let (second, _) = host.scan("second.oneshot", &[]);
    let (third, _) = host.scan("third.oneshot", &[]);

    let (code, answer) = host.import(&second, &[]);
    let taken = &answer["taken"][0];
    assert_eq!(
        (code, &taken["kind"], &taken["grade"]),
        (Some(0), &"one-shot".into(), &"C".into()),
        "{answer}"
    );
    let asset = host.asset(0);
    assert_eq!(
        (&asset["id"], &asset["grade"], &asset["sequence"]),
        (&taken["asset"], &"C".into(), &2.into())
    );
    assert_eq!((&asset["last_seen"], &asset["freshness"]), (&Value::Null, &"never".into()));
    let id = asset["id"].as_str().unwrap();
    let shown = ask(&host.profile, &["asset", "show", id]);
    assert_eq!(shown["sections"]["accounts"]["grade"], "C");

    assert!(host.refused(&first, &[]).contains("an older one-shot never replaces newer sections"));
    let (code, again) = host.import(&second, &[]);
    assert_eq!((code, &again["taken"][0]["unchanged"]), (Some(0), &true.into()), "{again}");

    let requirements = host.zone.beside("site.csv");
    fs::write(&requirements, REQUIREMENT).unwrap();
    assert_eq!(host.import(&requirements, &["--as", id]).0, Some(1), "a list is of no asset");
    assert_eq!(host.import(&requirements, &[]).0, Some(0));
    if fs::exists("/var/lib/dpkg/status").unwrap() {
        let finding = ask(&host.profile, &["status"])[0].clone();
        assert_eq!((&finding["verdict"], &finding["grade"]), (&"FIXED".into(), &"C".into()), "{finding}");
    }
    assert_eq!(ask(&host.profile, &["explain", id, "SITE-1"])["grade"], "C");
    let events = ask(&host.profile, &["events", id]).to_string();
    assert!(events.contains("second.oneshot") && events.contains("operator/tester"), "{events}");

    let rescan = ["--profile", text(&host.profile), "rescan", id, "--wait", "1s"];
    assert_eq!(run("holdpoint", &rescan).status.code(), Some(1), "nobody is there to answer");
    assert_eq!(host.import(&third, &[]).0, Some(0));
    let events = ask(&host.profile, &["events", id]);
    assert!(
        events.as_array().unwrap().iter().all(|it| it["kind"] != "rescan"),
        "a file answers no challenge"
    );

    succeed("holdpoint-agent", &["run", "--state", text(&host.state), "--once"]);
    let asset = host.asset(0);
    assert_eq!((&asset["grade"], &asset["freshness"]), (&"B".into(), &"fresh".into()));
    assert!(asset["sequence"].as_u64().unwrap() > 3, "reports go on above the files: {asset}");
    assert_eq!(ask(&host.profile, &["audit", "verify"])["valid"], true);
}

#[test]
fn what_a_stranger_could_have_made_is_refused() {
    let host = Host::enrolled();
    let (file, _) = host.scan("a.oneshot", &[]);
    let whole = fs::read(&file).unwrap();
    let broken = host.zone.beside("broken.oneshot");
    for end in [9, 40, whole.len() / 2, whole.len() - 1] {
        fs::write(&broken, &whole[..end]).unwrap();
        assert!(host.refused(&broken, &[]).contains("cut off"));
    }
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 0x20;
    fs::write(&broken, changed).unwrap();
    let why = host.refused(&broken, &[]);
    assert!(why.contains("damaged") || why.contains("cannot be read") || why.contains("cut off"), "{why}");

    // Nobody signs for another machine than his own.
    let elsewhere = Host::enrolled();
    let (foreign, _) = elsewhere.scan("b.oneshot", &[]);
    assert!(host.refused(&foreign, &[]).contains("not from this zone's CA"));

    let id = host.asset(0)["id"].as_str().unwrap().to_owned();
    let data = host.zone.data();
    succeed("holdpoint-collector", &["revoke", "agent", &id, "--data", text(&data), "--reason", "stolen"]);
    for more in [&[][..], &["--as", &id]] {
        let why = host.refused(&file, more);
        assert!(why.starts_with("revoked: ") && why.contains("stolen"), "{why}");
    }
    assert_eq!(host.asset(0)["software_count"], 0, "nothing of them was taken");
}

#[test]
fn a_host_without_an_identity_is_an_asset_when_somebody_says_which() {
    let host = Host::enrolled();
    let (file, said) = host.scan("old.oneshot", &["--unsigned"]);
    assert!(said.contains("unsigned") && said.contains("--as ASSET"), "{said}");
    assert!(host.refused(&file, &[]).contains("--as ASSET"));
    let enrolled = host.asset(0)["id"].as_str().unwrap().to_owned();
    assert!(host.refused(&file, &["--as", &enrolled]).contains("identity of its own"));

    let (code, answer) = host.import(&file, &["--as", "z-old-hmi"]);
    assert_eq!((code, &answer["taken"][0]["grade"]), (Some(0), &"D".into()), "{answer}");
    let asset = host.asset(1);
    assert_eq!(
        (&asset["id"], &asset["grade"], &asset["sequence"]),
        (&"z-old-hmi".into(), &"D".into(), &0.into())
    );
    assert_eq!(host.import(&file, &["--as", "z-old-hmi"]).1["taken"][0]["unchanged"], true);
}

#[test]
fn a_running_agent_and_a_key_out_of_reach_leave_no_signature_out_in_silence() {
    let host = Host::enrolled();
    let _agent = Running::start("holdpoint-agent", &["--log", "warn", "run", "--state", text(&host.state)]);
    wait("the agent has called", || host.asset(0)["last_seen"].is_string());
    let file = host.zone.beside("never.oneshot");
    let scan = ["scan", "--section", "accounts", "--out", text(&file), "--state", text(&host.state)];
    let refused = run("holdpoint-agent", &scan);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("another agent uses") && said.contains("--unsigned"), "{said}");
    assert!(!file.exists());
}
