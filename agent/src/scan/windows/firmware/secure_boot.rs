//! Secure Boot: whether it holds, and whom it trusts and forbids.
//!
//! Sources of truth: `Control\SecureBoot\State`, which everybody may read and which only machines have that
//! started by UEFI; the variables of UEFI for the lists, which need the privilege
//! `SeSystemEnvironmentPrivilege`: `LocalSystem` and administrators hold it, `LocalService` does not, and
//! the lists are then one gap. Rows are those of a Linux host.
//!
//! Absent on machines that did not start by UEFI, and before Windows 8. Known lie: in a captured machine
//! the state is that of its last start.

use std::io;

use crate::host::Reads;
use crate::scan::firmware::secure_boot::{GLOBAL, LISTS, keys, state};
use crate::scan::{Look, Reading};

const STATE: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\SecureBoot\State";
/// What this probe may touch.
pub(super) const READS: &[&[Reads]] =
    &[&[Reads::key(r"HKLM\SYSTEM\CurrentControlSet\Control\SecureBoot\State")]];

/// Reads the state and the lists.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    let enabled = look.registry_value(STATE, "UEFISecureBootEnabled").and_then(|it| it.number());
    let mut is_denied = false;
    let setup = variable(look, "SetupMode", GLOBAL, &mut is_denied).map(|it| it == [1]);
    let mut rows: Vec<_> = enabled.map(|it| state(it != 0, setup)).into_iter().collect();
    for (name, vendor) in LISTS {
        if let Some(value) = variable(look, name, vendor, &mut is_denied) {
            rows.extend(keys(look, name, &value));
        }
    }
    // A machine that did not start by UEFI has nothing that could be refused.
    if is_denied && enabled.is_some() {
        look.note("variables of UEFI", Err::<(), _>(io::ErrorKind::PermissionDenied.into()));
    }
    if rows.is_empty() {
        return look.missing(format!("{STATE} is not there: this machine did not start by UEFI"));
    }
    Reading::of(&rows)
}

/// A variable; a refusal is remembered, because all of them are refused together.
fn variable(look: &mut Look<'_>, name: &str, vendor: &str, is_denied: &mut bool) -> Option<Vec<u8>> {
    let windows = look.host.windows.clone()?;
    if *is_denied {
        return None;
    }
    match look.in_time().and_then(|()| windows.hardware.variable(name, vendor)) {
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
            *is_denied = true;
            None
        }
        said => look.note(name, said),
    }
}

#[cfg(test)]
mod tests {
    use super::super::smbios::tests::{lines, machine};
    use super::*;
    use crate::host::windows::{Answer, hardware};
    use crate::scan::firmware::signatures::tests::{SHA256, list};
    use crate::scan::look::tests::{ample, windows_host};

    fn keys(enabled: u8) -> String {
        format!(
            "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\SecureBoot\\State]\n\
             \"UEFISecureBootEnabled\"=dword:{enabled:08x}\n"
        )
    }

    fn with(variables: Vec<(&'static str, Answer<Vec<u8>>)>) -> hardware::Recorded {
        hardware::Recorded { variables, ..hardware::Recorded::default() }
    }

    #[test]
    fn with_the_privilege_the_lists_are_told() {
        let forbidden = list(SHA256, &[&[1; 32], &[2; 32]]);
        let variables = vec![("SetupMode", vec![0].into()), ("dbx", forbidden.into())];
        let (_dir, host) = machine(with(variables), &keys(1));
        let (rows, faults) = lines(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(rows, ["secure-boot: enabled", "secure-boot-key: dbx | SHA-256 | 2 hashes"]);
        let (_dir, host) = machine(with(vec![("SetupMode", vec![1].into())]), &keys(0));
        assert_eq!(lines(&host, probe).0, ["secure-boot: setup"]);
    }

    #[test]
    fn without_the_privilege_the_state_is_told_and_the_lists_are_one_gap() {
        let (_dir, host) =
            machine(with(vec![("SetupMode", Answer::denied()), ("dbx", Answer::denied())]), &keys(1));
        let (rows, faults) = lines(&host, probe);
        assert_eq!(rows, ["secure-boot: enabled"]);
        assert_eq!(faults, ["variables of UEFI: permission denied"]);
    }

    #[test]
    fn a_machine_that_did_not_start_by_uefi_has_neither_state_nor_gap() {
        let budget = ample();
        let refused = with(vec![("SetupMode", Answer::denied())]);
        for (_dir, host) in [
            machine(refused, "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor]"),
            windows_host("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor]"),
        ] {
            let reading = probe(&mut Look::new(&host, &budget, "test"));
            assert!(matches!(reading, Reading::Absent(_)), "{reading:?}");
        }
    }

    #[test]
    fn a_broken_list_is_a_gap_and_a_captured_machine_says_its_state() {
        let (_dir, host) = machine(with(vec![("db", vec![7; 40].into())]), &keys(0));
        let (rows, faults) = lines(&host, probe);
        assert_eq!(rows, ["secure-boot: disabled"]);
        assert_eq!(faults.len(), 1, "{faults:?}");
        let (_dir, host) = windows_host(&keys(1));
        assert_eq!(lines(&host, probe), (vec!["secure-boot: enabled".to_owned()], vec![]));
    }
}
