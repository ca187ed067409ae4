//! Disks and their firmware revisions.
//!
//! Source of truth: what the system keeps of each disk's own answer (`STORAGE_DEVICE_DESCRIPTOR` of
//! `winioctl.h`), asked through a handle without any right. A captured machine has no such source.
//!
//! Known lies: disks behind a RAID controller show the controller's answer; some drivers cut a revision to
//! four characters; older drivers write a SATA disk's serial number as the bytes of its swapped letters,
//! which is undone here.

use holdpoint_common::row::FirmwareRow;

use crate::scan::firmware::disks;
use crate::scan::firmware::dmi::is_placeholder;
use crate::scan::look::said;
use crate::scan::{Look, Reading};

/// Where the offsets of a descriptor's texts stand in it: vendor, product, revision, serial number.
const OFFSETS: [usize; 4] = [12, 16, 20, 24];
/// Where the kind of its bus stands.
const BUS: usize = 28;
/// Buses behind which no disk of its own is: virtual ones, file-backed ones, storage spaces.
const VIRTUAL: [u32; 3] = [0x0e, 0x0f, 0x10];
/// Length of the fixed part, which the bus ends.
const FIXED: usize = 32;
/// Longest text that is kept, in bytes.
const MAX_TEXT: usize = 512;

/// Reads one row for each disk.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    let Some(windows) = look.host.windows.clone() else {
        return look.missing("disks are known to a running system alone");
    };
    let result = look.in_time().and_then(|()| windows.hardware.disks());
    let Some(all) = look.note("the list of disks", result) else {
        return look.missing("this system lists no disks");
    };
    let mut rows = Vec::new();
    for disk in all {
        let name = disk.number.map_or_else(|| "disk".to_owned(), |it| format!("PhysicalDrive{it}"));
        match disk.descriptor {
            Ok(bytes) => match describe(&bytes, &name) {
                Ok(row) => rows.extend(row),
                Err(why) => look.fault(format!("{name}: {why}")),
            },
            // It was taken out meanwhile.
            Err(std::io::ErrorKind::NotFound) => {}
            Err(cause) => {
                look.note::<()>(&name, Err(cause.into()));
            }
        }
    }
    Reading::of(&rows)
}

/// A description that is shorter than the system's own declaration of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its description is cut off")]
struct Cut;

/// The row of a disk; `None` when it has no hardware of its own.
fn describe(bytes: &[u8], name: &str) -> Result<Option<FirmwareRow>, Cut> {
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let bus = number(BUS).ok_or(Cut)?;
    if VIRTUAL.contains(&bus) {
        return Ok(None);
    }
    let text = |at: usize| {
        let start = usize::try_from(number(at)?).ok().filter(|it| *it >= FIXED)?;
        let text = bytes.get(start..)?.split(|it| *it == 0).next()?;
        let text = text.get(..MAX_TEXT).unwrap_or(text);
        said(&String::from_utf8_lossy(text)).filter(|it| !is_placeholder(it))
    };
    let [vendor, model, version, serial] = OFFSETS.map(text);
    Ok(Some(FirmwareRow {
        // The translation of SATA writes it where a vendor belongs.
        vendor: vendor.filter(|it| it != "ATA"),
        model,
        version,
        serial: serial.map(|it| unswapped(&it).unwrap_or(it)),
        ..disks::row(name)
    }))
}

/// The serial number behind 40 digits: bytes of letters, each pair swapped.
fn unswapped(serial: &str) -> Option<String> {
    if serial.len() != 40 || !serial.bytes().all(|it| it.is_ascii_hexdigit()) {
        return None;
    }
    let bytes = (0..20).map(|at| u8::from_str_radix(serial.get(at * 2..at * 2 + 2)?, 16).ok());
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    let text: String = bytes.chunks_exact(2).flat_map(|it| [it[1], it[0]]).map(char::from).collect();
    said(&text).filter(|it| it.bytes().all(|it| it.is_ascii_graphic() || it == b' '))
}

#[cfg(test)]
mod tests {
    use super::super::smbios::tests::{lines, machine};
    use super::*;
    use crate::host::windows::hardware::{self, Disk};
    use proptest::prelude::*;
    use std::io::ErrorKind;

    /// A descriptor with these texts, as drivers lay it out.
    fn descriptor(bus: u32, texts: [&str; 4]) -> Vec<u8> {
        let mut bytes = vec![0; FIXED + 4];
        bytes[BUS..BUS + 4].copy_from_slice(&bus.to_le_bytes());
        for (at, text) in OFFSETS.into_iter().zip(texts) {
            if !text.is_empty() {
                let start = u32::try_from(bytes.len()).unwrap();
                bytes[at..at + 4].copy_from_slice(&start.to_le_bytes());
                bytes.extend(text.bytes().chain([0]));
            }
        }
        bytes
    }

    fn said_of(disks: Vec<Disk>) -> (Vec<String>, Vec<String>) {
        let hardware = hardware::Recorded { disks: disks.into(), ..hardware::Recorded::default() };
        let (_dir, host) = machine(hardware, "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor]");
        lines(&host, probe)
    }

    fn disk(number: u32, descriptor: Result<Vec<u8>, ErrorKind>) -> Disk {
        Disk { number: Some(number), descriptor }
    }

    #[test]
    fn disks_say_their_revision_and_virtual_ones_are_left_out() {
        let sata = descriptor(
            11,
            ["ATA     ", "Micron_5300_MTFDDAK480TDS", "D3MU001", "2020202020202020202020203131303230324133"],
        );
        let nvme = descriptor(17, ["", "Samsung SSD 980 PRO 1TB", "5B2QGXA7", "0025_385B_21B0_1234."]);
        let (rows, faults) = said_of(vec![
            disk(0, Ok(sata)),
            disk(1, Ok(nvme)),
            disk(2, Ok(descriptor(15, ["Msft", "Virtual Disk", "1.0", ""]))),
        ]);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(
            rows,
            [
                "disk: PhysicalDrive0 | Micron_5300_MTFDDAK480TDS | D3MU001 | 1120203A",
                "disk: PhysicalDrive1 | Samsung SSD 980 PRO 1TB | 5B2QGXA7 | 0025_385B_21B0_1234.",
            ]
        );
    }

    #[test]
    fn a_refusal_and_a_cut_description_are_gaps_and_a_disk_that_went_is_none() {
        let (rows, faults) = said_of(vec![
            disk(0, Err(ErrorKind::PermissionDenied)),
            disk(1, Ok(vec![0; 20])),
            disk(2, Err(ErrorKind::NotFound)),
        ]);
        assert!(rows.is_empty());
        assert_eq!(
            faults,
            ["PhysicalDrive0: permission denied", "PhysicalDrive1: its description is cut off"]
        );
    }

    #[test]
    fn digits_that_are_no_letters_stay_as_they_are() {
        assert_eq!(unswapped("2020202020202020202020203131303230324133").as_deref(), Some("1120203A"));
        assert_eq!(unswapped(&"ff".repeat(20)), None);
        assert_eq!(unswapped("S5GXNX0R"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = describe(&bytes, "x");
        }
    }
}
