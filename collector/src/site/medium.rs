//! Reading a medium that somebody carried here. It is hostile until the signature of an object says otherwise.
//!
//! Nothing of it is followed, run or believed. Only plain files are read, each once, whole and into memory, up to
//! the size of an object; what is verified is what was read. A name of the medium is opened inside the folder
//! that a person named and shown, escaped, to that person: it never becomes a path of anything that is written.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use holdpoint_common::bundle::MAX_OBJECT;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};

use crate::carrier::tray;

/// How the name of an object ends, in a folder. A file that a person names may have any name.
pub const ENDING: &[u8] = b".bundle";
/// What a medium has last: a folder without it was cut off.
const MANIFEST: &[u8] = crate::carrier::drop::MANIFEST.as_bytes();
/// Most folders of a medium that are looked at: one for each zone and each time that it was written.
pub const MAX_FOLDERS: usize = 256;
/// Most entries of a folder that are looked at: a medium has a cycle of a zone, which is some thousands.
pub const MAX_ENTRIES: usize = 100_000;
/// Most objects that are read of all that was named.
pub const MAX_OBJECTS: usize = 20_000;
/// Most bytes that are read of all that was named: more than a medium of one zone ever has.
pub const MAX_BYTES: u64 = 16 * 1024 * 1024 * 1024;

/// What was found under a name.
#[derive(Debug)]
pub struct Entry {
    /// The name, for people.
    pub shown: String,
    /// The folder that a person named, and the name of the one below it, if it lies there.
    folder: Option<(PathBuf, Vec<u8>)>,
    name: Vec<u8>,
}

/// Why an entry is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRead {
    /// The name, for people.
    pub shown: String,
    /// One sentence, lower case.
    pub why: String,
}

/// What a medium has.
#[derive(Debug, Default)]
pub struct Contents {
    /// Files that may be objects, in the order of their names.
    pub entries: Vec<Entry>,
    /// What is none, and was not opened.
    pub not_read: Vec<NotRead>,
    /// Folders of bundles without a manifest: their writing was cut off, or it is missing. What is there counts.
    pub cut_off: Vec<String>,
    /// Entries beyond the limits, which nobody looked at.
    pub beyond: u64,
}

/// Looks at what a person named: files, folders, and the folders directly below these.
pub fn look(named: &[PathBuf]) -> Contents {
    let mut contents = Contents::default();
    for path in named {
        match std::fs::metadata(path) {
            Ok(met) if met.is_dir() => folder(path, &mut contents),
            // What it is, is asked again of what was opened.
            Ok(_) => contents.entries.push(Entry {
                shown: escaped(path.as_os_str().as_bytes()),
                folder: None,
                name: path.as_os_str().as_bytes().to_vec(),
            }),
            Err(cause) => contents.leave(escaped(path.as_os_str().as_bytes()), &cause.to_string()),
        }
    }
    let over = contents.entries.len().saturating_sub(MAX_OBJECTS);
    contents.entries.truncate(MAX_OBJECTS);
    contents.beyond = contents.beyond.saturating_add(u64::try_from(over).unwrap_or(u64::MAX));
    contents
}

fn folder(path: &Path, contents: &mut Contents) {
    match openat(CWD, path, FOLDER, Mode::empty()) {
        Ok(fd) => {
            for name in files(&fd, path, &[], contents).into_iter().take(MAX_FOLDERS) {
                let below = path.join(std::ffi::OsStr::from_bytes(&name));
                match openat(&fd, name.as_slice(), FOLDER.union(OFlags::NOFOLLOW), Mode::empty()) {
                    Ok(inner) => {
                        for deeper in files(&inner, &below, &name, contents) {
                            contents.leave(shown(&below, &deeper), "it is a folder too far below");
                        }
                    }
                    Err(cause) => contents.leave(shown(path, &name), &io::Error::from(cause).to_string()),
                }
            }
        }
        Err(cause) => {
            contents.leave(escaped(path.as_os_str().as_bytes()), &io::Error::from(cause).to_string());
        }
    }
}

