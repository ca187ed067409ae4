//! Debian packages.
//!
//! Source of truth: `var/lib/dpkg/status`, and `var/lib/dpkg/status.d/*` of images that are built
//! without dpkg itself. World readable. A package is installed exactly when the third word of
//! its `Status` is `installed`, whatever is wanted for it (a held package is installed); every
//! other state but `not-installed` is a leftover with its state. Files of `status.d` have no
//! `Status`: being there is being installed. What dpkg has done and not yet written into `status`
//! lies in its journal and counts as done (see `dpkg_journal.rs`).
//!
//! Known lies: the day of installation is the day on which `info/NAME.list` was last written, so
//! an upgrade moves it, and a rebuilt image can set it to anything.

use std::collections::BTreeMap;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use holdpoint_common::row::SoftwareRow;
use prost::Message;

use super::super::release;
use super::lines::{Line, each_line};
use super::purl::encoded;
use crate::host::{EntryKind, Reads};
use crate::scan::{Look, Reading};

const STATUS: &str = "var/lib/dpkg/status";
const STATUS_DIR: &str = "var/lib/dpkg/status.d";
/// Where dpkg keeps what belongs to each package.
pub(super) const INFO: &str = "var/lib/dpkg/info";
/// What this probe may touch.
pub const READS: &[Reads] = &[
    Reads::content("var/lib/dpkg/status"),
    Reads::content("var/lib/dpkg/status.d/*"),
    Reads::content("var/lib/dpkg/updates/*"),
    Reads::content("var/lib/dpkg/info"),
    Reads::metadata("var/lib/dpkg/info/*"),
];

/// Largest status file: some 60,000 packages. It is read in pieces.
const MAX_STATUS: u64 = 64 * 1024 * 1024;
const MAX_STATUS_PART: usize = 1024 * 1024;
/// Most files that packages keep in `info`.
pub(super) const MAX_INFO: usize = 65_536;
const MAX_PARTS: usize = 16_384;

/// Reads the installed packages and what removed ones left behind.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let status = database(look);
    let parts = status_parts(look);
    if status.is_none() && parts.is_none() {
        return look.missing(format!("{STATUS} is not there"));
    }
    let namespace = release::read(look).and_then(|it| it.id).and_then(|it| Namespace::of(&it));
    let days = install_days(look);
    let mut rows = Vec::new();
    let mut take = |packages: Vec<Package>| {
        rows.extend(packages.iter().map(|it| row(it, namespace.as_ref(), &days).encode_to_vec()));
    };
    take(status.unwrap_or_default());
    for (name, bytes) in parts.unwrap_or_default() {
        let (packages, faults) = parse(&bytes, Form::Part);
        for fault in faults {
            look.fault(format!("{STATUS_DIR}/{name}: {fault}"));
        }
        take(packages);
    }
    Reading::Rows(rows)
}

/// The database with its journal, as of one moment; `None` when there is none.
fn database(look: &mut Look<'_>) -> Option<Vec<Package>> {
    // A dpkg that works may merge its journal between the two reads: then both are read again.
    const ATTEMPTS: usize = 3;
    let mut read = None;
    for attempt in 1..=ATTEMPTS {
        let before = look.host.root.facts(STATUS).ok();
        let status = read_status(look);
        let journal = dpkg_journal::read(look);
        let is_still = before == look.host.root.facts(STATUS).ok();
        if is_still || attempt == ATTEMPTS {
            if !is_still {
                look.fault(format!("{STATUS} changes while it is read"));
            }
            read = Some((status, journal));
            break;
        }
    }
    let (status, journal) = read?;
    let (mut packages, faults) = look.note(STATUS, status)?;
    for fault in faults {
        look.fault(format!("{STATUS}: {fault}"));
    }
    dpkg_journal::apply(look, &mut packages, journal);
    Some(packages)
}

fn read_status(look: &Look<'_>) -> io::Result<(Vec<Package>, Vec<String>)> {
    look.in_time()?;
    let mut parser = Parser::new(Form::Database);
    let file = look.host.root.pieces(STATUS)?;
    each_line(
        &file,
        MAX_STATUS,
        || look.in_time(),
        |line| {
            parser.line(line);
            true
        },
    )?;
    Ok(parser.finish())
}

fn status_parts(look: &mut Look<'_>) -> Option<Vec<(String, Vec<u8>)>> {
    let listing = look.list(STATUS_DIR, MAX_PARTS)?;
    let mut parts = Vec::new();
    for entry in &listing.entries {
        // Beside each package lie its checksums; directories and the like are no packages.
        let is_package = !entry.name.ends_with(".md5sums") && entry.kind != EntryKind::Directory;
        if is_package {
            match look.in_time().and_then(|()| listing.read(entry, MAX_STATUS_PART)) {
                Ok(bytes) => parts.push((entry.name.clone(), bytes)),
                Err(cause) => look.fault(format!("{STATUS_DIR}/{}: {cause}", entry.name)),
            }
        }
    }
    Some(parts)
}

