//! Opening a bundle, whoever sent it: nothing is unpacked or read before its signature is known.

use super::body::{self, Body, MAX_BODY, MAX_RATIO};
use super::envelope::{Content, Envelope, Signed};
use super::header::{Header, Kind, MAX_HEADER, Summary};
use super::key::{KeyId, Keyring, Trusted};
use super::strict::{self, Flaw};
use super::{MAX_OBJECT, Stream};
use crate::section::Digest;

/// Why bytes are no bundle or statement that counts, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBundle {
    /// More bytes than it may have.
    #[error("it is {bytes} bytes long, over the limit of {max}")]
    TooLong {
        /// How many there are.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// It is no envelope of this profile.
    #[error("it is no bundle of Holdpoint, or was cut off: its envelope {0}")]
    Envelope(Flaw),
    /// Its protected headers are not those of the profile.
    #[error("it is no bundle of Holdpoint: its protected header {0}")]
    Protected(Flaw),
    /// It holds something else, or a later layout.
    #[error("it holds `{0}`, which this version does not read here")]
    Content(String),
    /// Nobody here knows the key.
    #[error("it is signed by the key {0}, which is not known here: a statement about it is missing")]
    UnknownKey(KeyId),
    /// The key has another algorithm.
    #[error("it names another algorithm than the key {0} has")]
    Algorithm(KeyId),
    /// The key did not sign this, or not for this stream.
    #[error("its signature is not by the key {0}: it was damaged or changed")]
    Signature(KeyId),
    /// The header is not in order.
    #[error("its header {0}")]
    Header(Flaw),
    /// The header is over its limit.
    #[error("its header is longer than {MAX_HEADER} bytes")]
    HeaderTooLong,
    /// The key signs for another stream.
    #[error("it says that it is of {found}, and its key signs for {}", trusted.stream)]
    OtherStream {
        /// What its header says.
        found: Box<Stream>,
        /// What the key is trusted for.
        trusted: Box<Trusted>,
    },
    /// The header places the key elsewhere in its line.
    #[error("it says that its key is number {found}, and that key is number {trusted}")]
    OtherKeyEpoch {
        /// What its header says.
        found: u64,
        /// What is known of the key.
        trusted: u64,
    },
    /// The body is over its limit.
    #[error("its body would be {bytes} bytes long, over the limit of {MAX_BODY}")]
    Body {
        /// What the header states.
        bytes: u64,
    },
    /// A bomb.
    #[error("{packed} bytes would become {bytes}, more than {MAX_RATIO} times as many")]
    Ratio {
        /// Packed size.
        packed: usize,
        /// Unpacked size.
        bytes: usize,
    },
    /// The body cannot be unpacked.
    #[error("its packed body {0}")]
    Packing(&'static str),
    /// The body is not the one of the header.
    #[error("its body is not the one that its header names")]
    BodyDigest,
    /// The body is not in order.
    #[error("its body {0}")]
    Records(Flaw),
    /// The header counts otherwise.
    #[error("its body has other records than its header counts")]
    Counts,
    /// A statement that is not in order.
    #[error("its statement {0}")]
    Statement(Flaw),
    /// The inner signature of a statement is not by the key that it is about.
    #[error("it is about the key {0}, which did not sign it")]
    NotItsOwn(KeyId),
}

/// A bundle whose signature and header are good and whose body is still packed: as much as a relay looks at.
#[derive(Debug, Clone)]
pub struct Checked<'a> {
    /// What its sender says of it.
    pub header: Header,
    /// What its sender says of its body.
    pub summary: Summary,
    /// The hash of what was signed: what links name.
    pub hash: Digest,
    /// The key that signed it.
    pub key: KeyId,
    packed: &'a [u8],
}

impl<'a> Checked<'a> {
    /// Checks everything that stands before the body.
    ///
    /// # Errors
    /// It is no bundle of this profile, nobody knows its key, its signature is wrong, or its header is.
    pub fn read(bytes: &'a [u8], keys: &Keyring) -> Result<Self, InvalidBundle> {
        let envelope = Envelope::read(bytes, MAX_OBJECT)?;
        if envelope.content != Content::Bundle {
            return Err(InvalidBundle::Content(envelope.content.as_str().to_owned()));
        }
        let trusted = keys.find(&envelope.kid).ok_or(InvalidBundle::UnknownKey(envelope.kid))?;
        let Signed { payload, hash } = envelope.open(&trusted.key, &trusted.stream.external())?;

        let start = payload.get(..MAX_HEADER).unwrap_or(payload);
        let (item, _) = strict::first(start).map_err(|flaw| {
            let longer = flaw == Flaw::CutOff && start.len() < payload.len();
            if longer { InvalidBundle::HeaderTooLong } else { InvalidBundle::Header(flaw) }
        })?;
        let (header, summary) = Header::read(item).map_err(InvalidBundle::Header)?;
        if header.stream != trusted.stream {
            let (found, trusted) = (Box::new(header.stream), Box::new(trusted.clone()));
            return Err(InvalidBundle::OtherStream { found, trusted });
        }
        if header.key_epoch != trusted.epoch {
            let (found, trusted) = (header.key_epoch, trusted.epoch);
            return Err(InvalidBundle::OtherKeyEpoch { found, trusted });
        }
        let packed = payload.get(item.len()..).unwrap_or_default();
        Ok(Self { header, summary, hash, key: envelope.kid, packed })
    }

    /// Unpacks and reads the body.
    ///
    /// # Errors
    /// It is over a limit, damaged, not the one of the header, or not in order.
    pub fn body(&self) -> Result<Body, InvalidBundle> {
        let unpacked = body::unpack(self.packed, self.summary.length)?;
        if Digest::of(&unpacked) != self.summary.digest {
            return Err(InvalidBundle::BodyDigest);
        }
        let body = Body::read(self.header.kind, &unpacked).map_err(InvalidBundle::Records)?;
        if body.counts() == self.summary.counts { Ok(body) } else { Err(InvalidBundle::Counts) }
    }
}

/// A whole bundle whose sender is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// What its sender says of it.
    pub header: Header,
    /// The hash of what was signed: what links name.
    pub hash: Digest,
    /// What it carries.
    pub body: Body,
}

/// Opens a bundle: length, envelope, key, signature, header, packing, form of the body, its layout, in this
/// order.
///
/// # Errors
/// The first of them that is not in order.
pub fn open(bytes: &[u8], keys: &Keyring) -> Result<Bundle, InvalidBundle> {
    let checked = Checked::read(bytes, keys)?;
    let body = checked.body()?;
    Ok(Bundle { header: checked.header, hash: checked.hash, body })
}

/// What an object says that it is, for whoever only decides how to send it on. Nothing of it is proven, and no
/// more than its header is read.
pub fn claimed_kind(bytes: &[u8]) -> Option<Kind> {
    let envelope = Envelope::read(bytes, MAX_OBJECT).ok().filter(|it| it.content == Content::Bundle)?;
    let payload = envelope.unverified();
    let (item, _) = strict::first(payload.get(..MAX_HEADER).unwrap_or(payload)).ok()?;
    Header::read(item).ok().map(|it| it.0.kind)
}
