use super::*;
use crate::host::Windows;
use crate::host::windows::{Answer, accounts, recorded};
use crate::scan::look::tests::{ample, rows_of, windows_host};
use std::sync::Arc;

const WORKSTATION: &str =
    "[HKLM\\SYSTEM\\CurrentControlSet\\Control\\ProductOptions]\n\"ProductType\"=\"WinNT\"\n";

fn windows(accounts: accounts::Recorded) -> Windows {
    Windows { accounts: Arc::new(accounts), ..recorded() }
}

fn people() -> Vec<User> {
    let user = |name: &str, rid, flags, password_set, last_logon| User {
        name: name.to_owned(),
        rid,
        flags,
        is_password_expired: false,
        password_set,
        last_logon,
    };
    vec![
        user("Gast", 501, 0x10223, None, None),
        user("operator", 1001, 0x10200, Some(1_557_000_000), Some(1_773_000_000)),
    ]
}

fn groups() -> Vec<Group> {
    let member =
        |sid: &str, name: Option<&str>| Member { sid: sid.to_owned(), name: name.map(str::to_owned) };
    let members = vec![member("S-1-5-21-1-2-3-1001", Some("operator")), member("S-1-5-21-9-9-9-512", None)];
    vec![
        Group { name: "Administratoren".into(), sid: Some("S-1-5-32-544".into()), members: Some(members) },
        Group { name: "SIMATIC HMI".into(), sid: None, members: None },
    ]
}

#[test]
fn users_have_flags_and_members_have_identifiers() {
    let (_dir, mut host) = windows_host(WORKSTATION);
    host.windows = Some(windows(accounts::Recorded {
        users: people().into(),
        groups: groups().into(),
        ..Default::default()
    }));
    let (rows, faults, _) = rows_of::<AccountRow>(&host, probe);
    assert_eq!(faults, ["SIMATIC HMI: its members may not be read"]);
    let guest = &rows[0];
    assert_eq!((guest.uid, guest.password.as_deref()), (Some(501), Some("none")));
    assert_eq!(guest.flags, ["disabled", "password-not-required", "password-never-expires"]);
    assert_eq!(guest.last_logon.as_deref(), Some("never"));
    assert_eq!((rows[1].name.as_str(), rows[1].last_logon.as_deref()), ("operator", Some("2026-03")));
    let members: Vec<_> = rows[2..].iter().map(|it| (it.name.as_str(), it.group_sid.as_deref())).collect();
    let group = Some("S-1-5-32-544");
    assert_eq!(members, [("operator", group), ("S-1-5-21-9-9-9-512", group)]);
}

#[test]
fn a_system_that_refuses_leaves_the_section_open() {
    let (_dir, mut host) = windows_host(WORKSTATION);
    host.windows = Some(windows(accounts::Recorded {
        users: Answer::denied(),
        groups: groups().into(),
        ..Default::default()
    }));
    let (rows, faults, _) = rows_of::<AccountRow>(&host, probe);
    assert_eq!(rows.len(), 2);
    assert_eq!(faults[0], "NetUserEnum: permission denied");
}

#[test]
fn what_does_not_run_and_what_serves_a_domain_has_no_local_users() {
    let (_dir, mut host) = windows_host(WORKSTATION);
    let budget = ample();
    assert!(matches!(probe(&mut Look::new(&host, &budget, "test")), Reading::Absent(_)));
    let (_dir, mut server) = windows_host(&WORKSTATION.replace("WinNT", "LanmanNT"));
    server.windows = Some(windows(accounts::Recorded { users: people().into(), ..Default::default() }));
    assert!(matches!(probe(&mut Look::new(&server, &budget, "test")), Reading::Absent(_)));
    host.windows = Some(windows(accounts::Recorded {
        users: Answer::denied(),
        groups: Answer::denied(),
        ..Default::default()
    }));
    assert!(matches!(probe(&mut Look::new(&host, &budget, "test")), Reading::Failed(_)));
}
