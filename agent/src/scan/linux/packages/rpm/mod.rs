//! RPM packages.
//!
//! Source of truth: rpm's own database, in each place and form that it has had: `rpmdb.sqlite` with its
//! write-ahead log (Fedora, RHEL 9 and later), `Packages.db` (SUSE), `Packages` (RHEL 8 and earlier).
//! World readable. It is read as the files stand, without librpm, without its locks and without its
//! indexes: the headers are the truth, and an index that disagrees with them says nothing here.
//!
//! No database is no rpm on this host. A database that cannot be read, or in which something is broken,
//! is a fault, with the packages that could be read. Where several are, rpm reads the one that its
//! configuration names; here the newest form is read, and the others are a fault, because a
//! conversion leaves none behind.
//!
//! Known lies: while rpm installs, an upgraded package has two rows for a moment, as `rpm -qa` has. A
//! header that was tampered with is a row here; rpm passes over it (`header.rs`).

mod bdb;
mod blob;
mod files;
mod header;
mod ndb;
mod openpgp;
mod row;
mod sqlite;
mod wal;
#[cfg(test)]
mod written;

use std::io;

use prost::Message;

use super::super::release;
use crate::host::{Facts, Pieces, Reads, is_absent};
use crate::scan::{Look, Reading};
use blob::{Blob, ReadAt, wrong};
use header::Header;
use row::Distribution;

pub(in crate::scan::linux) use files::{changed, owners};

/// What this probe may touch. Where `/usr` is an image, `usr/share/rpm` is the place that links lead to.
pub const READS: &[Reads] = &[
    Reads::content("usr/lib/sysimage/rpm/rpmdb.sqlite"),
    Reads::content("usr/lib/sysimage/rpm/rpmdb.sqlite-wal"),
    Reads::content("usr/lib/sysimage/rpm/rpmdb.sqlite-journal"),
    Reads::content("usr/lib/sysimage/rpm/Packages.db"),
    Reads::content("usr/lib/sysimage/rpm/Packages"),
    Reads::content("var/lib/rpm/rpmdb.sqlite"),
    Reads::content("var/lib/rpm/rpmdb.sqlite-wal"),
    Reads::content("var/lib/rpm/rpmdb.sqlite-journal"),
    Reads::content("var/lib/rpm/Packages.db"),
    Reads::content("var/lib/rpm/Packages"),
    Reads::content("usr/share/rpm/rpmdb.sqlite"),
    Reads::content("usr/share/rpm/rpmdb.sqlite-wal"),
    Reads::content("usr/share/rpm/rpmdb.sqlite-journal"),
    Reads::content("usr/share/rpm/Packages.db"),
    Reads::content("usr/share/rpm/Packages"),
];

/// Directories that hold the database, the newer first.
const PLACES: [&str; 3] = ["usr/lib/sysimage/rpm", "var/lib/rpm", "usr/share/rpm"];
/// How often a database is read that changes meanwhile.
const ATTEMPTS: usize = 2;
/// Bytes at the front of a file that tell whether it was written.
const FRONT: usize = 512;
/// Most that all rows take: some 20,000 packages.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Most faults of one database; the rest is counted.
const MAX_FAULTS: usize = 12;

/// Reads the installed packages.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(database) = find(look) else { return look.missing("no rpm database") };
    let distribution = release::read(look).and_then(|it| it.id).and_then(|it| Distribution::of(&it));
    let fresh = || (Vec::new(), 0);
    let outcome = read(look, &database, fresh, |(rows, bytes), number, header, faults| {
        let mut said = Vec::new();
        match row::row(header, distribution, &mut said) {
            Ok(row) => {
                let row = row.encode_to_vec();
                *bytes += row.len();
                if *bytes > MAX_BYTES {
                    return Err(wrong(format!("its packages need more than {MAX_BYTES} bytes")));
                }
                rows.push(row);
            }
            Err(cause) => said.push(format!("header {number}: {cause}")),
        }
        faults.extend(said);
        Ok(())
    });
    let (rows, _) = outcome.state;
    let mut faults = outcome.faults.into_iter().map(|it| format!("{}: {it}", database.path));
    // A database of which nothing could be read has failed, and the first reason is why.
    let failed = if rows.is_empty() { faults.next() } else { None };
    for fault in faults {
        look.fault(fault);
    }
    failed.map_or(Reading::Rows(rows), Reading::Failed)
}

