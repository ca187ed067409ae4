//! The keys that sign what leaves, and the statements that say whose they are.
//!
//! ```text
//! DIR/outbox/root.pub       public key of the zone's root, which certified the first key
//! DIR/outbox/key-N.der      PKCS#8, mode 0600; the highest N is the key that follows and signs nothing yet
//! DIR/outbox/statement-N    certified by the root for the first, by the key before for the others
//! ```
//! A key that follows is made one rotation ahead, because the present key announces it by its hash. Both are
//! here: who can read one can read the other. A zone that fears that takes `key-N.der` of the one that follows
//! away, and brings it back for the rotation.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::Ed25519KeyPair;
use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::bundle::{
    Algorithm, CertifyError, KeyId, Line, MAX_STATEMENT, NotAccepted, PublicKey, SigningError, SigningKey,
    Statement, Stream,
};
use holdpoint_common::identity::ZoneName;

const ROOT: &str = "root.pub";
/// Largest key file, in bytes.
const MAX_KEY: u64 = 1_024;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// There are keys already.
    #[error("{} holds the keys of an outbox already; `outbox rotate` brings the next one", .0.display())]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// "read" or "write".
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{} is damaged: restore it from a backup", .0.display())]
    Damaged(PathBuf),
    /// No key could be made.
    #[error("no key can be made")]
    Generate,
    /// A key that does not sign.
    #[error("a key cannot be used")]
    Key(#[from] SigningError),
    /// A statement that nobody would accept.
    #[error("the key cannot be certified")]
    Certify(#[from] CertifyError),
    /// The root is no key of the right kind.
    #[error("the root's key is no ECDSA key on P-256 in an unencrypted PEM")]
    Root,
    /// A statement is not of this line.
    #[error("the statements of the keys do not follow each other")]
    Line(#[from] NotAccepted),
}

/// The key in use, and the line that it stands in.
#[derive(Debug)]
pub struct Signer {
    dir: PathBuf,
    root: PublicKey,
    key: SigningKey,
    line: Line,
    /// As they travel, oldest first.
    statements: Vec<Vec<u8>>,
}

impl Signer {
    /// Makes the first key and the one that follows, and has the root certify the first. The root's key, a PEM,
    /// is used once and not kept.
    ///
    /// # Errors
    /// There are keys already, the root is none, or the disk refuses.
    pub fn found(dir: &Path, zone: &ZoneName, root_pem: &str, now_ms: i64) -> Result<Self, SignerError> {
        if dir.join(ROOT).exists() {
            return Err(SignerError::Exists(dir.to_owned()));
        }
        fs::create_dir_all(dir).map_err(failed("write", dir))?;
        let root = root_key(root_pem)?;
        let (own, next) = (make(dir, 1)?, make(dir, 2)?);
        let statement = Statement {
            stream: Stream { zone: zone.clone(), collector: own.public().id() },
            serial: 1,
            epoch: 1,
            key: own.public(),
            next: next.public().id(),
            created_ms: now_ms,
            expires_ms: None,
        };
        let bytes = statement.certify(&own, &root)?;
        write(&dir.join("statement-1"), &bytes, Readable::All)?;
        // Last: the root says that the rest is there.
        write(&dir.join(ROOT), root.public().as_bytes(), Readable::All)?;
        Self::open(dir, zone)
    }

    /// Takes up the keys that are there.
    ///
    /// # Errors
    /// They are missing, damaged, or of another zone.
    pub fn open(dir: &Path, zone: &ZoneName) -> Result<Self, SignerError> {
        let path = dir.join(ROOT);
        let root = PublicKey::new(Algorithm::Es256, &read(&path, MAX_KEY)?)
            .map_err(|_| SignerError::Damaged(path))?;
        let first = read(&dir.join("statement-1"), limit())?;
        let mut line = Line::found(zone, &root, &first)?;
        let mut statements = vec![first];
        for number in 2_u64.. {
            let path = dir.join(format!("statement-{number}"));
            if !path.exists() {
                break;
            }
            let bytes = read(&path, limit())?;
            line.accept(&bytes)?;
            statements.push(bytes);
        }
        let path = key_file(dir, line.current().epoch);
        let key = load(&path)?;
        if key.public() != line.current().key {
            return Err(SignerError::Damaged(path));
        }
        Ok(Self { dir: dir.to_owned(), root, key, line, statements })
    }

    /// Lets the announced key follow, and makes the one after it.
    ///
    /// # Errors
    /// The key that follows is not here, or the disk refuses. Then the present key stays.
    pub fn rotate(&mut self, now_ms: i64) -> Result<(), SignerError> {
        let before = self.line.current().clone();
        let epoch = before.epoch.saturating_add(1);
        let path = key_file(&self.dir, epoch);
        let own = load(&path)?;
        if own.public().id() != before.next {
            return Err(SignerError::Damaged(path));
        }
        let next = key_file(&self.dir, epoch.saturating_add(1));
        // One may be left from a rotation that was cut off.
        let next = if next.exists() { load(&next)? } else { make(&self.dir, epoch.saturating_add(1))? };
        let statement =
            Statement { epoch, key: own.public(), next: next.public().id(), created_ms: now_ms, ..before };
        let bytes = statement.certify(&own, &self.key)?;
        let mut line = self.line.clone();
        line.accept(&bytes)?;
        write(&self.dir.join(format!("statement-{epoch}")), &bytes, Readable::All)?;
        (self.line, self.key) = (line, own);
        self.statements.push(bytes);
        Ok(())
    }

    /// Whose bundles these are.
    pub fn stream(&self) -> &Stream {
        &self.line.current().stream
    }

    /// The key in use.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Its place in the line, from 1.
    pub fn epoch(&self) -> u64 {
        self.line.current().epoch
    }

    /// The name of the key that follows.
    pub fn next(&self) -> KeyId {
        self.line.current().next
    }

    /// The key of the root that certified the first.
    pub fn root(&self) -> &PublicKey {
        &self.root
    }

    /// The statements that receivers may still need, oldest first: those of the newest keys.
    pub fn statements(&self) -> &[Vec<u8>] {
        let from = self.statements.len().saturating_sub(holdpoint_common::bundle::MAX_STATEMENTS);
        self.statements.get(from..).unwrap_or_default()
    }

    /// The statement of the first key, by the root.
    pub fn first(&self) -> &[u8] {
        self.statements.first().map_or(&[], Vec::as_slice)
    }
}

fn root_key(pem: &str) -> Result<SigningKey, SignerError> {
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| SignerError::Root)?;
    SigningKey::from_pkcs8(Algorithm::Es256, key.secret_der()).map_err(|_| SignerError::Root)
}

fn make(dir: &Path, number: u64) -> Result<SigningKey, SignerError> {
    let pair = Ed25519KeyPair::generate().map_err(|_| SignerError::Generate)?;
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().map_err(|_| SignerError::Generate)?;
    write(&key_file(dir, number), der.as_ref(), Readable::Owner)?;
    Ok(SigningKey::from_pkcs8(Algorithm::Ed25519, der.as_ref())?)
}

fn load(path: &Path) -> Result<SigningKey, SignerError> {
    let der = zeroize::Zeroizing::new(read(path, MAX_KEY)?);
    SigningKey::from_pkcs8(Algorithm::Ed25519, &der).map_err(|_| SignerError::Damaged(path.to_owned()))
}

fn key_file(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("key-{number}.der"))
}

