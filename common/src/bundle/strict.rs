//! CBOR in its one shortest form: bounds and order are judged on the bytes, before anything is made of them.
//!
//! Accepted is a part of what RFC 8949 4.2.1 calls deterministic: integers, byte and text strings, arrays,
//! maps whose keys are integers or texts in rising order of their encoded bytes, false, true and null; every
//! length is stated, and stated in its shortest form. So two different byte strings never mean the same, and
//! a reader that came by [`only`] or [`first`] has neither a deep stack nor a long list to fear. There is one
//! tag, that of the envelope, and only [`Reader::tag`] reads it.

use std::fmt;

/// Deepest nesting of arrays and maps.
pub const MAX_DEPTH: usize = 16;
/// Most items of one part, those inside arrays and maps included.
pub const MAX_ITEMS: usize = 1 << 20;

/// What is wrong with CBOR, as the end of a sentence that begins with the part that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The bytes end inside an item.
    CutOff,
    /// Something follows the last item.
    Trailing,
    /// A length that is not stated.
    Indefinite,
    /// A number or length that has a shorter form.
    NotShortest,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// More than [`MAX_ITEMS`] items.
    TooMany,
    /// A key of a map twice.
    KeyTwice,
    /// Keys of a map out of order.
    KeyOrder,
    /// Text that is no UTF-8.
    Text,
    /// A tag, a float, or a key that is no integer and no text.
    Foreign,
    /// Another item than the layout has in this place.
    Expected(&'static str),
    /// The right kind of item with a value that cannot be.
    Value(&'static str),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutOff => f.write_str("ends in the middle"),
            Self::Trailing => f.write_str("goes on after its end"),
            Self::Indefinite => f.write_str("has an item that does not state its length"),
            Self::NotShortest => f.write_str("has a number that is longer than it must be"),
            Self::TooDeep => write!(f, "is nested deeper than {MAX_DEPTH}"),
            Self::TooMany => write!(f, "has more than {MAX_ITEMS} items"),
            Self::KeyTwice => f.write_str("has the same key twice in a map"),
            Self::KeyOrder => f.write_str("has the keys of a map out of order"),
            Self::Text => f.write_str("has text that is no UTF-8"),
            Self::Foreign => f.write_str("has a kind of item that is not used here"),
            Self::Expected(what) => write!(f, "has something else where {what} belongs"),
            Self::Value(what) => write!(f, "has {what}"),
        }
    }
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;
/// The one byte of null.
const NULL: u8 = 0xf6;

/// Judges bytes that are to be exactly one item.
pub(super) fn only(bytes: &[u8]) -> Result<(), Flaw> {
    match first(bytes)? {
        (_, []) => Ok(()),
        _ => Err(Flaw::Trailing),
    }
}

/// Judges the first item; gives its bytes and what follows them.
pub(super) fn first(bytes: &[u8]) -> Result<(&[u8], &[u8]), Flaw> {
    let mut walk = Walk { reader: Reader(bytes), items: 0 };
    walk.item(0)?;
    let rest = walk.reader.0;
    bytes.split_at_checked(bytes.len().saturating_sub(rest.len())).ok_or(Flaw::CutOff)
}

struct Walk<'a> {
    reader: Reader<'a>,
    items: usize,
}

impl<'a> Walk<'a> {
    /// Goes over one item and all inside it; as deep as the stack goes, [`MAX_DEPTH`].
    fn item(&mut self, depth: usize) -> Result<(), Flaw> {
        self.items += 1;
        if self.items > MAX_ITEMS {
            return Err(Flaw::TooMany);
        }
        let (major, value) = self.reader.head()?;
        match major {
            UNSIGNED | NEGATIVE => Ok(()),
            BYTES => self.reader.take(value).map(drop),
            TEXT => self.reader.utf8(value).map(drop),
            ARRAY => {
                let depth = deeper(depth)?;
                for _ in 0..self.count(value)? {
                    self.item(depth)?;
                }
                Ok(())
            }
            MAP => {
                let depth = deeper(depth)?;
                let mut last: Option<&[u8]> = None;
                for _ in 0..self.count(value)? {
                    let key = self.key()?;
                    match last.map(|last| last.cmp(key)) {
                        None | Some(std::cmp::Ordering::Less) => {}
                        Some(std::cmp::Ordering::Equal) => return Err(Flaw::KeyTwice),
                        Some(std::cmp::Ordering::Greater) => return Err(Flaw::KeyOrder),
                    }
                    last = Some(key);
                    self.item(depth)?;
                }
                Ok(())
            }
            SIMPLE if (20..=22).contains(&value) => Ok(()),
            _ => Err(Flaw::Foreign),
        }
    }

    /// A number of items that the rest could hold, each being a byte at least.
    fn count(&self, value: u64) -> Result<usize, Flaw> {
        let count = usize::try_from(value).map_err(|_| Flaw::TooMany)?;
        if count > MAX_ITEMS {
            return Err(Flaw::TooMany);
        }
        if count > self.reader.0.len() { Err(Flaw::CutOff) } else { Ok(count) }
    }

