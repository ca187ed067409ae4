//! What stands before the members: who signed, the signature, and the manifest.

use super::manifest::Manifest;
use super::{InvalidPack, MAGIC, MAX_MANIFEST, PURPOSE};
use crate::bundle::{Algorithm, PublicKey, SigningError, SigningKey};
use crate::section::Digest;

/// Most bytes before the members: those of a P-256 key and of the largest manifest.
pub const MAX_HEAD: usize = MAGIC.len() + 1 + 65 + SIGNATURE + LENGTH + MAX_MANIFEST;

const SIGNATURE: usize = 64;
const LENGTH: usize = 4;

/// The beginning of a pack, of which nothing is believed yet.
#[derive(Debug, Clone)]
pub struct Head<'a> {
    key: PublicKey,
    signature: &'a [u8],
    manifest: &'a [u8],
}

impl<'a> Head<'a> {
    /// Reads the head of a pack, and gives what follows it. Nothing is copied or parsed.
    ///
    /// # Errors
    /// It is something else, or cut off.
    pub fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), InvalidPack> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(InvalidPack::OtherKind)?;
        let (&number, rest) = rest.split_first().ok_or(InvalidPack::Cut)?;
        let (algorithm, length) = match number {
            1 => (Algorithm::Ed25519, 32),
            2 => (Algorithm::Es256, 65),
            _ => return Err(InvalidPack::Key),
        };
        let (key, rest) = rest.split_at_checked(length).ok_or(InvalidPack::Cut)?;
        let key = PublicKey::new(algorithm, key).map_err(|_| InvalidPack::Key)?;
        let (signature, rest) = rest.split_at_checked(SIGNATURE).ok_or(InvalidPack::Cut)?;
        let (length, rest) = rest.split_first_chunk::<LENGTH>().ok_or(InvalidPack::Cut)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length == 0 || length > MAX_MANIFEST {
            return Err(InvalidPack::ManifestSize);
        }
        let (manifest, rest) = rest.split_at_checked(length).ok_or(InvalidPack::Cut)?;
        Ok((Self { key, signature, manifest }, rest))
    }

    /// The key that it claims to be signed by.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Gives the manifest and the digest of what was signed, when that key signed it.
    ///
    /// # Errors
    /// It did not, or what it signed is no manifest.
    pub fn open(&self) -> Result<(Manifest, Digest), InvalidPack> {
        let statement = statement(&self.key, self.manifest);
        if !self.key.signed(&statement, self.signature) {
            return Err(InvalidPack::Signature);
        }
        Ok((Manifest::read(self.manifest)?, Digest::of(&statement)))
    }
}

/// The head of a pack with this manifest.
pub(super) fn seal(manifest: &[u8], key: &SigningKey) -> Result<Vec<u8>, SigningError> {
    let public = key.public();
    let signature = key.sign(&statement(&public, manifest))?;
    let number = match public.algorithm() {
        Algorithm::Ed25519 => 1,
        Algorithm::Es256 => 2,
    };
    // The manifest was measured when it was made.
    let length = u32::try_from(manifest.len()).unwrap_or(u32::MAX).to_be_bytes();
    Ok([&MAGIC[..], &[number], public.as_bytes(), &signature, &length, manifest].concat())
}

fn statement(key: &PublicKey, manifest: &[u8]) -> Vec<u8> {
    [PURPOSE, key.id().as_bytes(), Digest::of(manifest).as_bytes()].concat()
}
