//! The packet filter of a network namespace of its own, filled by the real `nft`.
//!
//! Needs root, `unshare` and `nft`; without them it says that it was left out.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::path::Path;
use std::process::Output;

use serde_json::Value;

const RULES: &str = r#"
table inet filter {
  set allowed { type ipv4_addr; flags interval; elements = { 10.1.0.0/16, 192.168.7.5 } }
  set seen { type ipv4_addr; flags dynamic,timeout; timeout 5m; }
  counter dropped { }
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iif "lo" udp dport 9 counter add @seen { ip saddr } accept
    iifname "eth*" ip saddr @allowed tcp dport { 22, 102, 4840-4845 } counter accept
    ip saddr 10.1.2.0/23 udp dport 161 accept
    udp dport 1000-2000 quota 25 mbytes drop
    counter name dropped log prefix "drop: " reject
  }
  chain extra { ip protocol icmp accept comment "why"; return; }
  chain out { type filter hook output priority 10; policy accept; counter; }
}
"#;

/// One namespace for all steps: scan twice, make traffic, scan, change a rule and a set, scan.
const STEPS: &str = r#"
set -eu
scan() { "$AGENT" scan --section hardening -o json > "$1"; }
nft -f rules.nft
scan 1; scan 2
ip link set lo up
for i in 1 2 3; do echo x > /dev/udp/127.0.0.1/9 || true; done
nft list ruleset > after.nft
scan 3
nft add rule inet filter extra drop
scan 4
nft add element inet filter allowed '{ 172.16.0.1 }'
scan 5
nft flush ruleset
nft -f rules.nft
scan 6
setpriv --bounding-set -net_admin --inh-caps -net_admin "$AGENT" scan --section hardening -o json > 7
"#;

#[expect(clippy::disallowed_methods, reason = "a namespace is made by the system's own tools")]
fn run(program: &str, arguments: &[&str], dir: &Path) -> Option<Output> {
    let agent = env!("CARGO_BIN_EXE_holdpoint-agent");
    std::process::Command::new(program).args(arguments).current_dir(dir).env("AGENT", agent).output().ok()
}

fn has(program: &str, arguments: &[&str]) -> bool {
    run(program, arguments, Path::new("/")).is_some_and(|it| it.status.success())
}

fn facts(dir: &Path, step: usize) -> Vec<Value> {
    let scan: Value = serde_json::from_slice(&std::fs::read(dir.join(step.to_string())).unwrap()).unwrap();
    scan["sections"]["hardening"]["rows"].as_array().unwrap().clone()
}

fn fact(dir: &Path, step: usize, name: &str) -> Value {
    let id = format!("packet_filter.nft.{name}");
    facts(dir, step)
        .into_iter()
        .find(|it| it["id"] == id.as_str())
        .unwrap_or_else(|| panic!("{step}: no {id}"))
}

#[test]
fn rules_have_a_digest_that_only_rules_change() {
    for (program, arguments) in [
        ("unshare", &["-n", "true"][..]),
        ("nft", &["--version"]),
        ("ip", &["-V"]),
        ("setpriv", &["--version"]),
    ] {
        if !has(program, arguments) {
            println!("left out: {program} is not here or needs root");
            return;
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("rules.nft"), RULES).unwrap();
    std::fs::write(dir.join("steps"), STEPS).unwrap();
    let output = run("unshare", &["-n", "bash", "steps"], dir).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let digest = |step| fact(dir, step, "digest")["value"].as_str().map(str::to_owned);
    assert!(digest(1).is_some_and(|it| it.len() == 64));
    assert_eq!(digest(1), digest(2));
    let after = std::fs::read_to_string(dir.join("after.nft")).unwrap();
    assert!(after.contains("counter packets 3"), "there was no traffic: {after}");
    assert_eq!(digest(1), digest(3), "a counter or a dynamic set moved the digest");
    assert_ne!(digest(3), digest(4), "a new rule");
    assert_ne!(digest(4), digest(5), "a new element");
    assert_eq!(digest(1), digest(6), "the same rules, loaded again");

    let list = |name: &str| fact(dir, 1, name)["value"].clone();
    assert_eq!(list("tables"), serde_json::json!(["inet filter"]));
    assert_eq!(
        list("base_chains"),
        serde_json::json!([
            "inet filter input: filter hook input priority 0 policy drop, 6 rules",
            "inet filter out: filter hook output priority 10 policy accept, 1 rules",
        ])
    );
    assert_eq!(
        list("sets"),
        serde_json::json!([
            "inet filter allowed: set, 2 elements",
            "inet filter seen: set, its elements move",
        ])
    );
    let rules = list("rules");
    for rule in [
        "inet filter input: ct state established,related accept",
        "inet filter input: iifname \"eth*\" meta nfproto ipv4 ip saddr @allowed meta l4proto tcp th dport \
         { 22, 102, 4840-4845 } counter accept",
        "inet filter input: meta nfproto ipv4 ip saddr 10.1.2.0/23 meta l4proto udp th dport 161 accept",
    ] {
        assert!(rules.as_array().unwrap().iter().any(|it| it == rule), "{rule}: {rules:#}");
    }

    let denied = fact(dir, 7, "digest");
    assert_eq!(denied["state"], "denied", "{denied}");
    assert!(denied["reason"].as_str().unwrap().contains("CAP_NET_ADMIN"));
}
