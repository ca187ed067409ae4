//! Configuration in layers: directories of drop-in files, the strongest directory first.
//!
//! One name counts once, in the strongest directory that has it; a link to `/dev/null` hides the name;
//! what is left applies in the order of names. So do systemd, kmod, sysctl and their relatives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use holdpoint_common::section::Digest;

use crate::host::Reads;
use crate::scan::Look;
pub(super) use crate::scan::fact::{number_or_text, tell};

/// Most files of one directory.
const MAX_FILES: usize = 1_024;

/// The paths that count, in the order in which they apply.
pub(super) fn drop_ins(look: &mut Look<'_>, directories: &[&str], suffix: &str) -> Vec<String> {
    let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
    for directory in directories {
        let Some(listing) = look.list(directory, MAX_FILES) else { continue };
        for entry in listing.entries.iter().filter(|it| it.name.ends_with(suffix)) {
            if found.contains_key(&entry.name) {
                continue;
            }
            let is_hidden = listing.read_link(entry).is_ok_and(|it| it == Path::new("/dev/null"));
            let path = (!is_hidden).then(|| format!("{directory}/{}", entry.name));
            found.insert(entry.name.clone(), path);
        }
    }
    found.into_values().flatten().collect()
}

/// SHA-256 of a file's content, as rows show it.
pub(super) fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

/// `key = value` lines: comments and sections left out, quotes taken off.
pub(super) fn assignments(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        if line.starts_with(['#', ';', '[']) {
            return None;
        }
        let (key, value) = line.split_once('=')?;
        Some((key.trim(), value.trim().trim_matches('"')))
    })
}

/// Where [`enabled`] looks.
pub(super) const ENABLED_READS: &[Reads] = &[
    Reads::content("etc/systemd/system/multi-user.target.wants"),
    Reads::content("etc/systemd/system/sysinit.target.wants"),
    Reads::content("etc/systemd/system/basic.target.wants"),
    Reads::content("etc/systemd/system/default.target.wants"),
    Reads::content("etc/systemd/system/timers.target.wants"),
];

/// Names of the units that an administrator's or a package's script enabled for the usual targets.
pub(super) fn enabled(look: &mut Look<'_>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for directory in ENABLED_READS {
        let listing = look.list(directory.pattern, MAX_FILES);
        names.extend(listing.into_iter().flat_map(|it| it.entries).map(|it| it.name));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host};
    use std::os::unix::fs::symlink;

    #[test]
    fn the_strongest_directory_wins_and_dev_null_hides() {
        let (dir, host) = host(&[
            ("etc/x.d/10-a.conf", ""),
            ("usr/lib/x.d/10-a.conf", ""),
            ("usr/lib/x.d/05-b.conf", ""),
            ("usr/lib/x.d/20-c.conf", ""),
            ("usr/lib/x.d/README", ""),
        ]);
        symlink("/dev/null", dir.path().join("etc/x.d/20-c.conf")).unwrap();
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        assert_eq!(
            drop_ins(&mut look, &["etc/x.d", "run/x.d", "usr/lib/x.d"], ".conf"),
            ["usr/lib/x.d/05-b.conf", "etc/x.d/10-a.conf"]
        );
    }
}
