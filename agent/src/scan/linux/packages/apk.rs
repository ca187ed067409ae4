//! Alpine packages, and those of Wolfi.
//!
//! Source of truth: `usr/lib/apk/db/installed`, before apk 3 `lib/apk/db/installed`; the format is
//! that of apk-tools' `database.c`: one letter, a colon and a value a line, an empty line after
//! each package. World readable. Without either file there are no such packages.
//!
//! Which repository a package came from is not kept. So a package URL is only given where every
//! key that the host trusts is the distribution's own and the package was not added from a file
//! (apk pins those in `etc/apk/world`). The day of installation is not kept; `t:` is the build's.
//!
//! Known lies: `apk add --allow-untrusted` from a repository leaves no trace, and a virtual package
//! (`.build-deps`) is a row like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use holdpoint_common::row::SoftwareRow;
use prost::Message;

use super::super::release;
use super::lines::{Line, each_line};
use super::purl::encoded;
use crate::host::Reads;
use crate::scan::{Look, Reading};

/// Where apk 3 keeps its database, and where older ones do.
const PLACES: [&str; 2] = ["usr/lib/apk/db/installed", "lib/apk/db/installed"];
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("usr/lib/apk/db/installed"),
    Reads::content("lib/apk/db/installed"),
    Reads::content("etc/apk/keys"),
    Reads::content("etc/apk/world"),
];
/// What looking for owners may touch.
pub(in crate::scan::linux) const OWNER_READS: &[Reads] =
    &[Reads::content("usr/lib/apk/db/installed"), Reads::content("lib/apk/db/installed")];

/// Largest database; it names every file. It is read in pieces.
const MAX_DATABASE: u64 = 256 * 1024 * 1024;
const MAX_PACKAGES: usize = 65_536;
const MAX_WORLD: usize = 1024 * 1024;
const MAX_KEYS: usize = 256;

/// Reads the installed packages.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(place) = place(look) else { return look.missing("no apk database") };
    let namespace = namespace(look);
    let mut parser = Parser::default();
    let read = read_lines(look, place, |line| {
        parser.line(line);
        parser.packages.len() < MAX_PACKAGES
    });
    if look.note(place, read).is_none() && parser.packages.is_empty() {
        return look.missing(format!("{place} is not there"));
    }
    let (packages, faults) = parser.finish();
    for fault in faults {
        look.fault(format!("{place}: {fault}"));
    }
    if packages.len() >= MAX_PACKAGES {
        look.fault(format!("{place}: more than {MAX_PACKAGES} packages"));
    }
    Reading::Rows(packages.into_iter().map(|it| row(it, namespace.as_ref()).encode_to_vec()).collect())
}

/// Finds the packages of a few absolute paths (keys: the path as a package may ship it; values:
/// the path as the caller knows it) and adds their names to what is found.
pub(in crate::scan::linux) fn owners(
    look: &mut Look<'_>,
    names: &BTreeMap<Vec<u8>, &String>,
    found: &mut BTreeMap<String, String>,
) {
    if names.is_empty() {
        return;
    }
    let Some(place) = place(look) else { return };
    let mut package = Vec::new();
    let mut directory = Vec::new();
    let mut path = Vec::new();
    let read = read_lines(look, place, |line| {
        match line.bytes {
            [b'P', b':', name @ ..] => package = name.to_vec(),
            [b'F', b':', name @ ..] => {
                directory.clear();
                directory.push(b'/');
                directory.extend_from_slice(name);
                path.clone_from(&directory);
            }
            [b'R', b':', name @ ..] => {
                path.clone_from(&directory);
                if directory.len() > 1 {
                    path.push(b'/');
                }
                path.extend_from_slice(name);
            }
            _ => return true,
        }
        if let Some(wanted) = names.get(&path) {
            let name = || String::from_utf8_lossy(&package).into_owned();
            found.entry((*wanted).clone()).or_insert_with(name);
        }
        true
    });
    look.note(place, read);
}

/// The database that apk itself would use.
fn place(look: &mut Look<'_>) -> Option<&'static str> {
    let [new, old] = PLACES.map(|it| look.host.root.exists(it));
    if new && old {
        let [new, old] = PLACES.map(|it| look.host.root.canonical(it).ok());
        if new != old {
            look.fault(format!("{} is there too and is not read", PLACES[1]));
        }
    }
    PLACES.into_iter().zip([new, old]).find_map(|(place, is_there)| is_there.then_some(place))
}

fn read_lines(look: &Look<'_>, place: &str, each: impl FnMut(Line<'_>) -> bool) -> io::Result<()> {
    look.in_time()?;
    let file = look.host.root.pieces(place)?;
    each_line(&file, MAX_DATABASE, || look.in_time(), each)
}

