use super::*;
use crate::host::Windows;
use crate::host::windows::{Answer, recorded, services};
use crate::scan::look::tests::{ample, rows_of, windows_host, write};
use crate::scan::windows::version_resource::tests::program;
use std::sync::Arc;

/// Keys as an HMI has them.
const HMI: &str = r#"
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion]
"SystemRoot"="C:\\WINDOWS"

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\.NET CLR Data\Linkage]
"Export"="x"

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\disk]
"Type"=dword:00000001
"Start"=dword:00000000
"ImagePath"="System32\\drivers\\disk.sys"
"DisplayName"="@disk.inf,%disk_ServiceDesc%;Disk Driver"

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Null]
"Type"=dword:00000001
"Start"=dword:00000001

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Dnscache]
"Type"=dword:00000020
"Start"=dword:00000002
"ImagePath"="%SystemRoot%\\system32\\svchost.exe -k NetworkService -p"
"ObjectName"="NT AUTHORITY\\NetworkService"
"DisplayName"="@%SystemRoot%\\System32\\dnsapi.dll,-101"

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Dnscache\Parameters]
"ServiceDll"="%SystemRoot%\\System32\\dnsrslvr.dll"

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\UaServer]
"Type"=dword:00000110
"Start"=dword:00000002
"DelayedAutostart"=dword:00000001
"ImagePath"="\"C:\\Program Files\\HMI\\ua.exe\" /password geheim"
"DisplayName"="OPC UA Server"
"ObjectName"=".\\opc"

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\OldHmi]
"Type"=dword:00000010
"Start"=dword:00000004
"ImagePath"="C:\\Old Vendor\\hmi.exe"

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\wuauserv]
"Type"=dword:00000020
"Start"=dword:00000003
"ImagePath"="%systemroot%\\system32\\svchost.exe -k netsvcs -p"
"ObjectName"="LocalSystem"

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\sppsvc]
"Type"=dword:00000010
"Start"=dword:00000002
"ImagePath"="%SystemRoot%\\system32\\sppsvc.exe"
"ObjectName"="NT AUTHORITY\\NetworkService"

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\sppsvc\TriggerInfo\0]
"Type"=dword:00000014

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\CDPUserSvc]
"Type"=dword:00000060
"Start"=dword:00000002
"ImagePath"="%SystemRoot%\\system32\\svchost.exe -k UnistackSvcGroup"
"DisplayName"="@%SystemRoot%\\system32\\cdpusersvc.dll,-100"

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\CDPUserSvc\Parameters]
"ServiceDll"="%SystemRoot%\\System32\\CDPUserSvc.dll"

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\CDPUserSvc_3f2a1]
"Type"=dword:000000e0
"Start"=dword:00000002
"ImagePath"="C:\\WINDOWS\\system32\\svchost.exe -k UnistackSvcGroup"
"DisplayName"="CDPUserSvc_3f2a1"

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\MpKsl1a2b3c4d]
"Type"=dword:00000001
"Start"=dword:00000001
"ImagePath"="\\??\\C:\\ProgramData\\Defs\\{01234567-89AB-CDEF-0123-456789ABCDEF}\\MpKslDrv.sys"
"DisplayName"="MpKsl1a2b3c4d"
"#;

fn line(it: &ServiceRow) -> String {
    let fields = [
        &it.kind,
        &it.start_mode,
        &it.state,
        &it.account,
        &it.image_path,
        &it.arguments,
        &it.library,
        &it.display_name,
    ];
    let said: Vec<&str> = fields.into_iter().flatten().map(String::as_str).collect();
    format!("{}: {}", it.name, said.join(" | "))
}

fn lines(host: &crate::host::Host) -> (Vec<String>, Vec<String>) {
    let (rows, faults, _) = rows_of::<ServiceRow>(host, probe);
    (rows.iter().map(line).collect(), faults)
}

