//! Where relays and zones lay down what they deliver: a tray for each of them, so that none fills another's.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdpoint_common::conduit::Party;

use super::trays::INBOX;
use crate::carrier::relay::{Sink, Took};
use crate::carrier::tray::{Filler, Limits, TrayError};

/// What may lie in the tray of one party: a day of the largest zone, and its backlog.
const LIMITS: Limits = Limits { bytes: 1_000_000_000, objects: 100_000 };

/// The trays that the port of the conduit fills.
pub struct Doorstep {
    inbox: PathBuf,
    trays: Mutex<BTreeMap<Party, Filler>>,
}

impl fmt::Debug for Doorstep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorstep").field("inbox", &self.inbox).finish_non_exhaustive()
    }
}

impl Doorstep {
    /// Fills trays below a site's directory.
    pub fn new(data: &Path) -> Self {
        Self { inbox: data.join(INBOX), trays: Mutex::default() }
    }

    fn with_tray<T>(
        &self,
        from: &Party,
        work: impl FnOnce(&mut Filler) -> Result<T, TrayError>,
    ) -> Result<T, TrayError> {
        let mut trays: MutexGuard<'_, _> = self.trays.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filler) = trays.get_mut(from) {
            return work(filler);
        }
        // Made of checked names alone.
        let mut filler = Filler::open(&self.inbox.join(from.file_stem()), LIMITS)?;
        let done = work(&mut filler);
        trays.insert(from.clone(), filler);
        done
    }
}

impl Sink for Doorstep {
    /// Whoever the conduit's CA named and delivers to a site: what he brings is believed for its signature alone.
    fn admits(&self, party: &Party) -> bool {
        matches!(party, Party::Relay { .. } | Party::Collector(_))
    }

    fn has_room(&self, from: &Party, bytes: u64) -> bool {
        self.with_tray(from, |it| it.has_room_for(bytes)).unwrap_or(false)
    }

    fn take(&self, from: &Party, object: Vec<u8>) -> Took {
        match self.with_tray(from, |it| it.put(&object)) {
            Ok(_) => Took::Kept,
            Err(TrayError::TooLarge(_)) => Took::Refused,
            Err(cause @ (TrayError::Full { .. } | TrayError::File { .. })) => {
                tracing::warn!(%from, error = &cause as &dyn std::error::Error, "no room for what is delivered");
                Took::NoRoom
            }
        }
    }
}
