//! Recorded answers of a running Windows, by the names that cases have for them.

use std::sync::Arc;
use std::time::Duration;

use super::super::descriptor::made::{descriptor, sid};
use crate::host::windows::accounts::{Audited, Group, Lockout, Member, Passwords, User};
use crate::host::windows::network::{Adapter, Share};
use crate::host::windows::system::Volume;
use crate::host::windows::{Answer, Windows, accounts, network, recorded, system};

const MARCH_2025: i64 = 1_741_000_000;
const MARCH_2026: i64 = 1_773_000_000;
const MAY_2019: i64 = 1_557_000_000;

fn user(name: &str, rid: u32, flags: u32, password_set: Option<i64>, last_logon: Option<i64>) -> User {
    User { name: name.to_owned(), rid, flags, is_password_expired: false, password_set, last_logon }
}

fn group(members: &[(&str, Option<&str>)]) -> Vec<Group> {
    let members = members
        .iter()
        .map(|(sid, name)| Member { sid: (*sid).to_owned(), name: name.map(str::to_owned) })
        .collect();
    let sid = Some("S-1-5-32-544".to_owned());
    vec![Group { name: "Administratoren".to_owned(), sid, members: Some(members) }]
}

fn audited(list: &[(&str, bool, bool)]) -> Vec<Audited> {
    list.iter()
        .map(|(part, success, failure)| Audited {
            subcategory: format!("0cce92{part}-69ae-11d9-bed3-505054503030"),
            success: *success,
            failure: *failure,
        })
        .collect()
}

fn adapter(name: &str, kind: u32, address: Option<&str>, gateway: Option<&str>) -> Adapter {
    let parse = |it: Option<&str>| it.into_iter().map(|it| it.parse().unwrap()).collect();
    Adapter {
        name: name.to_owned(),
        kind,
        is_up: true,
        addresses: parse(address),
        gateways: parse(gateway),
        ..Adapter::default()
    }
}

fn share(name: &str, path: &str, kind: u32, descriptor: Option<Vec<u8>>) -> Share {
    Share { name: name.to_owned(), path: Some(path.to_owned()), kind, descriptor }
}

fn volume(free_bytes: u64) -> Vec<Volume> {
    vec![Volume {
        root: r"C:\".to_owned(),
        file_system: "NTFS".to_owned(),
        total_bytes: 237 << 30,
        free_bytes,
    }]
}

fn on_network(adapters: Answer<Vec<Adapter>>, shares: Answer<Vec<Share>>) -> network::Recorded {
    let mut it = network::Recorded::default();
    (it.adapters, it.shares) = (adapters, shares);
    it
}

/// The answers of a running Windows that a case names.
pub(super) fn answers(name: &str) -> Windows {
    let (accounts, network, volumes) = match name {
        "hardened" => (
            hardened(),
            on_network(
                vec![adapter("Plant", 6, Some("10.1.1.5"), None)].into(),
                vec![
                    share("C$", r"C:\", 0x8000_0000, None),
                    share("Recipes", r"C:\Recipes", 0, Some(descriptor(&[(0, 0, ALL, administrators())]))),
                ]
                .into(),
            ),
            volume(100 << 30).into(),
        ),
        "weak" => (
            weak(),
            on_network(
                vec![
                    adapter("WLAN", 71, None, None),
                    adapter("Plant", 6, Some("10.1.1.5"), None),
                    adapter("Office", 6, Some("192.168.7.20"), Some("192.168.7.1")),
                ]
                .into(),
                vec![share(
                    "Project",
                    r"C:\HMI\Project",
                    0,
                    Some(descriptor(&[(0, 0, ALL, sid(1, &[0])), (0, 0, CHANGE, users())])),
                )]
                .into(),
            ),
            volume(700 << 20).into(),
        ),
        "refused" => (
            accounts::Recorded {
                users: Answer::denied(),
                groups: Answer::denied(),
                passwords: Answer::denied(),
                lockout: Answer::denied(),
                audited: Answer::denied(),
                descriptors: Vec::new(),
            },
            on_network(Answer::denied(), Answer::denied()),
            Answer::denied(),
        ),
        other => panic!("no answers are recorded as {other}"),
    };
    let mut system = system::Recorded::default();
    (system.volumes,) = (volumes,);
    Windows {
        accounts: Arc::new(accounts),
        network: Arc::new(network),
        system: Arc::new(system),
        ..recorded()
    }
}

/// Rights of files: everything; to read; to change.
const ALL: u32 = 0x1f_01ff;
const READ: u32 = 0x12_00a9;
const CHANGE: u32 = 0x13_01bf;

fn administrators() -> Vec<u8> {
    sid(5, &[32, 544])
}

fn users() -> Vec<u8> {
    sid(5, &[32, 545])
}

fn hardened() -> accounts::Recorded {
    const DAY: Duration = Duration::from_hours(24);
    let quarter = Duration::from_mins(15);
    accounts::Recorded {
        users: vec![
            user("Administrator", 500, 0x10202, Some(MARCH_2025), None),
            user("Gast", 501, 0x10223, None, None),
            user("plantadmin", 1000, 0x200, Some(MARCH_2025), Some(MARCH_2026)),
        ]
        .into(),
        groups: group(&[("S-1-5-21-1-2-3-1000", Some("plantadmin"))]).into(),
        passwords: Passwords { min_length: 12, max_age: Some(DAY * 365), min_age: DAY, history: 24 }.into(),
        lockout: Lockout { threshold: 10, duration: Some(quarter), window: quarter }.into(),
        audited: audited(&[("15", true, true), ("2b", true, false)]).into(),
        descriptors: vec![(
            r"c:\plant view\run.exe",
            descriptor(&[(0, 0, ALL, administrators()), (0, 0, READ, users())]).into(),
        )],
    }
}

fn weak() -> accounts::Recorded {
    accounts::Recorded {
        users: vec![
            user("Administrator", 500, 0x10200, Some(MARCH_2025), Some(MARCH_2026)),
            user("Guest", 501, 0x10221, None, None),
            user("operator", 1001, 0x10221, None, Some(MAY_2019)),
            user("vendor", 1003, 0x10200, Some(MAY_2019), None),
        ]
        .into(),
        groups: group(&[
            ("S-1-5-21-1-2-3-500", Some("Administrator")),
            ("S-1-5-21-1-2-3-1003", Some("vendor")),
            ("S-1-5-21-9-9-9-512", None),
            ("S-1-1-0", None),
        ])
        .into(),
        passwords: Passwords::default().into(),
        lockout: Lockout::default().into(),
        audited: audited(&[("15", false, false), ("2b", true, false)]).into(),
        descriptors: vec![(
            r"c:\plant view\run.exe",
            descriptor(&[(0, 0, ALL, administrators()), (0, 0, CHANGE, users())]).into(),
        )],
    }
}
