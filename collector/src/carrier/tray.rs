//! A folder of sealed objects that one process fills and another empties.
//!
//! ```text
//! DIR/0000000000000007-5f0c....bundle     number of arrival, first half of the SHA-256 over the bytes
//! ```
//! An object is there whole or not at all: written beside its name, synced, renamed, and the folder synced.
//! Its name says the order of arrival and its content, so the same object is not taken twice while it lies
//! there. What lies there is bounded; a full tray refuses and keeps what it has. Names are made here alone:
//! nothing that came from outside becomes part of a path, and what has another name is not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use holdpoint_common::bundle::MAX_OBJECT;
use holdpoint_common::private::{self, Readable};
use holdpoint_common::section::Digest;

const ENDING: &str = ".bundle";
const UNFINISHED: &str = ".new";
/// Hex digits of the digest in a name: 128 bits tell apart all that ever lies in one tray.
const DIGITS: usize = 32;

/// How much may lie in a tray.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of objects.
    pub bytes: u64,
    /// Objects.
    pub objects: usize,
}

impl Default for Limits {
    /// 2 GB, 200,000.
    fn default() -> Self {
        Self { bytes: 2_000_000_000, objects: 200_000 }
    }
}

/// Why a tray does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TrayError {
    /// What lies there has to be taken first.
    #[error("{} is full with {objects} objects of {bytes} bytes: what empties it has stopped", path.display())]
    Full {
        /// The folder.
        path: PathBuf,
        /// How many lie there.
        objects: usize,
        /// How large they are.
        bytes: u64,
    },
    /// Larger than any bundle.
    #[error("an object of {0} bytes is over the limit of {MAX_OBJECT}")]
    TooLarge(u64),
    /// The file system.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// The place of an object in its tray.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    number: u64,
    digest: String,
}

impl Place {
    /// Rises with arrival.
    pub fn number(&self) -> u64 {
        self.number
    }

    fn name(&self) -> String {
        format!("{:016x}-{}{ENDING}", self.number, self.digest)
    }

    fn parse(name: &str) -> Option<Self> {
        let (number, digest) = name.strip_suffix(ENDING)?.split_once('-')?;
        let hex = |text: &str, digits| {
            text.len() == digits && text.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it))
        };
        (hex(number, 16) && hex(digest, DIGITS)).then_some(())?;
        Some(Self { number: u64::from_str_radix(number, 16).ok()?, digest: digest.to_owned() })
    }
}

/// What became of an object that was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It lies there, and would after a power cut.
    Taken,
    /// It lay there already.
    Known,
}

/// The side that fills. There is one for each folder.
#[derive(Debug)]
pub struct Filler {
    path: PathBuf,
    limits: Limits,
    next: u64,
    lying: Lying,
}

/// What is known to lie there. What was emptied meanwhile is seen when there seems to be no room.
#[derive(Debug, Default)]
struct Lying {
    digests: BTreeSet<String>,
    sizes: BTreeMap<u64, u64>,
    bytes: u64,
}

