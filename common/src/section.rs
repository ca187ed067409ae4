//! Sections as bytes: canonical rows, digest, packing and delta.
//!
//! ```text
//! rows     every row as its encoded message, sorted by bytes, each once
//! listing  for each row: length (u32, little endian), bytes
//! digest   SHA-256 over the listing
//! packed   zstd over the listing
//! delta    SHA-256 of each removed row, bytes of each added row (message `Delta`, zstd)
//! ```
//!
//! Nothing here knows what a row says. Everything that arrives is bounded before it is
//! allocated: compressed input may expand to [`MAX_LISTING`] and no further.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read};

use aws_lc_rs::digest::{Context, SHA256};
use prost::Message;

use crate::proto::v1::{Delta, SectionKind, SectionStatus};
use crate::row::{MAX_ROW, Row};

/// Most rows of one section.
pub const MAX_ROWS: usize = 65_536;
/// Largest listing of one section, in bytes.
pub const MAX_LISTING: usize = 16 * 1024 * 1024;
/// Largest packed section or delta on the wire, in bytes.
pub const MAX_PACKED: usize = 4 * 1024 * 1024;
/// Most reasons that a section carries.
pub const MAX_REASONS: usize = 64;
/// Longest reason, in bytes.
pub const MAX_REASON: usize = 512;

/// zstd level of listings: a scan's CPU matters more than the last tenth of the size.
const LEVEL: i32 = 3;

/// Largest window that a frame may ask for, as a power of two: 2^24 is [`MAX_LISTING`].
const WINDOW_LOG: u32 = 24;

