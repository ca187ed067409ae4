//! What a program file says of its own version: the resource `VS_VERSIONINFO` of a PE file.
//!
//! Source of truth: the PE format (headers, sections, resource directory) and `VS_VERSIONINFO` of the
//! Windows API; both as Microsoft documents them. The numbers of `VS_FIXEDFILEINFO` are the version: the
//! text `FileVersion` beside them is written for people, and Windows keeps that of the first release
//! in files that were updated since. Read in a few pieces, so that a file's size does not matter.
//!
//! A file that is no PE file, or has no such resource, has no version. One whose headers lead out of it
//! has none either: a program is no database that could be cut off. Nothing here proves who made a file.

use std::io;

use crate::host::Pieces;

/// Most sections; what Windows loads.
const MAX_SECTIONS: usize = 96;
/// Most entries of one directory of resources that are looked at.
const MAX_ENTRIES: usize = 4_096;
/// Largest resource that is read; real ones have one or two KiB.
const MAX_RESOURCE: usize = 64 * 1024;
/// Most nested blocks that are looked at: a table has some twelve texts.
const MAX_BLOCKS: usize = 512;
/// Longest text that is kept, in characters.
const MAX_TEXT: usize = 256;

const RT_VERSION: u32 = 16;
/// The high bit of an entry: it leads to another directory.
const IS_DIRECTORY: u32 = 0x8000_0000;
/// Where a resource comes in several languages, this one is taken: English (United States).
const PREFERRED_LANGUAGE: u32 = 0x0409;

/// What a program file says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionResource {
    /// Version of the file: "10.0.19041.4597".
    pub file_version: Option<String>,
    /// Version of the product that it belongs to, as its numbers say.
    pub product_version: Option<String>,
    /// Who says to have made it.
    pub company: Option<String>,
    /// The product that it belongs to.
    pub product: Option<String>,
    /// What it is.
    pub description: Option<String>,
}

/// What can be read in pieces: a file of the host, or bytes.
pub trait Source {
    /// Fills a buffer from a place.
    ///
    /// # Errors
    /// The source ends before the buffer is full (`UnexpectedEof`), or cannot be read there.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl Source for Pieces {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        Pieces::read_at(self, offset, buffer)
    }
}

