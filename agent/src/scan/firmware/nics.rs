//! Network cards by their PCI or other bus identifiers.
//!
//! Source of truth: `sys/class/net/*/device`. The firmware revision of a card is in no file and
//! stays absent. Bridges, tunnels and the like have no device and no row.

use holdpoint_common::row::FirmwareRow;

use crate::host::Reads;
use crate::scan::{Look, Reading};

const DIRECTORY: &str = "sys/class/net";
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("sys/class/net"),
    Reads::metadata("sys/class/net/*/device"),
    Reads::content("sys/class/net/*/device/vendor"),
    Reads::content("sys/class/net/*/device/device"),
    Reads::content("sys/devices/**/vendor"),
    Reads::content("sys/devices/**/device"),
    Reads::metadata("sys/devices/**"),
];

const MAX_NICS: usize = 1_024;
const MAX_VALUE: usize = 4_096;

/// Reads one row for each card.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(nics) = look.list(DIRECTORY, MAX_NICS) else {
        return look.missing(format!("{DIRECTORY} is not there"));
    };
    let root = &look.host.root;
    let rows: Vec<FirmwareRow> = nics
        .entries
        .iter()
        .filter(|it| root.exists(&format!("{DIRECTORY}/{}/device", it.name)))
        .map(|nic| {
            let value = |name: &str| {
                let bytes = root.read(&format!("{DIRECTORY}/{}/{name}", nic.name), MAX_VALUE).ok()?;
                let text = String::from_utf8_lossy(&bytes).trim().to_owned();
                (!text.is_empty()).then_some(text)
            };
            FirmwareRow {
                source: "firmware/nics".to_owned(),
                kind: "nic".to_owned(),
                name: Some(nic.name.clone()),
                vendor: value("device/vendor"),
                model: value("device/device"),
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
    fn a_card_has_a_row_and_a_bridge_has_none() {
        let (_dir, host) = host(&[
            ("sys/class/net/eno1/device/vendor", "0x8086\n"),
            ("sys/class/net/eno1/device/device", "0x1533\n"),
            ("sys/class/net/br0/address", "aa:bb:cc:00:11:22\n"),
        ]);
        let (rows, _, _) = rows_of::<FirmwareRow>(&host, probe);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].vendor.as_deref(), rows[0].model.as_deref()), (Some("0x8086"), Some("0x1533")));
    }
}
