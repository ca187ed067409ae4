//! How a value lies in the engine: with its own hash, and in chunks when it is large.
//!
//! A stored value is one form byte, 16 bytes of SHA-256 over the key and the content, then the
//! content itself or, for a large one, its length in bytes (u32, little-endian); the content then
//! lies in the chunk table under the key and a counter. The hash covers the key too, so that a
//! value under the wrong key is noticed.

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;

use super::backend::{Backend, Batch, Entry};
use super::error::StoreError;
use super::keys::Table;

/// Largest content that is stored in one piece, in bytes. sled writes a leaf of its tree, up to 17
/// entries, to a file of its own and **without a sync** when it is larger than a quarter of a
/// segment, 128 KiB; when that file meets a full disk, the next flush waits for ever. Pieces of
/// this size keep every leaf below that.
pub(crate) const MAX_PIECE: usize = 6 * 1024;
/// Largest content at all, in bytes.
pub(crate) const MAX_VALUE: usize = 64 * 1024 * 1024;

const WHOLE: u8 = 1;
const CHUNKED: u8 = 2;
const HASH: usize = 16;
/// A reader may meet a large value while it is being replaced.
const READS: u32 = 3;

/// The content of a key; `None` when there is none.
pub(crate) fn get(backend: &dyn Backend, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let mut tries = 1;
    loop {
        let Some(stored) = backend.get(key).map_err(StoreError::engine("read"))? else { return Ok(None) };
        match open(backend, key, &stored) {
            Err(StoreError::Corrupt { .. }) if stored.first() == Some(&CHUNKED) && tries < READS => {
                tries += 1;
            }
            content => return content.map(Some),
        }
    }
}

/// Contents whose keys start with `prefix` and are greater than `after`; only an empty page is the end.
pub(crate) fn page(
    backend: &dyn Backend,
    prefix: &[u8],
    after: Option<&[u8]>,
    max: usize,
) -> Result<Vec<Entry>, StoreError> {
    let mut entries = backend.page(prefix, after, max).map_err(StoreError::engine("read a page"))?;
    for (key, value) in &mut entries {
        *value = open(backend, key, value)?;
    }
    Ok(entries)
}

/// Sets a key that may hold another content already.
pub(crate) fn put(
    backend: &dyn Backend,
    batch: &mut Batch,
    key: Vec<u8>,
    content: &[u8],
) -> Result<(), StoreError> {
    drop_chunks(backend, batch, &key)?;
    put_new(batch, key, content);
    Ok(())
}

/// Sets a key that holds nothing, or this very content.
pub(crate) fn put_new(batch: &mut Batch, key: Vec<u8>, content: &[u8]) {
    let mut stored = Vec::with_capacity(1 + HASH + content.len().min(MAX_PIECE));
    if content.len() <= MAX_PIECE {
        stored.push(WHOLE);
        stored.extend_from_slice(&hash(&key, content));
        stored.extend_from_slice(content);
    } else {
        stored.push(CHUNKED);
        stored.extend_from_slice(&hash(&key, content));
        // The limit on values keeps this far below the type's own.
        stored.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (number, chunk) in (0_u32..).zip(content.chunks(MAX_PIECE)) {
            put_new(batch, chunk_key(&key, number), chunk);
        }
    }
    batch.put(key, stored);
}

/// Removes a key and its chunks.
pub(crate) fn delete(backend: &dyn Backend, batch: &mut Batch, key: Vec<u8>) -> Result<(), StoreError> {
    drop_chunks(backend, batch, &key)?;
    batch.delete(key);
    Ok(())
}

fn drop_chunks(backend: &dyn Backend, batch: &mut Batch, key: &[u8]) -> Result<(), StoreError> {
    let stored = backend.get(key).map_err(StoreError::engine("read"))?;
    if let Some(length) = stored.as_deref().and_then(chunked_length) {
        for (number, _) in (0_u32..).zip((0..length).step_by(MAX_PIECE)) {
            batch.delete(chunk_key(key, number));
        }
    }
    Ok(())
}

fn chunked_length(stored: &[u8]) -> Option<usize> {
    if stored.first() != Some(&CHUNKED) {
        return None;
    }
    let length = u32::from_le_bytes(stored.get(1 + HASH..)?.try_into().ok()?);
    usize::try_from(length).ok().filter(|&it| it <= MAX_VALUE)
}

fn chunk_key(key: &[u8], number: u32) -> Vec<u8> {
    let mut chunk = Table::Chunk.key(key);
    chunk.extend_from_slice(&number.to_be_bytes());
    chunk
}

/// The key that a chunk belongs to.
pub(crate) fn chunk_owner(chunk: &[u8]) -> Option<&[u8]> {
    chunk.get(1..chunk.len().checked_sub(4)?)
}

/// The content of a value as the engine gave it.
pub(crate) fn open(backend: &dyn Backend, key: &[u8], stored: &[u8]) -> Result<Vec<u8>, StoreError> {
    let (form, rest) = stored.split_first().ok_or_else(|| corrupt(key, "it is empty"))?;
    let (expected, body) = rest.split_at_checked(HASH).ok_or_else(|| corrupt(key, "it is too short"))?;
    let content = match *form {
        WHOLE => body.to_vec(),
        CHUNKED => {
            let length = chunked_length(stored).ok_or_else(|| corrupt(key, "its length makes no sense"))?;
            let mut content = Vec::with_capacity(length);
            for (number, _) in (0_u32..).zip((0..length).step_by(MAX_PIECE)) {
                let chunk = chunk_key(key, number);
                let stored = backend.get(&chunk).map_err(StoreError::engine("read"))?;
                let stored = stored.ok_or_else(|| corrupt(key, "a chunk is missing"))?;
                if stored.first() != Some(&WHOLE) {
                    return Err(corrupt(key, "a chunk is no chunk"));
                }
                content.extend_from_slice(&open(backend, &chunk, &stored)?);
            }
            content
        }
        _ => return Err(corrupt(key, "its form is not known")),
    };
    if hash(key, &content) == expected { Ok(content) } else { Err(corrupt(key, "its hash differs")) }
}

fn hash(key: &[u8], content: &[u8]) -> [u8; HASH] {
    let mut hasher = Context::new(&SHA256);
    // A usize has at most 64 bits on every target that this runs on.
    hasher.update(&u64::try_from(key.len()).unwrap_or(u64::MAX).to_le_bytes());
    hasher.update(key);
    hasher.update(content);
    let mut short = [0; HASH];
    short.copy_from_slice(&hasher.finish().as_ref()[..HASH]);
    short
}

/// The error for a value that cannot be what was written.
pub(crate) fn corrupt(key: &[u8], why: &'static str) -> StoreError {
    let table = Table::of(key).map_or("an unknown table", Table::name);
    StoreError::Corrupt { table, key: HEXLOWER.encode(key), why }
}

/// Decodes a record that was read under `key`.
pub(crate) fn decode<M: prost::Message + Default>(key: &[u8], content: &[u8]) -> Result<M, StoreError> {
    M::decode(content).map_err(|_| corrupt(key, "it is no such record"))
}