fn managed(list: Vec<Service>, setups: Vec<(&'static str, Answer<Setup>)>) -> Windows {
    let services = services::Recorded { list: list.into(), setups };
    Windows { services: Arc::new(services), ..recorded() }
}

fn service(name: &str, kind: u32, state: State) -> Service {
    Service { name: name.into(), kind, state, process: 77, ..Service::default() }
}

#[test]
fn a_machine_that_does_not_run_says_how_everything_is_set_up_and_no_states() {
    let (_dir, host) = windows_host(HMI);
    let (rows, faults) = lines(&host);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(
        rows,
        [
            r"CDPUserSvc: service | automatic | C:\WINDOWS\system32\svchost.exe | -k UnistackSvcGroup | C:\WINDOWS\System32\CDPUserSvc.dll | @%SystemRoot%\system32\cdpusersvc.dll,-100",
            r"disk: driver | boot | C:\WINDOWS\System32\drivers\disk.sys | @disk.inf,%disk_ServiceDesc%;Disk Driver",
            r"Dnscache: service | automatic | NT AUTHORITY\NetworkService | C:\WINDOWS\system32\svchost.exe | -k NetworkService -p | C:\WINDOWS\System32\dnsrslvr.dll | @%SystemRoot%\System32\dnsapi.dll,-101",
            r"MpKsl: driver | system | C:\ProgramData\Defs\*\MpKslDrv.sys",
            r"Null: driver | system | C:\WINDOWS\System32\drivers\Null.sys",
            r"OldHmi: service | disabled | LocalSystem | C:\Old Vendor\hmi.exe",
            r"sppsvc: service | automatic | NT AUTHORITY\NetworkService | C:\WINDOWS\system32\sppsvc.exe",
            r"UaServer: service | delayed | .\opc | C:\Program Files\HMI\ua.exe | /password *** | OPC UA Server",
            r"wuauserv: service | manual | LocalSystem | C:\WINDOWS\system32\svchost.exe | -k netsvcs -p",
        ]
    );
}

#[test]
fn a_running_system_says_the_states_that_do_not_move_by_themselves() {
    let (_dir, mut host) = windows_host(HMI);
    host.windows = Some(managed(
        vec![
            service("DNSCACHE", 0x20, State::Running),
            service("disk", 1, State::Running),
            service("OldHmi", 0x10, State::Stopped),
            service("UaServer", 0x110, State::Paused),
            service("wuauserv", 0x20, State::Running),
            service("sppsvc", 0x10, State::Running),
            service("CDPUserSvc", 0x60, State::Stopped),
            service("CDPUserSvc_3f2a1", 0xe0, State::Running),
        ],
        vec![],
    ));
    let (rows, faults, _) = rows_of::<ServiceRow>(&host, probe);
    assert!(faults.is_empty(), "{faults:?}");
    let states: Vec<String> =
        rows.iter().map(|it| format!("{} {}", it.name, it.state.as_deref().unwrap_or("none"))).collect();
    assert_eq!(
        states,
        [
            "CDPUserSvc unknown",
            "disk running",
            "Dnscache running",
            "MpKsl stopped",
            "Null stopped",
            "OldHmi stopped",
            "sppsvc unknown",
            "UaServer paused",
            "wuauserv unknown",
        ]
    );
}

#[test]
fn two_scans_of_an_idle_host_are_equal_though_names_and_states_move() {
    let with = |number: &str, driver: &str, set: &str, state: State| {
        let keys = HMI.replace("3f2a1", number).replace("1a2b3c4d", driver).replace("89AB", set);
        let (dir, mut host) = windows_host(&keys);
        let instance = format!("CDPUserSvc_{number}");
        host.windows = Some(managed(
            vec![
                service(&instance, 0xe0, state),
                service("wuauserv", 0x20, state),
                service("sppsvc", 0x10, state),
                service("disk", 1, State::Running),
            ],
            vec![],
        ));
        let said = lines(&host);
        drop(dir);
        said
    };
    let first = with("3f2a1", "1a2b3c4d", "89AB", State::Running);
    assert_eq!(first, with("77b2c4", "ffffffff", "1234", State::Stopped));
    assert!(first.1.is_empty());
}

#[test]
fn an_instance_without_its_origin_is_told_under_the_lasting_name() {
    let (_dir, host) = windows_host(
        r#"
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\cbdhsvc_3f2a1]
"Type"=dword:000000e0
"Start"=dword:00000003
"DisplayName"="Clipboard_3f2a1"
"#,
    );
    assert_eq!(lines(&host).0, ["cbdhsvc: service | manual | Clipboard"]);
}

