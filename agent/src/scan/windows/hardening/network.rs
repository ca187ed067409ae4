//! W43: ways from one network into another.
//!
//! Sources of truth: the adapters that the running system has, parameters of TCP/IP, services of wireless
//! networks and of connection sharing. Everybody may read them.
//!
//! IPv6 addresses are not told: some of them change every day by themselves.
//!
//! Absence: adapters are known of a running system alone.

use std::collections::BTreeSet;

use holdpoint_common::row::HardeningRow;

use super::ground;
use super::keys::{policy, service};
use super::setting::{Absent, Place, RIGHTS, Setting, places, reads, rows};
use crate::host::Reads;
use crate::host::windows::network::Adapter;
use crate::scan::fact::{Fact, tell};
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[ground::READS, &reads::<{ places(SETTINGS) }>(SETTINGS)];

const CHECKS: &[&str] = &["W43"];
const PARAMETERS: &str = service!(r"Tcpip\Parameters");
/// Wireless networks among the types of interfaces, by IANA.
const WIRELESS: [u32; 3] = [71, 243, 244];

const SETTINGS: &[Setting] = &[
    Setting::flag(
        "network.forwarding",
        CHECKS,
        &[Place::at(PARAMETERS, "IPEnableRouter")],
        Absent::Means("off"),
    ),
    Setting::number(
        "network.no_source_routing",
        CHECKS,
        &[Place::at(PARAMETERS, "DisableIPSourceRouting")],
        Absent::Means("1: packets that say their own way are not passed on"),
    ),
    Setting::flag(
        "network.redirects",
        CHECKS,
        &[Place::at(PARAMETERS, "EnableICMPRedirect")],
        Absent::Means("on"),
    ),
    Setting::flag(
        "network.one_connection",
        CHECKS,
        &[Place::at(policy!(r"Windows\WcmSvc\GroupPolicy"), "fMinimizeConnections")],
        Absent::Means("no policy keeps a host from being in several networks"),
    ),
    Setting::start("network.wireless_service_start", CHECKS, &[Place::at(service!("WlanSvc"), "Start")]),
    Setting::start("network.bluetooth_service_start", CHECKS, &[Place::at(service!("bthserv"), "Start")]),
    Setting::start("network.mobile_service_start", CHECKS, &[Place::at(service!("WwanSvc"), "Start")]),
    Setting::start("network.sharing_service_start", CHECKS, &[Place::at(service!("SharedAccess"), "Start")]),
];

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, _, rows| adapters(look, rows))
}

fn adapters(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    const SOURCE: &str = "GetAdaptersAddresses";
    let facts = ["network.adapters", "network.gateways", "network.wireless_up"];
    let fact = |id: &str| Fact::new(id, CHECKS, SOURCE);
    let Some(windows) = &look.host.windows else {
        return rows.extend(facts.map(|it| fact(it).because("only a running system says it").absent()));
    };
    let result = look.in_time().and_then(|()| windows.network.adapters());
    let found = look.outcome(SOURCE, result);
    rows.push(tell(fact(facts[0]), found.clone(), RIGHTS, |fact, found| {
        let mut lines: Vec<String> = found.iter().map(said).collect();
        lines.sort();
        fact.list(lines)
    }));
    rows.push(tell(fact(facts[1]), found.clone(), RIGHTS, |fact, found| {
        let gateways = found.iter().flat_map(|it| &it.gateways).filter(|it| it.is_ipv4());
        fact.list(gateways.map(ToString::to_string).collect::<BTreeSet<_>>())
    }));
    rows.push(tell(fact(facts[2]), found, RIGHTS, |fact, found| {
        let names =
            found.iter().filter(|it| it.is_up && WIRELESS.contains(&it.kind)).map(|it| it.name.clone());
        fact.list(names.collect::<BTreeSet<_>>())
    }));
}

/// An adapter as "Ethernet 2 (ethernet, up): 10.0.0.5".
fn said(adapter: &Adapter) -> String {
    let kind = match adapter.kind {
        6 => "ethernet",
        23 => "ppp",
        24 => "loopback",
        71 => "wireless",
        131 => "tunnel",
        243 | 244 => "mobile",
        _ => "other",
    };
    let state = if adapter.is_up { "up" } else { "down" };
    let addresses: BTreeSet<String> =
        adapter.addresses.iter().filter(|it| it.is_ipv4()).map(ToString::to_string).collect();
    let addresses = addresses.into_iter().collect::<Vec<_>>().join(", ");
    let end = if addresses.is_empty() { String::new() } else { format!(": {addresses}") };
    format!("{} ({kind}, {state}){end}", adapter.name)
}
