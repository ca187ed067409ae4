//! The conduit's own certificate authority, and what its parties hold.
//!
//! ```text
//! DIR of the authority   conduit-ca.crt, conduit-ca.key (0600), issued/          kept offline
//! DIR of a party         conduit.key (0600), conduit.crt, conduit-ca.crt, revoked
//! ```
//! A key is made where it is used and never leaves: what travels is a [`request`], a file that says whom it is
//! for, and the certificate that answers it. The authority signs what a person looked at; nothing about it is
//! online, so a certificate lives for years and is ended by its fingerprint in the file `revoked`, which is read
//! at every connection.
//!
//! Who somebody is says the one URI in the certificate ([`Party`]). Host names and addresses in it are for
//! other tools: nothing here looks at them, because plants renumber.
//!
//! Enrolment of a zone ([`Enrolment`]) is another matter than its certificate: the certificate opens a
//! connection, and what is sent through it is believed for its signature alone.

pub mod args;
mod authority;
mod credentials;
mod enrolment;
mod leaf;
mod request;
pub mod tls;
pub mod verbs;

use std::io;
use std::path::{Path, PathBuf};

pub use authority::{Authority, DEFAULT_LIFE_DAYS};
pub use credentials::{
    CA_FILE, CERTIFICATE_FILE, Credentials, KEY_FILE, REVOKED_FILE, Revoked, install, save_request,
};
pub use enrolment::{ENDING as ENROLMENT_ENDING, Enrolment, InvalidEnrolment};
pub use holdpoint_common::conduit::Party;
pub use leaf::{InvalidLeaf, PartyLeaf};
pub use request::{InvalidRequest, MAX_NAMES, MAX_REQUEST, Requested, request};

/// Largest certificate, key or enrolment file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Why the conduit's files are not made or used.
#[derive(Debug, thiserror::Error)]
pub enum ConduitError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// There is something already that would be replaced.
    #[error("{} is there already and is not replaced", .0.display())]
    Exists(PathBuf),
    /// A file holds something else.
    #[error("{} {why}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A request that is not signed.
    #[error("{} is refused", path.display())]
    Request {
        /// The file.
        path: PathBuf,
        /// Why.
        source: InvalidRequest,
    },
    /// The request is of another site than the authority.
    #[error("the request is for {party}, and this authority is of the site {site}")]
    OtherSite {
        /// Who asks.
        party: Box<Party>,
        /// Whose authority it is.
        site: String,
    },
    /// A certificate that is nobody's here.
    #[error("the certificate {} is refused", path.display())]
    Leaf {
        /// The file.
        path: PathBuf,
        /// Why.
        source: InvalidLeaf,
    },
    /// The authority's life is over, or has not begun by this clock.
    #[error("the conduit CA is not valid now: check this machine's clock")]
    NotNow,
    /// A name or address that no certificate can carry.
    #[error("`{0}` is neither a host name nor an address")]
    Name(String),
    /// The library could not make a key or certificate.
    #[error("a key or certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    /// No random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// TLS does not take what is held.
    #[error("the certificate and its key cannot be used")]
    Tls(#[source] rustls::Error),
}

fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, ConduitError> {
    use std::io::Read as _;
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes))
        .map_err(|source| ConduitError::Read { path: path.to_owned(), source })?;
    Ok(bytes)
}

fn write(
    path: &Path,
    bytes: &[u8],
    readable: holdpoint_common::atomic_file::Readable,
) -> Result<(), ConduitError> {
    holdpoint_common::atomic_file::replace(path, bytes, readable)
        .map_err(|source| ConduitError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
