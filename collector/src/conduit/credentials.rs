//! What a party holds on disk, and whom it believes no more.

use std::fmt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER_PERMISSIVE;
use holdpoint_common::atomic_file::Readable;
use holdpoint_common::conduit::Party;
use holdpoint_common::credentials::{certificates, pem_of_certificates};
use holdpoint_common::section::Digest;
use holdpoint_common::tls::{Anchor, Purpose};
use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::leaf::PartyLeaf;
use super::{ConduitError, read, request, write};

/// Name of the file with the private key.
pub const KEY_FILE: &str = "conduit.key";
/// Name of the file with the certificate.
pub const CERTIFICATE_FILE: &str = "conduit.crt";
/// Name of the file with the authority's certificate; during a change of authority, with both.
pub const CA_FILE: &str = "conduit-ca.crt";
/// Name of the file with the fingerprints of certificates that count no more.
pub const REVOKED_FILE: &str = "revoked";

/// A key, the certificate that names its owner, and whom the owner believes.
pub struct Credentials {
    /// Who this is.
    pub party: Party,
    /// The certificate alone: everybody on the conduit holds the authority's.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the certificate.
    pub key: PrivateKeyDer<'static>,
    /// Authorities that are trusted.
    pub ca: Vec<Anchor>,
    /// What the certificate says: its dates above all.
    pub leaf: PartyLeaf,
    /// Whom this party believes no more.
    pub revoked: Revoked,
}