impl Filler {
    /// Takes up a folder, made when it is missing, and removes what an earlier process left unfinished.
    ///
    /// # Errors
    /// The folder cannot be made, read or written.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, TrayError> {
        make(path)?;
        for name in names(path)? {
            if name.ends_with(UNFINISHED) {
                let file = path.join(&name);
                fs::remove_file(&file).map_err(failed("remove", &file))?;
            }
        }
        let mut filler = Self { path: path.to_owned(), limits, next: 0, lying: Lying::default() };
        filler.look()?;
        Ok(filler)
    }

    /// Puts an object in. When this returns it is durable.
    ///
    /// # Errors
    /// The tray is full, the object is too large, or the disk said no. Then nothing has changed.
    pub fn put(&mut self, object: &[u8]) -> Result<Put, TrayError> {
        let bytes = u64::try_from(object.len()).unwrap_or(u64::MAX);
        if object.len() > MAX_OBJECT {
            return Err(TrayError::TooLarge(bytes));
        }
        let digest: String = HEXLOWER.encode(Digest::of(object).as_bytes()).chars().take(DIGITS).collect();
        if self.lying.digests.contains(&digest) {
            // Perhaps it was emptied since: then it is taken again, and its reader knows what to do with it.
            self.look()?;
            if self.lying.digests.contains(&digest) {
                return Ok(Put::Known);
            }
        }
        if !self.has_room(bytes) {
            self.look()?;
            if !self.has_room(bytes) {
                let Lying { sizes, bytes, .. } = &self.lying;
                return Err(TrayError::Full { path: self.path.clone(), objects: sizes.len(), bytes: *bytes });
            }
        }
        let place = Place { number: self.next, digest };
        let (file, unfinished) = (self.path.join(place.name()), self.path.join(place.name() + UNFINISHED));
        let written = private::create_file(&unfinished, Readable::All).and_then(|mut it| {
            it.write_all(object)?;
            it.sync_all()
        });
        let placed = written.and_then(|()| private::rename(&unfinished, &file));
        if let Err(source) = placed {
            // What stays is removed at the next opening.
            let _ = fs::remove_file(&unfinished);
            return Err(TrayError::File { doing: "write", path: file, source });
        }
        self.next = self.next.saturating_add(1);
        self.lying.add(place, bytes);
        Ok(Put::Taken)
    }

    /// How many objects lie there now.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn lying(&mut self) -> Result<usize, TrayError> {
        if !self.lying.sizes.is_empty() {
            self.look()?;
        }
        Ok(self.lying.sizes.len())
    }

    /// How many objects lie there, and how many bytes they have, as far as the filling side knows.
    pub fn depth(&self) -> (usize, u64) {
        (self.lying.sizes.len(), self.lying.bytes)
    }

    /// Whether an object of so many bytes would be taken now.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn has_room_for(&mut self, bytes: u64) -> Result<bool, TrayError> {
        if !self.has_room(bytes) {
            self.look()?;
        }
        Ok(self.has_room(bytes))
    }

    fn has_room(&self, more: u64) -> bool {
        let Lying { sizes, bytes, .. } = &self.lying;
        sizes.len() < self.limits.objects && bytes.saturating_add(more) <= self.limits.bytes
    }

    fn look(&mut self) -> Result<(), TrayError> {
        self.lying = Lying::default();
        for name in names(&self.path)? {
            let Some(place) = Place::parse(&name) else { continue };
            self.next = self.next.max(place.number.saturating_add(1));
            // It may be gone by now.
            if let Ok(met) = fs::symlink_metadata(self.path.join(&name)) {
                self.lying.add(place, met.len());
            }
        }
        Ok(())
    }
}

