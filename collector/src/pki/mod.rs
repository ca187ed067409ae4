//! The zone's certificate authorities: who may say who is who.
//!
//! ```text
//! DIR/pki/zone               the site and zone that the authorities speak for
//! DIR/pki/ca-N.crt           a zone CA, newest N in use; the certificate of its root may follow
//! DIR/pki/ca-N.key           its key, mode 0600
//! DIR/root-to-take-away/     an offline root that was made here; belongs in a safe, not on this machine
//! ```
//! A zone CA signs leaves directly and is trusted directly. After a rotation the older ones stay
//! trusted and keep serving those who know nothing newer, until they expire (or their two files
//! are removed and the collector is started again). Revocation is not here: it is in the zone's
//! records and acts on the next call. Times are arguments; a daemon calls [`Pki::refresh`].

mod authority;
mod request;
mod serving;
pub mod token;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::credentials::{CredentialsError, new_key, pem_of_certificates, pem_of_key};
use holdpoint_common::identity::{Identity, ZoneName};
use holdpoint_common::proto::store::CertificateRecord;
use holdpoint_common::proto::v1::OperatorFiles;
use holdpoint_common::section::Digest;
use holdpoint_common::tls;
use rcgen::PublicKeyData;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use authority::Authority;
pub use request::{InvalidRequest, MAX_REQUEST, Request};
pub use serving::Serving;

/// Most zone CAs that are trusted at the same time.
pub const MAX_AUTHORITIES: usize = 8;

const PKI: &str = "pki";
const ZONE_FILE: &str = "zone";
const ROOT_DIRECTORY: &str = "root-to-take-away";
/// Most earlier roots that lie about before another one is refused.
const MAX_ROOTS: u32 = 16;

const MS_PER_DAY: i64 = 86_400_000;
/// Life of an agent's or operator's certificate: 1 year.
pub const LEAF_LIFE_MS: i64 = 365 * MS_PER_DAY;
/// Life of the collector's own certificate: 90 days, made again well before.
pub const COLLECTOR_LIFE_MS: i64 = 90 * MS_PER_DAY;
/// Life of a zone CA: 10 years.
pub const AUTHORITY_LIFE_MS: i64 = 3_652 * MS_PER_DAY;
/// Life of an offline root: 20 years.
pub const ROOT_LIFE_MS: i64 = 7_305 * MS_PER_DAY;
/// A certificate begins this long before it is made, for clocks that are a little behind.
pub const BACKDATE_MS: i64 = 3_600_000;

/// Where a new zone CA comes from.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// Signed by a root that is made here and written out to be taken away.
    NewRoot,
    /// Signed by a root that was made before; its key is used once and not kept.
    Root {
        /// PEM.
        certificate: &'a str,
        /// PEM.
        key: &'a str,
    },
    /// Made elsewhere: an intermediate of the site's own PKI.
    Brought {
        /// PEM: the intermediate, then whatever signed it.
        certificate: &'a str,
        /// PEM.
        key: &'a str,
    },
}

/// A zone CA that has just been made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founded {
    /// SHA-256 of its certificate: what tokens pin.
    pub fingerprint: Digest,
    /// End of its life, Unix milliseconds.
    pub not_after_ms: i64,
    /// The directory with a root that a person takes to a safe place and deletes here.
    pub root_to_take_away: Option<PathBuf>,
}

/// A certificate that has just been issued.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Leaf first, then its zone CA.
    pub chain: Vec<CertificateDer<'static>>,
    /// What the zone keeps of it.
    pub record: CertificateRecord,
}

