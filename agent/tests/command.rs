//! What the program prints and with which exit code it ends.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use holdpoint_common::one_shot::{OneShot, Proof};
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::{REPORTED, SectionKind};
use serde_json::Value;

#[expect(clippy::disallowed_methods, reason = "exit codes can only be seen from outside")]
fn agent(arguments: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_holdpoint-agent")).args(arguments).output().unwrap()
}

fn ended(arguments: &[&str]) -> (Option<i32>, String) {
    let output = agent(arguments);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn fixture(host: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/linux").join(host).join("root");
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_scan_is_one_json_document() {
    let output = agent(&["scan", "--root", &fixture("debian-hmi"), "-o", "json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let scan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(scan["agent"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(scan["sections"].as_object().unwrap().len(), REPORTED.len());
    assert_eq!(scan["sections"]["platform"]["rows"][0]["hostname"], "hmi-01");
}

#[test]
fn a_scan_of_named_sections_goes_to_a_file_with_the_machine_that_it_is_of() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hmi.oneshot");
    let root = fixture("debian-truncated");
    let out = file.to_str().unwrap();
    let output = agent(&["scan", "--root", &root, "--section", "software", "--out", out]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("2 sections, unsigned") && said.contains("--as ASSET"), "{said}");
    let read = OneShot::read(&std::fs::read(file).unwrap()).unwrap();
    assert!(matches!(read.proof, Proof::Unsigned), "this host's identity is not that of another root");
    let statuses: Vec<_> = read.sections.iter().map(|it| (it.kind(), it.status())).collect();
    assert_eq!(statuses[0].0, SectionKind::Platform);
    assert_eq!(statuses[1..], [(SectionKind::Software, SectionStatus::Partial)]);
}

#[test]
fn a_scan_is_printed_and_kept_when_both_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("hmi.oneshot");
    let root = fixture("debian-hmi");
    let output = agent(&["scan", "--root", &root, "-o", "json", "--out", out.to_str().unwrap()]);
    let scan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let read = OneShot::read(&std::fs::read(out).unwrap()).unwrap();
    assert_eq!(scan["sections"].as_object().unwrap().len(), read.sections.len());
    assert_eq!(read.host.hostname, "hmi-01");
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_right() {
    let (code, said) = ended(&["scan", "--section", "nonsense"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("software"), "{said}");
    for usage in [&["scan", "--unsigned"][..], &["scan", "--out", "x", "--root", "/", "--state", "/y"]] {
        assert_eq!(ended(usage).0, Some(2), "{usage:?}");
    }
    let (code, said) = ended(&["scan", "--root", "/nonexistent/root"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("/nonexistent/root is no directory"), "{said}");
    let dir = tempfile::tempdir().unwrap();
    let (code, said) = ended(&["run", "--once", "--state", dir.path().to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(said.contains("run `holdpoint-agent enroll` first"), "{said}");
}

#[test]
fn a_collector_out_of_reach_ends_with_3_and_a_diagnosis() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let token = format!("hp1.{}.{}", "a".repeat(52), "a".repeat(32));
    let state = dir.path().to_str().unwrap();
    let (code, said) = ended(&["enroll", "--collector", &port, "--token", &token, "--state", state]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(&format!("cannot reach {port}")), "{said}");
    let (code, said) = ended(&["enroll", "--collector", &port, "--token", "rubbish", "--state", state]);
    assert_eq!(code, Some(2));
    assert!(said.contains("not a token"), "{said}");
}
