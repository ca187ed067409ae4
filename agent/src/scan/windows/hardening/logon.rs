//! W14 to W16: who gets in without being asked, and when a session locks.
//!
//! Sources of truth: `Winlogon`, the machine's policies, and for each user whose hive is loaded the policy
//! and the preference of the screen saver. Everybody may read the first two; other users' hives need an
//! administrator.
//!
//! Only whether a password stands in plain text is told, never the password. The one that Windows keeps
//! as an LSA secret for automatic logon is not looked for.
//!
//! Known lies: users whose hive is not loaded are not seen.

use holdpoint_common::row::HardeningRow;

use super::ground::{self, Ground};
use super::keys::software;
use super::setting::{Absent, Place, RIGHTS, Setting, number, places, reads, rows, tell};
use super::users;
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[
    ground::READS,
    users::READS,
    &reads::<{ places(SETTINGS) }>(SETTINGS),
    &[
        Reads::key(r"HKU\*\Software\Policies\Microsoft\Windows\Control Panel\Desktop"),
        Reads::key(r"HKU\*\Control Panel\Desktop"),
    ],
];

const WINLOGON: &str = software!(r"Windows NT\CurrentVersion\Winlogon");
const SYSTEM: &str = software!(r"Windows\CurrentVersion\Policies\System");

const CACHED: &[&str] = &["W14"];
const AUTOMATIC: &[&str] = &["W15"];
const LOCK: &[&str] = &["W16"];

const SETTINGS: &[Setting] = &[
    Setting::number("logon.cached", CACHED, &[Place::at(WINLOGON, "CachedLogonsCount")], Absent::Means("10")),
    Setting::flag(
        "logon.automatic",
        AUTOMATIC,
        &[Place::at(WINLOGON, "AutoAdminLogon")],
        Absent::Means("off"),
    ),
    Setting::flag(
        "logon.automatic_always",
        AUTOMATIC,
        &[Place::at(WINLOGON, "ForceAutoLogon")],
        Absent::Means("off: who logs off is not logged on again"),
    ),
    Setting::flag(
        "logon.no_last_user",
        AUTOMATIC,
        &[Place::at(SYSTEM, "DontDisplayLastUserName")],
        Absent::Means("the last user is shown"),
    ),
    Setting::number(
        "session.inactivity_seconds",
        LOCK,
        &[Place::at(SYSTEM, "InactivityTimeoutSecs")],
        Absent::Means("0: no session locks for this reason"),
    ),
    Setting::text(
        "session.smart_card_removal",
        LOCK,
        &[Place::at(WINLOGON, "ScRemoveOption")],
        Absent::Means("0: nothing happens when a smart card is taken out"),
    ),
];

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| {
        rows.push(plain_password(look, ground));
        rows.push(automatic_user(look, ground));
        screen_savers(look, ground, rows);
    })
}

fn plain_password(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    const VALUE: &str = "DefaultPassword";
    let fact = Fact::new("logon.plain_password", AUTOMATIC, &format!("{WINLOGON}\\{VALUE}"));
    // What it holds is dropped at once.
    match look.registry_outcome(WINLOGON, VALUE) {
        Outcome::Absent if ground.gap(WINLOGON).is_none() => fact.flag(false),
        outcome @ (Outcome::Seen(_) | Outcome::Absent | Outcome::Denied | Outcome::Failed(_)) => {
            tell(ground, WINLOGON, fact, outcome, "none", |fact, data| {
                fact.flag(data.text().is_none_or(|it| !it.is_empty()))
            })
        }
    }
}

/// Only where somebody is logged on automatically: else it is whoever was here last.
fn automatic_user(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    const VALUE: &str = "DefaultUserName";
    let fact = Fact::new("logon.automatic_user", AUTOMATIC, &format!("{WINLOGON}\\{VALUE}"));
    let is_on = match look.registry_outcome(WINLOGON, "AutoAdminLogon") {
        Outcome::Seen(data) => number(&data).is_some_and(|it| it != 0),
        Outcome::Absent | Outcome::Failed(_) => false,
        Outcome::Denied => return fact.because(RIGHTS).denied(),
    };
    if !is_on {
        return tell(
            ground,
            WINLOGON,
            fact,
            Outcome::<()>::Absent,
            "nobody is logged on automatically",
            |fact, ()| fact.absent(),
        );
    }
    let outcome = look.registry_outcome(WINLOGON, VALUE);
    tell(ground, WINLOGON, fact, outcome, "no name is there: it does not work", |fact, data| {
        match data.text() {
            Some(name) => fact.text(name),
            None => fact.because("a name that is no text").error(),
        }
    })
}

/// Each user's screen saver; policy beats preference.
fn screen_savers(look: &mut Look<'_>, ground: &Ground, rows: &mut Vec<HardeningRow>) {
    const VALUES: [(&str, &str); 3] = [
        ("session.screen_saver", "ScreenSaveActive"),
        ("session.screen_saver_locks", "ScreenSaverIsSecure"),
        ("session.screen_saver_seconds", "ScreenSaveTimeOut"),
    ];
    for user in users::loaded(look, rows, "session.screen_saver", LOCK) {
        let places = [
            format!(r"HKU\{user}\Software\Policies\Microsoft\Windows\Control Panel\Desktop"),
            format!(r"HKU\{user}\Control Panel\Desktop"),
        ];
        for (id, value) in VALUES {
            let found = places
                .iter()
                .map(|key| (key, look.registry_outcome(key, value)))
                .find(|(_, outcome)| !matches!(outcome, Outcome::Absent));
            let (key, outcome) = found.unwrap_or((&places[1], Outcome::Absent));
            let fact = Fact::new(id, LOCK, &format!("{key}\\{value}")).about(&user);
            rows.push(tell(ground, key, fact, outcome, "not set: no screen saver", |fact, data| {
                match (number(&data), value) {
                    (Some(seconds), "ScreenSaveTimeOut") => fact.number(seconds),
                    (Some(on), _) => fact.flag(on != 0),
                    (None, _) => fact.because("no number").error(),
                }
            }));
        }
    }
}
