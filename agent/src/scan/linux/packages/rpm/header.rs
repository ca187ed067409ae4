//! A package's header as every rpm database stores it.
//!
//! Source of truth: rpm's `lib/header.cc`. Two big-endian counts, an index of entries (tag, type,
//! offset, count), then the data. What came with the package is a region at the front of both;
//! what rpm added when it installed it ("dribbles": the time, signatures) follows, and an added
//! entry counts instead of one of the region with the same tag. So the last entry of a tag is it.
//!
//! Refused is what rpm refuses for an entry that is used: a wrong type, data outside the header, text without
//! an end. Known lie: rpm also checks the digest over the region and passes over a header that
//! was tampered with; here nothing is hashed.

use std::io;

use super::blob::{Blob, wrong};

/// Tags that rows are made of (`include/rpm/rpmtag.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(u32);

impl Tag {
    pub(super) const SIGPGP: Self = Self(259);
    pub(super) const SIGGPG: Self = Self(262);
    pub(super) const DSAHEADER: Self = Self(267);
    pub(super) const RSAHEADER: Self = Self(268);
    /// Of rpm 6: signatures in base 64.
    pub(super) const OPENPGP: Self = Self(278);
    pub(super) const NAME: Self = Self(1000);
    pub(super) const VERSION: Self = Self(1001);
    pub(super) const RELEASE: Self = Self(1002);
    pub(super) const EPOCH: Self = Self(1003);
    pub(super) const INSTALLTIME: Self = Self(1008);
    pub(super) const VENDOR: Self = Self(1011);
    pub(super) const ARCH: Self = Self(1022);
    pub(super) const FILESTATES: Self = Self(1029);
    pub(super) const SOURCERPM: Self = Self(1044);
    pub(super) const DIRINDEXES: Self = Self(1116);
    pub(super) const BASENAMES: Self = Self(1117);
    pub(super) const DIRNAMES: Self = Self(1118);
    pub(super) const MODULARITYLABEL: Self = Self(5096);

    const ALL: [Self; 18] = [
        Self::SIGPGP,
        Self::SIGGPG,
        Self::DSAHEADER,
        Self::RSAHEADER,
        Self::OPENPGP,
        Self::NAME,
        Self::VERSION,
        Self::RELEASE,
        Self::EPOCH,
        Self::INSTALLTIME,
        Self::VENDOR,
        Self::ARCH,
        Self::FILESTATES,
        Self::SOURCERPM,
        Self::DIRINDEXES,
        Self::BASENAMES,
        Self::DIRNAMES,
        Self::MODULARITYLABEL,
    ];
}

/// Bytes of the two counts, and of an entry.
const COUNTS: u64 = 8;
const ENTRY: usize = 16;
/// Most entries; rpm's own limit.
const MAX_ENTRIES: u32 = 0xffff;
/// Entries that are read at once.
const ENTRIES_AT_ONCE: u32 = 128;
/// Longest text that a row takes.
const MAX_TEXT: usize = 4 * 1024;
/// Most bytes that are read of a signature: those of the widest post-quantum ones are left out.
const MAX_SIGNATURE: usize = 16 * 1024;
/// Longest list of names, in bytes: some 100,000 files of one package.
const MAX_LIST: usize = 4 * 1024 * 1024;

const CHAR: u32 = 1;
const INT32: u32 = 4;
const STRING: u32 = 6;
const BINARY: u32 = 7;
const STRING_ARRAY: u32 = 8;
const I18N_STRING: u32 = 9;

#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: u32,
    offset: u32,
    count: u32,
}

/// A header, of which the index was read.
pub(super) struct Header<'a, 'p> {
    blob: &'a mut Blob<'p>,
    /// In the order of `Tag::ALL`.
    entries: [Option<Entry>; Tag::ALL.len()],
    /// Where the data begins.
    data: u64,
}

impl<'a, 'p> Header<'a, 'p> {
    /// Reads the index.
    ///
    /// # Errors
    /// This is no header, or it is cut off.
    pub(super) fn read(blob: &'a mut Blob<'p>) -> io::Result<Self> {
        let mut counts = [0; 8];
        if blob.len() < COUNTS {
            return Err(wrong("a header of less than 8 bytes"));
        }
        blob.read(0, &mut counts)?;
        let (entry_count, data_bytes) = (word(&counts, 0), word(&counts, 4));
        if entry_count == 0 || entry_count > MAX_ENTRIES {
            return Err(wrong(format!("a header with {entry_count} entries")));
        }
        let data = COUNTS + u64::from(entry_count) * 16;
        if data + u64::from(data_bytes) != blob.len() {
            let claimed = data + u64::from(data_bytes);
            return Err(wrong(format!("a header of {} bytes that claims {claimed}", blob.len())));
        }
        let mut header = Self { blob, entries: [None; Tag::ALL.len()], data };
        header.index(entry_count)?;
        Ok(header)
    }

    fn index(&mut self, entry_count: u32) -> io::Result<()> {
        let mut buffer = Vec::new();
        let mut done = 0;
        while done < entry_count {
            let now = (entry_count - done).min(ENTRIES_AT_ONCE);
            buffer.resize(usize::try_from(now).unwrap_or(0) * ENTRY, 0);
            self.blob.read(COUNTS + u64::from(done) * 16, &mut buffer)?;
            for entry in buffer.chunks_exact(ENTRY) {
                let tag = Tag(word(entry, 0));
                if let Some(place) = Tag::ALL.iter().position(|it| *it == tag) {
                    self.entries[place] =
                        Some(Entry { kind: word(entry, 4), offset: word(entry, 8), count: word(entry, 12) });
                }
            }
            done += now;
        }
        Ok(())
    }

