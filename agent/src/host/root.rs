//! The tree that probes read: `/` in production, a mounted image or a captured machine otherwise.
//!
//! Paths are relative and use `/` on every OS. Links resolve as they would after a chroot: an
//! absolute target is anchored at the root, and `..` stops there, so a hostile image cannot
//! show the agent its own machine. Every read has a bound, and only regular files are read.
//!
//! With a read list ([`HostRoot::limited_to`]) only what is on it can be touched, judged by where a
//! path ends after all links: a link cannot lead to a file that nobody agreed to.
//!
//! It does not defend against a link that is swapped between resolving and opening; the last
//! component is opened without following links, and probes prefer paths that only
//! administrators can write. Where reading a link is refused, the later open reports the true error.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf, Prefix};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::open;
use super::reads::{Access, ReadList};

/// Most links that one path may cross; the kernel's own limit.
const MAX_LINKS: usize = 40;

/// Most components that one path may grow to while its links are resolved.
const MAX_PARTS: usize = 512;

/// Most directories that one probe's view remembers.
const MAX_DIRECTORIES: usize = 4_096;

/// What Windows says of a file that is no link: `ERROR_NOT_A_REPARSE_POINT` of winerror.h.
const NO_LINK: i32 = 4390;

/// Most bytes that the names of one listing may have: they are held in memory together.
const MAX_NAMES: usize = 4 * 1024 * 1024;

/// A file-system root that probes read and never leave.
#[derive(Debug, Clone)]
pub struct HostRoot {
    dir: PathBuf,
    hidden: Vec<&'static str>,
    reads: Option<Arc<Limits>>,
}

/// What a probe's view of a tree has besides the tree.
#[derive(Debug)]
struct Limits {
    reads: ReadList,
    /// Directories that were no links a moment ago: nearly every path of a probe shares its beginning
    /// with others, and asking again is most of what a scan would do.
    directories: Mutex<BTreeSet<PathBuf>>,
}

/// What stands in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; where it leads is not known yet.
    Link,
    /// A device, FIFO or socket.
    Other,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// What it is, links not followed.
    pub kind: EntryKind,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What it is, links followed.
    pub kind: EntryKind,
    /// Size in bytes as the file system claims it.
    pub bytes: u64,
    /// When the content last changed, where the file system says it.
    pub modified: Option<SystemTime>,
    /// When the file came to be, where the file system says it.
    pub created: Option<SystemTime>,
    /// Permission bits as of chmod(2); 0 where the system has none.
    pub mode: u32,
    /// Numeric owner; 0 where the system has none.
    pub uid: u32,
    /// Numeric group; 0 where the system has none.
    pub gid: u32,
    /// Device and number that tell one file from another; 0 where the system has none.
    pub device: u64,
    /// See `device`.
    pub inode: u64,
}

/// A file that is read in pieces, for formats that are larger than what may be held.
///
/// What it says may change while it is read; a reader compares what the format offers for that.
#[derive(Debug)]
pub struct Pieces {
    file: File,
    bytes: u64,
}

/// A directory of the root: its names in order, and cheap access to what they name.
#[derive(Debug, Clone)]
pub struct Listing<'a> {
    root: &'a HostRoot,
    inside: PathBuf,
    /// The names in order; names that are not UTF-8 are left out and counted.
    pub entries: Vec<Entry>,
    /// How many names are not UTF-8.
    pub unreadable_names: usize,
}

