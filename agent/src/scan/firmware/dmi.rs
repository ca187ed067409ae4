//! BIOS or UEFI, system, board and chassis.
//!
//! Source of truth: `sys/class/dmi/id`, the kernel's copy of the SMBIOS tables. Serial numbers
//! need root. Absent on machines without SMBIOS (many ARM boards, some hypervisors). Known lie:
//! vendors ship placeholders instead of values; those are left out.

use holdpoint_common::row::FirmwareRow;

use crate::host::Reads;
use crate::scan::{Look, Reading};

const DIRECTORY: &str = "sys/class/dmi/id";

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::metadata("sys/firmware/efi"),
    Reads::content("sys/class/dmi/id/*"),
    Reads::content("sys/devices/virtual/dmi/id/*"),
];

/// Reads the four tables.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let uefi = look.exists("sys/firmware/efi");
    if !look.exists(DIRECTORY) {
        return look.missing(format!("{DIRECTORY} is not there"));
    }
    let mut value = |name: &str| look.value(&format!("{DIRECTORY}/{name}")).filter(|it| !is_placeholder(it));
    let row = |kind: &str| FirmwareRow {
        source: "firmware/dmi".to_owned(),
        kind: kind.to_owned(),
        ..FirmwareRow::default()
    };
    let rows = vec![
        FirmwareRow {
            name: Some(if uefi { "uefi" } else { "legacy" }.to_owned()),
            vendor: value("bios_vendor"),
            version: value("bios_version"),
            date: value("bios_date"),
            ..row("bios")
        },
        FirmwareRow {
            vendor: value("sys_vendor"),
            model: value("product_name"),
            version: value("product_version"),
            serial: value("product_serial"),
            ..row("system")
        },
        FirmwareRow {
            vendor: value("board_vendor"),
            model: value("board_name"),
            version: value("board_version"),
            serial: value("board_serial"),
            ..row("board")
        },
        FirmwareRow {
            vendor: value("chassis_vendor"),
            version: value("chassis_version"),
            serial: value("chassis_serial"),
            ..row("chassis")
        },
    ];
    // A table without one value says nothing.
    let says = |it: &FirmwareRow| {
        it.vendor.is_some() || it.model.is_some() || it.version.is_some() || it.serial.is_some()
    };
    Reading::of(&rows.into_iter().filter(says).collect::<Vec<_>>())
}

/// Texts that vendors leave where a value belongs; lower case.
const PLACEHOLDERS: [&str; 20] = [
    "to be filled by o.e.m.",
    "to be filled by oem",
    "default string",
    "default_string",
    "system serial number",
    "system product name",
    "system manufacturer",
    "system version",
    "base board serial number",
    "chassis serial number",
    "serial number",
    "not specified",
    "not applicable",
    "not available",
    "none",
    "n/a",
    "unknown",
    "invalid",
    "oem",
    "0123456789",
];

/// Identifiers that are the same on many boards; lower case, without dashes.
const SHARED_UUIDS: [&str; 3] = [
    // Boards whose vendor never set one.
    "03000200040005000006000700080009",
    "03020100050407060809101112131415",
    "fefefefefefefefefefefefefefefefe",
];

/// Whether a value says nothing about this one machine.
pub fn is_placeholder(value: &str) -> bool {
    let value = value.trim().to_lowercase();
    let compact: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
    let first = compact.chars().next();
    let one_character = compact.chars().all(|it| Some(it) == first);
    compact.is_empty()
        || (one_character && matches!(first, Some('0' | 'f' | 'x')))
        || PLACEHOLDERS.contains(&value.as_str())
        || SHARED_UUIDS.contains(&compact.as_str())
        || "123456789012345678901234567890".starts_with(&compact) && compact.len() >= 6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};

    #[test]
    fn known_placeholders_are_recognised_and_serials_are_not() {
        for text in [
            "",
            " ",
            "0",
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
            "To Be Filled By O.E.M.",
            "Default string",
            "None",
            "123456789",
            "...........",
            "xxxxxx",
        ] {
            assert!(is_placeholder(text), "{text:?}");
        }
        for text in ["VMware-56 4d 2c", "SVPK1234567", "4C4C4544-0042-3510-8051-B4C04F313232", "1.0", "A"] {
            assert!(!is_placeholder(text), "{text:?}");
        }
    }

    #[test]
    fn a_value_that_is_missing_leaves_a_field_open() {
        let (_dir, host) = host(&[
            ("sys/firmware/efi/fw_platform_size", "64"),
            ("sys/class/dmi/id/bios_version", "V21.01.10\n"),
            ("sys/class/dmi/id/bios_vendor", "Default string\n"),
            ("sys/class/dmi/id/product_name", "SIMATIC IPC427E\n"),
        ]);
        let (rows, faults, coverage) = rows_of::<FirmwareRow>(&host, probe);
        assert_eq!(rows[0].name.as_deref(), Some("uefi"));
        assert_eq!(rows[0].version.as_deref(), Some("V21.01.10"));
        assert_eq!(rows[0].vendor, None);
        assert_eq!(rows[1].model.as_deref(), Some("SIMATIC IPC427E"));
        assert!(faults.is_empty());
        assert!(coverage.absent > 0);
    }
}
