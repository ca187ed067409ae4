//! Flatpaks of the whole system, from disk.
//!
//! Sources of truth: `var/lib/flatpak/{app,runtime}/ID/ARCH/BRANCH/active`, a link to the commit
//! that is in use, and `deploy` in the commit's directory. World readable. One row for each
//! branch: `module` is the branch, the path ends with the commit, the day is that of `deploy`.
//! The version is `appdata-version` of `deploy`, which flatpak takes from the application's own
//! metadata; older flatpaks did not keep it, and many runtimes have none: then it is unknown.
//!
//! Not read: what users install for themselves (`~/.local/share/flatpak`), because homes are not
//! the agent's to look into. Another installation of the whole system (`etc/flatpak/installations.d`)
//! is a gap with its name.

use holdpoint_common::row::SoftwareRow;

use super::dpkg::day_of;
use super::gvariant;
use crate::host::{EntryKind, Reads, is_absent};
use crate::scan::{Look, Reading};

const BASE: &str = "var/lib/flatpak";
const INSTALLATIONS: &str = "etc/flatpak/installations.d";
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("var/lib/flatpak/app/*/*/*"),
    Reads::content("var/lib/flatpak/app/*/*/*/*/deploy"),
    Reads::content("var/lib/flatpak/runtime/*/*/*"),
    Reads::content("var/lib/flatpak/runtime/*/*/*/*/deploy"),
    Reads::content("etc/flatpak/installations.d"),
];

const MAX_NAMES: usize = 4_096;
const MAX_REFS: usize = 16_384;
const MAX_DEPLOY: usize = 1024 * 1024;
const MAX_INSTALLATIONS: usize = 256;

/// Reads the applications and runtimes.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let mut rows = Vec::new();
    let mut is_there = false;
    for kind in ["app", "runtime"] {
        let place = format!("{BASE}/{kind}");
        let Some(ids) = look.list(&place, MAX_NAMES) else { continue };
        is_there = true;
        for id in ids.entries.iter().filter(|it| it.kind == EntryKind::Directory) {
            let within = format!("{place}/{}", id.name);
            for architecture in directories(look, &within) {
                for branch in directories(look, &format!("{within}/{architecture}")) {
                    let place = format!("{within}/{architecture}/{branch}");
                    if rows.len() >= MAX_REFS {
                        look.fault(format!("more than {MAX_REFS} flatpaks"));
                        return Reading::of(&rows);
                    }
                    rows.extend(row(look, &id.name, &architecture, &branch, &place));
                }
            }
        }
    }
    others(look);
    if is_there { Reading::of(&rows) } else { look.missing(format!("no flatpaks: {BASE} is not there")) }
}

/// Installations of the whole system in other places, as flatpak-installation(5) configures them.
fn others(look: &mut Look<'_>) {
    if let Some(listing) = look.list(INSTALLATIONS, MAX_INSTALLATIONS) {
        for entry in listing.entries.iter().filter(|it| it.name.ends_with(".conf")) {
            look.fault(format!("{INSTALLATIONS}/{}: another installation, which is not read", entry.name));
        }
    }
}

/// The names of the directories in a directory; links (`current`) are left out.
fn directories(look: &mut Look<'_>, place: &str) -> Vec<String> {
    match look.in_time().and_then(|()| look.host.root.list(place, MAX_NAMES)) {
        Ok(listing) => {
            let directories = listing.entries.into_iter().filter(|it| it.kind == EntryKind::Directory);
            directories.map(|it| it.name).collect()
        }
        Err(cause) => {
            look.note::<()>(place, Err(cause));
            Vec::new()
        }
    }
}

