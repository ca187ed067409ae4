//! What ingest does with an object: says whose it is, and lays it down for every site as it came.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use holdpoint_common::conduit::Party;
use holdpoint_common::identity::{Name, ZoneName};

use super::listen::{Sink, Took};
use super::zones::{Believed, Zones, ZonesError};
use crate::carrier::tray::{Filler, Limits, TrayError};

/// What may lie in quarantine: 100 MB, 10,000 objects.
const QUARANTINE: Limits = Limits { bytes: 100_000_000, objects: 10_000 };

/// Why ingest cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The folder of zones.
    #[error(transparent)]
    Zones(#[from] ZonesError),
    /// A tray.
    #[error(transparent)]
    Tray(#[from] TrayError),
}

/// How much may lie in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Of one zone for one site.
    pub tray: Limits,
    /// Of all zones for all sites, bytes.
    pub total: u64,
    /// Free space of the disk that is left alone, bytes.
    pub keep_free: u64,
}

/// What happened since the start.
#[derive(Debug, Default)]
pub struct Tally {
    /// Objects that count, of all zones.
    pub believed: AtomicU64,
    /// Objects of keys that are not known.
    pub unknown_keys: AtomicU64,
    /// Objects that do not count.
    pub refused: AtomicU64,
    /// Objects that one site's tray had no room for while another's had.
    pub passed_over: AtomicU64,
}

/// By site and zone.
type Fillers = BTreeMap<(Name, Name), Arc<Mutex<Filler>>>;

/// The relay's [`Sink`].
///
/// A site whose tray is full does not hold up the others: it misses objects, which is counted, and heals by
/// repetition. Only when no tray has room is a zone told to come back.
#[derive(Debug)]
pub struct Desk {
    spool: PathBuf,
    bounds: Bounds,
    destinations: Vec<Name>,
    zones: Mutex<Zones>,
    trays: Mutex<Fillers>,
    quarantine: Mutex<Filler>,
    tally: Tally,
}

impl Desk {
    /// Opens the folders of a relay.
    ///
    /// # Errors
    /// A folder cannot be made or read.
    pub fn open(data: &Path, site: &Name, destinations: &[Name], bounds: Bounds) -> Result<Self, DeskError> {
        let desk = Self {
            spool: spool(data),
            bounds,
            destinations: destinations.to_vec(),
            zones: Mutex::new(Zones::open(&data.join("zones"), site)?),
            trays: Mutex::default(),
            quarantine: Mutex::new(Filler::open(&data.join("quarantine"), QUARANTINE)?),
            tally: Tally::default(),
        };
        for destination in &desk.destinations {
            let folder = tray(&desk.spool, destination);
            make_for_group(&folder).map_err(|source| TrayError::File {
                doing: "make",
                path: folder,
                source,
            })?;
        }
        let names: Vec<_> = locked(&desk.zones).names().cloned().collect();
        // Opened now, so that a folder that cannot be written is told at the start.
        for zone in &names {
            for destination in &desk.destinations {
                desk.with_tray(destination, zone, |_| Ok(()))?;
            }
        }
        Ok(desk)
    }

