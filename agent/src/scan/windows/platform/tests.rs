use std::sync::Arc;

use super::super::version_resource::tests::program;
use super::*;
use crate::host::windows::recorded;
use crate::host::windows::system::Recorded;
use crate::host::{Host, Windows};
use crate::scan::look::tests::{ample, rows_of, windows_host, write};

const KEY: &str = r"[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion]";

fn row_of(host: &Host) -> (PlatformRow, Vec<String>) {
    let (rows, faults, _) = rows_of::<PlatformRow>(host, probe);
    let [row] = <[PlatformRow; 1]>::try_from(rows).unwrap();
    (row, faults)
}

fn platform(reg: &str) -> PlatformRow {
    let (_dir, host) = windows_host(reg);
    let (row, faults) = row_of(&host);
    assert!(faults.is_empty(), "{faults:?}");
    row
}

/// The same machine, as one that runs and started then.
fn running(reg: &str, booted: u64) -> (PlatformRow, Vec<String>) {
    let (_dir, mut host) = windows_host(reg);
    let system = Arc::new(Recorded { booted: booted.into(), ..Recorded::default() });
    host.windows = Some(Windows { system, ..recorded() });
    row_of(&host)
}

fn release(values: &str) -> [Option<String>; 4] {
    let row = platform(&format!("{KEY}\n{values}"));
    [row.os_name, row.os_version, row.build, row.installation_type]
}

fn some<const N: usize>(said: [&str; N]) -> [Option<String>; N] {
    said.map(|it| Some(it.to_owned()).filter(|it| !it.is_empty()))
}

const NT_10: &str = "\"CurrentVersion\"=\"6.3\"\n\"CurrentMajorVersionNumber\"=dword:0000000a\n\"CurrentMinorVersionNumber\"=dword:00000000\n";

#[test]
fn windows_11_is_told_by_its_build_and_not_by_its_name() {
    let eleven = format!(
        "\"ProductName\"=\"Windows 10 IoT Enterprise\"\n\"CurrentBuildNumber\"=\"22631\"\n\"UBR\"=dword:00000d2f\n\"DisplayVersion\"=\"23H2\"\n\"ReleaseId\"=\"2009\"\n\"InstallationType\"=\"Client\"\n{NT_10}"
    );
    let expected = some(["Windows 11 IoT Enterprise", "23H2", "10.0.22631.3375", "Client"]);
    assert_eq!(release(&eleven), expected);
    let ten = "\"ProductName\"=\"Windows 10 Enterprise LTSC 2019\"\n\"CurrentBuildNumber\"=\"17763\"\n\"ReleaseId\"=\"1809\"\n";
    let expected = some(["Windows 10 Enterprise LTSC 2019", "1809", "10.0.17763", ""]);
    assert_eq!(release(&format!("{ten}{NT_10}")), expected);
    let server = "\"ProductName\"=\"Windows Server 2025 Standard\"\n\"CurrentBuildNumber\"=\"26100\"\n";
    assert_eq!(release(&format!("{server}{NT_10}"))[0].as_deref(), Some("Windows Server 2025 Standard"));
}

#[test]
fn before_revisions_existed_the_service_pack_is_the_version() {
    let seven = "\"ProductName\"=\"Windows 7 Professional\"\n\"CurrentVersion\"=\"6.1\"\n\"CurrentBuildNumber\"=\"7601\"\n\"CSDVersion\"=\"Service Pack 1\"\n\"InstallationType\"=\"Client\"\n";
    assert_eq!(release(seven), some(["Windows 7 Professional", "Service Pack 1", "6.1.7601", "Client"]));
}

#[test]
fn a_registry_without_a_windows_is_no_platform() {
    let (_dir, host) = windows_host(r"[HKEY_LOCAL_MACHINE\SOFTWARE\Vendor]");
    let budget = ample();
    let reading = probe(&mut Look::new(&host, &budget, "test"));
    assert_eq!(reading, Reading::Absent("the registry has no key of Windows's own version".to_owned()));
}

#[test]
fn the_boot_id_has_the_counter_and_the_time_and_an_image_has_none() {
    let reg = format!(
        "{KEY}\n[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Memory Management\\PrefetchParameters]\n\"BootId\"=dword:00000029"
    );
    assert_eq!(platform(&reg).boot_id, None);
    let id = |reg: &str, booted| running(reg, booted).0.boot_id;
    assert_eq!(id(&reg, 0x1db_1234_5678_9abc).as_deref(), Some("41-01db123456789abc"));
    // Under a write filter only the time changes, with an empty clock battery only the counter.
    assert_ne!(id(&reg, 1), id(&reg, 2));
    assert_ne!(id(&reg, 1), id(&reg.replace("29", "2a"), 1));
    assert_eq!(id(KEY, 1).as_deref(), Some("0-0000000000000001"));
}

#[test]
fn half_a_boot_id_is_none() {
    let (_dir, mut host) = windows_host(KEY);
    host.windows = Some(recorded());
    assert_eq!(row_of(&host).0.boot_id, None);
}

const SERVICING: &str =
    r"[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending]";
const SESSION: &str = r"[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Session Manager]";

#[test]
fn every_reason_of_a_restart_is_said() {
    let reg = format!(
        r#"{KEY}
{SERVICING}
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\PackagesPending\1]
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired]
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Updates]
"UpdateExeVolatile"=dword:00000001
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\ServerManager\CurrentRebootAttempts]
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Netlogon]
"JoinDomain"="plant.local"
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName]
"ComputerName"="HMI-02"
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\ComputerName\ActiveComputerName]
"ComputerName"="HMI-01"
"#
    );
    let row = platform(&reg);
    assert_eq!(row.restart_pending, Some(true));
    let expected = [
        "component servicing (RebootPending)",
        "component servicing (PackagesPending)",
        "Windows Update (RebootRequired)",
        "update package (UpdateExeVolatile)",
        "roles and features (CurrentRebootAttempts)",
        "domain membership changes (JoinDomain)",
        "computer name changes to HMI-02",
    ];
    assert_eq!(row.restart_reasons, expected);
    assert_eq!(row.hostname.as_deref(), Some("HMI-01"));
}

