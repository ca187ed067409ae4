//! Keys of those who compile packs, as files and as what people compare.
//!
//! A private key is PKCS#8 in PEM, a public one `SubjectPublicKeyInfo` in PEM: what every other tool and an HSM
//! writes too. The fingerprint is the name of the key (`bundle::KeyId`), so that a key of another kind never has
//! the same one.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use zeroize::Zeroizing;

use crate::bundle::{Algorithm, PublicKey, SigningKey};
use crate::credentials::{pem, pem_of_key};

/// Largest file with a key, in bytes.
pub const MAX_KEY_FILE: usize = 16 * 1024;
/// Fewest digits of a fingerprint that a person types: five groups of four, 80 bits.
pub const MIN_TYPED: usize = 20;

/// What stands before the 32 bytes of an Ed25519 key (RFC 8410).
const ED25519_INFO: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// What stands before the 65 bytes of an uncompressed point of P-256 (RFC 5480).
const P256_INFO: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

/// A file holds no key for packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSigner {
    /// No PEM of that kind.
    #[error("it holds no {0} key in PEM")]
    Pem(&'static str),
    /// A key of another kind.
    #[error("its key is neither Ed25519 nor ECDSA P-256")]
    Kind,
    /// The system makes none.
    #[error("no key can be made")]
    Generate,
}

/// A new key.
#[derive(Debug)]
pub struct Generated {
    /// The private half, wiped when dropped.
    pub private_pem: Zeroizing<String>,
    /// The public half.
    pub public: PublicKey,
}

/// Makes an Ed25519 key.
///
/// # Errors
/// The system gives no random numbers.
pub fn generate() -> Result<Generated, InvalidSigner> {
    let pair = Ed25519KeyPair::generate().map_err(|_| InvalidSigner::Generate)?;
    let der = Zeroizing::new(pair.to_pkcs8().map_err(|_| InvalidSigner::Generate)?.as_ref().to_vec());
    let key = PrivateKeyDer::try_from(der.as_slice()).map_err(|_| InvalidSigner::Generate)?;
    let public = PublicKey::new(Algorithm::Ed25519, pair.public_key().as_ref());
    Ok(Generated { private_pem: pem_of_key(&key), public: public.map_err(|_| InvalidSigner::Generate)? })
}

/// Reads a private key.
///
/// # Errors
/// It is none, or of another kind.
pub fn signing_key(pem: &[u8]) -> Result<SigningKey, InvalidSigner> {
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| InvalidSigner::Pem("private"))?;
    [Algorithm::Ed25519, Algorithm::Es256]
        .into_iter()
        .find_map(|it| SigningKey::from_pkcs8(it, key.secret_der()).ok())
        .ok_or(InvalidSigner::Kind)
}

/// Reads a public key.
///
/// # Errors
/// It is none, or of another kind.
pub fn public_key(pem: &[u8]) -> Result<PublicKey, InvalidSigner> {
    let info = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| InvalidSigner::Pem("public"))?;
    [(ED25519_INFO, Algorithm::Ed25519), (P256_INFO, Algorithm::Es256)]
        .into_iter()
        .find_map(|(head, algorithm)| PublicKey::new(algorithm, info.as_ref().strip_prefix(head)?).ok())
        .ok_or(InvalidSigner::Kind)
}

/// A public key as PEM.
pub fn public_pem(key: &PublicKey) -> String {
    let head = match key.algorithm() {
        Algorithm::Ed25519 => ED25519_INFO,
        Algorithm::Es256 => P256_INFO,
    };
    pem("PUBLIC KEY", &[head, key.as_bytes()].concat()).as_str().to_owned()
}

/// What two people compare: sixteen groups of four hex digits.
pub fn fingerprint(key: &PublicKey) -> String {
    let hex = data_encoding::HEXLOWER.encode(key.id().as_bytes());
    let groups: Vec<_> = hex.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
    groups.join(" ")
}

/// Whether what a person typed is the beginning of that key's fingerprint: at least [`MIN_TYPED`] digits, with or
/// without blanks, and everything that was typed.
pub fn is_typed(key: &PublicKey, typed: &str) -> bool {
    let digits: String =
        typed.chars().filter(|it| !it.is_whitespace()).map(|it| it.to_ascii_lowercase()).collect();
    let own = data_encoding::HEXLOWER.encode(key.id().as_bytes());
    digits.len() >= MIN_TYPED && own.starts_with(&digits)
}
