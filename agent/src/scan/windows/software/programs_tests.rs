use super::*;
use crate::scan::look::tests::{ample, rows_of, windows_host};

const UNINSTALL: &str = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall";
const UNINSTALL_32: &str =
    r"HKEY_LOCAL_MACHINE\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall";
const INSTALLER: &str = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Installer";

fn read(reg: &str) -> Vec<SoftwareRow> {
    let (_dir, host) = windows_host(reg);
    let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
    assert!(faults.is_empty(), "{faults:?}");
    rows
}

#[test]
fn a_product_of_the_installer_is_one_row_with_its_family_and_its_patches() {
    let reg = format!(
        r#"
[{UNINSTALL_32}\{{12345678-ABCD-EF01-2345-6789ABCDEF01}}]
"DisplayName"="SIMATIC WinCC Runtime Advanced"
"DisplayVersion"="17.00.0500"
"Publisher"="Siemens AG"
"InstallDate"="20240311"
"WindowsInstaller"=dword:00000001
[{INSTALLER}\UserData\S-1-5-18\Products\87654321DCBA10FE32547698BADCFE10\InstallProperties]
"DisplayName"="SIMATIC WinCC Runtime Advanced"
"DisplayVersion"="17.00.0500"
[{INSTALLER}\UserData\S-1-5-18\Products\87654321DCBA10FE32547698BADCFE10\Patches]
"AllPatches"=hex(7):42,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,\
  30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,00,00,\
  41,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,\
  30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,30,00,00,00,00,00
[{INSTALLER}\UserData\S-1-5-18\Products\87654321DCBA10FE32547698BADCFE10\Patches\B0000000000000000000000000000000]
"DisplayName"="WinCC V17 Update 4"
"State"=dword:00000002
[{INSTALLER}\UserData\S-1-5-18\Products\87654321DCBA10FE32547698BADCFE10\Patches\A0000000000000000000000000000000]
"DisplayName"="WinCC V17 Update 5"
"State"=dword:00000001
[{INSTALLER}\UpgradeCodes\F0000000000000000000000000000000]
"87654321DCBA10FE32547698BADCFE10"=""
"#
    );
    let some = |it: &str| Some(it.to_owned());
    let expected = SoftwareRow {
        name: "SIMATIC WinCC Runtime Advanced".to_owned(),
        version: some("17.00.0500"),
        architecture: some("x86"),
        source: "registry32".to_owned(),
        publisher: some("Siemens AG"),
        install_date: some("2024-03-11"),
        product_code: some("{12345678-ABCD-EF01-2345-6789ABCDEF01}"),
        upgrade_code: some("{0000000F-0000-0000-0000-000000000000}"),
        patches: vec!["WinCC V17 Update 5 ({0000000A-0000-0000-0000-000000000000})".to_owned()],
        ..SoftwareRow::default()
    };
    assert_eq!(read(&reg), [expected]);
}

#[test]
fn two_architectures_of_one_version_are_two_rows() {
    let entry = |view: &str, code: &str| {
        format!(
            "[{view}\\{code}]\n\"DisplayName\"=\"Runtime\"\n\"DisplayVersion\"=\"14.0\"\n\"WindowsInstaller\"=dword:00000001\n"
        )
    };
    let reg = entry(UNINSTALL, "{12345678-ABCD-EF01-2345-6789ABCDEF01}")
        + &entry(UNINSTALL_32, "{12345678-ABCD-EF01-2345-6789ABCDEF02}");
    let rows = read(&reg);
    let said: Vec<_> = rows.iter().map(|it| (it.source.as_str(), it.architecture.as_deref())).collect();
    assert_eq!(said, [("registry64", Some("x64")), ("registry32", Some("x86"))]);
}

