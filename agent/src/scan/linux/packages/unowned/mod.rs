//! Software under `/opt` and `/usr/local` that no package owns.
//!
//! Sources of truth: the directories themselves, and what a product says of itself in a file that
//! is made for that (`metadata.rs`); the build identifier that the linker wrote into a program.
//! World readable where the administrator left it so; what may not be read is a gap. What a package
//! owns is that package's row and never one of these: the file lists of the package managers are
//! asked once, for everything that was found.
//!
//! A row has source `unowned`, its path, and no package URL. It has a version only when a file says
//! one. The name is the product's own, else the path below `/opt` or `/usr/local`.
//!
//! Of programs nothing is read but the headers and notes of ELF. No other file is opened than
//! those that `metadata.rs` names. Nothing is looked at below the second directory of a product.
//!
//! Known lies: a directory that holds only data is a row too, because nothing tells it from
//! software. A file that was put into a package's directory counts as the package's. An
//! application that was copied without its metadata has no version. A link in `/usr/local/bin` is no
//! row: what it leads to is, if it is here. A link in `/opt` to another place is a row without more,
//! whether or not there is anything at its end: what lies there is not the agent's to look at.

mod local;
mod metadata;
mod product;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use holdpoint_common::row::SoftwareRow;

use super::elf::{self, Program};
use super::owner;
use crate::host::{Entry, EntryKind, Listing, Reads, is_absent};
use crate::scan::{Look, Reading};

/// The patterns below a directory of products.
macro_rules! products_below {
    ($root:literal) => {
        &[
            Reads::content(concat!($root, "/*")),
            Reads::content(concat!($root, "/*/*")),
            Reads::content(concat!($root, "/*/*/*")),
            Reads::content(concat!($root, "/*/*/bin/*")),
        ]
    };
}

/// The patterns of what `/usr/local` has besides.
macro_rules! libraries_below {
    ($root:literal) => {
        &[
            Reads::content(concat!($root, "/lib/*/*/*")),
            Reads::content(concat!($root, "/lib/*/*/bin/*")),
            Reads::content(concat!($root, "/lib/python*/*-packages/*/METADATA")),
            Reads::content(concat!($root, "/lib/python*/*-packages/*/PKG-INFO")),
            Reads::content(concat!($root, "/lib/node_modules/*/*/package.json")),
        ]
    };
}

/// What this probe may touch; systems with a read-only `/usr` keep both under `/var`.
pub const READS: &[Reads] = &Reads::joined::<{ Reads::count(PARTS) }>(PARTS);

const PARTS: &[&[Reads]] = &[
    products_below!("opt"),
    products_below!("var/opt"),
    products_below!("usr/local"),
    products_below!("var/usrlocal"),
    libraries_below!("usr/local"),
    libraries_below!("var/usrlocal"),
    DATABASES,
];
/// Databases of packages, only to tell whether there is one.
const DATABASES: &[Reads] = &[
    Reads::metadata("var/lib/dpkg/status"),
    Reads::metadata("var/lib/dpkg/status.d"),
    Reads::metadata("usr/lib/sysimage/rpm"),
    Reads::metadata("var/lib/rpm"),
    Reads::metadata("usr/lib/apk/db/installed"),
    Reads::metadata("lib/apk/db/installed"),
    Reads::metadata("var/lib/pacman/local"),
];

/// Most entries of one directory.
const MAX_ENTRIES: usize = 16_384;
/// Most things that are found at all.
const MAX_FOUND: usize = 16_384;
/// Most files of which it is asked whether they are programs, and what build they are.
const MAX_PROGRAMS: usize = 16_384;
/// Most paths of one product whose owner is looked for.
const MAX_CLAIMS: usize = 64;

const OPT: &str = "opt";
const LOCAL: &str = "usr/local";

/// Looks for software that no package owns.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let mut walk = Walk::new(look);
    walk.opt();
    walk.local();
    let found = walk.found;
    let owned = owned(look, &found);
    let is_owned = |it: &&Found| it.claims.iter().any(|claim| owned.contains(claim));
    let owned: BTreeSet<usize> = found.iter().filter(is_owned).map(|it| it.product).collect();
    let rows: Vec<SoftwareRow> =
        found.into_iter().filter(|it| !owned.contains(&it.product)).map(|it| it.row).collect();
    if rows.is_empty() {
        return look.missing("nothing in /opt and /usr/local that no package owns");
    }
    if !DATABASES.iter().any(|it| look.host.root.exists(it.pattern)) {
        look.fault("no package database is known: what lies outside /opt and /usr/local is not listed");
    }
    Reading::of(&rows)
}

/// Which of the paths that the findings rest on belong to packages.
fn owned(look: &mut Look<'_>, found: &[Found]) -> BTreeSet<String> {
    let paths: BTreeSet<String> = found.iter().flat_map(|it| it.claims.iter().cloned()).collect();
    owner::packages(look, &paths).into_keys().collect()
}

/// Something that was found.
#[derive(Debug)]
struct Found {
    row: SoftwareRow,
    /// Absolute paths; a package that owns one of them owns the whole product.
    claims: Vec<String>,
    /// The number of the finding that is the product; of a thing by itself its own.
    product: usize,
}

/// A walk over the directories, with what it found and what it may still do.
struct Walk<'l, 'h> {
    look: &'l mut Look<'h>,
    found: Vec<Found>,
    /// Where `/opt` and `/usr/local` really are.
    places: [PathBuf; 2],
    programs_left: usize,
    /// Device and number of programs that were seen: a program with two names is one.
    seen: BTreeSet<(u64, u64)>,
    is_full: bool,
}

