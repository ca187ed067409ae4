//! W17 to W21: who may log on here, and what is asked of passwords.
//!
//! Source of truth: the running system's own lists and policies, asked of this host alone; see
//! `windows/accounts`, which has a row for each user. Built-in accounts are told by their number, because
//! their names are in the system's language and may be changed.
//!
//! Absence: a machine that does not run says nothing of it, and a domain controller has no local users.
//!
//! Known lies: whether passwords have to be complex, and whether the lockout holds for the built-in
//! administrator, is told by no call that every user may make.

use holdpoint_common::row::HardeningRow;

use super::super::accounts::is_domain_controller;
use super::descriptor::known;
use super::ground;
use super::month;
use super::setting::{RIGHTS, rows};
use crate::host::Reads;
use crate::host::windows::accounts::{Accounts, Group, User};
use crate::scan::fact::{Fact, tell};
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[ground::READS];

const ADMINISTRATORS: &str = "S-1-5-32-544";
/// Accounts that every installation makes, by their number.
const BUILT_IN: [(u32, &str); 4] =
    [(500, "administrator"), (501, "guest"), (503, "default account"), (504, "application guard")];

const USERS: &str = "NetUserEnum";
const GROUPS: &str = "NetLocalGroupGetMembers";
const MODALS: &str = "NetUserModalsGet";

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, &[], |look, _, rows| match &look.host.windows {
        None => missing(rows, "only a running system says it"),
        Some(_) if is_domain_controller(look) => missing(rows, "a domain controller has no local accounts"),
        Some(windows) => {
            let accounts = windows.accounts.as_ref();
            administrators(look, accounts, rows);
            users(look, accounts, rows);
            passwords(look, accounts, rows);
            lockout(look, accounts, rows);
        }
    })
}

const FACTS: [(&str, &[&str], &str); 10] = [
    ("accounts.administrators", &["W17"], GROUPS),
    ("accounts.built_in_enabled", &["W18"], USERS),
    ("password.min_length", &["W19"], MODALS),
    ("password.max_age_days", &["W19"], MODALS),
    ("password.min_age_days", &["W19"], MODALS),
    ("password.history", &["W19"], MODALS),
    ("lockout.threshold", &["W20"], MODALS),
    ("lockout.minutes", &["W20"], MODALS),
    ("lockout.window_minutes", &["W20"], MODALS),
    ("accounts.last_logon", &["W21"], USERS),
];

fn missing(rows: &mut Vec<HardeningRow>, why: &str) {
    rows.extend(FACTS.map(|(id, checks, source)| Fact::new(id, checks, source).because(why).absent()));
}

fn fact(id: &str) -> Fact {
    let (id, checks, source) = FACTS.iter().find(|it| it.0 == id).copied().unwrap_or((id, &[], ""));
    Fact::new(id, checks, source)
}

fn administrators(look: &mut Look<'_>, accounts: &dyn Accounts, rows: &mut Vec<HardeningRow>) {
    let result = look.in_time().and_then(|()| accounts.groups());
    let groups = look.outcome(GROUPS, result);
    rows.push(tell(fact("accounts.administrators"), groups, RIGHTS, |fact, groups: Vec<Group>| match groups
        .into_iter()
        .find(|it| it.sid.as_deref() == Some(ADMINISTRATORS))
    {
        None => fact.because("there is no such group").absent(),
        Some(Group { members: None, .. }) => fact.because(RIGHTS).denied(),
        Some(Group { members: Some(members), .. }) => {
            let mut lines: Vec<String> = members
                .iter()
                .map(|it| match it.name.as_deref().or_else(|| known(&it.sid)) {
                    Some(name) => format!("{name} ({})", it.sid),
                    None => it.sid.clone(),
                })
                .collect();
            lines.sort();
            fact.list(lines)
        }
    }));
}

fn users(look: &mut Look<'_>, accounts: &dyn Accounts, rows: &mut Vec<HardeningRow>) {
    let result = look.in_time().and_then(|()| accounts.users());
    let users: Vec<User> = match look.outcome(USERS, result) {
        Outcome::Seen(users) => users,
        other @ (Outcome::Absent | Outcome::Denied | Outcome::Failed(_)) => {
            for id in ["accounts.built_in_enabled", "accounts.last_logon"] {
                rows.push(tell(fact(id), other.clone(), RIGHTS, |fact, _| fact.absent()));
            }
            return;
        }
    };
    for (rid, name) in BUILT_IN {
        let fact = fact("accounts.built_in_enabled").about(name);
        let Some(user) = users.iter().find(|it| it.rid == rid) else {
            rows.push(fact.because("there is no such account").absent());
            continue;
        };
        let set = user.password_set.and_then(month);
        let set = set.map_or_else(|| "password never set".to_owned(), |it| format!("password of {it}"));
        rows.push(fact.because(format!("named {}, {set}", user.name)).flag(!user.is_disabled()));
    }
    let mut people: Vec<&User> = users.iter().filter(|it| !it.is_disabled()).collect();
    people.sort_by(|a, b| a.name.cmp(&b.name));
    for user in people {
        let fact = fact("accounts.last_logon").about(&user.name);
        rows.push(fact.text(user.last_logon.and_then(month).as_deref().unwrap_or("never")));
    }
    if users.iter().all(User::is_disabled) {
        rows.push(fact("accounts.last_logon").because("every local account is disabled").absent());
    }
}

fn passwords(look: &mut Look<'_>, accounts: &dyn Accounts, rows: &mut Vec<HardeningRow>) {
    const DAY: u64 = 24 * 60 * 60;
    let result = look.in_time().and_then(|()| accounts.passwords());
    let found = look.outcome(MODALS, result);
    let days = |it: std::time::Duration| i64::try_from(it.as_secs() / DAY).unwrap_or(i64::MAX);
    rows.push(tell(fact("password.min_length"), found.clone(), RIGHTS, |fact, it| {
        fact.number(it.min_length.into())
    }));
    rows.push(tell(fact("password.max_age_days"), found.clone(), RIGHTS, |fact, it| match it.max_age {
        Some(age) => fact.number(days(age)),
        None => fact.because("passwords do not expire").absent(),
    }));
    rows.push(tell(fact("password.min_age_days"), found.clone(), RIGHTS, |fact, it| {
        fact.number(days(it.min_age))
    }));
    rows.push(tell(fact("password.history"), found, RIGHTS, |fact, it| fact.number(it.history.into())));
}

fn lockout(look: &mut Look<'_>, accounts: &dyn Accounts, rows: &mut Vec<HardeningRow>) {
    let result = look.in_time().and_then(|()| accounts.lockout());
    let found = look.outcome(MODALS, result);
    let minutes = |it: std::time::Duration| i64::try_from(it.as_secs() / 60).unwrap_or(i64::MAX);
    rows.push(tell(fact("lockout.threshold"), found.clone(), RIGHTS, |fact, it| {
        let fact = if it.threshold == 0 { fact.because("no account is ever locked") } else { fact };
        fact.number(it.threshold.into())
    }));
    rows.push(tell(fact("lockout.minutes"), found.clone(), RIGHTS, |fact, it| match it.duration {
        Some(duration) => fact.number(minutes(duration)),
        None => fact.because("until an administrator unlocks it").absent(),
    }));
    rows.push(tell(fact("lockout.window_minutes"), found, RIGHTS, |fact, it| {
        fact.number(minutes(it.window))
    }));
}
