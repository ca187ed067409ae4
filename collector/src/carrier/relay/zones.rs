//! Whom a relay believes: zones by their enrolment, and their keys as these follow each other.
//!
//! ```text
//! zones/line-1.zone        the enrolment, brought by a person; taken up and given up while the relay runs
//! zones/state/line-1.keys  key statements that were accepted since, oldest first: 4 bytes of length, statement
//! ```
//! Statements travel bare and are the only thing that a relay reads whole. A file of them that does not fit its
//! enrolment any more is begun anew.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::bundle::{
    Checked, Content, InvalidBundle, KeyId, Keyring, Line, MAX_STATEMENT, News, NotAccepted, claim,
};
use holdpoint_common::identity::{Name, ZoneName};

use crate::conduit::{ENROLMENT_ENDING, Enrolment, InvalidEnrolment};

/// Folder of what was learned.
const STATE: &str = "state";
const KEYS: &str = ".keys";
/// Largest file of statements that is read, in bytes.
const MAX_KEYS: u64 = 1024 * 1024;
/// Most zones of one relay.
const MAX_ZONES: usize = 1_024;

/// Why the folder of zones cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ZonesError {
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

/// What a relay thinks of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Believed {
    /// It is by a key of this zone.
    Yes,
    /// It is signed by a key that nobody here knows: a statement about it may come.
    UnknownKey(KeyId),
    /// It is not one that counts, and why.
    No(String),
}

/// All zones that are enrolled.
#[derive(Debug)]
pub struct Zones {
    path: PathBuf,
    site: Name,
    /// What the folder looked like when it was read.
    seen: BTreeMap<PathBuf, Option<SystemTime>>,
    zones: BTreeMap<Name, Zone>,
}

#[derive(Debug)]
struct Zone {
    enrolment: Enrolment,
    line: Line,
    keyring: Arc<Keyring>,
    /// What made the line what it is, after the enrolment.
    statements: Vec<Vec<u8>>,
}

impl Zones {
    /// Reads a folder, made when it is missing. Files that are no enrolment are told in the log and left out.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(path: &Path, site: &Name) -> Result<Self, ZonesError> {
        let state = path.join(STATE);
        fs::create_dir_all(&state).map_err(failed("make", &state))?;
        let mut zones =
            Self { path: path.to_owned(), site: site.clone(), seen: BTreeMap::new(), zones: BTreeMap::new() };
        zones.look()?;
        Ok(zones)
    }

    /// Takes up and gives up what changed in the folder; whether anything did.
    ///
    /// # Errors
    /// The folder cannot be read; what was known then stays.
    pub fn look(&mut self) -> Result<bool, ZonesError> {
        let found = self.files()?;
        if found == self.seen {
            return Ok(false);
        }
        let mut zones = BTreeMap::new();
        for path in found.keys() {
            match Enrolment::read(path) {
                Ok(it) if it.zone.site == self.site => {
                    let name = it.zone.zone.clone();
                    // One that did not change keeps what it learned, also what could not be written down.
                    let zone = match self.zones.remove(&name) {
                        Some(known) if known.enrolment == it => Some(known),
                        Some(_) | None => self.begin(it),
                    };
                    if let Some(zone) = zone
                        && zones.insert(name.clone(), zone).is_some()
                    {
                        tracing::warn!(zone = %name, "two files enrol this zone: neither is believed");
                        zones.remove(&name);
                    }
                }
                Ok(it) => tracing::warn!(zone = %it.zone, "this zone is of another site and is not believed"),
                Err(cause) => not_enrolled(path, &cause),
            }
        }
        (self.zones, self.seen) = (zones, found);
        tracing::info!(zones = self.zones.len(), "enrolled");
        Ok(true)
    }

    /// The zones, by name.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.zones.keys()
    }

    /// Whether a zone is enrolled.
    pub fn knows(&self, zone: &ZoneName) -> bool {
        zone.site == self.site && self.zones.contains_key(&zone.zone)
    }

    /// Judges an object that a zone sent, as far as a relay judges: whose it is, and nothing of what it says.
    /// The zones are not kept from others while a signature is checked.
    ///
    /// A key statement that counts is kept first, so that a restart does not forget it.
    pub fn judge(zones: &Mutex<Self>, from: &ZoneName, object: &[u8]) -> Believed {
        let locked = || zones.lock().unwrap_or_else(PoisonError::into_inner);
        let stranger = || Believed::No(format!("{from} is not enrolled here"));
        match claim(object) {
            Ok((Content::Certified, _)) => {
                let mut zones = locked();
                let state = zones.path.join(STATE);
                let is_ours = from.site == zones.site;
                let zone = zones.zones.get_mut(&from.zone).filter(|_| is_ours);
                zone.map_or_else(stranger, |it| it.follow(&state, object))
            }
            Ok((Content::Bundle, _)) => {
                let Some(keys) = locked().keys(from) else { return stranger() };
                match Checked::read(object, &keys) {
                    Ok(_) => Believed::Yes,
                    Err(InvalidBundle::UnknownKey(key)) => Believed::UnknownKey(key),
                    Err(other) => Believed::No(other.to_string()),
                }
            }
            Ok((Content::Statement, _)) => Believed::No("it is a statement that nobody certified".to_owned()),
            Err(other) => Believed::No(other.to_string()),
        }
    }

    /// The keys of a zone that count now.
    pub fn keys(&self, zone: &ZoneName) -> Option<Arc<Keyring>> {
        let found = self.zones.get(&zone.zone).filter(|_| zone.site == self.site);
        found.map(|it| Arc::clone(&it.keyring))
    }

    /// The line of a zone with what was learned before.
    fn begin(&self, enrolment: Enrolment) -> Option<Zone> {
        let line = match enrolment.line() {
            Ok(line) => line,
            Err(cause) => {
                tracing::warn!(zone = %enrolment.zone, reason = %cause, "its statement does not count");
                return None;
            }
        };
        let mut zone = Zone { enrolment, line, keyring: Arc::default(), statements: Vec::new() };
        let path = zone.file(&self.path.join(STATE));
        for statement in split(&read(&path)) {
            if let Err(cause) = zone.line.accept(statement) {
                tracing::warn!(
                    path = %path.display(),
                    reason = %cause,
                    "a statement that was kept does not count any more"
                );
                break;
            }
            zone.statements.push(statement.to_vec());
        }
        Arc::make_mut(&mut zone.keyring).follow(&zone.line);
        Some(zone)
    }

    fn files(&self) -> Result<BTreeMap<PathBuf, Option<SystemTime>>, ZonesError> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&self.path).map_err(failed("read", &self.path))? {
            let entry = entry.map_err(failed("read", &self.path))?;
            let is_enrolment = entry.file_name().to_str().is_some_and(|it| it.ends_with(ENROLMENT_ENDING));
            if is_enrolment && files.len() < MAX_ZONES {
                let changed = entry.metadata().and_then(|it| it.modified()).ok();
                files.insert(entry.path(), changed);
            }
        }
        Ok(files)
    }
}

