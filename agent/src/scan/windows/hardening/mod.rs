//! How a Windows host is configured: the facts W01 to W45, each with its source and its state.
//!
//! Nothing here says which value is good; that is the collector's. Where policy and preference compete
//! the *effective* value is read, and its source names the value that won. A value that is not there is
//! `absent`, with what that means for this version of Windows.

mod accounts;
mod allowlisting;
mod audit;
mod audit_names;
mod authorities;
mod backup;
mod credentials;
mod dcom;
pub mod descriptor;
mod files;
mod filetime;
mod firewall;
mod ground;
mod keys;
mod logon;
mod malware;
mod media;
mod names;
mod network;
mod persistence;
mod platform;
mod products;
mod remote;
mod scripts;
mod services;
mod setting;
mod shares;
mod site;
mod smb;
mod time_sync;
mod updates;
mod users;

use holdpoint_common::row::SectionKind;

use crate::host::Reads;
use crate::scan::probe::Probe;
use crate::scan::{Look, Reading};

pub(in crate::scan::windows) use filetime::month;

/// The probes of this folder.
pub(in crate::scan) const PROBES: &[Probe] = &[
    of("windows/build", platform::READS, platform::probe),
    of("windows/automatic-updates", updates::READS, updates::probe),
    of("windows/smb", smb::READS, smb::probe),
    of("windows/names", names::READS, names::probe),
    of("windows/credentials", credentials::READS, credentials::probe),
    of("windows/logon", logon::READS, logon::probe),
    of("windows/account-policy", accounts::READS, accounts::probe),
    of("windows/media", media::READS, media::probe),
    of("windows/allowlisting", allowlisting::READS, allowlisting::probe),
    of("windows/scripts", scripts::READS, scripts::probe),
    of("windows/malware", malware::READS, malware::probe),
    of("windows/firewall", firewall::READS, firewall::probe),
    of("windows/service-paths", services::READS, services::probe),
    of("windows/remote", remote::READS, remote::probe),
    of("windows/dcom", dcom::READS, dcom::probe),
    of("windows/audit", audit::READS, audit::probe),
    of("windows/time-sync", time_sync::READS, time_sync::probe),
    of("windows/authorities", authorities::READS, authorities::probe),
    of("windows/persistence", persistence::READS, persistence::probe),
    of("windows/networks", network::READS, network::probe),
    of("windows/shares", shares::READS, shares::probe),
    of("windows/backup", backup::READS, backup::probe),
    of("windows/site", site::READS, site::probe),
];

const fn of(
    name: &'static str,
    reads: &'static [&'static [Reads]],
    run: fn(&mut Look<'_>) -> Reading,
) -> Probe {
    Probe { name, kind: SectionKind::Hardening, reads, run }
}

#[cfg(test)]
mod tests;
