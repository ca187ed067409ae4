//! One datagram: a header of 64 bytes and a symbol.
//!
//! ```text
//!  0  magic     2   "HD"
//!  2  version   1   1
//!  3  key       1   number of the link key
//!  4  kind      1   0 a shard of an object, 1 a test pattern
//!  5  pass      1   from 0; for statistics alone
//!  6  block     2   of the object                          | step of the test
//!  8  stream    8   which sender this is, for routing
//! 16  session   4   random for each start of the sender
//! 20  sequence  6   of the datagram in its session
//! 26  index     2   of the shard in its block              | steps of the test
//! 28  length    4   of the object                          | datagrams of the step
//! 32  object   16   first bytes of the object's SHA-256    | rate, bits per s, 8; place in the step, 8
//! 48  MAC      16   over the bytes before and the symbol
//! 64  symbol        even number of bytes, as many in every datagram of an object
//! ```
//! Numbers are big-endian. Numbers of blocks, sources and repair symbols are not sent: [`Shape`] has them from
//! the lengths, so they cannot contradict each other. Shards below the number of sources are the object's own
//! bytes, those above are repair; of one source symbol every shard is a copy.
//!
//! [`parse`] touches no state, and reads nothing but lengths, magic and key number before the MAC is right.

use aws_lc_rs::digest::{SHA256, digest};

use super::keys::{Keys, MAC};
use super::shape::{MAX_SHARDS, MAX_SYMBOL, Shape};

/// Length of a header, in bytes.
pub const HEADER: usize = 64;
/// Largest sequence number: after it a sender starts a new session.
pub const MAX_SEQUENCE: u64 = (1 << 48) - 1;
const MAGIC: [u8; 2] = *b"HD";
const VERSION: u8 = 1;
const OBJECT: u8 = 0;
const PATTERN: u8 = 1;
/// Where the MAC begins.
const AT_MAC: usize = HEADER - MAC;

/// The first 16 bytes of an object's SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub [u8; 16]);

impl ObjectId {
    /// The name of an object.
    pub fn of(object: &[u8]) -> Self {
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(digest(&SHA256, object).as_ref()) {
            *to = *from;
        }
        Self(id)
    }
}

/// Which datagram of whom this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Which sender, for routing.
    pub stream: u64,
    /// Random for each start of the sender.
    pub session: u32,
    /// Number of the datagram in its session, from 0, without gaps as sent.
    pub sequence: u64,
}

/// One shard of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard<'a> {
    /// Which pass sent it, from 0.
    pub pass: u8,
    /// Of which object.
    pub object: ObjectId,
    /// The object's shape.
    pub shape: Shape,
    /// Of which block, below [`Shape::blocks`].
    pub block: u16,
    /// Which of the block, below [`MAX_SHARDS`].
    pub index: u16,
    /// Its bytes, as many as the shape says.
    pub symbol: &'a [u8],
}

/// One datagram of a test of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    /// Which step, from 0, below `steps`.
    pub step: u16,
    /// Steps of the test.
    pub steps: u16,
    /// Rate of the step, in bits per second with UDP and IP headers.
    pub rate: u64,
    /// Which datagram of the step, from 0, below `count`.
    pub place: u64,
    /// Datagrams of the step.
    pub count: u32,
    /// Bytes of the symbol.
    pub symbol: u16,
}

/// What a datagram carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load<'a> {
    /// A shard of an object.
    Shard(Shard<'a>),
    /// A test of the link.
    Pattern(Pattern),
}

/// A datagram whose MAC is right and whose numbers fit each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Which and whose.
    pub origin: Origin,
    /// What it carries.
    pub load: Load<'a>,
}

/// Why a datagram is refused; in the order of judging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Shorter than a header and a symbol, longer than the longest, or of an odd length.
    Length,
    /// Not of this protocol, or of another version of it.
    Magic,
    /// No key of that number.
    Key,
    /// The MAC is wrong.
    Mac,
    /// Its numbers are out of bounds or do not fit each other.
    Bounds,
    /// Of a sender that is not awaited here.
    Stream,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Length, Self::Magic, Self::Key, Self::Mac, Self::Bounds, Self::Stream];

    /// A word for it, as a label of metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Magic => "magic",
            Self::Key => "key",
            Self::Mac => "mac",
            Self::Bounds => "bounds",
            Self::Stream => "stream",
        }
    }
}

