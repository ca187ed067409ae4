//! Disks and their firmware revisions.
//!
//! Source of truth: `sys/class/nvme` (one row for each controller, whatever namespaces it has) and
//! `sys/block/*`: what `NVMe`, SCSI, SATA and eMMC devices said when they were found. World readable. A
//! SCSI revision has only the first four of a SATA disk's eight characters, and its name 16 of 40; all
//! of them are in a page of the disk's ([`vpd`]) that newer kernels keep. Disks behind a RAID
//! controller show the controller's answer, not their own.

use std::collections::BTreeSet;
use std::io;

use holdpoint_common::row::FirmwareRow;

use super::dmi::is_placeholder;
use super::vpd::{self, Identity, InvalidPage};
use crate::host::Reads;
use crate::scan::{Look, Reading};

const BLOCK: &str = "sys/block";
const NVME: &str = "sys/class/nvme";
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("sys/class/nvme"),
    Reads::content("sys/class/nvme/*/model"),
    Reads::content("sys/class/nvme/*/serial"),
    Reads::content("sys/class/nvme/*/firmware_rev"),
    Reads::content("sys/class/nvme/*/device/vendor"),
    Reads::metadata("sys/class/nvme/*/device/driver"),
    Reads::content("sys/block"),
    Reads::content("sys/block/*/device/vendor"),
    Reads::content("sys/block/*/device/model"),
    Reads::content("sys/block/*/device/name"),
    Reads::content("sys/block/*/device/firmware_rev"),
    Reads::content("sys/block/*/device/fwrev"),
    Reads::content("sys/block/*/device/rev"),
    Reads::content("sys/block/*/device/serial"),
    Reads::content("sys/block/*/device/vpd_pg80"),
    Reads::content("sys/block/*/device/vpd_pg89"),
    Reads::content("sys/block/*/serial"),
    Reads::content("sys/devices/**/vendor"),
    Reads::content("sys/devices/**/model"),
    Reads::content("sys/devices/**/mmc*/**/name"),
    Reads::content("sys/devices/**/firmware_rev"),
    Reads::content("sys/devices/**/fwrev"),
    Reads::content("sys/devices/**/rev"),
    Reads::content("sys/devices/**/serial"),
    Reads::content("sys/devices/**/vpd_pg80"),
    Reads::content("sys/devices/**/vpd_pg89"),
    Reads::metadata("sys/devices/**"),
];

const MAX_DISKS: usize = 4_096;
const MAX_VALUE: usize = 4_096;

/// Block devices without hardware of their own.
const VIRTUAL: [&str; 9] = ["loop", "ram", "zram", "dm-", "md", "nbd", "drbd", "rbd", "fd"];

/// Reads one row for each disk.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let controllers = look.list(NVME, MAX_DISKS);
    let disks = look.list(BLOCK, MAX_DISKS);
    if controllers.is_none() && disks.is_none() {
        return look.missing(format!("{BLOCK} is not there"));
    }
    let mut rows = Vec::new();
    let mut known = BTreeSet::new();
    for controller in controllers.into_iter().flat_map(|it| it.entries) {
        rows.push(nvme(look, &controller.name));
        known.insert(controller.name);
    }
    let has_controllers = !known.is_empty();
    for disk in disks.into_iter().flat_map(|it| it.entries) {
        let name = disk.name.as_str();
        if VIRTUAL.iter().any(|prefix| name.starts_with(prefix)) || is_part_of_card(name) {
            continue;
        }
        match controller_of(name) {
            // Without the class the first namespace speaks for its controller.
            Some(controller) if has_controllers || !known.insert(controller.to_owned()) => {}
            Some(controller) => {
                rows.push(FirmwareRow { name: Some(controller.to_owned()), ..block(look, name) });
            }
            None => rows.push(block(look, name)),
        }
    }
    Reading::of(&rows)
}

/// `nvme0` of `nvme0n1`, and of `nvme0c1n1`, where two controllers share a namespace.
fn controller_of(block: &str) -> Option<&str> {
    let number = block.strip_prefix("nvme")?;
    let digits = number.find(|it: char| !it.is_ascii_digit())?;
    (digits > 0).then(|| &block[..block.len() - number.len() + digits])
}

