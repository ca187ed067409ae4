use super::*;
use crate::host::ReadList;
use crate::scan::look::tests::{ample, windows_host};

const KEY: &str = r"HKLM\SOFTWARE\Microsoft\X";
const POLICY: &str = r"HKLM\SOFTWARE\Policies\Microsoft\X";
const BOTH: &[Place] = &[Place::at(POLICY, "V"), Place::at(KEY, "V").before(10_240)];

const TABLE: &[Setting] = &[
    Setting::flag("x.flag", &["W00"], BOTH, Absent::Means("off")),
    Setting::inverse("x.inverse", &["W00"], BOTH, Absent::Means("off")),
    Setting::number("x.number", &["W00"], BOTH, Absent::Means("off")),
    Setting::text("x.text", &["W00"], BOTH, Absent::Means("off")),
    Setting::list("x.list", &["W00"], BOTH, Absent::Means("off")),
    Setting::words("x.words", &["W00"], BOTH, &[(1, "one")], Absent::Varies(|it| format!("{:?}", it.build))),
];

/// What every setting of the table says of a build and a value at both places.
fn said(build: &str, policy: &str, preference: &str) -> Vec<(String, String)> {
    let value = |it: &str| if it.is_empty() { String::new() } else { format!("\"V\"={it}\n") };
    let reg = format!(
        "[HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion]\n\"CurrentBuildNumber\"=\"{build}\"\n\
         [HKLM\\SYSTEM\\CurrentControlSet\\Control]\n[{POLICY}]\n{}[{KEY}]\n{}",
        value(policy),
        value(preference),
    );
    let (_dir, host) = windows_host(&reg);
    let budget = ample();
    let mut look = Look::new(&host, &budget, "test");
    let ground = Ground::read(&mut look);
    TABLE
        .iter()
        .map(|it| it.row(&mut look, &ground))
        .map(|it| (it.source, it.value.map_or(it.state, |it| format!("{it:?}"))))
        .collect()
}

#[test]
fn policy_beats_preference_and_the_source_names_the_winner() {
    let rows = said("7601", "dword:00000001", "dword:00000000");
    assert!(rows.iter().all(|it| it.0 == format!("{POLICY}\\V")), "{rows:?}");
    assert_eq!(rows[0].1, "Flag(true)");
    assert_eq!(rows[1].1, "Flag(false)");
    let rows = said("7601", "", "dword:00000001");
    assert!(rows.iter().all(|it| it.0 == format!("{KEY}\\V")), "{rows:?}");
    assert_eq!(rows[5].1, "Text(\"one\")");
}

#[test]
fn a_place_that_a_newer_windows_forgot_says_nothing_there() {
    assert_eq!(said("10240", "", "dword:00000001")[0].1, "absent");
    assert_eq!(said("9600", "", "dword:00000001")[0].1, "Flag(true)");
}

#[test]
fn another_type_is_an_error_but_for_numbers_as_text() {
    let rows = said("7601", "\"7\"", "");
    assert_eq!((rows[0].1.as_str(), rows[2].1.as_str()), ("Flag(true)", "Number(7)"));
    assert_eq!((rows[3].1.as_str(), rows[5].1.as_str()), ("Text(\"7\")", "Number(7)"));
    let rows = said("7601", "hex:01,02", "dword:00000001");
    assert!(
        rows.iter().all(|it| it.1 == "error"),
        "what is broken is not replaced by what is weaker: {rows:?}"
    );
}

#[test]
fn the_read_list_of_a_table_is_its_places() {
    const LIST: &[Reads] = &reads::<{ places(TABLE) }>(TABLE);
    assert_eq!(LIST.len(), 12);
    let list = ReadList::new(LIST);
    assert!(list.may_read_key(KEY) && list.may_read_key(POLICY) && !list.may_read_key("HKLM"));
}
