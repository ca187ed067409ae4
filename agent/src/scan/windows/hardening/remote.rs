//! W33 to W35: ways for somebody far away to work here.
//!
//! Sources of truth: policy and settings of Remote Desktop, services by which tools are told, policy and
//! settings of Windows Remote Management. Everybody may read most of them; listeners of WinRM need an
//! administrator on some versions.
//!
//! Known lies: a tool that runs without a service (most have such a mode) is only in `listeners` and
//! `software`.

use holdpoint_common::row::HardeningRow;

use super::ground::{self, Ground};
use super::keys::{control, policy, service, software};
use super::products;
use super::setting::{Absent, Place, Setting, places, reads, rows, tell};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] =
    &[ground::READS, products::READS, &reads::<{ places(SETTINGS) }>(SETTINGS), &[Reads::key(LISTENERS)]];

const RDP_POLICY: &str = policy!(r"Windows NT\Terminal Services");
const SERVER: &str = control!("Terminal Server");
const RDP: &str = control!(r"Terminal Server\WinStations\RDP-Tcp");
const WINRM_POLICY: &str = policy!(r"Windows\WinRM\Service");
const WINRM: &str = software!(r"Windows\CurrentVersion\WSMAN\Service");
const LISTENERS: &str = software!(r"Windows\CurrentVersion\WSMAN\Listener");

const DESKTOP: &[&str] = &["W33"];
const TOOLS: &[&str] = &["W34"];
const MANAGEMENT: &[&str] = &["W35"];

const SETTINGS: &[Setting] = &[
    Setting::inverse(
        "rdp.enabled",
        DESKTOP,
        &[Place::at(RDP_POLICY, "fDenyTSConnections"), Place::at(SERVER, "fDenyTSConnections")],
        Absent::Means("neither policy nor setting says it; Windows is installed with it off"),
    ),
    Setting::flag(
        "rdp.network_level_authentication",
        DESKTOP,
        &[Place::at(RDP_POLICY, "UserAuthentication"), Place::at(RDP, "UserAuthentication")],
        Absent::Means("not required"),
    ),
    Setting::words(
        "rdp.security_layer",
        DESKTOP,
        &[Place::at(RDP_POLICY, "SecurityLayer"), Place::at(RDP, "SecurityLayer")],
        &[(0, "rdp"), (1, "negotiate"), (2, "tls")],
        Absent::Means("what both sides agree on"),
    ),
    Setting::words(
        "rdp.encryption",
        DESKTOP,
        &[Place::at(RDP_POLICY, "MinEncryptionLevel"), Place::at(RDP, "MinEncryptionLevel")],
        &[(1, "low"), (2, "client compatible"), (3, "high"), (4, "fips")],
        Absent::Means("what the client can"),
    ),
    Setting::number(
        "rdp.port",
        DESKTOP,
        &[Place::at(RDP, "PortNumber")],
        Absent::Means("there is no listener of Remote Desktop"),
    ),
    Setting::number(
        "rdp.idle_milliseconds",
        DESKTOP,
        &[Place::at(RDP_POLICY, "MaxIdleTime"), Place::at(RDP, "MaxIdleTime")],
        Absent::Means("no limit"),
    ),
    Setting::number(
        "rdp.disconnected_milliseconds",
        DESKTOP,
        &[Place::at(RDP_POLICY, "MaxDisconnectionTime"), Place::at(RDP, "MaxDisconnectionTime")],
        Absent::Means("no limit"),
    ),
    Setting::flag(
        "rdp.no_drives",
        DESKTOP,
        &[Place::at(RDP_POLICY, "fDisableCdm"), Place::at(RDP, "fDisableCdm")],
        Absent::Means("the client's drives can be reached"),
    ),
    Setting::flag(
        "remote_access.assistance",
        TOOLS,
        &[
            Place::at(RDP_POLICY, "fAllowToGetHelp"),
            Place::at(control!("Remote Assistance"), "fAllowToGetHelp"),
        ],
        Absent::Means("neither policy nor setting allows it"),
    ),
    Setting::start("winrm.service_start", MANAGEMENT, &[Place::at(service!("WinRM"), "Start")]),
    Setting::flag(
        "winrm.configured_by_policy",
        MANAGEMENT,
        &[Place::at(WINRM_POLICY, "AllowAutoConfig")],
        Absent::Means("no policy makes it listen"),
    ),
    Setting::flag(
        "winrm.basic",
        MANAGEMENT,
        &[Place::at(WINRM_POLICY, "AllowBasic"), Place::at(WINRM, "auth_basic")],
        Absent::Means("off"),
    ),
    Setting::flag(
        "winrm.unencrypted",
        MANAGEMENT,
        &[Place::at(WINRM_POLICY, "AllowUnencryptedTraffic"), Place::at(WINRM, "allow_unencrypted")],
        Absent::Means("off"),
    ),
    Setting::flag(
        "winrm.shell",
        MANAGEMENT,
        &[Place::at(policy!(r"Windows\WinRM\Service\WinRS"), "AllowRemoteShellAccess")],
        Absent::Means("allowed, where the service listens"),
    ),
];

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| {
        let tools = products::installed(look, products::REMOTE);
        rows.push(products::row(ground, "remote_access.tools", TOOLS, tools));
        let networks = products::installed(look, products::NETWORKS);
        rows.push(products::row(ground, "remote_access.networks", TOOLS, networks));
        rows.push(listeners(look, ground));
    })
}

/// Addresses and transports on which WinRM listens, which are names of keys: `*+HTTP`.
fn listeners(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    let outcome = look.registry_keys_outcome(LISTENERS);
    let fact = Fact::new("winrm.listeners", MANAGEMENT, LISTENERS);
    tell(ground, LISTENERS, fact, outcome, "none", |fact, mut names| {
        names.sort();
        fact.list(names)
    })
}
