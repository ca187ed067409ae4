//! Cells: what bins are made of, and the kinds of them that a reader needs.
//!
//! A cell begins with its length, negative while it is in use, and is found by its place in the bins.
//! `nk` is a key, `vk` a value, `lf`, `lh`, `li` and `ri` are lists of keys, `db` is a large value.

use std::io;

use super::super::limit::{MAX_KEYS, MAX_VALUES};
use super::field::{u16_at, u32_at, u64_at};
use super::{Hive, broken};

/// Most bytes of a key's name: 255 characters, the limit of Windows, or twice that.
const MAX_KEY_NAME: usize = 510;
/// Most bytes of a value's name: 16 383 characters.
const MAX_VALUE_NAME: usize = 32_766;
/// Bytes of a large value in each of its cells but the last.
const SEGMENT: usize = 16_344;

/// Bytes of a key before its name.
const KEY: usize = 76;
/// Bytes of a value before its name.
const VALUE: usize = 20;

/// A key without what is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Key {
    /// Its name, in the case in which it was made.
    pub(in super::super) name: String,
    /// When it or one of its values last changed, as Windows counts.
    pub(in super::super) written: u64,
    pub(super) is_link: bool,
    is_predefined: bool,
    keys: u32,
    key_list: u32,
    values: u32,
    value_list: u32,
}

/// A key in a list of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: u32,
    pub(super) hint: Hint,
}

/// What a list says of a key's name, so that not every key has to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    /// Its hash (`lh`).
    Hash(u32),
    /// Its first four letters (`lf`).
    Letters([u8; 4]),
    /// Nothing (`li`).
    None,
}

/// A value without its data.
#[derive(Debug)]
pub(super) struct ValueHead {
    pub(super) name: String,
    pub(super) kind: u32,
    /// Bytes of data.
    pub(super) bytes: usize,
    place: Place,
}

/// Where the data of a value stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In the value itself.
    Here([u8; 4]),
    /// In a cell.
    Cell(u32),
}

impl Hive {
    /// Reads up to `most` bytes of a cell that has at least `least`; says how many the cell has, too.
    fn cell(&mut self, at: u32, least: usize, most: usize) -> io::Result<(Vec<u8>, usize)> {
        let mut size = [0; 4];
        self.pages.read(at, &mut size)?;
        let size = i32::from_le_bytes(size);
        let bytes = usize::try_from(size.unsigned_abs()).unwrap_or(usize::MAX).saturating_sub(4);
        let begin = at.checked_add(4).filter(|it| it % 4 == 0);
        let (Some(begin), true, true) = (begin, size < 0, bytes >= least) else {
            return Err(broken(format!("the cell at {at:#x} is no cell in use, or too short")));
        };
        let left = usize::try_from(self.pages.bytes().saturating_sub(begin)).unwrap_or(usize::MAX);
        if bytes > left {
            return Err(broken(format!("the cell at {at:#x} goes beyond the end of the hive")));
        }
        let mut content = vec![0; bytes.min(most)];
        self.pages.read(begin, &mut content)?;
        Ok((content, bytes))
    }

    /// The key at a place.
    pub(super) fn key(&mut self, at: u32) -> io::Result<Key> {
        const LINK: u16 = 0x10;
        const NARROW: u16 = 0x20;
        const PREDEFINED: u16 = 0x40;
        let (cell, _) = self.cell(at, KEY, KEY + MAX_KEY_NAME)?;
        if !cell.starts_with(b"nk") {
            return Err(broken(format!("the cell at {at:#x} is no key")));
        }
        let flags = u16_at(&cell, 2);
        let name = cell.get(KEY..KEY + usize::from(u16_at(&cell, 72)));
        let name = name.ok_or_else(|| broken(format!("the name of the key at {at:#x} is too long")))?;
        Ok(Key {
            name: named(name, flags & NARROW != 0),
            written: u64_at(&cell, 4),
            is_link: flags & LINK != 0,
            is_predefined: flags & PREDEFINED != 0,
            keys: u32_at(&cell, 20),
            key_list: u32_at(&cell, 28),
            values: u32_at(&cell, 36),
            value_list: u32_at(&cell, 40),
        })
    }

