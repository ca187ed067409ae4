//! The microcode that the processors run now, and the one that firmware had loaded before.
//!
//! Source of truth: `HARDWARE\DESCRIPTION\System\CentralProcessor`, which everybody may read and which is
//! made anew at every start: in no hive file. `Update Revision` (before Windows 10 `Update Signature`) is the
//! processor's register 8Bh: Intel has the revision in its upper half, AMD in its lower one.
//! `Previous Update Revision` is what stood there before Windows loaded its own.
//!
//! Known lie: hypervisors report a made-up revision.

use std::collections::BTreeSet;

use holdpoint_common::row::FirmwareRow;

use crate::host::Reads;
use crate::host::registry::{Data, Value};
use crate::scan::firmware::microcode;
use crate::scan::look::said;
use crate::scan::{Look, Reading};

const KEY: &str = r"HKLM\HARDWARE\DESCRIPTION\System\CentralProcessor";
/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[&[
    Reads::key(r"HKLM\HARDWARE\DESCRIPTION\System\CentralProcessor"),
    Reads::key(r"HKLM\HARDWARE\DESCRIPTION\System\CentralProcessor\*"),
]];

const MAX_PROCESSORS: usize = 4_096;
/// Who loaded a revision that runs no more.
const BEFORE: &str = "loaded-by-firmware";

/// Reads one row for each revision that runs, and one for each that firmware had loaded.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    let Some(processors) = look.registry_keys(KEY) else {
        return look.missing(format!("{KEY} is not there"));
    };
    let mut distinct = BTreeSet::new();
    for (number, processor) in processors.iter().enumerate() {
        if number == MAX_PROCESSORS {
            look.fault(format!("{KEY}: more than {MAX_PROCESSORS} processors"));
            break;
        }
        let Some(values) = look.registry_values(&format!(r"{KEY}\{processor}")) else { continue };
        let text = |name| data(&values, name).and_then(Data::text).and_then(said);
        let revision = |names: [&str; 2]| names.iter().find_map(|it| revision(data(&values, it)?));
        let (vendor, model) = (text("VendorIdentifier"), text("ProcessorNameString"));
        let now = revision(["Update Revision", "Update Signature"]);
        let before = revision(["Previous Update Revision", "Previous Update Signature"]);
        distinct.extend(now.map(|it| (None, vendor.clone(), model.clone(), it)));
        distinct.extend(before.map(|it| (Some(BEFORE), vendor, model, it)));
    }
    if distinct.is_empty() {
        return look.missing(format!("{KEY} names no microcode"));
    }
    let rows: Vec<FirmwareRow> = distinct
        .into_iter()
        .map(|(name, vendor, model, version)| FirmwareRow {
            name: name.map(str::to_owned),
            vendor,
            model,
            version: Some(version),
            ..microcode::row()
        })
        .collect();
    Reading::of(&rows)
}

fn data<'a>(values: &'a [Value], name: &str) -> Option<&'a Data> {
    values.iter().find(|it| it.name.eq_ignore_ascii_case(name)).map(|it| &it.data)
}

/// A revision as Linux writes it: `0xf0`; `None` for the zero of a processor without an update.
fn revision(data: &Data) -> Option<String> {
    let (low, high) = match data {
        Data::Bytes { bytes, .. } => {
            let (low, high) = bytes.split_first_chunk()?;
            let high = if high.is_empty() { [0; 4] } else { high.try_into().ok()? };
            (u32::from_le_bytes(*low), u32::from_le_bytes(high))
        }
        Data::Number(it) => (*it, 0),
        Data::Wide(_) | Data::Text(_) | Data::Expand(_) | Data::List(_) => return None,
    };
    let revision = if high == 0 { low } else { high };
    (revision != 0).then(|| format!("{revision:#x}"))
}

#[cfg(test)]
mod tests {
    use super::super::smbios::tests::lines;
    use super::*;
    use crate::scan::look::tests::windows_host;

    fn processor(number: u8, values: &str) -> String {
        format!(
            "[HKEY_LOCAL_MACHINE\\HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\{number}]\n\
             \"VendorIdentifier\"=\"GenuineIntel\"\n\"ProcessorNameString\"=\"i7  \"\n{values}\n\n"
        )
    }

    #[test]
    fn equal_processors_are_one_row_and_what_firmware_had_loaded_is_another() {
        let values = "\"Update Revision\"=hex:00,00,00,00,f0,00,00,00\n\
                      \"Previous Update Revision\"=hex:00,00,00,00,c2,00,00,00";
        let (_dir, host) = windows_host(&[processor(0, values), processor(1, values)].concat());
        let (rows, faults) = lines(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(
            rows,
            [
                "microcode: GenuineIntel | i7 | 0xf0",
                "microcode: loaded-by-firmware | GenuineIntel | i7 | 0xc2"
            ]
        );
    }

    #[test]
    fn the_half_that_says_something_is_the_revision() {
        for (values, version) in [
            ("\"Update Revision\"=hex:29,20,70,08,00,00,00,00", Some("0x8702029")),
            ("\"Update Signature\"=hex:00,00,00,00,1b,00,00,00", Some("0x1b")),
            ("\"Update Revision\"=hex:00,00,00,00,00,00,00,00", None),
            ("\"Update Revision\"=hex:01,02", None),
            ("\"Update Revision\"=\"0xf0\"", None),
        ] {
            let (_dir, host) = windows_host(&processor(0, values));
            let expected: Vec<String> =
                version.iter().map(|it| format!("microcode: GenuineIntel | i7 | {it}")).collect();
            let budget = crate::scan::look::tests::ample();
            match probe(&mut Look::new(&host, &budget, "test")) {
                Reading::Rows(_) => assert_eq!(lines(&host, probe).0, expected, "{values}"),
                Reading::Absent(_) => assert!(expected.is_empty(), "{values}"),
                Reading::Failed(why) => panic!("{why}"),
            }
        }
    }
}
