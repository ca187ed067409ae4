//! Who owns a file, and when packages were last changed, as the headers say it.
//!
//! A package says for each of its files whether it is there as the package's (`FILESTATES`). Of two
//! architectures of a package that share a path, the other one's file was not installed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::blob::wrong;
use super::header::{Header, Tag};
use super::{Database, Outcome, find, read};
use crate::scan::Look;

/// State of a file that is there as its package brought it.
const NORMAL: u8 = 0;

/// Finds the packages of a few absolute paths, in one pass. `names` has each path as it is looked for, and
/// the path that the caller means by it; what is found is added to `found` by that path.
pub(in crate::scan::linux) fn owners(
    look: &mut Look<'_>,
    names: &BTreeMap<Vec<u8>, &String>,
    found: &mut BTreeMap<String, String>,
) {
    let wanted = Wanted::new(names);
    if wanted.0.is_empty() {
        return;
    }
    let Some(database) = find(look) else { return };
    let outcome = read(look, &database, BTreeMap::new, |owners, number, header, faults| {
        if let Err(cause) = wanted.note(header, owners) {
            faults.push(format!("header {number}: {cause}"));
        }
        Ok(())
    });
    for (path, package) in said(look, &database, outcome) {
        found.entry(path).or_insert(package);
    }
}

/// When each of these packages was last installed, in seconds since 1970; what is not installed is missing.
pub(in crate::scan::linux) fn changed(
    look: &mut Look<'_>,
    packages: &BTreeSet<String>,
) -> BTreeMap<String, i64> {
    if packages.is_empty() {
        return BTreeMap::new();
    }
    let Some(database) = find(look) else { return BTreeMap::new() };
    let outcome = read(look, &database, BTreeMap::new, |times, number, header, faults| {
        match change(header) {
            Ok(Some((name, time))) if packages.contains(&name) => {
                let newest = times.entry(name).or_insert(time);
                *newest = time.max(*newest);
            }
            Ok(_) => {}
            Err(cause) => faults.push(format!("header {number}: {cause}")),
        }
        Ok(())
    });
    said(look, &database, outcome)
}

fn change(header: &mut Header<'_, '_>) -> io::Result<Option<(String, i64)>> {
    let (name, time) = (header.text(Tag::NAME)?, header.number(Tag::INSTALLTIME)?);
    Ok(name.zip(time.map(i64::from)))
}

/// The first fault is enough here: the probe of the packages says them all.
fn said<T>(look: &mut Look<'_>, database: &Database, outcome: Outcome<T>) -> T {
    if let Some(fault) = outcome.faults.into_iter().next() {
        look.fault(format!("packages of programs: {}: {fault}", database.path));
    }
    outcome.state
}

/// Paths, taken apart as headers keep them: directory with its last slash, name, the caller's path.
struct Wanted<'n>(BTreeMap<&'n [u8], BTreeMap<&'n [u8], &'n String>>);

impl<'n> Wanted<'n> {
    fn new(names: &'n BTreeMap<Vec<u8>, &'n String>) -> Self {
        let mut wanted: BTreeMap<&[u8], BTreeMap<&[u8], &String>> = BTreeMap::new();
        for (name, path) in names {
            let Some(slash) = name.iter().rposition(|it| *it == b'/') else { continue };
            let (directory, file) = name.split_at(slash + 1);
            wanted.entry(directory).or_default().insert(file, path);
        }
        Self(wanted)
    }

    /// Adds the package to the owners if it has one of the paths.
    fn note(&self, header: &mut Header<'_, '_>, owners: &mut BTreeMap<String, String>) -> io::Result<()> {
        let paths = self.of(header)?;
        if paths.is_empty() {
            return Ok(());
        }
        let name = header.text(Tag::NAME)?.ok_or_else(|| wrong("it names no package"))?;
        for path in paths {
            owners.entry(path.clone()).or_insert_with(|| name.clone());
        }
        Ok(())
    }

    /// Which of the paths are files of a package. Of most packages only the directories are read.
    fn of(&self, header: &mut Header<'_, '_>) -> io::Result<Vec<&'n String>> {
        let Some(directories) = header.list(Tag::DIRNAMES)? else { return Ok(Vec::new()) };
        let meant: Vec<_> = texts(&directories).map(|it| self.0.get(it)).collect();
        if meant.iter().all(Option::is_none) {
            return Ok(Vec::new());
        }
        let (Some(names), Some(places)) = (header.list(Tag::BASENAMES)?, header.numbers(Tag::DIRINDEXES)?)
        else {
            return Err(wrong("its files have no names"));
        };
        let states = header.bytes(Tag::FILESTATES)?;
        let mut found = Vec::new();
        for (number, (name, place)) in texts(&names).zip(places.chunks_exact(4)).enumerate() {
            let directory = place.try_into().map_or(0, u32::from_be_bytes);
            let directory = usize::try_from(directory).ok().and_then(|it| meant.get(it).copied().flatten());
            if let Some(path) = directory.and_then(|it| it.get(name)) {
                let state = states.as_ref().and_then(|it| it.get(number).copied());
                if state.unwrap_or(NORMAL) == NORMAL {
                    found.push(*path);
                }
            }
        }
        Ok(found)
    }
}

/// Texts that each have a zero byte at their end.
fn texts(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.strip_suffix(&[0]).into_iter().flat_map(|it| it.split(|byte| *byte == 0))
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