/// Looks at the files of an open folder, and gives the names of the folders in it. `inner` is its name in the one
/// that a person named, when it is not that one.
fn files(fd: &OwnedFd, path: &Path, inner: &[u8], contents: &mut Contents) -> Vec<Vec<u8>> {
    let root = if inner.is_empty() { path } else { path.parent().unwrap_or(path) };
    let (mut folders, mut bundles, mut ended) = (Vec::new(), 0_u64, false);
    for name in names(fd, path, contents) {
        let shown = shown(path, &name);
        // A name with a separator is no name of a folder: the file system lies.
        if name.contains(&b'/') {
            contents.leave(shown, "its name has a separator in it");
            continue;
        }
        let kind = match statat(fd, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(met) => FileType::from_raw_mode(met.st_mode),
            Err(cause) => {
                contents.leave(shown, &io::Error::from(cause).to_string());
                continue;
            }
        };
        if kind == FileType::Directory {
            folders.push(name);
        } else if kind != FileType::RegularFile {
            contents.leave(shown, "it is no plain file");
        } else if name == MANIFEST {
            ended = true;
        } else if name.ends_with(ENDING) {
            bundles = bundles.saturating_add(1);
            let (root, inner) = (root.to_owned(), inner.to_vec());
            contents.entries.push(Entry { shown, folder: Some((root, inner)), name });
        } else {
            contents.leave(shown, "its name does not end in .bundle");
        }
    }
    if bundles > 0 && !ended {
        contents.cut_off.push(escaped(path.as_os_str().as_bytes()));
    }
    folders
}

/// The names in a folder, sorted, up to the limit.
fn names(fd: &OwnedFd, path: &Path, contents: &mut Contents) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    let entries = match Dir::read_from(fd) {
        Ok(entries) => entries,
        Err(cause) => {
            contents.leave(escaped(path.as_os_str().as_bytes()), &io::Error::from(cause).to_string());
            return names;
        }
    };
    for entry in entries {
        match entry {
            Ok(entry) => {
                let name = entry.file_name().to_bytes();
                if name == b"." || name == b".." {
                    continue;
                }
                if names.len() >= MAX_ENTRIES {
                    contents.beyond = contents.beyond.saturating_add(1);
                } else {
                    names.push(name.to_vec());
                }
            }
            Err(cause) => {
                contents.leave(escaped(path.as_os_str().as_bytes()), &io::Error::from(cause).to_string());
                break;
            }
        }
    }
    names.sort();
    names
}

impl Contents {
    fn leave(&mut self, shown: String, why: &str) {
        self.not_read.push(NotRead { shown, why: why.to_owned() });
    }
}

impl Entry {
    /// Reads the whole file, once. No link is followed and no pipe or device waited for; no more is read than an
    /// object has, whatever the file says of its size.
    ///
    /// # Errors
    /// It is something else by now, too large, or the medium does not give it.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let fd = match &self.folder {
            Some((folder, below)) => {
                let mut folder = openat(CWD, folder, FOLDER, Mode::empty())?;
                if !below.is_empty() {
                    folder =
                        openat(&folder, below.as_slice(), FOLDER.union(OFlags::NOFOLLOW), Mode::empty())?;
                }
                openat(&folder, self.name.as_slice(), FLAGS, Mode::empty())?
            }
            None => openat(CWD, self.name.as_slice(), FLAGS, Mode::empty())?,
        };
        let object = tray::read_plain(std::fs::File::from(fd))?;
        object.ok_or_else(|| io::Error::other(format!("it is over the {MAX_OBJECT} bytes of an object")))
    }
}

/// A pipe or a device would wait for somebody, and a link lead anywhere.
const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A path as a person may see it: a name of the medium moves no terminal, that of a folder neither.
fn shown(folder: &Path, name: &[u8]) -> String {
    format!("{}/{}", escaped(folder.as_os_str().as_bytes()), escaped(name))
}

fn escaped(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().flat_map(char::escape_debug).collect()
}
