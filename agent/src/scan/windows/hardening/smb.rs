//! W06 and W07: whether the old file protocol is there, and whether file traffic is signed.
//!
//! Sources of truth: parameters of the server and workstation services, the driver of the SMBv1 client.
//! Everybody may read them.
//!
//! Absence: `SMB1` is set by administrators only, so its absence means the version's default. A client
//! driver that is not there cannot speak SMBv1.

use holdpoint_common::row::HardeningRow;

use super::ground::{self, Ground, Role, build};
use super::keys::service;
use super::setting::{Absent, Place, START, Setting, places, reads, rows, tell};
use crate::host::Reads;
use crate::host::registry::Data;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] =
    &[ground::READS, &reads::<{ places(SETTINGS) }>(SETTINGS), &[Reads::key(WORKSTATION_SERVICE)]];

const SERVER: &str = service!(r"LanmanServer\Parameters");
const WORKSTATION: &str = service!(r"LanmanWorkstation\Parameters");
const WORKSTATION_SERVICE: &str = service!("LanmanWorkstation");

const VERSION_1: &[&str] = &["W06"];
const SIGNING: &[&str] = &["W07"];

const SETTINGS: &[Setting] = &[
    Setting::flag("smb1.server", VERSION_1, &[Place::at(SERVER, "SMB1")], Absent::Varies(server)),
    Setting::words(
        "smb1.client_driver_start",
        VERSION_1,
        &[Place::at(service!("mrxsmb10"), "Start")],
        START,
        Absent::Means("the driver is not installed: there is no SMBv1 client"),
    ),
    Setting::start("smb.server_start", VERSION_1, &[Place::at(service!("LanmanServer"), "Start")]),
    Setting::flag(
        "smb.server_signing_required",
        SIGNING,
        &[Place::at(SERVER, "RequireSecuritySignature")],
        Absent::Varies(server_signing),
    ),
    Setting::flag(
        "smb.client_signing_required",
        SIGNING,
        &[Place::at(WORKSTATION, "RequireSecuritySignature")],
        Absent::Varies(client_signing),
    ),
    Setting::flag(
        "smb.server_encryption",
        SIGNING,
        &[Place::at(SERVER, "EncryptData")],
        Absent::Means("shares are encrypted only where a share says so"),
    ),
];

fn server(ground: &Ground) -> String {
    ground.since(
        build::V1709,
        "on only where the feature SMB 1.0/CIFS is installed, which new installations are without",
        "on: this Windows comes with SMBv1 and nothing turns it off",
    )
}

fn server_signing(ground: &Ground) -> String {
    if ground.role == Some(Role::DomainController) {
        return "required: a domain controller does so unless something says otherwise".to_owned();
    }
    ground.since(
        build::WINDOWS_11_24H2,
        "required on Windows 11 Pro, Enterprise and Education, not on servers and Home",
        "not required",
    )
}

fn client_signing(ground: &Ground) -> String {
    ground.since(
        build::WINDOWS_11_24H2,
        "required on Windows 11 Pro, Enterprise and Education and on Server 2025, not on Home",
        "not required",
    )
}

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| rows.push(needs_client(look, ground)))
}

/// Whether the workstation service is tied to the SMBv1 client, as the documented way to turn it off
/// undoes.
fn needs_client(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    const VALUE: &str = "DependOnService";
    let source = format!("{WORKSTATION_SERVICE}\\{VALUE}");
    let fact = Fact::new("smb1.client_needed", VERSION_1, &source);
    let outcome = look.registry_outcome(WORKSTATION_SERVICE, VALUE);
    tell(
        ground,
        WORKSTATION_SERVICE,
        fact,
        outcome,
        "the service depends on nothing",
        |fact, data| match data {
            Data::List(names) => fact.flag(names.iter().any(|it| it.eq_ignore_ascii_case("MRxSmb10"))),
            Data::Text(_) | Data::Expand(_) | Data::Number(_) | Data::Wide(_) | Data::Bytes { .. } => {
                fact.because("no list of services").error()
            }
        },
    )
}