    /// The keys below a key.
    pub(super) fn below(&mut self, key: &Key) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        if key.keys == 0 {
            return Ok(entries);
        }
        if key.keys > MAX_KEYS {
            return Err(broken(format!("{} keys below {:?}, more than {MAX_KEYS}", key.keys, key.name)));
        }
        let wanted = usize::try_from(key.keys).unwrap_or(usize::MAX);
        let list = self.list(key.key_list)?;
        if list.starts_with(b"ri") {
            for at in list[4..].chunks_exact(4) {
                let list = self.list(u32_at(at, 0))?;
                add(&list, wanted, &mut entries)?;
            }
        } else {
            add(&list, wanted, &mut entries)?;
        }
        if entries.len() != wanted {
            return Err(broken(format!(
                "{wanted} keys below {:?}, but {} are listed",
                key.name,
                entries.len()
            )));
        }
        Ok(entries)
    }

    /// A list of keys, or of lists, without what stands behind the last.
    fn list(&mut self, at: u32) -> io::Result<Vec<u8>> {
        let (head, bytes) = self.cell(at, 4, 4)?;
        let each = match &head[..2] {
            b"lf" | b"lh" => 8,
            b"li" | b"ri" => 4,
            _ => return Err(broken(format!("the cell at {at:#x} is no list of keys"))),
        };
        let needed = 4 + usize::from(u16_at(&head, 2)) * each;
        if needed > bytes {
            return Err(broken(format!("the list of keys at {at:#x} is cut off")));
        }
        Ok(self.cell(at, needed, needed)?.0)
    }

    /// The places of a key's values.
    pub(super) fn value_list(&mut self, key: &Key) -> io::Result<Vec<u32>> {
        if key.is_predefined {
            let why = format!("{:?} stands for a key of the running system", key.name);
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        if key.values == 0 {
            return Ok(Vec::new());
        }
        if key.values > MAX_VALUES {
            return Err(broken(format!("{} values in {:?}, more than {MAX_VALUES}", key.values, key.name)));
        }
        let bytes = 4 * usize::try_from(key.values).unwrap_or(usize::MAX);
        let (list, _) = self.cell(key.value_list, bytes, bytes)?;
        Ok(list.chunks_exact(4).map(|it| u32_at(it, 0)).collect())
    }

    /// The value at a place, without its data.
    pub(super) fn value_head(&mut self, at: u32) -> io::Result<ValueHead> {
        const NARROW: u16 = 1;
        /// Set in the length where the data stands in the value itself.
        const HERE: u32 = 1 << 31;
        let (head, _) = self.cell(at, VALUE, VALUE)?;
        let name = usize::from(u16_at(&head, 2));
        if !head.starts_with(b"vk") || name > MAX_VALUE_NAME {
            return Err(broken(format!("the cell at {at:#x} is no value")));
        }
        let (cell, _) = self.cell(at, VALUE + name, VALUE + name)?;
        let claimed = u32_at(&head, 4);
        let bytes = usize::try_from(claimed & !HERE).unwrap_or(usize::MAX);
        let place = if claimed & HERE == 0 {
            Place::Cell(u32_at(&head, 8))
        } else if bytes <= 4 {
            Place::Here(u32_at(&head, 8).to_le_bytes())
        } else {
            return Err(broken(format!("the value at {at:#x} has {bytes} bytes where 4 have room")));
        };
        let is_narrow = u16_at(&head, 16) & NARROW != 0;
        Ok(ValueHead { name: named(&cell[VALUE..], is_narrow), kind: u32_at(&head, 12), bytes, place })
    }

    /// The data of a value, of a length that the caller has judged.
    pub(super) fn value_bytes(&mut self, head: &ValueHead) -> io::Result<Vec<u8>> {
        match head.place {
            _ if head.bytes == 0 => Ok(Vec::new()),
            Place::Here(four) => Ok(four[..head.bytes].to_vec()),
            Place::Cell(at) if head.bytes > SEGMENT && self.has_big_data => self.segments(at, head.bytes),
            Place::Cell(at) => Ok(self.cell(at, head.bytes, head.bytes)?.0),
        }
    }

    fn segments(&mut self, at: u32, bytes: usize) -> io::Result<Vec<u8>> {
        let (head, _) = self.cell(at, 8, 8)?;
        let count = bytes.div_ceil(SEGMENT);
        if !head.starts_with(b"db") || usize::from(u16_at(&head, 2)) != count {
            return Err(broken(format!("the cell at {at:#x} is no large value of {bytes} bytes")));
        }
        let (list, _) = self.cell(u32_at(&head, 4), 4 * count, 4 * count)?;
        let mut all = Vec::new();
        for segment in list.chunks_exact(4) {
            let now = (bytes - all.len()).min(SEGMENT);
            all.extend(self.cell(u32_at(segment, 0), now, now)?.0);
        }
        Ok(all)
    }
}

/// Adds the keys of a list that is none of lists.
fn add(list: &[u8], wanted: usize, entries: &mut Vec<Entry>) -> io::Result<()> {
    let (each, hint): (usize, fn(u32) -> Hint) = match &list[..2] {
        b"lh" => (8, Hint::Hash),
        b"lf" => (8, |it| Hint::Letters(it.to_le_bytes())),
        b"li" => (4, |_| Hint::None),
        _ => return Err(broken("a list of lists of lists of keys")),
    };
    if entries.len() + usize::from(u16_at(list, 2)) > wanted {
        return Err(broken("more keys are listed than there are said to be"));
    }
    let all = list[4..].chunks_exact(each);
    entries.extend(all.map(|it| Entry { at: u32_at(it, 0), hint: hint(u32_at(it, 4)) }));
    Ok(())
}

/// Whether the first letters of a listed name are others than those of an ASCII name. A letter that a list
/// leaves out is no other one.
pub(super) fn starts_otherwise(letters: [u8; 4], name: &str) -> bool {
    let known = |it: u8| it.is_ascii() && it != 0;
    letters.into_iter().zip(name.bytes()).any(|(a, b)| known(a) && !a.eq_ignore_ascii_case(&b))
}

/// The hash of a name in upper case, as `lh` lists have it.
pub(super) fn hash(folded: &str) -> u32 {
    folded.encode_utf16().fold(0, |sum: u32, unit| sum.wrapping_mul(37).wrapping_add(u32::from(unit)))
}

/// A name: UTF-16, or one byte for each character where all are below 256. Half a surrogate pair is
/// replaced: nobody asks for such a key, and it must not be lost from a list.
fn named(bytes: &[u8], is_narrow: bool) -> String {
    if is_narrow {
        bytes.iter().copied().map(char::from).collect()
    } else {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|it| u16_at(it, 0)).collect();
        String::from_utf16_lossy(&units)
    }
}
