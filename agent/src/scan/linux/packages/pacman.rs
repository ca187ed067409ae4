//! Packages of Arch Linux and its relatives.
//!
//! Source of truth: `var/lib/pacman/local/NAME-VERSION/desc`, one directory a package: blocks of
//! `%FIELD%`, its lines, an empty line (libalpm's local database, version 9). World readable.
//! Without the directory there are no such packages; one without a `desc` is a gap.
//!
//! A package URL is given on Arch itself for a package that one of its packagers built and whose
//! signature was checked when it was installed. What others build (AUR, vendors) has none.
//!
//! Known lies: `pacman.conf` can put the database elsewhere. The day of installation is the
//! clock's at that time.

use std::collections::BTreeMap;

use holdpoint_common::row::SoftwareRow;
use prost::Message;

use super::super::release;
use super::dpkg::day_of_seconds;
use super::lines::each_line;
use super::purl::encoded;
use crate::host::{EntryKind, Reads};
use crate::scan::{Look, Reading};

const LOCAL: &str = "var/lib/pacman/local";
/// What this probe may touch.
pub const READS: &[Reads] =
    &[Reads::content("var/lib/pacman/local/ALPM_DB_VERSION"), Reads::content("var/lib/pacman/local/*/desc")];
/// What looking for owners may touch.
pub(in crate::scan::linux) const OWNER_READS: &[Reads] = &[Reads::content("var/lib/pacman/local/*/files")];

const MAX_PACKAGES: usize = 65_536;
const MAX_DESC: usize = 1024 * 1024;
const MAX_FILES: u64 = 64 * 1024 * 1024;
/// The version of the database that this reads.
const KNOWN: &str = "9";

/// Reads the installed packages.
pub fn probe(look: &mut Look<'_>) -> Reading {
    let Some(listing) = look.list(LOCAL, MAX_PACKAGES) else {
        return look.missing("no pacman database");
    };
    match look.value(&format!("{LOCAL}/ALPM_DB_VERSION")) {
        Some(version) if version != KNOWN => {
            look.fault(format!("{LOCAL}: database version {version} is not known"));
        }
        Some(_) | None => {}
    }
    let is_arch = release::read(look).and_then(|it| it.id).is_some_and(|it| it == "arch");
    let mut rows = Vec::new();
    for entry in listing.entries.iter().filter(|it| it.kind == EntryKind::Directory) {
        let path = format!("{LOCAL}/{}/desc", entry.name);
        // Each package is no source of its own: coverage must not move with their number.
        let bytes = look.in_time().and_then(|()| look.host.root.read(&path, MAX_DESC));
        match bytes.map_err(|it| it.to_string()).and_then(|it| parse(&it)) {
            Ok(package) => rows.push(row(package, is_arch).encode_to_vec()),
            Err(why) => look.fault(format!("{path}: {why}")),
        }
    }
    Reading::Rows(rows)
}

