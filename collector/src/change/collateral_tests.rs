use super::*;
use crate::change::plan::{Expectation, Wanted};
use crate::change::testing::{Case, FIXED, Host, at_least, fact, listener, moved, service, word};
use holdpoint_common::proto::v1::hardening_row::Value;
use holdpoint_common::row::AccountRow;

fn tls() -> Vec<Expectation> {
    vec![at_least("tls", "openssl", FIXED)]
}

fn of(pre: Host, post: Host) -> Vec<String> {
    moved(&Case::new(tls(), pre, post).judged())
}

fn host() -> Host {
    Host::new(12)
}

#[test]
fn the_work_itself_and_what_moves_by_itself_show_nothing() {
    let mut post = host().patched().restarted();
    post.platform.restart_pending = Some(true);
    post.platform.restart_reasons = vec!["libssl3".into()];
    post.live.clear();
    post.software[0].install_date = Some("2026-11-26".into());
    post.accounts[0].last_logon = Some("2026-11".into());
    post.accounts[0].flags = vec!["password-expired".into()];
    post.hardening[0].reason = Some("read otherwise".into());
    post.hardening[0].checks = vec!["L99".into()];
    assert_eq!(of(host(), post), Vec::<String>::new());
}

#[test]
fn everything_else_that_moved_is_named() {
    let mut post = host().patched().install("nmap", "7.93").install("lib-3", "2").remove("lib-4");
    post.services.push(service("telnetd", "running"));
    post.services[0] = service("unit-0", "stopped");
    post.listeners.push(listener(23, "telnetd", "telnetd"));
    post.accounts.push(AccountRow { kind: "user".into(), name: "eve".into(), ..AccountRow::default() });
    post.accounts[0].flags = vec!["disabled".into()];
    post.firmware[0].version = Some("2.0".into());
    post.hardening[0] = fact("fact.number.0", Value::Number(2));
    post.platform.time_sources = vec!["pool.example".into()];
    post.software[5].signature_key = Some("ff".into());
    let judged = Case::new(tls(), host(), post).judged();
    assert_eq!(word(&judged, ""), "REMEDIATED+COLLATERAL_CHANGE");
    let told = moved(&judged);
    for wanted in [
        "software nmap amd64: - -> 7.93",
        "software lib-3 amd64: 1.2.3-4 -> 2",
        "software lib-4 amd64: 1.2.3-4 -> -",
        "services telnetd: - -> running enabled /usr/sbin/telnetd",
        "services unit-0: running enabled /usr/sbin/unit-0 -> stopped enabled /usr/sbin/unit-0",
        "listeners tcp 0.0.0.0 23: - -> /usr/sbin/telnetd telnetd telnetd",
        "accounts user eve: - -> ",
        "accounts user root: - -> flags=disabled",
        "firmware bios: 1.9 -> 2.0",
        "hardening fact.number.0: observed 1 -> observed 2",
    ] {
        assert!(told.iter().any(|it| it.starts_with(wanted)), "{wanted}: {told:#?}");
    }
    assert!(told.iter().any(|it| it.starts_with("platform time_sources")), "{told:#?}");
    assert!(told.iter().any(|it| it.contains("signature_key=ff")), "{told:#?}");
    assert_eq!(judged.collateral.len(), 12, "{told:#?}");
    let numbers: Vec<u32> = judged.collateral.iter().map(|it| it.number).collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
}

#[test]
fn what_the_plan_allows_is_declared_and_nothing_like_it() {
    let mut case = Case::new(tls(), host(), host().patched().install("nmap", "7.93").install("curl", "8"));
    case.plan.allowed = vec![Allowed { kind: SectionKind::Software, item: "nmap *".into() }];
    assert_eq!(moved(&case.judged()), ["software curl amd64: - -> 8"]);
    case.plan.allowed = vec![Allowed { kind: SectionKind::Services, item: "*".into() }];
    assert_eq!(moved(&case.judged()).len(), 2, "of another section");
}

#[test]
fn a_service_of_the_product_may_change_and_not_stop() {
    let with = |image: &str, state: &str| {
        let mut it = host();
        it.listeners.push(listener(443, "tlsd", "openssl"));
        let mut row = service("tlsd", state);
        row.image_path = Some(image.into());
        it.services.push(row);
        it
    };
    assert!(of(with("/old", "running"), with("/new", "running").patched()).is_empty());
    assert_eq!(of(with("/old", "running"), with("/old", "stopped").patched()).len(), 1);
}

#[test]
fn a_port_that_the_system_chose_anew_is_no_change() {
    let with = |port: u32, program: &str| {
        let mut it = host().patched();
        it.listeners.push(listener(port, program, "rpcbind"));
        it
    };
    assert!(of(with(40_001, "rpcbind"), with(50_002, "rpcbind")).is_empty());
    assert_eq!(of(with(111, "rpcbind"), with(112, "rpcbind")).len(), 2);
    assert_eq!(of(with(40_001, "rpcbind"), with(40_001, "nc")).len(), 1);
}

#[test]
fn the_kernel_moves_with_its_package_or_a_restart_that_was_planned() {
    let mut post = host().patched().restarted();
    post.platform.kernel_running = Some("6.1.0-21-amd64".into());
    assert_eq!(of(host(), post.clone()), ["platform kernel_running: 6.1.0-18-amd64 -> 6.1.0-21-amd64"]);
    let mut planned = tls();
    planned.push(crate::change::testing::expectation("boot", Wanted::Restarted));
    assert!(moved(&Case::new(planned, host(), post).judged()).is_empty());
}