#[test]
fn a_service_without_a_key_is_told_as_the_manager_holds_it() {
    let (_dir, mut host) = windows_host(HMI);
    let setup = Setup {
        kind: 0x10,
        start: 2,
        image: Some(r"C:\AV\av.exe".into()),
        account: Some("LocalSystem".into()),
        ..Setup::default()
    };
    host.windows = Some(managed(
        vec![service("Guard", 0x10, State::Running), service("Secret", 0x10, State::Running)],
        vec![("Guard", setup.into()), ("Secret", Answer::denied())],
    ));
    let (rows, faults) = lines(&host);
    assert!(rows.contains(&r"Guard: service | automatic | running | LocalSystem | C:\AV\av.exe".to_owned()));
    assert!(rows.contains(&"Secret: service | running".to_owned()), "{rows:#?}");
    assert_eq!(faults, ["Secret: its set-up cannot be read"]);
}

#[test]
fn a_manager_that_refuses_is_a_gap_and_the_keys_still_speak() {
    let (_dir, mut host) = windows_host(HMI);
    let services = services::Recorded { list: Answer::denied(), ..services::Recorded::default() };
    host.windows = Some(Windows { services: Arc::new(services), ..recorded() });
    let (rows, faults) = lines(&host);
    assert_eq!(rows.len(), 9);
    assert_eq!(faults, ["the service control manager: permission denied"]);
}

#[test]
fn values_of_the_wrong_type_are_no_set_up() {
    let (_dir, host) = windows_host(
        r#"
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\odd]
"Type"="1"

[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\odder]
"Type"=dword:00000010
"Start"=dword:ffffffff
"ImagePath"=hex:00,01
"#,
    );
    assert_eq!(lines(&host), (vec!["odder: service".to_owned()], vec![]));
}

#[test]
fn keys_without_one_service_are_a_part_of_a_registry_and_no_answer() {
    let (_dir, host) = windows_host("[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\W32Time]");
    let budget = ample();
    let reading = probe(&mut Look::new(&host, &budget, "test"));
    assert_eq!(reading, Reading::Failed(format!("{KEY} names no service: this is a part of a registry")));
}

#[test]
fn a_machine_without_services_has_no_such_source() {
    let (_dir, host) = windows_host("[HKEY_LOCAL_MACHINE\\SYSTEM\\Setup]");
    let budget = ample();
    assert_eq!(probe(&mut Look::new(&host, &budget, "test")), Reading::Absent(format!("{KEY} is not there")));
}

#[test]
fn a_service_has_the_version_of_its_file_in_whatever_case_its_path_is_written() {
    let (dir, host) = windows_host(HMI);
    let file = |path: &str, version: [u16; 4]| {
        write(dir.path(), path, &program(version, "HMI Works"));
    };
    file("Windows/System32/dnsrslvr.dll", [10, 0, 19041, 4597]);
    file("Windows/System32/drivers/Disk.SYS", [10, 0, 19041, 1]);
    file("Program Files/HMI/UA.exe", [4, 1, 0, 7]);
    file("Old Vendor/hmi.exe", [1, 0, 0, 0]);
    write(dir.path(), "Windows/System32/drivers/Null.sys", b"MZ no program");
    let (rows, faults, _) = rows_of::<ServiceRow>(&host, probe);
    assert!(faults.is_empty(), "{faults:?}");
    let said: Vec<String> = rows
        .iter()
        .filter_map(|it| Some(format!("{} {} {}", it.name, it.file_version.as_ref()?, it.company.as_ref()?)))
        .collect();
    assert_eq!(
        said,
        ["disk 10.0.19041.1 HMI Works", "Dnscache 10.0.19041.4597 HMI Works", "UaServer 4.1.0.7 HMI Works",],
        "a file where no programs are installed is not read"
    );
}
