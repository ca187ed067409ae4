//! The parts that UEFI updates by itself: the EFI System Resource Table.
//!
//! Source of truth: `sys/firmware/efi/esrt/entries`, filled when the kernel started; root only. One row
//! for each entry: kind `system` for the machine's own firmware, `device` for everything else. A version
//! is the number as the table has it: how its vendor writes it ("0.1.24") is nowhere in the table.
//! `state` is what became of the last update through UEFI, absent when none was ever tried; an update by
//! another way leaves it as it was. Absent without UEFI, and on machines whose firmware has no table.

use holdpoint_common::row::FirmwareRow;

use crate::host::Reads;
use crate::scan::{Look, Reading};

const DIRECTORY: &str = "sys/firmware/efi/esrt/entries";
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("sys/firmware/efi/esrt/entries"),
    Reads::content("sys/firmware/efi/esrt/entries/*/fw_class"),
    Reads::content("sys/firmware/efi/esrt/entries/*/fw_type"),
    Reads::content("sys/firmware/efi/esrt/entries/*/fw_version"),
    Reads::content("sys/firmware/efi/esrt/entries/*/last_attempt_version"),
    Reads::content("sys/firmware/efi/esrt/entries/*/last_attempt_status"),
];

const MAX_ENTRIES: usize = 256;

/// Reads one row for each entry.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(entries) = look.list(DIRECTORY, MAX_ENTRIES) else {
        return look.missing(format!("{DIRECTORY} is not there"));
    };
    let mut rows = Vec::new();
    for entry in entries.entries.iter().filter(|it| it.name.starts_with("entry")) {
        let place = format!("{DIRECTORY}/{}", entry.name);
        // Without its class an entry is nobody's; one refusal stands for all of its files.
        let Some(class) = look.value(&format!("{place}/fw_class")) else { continue };
        let mut number = |name: &str| {
            let path = format!("{place}/{name}");
            let text = look.value(&path)?;
            let number = text.parse::<u32>().ok();
            if number.is_none() {
                look.fault(format!("{path}: not a number"));
            }
            number
        };
        let kind = number("fw_type");
        let attempted = number("last_attempt_version").is_some_and(|it| it != 0);
        rows.push(FirmwareRow {
            source: "firmware/esrt".to_owned(),
            kind: if kind == Some(1) { "system" } else { "device" }.to_owned(),
            name: kind.and_then(kind_name).map(str::to_owned),
            version: number("fw_version").map(|it| it.to_string()),
            state: number("last_attempt_status").filter(|it| attempted || *it != 0).map(outcome),
            guid: Some(class.to_lowercase()),
            ..FirmwareRow::default()
        });
    }
    Reading::of(&rows)
}

/// `FwType` of the table.
fn kind_name(kind: u32) -> Option<&'static str> {
    match kind {
        1 => Some("system firmware"),
        2 => Some("device firmware"),
        3 => Some("uefi driver"),
        _ => None,
    }
}

/// `LastAttemptStatus` of the table.
fn outcome(status: u32) -> String {
    let why = match status {
        0 => return "success".to_owned(),
        1 => "unsuccessful",
        2 => "insufficient resources",
        3 => "incorrect version",
        4 => "invalid format",
        5 => "authentication",
        6 => "no mains power",
        7 => "battery too low",
        8 => "unsatisfied dependencies",
        // Numbers from 0x1000 on belong to the vendor.
        other => return format!("error: {other:#x}"),
    };
    format!("error: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};

    fn entry(number: u32, values: [&str; 5]) -> Vec<(String, String)> {
        ["fw_class", "fw_type", "fw_version", "last_attempt_version", "last_attempt_status"]
            .iter()
            .zip(values)
            .map(|(name, value)| (format!("{DIRECTORY}/entry{number}/{name}"), format!("{value}\n")))
            .collect()
    }

    fn said(entries: &[Vec<(String, String)>]) -> (Vec<String>, Vec<String>) {
        let files: Vec<_> = entries.iter().flatten().map(|(path, it)| (path.as_str(), it.as_str())).collect();
        let (_dir, host) = host(&files);
        let (rows, faults, _) = rows_of::<FirmwareRow>(&host, probe);
        let line = |it: FirmwareRow| {
            let fields = [Some(it.kind), it.name, it.version, it.state, it.guid];
            fields.map(|it| it.unwrap_or_else(|| "-".to_owned())).join(" | ")
        };
        (rows.into_iter().map(line).collect(), faults)
    }

    #[test]
    fn an_entry_says_its_version_and_how_its_last_update_ended() {
        let (rows, faults) = said(&[
            entry(0, ["EE993080-5197-4D4E-B63C-F1F7413E3A4A", "1", "65560", "65560", "0"]),
            entry(1, ["3dd84775-ec79-4ecb-8404-74de030c3f77", "2", "7", "8", "5"]),
            entry(2, ["6f6c6aa0-2b3e-4a4b-9f0c-0b1c6b7f2f11", "3", "1", "0", "0"]),
        ]);
        assert_eq!(
            rows,
            [
                "system | system firmware | 65560 | success | ee993080-5197-4d4e-b63c-f1f7413e3a4a",
                "device | device firmware | 7 | error: authentication | 3dd84775-ec79-4ecb-8404-74de030c3f77",
                "device | uefi driver | 1 | - | 6f6c6aa0-2b3e-4a4b-9f0c-0b1c6b7f2f11",
            ]
        );
        assert!(faults.is_empty());
    }

    #[test]
    fn what_is_no_number_is_a_gap() {
        let (rows, faults) = said(&[entry(0, ["ee993080", "0", "-1", "x", "4096"])]);
        assert_eq!(rows, ["device | - | - | error: 0x1000 | ee993080"]);
        assert_eq!(faults.len(), 2);
        let (rows, faults) = said(&[vec![(format!("{DIRECTORY}/entry0/fw_type"), "1".into())]]);
        assert_eq!((rows.len(), faults.len()), (0, 0));
    }
}
