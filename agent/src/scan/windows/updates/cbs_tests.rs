use super::*;
use crate::scan::look::tests::{ample, rows_of, windows_host};

const AT: &str =
    r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages";

fn package(name: &str, state: u32, more: &str) -> String {
    format!("[{AT}\\{name}]\n\"CurrentState\"=dword:{state:08x}\n\"Visibility\"=dword:00000001\n{more}\n")
}

fn read(reg: &str) -> Vec<UpdateRow> {
    let (_dir, host) = windows_host(reg);
    let (rows, faults, _) = rows_of::<UpdateRow>(&host, probe);
    assert!(faults.is_empty(), "{faults:?}");
    rows
}

#[test]
fn a_cumulative_update_is_a_row_with_its_article_and_its_day() {
    let name = "Package_for_RollupFix~31bf3856ad364e35~amd64~~19041.4648.1.8";
    let more = concat!(
        "\"InstallLocation\"=\"\\\\\\\\?\\\\C:\\\\Windows\\\\Temp\\\\Windows10.0-KB5040427-x64.cab\"\n",
        "\"InstallTimeHigh\"=dword:01dad1f0\n\"InstallTimeLow\"=dword:00000000",
    );
    let some = |it: &str| Some(it.to_owned());
    let expected = UpdateRow {
        source: "windows/cbs".to_owned(),
        name: "Package_for_RollupFix".to_owned(),
        version: some("19041.4648.1.8"),
        kb: some("KB5040427"),
        state: "installed".to_owned(),
        kind: some("update"),
        architecture: some("amd64"),
        install_date: some("2024-07-09"),
    };
    assert_eq!(read(&package(name, 112, more)), [expected]);
}

#[test]
fn each_state_has_its_word_and_what_is_not_there_has_no_row() {
    let states = [0, 5, 16, 32, 48, 64, 80, 96, 101, 112, 128, 7];
    let reg: String = states
        .iter()
        .map(|it| package(&format!("Package_for_KB{}~31bf~x86~~6.1.1.0", 2_000_000 + it), *it, ""))
        .collect();
    let said: Vec<_> = read(&reg).into_iter().map(|it| (it.kb.unwrap(), it.state)).collect();
    let expected = [
        ("KB2000005", "uninstall-pending"),
        ("KB2000064", "staged"),
        ("KB2000080", "superseded"),
        ("KB2000096", "install-pending"),
        ("KB2000101", "partially-installed"),
        ("KB2000112", "installed"),
        ("KB2000128", "installed"),
    ];
    assert_eq!(said, expected.map(|(kb, state)| (kb.to_owned(), state.to_owned())));
}

#[test]
fn a_time_that_nobody_has_is_no_day() {
    assert_eq!((day(0), day(u64::MAX)), (None, None));
    assert_eq!(day(116_444_736_000_000_000).as_deref(), Some("1970-01-01"));
}

#[test]
fn hidden_parts_and_keys_that_are_no_packages_are_no_rows() {
    let hidden = "Package_1_for_KB5040427~31bf~amd64~~1.0";
    let reg = format!(
        "[{AT}\\{hidden}]\n\"CurrentState\"=dword:00000070\n\"Visibility\"=dword:00000002\n{}{}",
        package("NotAPackage", 112, ""),
        package("Microsoft-Windows-Client-LanguagePack-Package~31bf~amd64~de-DE~10.0.19041.1", 112, ""),
    );
    let rows = read(&reg);
    let said: Vec<_> = rows.iter().map(|it| (it.name.as_str(), it.kind.as_deref())).collect();
    assert_eq!(said, [("Microsoft-Windows-Client-LanguagePack-Package de-DE", Some("language"))]);
}

#[test]
fn of_cumulative_updates_that_wait_the_highest_counts() {
    let reg = [
        package("Package_for_RollupFix~31bf~amd64~~19041.999.1.8", 96, ""),
        package("Package_for_RollupFix~31bf~amd64~~19041.4648.1.8", 96, ""),
        package("Package_for_RollupFix~31bf~amd64~~19041.5000.1.8", 64, ""),
    ]
    .concat();
    let (_dir, host) = windows_host(&reg);
    let budget = ample();
    let mut look = Look::new(&host, &budget, "test");
    assert_eq!(pending_rollup(&mut look).as_deref(), Some("19041.4648.1.8"));
}

#[test]
fn a_windows_without_servicing_has_no_such_source() {
    let (_dir, host) = windows_host("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft]");
    let budget = ample();
    let reading = probe(&mut Look::new(&host, &budget, "test"));
    let absent = "the registry has no packages of component servicing".to_owned();
    assert_eq!(reading, Reading::Absent(absent));
}
