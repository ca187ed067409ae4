//! The thread that keeps the outbox going, and the way in for whoever asks it something.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use holdpoint_common::chain::Chain;

use super::office::{Carried, Office, OutboxError, Settings, Show};
use crate::carrier::drop::{Medium, Written};
use crate::carrier::tray;
use crate::summary::Sources;

/// How long an office that failed is left alone: at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// Carriers have room again within this time, and nobody says so.
const LOOK: Duration = Duration::from_millis(500);

/// The outbox of a running collector.
#[derive(Debug)]
pub struct Outbox {
    settings: Settings,
    sources: Sources,
    office: Mutex<Desk>,
    stopping: Mutex<bool>,
    stop: Condvar,
}

#[derive(Debug, Default)]
struct Desk {
    office: Option<Office>,
    /// Why there is none.
    fault: Option<String>,
}

/// Nothing can be asked of the outbox now.
#[derive(Debug, thiserror::Error)]
pub enum NotNow {
    /// It is not open.
    #[error("the outbox does not work at this moment: {0}")]
    Closed(String),
    /// What was asked failed.
    #[error(transparent)]
    Failed(#[from] OutboxError),
    /// The medium.
    #[error("cannot write the medium {}", path.display())]
    Medium {
        /// Where.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

/// What was written on a medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnMedium {
    /// The files.
    pub written: Written,
    /// The numbers of the bundles, first and last; none when there is no bundle.
    pub numbers: Option<(u64, u64)>,
    /// Different slices among them, and of how many.
    pub slices: (usize, u16),
}

/// A thread that keeps an outbox going until it is told to stop.
#[derive(Debug)]
pub struct Running {
    outbox: Arc<Outbox>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system starts none.
    pub fn start(settings: Settings, sources: Sources) -> io::Result<Self> {
        let outbox = Arc::new(Outbox {
            settings,
            sources,
            office: Mutex::default(),
            stopping: Mutex::default(),
            stop: Condvar::new(),
        });
        let own = Arc::clone(&outbox);
        let thread = thread::Builder::new().name("outbox".to_owned()).spawn(move || own.run())?;
        Ok(Self { outbox, thread: Some(thread) })
    }

    /// The outbox.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Stops after the step in hand. Blocks.
    pub fn stop(mut self) {
        self.outbox.tell_to_stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the outbox's thread ended in a panic");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.outbox.tell_to_stop();
    }
}

impl Outbox {
    fn tell_to_stop(&self) {
        *lock(&self.stopping) = true;
        self.stop.notify_all();
    }

    fn run(&self) {
        let mut again = AGAIN.0;
        loop {
            let rest = match self.step() {
                Ok(rest) => {
                    again = AGAIN.0;
                    rest.min(LOOK)
                }
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "the outbox is taken up again from what is kept");
                    let rest = again;
                    again = (again * 2).min(AGAIN.1);
                    rest
                }
            };
            let stopping = lock(&self.stopping);
            let waited = self.stop.wait_timeout_while(stopping, rest, |stopping| !*stopping);
            if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                return;
            }
        }
    }

    fn step(&self) -> Result<Duration, OutboxError> {
        let mut desk = lock(&self.office);
        let outcome = desk.step(self);
        if let Err(error) = &outcome {
            *desk = Desk { office: None, fault: Some(Chain(error).to_string()) };
        }
        outcome
    }

    pub(super) fn ask<T>(
        &self,
        ask: impl FnOnce(&mut Office, i64) -> Result<T, OutboxError>,
    ) -> Result<T, NotNow> {
        let mut desk = lock(&self.office);
        let fault = || desk.fault.clone().unwrap_or_else(|| "it is being taken up".to_owned());
        let fault = fault();
        let office = desk.office.as_mut().ok_or(NotNow::Closed(fault))?;
        let outcome = ask(office, self.sources.zone.now_ms());
        if let Err(error) = &outcome {
            *desk = Desk { office: None, fault: Some(Chain(error).to_string()) };
        }
        Ok(outcome?)
    }

    /// What a person may know of it.
    ///
    /// # Errors
    /// It does not work at this moment.
    pub fn show(&self) -> Result<(String, Show), NotNow> {
        self.ask(|office, _| Ok((office.stream().to_string(), office.show())))
    }

    /// What leaves.
    pub fn policy(&self) -> &crate::summary::Policy {
        &self.settings.policy
    }

    /// Lets the next key follow; gives its place.
    ///
    /// # Errors
    /// It does not work at this moment, or the key cannot be brought.
    pub fn rotate(&self) -> Result<u64, NotNow> {
        self.ask(Office::rotate)
    }

    /// Writes a medium: everything that waits, and the rest of the last cycle.
    ///
    /// # Errors
    /// It does not work at this moment, or the medium refuses.
    pub fn carry(&self, path: &Path) -> Result<OnMedium, NotNow> {
        let refused = |source| NotNow::Medium { path: path.to_owned(), source };
        let now_ms = self.sources.zone.now_ms();
        let Carried { stream, epoch, statements, bundles, beacon, slices } = self.ask(Office::carry)?;
        let mut medium = Medium::begin(path, &stream, now_ms).map_err(refused)?;
        for (number, statement) in (1_u32..).zip(&statements) {
            medium.file(&format!("statement-{number}.bundle"), "statement", statement).map_err(refused)?;
        }
        for (place, file) in &bundles {
            // Its cycle may be over by now; then the next one has said it again.
            let Ok(bytes) = tray::read_object(file) else { continue };
            let what = place.slice.map_or_else(|| "bundle".to_owned(), |it| format!("slice {it}"));
            medium.bundle(epoch, place.sequence, &what, &bytes).map_err(refused)?;
        }
        medium.file("beacon.bundle", "beacon", &beacon).map_err(refused)?;
        let numbers = bundles.first().zip(bundles.last()).map(|(a, b)| (a.0.sequence, b.0.sequence));
        let (from, to) = numbers.unwrap_or_default();
        let head = format!(
            "Holdpoint medium: what zone {} says, written {}\n\
             stream  {stream}\nepoch   {epoch}\nnumbers {from} to {to}\ncycle   {} of {} slices\n\n\
             Nothing is to be believed for this text: `holdpoint-collector site ingest` checks each file.\n",
            stream.zone,
            holdpoint_common::clock::readable(now_ms),
            slices.0,
            slices.1,
        );
        let written = medium.end(&head).map_err(refused)?;
        Ok(OnMedium { written, numbers, slices })
    }
}

impl Desk {
    fn step(&mut self, outbox: &Outbox) -> Result<Duration, OutboxError> {
        let office = match &mut self.office {
            Some(office) => office,
            None => self.office.insert(Office::open(outbox.settings.clone(), outbox.sources.clone())?),
        };
        self.fault = None;
        Ok(Duration::from_millis(office.step(outbox.sources.zone.now_ms())?))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
