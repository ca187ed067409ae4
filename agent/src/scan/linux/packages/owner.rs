//! Which package a file belongs to, and when that package last changed.
//!
//! Sources of truth: the package databases, each in its own file of this folder. One pass over a
//! database answers for all paths that a scan is likely to ask for, and the answers are kept for
//! the rest of the scan. Databases name files as packages ship them; with a merged `/usr` the
//! running path can have another name, so both are looked for. A versioned library that is no
//! longer on any list (`libzstd.so.1.5.4` after an upgrade to `1.5.5`) belongs to the package that
//! owns its soname, the link `libzstd.so.1` beside it: the owner of a major version does not
//! change, while one without a version can be a successor's and is not asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{apk, dpkg_lists, pacman, rpm};
use crate::host::Reads;
use crate::scan::Look;

/// What this source may touch.
pub(in crate::scan::linux) const READS: &[Reads] = &Reads::joined::<{ Reads::count(LISTS) }>(LISTS);

const LISTS: &[&[Reads]] = &[dpkg_lists::READS, rpm::READS, apk::OWNER_READS, pacman::OWNER_READS];

/// Directories that became links into `/usr`.
const MERGED: [&str; 5] = ["/bin/", "/sbin/", "/lib/", "/lib64/", "/lib32/"];

/// Finds the packages of a few absolute paths; those of no package are missing in the answer.
pub(in crate::scan::linux) fn packages(
    look: &mut Look<'_>,
    paths: &BTreeSet<String>,
) -> BTreeMap<String, String> {
    let shared = Rc::clone(&look.shared);
    let is_new = |path: &String| !shared.owners.borrow().contains_key(path);
    let mut wanted: BTreeSet<String> = paths.iter().filter(|it| is_new(it)).cloned().collect();
    if !wanted.is_empty() {
        if let Some(Some(processes)) = shared.processes.get() {
            wanted.extend(processes.paths().filter(is_new));
        }
        let gaps = look.gaps();
        let found = search(look, &wanted);
        let is_complete = look.gaps() == gaps;
        let mut owners = shared.owners.borrow_mut();
        for path in wanted {
            let owner = found.get(&path).cloned();
            // What was not found after a gap is not known, and whoever asks again must hear of the gap.
            if owner.is_some() || is_complete {
                owners.insert(path, owner);
            }
        }
    }
    let owners = shared.owners.borrow();
    paths.iter().filter_map(|it| Some((it.clone(), owners.get(it)?.clone()?))).collect()
}

/// When packages last changed, in seconds since 1970; those of which it is not known are missing.
pub(in crate::scan::linux) fn changed(
    look: &mut Look<'_>,
    packages: &BTreeSet<String>,
) -> BTreeMap<String, i64> {
    let mut changed = dpkg_lists::changed(look, packages);
    let others = packages.iter().filter(|it| !changed.contains_key(*it)).cloned().collect();
    changed.extend(rpm::changed(look, &others));
    changed
}

fn search(look: &mut Look<'_>, wanted: &BTreeSet<String>) -> BTreeMap<String, String> {
    let texts: BTreeSet<String> = wanted.iter().flat_map(|it| names(it)).collect();
    let asked: BTreeMap<Vec<u8>, &String> = texts.iter().map(|it| (it.as_bytes().to_vec(), it)).collect();
    let mut found = BTreeMap::new();
    dpkg_lists::owners(look, &asked, &mut found);
    rpm::owners(look, &asked, &mut found);
    apk::owners(look, &asked, &mut found);
    pacman::owners(look, &asked, &mut found);
    wanted
        .iter()
        .filter_map(|path| Some((path.clone(), names(path).find_map(|it| found.get(&it))?.clone())))
        .collect()
}

/// The names under which a database may have a file, the surest first.
fn names(path: &str) -> impl Iterator<Item = String> {
    let soname = soname(path);
    [Some(path.to_owned()), merged(path), soname.clone(), soname.as_deref().and_then(merged)]
        .into_iter()
        .flatten()
}

/// The name on the other side of a merged `/usr`.
fn merged(path: &str) -> Option<String> {
    let is_merged = |it: &str| MERGED.iter().any(|dir| it.starts_with(dir));
    match path.strip_prefix("/usr") {
        Some(short) if is_merged(short) => Some(short.to_owned()),
        Some(_) => None,
        None => is_merged(path).then(|| format!("/usr{path}")),
    }
}

