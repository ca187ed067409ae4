//! The identity that a host or an operator holds on disk.
//!
//! ```text
//! key.pem          private key, then its certificate chain; mode 0600; the source of truth
//! certificate.pem  the chain again, for people and other tools
//! anchors.pem      every zone CA that is trusted
//! ```
//! Key and certificate change together in one rename of `key.pem`, so a renewal that is cut off
//! anywhere leaves the old identity or the new one, never a key without its certificate.
//! Anchors are written first: both identities work under the new ones. The key is made here and
//! its bytes leave only towards that file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::atomic_file::{self, Readable};
use crate::identity::{Identity, Subject};
use crate::tls::{InvalidLeaf, Leaf, Trust};

/// Name of the file with key and chain.
pub const KEY_FILE: &str = "key.pem";
/// Name of the file with the chain alone.
pub const CERTIFICATE_FILE: &str = "certificate.pem";
/// Name of the file with the zone CAs.
pub const ANCHORS_FILE: &str = "anchors.pem";

/// Largest of these files that is read, in bytes.
const MAX_FILE: u64 = 256 * 1024;
/// Characters of one line of PEM.
const PEM_LINE: usize = 64;

/// A key, the certificates that name its owner, and whom the owner trusts.
#[derive(Debug)]
pub struct Credentials {
    /// What the leaf certificate says.
    pub identity: Identity,
    /// Leaf first, then its zone CA.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the leaf.
    pub key: PrivateKeyDer<'static>,
    /// Zone CAs, each trusted directly.
    pub anchors: Vec<CertificateDer<'static>>,
}

impl Clone for Credentials {
    fn clone(&self) -> Self {
        Self {
            identity: self.identity.clone(),
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            anchors: self.anchors.clone(),
        }
    }
}

/// Why an identity could not be kept or used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
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
    /// A file holds no PEM of the kind it must hold.
    #[error("{} holds no usable {what}", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// "private key" or "certificate".
        what: &'static str,
    },
    /// The leaf certificate is not one of a zone.
    #[error("the certificate names nobody of a zone")]
    Leaf(#[from] InvalidLeaf),
    /// The certificate belongs to another key.
    #[error("the private key is not the one of the certificate: enrol again")]
    OtherKey,
    /// The library could not make or read a key.
    #[error("the private key cannot be used")]
    Key(#[source] rcgen::Error),
}

impl Credentials {
    /// Puts checked parts together: the leaf is readable and belongs to the key.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        anchors: Vec<CertificateDer<'static>>,
    ) -> Result<Self, CredentialsError> {
        let leaf = Leaf::read(chain.first().ok_or(InvalidLeaf::Malformed)?)?;
        let pair =
            KeyPair::from_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).map_err(CredentialsError::Key)?;
        if pair.subject_public_key_info() != leaf.public_key {
            return Err(CredentialsError::OtherKey);
        }
        Ok(Self { identity: leaf.identity, chain, key, anchors })
    }

    /// Reads the identity in a directory; a not-found error of `key.pem` means "not enrolled".
    pub fn load(dir: &Path) -> Result<Self, CredentialsError> {
        Self::load_files(&dir.join(CERTIFICATE_FILE), &dir.join(KEY_FILE), &dir.join(ANCHORS_FILE))
    }

    /// Reads an identity from files named by a profile.
    ///
    /// A chain inside the key file wins over the certificate file, which may lag behind it.
    pub fn load_files(certificate: &Path, key: &Path, anchors: &Path) -> Result<Self, CredentialsError> {
        let key_pem = read(key)?;
        let private = PrivateKeyDer::from_pem_slice(&key_pem)
            .map_err(|_| CredentialsError::Pem { path: key.to_owned(), what: "private key" })?;
        let mut chain = certificates(&key_pem, key)?;
        if chain.is_empty() {
            chain = certificates(&read(certificate)?, certificate)?;
        }
        if chain.is_empty() {
            return Err(CredentialsError::Pem { path: certificate.to_owned(), what: "certificate" });
        }
        let trusted = certificates(&read(anchors)?, anchors)?;
        if trusted.is_empty() {
            return Err(CredentialsError::Pem { path: anchors.to_owned(), what: "certificate" });
        }
        Self::new(chain, private, trusted)
    }

    /// Writes the identity into a directory that exists. After a crash the old or the new one is there.
    pub fn save(&self, dir: &Path) -> Result<(), CredentialsError> {
        self.writes().into_iter().try_for_each(|(name, bytes, readable)| {
            let path = dir.join(name);
            atomic_file::replace(&path, &bytes, readable)
                .map_err(|source| CredentialsError::Write { path, source })
        })
    }

    /// The files in the order in which they are replaced.
    fn writes(&self) -> [(&'static str, Zeroizing<Vec<u8>>, Readable); 3] {
        let chain = pem_of_certificates(&self.chain);
        let mut key = pem_of_key(&self.key);
        key.push_str(&chain);
        let anchors = pem_of_certificates(&self.anchors);
        let readable = match &self.identity.subject {
            Subject::Agent(_) => Readable::Agent,
            Subject::Operator(_) | Subject::Collector => Readable::Owner,
        };
        [
            (ANCHORS_FILE, Zeroizing::new(anchors.into_bytes()), Readable::All),
            (KEY_FILE, Zeroizing::new(key.as_bytes().to_vec()), readable),
            (CERTIFICATE_FILE, Zeroizing::new(chain.into_bytes()), Readable::All),
        ]
    }

    /// What the leaf certificate says: dates, fingerprint, issuer.
    pub fn leaf(&self) -> Result<Leaf, CredentialsError> {
        Ok(Leaf::read(self.chain.first().ok_or(InvalidLeaf::Malformed)?)?)
    }

    /// Trust in the collector of the own zone.
    pub fn trust(&self) -> Trust {
        Trust::Anchors { anchors: self.anchors.clone(), zone: self.identity.zone.clone() }
    }
}

