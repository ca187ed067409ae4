//! From the bytes of a value to what they mean, and nothing lost on the way.
//!
//! Windows stores what a program hands it and checks nothing: text without its NUL or with several,
//! half a character, half a surrogate pair, a number of three bytes. What is not of its type is kept as
//! bytes with the number of the type, so that no reader mistakes it for what it says to be.
//! Types: `winnt.h`, and "Registry Value Types" in the Windows documentation.

use std::time::{Duration, SystemTime};

use super::Data;

/// `REG_SZ`.
pub(super) const TEXT: u32 = 1;
/// `REG_EXPAND_SZ`.
pub(super) const EXPAND: u32 = 2;
/// `REG_BINARY`.
pub(super) const BINARY: u32 = 3;
/// `REG_DWORD`.
pub(super) const NUMBER: u32 = 4;
/// `REG_MULTI_SZ`.
pub(super) const LIST: u32 = 7;
/// `REG_QWORD`.
pub(super) const WIDE: u32 = 11;

const NUL: u16 = 0;
/// From the beginning of 1601, when Windows counts from, to 1970, in seconds.
const FROM_1601_TO_1970: u64 = 11_644_473_600;

/// Reads the bytes of a value by its type.
pub(super) fn decode(kind: u32, bytes: Vec<u8>) -> Data {
    let understood = match kind {
        TEXT => text(&bytes).map(Data::Text),
        EXPAND => text(&bytes).map(Data::Expand),
        NUMBER => bytes.as_slice().try_into().ok().map(|it| Data::Number(u32::from_le_bytes(it))),
        LIST => list(&bytes).map(Data::List),
        WIDE => bytes.as_slice().try_into().ok().map(|it| Data::Wide(u64::from_le_bytes(it))),
        _ => None,
    };
    understood.unwrap_or(Data::Bytes { kind, bytes })
}

/// Text without the NULs at its end; one that stands inside is kept.
fn text(bytes: &[u8]) -> Option<String> {
    let mut units = units(bytes)?;
    while units.last() == Some(&NUL) {
        units.pop();
    }
    String::from_utf16(&units).ok()
}

/// Texts that each end with a NUL, and a NUL behind them. Empty ones are kept, because Windows itself
/// writes them (`PendingFileRenameOperations`).
fn list(bytes: &[u8]) -> Option<Vec<String>> {
    let units = units(bytes)?;
    if units.iter().all(|it| *it == NUL) {
        return Some(Vec::new());
    }
    let all = units.strip_suffix(&[NUL]).unwrap_or(&units);
    let all = all.strip_suffix(&[NUL]).unwrap_or(all);
    all.split(|it| *it == NUL).map(|it| String::from_utf16(it).ok()).collect()
}

/// UTF-16 code units; half a NUL at the end is none.
fn units(bytes: &[u8]) -> Option<Vec<u16>> {
    let pairs = bytes.chunks_exact(2);
    let is_whole = matches!(pairs.remainder(), [] | [0]);
    is_whole.then(|| pairs.map(|it| u16::from_le_bytes([it[0], it[1]])).collect())
}

