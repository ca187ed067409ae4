use super::super::smbios::tests::{entry_2, entry_3, structure};
use super::*;
use crate::scan::look::tests::{host, rows_of, write};
use std::path::Path;

/// Fields of a structure from which texts are left out.
fn with<const N: usize>(values: [(usize, u8); N], length: usize) -> Vec<u8> {
    let mut fields = vec![0; length - 4];
    for (at, value) in values {
        fields[at - 4] = value;
    }
    fields
}

fn end() -> Vec<u8> {
    structure(127, 0xfeff, &[], &[])
}

/// A rack server with two boards, a BMC and a TPM, as its vendor fills the tables.
pub(crate) fn server() -> Vec<u8> {
    let bios = with([(4, 1), (5, 2), (8, 3), (0x14, 2), (0x15, 19), (0x16, 0xff), (0x17, 0xff)], 0x1a);
    let system = with([(4, 1), (5, 2), (7, 3)], 0x1b);
    let board = with([(4, 1), (5, 2), (6, 3), (7, 4), (0x0a, 5)], 0x0f);
    let chassis = with([(4, 1), (5, 0x17), (7, 2)], 0x16);
    let ipmi = with([(4, 1), (5, 0x20)], 0x12);
    let host_interface = with([(4, 0x40), (5, 1), (6, 2), (7, 1), (8, 4), (9, 0)], 0x0b);
    let mut tpm = with([(8, 2), (0x12, 1)], 0x1f);
    tpm[..4].copy_from_slice(b"IFX\0");
    tpm[6..10].copy_from_slice(&0x0007_003f_u32.to_le_bytes());
    [
        structure(0, 0, &bios, &["Dell Inc.", "2.19.1", "06/04/2023"]),
        structure(1, 0x100, &system, &["Dell Inc.", "PowerEdge R740", "4XK2B93"]),
        structure(
            2,
            0x200,
            &board,
            &["Dell Inc.", "0WGD1", "A05", ".4XK2B93.CNIVC0096E00BZ.", "To Be Filled By O.E.M."],
        ),
        structure(2, 0x201, &board, &["Dell Inc.", "0PHRM4", "A02", "CNIVC0096E0A12", "Riser 1"]),
        structure(3, 0x300, &chassis, &["Dell Inc.", "4XK2B93"]),
        structure(38, 0x2600, &ipmi, &[]),
        structure(42, 0x2a00, &host_interface, &[]),
        structure(43, 0x2b00, &tpm, &["TPM 2.0, ManufacturerID: IFX"]),
        end(),
    ]
    .concat()
}

pub(crate) fn put(dir: &Path, entry: &[u8], tables: &[u8]) {
    write(dir, smbios::ENTRY_POINT, entry);
    write(dir, smbios::TABLES, tables);
}

fn line(row: &FirmwareRow) -> String {
    let fields =
        [&row.name, &row.vendor, &row.model, &row.version, &row.date, &row.serial, &row.state, &row.guid];
    let said: Vec<_> = fields.into_iter().flatten().map(String::as_str).collect();
    format!("{}: {}", row.kind, said.join(" | "))
}

fn lines(host: &crate::host::Host) -> (Vec<String>, Vec<String>) {
    let (rows, faults, _) = rows_of::<FirmwareRow>(host, probe);
    (rows.iter().map(line).collect(), faults)
}

#[test]
fn a_server_says_its_releases_boards_and_serials() {
    let (dir, host) = host(&[("sys/class/dmi/id/bios_version", "2.19.1\n"), ("sys/firmware/efi/x", "")]);
    put(dir.path(), &entry_3(server().len() + 500), &server());
    let (rows, faults) = lines(&host);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(
        rows,
        [
            "bios: uefi | Dell Inc. | 2.19.1 | 06/04/2023",
            "device: bios-release | 2.19",
            "system: Dell Inc. | PowerEdge R740 | 4XK2B93",
            "board: Dell Inc. | 0WGD1 | A05 | .4XK2B93.CNIVC0096E00BZ.",
            "board: Riser 1 | Dell Inc. | 0PHRM4 | A02 | CNIVC0096E0A12",
            "chassis: Dell Inc. | 4XK2B93",
        ]
    );
}

