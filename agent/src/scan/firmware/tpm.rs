//! Trusted platform modules.
//!
//! Source of truth: `sys/class/tpm`. The kernel says the family of the specification and, for
//! 1.2 modules, manufacturer and firmware in `caps`; a 2.0 module's firmware is in no file.

use holdpoint_common::row::FirmwareRow;

use crate::host::Reads;
use crate::scan::{Look, Reading};

const DIRECTORY: &str = "sys/class/tpm";
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("sys/class/tpm"),
    Reads::content("sys/class/tpm/*/tpm_version_major"),
    Reads::content("sys/class/tpm/*/device/description"),
    Reads::content("sys/devices/**/tpm_version_major"),
    Reads::content("sys/devices/**/description"),
];

const MAX_MODULES: usize = 64;

/// Reads one row for each module.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(modules) = look.list(DIRECTORY, MAX_MODULES) else {
        return look.missing(format!("{DIRECTORY} is not there"));
    };
    let rows: Vec<FirmwareRow> = modules
        .entries
        .iter()
        .map(|module| {
            let mut value = |name: &str| look.value(&format!("{DIRECTORY}/{}/{name}", module.name));
            FirmwareRow {
                source: "firmware/tpm".to_owned(),
                kind: "tpm".to_owned(),
                name: Some(module.name.clone()),
                model: value("device/description"),
                version: value("tpm_version_major").map(|it| format!("specification {it}")),
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
    fn a_module_says_its_family() {
        let (_dir, host) = host(&[
            ("sys/class/tpm/tpm0/tpm_version_major", "2\n"),
            ("sys/class/tpm/tpm0/device/description", "TPM 2.0 Device\n"),
        ]);
        let (rows, _, _) = rows_of::<FirmwareRow>(&host, probe);
        assert_eq!(rows[0].version.as_deref(), Some("specification 2"));
        assert_eq!(rows[0].model.as_deref(), Some("TPM 2.0 Device"));
    }
}