/// Text for a person: up to the first NUL, and what is no text replaced.
pub(super) fn lossy(bytes: &[u8]) -> String {
    let pairs = bytes.chunks_exact(2);
    let half = matches!(pairs.remainder(), [it] if *it != 0);
    let units: Vec<u16> = pairs.map(|it| u16::from_le_bytes([it[0], it[1]])).collect();
    let mut text = String::from_utf16_lossy(&units);
    if half {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text.truncate(text.find('\0').unwrap_or(text.len()));
    text
}

/// A time as Windows counts it: units of 100 ns since 1601.
pub(super) fn time(filetime: u64) -> SystemTime {
    let since_1601 =
        Duration::from_secs(filetime / 10_000_000) + Duration::from_nanos(filetime % 10_000_000 * 100);
    let begin = Duration::from_secs(FROM_1601_TO_1970);
    match since_1601.checked_sub(begin) {
        Some(later) => SystemTime::UNIX_EPOCH + later,
        None => SystemTime::UNIX_EPOCH - begin.saturating_sub(since_1601),
    }
}

/// What regedit calls a type.
pub(super) fn type_name(kind: u32) -> &'static str {
    match kind {
        0 => "REG_NONE",
        TEXT => "REG_SZ",
        EXPAND => "REG_EXPAND_SZ",
        BINARY => "REG_BINARY",
        NUMBER => "REG_DWORD",
        5 => "REG_DWORD_BIG_ENDIAN",
        6 => "REG_LINK",
        LIST => "REG_MULTI_SZ",
        8 => "REG_RESOURCE_LIST",
        9 => "REG_FULL_RESOURCE_DESCRIPTOR",
        10 => "REG_RESOURCE_REQUIREMENTS_LIST",
        WIDE => "REG_QWORD",
        _ => "REG_UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn texts(texts: &[&str]) -> Data {
        Data::List(texts.iter().map(|it| (*it).to_owned()).collect())
    }

    #[test]
    fn text_is_read_with_no_nul_one_many_and_half_of_one() {
        for stored in ["", "\0", "\0\0"] {
            assert_eq!(decode(TEXT, wide(&format!("Zähler{stored}"))), Data::Text("Zähler".into()));
        }
        let half = [wide("Zähler"), vec![0]].concat();
        assert_eq!(decode(EXPAND, half), Data::Expand("Zähler".into()));
        assert_eq!(decode(TEXT, Vec::new()), Data::Text(String::new()));
    }

    #[test]
    fn what_a_program_sees_ends_at_the_first_nul_and_the_rest_is_kept() {
        let data = decode(TEXT, wide("1.2\0old\0"));
        assert_eq!(data, Data::Text("1.2\0old".into()));
        assert_eq!(data.text(), Some("1.2"));
    }

    #[test]
    fn what_is_no_text_is_kept_as_it_is_and_can_be_shown() {
        let lone = [wide("a"), vec![0x00, 0xD8], wide("b")].concat();
        let odd = [wide("a"), vec![0x62]].concat();
        for (bytes, shown) in [(lone, "a\u{fffd}b"), (odd, "a\u{fffd}")] {
            let data = decode(TEXT, bytes.clone());
            assert_eq!(data, Data::Bytes { kind: TEXT, bytes });
            assert_eq!((data.text(), data.type_name()), (None, "REG_SZ"));
            assert_eq!(data.text_as_shown().as_deref(), Some(shown));
        }
    }

    #[test]
    fn a_list_keeps_the_empty_texts_that_windows_writes() {
        assert_eq!(decode(LIST, wide("a\0b\0\0")), texts(&["a", "b"]));
        assert_eq!(decode(LIST, wide(r"\??\C:\x")), texts(&[r"\??\C:\x"]));
        assert_eq!(decode(LIST, wide("a\0\0\0b\0c\0\0")), texts(&["a", "", "", "b", "c"]));
        assert_eq!(decode(LIST, wide("a\0\0\0")), texts(&["a", ""]), "a file to be removed");
        for empty in ["", "\0", "\0\0"] {
            assert_eq!(decode(LIST, wide(empty)), texts(&[]), "{empty:?}");
        }
    }

    #[test]
    fn a_number_of_another_size_is_no_number() {
        assert_eq!(decode(NUMBER, vec![1, 2, 0, 0]).number(), Some(0x201));
        assert_eq!(decode(WIDE, vec![1, 0, 0, 0, 0, 0, 0, 1]).number(), Some(0x0100_0000_0000_0001));
        let short = decode(NUMBER, vec![1, 2, 0]);
        assert_eq!((short.number(), short.type_name()), (None, "REG_DWORD"));
    }

    proptest! {
        #[test]
        fn text_and_lists_come_back_as_they_were_stored(all in prop::collection::vec("[^\0]{1,9}", 1..6)) {
            let stored = all.join("\0") + "\0";
            prop_assert_eq!(decode(LIST, wide(&format!("{stored}\0"))), Data::List(all.clone()));
            prop_assert_eq!(decode(TEXT, wide(&all[0])), Data::Text(all[0].clone()));
        }

        #[test]
        fn no_bytes_are_too_strange(kind in 0..14_u32, bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let data = decode(kind, bytes);
            prop_assert!(data.type_name().starts_with("REG_"));
            let _ = (data.text_as_shown(), data.number());
        }
    }
}
