//! Objects that cannot be verified, kept until their key is known or there is no room: the oldest go first.

use std::path::Path;

use crate::carrier::tray::{Emptier, Filler, Limits, Place, TrayError};

/// Most that is kept. What is under attack is full of the attacker's objects anyway.
pub const LIMITS: Limits = Limits { bytes: 100_000_000, objects: 10_000 };

/// Of what is kept, so much goes at once when there is no room: one part in ten. Else who floods a full quarantine
/// would have the whole folder looked through for each of his objects.
const PART: usize = 10;

/// The folder of such objects.
#[derive(Debug)]
pub struct Quarantine {
    filler: Filler,
    emptier: Emptier,
}

impl Quarantine {
    /// Takes up the folder, made when it is missing.
    ///
    /// # Errors
    /// It cannot be made or read.
    pub fn open(path: &Path) -> Result<Self, TrayError> {
        Ok(Self { filler: Filler::open(path, LIMITS)?, emptier: Emptier::new(path) })
    }

    /// Keeps an object. When this returns it is durable.
    ///
    /// # Errors
    /// The disk said no, or it is larger than all that is kept.
    pub fn keep(&mut self, object: &[u8]) -> Result<(), TrayError> {
        loop {
            match self.filler.put(object) {
                Ok(_) => return Ok(()),
                Err(full @ TrayError::Full { .. }) => {
                    let places = self.emptier.places()?;
                    if places.is_empty() {
                        return Err(full);
                    }
                    for oldest in places.iter().take(places.len() / PART + 1) {
                        self.emptier.remove(oldest)?;
                    }
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// What is kept, oldest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn places(&self) -> Result<Vec<Place>, TrayError> {
        self.emptier.places()
    }

    /// The bytes of an object; `None` when it is gone.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, place: &Place) -> Result<Option<Vec<u8>>, TrayError> {
        self.emptier.read(place)
    }

    /// Lets an object go.
    ///
    /// # Errors
    /// The disk said no.
    pub fn remove(&self, place: &Place) -> Result<(), TrayError> {
        self.emptier.remove(place)
    }

    /// How many objects are kept, and how many bytes they have.
    pub fn depth(&self) -> (usize, u64) {
        self.filler.depth()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut quarantine = Quarantine::open(dir.path()).unwrap();
        let large = |byte: u8| vec![byte; 40_000_000];
        for byte in 0..4 {
            quarantine.keep(&large(byte)).unwrap();
        }
        let places = quarantine.places().unwrap();
        assert_eq!(places.len(), 2);
        assert_eq!(quarantine.read(&places[0]).unwrap(), Some(large(2)));
        quarantine.keep(&large(3)).unwrap();
        assert_eq!(quarantine.places().unwrap().len(), 2, "it is kept already");
    }

    #[test]
    fn a_flood_makes_room_for_many_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let small = Limits { bytes: 1_000, objects: 100 };
        let filler = Filler::open(dir.path(), small).unwrap();
        let mut quarantine = Quarantine { filler, emptier: Emptier::new(dir.path()) };
        for number in 0..=100_u8 {
            quarantine.keep(&[number]).unwrap();
        }
        let places = quarantine.places().unwrap();
        assert_eq!(places.len(), 90);
        assert_eq!(quarantine.read(&places[0]).unwrap(), Some(vec![11]));
    }
}