/// `libzstd.so.1` beside `libzstd.so.1.5.4`; `None` for a file that has no minor version.
fn soname(path: &str) -> Option<String> {
    const MARK: &str = ".so.";
    let name = path.rfind('/')? + 1;
    let major = name + path[name..].find(MARK)? + MARK.len();
    let digits = path[major..].bytes().take_while(u8::is_ascii_digit).count();
    let end = major + digits;
    (digits > 0 && path[end..].starts_with('.')).then(|| path[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host};
    use std::fs;

    fn owners(files: &[(&str, &str)], paths: &[&str]) -> Vec<(String, String)> {
        let (_dir, host) = host(files);
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        packages(&mut look, &paths.iter().map(|it| (*it).to_owned()).collect()).into_iter().collect()
    }

    fn owned(path: &str, package: &str) -> (String, String) {
        (path.to_owned(), package.to_owned())
    }

    #[test]
    fn a_merged_usr_does_not_hide_the_owner() {
        let owners = owners(
            &[
                ("var/lib/dpkg/info/openssh-server.list", "/.\n/usr/sbin/sshd\n"),
                ("var/lib/dpkg/info/systemd.list", "/lib/systemd/systemd-resolved\n"),
                ("var/lib/dpkg/info/libx:amd64.list", "/usr/lib/x\n"),
            ],
            &["/usr/sbin/sshd", "/usr/lib/systemd/systemd-resolved", "/lib/x", "/opt/own"],
        );
        assert_eq!(
            owners,
            [
                owned("/lib/x", "libx"),
                owned("/usr/lib/systemd/systemd-resolved", "systemd"),
                owned("/usr/sbin/sshd", "openssh-server")
            ]
        );
    }

    #[test]
    fn a_library_that_is_on_no_list_any_more_belongs_to_the_owner_of_its_soname() {
        let owners = owners(
            &[
                (
                    "var/lib/dpkg/info/libzstd1:amd64.list",
                    "/usr/lib/x/libzstd.so.1\n/usr/lib/x/libzstd.so.1.5.5\n",
                ),
                ("var/lib/dpkg/info/libssl3:amd64.list", "/usr/lib/x/libssl.so.3\n"),
                ("var/lib/dpkg/info/libssl-dev:amd64.list", "/usr/lib/x/libssl.so\n"),
                ("var/lib/dpkg/info/old.list", "/usr/lib/y/libzstd.so.1.5.4\n/usr/lib/y/libzstd.so.1\n"),
            ],
            &["/lib/x/libzstd.so.1.5.4", "/usr/lib/x/libssl.so.1.1.1", "/usr/lib/z/libzstd.so.1.5.4"],
        );
        assert_eq!(owners, [owned("/lib/x/libzstd.so.1.5.4", "libzstd1")]);
    }

    #[test]
    fn only_a_minor_version_is_cut_off() {
        assert_eq!(soname("/l/a.so.1.5.4").as_deref(), Some("/l/a.so.1"));
        assert_eq!(soname("/l/libc++.so.16.0").as_deref(), Some("/l/libc++.so.16"));
        for path in ["", "a.so.1.2", "/l/a.so", "/l/a.so.1", "/l/a.so.x.1", "/l/a.so..1", "/l.so.1.2/a"] {
            assert_eq!(soname(path), None, "{path}");
        }
    }

    #[test]
    fn an_answer_is_kept_for_the_scan() {
        let (dir, host) = host(&[("var/lib/dpkg/info/a.list", "/usr/bin/a\n")]);
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        let paths = BTreeSet::from(["/usr/bin/a".to_owned(), "/opt/b".to_owned()]);
        let first = packages(&mut look, &paths);
        fs::remove_dir_all(dir.path().join("var")).unwrap();
        assert_eq!(packages(&mut look, &paths), first);
        assert_eq!(first.len(), 1);
    }

    #[test]
    fn after_a_gap_nobody_is_told_that_a_file_has_no_package() {
        let (dir, host) = host(&[("var/lib/dpkg/info/a.list/no-file", "")]);
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        let paths = BTreeSet::from(["/usr/bin/a".to_owned()]);
        assert!(packages(&mut look, &paths).is_empty());
        assert_eq!(look.gaps(), 1);
        fs::remove_dir_all(dir.path().join("var/lib/dpkg/info/a.list")).unwrap();
        fs::write(dir.path().join("var/lib/dpkg/info/a.list"), "/usr/bin/a\n").unwrap();
        assert_eq!(packages(&mut look, &paths).len(), 1);
    }
}
