//! The sections that the collector acknowledged last, as bases of the next deltas.
//!
//! ```text
//! held/NAME   digest (32 bytes), packed rows
//! ```
//! A cache: a file that is missing, damaged or over its limit costs one whole section on the
//! wire and nothing else. Digests are checked when rows are read, never trusted.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::row::{REPORTED, SectionKind, section_name};
use holdpoint_common::section::{Digest, Rows};

use super::seen::{MAX_PACKED, Seen};

const DIRECTORY: &str = "held";
const DIGEST_BYTES: usize = 32;

/// All files together stay below this: every section at its limit.
pub const MAX_TOTAL: usize = REPORTED.len() * (MAX_PACKED + DIGEST_BYTES);

/// What the collector held when it last answered.
#[derive(Debug)]
pub struct Held {
    dir: PathBuf,
    digests: BTreeMap<i32, Digest>,
}

impl Held {
    /// Reads which sections are there.
    pub fn open(state: &Path) -> Self {
        let mut held = Self { dir: state.join(DIRECTORY), digests: BTreeMap::new() };
        for kind in REPORTED {
            if let Some((digest, _)) = held.read(kind) {
                held.digests.insert(kind.into(), digest);
            }
        }
        held
    }

    /// Digest of the section that was acknowledged last.
    pub fn digest(&self, kind: SectionKind) -> Option<Digest> {
        self.digests.get(&kind.into()).copied()
    }

    /// Its rows, when they are those of that digest.
    pub fn rows(&self, kind: SectionKind, digest: Digest) -> Option<Rows> {
        let (said, packed) = self.read(kind)?;
        let rows = Rows::unpack(&packed).ok()?;
        (said == digest && rows.digest() == digest).then_some(rows)
    }

    /// Keeps a section that the collector acknowledged.
    ///
    /// # Errors
    /// It cannot be written; the next change then travels whole.
    pub fn keep(&mut self, seen: &Seen) -> io::Result<()> {
        if self.digest(seen.kind) == Some(seen.digest) {
            return Ok(());
        }
        self.digests.remove(&seen.kind.into());
        fs::create_dir_all(&self.dir)?;
        let bytes = [seen.digest.as_bytes().as_slice(), &seen.packed].concat();
        atomic_file::replace(&self.path(seen.kind), &bytes, Readable::Agent)?;
        self.digests.insert(seen.kind.into(), seen.digest);
        Ok(())
    }

    /// Forgets everything: another collector holds nothing.
    ///
    /// # Errors
    /// The files cannot be removed.
    pub fn clear(state: &Path) -> io::Result<()> {
        match fs::remove_dir_all(state.join(DIRECTORY)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
            _ => Ok(()),
        }
    }

    fn read(&self, kind: SectionKind) -> Option<(Digest, Vec<u8>)> {
        let path = self.path(kind);
        let size = usize::try_from(fs::metadata(&path).ok()?.len()).ok()?;
        if size > DIGEST_BYTES + MAX_PACKED {
            return None;
        }
        let mut bytes = fs::read(path).ok()?;
        let digest = Digest::try_from(bytes.get(..DIGEST_BYTES)?).ok()?;
        bytes.drain(..DIGEST_BYTES);
        Some((digest, bytes))
    }

    fn path(&self, kind: SectionKind) -> PathBuf {
        self.dir.join(section_name(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdpoint_common::proto::v1::SectionStatus;
    use holdpoint_common::section::Section;

    fn seen(text: &str) -> Seen {
        let rows = Rows::from_encoded(vec![text.as_bytes().to_vec()]);
        Seen::pack(Section::new(SectionKind::Software, SectionStatus::Complete, vec![], rows))
    }

    #[test]
    fn what_was_acknowledged_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (seen("old"), seen("new"));
        let mut held = Held::open(dir.path());
        held.keep(&old).unwrap();
        held.keep(&new).unwrap();
        let held = Held::open(dir.path());
        assert_eq!(held.digest(SectionKind::Software), Some(new.digest));
        assert_eq!(held.rows(SectionKind::Software, new.digest), Some(new.rows()));
        assert_eq!(held.rows(SectionKind::Software, old.digest), None);
        assert_eq!(held.digest(SectionKind::Accounts), None);
        Held::clear(dir.path()).unwrap();
        assert_eq!(Held::open(dir.path()).digest(SectionKind::Software), None);
    }

    #[test]
    fn a_damaged_file_is_never_a_base() {
        let dir = tempfile::tempdir().unwrap();
        let seen = seen("rows");
        Held::open(dir.path()).keep(&seen).unwrap();
        let path = dir.path().join("held/software");
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(Held::open(dir.path()).rows(SectionKind::Software, seen.digest), None, "{cut}");
        }
        fs::write(&path, vec![0; DIGEST_BYTES + MAX_PACKED + 1]).unwrap();
        assert_eq!(Held::open(dir.path()).digest(SectionKind::Software), None);
    }

    #[test]
    fn the_cache_leaves_room_for_everything_else() {
        const STATE: usize = 16 * 1024 * 1024;
        const { assert!(MAX_TOTAL + super::super::journal::MAX_BYTES < STATE) };
    }
}
