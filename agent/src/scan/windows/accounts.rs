//! Local users and members of local groups.
//!
//! Source of truth: the running system's own list, asked of this host alone (see
//! [`crate::host::windows::accounts`]). No password or hash is asked for. A domain controller has no local
//! users: its list is the domain's, and is not read. Names of members from a domain are not looked up.
//!
//! Absence: a machine that does not run keeps its users in the hive of the security accounts manager, which
//! is never opened.
//!
//! Known lies: who is in a domain's groups is not known here, so a domain group among the members stands
//! for people that only the domain knows. Of a logon only the month is told: it would move by itself otherwise.

use holdpoint_common::row::{AccountRow, SectionKind};

use super::hardening::month;
use crate::host::Reads;
use crate::host::windows::accounts::{Group, Member, User};
use crate::scan::probe::Probe;
use crate::scan::{Look, Reading};

/// The probes of this file.
pub(in crate::scan) const PROBES: &[Probe] =
    &[Probe { name: "windows/accounts", kind: SectionKind::Accounts, reads: &[READS], run: probe }];

/// What this probe may touch.
pub const READS: &[Reads] = &[Reads::key(OPTIONS)];

const OPTIONS: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\ProductOptions";

/// Whether this host's accounts are those of a whole domain.
pub(super) fn is_domain_controller(look: &mut Look<'_>) -> bool {
    let kind = look.registry_value(OPTIONS, "ProductType");
    kind.is_some_and(|it| it.text().is_some_and(|it| it.eq_ignore_ascii_case("LanmanNT")))
}

/// Reads users and members.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(windows) = &look.host.windows else {
        return look.missing("only a running Windows says who its users are");
    };
    if is_domain_controller(look) {
        return look.missing("the users of a domain controller are those of its domain");
    }
    let users = look.in_time().and_then(|()| windows.accounts.users());
    let users = look.note("NetUserEnum", users);
    let groups = look.in_time().and_then(|()| windows.accounts.groups());
    let groups = look.note("NetLocalGroupEnum", groups);
    if users.is_none() && groups.is_none() {
        return look.missing("this Windows has no list of users");
    }
    let mut rows: Vec<AccountRow> = users.into_iter().flatten().map(user).collect();
    for group in groups.into_iter().flatten() {
        match &group.members {
            Some(members) => rows.extend(members.iter().map(|it| member(&group, it))),
            None => look.fault(format!("{}: its members may not be read", group.name)),
        }
    }
    Reading::of(&rows)
}

fn user(user: User) -> AccountRow {
    let password = if user.password_set.is_none() && user.flags & 0x0020 != 0 { "none" } else { "set" };
    AccountRow {
        source: "windows/users".to_owned(),
        kind: "user".to_owned(),
        uid: Some(user.rid),
        password: Some(password.to_owned()),
        flags: user.flag_names().into_iter().map(str::to_owned).collect(),
        last_logon: Some(user.last_logon.and_then(month).unwrap_or_else(|| "never".to_owned())),
        name: user.name,
        ..AccountRow::default()
    }
}

fn member(group: &Group, member: &Member) -> AccountRow {
    AccountRow {
        source: "windows/groups".to_owned(),
        kind: "member".to_owned(),
        name: member.name.clone().unwrap_or_else(|| member.sid.clone()),
        group: Some(group.name.clone()),
        sid: Some(member.sid.clone()),
        group_sid: group.sid.clone(),
        ..AccountRow::default()
    }
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
