//! BIOS or UEFI, system, boards, chassis, and the parts that firmware itself lists.
//!
//! Source of truth: the SMBIOS tables ([`smbios`]), for root; where they may not be read, are not
//! there or are broken from the start, `sys/class/dmi/id`, the kernel's excerpt of them, whose serial
//! numbers need root too. Never both. Absent on machines without SMBIOS (many ARM boards, some
//! hypervisors). The excerpt knows one board and one chassis, and neither the parts that newer firmware
//! lists (type 45) nor where a board sits.
//!
//! Known lies: vendors ship placeholders instead of values; those are left out. A BIOS says twice which
//! release it is, as a text and as numbers, and the numbers are often never counted up; both are told.

use holdpoint_common::row::FirmwareRow;

pub use super::placeholder::is_placeholder;
use super::smbios::{self, EntryPoint, Structure, Structures};
use crate::host::Reads;
use crate::scan::{Look, Reading};

const DIRECTORY: &str = "sys/class/dmi/id";

/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::metadata("sys/firmware/efi"),
    Reads::content("sys/class/dmi/id/*"),
    Reads::content("sys/devices/virtual/dmi/id/*"),
];

/// Reads the tables, or what the kernel kept of them.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let uefi = Some(look.exists("sys/firmware/efi"));
    let rows = from_tables(look, uefi);
    if !rows.is_empty() {
        return Reading::of(&rows);
    }
    if !look.exists(DIRECTORY) {
        return look.missing(format!("{DIRECTORY} is not there"));
    }
    Reading::of(&excerpt(uefi, |name| look.value(&format!("{DIRECTORY}/{name}"))))
}

fn row(kind: &str) -> FirmwareRow {
    FirmwareRow { source: "firmware/dmi".to_owned(), kind: kind.to_owned(), ..FirmwareRow::default() }
}

fn bios(uefi: Option<bool>) -> FirmwareRow {
    FirmwareRow { name: uefi.map(|it| if it { "uefi" } else { "legacy" }.to_owned()), ..row("bios") }
}

/// A release that is told in numbers.
fn release(name: &str, version: Option<String>) -> FirmwareRow {
    let version = version.filter(|it| !matches!(it.as_str(), "0.0" | "255.255"));
    FirmwareRow { name: version.as_ref().map(|_| name.to_owned()), version, ..row("device") }
}

const BIOS_RELEASE: &str = "bios-release";
const CONTROLLER_RELEASE: &str = "embedded-controller";

/// A table without one value says nothing.
fn says(it: &FirmwareRow) -> bool {
    it.vendor.is_some() || it.model.is_some() || it.version.is_some() || it.serial.is_some()
}

fn from_tables(look: &mut Look<'_>, uefi: Option<bool>) -> Vec<FirmwareRow> {
    let Some(entry) = look.bytes(smbios::ENTRY_POINT, smbios::MAX_ENTRY_POINT) else { return Vec::new() };
    let Some(tables) = look.bytes(smbios::TABLES, smbios::MAX_TABLES) else { return Vec::new() };
    let found = match EntryPoint::parse(&entry) {
        Ok(entry) => Structures::read(entry, &tables),
        Err(why) => {
            look.fault(format!("{}: {why}", smbios::ENTRY_POINT));
            return Vec::new();
        }
    };
    if let Some(why) = found.fault {
        look.fault(format!("{}: {why}", smbios::TABLES));
    }
    described(&found, uefi)
}

/// The rows of tables, wherever they came from; `uefi` says how the machine started, where that is known.
pub(in crate::scan) fn described(tables: &Structures<'_>, uefi: Option<bool>) -> Vec<FirmwareRow> {
    tables.all.iter().flat_map(|it| describe(it, uefi)).filter(says).collect()
}

fn describe(it: &Structure<'_>, uefi: Option<bool>) -> Vec<FirmwareRow> {
    let value = |at: usize| it.text(at).filter(|it| !is_placeholder(it));
    match it.kind {
        0 => vec![
            FirmwareRow { vendor: value(4), version: value(5), date: value(8), ..bios(uefi) },
            release(BIOS_RELEASE, pair(it, 0x14)),
            release(CONTROLLER_RELEASE, pair(it, 0x16)),
        ],
        1 => vec![FirmwareRow {
            vendor: value(4),
            model: value(5),
            version: value(6),
            serial: value(7),
            ..row("system")
        }],
        2 => vec![FirmwareRow {
            name: value(0x0a),
            vendor: value(4),
            model: value(5),
            version: value(6),
            serial: value(7),
            ..row("board")
        }],
        3 => vec![FirmwareRow { vendor: value(4), version: value(6), serial: value(7), ..row("chassis") }],
        45 => vec![FirmwareRow {
            name: value(4),
            vendor: value(0x0a),
            version: value(5),
            date: value(9),
            state: part_state(it.byte(0x16)).map(str::to_owned),
            guid: value(7).filter(|_| it.byte(8) == Some(1)).map(|it| it.to_lowercase()),
            ..row("device")
        }],
        _ => Vec::new(),
    }
}

/// Two bytes that are a release; all ones where there is none.
fn pair(it: &Structure<'_>, at: usize) -> Option<String> {
    let (major, minor) = (it.byte(at)?, it.byte(at + 1)?);
    (major != u8::MAX || minor != u8::MAX).then(|| format!("{major}.{minor}"))
}

/// `State` of a firmware inventory structure.
fn part_state(state: Option<u8>) -> Option<&'static str> {
    match state? {
        3 => Some("disabled"),
        4 => Some("enabled"),
        5 => Some("absent"),
        6 => Some("standby-offline"),
        7 => Some("standby-spare"),
        8 => Some("unavailable-offline"),
        _ => None,
    }
}

/// The rows of an excerpt of the tables, whose values have the names that Linux gives them.
pub(in crate::scan) fn excerpt(
    uefi: Option<bool>,
    mut value: impl FnMut(&'static str) -> Option<String>,
) -> Vec<FirmwareRow> {
    let mut value = |name| value(name).filter(|it| !is_placeholder(it));
    let rows = vec![
        FirmwareRow {
            vendor: value("bios_vendor"),
            version: value("bios_version"),
            date: value("bios_date"),
            ..bios(uefi)
        },
        release(BIOS_RELEASE, value("bios_release")),
        release(CONTROLLER_RELEASE, value("ec_firmware_release")),
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
    rows.into_iter().filter(says).collect()
}

#[cfg(test)]
#[path = "dmi_tests.rs"]
pub(in crate::scan) mod tests;