impl Clone for Credentials {
    fn clone(&self) -> Self {
        Self {
            party: self.party.clone(),
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            ca: self.ca.clone(),
            leaf: self.leaf.clone(),
            revoked: self.revoked.clone(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.party)
    }
}

impl Credentials {
    /// Reads what lies in a directory.
    ///
    /// # Errors
    /// A file is missing, or the certificate is not one of this key and this authority.
    pub fn load(dir: &Path) -> Result<Self, ConduitError> {
        let (key_path, path, ca_path) = (dir.join(KEY_FILE), dir.join(CERTIFICATE_FILE), dir.join(CA_FILE));
        let unusable = |path: &Path, why| ConduitError::Unusable { path: path.to_owned(), why };
        let key = PrivateKeyDer::from_pem_slice(&read(&key_path)?)
            .map_err(|_| unusable(&key_path, "holds no PEM key"))?;
        let mut ca = Vec::new();
        for certificate in pem(&ca_path)? {
            ca.push(
                Anchor::new(certificate)
                    .map_err(|_| unusable(&ca_path, "holds no authority's certificate"))?,
            );
        }
        if ca.is_empty() {
            return Err(unusable(&ca_path, "holds no PEM certificate"));
        }
        let certificate =
            pem(&path)?.into_iter().next().ok_or_else(|| unusable(&path, "holds no PEM certificate"))?;
        let leaf = PartyLeaf::read(&certificate)
            .map_err(|source| ConduitError::Leaf { path: path.clone(), source })?;
        if KeyPair::try_from(&key).map_or(true, |it| it.subject_public_key_info() != leaf.public_key) {
            return Err(unusable(&path, "is not for the key beside it"));
        }
        let is_by = |it: &Anchor| {
            [Purpose::Client, Purpose::Server].iter().any(|purpose| leaf.is_by(it, &certificate, *purpose))
        };
        if !ca.iter().any(is_by) {
            return Err(unusable(&path, "is not signed by the authority beside it"));
        }
        let revoked = Revoked::beside(dir);
        Ok(Self { party: leaf.party.clone(), chain: vec![certificate], key, ca, leaf, revoked })
    }
}

/// Makes a key in a directory and writes the request for its certificate beside it; returns where. A key that is
/// there stays, because a certificate may be on its way for it.
///
/// # Errors
/// There is a key already, or the files cannot be written.
pub fn save_request(
    dir: &Path,
    party: &Party,
    purposes: &[Purpose],
    names: &[String],
) -> Result<PathBuf, ConduitError> {
    let key_path = dir.join(KEY_FILE);
    if key_path.exists() {
        return Err(ConduitError::Exists(key_path));
    }
    let (key, csr) = request(party, purposes, names)?;
    std::fs::create_dir_all(dir).map_err(|source| ConduitError::Write { path: dir.to_owned(), source })?;
    write(&key_path, key.as_bytes(), Readable::Owner)?;
    let path = dir.join(format!("{}.csr", stem(party, purposes)));
    write(&path, csr.as_bytes(), Readable::All)?;
    Ok(path)
}

/// The two halves of a relay are one party, and their files are carried together.
fn stem(party: &Party, purposes: &[Purpose]) -> String {
    let half = match (party, purposes) {
        (Party::Relay { .. }, [Purpose::Server]) => "-ingest",
        (Party::Relay { .. }, [Purpose::Client]) => "-forward",
        (Party::Relay { .. } | Party::Site { .. } | Party::SiteOperator { .. } | Party::Collector(_), _) => {
            ""
        }
    };
    party.file_stem() + half
}

/// Puts a certificate and its authority beside the key that they are for.
///
/// # Errors
/// They do not belong to this key or to each other; then nothing has changed.
pub fn install(dir: &Path, certificate: &[u8], ca: &[u8]) -> Result<Credentials, ConduitError> {
    // Tried beside the real ones first, so that a mistaken file does not end what works.
    let tried = dir.join(".install");
    let failed = |source| ConduitError::Write { path: tried.clone(), source };
    let attempt = std::fs::create_dir_all(&tried).map_err(failed).and_then(|()| {
        let key: Zeroizing<Vec<u8>> = read(&dir.join(KEY_FILE))?;
        write(&tried.join(KEY_FILE), &key, Readable::Owner)?;
        write(&tried.join(CERTIFICATE_FILE), certificate, Readable::All)?;
        write(&tried.join(CA_FILE), ca, Readable::All)?;
        Credentials::load(&tried)
    });
    // It holds a copy of the key: it goes whatever came of it.
    let removed = std::fs::remove_dir_all(&tried).map_err(failed);
    let credentials = attempt?;
    removed?;
    let anchors: Vec<_> = credentials.ca.iter().map(|it| it.certificate().clone()).collect();
    write(&dir.join(CA_FILE), pem_of_certificates(&anchors).as_bytes(), Readable::All)?;
    write(&dir.join(CERTIFICATE_FILE), pem_of_certificates(&credentials.chain).as_bytes(), Readable::All)?;
    Credentials::load(dir)
}

fn pem(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConduitError> {
    let unusable = |_| ConduitError::Unusable { path: path.to_owned(), why: "holds a damaged certificate" };
    certificates(&read(path)?, path).map_err(unusable)
}

/// The file of fingerprints that count no more: a line is 64 hex digits and, behind a space, why. Read at every
/// connection, so that a line ends a party's next one.
#[derive(Debug, Clone)]
pub struct Revoked {
    path: PathBuf,
}

impl Revoked {
    /// The file `revoked` of a directory. Without it nobody is revoked.
    pub fn beside(dir: &Path) -> Self {
        Self { path: dir.join(REVOKED_FILE) }
    }

    /// Whether a certificate counts no more. A file that cannot be read or understood revokes everybody: a
    /// mistyped line must not let somebody in.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is no fingerprint.
    pub fn holds(&self, fingerprint: &Digest) -> Result<bool, ConduitError> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(ConduitError::Read { path: self.path.clone(), source }),
        };
        let mut held = false;
        for line in text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#')) {
            let hex: String = line.split_whitespace().next().unwrap_or_default().replace(':', "");
            let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok();
            let listed = bytes.and_then(|it| <[u8; 32]>::try_from(it).ok()).ok_or_else(|| {
                ConduitError::Unusable { path: self.path.clone(), why: "has a line that is no fingerprint" }
            })?;
            held |= listed == *fingerprint.as_bytes();
        }
        Ok(held)
    }
}