/// Boot areas of an eMMC are block devices beside the card's own.
fn is_part_of_card(block: &str) -> bool {
    block.starts_with("mmcblk") && (block.contains("boot") || block.contains("rpmb"))
}

/// A row that only names its disk.
pub(in crate::scan) fn row(name: &str) -> FirmwareRow {
    FirmwareRow {
        source: "firmware/disks".to_owned(),
        kind: "disk".to_owned(),
        name: Some(name.to_owned()),
        ..FirmwareRow::default()
    }
}

/// The first of some files that says something.
fn value(look: &Look<'_>, place: &str, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| {
        let bytes = look.host.root.read(&format!("{place}/{name}"), MAX_VALUE).ok()?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        (!is_placeholder(&text)).then_some(text)
    })
}

fn nvme(look: &Look<'_>, name: &str) -> FirmwareRow {
    let place = format!("{NVME}/{name}");
    let driver = look.host.root.read_link(&format!("{place}/device/driver")).ok();
    FirmwareRow {
        vendor: value(look, &place, &["device/vendor"]),
        model: value(look, &place, &["model"]),
        version: value(look, &place, &["firmware_rev"]),
        serial: value(look, &place, &["serial"]),
        driver: driver.and_then(|it| Some(it.file_name()?.to_str()?.to_owned())),
        ..row(name)
    }
}

fn block(look: &mut Look<'_>, name: &str) -> FirmwareRow {
    let place = format!("{BLOCK}/{name}");
    let Identity { model, firmware, serial } = page(look, &place, "vpd_pg89", vpd::ata).unwrap_or_default();
    let real = |it: Option<String>| it.filter(|it| !is_placeholder(it));
    FirmwareRow {
        vendor: value(look, &place, &["device/vendor"]).filter(|it| it != "ATA"),
        model: real(model).or_else(|| value(look, &place, &["device/model", "device/name"])),
        version: real(firmware)
            .or_else(|| value(look, &place, &["device/firmware_rev", "device/fwrev", "device/rev"])),
        serial: real(serial)
            .or_else(|| real(page(look, &place, "vpd_pg80", vpd::serial)))
            .or_else(|| value(look, &place, &["device/serial", "serial"])),
        ..row(name)
    }
}

