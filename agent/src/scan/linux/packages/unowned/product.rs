//! A directory that may be a product, or a vendor's directory of products.

use super::metadata::{self, FILES, Format, Said};
use super::{SoftwareRow, Walk, absolute, is_visible, last_part, unowned};
use crate::host::{EntryKind, Listing};
use crate::scan::linux::packages::elf::Program;

/// Directories that are parts of a product and no products.
const PARTS: [&str; 10] = ["bin", "sbin", "lib", "lib64", "libexec", "share", "etc", "jre", "usr", "include"];
/// Largest file of metadata.
const MAX_METADATA: usize = 256 * 1024;
/// Plain files of a product that are asked for their owner.
const MAX_PLAIN: usize = 16;

/// A program of a product.
struct Part {
    path: String,
    build_id: Option<String>,
}

/// What a directory shows.
#[derive(Default)]
struct Shown {
    said: Option<(Said, Format)>,
    programs: Vec<Part>,
    /// Absolute paths, for the question who owns them.
    files: Vec<String>,
    directories: Vec<String>,
    /// Whether it has a part of a product with something in it.
    has_parts: bool,
}

impl Shown {
    /// Whether there is more than plain files and directories.
    fn is_product(&self) -> bool {
        self.said.is_some() || !self.programs.is_empty() || self.has_parts
    }
}

impl Walk<'_, '_> {
    /// Takes a directory as one product; when it shows nothing of one and `is_top`, its
    /// directories are asked in its place. Of a top directory with anything in it there is a row.
    pub(super) fn product(&mut self, path: &str, name: &str, is_top: bool) {
        let Some(shown) = self.shown(path) else { return };
        if shown.is_product() {
            return self.push_product(path, name, shown);
        }
        let before = self.found.len();
        self.products_of(path, name, &shown.directories);
        let is_empty =
            shown.files.is_empty() && !shown.directories.iter().any(|it| self.holds(&format!("{path}/{it}")));
        if is_top && self.found.len() == before && !is_empty {
            self.push_product(path, name, shown);
        }
    }

    fn products_of(&mut self, path: &str, name: &str, directories: &[String]) {
        for directory in directories.iter().filter(|it| !PARTS.contains(&it.as_str())) {
            let path = format!("{path}/{directory}");
            if let Some(shown) = self.shown(&path).filter(Shown::is_product) {
                self.push_product(&path, &format!("{name}/{directory}"), shown);
            }
        }
    }

    fn shown(&mut self, path: &str) -> Option<Shown> {
        let listing = self.list(path)?;
        let mut shown = Shown { said: self.said(path, &listing), ..Shown::default() };
        for entry in listing.entries.iter().filter(|it| is_visible(&it.name)) {
            match entry.kind {
                EntryKind::Directory => shown.directories.push(entry.name.clone()),
                EntryKind::File => shown.files.push(absolute(&format!("{path}/{}", entry.name))),
                EntryKind::Link | EntryKind::Other => {}
            }
        }
        self.programs(path, &listing, &mut shown.programs);
        for part in PARTS {
            if shown.directories.iter().any(|it| it == part) {
                let place = format!("{path}/{part}");
                shown.has_parts |= self.holds(&place);
                if part == "bin"
                    && let Some(listing) = self.list(&place)
                {
                    self.programs(&place, &listing, &mut shown.programs);
                }
            }
        }
        Some(shown)
    }

    /// Whether a directory has anything in it.
    fn holds(&mut self, path: &str) -> bool {
        self.list(path).is_some_and(|it| !it.entries.is_empty() || it.unreadable_names > 0)
    }

    /// What the first file that says a version says.
    fn said(&mut self, path: &str, listing: &Listing<'_>) -> Option<(Said, Format)> {
        for (name, format) in FILES {
            let found = listing.entries.binary_search_by(|it| it.name.as_str().cmp(name));
            let Some(entry) = found.ok().and_then(|it| listing.entries.get(it)) else { continue };
            if entry.kind == EntryKind::File {
                let bytes = listing.read(entry, MAX_METADATA);
                let bytes = self.or_gap(&format!("{path}/{name}"), bytes);
                if let Some(said) = bytes.and_then(|it| metadata::parse(format, &it)) {
                    return Some((said, format));
                }
            }
        }
        None
    }

    fn programs(&mut self, path: &str, listing: &Listing<'_>, programs: &mut Vec<Part>) {
        for entry in listing.entries.iter().filter(|it| is_visible(&it.name)) {
            let path = format!("{path}/{}", entry.name);
            match self.executable(&path, listing, entry) {
                Some(Program::Elf(build_id)) => programs.push(Part { path, build_id }),
                Some(Program::Other) => programs.push(Part { path, build_id: None }),
                None => {}
            }
        }
    }

    /// A row for the product. The build that it names is that of its main program; where none is the
    /// main one, each program that names its build has a row.
    fn push_product(&mut self, path: &str, name: &str, shown: Shown) {
        let Shown { said, programs, files, directories: _, has_parts: _ } = shown;
        let mut claims = vec![absolute(path)];
        claims.extend(programs.iter().map(|it| absolute(&it.path)));
        claims.extend(files.into_iter().take(MAX_PLAIN));
        let (said, format) = said.unzip();
        let said = said.unwrap_or_default();
        let is_main = |part: &&Part| {
            let own = last_part(&part.path);
            let is_java = format == Some(Format::Jdk) && own == "java";
            is_java
                || own.eq_ignore_ascii_case(last_part(path))
                || said.name.as_deref().is_some_and(|it| own.eq_ignore_ascii_case(it))
        };
        let mut built = programs.iter().filter(|it| it.build_id.is_some());
        let main = programs.iter().find(is_main).or_else(|| built.next().filter(|_| built.next().is_none()));
        let mut row = SoftwareRow {
            version: said.version,
            publisher: said.publisher,
            build_id: main.and_then(|it| it.build_id.clone()),
            ..unowned(name, path)
        };
        if let Some(name) = said.name {
            row.name = name;
        }
        let has_main = main.is_some();
        let product = self.found.len();
        self.push(row, claims);
        if !has_main {
            for Part { path, build_id } in programs.into_iter().filter(|it| it.build_id.is_some()) {
                let row = SoftwareRow { build_id, ..unowned(last_part(&path), &path) };
                self.push_part(row, vec![absolute(&path)], product);
            }
        }
    }
}
