//! W08 to W10: names that anybody on the network may answer for.
//!
//! Sources of truth: the policy of the DNS client, `NetBT`'s own settings for each interface, the service
//! and the settings that look for a proxy. Everybody may read them, but the proxy's bytes are kept in a form
//! of their own.
//!
//! Absence: LLMNR and NetBIOS are on unless somebody turned them off. An interface without
//! `NetbiosOptions` does what DHCP says.

use holdpoint_common::row::HardeningRow;

use super::ground::{self, Ground, build};
use super::keys::{policy, service, software};
use super::setting::{Absent, Place, Setting, places, reads, rows, tell};
use crate::host::Reads;
use crate::host::registry::Data;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[
    ground::READS,
    &reads::<{ places(SETTINGS) }>(SETTINGS),
    &[Reads::key(INTERFACES), Reads::key(INTERFACE), Reads::key(CONNECTIONS)],
];

const DNS: &str = policy!(r"Windows NT\DNSClient");
const NETBT: &str = service!(r"NetBT\Parameters");
const INTERFACES: &str = service!(r"NetBT\Parameters\Interfaces");
const INTERFACE: &str = service!(r"NetBT\Parameters\Interfaces\*");
const WINHTTP: &str = software!(r"Windows\CurrentVersion\Internet Settings\WinHttp");
const CONNECTIONS: &str = software!(r"Windows\CurrentVersion\Internet Settings\Connections");
/// Most interfaces, also those of adapters that are gone.
const MAX_INTERFACES: usize = 256;

const LLMNR: &[&str] = &["W08"];
const NETBIOS: &[&str] = &["W09"];
const PROXY: &[&str] = &["W10"];

/// `NetbiosOptions`.
const OPTIONS: &[(u64, &str)] = &[(0, "dhcp"), (1, "enabled"), (2, "disabled")];
/// `NodeType`, by RFC 1001.
const NODES: &[(u64, &str)] = &[(1, "broadcast"), (2, "point-to-point"), (4, "mixed"), (8, "hybrid")];

const SETTINGS: &[Setting] = &[
    Setting::flag(
        "names.llmnr",
        LLMNR,
        &[Place::at(DNS, "EnableMulticast")],
        Absent::Means("on: no policy turns it off"),
    ),
    Setting::flag(
        "names.mdns",
        LLMNR,
        &[Place::at(DNS, "EnableMDNS"), Place::at(service!(r"Dnscache\Parameters"), "EnableMDNS")],
        Absent::Varies(mdns),
    ),
    Setting::number(
        "names.netbios_policy",
        NETBIOS,
        &[Place::at(DNS, "EnableNetbios")],
        Absent::Means("no policy: each interface decides"),
    ),
    Setting::words(
        "names.netbios_node",
        NETBIOS,
        &[Place::at(NETBT, "NodeType"), Place::at(NETBT, "DhcpNodeType")],
        NODES,
        Absent::Means("hybrid where a WINS server is named, else broadcast"),
    ),
    Setting::start("proxy.service_start", PROXY, &[Place::at(service!("WinHttpAutoProxySvc"), "Start")]),
    Setting::flag(
        "proxy.no_discovery",
        PROXY,
        &[Place::at(WINHTTP, "DisableWpad")],
        Absent::Means("programs that ask for it look for a proxy by the name wpad"),
    ),
    Setting::inverse(
        "proxy.for_machine",
        PROXY,
        &[Place::at(policy!(r"Windows\CurrentVersion\Internet Settings"), "ProxySettingsPerUser")],
        Absent::Means("each user has own settings"),
    ),
];

fn mdns(ground: &Ground) -> String {
    ground.since(build::V1703, "on: nothing turns it off", "this Windows does not speak it")
}

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| {
        interfaces(look, ground, rows);
        rows.push(proxy(look, ground));
    })
}

fn interfaces(look: &mut Look<'_>, ground: &Ground, rows: &mut Vec<HardeningRow>) {
    let fact = |source: &str| Fact::new("names.netbios", NETBIOS, source);
    let names = match look.registry_keys_outcome(INTERFACES) {
        Outcome::Seen(names) => names,
        other @ (Outcome::Absent | Outcome::Denied | Outcome::Failed(_)) => {
            let absent = "NetBIOS over TCP/IP is not installed";
            return rows
                .push(tell(ground, INTERFACES, fact(INTERFACES), other, absent, |fact, _| fact.absent()));
        }
    };
    if names.len() > MAX_INTERFACES {
        look.fault(format!("{INTERFACES}: more than {MAX_INTERFACES} interfaces; the rest is left out"));
    }
    for name in names.iter().take(MAX_INTERFACES) {
        let source = format!("{INTERFACES}\\{name}");
        let fact = fact(&source).about(name);
        let outcome = look.registry_outcome(&source, "NetbiosOptions");
        let absent = "DHCP decides; without its word it is on";
        rows.push(tell(ground, &source, fact, outcome, absent, |fact, data| {
            let word = data.number().and_then(|it| OPTIONS.iter().find(|(number, _)| *number == it));
            match word {
                Some((_, word)) => fact.text(word),
                None => fact.because("not 0, 1 or 2").error(),
            }
        }));
    }
}

/// What programs that ask WinHTTP use: bytes of which only the flags and the server matter here. The
/// counter between them moves by itself.
fn proxy(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    const VALUE: &str = "WinHttpSettings";
    let fact = Fact::new("proxy.winhttp", PROXY, &format!("{CONNECTIONS}\\{VALUE}"));
    let outcome = look.registry_outcome(CONNECTIONS, VALUE);
    tell(ground, CONNECTIONS, fact, outcome, "direct: nobody set a proxy", |fact, data| match data {
        Data::Bytes { bytes, .. } => settings(fact, &bytes),
        Data::Text(_) | Data::Expand(_) | Data::Number(_) | Data::Wide(_) | Data::List(_) => {
            fact.because("no bytes").error()
        }
    })
}

fn settings(fact: Fact, bytes: &[u8]) -> HardeningRow {
    const BITS: [(u32, &str); 4] = [(1, "direct"), (2, "proxy"), (4, "script"), (8, "discovery")];
    let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let Some(flags) = number(8) else { return fact.because("cut off").error() };
    let server = number(12).and_then(|it| usize::try_from(it).ok()).filter(|it| *it <= 1_024);
    let Some(server) = server.and_then(|length| bytes.get(16..16 + length)) else {
        return fact.because("cut off").error();
    };
    let words = BITS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, word)| (*word).to_owned());
    let server = String::from_utf8_lossy(server);
    fact.list(words.chain((!server.is_empty()).then(|| format!("server {server}"))))
}
