//! The way out as an operator sets it up: `deploy/dmz/try` builds two zones, a DMZ and a site in name spaces of
//! their own, with the rules of `deploy/dmz`, and fails when anything is otherwise than it says: what the site
//! knows, what no port answers, what the firewalls counted, a hole that heals, a fork that is told.
//!
//! It needs root, `ip` and `nft`.

use std::path::Path;

use holdpoint_tests::program::{program, tool};

#[test]
fn a_zone_is_seen_from_the_site_by_relay_and_by_diode_and_nothing_comes_back() {
    let here = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|it| it.join(name).exists())
    };
    if !rustix::process::geteuid().is_root() || !here("ip") || !here("nft") {
        println!("left out: name spaces need root, iproute2 and nftables");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dmz/try");
    let collector = program("holdpoint-collector");
    let programs = Path::new(collector.get_program()).parent().unwrap();
    let mut shown = tool(script.to_str().unwrap());
    let shown = shown.env("HOLDPOINT_BIN", programs).output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&shown.stdout), String::from_utf8_lossy(&shown.stderr));
    assert!(shown.status.success(), "{out}\n{errors}");
    assert!(out.contains("everything was as it should be"), "{out}");
}