#[test]
fn on_a_32_bit_windows_there_is_one_view() {
    let reg = format!(
        "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment]\n\"PROCESSOR_ARCHITECTURE\"=\"x86\"\n[{UNINSTALL}\\Panel]\n\"DisplayName\"=\"Panel\""
    );
    assert_eq!(read(&reg)[0].source, "registry32");
}

#[test]
fn hidden_software_is_said_to_be_and_what_has_no_name_is_none() {
    let reg = format!(
        "[{UNINSTALL}\\AddressBook]\n[{UNINSTALL}\\Part]\n\"DisplayName\"=\"SIMATIC Device Drivers\"\n\"SystemComponent\"=dword:00000001\n[{UNINSTALL}\\Blank]\n\"DisplayName\"=\" \""
    );
    let rows = read(&reg);
    let said: Vec<_> = rows.iter().map(|it| (it.name.as_str(), it.state.as_deref())).collect();
    assert_eq!(said, [("SIMATIC Device Drivers", Some("hidden"))]);
}

#[test]
fn users_have_software_of_their_own_and_services_are_no_users() {
    let entry = |sid: &str, name: &str| {
        format!(
            "[HKEY_USERS\\{sid}\\Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\{name}]\n\"DisplayName\"=\"{name}\"\n"
        )
    };
    let reg = format!("[{UNINSTALL}]\n")
        + &entry("S-1-5-21-1-2-3-1001", "Viewer")
        + &entry("S-1-5-21-1-2-3-1001_Classes", "Classes")
        + &entry("S-1-5-18", "System")
        + &entry("S-1-12-1-7-8-9-10", "Cloud");
    let rows = read(&reg);
    let said: Vec<_> =
        rows.iter().map(|it| (it.name.as_str(), it.source.as_str(), it.user.as_deref().unwrap())).collect();
    let expected =
        [("Cloud", "registry-user", "S-1-12-1-7-8-9-10"), ("Viewer", "registry-user", "S-1-5-21-1-2-3-1001")];
    assert_eq!(said, expected);
}

#[test]
fn a_product_without_an_entry_is_a_row_of_the_installer() {
    let product = |user: &str, code: &str, more: &str| {
        format!("[{INSTALLER}\\UserData\\{user}\\Products\\{code}\\InstallProperties]\n{more}\n")
    };
    let reg = product(
        "S-1-5-21-1-2-3-1001",
        &"1".repeat(32),
        "\"DisplayName\"=\"Tool\"\n\"Version\"=dword:05060007",
    ) + &product("S-1-5-18", &"2".repeat(32), "")
        + &product("S-1-5-18", "no-code", "\"DisplayName\"=\"Broken\"");
    let rows = read(&reg);
    let said: Vec<_> = rows
        .iter()
        .map(|it| (it.name.as_str(), it.version.as_deref(), it.source.as_str(), it.user.as_deref()))
        .collect();
    assert_eq!(said, [("Tool", Some("5.6.7"), "msi", Some("S-1-5-21-1-2-3-1001"))]);
}

#[test]
fn only_a_day_that_cannot_be_misread_is_one() {
    for (text, found) in [
        ("20240311", Some("2024-03-11")),
        ("20241311", None),
        ("3/11/2024", None),
        ("11.03.2024", None),
        ("2024031", None),
        ("", None),
    ] {
        assert_eq!(uninstall::day(text).as_deref(), found, "{text}");
    }
}

#[test]
fn a_name_in_any_script_is_kept_as_it_is() {
    let rows = read(&format!("[{UNINSTALL_32}\\Prüfstand]\n\"DisplayName\"=\"Müller Prüfstand 測試\""));
    assert_eq!(rows[0].name, "Müller Prüfstand 測試");
}

#[test]
fn without_any_list_there_is_no_such_source() {
    let (_dir, host) = windows_host("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor]");
    let budget = ample();
    let reading = probe(&mut Look::new(&host, &budget, "test"));
    assert_eq!(reading, Reading::Absent("the registry has no Uninstall key".to_owned()));
}
