//! Lists of keys and hashes that UEFI trusts or forbids: `EFI_SIGNATURE_LIST`.
//!
//! Source of truth: the UEFI specification, "Signature Database". Every length is held against what is
//! there before it is used; nothing is allocated but a reference for each entry.

use std::fmt::Write as _;

/// Most entries that one variable may hold; the largest forbidden lists have some hundreds.
const MAX_ENTRIES: usize = 16_384;
/// Three lengths and the type.
const LIST_HEADER: usize = 28;
const GUID: usize = 16;

/// Type of an X.509 certificate, as it is written.
pub const X509: &str = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072";

/// What a list holds, by its type.
const NAMES: [(&str, &str); 9] = [
    ("c1c41626-504c-4092-aca9-41f936934328", "SHA-256"),
    ("ff3e5307-9fd0-48c9-85f1-8ad56c701e01", "SHA-384"),
    ("093e0fae-a6c4-4f50-9f1b-d41e2b89c19a", "SHA-512"),
    ("0b6e5233-a65c-44c9-9407-d9ab83bfc8bd", "SHA-224"),
    ("826ca512-cf10-4ac9-b187-be01496631bd", "SHA-1"),
    ("3bd2a492-96c0-4079-b420-fcf98ef103ed", "SHA-256 of certificates"),
    ("7076876e-80c2-4ee6-aad2-28b349a6865b", "SHA-384 of certificates"),
    ("446dbf63-2502-4cda-bcfa-2465d2b0fe9d", "SHA-512 of certificates"),
    ("3c5766e8-269c-4e34-aa14-ed776e85b3b6", "RSA-2048"),
];

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The type of its list, as it is written.
    pub kind: String,
    /// Who put it there.
    pub owner: &'a [u8],
    /// The certificate or hash.
    pub data: &'a [u8],
}

/// Why bytes are no lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLists {
    /// A length leads beyond the end.
    #[error("a list is cut off")]
    Cut,
    /// Lengths that do not fit each other.
    #[error("a list has lengths that contradict each other")]
    Lengths,
    /// More than any firmware has.
    #[error("the lists have more than {MAX_ENTRIES} entries")]
    TooMany,
}

/// Reads every list up to the first that is malformed, and says why that one is.
pub fn entries(bytes: &[u8]) -> (Vec<Entry<'_>>, Option<InvalidLists>) {
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        match list(rest, &mut found) {
            Ok(behind) => rest = behind,
            Err(why) => return (found, Some(why)),
        }
    }
    (found, None)
}

/// Reads the first list; returns what is behind it.
fn list<'a>(bytes: &'a [u8], found: &mut Vec<Entry<'a>>) -> Result<&'a [u8], InvalidLists> {
    let length = number(bytes, 16)?;
    if length < LIST_HEADER {
        return Err(InvalidLists::Lengths);
    }
    let (list, behind) = bytes.split_at_checked(length).ok_or(InvalidLists::Cut)?;
    let (header, size) = (number(list, 20)?, number(list, 24)?);
    let start = LIST_HEADER.checked_add(header).ok_or(InvalidLists::Lengths)?;
    let entries = list.get(start..).ok_or(InvalidLists::Lengths)?;
    if size <= GUID || entries.len() % size != 0 {
        return Err(InvalidLists::Lengths);
    }
    let kind = guid(list.get(..GUID).unwrap_or_default());
    for entry in entries.chunks_exact(size) {
        if found.len() == MAX_ENTRIES {
            return Err(InvalidLists::TooMany);
        }
        let (owner, data) = entry.split_at_checked(GUID).ok_or(InvalidLists::Lengths)?;
        found.push(Entry { kind: kind.clone(), owner, data });
    }
    Ok(behind)
}

