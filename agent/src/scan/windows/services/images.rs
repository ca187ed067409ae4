//! What the files of services and drivers say of themselves: version and company.
//!
//! Source of truth: the version resource of each file, on the system's drive and there below the folders
//! where programs are installed; a file elsewhere has no version here. Each file is read once, in a few
//! pieces. Windows compares names without regard to case, and the agent's read list does not: each part
//! of a path is looked up in its folder, and the folder's own writing is used.
//!
//! Nothing here proves who made a file.

use std::collections::BTreeMap;
use std::io;

use super::super::image_path::Places;
use super::super::version_resource;
use crate::host::{Reads, is_absent};
use crate::scan::Look;

/// What [`Images::stated`] touches.
pub(in crate::scan) const READS: &[Reads] = &[
    Reads::content("Windows/**/*.exe"),
    Reads::content("Windows/**/*.EXE"),
    Reads::content("Windows/**/*.sys"),
    Reads::content("Windows/**/*.SYS"),
    Reads::content("Windows/**/*.dll"),
    Reads::content("Windows/**/*.DLL"),
    Reads::content("Program Files/**/*.exe"),
    Reads::content("Program Files/**/*.EXE"),
    Reads::content("Program Files/**/*.sys"),
    Reads::content("Program Files/**/*.dll"),
    Reads::content("Program Files (x86)/**/*.exe"),
    Reads::content("Program Files (x86)/**/*.EXE"),
    Reads::content("Program Files (x86)/**/*.sys"),
    Reads::content("Program Files (x86)/**/*.dll"),
    Reads::content("ProgramData/**/*.exe"),
    Reads::content("ProgramData/**/*.sys"),
    Reads::content("ProgramData/**/*.dll"),
];

/// The folders at the root that the patterns name.
const TOPS: [&str; 4] = ["Windows", "Program Files", "Program Files (x86)", "ProgramData"];
/// Endings that the patterns name.
const ENDINGS: [&str; 6] = [".exe", ".EXE", ".sys", ".SYS", ".dll", ".DLL"];
/// Most names of one folder; System32 has some five thousand.
const MAX_NAMES: usize = 65_536;
/// Deepest path.
const MAX_PARTS: usize = 32;

/// What a file says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stated {
    /// Version of the file.
    pub(super) version: Option<String>,
    /// Who says to have made it.
    pub(super) company: Option<String>,
}

/// Files that were asked, and the names of folders on the way to them.
#[derive(Debug, Default)]
pub(super) struct Images {
    files: BTreeMap<String, Stated>,
    folders: BTreeMap<String, BTreeMap<String, String>>,
    is_denied: bool,
}

impl Images {
    /// What the file at a path says; nothing where it is not there or somewhere else.
    pub(super) fn stated(&mut self, look: &mut Look<'_>, path: &str, places: &Places) -> Stated {
        let folded = path.to_lowercase();
        if let Some(known) = self.files.get(&folded) {
            return known.clone();
        }
        let read = match self.located(look, path, places) {
            Ok(Some(place)) => read(look, &place),
            Ok(None) => Ok(Stated::default()),
            Err(cause) => Err(cause),
        };
        let stated = read.unwrap_or_else(|cause| {
            if cause.kind() == io::ErrorKind::PermissionDenied {
                self.is_denied = true;
            } else if !is_absent(&cause) {
                look.note::<()>(path, Err(cause));
            }
            Stated::default()
        });
        self.files.insert(folded, stated.clone());
        stated
    }

    /// Refusals are one gap, however many files there are.
    pub(super) fn tell(&self, look: &mut Look<'_>) {
        if self.is_denied {
            look.note("files of services", Err::<(), _>(io::ErrorKind::PermissionDenied.into()));
        }
    }

    /// Where a file is below the root, as its folders write it.
    fn located(&mut self, look: &Look<'_>, path: &str, places: &Places) -> io::Result<Option<String>> {
        let Some(below) = places.below_drive(path) else { return Ok(None) };
        let mut parts = below.split('\\');
        let first = parts.next().unwrap_or("");
        let Some(top) = TOPS.into_iter().find(|it| it.eq_ignore_ascii_case(first)) else { return Ok(None) };
        let mut place = top.to_owned();
        for (depth, part) in parts.enumerate() {
            if depth == MAX_PARTS || matches!(part, "" | "." | "..") {
                return Ok(None);
            }
            match self.names(look, &place)?.get(&part.to_lowercase()) {
                Some(name) => place = format!("{place}/{name}"),
                None => return Ok(None),
            }
        }
        Ok(Some(place).filter(|it| ENDINGS.iter().any(|ending| it.ends_with(ending))))
    }

    /// The names in a folder, by their lower case.
    fn names(&mut self, look: &Look<'_>, folder: &str) -> io::Result<&BTreeMap<String, String>> {
        if !self.folders.contains_key(folder) {
            look.in_time()?;
            let listing = look.host.root.list(folder, MAX_NAMES)?;
            let names = listing.entries.into_iter().map(|it| (it.name.to_lowercase(), it.name)).collect();
            self.folders.insert(folder.to_owned(), names);
        }
        self.folders.get(folder).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn read(look: &Look<'_>, place: &str) -> io::Result<Stated> {
    look.in_time()?;
    let stated = version_resource::read(&look.host.root.pieces(place)?)?.unwrap_or_default();
    Ok(Stated { version: stated.file_version, company: stated.company })
}
