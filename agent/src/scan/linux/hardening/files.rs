//! Configuration files: what became of one that was asked for, and the files of a `*.d` directory.

use std::io;

use holdpoint_common::row::HardeningRow;

use crate::host::{EntryKind, is_absent};
use crate::scan::Look;
use crate::scan::fact::Fact;

/// Largest configuration file that is read.
pub(super) const MAX_FILE: usize = 256 * 1024;
/// Most bytes of the files of one directory.
const MAX_DIRECTORY: usize = 2 * 1024 * 1024;
/// Most names of a directory of configuration files.
pub(super) const MAX_NAMES: usize = 1_024;

/// What became of a file that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Its text.
    Text(String),
    /// It is not there.
    Absent,
    /// It is there, and this account may not read it.
    Denied,
    /// It is there and cannot be read; says why.
    Broken(String),
}

/// Reads a configuration file; a gap is also a fault of the probe.
pub(super) fn read(look: &mut Look<'_>, path: &str) -> Found {
    read_up_to(look, path, MAX_FILE)
}

/// Reads a file that may be larger or has to be smaller than others.
pub(super) fn read_up_to(look: &mut Look<'_>, path: &str, max_bytes: usize) -> Found {
    let result = look.in_time().and_then(|()| look.host.root.read(path, max_bytes));
    let gap = result.as_ref().err().map(gap_of);
    match (look.note(path, result), gap) {
        (Some(bytes), _) => Found::Text(text_of(bytes)),
        (None, Some(gap)) => gap,
        (None, None) => Found::Absent,
    }
}

/// Bytes as text, without a copy where they are text already.
pub(super) fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|it| String::from_utf8_lossy(it.as_bytes()).into_owned())
}

fn gap_of(cause: &io::Error) -> Found {
    if is_absent(cause) {
        Found::Absent
    } else if cause.kind() == io::ErrorKind::PermissionDenied {
        Found::Denied
    } else {
        Found::Broken(cause.to_string())
    }
}

impl Found {
    /// The text, where there is one.
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Denied | Self::Broken(_) => None,
        }
    }

    /// A fact that only this file could have answered.
    pub(super) fn unanswered(&self, fact: Fact) -> HardeningRow {
        match self {
            Self::Text(_) | Self::Absent => fact.absent(),
            Self::Denied => fact.because("only root may read it").denied(),
            Self::Broken(why) => fact.because(why.as_str()).error(),
        }
    }
}

/// The files of a directory whose names are wanted, with their paths, in the order of their bytes.
/// A directory that is not there has none; one that cannot be listed stands for itself.
pub(super) fn read_all(
    look: &mut Look<'_>,
    directory: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<(String, Found)> {
    let names = match names(look, directory, is_wanted) {
        Ok(names) => names,
        Err(gap) => return vec![(directory.to_owned(), gap)],
    };
    let mut bytes = 0;
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        let path = format!("{directory}/{name}");
        if bytes > MAX_DIRECTORY {
            let why = format!("more than {MAX_DIRECTORY} bytes come before it");
            look.fault(format!("{path}: {why}"));
            all.push((path, Found::Broken(why)));
            break;
        }
        let found = read(look, &path);
        bytes += if let Found::Text(text) = &found { text.len() } else { 0 };
        all.push((path, found));
    }
    all
}

/// The names in a directory that are wanted and are no directories, in the order of their bytes.
///
/// # Errors
/// It is there and cannot be listed.
pub(super) fn names(
    look: &mut Look<'_>,
    directory: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<String>, Found> {
    let result = look.in_time().and_then(|()| look.host.root.list(directory, MAX_NAMES));
    let gap = result.as_ref().err().map(gap_of);
    match (look.note(directory, result), gap) {
        (Some(listing), _) => {
            if listing.unreadable_names > 0 {
                look.fault(format!("{directory}: names that are not UTF-8 were left out"));
            }
            let files = listing.entries.into_iter().filter(|it| it.kind != EntryKind::Directory);
            Ok(files.map(|it| it.name).filter(|it| is_wanted(it)).collect())
        }
        (None, None | Some(Found::Absent)) => Ok(Vec::new()),
        (None, Some(gap)) => Err(gap),
    }
}

/// Whether any of these is there; `None` when it could not be found out.
pub(super) fn any_exists(look: &mut Look<'_>, paths: &[&str]) -> Option<bool> {
    let mut is_known = true;
    for path in paths {
        match exists(look, path) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => is_known = false,
        }
    }
    is_known.then_some(false)
}

/// Whether it is there; `None` when it could not be found out.
pub(super) fn exists(look: &mut Look<'_>, path: &str) -> Option<bool> {
    let result = look.in_time().and_then(|()| look.host.root.facts(path));
    let is_gap = result.as_ref().is_err_and(|it| !is_absent(it));
    let is_there = look.note(path, result).is_some();
    (!is_gap).then_some(is_there)
}

/// Whether this root holds a system at all: without `etc` that nothing is configured says nothing.
pub(super) fn is_a_system(look: &mut Look<'_>) -> bool {
    exists(look, "etc") == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host};

    #[test]
    fn what_is_absent_and_what_is_broken_are_told_apart() {
        let (_dir, host) = host(&[("etc/a.d/20-b", "2"), ("etc/a.d/10-a", "1"), ("etc/a.d/30-c/x", "3")]);
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        assert_eq!(read(&mut look, "etc/none"), Found::Absent);
        assert_eq!(read(&mut look, "etc/a.d"), Found::Broken("not a regular file".to_owned()));
        let all = read_all(&mut look, "etc/a.d", |it| it != "x");
        assert_eq!(
            all,
            [
                ("etc/a.d/10-a".to_owned(), Found::Text("1".to_owned())),
                ("etc/a.d/20-b".to_owned(), Found::Text("2".to_owned()))
            ]
        );
        assert_eq!(exists(&mut look, "etc/a.d"), Some(true));
        assert_eq!(any_exists(&mut look, &["etc/x", "etc/y"]), Some(false));
        assert_eq!(look.finish().1, ["etc/a.d: not a regular file"]);
    }
}