/// Which shape a file of stanzas has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `status`: every stanza has a state and is followed by an empty line.
    Database,
    /// A file of `status.d`: one package, installed.
    Part,
    /// A file of `updates`: one package with its state, which may be that it is gone.
    Update,
}

/// One stanza.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Package {
    name: String,
    version: Option<String>,
    architecture: Option<String>,
    /// Third word of `Status`; `None` in a part without one.
    state: Option<String>,
    source: Option<String>,
    maintainer: Option<String>,
    /// `Multi-Arch: same`: packages of this name live beside each other.
    has_twins: bool,
}

const INSTALLED: &str = "installed";
const NOT_INSTALLED: &str = "not-installed";

/// Reads every stanza that can be read, and says what is wrong with the others.
fn parse(bytes: &[u8], form: Form) -> (Vec<Package>, Vec<String>) {
    let mut parser = Parser::new(form);
    let mut lines = bytes.split(|it| *it == b'\n').peekable();
    while let Some(bytes) = lines.next() {
        let is_whole = lines.peek().is_some();
        if is_whole || !bytes.is_empty() {
            parser.line(Line { bytes, is_whole });
        }
    }
    parser.finish()
}

/// A file that is being read, line by line.
#[derive(Debug)]
struct Parser {
    form: Form,
    packages: Vec<Package>,
    faults: Vec<String>,
    stanza: Stanza,
    number: usize,
    /// Whether the last line so far ends a stanza. An empty file ends well.
    ends_well: bool,
}

impl Parser {
    fn new(form: Form) -> Self {
        let stanza = Stanza::default();
        Self { form, packages: Vec::new(), faults: Vec::new(), stanza, number: 0, ends_well: true }
    }

    fn line(&mut self, line: Line<'_>) {
        self.number += 1;
        let is_empty = line.bytes.iter().all(u8::is_ascii_whitespace);
        self.ends_well = is_empty && line.is_whole;
        if is_empty {
            self.stanza.close(self.form, &mut self.packages, &mut self.faults);
            return;
        }
        // No line end after it: the line itself may be half a line.
        self.stanza.cut |= !line.is_whole && self.form != Form::Part;
        self.stanza.add(line.bytes, self.number);
    }

    fn finish(mut self) -> (Vec<Package>, Vec<String>) {
        if self.form == Form::Database && !self.ends_well {
            self.faults.push("the file does not end with an empty line: it may be cut off".to_owned());
        }
        self.stanza.close(self.form, &mut self.packages, &mut self.faults);
        (self.packages, self.faults)
    }
}

/// A stanza that is being read.
#[derive(Debug, Default)]
struct Stanza {
    package: Package,
    first_line: Option<usize>,
    wrong: Option<String>,
    cut: bool,
}

impl Stanza {
    fn add(&mut self, line: &[u8], number: usize) {
        self.first_line.get_or_insert(number);
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return;
        }
        let Some(colon) = line.iter().position(|it| *it == b':') else {
            self.wrong.get_or_insert_with(|| format!("line {number} is no field"));
            return;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let slot = match name {
            name if name.eq_ignore_ascii_case(b"Package") => {
                self.package.name = text(value).unwrap_or_default();
                return;
            }
            name if name.eq_ignore_ascii_case(b"Status") => {
                self.package.state =
                    text(value).and_then(|it| it.split_whitespace().nth(2).map(str::to_lowercase));
                if self.package.state.is_none() {
                    self.wrong.get_or_insert_with(|| format!("line {number} has a status without a state"));
                }
                return;
            }
            name if name.eq_ignore_ascii_case(b"Multi-Arch") => {
                self.package.has_twins = value.trim_ascii().eq_ignore_ascii_case(b"same");
                return;
            }
            name if name.eq_ignore_ascii_case(b"Version") => &mut self.package.version,
            name if name.eq_ignore_ascii_case(b"Architecture") => &mut self.package.architecture,
            name if name.eq_ignore_ascii_case(b"Source") => &mut self.package.source,
            name if name.eq_ignore_ascii_case(b"Maintainer") => &mut self.package.maintainer,
            _ => return,
        };
        *slot = text(value);
    }

