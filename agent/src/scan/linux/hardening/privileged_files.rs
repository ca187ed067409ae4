//! Programs that run with another user's rights, and who can write where programs are looked up.
//!
//! Source of truth: the modes and owners in the directories of programs, by a walk that is bounded in
//! directories, depth and entries. Walked: `bin` and `sbin` at every level, `usr/libexec`, the first
//! two levels of `usr/lib` without libraries and data, `opt` three levels deep, and cron's directories.
//! Not walked: home directories, other file systems, `usr/lib/x86_64-linux-gnu` and its like. A program
//! elsewhere with the set-user-id bit is not seen. Capabilities of files are not read.
//!
//! Only names, modes and owners are read, no content. An entry is "mode user:group path", in order of paths.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::fact::Fact;
use crate::host::{EntryKind, Facts, Reads};
use crate::scan::{Look, Reading};

/// What this probe may touch. Where directories may be listed the pattern names them, not what is in them.
pub const READS: &[Reads] = &[
    Reads::content("bin"),
    Reads::content("sbin"),
    Reads::content("usr/bin"),
    Reads::content("usr/sbin"),
    Reads::content("usr/local/bin"),
    Reads::content("usr/local/sbin"),
    Reads::content("usr/local/libexec"),
    Reads::content("usr/libexec"),
    Reads::content("usr/libexec/*"),
    Reads::content("usr/lib"),
    Reads::content("usr/lib/*"),
    Reads::content("opt"),
    Reads::content("opt/*"),
    Reads::content("opt/*/*"),
    Reads::content("etc/cron.d"),
    Reads::content("etc/cron.hourly"),
    Reads::content("etc/cron.daily"),
    Reads::content("etc/cron.weekly"),
    Reads::content("etc/cron.monthly"),
    Reads::metadata("bin/*"),
    Reads::metadata("sbin/*"),
    Reads::metadata("usr/bin/*"),
    Reads::metadata("usr/sbin/*"),
    Reads::metadata("usr/local/bin/*"),
    Reads::metadata("usr/local/sbin/*"),
    Reads::metadata("usr/local/libexec/*"),
    Reads::metadata("usr/libexec/*/*"),
    Reads::metadata("usr/lib/*/*"),
    Reads::metadata("opt/*/*/*"),
    Reads::metadata("etc/crontab"),
    Reads::metadata("etc/cron.d/*"),
    Reads::metadata("etc/cron.hourly/*"),
    Reads::metadata("etc/cron.daily/*"),
    Reads::metadata("etc/cron.weekly/*"),
    Reads::metadata("etc/cron.monthly/*"),
];

/// Most entries of the whole walk, and most of one directory.
const MAX_ENTRIES: usize = 20_000;
const MAX_DIRECTORY: usize = 16_384;
/// Directories of `usr/lib` with more names are of data.
const MAX_LIBRARY: usize = 256;

/// Where a shell looks for programs.
const PATH: [&str; 6] = ["usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin"];
/// What else is walked, with the levels below it.
const DEEPER: [(&str, usize); 4] = [("usr/local/libexec", 0), ("usr/libexec", 1), ("usr/lib", 1), ("opt", 2)];
const CRON: [&str; 5] =
    ["etc/cron.d", "etc/cron.hourly", "etc/cron.daily", "etc/cron.weekly", "etc/cron.monthly"];
/// Directories of `usr/lib` without programs.
const DATA: [&str; 12] = [
    "modules",
    "firmware",
    "locale",
    "debug",
    "gcc",
    "jvm",
    "kernel",
    "udev",
    "systemd",
    "tmpfiles.d",
    "sysusers.d",
    "terminfo",
];

