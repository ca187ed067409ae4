//! The envelope: `COSE_Sign1` of RFC 9052 with nothing left to choose.
//!
//! ```text
//! 18([                                tag and array of four
//!   bstr { 1: algorithm,              protected: -19 (Ed25519) or -9 (ES256), that of the key and no other
//!          3: content type,           text; one of those below
//!          4: kid },                  32 bytes, the name of the key
//!   {},                               nothing is unprotected
//!   bstr payload,
//!   bstr signature                    64 bytes
//! ])
//! ```
//! The signature is over `["Signature1", protected, external, payload]`. External is bound to the stream;
//! SHA-256 over these signed bytes is the object's hash, so that no second signature over the same makes a
//! second object.
//!
//! This is read by hand and not by a library: the bytes are still anybody's, a reader that builds values
//! copies 64 MiB of them several times before the signature is known, it takes forms that must be refused
//! here, and two readers of the same bytes can differ. Tests hold both directions against the `coset` crate.

use super::MAX_OBJECT;
use super::key::{Algorithm, KeyId, PublicKey, SigningError, SigningKey};
use super::open::InvalidBundle;
use super::strict::{self, Flaw, Reader, Writer};
use crate::section::Digest;

/// `COSE_Sign1`.
const TAG: u64 = 18;
const ALGORITHM: u64 = 1;
const CONTENT_TYPE: u64 = 3;
const KID: u64 = 4;

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A header and a packed body.
    Bundle,
    /// A key's statement about itself, signed by this key.
    Statement,
    /// Such a statement, signed again by who may say that the key counts.
    Certified,
}

impl Content {
    /// The content type, version included: another layout gets another one.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bundle => "application/vnd.holdpoint.bundle+cbor-zstd;v=1",
            Self::Statement => "application/vnd.holdpoint.key-statement+cbor;v=1",
            Self::Certified => "application/vnd.holdpoint.key-statement+cose;v=1",
        }
    }

    fn named(text: &str) -> Option<Self> {
        [Self::Bundle, Self::Statement, Self::Certified].into_iter().find(|it| it.as_str() == text)
    }
}

/// An envelope whose form is right and whose signature nobody has looked at.
#[derive(Debug, Clone)]
pub(super) struct Envelope<'a> {
    pub(super) content: Content,
    pub(super) kid: KeyId,
    algorithm: Algorithm,
    protected: &'a [u8],
    payload: &'a [u8],
    signature: [u8; 64],
}

/// A payload and the hash of what was signed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'a> {
    pub(super) payload: &'a [u8],
    pub(super) hash: Digest,
}

impl<'a> Envelope<'a> {
    /// Reads an envelope of at most `max` bytes.
    pub(super) fn read(bytes: &'a [u8], max: usize) -> Result<Self, InvalidBundle> {
        if bytes.len() > max {
            return Err(InvalidBundle::TooLong { bytes: bytes.len(), max });
        }
        let Frame { protected, payload, signature } = Frame::read(bytes).map_err(InvalidBundle::Envelope)?;
        strict::only(protected).map_err(InvalidBundle::Protected)?;
        let (algorithm, content, kid) = headers(protected).map_err(InvalidBundle::Protected)?;
        let content = Content::named(content).ok_or_else(|| InvalidBundle::Content(short(content)))?;
        Ok(Self { content, kid, algorithm, protected, payload, signature })
    }

    /// Gives the payload when this key signed it for this external data.
    pub(super) fn open(&self, key: &PublicKey, external: &[u8]) -> Result<Signed<'a>, InvalidBundle> {
        if key.algorithm() != self.algorithm {
            return Err(InvalidBundle::Algorithm(self.kid));
        }
        let signed = signed_bytes(self.protected, external, self.payload);
        if !key.signed(&signed, &self.signature) {
            return Err(InvalidBundle::Signature(self.kid));
        }
        Ok(Signed { payload: self.payload, hash: Digest::of(&signed) })
    }

    /// The payload before anybody knows whose it is.
    pub(super) fn unverified(&self) -> &'a [u8] {
        self.payload
    }
}

/// The parts of an envelope, before anybody has read the headers.
struct Frame<'a> {
    protected: &'a [u8],
    payload: &'a [u8],
    signature: [u8; 64],
}

impl<'a> Frame<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Flaw> {
        let mut reader = Reader::new(bytes);
        reader.tag(TAG, "the tag of COSE_Sign1")?;
        reader.array_of(4, "COSE_Sign1")?;
        let protected = reader.bytes("the protected headers")?;
        if reader.map("the unprotected headers")? != 0 {
            return Err(Flaw::Value("unprotected headers, which anybody could change"));
        }
        let payload = reader.bytes("the payload")?;
        let signature = reader.exactly("a signature of 64 bytes")?;
        reader.end()?;
        Ok(Self { protected, payload, signature })
    }
}

fn headers(protected: &[u8]) -> Result<(Algorithm, &str, KeyId), Flaw> {
    let mut reader = Reader::new(protected);
    let label = |reader: &mut Reader<'_>, label| {
        let fits = reader.unsigned("a header")? == label;
        if fits { Ok(()) } else { Err(Flaw::Expected("algorithm, content type and kid")) }
    };
    if reader.map("the protected headers")? != 3 {
        return Err(Flaw::Expected("algorithm, content type and kid"));
    }
    label(&mut reader, ALGORITHM)?;
    let algorithm = Algorithm::from_cose(reader.integer("an algorithm")?)?;
    label(&mut reader, CONTENT_TYPE)?;
    let content = reader.text("a content type")?;
    label(&mut reader, KID)?;
    let kid = KeyId::read(&mut reader)?;
    reader.end()?;
    Ok((algorithm, content, kid))
}

fn signed_bytes(protected: &[u8], external: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.array(4).text("Signature1").bytes(protected).bytes(external).bytes(payload);
    writer.finish()
}

/// What a refusal repeats of a peer's text.
fn short(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

/// A signed object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// What travels.
    pub bytes: Vec<u8>,
    /// The hash of what was signed: what links of later bundles name.
    pub hash: Digest,
}

/// Signs a payload, whatever it holds.
pub(super) fn seal(
    content: Content,
    payload: &[u8],
    external: &[u8],
    key: &SigningKey,
) -> Result<Sealed, SigningError> {
    let public = key.public();
    let mut protected = Writer::default();
    protected.map(3);
    protected.unsigned(ALGORITHM).integer(public.algorithm().cose());
    protected.unsigned(CONTENT_TYPE).text(content.as_str());
    protected.unsigned(KID).bytes(public.id().as_bytes());
    let protected = protected.finish();
    let signed = signed_bytes(&protected, external, payload);
    let signature = key.sign(&signed)?;
    let mut writer = Writer::default();
    writer.tag(TAG).array(4).bytes(&protected).map(0).bytes(payload).bytes(&signature);
    Ok(Sealed { bytes: writer.finish(), hash: Digest::of(&signed) })
}

/// The name of the key that an object claims to be signed by, and what it claims to be: for whoever keeps
/// what cannot be verified yet. Nothing of it is proven.
///
/// # Errors
/// It is too long, or no envelope of this profile.
pub fn claim(bytes: &[u8]) -> Result<(Content, KeyId), InvalidBundle> {
    Envelope::read(bytes, MAX_OBJECT).map(|it| (it.content, it.kid))
}
