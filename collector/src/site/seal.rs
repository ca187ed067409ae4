//! The present state of a zone as a statement that the site signs: for those who ask the site and not the zone.
//!
//! ```text
//! {"payloadType": "application/vnd.in-toto+json", "payload": base64 of the statement,
//!  "signatures": [{"keyid": hex of SHA-256 over the public key, "sig": base64}]}
//! ```
//! The layout is DSSE: what is signed is `DSSEv1 <length> <type> <length> <payload>`, by Ed25519. The site signs
//! what it believes and how sure of it is; that the zone said so is shown by the zone's own bundles alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use data_encoding::{BASE64, HEXLOWER};
use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::section::Digest;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Name of the file with the site's key.
pub const KEY_FILE: &str = "site.key";
/// Name of the file with its public half, for those who check.
pub const PUBLIC_FILE: &str = "site.pub";
/// What the payload is.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// What the statement is of.
pub const PREDICATE_TYPE: &str = "https://holdpoint.example/fleet/zone/v1";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// The site's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// "read" or "write".
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// It holds no key.
    #[error("{} holds no key of a site", .0.display())]
    Key(PathBuf),
    /// No key can be made.
    #[error("this machine gives no random numbers")]
    NoRandomness,
}

/// Signs statements.
pub struct Sealer(Ed25519KeyPair);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({})", self.key_id())
    }
}

impl Sealer {
    /// Makes the key of a new site.
    ///
    /// # Errors
    /// It cannot be made or written.
    pub fn found(data: &Path) -> Result<Self, SealError> {
        let pkcs8 =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| SealError::NoRandomness)?;
        let path = data.join(KEY_FILE);
        write(&path, pkcs8.as_ref(), Readable::Owner)?;
        let sealer = Self::load(data)?;
        let public = HEXLOWER.encode(sealer.0.public_key().as_ref()) + "\n";
        write(&data.join(PUBLIC_FILE), public.as_bytes(), Readable::All)?;
        Ok(sealer)
    }

    /// Takes up the key of a site.
    ///
    /// # Errors
    /// There is none.
    pub fn load(data: &Path) -> Result<Self, SealError> {
        let path = data.join(KEY_FILE);
        let pkcs8 = fs::read(&path).map_err(|source| SealError::File {
            doing: "read",
            path: path.clone(),
            source,
        })?;
        let pkcs8 = Zeroizing::new(pkcs8);
        Ed25519KeyPair::from_pkcs8(&pkcs8).map(Self).map_err(|_| SealError::Key(path))
    }

    /// The name of the key: SHA-256 over its public half.
    pub fn key_id(&self) -> Digest {
        Digest::of(self.0.public_key().as_ref())
    }

    /// The public half, 32 bytes.
    pub fn public(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    /// The envelope around a statement about a zone whose state has this digest.
    pub fn seal(&self, subject: &str, state: &Digest, predicate: &Value) -> Vec<u8> {
        let statement = json!({
            "_type": STATEMENT_TYPE,
            "subject": [{ "name": subject, "digest": { "sha256": state.to_string() } }],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        });
        let payload = statement.to_string().into_bytes();
        let signature = self.0.sign(&pae(PAYLOAD_TYPE, &payload));
        let envelope = json!({
            "payloadType": PAYLOAD_TYPE,
            "payload": BASE64.encode(&payload),
            "signatures": [{
                "keyid": self.key_id().to_string(),
                "sig": BASE64.encode(signature.as_ref()),
            }],
        });
        envelope.to_string().into_bytes()
    }
}

/// The statement inside an envelope that this key signed; `None` for any other.
pub fn open(envelope: &[u8], public: &[u8]) -> Option<Value> {
    let envelope: Value = serde_json::from_slice(envelope).ok()?;
    let kind = envelope.get("payloadType")?.as_str().filter(|it| *it == PAYLOAD_TYPE)?;
    let payload = BASE64.decode(envelope.get("payload")?.as_str()?.as_bytes()).ok()?;
    let signed = pae(kind, &payload);
    let is_good = |it: &Value| {
        let signature =
            it.get("sig").and_then(Value::as_str).and_then(|it| BASE64.decode(it.as_bytes()).ok());
        signature.is_some_and(|it| UnparsedPublicKey::new(&ED25519, public).verify(&signed, &it).is_ok())
    };
    envelope.get("signatures")?.as_array()?.iter().any(is_good).then_some(())?;
    serde_json::from_slice(&payload).ok()
}

/// What DSSE signs: lengths first, so that no other split of the bytes is signed too.
fn pae(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

fn write(path: &Path, bytes: &[u8], readable: Readable) -> Result<(), SealError> {
    let failed = |source| SealError::File { doing: "write", path: path.to_owned(), source };
    atomic_file::replace(path, bytes, readable).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_dsse() {
        // The example of the specification.
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn an_envelope_opens_with_its_key_and_as_it_was_signed() {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::found(dir.path()).unwrap();
        let envelope = sealer.seal("plant/line-1", &Digest::of(b"state"), &json!({ "assets": [] }));
        let statement = open(&envelope, &sealer.public()).unwrap();
        assert_eq!(statement["subject"][0]["digest"]["sha256"], Digest::of(b"state").to_string());
        assert_eq!(statement["predicateType"], PREDICATE_TYPE);
        let other = tempfile::tempdir().unwrap();
        assert_eq!(open(&envelope, &Sealer::found(other.path()).unwrap().public()), None);
        let text = String::from_utf8(envelope).unwrap();
        let mut changed: Value = serde_json::from_str(&text).unwrap();
        changed["payload"] = BASE64.encode(b"{}").into();
        assert_eq!(open(changed.to_string().as_bytes(), &sealer.public()), None);
        assert_eq!(Sealer::load(dir.path()).unwrap().key_id(), sealer.key_id());
    }
}
