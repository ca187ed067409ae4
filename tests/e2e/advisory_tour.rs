//! The tour's eighth step: an advisory of the real set meets a host that was carried in, from the first likeness
//! to an explanation, a triage decision and a disposition.

use std::fs;
use std::path::{Path, PathBuf};

use holdpoint_tests::program::{ZoneProcess, ask, run, succeed, text};
use serde_json::Value;

const ADVISORY: &str = "icsa-20-163-02.json";
const PLACEMENT: &str = "\
asset,zone,level,role,safety_impact,mission_impact
hmi-07,line-1,2,hmi,marginal,mef-failure
";

fn real(file: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sides = [here.join("../../shared/data/csaf"), here.join("../../../shared/data/csaf")];
    sides.into_iter().map(|it| it.join(file)).find(|it| it.is_file())
}

#[test]
fn a_real_advisory_hits_a_carried_host_and_is_decided() {
    let Some(advisory) = real(ADVISORY) else {
        println!("left out: no real advisories beside this workspace");
        return;
    };
    let zone = ZoneProcess::start();
    let profile = zone.operator();
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/tour/hmi-07");
    let carried = zone.beside("hmi-07.oneshot");
    succeed("holdpoint-agent", &["scan", "--root", text(&host), "--out", text(&carried)]);
    ask(&profile, &["import", "--as", "hmi-07", text(&carried)]);
    let taken = ask(&profile, &["import", text(&advisory)]);
    assert_eq!(taken["taken"][0]["kind"], "csaf", "{taken}");

    let linx = |findings: &Value| {
        let all = findings.as_array().unwrap().clone();
        all.into_iter().find(|it| it["product"] == "FactoryTalk Linx").unwrap()
    };
    let status = || linx(&ask(&profile, &["status", "--asset", "hmi-07", "--advisory", "ICSA-20-163-02"]));
    assert_eq!(status()["reason"], "identity-unconfirmed", "a likeness is worth nothing");

    let candidates = ask(&profile, &["map", "suggest", "--advisory", "ICSA-20-163-02"]);
    let wanted =
        candidates.as_array().unwrap().iter().find(|it| it["product"] == "FactoryTalk Linx").unwrap();
    let id = wanted["id"].as_str().unwrap();
    ask(&profile, &["map", "confirm", id, "--scheme", "intdot", "--evidence", "the setup medium"]);
    let found = status();
    assert_eq!(found["verdict"], "AFFECTED", "{found}");
    let subject = found["subject"].as_str().unwrap();

    let told = ask(&profile, &["explain", "hmi-07", subject]);
    let steps: Vec<&str> =
        told["chain"].as_array().unwrap().iter().filter_map(|it| it["step"].as_str()).collect();
    for step in ["document", "row", "map", "range", "feed", "verdict"] {
        assert!(steps.contains(&step), "{steps:?} lacks {step}");
    }

    let placement = zone.beside("placement.csv");
    fs::write(&placement, PLACEMENT).unwrap();
    ask(&profile, &["import", text(&placement)]);
    ask(&profile, &["triage", "hmi-07", subject, "--record"]);
    let checked = run("holdpoint", &["--profile", text(&profile), "triage", "check"]);
    assert!(checked.status.success(), "what was recorded is computed again, byte for byte");
    assert!(status()["triage"].is_string(), "the decision is shown");

    ask(
        &profile,
        &[
            "dispose",
            "hmi-07",
            subject,
            "mitigate",
            "--owner",
            "the process engineer",
            "--until",
            "90d",
            "--reason",
            "the port is closed at the zone's firewall",
        ],
    );
    let decided = status();
    assert_eq!((&decided["disposition"], &decided["verdict"]), (&"mitigate".into(), &"AFFECTED".into()));
    assert_eq!(decided["state"], "MITIGATED_CLAIMED", "no machine has tested it");
}
