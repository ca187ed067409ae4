//! W22 and W23: what happens when somebody plugs something in.
//!
//! Sources of truth: policies of the Explorer, of removable storage and of device installation; the
//! drivers of USB storage. Everybody may read them. Policies for one user alone are not read: where the
//! machine's has a value it wins.
//!
//! Absence: a storage driver is installed with its first stick; until then there is none to disable.

use holdpoint_common::row::HardeningRow;

use super::ground::{self, Ground};
use super::keys::{control, policy, service, software};
use super::setting::{Absent, Place, START, Setting, places, reads, rows, tell};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] =
    &[ground::READS, &reads::<{ places(SETTINGS) }>(SETTINGS), &[Reads::key(ALLOWED), Reads::key(DENIED)]];

const EXPLORER: &str = software!(r"Windows\CurrentVersion\Policies\Explorer");
const STORAGE: &str = policy!(r"Windows\RemovableStorageDevices");
/// Disks that can be taken out, among the classes of the policy.
const DISKS: &str = policy!(r"Windows\RemovableStorageDevices\{53f5630d-b6bf-11d0-94f2-00a0c91efb8b}");
const INSTALL: &str = policy!(r"Windows\DeviceInstall\Restrictions");
const ALLOWED: &str = policy!(r"Windows\DeviceInstall\Restrictions\AllowDeviceIDs");
const DENIED: &str = policy!(r"Windows\DeviceInstall\Restrictions\DenyDeviceIDs");

const AUTORUN: &[&str] = &["W22"];
const USB: &[&str] = &["W23"];

const NO_DRIVER: Absent =
    Absent::Means("the driver is not installed; Windows does that with the first device");

const SETTINGS: &[Setting] = &[
    Setting::number(
        "autorun.no_drive_types",
        AUTORUN,
        &[Place::at(EXPLORER, "NoDriveTypeAutoRun")],
        Absent::Means("145: off for network and unknown drives alone"),
    ),
    Setting::flag(
        "autorun.off",
        AUTORUN,
        &[Place::at(EXPLORER, "NoAutorun")],
        Absent::Means("Windows asks before it runs what a medium says"),
    ),
    Setting::flag(
        "autorun.not_for_devices",
        AUTORUN,
        &[Place::at(policy!(r"Windows\Explorer"), "NoAutoplayfornonVolume")],
        Absent::Means("cameras and phones are opened"),
    ),
    Setting::words("usb.storage_start", USB, &[Place::at(service!("USBSTOR"), "Start")], START, NO_DRIVER)
        .about("USBSTOR"),
    Setting::words("usb.storage_start", USB, &[Place::at(service!("UASPStor"), "Start")], START, NO_DRIVER)
        .about("UASPStor"),
    Setting::flag(
        "removable.deny_all",
        USB,
        &[Place::at(STORAGE, "Deny_All")],
        Absent::Means("no policy denies removable storage as a whole"),
    ),
    Setting::flag(
        "removable.deny_read",
        USB,
        &[Place::at(DISKS, "Deny_Read")],
        Absent::Means("no policy denies reading from removable disks"),
    ),
    Setting::flag(
        "removable.deny_write",
        USB,
        &[Place::at(DISKS, "Deny_Write")],
        Absent::Means("no policy denies writing to removable disks"),
    ),
    Setting::flag(
        "removable.deny_execute",
        USB,
        &[Place::at(DISKS, "Deny_Execute")],
        Absent::Means("no policy denies running programs from removable disks"),
    ),
    Setting::flag(
        "removable.write_protect",
        USB,
        &[Place::at(control!("StorageDevicePolicies"), "WriteProtect")],
        Absent::Means("off"),
    ),
    Setting::flag(
        "devices.deny_removable",
        USB,
        &[Place::at(INSTALL, "DenyRemovableDevices")],
        Absent::Means("no policy forbids to install removable devices"),
    ),
    Setting::flag(
        "devices.deny_unspecified",
        USB,
        &[Place::at(INSTALL, "DenyUnspecified")],
        Absent::Means("no policy forbids to install what no policy names"),
    ),
    Setting::flag(
        "devices.allow_listed",
        USB,
        &[Place::at(INSTALL, "AllowDeviceIDs")],
        Absent::Means("no list of allowed devices is in effect"),
    ),
    Setting::flag(
        "devices.deny_listed",
        USB,
        &[Place::at(INSTALL, "DenyDeviceIDs")],
        Absent::Means("no list of forbidden devices is in effect"),
    ),
];

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| {
        rows.push(identifiers(look, ground, "devices.allowed", ALLOWED));
        rows.push(identifiers(look, ground, "devices.denied", DENIED));
    })
}

/// The list that goes with a switch of the same name.
fn identifiers(look: &mut Look<'_>, ground: &Ground, id: &str, key: &str) -> HardeningRow {
    let outcome = look.registry_values_outcome(key);
    tell(ground, key, Fact::new(id, USB, key), outcome, "no list", |fact, values| {
        let mut ids: Vec<String> = values.iter().filter_map(|it| it.data.text().map(str::to_owned)).collect();
        ids.sort();
        fact.list(ids)
    })
}