    /// What happened since the start.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn with_tray<T>(
        &self,
        destination: &Name,
        zone: &Name,
        work: impl FnOnce(&mut Filler) -> Result<T, TrayError>,
    ) -> Result<T, TrayError> {
        let filler = {
            let mut trays = locked(&self.trays);
            let key = (destination.clone(), zone.clone());
            match trays.get(&key) {
                Some(known) => Arc::clone(known),
                None => {
                    let path = tray(&self.spool, destination).join(zone.as_str());
                    let opened = Arc::new(Mutex::new(Filler::open(&path, self.bounds.tray)?));
                    trays.insert(key, Arc::clone(&opened));
                    opened
                }
            }
        };
        // One zone that writes does not keep the others waiting.
        let mut filler = locked(&filler);
        work(&mut filler)
    }

    /// Whether all trays together, and the disk, have room for so many bytes more for each site.
    fn has_room_in_all(&self, bytes: u64) -> bool {
        let more = bytes.saturating_mul(u64::try_from(self.destinations.len()).unwrap_or(u64::MAX));
        let fits = |lying: u64| lying.saturating_add(more) <= self.bounds.total;
        let trays: Vec<_> = locked(&self.trays).values().cloned().collect();
        let lying = || trays.iter().map(|it| locked(it).depth().1).sum::<u64>();
        if !fits(lying()) {
            // What was emptied meanwhile is seen when a tray is looked at.
            for tray in &trays {
                let _ = locked(tray).has_room_for(u64::MAX);
            }
        }
        let free = free(&self.spool);
        fits(lying()) && free.is_none_or(|it| it.saturating_sub(more) >= self.bounds.keep_free)
    }

    /// Lays an object down for every site; whether one of them has it.
    fn lay_down(&self, zone: &Name, object: &[u8]) -> bool {
        let mut taken = 0_usize;
        for destination in &self.destinations {
            match self.with_tray(destination, zone, |it| it.put(object)) {
                Ok(_) => taken += 1,
                Err(cause) => {
                    let count = self.tally.passed_over.fetch_add(1, Ordering::Relaxed) + 1;
                    if count.is_power_of_two() {
                        tracing::warn!(%destination, %zone, reason = %cause, count, "an object was passed over");
                    }
                }
            }
        }
        taken > 0
    }

    fn keep_aside(&self, zone: &ZoneName, object: &[u8], why: &dyn std::fmt::Display) {
        let count = self.tally.unknown_keys.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(%zone, reason = %why, count, "objects of an unknown key are not passed on");
        }
        // A full quarantine has seen enough.
        let _ = locked(&self.quarantine).put(object);
    }
}

impl Sink for Desk {
    fn admits(&self, party: &Party) -> bool {
        let Party::Collector(zone) = party else { return false };
        let mut zones = locked(&self.zones);
        if let Err(cause) = zones.look() {
            tracing::warn!(error = &cause as &dyn std::error::Error, "enrolments cannot be read again");
        }
        zones.knows(zone)
    }

    fn has_room(&self, from: &Party, bytes: u64) -> bool {
        let Party::Collector(zone) = from else { return false };
        let has_room =
            |it: &Name| self.with_tray(it, &zone.zone, |tray| tray.has_room_for(bytes)).unwrap_or(false);
        self.has_room_in_all(bytes) && self.destinations.iter().any(has_room)
    }

    fn take(&self, from: &Party, object: Vec<u8>) -> Took {
        let Party::Collector(zone) = from else { return Took::Refused };
        match Zones::judge(&self.zones, zone, &object) {
            Believed::Yes => {
                if !self.lay_down(&zone.zone, &object) {
                    return Took::NoRoom;
                }
                self.tally.believed.fetch_add(1, Ordering::Relaxed);
                Took::Kept
            }
            Believed::UnknownKey(key) => {
                self.keep_aside(zone, &object, &key);
                Took::Refused
            }
            Believed::No(why) => {
                let count = self.tally.refused.fetch_add(1, Ordering::Relaxed) + 1;
                if count.is_power_of_two() {
                    tracing::warn!(%zone, reason = %why, count, "objects that do not count are not passed on");
                }
                Took::Refused
            }
        }
    }
}

/// Makes a folder in which the other process of the relay may look and change nothing: it empties the trays below
/// and puts none in the place of another.
fn make_for_group(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o750))?;
    }
    Ok(())
}

/// Free bytes for this process; `None` when the system does not say.
fn free(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(path).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// The folder that the two processes share.
pub(super) fn spool(data: &Path) -> PathBuf {
    data.join("spool")
}

/// The folder of one site's trays.
pub(super) fn tray(spool: &Path, destination: &Name) -> PathBuf {
    spool.join(destination.as_str())
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