/// One installed package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Package {
    name: String,
    version: Option<String>,
    architecture: Option<String>,
    origin: Option<String>,
    maintainer: Option<String>,
}

/// A database that is being read, line by line.
#[derive(Debug, Default)]
struct Parser {
    packages: Vec<Package>,
    faults: Vec<String>,
    package: Package,
    first_line: Option<usize>,
    is_cut: bool,
    number: usize,
}

impl Parser {
    fn line(&mut self, line: Line<'_>) {
        self.number += 1;
        let bytes = line.bytes.trim_ascii_end();
        if bytes.is_empty() {
            return self.close();
        }
        self.is_cut |= !line.is_whole;
        let first_line = *self.first_line.get_or_insert(self.number);
        let [letter, b':', value @ ..] = bytes else {
            let number = self.number;
            self.faults.push(format!("line {number} (of the package in line {first_line}) is no field"));
            return;
        };
        let slot = match letter {
            b'P' => {
                self.package.name = text(value).unwrap_or_default();
                return;
            }
            b'V' => &mut self.package.version,
            b'A' => &mut self.package.architecture,
            b'o' => &mut self.package.origin,
            b'm' => &mut self.package.maintainer,
            _ => return,
        };
        *slot = text(value);
    }

    fn close(&mut self) {
        let package = std::mem::take(&mut self.package);
        let is_cut = std::mem::take(&mut self.is_cut);
        let Some(line) = self.first_line.take() else { return };
        if package.name.is_empty() {
            self.faults.push(format!("the package in line {line} has no name"));
        } else if is_cut {
            self.faults
                .push(format!("{} (line {line}): the file ends inside it; it is left out", package.name));
        } else {
            if package.version.is_none() {
                self.faults.push(format!("{} (line {line}): it has no version", package.name));
            }
            self.packages.push(package);
        }
    }

    fn finish(mut self) -> (Vec<Package>, Vec<String>) {
        if self.first_line.is_some() {
            self.faults.push("the file does not end with an empty line: it may be cut off".to_owned());
        }
        self.close();
        (self.packages, self.faults)
    }
}

fn text(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value.trim_ascii());
    (!text.is_empty()).then(|| text.into_owned())
}

fn row(package: Package, namespace: Option<&Namespace>) -> SoftwareRow {
    let purl = namespace.and_then(|it| it.purl(&package));
    let Package { name, version, architecture, origin, maintainer } = package;
    SoftwareRow {
        name,
        // A package that is built from another's recipe has the recipe's version.
        source_version: version.clone().filter(|_| origin.is_some()),
        version,
        architecture,
        source: "apk".to_owned(),
        publisher: maintainer,
        source_package: origin,
        purl,
        ..SoftwareRow::default()
    }
}

/// A distribution whose packages have a package URL, on a host where they are its own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Namespace {
    id: &'static str,
    /// Packages that were added from a file.
    pinned: BTreeSet<String>,
}

/// Distributions with how the names of their own keys begin.
const KEYS: [(&str, &str); 2] =
    [("alpine", "alpine-devel@lists.alpinelinux.org-"), ("wolfi", "wolfi-signing")];

fn namespace(look: &mut Look<'_>) -> Option<Namespace> {
    let os_id = release::read(look)?.id?;
    let (id, own) = KEYS.into_iter().find(|(id, _)| *id == os_id)?;
    let keys = look.list("etc/apk/keys", MAX_KEYS)?;
    let are_own = !keys.entries.is_empty() && keys.entries.iter().all(|it| it.name.starts_with(own));
    let world = look.text("etc/apk/world", MAX_WORLD)?;
    // `name><Q1...`: this very package, by its checksum.
    let pinned = world.split_whitespace().filter_map(|it| Some(it.split_once("><")?.0.to_owned())).collect();
    are_own.then_some(Namespace { id, pinned })
}

impl Namespace {
    fn purl(&self, package: &Package) -> Option<String> {
        let is_virtual = package.name.starts_with('.');
        let (version, architecture) = (package.version.as_deref()?, package.architecture.as_deref()?);
        (!is_virtual && !self.pinned.contains(&package.name)).then(|| {
            let (name, version) = (encoded(&package.name), encoded(version));
            format!("pkg:apk/{}/{name}@{version}?arch={}", self.id, encoded(architecture))
        })
    }
}

#[cfg(test)]
#[path = "apk_tests.rs"]
mod tests;
