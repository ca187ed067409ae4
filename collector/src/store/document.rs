//! How the bytes of a document lie in the store: packed where that makes them smaller.
//!
//! Advisories shrink to a tenth, and so does everything that writing them costs in memory. The digest is that of
//! the file as it was imported and tells which form is there: earlier releases kept every document as it was.

use std::borrow::Cow;
use std::io::Read;

use super::rows::sha256;
use super::value::MAX_VALUE;

/// How tightly; more takes long and gains little.
const LEVEL: i32 = 3;

/// The bytes as they are kept.
pub(super) fn packed(bytes: &[u8]) -> Cow<'_, [u8]> {
    match zstd::bulk::compress(bytes, LEVEL) {
        Ok(packed) if packed.len() < bytes.len() => packed.into(),
        Ok(_) | Err(_) => bytes.into(),
    }
}

/// The bytes of the file; `None` when they are not those of this digest.
pub(super) fn unpacked(stored: Vec<u8>, digest: &[u8]) -> Option<Vec<u8>> {
    if sha256(&stored).as_slice() == digest {
        return Some(stored);
    }
    let limit = u64::try_from(MAX_VALUE).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    zstd::stream::read::Decoder::new(stored.as_slice()).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    (sha256(&bytes).as_slice() == digest).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_comes_back_as_it_was_whether_it_was_packed_or_not() {
        let text = b"{\"a\": 1}".repeat(10_000);
        let noise: Vec<u8> = (0..100_u8).collect();
        for bytes in [&text[..], &noise, b""] {
            let kept = packed(bytes).into_owned();
            assert!(kept.len() <= bytes.len());
            assert_eq!(unpacked(kept, sha256(bytes).as_slice()).as_deref(), Some(bytes));
            assert_eq!(
                unpacked(bytes.to_vec(), sha256(bytes).as_slice()).as_deref(),
                Some(bytes),
                "as before"
            );
        }
        assert!(packed(&text).len() < text.len() / 10);
    }

    #[test]
    fn damaged_bytes_are_none() {
        let text = b"{\"a\": 1}".repeat(10_000);
        let mut kept = packed(&text).into_owned();
        let middle = kept.len() / 2;
        kept[middle] ^= 1;
        assert_eq!(unpacked(kept, sha256(&text).as_slice()), None);
        assert_eq!(unpacked(packed(&text).into_owned(), sha256(b"other").as_slice()), None);
    }
}
