//! Statements about keys: which key signs a stream, and by whose word.
//!
//! ```text
//! certified  envelope `Certified`, signed by the key before or by the root of the zone
//!   stated   envelope `Statement`, signed by the key that it is about: who states it has the key
//!     { 1: stream            [site, zone, first key]
//!       2: serial            of the root's word that it stands under, from 1
//!       3: key epoch         place in the line, from 1
//!       4: key               [algorithm, bytes]
//!       5: next              name of the key that follows: SHA-256, so that it can stay in a safe until then
//!       6: created           sender's clock, Unix milliseconds
//!       7: expires or null } Unix milliseconds
//! ```
//! A key that follows another counts when the one before announced it by its hash and signed for it: who
//! steals the present key cannot bring one of his own. The root's word counts without an announcement, ends
//! all keys before it, and so repairs what was lost and, with a key that the thief does not have, what was
//! stolen.
//!
//! Lines are ordered by the serial, and only within one serial by the key epoch. The root alone raises the
//! serial, with each of its words about a stream; the keys that follow inherit it. So nobody outruns the
//! root, however many keys he lets follow: it needs to know its own last serial and nothing of what happened
//! since. It says something else of a key (an expiry, another next) by the same place under a higher serial.
//! Two words of the root under one serial are a fault of whoever keeps the root, and told.
//!
//! A key has one place, and speaks of the next place only. The place of a key stands in the headers of its
//! bundles, so a key that moved would lose those that are still on their way. [`Statement::certify`] refuses
//! what shows in one statement: a key that certifies itself, and the first key of a stream at a later place.
//! [`Line::accept`] refuses a key that the line holds at another place, and of the root's words one that
//! moves the key of the word before. What others let follow since then never keeps a word of the root from
//! counting: if it moves such a key, the place before has ended like every other.
//!
//! Each statement stands by itself and is repeated for long; one that arrives before those that it rests on
//! is tried again later. Revocation is no statement: the receiver stops trusting.
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
const BY_ITSELF: &str = "a key that certifies itself";

/// What is said of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The one stream that it signs.
    pub stream: Stream,
    /// The number of the root's word that it stands under, from 1: each word of the root about a stream has a
    /// higher one than the word before, and the keys that follow under it have the same.
    pub serial: u64,
    /// Its place in the line of keys, from 1; the first key of the stream and no other has the first place.
    /// Under another serial another key may have had the same place: what is kept for each key is kept by
    /// its name.
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
    /// It contradicts itself, the key is another one or certifies itself, or a key does not sign.
    pub fn certify(&self, own: &SigningKey, authority: &SigningKey) -> Result<Vec<u8>, CertifyError> {
        if let Some(fault) = self.fault() {
            return Err(CertifyError::Statement(fault));
        }
        if own.public() != self.key {
            return Err(CertifyError::OtherKey);
        }
        if authority.public() == self.key {
            return Err(CertifyError::Statement(BY_ITSELF));
        }
        let stated = envelope::seal(Content::Statement, &self.write(), EXTERNAL, own)?;
        Ok(envelope::seal(Content::Certified, &stated.bytes, EXTERNAL, authority)?.bytes)
    }

    fn fault(&self) -> Option<&'static str> {
        let is_first = self.stream.collector == self.key.id();
        match (self.serial, self.epoch) {
            (0, _) => Some("the serial 0, which no word of a root has"),
            (_, 0) => Some("the key epoch 0, which no key has"),
            (_, 1) if !is_first => Some("a first key that is not its stream's"),
            (_, 2..) if is_first => Some("the first key of its stream at a later place"),
            _ if self.next == self.key.id() => Some("a key that announces itself"),
            _ => None,
        }
    }

    fn write(&self) -> Vec<u8> {
        let Self { stream, serial, epoch, key, next, created_ms, expires_ms } = self;
        let mut writer = Writer::default();
        writer.map(7);
        stream.write(writer.unsigned(1));
        writer.unsigned(2).unsigned(*serial).unsigned(3).unsigned(*epoch);
        key.write(writer.unsigned(4));
        writer.unsigned(5).bytes(next.as_bytes());
        writer.unsigned(6).integer(*created_ms).unsigned(7);
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
        if reader.map("a statement")? != 7 {
            return Err(Flaw::Expected("a statement"));
        }
        label(&mut reader, 1)?;
        let stream = Stream::read(&mut reader)?;
        label(&mut reader, 2)?;
        let serial = reader.unsigned("a serial")?;
        label(&mut reader, 3)?;
        let epoch = reader.unsigned("a key epoch")?;
        label(&mut reader, 4)?;
        let key = PublicKey::read(&mut reader)?;
        label(&mut reader, 5)?;
        let next = KeyId::read(&mut reader)?;
        label(&mut reader, 6)?;
        let created_ms = reader.integer("a time")?;
        label(&mut reader, 7)?;
        let expires_ms = if reader.null() { None } else { Some(reader.integer("a time")?) };
        let read = Self { stream, serial, epoch, key, next, created_ms, expires_ms };
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
    /// What it rests on has not arrived, if it ever will: a statement about the key that certifies it, or the
    /// word of the root whose serial it has. To be tried again later.
    #[error("it is certified by the key {0}, which does not count here: a statement before it is missing")]
    Missing(KeyId),
    /// It stands under a word of the root that a later one has ended.
    #[error("it stands under the root's serial {found}, and {held} counts by now")]
    Old {
        /// Its own serial.
        found: u64,
        /// The present serial.
        held: u64,
    },
    /// Two statements of one place, both by the key before and by the key itself: these are in two hands.
    #[error("another statement about key number {0} is held: somebody else has a key of this stream")]
    Fork(u64),
    /// Two words of the root under one serial. The one that came first stays; only a word under a higher
    /// serial makes all receivers hold the same again.
    #[error(
        "the root has certified something else under its serial {0}, and has to do so under a higher one"
    )]
    RootFork(u64),
    /// The key before announced another one.
    #[error(
        "its key {0} is not the one that was announced: whoever made it has the key before and not this one"
    )]
    NotAnnounced(KeyId),
    /// A key speaks of the next place only.
    #[error("it is about key number {found}, and certified by number {held}, which speaks of the next only")]
    Skips {
        /// Its own number.
        found: u64,
        /// The number of the key that certifies it.
        held: u64,
    },
    /// A key has one place.
    #[error("it is about key number {found}, which is key number {held} already")]
    OtherPlace {
        /// Its own number.
        found: u64,
        /// The number that the same key has.
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
    /// The root has spoken again, and no key before its word counts. Whatever was built from bundles of those
    /// keys may be a thief's: the receiver begins with a new [`State`](super::State) and with new marks of
    /// sequence for this stream, and calls [`Keyring::follow`](super::Keyring::follow). What it shows to
    /// people may stay, as not yet said again, until one cycle has listed everything anew.
    Recertified,
}

