//! Packages of component servicing, each by its state.
//!
//! Source of truth: `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages`,
//! one key a package: `NAME~TOKEN~ARCHITECTURE~LANGUAGE~VERSION`. Every user may read it. The numbers of
//! `CurrentState` are those of Microsoft's chart of servicing states (2015): 5 uninstall pending,
//! 64 staged, 80 superseded, 96 install pending, 101 partially installed, 112 installed, 128 permanent.
//! A package of a lower state is not on the system.
//!
//! Hidden packages (`Visibility` 2) are the parts of visible ones, several for each, and are left out.
//! Known lies: what is superseded stays in the list until somebody cleans up; the day is the clock's of
//! that time. The cumulative update is `Package_for_RollupFix` without a number, and only the
//! place that it was installed from names its article.

use holdpoint_common::row::UpdateRow;

use super::super::values::{self, Values};
use super::kb;
use crate::host::Reads;
use crate::host::registry::Data;
use crate::scan::{Look, Reading};

const PACKAGES: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages";
/// What this source may touch.
pub(in crate::scan::windows) const READS: &[Reads] = &[
    Reads::key(PACKAGES),
    Reads::key(r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\*"),
];

/// Most packages; a server of many roles and updates has some 10,000.
const MAX_PACKAGES: usize = 65_536;
/// `Visibility` of a package that is a part of others.
const HIDDEN: u64 = 2;
/// The cumulative update of Windows 10 and later.
const ROLLUP: &str = "Package_for_RollupFix";

/// Reads the packages.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    let Some(names) = names(look) else {
        return look.missing("the registry has no packages of component servicing");
    };
    let mut rows = Vec::new();
    for name in names {
        if let Err(late) = look.in_time() {
            look.fault(format!("{PACKAGES}: {late}"));
            break;
        }
        let key = format!(r"{PACKAGES}\{name}");
        // The state first: most packages have none that is a row.
        let Some(state) = values::value(look, &key, "CurrentState").and_then(|it| state(&it)) else {
            continue;
        };
        let Some(values) = values::values(look, &key) else { continue };
        if values.number("Visibility") != Some(HIDDEN) {
            rows.extend(row(&name, state, &values));
        }
    }
    Reading::of(&rows)
}

/// The version of a cumulative update that is in effect after the next restart: "19041.4648.1.8".
pub(in crate::scan::windows) fn pending_rollup(look: &mut Look<'_>) -> Option<String> {
    let names = names(look)?;
    let rollups = names.iter().filter_map(|it| Some((it, Identity::of(it)?)));
    let pending: Vec<String> = rollups
        .filter(|(_, it)| it.name == ROLLUP)
        .filter(|(name, _)| {
            let data = values::value(look, &format!(r"{PACKAGES}\{name}"), "CurrentState");
            data.and_then(|it| state(&it)) == Some("install-pending")
        })
        .map(|(_, it)| it.version.to_owned())
        .collect();
    pending.into_iter().max_by_key(|it| revision(it))
}

/// Build and revision of the version of a cumulative update.
pub(in crate::scan::windows) fn revision(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('.').map(|it| it.parse().ok());
    parts.next()?.zip(parts.next()?)
}

fn names(look: &mut Look<'_>) -> Option<Vec<String>> {
    let mut names = look.registry_keys(PACKAGES)?;
    if names.len() > MAX_PACKAGES {
        look.fault(format!("{PACKAGES}: more than {MAX_PACKAGES} packages"));
        names.truncate(MAX_PACKAGES);
    }
    Some(names)
}

/// The word for a state; `None` for one of a package that is not on the system.
fn state(data: &Data) -> Option<&'static str> {
    match data.number()? {
        5 => Some("uninstall-pending"),
        64 => Some("staged"),
        80 => Some("superseded"),
        96 => Some("install-pending"),
        101 => Some("partially-installed"),
        112 | 128 => Some("installed"),
        _ => None,
    }
}

fn row(name: &str, state: &str, values: &Values) -> Option<UpdateRow> {
    let identity = Identity::of(name)?;
    let is_update = identity.name.starts_with("Package_for_");
    let from = values.text("InstallLocation");
    let time = values.number("InstallTimeHigh").zip(values.number("InstallTimeLow"));
    let kind = match (is_update, identity.language) {
        (true, _) => "update",
        (false, "") => "feature",
        (false, _) => "language",
    };
    Some(UpdateRow {
        source: "windows/cbs".to_owned(),
        name: format!("{} {}", identity.name, identity.language).trim_end().to_owned(),
        version: Some(identity.version.to_owned()).filter(|it| !it.is_empty()),
        kb: kb(identity.name).or_else(|| from.as_deref().filter(|_| is_update).and_then(kb)),
        state: state.to_owned(),
        kind: Some(kind.to_owned()),
        architecture: Some(identity.architecture.to_owned()).filter(|it| !it.is_empty()),
        install_date: time.and_then(|(high, low)| day(high << 32 | low)),
    })
}

/// The day of a time that Windows counts in units of 100 ns since 1601, in UTC; `None` for one that is not set.
fn day(filetime: u64) -> Option<String> {
    const TICKS: u64 = 10_000_000;
    const UNIX_EPOCH: i64 = 11_644_473_600;
    let seconds = i64::try_from(filetime / TICKS).ok().filter(|it| *it > 0)?;
    let time = time::OffsetDateTime::from_unix_timestamp(seconds - UNIX_EPOCH).ok()?;
    Some(time.date().to_string())
}

/// The parts of a package's name.
struct Identity<'a> {
    name: &'a str,
    architecture: &'a str,
    language: &'a str,
    version: &'a str,
}

impl<'a> Identity<'a> {
    /// `None` for a key that is no package.
    fn of(key: &'a str) -> Option<Self> {
        let mut parts = key.split('~');
        let (name, _token) = (parts.next()?, parts.next()?);
        let found =
            Self { name, architecture: parts.next()?, language: parts.next()?, version: parts.next()? };
        (parts.next().is_none() && !name.is_empty()).then_some(found)
    }
}

#[cfg(test)]
#[path = "cbs_tests.rs"]
mod tests;