impl Zone {
    fn follow(&mut self, state: &Path, statement: &[u8]) -> Believed {
        if statement.len() > MAX_STATEMENT {
            return Believed::No("it is too long for a key statement".to_owned());
        }
        let mut line = self.line.clone();
        let news = match line.accept(statement) {
            Ok(news) => news,
            Err(NotAccepted::Missing(key)) => return Believed::UnknownKey(key),
            Err(other) => return Believed::No(other.to_string()),
        };
        let mut statements = match news {
            News::Known => return Believed::Yes,
            News::Followed => self.statements.clone(),
            // The root's word needs nothing that was said before it.
            News::Recertified => Vec::new(),
        };
        statements.push(statement.to_vec());
        let path = self.file(state);
        let kept = atomic_file::replace(&path, &join(&statements), Readable::All);
        if let Err(cause) = kept {
            // It counts, and comes again: only a restart before that would have to wait for it.
            tracing::warn!(path = %path.display(), error = &cause as &dyn std::error::Error, "not written");
        }
        tracing::info!(
            zone = %self.enrolment.zone,
            key = %line.current().key.id(),
            ?news,
            "a key statement counts from now on"
        );
        (self.line, self.statements) = (line, statements);
        Arc::make_mut(&mut self.keyring).follow(&self.line);
        Believed::Yes
    }

    fn file(&self, state: &Path) -> PathBuf {
        state.join(format!("{}{KEYS}", self.enrolment.zone.zone))
    }
}

fn not_enrolled(path: &Path, cause: &InvalidEnrolment) {
    tracing::warn!(
        path = %path.display(),
        error = cause as &dyn std::error::Error,
        "this file enrols nobody"
    );
}

fn read(path: &Path) -> Vec<u8> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    match fs::File::open(path).and_then(|it| it.take(MAX_KEYS).read_to_end(&mut bytes)) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), error = &cause as &dyn std::error::Error, "not read");
        }
        Ok(_) | Err(_) => {}
    }
    bytes
}

fn join(statements: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for statement in statements {
        bytes.extend(u32::try_from(statement.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(statement);
    }
    bytes
}

/// The statements up to the first that is cut off.
fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut statements = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((statement, rest)) = rest.split_at_checked(length) else { break };
        statements.push(statement);
        bytes = rest;
    }
    statements
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ZonesError + use<> {
    let path = path.to_owned();
    move |source| ZonesError::File { doing, path, source }
}
