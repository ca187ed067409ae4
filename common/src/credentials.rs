//! The identity that a host or an operator holds on disk.
//!
//! ```text
//! key.pem          private key, sealed where the system can, then its certificate chain; mode 0600;
//!                  the source of truth
//! certificate.pem  the chain again, for people and other tools
//! anchors.pem      every zone CA that is trusted
//! ```
//! Key and certificate change together in one rename of `key.pem`, so a renewal that is cut off
//! anywhere leaves the old identity or the new one, never a key without its certificate.
//! Anchors are written first: both identities work under the new ones. The key is made here and
//! its bytes leave only towards that file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SigningKey};
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

/// How a sealed key is marked in `key.pem`, with the word for its protection between the two.
const SEALED: (&str, &str) = ("HOLDPOINT ", " KEY");

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

/// A way to keep a private key so that its bytes alone are of no use elsewhere.
pub trait Seal: fmt::Debug {
    /// The word for it, lower case: `dpapi-machine`.
    fn protection(&self) -> &'static str;

    /// Makes a key unreadable for whoever lacks what opens it.
    ///
    /// # Errors
    /// The system refuses; the key is then not kept at all.
    fn seal(&self, key: &[u8]) -> io::Result<Vec<u8>>;

    /// The key again.
    ///
    /// # Errors
    /// It was sealed elsewhere or for somebody else, or is damaged.
    fn open(&self, sealed: &[u8]) -> io::Result<Zeroizing<Vec<u8>>>;
}

/// An identity from disk.
#[derive(Debug)]
pub struct Loaded {
    /// The identity.
    pub credentials: Credentials,
    /// Whether its key lay there sealed.
    pub is_sealed: bool,
}