fn row(look: &mut Look<'_>, id: &str, architecture: &str, branch: &str, place: &str) -> Option<SoftwareRow> {
    let root = &look.host.root;
    let commit = match root.read_link(&format!("{place}/active")) {
        Ok(target) => target.to_str().filter(|it| is_commit(it)).map(str::to_owned),
        // Being taken out, or only half put in: nothing of it is in use.
        Err(cause) if is_absent(&cause) => return None,
        Err(cause) => {
            look.note::<()>(&format!("{place}/active"), Err(cause));
            return None;
        }
    };
    let Some(commit) = commit else {
        look.fault(format!("{place}/active: it leads to no commit"));
        return None;
    };
    let deploy = format!("{place}/{commit}/deploy");
    let version = match root.read(&deploy, MAX_DEPLOY).map_err(|it| it.to_string()) {
        Ok(bytes) => gvariant::deployed_version(&bytes),
        Err(why) => Err(why),
    };
    let version = version.unwrap_or_else(|why| {
        look.fault(format!("{deploy}: {why}"));
        None
    });
    let day = look.host.root.facts(&deploy).ok().and_then(|it| it.modified).and_then(day_of);
    Some(SoftwareRow {
        name: id.to_owned(),
        version,
        architecture: Some(architecture.to_owned()),
        source: "flatpak".to_owned(),
        install_date: day,
        module: Some(branch.to_owned()),
        path: Some(format!("/{place}/{commit}")),
        ..SoftwareRow::default()
    })
}

/// Whether a text is a checksum of ostree.
fn is_commit(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host, rows_of, write};
    use std::os::unix::fs::symlink;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn the_active_commit_of_each_branch_is_a_row() {
        let (dir, host) = host(&[]);
        for (place, version) in [
            ("app/org.example.Hmi/x86_64/stable", Some("4.2.1")),
            ("runtime/org.freedesktop.Platform/x86_64/23.08", None),
        ] {
            let place = format!("{BASE}/{place}");
            let deploy = gvariant::tests::deploy(COMMIT, version);
            write(dir.path(), &format!("{place}/{COMMIT}/deploy"), &deploy);
            symlink(COMMIT, dir.path().join(format!("{place}/active"))).unwrap();
        }
        symlink("x86_64/stable", dir.path().join(format!("{BASE}/app/org.example.Hmi/current"))).unwrap();
        let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let said: Vec<_> =
            rows.iter().map(|it| (it.name.as_str(), it.version.as_deref(), it.module.as_deref())).collect();
        assert_eq!(
            said,
            [
                ("org.example.Hmi", Some("4.2.1"), Some("stable")),
                ("org.freedesktop.Platform", None, Some("23.08")),
            ]
        );
        assert_eq!(
            rows[0].path,
            Some(format!("/var/lib/flatpak/app/org.example.Hmi/x86_64/stable/{COMMIT}"))
        );
        assert!(rows[0].install_date.is_some());
    }

    #[test]
    fn what_is_broken_is_said_and_what_is_not_active_is_no_row() {
        let (dir, host) = host(&[
            ("var/lib/flatpak/app/a/x86_64/old/x/deploy", ""),
            ("var/lib/flatpak/app/b/x86_64/stable/x/deploy", ""),
            ("etc/flatpak/installations.d/disk.conf", "[Installation \"disk\"]\nPath=/data/flatpak\n"),
        ]);
        let c = format!("{BASE}/app/c/x86_64/stable");
        write(dir.path(), &format!("{c}/{COMMIT}/deploy"), b"not a variant");
        symlink(COMMIT, dir.path().join(format!("{c}/active"))).unwrap();
        symlink("../../../etc", dir.path().join("var/lib/flatpak/app/b/x86_64/stable/active")).unwrap();
        let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
        assert_eq!((rows.len(), rows[0].name.as_str(), rows[0].version.as_deref()), (1, "c", None));
        assert_eq!(
            faults,
            [
                "var/lib/flatpak/app/b/x86_64/stable/active: it leads to no commit".to_owned(),
                format!("{c}/{COMMIT}/deploy: it is no deployment record"),
                "etc/flatpak/installations.d/disk.conf: another installation, which is not read".to_owned(),
            ]
        );
    }

    #[test]
    fn without_flatpak_it_is_absent() {
        let (_dir, host) = host(&[]);
        let budget = ample();
        assert!(matches!(probe(&mut Look::new(&host, &budget, "test")), Reading::Absent(_)));
    }
}
