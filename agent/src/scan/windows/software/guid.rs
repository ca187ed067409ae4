//! Identifiers as Windows Installer names its keys: packed.
//!
//! `{12345678-ABCD-EF01-2345-6789ABCDEF01}` is packed as `87654321DCBA10FE32547698BADCFE10`: the digits
//! of the first three groups backwards, those of the other two in swapped pairs.

/// Where the digits of the packed form stand in the other one, behind its brace.
const ORDER: [usize; 32] = [
    7, 6, 5, 4, 3, 2, 1, 0, 12, 11, 10, 9, 17, 16, 15, 14, 20, 19, 22, 21, 25, 24, 27, 26, 29, 28, 31, 30,
    33, 32, 35, 34,
];
/// Characters of the other form without its braces.
const LENGTH: usize = 36;

/// The usual form of a packed identifier, "{8-4-4-4-12}" in capitals; `None` when it is none.
pub(super) fn unpacked(packed: &str) -> Option<String> {
    let digits = packed.as_bytes();
    if digits.len() != ORDER.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut text = [b'-'; LENGTH];
    for (digit, at) in digits.iter().zip(ORDER) {
        text[at] = digit.to_ascii_uppercase();
    }
    String::from_utf8(text.to_vec()).ok().map(|it| format!("{{{it}}}"))
}

/// An identifier in its usual form, in capitals; `None` when the text is none.
pub(super) fn usual(text: &str) -> Option<String> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let is_one = inner.len() == LENGTH
        && inner.bytes().enumerate().all(|(at, it)| match at {
            8 | 13 | 18 | 23 => it == b'-',
            _ => it.is_ascii_hexdigit(),
        });
    is_one.then(|| text.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_packed_identifier_is_unpacked() {
        let found = unpacked("87654321DCBA10fe32547698BADCFE10");
        assert_eq!(found.as_deref(), Some("{12345678-ABCD-EF01-2345-6789ABCDEF01}"));
        for text in ["", "87654321DCBA10FE32547698BADCFE1", "87654321DCBA10FE32547698BADCFE1g"] {
            assert_eq!(unpacked(text), None, "{text}");
        }
    }

    #[test]
    fn only_identifiers_are_identifiers() {
        let found = usual("{12345678-abcd-ef01-2345-6789abcdef01}");
        assert_eq!(found.as_deref(), Some("{12345678-ABCD-EF01-2345-6789ABCDEF01}"));
        for text in ["AddressBook", "{12345678-abcd-ef01-2345-6789abcdef01}.KB2468871", "{}"] {
            assert_eq!(usual(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_unpacked_is_an_identifier(packed in "[0-9A-Fa-f]{32}") {
            let found = unpacked(&packed).unwrap();
            prop_assert_eq!(usual(&found), Some(found));
        }
    }
}
