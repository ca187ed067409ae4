//! The tables that firmware describes its machine with: entry point, structures, strings.
//!
//! Source of truth: `sys/firmware/dmi/tables/{smbios_entry_point,DMI}`, the bytes as firmware left
//! them (DMTF DSP0134); root only. References between structures (handles) are never followed, so
//! that a loop of them leads nowhere.
//!
//! Known lies: firmware counts its structures wrongly, refers to strings that are not there, and
//! leaves out the end marker of old tables. What decides is how long the table is said to be: a table
//! that was read to there, or to its end marker, is whole.

use std::io;

use crate::host::{HostRoot, Reads};
use crate::scan::look::said;

/// The first bytes that lead to the tables.
pub const ENTRY_POINT: &str = "sys/firmware/dmi/tables/smbios_entry_point";
/// The tables.
pub const TABLES: &str = "sys/firmware/dmi/tables/DMI";

/// What reading the tables touches.
pub const READS: &[Reads] = &[Reads::content(ENTRY_POINT), Reads::content(TABLES)];

/// Largest entry point; version 3 has 24 bytes.
pub const MAX_ENTRY_POINT: usize = 256;
/// Largest tables; a server with 2 TiB of memory has some 60 KiB.
pub const MAX_TABLES: usize = 1024 * 1024;
/// Most structures that are looked at.
const MAX_STRUCTURES: usize = 8_192;
/// Longest text that is kept, in bytes.
const MAX_TEXT: usize = 512;

/// Length of the header of a structure.
const HEADER: usize = 4;
const INACTIVE: u8 = 126;
const END: u8 = 127;

/// How the tables are said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryPoint {
    /// Bytes of the tables; the most there may be when only the end marker ends them.
    length: usize,
    /// What ends them.
    end: End,
}

/// What ends the tables, beside an end marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing else.
    Marker,
    /// The number of their structures, or their length.
    Count(usize),
    /// Their length.
    Length,
}

/// Why an entry point leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntryPoint {
    /// None of the known ones.
    #[error("this is no entry point of SMBIOS")]
    Anchor,
    /// Shorter than it says or than it has to be.
    #[error("the entry point is cut off")]
    Cut,
    /// Its bytes do not add up.
    #[error("the entry point's checksum is wrong")]
    Checksum,
}

impl EntryPoint {
    /// Reads an entry point of version 3, version 2, or older.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidEntryPoint> {
        if bytes.starts_with(b"_SM3_") {
            adds_up(bytes, 0, usize::from(byte(bytes, 6)?).max(24))?;
            return Ok(Self {
                length: usize::try_from(dword(bytes, 12)?).unwrap_or(usize::MAX),
                end: End::Marker,
            });
        }
        if bytes.starts_with(b"_SM_") {
            // Some firmware of version 2.1 gives 30 for its 31 bytes.
            let length = usize::from(byte(bytes, 5)?);
            adds_up(bytes, 0, if length == 30 { 31 } else { length.max(31) })?;
            let inner = bytes.get(16..).filter(|it| it.starts_with(b"_DMI_"));
            return Self::legacy(inner.ok_or(InvalidEntryPoint::Anchor)?);
        }
        if bytes.starts_with(b"_DMI_") { Self::legacy(bytes) } else { Err(InvalidEntryPoint::Anchor) }
    }

    fn legacy(bytes: &[u8]) -> Result<Self, InvalidEntryPoint> {
        adds_up(bytes, 0, 15)?;
        let count = usize::from(word(bytes, 12)?);
        let end = if count == 0 { End::Marker } else { End::Count(count) };
        Ok(Self { length: usize::from(word(bytes, 6)?), end })
    }
}

/// The tables as Windows hands them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handed<'a> {
    /// Version of the standard that they follow.
    pub version: (u8, u8),
    /// How they are said to be.
    pub entry: EntryPoint,
    /// The tables.
    pub tables: &'a [u8],
}

impl<'a> Handed<'a> {
    /// Reads the header that Windows puts before them in the place of an entry point: `RawSMBIOSData`,
    /// with version and length.
    ///
    /// # Errors
    /// The bytes are shorter than the header.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, InvalidEntryPoint> {
        let length = usize::try_from(dword(bytes, 4)?).unwrap_or(usize::MAX);
        Ok(Self {
            version: (byte(bytes, 1)?, byte(bytes, 2)?),
            entry: EntryPoint { length, end: End::Length },
            tables: bytes.get(8..).unwrap_or_default(),
        })
    }
}

