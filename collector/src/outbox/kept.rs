//! The sealed bundles of the last cycle: what is written on a medium, so that each medium carries everything.
//!
//! ```text
//! DIR/outbox/kept/SEQUENCE-INTERVAL-SLICE.bundle     hex; slice ffff where it is none
//! ```
//! A bundle is kept from when it is sealed until its cycle is over, one interval longer than needed. What is
//! kept is bounded in bytes too; the oldest go first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use holdpoint_common::atomic_file::{self, Readable};

const NO_SLICE: u16 = u16::MAX;

/// One kept bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number.
    pub sequence: u64,
    /// The interval in which it was sealed.
    pub interval: u64,
    /// The slice that it is.
    pub slice: Option<u16>,
    bytes: u64,
}

/// The bundles of the last cycle.
#[derive(Debug)]
pub struct Kept {
    dir: PathBuf,
    places: BTreeMap<u64, Place>,
    max_bytes: u64,
    bytes: u64,
}

impl Kept {
    /// Takes up what is there. A new incarnation begins with nothing: `of_it` says whether this is still the same.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(dir: &Path, max_bytes: u64, of_it: bool) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut kept = Self { dir: dir.to_owned(), places: BTreeMap::new(), max_bytes, bytes: 0 };
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let place = name.to_str().and_then(|it| parse(it, entry.metadata().ok()?.len()));
            match place {
                Some(place) if of_it => {
                    kept.bytes = kept.bytes.saturating_add(place.bytes);
                    kept.places.insert(place.sequence, place);
                }
                Some(_) | None => fs::remove_file(entry.path())?,
            }
        }
        Ok(kept)
    }

    /// Keeps a bundle.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn put(&mut self, sequence: u64, interval: u64, slice: Option<u16>, bundle: &[u8]) -> io::Result<()> {
        let bytes = u64::try_from(bundle.len()).unwrap_or(u64::MAX);
        let place = Place { sequence, interval, slice, bytes };
        atomic_file::replace(&self.path(&place), bundle, Readable::Owner)?;
        self.places.insert(sequence, place);
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Lets go of what is older than a cycle, and of the oldest when there is too much.
    pub fn trim(&mut self, coming: u64, slices: u16) {
        let oldest = coming.saturating_sub(u64::from(slices).saturating_add(1));
        while let Some((&sequence, place)) = self.places.first_key_value() {
            if place.interval >= oldest && self.bytes <= self.max_bytes {
                return;
            }
            let path = self.path(place);
            self.bytes = self.bytes.saturating_sub(place.bytes);
            self.places.remove(&sequence);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(%error, path = %path.display(), "an old bundle cannot be removed");
            }
        }
    }

    /// What is kept, in order of the numbers.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.places.values().copied()
    }

    /// How many different slices are among them.
    pub fn slices(&self) -> usize {
        self.places.values().filter_map(|it| it.slice).collect::<BTreeSet<_>>().len()
    }

    /// Where its bytes are.
    pub fn path(&self, place: &Place) -> PathBuf {
        let Place { sequence, interval, slice, .. } = place;
        self.dir.join(format!("{sequence:016x}-{interval:016x}-{:04x}.bundle", slice.unwrap_or(NO_SLICE)))
    }
}

fn parse(name: &str, bytes: u64) -> Option<Place> {
    let mut parts = name.strip_suffix(".bundle")?.split('-');
    let sequence = u64::from_str_radix(parts.next()?, 16).ok()?;
    let interval = u64::from_str_radix(parts.next()?, 16).ok()?;
    let slice = u16::from_str_radix(parts.next()?, 16).ok()?;
    parts.next().is_none().then_some(Place {
        sequence,
        interval,
        slice: (slice != NO_SLICE).then_some(slice),
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_kept_and_taken_up_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(dir.path(), 1_000, true).unwrap();
        for interval in 0..10_u64 {
            let slice = u16::try_from(interval % 4).ok();
            kept.put(interval * 2 + 1, interval, None, b"delta").unwrap();
            kept.put(interval * 2 + 2, interval, slice, b"slice").unwrap();
            kept.trim(interval + 1, 4);
        }
        assert_eq!(kept.slices(), 4);
        let numbers = |kept: &Kept| kept.places().map(|it| it.sequence).collect::<Vec<_>>();
        assert_eq!(numbers(&kept), (11..=20).collect::<Vec<_>>());
        let again = Kept::open(dir.path(), 1_000, true).unwrap();
        assert_eq!(numbers(&again), numbers(&kept));
        let last = again.places().last().unwrap();
        assert_eq!((fs::read(again.path(&last)).unwrap(), last.slice), (b"slice".to_vec(), Some(1)));
        assert_eq!(
            numbers(&Kept::open(dir.path(), 1_000, false).unwrap()),
            [0_u64; 0],
            "of another incarnation"
        );
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(dir.path(), 12, true).unwrap();
        for sequence in 1..=4 {
            kept.put(sequence, 0, None, b"bytes").unwrap();
        }
        kept.trim(1, 60);
        assert_eq!(kept.places().map(|it| it.sequence).collect::<Vec<_>>(), [3, 4]);
    }
}