impl Source for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).ok().and_then(|it| self.get(it..));
        let bytes = from.and_then(|it| it.get(..buffer.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// Reads the version of a program file; `None` when it says none.
///
/// # Errors
/// The file cannot be read. That it ends early is no error.
pub fn read(file: &(impl Source + ?Sized)) -> io::Result<Option<VersionResource>> {
    match find(file) {
        Ok(Some(resource)) => Ok(parse(&resource)),
        Ok(None) => Ok(None),
        // Offsets over what a file can have are refused by the system.
        Err(cause) if matches!(cause.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput) => {
            Ok(None)
        }
        Err(cause) => Err(cause),
    }
}

/// The bytes of the version resource.
fn find(file: &(impl Source + ?Sized)) -> io::Result<Option<Vec<u8>>> {
    let Some(image) = Image::of(file)? else { return Ok(None) };
    let Some(types) = image.offset(image.resources) else { return Ok(None) };
    // Three levels: the kind of resource, its name, its language.
    let Some(names) = entry(file, types, 0, |id| id == RT_VERSION)? else { return Ok(None) };
    let Some(languages) = below(file, types, names, |_| true)? else { return Ok(None) };
    let english = below(file, types, languages, |id| id == PREFERRED_LANGUAGE)?;
    let leaf = match english {
        Some(leaf) => Some(leaf),
        None => below(file, types, languages, |_| true)?,
    };
    let Some(leaf) = leaf.filter(|it| it & IS_DIRECTORY == 0) else { return Ok(None) };
    let mut place = [0; 8];
    file.read_at(types + u64::from(leaf), &mut place)?;
    let (address, length) = (u32_at(&place, 0), u32_at(&place, 4));
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let Some(at) = image.offset(address).filter(|_| length <= MAX_RESOURCE) else { return Ok(None) };
    let mut resource = vec![0; length];
    file.read_at(at, &mut resource)?;
    Ok(Some(resource))
}

/// The first fitting entry of the directory that another entry leads to.
fn below(
    file: &(impl Source + ?Sized),
    base: u64,
    entry_value: u32,
    fits: impl Fn(u32) -> bool,
) -> io::Result<Option<u32>> {
    if entry_value & IS_DIRECTORY == 0 {
        return Ok(None);
    }
    entry(file, base, entry_value & !IS_DIRECTORY, fits)
}

/// The first entry of a resource directory whose identifier fits; entries with names are passed over
/// for [`RT_VERSION`] and a language, and taken where anything fits.
fn entry(
    file: &(impl Source + ?Sized),
    base: u64,
    directory: u32,
    fits: impl Fn(u32) -> bool,
) -> io::Result<Option<u32>> {
    const HEADER: usize = 16;
    const ENTRY: usize = 8;
    let at = base + u64::from(directory);
    let mut header = [0; HEADER];
    file.read_at(at, &mut header)?;
    let count = usize::from(u16_at(&header, 12)) + usize::from(u16_at(&header, 14));
    let mut entries = vec![0; count.min(MAX_ENTRIES) * ENTRY];
    file.read_at(at + HEADER as u64, &mut entries)?;
    Ok(entries.chunks_exact(ENTRY).find(|it| fits(u32_at(it, 0))).map(|it| u32_at(it, 4)))
}

/// Where a PE file has its sections and its resources.
struct Image {
    sections: Vec<Section>,
    /// Address of the resources.
    resources: u32,
}

/// A part of the file, and the address that it has when it is loaded.
struct Section {
    address: u32,
    offset: u32,
    bytes: u32,
}

impl Image {
    fn of(file: &(impl Source + ?Sized)) -> io::Result<Option<Self>> {
        const PE32: u16 = 0x10b;
        const PE32_PLUS: u16 = 0x20b;
        const COFF: usize = 24;
        const SECTION: usize = 40;
        /// Bytes of the directories before that of resources, which is the third.
        const BEFORE: usize = 16;
        const THIRD: u32 = 3;
        let mut start = [0; 64];
        file.read_at(0, &mut start)?;
        if !start.starts_with(b"MZ") {
            return Ok(None);
        }
        let at = u64::from(u32_at(&start, 60));
        let mut coff = [0; COFF];
        file.read_at(at, &mut coff)?;
        if !coff.starts_with(b"PE\0\0") {
            return Ok(None);
        }
        let (count, optional) = (usize::from(u16_at(&coff, 6)), usize::from(u16_at(&coff, 20)));
        let mut header = vec![0; optional];
        file.read_at(at + COFF as u64, &mut header)?;
        let directories = match header.get(..2).map(|it| u16_at(it, 0)) {
            Some(PE32) => 96,
            Some(PE32_PLUS) => 112,
            Some(_) | None => return Ok(None),
        };
        // The field before the directories says how many of them there are.
        let Some(known) = header.get(directories - 4..directories).map(|it| u32_at(it, 0)) else {
            return Ok(None);
        };
        let place = directories + BEFORE;
        let Some(entry) = header.get(place..place + 8).filter(|_| known >= THIRD) else {
            return Ok(None);
        };
        let resources = u32_at(entry, 0);
        if resources == 0 || count > MAX_SECTIONS {
            return Ok(None);
        }
        let mut table = vec![0; count * SECTION];
        file.read_at(at + (COFF + optional) as u64, &mut table)?;
        let sections = table.chunks_exact(SECTION).map(|it| Section {
            address: u32_at(it, 12),
            bytes: u32_at(it, 16),
            offset: u32_at(it, 20),
        });
        Ok(Some(Self { sections: sections.collect(), resources }))
    }

    /// Where in the file an address is.
    fn offset(&self, address: u32) -> Option<u64> {
        self.sections.iter().find_map(|it| {
            let inside = address.checked_sub(it.address).filter(|inside| *inside < it.bytes)?;
            Some(u64::from(it.offset) + u64::from(inside))
        })
    }
}

/// Takes a version resource apart; `None` when it is none.
fn parse(bytes: &[u8]) -> Option<VersionResource> {
    const SIGNATURE: u32 = 0xfeef_04bd;
    let root = Block::first(bytes)?;
    if root.key != "VS_VERSION_INFO" {
        return None;
    }
    let mut found = VersionResource::default();
    if root.value.len() >= 24 && u32_at(root.value, 0) == SIGNATURE {
        let version = |at: usize| {
            let (high, low) = (u32_at(root.value, at), u32_at(root.value, at + 4));
            format!("{}.{}.{}.{}", high >> 16, high & 0xffff, low >> 16, low & 0xffff)
        };
        // Four zeros are what a compiler leaves where nobody said anything.
        let said = |it: String| Some(it).filter(|it| it != "0.0.0.0");
        found.file_version = said(version(8));
        found.product_version = said(version(16));
    }
    let mut left = MAX_BLOCKS;
    // StringFileInfo, its tables by language, their texts. The first table that says something counts.
    for info in Blocks(root.children).filter(|it| it.key == "StringFileInfo") {
        for table in Blocks(info.children) {
            for text in Blocks(table.children) {
                left = left.checked_sub(1)?;
                let place = match text.key.as_str() {
                    "CompanyName" => &mut found.company,
                    "ProductName" => &mut found.product,
                    "FileDescription" => &mut found.description,
                    _ => continue,
                };
                if place.is_none() {
                    *place = text.text();
                }
            }
        }
    }
    Some(found).filter(|it| *it != VersionResource::default())
}

/// A nested block: its length, the length of its value, its key, its value, its children.
struct Block<'a> {
    key: String,
    value: &'a [u8],
    children: &'a [u8],
    /// All that follows it.
    rest: &'a [u8],
}

impl<'a> Block<'a> {
    fn first(bytes: &'a [u8]) -> Option<Self> {
        const HEADER: usize = 6;
        let header = bytes.get(..HEADER)?;
        let length = usize::from(u16_at(header, 0));
        let (value, is_text) = (usize::from(u16_at(header, 2)), u16_at(header, 4) == 1);
        let block = bytes.get(..length).filter(|_| length >= HEADER)?;
        let key_bytes = &block[HEADER..];
        let end = key_bytes.chunks_exact(2).position(|it| it == [0, 0])?;
        let key = utf16(&key_bytes[..end * 2]);
        let at = aligned(HEADER + end * 2 + 2).min(block.len());
        // Text counts characters; compilers disagree, and some count bytes.
        let wanted = if is_text { value * 2 } else { value };
        let stop = at.saturating_add(wanted).min(block.len());
        let children = block.get(aligned(stop)..).unwrap_or_default();
        let rest = bytes.get(aligned(length)..).unwrap_or_default();
        Some(Self { key, value: &block[at..stop], children, rest })
    }

    /// Its value as text; `None` when it says nothing.
    fn text(&self) -> Option<String> {
        let end = self.value.chunks_exact(2).position(|it| it == [0, 0]);
        let text = utf16(&self.value[..end.map_or(self.value.len(), |it| it * 2)]);
        let text: String = text.trim().chars().filter(|it| !it.is_control()).take(MAX_TEXT).collect();
        Some(text).filter(|it| !it.is_empty())
    }
}

/// Blocks that stand side by side.
struct Blocks<'a>(&'a [u8]);

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let block = Block::first(self.0)?;
        self.0 = block.rest;
        Some(block)
    }
}

fn aligned(at: usize) -> usize {
    at.next_multiple_of(4)
}

fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|it| u16_at(it, 0)).collect();
    String::from_utf16_lossy(&units)
}

/// A number of a header that is known to be long enough.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
#[path = "version_resource_tests.rs"]
pub(in crate::scan) mod tests;
