//! Statements about keys: which key signs a stream, and by whose word.
//!
//! ```text
//! certified  envelope `Certified`, signed by the key before or by the root of the zone
//!   stated   envelope `Statement`, signed by the key that it is about: who states it has the key
//!     { 1: stream            [site, zone, first key]
//!       2: key epoch         place in the line, from 1
//!       3: key               [algorithm, bytes]
//!       4: next              name of the key that follows: SHA-256, so that it can stay in a safe until then
//!       5: created           sender's clock, Unix milliseconds
//!       6: expires or null } Unix milliseconds
//! ```
//! A key that follows another counts when the one before announced it by its hash and signed for it: who
//! steals the present key cannot bring one of his own. The root's word counts without an announcement, ends
//! all keys before it, and so repairs what was lost or stolen. Each statement stands by itself and is
//! repeated for long; one that arrives before those that it rests on is tried again later. Revocation is no
//! statement: the receiver stops trusting.
//!
//! The external data of both signatures is a constant, since a reader learns the stream from what they are
//! over; no bundle has it.

use super::envelope::{self, Content, Envelope};
use super::key::{KeyId, PublicKey, SigningError, SigningKey, Trusted};
use super::open::InvalidBundle;
use super::stream::Stream;
use super::strict::{self, Flaw, Reader, Writer};
use crate::identity::ZoneName;

/// Largest certified statement, in bytes.
pub const MAX_STATEMENT: usize = 2 * 1024;
/// Keys before the present one whose late bundles still count.
pub const MAX_EARLIER: usize = 8;

const EXTERNAL: &[u8] = b"holdpoint key statement 1";

/// What is said of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The one stream that it signs.
    pub stream: Stream,
    /// Its place in the line of keys, from 1.
    pub epoch: u64,
    /// The key.
    pub key: PublicKey,
    /// The name of the key that follows it.
    pub next: KeyId,
    /// When it was stated, by the sender's clock, Unix milliseconds.
    pub created_ms: i64,
    /// Until when a bundle of this key may first be received, by the receiver's clock, Unix milliseconds;
    /// `None` is without an end. Nothing here asks for the time: what is late is the caller's to keep apart
    /// and to tell.
    pub expires_ms: Option<i64>,
}

/// Why no statement is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertifyError {
    /// Nobody would accept it.
    #[error("the statement has {0}")]
    Statement(&'static str),
    /// Another key than the one that it is about was to state it.
    #[error("the statement is about another key than the one that is to sign it")]
    OtherKey,
    /// A key did not sign.
    #[error("the statement cannot be signed")]
    Sign(#[from] SigningError),
}

impl Statement {
    /// Signs a statement with the key that it is about and with the one that certifies it: the key before, or
    /// the root.
    ///
    /// # Errors
    /// It contradicts itself, the key is another one, or a key does not sign.
    pub fn certify(&self, own: &SigningKey, authority: &SigningKey) -> Result<Vec<u8>, CertifyError> {
        if let Some(fault) = self.fault() {
            return Err(CertifyError::Statement(fault));
        }
        if own.public() != self.key {
            return Err(CertifyError::OtherKey);
        }
        let stated = envelope::seal(Content::Statement, &self.write(), EXTERNAL, own)?;
        Ok(envelope::seal(Content::Certified, &stated.bytes, EXTERNAL, authority)?.bytes)
    }

    fn fault(&self) -> Option<&'static str> {
        match self.epoch {
            0 => Some("the key epoch 0, which no key has"),
            1 if self.stream.collector != self.key.id() => Some("a first key that is not its stream's"),
            _ if self.next == self.key.id() => Some("a key that announces itself"),
            _ => None,
        }
    }

    fn write(&self) -> Vec<u8> {
        let Self { stream, epoch, key, next, created_ms, expires_ms } = self;
        let mut writer = Writer::default();
        writer.map(6);
        stream.write(writer.unsigned(1));
        writer.unsigned(2).unsigned(*epoch);
        key.write(writer.unsigned(3));
        writer.unsigned(4).bytes(next.as_bytes());
        writer.unsigned(5).integer(*created_ms).unsigned(6);
        match expires_ms {
            Some(expires) => writer.integer(*expires),
            None => writer.null(),
        };
        writer.finish()
    }

    fn read(payload: &[u8]) -> Result<Self, Flaw> {
        strict::only(payload)?;
        let mut reader = Reader::new(payload);
        let label = |reader: &mut Reader<'_>, label| {
            let fits = reader.unsigned("a key")? == label;
            if fits { Ok(()) } else { Err(Flaw::Expected("a key of the statement")) }
        };
        if reader.map("a statement")? != 6 {
            return Err(Flaw::Expected("a statement"));
        }
        label(&mut reader, 1)?;
        let stream = Stream::read(&mut reader)?;
        label(&mut reader, 2)?;
        let epoch = reader.unsigned("a key epoch")?;
        label(&mut reader, 3)?;
        let key = PublicKey::read(&mut reader)?;
        label(&mut reader, 4)?;
        let next = KeyId::read(&mut reader)?;
        label(&mut reader, 5)?;
        let created_ms = reader.integer("a time")?;
        label(&mut reader, 6)?;
        let expires_ms = if reader.null() { None } else { Some(reader.integer("a time")?) };
        let read = Self { stream, epoch, key, next, created_ms, expires_ms };
        read.fault().map_or(Ok(read), |fault| Err(Flaw::Value(fault)))
    }
}