impl Lying {
    fn add(&mut self, place: Place, bytes: u64) {
        self.digests.insert(place.digest);
        self.sizes.insert(place.number, bytes);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// The side that empties.
#[derive(Debug, Clone)]
pub struct Emptier {
    path: PathBuf,
}

impl Emptier {
    /// Looks at a folder that may not be there yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// What lies there, oldest first.
    ///
    /// # Errors
    /// The folder cannot be read. One that is missing is empty.
    pub fn places(&self) -> Result<Vec<Place>, TrayError> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let mut places: Vec<_> = names(&self.path)?.iter().filter_map(|it| Place::parse(it)).collect();
        places.sort();
        Ok(places)
    }

    /// The bytes of an object; `None` when somebody else took it. No link is followed, and no more is read
    /// than an object may have.
    ///
    /// # Errors
    /// It is no file, too large, or the disk said no.
    pub fn read(&self, place: &Place) -> Result<Option<Vec<u8>>, TrayError> {
        let path = self.path.join(place.name());
        match read_object(&path) {
            Ok(object) => Ok(Some(object)),
            Err(TrayError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Takes an object away.
    ///
    /// # Errors
    /// The disk said no. One that is gone already is no error.
    pub fn remove(&self, place: &Place) -> Result<(), TrayError> {
        let path = self.path.join(place.name());
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(source)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Reads a file that somebody else wrote, as an object: a regular file that is no link, of at most
/// [`MAX_OBJECT`] bytes, whatever it says of its own size.
///
/// # Errors
/// It is something else, or the disk said no.
pub fn read_object(path: &Path) -> Result<Vec<u8>, TrayError> {
    let file = open_plain(path).map_err(failed("read", path))?;
    let size = file.metadata().map_err(failed("read", path))?.len();
    read_plain(file).map_err(failed("read", path))?.ok_or(TrayError::TooLarge(size))
}

/// Reads an opened file to its end; `None` when it has more than an object may have. Whoever opened it has
/// followed no link and waits for no pipe.
///
/// # Errors
/// It is no plain file, or the disk said no.
pub fn read_plain(file: File) -> io::Result<Option<Vec<u8>>> {
    let met = file.metadata()?;
    if !met.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let most = u64::try_from(MAX_OBJECT).unwrap_or(u64::MAX);
    if met.len() > most {
        return Ok(None);
    }
    let mut object = Vec::new();
    // It may have grown since.
    file.take(most.saturating_add(1)).read_to_end(&mut object)?;
    Ok((object.len() <= MAX_OBJECT).then_some(object))
}

/// Opens a file, following no link and waiting for no pipe.
fn open_plain(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    }
    options.open(path)
}

fn make(path: &Path) -> Result<(), TrayError> {
    fs::create_dir_all(path).map_err(failed("make", path))
}

/// The names in a folder that are text; ours all are.
fn names(path: &Path) -> Result<Vec<String>, TrayError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(failed("read", path))? {
        let entry = entry.map_err(failed("read", path))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TrayError + use<> {
    let path = path.to_owned();
    move |source| TrayError::File { doing, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits = Limits { bytes: 10, objects: 3 };

    #[test]
    fn what_was_put_in_comes_out_in_order_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut filler = Filler::open(dir.path(), Limits::default()).unwrap();
        assert_eq!(filler.put(b"one").unwrap(), Put::Taken);
        assert_eq!(filler.put(b"two").unwrap(), Put::Taken);
        assert_eq!(filler.put(b"one").unwrap(), Put::Known);
        let emptier = Emptier::new(dir.path());
        let places = emptier.places().unwrap();
        let read: Vec<_> = places.iter().map(|it| emptier.read(it).unwrap().unwrap()).collect();
        assert_eq!(read, [b"one", b"two"]);
        emptier.remove(&places[0]).unwrap();
        assert_eq!(emptier.read(&places[0]).unwrap(), None);
        assert_eq!(filler.put(b"one").unwrap(), Put::Taken, "it was emptied: it may come again");
        let numbers: Vec<_> = emptier.places().unwrap().iter().map(Place::number).collect();
        assert_eq!(numbers, [1, 2]);
    }

    #[test]
    fn a_full_tray_refuses_and_keeps_what_it_has_until_it_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let mut filler = Filler::open(dir.path(), SMALL).unwrap();
        filler.put(b"12345678").unwrap();
        assert!(matches!(filler.put(b"123"), Err(TrayError::Full { objects: 1, bytes: 8, .. })));
        let emptier = Emptier::new(dir.path());
        let place = emptier.places().unwrap().remove(0);
        assert_eq!(emptier.read(&place).unwrap().unwrap(), b"12345678");
        emptier.remove(&place).unwrap();
        for object in [b"a", b"b", b"c"] {
            filler.put(object).unwrap();
        }
        assert!(matches!(filler.put(b"d"), Err(TrayError::Full { objects: 3, .. })));
    }

    #[test]
    fn numbers_go_on_after_a_restart_and_what_was_unfinished_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        Filler::open(dir.path(), Limits::default()).unwrap().put(b"one").unwrap();
        let cut = dir.path().join(Place { number: 1, digest: "0".repeat(DIGITS) }.name() + UNFINISHED);
        fs::write(&cut, b"tw").unwrap();
        let mut filler = Filler::open(dir.path(), Limits::default()).unwrap();
        assert!(!cut.exists());
        filler.put(b"two").unwrap();
        let numbers: Vec<_> = Emptier::new(dir.path()).places().unwrap().iter().map(Place::number).collect();
        assert_eq!(numbers, [0, 1]);
    }

    #[cfg(unix)]
    #[test]
    fn strangers_in_the_folder_are_left_alone_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        fs::write(&secret, b"key").unwrap();
        let link = Place { number: 3, digest: "a".repeat(DIGITS) };
        std::os::unix::fs::symlink(&secret, dir.path().join(link.name())).unwrap();
        let pipe = Place { number: 4, digest: "b".repeat(DIGITS) };
        let flags = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join(pipe.name()),
            rustix::fs::FileType::Fifo,
            flags,
            0,
        )
        .unwrap();
        let emptier = Emptier::new(dir.path());
        assert_eq!(emptier.places().unwrap(), [link.clone(), pipe.clone()]);
        assert!(emptier.read(&link).is_err());
        assert!(emptier.read(&pipe).is_err());
        assert_eq!(Emptier::new(&dir.path().join("none")).places().unwrap(), []);
    }

    #[test]
    fn a_sparse_giant_is_refused_by_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("giant");
        File::create(&path).unwrap().set_len(1 << 32).unwrap();
        assert!(matches!(read_object(&path), Err(TrayError::TooLarge(_))));
    }
}
