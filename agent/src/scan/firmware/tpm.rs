//! Trusted platform modules.
//!
//! Source of truth: `sys/class/tpm`, world readable: the family of the specification and, for modules
//! of family 1.2, manufacturer and firmware in `caps`. What a module of family 2.0 runs is in no file;
//! where there is exactly one, the SMBIOS tables (type 43, root only) say its manufacturer and firmware.
//! The tables also tell of a module that no driver serves.
//!
//! `version` is the revision of the firmware where it is known, else the family ("specification 2").
//! Known lie: the tables are written when the machine starts and can be older than an update since.

use holdpoint_common::row::FirmwareRow;

use super::smbios::{self, Structure, Structures};
use crate::host::Reads;
use crate::scan::look::said;
use crate::scan::{Look, Reading};

const DIRECTORY: &str = "sys/class/tpm";
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("sys/class/tpm"),
    Reads::content("sys/class/tpm/*/tpm_version_major"),
    Reads::content("sys/class/tpm/*/caps"),
    Reads::content("sys/class/tpm/*/device/caps"),
    Reads::content("sys/class/tpm/*/device/description"),
    Reads::content("sys/devices/**/tpm_version_major"),
    Reads::content("sys/devices/**/caps"),
    Reads::content("sys/devices/**/description"),
];

const MAX_MODULES: usize = 64;
const MAX_CAPS: usize = 4_096;
const MODULE: u8 = 43;

/// Reads one row for each module.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let modules = look.list(DIRECTORY, MAX_MODULES).map(|it| it.entries).unwrap_or_default();
    let described = from_tables(look);
    if modules.is_empty() && described.is_empty() {
        return look.missing(format!("{DIRECTORY} is not there"));
    }
    let modules = modules.iter().map(|module| from_driver(look, &module.name)).collect();
    Reading::of(&completed(modules, &described))
}

/// A module with the family of its specification.
pub(in crate::scan) type Module = (Option<String>, FirmwareRow);

/// What the tables say of a module is added to what the system says, where both know exactly one; where
/// the system knows none, the tables alone speak.
pub(in crate::scan) fn completed(mut modules: Vec<Module>, described: &[Module]) -> Vec<FirmwareRow> {
    if modules.is_empty() {
        modules = described.to_vec();
    }
    if let ([(family, row)], [(described_family, described)]) = (modules.as_mut_slice(), described) {
        // Another family is another module, or the same one before it was switched.
        if family == described_family {
            row.vendor = row.vendor.take().or_else(|| described.vendor.clone());
            row.model = row.model.take().or_else(|| described.model.clone());
            row.version = described.version.clone().or_else(|| row.version.take());
        }
    }
    modules.into_iter().map(|(_, row)| row).collect()
}

/// A module of which the system knows only the family.
pub(in crate::scan) fn of_family(family: u32) -> Module {
    let version = Some(format!("specification {family}"));
    (Some(family.to_string()), FirmwareRow { version, ..row() })
}

fn row() -> FirmwareRow {
    FirmwareRow { source: "firmware/tpm".to_owned(), kind: "tpm".to_owned(), ..FirmwareRow::default() }
}

/// A module of the kernel, with its family.
fn from_driver(look: &mut Look<'_>, name: &str) -> Module {
    let family = look.value(&format!("{DIRECTORY}/{name}/tpm_version_major"));
    let caps = look
        .text(&format!("{DIRECTORY}/{name}/caps"), MAX_CAPS)
        .or_else(|| look.text(&format!("{DIRECTORY}/{name}/device/caps"), MAX_CAPS))
        .unwrap_or_default();
    let cap = |key: &str| caps.lines().find_map(|it| it.strip_prefix(key)?.strip_prefix(':').and_then(said));
    let family =
        family.or_else(|| cap("TCG version").map(|it| it.split('.').next().unwrap_or("").to_owned()));
    let row = FirmwareRow {
        name: Some(name.to_owned()),
        vendor: cap("Manufacturer").and_then(|it| manufacturer(&it)),
        model: look.value(&format!("{DIRECTORY}/{name}/device/description")),
        version: cap("Firmware version").or_else(|| family.as_ref().map(|it| format!("specification {it}"))),
        ..row()
    };
    (family, row)
}

