//! Trusted platform modules.
//!
//! Sources of truth: the family of the specification, which the system's TPM service tells since Windows
//! 8 (`Tbsi_GetDeviceInfo`) without the module being opened; in a captured machine, that its bus found a
//! device of family 2.0 (`Enum\ACPI\MSFT0101`). What firmware the module runs is told by neither: where
//! there is exactly one, the SMBIOS tables (type 43) say its manufacturer and firmware.
//!
//! Known lies: as on Linux, the tables can be older than an update since; a device that was found once
//! stays in the registry when it is taken out.

use std::io;

use crate::host::Reads;
use crate::scan::firmware::smbios::{Handed, Structures};
use crate::scan::firmware::tpm::{Module, completed, described, of_family};
use crate::scan::{Look, Reading};

const FOUND: &str = r"HKLM\SYSTEM\CurrentControlSet\Enum\ACPI\MSFT0101";
/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[&[Reads::key(r"HKLM\SYSTEM\CurrentControlSet\Enum\ACPI\MSFT0101")]];

/// Reads one row for each module.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    let told: Vec<Module> = family(look).into_iter().map(of_family).collect();
    // That they are broken or not there the probe of the tables says.
    let bytes = look.host.windows.as_ref().and_then(|it| it.hardware.smbios().ok()).unwrap_or_default();
    let listed = match Handed::parse(&bytes) {
        Ok(it) => described(&Structures::read(it.entry, it.tables)),
        Err(_) => Vec::new(),
    };
    if told.is_empty() && listed.is_empty() {
        return look.missing("there is no TPM");
    }
    Reading::of(&completed(told, &listed))
}

fn family(look: &mut Look<'_>) -> Option<u32> {
    if let Some(windows) = look.host.windows.clone() {
        match look.in_time().and_then(|()| windows.hardware.tpm_family()) {
            // Before Windows 8 nobody can be asked.
            Err(cause) if cause.kind() == io::ErrorKind::Unsupported => {}
            said => return look.note("the TPM", said),
        }
    }
    let found = look.registry_keys(FOUND)?;
    (!found.is_empty()).then_some(2)
}

#[cfg(test)]
mod tests {
    use super::super::smbios::tests::{lines, machine};
    use super::*;
    use crate::host::windows::{Answer, hardware};
    use crate::scan::firmware::dmi::tests::server;
    use crate::scan::firmware::smbios::tests::handed;
    use crate::scan::look::tests::windows_host;

    const NONE: &str = "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor]";
    const FOUND_ONCE: &str = "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Enum\\ACPI\\MSFT0101\\1]";

    fn said(family: Answer<u32>, tables: &[u8], keys: &str) -> Vec<String> {
        let smbios = handed(tables).into();
        let (_dir, host) =
            machine(hardware::Recorded { tpm_family: family, smbios, ..hardware::Recorded::default() }, keys);
        let (rows, faults) = lines(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        rows
    }

    #[test]
    fn the_service_tells_the_family_and_the_tables_the_firmware() {
        assert_eq!(said(2.into(), &server(), NONE), ["tpm: IFX | TPM 2.0, ManufacturerID: IFX | 7.63"]);
        assert_eq!(said(2.into(), &[], NONE), ["tpm: specification 2"]);
        assert_eq!(said(1.into(), &server(), NONE), ["tpm: specification 1"]);
    }

    #[test]
    fn an_old_windows_and_a_captured_one_say_what_the_bus_found() {
        let unsupported = Answer(Err(io::ErrorKind::Unsupported));
        assert_eq!(said(unsupported, &[], FOUND_ONCE), ["tpm: specification 2"]);
        let (_dir, host) = windows_host(FOUND_ONCE);
        assert_eq!(lines(&host, probe).0, ["tpm: specification 2"]);
    }

    #[test]
    fn a_module_that_nobody_has_is_absent_and_a_broken_service_is_a_gap() {
        let budget = crate::scan::look::tests::ample();
        for (answer, expected) in [
            (Answer::default(), Reading::Absent("there is no TPM".into())),
            (Answer::denied(), Reading::Failed("the TPM: permission denied".into())),
        ] {
            let hardware = hardware::Recorded { tpm_family: answer, ..hardware::Recorded::default() };
            let (_dir, host) = machine(hardware, FOUND_ONCE);
            assert_eq!(probe(&mut Look::new(&host, &budget, "test")), expected);
        }
    }
}