/// Forms of the database, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Format {
    Sqlite,
    Ndb,
    Bdb,
}

const FORMATS: [Format; 3] = [Format::Sqlite, Format::Ndb, Format::Bdb];

impl Format {
    const fn file(self) -> &'static str {
        match self {
            Self::Sqlite => "rpmdb.sqlite",
            Self::Ndb => "Packages.db",
            Self::Bdb => "Packages",
        }
    }
}

/// A database file.
#[derive(Debug)]
struct Database {
    path: String,
    format: Format,
}

/// Finds the database; says when there are several.
fn find(look: &mut Look<'_>) -> Option<Database> {
    let mut found: Vec<(Database, Facts)> = Vec::new();
    let mut seen = Vec::new();
    for place in PLACES {
        for format in FORMATS {
            let path = format!("{place}/{}", format.file());
            let Some(facts) = look.facts(&path) else { continue };
            // One of the places is often a link to another one.
            let canonical = look.host.root.canonical(&path).ok();
            if canonical.is_none() || !seen.contains(&canonical) {
                seen.push(canonical);
                found.push((Database { path, format }, facts));
            }
        }
    }
    // An empty file beside a database has no package that would be missed.
    if found.iter().any(|(_, facts)| facts.bytes > 0) {
        found.retain(|(_, facts)| facts.bytes > 0);
    }
    found.sort_by_key(|(database, _)| database.format);
    let mut found = found.into_iter().map(|(database, _)| database);
    let chosen = found.next()?;
    for other in found {
        look.fault(format!("{} was read; {} is there too", chosen.path, other.path));
    }
    Some(chosen)
}

/// What a reader of a format calls.
trait Visitor {
    /// A header was found. An error ends the reading.
    fn header(&mut self, number: u64, blob: &mut Blob<'_>) -> io::Result<()>;
    /// Something could not be read.
    fn fault(&mut self, what: String);
    /// Fails when the scan's time is used up.
    fn in_time(&self) -> io::Result<()>;
}

/// What one reading of a database gave.
struct Pass<'l, T, F> {
    look: &'l Look<'l>,
    each: F,
    state: T,
    faults: Faults,
}

/// Reasons, of which only so many are kept.
#[derive(Debug, Default)]
struct Faults {
    first: Vec<String>,
    more: usize,
}

impl Faults {
    fn into_iter(self) -> impl Iterator<Item = String> {
        let more = (self.more > 0).then(|| format!("and {} more", self.more));
        self.first.into_iter().chain(more)
    }

    fn push(&mut self, what: String) {
        if self.first.len() < MAX_FAULTS {
            self.first.push(what);
        } else {
            self.more += 1;
        }
    }
}

impl Extend<String> for Faults {
    fn extend<I: IntoIterator<Item = String>>(&mut self, faults: I) {
        faults.into_iter().for_each(|it| self.push(it));
    }
}

impl<T, F> Visitor for Pass<'_, T, F>
where
    F: FnMut(&mut T, u64, &mut Header<'_, '_>, &mut Faults) -> io::Result<()>,
{
    fn header(&mut self, number: u64, blob: &mut Blob<'_>) -> io::Result<()> {
        self.in_time()?;
        match Header::read(blob) {
            Ok(mut header) => (self.each)(&mut self.state, number, &mut header, &mut self.faults),
            Err(cause) => {
                self.fault(format!("header {number}: {cause}"));
                Ok(())
            }
        }
    }

    fn fault(&mut self, what: String) {
        self.faults.push(what);
    }

    fn in_time(&self) -> io::Result<()> {
        self.look.in_time()
    }
}

