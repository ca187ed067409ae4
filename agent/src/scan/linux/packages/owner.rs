//! Which package a file belongs to.
//!
//! Source of truth: the file lists that dpkg keeps, `var/lib/dpkg/info/*.list`. They name files
//! as packages ship them; with a merged `/usr` the running path can have another name, so both
//! are looked for. Known lie: a diverted file is named under its old path.

use std::collections::BTreeMap;

use super::dpkg::{INFO, MAX_INFO};
use crate::host::Reads;
use crate::scan::Look;

/// What this source may touch.
pub(in crate::scan::linux) const READS: &[Reads] = &[Reads::content("var/lib/dpkg/info/*.list")];

const MAX_LIST: usize = 16 * 1024 * 1024;
/// Directories that became links into `/usr`.
const MERGED: [&str; 5] = ["/bin/", "/sbin/", "/lib/", "/lib64/", "/lib32/"];

/// Finds the packages of a few absolute paths; those of no package are missing in the answer.
pub(in crate::scan::linux) fn packages(look: &mut Look<'_>, paths: &[String]) -> BTreeMap<String, String> {
    let mut owners = BTreeMap::new();
    if paths.is_empty() {
        return owners;
    }
    let mut names: BTreeMap<Vec<u8>, &String> = BTreeMap::new();
    for path in paths {
        names.insert(path.as_bytes().to_vec(), path);
        if let Some(short) =
            path.strip_prefix("/usr").filter(|it| MERGED.iter().any(|dir| it.starts_with(dir)))
        {
            names.insert(short.as_bytes().to_vec(), path);
        }
        if MERGED.iter().any(|dir| path.starts_with(dir)) {
            names.insert([b"/usr", path.as_bytes()].concat(), path);
        }
    }
    let Some(listing) = look.list(INFO, MAX_INFO) else { return owners };
    for entry in &listing.entries {
        let Some(package) = entry.name.strip_suffix(".list") else { continue };
        if owners.len() == paths.len() {
            break;
        }
        if let Err(late) = look.in_time() {
            look.fault(format!("packages of programs: {late}"));
            break;
        }
        let Ok(list) = listing.read(entry, MAX_LIST) else { continue };
        for line in list.split(|it| *it == b'\n') {
            if let Some(path) = names.get(line) {
                let name = package.split(':').next().unwrap_or(package);
                owners.entry((*path).clone()).or_insert_with(|| name.to_owned());
            }
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host};

    #[test]
    fn a_merged_usr_does_not_hide_the_owner() {
        let (_dir, host) = host(&[
            ("var/lib/dpkg/info/openssh-server.list", "/.\n/usr/sbin/sshd\n"),
            ("var/lib/dpkg/info/systemd.list", "/lib/systemd/systemd-resolved\n"),
            ("var/lib/dpkg/info/libx:amd64.list", "/usr/lib/x\n"),
        ]);
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        let paths =
            ["/usr/sbin/sshd", "/usr/lib/systemd/systemd-resolved", "/lib/x", "/opt/own"].map(str::to_owned);
        let owners = packages(&mut look, &paths);
        let said: Vec<_> = owners.iter().map(|(path, package)| (path.as_str(), package.as_str())).collect();
        assert_eq!(
            said,
            [
                ("/lib/x", "libx"),
                ("/usr/lib/systemd/systemd-resolved", "systemd"),
                ("/usr/sbin/sshd", "openssh-server")
            ]
        );
    }
}