    fn key(&mut self) -> Result<&'a [u8], Flaw> {
        let before = self.reader.0;
        match self.reader.head()? {
            (UNSIGNED | NEGATIVE, _) => {}
            (TEXT, length) => {
                self.reader.utf8(length)?;
            }
            _ => return Err(Flaw::Foreign),
        }
        before.get(..before.len().saturating_sub(self.reader.0.len())).ok_or(Flaw::CutOff)
    }
}

fn deeper(depth: usize) -> Result<usize, Flaw> {
    if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(Flaw::TooDeep) }
}

/// What is still to be read, item by item as a layout has them.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Nothing is left.
    pub(super) fn end(&self) -> Result<(), Flaw> {
        if self.0.is_empty() { Ok(()) } else { Err(Flaw::Trailing) }
    }

    pub(super) fn tag(&mut self, tag: u64, what: &'static str) -> Result<(), Flaw> {
        if self.head()? == (TAG, tag) { Ok(()) } else { Err(Flaw::Expected(what)) }
    }

    pub(super) fn unsigned(&mut self, what: &'static str) -> Result<u64, Flaw> {
        self.of(UNSIGNED, what)
    }

    pub(super) fn integer(&mut self, what: &'static str) -> Result<i64, Flaw> {
        let (major, value) = self.head()?;
        let value = i64::try_from(value).map_err(|_| Flaw::Expected(what))?;
        match major {
            UNSIGNED => Ok(value),
            // CBOR writes -1 as 0, so that no negative zero exists.
            NEGATIVE => Ok(-1 - value),
            _ => Err(Flaw::Expected(what)),
        }
    }

    pub(super) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], Flaw> {
        let length = self.of(BYTES, what)?;
        self.take(length)
    }

    pub(super) fn exactly<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Flaw> {
        self.bytes(what)?.try_into().map_err(|_| Flaw::Expected(what))
    }

    pub(super) fn text(&mut self, what: &'static str) -> Result<&'a str, Flaw> {
        let length = self.of(TEXT, what)?;
        self.utf8(length)
    }

    /// The number of items of an array; those are then read one by one.
    pub(super) fn array(&mut self, what: &'static str) -> Result<u64, Flaw> {
        self.of(ARRAY, what)
    }

    /// An array that has so many items.
    pub(super) fn array_of(&mut self, items: u64, what: &'static str) -> Result<(), Flaw> {
        if self.array(what)? == items { Ok(()) } else { Err(Flaw::Expected(what)) }
    }

    /// The number of pairs of a map.
    pub(super) fn map(&mut self, what: &'static str) -> Result<u64, Flaw> {
        self.of(MAP, what)
    }

    /// Takes null if it stands here.
    pub(super) fn null(&mut self) -> bool {
        match self.0.split_first() {
            Some((&NULL, rest)) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn of(&mut self, major: u8, what: &'static str) -> Result<u64, Flaw> {
        match self.head()? {
            (found, value) if found == major => Ok(value),
            _ => Err(Flaw::Expected(what)),
        }
    }

    /// The major type and the number of an item's head.
    fn head(&mut self) -> Result<(u8, u64), Flaw> {
        let [first] = self.number()?;
        let short = first & 0x1f;
        let (value, least) = match short {
            0..24 => (u64::from(short), 0),
            24 => (u64::from(u8::from_be_bytes(self.number()?)), 24),
            25 => (u64::from(u16::from_be_bytes(self.number()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(self.number()?)), 1 << 16),
            27 => (u64::from_be_bytes(self.number()?), 1 << 32),
            31 => return Err(Flaw::Indefinite),
            _ => return Err(Flaw::Foreign),
        };
        let major = first >> 5;
        // After a seven stands a float or a rare simple value: none of them is used, whatever its form.
        if major == SIMPLE && least > 0 {
            return Err(Flaw::Foreign);
        }
        if value < least { Err(Flaw::NotShortest) } else { Ok((major, value)) }
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let (number, rest) = self.0.split_first_chunk().ok_or(Flaw::CutOff)?;
        self.0 = rest;
        Ok(*number)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Flaw> {
        let length = usize::try_from(length).map_err(|_| Flaw::CutOff)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Flaw::CutOff)?;
        self.0 = rest;
        Ok(taken)
    }

    fn utf8(&mut self, length: u64) -> Result<&'a str, Flaw> {
        std::str::from_utf8(self.take(length)?).map_err(|_| Flaw::Text)
    }
}

/// Writes what [`Reader`] reads, always in the shortest form.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn tag(&mut self, tag: u64) -> &mut Self {
        self.head(TAG, tag)
    }

    pub(super) fn unsigned(&mut self, value: u64) -> &mut Self {
        self.head(UNSIGNED, value)
    }

    pub(super) fn integer(&mut self, value: i64) -> &mut Self {
        match u64::try_from(value) {
            Ok(value) => self.head(UNSIGNED, value),
            Err(_) => self.head(NEGATIVE, value.unsigned_abs() - 1),
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.head(BYTES, length(bytes));
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.head(TEXT, length(text.as_bytes()));
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn array(&mut self, items: usize) -> &mut Self {
        self.head(ARRAY, u64::try_from(items).unwrap_or(u64::MAX))
    }

    pub(super) fn map(&mut self, pairs: usize) -> &mut Self {
        self.head(MAP, u64::try_from(pairs).unwrap_or(u64::MAX))
    }

    pub(super) fn null(&mut self) -> &mut Self {
        self.0.push(NULL);
        self
    }

    fn head(&mut self, major: u8, value: u64) -> &mut Self {
        // The low five bits say how many bytes of the number follow: 24 one, 25 two, 26 four, 27 eight.
        let major = major << 5;
        let [h7, h6, h5, h4, h3, h2, h1, h0] = value.to_be_bytes();
        match value {
            0..24 => self.0.push(major | h0),
            24..0x100 => self.0.extend([major | 0x18, h0]),
            0x100..0x1_0000 => self.0.extend([major | 0x19, h1, h0]),
            0x1_0000..0x1_0000_0000 => self.0.extend([major | 0x1a, h3, h2, h1, h0]),
            _ => self.0.extend([major | 0x1b, h7, h6, h5, h4, h3, h2, h1, h0]),
        }
        self
    }
}

/// As a number of the wire; no length of this program is over it.
fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_the_one_form_is_refused_and_named() {
        let long = |byte: u8, count: usize| [vec![byte; count], vec![0x80]].concat();
        for (bytes, flaw) in [
            (vec![], Flaw::CutOff),
            (vec![0x82, 0], Flaw::CutOff),
            (vec![0x43, 1, 2], Flaw::CutOff),
            (vec![0, 0], Flaw::Trailing),
            (vec![0x9f, 0xff], Flaw::Indefinite),
            (vec![0x5f, 0x41, 0, 0xff], Flaw::Indefinite),
            (vec![0x18, 23], Flaw::NotShortest),
            (vec![0x19, 0, 255], Flaw::NotShortest),
            (vec![0x1a, 0, 0, 255, 255], Flaw::NotShortest),
            (vec![0x1b, 0, 0, 0, 0, 255, 255, 255, 255], Flaw::NotShortest),
            (vec![0x58, 1, 0], Flaw::NotShortest),
            (vec![0xa2, 1, 0, 1, 0], Flaw::KeyTwice),
            (vec![0xa2, 2, 0, 1, 0], Flaw::KeyOrder),
            (vec![0xa1, 0x80, 0], Flaw::Foreign),
            (vec![0x61, 0xff], Flaw::Text),
            (vec![0xf9, 0, 0], Flaw::Foreign),
            (vec![0xf7], Flaw::Foreign),
            (vec![0xf8, 21], Flaw::Foreign),
            (vec![0xc2, 0x41, 1], Flaw::Foreign),
            (vec![0x1c], Flaw::Foreign),
            (long(0x81, MAX_DEPTH), Flaw::TooDeep),
            (long(0x81, 1 << 22), Flaw::TooDeep),
            (vec![0x9b, 255, 255, 255, 255, 255, 255, 255, 255], Flaw::TooMany),
            (vec![0xbb, 255, 255, 255, 255, 255, 255, 255, 255], Flaw::TooMany),
            (vec![0x5b, 255, 255, 255, 255, 255, 255, 255, 255], Flaw::CutOff),
            (vec![0x9a, 0, 15, 255, 255, 0], Flaw::CutOff),
            ([vec![0x9a, 0, 16, 0, 1], vec![0; MAX_ITEMS + 1]].concat(), Flaw::TooMany),
            ([vec![0x82, 0x9a, 0, 16, 0, 0], vec![0; MAX_ITEMS + 1]].concat(), Flaw::TooMany),
        ] {
            assert_eq!(only(&bytes), Err(flaw), "{:02x?}", bytes.get(..bytes.len().min(12)));
        }
        assert_eq!(only(&long(0x81, MAX_DEPTH - 1)), Ok(()));
        assert_eq!(only(&[0xa3, 0, 0xf6, 0x20, 0xf5, 0x61, b'a', 0xf4]), Ok(()));
    }

    proptest! {
        #[test]
        fn numbers_and_strings_read_back(number: u64, signed: i64, bytes: Vec<u8>, text in ".{0,40}") {
            let mut writer = Writer::default();
            writer.array(4).unsigned(number).integer(signed).bytes(&bytes).text(&text);
            let written = writer.finish();
            prop_assert_eq!(only(&written), Ok(()));
            let mut reader = Reader::new(&written);
            reader.array_of(4, "all").unwrap();
            prop_assert_eq!(reader.unsigned("a number").unwrap(), number);
            prop_assert_eq!(reader.integer("a number").unwrap(), signed);
            prop_assert_eq!(reader.bytes("bytes").unwrap(), &bytes);
            prop_assert_eq!(reader.text("a text").unwrap(), &text);
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            if let Ok((item, rest)) = first(&bytes) {
                prop_assert_eq!([item, rest].concat(), bytes);
            }
        }
    }
}
