//! The header of a bundle: small, signed, and readable without unpacking anything.

use super::record::ByClass;
use super::stream::{Before, Epoch, Links, Stream};
use super::strict::{self, Flaw, Reader, Writer};
use crate::section::Digest;

/// Largest header, in bytes.
pub const MAX_HEADER: usize = 4 * 1024;

/// What a bundle is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What changed, perhaps again: records.
    Delta,
    /// A part of the whole state: all records, tombstones too, that [`super::slice_of`] puts there.
    Slice {
        /// Which part, from 0.
        index: u16,
        /// Of how many.
        of: u16,
    },
    /// Records that must not be lost, and that no later one replaces.
    Evidence,
    /// Statements about keys; they travel by themselves too, for who cannot read this bundle without them.
    KeyStatement,
    /// Only says, in its header, what the sender had to drop. Its body is a list of no records.
    DropRecord,
    /// A sign of life without a body. It takes no number: it carries the number that the next bundle gets,
    /// and so its nearest link is the newest bundle.
    Beacon,
}

impl Kind {
    fn write(self, writer: &mut Writer) {
        match self {
            Self::Delta => writer.array(1).unsigned(1),
            Self::Slice { index, of } => {
                writer.array(3).unsigned(2).unsigned(index.into()).unsigned(of.into())
            }
            Self::Evidence => writer.array(1).unsigned(3),
            Self::KeyStatement => writer.array(1).unsigned(4),
            Self::DropRecord => writer.array(1).unsigned(5),
            Self::Beacon => writer.array(1).unsigned(6),
        };
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Flaw> {
        let items = reader.array("a kind")?;
        match (reader.unsigned("a kind")?, items) {
            (1, 1) => Ok(Self::Delta),
            (2, 3) => {
                let mut part =
                    || u16::try_from(reader.unsigned("a slice")?).map_err(|_| Flaw::Value("too many slices"));
                let (index, of) = (part()?, part()?);
                Ok(Self::Slice { index, of })
            }
            (3, 1) => Ok(Self::Evidence),
            (4, 1) => Ok(Self::KeyStatement),
            (5, 1) => Ok(Self::DropRecord),
            (6, 1) => Ok(Self::Beacon),
            _ => Err(Flaw::Value("a kind of bundle that only a newer version knows")),
        }
    }
}

/// What the sender knows of its own clock. Nothing is ever refused for its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockQuality {
    /// Nothing.
    Unknown,
    /// Nobody sets it.
    Unsynchronised,
    /// It follows a source of time.
    Synchronised,
}

impl ClockQuality {
    fn number(self) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::Unsynchronised => 1,
            Self::Synchronised => 2,
        }
    }

    fn from_number(number: u64) -> Result<Self, Flaw> {
        let known = [Self::Unknown, Self::Unsynchronised, Self::Synchronised];
        let found = known.into_iter().find(|it| it.number() == number);
        found.ok_or(Flaw::Value("a quality of the clock that only a newer version knows"))
    }
}

/// What waits at the sender, the bundle itself included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spool {
    /// Bundles that no carrier has taken.
    pub depth: u64,
    /// When the oldest of them was made, by the sender's clock, Unix milliseconds; `None` when none waits.
    pub oldest_ms: Option<i64>,
}

/// What the sender says of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Whose bundle it is.
    pub stream: Stream,
    /// The sender's incarnation.
    pub epoch: Epoch,
    /// Its place in the incarnation, from 1. A crash may skip numbers, never give one twice.
    pub sequence: u64,
    /// What it is for.
    pub kind: Kind,
    /// When it was made, by the sender's clock, Unix milliseconds.
    pub created_ms: i64,
    /// What that clock is worth.
    pub clock: ClockQuality,
    /// The place of the signing key in the stream's line of keys, from 1.
    pub key_epoch: u64,
    /// Digest of the sender's whole state once this bundle is applied, see [`super::State::digest`].
    pub state: Digest,
    /// Hashes of earlier bundles of this incarnation.
    pub links: Links,
    /// What waits.
    pub spool: Spool,
    /// What was dropped in this incarnation so far, in records.
    pub drops: ByClass,
    /// When the next bundle or beacon is due at the latest, in milliseconds after this one was made.
    pub next_due_ms: u64,
    /// The head of the incarnation before, when there was one and it is known.
    pub before: Option<Before>,
}

/// What a header says of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its size unpacked, in bytes; 0 when nothing follows the header.
    pub length: u64,
    /// SHA-256 over the unpacked body.
    pub digest: Digest,
    /// Its records.
    pub counts: ByClass,
}

/// Keys of the header's map. A newer version may add some; none is ever given another meaning.
mod label {
    pub(super) const STREAM: u64 = 1;
    pub(super) const EPOCH: u64 = 2;
    pub(super) const SEQUENCE: u64 = 3;
    pub(super) const KIND: u64 = 4;
    pub(super) const CREATED: u64 = 5;
    pub(super) const CLOCK: u64 = 6;
    pub(super) const KEY_EPOCH: u64 = 7;
    pub(super) const STATE: u64 = 8;
    pub(super) const LINKS: u64 = 9;
    pub(super) const LENGTH: u64 = 10;
    pub(super) const DIGEST: u64 = 11;
    pub(super) const COUNTS: u64 = 12;
    pub(super) const SPOOL: u64 = 13;
    pub(super) const DROPS: u64 = 14;
    pub(super) const NEXT_DUE: u64 = 15;
    pub(super) const BEFORE: u64 = 16;
}

