//! The baseboard management controller.
//!
//! Source of truth: `sys/class/ipmi/*/device/bmc`, there when the kernel's IPMI driver is
//! loaded already; the agent loads none. Without it the SMBIOS tables (types 38 and 42, root only)
//! still say that there is a controller and how the machine talks to it, but no revision of its
//! firmware. Absence proves nothing about the hardware.

use holdpoint_common::row::FirmwareRow;

use super::smbios::{self, Structure, Structures};
use crate::host::Reads;
use crate::scan::{Look, Reading};

const DIRECTORY: &str = "sys/class/ipmi";
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("sys/class/ipmi"),
    Reads::content("sys/class/ipmi/*/device/bmc/*"),
    Reads::content("sys/devices/**/bmc/*"),
];

const MAX_CONTROLLERS: usize = 64;
const IPMI: u8 = 38;
const HOST_INTERFACE: u8 = 42;

/// Reads one row for each controller.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let controllers = look.list(DIRECTORY, MAX_CONTROLLERS);
    let names = controllers.map(|it| it.entries).unwrap_or_default();
    if names.is_empty() {
        let rows = from_tables(look);
        return if rows.is_empty() {
            look.missing(format!("{DIRECTORY} is not there"))
        } else {
            Reading::of(&rows)
        };
    }
    let rows: Vec<FirmwareRow> = names
        .iter()
        .map(|controller| {
            let mut value =
                |name: &str| look.value(&format!("{DIRECTORY}/{}/device/bmc/{name}", controller.name));
            FirmwareRow {
                name: Some(controller.name.clone()),
                vendor: value("manufacturer_id"),
                model: value("product_id"),
                version: value("firmware_revision"),
                ..row()
            }
        })
        .collect();
    Reading::of(&rows)
}

fn row() -> FirmwareRow {
    FirmwareRow { source: "firmware/bmc".to_owned(), kind: "bmc".to_owned(), ..FirmwareRow::default() }
}

fn from_tables(look: &Look<'_>) -> Vec<FirmwareRow> {
    let Ok((entry, tables)) = smbios::quietly(&look.host.root) else { return Vec::new() };
    Structures::read(entry, &tables).all.iter().filter_map(describe).collect()
}

fn describe(it: &Structure<'_>) -> Option<FirmwareRow> {
    let (name, model) = match it.kind {
        IPMI => ("ipmi", ipmi_interface(it.byte(4)?)),
        HOST_INTERFACE => ("host-interface", host_interface(it.byte(4)?)),
        _ => return None,
    };
    let version = (it.kind == IPMI).then(|| it.byte(5)).flatten().filter(|it| *it != 0);
    Some(FirmwareRow {
        name: Some(name.to_owned()),
        model: model.map(str::to_owned),
        // Two digits, the one before the point in the upper half.
        version: version.map(|it| format!("specification {}.{}", it >> 4, it & 0xf)),
        ..row()
    })
}

/// `Interface Type` of an IPMI device.
fn ipmi_interface(kind: u8) -> Option<&'static str> {
    match kind {
        1 => Some("KCS"),
        2 => Some("SMIC"),
        3 => Some("BT"),
        4 => Some("SSIF"),
        _ => None,
    }
}

/// `Interface Type` of a management controller's host interface.
fn host_interface(kind: u8) -> Option<&'static str> {
    match kind {
        2 => Some("KCS"),
        3 => Some("8250 UART"),
        4 => Some("16450 UART"),
        5 => Some("16550 UART"),
        6 => Some("16650 UART"),
        7 => Some("16750 UART"),
        8 => Some("16850 UART"),
        0x40 => Some("network"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::dmi::tests::{put, server};
    use super::super::smbios::tests::entry_3;
    use super::*;
    use crate::scan::look::tests::{host, rows_of};

    #[test]
    fn a_controller_says_its_revision() {
        let (dir, host) = host(&[("sys/class/ipmi/ipmi0/device/bmc/firmware_revision", "2.81\n")]);
        put(dir.path(), &entry_3(4_096), &server());
        let (rows, _, _) = rows_of::<FirmwareRow>(&host, probe);
        assert_eq!(rows.len(), 1, "the tables add nothing to what the driver says");
        assert_eq!(rows[0].version.as_deref(), Some("2.81"));
    }

    #[test]
    fn without_a_driver_the_tables_say_that_there_is_one() {
        let (dir, host) = host(&[]);
        put(dir.path(), &entry_3(4_096), &server());
        let (rows, faults, _) = rows_of::<FirmwareRow>(&host, probe);
        let said: Vec<_> = rows
            .iter()
            .map(|it| [&it.name, &it.model, &it.version].map(|it| it.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(said, [["ipmi", "KCS", "specification 2.0"], ["host-interface", "network", "-"]]);
        assert!(faults.is_empty());
    }
}