#[test]
fn file_renames_are_said_and_are_no_pending_restart() {
    let reg = format!("{KEY}\n{SESSION}\n\"PendingFileRenameOperations\"=hex(7):41,00,00,00,00,00");
    let (row, _) = running(&reg, 1);
    assert_eq!(row.restart_pending, Some(false));
    assert_eq!(row.restart_reasons, ["file renames (PendingFileRenameOperations, often left behind)"]);
}

#[test]
fn only_a_running_system_can_say_that_nothing_waits() {
    assert_eq!(platform(KEY).restart_pending, None);
    assert_eq!(running(KEY, 1).0.restart_pending, Some(false));
    // A mark that is kept on disk says it of an image, too.
    let (dir, host) = windows_host(KEY);
    write(dir.path(), "Windows/WinSxS/pending.xml", b"<PendingTransaction/>");
    assert_eq!(row_of(&host).0.restart_reasons, ["component servicing (pending.xml)"]);
}

#[test]
fn what_runs_is_said_only_where_it_is_certain() {
    let image = |reg: &str, booted: Option<u64>| {
        let (dir, mut host) = windows_host(reg);
        write(dir.path(), "Windows/System32/ntoskrnl.exe", &program([10, 0, 19_041, 5_129], "Microsoft"));
        if let Some(booted) = booted {
            let system = Arc::new(Recorded { booted: booted.into(), ..Recorded::default() });
            host.windows = Some(Windows { system, ..recorded() });
        }
        let (row, faults) = row_of(&host);
        assert!(faults.is_empty(), "{faults:?}");
        (row.kernel_running, row.kernel_newest)
    };
    let version = Some("10.0.19041.5129".to_owned());
    let later = Some(u64::MAX / 2);
    assert_eq!(image(KEY, later), (version.clone(), version.clone()));
    assert_eq!(image(&format!("{KEY}\n{SERVICING}"), later), (None, version.clone()));
    assert_eq!(image(KEY, Some(126_000_000_000_000_000)), (None, version.clone()));
    assert_eq!(image(KEY, None), (None, version));
}

#[test]
fn a_kernel_without_a_version_is_a_gap() {
    let (dir, host) = windows_host(KEY);
    write(dir.path(), "Windows/System32/ntoskrnl.exe", b"MZ");
    let (row, faults) = row_of(&host);
    assert_eq!(row.kernel_newest, None);
    assert_eq!(faults, ["Windows/System32/ntoskrnl.exe: states no version"]);
}

const TIME: &str = r"[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\W32Time\Parameters]";

#[test]
fn time_sources_are_those_that_the_type_lets_count() {
    let sources = |more: &str| platform(&format!("{KEY}\n{more}")).time_sources;
    let servers = "\"NtpServer\"=\"gps-1.plant,0x9 10.0.0.2,0x8 gps-1.plant\"";
    let of = |kind: &str| sources(&format!("{TIME}\n\"Type\"=\"{kind}\"\n{servers}"));
    assert_eq!(of("NTP"), ["gps-1.plant", "10.0.0.2"]);
    assert_eq!(of("NT5DS"), ["domain"]);
    assert_eq!(of("AllSync"), ["domain", "gps-1.plant", "10.0.0.2"]);
    assert!(of("NoSync").is_empty() && sources("").is_empty());
    let policy = format!(
        "{TIME}\n\"Type\"=\"NT5DS\"\n{servers}\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Microsoft\\W32Time\\Parameters]\n\"Type\"=\"NTP\""
    );
    assert_eq!(sources(&policy), ["gps-1.plant", "10.0.0.2"]);
    let off = format!(
        "{TIME}\n\"Type\"=\"NTP\"\n{servers}\n[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\W32Time]\n\"Start\"=dword:00000004"
    );
    assert!(sources(&off).is_empty());
}

#[test]
fn the_machine_is_told_by_its_guid_and_what_runs_below_by_its_firmware() {
    let reg = format!(
        r#"{KEY}
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Cryptography]
"MachineGuid"="B1E2F3A4-0000-4000-8000-00000000000A"
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\SystemInformation]
"SystemManufacturer"="VMware, Inc."
"SystemProductName"="VMware7,1"
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Session Manager\Environment]
"PROCESSOR_ARCHITECTURE"="AMD64"
"#
    );
    let row = platform(&reg);
    let parts: Vec<_> = row.identity.iter().map(|it| (it.kind.as_str(), it.value.as_str())).collect();
    assert_eq!(parts, [("machine-id", "b1e2f3a4-0000-4000-8000-00000000000a")]);
    assert_eq!(row.virtualization.as_deref(), Some("vmware"));
    assert_eq!(row.architecture.as_deref(), Some("x86_64"));
    for broken in ["00000000-0000-0000-0000-000000000000", "x", ""] {
        assert!(platform(&reg.replace("B1E2F3A4-0000-4000-8000-00000000000A", broken)).identity.is_empty());
    }
    // What firmware said at this start counts before what was kept of an earlier one.
    let fresh = "[HKEY_LOCAL_MACHINE\\HARDWARE\\DESCRIPTION\\System\\BIOS]\n\"SystemManufacturer\"=\"SIEMENS AG\"\n\"SystemProductName\"=\"SIMATIC IPC427E\"";
    assert_eq!(platform(&format!("{reg}{fresh}")).virtualization.as_deref(), Some("physical"));
}
