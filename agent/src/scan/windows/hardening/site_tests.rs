use super::*;
use crate::host::windows::{accounts, recorded};
use crate::host::{Host, ReadList, Windows};
use crate::scan::look::tests::{rows_of, windows_host, write};
use crate::scan::windows::hardening::descriptor::made::{descriptor, sid};
use holdpoint_common::row::HardeningRow;
use holdpoint_common::row::hardening_row::Value;
use std::sync::Arc;

const FILE: &str = "ProgramData/Holdpoint/facts.d/site.toml";
const REG: &str = r#"[HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion]
"SystemRoot"="C:\\Windows"
[HKLM\SYSTEM\CurrentControlSet\Services\HmiRuntime]
"Start"=dword:00000002
[HKLM\SOFTWARE\Plant]
"Line"=dword:00000007
"Recipe"="A"
"Blob"=hex:0a,0b
"List"=hex(7):61,00,00,00,62,00,00,00,00,00
[HKLM\SOFTWARE\Other]
"Value"="secret"
"#;
const FACTS: &str = r#"
[[fact]]
id = "site.line"
checks = ["W44"]
kind = "registry"
key = 'HKLM\SOFTWARE\Plant'
value = "Line"
[[fact]]
id = "site.blob"
kind = "registry"
key = 'HKEY_LOCAL_MACHINE\SOFTWARE\Plant'
value = "blob"
[[fact]]
id = "site.list"
kind = "registry"
key = 'HKLM\SOFTWARE\Plant'
value = "List"
[[fact]]
id = "site.nothing"
kind = "registry"
key = 'HKLM\SOFTWARE\Plant'
value = "Nothing"
[[fact]]
id = "site.project"
kind = "hash"
path = 'C:\HMI\project.bin'
[[fact]]
id = "site.backup"
kind = "file"
path = 'c:/Backup/last-good'
[[fact]]
id = "site.service"
kind = "service"
name = "HmiRuntime"
[[fact]]
id = "site.gone"
kind = "service"
name = "Gone"
"#;

fn site_host(facts: &str) -> (tempfile::TempDir, Host) {
    let (dir, host) = windows_host(REG);
    write(dir.path(), FILE, facts.as_bytes());
    write(dir.path(), "HMI/project.bin", b"x");
    let host = host.limited_to(ReadList::new(READS.iter().copied().flatten()));
    (dir, host)
}

fn find<'a>(rows: &'a [HardeningRow], id: &str) -> &'a HardeningRow {
    rows.iter().find(|it| it.id == id).unwrap_or_else(|| panic!("no {id}"))
}

/// A running Windows on which everything has this descriptor.
fn running(bytes: &[u8]) -> Windows {
    let all = [
        r"C:\ProgramData\Holdpoint",
        r"C:\ProgramData\Holdpoint\facts.d",
        r"C:\ProgramData\Holdpoint\facts.d\site.toml",
    ];
    let descriptors = all.map(|it| (it, bytes.to_vec().into())).to_vec();
    Windows { accounts: Arc::new(accounts::Recorded { descriptors, ..Default::default() }), ..recorded() }
}

#[test]
fn values_of_the_registry_files_and_services_are_told() {
    let (_dir, host) = site_host(FACTS);
    let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(find(&rows, "site.line").value, Some(Value::Number(7)));
    assert_eq!(find(&rows, "site.line").checks, ["W44"]);
    assert_eq!(find(&rows, "site.blob").value, Some(Value::Text("0a0b".into())));
    assert!(matches!(&find(&rows, "site.list").value, Some(Value::List(it)) if it.items == ["a", "b"]));
    assert_eq!(find(&rows, "site.nothing").state, "absent");
    assert!(matches!(&find(&rows, "site.project").value, Some(Value::Text(it)) if it.len() == 64));
    assert_eq!(find(&rows, "site.backup").value, Some(Value::Flag(false)));
    assert_eq!(find(&rows, "site.service").value, Some(Value::Text("automatic".into())));
    assert_eq!(find(&rows, "site.gone").state, "absent");
}

#[test]
fn only_the_keys_that_a_file_names_can_be_read() {
    let (_dir, host) = site_host(FACTS);
    let _ = rows_of::<HardeningRow>(&host, probe);
    let registry = host.registry.unwrap();
    assert!(registry.value(r"HKLM\SOFTWARE\Plant", "Line").is_err(), "the probe's own list is as it was");
    assert!(registry.value(r"HKLM\SOFTWARE\Other", "Value").is_err());
}

#[test]
fn secrets_and_other_drives_refuse_the_file() {
    for fact in [
        "kind = \"registry\"\nkey = 'HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon'\nvalue = \"DefaultPassword\"",
        "kind = \"registry\"\nkey = 'HKLM\\SAM\\SAM'\nvalue = \"F\"",
        "kind = \"hash\"\npath = 'D:\\HMI\\project.bin'",
        "kind = \"hash\"\npath = 'C:\\Windows\\System32\\config\\SAM'",
        "kind = \"file\"\npath = 'HMI\\project.bin'",
    ] {
        let (_dir, host) = site_host(&format!("[[fact]]\nid = \"site.x\"\n{fact}\n"));
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert_eq!((rows.len(), rows[0].state.as_str(), faults.len()), (1, "error", 1), "{fact}");
    }
}

#[test]
fn where_others_may_write_every_file_is_refused() {
    let administrators = (0, 0, 0x1f_01ff, sid(5, &[32, 544]));
    let good = descriptor(&[administrators.clone(), (0, 0, 0x12_00a9, sid(5, &[32, 545]))]);
    let (_dir, host) = site_host(FACTS);
    let tight = Host { windows: Some(running(&good)), ..host.clone() };
    let (rows, faults, _) = rows_of::<HardeningRow>(&tight, probe);
    assert_eq!(find(&rows, "site.line").value, Some(Value::Number(7)), "{faults:?}");

    // What ProgramData hands down: everybody may make files.
    let bad = descriptor(&[administrators, (0, 2, 0x100_0116, sid(5, &[32, 545]))]);
    let loose = Host { windows: Some(running(&bad)), ..host.clone() };
    let (rows, faults, _) = rows_of::<HardeningRow>(&loose, probe);
    assert_eq!((rows.len(), rows[0].id.as_str(), rows[0].state.as_str()), (1, "facts_d.file", "error"));
    assert!(faults[0].contains("Users"), "{faults:?}");

    let unknown = Host { windows: Some(recorded()), ..host };
    let (rows, _, _) = rows_of::<HardeningRow>(&unknown, probe);
    assert_eq!(rows[0].state, "error", "who may write is not known");
}
