//! W01 to W03: which Windows this is, as facts, and whether it waits for a restart.
//!
//! Sources of truth: `CurrentVersion`, which everybody may read; the marks that component servicing,
//! Windows Update and the session manager leave until the next start. The section `platform` says the same
//! for people; rules need facts. Which builds are supported is knowledge of the collector.
//!
//! Absence: Windows 7 and 8 keep no revision: there the updates decide, not a number.
//!
//! Known lies: `ProductName` says "Windows 10" on 11 and is not read. `PendingFileRenameOperations` is
//! also set by installers that never ask for a restart.

use holdpoint_common::row::HardeningRow;

use super::ground::{self, Ground, VERSION, build};
use super::keys::{control, software};
use super::setting::{Absent, Place, RIGHTS, Setting, places, reads, rows, tell};
use crate::host::Reads;
use crate::host::registry::Data;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[
    ground::READS,
    &reads::<{ places(SETTINGS) }>(SETTINGS),
    &[Reads::key(SERVICING), Reads::key(UPDATE), Reads::key(SESSION), Reads::key(NAME), Reads::key(NAME_NOW)],
];

const SETTINGS: &[Setting] = &[
    Setting::text(
        "os.edition",
        &["W01", "W02"],
        &[Place::at(VERSION, "EditionID")],
        Absent::Means("this Windows does not say which edition it is"),
    ),
    Setting::text(
        "os.installation_type",
        &["W02"],
        &[Place::at(VERSION, "InstallationType")],
        Absent::Means("this Windows does not say how it was installed"),
    ),
    Setting::text(
        "os.release",
        &["W02"],
        &[
            Place::at(VERSION, "DisplayVersion"),
            Place::at(VERSION, "ReleaseId"),
            Place::at(VERSION, "CSDVersion"),
        ],
        Absent::Means("neither a release nor a service pack is named"),
    ),
];

/// Below it stand keys that are there only until the next start.
const SERVICING: &str = software!(r"Windows\CurrentVersion\Component Based Servicing");
const UPDATE: &str = software!(r"Windows\CurrentVersion\WindowsUpdate\Auto Update");
const SESSION: &str = control!("Session Manager");
const NAME: &str = control!(r"ComputerName\ComputerName");
const NAME_NOW: &str = control!(r"ComputerName\ActiveComputerName");

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| {
        rows.push(build_row(look, ground));
        for (subject, key, mark) in [
            ("component servicing", SERVICING, "RebootPending"),
            ("windows update", UPDATE, "RebootRequired"),
        ] {
            rows.push(mark_row(look, ground, subject, key, mark));
        }
        rows.push(renames(look, ground));
        rows.push(new_name(look, ground));
    })
}

fn build_row(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    const ID: &str = "os.build";
    const CHECKS: &[&str] = &["W01", "W02"];
    let fact = Fact::new(ID, CHECKS, VERSION);
    let number = match look.registry_outcome(VERSION, "CurrentBuildNumber") {
        Outcome::Seen(data) => data.text().map(str::to_owned),
        Outcome::Absent => match ground.gap(VERSION) {
            Some(gap) => return fact.because(gap).error(),
            None => return fact.because("no build is named").absent(),
        },
        Outcome::Denied => return fact.because(RIGHTS).denied(),
        Outcome::Failed(why) => return fact.because(why).error(),
    };
    let Some(number) = number else { return fact.because("the build is no text").error() };
    match look.registry_outcome(VERSION, "UBR") {
        Outcome::Seen(Data::Number(revision)) => fact.text(&format!("{number}.{revision}")),
        Outcome::Seen(_) => fact.because("the revision is no number").error(),
        Outcome::Absent if ground.build.is_some_and(|it| it < build::WINDOWS_10) => {
            fact.because("this Windows keeps no revision").text(&number)
        }
        Outcome::Absent => fact.because("no revision is named").text(&number),
        Outcome::Denied => fact.because(RIGHTS).denied(),
        Outcome::Failed(why) => fact.because(why).error(),
    }
}

fn restart(subject: &str, source: &str) -> Fact {
    Fact::new("restart.pending", &["W03"], source).about(subject)
}

/// A key that is there while a restart is pending.
fn mark_row(look: &mut Look<'_>, ground: &Ground, subject: &str, key: &str, mark: &str) -> HardeningRow {
    let fact = restart(subject, &format!("{key}\\{mark}"));
    let outcome = look.registry_keys_outcome(key);
    tell(ground, key, fact, outcome, "this Windows has no such part", |fact, keys| {
        fact.flag(keys.iter().any(|it| it.eq_ignore_ascii_case(mark)))
    })
}

fn renames(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    const VALUE: &str = "PendingFileRenameOperations";
    let fact = restart("file renames", &format!("{SESSION}\\{VALUE}"));
    match look.registry_outcome(SESSION, VALUE) {
        // The value is there only while something waits.
        Outcome::Absent if ground.gap(SESSION).is_none() => fact.flag(false),
        outcome @ (Outcome::Seen(_) | Outcome::Absent | Outcome::Denied | Outcome::Failed(_)) => {
            tell(ground, SESSION, fact, outcome, "nothing waits", |fact, data| match data {
                Data::List(names) => fact.flag(names.iter().any(|it| !it.is_empty())),
                Data::Text(_) | Data::Expand(_) | Data::Number(_) | Data::Wide(_) | Data::Bytes { .. } => {
                    fact.because("no list of names").error()
                }
            })
        }
    }
}

fn new_name(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    let fact = restart("computer name", NAME);
    let wanted = look.registry_outcome(NAME, "ComputerName");
    match (wanted, look.registry_outcome(NAME_NOW, "ComputerName")) {
        (Outcome::Seen(wanted), Outcome::Seen(now)) => match (wanted.text(), now.text()) {
            (Some(wanted), Some(now)) => fact.flag(!wanted.eq_ignore_ascii_case(now)),
            _ => fact.because("a name that is no text").error(),
        },
        (Outcome::Denied, _) | (_, Outcome::Denied) => fact.because(RIGHTS).denied(),
        (Outcome::Failed(why), _) | (_, Outcome::Failed(why)) => fact.because(why).error(),
        (Outcome::Absent, _) | (_, Outcome::Absent) => match ground.gap(NAME) {
            Some(gap) => fact.because(gap).error(),
            None => fact.because("the name in effect is kept only while the system runs").absent(),
        },
    }
}