    fn close(&mut self, form: Form, packages: &mut Vec<Package>, faults: &mut Vec<String>) {
        let Self { package, first_line, wrong, cut } = std::mem::take(self);
        let Some(line) = first_line else { return };
        let named = if package.name.is_empty() { "stanza".to_owned() } else { package.name.clone() };
        let mut fault = |what: &str| faults.push(format!("{named} (line {line}): {what}"));
        if let Some(wrong) = wrong {
            fault(&wrong);
        }
        if package.name.is_empty() {
            fault("it names no package");
        } else if cut {
            fault("the file ends inside it; it is left out");
        } else if form != Form::Part && package.state.is_none() {
            fault("it has no state; it is left out");
        } else {
            let is_installed = package.state.as_deref().is_none_or(|it| it == INSTALLED);
            if is_installed && package.version.is_none() {
                fault("it has no version");
            }
            // In the journal, that a package is gone is news.
            if form == Form::Update || package.state.as_deref() != Some(NOT_INSTALLED) {
                packages.push(package);
            }
        }
    }
}

fn text(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value.trim_ascii());
    (!text.is_empty()).then(|| text.into_owned())
}

fn row(package: &Package, namespace: Option<&Namespace>, days: &BTreeMap<String, String>) -> SoftwareRow {
    let is_installed = package.state.as_deref().is_none_or(|it| it == INSTALLED);
    let (source_package, source_version) = source_of(package);
    let qualified = format!("{}:{}", package.name, package.architecture.as_deref().unwrap_or_default());
    SoftwareRow {
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        source: if is_installed { "dpkg" } else { "leftover-dpkg" }.to_owned(),
        publisher: package.maintainer.clone(),
        source_package,
        source_version,
        install_date: days.get(&qualified).or_else(|| days.get(&package.name)).cloned(),
        state: if is_installed { None } else { package.state.clone() },
        purl: namespace.filter(|_| is_installed).and_then(|it| it.purl(package)),
        ..SoftwareRow::default()
    }
}

/// `Source: name (version)`; a package without one is its own source, a source without a
/// version has the package's.
fn source_of(package: &Package) -> (Option<String>, Option<String>) {
    let Some(source) = &package.source else {
        return (Some(package.name.clone()), package.version.clone());
    };
    match source.split_once('(') {
        Some((name, rest)) => {
            let version = rest.trim_end().trim_end_matches(')').trim();
            (Some(name.trim().to_owned()), Some(version.to_owned()).filter(|it| !it.is_empty()))
        }
        None => (Some(source.clone()), package.version.clone()),
    }
}

/// A distribution whose packages have a package URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Namespace {
    id: &'static str,
    /// Mail domain of its maintainers' lists.
    domain: &'static str,
}

const NAMESPACES: [Namespace; 2] =
    [Namespace { id: "debian", domain: "debian.org" }, Namespace { id: "ubuntu", domain: "ubuntu.com" }];

impl Namespace {
    fn of(os_id: &str) -> Option<Self> {
        NAMESPACES.into_iter().find(|it| it.id == os_id)
    }

    /// A URL only for what the distribution itself maintains: a vendor's package on Debian is not
    /// Debian's, and an advisory for Debian's says nothing about it.
    fn purl(&self, package: &Package) -> Option<String> {
        let mail = package.maintainer.as_deref()?.rsplit_once('<')?.1.trim_end_matches('>').to_lowercase();
        let host = mail.rsplit_once('@')?.1.to_owned();
        let is_own =
            host == self.domain || host.strip_suffix(self.domain).is_some_and(|it| it.ends_with('.'));
        let (version, architecture) = (package.version.as_deref()?, package.architecture.as_deref()?);
        is_own.then(|| {
            let (name, version) = (encoded(&package.name), encoded(version));
            format!("pkg:deb/{}/{name}@{version}?arch={}", self.id, encoded(architecture))
        })
    }
}

/// The day on which each package's file list was written, by `NAME` or `NAME:ARCH`.
fn install_days(look: &mut Look<'_>) -> BTreeMap<String, String> {
    let Some(listing) = look.list(INFO, MAX_INFO) else { return BTreeMap::new() };
    listing
        .entries
        .iter()
        .filter_map(|entry| {
            let name = entry.name.strip_suffix(".list")?;
            let day = day_of(listing.facts(entry).ok()?.modified?)?;
            Some((name.to_owned(), day))
        })
        .collect()
}

fn seconds_of(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// The day of a time, in UTC.
pub(super) fn day_of(time: SystemTime) -> Option<String> {
    day_of_seconds(seconds_of(time)?)
}

/// The day of a number of seconds since 1970, in UTC.
pub(super) fn day_of_seconds(seconds: i64) -> Option<String> {
    Some(time::OffsetDateTime::from_unix_timestamp(seconds).ok()?.date().to_string())
}

#[path = "dpkg_journal.rs"]
mod dpkg_journal;

#[cfg(test)]
#[path = "dpkg_tests.rs"]
mod tests;