/// What a receiver knows of the keys of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    root: PublicKey,
    /// The root's last word, also when its key is too early to count.
    word: Statement,
    /// Those that followed since, oldest first: one more than [`MAX_EARLIER`] at most.
    followed: Vec<Statement>,
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
        let word = stated(&envelope, root)?;
        if word.stream.zone != *zone {
            return Err(NotAccepted::OtherStream(Box::new(word.stream)));
        }
        Ok(Self { root: root.clone(), word, followed: Vec::new() })
    }

    /// Takes a statement in.
    ///
    /// # Errors
    /// It does not count, or rests on one that has not arrived; the line is then what it was.
    pub fn accept(&mut self, bytes: &[u8]) -> Result<News, NotAccepted> {
        let envelope = certified(bytes)?;
        if envelope.kid == self.root.id() {
            let word = self.of_this_stream(stated(&envelope, &self.root)?)?;
            return self.recertify(word);
        }
        let before = self.statements().find(|it| it.key.id() == envelope.kid).cloned();
        let before = before.ok_or(NotAccepted::Missing(envelope.kid))?;
        let statement = self.of_this_stream(stated(&envelope, &before.key)?)?;
        self.follow(&before, statement)
    }

    /// Takes a word of the root. Nothing that keys of the line said is asked: a thief may have said it.
    fn recertify(&mut self, word: Statement) -> Result<News, NotAccepted> {
        let (found, held) = (word.serial, self.word.serial);
        if found < held {
            return Err(NotAccepted::Old { found, held });
        }
        if found == held {
            return if word == self.word { Ok(News::Known) } else { Err(NotAccepted::RootFork(found)) };
        }
        one_place(&word, &self.word)?;
        self.word = word;
        self.followed.clear();
        Ok(News::Recertified)
    }

    /// Takes a statement that the key of another one certified.
    fn follow(&mut self, before: &Statement, statement: Statement) -> Result<News, NotAccepted> {
        let (found, held) = (statement.serial, self.word.serial);
        if found > held {
            return Err(NotAccepted::Missing(before.key.id()));
        }
        if found < held {
            return Err(NotAccepted::Old { found, held });
        }
        let (found, held) = (statement.epoch, before.epoch);
        if held.checked_add(1) != Some(found) {
            return Err(NotAccepted::Skips { found, held });
        }
        // Asked before what is held at its place: who has a key that was left behind, and not the one after
        // it, can say nothing of that one.
        if statement.key.id() != before.next {
            return Err(NotAccepted::NotAnnounced(statement.key.id()));
        }
        match self.statements().find(|it| it.epoch == found) {
            Some(same) if *same == statement => return Ok(News::Known),
            Some(_) => return Err(NotAccepted::Fork(found)),
            None => {}
        }
        self.statements().chain([&self.word]).try_for_each(|it| one_place(&statement, it))?;
        self.followed.push(statement);
        let over = self.followed.len().saturating_sub(MAX_EARLIER + 1);
        self.followed.drain(..over);
        Ok(News::Followed)
    }

    fn of_this_stream(&self, statement: Statement) -> Result<Statement, NotAccepted> {
        if statement.stream == self.word.stream {
            Ok(statement)
        } else {
            Err(NotAccepted::OtherStream(Box::new(statement.stream)))
        }
    }

    /// What is known of the present key.
    pub fn current(&self) -> &Statement {
        self.followed.last().unwrap_or(&self.word)
    }

    /// The key that the zone's root signs with.
    pub fn root(&self) -> &PublicKey {
        &self.root
    }

    /// What is known of a key that counts.
    pub fn about(&self, key: &KeyId) -> Option<&Statement> {
        self.statements().find(|it| it.key.id() == *key)
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
        let word = (self.followed.len() <= MAX_EARLIER).then_some(&self.word);
        word.into_iter().chain(&self.followed)
    }
}

/// Refuses that the key of both is at two places.
fn one_place(statement: &Statement, other: &Statement) -> Result<(), NotAccepted> {
    let (found, held) = (statement.epoch, other.epoch);
    if statement.key == other.key && found != held {
        return Err(NotAccepted::OtherPlace { found, held });
    }
    Ok(())
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
    if *authority == statement.key {
        return Err(InvalidBundle::Statement(Flaw::Value(BY_ITSELF)));
    }
    inner.open(&statement.key, EXTERNAL)?;
    Ok(statement)
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