impl Header {
    /// The bytes for whoever keeps a header that was believed: as it travels, around no body.
    pub fn keep(&self) -> Vec<u8> {
        self.write(&Summary { length: 0, digest: Digest::of(b""), counts: ByClass::default() })
    }

    /// Reads what [`Header::keep`] wrote.
    ///
    /// # Errors
    /// It is something else.
    pub fn kept(bytes: &[u8]) -> Result<Self, Flaw> {
        strict::only(bytes)?;
        Self::read(bytes).map(|(header, _)| header)
    }

    /// What is the same of every header, judged by who writes and by who reads.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.sequence == 0 {
            return Some("the sequence 0, which no bundle has");
        }
        if !self.links.fit(self.sequence) {
            return Some("another number of links than its place has");
        }
        if self.key_epoch == 0 {
            return Some("the key epoch 0, which no key has");
        }
        if matches!(self.kind, Kind::Slice { index, of } if index >= of) {
            return Some("a slice that is outside its cycle");
        }
        let contradict = (self.spool.depth == 0) != self.spool.oldest_ms.is_none();
        contradict.then_some("a spool whose depth and age contradict each other")
    }

    pub(super) fn write(&self, summary: &Summary) -> Vec<u8> {
        let Self { stream, epoch, sequence, kind, created_ms, clock, key_epoch, state, .. } = self;
        let Self { links, spool, drops, next_due_ms, before, .. } = self;
        let Summary { length, digest, counts } = summary;

        let mut writer = Writer::default();
        writer.map(if before.is_some() { 16 } else { 15 });
        stream.write(writer.unsigned(label::STREAM));
        writer.unsigned(label::EPOCH).bytes(epoch.as_bytes());
        writer.unsigned(label::SEQUENCE).unsigned(*sequence);
        kind.write(writer.unsigned(label::KIND));
        writer.unsigned(label::CREATED).integer(*created_ms);
        writer.unsigned(label::CLOCK).unsigned(clock.number());
        writer.unsigned(label::KEY_EPOCH).unsigned(*key_epoch);
        writer.unsigned(label::STATE).bytes(state.as_bytes());
        links.write(writer.unsigned(label::LINKS));
        writer.unsigned(label::LENGTH).unsigned(*length);
        writer.unsigned(label::DIGEST).bytes(digest.as_bytes());
        counts.write(writer.unsigned(label::COUNTS));
        writer.unsigned(label::SPOOL).array(2).unsigned(spool.depth);
        match spool.oldest_ms {
            Some(oldest) => writer.integer(oldest),
            None => writer.null(),
        };
        drops.write(writer.unsigned(label::DROPS));
        writer.unsigned(label::NEXT_DUE).unsigned(*next_due_ms);
        if let Some(before) = before {
            before.write(writer.unsigned(label::BEFORE));
        }
        writer.finish()
    }

    /// Reads an item that is in strict form already. What a newer version added behind the last key is passed
    /// over.
    pub(super) fn read(item: &[u8]) -> Result<(Self, Summary), Flaw> {
        let mut reader = Reader::new(item);
        let pairs = reader.map("a header")?;
        let it = &mut reader;
        let stream = Stream::read(labelled(it, label::STREAM)?)?;
        let epoch = Epoch::from(labelled(it, label::EPOCH)?.exactly::<16>("an epoch")?);
        let sequence = labelled(it, label::SEQUENCE)?.unsigned("a sequence")?;
        let kind = Kind::read(labelled(it, label::KIND)?)?;
        let created_ms = labelled(it, label::CREATED)?.integer("a time")?;
        let clock =
            ClockQuality::from_number(labelled(it, label::CLOCK)?.unsigned("a quality of the clock")?)?;
        let key_epoch = labelled(it, label::KEY_EPOCH)?.unsigned("a key epoch")?;
        let state = Digest::from(labelled(it, label::STATE)?.exactly::<32>("a digest")?);
        let links = Links::read(labelled(it, label::LINKS)?)?;
        let length = labelled(it, label::LENGTH)?.unsigned("a length")?;
        let digest = Digest::from(labelled(it, label::DIGEST)?.exactly::<32>("a digest")?);
        let counts = ByClass::read(labelled(it, label::COUNTS)?)?;
        labelled(it, label::SPOOL)?.array_of(2, "a spool")?;
        let depth = it.unsigned("a depth")?;
        let oldest_ms = if it.null() { None } else { Some(it.integer("a time")?) };
        let spool = Spool { depth, oldest_ms };
        let drops = ByClass::read(labelled(it, label::DROPS)?)?;
        let next_due_ms = labelled(it, label::NEXT_DUE)?.unsigned("a time")?;
        let before = match pairs {
            ..16 => None,
            // The key behind the last of today may be one of tomorrow.
            16.. => match it.unsigned("a key")? {
                label::BEFORE => Some(Before::read(it)?),
                _ => None,
            },
        };
        let header = Self {
            stream,
            epoch,
            sequence,
            kind,
            created_ms,
            clock,
            key_epoch,
            state,
            links,
            spool,
            drops,
            next_due_ms,
            before,
        };
        match header.fault() {
            Some(fault) => Err(Flaw::Value(fault)),
            None => Ok((header, Summary { length, digest, counts })),
        }
    }
}

fn labelled<'r, 'a>(reader: &'r mut Reader<'a>, label: u64) -> Result<&'r mut Reader<'a>, Flaw> {
    match reader.unsigned("a key")? {
        found if found == label => Ok(reader),
        _ => Err(Flaw::Expected("a key of the header")),
    }
}
