//! The baseboard management controller.
//!
//! Source of truth: `sys/class/ipmi/*/device/bmc`, there when the kernel's IPMI driver is
//! loaded already; the agent loads none. Absence proves nothing about the hardware.

use holdpoint_common::row::FirmwareRow;

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

/// Reads one row for each controller.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(controllers) = look.list(DIRECTORY, MAX_CONTROLLERS) else {
        return look.missing(format!("{DIRECTORY} is not there"));
    };
    let rows: Vec<FirmwareRow> = controllers
        .entries
        .iter()
        .map(|controller| {
            let mut value =
                |name: &str| look.value(&format!("{DIRECTORY}/{}/device/bmc/{name}", controller.name));
            FirmwareRow {
                source: "firmware/bmc".to_owned(),
                kind: "bmc".to_owned(),
                name: Some(controller.name.clone()),
                vendor: value("manufacturer_id"),
                model: value("product_id"),
                version: value("firmware_revision"),
                ..FirmwareRow::default()
            }
        })
        .collect();
    Reading::of(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};

    #[test]
    fn a_controller_says_its_revision() {
        let (_dir, host) = host(&[("sys/class/ipmi/ipmi0/device/bmc/firmware_revision", "2.81\n")]);
        let (rows, _, _) = rows_of::<FirmwareRow>(&host, probe);
        assert_eq!(rows[0].version.as_deref(), Some("2.81"));
    }
}
