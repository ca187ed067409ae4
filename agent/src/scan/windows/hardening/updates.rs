//! W04 and W05: whether Windows installs updates by itself, and where it gets them.
//!
//! Sources of truth: group policy below `WindowsUpdate`; for Windows 7 to 8.1 also the preference below
//! `Auto Update`, which Windows 10 does not look at any more. Everybody may read them. Orders that a
//! management server gives by other ways (Configuration Manager, Intune's `PolicyManager`) are not read.

use super::ground::{self, Ground, build};
use super::keys::{policy, service, software};
use super::setting::{Absent, Place, Setting, places, reads, rows};
use crate::host::Reads;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[ground::READS, &reads::<{ places(SETTINGS) }>(SETTINGS)];

const AU: &str = policy!(r"Windows\WindowsUpdate\AU");
const UPDATE: &str = policy!(r"Windows\WindowsUpdate");
const PREFERENCE: &str = software!(r"Windows\CurrentVersion\WindowsUpdate\Auto Update");

const AUTOMATIC: &[&str] = &["W04"];
const ORIGIN: &[&str] = &["W05"];

/// `AUOptions`, by the documentation of the policy "Configure Automatic Updates".
const MODES: &[(u64, &str)] = &[
    (1, "off"),
    (2, "notify"),
    (3, "download"),
    (4, "install"),
    (5, "local administrator chooses"),
    (7, "notify to install and restart"),
];

const SETTINGS: &[Setting] = &[
    Setting::flag(
        "updates.no_automatic",
        AUTOMATIC,
        &[Place::at(AU, "NoAutoUpdate")],
        Absent::Means("no policy turns automatic updates off"),
    ),
    Setting::words(
        "updates.mode",
        AUTOMATIC,
        &[Place::at(AU, "AUOptions"), Place::at(PREFERENCE, "AUOptions").before(build::WINDOWS_10)],
        MODES,
        Absent::Varies(mode),
    ),
    Setting::flag(
        "updates.no_restart_with_users",
        AUTOMATIC,
        &[Place::at(AU, "NoAutoRebootWithLoggedOnUsers")],
        Absent::Means("no policy keeps Windows from restarting while somebody is logged on"),
    ),
    Setting::flag(
        "updates.always_restart",
        AUTOMATIC,
        &[Place::at(AU, "AlwaysAutoRebootAtScheduledTime")],
        Absent::Means("no policy forces a restart"),
    ),
    Setting::start("updates.service_start", AUTOMATIC, &[Place::at(service!("wuauserv"), "Start")]),
    Setting::flag(
        "updates.use_server",
        ORIGIN,
        &[Place::at(AU, "UseWUServer")],
        Absent::Means("no policy names a server: Microsoft's is used"),
    ),
    Setting::text(
        "updates.server",
        ORIGIN,
        &[Place::at(UPDATE, "WUServer")],
        Absent::Means("no policy names a server"),
    ),
    Setting::text(
        "updates.status_server",
        ORIGIN,
        &[Place::at(UPDATE, "WUStatusServer")],
        Absent::Means("no policy names a server for reports"),
    ),
    Setting::flag(
        "updates.no_internet_locations",
        ORIGIN,
        &[Place::at(UPDATE, "DoNotConnectToWindowsUpdateInternetLocations")],
        Absent::Means("no policy keeps Windows from asking Microsoft's servers too"),
    ),
    Setting::flag(
        "updates.no_dual_scan",
        ORIGIN,
        &[Place::at(UPDATE, "DisableDualScan")],
        Absent::Means("no policy forbids a second source"),
    ),
    Setting::number(
        "updates.delivery_optimization",
        ORIGIN,
        &[Place::at(policy!(r"Windows\DeliveryOptimization"), "DODownloadMode")],
        Absent::Means("no policy says from which peers updates are taken"),
    ),
];

fn mode(ground: &Ground) -> String {
    ground.since(
        build::WINDOWS_10,
        "no policy: Windows downloads, installs and restarts by itself",
        "nobody chose: Windows asks",
    )
}

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |_, _, _| {})
}