fn adds_up(bytes: &[u8], start: usize, length: usize) -> Result<(), InvalidEntryPoint> {
    let covered = bytes.get(start..start + length).ok_or(InvalidEntryPoint::Cut)?;
    let sum = covered.iter().fold(0_u8, |sum, it| sum.wrapping_add(*it));
    if sum == 0 { Ok(()) } else { Err(InvalidEntryPoint::Checksum) }
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, InvalidEntryPoint> {
    bytes.get(at).copied().ok_or(InvalidEntryPoint::Cut)
}

fn word(bytes: &[u8], at: usize) -> Result<u16, InvalidEntryPoint> {
    number(bytes, at).map(u16::from_le_bytes).ok_or(InvalidEntryPoint::Cut)
}

fn dword(bytes: &[u8], at: usize) -> Result<u32, InvalidEntryPoint> {
    number(bytes, at).map(u32::from_le_bytes).ok_or(InvalidEntryPoint::Cut)
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// One structure.
#[derive(Debug, Clone, Copy)]
pub struct Structure<'a> {
    /// What it describes.
    pub kind: u8,
    /// With its header, so that offsets are those of the standard.
    fields: &'a [u8],
    strings: &'a [u8],
}

impl Structure<'_> {
    /// One byte; `None` when the structure is too short to have it.
    pub fn byte(&self, at: usize) -> Option<u8> {
        self.fields.get(at).copied()
    }

    /// Four bytes.
    pub fn dword(&self, at: usize) -> Option<u32> {
        number(self.fields, at).map(u32::from_le_bytes)
    }

    /// Some bytes.
    pub fn bytes(&self, at: usize, count: usize) -> Option<&[u8]> {
        self.fields.get(at..at.checked_add(count)?)
    }

    /// The text that a byte refers to; `None` for no text, an empty one, or one that is not there.
    pub fn text(&self, at: usize) -> Option<String> {
        let number = usize::from(self.byte(at)?).checked_sub(1)?;
        let text = self.strings.split(|it| *it == 0).nth(number)?;
        said(&String::from_utf8_lossy(text.get(..MAX_TEXT).unwrap_or(text)))
    }
}

/// The structures that could be read, and what is wrong with the rest.
#[derive(Debug, Clone)]
pub struct Structures<'a> {
    /// In the order of the table.
    pub all: Vec<Structure<'a>>,
    /// Why there may be more.
    pub fault: Option<&'static str>,
}

impl<'a> Structures<'a> {
    /// Walks the tables.
    pub fn read(entry: EntryPoint, tables: &'a [u8]) -> Self {
        let mut all = Vec::new();
        let is_cut = tables.len() < entry.length;
        let mut rest = tables.get(..entry.length).unwrap_or(tables);
        let fault = loop {
            if rest.is_empty() || entry.end == End::Count(all.len()) {
                let whole = match entry.end {
                    // Without its end marker a table of version 3 may go on.
                    End::Marker => false,
                    End::Count(it) => it == all.len() || !is_cut,
                    End::Length => !is_cut,
                };
                break if whole { None } else { Some("the tables end without an end marker") };
            }
            if all.len() == MAX_STRUCTURES {
                break Some("the tables have too many structures");
            }
            let Some((structure, behind)) = first(rest) else {
                break Some("a structure is cut off or broken");
            };
            if structure.kind == END {
                break None;
            }
            all.push(structure);
            rest = behind;
        };
        all.retain(|it| it.kind != INACTIVE);
        Self { all, fault }
    }

    /// The structures of a kind.
    pub fn of(&self, kind: u8) -> impl Iterator<Item = &Structure<'a>> {
        self.all.iter().filter(move |it| it.kind == kind)
    }
}

/// The structure that stands first, and what is behind it.
fn first(bytes: &[u8]) -> Option<(Structure<'_>, &[u8])> {
    let kind = *bytes.first()?;
    let length = usize::from(*bytes.get(1)?);
    if length < HEADER {
        return None;
    }
    let (fields, rest) = bytes.split_at_checked(length)?;
    // Texts end with a zero each, and the set with one more; no text at all is two zeros.
    match rest.windows(2).position(|it| it == [0, 0]) {
        Some(end) => {
            let (strings, behind) = rest.split_at(end + 2);
            Some((Structure { kind, fields, strings }, behind))
        }
        // Nothing follows the end marker: its two zeros are often missing.
        None if kind == END => Some((Structure { kind, fields, strings: &[] }, &[])),
        None => None,
    }
}

/// The tables as bytes, for a probe that only adds to what another one reports: it tells nobody
/// about gaps, because the other one does.
pub fn quietly(root: &HostRoot) -> io::Result<(EntryPoint, Vec<u8>)> {
    let entry = EntryPoint::parse(&root.read(ENTRY_POINT, MAX_ENTRY_POINT)?).map_err(io::Error::other)?;
    Ok((entry, root.read(TABLES, MAX_TABLES)?))
}

#[cfg(test)]
#[path = "smbios_tests.rs"]
pub(crate) mod tests;