/// A new ECDSA P-256 key: what TPMs and Windows key stores hold too.
pub fn new_key() -> Result<KeyPair, CredentialsError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(CredentialsError::Key)
}

/// Certificates as PEM text, in order.
pub fn pem_of_certificates(certificates: &[CertificateDer<'_>]) -> String {
    certificates.iter().map(|it| pem("CERTIFICATE", it).as_str().to_owned()).collect()
}

/// A private key as PEM text, wiped when dropped.
pub fn pem_of_key(key: &PrivateKeyDer<'_>) -> Zeroizing<String> {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        PrivateKeyDer::Pkcs8(_) | _ => "PRIVATE KEY",
    };
    pem(label, key.secret_der())
}

fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(BASE64.encode(der));
    // Reserved in full: a string that grows leaves copies of a key behind.
    let mut text = Zeroizing::new(String::with_capacity(body.len() * 2 + 2 * label.len() + 64));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(PEM_LINE));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| CredentialsError::Pem { path: path.to_owned(), what: "certificate" })
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CredentialsError> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes))
        .map_err(|source| CredentialsError::Read { path: path.to_owned(), source })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, SanType};

    fn credentials(name: &str) -> Credentials {
        let ca_key = new_key().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let ca_certificate = ca.self_signed(&ca_key).unwrap().der().clone();
        let key = new_key().unwrap();
        let mut leaf = CertificateParams::default();
        let uri = format!("spiffe://plant/zone/line-1/agent/{name}");
        leaf.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap().der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Credentials::new(vec![leaf, ca_certificate.clone()], key, vec![ca_certificate]).unwrap()
    }

    fn same(a: &Credentials, b: &Credentials) -> bool {
        a.identity == b.identity && a.chain == b.chain && a.key == b.key
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let held = credentials("hmi-01");
        held.save(dir.path()).unwrap();
        let loaded = Credentials::load(dir.path()).unwrap();
        assert!(same(&held, &loaded));
        assert_eq!(held.anchors, loaded.anchors);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_the_key() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        credentials("hmi-01").save(dir.path()).unwrap();
        let mode = std::fs::metadata(dir.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_renewal_cut_off_anywhere_leaves_a_whole_identity() {
        let (old, new) = (credentials("hmi-01"), credentials("hmi-01"));
        let writes = new.writes();
        for done in 0..=writes.len() {
            for half_written in [false, true] {
                let dir = tempfile::tempdir().unwrap();
                old.save(dir.path()).unwrap();
                for (name, bytes, readable) in &writes[..done] {
                    atomic_file::replace(&dir.path().join(name), bytes, *readable).unwrap();
                }
                if let Some((name, bytes, _)) = writes.get(done).filter(|_| half_written) {
                    std::fs::write(dir.path().join(format!("{name}.new")), &bytes[..bytes.len() / 2])
                        .unwrap();
                }
                let found = Credentials::load(dir.path()).unwrap();
                let expected = if done < 2 { &old } else { &new };
                assert!(same(&found, expected), "after {done} files");

                // The next attempt goes through.
                new.save(dir.path()).unwrap();
                assert!(same(&Credentials::load(dir.path()).unwrap(), &new));
            }
        }
    }

    #[test]
    fn a_key_beside_somebody_elses_certificate_is_refused() {
        let (one, other) = (credentials("hmi-01"), credentials("hmi-02"));
        let mixed = Credentials::new(one.chain.clone(), other.key.clone_key(), one.anchors.clone());
        assert!(matches!(mixed, Err(CredentialsError::OtherKey)));
    }

    #[test]
    fn a_host_that_never_enrolled_is_told_apart_from_a_damaged_one() {
        let dir = tempfile::tempdir().unwrap();
        let Err(CredentialsError::Read { source, .. }) = Credentials::load(dir.path()) else {
            panic!("must not load")
        };
        assert_eq!(source.kind(), io::ErrorKind::NotFound);
        credentials("hmi-01").save(dir.path()).unwrap();
        std::fs::write(dir.path().join(KEY_FILE), "-----BEGIN PRIVATE").unwrap();
        assert!(matches!(Credentials::load(dir.path()), Err(CredentialsError::Pem { .. })));
    }
}