/// Reads a datagram of a stranger.
pub fn parse<'a>(keys: &Keys, bytes: &'a [u8]) -> Result<Datagram<'a>, Cause> {
    let (header, symbol) = bytes.split_first_chunk::<HEADER>().ok_or(Cause::Length)?;
    let length = u16::try_from(symbol.len()).map_err(|_| Cause::Length)?;
    if !(2..=MAX_SYMBOL).contains(&length) || !length.is_multiple_of(2) {
        return Err(Cause::Length);
    }
    let (signed, mac) = header.split_at(AT_MAC);
    let [m0, m1, version, key, kind, pass, ..] = *header;
    if [m0, m1] != MAGIC || version != VERSION {
        return Err(Cause::Magic);
    }
    if !keys.knows(key) {
        return Err(Cause::Key);
    }
    if !keys.verify(key, signed, symbol, mac) {
        return Err(Cause::Mac);
    }
    let mut rest = Fields(signed.get(6..).unwrap_or_default());
    let block = rest.u16();
    let stream = rest.u64();
    let session = rest.u32();
    let sequence = rest.u48();
    let index = rest.u16();
    let length_or_count = rest.u32();
    let origin = Origin { stream, session, sequence };
    let load = match kind {
        OBJECT => {
            let shape = Shape::new(length_or_count, length).ok_or(Cause::Bounds)?;
            if block >= shape.blocks() || index >= MAX_SHARDS {
                return Err(Cause::Bounds);
            }
            let object = ObjectId(rest.take());
            Load::Shard(Shard { pass, object, shape, block, index, symbol })
        }
        PATTERN => {
            let (rate, place) = (rest.u64(), rest.u64());
            if block >= index || place >= u64::from(length_or_count) || rate == 0 {
                return Err(Cause::Bounds);
            }
            let count = length_or_count;
            Load::Pattern(Pattern { step: block, steps: index, rate, place, count, symbol: length })
        }
        _ => return Err(Cause::Bounds),
    };
    Ok(Datagram { origin, load })
}

/// Numbers at the front of a header. What is missing reads as zero, and nothing is: the header is whole.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (first, rest) = self.0.split_first_chunk::<N>().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *first
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    fn u48(&mut self) -> u64 {
        u64::from(self.u16()) << 32 | u64::from(self.u32())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }
}

/// Appends a shard's datagram. A symbol that is shorter than the shape says is filled up with zeros, which is
/// how the last one of an object is sent.
pub fn write_shard(to: &mut Vec<u8>, keys: &Keys, origin: Origin, shard: &Shard<'_>) {
    let Shard { pass, object, shape, block, index, symbol } = *shard;
    let head = Head { kind: OBJECT, pass, block, index, length: shape.length(), detail: object.0 };
    write(to, keys, origin, &head, symbol, usize::from(shape.symbol()));
}

/// Appends the datagram of a test.
pub fn write_pattern(to: &mut Vec<u8>, keys: &Keys, origin: Origin, pattern: &Pattern) {
    let Pattern { step, steps, rate, place, count, symbol } = *pattern;
    let detail = u128::from(rate) << 64 | u128::from(place);
    let head = Head {
        kind: PATTERN,
        pass: 0,
        block: step,
        index: steps,
        length: count,
        detail: detail.to_be_bytes(),
    };
    write(to, keys, origin, &head, &[], usize::from(symbol));
}

struct Head {
    kind: u8,
    pass: u8,
    block: u16,
    index: u16,
    length: u32,
    detail: [u8; 16],
}

fn write(to: &mut Vec<u8>, keys: &Keys, origin: Origin, head: &Head, symbol: &[u8], symbol_bytes: usize) {
    let [_, _, sequence @ ..] = (origin.sequence & MAX_SEQUENCE).to_be_bytes();
    let start = to.len();
    to.extend(MAGIC);
    to.extend([VERSION, keys.sending(), head.kind, head.pass]);
    to.extend(head.block.to_be_bytes());
    to.extend(origin.stream.to_be_bytes());
    to.extend(origin.session.to_be_bytes());
    to.extend(sequence);
    to.extend(head.index.to_be_bytes());
    to.extend(head.length.to_be_bytes());
    to.extend(head.detail);
    to.extend([0; MAC]);
    let symbol = symbol.get(..symbol_bytes).unwrap_or(symbol);
    to.extend_from_slice(symbol);
    to.resize(start + HEADER + symbol_bytes, 0);
    seal(to.get_mut(start..).unwrap_or_default(), keys);
}

/// Puts the MAC of the key to send with where it belongs. The bytes may be anything: so a test can say what the
/// holder of a key could. What is shorter than a header stays as it is.
pub fn seal(datagram: &mut [u8], keys: &Keys) {
    if let Some((header, symbol)) = datagram.split_first_chunk_mut::<HEADER>() {
        let (signed, mac) = header.split_at_mut(AT_MAC);
        mac.copy_from_slice(&keys.sign(signed, symbol));
    }
}

#[cfg(test)]
#[path = "datagram_tests.rs"]
mod tests;
