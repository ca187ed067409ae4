//! What was put into `/usr/local`: programs, libraries, distributions of Python and Node, products.

use super::metadata::{self, Format, Said};
use super::{LOCAL, MAX_ENTRIES, SoftwareRow, Walk, absolute, is_visible, unowned};
use crate::host::{Entry, EntryKind};
use crate::scan::linux::packages::elf::Program;

/// Directories that the file hierarchy standard names and that hold no software of their own.
const NO_SOFTWARE: [&str; 7] = ["etc", "games", "include", "man", "share", "src", "var"];
/// How much of a file of metadata is read; its beginning says what is wanted.
const MAX_START: usize = 8 * 1024;
const MAX_JSON: usize = 256 * 1024;
const MAX_PC: usize = 64 * 1024;

impl Walk<'_, '_> {
    /// Everything of `/usr/local`.
    pub(super) fn local(&mut self) {
        let Some(listing) = self.look.list(LOCAL, MAX_ENTRIES) else { return };
        for entry in listing.entries.iter().filter(|it| is_visible(&it.name)) {
            let path = format!("{LOCAL}/{}", entry.name);
            let is_directory = entry.kind == EntryKind::Directory;
            match entry.name.as_str() {
                "bin" | "sbin" if is_directory => self.bin(&path),
                "lib" | "lib32" | "lib64" if is_directory => self.lib(&path),
                "libexec" if is_directory => self.libexec(&path),
                "bin" | "sbin" | "lib" | "lib32" | "lib64" | "libexec" => self.elsewhere(&path, entry),
                name if NO_SOFTWARE.contains(&name) => {
                    if name == "share" && is_directory {
                        self.pkg_config(&format!("{path}/pkgconfig"));
                    }
                }
                _ => self.top_entry(LOCAL, &listing, entry),
            }
        }
    }

    /// A directory of the standard that is a link to somewhere else.
    fn elsewhere(&mut self, path: &str, entry: &Entry) {
        let end = self.look.host.root.canonical(path);
        let is_inside = end.as_ref().is_ok_and(|end| self.places.iter().any(|it| end.starts_with(it)));
        if entry.kind == EntryKind::Link && !is_inside && self.look.host.root.exists(path) {
            self.look.fault(format!("{path}: a link that leads elsewhere; it is not looked at"));
        }
    }

    fn bin(&mut self, path: &str) {
        let Some(listing) = self.list(path) else { return };
        for entry in listing.entries.iter().filter(|it| is_visible(&it.name)) {
            self.program(&format!("{path}/{}", entry.name), &listing, entry);
        }
    }

    fn libexec(&mut self, path: &str) {
        let Some(listing) = self.list(path) else { return };
        for entry in listing.entries.iter().filter(|it| is_visible(&it.name)) {
            let path = format!("{path}/{}", entry.name);
            if entry.kind == EntryKind::Directory {
                self.product(&path, &entry.name, false);
            } else {
                self.program(&path, &listing, entry);
            }
        }
    }

    fn lib(&mut self, path: &str) {
        let Some(listing) = self.list(path) else { return };
        for entry in listing.entries.iter().filter(|it| is_visible(&it.name)) {
            let within = format!("{path}/{}", entry.name);
            match (entry.kind, entry.name.as_str()) {
                (EntryKind::File, name) if is_library(name) => self.library(&within, name),
                (EntryKind::Directory, "pkgconfig") => self.pkg_config(&within),
                (EntryKind::Directory, "node_modules") => self.node(&within),
                (EntryKind::Directory, name) if name.starts_with("python") => self.python(&within),
                // `x86_64-linux-gnu`: libraries of one architecture.
                (EntryKind::Directory, name) if name.contains("-linux-") => self.libraries(&within),
                (EntryKind::Directory, name) => self.product(&within, name, false),
                (EntryKind::File | EntryKind::Link | EntryKind::Other, _) => {}
            }
        }
    }

    fn libraries(&mut self, path: &str) {
        let Some(listing) = self.list(path) else { return };
        for entry in &listing.entries {
            let within = format!("{path}/{}", entry.name);
            match (entry.kind, entry.name.as_str()) {
                (EntryKind::File, name) if is_library(name) => self.library(&within, name),
                (EntryKind::Directory, "pkgconfig") => self.pkg_config(&within),
                (EntryKind::File | EntryKind::Directory | EntryKind::Link | EntryKind::Other, _) => {}
            }
        }
    }