fn limit() -> u64 {
    u64::try_from(MAX_STATEMENT).unwrap_or(u64::MAX)
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, SignerError> {
    let read = || {
        let file = fs::File::open(path)?;
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, most.saturating_add(1)), &mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(failed("read", path))?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|it| it <= most);
    if fits { Ok(bytes) } else { Err(SignerError::Damaged(path.to_owned())) }
}

fn write(path: &Path, bytes: &[u8], readable: Readable) -> Result<(), SignerError> {
    atomic_file::replace(path, bytes, readable).map_err(failed("write", path))
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SignerError + use<> {
    let path = path.to_owned();
    move |source| SignerError::File { doing, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> ZoneName {
        ZoneName { site: "plant".parse().unwrap(), zone: "line-1".parse().unwrap() }
    }

    fn founded(dir: &Path) -> Signer {
        let root = holdpoint_common::credentials::new_key().unwrap().serialize_pem();
        Signer::found(dir, &zone(), &root, 1).unwrap()
    }

    #[test]
    fn keys_follow_each_other_and_a_receiver_with_the_first_statement_follows_them() {
        let dir = tempfile::tempdir().unwrap();
        let mut signer = founded(dir.path());
        let mut line = Line::found(&zone(), signer.root(), signer.first()).unwrap();
        for epoch in 2..=12 {
            let announced = signer.next();
            signer.rotate(epoch).unwrap();
            assert_eq!(signer.key().public().id(), announced);
            assert_eq!(signer.epoch(), u64::try_from(epoch).unwrap());
        }
        // It missed all of them but the last, and gets them together.
        let missed = signer.statements().iter().flat_map(|it| line.accept(it)).count();
        assert_eq!(missed, 12);
        assert_eq!(line.current(), signer.line.current());
        let again = Signer::open(dir.path(), &zone()).unwrap();
        assert_eq!(again.key().public(), signer.key().public());
        assert_eq!(again.stream(), signer.stream());
    }

    #[test]
    fn a_rotation_that_was_cut_off_is_done_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut signer = founded(dir.path());
        make(dir.path(), 3).unwrap();
        let left = load(&key_file(dir.path(), 3)).unwrap().public().id();
        signer.rotate(2).unwrap();
        assert_eq!(signer.next(), left);
    }

    #[test]
    fn keys_are_made_once_and_for_one_zone() {
        let dir = tempfile::tempdir().unwrap();
        founded(dir.path());
        let root = holdpoint_common::credentials::new_key().unwrap().serialize_pem();
        assert!(matches!(Signer::found(dir.path(), &zone(), &root, 1), Err(SignerError::Exists(_))));
        let other = ZoneName { zone: "line-2".parse().unwrap(), ..zone() };
        assert!(matches!(Signer::open(dir.path(), &other), Err(SignerError::Line(_))));
        let other = tempfile::tempdir().unwrap();
        assert!(matches!(Signer::found(other.path(), &zone(), "no pem", 1), Err(SignerError::Root)));
        assert!(matches!(Signer::open(other.path(), &zone()), Err(SignerError::File { .. })));
    }

    #[test]
    fn without_the_key_that_follows_nothing_changes() {
        let dir = tempfile::tempdir().unwrap();
        let mut signer = founded(dir.path());
        fs::remove_file(key_file(dir.path(), 2)).unwrap();
        assert!(matches!(signer.rotate(2), Err(SignerError::File { .. })));
        assert_eq!(signer.epoch(), 1);
        assert!(matches!(Signer::open(dir.path(), &zone()).unwrap().epoch(), 1));
    }
}