/// Four letters, written as one number: `0x53544d20`.
fn manufacturer(number: &str) -> Option<String> {
    let number = u32::from_str_radix(number.strip_prefix("0x")?, 16).ok()?;
    letters(&number.to_be_bytes())
}

fn letters(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok().and_then(said)?;
    text.chars().all(|it| it.is_ascii_graphic()).then_some(text)
}

fn from_tables(look: &Look<'_>) -> Vec<Module> {
    let Ok((entry, tables)) = smbios::quietly(&look.host.root) else { return Vec::new() };
    described(&Structures::read(entry, &tables))
}

/// The modules that tables tell of, wherever the tables came from.
pub(in crate::scan) fn described(tables: &Structures<'_>) -> Vec<Module> {
    tables.of(MODULE).filter_map(describe).collect()
}

fn describe(it: &Structure<'_>) -> Option<Module> {
    let family = it.byte(8)?;
    let number = it.dword(0x0a)?;
    // A family 1.2 module counts in bytes of which the third and fourth are its firmware's.
    let (major, minor) = match family {
        1 => (u32::from(it.byte(0x0c)?), u32::from(it.byte(0x0d)?)),
        _ => (number >> 16, number & 0xffff),
    };
    let known = number != 0 && number != u32::MAX;
    let row = FirmwareRow {
        vendor: letters(it.bytes(4, 4)?),
        model: it.text(0x12).or_else(|| Some(format!("TPM {family}.{}", it.byte(9)?))),
        version: Some(if known { format!("{major}.{minor}") } else { format!("specification {family}") }),
        ..row()
    };
    Some((Some(family.to_string()), row))
}

#[cfg(test)]
mod tests {
    use super::super::dmi::tests::{put, server};
    use super::super::smbios::tests::entry_3;
    use super::*;
    use crate::host::Host;
    use crate::scan::look::tests::{host, rows_of};

    fn said(host: &Host) -> Vec<[String; 4]> {
        let (rows, faults, _) = rows_of::<FirmwareRow>(host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        rows.into_iter()
            .map(|it| [it.name, it.vendor, it.model, it.version].map(Option::unwrap_or_default))
            .collect()
    }

    #[test]
    fn a_module_says_its_family() {
        let (_dir, host) = host(&[
            ("sys/class/tpm/tpm0/tpm_version_major", "2\n"),
            ("sys/class/tpm/tpm0/device/description", "TPM 2.0 Device\n"),
        ]);
        assert_eq!(said(&host), [["tpm0", "", "TPM 2.0 Device", "specification 2"]]);
    }

    #[test]
    fn an_older_module_says_its_firmware() {
        let caps = "Manufacturer: 0x53544d20\nTCG version: 1.2\nFirmware version: 8.28\n";
        let (_dir, host) = host(&[("sys/class/tpm/tpm0/device/caps", caps)]);
        assert_eq!(said(&host), [["tpm0", "STM", "", "8.28"]]);
    }

    #[test]
    fn the_tables_add_the_firmware_of_the_one_module() {
        let (dir, host) = host(&[("sys/class/tpm/tpm0/tpm_version_major", "2\n")]);
        put(dir.path(), &entry_3(4_096), &server());
        assert_eq!(said(&host), [["tpm0", "IFX", "TPM 2.0, ManufacturerID: IFX", "7.63"]]);
    }

    #[test]
    fn the_tables_say_nothing_about_a_module_of_another_family_or_of_two() {
        let (dir, first) = host(&[("sys/class/tpm/tpm0/tpm_version_major", "1\n")]);
        put(dir.path(), &entry_3(4_096), &server());
        assert_eq!(said(&first), [["tpm0", "", "", "specification 1"]]);
        let (dir, second) = host(&[
            ("sys/class/tpm/tpm0/tpm_version_major", "2\n"),
            ("sys/class/tpm/tpm1/tpm_version_major", "2\n"),
        ]);
        put(dir.path(), &entry_3(4_096), &server());
        assert!(said(&second).iter().all(|it| it[3] == "specification 2"));
    }

    #[test]
    fn a_module_that_no_driver_serves_is_known_from_the_tables() {
        let (dir, host) = host(&[]);
        put(dir.path(), &entry_3(4_096), &server());
        assert_eq!(said(&host), [["", "IFX", "TPM 2.0, ManufacturerID: IFX", "7.63"]]);
    }
}