/// Finds the packages of a few absolute paths (keys: the path as a package may ship it; values:
/// the path as the caller knows it) and adds their names to what is found.
pub(in crate::scan::linux) fn owners(
    look: &mut Look<'_>,
    names: &BTreeMap<Vec<u8>, &String>,
    found: &mut BTreeMap<String, String>,
) {
    if names.is_empty() || !look.host.root.exists(LOCAL) {
        return;
    }
    let Some(listing) = look.list(LOCAL, MAX_PACKAGES) else { return };
    let mut path = Vec::new();
    for entry in listing.entries.iter().filter(|it| it.kind == EntryKind::Directory) {
        // `NAME-VERSION-RELEASE`; neither of the last two has a dash.
        let Some(name) = entry.name.rsplitn(3, '-').nth(2) else { continue };
        let place = format!("{LOCAL}/{}/files", entry.name);
        let read = look.in_time().and_then(|()| look.host.root.pieces(&place)).and_then(|file| {
            each_line(
                &file,
                MAX_FILES,
                || look.in_time(),
                |line| {
                    path.clear();
                    path.push(b'/');
                    // Directories end with a slash.
                    path.extend_from_slice(line.bytes.strip_suffix(b"/").unwrap_or(line.bytes));
                    if let Some(wanted) = names.get(&path) {
                        found.entry((*wanted).clone()).or_insert_with(|| name.to_owned());
                    }
                    true
                },
            )
        });
        match read {
            Err(cause) if !crate::host::is_absent(&cause) => {
                look.note::<()>(&place, Err(cause));
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// What a `desc` says of its package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    base: Option<String>,
    architecture: Option<String>,
    packager: Option<String>,
    /// Seconds since 1970.
    installed: Option<i64>,
    is_signed: bool,
}

fn parse(bytes: &[u8]) -> Result<Package, String> {
    let mut package = Package::default();
    let mut field: &[u8] = b"";
    for line in bytes.split(|it| *it == b'\n').map(<[u8]>::trim_ascii_end) {
        if line.is_empty() {
            field = b"";
            continue;
        }
        if field.is_empty() {
            field = line;
            continue;
        }
        let value = String::from_utf8_lossy(line);
        match field {
            b"%NAME%" => package.name = value.into_owned(),
            b"%VERSION%" => package.version = value.into_owned(),
            b"%BASE%" => package.base = Some(value.into_owned()),
            b"%ARCH%" => package.architecture = Some(value.into_owned()),
            b"%PACKAGER%" => package.packager = Some(value.into_owned()),
            b"%INSTALLDATE%" => package.installed = value.parse().ok(),
            b"%VALIDATION%" => package.is_signed |= value == "pgp",
            _ => {}
        }
    }
    if package.name.is_empty() || package.version.is_empty() {
        Err("it names no package with a version".to_owned())
    } else if !bytes.ends_with(b"\n\n") {
        // libalpm ends every block so; what stands before the cut may be half a line.
        Err(format!("{}: the file ends inside it; it is left out", package.name))
    } else {
        Ok(package)
    }
}

fn row(package: Package, is_arch: bool) -> SoftwareRow {
    let purl = is_arch.then(|| purl(&package)).flatten();
    let Package { name, version, base, architecture, packager, installed, is_signed: _ } = package;
    SoftwareRow {
        name,
        // Packages of one recipe share its version.
        source_version: base.as_ref().map(|_| version.clone()),
        version: Some(version),
        architecture,
        source: "pacman".to_owned(),
        publisher: packager,
        source_package: base,
        install_date: installed.and_then(day_of_seconds),
        purl,
        ..SoftwareRow::default()
    }
}

fn purl(package: &Package) -> Option<String> {
    let mail = package.packager.as_deref()?.rsplit_once('<')?.1.strip_suffix('>')?;
    let is_own = mail.rsplit_once('@').is_some_and(|(_, host)| host.eq_ignore_ascii_case("archlinux.org"));
    let architecture = package.architecture.as_deref()?;
    (is_own && package.is_signed).then(|| {
        let (name, version) = (encoded(&package.name), encoded(&package.version));
        format!("pkg:alpm/arch/{name}@{version}?arch={}", encoded(architecture))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host, rows_of};
    use proptest::prelude::*;

    const DESC: &str = "\
%NAME%
gcc-libs

%VERSION%
1:13.2.1-3

%BASE%
gcc

%DESC%
Runtime libraries shipped by GCC

%ARCH%
x86_64

%INSTALLDATE%
1700000000

%PACKAGER%
Frederik Schwan <freswa@archlinux.org>

%VALIDATION%
pgp

%PROVIDES%
libgo.so=22-64
libasan.so=8-64

";

    const PLACE: &str = "var/lib/pacman/local/gcc-libs-1:13.2.1-3/desc";

    fn read(files: &[(&str, &str)]) -> (Vec<SoftwareRow>, Vec<String>) {
        let (_dir, host) = host(files);
        let (rows, faults, _) = rows_of(&host, probe);
        (rows, faults)
    }

    #[test]
    fn a_package_is_a_row_with_its_base_and_day() {
        let (rows, faults) = read(&[
            (PLACE, DESC),
            ("etc/os-release", "ID=arch\n"),
            ("var/lib/pacman/local/ALPM_DB_VERSION", "9\n"),
        ]);
        assert!(faults.is_empty(), "{faults:?}");
        let some = |it: &str| Some(it.to_owned());
        let expected = SoftwareRow {
            name: "gcc-libs".to_owned(),
            version: some("1:13.2.1-3"),
            architecture: some("x86_64"),
            source: "pacman".to_owned(),
            publisher: some("Frederik Schwan <freswa@archlinux.org>"),
            source_package: some("gcc"),
            source_version: some("1:13.2.1-3"),
            install_date: some("2023-11-14"),
            purl: some("pkg:alpm/arch/gcc-libs@1%3A13.2.1-3?arch=x86_64"),
            ..SoftwareRow::default()
        };
        assert_eq!(rows, [expected]);
    }

    #[test]
    fn a_package_url_needs_the_distribution_its_packager_and_a_checked_signature() {
        let arch = ("etc/os-release", "ID=arch\n");
        for (desc, release) in [
            (DESC.replace("pgp", "sha256"), arch),
            (DESC.replace("freswa@archlinux.org", "x@example.org"), arch),
            (DESC.replace("Frederik Schwan <freswa@archlinux.org>", "Unknown Packager"), arch),
            (DESC.to_owned(), ("etc/os-release", "ID=manjaro\n")),
        ] {
            let (rows, _) = read(&[(PLACE, &desc), release]);
            assert_eq!((rows.len(), &rows[0].purl), (1, &None));
        }
    }

    #[test]
    fn a_broken_or_missing_desc_is_a_gap_and_the_others_stay() {
        let (rows, faults) = read(&[
            (PLACE, DESC),
            ("var/lib/pacman/local/a-1-1/files", "%FILES%\n"),
            ("var/lib/pacman/local/b-1-1/desc", "%NAME%\nb\n\n%VERS"),
            ("var/lib/pacman/local/c-1-1/desc", "%NAME%\nc\n\n%VERSION%\n1-1\n\n%ARCH%\nx8"),
            ("var/lib/pacman/local/ALPM_DB_VERSION", "10\n"),
        ]);
        assert_eq!(rows.len(), 1);
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert_eq!(faults[0], "var/lib/pacman/local: database version 10 is not known");
        assert!(faults[1].starts_with("var/lib/pacman/local/a-1-1/desc: "), "{}", faults[1]);
        assert_eq!(faults[2], "var/lib/pacman/local/b-1-1/desc: it names no package with a version");
        assert_eq!(faults[3], "var/lib/pacman/local/c-1-1/desc: c: the file ends inside it; it is left out");
    }

    #[test]
    fn no_database_is_absent_and_an_empty_one_is_not() {
        let (_dir, nothing) = host(&[]);
        let budget = ample();
        let reading = probe(&mut Look::new(&nothing, &budget, "test"));
        assert_eq!(reading, Reading::Absent("no pacman database".to_owned()));
        assert_eq!(read(&[("var/lib/pacman/local/ALPM_DB_VERSION", "9\n")]), (vec![], vec![]));
    }

    #[test]
    fn owners_are_found_for_files_and_directories() {
        let (_dir, host) = host(&[
            (
                "var/lib/pacman/local/my-tool-2:1.0-1/files",
                "%FILES%\nopt/\nopt/tool/\nopt/tool/run\n\n%BACKUP%\n",
            ),
            ("var/lib/pacman/local/odd/files", "%FILES%\nopt/odd\n"),
        ]);
        let paths = ["/opt/tool", "/opt/tool/run", "/opt/odd", "/opt/other"].map(str::to_owned);
        let names = paths.iter().map(|it| (it.as_bytes().to_vec(), it)).collect();
        let mut found = BTreeMap::new();
        let budget = ample();
        owners(&mut Look::new(&host, &budget, "test"), &names, &mut found);
        let said: Vec<_> = found.iter().map(|(path, name)| (path.as_str(), name.as_str())).collect();
        assert_eq!(said, [("/opt/tool", "my-tool"), ("/opt/tool/run", "my-tool")]);
    }

    proptest! {
        #[test]
        fn no_damage_panics_or_invents_a_package(at in 0..DESC.len(), byte in any::<u8>()) {
            let mut bytes = DESC.as_bytes().to_vec();
            bytes[at] = byte;
            if let Ok(package) = parse(&bytes) {
                prop_assert!(!package.name.is_empty() && !package.version.is_empty());
                let _ = row(package, true);
            }
        }
    }
}
