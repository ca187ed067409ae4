//! The rows of a section: their encoding, their digest, and the difference between two sections.
//!
//! Rows are opaque bytes here; only the software index looks inside. They are kept in canonical
//! order, sorted by their bytes. Decompressing is bounded everywhere: a payload comes from a peer
//! or from a disk that may be damaged.

use std::collections::HashMap;
use std::io::Read;

use holdpoint_proto::store::OverlayRecord;

use super::keys::Digest;

/// The encoded rows of one section, in canonical order.
pub type Rows = Vec<Vec<u8>>;

/// Most bytes that a compressed payload may expand to.
pub use holdpoint_common::section::MAX_LISTING as MAX_SECTION_BYTES;
/// Most rows of a section.
pub use holdpoint_common::section::MAX_ROWS;
/// A section that differs from its base by more rows than this is stored complete.
pub const MAX_OVERLAY_ROWS: usize = 32;

const COMPRESSION_LEVEL: i32 = 3;

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> Digest {
    *holdpoint_common::section::Digest::of(bytes).as_bytes()
}

/// The digest of a section: SHA-256 over every row's length (u32, little-endian) and bytes.
pub fn section_digest(rows: &[Vec<u8>]) -> Digest {
    *holdpoint_common::section::digest_of(rows).as_bytes()
}

/// The rows one after the other, each after its length.
pub(crate) fn encode(rows: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows.iter().map(|row| 4 + row.len()).sum());
    for row in rows {
        // Rows are bounded far below this when they enter the store.
        bytes.extend_from_slice(&u32::try_from(row.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(row);
    }
    bytes
}

/// The reverse of [`encode`]; `None` when the lengths do not add up or there are too many rows.
pub(crate) fn decode(mut bytes: &[u8]) -> Option<Rows> {
    let mut rows = Rows::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_at_checked(4)?;
        let length = usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?;
        let (row, rest) = rest.split_at_checked(length)?;
        if rows.len() == MAX_ROWS {
            return None;
        }
        rows.push(row.to_vec());
        bytes = rest;
    }
    Some(rows)
}

/// The zstd payload of a section.
pub(crate) fn compress(rows: &[Vec<u8>]) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(&encode(rows), COMPRESSION_LEVEL)
}

/// The rows of a payload; `None` when it is none or would expand beyond [`MAX_SECTION_BYTES`].
pub(crate) fn decompress(payload: &[u8]) -> Option<Rows> {
    let limit = u64::try_from(MAX_SECTION_BYTES).ok()?;
    let mut bytes = Vec::new();
    zstd::stream::read::Decoder::new(payload).ok()?.take(limit + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() > MAX_SECTION_BYTES { None } else { decode(&bytes) }
}

/// What changes between two sections whose rows are sorted; `None` when it is more than
/// [`MAX_OVERLAY_ROWS`]. The indexes are into `base` and `rows`.
pub(crate) fn difference(base: &[Vec<u8>], rows: &[Vec<u8>]) -> Option<(Vec<usize>, Vec<usize>)> {
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let (mut b, mut r) = (0, 0);
    while b < base.len() || r < rows.len() {
        if removed.len() + added.len() > MAX_OVERLAY_ROWS {
            return None;
        }
        match (base.get(b), rows.get(r)) {
            (Some(old), Some(new)) if old == new => {
                b += 1;
                r += 1;
            }
            (Some(old), new) if new.is_none_or(|new| old < new) => {
                removed.push(b);
                b += 1;
            }
            _ => {
                added.push(r);
                r += 1;
            }
        }
    }
    if removed.len() + added.len() > MAX_OVERLAY_ROWS { None } else { Some((removed, added)) }
}

/// The rows of an overlay on its base.
pub(crate) fn overlaid(base: &[Vec<u8>], overlay: &OverlayRecord) -> Rows {
    let mut removed: HashMap<&[u8], u32> = HashMap::new();
    for hash in &overlay.removed {
        *removed.entry(hash).or_default() += 1;
    }
    let mut rows: Rows = base
        .iter()
        .filter(|row| {
            if removed.is_empty() {
                return true;
            }
            match removed.get_mut(sha256(row).as_slice()) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    false
                }
                _ => true,
            }
        })
        .cloned()
        .collect();
    rows.extend(overlay.added.iter().cloned());
    rows.sort_unstable();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows() -> impl Strategy<Value = Rows> {
        proptest::collection::vec(proptest::collection::vec(0_u8..4, 0..3), 0..40).prop_map(|mut rows| {
            rows.sort();
            rows
        })
    }

    proptest! {
        #[test]
        fn an_overlay_gives_the_very_rows_back(base in rows(), rows in rows()) {
            if let Some((removed, added)) = difference(&base, &rows) {
                let overlay = OverlayRecord {
                    removed: removed.iter().map(|&at| sha256(&base[at]).to_vec()).collect(),
                    added: added.iter().map(|&at| rows[at].clone()).collect(),
                    names: Vec::new(),
                };
                prop_assert_eq!(overlaid(&base, &overlay), rows);
            }
        }

        #[test]
        fn rows_survive_compression(rows in rows()) {
            prop_assert_eq!(decompress(&compress(&rows).unwrap()), Some(rows));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(rows) = decode(&bytes) {
                prop_assert_eq!(encode(&rows), bytes);
            }
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let zeros = vec![0; MAX_SECTION_BYTES + 8];
        let bomb = zstd::bulk::compress(&zeros, 3).unwrap();
        assert!(bomb.len() < 64 * 1024);
        assert_eq!(decompress(&bomb), None);
        assert_eq!(decompress(b"no zstd"), None);
    }

    #[test]
    fn a_difference_has_its_limit() {
        let base: Rows = (0..100_u8).map(|it| vec![it]).collect();
        assert_eq!(difference(&base, &base[32..]).map(|(removed, _)| removed.len()), Some(32));
        assert_eq!(difference(&base, &base[33..]), None);
    }
}