impl<'l, 'h> Walk<'l, 'h> {
    fn new(look: &'l mut Look<'h>) -> Self {
        let places =
            [OPT, LOCAL].map(|it| look.host.root.canonical(it).unwrap_or_else(|_| PathBuf::from(it)));
        let programs_left = MAX_PROGRAMS;
        Self { look, found: Vec::new(), places, programs_left, seen: BTreeSet::new(), is_full: false }
    }

    /// Every product of `/opt`.
    fn opt(&mut self) {
        let Some(listing) = self.look.list(OPT, MAX_ENTRIES) else { return };
        for entry in listing.entries.iter().filter(|it| is_visible(&it.name)) {
            self.top_entry(OPT, &listing, entry);
        }
    }

    /// A name in `/opt`, or one of the site's own in `/usr/local`.
    fn top_entry(&mut self, place: &str, listing: &Listing<'_>, entry: &Entry) {
        let path = format!("{place}/{}", entry.name);
        match entry.kind {
            EntryKind::Directory => self.product(&path, &entry.name, true),
            EntryKind::File => {
                self.program(&path, listing, entry);
            }
            EntryKind::Link => self.link(&path, &entry.name),
            EntryKind::Other => {}
        }
    }

    /// A product that lies somewhere else: all that is known of it is its name.
    fn link(&mut self, path: &str, name: &str) {
        let Ok(end) = self.look.host.root.canonical(path) else { return };
        let is_alias = self.places.iter().any(|it| end.starts_with(it));
        // Where it ends is off the read list, so a refusal says that something may be there.
        let is_there = match self.look.host.root.facts(path) {
            Ok(facts) => facts.kind == EntryKind::Directory,
            Err(cause) => !is_absent(&cause),
        };
        if !is_alias && is_there {
            self.push(unowned(name, path), vec![absolute(path)]);
        }
    }

    /// A single program: a row of its own. Says whether it was one.
    fn program(&mut self, path: &str, listing: &Listing<'_>, entry: &Entry) -> bool {
        match self.executable(path, listing, entry) {
            Some(program) => {
                let build_id = match program {
                    Program::Elf(id) => id,
                    Program::Other => None,
                };
                let row = SoftwareRow { build_id, ..unowned(&entry.name, path) };
                self.push(row, vec![absolute(path)]);
                true
            }
            None => false,
        }
    }

    /// What a file is as a program; `None` when nobody may run it or it was seen by another name.
    fn executable(&mut self, path: &str, listing: &Listing<'_>, entry: &Entry) -> Option<Program> {
        const ANY_EXECUTE: u32 = 0o111;
        if entry.kind != EntryKind::File || !self.may_go_on() {
            return None;
        }
        if self.programs_left == 0 {
            self.full(&format!("more than {MAX_PROGRAMS} programs"));
            return None;
        }
        self.programs_left -= 1;
        let facts = listing.facts(entry);
        let facts = self.or_gap(path, facts)?;
        if facts.mode & ANY_EXECUTE == 0 {
            return None;
        }
        if facts.inode != 0 && !self.seen.insert((facts.device, facts.inode)) {
            return None;
        }
        self.headers(path)
    }

    fn headers(&mut self, path: &str) -> Option<Program> {
        let program = self.look.host.root.pieces(path).and_then(|it| elf::read(&it));
        match program {
            // May be run and not read: it is a program all the same.
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                self.gap(path, cause);
                Some(Program::Other)
            }
            program => self.or_gap(path, program),
        }
    }

    /// Keeps a product, or a thing by itself.
    fn push(&mut self, row: SoftwareRow, claims: Vec<String>) {
        self.push_part(row, claims, self.found.len());
    }

    /// Keeps a part of a product.
    fn push_part(&mut self, row: SoftwareRow, mut claims: Vec<String>, product: usize) {
        if self.found.len() >= MAX_FOUND {
            self.full(&format!("more than {MAX_FOUND} things that may have no owner"));
            return;
        }
        claims.truncate(MAX_CLAIMS);
        self.found.push(Found { row, claims, product });
    }

    /// The names of a directory; `None`, with the reason kept, when it cannot be listed.
    fn list(&mut self, path: &str) -> Option<Listing<'h>> {
        if !self.may_go_on() {
            return None;
        }
        let listing = self.look.host.root.list(path, MAX_ENTRIES);
        self.or_gap(path, listing)
    }

    fn may_go_on(&mut self) -> bool {
        if let Err(late) = self.look.in_time() {
            self.full(&late.to_string());
        }
        !self.is_full
    }

    /// Ends the walk, and says so once.
    fn full(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_full, true) {
            self.look.fault(format!("/opt and /usr/local: {why}; the rest is not looked at"));
        }
    }

    fn or_gap<T>(&mut self, path: &str, result: io::Result<T>) -> Option<T> {
        // What is read is not counted: coverage must not move with the number of products.
        result.map_err(|cause| self.gap(path, cause)).ok()
    }

    /// Keeps the reason of a gap; what vanished meanwhile is none.
    fn gap(&mut self, path: &str, cause: io::Error) {
        if !is_absent(&cause) {
            self.look.note::<()>(path, Err(cause));
        }
    }
}

fn unowned(name: &str, path: &str) -> SoftwareRow {
    SoftwareRow {
        name: name.to_owned(),
        source: "unowned".to_owned(),
        path: Some(absolute(path)),
        ..SoftwareRow::default()
    }
}

fn absolute(path: &str) -> String {
    format!("/{path}")
}

/// Hidden names are settings and remains; `lost+found` belongs to the file system.
fn is_visible(name: &str) -> bool {
    !name.starts_with('.') && name != "lost+found"
}

/// The last part of a path.
fn last_part(path: &str) -> &str {
    Path::new(path).file_name().and_then(|it| it.to_str()).unwrap_or(path)
}

#[cfg(test)]
#[cfg(unix)]
#[path = "tests.rs"]
mod tests;
