//! Local users and who is in privileged groups.
//!
//! Sources of truth: `etc/passwd`, `etc/group`, and `etc/shadow` for whether a password is set.
//! `shadow` needs root; without it the section is partial. Neither a password nor its hash
//! leaves this module, in rows or in reasons. Users of a directory service are in none of these files.

use std::collections::BTreeMap;

use holdpoint_common::row::AccountRow;

use crate::host::Reads;
use crate::scan::{Look, Reading};

/// What this probe may touch.
pub const READS: &[Reads] =
    &[Reads::content("etc/passwd"), Reads::content("etc/group"), Reads::content("etc/shadow")];

/// Largest file of users, groups or passwords.
pub(super) const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Groups whose members can become root or read what only root should.
const PRIVILEGED: [&str; 17] = [
    "root",
    "sudo",
    "wheel",
    "admin",
    "adm",
    "shadow",
    "disk",
    "docker",
    "lxd",
    "libvirt",
    "kvm",
    "podman",
    "systemd-journal",
    "staff",
    "kmem",
    "backup",
    "dialout",
];

/// Reads users and members.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(passwd) = look.text("etc/passwd", MAX_BYTES) else {
        return look.missing("etc/passwd is not there");
    };
    let groups = look.text("etc/group", MAX_BYTES).unwrap_or_default();
    let shadow = look.text("etc/shadow", MAX_BYTES).map(|it| passwords(&it));
    let (mut rows, other_source) = users(&passwd, shadow.as_ref());
    if other_source {
        look.fault("etc/passwd: further users come from a directory service");
    }
    rows.extend(members(&groups, &rows));
    Reading::of(&rows)
}

fn users(passwd: &str, shadow: Option<&BTreeMap<String, &'static str>>) -> (Vec<AccountRow>, bool) {
    let mut rows = Vec::new();
    let mut other_source = false;
    for line in passwd.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let name = fields.first().copied().unwrap_or_default();
        if name.starts_with(['+', '-']) {
            other_source = true;
            continue;
        }
        if name.is_empty() || name.starts_with('#') || fields.len() < 7 {
            continue;
        }
        // An `x` says that the answer is in the shadow file, readable or not.
        let password = match fields[1] {
            "x" => shadow.and_then(|it| it.get(name)).copied(),
            other => Some(state_of(other)),
        };
        rows.push(AccountRow {
            source: "linux/passwd".to_owned(),
            kind: "user".to_owned(),
            name: name.to_owned(),
            uid: fields[2].parse().ok(),
            gid: fields[3].parse().ok(),
            home: said(fields[5]),
            shell: said(fields[6]),
            password: password.map(str::to_owned),
            ..AccountRow::default()
        });
    }
    (rows, other_source)
}

fn members(groups: &str, users: &[AccountRow]) -> Vec<AccountRow> {
    let mut rows = Vec::new();
    for line in groups.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [group, _, gid, listed] = fields.as_slice() else { continue };
        let gid: Option<u32> = gid.parse().ok();
        if !PRIVILEGED.contains(group) && gid != Some(0) {
            continue;
        }
        let primary = users.iter().filter(|it| gid.is_some() && it.gid == gid).map(|it| it.name.as_str());
        let named = listed.split(',').map(str::trim).filter(|it| !it.is_empty());
        for name in primary.chain(named) {
            rows.push(AccountRow {
                source: "linux/group".to_owned(),
                kind: "member".to_owned(),
                name: name.to_owned(),
                gid,
                group: Some((*group).to_owned()),
                ..AccountRow::default()
            });
        }
    }
    rows
}

fn passwords(shadow: &str) -> BTreeMap<String, &'static str> {
    shadow
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            Some((fields.next()?.to_owned(), state_of(fields.next()?)))
        })
        .collect()
}

/// What a password field says, without saying it.
pub(super) fn state_of(field: &str) -> &'static str {
    match field {
        "" => "none",
        "*" | "!" | "!!" | "!*" | "x" => "no-login",
        it if it.starts_with('!') || it.starts_with("*LK*") => "locked",
        _ => "set",
    }
}

fn said(field: &str) -> Option<String> {
    (!field.is_empty()).then(|| field.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{host, rows_of};

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n\
        op:x:1000:1000:Op:/home/op:/bin/sh\nopen::1001:1001::/:\nbroken\n";
    const GROUP: &str = "root:x:0:\nsudo:x:27:op,ghost\nusers:x:100:op\n";
    const SECRET: &str = "$y$j9T$abcdef";

    fn password(rows: &[AccountRow], name: &str) -> Option<String> {
        rows.iter().find(|it| it.kind == "user" && it.name == name)?.password.clone()
    }

    #[test]
    fn passwords_are_states_and_never_text() {
        let shadow = format!("root:!:19000\ndaemon:*:19000\nop:{SECRET}:19000\n");
        let (_dir, host) = host(&[("etc/passwd", PASSWD), ("etc/group", GROUP), ("etc/shadow", &shadow)]);
        let (rows, faults, _) = rows_of::<AccountRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(password(&rows, "root").as_deref(), Some("no-login"));
        assert_eq!(password(&rows, "op").as_deref(), Some("set"));
        assert_eq!(password(&rows, "open").as_deref(), Some("none"));
        assert!(!format!("{rows:?}").contains("j9T"));
        let members: Vec<_> = rows
            .iter()
            .filter(|it| it.kind == "member")
            .map(|it| (it.group.as_deref().unwrap(), it.name.as_str()))
            .collect();
        assert_eq!(members, [("root", "root"), ("sudo", "op"), ("sudo", "ghost")]);
    }

    #[test]
    fn a_shadow_file_that_cannot_be_read_leaves_the_state_open() {
        let (dir, host) = host(&[("etc/passwd", PASSWD), ("etc/group", GROUP)]);
        std::fs::create_dir(dir.path().join("etc/shadow")).unwrap();
        let (rows, faults, _) = rows_of::<AccountRow>(&host, probe);
        assert_eq!(faults, ["etc/shadow: not a regular file"]);
        assert_eq!(password(&rows, "op"), None);
        assert_eq!(password(&rows, "open").as_deref(), Some("none"));
    }

    #[test]
    fn a_locked_password_is_not_a_login_without_one() {
        assert_eq!(state_of("!$6$x$y"), "locked");
        assert_eq!(state_of("!*"), "no-login");
        assert_eq!(state_of("rounds"), "set");
    }
}