/// Walks.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let mut walk = Walk::default();
    let mut rows = Vec::new();
    for place in PATH {
        let Some(facts) = look.facts(place) else { continue };
        let fact = Fact::new("path.directory", &["L19"], place).about(place);
        rows.push(fact.text(&owned(facts)));
        if others_write(facts) {
            walk.writable.push(line(facts, place));
        }
        walk.directory(look, place, 0, Wanted::Both);
    }
    for (place, levels) in DEEPER {
        walk.directory(look, place, levels, Wanted::Privileged);
    }
    for place in CRON {
        walk.directory(look, place, 0, Wanted::Writable);
        if let Some(facts) = look.facts(place).filter(|it| others_write(*it)) {
            walk.writable.push(line(facts, place));
        }
    }
    if let Some(facts) = look.facts("etc/crontab").filter(|it| others_write(*it)) {
        walk.writable.push(line(facts, "etc/crontab"));
    }
    if walk.directories == 0 {
        return look.missing("no directory of programs is there");
    }
    let fact = |id: &str| {
        let fact =
            Fact::new(id, &["L19"], "usr/bin, usr/sbin, usr/local, usr/libexec, usr/lib, opt, etc/cron*");
        match walk.stopped {
            Some(why) => fact.because(why),
            None => fact,
        }
    };
    rows.push(fact("files.privileged").list(by_path(&walk.privileged)));
    rows.push(fact("files.writable_by_others").list(by_path(&walk.writable)));
    Reading::of(&rows)
}

/// What of a directory is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Privileged,
    Writable,
    Both,
}

#[derive(Debug, Default)]
struct Walk {
    seen: BTreeSet<PathBuf>,
    directories: usize,
    entries: usize,
    stopped: Option<&'static str>,
    privileged: Vec<(String, String)>,
    writable: Vec<(String, String)>,
}

impl Walk {
    fn directory(&mut self, look: &mut Look<'_>, path: &str, levels: usize, wanted: Wanted) {
        // With a merged /usr two names lead to one directory.
        let is_known = look.host.root.canonical(path).is_ok_and(|it| !self.seen.insert(it));
        if is_known || self.stopped.is_some() {
            return;
        }
        let Some(listing) = look.list(path, MAX_DIRECTORY) else { return };
        self.directories += 1;
        // Packages put programs into directories of their own; a crowd of files is data.
        let is_library = path.starts_with("usr/lib/");
        if is_library && listing.entries.len() > MAX_LIBRARY {
            return;
        }
        let is_lib = path == "usr/lib";
        let mut below = Vec::new();
        for entry in &listing.entries {
            if self.entries == MAX_ENTRIES {
                self.stopped = Some("stopped after 20000 entries: the list is not whole");
                return;
            }
            match entry.kind {
                EntryKind::Directory if levels > 0 && !(is_lib && is_data(&entry.name)) => {
                    below.push(&entry.name);
                    continue;
                }
                EntryKind::File if !((is_library || is_lib) && is_library_name(&entry.name)) => {}
                EntryKind::File | EntryKind::Directory | EntryKind::Link | EntryKind::Other => continue,
            }
            self.entries += 1;
            // Gone a moment later, or refused: neither is a program that runs with other rights here.
            let Ok(facts) = listing.facts(entry) else { continue };
            let is_privileged = facts.mode & 0o6000 != 0 && facts.mode & 0o111 != 0;
            if is_privileged && wanted != Wanted::Writable {
                self.privileged.push(line(facts, &format!("{path}/{}", entry.name)));
            }
            if wanted != Wanted::Privileged && others_write(facts) {
                self.writable.push(line(facts, &format!("{path}/{}", entry.name)));
            }
        }
        if let Err(late) = look.in_time() {
            look.fault(format!("{path}: {late}"));
            self.stopped = Some("stopped because the scan's time is used up: the list is not whole");
            return;
        }
        for name in below {
            self.directory(look, &format!("{path}/{name}"), levels - 1, wanted);
        }
    }
}

fn is_data(name: &str) -> bool {
    DATA.contains(&name)
        || name.ends_with("-linux-gnu")
        || name.starts_with("python")
        || name.starts_with("lib")
}

fn is_library_name(name: &str) -> bool {
    name.contains(".so") || name.ends_with(".a") || name.ends_with(".py") || name.ends_with(".ko")
}

