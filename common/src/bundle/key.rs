//! Keys of bundles and statements: one algorithm a key, and a name that is the digest of both.
//!
//! Knows no file and makes no key. Algorithms are the fully specified ones of RFC 9864, so that the number in
//! an envelope leaves nothing to choose: a collector signs with Ed25519; ES256 is there because the root of a
//! zone is an ECDSA key, and for keys that a TPM holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    UnparsedPublicKey,
};

use super::statement::Line;
use super::stream::Stream;
use super::strict::{Flaw, Reader, Writer};
use crate::section::Digest;

/// Keeps the name of a key from being the digest of anything else.
const PURPOSE: &[u8] = b"holdpoint bundle key 1\0";

/// How a key signs. A key has one of them for its whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// Ed25519; the same input gives the same signature.
    Ed25519,
    /// ECDSA on P-256 with SHA-256, signature as two numbers of 32 bytes.
    Es256,
}

impl Algorithm {
    /// The number of RFC 9864 in the registry of COSE algorithms.
    pub fn cose(self) -> i64 {
        match self {
            Self::Ed25519 => -19,
            Self::Es256 => -9,
        }
    }

    /// The algorithm of a number of that registry.
    ///
    /// # Errors
    /// It is not used here.
    pub fn from_cose(number: i64) -> Result<Self, Flaw> {
        match number {
            -19 => Ok(Self::Ed25519),
            -9 => Ok(Self::Es256),
            _ => Err(Flaw::Value("an algorithm that is not used here")),
        }
    }
}

/// The name of a key: SHA-256 over a purpose, its algorithm and its public half. What announces a key by its
/// hash and what names it in an envelope are so the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Digest);

impl KeyId {
    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Flaw> {
        reader.exactly::<32>("the name of a key").map(Self::from)
    }
}

impl From<[u8; 32]> for KeyId {
    fn from(bytes: [u8; 32]) -> Self {
        Self(Digest::from(bytes))
    }
}

/// The first eight bytes, enough for people to tell keys apart.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The public half of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

/// Bytes that are no public key of this algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes are no public key for {algorithm:?}")]
pub struct InvalidKey {
    /// What they were to be.
    pub algorithm: Algorithm,
    /// How many there are.
    pub bytes: usize,
}

impl PublicKey {
    /// A key from its bytes: 32 of Ed25519, or an uncompressed point of P-256, which is 65 bytes from a 4 on.
    /// Whether the point lies on the curve shows when a signature is checked: by a bad one nothing is ever
    /// signed.
    ///
    /// # Errors
    /// They have another length or form.
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, InvalidKey> {
        let fits = match algorithm {
            Algorithm::Ed25519 => bytes.len() == 32,
            Algorithm::Es256 => bytes.len() == 65 && bytes.first() == Some(&4),
        };
        if !fits {
            return Err(InvalidKey { algorithm, bytes: bytes.len() });
        }
        Ok(Self { algorithm, bytes: bytes.to_vec() })
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The bytes that [`PublicKey::new`] takes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        KeyId(Digest::of(&[PURPOSE, &self.algorithm.cose().to_be_bytes(), &self.bytes].concat()))
    }

    /// Whether the private half made this signature over this message.
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let outcome = match self.algorithm {
            Algorithm::Ed25519 => UnparsedPublicKey::new(&ED25519, &self.bytes).verify(message, signature),
            Algorithm::Es256 => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.bytes).verify(message, signature)
            }
        };
        outcome.is_ok()
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.array(2).integer(self.algorithm.cose()).bytes(&self.bytes);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Flaw> {
        reader.array_of(2, "a public key")?;
        let algorithm = Algorithm::from_cose(reader.integer("an algorithm")?)?;
        Self::new(algorithm, reader.bytes("a public key")?)
            .map_err(|_| Flaw::Value("a public key of another length"))
    }
}

/// A key that signs.
pub struct SigningKey(Pair);

enum Pair {
    Ed25519(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public().id()).finish()
    }
}

/// A private key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The bytes hold no such key.
    #[error("these bytes hold no private key for {0:?}")]
    Damaged(Algorithm),
    /// The key did not sign.
    #[error("the key does not sign")]
    Sign,
}

impl SigningKey {
    /// A key from its PKCS#8 form.
    ///
    /// # Errors
    /// It is damaged, or a key of another algorithm.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, SigningError> {
        let pair = match algorithm {
            Algorithm::Ed25519 => Ed25519KeyPair::from_pkcs8(pkcs8).map(Pair::Ed25519),
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Pair::Es256)
            }
        };
        pair.map(Self).map_err(|_| SigningError::Damaged(algorithm))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        match &self.0 {
            Pair::Ed25519(pair) => {
                PublicKey { algorithm: Algorithm::Ed25519, bytes: pair.public_key().as_ref().to_vec() }
            }
            Pair::Es256(pair) => {
                PublicKey { algorithm: Algorithm::Es256, bytes: pair.public_key().as_ref().to_vec() }
            }
        }
    }

    /// Signs. What is signed says itself what it is for, see [`super::envelope`] and [`crate::pack`].
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signature = match &self.0 {
            Pair::Ed25519(pair) => pair.try_sign(message),
            Pair::Es256(pair) => pair.sign(&SystemRandom::new(), message),
        };
        signature.map(|it| it.as_ref().to_vec()).map_err(|_| SigningError::Sign)
    }
}

/// A key and what it speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The one stream that it signs.
    pub stream: Stream,
    /// Its place in the line of that stream's keys; the first is 1.
    pub epoch: u64,
    /// The key.
    pub key: PublicKey,
}

/// The keys that a receiver believes, each for one stream. Empty, it believes nobody.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    keys: BTreeMap<KeyId, Trusted>,
    revoked: BTreeSet<KeyId>,
}

impl Keyring {
    /// Believes a key from now on, also one that was revoked.
    pub fn trust(&mut self, trusted: Trusted) {
        let id = trusted.key.id();
        self.revoked.remove(&id);
        self.keys.insert(id, trusted);
    }

    /// Believes of this line's stream the keys that count in it and no other, and so ends those that a word
    /// of the root ended. A key that was revoked stays so, and one that is believed for another stream stays
    /// that stream's.
    pub fn follow(&mut self, line: &Line) {
        self.keys.retain(|_, it| it.stream != line.current().stream);
        for trusted in line.trusted() {
            let id = trusted.key.id();
            if !self.revoked.contains(&id) {
                self.keys.entry(id).or_insert(trusted);
            }
        }
    }

    /// Believes a key no more, whatever its line says. Nobody else is asked: revocation is the receiver's
    /// alone, and so is keeping it beyond the life of this ring.
    pub fn revoke(&mut self, id: &KeyId) -> Option<Trusted> {
        self.revoked.insert(*id);
        self.keys.remove(id)
    }

    /// What is known of a key.
    pub fn find(&self, id: &KeyId) -> Option<&Trusted> {
        self.keys.get(id)
    }
}

impl FromIterator<Trusted> for Keyring {
    fn from_iter<T: IntoIterator<Item = Trusted>>(keys: T) -> Self {
        let keys = keys.into_iter().map(|it| (it.key.id(), it)).collect();
        Self { keys, revoked: BTreeSet::new() }
    }
}