    fn entry(&self, tag: Tag) -> Option<Entry> {
        Tag::ALL.iter().position(|it| *it == tag).and_then(|it| self.entries[it])
    }

    /// The entry of a tag that must have one of these types.
    fn of_kind(&self, tag: Tag, kinds: &[u32]) -> io::Result<Option<Entry>> {
        match self.entry(tag) {
            Some(it) if !kinds.contains(&it.kind) => {
                Err(wrong(format!("tag {} has type {}", tag.0, it.kind)))
            }
            Some(it) if it.count == 0 => Err(wrong(format!("tag {} has no value", tag.0))),
            other => Ok(other),
        }
    }

    /// A text, or the first of several.
    pub(super) fn text(&mut self, tag: Tag) -> io::Result<Option<String>> {
        let Some(entry) = self.of_kind(tag, &[STRING, STRING_ARRAY, I18N_STRING])? else { return Ok(None) };
        let bytes = self.strings_at(tag, entry.offset, 1, MAX_TEXT)?;
        let text = String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(&bytes)).into_owned();
        Ok(Some(text).filter(|it| !it.is_empty()))
    }

    /// A number, or the first of several.
    pub(super) fn number(&mut self, tag: Tag) -> io::Result<Option<u32>> {
        let Some(entry) = self.of_kind(tag, &[INT32])? else { return Ok(None) };
        let mut bytes = [0; 4];
        self.blob.read(self.data + u64::from(entry.offset), &mut bytes)?;
        Ok(Some(u32::from_be_bytes(bytes)))
    }

    /// The beginning of a binary value.
    pub(super) fn signature(&mut self, tag: Tag) -> io::Result<Option<Vec<u8>>> {
        let Some(entry) = self.of_kind(tag, &[BINARY])? else { return Ok(None) };
        let bytes = usize::try_from(entry.count).unwrap_or(usize::MAX).min(MAX_SIGNATURE);
        self.fixed(entry.offset, bytes).map(Some)
    }

    /// The beginning of the first of several texts.
    pub(super) fn first_text(&mut self, tag: Tag) -> io::Result<Option<Vec<u8>>> {
        let Some(entry) = self.of_kind(tag, &[STRING_ARRAY])? else { return Ok(None) };
        self.strings_at(tag, entry.offset, 1, MAX_SIGNATURE).map(Some)
    }

    /// All texts, each with a zero byte at its end, and how many they are.
    pub(super) fn list(&mut self, tag: Tag) -> io::Result<Option<Vec<u8>>> {
        let Some(entry) = self.of_kind(tag, &[STRING_ARRAY])? else { return Ok(None) };
        self.strings_at(tag, entry.offset, entry.count, MAX_LIST).map(Some)
    }

    /// All numbers, as they are stored.
    pub(super) fn numbers(&mut self, tag: Tag) -> io::Result<Option<Vec<u8>>> {
        let Some(entry) = self.of_kind(tag, &[INT32])? else { return Ok(None) };
        self.array(tag, entry, 4).map(Some)
    }

    /// One byte for each of several.
    pub(super) fn bytes(&mut self, tag: Tag) -> io::Result<Option<Vec<u8>>> {
        let Some(entry) = self.of_kind(tag, &[CHAR])? else { return Ok(None) };
        self.array(tag, entry, 1).map(Some)
    }

    fn array(&mut self, tag: Tag, entry: Entry, each: usize) -> io::Result<Vec<u8>> {
        match usize::try_from(entry.count).ok().and_then(|it| it.checked_mul(each)) {
            Some(bytes) if bytes <= MAX_LIST => self.fixed(entry.offset, bytes),
            _ => Err(too_long(tag)),
        }
    }

    fn fixed(&mut self, offset: u32, bytes: usize) -> io::Result<Vec<u8>> {
        let at = self.data + u64::from(offset);
        let end = u64::try_from(bytes).ok().and_then(|it| at.checked_add(it));
        if end.is_none_or(|it| it > self.blob.len()) {
            return Err(wrong("a value lies outside its header"));
        }
        let mut buffer = vec![0; bytes];
        self.blob.read(at, &mut buffer)?;
        Ok(buffer)
    }

    /// Texts with their zero bytes: their length stands nowhere.
    fn strings_at(&mut self, tag: Tag, offset: u32, count: u32, max_bytes: usize) -> io::Result<Vec<u8>> {
        const FIRST: u64 = 256;
        const MOST: u64 = 64 * 1024;
        let mut at = self.data + u64::from(offset);
        let (mut bytes, mut left, mut step) = (Vec::new(), count, FIRST);
        loop {
            let here = self.blob.len().saturating_sub(at).min(step);
            if here == 0 {
                return Err(wrong(format!("tag {} has no end", tag.0)));
            }
            let before = bytes.len();
            bytes.resize(before + usize::try_from(here).unwrap_or(0), 0);
            self.blob.read(at, &mut bytes[before..])?;
            for place in before..bytes.len() {
                if bytes[place] == 0 {
                    left -= 1;
                    if left == 0 {
                        bytes.truncate(place + 1);
                        return if bytes.len() > max_bytes { Err(too_long(tag)) } else { Ok(bytes) };
                    }
                }
            }
            if bytes.len() > max_bytes {
                return Err(too_long(tag));
            }
            at += here;
            step = (step * 4).min(MOST);
        }
    }
}

fn too_long(tag: Tag) -> io::Error {
    wrong(format!("tag {} is longer than a row may say", tag.0))
}

/// A big-endian number of four bytes.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|it| it.try_into().ok()).map_or(0, u32::from_be_bytes)
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