/// Whether somebody other than root can change it.
fn others_write(facts: Facts) -> bool {
    let by_all = facts.mode & 0o002 != 0 && !(facts.kind == EntryKind::Directory && facts.mode & 0o1000 != 0);
    let by_group = facts.mode & 0o020 != 0 && facts.gid != 0;
    let by_owner = facts.uid != 0;
    facts.kind != EntryKind::Link && (by_all || by_group || by_owner)
}

fn owned(facts: Facts) -> String {
    format!("{:04o} {}:{}", facts.mode, facts.uid, facts.gid)
}

/// The path, and the line about it.
fn line(facts: Facts, path: &str) -> (String, String) {
    (path.to_owned(), format!("{} /{path}", owned(facts)))
}

fn by_path(lines: &[(String, String)]) -> Vec<String> {
    let mut lines: Vec<_> = lines.iter().collect();
    lines.sort_unstable();
    lines.dedup();
    lines.into_iter().map(|it| it.1.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ReadList;
    use crate::scan::look::tests::{host, rows_of};
    use holdpoint_common::row::HardeningRow;
    use holdpoint_common::row::hardening_row::Value;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn items(rows: &[HardeningRow], id: &str) -> Vec<String> {
        match &rows.iter().find(|it| it.id == id).unwrap().value {
            Some(Value::List(list)) => list.items.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn privileged_programs_are_found_where_packages_put_them() {
        let (dir, host) = host(&[
            ("usr/bin/sudo", ""),
            ("usr/bin/ls", ""),
            ("usr/bin/shared", ""),
            ("usr/lib/openssh/ssh-keysign", ""),
            ("usr/lib/openssh/deep/er", ""),
            ("usr/lib/modules/x", ""),
            ("usr/libexec/a/helper", ""),
            ("opt/vendor/bin/tool", ""),
            ("etc/cron.d/job", ""),
            ("home/eve/x", ""),
        ]);
        symlink("usr/bin", dir.path().join("bin")).unwrap();
        symlink("sudo", dir.path().join("usr/bin/doas")).unwrap();
        let owner = dir.path().join("usr").metadata().unwrap();
        let set =
            |path: &str, mode| set_permissions(dir.path().join(path), Permissions::from_mode(mode)).unwrap();
        let privileged =
            ["usr/bin/sudo", "usr/lib/openssh/ssh-keysign", "usr/libexec/a/helper", "opt/vendor/bin/tool"];
        for path in privileged {
            set(path, 0o4755);
        }
        for path in ["usr/lib/openssh/deep/er", "usr/lib/modules/x", "home/eve/x"] {
            set(path, 0o4755);
        }
        set("usr/bin/shared", 0o777);
        set("etc/cron.d/job", 0o666);
        let host = host.limited_to(ReadList::new(READS));
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let who = format!("{}:{}", owner.uid(), owner.gid());
        let mut expected: Vec<String> = privileged.iter().map(|it| format!("4755 {who} /{it}")).collect();
        expected.sort_by(|a, b| a.rsplit(' ').next().cmp(&b.rsplit(' ').next()));
        assert_eq!(items(&rows, "files.privileged"), expected);
        let writable = items(&rows, "files.writable_by_others");
        for path in ["/usr/bin/shared", "/etc/cron.d/job"] {
            assert!(writable.iter().any(|it| it.ends_with(path)), "{writable:?}");
        }
        assert!(rows.iter().any(|it| it.id == "path.directory" && it.subject.as_deref() == Some("usr/bin")));
    }

    #[test]
    fn a_sticky_directory_and_what_only_root_writes_are_not_noted() {
        let facts = |kind, mode, uid, gid| Facts {
            kind,
            bytes: 0,
            modified: None,
            created: None,
            mode,
            uid,
            gid,
            device: 0,
            inode: 0,
        };
        assert!(!others_write(facts(EntryKind::Directory, 0o1777, 0, 0)));
        assert!(!others_write(facts(EntryKind::File, 0o775, 0, 0)));
        assert!(others_write(facts(EntryKind::Directory, 0o2775, 0, 50)));
        assert!(others_write(facts(EntryKind::File, 0o755, 1000, 0)));
    }
}
