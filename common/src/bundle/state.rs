//! What a state is as one digest, and which record belongs to which part of it.
//!
//! ```text
//! place   SHA-256( 0, class, name )                            first byte: bucket; first two: slice
//! leaf    SHA-256( 1, class, revision u64, length of name u32, name, SHA-256 of content )
//! bucket  SHA-256( 2, leaf of each live record in order of (class, name) )
//! state   SHA-256( 3, number of live records u64, bucket 0 ... bucket 255 )
//! ```
//! Numbers are big endian, class is one byte. Tombstones are no part of it: a sender forgets them after a
//! while and a receiver at another time, and both must still agree. A change costs one bucket and the root.

use super::record::{Class, Key};
use crate::section::Digest;

/// Buckets of a state.
pub(super) const BUCKETS: usize = 256;

/// Where a record belongs.
fn place(key: &Key) -> [u8; 32] {
    *Digest::of(&[[0, key.class().number()].as_slice(), key.name().as_bytes()].concat()).as_bytes()
}

/// The bucket of a record.
pub(super) fn bucket_of(key: &Key) -> u8 {
    let [first, ..] = place(key);
    first
}

/// The slice that a record belongs to when the state is cut into so many. It depends on the key alone, so a
/// record stays in its slice whatever else comes and goes. One slice and none are the same: everything is in
/// slice 0.
pub fn slice_of(key: &Key, slices: u16) -> u16 {
    let [first, second, ..] = place(key);
    let share = u32::from(u16::from_be_bytes([first, second])) * u32::from(slices);
    // Below `slices`, because the place is below 2^16.
    u16::try_from(share >> 16).unwrap_or_default()
}

/// What one record at one revision is.
pub(super) fn leaf(class: Class, name: &str, revision: u64, content: &[u8]) -> Digest {
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
    let content = Digest::of(content);
    Digest::of(
        &[
            [1, class.number()].as_slice(),
            &revision.to_be_bytes(),
            &length.to_be_bytes(),
            name.as_bytes(),
            content.as_bytes(),
        ]
        .concat(),
    )
}

/// The digest of a bucket.
pub(super) fn bucket<'a>(leaves: impl Iterator<Item = &'a Digest>) -> Digest {
    let mut bytes = vec![2];
    leaves.for_each(|it| bytes.extend_from_slice(it.as_bytes()));
    Digest::of(&bytes)
}

/// The digest of a state.
pub(super) fn root(live: u64, buckets: impl Iterator<Item = Digest>) -> Digest {
    let mut bytes = vec![3];
    bytes.extend(live.to_be_bytes());
    buckets.for_each(|it| bytes.extend_from_slice(it.as_bytes()));
    Digest::of(&bytes)
}