/// Why a statement does not count, or not yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// It is no statement, or a signature is wrong.
    #[error(transparent)]
    Invalid(#[from] InvalidBundle),
    /// It is about another stream.
    #[error("it is about {0}, which is another stream")]
    OtherStream(Box<Stream>),
    /// The first statement of a stream is to be the root's.
    #[error("it is certified by the key {0} and not by the root of the zone")]
    NotByRoot(KeyId),
    /// Who certifies it is not known, perhaps not yet.
    #[error("it is certified by the key {0}, which is not known here: a statement before it is missing")]
    Missing(KeyId),
    /// An old one that was ended by the root.
    #[error("it is about key number {found}, and key number {held} counts by now")]
    Old {
        /// Its own number.
        found: u64,
        /// The present number.
        held: u64,
    },
    /// Two statements of one place: the key is in two hands.
    #[error("another statement about key number {0} is held: somebody else has a key of this stream")]
    Fork(u64),
    /// The key before announced another one.
    #[error(
        "its key {0} is not the one that was announced: whoever made it has the present key and not the next"
    )]
    NotAnnounced(KeyId),
    /// Keys follow each other one by one.
    #[error("it is about key number {found}, which does not follow number {held}")]
    Skips {
        /// Its own number.
        found: u64,
        /// The present number.
        held: u64,
    },
}

/// What a statement changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It was known.
    Known,
    /// The announced key follows; late bundles of those before still count.
    Followed,
    /// The root names a new key; those before count no more.
    Recertified,
}

/// What a receiver knows of the keys of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    root: PublicKey,
    current: Statement,
    /// Since the root's last word, oldest first.
    earlier: Vec<Statement>,
}

impl Line {
    /// Begins with a statement of the zone's root, whose key a person brought.
    ///
    /// # Errors
    /// It is no such statement, or about another zone.
    pub fn found(zone: &ZoneName, root: &PublicKey, bytes: &[u8]) -> Result<Self, NotAccepted> {
        let envelope = certified(bytes)?;
        if envelope.kid != root.id() {
            return Err(NotAccepted::NotByRoot(envelope.kid));
        }
        let current = stated(&envelope, root)?;
        if current.stream.zone != *zone {
            return Err(NotAccepted::OtherStream(Box::new(current.stream)));
        }
        Ok(Self { root: root.clone(), current, earlier: Vec::new() })
    }

    /// Takes a statement in.
    ///
    /// # Errors
    /// It does not count, or rests on one that has not arrived; the line is then what it was.
    pub fn accept(&mut self, bytes: &[u8]) -> Result<News, NotAccepted> {
        let envelope = certified(bytes)?;
        let by_root = envelope.kid == self.root.id();
        let known = self.statements().map(|it| &it.key).find(|it| it.id() == envelope.kid);
        let authority = if by_root { Some(&self.root) } else { known };
        let statement = stated(&envelope, authority.ok_or(NotAccepted::Missing(envelope.kid))?)?;

        let (found, held) = (statement.epoch, self.current.epoch);
        if statement.stream != self.current.stream {
            return Err(NotAccepted::OtherStream(Box::new(statement.stream)));
        }
        match self.statements().find(|it| it.epoch == found) {
            Some(same) if *same == statement => return Ok(News::Known),
            Some(_) => return Err(NotAccepted::Fork(found)),
            None if found < held => return Err(NotAccepted::Old { found, held }),
            None => {}
        }
        if by_root {
            self.current = statement;
            self.earlier.clear();
            return Ok(News::Recertified);
        }
        if envelope.kid != self.current.key.id() || found - held != 1 {
            return Err(NotAccepted::Skips { found, held });
        }
        if statement.key.id() != self.current.next {
            return Err(NotAccepted::NotAnnounced(statement.key.id()));
        }
        self.earlier.push(std::mem::replace(&mut self.current, statement));
        let over = self.earlier.len().saturating_sub(MAX_EARLIER);
        self.earlier.drain(..over);
        Ok(News::Followed)
    }

    /// What is known of the present key.
    pub fn current(&self) -> &Statement {
        &self.current
    }

    /// The keys that count, the present one last.
    pub fn trusted(&self) -> impl Iterator<Item = Trusted> {
        self.statements().map(|it| Trusted {
            stream: it.stream.clone(),
            epoch: it.epoch,
            key: it.key.clone(),
        })
    }

    fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.earlier.iter().chain([&self.current])
    }
}

fn certified(bytes: &[u8]) -> Result<Envelope<'_>, InvalidBundle> {
    let envelope = Envelope::read(bytes, MAX_STATEMENT)?;
    if envelope.content != Content::Certified {
        return Err(InvalidBundle::Content(envelope.content.as_str().to_owned()));
    }
    Ok(envelope)
}

/// What is stated inside, when this authority certified it and its own key stated it.
fn stated(certified: &Envelope<'_>, authority: &PublicKey) -> Result<Statement, InvalidBundle> {
    let inner = Envelope::read(certified.open(authority, EXTERNAL)?.payload, MAX_STATEMENT)?;
    if inner.content != Content::Statement {
        return Err(InvalidBundle::Content(inner.content.as_str().to_owned()));
    }
    // The key that the signature is checked with stands in what it is over: read first, believed afterwards.
    // The authority's signature is good by now, so this is no stranger's input.
    let statement = Statement::read(inner.unverified()).map_err(InvalidBundle::Statement)?;
    if inner.kid != statement.key.id() {
        return Err(InvalidBundle::NotItsOwn(statement.key.id()));
    }
    inner.open(&statement.key, EXTERNAL)?;
    Ok(statement)
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
