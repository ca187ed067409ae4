//! Pages: what is kept of a zone, one message each, and the keys that they are found by.
//!
//! ```text
//! z ZONE 0             the zone besides its facts and incarnations
//! i ZONE 0             the present incarnation
//! p ZONE 0 EPOCH       one that has ended
//! w ZONE 0 NUMBER      a run of places that are known one by one
//! l ZONE 0             which parts of the state were listed when
//! h ZONE 0 HASH        a bundle that waits for a confirmation
//! f ZONE 0 CLASS NAME  a fact
//! y ZONE 0 CLASS NAME  how an asset or a change became what it is
//! o ZONE 0 SLOT        an object as it came
//! k ZONE 0             the zone's keys
//! r KEY                a key that is revoked
//! s                    what came that belongs to nobody
//! ```
//! A zone's name has no zero byte, so no key is the beginning of another zone's.

use holdpoint_common::bundle::{Class, Key};
use holdpoint_common::section::Digest;

/// The version of every page that is written. A page of another version is refused, never guessed.
pub const VERSION: u32 = 1;

/// What a page is about: the first byte of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// The zone besides its facts and incarnations.
    Zone,
    /// The present incarnation.
    Present,
    /// One that has ended.
    Past,
    /// Places that are known one by one.
    Places,
    /// Which parts of the state were listed when.
    Listed,
    /// A bundle that waits.
    Held,
    /// A fact.
    Fact,
    /// How something became what it is.
    History,
    /// An object as it came.
    Original,
    /// The keys of a zone.
    Line,
    /// A key that is revoked.
    Revoked,
    /// What belongs to nobody.
    Strangers,
}

impl Tag {
    /// Its byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Zone => b'z',
            Self::Present => b'i',
            Self::Past => b'p',
            Self::Places => b'w',
            Self::Listed => b'l',
            Self::Held => b'h',
            Self::Fact => b'f',
            Self::History => b'y',
            Self::Original => b'o',
            Self::Line => b'k',
            Self::Revoked => b'r',
            Self::Strangers => b's',
        }
    }
}

/// What all pages of a kind of a zone begin with.
pub fn prefix(tag: Tag, zone: &str) -> Vec<u8> {
    [&[tag.byte()], zone.as_bytes(), &[0]].concat()
}

/// The key of a page of a zone.
pub fn key(tag: Tag, zone: &str, rest: &[u8]) -> Vec<u8> {
    [&prefix(tag, zone), rest].concat()
}

/// The end of the key of what is about a record.
pub fn of_record(key: &Key) -> Vec<u8> {
    [&[key.class().number()], key.name().as_bytes()].concat()
}

/// The record that the end of a key is about.
///
/// # Errors
/// It is the end of no such key.
pub fn record_of(rest: &[u8]) -> Result<Key, InvalidPage> {
    let (class, name) = rest.split_first().ok_or(InvalidPage("the name of a fact"))?;
    let class = Class::ALL.into_iter().find(|it| it.number() == *class);
    let class = class.ok_or(InvalidPage("a class that only a newer version knows"))?;
    let name = std::str::from_utf8(name).map_err(|_| InvalidPage("the name of a fact"))?;
    Key::new(class, name).map_err(|_| InvalidPage("the name of a fact"))
}

/// A page that this version did not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a page of the fleet is not what was written, or is of a newer version: {0}")]
pub struct InvalidPage(pub &'static str);

/// Refuses a page of another version.
///
/// # Errors
/// It is one.
pub fn version(found: u32) -> Result<(), InvalidPage> {
    if found == VERSION { Ok(()) } else { Err(InvalidPage("its version")) }
}

/// A digest that was kept.
///
/// # Errors
/// It has another length.
pub fn digest(bytes: &[u8]) -> Result<Digest, InvalidPage> {
    bytes32(bytes).map(Digest::from)
}

/// 32 bytes that were kept.
///
/// # Errors
/// There is another number of them.
pub fn bytes32(bytes: &[u8]) -> Result<[u8; 32], InvalidPage> {
    bytes.try_into().map_err(|_| InvalidPage("a hash"))
}

/// 16 bytes that were kept.
///
/// # Errors
/// There is another number of them.
pub fn bytes16(bytes: &[u8]) -> Result<[u8; 16], InvalidPage> {
    bytes.try_into().map_err(|_| InvalidPage("an incarnation"))
}
