//! One scan as a file that a person carries to the collector: see [`holdpoint_common::one_shot`].
//!
//! A signed one is numbered with the reports of the agent that signs it, so that the collector can tell
//! which is newer. The number is on disk before the file is; one that could not be written leaves a gap,
//! which harms nobody. Nothing here depends on the operating system.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use holdpoint_common::clock::{Clock, SystemClock, readable};
use holdpoint_common::credentials::{Credentials, CredentialsError, KEY_FILE};
use holdpoint_common::identity::Identity;
use holdpoint_common::one_shot::{Contents, WriteError, write};
use holdpoint_common::proto::v1::{SectionBody, SectionPart};
use holdpoint_common::section::Section;
use tracing::warn;

use crate::enrol;
use crate::host::Host;
use crate::link::key;
use crate::link::seen::Seen;
use crate::link::state::{State, StateError};
use crate::scan::Snapshot;

/// Who signs: an enrolled agent whose state directory nobody else uses meanwhile.
#[derive(Debug)]
pub struct Signer {
    state: State,
    credentials: Credentials,
}

/// Why there is no one-shot.
#[derive(Debug, thiserror::Error)]
pub enum OneShotError {
    /// Whether this host is enrolled cannot be seen.
    #[error("cannot read {}: use the account that the agent runs as, or --unsigned", path.display())]
    Look {
        /// The key.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The state directory cannot be used.
    #[error("this host's identity cannot sign now; --unsigned writes a file that nobody signs")]
    State(#[from] StateError),
    /// The identity cannot be used.
    #[error("this host's identity cannot be used: enrol it again, or use --unsigned")]
    Credentials(#[from] CredentialsError),
    /// The file cannot be made.
    #[error("the one-shot cannot be made")]
    Write(#[from] WriteError),
}

impl Signer {
    /// Opens the identity in a state directory; `None` when there is none, which is not an error. An identity
    /// that is there and cannot be used is one: the file would be worth less than it seems.
    ///
    /// # Errors
    /// It cannot be read, or an agent uses it.
    pub fn open(dir: &Path) -> Result<Option<Self>, OneShotError> {
        let path = dir.join(KEY_FILE);
        match fs::metadata(&path) {
            Ok(_) => {}
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(OneShotError::Look { path, source }),
        }
        let credentials = key::load(dir)?;
        Ok(Some(Self { state: State::open(dir)?, credentials }))
    }

    /// As whom it signs.
    pub fn identity(&self) -> &Identity {
        &self.credentials.identity
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        self.state.dir()
    }

    /// Says what the collector will say, while somebody is here who can do something about it.
    fn warn_of_expiry(&self, now_ms: i64) {
        if let Ok(leaf) = self.credentials.leaf()
            && now_ms > leaf.not_after_ms
        {
            let ended = readable(leaf.not_after_ms);
            warn!(ended, "the certificate has expired: the file proves no more than an unsigned one");
        }
    }
}

/// A one-shot that is not on disk yet.
#[derive(Debug)]
pub struct Made {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its number among the agent's reports; `None` when it is unsigned.
    pub sequence: Option<u64>,
}

/// Makes the file of a scan.
///
/// # Errors
/// The next sequence cannot be written, the key does not sign, or the scan is too large for a file.
pub fn make(snapshot: Snapshot, host: &Host, signer: Option<&mut Signer>) -> Result<Made, OneShotError> {
    let now_ms = SystemClock.now_ms();
    let contents = Contents {
        host: enrol::facts(&snapshot.identity(), host),
        host_time_ms: now_ms,
        sections: snapshot.sections.into_iter().map(part).collect(),
    };
    let Some(signer) = signer else { return Ok(Made { bytes: write(contents, None)?, sequence: None }) };
    signer.warn_of_expiry(now_ms);
    let sequence = signer.state.next_sequence()?;
    let bytes = write(contents, Some((&signer.credentials, sequence)))?;
    Ok(Made { bytes, sequence: Some(sequence) })
}

fn part(section: Section) -> SectionPart {
    let Seen { kind, status, reasons, digest, packed } = Seen::pack(section);
    SectionPart {
        kind: kind.into(),
        status: status.into(),
        reasons,
        digest: digest.to_vec(),
        body: SectionBody::Full.into(),
        base: Vec::new(),
        payload_bytes: u32::try_from(packed.len()).unwrap_or(u32::MAX),
        payload: packed,
    }
}

#[cfg(test)]
#[path = "one_shot_tests.rs"]
mod tests;