impl HostRoot {
    /// The tree below a directory.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), hidden: Vec::new(), reads: None }
    }

    /// Leaves out one top-level directory, as if it were not there.
    #[must_use]
    pub fn hiding(mut self, top: &'static str) -> Self {
        self.hidden.push(top);
        self
    }

    /// The same tree, of which only what is on a list can be touched.
    #[must_use]
    pub fn limited_to(&self, reads: ReadList) -> Self {
        let limits = Limits { reads, directories: Mutex::default() };
        Self { reads: Some(Arc::new(limits)), ..self.clone() }
    }

    /// The same tree, of which some more paths can be touched: those that the host's own administrator
    /// named. For `facts.d` and for nothing else.
    #[must_use]
    pub(crate) fn also_allowing(&self, paths: impl IntoIterator<Item = (String, Access)>) -> Self {
        let Some(limits) = &self.reads else { return self.clone() };
        let mut reads = limits.reads.clone();
        for (path, access) in paths {
            reads.add(&path, access);
        }
        self.limited_to(reads)
    }

    /// The directory on the machine that runs the agent.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads a whole file of at most `max_bytes`.
    ///
    /// # Errors
    /// The path leads nowhere, to something that is no regular file, or to more than the bound.
    pub fn read(&self, path: &str, max_bytes: usize) -> io::Result<Vec<u8>> {
        read_bounded(&self.to_read(Path::new(path))?, max_bytes)
    }

    /// Opens a file to be read in pieces.
    ///
    /// # Errors
    /// The path leads nowhere or to something that is no regular file.
    pub fn pieces(&self, path: &str) -> io::Result<Pieces> {
        let (file, bytes) = open::regular(&self.to_read(Path::new(path))?)?;
        Ok(Pieces { file, bytes })
    }

    /// Says what a path leads to.
    ///
    /// # Errors
    /// The path leads nowhere or may not be looked at.
    pub fn facts(&self, path: &str) -> io::Result<Facts> {
        facts_of(&self.to_look_at(Path::new(path))?)
    }

    /// Whether a path leads anywhere; a refusal counts as yes, because something is there.
    pub fn exists(&self, path: &str) -> bool {
        !matches!(self.facts(path), Err(cause) if is_absent(&cause))
    }

    /// Where a path ends after all links, relative to the root.
    ///
    /// # Errors
    /// Too many links.
    pub fn canonical(&self, path: &str) -> io::Result<PathBuf> {
        self.resolve(Path::new(path))
    }

    /// The text of a link, as it stands.
    ///
    /// # Errors
    /// The path is no link or may not be read.
    pub fn read_link(&self, path: &str) -> io::Result<PathBuf> {
        let path = Path::new(path);
        let name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
        let inside = self.resolve(path.parent().unwrap_or(Path::new("")))?.join(name);
        self.allowed(&inside, ReadList::may_look)?;
        fs::read_link(self.dir.join(inside))
    }

    /// Lists a directory of at most `max_entries` names, in order.
    ///
    /// # Errors
    /// The path is no directory, may not be read, or holds more than the bound.
    pub fn list(&self, path: &str, max_entries: usize) -> io::Result<Listing<'_>> {
        let inside = self.resolve(Path::new(path))?;
        self.allowed(&inside, ReadList::may_list)?;
        let mut entries = Vec::new();
        let mut unreadable_names = 0;
        let mut names = 0;
        for entry in fs::read_dir(self.dir.join(&inside))? {
            let entry = entry?;
            if entries.len() + unreadable_names == max_entries {
                return Err(io::Error::other(format!("more than {max_entries} entries")));
            }
            let name = entry.file_name();
            names += name.len();
            if names > MAX_NAMES {
                return Err(io::Error::other(format!("names of more than {MAX_NAMES} bytes")));
            }
            match name.into_string() {
                Ok(name) if !(inside.as_os_str().is_empty() && self.hidden.contains(&name.as_str())) => {
                    entries.push(Entry { name, kind: kind_of(entry.file_type()?) });
                }
                Ok(_) => {}
                Err(_) => unreadable_names += 1,
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(Listing { root: self, inside, entries, unreadable_names })
    }

    fn to_read(&self, path: &Path) -> io::Result<PathBuf> {
        let inside = self.resolve(path)?;
        self.allowed(&inside, ReadList::may_read)?;
        Ok(self.dir.join(inside))
    }

    fn to_look_at(&self, path: &Path) -> io::Result<PathBuf> {
        let inside = self.resolve(path)?;
        self.allowed(&inside, ReadList::may_look)?;
        Ok(self.dir.join(inside))
    }

    fn allowed(&self, inside: &Path, allows: fn(&ReadList, &Path) -> bool) -> io::Result<()> {
        match &self.reads {
            Some(limits) if !allows(&limits.reads, inside) => {
                Err(io::Error::other(format!("/{} is not on the agent's read list", inside.display())))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn is_known_directory(&self, inside: &Path) -> bool {
        let known =
            self.reads.as_ref().map(|it| it.directories.lock().unwrap_or_else(PoisonError::into_inner));
        known.is_some_and(|it| it.contains(inside))
    }

    fn know_directory(&self, inside: &Path) {
        let known =
            self.reads.as_ref().map(|it| it.directories.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(mut known) = known.filter(|it| it.len() < MAX_DIRECTORIES) {
            known.insert(inside.to_owned());
        }
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut links_left = MAX_LINKS;
        let mut inside = PathBuf::new();
        let mut rest = parts(path);
        while let Some(part) = rest.pop() {
            if part == ".." {
                inside.pop();
                continue;
            }
            // On Windows that names another stream of a file, or a drive.
            if cfg!(windows) && part.as_encoded_bytes().contains(&b':') {
                return Err(io::Error::new(io::ErrorKind::NotFound, "a name with a colon"));
            }
            inside.push(&part);
            if self.hidden.iter().any(|it| inside == Path::new(it)) {
                return Err(io::Error::new(io::ErrorKind::NotFound, "belongs to the running system"));
            }
            // What comes last is what the caller asks for, and is always asked anew.
            if !rest.is_empty() && self.is_known_directory(&inside) {
                continue;
            }
            let target = match fs::read_link(self.dir.join(&inside)) {
                Ok(target) => target,
                Err(cause) => {
                    if is_no_link(&cause) && !rest.is_empty() {
                        self.know_directory(&inside);
                    }
                    continue;
                }
            };
            if links_left == 0 {
                return Err(io::Error::other("too many symbolic links"));
            }
            links_left -= 1;
            if leaves_volume(&self.dir, &target) {
                return Err(io::Error::other("the link leads to another volume"));
            }
            inside.pop();
            if target.has_root() {
                inside.clear();
            }
            rest.extend(parts(&target));
            if rest.len() > MAX_PARTS {
                return Err(io::Error::other("the path grows too long"));
            }
        }
        Ok(inside)
    }
}

impl Listing<'_> {
    /// Reads one file of the directory; a link is followed inside the root.
    ///
    /// # Errors
    /// As for [`HostRoot::read`].
    pub fn read(&self, entry: &Entry, max_bytes: usize) -> io::Result<Vec<u8>> {
        read_bounded(&self.path_of(entry, ReadList::may_read)?, max_bytes)
    }

    /// Says what one name leads to.
    ///
    /// # Errors
    /// As for [`HostRoot::facts`].
    pub fn facts(&self, entry: &Entry) -> io::Result<Facts> {
        facts_of(&self.path_of(entry, ReadList::may_look)?)
    }

    /// The text of a link of the directory, as it stands.
    ///
    /// # Errors
    /// The entry is no link or may not be read.
    pub fn read_link(&self, entry: &Entry) -> io::Result<PathBuf> {
        let inside = self.inside.join(&entry.name);
        self.root.allowed(&inside, ReadList::may_look)?;
        fs::read_link(self.root.dir.join(inside))
    }

    fn path_of(&self, entry: &Entry, allows: fn(&ReadList, &Path) -> bool) -> io::Result<PathBuf> {
        let inside = self.inside.join(&entry.name);
        // Only a link can lead away; everything else is opened without following one.
        let inside = if entry.kind == EntryKind::Link { self.root.resolve(&inside)? } else { inside };
        self.root.allowed(&inside, allows)?;
        Ok(self.root.dir.join(inside))
    }
}

impl Pieces {
    /// Size in bytes as the file system claimed it when the file was opened.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Fills a buffer from a place in the file.
    ///
    /// # Errors
    /// The file ends before the buffer is full, or cannot be read there.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        open::read_exact_at(&self.file, offset, buffer)
    }

    /// The file from its start to its end, for text that is not held as a whole.
    pub fn into_reader(self) -> impl Read {
        self.file
    }
}

fn is_no_link(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::InvalidInput || (cfg!(windows) && cause.raw_os_error() == Some(NO_LINK))
}

/// Whether a link of a running Windows leads from the drive that is looked at to another one. Those of a root
/// that is a directory are anchored there, whatever drive they name.
fn leaves_volume(root: &Path, target: &Path) -> bool {
    let drive = |path: &Path| match path.components().next() {
        Some(Component::Prefix(it)) => Some(match it.kind() {
            Prefix::Disk(letter) | Prefix::VerbatimDisk(letter) => Some(letter.to_ascii_uppercase()),
            Prefix::Verbatim(_) | Prefix::VerbatimUNC(..) | Prefix::DeviceNS(_) | Prefix::UNC(..) => None,
        }),
        Some(Component::RootDir | Component::CurDir | Component::ParentDir | Component::Normal(_)) | None => {
            None
        }
    };
    match (drive(root), drive(target)) {
        (Some(own), Some(other)) => root.parent().is_none() && (other.is_none() || own != other),
        (None, _) | (_, None) => false,
    }
}

/// Whether an error says that the thing is not there.
pub fn is_absent(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn read_bounded(path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    let (file, claimed) = open::regular(path)?;
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {max_bytes} bytes"));
    if claimed > limit {
        return Err(too_large());
    }
    // Files of the kernel claim 0 or a page whatever they hold, so the claim is not the bound.
    let mut bytes = Vec::with_capacity(usize::try_from(claimed).unwrap_or(0));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > max_bytes { Err(too_large()) } else { Ok(bytes) }
}

fn facts_of(path: &Path) -> io::Result<Facts> {
    // The path is resolved: a link here appeared a moment ago and is not followed.
    Ok(facts_from(&fs::symlink_metadata(path)?))
}

#[cfg(unix)]
fn facts_from(metadata: &Metadata) -> Facts {
    use std::os::unix::fs::MetadataExt;
    Facts {
        kind: kind_of(metadata.file_type()),
        bytes: metadata.len(),
        modified: metadata.modified().ok(),
        created: metadata.created().ok(),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

#[cfg(windows)]
fn facts_from(metadata: &Metadata) -> Facts {
    Facts {
        kind: kind_of(metadata.file_type()),
        bytes: metadata.len(),
        modified: metadata.modified().ok(),
        created: metadata.created().ok(),
        mode: 0,
        uid: 0,
        gid: 0,
        device: 0,
        inode: 0,
    }
}

fn kind_of(file_type: FileType) -> EntryKind {
    if file_type.is_file() {
        EntryKind::File
    } else if file_type.is_dir() {
        EntryKind::Directory
    } else if file_type.is_symlink() {
        EntryKind::Link
    } else {
        EntryKind::Other
    }
}

/// The normal and `..` components of a path, last one first.
fn parts(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter(|it| matches!(it, Component::Normal(_) | Component::ParentDir))
        .map(|it| it.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::super::reads::Reads;
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    fn tree() -> (TempDir, HostRoot) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/etc")).unwrap();
        fs::create_dir_all(dir.path().join("root/usr/lib")).unwrap();
        fs::write(dir.path().join("root/usr/lib/os-release"), "ID=inside").unwrap();
        fs::write(dir.path().join("secret"), "outside").unwrap();
        let root = HostRoot::at(dir.path().join("root"));
        (dir, root)
    }

    #[test]
    fn absolute_and_relative_links_stay_inside() {
        let (dir, root) = tree();
        let etc = dir.path().join("root/etc");
        symlink("/usr/lib/os-release", etc.join("absolute")).unwrap();
        symlink("../usr/lib/os-release", etc.join("relative")).unwrap();
        symlink("/usr/lib", etc.join("directory")).unwrap();
        for path in ["etc/absolute", "etc/relative", "etc/directory/os-release", "/etc/absolute"] {
            assert_eq!(root.read(path, 100).unwrap(), b"ID=inside", "{path}");
        }
    }

    #[test]
    fn neither_paths_nor_links_escape() {
        let (dir, root) = tree();
        let etc = dir.path().join("root/etc");
        symlink(dir.path().join("secret"), etc.join("by-name")).unwrap();
        symlink("../../../../../../secret", etc.join("by-dots")).unwrap();
        symlink("/..", etc.join("up")).unwrap();
        for path in ["etc/by-name", "etc/by-dots", "etc/up/secret", "../secret", "etc/../../secret"] {
            assert_eq!(root.read(path, 100).unwrap_err().kind(), io::ErrorKind::NotFound, "{path}");
        }
    }

    #[test]
    fn loops_and_growing_links_end() {
        let (dir, root) = tree();
        let etc = dir.path().join("root/etc");
        symlink("b", etc.join("a")).unwrap();
        symlink("a", etc.join("b")).unwrap();
        symlink("self/self/self/self/self/self/self/self/x", etc.join("self")).unwrap();
        for path in ["etc/a", "etc/self"] {
            let error = root.read(path, 100).unwrap_err();
            assert!(!is_absent(&error), "{path}: {error}");
        }
    }

    #[test]
    fn fifos_sockets_directories_and_devices_are_refused_at_once() {
        let (dir, root) = tree();
        let etc = dir.path().join("root/etc");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            etc.join("fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(etc.join("socket")).unwrap();
        for path in ["etc/fifo", "etc/socket", "etc"] {
            let error = root.read(path, 100).unwrap_err();
            assert!(!is_absent(&error), "{path}: {error}");
        }
        assert!(HostRoot::at("/").read("dev/zero", 100).is_err());
    }

    #[test]
    fn a_sparse_giant_is_refused_without_reading_it() {
        let (dir, root) = tree();
        let file = fs::File::create(dir.path().join("root/etc/giant")).unwrap();
        file.set_len(1 << 40).unwrap();
        assert_eq!(root.read("etc/giant", 1024).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(root.read("usr/lib/os-release", 9).unwrap().len(), 9);
        assert_eq!(root.read("usr/lib/os-release", 8).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_kernel_file_that_claims_no_size_is_bounded_too() {
        let live = HostRoot::at("/");
        assert!(!live.read("proc/mounts", 1 << 20).unwrap().is_empty());
        assert_eq!(live.read("proc/mounts", 1).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn listings_are_ordered_bounded_and_follow_links_only_inside() {
        let (dir, root) = tree();
        let etc = dir.path().join("root/etc");
        fs::write(etc.join("b"), "B").unwrap();
        fs::write(etc.join("a"), "A").unwrap();
        symlink(dir.path().join("secret"), etc.join("c")).unwrap();
        let listing = root.list("etc", 3).unwrap();
        let names: Vec<&str> = listing.entries.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(listing.read(&listing.entries[0], 10).unwrap(), b"A");
        assert!(is_absent(&listing.read(&listing.entries[2], 10).unwrap_err()));
        assert!(root.list("etc", 2).is_err());
    }

    #[test]
    fn a_link_does_not_lead_off_the_read_list() {
        let (dir, root) = tree();
        let etc = dir.path().join("root/etc");
        fs::write(etc.join("shadow"), "secret").unwrap();
        symlink("/usr/lib/os-release", etc.join("os-release")).unwrap();
        symlink("shadow", etc.join("issue")).unwrap();
        let list = ["etc/os-release", "usr/lib/os-release", "etc/issue"].map(Reads::content);
        let root = root.limited_to(ReadList::new(&list));
        assert_eq!(root.read("etc/os-release", 100).unwrap(), b"ID=inside");
        for path in ["etc/issue", "etc/shadow"] {
            let error = root.read(path, 100).unwrap_err();
            assert_eq!(error.to_string(), "/etc/shadow is not on the agent's read list");
            assert!(root.facts(path).is_err() && root.pieces(path).is_err());
        }
        assert!(root.list("etc", 100).is_err());
    }

    #[test]
    fn a_file_is_read_in_pieces() {
        let (_dir, root) = tree();
        let pieces = root.pieces("usr/lib/os-release").unwrap();
        let mut four = [0; 4];
        pieces.read_at(5, &mut four).unwrap();
        assert_eq!((pieces.bytes(), &four), (9, b"side"));
        assert!(pieces.read_at(6, &mut four).is_err());
    }

    #[test]
    fn a_hidden_directory_is_absent_by_every_way() {
        let (dir, root) = tree();
        fs::create_dir(dir.path().join("root/proc")).unwrap();
        fs::write(dir.path().join("root/proc/version"), "running").unwrap();
        symlink("/proc/version", dir.path().join("root/etc/version")).unwrap();
        assert!(root.exists("proc/version"));
        let root = root.hiding("proc");
        for path in ["proc", "proc/version", "etc/version", "etc/../proc/version"] {
            assert!(!root.exists(path), "{path}");
        }
        assert!(root.list("", 10).unwrap().entries.iter().all(|it| it.name != "proc"));
    }
}