fn number(bytes: &[u8], at: usize) -> Result<usize, InvalidLists> {
    let bytes = bytes.get(at..at + 4).and_then(|it| <[u8; 4]>::try_from(it).ok()).ok_or(InvalidLists::Cut)?;
    usize::try_from(u32::from_le_bytes(bytes)).map_err(|_| InvalidLists::Cut)
}

/// What a type is called; its GUID where it has no name here.
pub fn name(kind: &str) -> &str {
    NAMES.iter().find(|(guid, _)| *guid == kind).map_or(kind, |(_, name)| name)
}

/// A GUID as it is written: its first three numbers are little endian.
pub fn guid(bytes: &[u8]) -> String {
    const ORDER: [usize; GUID] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::with_capacity(36);
    for (number, at) in ORDER.into_iter().enumerate() {
        if matches!(number, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{:02x}", bytes.get(at).copied().unwrap_or(0));
    }
    text
}

#[cfg(test)]
pub(in crate::scan) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes of a GUID that is written so.
    fn bytes_of(guid: &str) -> Vec<u8> {
        let digits: Vec<u8> = guid.bytes().filter(|it| *it != b'-').collect();
        let byte =
            |at: usize| u8::from_str_radix(std::str::from_utf8(&digits[at * 2..at * 2 + 2]).unwrap(), 16);
        [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map(|at| byte(at).unwrap()).to_vec()
    }

    /// A list of entries of one size.
    pub(crate) fn list(kind: &str, entries: &[&[u8]]) -> Vec<u8> {
        let size = GUID + entries[0].len();
        let mut bytes = bytes_of(kind);
        for number in [LIST_HEADER + size * entries.len(), 0, size] {
            bytes.extend(u32::try_from(number).unwrap().to_le_bytes());
        }
        for entry in entries {
            bytes.extend(bytes_of("77fa9abd-0359-4d32-bd60-28f4e78f784b"));
            bytes.extend(*entry);
        }
        bytes
    }

    pub(crate) const SHA256: &str = NAMES[0].0;

    #[test]
    fn lists_of_every_type_are_read_in_order() {
        let bytes = [list(X509, &[b"certificate"]), list(SHA256, &[&[1; 32], &[2; 32]])].concat();
        let (found, fault) = entries(&bytes);
        assert_eq!(fault, None);
        let said: Vec<_> = found.iter().map(|it| (name(&it.kind), it.data.len())).collect();
        assert_eq!(said, [(X509, 11), ("SHA-256", 32), ("SHA-256", 32)]);
        assert_eq!(guid(found[0].owner), "77fa9abd-0359-4d32-bd60-28f4e78f784b");
        assert_eq!(entries(b""), (Vec::new(), None));
    }

    #[test]
    fn a_cut_list_leaves_the_ones_before_it() {
        let whole = list(SHA256, &[&[1; 32]]);
        let bytes = [whole.clone(), list(X509, &[b"certificate"])].concat();
        for end in whole.len() + 1..bytes.len() {
            let (found, fault) = entries(&bytes[..end]);
            assert_eq!((found.len(), fault), (1, Some(InvalidLists::Cut)), "{end}");
        }
    }

    #[test]
    fn lengths_that_contradict_each_other_are_refused() {
        for (at, value) in [(16, 0), (16, 27), (20, u32::MAX), (20, 1), (24, 0), (24, 16), (24, 7)] {
            let mut bytes = list(SHA256, &[&[1; 32]]);
            bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
            assert_eq!(entries(&bytes), (Vec::new(), Some(InvalidLists::Lengths)), "{at} {value}");
        }
        let mut bytes = list(SHA256, &[&[1; 32]]);
        bytes[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(entries(&bytes), (Vec::new(), Some(InvalidLists::Cut)));
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let one: &[u8] = &[7];
        let bytes = list(SHA256, &vec![one; MAX_ENTRIES + 1]);
        let (found, fault) = entries(&bytes);
        assert_eq!((found.len(), fault), (MAX_ENTRIES, Some(InvalidLists::TooMany)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = entries(&bytes);
        }
    }
}
