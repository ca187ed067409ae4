//! The microcode that the processors run now.
//!
//! Source of truth: `proc/cpuinfo`, world readable. Absent on processors without microcode
//! updates. Known lie: hypervisors report a made-up revision; the row says what was read.

use std::collections::BTreeSet;

use holdpoint_common::row::FirmwareRow;

use crate::host::Reads;
use crate::scan::{Look, Reading};

const SOURCE: &str = "proc/cpuinfo";
/// What this probe may touch.
pub const READS: &[Reads] = &[Reads::content("proc/cpuinfo")];

const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Reads one row for each revision that runs; more than one is worth a look.
pub fn probe(look: &mut Look<'_>) -> Reading {
    match look.text(SOURCE, MAX_BYTES) {
        None => look.missing(format!("{SOURCE} is not there")),
        Some(text) => {
            let rows = parse(&text);
            if rows.is_empty() {
                Reading::Absent(format!("{SOURCE} names no microcode"))
            } else {
                Reading::of(&rows)
            }
        }
    }
}

fn parse(text: &str) -> Vec<FirmwareRow> {
    let distinct: BTreeSet<[Option<&str>; 3]> = text
        .split("\n\n")
        .map(|processor| {
            ["vendor_id", "model name", "microcode"].map(|key| {
                processor.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    (name.trim() == key).then(|| value.trim()).filter(|it| !it.is_empty())
                })
            })
        })
        .collect();
    distinct
        .into_iter()
        .filter(|[_, _, microcode]| microcode.is_some())
        .map(|[vendor, model, microcode]| FirmwareRow {
            vendor: vendor.map(str::to_owned),
            model: model.map(str::to_owned),
            version: microcode.map(str::to_owned),
            ..row()
        })
        .collect()
}

/// A row without a revision.
pub(in crate::scan) fn row() -> FirmwareRow {
    FirmwareRow {
        source: "firmware/microcode".to_owned(),
        kind: "microcode".to_owned(),
        ..FirmwareRow::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_processors_are_one_row_and_a_straggler_is_its_own() {
        let one = "vendor_id\t: GenuineIntel\nmodel name\t: i7\nmicrocode\t: 0xf0\ncpu MHz\t: ";
        let text = format!("{one}1\n\n{one}2\n\n{}3\n\n", one.replace("0xf0", "0xea"));
        let rows = parse(&text);
        let versions: Vec<_> = rows.iter().map(|it| it.version.as_deref().unwrap()).collect();
        assert_eq!(versions, ["0xea", "0xf0"]);
        assert!(parse("processor\t: 0\nBogoMIPS\t: 108.00\n\n").is_empty());
    }
}
