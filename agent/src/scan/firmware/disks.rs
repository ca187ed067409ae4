//! Disks and their firmware revisions.
//!
//! Source of truth: `sys/block/*`: what SCSI, SATA and `NVMe` devices said when they were found.
//! World readable. Disks behind a RAID controller show the controller's answer, not their own.

use holdpoint_common::row::FirmwareRow;

use super::dmi::is_placeholder;
use crate::host::Reads;
use crate::scan::{Look, Reading};

const DIRECTORY: &str = "sys/block";
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("sys/block"),
    Reads::content("sys/block/*/device/vendor"),
    Reads::content("sys/block/*/device/model"),
    Reads::content("sys/block/*/device/firmware_rev"),
    Reads::content("sys/block/*/device/rev"),
    Reads::content("sys/block/*/device/serial"),
    Reads::content("sys/block/*/serial"),
    Reads::content("sys/devices/**/vendor"),
    Reads::content("sys/devices/**/model"),
    Reads::content("sys/devices/**/firmware_rev"),
    Reads::content("sys/devices/**/rev"),
    Reads::content("sys/devices/**/serial"),
];

const MAX_DISKS: usize = 4_096;
const MAX_VALUE: usize = 4_096;

/// Block devices without hardware of their own.
const VIRTUAL: [&str; 9] = ["loop", "ram", "zram", "dm-", "md", "nbd", "drbd", "rbd", "fd"];

/// Reads one row for each disk.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(disks) = look.list(DIRECTORY, MAX_DISKS) else {
        return look.missing(format!("{DIRECTORY} is not there"));
    };
    let root = &look.host.root;
    let rows: Vec<FirmwareRow> = disks
        .entries
        .iter()
        .filter(|it| !VIRTUAL.iter().any(|prefix| it.name.starts_with(prefix)))
        .map(|disk| {
            let value = |names: &[&str]| {
                names.iter().find_map(|name| {
                    let bytes = root.read(&format!("{DIRECTORY}/{}/{name}", disk.name), MAX_VALUE).ok()?;
                    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
                    (!is_placeholder(&text)).then_some(text)
                })
            };
            FirmwareRow {
                source: "firmware/disks".to_owned(),
                kind: "disk".to_owned(),
                name: Some(disk.name.clone()),
                vendor: value(&["device/vendor"]).filter(|it| it != "ATA"),
                model: value(&["device/model"]),
                version: value(&["device/firmware_rev", "device/rev"]),
                serial: value(&["device/serial", "serial"]),
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
    fn sata_and_nvme_disks_say_their_revision_and_loops_are_left_out() {
        let (_dir, host) = host(&[
            ("sys/block/loop0/size", "0"),
            ("sys/block/nvme0n1/device/model", "Samsung SSD 980 PRO 1TB             \n"),
            ("sys/block/nvme0n1/device/firmware_rev", "5B2QGXA7\n"),
            ("sys/block/nvme0n1/device/serial", "S5GXNX0R\n"),
            ("sys/block/sda/device/vendor", "ATA     \n"),
            ("sys/block/sda/device/model", "Micron_5300_MTFD\n"),
            ("sys/block/sda/device/rev", "U001\n"),
        ]);
        let (rows, faults, _) = rows_of::<FirmwareRow>(&host, probe);
        assert!(faults.is_empty());
        let said: Vec<_> =
            rows.iter().map(|it| (it.name.as_deref().unwrap(), it.version.as_deref().unwrap())).collect();
        assert_eq!(said, [("nvme0n1", "5B2QGXA7"), ("sda", "U001")]);
        assert_eq!(rows[0].model.as_deref(), Some("Samsung SSD 980 PRO 1TB"));
        assert_eq!(rows[1].vendor, None);
    }
}