/// Why the authorities cannot do something.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// There are authorities already.
    #[error("{} holds a certificate authority already: this zone is initialised", .0.display())]
    Exists(PathBuf),
    /// There is no authority.
    #[error("{} holds no certificate authority: run `holdpoint-collector init` first", .0.display())]
    Missing(PathBuf),
    /// The directory belongs to another zone.
    #[error("{} is of zone {found}, but the configuration says {expected}", path.display())]
    OtherZone {
        /// The file that says so.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What is configured.
        expected: ZoneName,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Certificate or key cannot be used as an authority.
    #[error("{what} cannot be used as a certificate authority: {why}")]
    Unusable {
        /// Which one.
        what: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No authority is valid now.
    #[error("no zone CA is valid now: check this machine's clock, then run `holdpoint-collector ca rotate`")]
    NoneValid,
    /// Too many authorities overlap.
    #[error("{MAX_AUTHORITIES} zone CAs are trusted already: remove the files of the oldest ca-N in {}", .0.display())]
    TooMany(PathBuf),
    /// A key cannot be made or written as PEM.
    #[error("cannot make a key")]
    Key(#[from] CredentialsError),
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Certificate(#[source] rcgen::Error),
    /// The collector's own certificate cannot be used for TLS.
    #[error("the collector's own certificate cannot be used")]
    Serving(#[source] rustls::Error),
    /// No randomness.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

/// The zone's authorities. Cheap to clone; every clone sees a rotation at once.
#[derive(Clone)]
pub struct Pki(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    zone: ZoneName,
    serving: RwLock<Arc<Serving>>,
    /// One rotation at a time.
    turn: Mutex<()>,
}

impl Pki {
    /// Makes the first authority of a zone in the data directory `dir`.
    ///
    /// # Errors
    /// There is one already, what was brought cannot be used, or the disk refuses.
    pub fn init(dir: &Path, zone: &ZoneName, origin: Origin<'_>, now_ms: i64) -> Result<Founded, PkiError> {
        let pki = dir.join(PKI);
        if !numbers(&pki)?.is_empty() {
            return Err(PkiError::Exists(pki));
        }
        let (authority, root) = authority::found(zone, 1, origin, now_ms)?;
        let authority = Arc::new(authority);
        // A brought-in authority may be one whose certificates nobody accepts: find out before anything is written.
        Serving::new(zone, vec![Arc::clone(&authority)], now_ms)?;
        make_private_directory(&pki)?;
        let path = pki.join(ZONE_FILE);
        atomic_file::replace(&path, zone.to_string().as_bytes(), Readable::All)
            .map_err(|source| PkiError::Write { path, source })?;
        finish(dir, &pki, &authority, root.as_ref())
    }

    /// Opens the authorities of the zone and makes the collector's own certificates.
    ///
    /// # Errors
    /// There is none for this zone, a file is damaged, or none is valid at `now_ms`.
    pub fn open(dir: &Path, zone: &ZoneName, now_ms: i64) -> Result<Self, PkiError> {
        let pki = dir.join(PKI);
        let path = pki.join(ZONE_FILE);
        let found = match fs::read_to_string(&path) {
            Ok(found) => found,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Err(PkiError::Missing(pki)),
            Err(source) => return Err(PkiError::Read { path, source }),
        };
        if found.trim() != zone.to_string() {
            return Err(PkiError::OtherZone { path, found: found.trim().to_owned(), expected: zone.clone() });
        }
        let authorities = numbers(&pki)?
            .into_iter()
            .rev()
            .take(MAX_AUTHORITIES)
            .map(|number| Authority::load(&pki, number).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        if authorities.is_empty() {
            return Err(PkiError::Missing(pki));
        }
        let serving = RwLock::new(Arc::new(Serving::new(zone, authorities, now_ms)?));
        let inner = Inner { dir: dir.to_owned(), zone: zone.clone(), serving, turn: Mutex::new(()) };
        Ok(Self(Arc::new(inner)))
    }

    /// The site and zone that the authorities speak for.
    pub fn zone(&self) -> &ZoneName {
        &self.0.zone
    }

    /// Adds a zone CA that is used from now on; the others stay trusted.
    ///
    /// # Errors
    /// The root cannot be used, too many authorities overlap, or the disk refuses; then nothing changes.
    pub fn rotate(&self, origin: Origin<'_>, now_ms: i64) -> Result<Founded, PkiError> {
        let _turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.serving();
        let pki = self.0.dir.join(PKI);
        if held.anchors().count() >= MAX_AUTHORITIES {
            return Err(PkiError::TooMany(pki));
        }
        let number = numbers(&pki)?.last().copied().unwrap_or(0).saturating_add(1);
        let (authority, root) = authority::found(&self.0.zone, number, origin, now_ms)?;
        if held.known().iter().any(|it| it.anchor.fingerprint() == authority.anchor.fingerprint()) {
            return Err(PkiError::Unusable {
                what: "the certificate".to_owned(),
                why: "it is in use already",
            });
        }
        let authority = Arc::new(authority);
        let mut authorities = vec![Arc::clone(&authority)];
        authorities.extend(held.known().iter().cloned());
        let serving = Serving::new(&self.0.zone, authorities, now_ms)?;
        let founded = finish(&self.0.dir, &pki, &authority, root.as_ref())?;
        self.replace(serving);
        Ok(founded)
    }

    /// Makes the collector's own certificates again when a third of their life is left or the clock was
    /// set, and lets go of expired authorities. Says whether anything changed.
    ///
    /// # Errors
    /// No authority is valid any more; the old certificates stay in use.
    pub fn refresh(&self, now_ms: i64) -> Result<bool, PkiError> {
        let _turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.serving();
        if held.is_fresh(now_ms) {
            return Ok(false);
        }
        self.replace(Serving::new(&self.0.zone, held.known().to_vec(), now_ms)?);
        Ok(true)
    }

    /// Issues a certificate for the key of a request; nothing else of the request counts.
    ///
    /// # Errors
    /// The newest authority is not valid at `now_ms`.
    pub fn issue(&self, identity: &Identity, request: &Request, now_ms: i64) -> Result<Issued, PkiError> {
        self.issue_for(identity, request.key(), now_ms)
    }

    /// Makes an operator's key here and issues its certificate: such an operator cannot sign decisions.
    ///
    /// # Errors
    /// As [`Pki::issue`].
    pub fn issue_with_key(
        &self,
        identity: &Identity,
        now_ms: i64,
    ) -> Result<(Issued, OperatorFiles), PkiError> {
        let key = new_key()?;
        let issued = self.issue_for(identity, &key, now_ms)?;
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let files = OperatorFiles {
            certificate_pem: pem_of_certificates(&issued.chain),
            key_pem: pem_of_key(&private).to_string(),
            ca_pem: pem_of_certificates(&self.anchors()),
        };
        Ok((issued, files))
    }

    fn issue_for(
        &self,
        identity: &Identity,
        key: &impl PublicKeyData,
        now_ms: i64,
    ) -> Result<Issued, PkiError> {
        let serving = self.serving();
        let newest = serving.newest().ok_or(PkiError::NoneValid)?;
        newest.issue(identity, key, LEAF_LIFE_MS, now_ms)
    }

    /// Every trusted zone CA, newest first.
    pub fn anchors(&self) -> Vec<CertificateDer<'static>> {
        self.serving().anchors().map(|it| it.certificate().clone()).collect()
    }

    /// Names the trusted set, as a check-in does.
    pub fn anchors_digest(&self) -> [u8; 8] {
        tls::anchors_digest(&self.anchors())
    }

    /// SHA-256 of the zone CA in use: what a new token pins, and what renewed certificates are issued by.
    pub fn fingerprint(&self) -> Result<Digest, PkiError> {
        let serving = self.serving();
        serving.newest().map(|it| it.anchor.fingerprint()).ok_or(PkiError::NoneValid)
    }

    /// What connections are judged and answered with now.
    pub fn serving(&self) -> Arc<Serving> {
        Arc::clone(&self.0.serving.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, serving: Serving) {
        *self.0.serving.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(serving);
    }
}

impl fmt::Debug for Pki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pki({})", self.0.zone)
    }
}

/// Writes a new authority, its root first: an authority whose root was lost could not be succeeded.
fn finish(
    dir: &Path,
    pki: &Path,
    authority: &Authority,
    root: Option<&authority::Root>,
) -> Result<Founded, PkiError> {
    let root_to_take_away = root.map(|it| write_root(dir, it)).transpose()?;
    authority.save(pki)?;
    Ok(Founded {
        fingerprint: authority.anchor.fingerprint(),
        not_after_ms: authority.anchor.not_after_ms(),
        root_to_take_away,
    })
}

fn write_root(dir: &Path, root: &authority::Root) -> Result<PathBuf, PkiError> {
    let free = (1..=MAX_ROOTS)
        .map(|it| match it {
            1 => dir.join(ROOT_DIRECTORY),
            n => dir.join(format!("{ROOT_DIRECTORY}-{n}")),
        })
        .find(|it| !it.exists());
    let path = free.ok_or_else(|| PkiError::Exists(dir.join(ROOT_DIRECTORY)))?;
    make_private_directory(&path)?;
    let write = |name: &str, text: &str, readable| {
        let path = path.join(name);
        atomic_file::replace(&path, text.as_bytes(), readable)
            .map_err(|source| PkiError::Write { path, source })
    };
    write("root.key", &root.key_pem, Readable::Owner)?;
    write("root.crt", &root.certificate_pem, Readable::All)?;
    Ok(path)
}

fn make_private_directory(path: &Path) -> Result<(), PkiError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| PkiError::Write { path: path.to_owned(), source })
}

/// The numbers of the authorities in a directory, ascending.
fn numbers(pki: &Path) -> Result<Vec<u32>, PkiError> {
    let read = |source| PkiError::Read { path: pki.to_owned(), source };
    let entries = match fs::read_dir(pki) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(read(source)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(read)?.file_name();
        let number: Option<u32> =
            name.to_str().and_then(|it| it.strip_prefix("ca-")?.strip_suffix(".crt")?.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests;