#[test]
fn an_industrial_computer_with_old_tables_and_placeholders_says_what_is_left() {
    let (dir, host) = host(&[]);
    let bios = with([(4, 1), (5, 2), (8, 3), (0x14, 5), (0x15, 6), (0x16, 1), (0x17, 7)], 0x18);
    let system = with([(4, 1), (5, 2), (6, 3), (7, 4)], 0x1b);
    let tables = [
        structure(0, 0, &bios, &["SIEMENS AG", "V21.01.10", "09/28/2020"]),
        structure(1, 1, &system, &["SIEMENS AG", "SIMATIC IPC427E", "Default string", "VPL1234567  "]),
        structure(2, 2, &with([(4, 1), (5, 2), (7, 3)], 8), &["SIEMENS AG", "A5E37455435", "123456789"]),
        structure(3, 3, &with([(4, 1), (6, 2), (7, 3)], 9), &["Default string", "None", "0"]),
        end(),
    ]
    .concat();
    put(dir.path(), &entry_2(tables.len(), 5), &tables);
    let (rows, faults) = lines(&host);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(
        rows,
        [
            "bios: legacy | SIEMENS AG | V21.01.10 | 09/28/2020",
            "device: bios-release | 5.6",
            "device: embedded-controller | 1.7",
            "system: SIEMENS AG | SIMATIC IPC427E | VPL1234567",
            "board: SIEMENS AG | A5E37455435",
        ]
    );
}

#[test]
fn the_parts_that_newer_firmware_lists_are_rows_of_their_own() {
    let (dir, host) = host(&[]);
    let part =
        with([(4, 1), (5, 2), (7, 3), (8, 1), (9, 4), (0x0a, 5), (0x16, 4), (0x17, 1), (0x18, 0x10)], 0x1a);
    let guid = "6DE5D951-D755-576B-BD09-C5CF66B27234";
    let tables =
        [structure(45, 9, &part, &["BMC", "7.00.60", guid, "2023-09-01", "Dell Inc."]), end()].concat();
    put(dir.path(), &entry_3(4_096), &tables);
    let (rows, _) = lines(&host);
    assert_eq!(
        rows,
        ["device: BMC | Dell Inc. | 7.00.60 | 2023-09-01 | enabled | 6de5d951-d755-576b-bd09-c5cf66b27234"]
    );
}

#[test]
fn without_the_tables_the_kernels_excerpt_speaks_and_nothing_is_said_twice() {
    let (_dir, host) = host(&[
        ("sys/firmware/efi/fw_platform_size", "64"),
        ("sys/class/dmi/id/bios_version", "V21.01.10\n"),
        ("sys/class/dmi/id/bios_vendor", "Default string\n"),
        ("sys/class/dmi/id/bios_release", "5.6\n"),
        ("sys/class/dmi/id/ec_firmware_release", "255.255\n"),
        ("sys/class/dmi/id/product_name", "SIMATIC IPC427E\n"),
    ]);
    let (rows, faults) = lines(&host);
    assert_eq!(rows, ["bios: uefi | V21.01.10", "device: bios-release | 5.6", "system: SIMATIC IPC427E"]);
    assert!(faults.is_empty());
    let (_, _, coverage) = rows_of::<FirmwareRow>(&host, probe);
    assert!(coverage.absent > 0);
}

#[test]
fn broken_tables_are_a_gap_and_the_excerpt_still_speaks() {
    let excerpt = [("sys/class/dmi/id/product_name", "SIMATIC IPC427E\n")];
    for (entry, tables, why) in [
        (b"_SM3_".to_vec(), server(), "smbios_entry_point: the entry point is cut off"),
        (entry_3(4_096), vec![0; 64], "DMI: a structure is cut off or broken"),
        (entry_3(4_096), Vec::new(), "DMI: the tables end without an end marker"),
    ] {
        let (dir, host) = host(&excerpt);
        put(dir.path(), &entry, &tables);
        let (rows, faults) = lines(&host);
        assert_eq!(rows, ["system: SIMATIC IPC427E"]);
        assert_eq!(faults, [format!("sys/firmware/dmi/tables/{why}")]);
    }
}

#[test]
fn a_cut_table_says_what_was_whole_and_the_excerpt_adds_nothing() {
    let (dir, host) = host(&[("sys/class/dmi/id/product_name", "PowerEdge R740\n")]);
    put(dir.path(), &entry_3(4_096), &server()[..150]);
    let (rows, faults) = lines(&host);
    assert_eq!(rows.iter().filter(|it| it.starts_with("system")).count(), 1);
    assert_eq!(faults, ["sys/firmware/dmi/tables/DMI: a structure is cut off or broken"]);
}

#[cfg(unix)]
#[test]
fn tables_that_may_not_be_read_are_a_gap_and_the_excerpt_still_speaks() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    let (dir, host) = host(&[("sys/class/dmi/id/product_name", "PowerEdge R740\n")]);
    put(dir.path(), &entry_3(4_096), &server());
    for path in [smbios::ENTRY_POINT, smbios::TABLES] {
        set_permissions(dir.path().join(path), Permissions::from_mode(0o0)).unwrap();
    }
    if std::fs::read(dir.path().join(smbios::TABLES)).is_ok() {
        println!("left out: this user may read everything");
        return;
    }
    let (rows, faults) = lines(&host);
    assert_eq!(rows, ["system: PowerEdge R740"]);
    assert_eq!(faults, [format!("{}: permission denied", smbios::ENTRY_POINT)]);
}