    /// A shared library. The digits of its file name are those of its interface, not its version.
    fn library(&mut self, path: &str, name: &str) {
        if self.may_go_on()
            && let Some(Program::Elf(build_id)) = self.headers(path)
        {
            self.push(SoftwareRow { build_id, ..unowned(name, path) }, vec![absolute(path)]);
        }
    }

    /// Libraries that say their version to those who link with them.
    fn pkg_config(&mut self, path: &str) {
        if !self.look.host.root.exists(path) {
            return;
        }
        let Some(listing) = self.list(path) else { return };
        for entry in listing.entries.iter().filter(|it| it.kind == EntryKind::File) {
            let Some(name) = entry.name.strip_suffix(".pc") else { continue };
            let path = format!("{path}/{}", entry.name);
            let bytes = listing.read(entry, MAX_PC);
            if let Some(bytes) = self.or_gap(&path, bytes) {
                let row = SoftwareRow { version: metadata::pkg_config(&bytes), ..unowned(name, &path) };
                self.push(row, vec![absolute(&path)]);
            }
        }
    }

    /// `dist-packages` or `site-packages` of one version of Python.
    fn python(&mut self, path: &str) {
        for kind in ["dist-packages", "site-packages"] {
            let place = format!("{path}/{kind}");
            if !self.look.host.root.exists(&place) {
                continue;
            }
            let Some(listing) = self.list(&place) else { continue };
            for entry in &listing.entries {
                let within = format!("{place}/{}", entry.name);
                let file = match (entry.name.rsplit('.').next(), entry.kind) {
                    (Some("dist-info"), EntryKind::Directory) => format!("{within}/METADATA"),
                    (Some("egg-info"), EntryKind::Directory) => format!("{within}/PKG-INFO"),
                    (Some("egg-info"), EntryKind::File) => within.clone(),
                    (_, EntryKind::Directory | EntryKind::File | EntryKind::Link | EntryKind::Other) => {
                        continue;
                    }
                };
                if let Some(bytes) = self.start_of(&file) {
                    self.push_said(metadata::python(&bytes), &within, &file);
                }
            }
        }
    }

    /// Packages that npm installed for everybody, with and without a scope.
    fn node(&mut self, path: &str) {
        let Some(listing) = self.list(path) else { return };
        for entry in listing.entries.iter().filter(|it| is_visible(&it.name)) {
            let within = format!("{path}/{}", entry.name);
            if entry.kind != EntryKind::Directory {
                continue;
            }
            if entry.name.starts_with('@') {
                let Some(scope) = self.list(&within) else { continue };
                for entry in scope.entries.iter().filter(|it| it.kind == EntryKind::Directory) {
                    self.node_package(&format!("{within}/{}", entry.name));
                }
            } else {
                self.node_package(&within);
            }
        }
    }

    fn node_package(&mut self, path: &str) {
        let file = format!("{path}/package.json");
        let bytes = self.look.host.root.read(&file, MAX_JSON);
        if let Some(bytes) = self.or_gap(&file, bytes) {
            self.push_said(metadata::parse(Format::Json, &bytes).unwrap_or_default(), path, &file);
        }
    }

    fn push_said(&mut self, said: Said, path: &str, file: &str) {
        if !self.may_go_on() {
            return;
        }
        let Some(name) = said.name else {
            self.look.fault(format!("{file}: it has no name"));
            return;
        };
        let row = SoftwareRow { version: said.version, publisher: said.publisher, ..unowned(&name, path) };
        self.push(row, vec![absolute(file), absolute(path)]);
    }

    /// The beginning of a file; `None` when it is not there or, with the reason kept, cannot be read.
    fn start_of(&mut self, path: &str) -> Option<Vec<u8>> {
        let start = self.look.host.root.pieces(path).and_then(|file| {
            let length = usize::try_from(file.bytes()).unwrap_or(usize::MAX).min(MAX_START);
            let mut bytes = vec![0; length];
            file.read_at(0, &mut bytes).map(|()| bytes)
        });
        self.or_gap(path, start)
    }
}

/// `libx.so`, `libx.so.1.2`.
fn is_library(name: &str) -> bool {
    let digits = name.split_once(".so").map(|(_, rest)| rest);
    digits.is_some_and(|it| it.chars().all(|it| it == '.' || it.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_by_their_names() {
        for name in ["libssl.so", "libssl.so.3", "libx.so.1.2.3"] {
            assert!(is_library(name), "{name}");
        }
        for name in ["libssl.a", "x.source", "libx.so.debug", "so"] {
            assert!(!is_library(name), "{name}");
        }
    }
}
