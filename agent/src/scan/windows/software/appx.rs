//! Packages of the `AppX` kind, by the names under which Windows keeps them for all users.
//!
//! Source of truth: `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore`:
//! `Applications` and `InboxApplications` are what every user gets, a security identifier is what that user
//! has. It does not depend on whose hive is loaded. A key's name is the package's full name,
//! `NAME_VERSION_ARCHITECTURE_RESOURCE_PUBLISHER`, the last a digest of the publisher's name and no name.
//!
//! A bundle (`~` as resource) has a version of its own and is left out where the package that was taken out
//! of it is listed; its parts for a language or a screen (`split.`) are left out always.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_common::row::SoftwareRow;

use super::super::values;
use crate::host::Reads;
use crate::scan::{Look, Reading};

const STORE: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore";
/// What this probe may touch.
pub(super) const READS: &[Reads] = &[
    Reads::key(STORE),
    Reads::key(r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore\Applications"),
    Reads::key(r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore\InboxApplications"),
    Reads::key(r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore\S-1-*"),
];

/// Most users, and most packages of one.
const MAX_USERS: usize = 256;
const MAX_PACKAGES: usize = 8_192;
/// `RESOURCE` of a bundle.
const BUNDLE: &str = "~";
/// Beginning of `RESOURCE` of a part of a package.
const PART: &str = "split.";

/// Reads the packages.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    let Some(places) = look.registry_keys(STORE) else {
        return look.missing("the registry has no AppX packages");
    };
    let is_user = |it: &&String| it.to_ascii_uppercase().starts_with("S-1-");
    let for_all = ["Applications", "InboxApplications"].map(str::to_owned);
    let users: Vec<&String> = places.iter().filter(is_user).collect();
    if users.len() > MAX_USERS {
        look.fault(format!("{STORE}: more than {MAX_USERS} users"));
    }
    // Each package with the users that have it; the machine's own is for everybody.
    let mut found: BTreeMap<String, BTreeSet<Option<&String>>> = BTreeMap::new();
    let machine = for_all.iter().map(|it| (it, None));
    for (place, user) in machine.chain(users.into_iter().take(MAX_USERS).map(|it| (it, Some(it)))) {
        let place = format!(r"{STORE}\{place}");
        let mut names = values::keys(look, &place).unwrap_or_default();
        if names.len() > MAX_PACKAGES {
            look.fault(format!("{place}: more than {MAX_PACKAGES} packages"));
            names.truncate(MAX_PACKAGES);
        }
        for name in names {
            found.entry(name).or_default().insert(user);
        }
    }
    Reading::of(&rows(&found))
}

fn rows(found: &BTreeMap<String, BTreeSet<Option<&String>>>) -> Vec<SoftwareRow> {
    let packages: Vec<_> =
        found.iter().filter_map(|(name, users)| Some((Package::of(name)?, users))).collect();
    let whole: BTreeSet<(&str, &str)> =
        packages.iter().filter(|(it, _)| it.is_whole()).map(|(it, _)| (it.name, it.publisher)).collect();
    let mut rows = Vec::new();
    for (package, users) in packages {
        let is_opened_bundle =
            package.resource == BUNDLE && whole.contains(&(package.name, package.publisher));
        if is_opened_bundle || package.resource.starts_with(PART) {
            continue;
        }
        let everybody = BTreeSet::from([None]);
        for user in if users.contains(&None) { &everybody } else { users } {
            rows.push(SoftwareRow {
                name: package.name.to_owned(),
                version: Some(package.version.to_owned()),
                architecture: Some(package.architecture.to_owned()),
                source: "appx".to_owned(),
                user: user.cloned(),
                ..SoftwareRow::default()
            });
        }
    }
    rows
}

/// The parts of a package's full name.
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    architecture: &'a str,
    resource: &'a str,
    publisher: &'a str,
}

impl<'a> Package<'a> {
    /// `None` for a key that is no package.
    fn of(full: &'a str) -> Option<Self> {
        let mut parts = full.split('_');
        let (name, version) = (parts.next()?, parts.next()?);
        let found = Self {
            name,
            version,
            architecture: parts.next()?,
            resource: parts.next()?,
            publisher: parts.next()?,
        };
        let is_one = parts.next().is_none() && !name.is_empty() && version.split('.').count() == 4;
        is_one.then_some(found)
    }

    fn is_whole(&self) -> bool {
        self.resource != BUNDLE && !self.resource.starts_with(PART)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, rows_of, windows_host};

    const AT: &str = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore";

    fn read(keys: &[&str]) -> Vec<String> {
        let reg = keys.iter().map(|it| format!("[{AT}\\{it}]\n")).collect::<Vec<_>>().concat();
        let (_dir, host) = windows_host(&reg);
        let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let line = |it: &SoftwareRow| {
            let said = |it: &Option<String>| it.clone().unwrap_or_default();
            format!("{} {} {} {}", it.name, said(&it.version), said(&it.architecture), said(&it.user))
        };
        rows.iter().map(|it| line(it).trim_end().to_owned()).collect()
    }

    #[test]
    fn a_package_is_one_row_however_it_came() {
        let found = read(&[
            r"Applications\Microsoft.WindowsCalculator_2019.105.0.0_neutral_~_8wekyb3d8bbwe",
            r"S-1-5-21-1-2-3-1001\Microsoft.WindowsCalculator_10.1906.55.0_x64__8wekyb3d8bbwe",
            r"S-1-5-21-1-2-3-1001\Microsoft.WindowsCalculator_10.1906.55.0_neutral_split.scale-100_8wekyb3d8bbwe",
            r"Applications\Vendor.Panel_1.0.0.0_neutral_~_abcdefghjkmnp",
            r"InboxApplications\Microsoft.LockApp_10.0.19041.1_neutral__cw5n1h2txyewy",
            r"S-1-5-21-1-2-3-1001\Microsoft.LockApp_10.0.19041.1_neutral__cw5n1h2txyewy",
            r"Config\Something",
            r"Applications\Broken_1.0",
        ]);
        let expected = [
            "Microsoft.LockApp 10.0.19041.1 neutral",
            "Microsoft.WindowsCalculator 10.1906.55.0 x64 S-1-5-21-1-2-3-1001",
            "Vendor.Panel 1.0.0.0 neutral",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn two_architectures_and_two_users_are_rows_of_their_own() {
        let found = read(&[
            r"S-1-5-21-1-2-3-1001\Microsoft.VCLibs.140.00_14.0.1.0_x64__8wekyb3d8bbwe",
            r"S-1-5-21-1-2-3-1001\Microsoft.VCLibs.140.00_14.0.1.0_x86__8wekyb3d8bbwe",
            r"S-1-5-21-1-2-3-1002\Microsoft.VCLibs.140.00_14.0.1.0_x64__8wekyb3d8bbwe",
        ]);
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn windows_7_has_no_such_source() {
        let (_dir, host) = windows_host("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft]");
        let budget = ample();
        let reading = probe(&mut Look::new(&host, &budget, "test"));
        assert_eq!(reading, Reading::Absent("the registry has no AppX packages".to_owned()));
    }
}
