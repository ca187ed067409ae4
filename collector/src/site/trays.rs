//! Emptying the trays: what carriers brought is taken, made durable, and only then removed.
//!
//! ```text
//! DIR/inbox/relay  DIR/inbox/diode  DIR/inbox/drop  ...    each filled by its carrier
//! ```
//! Each round takes an equal share of every tray, so that a flood through one holds up no other, and all of a
//! round is one transaction. The same bundle from several trays is one bundle and some duplicates.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::keeper::Keeper;
use crate::carrier::tray::{Emptier, Place, TrayError};

/// The folder of the trays.
pub const INBOX: &str = "inbox";
/// Most objects of a round.
const MAX_OBJECTS: usize = 256;
/// Most bytes of a round, but for one object that is larger.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// From one round to the next, when the first was not full: what comes meanwhile is one transaction.
const PAUSE: Duration = Duration::from_millis(50);
/// The same when nothing came for a while.
const IDLE: Duration = Duration::from_millis(250);
/// So many rounds without an object are a while.
const IDLE_ROUNDS: u32 = 20;
/// After the disk has said no.
const BACK_OFF: Duration = Duration::from_secs(2);
/// Between two looks for what only time brings.
const LOOK: Duration = Duration::from_secs(5);

/// Why a tray is not emptied.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// The folder of the trays.
    #[error("cannot read {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A tray.
    #[error("a tray cannot be emptied")]
    Tray(#[from] TrayError),
}

/// An object of a round, with where it lies.
struct Lying {
    tray: Emptier,
    place: Place,
    object: Vec<u8>,
}

/// Empties the trays until told to stop. For a thread of its own.
pub fn run(data: &Path, keeper: &Keeper, stop: &Arc<AtomicBool>) {
    let inbox = data.join(INBOX);
    let (mut looked, mut empty) = (Instant::now(), 0_u32);
    while !stop.load(Ordering::Relaxed) {
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            if let Err(cause) = keeper.look() {
                tell(&cause);
            }
        }
        let taken = match round(&inbox, keeper, stop) {
            Ok(taken) => taken,
            Err(cause) => {
                tell(&cause);
                wait(BACK_OFF, stop);
                continue;
            }
        };
        empty = if taken == 0 { empty.saturating_add(1) } else { 0 };
        if taken < MAX_OBJECTS {
            wait(if empty > IDLE_ROUNDS { IDLE } else { PAUSE }, stop);
        }
    }
    if let Err(cause) = keeper.flush() {
        tell(&cause);
    }
}

/// Takes what lies there, at most a round of it. Gives how many objects it took away.
///
/// # Errors
/// A tray cannot be read. What was taken before counts and is removed.
pub fn round(inbox: &Path, keeper: &Keeper, stop: &AtomicBool) -> Result<usize, InboxError> {
    let lying = gather(inbox)?;
    if lying.is_empty() {
        return Ok(0);
    }
    let (taken, outcome) = keeper.take(lying.iter().map(|it| it.object.as_slice()));
    if let Err(cause) = &outcome {
        tell(cause);
    }
    // It is in memory now and may be told to people: it is tried until it is written or the process ends, and
    // then the objects lie there still.
    while let Err(cause) = keeper.flush() {
        tell(&cause);
        wait(BACK_OFF, stop);
        if stop.load(Ordering::Relaxed) {
            return Ok(0);
        }
    }
    for Lying { tray, place, .. } in lying.iter().take(taken.len()) {
        tray.remove(place)?;
    }
    if outcome.is_err() {
        wait(BACK_OFF, stop);
    }
    Ok(taken.len())
}

/// An equal share of each tray, oldest first.
fn gather(inbox: &Path) -> Result<Vec<Lying>, InboxError> {
    let mut trays: Vec<_> = Vec::new();
    for path in folders(inbox)? {
        let tray = Emptier::new(&path);
        let places = tray.places()?.into_iter();
        trays.push((tray, places));
    }
    let (mut lying, mut bytes) = (Vec::new(), 0_usize);
    while !trays.is_empty() {
        let mut next = Vec::new();
        for (tray, mut places) in trays {
            let Some(place) = places.next() else { continue };
            if let Some(object) = read(&tray, &place)? {
                if !lying.is_empty() && bytes.saturating_add(object.len()) > MAX_BYTES {
                    return Ok(lying);
                }
                bytes = bytes.saturating_add(object.len());
                lying.push(Lying { tray: tray.clone(), place, object });
                if lying.len() >= MAX_OBJECTS {
                    return Ok(lying);
                }
            }
            next.push((tray, places));
        }
        trays = next;
    }
    Ok(lying)
}

/// What is no object is removed: a tray is a folder of this program, and nothing else will ever be of use in it.
fn read(tray: &Emptier, place: &Place) -> Result<Option<Vec<u8>>, TrayError> {
    let why = match tray.read(place) {
        Err(cause @ TrayError::TooLarge(_)) => cause,
        Err(cause @ TrayError::File { .. }) if is_no_object(&cause) => cause,
        other => return other,
    };
    tracing::warn!(error = &why as &dyn std::error::Error, "removed from a tray");
    tray.remove(place)?;
    Ok(None)
}

/// A link or a pipe, not a disk that fails.
fn is_no_object(cause: &TrayError) -> bool {
    let TrayError::File { path, .. } = cause else { return false };
    fs::symlink_metadata(path).is_ok_and(|it| !it.is_file())
}

fn folders(inbox: &Path) -> Result<Vec<PathBuf>, InboxError> {
    let failed = |source| InboxError::Folder { path: inbox.to_owned(), source };
    let entries = match fs::read_dir(inbox) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

fn tell(cause: &(dyn std::error::Error + 'static)) {
    tracing::error!(error = cause, "nothing is taken from the trays");
}

/// Waits, but not beyond a stop.
fn wait(time: Duration, stop: &AtomicBool) {
    let until = Instant::now() + time;
    while !stop.load(Ordering::Relaxed) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(PAUSE));
    }
}
