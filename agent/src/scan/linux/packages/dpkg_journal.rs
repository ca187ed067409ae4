//! What dpkg has done and not yet written into `status`.
//!
//! Source of truth: `var/lib/dpkg/updates/NNNN`, one stanza each, in the order of their numbers;
//! dpkg writes one whenever the state of a package changes and merges them when it ends. World
//! readable. After a run that was killed they stay until the next one, and `dpkg-query` counts
//! them as done; so does this. No file, or no directory, means that nothing is pending.

use super::{Form, NOT_INSTALLED, Package, parse};
use crate::host::EntryKind;
use crate::scan::Look;

const UPDATES: &str = "var/lib/dpkg/updates";
/// dpkg merges after 250.
const MAX_UPDATES: usize = 4_096;
const MAX_UPDATE: usize = 1024 * 1024;

/// One file of the journal: its path, and its stanzas or why it could not be read.
pub(super) type Update = (String, Result<(Vec<Package>, Vec<String>), String>);

/// Reads the journal. Of a file that vanishes meanwhile nothing is said: `status` has changed then.
pub(super) fn read(look: &mut Look<'_>) -> Vec<Update> {
    let listing = match look.in_time().and_then(|()| look.host.root.list(UPDATES, MAX_UPDATES)) {
        Ok(listing) => listing,
        Err(cause) if crate::host::is_absent(&cause) => return Vec::new(),
        Err(cause) => return vec![(UPDATES.to_owned(), Err(cause.to_string()))],
    };
    let is_part = |name: &str| !name.is_empty() && name.bytes().all(|it| it.is_ascii_digit());
    listing
        .entries
        .iter()
        .filter(|it| it.kind != EntryKind::Directory && is_part(&it.name))
        .map(|entry| {
            let bytes = look.in_time().and_then(|()| listing.read(entry, MAX_UPDATE));
            let stanzas = bytes.map(|it| parse(&it, Form::Update)).map_err(|it| it.to_string());
            (format!("{UPDATES}/{}", entry.name), stanzas)
        })
        .collect()
}

/// Brings the packages to the state that the journal gives.
pub(super) fn apply(look: &mut Look<'_>, packages: &mut Vec<Package>, journal: Vec<Update>) {
    for (path, update) in journal {
        match update {
            Ok((stanzas, faults)) => {
                for fault in faults {
                    look.fault(format!("{path}: {fault}"));
                }
                for stanza in stanzas {
                    put(packages, stanza);
                }
            }
            Err(why) => look.fault(format!("{path}: {why}")),
        }
    }
}

fn put(packages: &mut Vec<Package>, update: Package) {
    let at = position(packages, &update);
    let is_gone = update.state.as_deref() == Some(NOT_INSTALLED);
    match (at, is_gone) {
        (Some(at), true) => drop(packages.remove(at)),
        (Some(at), false) => packages[at] = update,
        (None, true) => {}
        (None, false) => packages.push(update),
    }
}

/// The package that an update is about: the one of its architecture, else the only one of its
/// name, whose architecture the update then changes.
fn position(packages: &[Package], update: &Package) -> Option<usize> {
    let mut same_name = packages.iter().enumerate().filter(|(_, it)| it.name == update.name);
    let exact = same_name.clone().find(|(_, it)| it.architecture == update.architecture);
    exact.map(|(at, _)| at).or_else(|| {
        let (at, only) = same_name.next()?;
        (same_name.next().is_none() && !only.has_twins && !update.has_twins).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use holdpoint_common::row::SoftwareRow;

    use super::super::{STATUS, probe};
    use super::*;
    use crate::scan::look::tests::{host, rows_of};

    fn stanza(name: &str, state: &str, architecture: &str, version: &str) -> String {
        format!("Package: {name}\nStatus: {state}\nArchitecture: {architecture}\nVersion: {version}\n")
    }

    fn said(updates: &[(&str, String)]) -> (Vec<String>, Vec<String>) {
        let status = ["a", "b", "c"].map(|it| stanza(it, "install ok installed", "amd64", "1") + "\n");
        let status = status.concat();
        let mut files = vec![(STATUS.to_owned(), status)];
        files.extend(updates.iter().map(|(name, text)| (format!("{UPDATES}/{name}"), text.clone())));
        let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let (_dir, host) = host(&files);
        let (rows, faults, _) = rows_of::<SoftwareRow>(&host, probe);
        let mut rows: Vec<_> = rows
            .iter()
            .map(|it| {
                let state = it.state.as_deref().unwrap_or("installed");
                let architecture = it.architecture.as_deref().unwrap();
                format!("{} {} {architecture} {state}", it.name, it.version.as_deref().unwrap())
            })
            .collect();
        rows.sort();
        (rows, faults)
    }

    #[test]
    fn what_the_journal_says_counts_in_the_order_of_its_numbers() {
        let (rows, faults) = said(&[
            ("0001", stanza("b", "install ok unpacked", "amd64", "3")),
            ("0000", stanza("b", "install reinstreq half-installed", "amd64", "2")),
            ("0002", stanza("a", "purge ok not-installed", "amd64", "1")),
            ("0003", stanza("new", "install ok installed", "i386", "5")),
            ("0004", stanza("c", "install ok installed", "all", "2")),
            ("tmp.i", "#padding\n".repeat(4)),
        ]);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(rows, ["b 3 amd64 unpacked", "c 2 all installed", "new 5 i386 installed"]);
    }

    #[test]
    fn twins_do_not_take_each_others_place() {
        let twin = stanza("a", "install ok installed", "i386", "1") + "Multi-Arch: same\n";
        let (rows, _) = said(&[("0000", twin)]);
        assert_eq!(rows.len(), 4);
    }

    #[test]
    fn a_part_that_cannot_be_read_leaves_the_rest_and_says_so() {
        let (rows, faults) = said(&[("0000", "half a li".to_owned())]);
        assert_eq!(rows.len(), 3);
        assert_eq!(
            faults,
            [
                "var/lib/dpkg/updates/0000: stanza (line 1): line 1 is no field",
                "var/lib/dpkg/updates/0000: stanza (line 1): it names no package"
            ]
        );
    }
}