/// What came of a database.
struct Outcome<T> {
    state: T,
    faults: Faults,
}

/// Reads every header of a database; once more from the beginning when it changed meanwhile.
fn read<T>(
    look: &Look<'_>,
    database: &Database,
    fresh: impl Fn() -> T,
    mut each: impl FnMut(&mut T, u64, &mut Header<'_, '_>, &mut Faults) -> io::Result<()>,
) -> Outcome<T> {
    let mut attempt = 1;
    loop {
        let before = Stamp::take(look, database);
        let mut pass = Pass { look, each: &mut each, state: fresh(), faults: Faults::default() };
        if let Err(cause) = read_once(look, database, &mut pass) {
            pass.faults.push(cause.to_string());
        }
        let Pass { state, mut faults, .. } = pass;
        let is_steady = before == Stamp::take(look, database);
        if is_steady || attempt == ATTEMPTS || look.in_time().is_err() {
            if !is_steady {
                faults.push("it changed while it was read, and once more when it was read again".to_owned());
            }
            return Outcome { state, faults };
        }
        attempt += 1;
    }
}

fn read_once(look: &Look<'_>, database: &Database, visitor: &mut dyn Visitor) -> io::Result<()> {
    let main = open(look, &database.path)?.ok_or_else(|| wrong("it is gone"))?;
    match database.format {
        Format::Sqlite => {
            if interrupted(look, database) {
                visitor.fault("a transaction was cut off or is going on (rpmdb.sqlite-journal)".to_owned());
            }
            let log = open(look, &format!("{}-wal", database.path)).unwrap_or_else(|cause| {
                visitor.fault(format!("its write-ahead log: {cause}"));
                None
            });
            sqlite::read(&main, log.as_ref().map(|it| -> &dyn ReadAt { it }), visitor)
        }
        Format::Ndb => ndb::read(&main, visitor),
        Format::Bdb => bdb::read(&main, visitor),
    }
}

/// Whether pages of the database wait to be rolled back. A journal that is done has no beginning.
/// One that may not be read can be one.
fn interrupted(look: &Look<'_>, database: &Database) -> bool {
    match open(look, &format!("{}-journal", database.path)) {
        Ok(None) => false,
        Ok(Some(journal)) => {
            let mut first = [0];
            journal.bytes() > 0 && journal.read_at(0, &mut first).is_ok() && first[0] != 0
        }
        Err(_) => true,
    }
}

fn open(look: &Look<'_>, path: &str) -> io::Result<Option<Pieces>> {
    match look.host.root.pieces(path) {
        Ok(pieces) => Ok(Some(pieces)),
        Err(cause) if is_absent(&cause) => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// What tells whether a database was written to.
///
/// A write-ahead log that only grows takes nothing away from what was read: new commits follow those
/// that were there at the beginning. One that began anew does, and so does a change of the database.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    facts: Option<Facts>,
    front: Vec<u8>,
    log: Vec<u8>,
}

impl Stamp {
    fn take(look: &Look<'_>, database: &Database) -> Self {
        let log = match database.format {
            Format::Sqlite => front(look, &format!("{}-wal", database.path), wal::HEADER),
            Format::Ndb | Format::Bdb => Vec::new(),
        };
        Self {
            facts: look.host.root.facts(&database.path).ok(),
            front: front(look, &database.path, FRONT),
            log,
        }
    }
}

fn front(look: &Look<'_>, path: &str, bytes: usize) -> Vec<u8> {
    let Ok(Some(file)) = open(look, path) else { return Vec::new() };
    let there = usize::try_from(file.bytes()).unwrap_or(bytes).min(bytes);
    let mut front = vec![0; there];
    if file.read_at(0, &mut front).is_err() {
        front.clear();
    }
    front
}

#[cfg(test)]
mod tests;
