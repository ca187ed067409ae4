//! What a sender empties: one tray, or all that lie in a folder, in turn.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use holdpoint_common::identity::Name;

use crate::carrier::tray::{Emptier, Place, TrayError};

/// Where objects are taken from.
#[derive(Debug, Clone)]
pub struct Trays(Kind);

#[derive(Debug, Clone)]
enum Kind {
    One(PathBuf),
    Below(PathBuf),
}

/// Where one object lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    tray: PathBuf,
    place: Place,
}

impl Spot {
    /// The object; `None` when somebody else took it.
    pub(super) fn read(&self) -> Result<Option<Vec<u8>>, TrayError> {
        Emptier::new(&self.tray).read(&self.place)
    }

    /// Takes it away.
    pub(super) fn remove(&self) -> Result<(), TrayError> {
        Emptier::new(&self.tray).remove(&self.place)
    }
}

impl Trays {
    /// One tray.
    pub fn one(path: &Path) -> Self {
        Self(Kind::One(path.to_owned()))
    }

    /// Each folder below this one whose name is that of a zone. Folders may come and go.
    pub fn below(path: &Path) -> Self {
        Self(Kind::Below(path.to_owned()))
    }

    /// All that lies there: oldest first in each tray, and the trays in turn, so that a zone with much to say
    /// does not keep the others waiting.
    pub(super) fn spots(&self) -> Result<VecDeque<Spot>, TrayError> {
        let mut all = Vec::new();
        for (number, tray) in self.folders()?.into_iter().enumerate() {
            for (turn, place) in Emptier::new(&tray).places()?.into_iter().enumerate() {
                all.push((turn, number, Spot { tray: tray.clone(), place }));
            }
        }
        all.sort_by_key(|it| (it.0, it.1));
        Ok(all.into_iter().map(|it| it.2).collect())
    }

    fn folders(&self) -> Result<Vec<PathBuf>, TrayError> {
        match &self.0 {
            Kind::One(path) => Ok(vec![path.clone()]),
            Kind::Below(path) => {
                let failed = |source| TrayError::File { doing: "read", path: path.clone(), source };
                if !path.exists() {
                    return Ok(Vec::new());
                }
                let mut folders = Vec::new();
                for entry in std::fs::read_dir(path).map_err(failed)? {
                    let entry = entry.map_err(failed)?;
                    let is_zone = entry.file_name().to_str().is_some_and(|it| it.parse::<Name>().is_ok());
                    // No link is followed.
                    if is_zone && entry.file_type().map_err(failed)?.is_dir() {
                        folders.push(entry.path());
                    }
                }
                folders.sort();
                Ok(folders)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::tray::{Filler, Limits};

    #[test]
    fn zones_come_in_turn_and_each_in_its_order() {
        let dir = tempfile::tempdir().unwrap();
        for (zone, objects) in [("line-1", ["a", "b", "c"].as_slice()), ("line-2", &["x"])] {
            let mut filler = Filler::open(&dir.path().join(zone), Limits::default()).unwrap();
            for it in objects {
                filler.put(it.as_bytes()).unwrap();
            }
        }
        std::fs::create_dir(dir.path().join("Not A Zone")).unwrap();
        let read = |trays: &Trays| {
            let spots = trays.spots().unwrap();
            spots.iter().map(|it| String::from_utf8(it.read().unwrap().unwrap()).unwrap()).collect::<String>()
        };
        assert_eq!(read(&Trays::below(dir.path())), "axbc");
        assert_eq!(read(&Trays::one(&dir.path().join("line-1"))), "abc");
        assert!(Trays::below(&dir.path().join("none")).spots().unwrap().is_empty());
    }
}