/// A SHA-256 value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(bytes);
        Self::finish(context)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 32 bytes, for a message.
    pub fn to_vec(self) -> Vec<u8> {
        self.0.to_vec()
    }

    fn finish(context: Context) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = InvalidSection;

    fn try_from(bytes: &[u8]) -> Result<Self, InvalidSection> {
        bytes.try_into().map(Self).map_err(|_| InvalidSection::Digest { bytes: bytes.len() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why bytes are no section.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSection {
    /// A digest has another length.
    #[error("a digest has 32 bytes, not {bytes}")]
    Digest {
        /// What arrived.
        bytes: usize,
    },
    /// Too many rows.
    #[error("the section has more than {MAX_ROWS} rows")]
    TooManyRows,
    /// A row over its limit.
    #[error("a row of {bytes} bytes is over the limit of {MAX_ROW}")]
    RowTooLarge {
        /// Size of the row.
        bytes: usize,
    },
    /// The packed bytes expand further than a section may.
    #[error("the section expands to more than {MAX_LISTING} bytes")]
    TooLarge,
    /// Not zstd, or cut off.
    #[error("the section cannot be decompressed")]
    Compression(#[source] io::Error),
    /// Lengths that do not add up.
    #[error("the section's listing is cut off")]
    Truncated,
    /// Rows out of order or repeated.
    #[error("the section's rows are not in canonical order")]
    NotCanonical,
    /// The delta is no message.
    #[error("the delta is malformed")]
    Delta(#[source] prost::DecodeError),
    /// The delta removes a row that is not there or adds one that is.
    #[error("the delta does not fit its base")]
    DoesNotFit,
}

/// Encoded rows in canonical order, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows(Vec<Vec<u8>>);

impl Rows {
    /// Encodes typed rows.
    pub fn encode<R: Row>(rows: &[R]) -> Self {
        Self::from_encoded(rows.iter().map(Message::encode_to_vec).collect())
    }

    /// Sorts rows that are encoded already.
    pub fn from_encoded(mut rows: Vec<Vec<u8>>) -> Self {
        rows.sort_unstable();
        rows.dedup();
        Self(rows)
    }

    /// The encoded rows.
    pub fn as_slice(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// The encoded rows, for who keeps them.
    pub fn into_encoded(self) -> Vec<Vec<u8>> {
        self.0
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The digest over the listing.
    pub fn digest(&self) -> Digest {
        digest_of(&self.0)
    }

    /// The listing, compressed.
    ///
    /// # Errors
    /// The compressor failed: memory is short.
    pub fn pack(&self) -> io::Result<Vec<u8>> {
        let mut listing = Vec::with_capacity(self.0.iter().map(|it| it.len() + 4).sum());
        for row in &self.0 {
            listing.extend_from_slice(&length_of(row));
            listing.extend_from_slice(row);
        }
        zstd::bulk::compress(&listing, LEVEL)
    }

    /// Reads a packed listing from a peer or from disk.
    pub fn unpack(packed: &[u8]) -> Result<Self, InvalidSection> {
        let listing = expand(packed)?;
        let mut rest = listing.as_slice();
        let mut rows: Vec<Vec<u8>> = Vec::new();
        while !rest.is_empty() {
            let (length, tail) = rest.split_first_chunk::<4>().ok_or(InvalidSection::Truncated)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            if length > MAX_ROW {
                return Err(InvalidSection::RowTooLarge { bytes: length });
            }
            let (row, tail) = tail.split_at_checked(length).ok_or(InvalidSection::Truncated)?;
            if rows.last().is_some_and(|last| last.as_slice() >= row) {
                return Err(InvalidSection::NotCanonical);
            }
            if rows.len() == MAX_ROWS {
                return Err(InvalidSection::TooManyRows);
            }
            rows.push(row.to_vec());
            rest = tail;
        }
        Ok(Self(rows))
    }

    /// What turns `base` into these rows.
    pub fn delta_from(&self, base: &Self) -> Delta {
        let old: BTreeSet<&[u8]> = base.0.iter().map(Vec::as_slice).collect();
        let new: BTreeSet<&[u8]> = self.0.iter().map(Vec::as_slice).collect();
        Delta {
            removed: old.difference(&new).map(|row| Digest::of(row).to_vec()).collect(),
            added: new.difference(&old).map(|row| row.to_vec()).collect(),
        }
    }

    /// Applies a delta; the caller compares the digest of the result with the one that was promised.
    pub fn apply(&self, delta: &Delta) -> Result<Self, InvalidSection> {
        let mut removed = delta
            .removed
            .iter()
            .map(|it| Digest::try_from(it.as_slice()))
            .collect::<Result<BTreeSet<_>, _>>()?;
        if removed.len() != delta.removed.len() {
            return Err(InvalidSection::DoesNotFit);
        }
        let mut rows: Vec<Vec<u8>> = Vec::with_capacity(self.0.len());
        // Hashing every row of the base is only worth it when something goes.
        rows.extend(
            self.0.iter().filter(|row| removed.is_empty() || !removed.remove(&Digest::of(row))).cloned(),
        );
        let expected = rows.len() + delta.added.len();
        if let Some(row) = delta.added.iter().find(|row| row.len() > MAX_ROW) {
            return Err(InvalidSection::RowTooLarge { bytes: row.len() });
        }
        rows.extend(delta.added.iter().cloned());
        let result = Self::from_encoded(rows);
        if !removed.is_empty() || result.len() != expected {
            return Err(InvalidSection::DoesNotFit);
        }
        if result.len() > MAX_ROWS {
            return Err(InvalidSection::TooManyRows);
        }
        Ok(result)
    }
}

/// The digest over the listing of rows that are in canonical order already.
pub fn digest_of(rows: &[Vec<u8>]) -> Digest {
    let mut context = Context::new(&SHA256);
    for row in rows {
        context.update(&length_of(row));
        context.update(row);
    }
    Digest::finish(context)
}

/// Compresses a delta for the wire.
///
/// # Errors
/// The compressor failed: memory is short.
pub fn pack_delta(delta: &Delta) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(&delta.encode_to_vec(), LEVEL)
}

/// Reads a packed delta from a peer.
pub fn unpack_delta(packed: &[u8]) -> Result<Delta, InvalidSection> {
    Delta::decode(expand(packed)?.as_slice()).map_err(InvalidSection::Delta)
}

fn expand(packed: &[u8]) -> Result<Vec<u8>, InvalidSection> {
    if packed.len() > MAX_PACKED {
        return Err(InvalidSection::TooLarge);
    }
    let mut decoder = zstd::Decoder::with_buffer(packed).map_err(InvalidSection::Compression)?;
    // A frame may ask for a window; more than a listing can fill is never granted.
    decoder.window_log_max(WINDOW_LOG).map_err(InvalidSection::Compression)?;
    let mut listing = Vec::new();
    let limit = u64::try_from(MAX_LISTING).unwrap_or(u64::MAX);
    decoder.take(limit + 1).read_to_end(&mut listing).map_err(InvalidSection::Compression)?;
    if listing.len() > MAX_LISTING {
        return Err(InvalidSection::TooLarge);
    }
    Ok(listing)
}

fn length_of(row: &[u8]) -> [u8; 4] {
    u32::try_from(row.len()).unwrap_or(u32::MAX).to_le_bytes()
}

/// One section of a snapshot: rows with how completely they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What the rows are about.
    pub kind: SectionKind,
    /// How much of the sources could be read.
    pub status: SectionStatus,
    /// Why it is not complete; empty when it is.
    pub reasons: Vec<String>,
    /// The rows that could be read.
    pub rows: Rows,
    /// The rows' digest.
    pub digest: Digest,
}

impl Section {
    /// A section of rows, with its digest.
    pub fn new(kind: SectionKind, status: SectionStatus, reasons: Vec<String>, rows: Rows) -> Self {
        let digest = rows.digest();
        Self { kind, status, reasons, rows, digest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows() -> impl Strategy<Value = Rows> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 0..40).prop_map(Rows::from_encoded)
    }

    proptest! {
        #[test]
        fn a_delta_turns_its_base_into_its_target(base in rows(), target in rows()) {
            let delta = target.delta_from(&base);
            let travelled = unpack_delta(&pack_delta(&delta).unwrap()).unwrap();
            let result = base.apply(&travelled).unwrap();
            prop_assert_eq!(result.digest(), target.digest());
            prop_assert_eq!(result, target);
        }

        #[test]
        fn packing_keeps_every_row(rows in rows()) {
            prop_assert_eq!(Rows::unpack(&rows.pack().unwrap()).unwrap(), rows);
        }

        #[test]
        fn order_and_repetition_do_not_matter(mut encoded in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..20)) {
            let once = Rows::from_encoded(encoded.clone()).digest();
            encoded.reverse();
            encoded.extend(encoded.clone());
            prop_assert_eq!(Rows::from_encoded(encoded).digest(), once);
        }

        #[test]
        fn a_delta_on_another_base_is_noticed(base in rows(), other in rows(), target in rows()) {
            let delta = target.delta_from(&base);
            if let Ok(result) = other.apply(&delta) && result.digest() == target.digest() {
                prop_assert_eq!(result, target);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Rows::unpack(&bytes);
            let _ = unpack_delta(&bytes);
            let _ = Rows::unpack(&zstd::bulk::compress(&bytes, 1).unwrap());
        }
    }

    #[test]
    fn row_boundaries_are_part_of_the_digest() {
        let rows = |parts: &[&[u8]]| Rows::from_encoded(parts.iter().map(|it| it.to_vec()).collect());
        assert_ne!(rows(&[b"ab", b"c"]).digest(), rows(&[b"a", b"bc"]).digest());
    }

    #[test]
    fn a_bomb_is_refused_before_it_expands() {
        let bomb = zstd::bulk::compress(&vec![0; 256 * 1024 * 1024], 1).unwrap();
        assert!(matches!(Rows::unpack(&bomb), Err(InvalidSection::TooLarge)));
        assert!(matches!(unpack_delta(&bomb), Err(InvalidSection::TooLarge)));
    }

    #[test]
    fn rows_out_of_order_are_refused() {
        let listing = [1, 0, 0, 0, b'b', 1, 0, 0, 0, b'a'];
        let packed = zstd::bulk::compress(&listing, 1).unwrap();
        assert!(matches!(Rows::unpack(&packed), Err(InvalidSection::NotCanonical)));
    }

    #[test]
    fn more_rows_than_the_limit_are_refused() {
        let rows = (0..=MAX_ROWS).map(|it| u32::try_from(it).unwrap().to_be_bytes().to_vec()).collect();
        let packed = Rows::from_encoded(rows).pack().unwrap();
        assert!(matches!(Rows::unpack(&packed), Err(InvalidSection::TooManyRows)));
    }
}