/// Reads a page where the kernel keeps it; older kernels keep fewer.
fn page<T>(
    look: &mut Look<'_>,
    place: &str,
    name: &str,
    parse: fn(&[u8]) -> Result<Option<T>, InvalidPage>,
) -> Option<T> {
    let path = format!("{place}/device/{name}");
    let bytes = match look.host.root.read(&path, vpd::MAX_PAGE) {
        Ok(bytes) if !bytes.is_empty() => bytes,
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => return look.note(&path, Err(cause)),
        // Some kernels show a page that the disk never gave, and say so when it is read.
        Ok(_) | Err(_) => return None,
    };
    match parse(&bytes) {
        Ok(found) => found,
        Err(why) => {
            look.fault(format!("{path}: {why}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::vpd::tests::ata_page;
    use super::*;
    use crate::host::Host;
    use crate::scan::look::tests::{host, rows_of, write};

    fn said(host: &Host) -> (Vec<[String; 4]>, Vec<String>) {
        let (rows, faults, _) = rows_of::<FirmwareRow>(host, probe);
        let fields =
            |it: FirmwareRow| [it.name, it.model, it.version, it.serial].map(Option::unwrap_or_default);
        (rows.into_iter().map(fields).collect(), faults)
    }

    #[test]
    fn sata_and_nvme_disks_say_their_revision_and_loops_are_left_out() {
        let (_dir, host) = host(&[
            ("sys/block/loop0/size", "0"),
            ("sys/block/nvme0n1/device/model", "Samsung SSD 980 PRO 1TB             \n"),
            ("sys/block/nvme0n1/device/firmware_rev", "5B2QGXA7\n"),
            ("sys/block/nvme0n1/device/serial", "S5GXNX0R\n"),
            ("sys/block/nvme0n2/device/firmware_rev", "5B2QGXA7\n"),
            ("sys/block/sda/device/vendor", "ATA     \n"),
            ("sys/block/sda/device/model", "Micron_5300_MTFD\n"),
            ("sys/block/sda/device/rev", "U001\n"),
        ]);
        let (rows, faults) = said(&host);
        assert!(faults.is_empty());
        assert_eq!(
            rows,
            [
                ["nvme0", "Samsung SSD 980 PRO 1TB", "5B2QGXA7", "S5GXNX0R"],
                ["sda", "Micron_5300_MTFD", "U001", ""]
            ]
        );
        assert_eq!(rows_of::<FirmwareRow>(&host, probe).0[1].vendor, None);
    }

    #[test]
    fn a_controller_is_one_row_however_many_namespaces_and_paths_it_has() {
        let (_dir, host) = host(&[
            ("sys/class/nvme/nvme0/model", "SAMSUNG MZQL2960HCJR-00A07              \n"),
            ("sys/class/nvme/nvme0/firmware_rev", "GDC5602Q\n"),
            ("sys/class/nvme/nvme0/serial", "S64FNE0R501234      \n"),
            ("sys/class/nvme/nvme0/device/vendor", "0x144d\n"),
            ("sys/class/nvme/nvme1/firmware_rev", "GDC5902Q\n"),
            ("sys/block/nvme0n1/size", "1"),
            ("sys/block/nvme0n2/size", "1"),
            ("sys/block/nvme0c1n1/size", "1"),
        ]);
        let (rows, faults) = said(&host);
        assert!(faults.is_empty());
        assert_eq!(
            rows,
            [
                ["nvme0", "SAMSUNG MZQL2960HCJR-00A07", "GDC5602Q", "S64FNE0R501234"],
                ["nvme1", "", "GDC5902Q", ""]
            ]
        );
        assert_eq!(rows_of::<FirmwareRow>(&host, probe).0[0].vendor.as_deref(), Some("0x144d"));
    }

    #[test]
    fn the_whole_revision_of_a_sata_disk_comes_from_its_page() {
        let (dir, host) = host(&[
            ("sys/block/sda/device/model", "Micron_5300_MTFD\n"),
            ("sys/block/sda/device/rev", "U001\n"),
            ("sys/block/sdb/device/model", "ST4000NM003A\n"),
            ("sys/block/sdb/device/rev", "E002\n"),
        ]);
        let page = ata_page("Micron_5300_MTFDDAK480TDS", "D3MU001", "20302A3C1F2E");
        write(dir.path(), "sys/block/sda/device/vpd_pg89", &page);
        write(dir.path(), "sys/block/sdb/device/vpd_pg80", b"\0\x80\0\x08WJG0ABCD");
        let (rows, faults) = said(&host);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(
            rows,
            [
                ["sda", "Micron_5300_MTFDDAK480TDS", "D3MU001", "20302A3C1F2E"],
                ["sdb", "ST4000NM003A", "E002", "WJG0ABCD"]
            ]
        );
    }

    #[test]
    fn a_broken_page_is_a_gap_and_the_short_revision_stays() {
        let (dir, host) = host(&[("sys/block/sda/device/rev", "U001\n")]);
        write(dir.path(), "sys/block/sda/device/vpd_pg89", &ata_page("M", "F", "S")[..200]);
        let (rows, faults) = said(&host);
        assert_eq!(rows[0][2], "U001");
        assert_eq!(faults, ["sys/block/sda/device/vpd_pg89: the page is cut off"]);
    }

    #[test]
    fn an_emmc_is_one_row_with_its_revision() {
        let (_dir, host) = host(&[
            ("sys/block/mmcblk0/device/name", "DG4016\n"),
            ("sys/block/mmcblk0/device/fwrev", "0x3030303030303031\n"),
            ("sys/block/mmcblk0/device/serial", "0x4f2a11c3\n"),
            ("sys/block/mmcblk0boot0/device/fwrev", "0x3030303030303031\n"),
        ]);
        assert_eq!(said(&host).0, [["mmcblk0", "DG4016", "0x3030303030303031", "0x4f2a11c3"]]);
    }

    #[test]
    fn names_that_only_look_like_a_namespace_have_no_controller() {
        assert_eq!(controller_of("nvme10n1"), Some("nvme10"));
        assert_eq!(controller_of("nvme0c1n1"), Some("nvme0"));
        assert_eq!(controller_of("nvme"), None);
        assert_eq!(controller_of("nvme-fabrics"), None);
        assert_eq!(controller_of("sda"), None);
    }
}
