//! A zone's enrolment: the file by which a relay or a site comes to believe what a zone signs.
//!
//! ```toml
//! site = "plant"
//! zone = "line-1"
//! collector = "5f0c..."       the stream: name of the collector's first key, hex
//! algorithm = "ES256"         of the root of the zone
//! root = "04..."              its public key, hex
//! statement = "..."           a statement about the collector's key that the root certified, base64
//! ```
//! It is public, and whoever brings it decides what is believed: so its [`Enrolment::fingerprint`] is compared on
//! paper with the one that the zone shows.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::bundle::{Algorithm, Keyring, Line, MAX_STATEMENT, NotAccepted, PublicKey, Stream};
use holdpoint_common::identity::ZoneName;
use holdpoint_common::section::Digest;
use serde::{Deserialize, Serialize};

use super::{ConduitError, read};

/// How the name of such a file ends.
pub const ENDING: &str = ".zone";

const PURPOSE: &[u8] = b"holdpoint zone enrolment 1\0";

/// What is to be believed of a zone from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// Which zone.
    pub zone: ZoneName,
    /// The key that has the last word about the zone's streams.
    pub root: PublicKey,
    /// The root's word about the collector's key, as `Line::found` takes it.
    pub statement: Vec<u8>,
}

/// Why a file is no enrolment.
#[derive(Debug, thiserror::Error)]
pub enum InvalidEnrolment {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] ConduitError),
    /// Not TOML, a missing or unknown key, a value of another type.
    #[error("{} is not valid", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value has another form.
    #[error("`{key}` of {} is not what it is to be", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
    },
    /// The statement does not count.
    #[error("the statement in {} does not count", path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NotAccepted,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    site: String,
    zone: String,
    collector: String,
    algorithm: String,
    root: String,
    statement: String,
}

impl Enrolment {
    /// Reads a file. What it returns is whole: [`Self::line`] works.
    ///
    /// # Errors
    /// It is no enrolment, or its statement is not the root's.
    pub fn read(path: &Path) -> Result<Self, InvalidEnrolment> {
        let bytes = read(path)?;
        let value = |key| InvalidEnrolment::Value { path: path.to_owned(), key };
        let text = std::str::from_utf8(&bytes).map_err(|_| value("text"))?;
        let written: Written = toml::from_str(text)
            .map_err(|source| InvalidEnrolment::Parse { path: path.to_owned(), source: Box::new(source) })?;
        let zone = ZoneName {
            site: written.site.parse().map_err(|_| value("site"))?,
            zone: written.zone.parse().map_err(|_| value("zone"))?,
        };
        let algorithm = [Algorithm::Es256, Algorithm::Ed25519]
            .into_iter()
            .find(|it| name_of(*it) == written.algorithm)
            .ok_or_else(|| value("algorithm"))?;
        let root = HEXLOWER.decode(written.root.as_bytes()).map_err(|_| value("root"))?;
        let root = PublicKey::new(algorithm, &root).map_err(|_| value("root"))?;
        let statement = BASE64.decode(written.statement.as_bytes()).map_err(|_| value("statement"))?;
        if statement.len() > MAX_STATEMENT {
            return Err(value("statement"));
        }
        let read = Self { zone, root, statement };
        let stream =
            read.stream().map_err(|source| InvalidEnrolment::Statement { path: path.to_owned(), source })?;
        if HEXLOWER.encode(stream.collector.as_bytes()) != written.collector {
            return Err(value("collector"));
        }
        Ok(read)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The statement is not the root's, or the file system refuses.
    pub fn write(&self, path: &Path) -> Result<(), InvalidEnrolment> {
        let stream =
            self.stream().map_err(|source| InvalidEnrolment::Statement { path: path.to_owned(), source })?;
        let fingerprint = self.fingerprint();
        let mut text =
            format!("# Enrolment of a zone. Public. Compare with what the zone shows:\n# {fingerprint}\n\n");
        for (key, value) in [
            ("site", self.zone.site.as_str()),
            ("zone", self.zone.zone.as_str()),
            ("collector", &HEXLOWER.encode(stream.collector.as_bytes())),
            ("algorithm", name_of(self.root.algorithm())),
            ("root", &HEXLOWER.encode(self.root.as_bytes())),
            ("statement", &BASE64.encode(&self.statement)),
        ] {
            // None of these values has a character that TOML would escape.
            let _ = writeln!(text, "{key} = \"{value}\"");
        }
        atomic_file::replace(path, text.as_bytes(), Readable::All)
            .map_err(|source| InvalidEnrolment::File(ConduitError::Write { path: path.to_owned(), source }))
    }

    /// What two people compare: SHA-256 over what the file says, as sixteen groups of four hex digits.
    pub fn fingerprint(&self) -> String {
        let Self { zone, root, statement } = self;
        let mut content = PURPOSE.to_vec();
        for part in [
            zone.site.as_str().as_bytes(),
            zone.zone.as_str().as_bytes(),
            &root.algorithm().cose().to_be_bytes(),
            root.as_bytes(),
            statement,
        ] {
            content.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            content.extend(part);
        }
        let hex = Digest::of(&content).to_string();
        let groups: Vec<_> = hex.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
        groups.join(" ")
    }

    /// The line of the collector's keys, at its beginning.
    ///
    /// # Errors
    /// The statement is not the root's, or about another zone.
    pub fn line(&self) -> Result<Line, NotAccepted> {
        Line::found(&self.zone, &self.root, &self.statement)
    }

    /// The keys that count at the beginning.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn keyring(&self) -> Result<Keyring, NotAccepted> {
        let mut keyring = Keyring::default();
        keyring.follow(&self.line()?);
        Ok(keyring)
    }

    /// The one stream that is enrolled.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn stream(&self) -> Result<Stream, NotAccepted> {
        self.line().map(|it| it.current().stream.clone())
    }
}

fn name_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Ed25519 => "Ed25519",
        Algorithm::Es256 => "ES256",
    }
}
