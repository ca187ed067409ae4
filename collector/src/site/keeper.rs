//! The fleet with its store and its quarantine: what is taken here is durable before anybody is told.
//!
//! One writes at a time; people read meanwhile. When the disk says no, what was taken stays in memory and is
//! tried again: nothing more is taken, and no object leaves its tray, until it is written.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use holdpoint_common::clock::Clock;
use holdpoint_common::identity::Name;

use super::fleet::{ActError, Examined, Fleet, LoadError, Settings, Taken};
use super::quarantine::Quarantine;
use super::ruling::Ruling;
use super::shelf::Changes;
use crate::carrier::tray::TrayError;
use crate::store::{Class, Store, StoreError, Txn, Volume};

/// The folder of objects that cannot be verified.
pub const QUARANTINE: &str = "quarantine";

/// Why the fleet does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The store does not write or read.
    #[error("what is known of the zones cannot be written")]
    Store(#[from] StoreError),
    /// A page.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The quarantine.
    #[error("the quarantine cannot be used")]
    Quarantine(#[from] TrayError),
    /// It is not to be done.
    #[error(transparent)]
    Act(#[from] ActError),
}

/// The fleet, durable.
#[derive(Debug)]
pub struct Keeper {
    fleet: RwLock<Fleet>,
    writing: Mutex<Quarantine>,
    store: Store,
    clock: Arc<dyn Clock>,
    /// Why nothing is taken now.
    stopped: Mutex<Option<String>>,
}

impl Keeper {
    /// Takes up what was written.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    pub fn open(
        data: &Path,
        site: Name,
        settings: Settings,
        store: Store,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeeperError> {
        let fleet = Fleet::load(site, settings, &store)?;
        let quarantine = Quarantine::open(&data.join(QUARANTINE))?;
        Ok(Self {
            fleet: RwLock::new(fleet),
            writing: Mutex::new(quarantine),
            store,
            clock,
            stopped: Mutex::new(None),
        })
    }

    /// Takes objects in their order, and gives what became of them: of the first ones only, when the disk says
    /// no before the others. They count when [`Keeper::flush`] returns.
    pub fn take<'a>(&self, objects: impl Iterator<Item = &'a [u8]>) -> (Vec<Taken>, Result<(), KeeperError>) {
        let mut quarantine = self.writing();
        let (mut taken, mut others) = (Vec::new(), false);
        for object in objects {
            let now_ms = self.clock.now_ms();
            let examined = self.fleet().examine(object, now_ms);
            // Set aside before it is counted, so that it is counted once.
            if let Examined::Refused(refused) = &examined
                && refused.is_kept()
                && let Err(cause) = quarantine.keep(object)
            {
                return (taken, Err(cause.into()));
            }
            let (one, changed) = self.fleet_mut().take(object, examined, now_ms);
            tell(&one);
            others |= changed;
            taken.push(one);
        }
        let released = if others { self.release(&mut quarantine).map(|_| ()) } else { Ok(()) };
        (taken, released)
    }

    /// Makes everything durable that was taken or done.
    ///
    /// # Errors
    /// The store does not write. It is tried again with the next call.
    pub fn flush(&self) -> Result<(), KeeperError> {
        let quarantine = self.writing();
        let outcome = self.write(Class::Report);
        drop(quarantine);
        let stopped = outcome.as_ref().err().map(ToString::to_string);
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = stopped;
        outcome
    }

    /// Only who holds the quarantine may call this: one writes at a time.
    fn write(&self, class: Class) -> Result<(), KeeperError> {
        let changes = {
            let mut fleet = self.fleet_mut();
            fleet.collect(&self.store)?;
            fleet.hand_over()
        };
        if changes.is_empty() {
            return Ok(());
        }
        match self.store.commit_blocking(transaction(&changes, class)) {
            Ok(_) => Ok(()),
            Err(cause) => {
                self.fleet_mut().take_back(changes);
                Err(cause.into())
            }
        }
    }

    /// Takes what lies in quarantine and can be verified by now. Gives how many objects these were.
    fn release(&self, quarantine: &mut Quarantine) -> Result<u64, KeeperError> {
        let mut released = 0_u64;
        // A statement among them may make others readable, so until nothing more changes.
        loop {
            let mut again = false;
            for place in quarantine.places()? {
                let Some(object) = quarantine.read(&place)? else { continue };
                let now_ms = self.clock.now_ms();
                let examined = self.fleet().examine(&object, now_ms);
                if matches!(&examined, Examined::Refused(it) if it.is_kept()) {
                    continue;
                }
                let (one, changed) = self.fleet_mut().take(&object, examined, now_ms);
                tell(&one);
                again |= changed;
                released = released.saturating_add(1);
                self.write(Class::Report)?;
                quarantine.remove(&place)?;
            }
            if !again {
                return Ok(released);
            }
        }
    }

    /// Does what a person decided, and then takes what can be verified by now; durable when this returns. Gives
    /// also how many objects these were.
    ///
    /// # Errors
    /// It is not to be done, or cannot be written; then it counts as soon as it can.
    pub fn act<T>(
        &self,
        act: impl FnOnce(&mut Fleet, i64) -> Result<T, ActError>,
    ) -> Result<(T, u64), KeeperError> {
        let mut quarantine = self.writing();
        let done = act(&mut self.fleet_mut(), self.clock.now_ms())?;
        self.write(Class::Admin)?;
        let released = self.release(&mut quarantine)?;
        Ok((done, released))
    }

    /// Raises and ends the alarms that only time brings, and writes them.
    ///
    /// # Errors
    /// The store does not write.
    pub fn look(&self) -> Result<(), KeeperError> {
        let now_ms = self.clock.now_ms();
        self.fleet_mut().look(now_ms);
        self.flush()
    }

    /// The fleet, to be asked.
    pub fn fleet(&self) -> RwLockReadGuard<'_, Fleet> {
        self.fleet.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where its pages are.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The site's time.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// How many objects lie in quarantine, and how many bytes they have.
    pub fn quarantined(&self) -> (usize, u64) {
        self.writing().depth()
    }

    /// Why nothing is taken now; `None` when all is well.
    pub fn stopped(&self) -> Option<String> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fleet_mut(&self) -> RwLockWriteGuard<'_, Fleet> {
        self.fleet.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, Quarantine> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When space runs short, what lies in the trays can wait, and what a person decides goes on for a while.
fn transaction(changes: &Changes, class: Class) -> Txn {
    let begun = match class {
        Class::Report => Txn::report(),
        Class::Admin => Txn::admin(),
    };
    changes.iter().fold(begun, |txn, (key, page)| match page {
        Some(page) => txn.put_page(Volume::Fleet, key.clone(), page.clone()),
        None => txn.delete_page(Volume::Fleet, key.clone()),
    })
}

/// Tells the log what somebody should look at.
fn tell(taken: &Taken) {
    match taken {
        Taken::Ruled { zone, sequence, ruling } => match ruling {
            Ruling::Fork => tracing::error!(%zone, sequence, "two bundles have the same place"),
            Ruling::Stranger | Ruling::Ended | Ruling::Held => {
                tracing::warn!(%zone, sequence, ruling = ruling.as_str(), "bundle is not believed");
            }
            Ruling::Accepted
            | Ruling::Late
            | Ruling::Duplicate
            | Ruling::Beacon
            | Ruling::OldBeacon
            | Ruling::Old
            | Ruling::Frozen
            | Ruling::Elsewhere => {
                tracing::debug!(%zone, sequence, ruling = ruling.as_str(), "bundle taken");
            }
        },
        Taken::Heard { zone, heard } => tracing::info!(%zone, ?heard, "statement about keys"),
        Taken::Refused(refused) => {
            let zone = refused.zone.as_ref().map(tracing::field::display);
            tracing::warn!(zone, why = %refused.why, "object refused");
        }
    }
}
