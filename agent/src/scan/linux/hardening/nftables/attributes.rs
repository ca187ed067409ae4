//! Attributes of netlink messages: length, type, value, padded to four bytes.
//!
//! linux/netlink.h; numbers inside `nf_tables` attributes are big-endian. Nothing is copied.

/// The two high bits of a type say "nested" and "network order"; they are not part of it.
const TYPE: u16 = 0x3fff;
/// Length and type.
const HEADER: usize = 4;

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    pub(super) kind: u16,
    pub(super) value: &'a [u8],
}

/// The attributes of a value; ends early at one whose length lies.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    std::iter::from_fn(move || {
        let (attribute, rest) = split(bytes)?;
        bytes = rest;
        Some(attribute)
    })
}

fn split(bytes: &[u8]) -> Option<(Attribute<'_>, &[u8])> {
    let number = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let length = usize::from(number(0)?);
    let kind = number(2)? & TYPE;
    let value = bytes.get(HEADER..length)?;
    Some((Attribute { kind, value }, &bytes[length.next_multiple_of(4).min(bytes.len())..]))
}

/// Whether attributes fill a value to its end.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((_, next)) = split(rest) {
        rest = next;
    }
    rest.is_empty()
}

/// The value of the first attribute of a type.
pub(super) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|it| it.kind == kind).map(|it| it.value)
}

/// A big-endian number.
pub(super) fn number(bytes: &[u8], kind: u16) -> Option<u32> {
    Some(u32::from_be_bytes(find(bytes, kind)?.try_into().ok()?))
}

/// A text up to its zero.
pub(super) fn text(bytes: &[u8], kind: u16) -> Option<String> {
    find(bytes, kind).map(plain)
}

/// The text in a value that a zero ends; what would break a line of text is replaced.
pub(super) fn plain(value: &[u8]) -> String {
    let end = value.iter().position(|it| *it == 0).unwrap_or(value.len());
    let text = String::from_utf8_lossy(&value[..end]);
    text.chars().map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_lie_end_the_list() {
        let good = [5, 0, 1, 0x80, b'a', 0, 0, 0, 8, 0, 2, 0, 0, 0, 0, 7];
        assert!(is_whole(&good));
        assert_eq!((find(&good, 1), number(&good, 2)), (Some(&b"a"[..]), Some(7)));
        for bytes in [&[0_u8, 0, 1, 0][..], &[3, 0, 1, 0], &[255, 255, 1, 0, 1], &[4], &[4, 0, 1, 0, 9]] {
            assert!(!is_whole(bytes), "{bytes:?}");
            assert!(attributes(bytes).count() <= 1);
        }
    }

    #[test]
    fn a_text_ends_at_its_zero_and_stays_on_its_line() {
        assert_eq!(plain(b"in\nput\0rest"), "in\u{fffd}put");
    }
}