/// A file, what it will hold, and for whom.
type Write = (&'static str, Zeroizing<Vec<u8>>, Readable);

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
    /// The key cannot be sealed.
    #[error("the private key cannot be sealed, and so it is not kept")]
    Seal(#[source] io::Error),
    /// The key was sealed by what is not here.
    #[error("the private key in {} was sealed by another system or account: enrol again", path.display())]
    Sealed {
        /// Which file.
        path: PathBuf,
        /// Why it does not open.
        source: io::Error,
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
        Self::read(certificate, key, anchors, None).map(|it| it.credentials)
    }

    /// Reads the identity in a directory whose key may be sealed.
    pub fn load_sealed(dir: &Path, seal: &dyn Seal) -> Result<Loaded, CredentialsError> {
        let [certificate, key, anchors] =
            [CERTIFICATE_FILE, KEY_FILE, ANCHORS_FILE].map(|name| dir.join(name));
        Self::read(&certificate, &key, &anchors, Some(seal))
    }

    fn read(
        certificate: &Path,
        key: &Path,
        anchors: &Path,
        seal: Option<&dyn Seal>,
    ) -> Result<Loaded, CredentialsError> {
        let key_pem = read(key)?;
        let (private, is_sealed) = private_key(&key_pem, key, seal)?;
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
        Self::new(chain, private, trusted).map(|credentials| Loaded { credentials, is_sealed })
    }

    /// Writes the identity into a directory that exists. After a crash the old or the new one is there.
    pub fn save(&self, dir: &Path) -> Result<(), CredentialsError> {
        self.write(dir, None)
    }

    /// The same with a key that is sealed before it touches the disk.
    pub fn save_sealed(&self, dir: &Path, seal: &dyn Seal) -> Result<(), CredentialsError> {
        self.write(dir, Some(seal))
    }

    fn write(&self, dir: &Path, seal: Option<&dyn Seal>) -> Result<(), CredentialsError> {
        self.writes(seal)?.into_iter().try_for_each(|(name, bytes, readable)| {
            let path = dir.join(name);
            atomic_file::replace(&path, &bytes, readable)
                .map_err(|source| CredentialsError::Write { path, source })
        })
    }

    /// The files in the order in which they are replaced.
    fn writes(&self, seal: Option<&dyn Seal>) -> Result<[Write; 3], CredentialsError> {
        let chain = pem_of_certificates(&self.chain);
        let mut key = match seal {
            None => pem_of_key(&self.key),
            Some(seal) => {
                let sealed = seal.seal(self.key.secret_der()).map_err(CredentialsError::Seal)?;
                pem(&sealed_label(seal), &sealed)
            }
        };
        key.push_str(&chain);
        let anchors = pem_of_certificates(&self.anchors);
        let readable = match &self.identity.subject {
            Subject::Agent(_) => Readable::Agent,
            Subject::Operator(_) | Subject::Collector => Readable::Owner,
        };
        Ok([
            (ANCHORS_FILE, Zeroizing::new(anchors.into_bytes()), Readable::All),
            (KEY_FILE, Zeroizing::new(key.as_bytes().to_vec()), readable),
            (CERTIFICATE_FILE, Zeroizing::new(chain.into_bytes()), Readable::All),
        ])
    }

    /// What the leaf certificate says: dates, fingerprint, issuer.
    pub fn leaf(&self) -> Result<Leaf, CredentialsError> {
        Ok(Leaf::read(self.chain.first().ok_or(InvalidLeaf::Malformed)?)?)
    }

    /// Signs a statement: ECDSA P-256 with SHA-256, ASN.1. The statement says what it is for, because the key
    /// signs handshakes too.
    ///
    /// # Errors
    /// The key does not work.
    pub fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, CredentialsError> {
        KeyPair::from_der_and_sign_algo(&self.key, &PKCS_ECDSA_P256_SHA256)
            .and_then(|it| it.sign(statement))
            .map_err(CredentialsError::Key)
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

pub(crate) fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
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

/// Every certificate of a text in PEM, in order; `path` is what a failure names.
///
/// # Errors
/// One of them cannot be read.
pub fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| CredentialsError::Pem { path: path.to_owned(), what: "certificate" })
}

/// The key in `key.pem`, and whether it was sealed there.
fn private_key(
    pem: &[u8],
    path: &Path,
    seal: Option<&dyn Seal>,
) -> Result<(PrivateKeyDer<'static>, bool), CredentialsError> {
    let Some((label, sealed)) = sealed_part(pem) else {
        let plain = PrivateKeyDer::from_pem_slice(pem)
            .map_err(|_| CredentialsError::Pem { path: path.to_owned(), what: "private key" })?;
        return Ok((plain, false));
    };
    let opened = match seal {
        Some(seal) if sealed_label(seal) == label => seal.open(&sealed),
        Some(_) | None => Err(io::Error::other(format!("nothing here opens a {label}"))),
    };
    let opened = opened.map_err(|source| CredentialsError::Sealed { path: path.to_owned(), source })?;
    PrivateKeyDer::try_from(opened.to_vec())
        .map(|it| (it, true))
        .map_err(|_| CredentialsError::Pem { path: path.to_owned(), what: "private key" })
}

fn sealed_label(seal: &dyn Seal) -> String {
    format!("{}{}{}", SEALED.0, seal.protection().to_ascii_uppercase(), SEALED.1)
}

/// Label and bytes of a sealed key that stands first in a file.
fn sealed_part(pem: &[u8]) -> Option<(String, Vec<u8>)> {
    let text = std::str::from_utf8(pem).ok()?.trim_start();
    let (label, rest) = text.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    if !label.starts_with(SEALED.0) || !label.ends_with(SEALED.1) {
        return None;
    }
    let body: String = rest.split_once("-----END ")?.0.split_ascii_whitespace().collect();
    Some((label.to_owned(), BASE64.decode(body.as_bytes()).ok()?))
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

    /// Turns every bit over; opens what it sealed and nothing that was damaged.
    #[derive(Debug)]
    struct Turned(&'static str);

    impl Seal for Turned {
        fn protection(&self) -> &'static str {
            self.0
        }

        fn seal(&self, key: &[u8]) -> io::Result<Vec<u8>> {
            Ok(key.iter().map(|it| !it).chain([7]).collect())
        }

        fn open(&self, sealed: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
            let turned = sealed.strip_suffix(&[7]).ok_or(io::ErrorKind::InvalidData)?;
            Ok(Zeroizing::new(turned.iter().map(|it| !it).collect()))
        }
    }

    #[test]
    fn a_sealed_key_is_not_on_disk_and_opens_only_for_its_seal() {
        let dir = tempfile::tempdir().unwrap();
        let (held, seal) = (credentials("hmi-01"), Turned("test-seal"));
        held.save_sealed(dir.path(), &seal).unwrap();
        let file = std::fs::read_to_string(dir.path().join(KEY_FILE)).unwrap();
        assert!(file.starts_with("-----BEGIN HOLDPOINT TEST-SEAL KEY-----"), "{file}");
        assert!(!file.contains("PRIVATE KEY"));
        assert!(!file.contains(&BASE64.encode(held.key.secret_der())[..PEM_LINE]));

        let loaded = Credentials::load_sealed(dir.path(), &seal).unwrap();
        assert!(loaded.is_sealed && same(&held, &loaded.credentials));
        assert!(matches!(Credentials::load(dir.path()), Err(CredentialsError::Sealed { .. })));
        let other = Credentials::load_sealed(dir.path(), &Turned("another"));
        assert!(matches!(other, Err(CredentialsError::Sealed { .. })));
    }

    #[test]
    fn a_plain_key_of_an_older_agent_loads_and_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let held = credentials("hmi-01");
        held.save(dir.path()).unwrap();
        let loaded = Credentials::load_sealed(dir.path(), &Turned("test-seal")).unwrap();
        assert!(!loaded.is_sealed && same(&held, &loaded.credentials));
    }

    #[test]
    fn a_renewal_cut_off_anywhere_leaves_a_whole_identity() {
        let (old, new) = (credentials("hmi-01"), credentials("hmi-01"));
        let writes = new.writes(None).unwrap();
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
