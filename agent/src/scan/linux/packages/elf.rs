//! The build identifier that a linker wrote into a program.
//!
//! Source of truth: the ELF specification's header and program headers, and the note
//! `NT_GNU_BUILD_ID` (name `GNU`, type 3) in a segment of notes, else in a section of notes (Go's
//! linker puts no segment around it). Both widths and both byte orders are read. A file that is no ELF program, or that has no such note, has no identifier; neither has
//! one whose headers lead out of it, because a program is no database that could be cut off.

use std::fmt::Write;
use std::io;

use crate::host::Pieces;

/// Largest table of headers that is read; real ones have 2 KiB.
const MAX_TABLE: u64 = 64 * 1024;
/// Largest segment of notes that is read.
const MAX_NOTES: usize = 64 * 1024;
/// Longest identifier; a SHA-256 has 32 bytes.
const MAX_ID: usize = 64;

const MAGIC: &[u8] = b"\x7fELF";
const PT_NOTE: u64 = 4;
const SHT_NOTE: u64 = 7;
const NT_GNU_BUILD_ID: u64 = 3;

/// What the start of a file says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Program {
    /// No ELF file.
    Other,
    /// An ELF file, with its build identifier in lower-case hexadecimal where it has one.
    Elf(Option<String>),
}

/// Reads a file's headers and notes.
///
/// # Errors
/// The file cannot be read. That it ends early is no error.
pub(super) fn read(file: &Pieces) -> io::Result<Program> {
    let mut start = [0; 64];
    let length = usize::try_from(file.bytes()).unwrap_or(usize::MAX).min(start.len());
    if length < MAGIC.len() || !filled(file, 0, &mut start[..length])? || !start.starts_with(MAGIC) {
        return Ok(Program::Other);
    }
    build_id(file, &start[..length]).map(Program::Elf)
}

fn build_id(file: &Pieces, start: &[u8]) -> io::Result<Option<String>> {
    let Some(shape) = Shape::of(start) else { return Ok(None) };
    for fields in if shape.is_wide { &WIDE } else { &NARROW } {
        let Some((offset, size, count)) = shape.table(start, fields) else { continue };
        let (Some(bytes), Ok(entry)) = (size.checked_mul(count), usize::try_from(size)) else { continue };
        let mut table = vec![0; usize::try_from(bytes.min(MAX_TABLE)).unwrap_or(0)];
        if entry == 0 || !filled(file, offset, &mut table)? {
            continue;
        }
        for notes in table.chunks_exact(entry).filter_map(|it| shape.notes(it, fields)) {
            let mut bytes = vec![0; notes.bytes];
            if filled(file, notes.offset, &mut bytes)?
                && let Some(id) = shape.find(&bytes, notes.align)
            {
                return Ok(Some(hexadecimal(id)));
            }
        }
    }
    Ok(None)
}

/// Where a table of headers says what; places of its own numbers in the file's first header, and
/// of the others in each entry.
struct Fields {
    offset: usize,
    size: usize,
    count: usize,
    kind_at: usize,
    /// The kind that stands for notes.
    notes: u64,
    offset_at: usize,
    bytes_at: usize,
    align_at: usize,
}

/// Segments and sections of 64-bit files.
const WIDE: [Fields; 2] = [
    Fields {
        offset: 32,
        size: 54,
        count: 56,
        kind_at: 0,
        notes: PT_NOTE,
        offset_at: 8,
        bytes_at: 32,
        align_at: 48,
    },
    Fields {
        offset: 40,
        size: 58,
        count: 60,
        kind_at: 4,
        notes: SHT_NOTE,
        offset_at: 24,
        bytes_at: 32,
        align_at: 48,
    },
];
/// Segments and sections of 32-bit files.
const NARROW: [Fields; 2] = [
    Fields {
        offset: 28,
        size: 42,
        count: 44,
        kind_at: 0,
        notes: PT_NOTE,
        offset_at: 4,
        bytes_at: 16,
        align_at: 28,
    },
    Fields {
        offset: 32,
        size: 46,
        count: 48,
        kind_at: 4,
        notes: SHT_NOTE,
        offset_at: 16,
        bytes_at: 20,
        align_at: 32,
    },
];

/// Fills a buffer from the file; `false` where the file ends before.
fn filled(file: &Pieces, at: u64, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_at(at, buffer) {
        Ok(()) => Ok(true),
        // Offsets over what a file can have are refused by the system.
        Err(cause) if matches!(cause.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput) => {
            Ok(false)
        }
        Err(cause) => Err(cause),
    }
}

/// Where notes are.
struct Notes {
    offset: u64,
    bytes: usize,
    align: usize,
}

/// Width and byte order of a file.
#[derive(Debug, Clone, Copy)]
struct Shape {
    is_wide: bool,
    is_big: bool,
}

impl Shape {
    fn of(start: &[u8]) -> Option<Self> {
        let is_wide = match start.get(4)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let is_big = match start.get(5)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        Some(Self { is_wide, is_big })
    }

    /// A number of `width` bytes.
    fn number(self, bytes: &[u8], at: usize, width: usize) -> Option<u64> {
        let digits = bytes.get(at..at.checked_add(width)?)?;
        let fold = |value: u64, digit: &u8| value << 8 | u64::from(*digit);
        Some(if self.is_big { digits.iter().fold(0, fold) } else { digits.iter().rev().fold(0, fold) })
    }

    /// A number as wide as addresses are.
    fn address(self, bytes: &[u8], at: usize) -> Option<u64> {
        self.number(bytes, at, if self.is_wide { 8 } else { 4 })
    }

    /// Where a table is, how large each entry is, and how many there are.
    fn table(self, start: &[u8], fields: &Fields) -> Option<(u64, u64, u64)> {
        let offset = self.address(start, fields.offset)?;
        Some((offset, self.number(start, fields.size, 2)?, self.number(start, fields.count, 2)?))
    }

    fn notes(self, entry: &[u8], fields: &Fields) -> Option<Notes> {
        if self.number(entry, fields.kind_at, 4)? != fields.notes {
            return None;
        }
        let bytes = usize::try_from(self.address(entry, fields.bytes_at)?).unwrap_or(usize::MAX);
        Some(Notes {
            offset: self.address(entry, fields.offset_at)?,
            bytes: bytes.min(MAX_NOTES),
            // Notes are padded to 4 bytes; where they are aligned to 8 they are padded to 8.
            align: if self.address(entry, fields.align_at)? == 8 { 8 } else { 4 },
        })
    }

    /// The build identifier among notes.
    fn find(self, mut notes: &[u8], align: usize) -> Option<&[u8]> {
        loop {
            let name_length = usize::try_from(self.number(notes, 0, 4)?).ok()?;
            let length = usize::try_from(self.number(notes, 4, 4)?).ok()?;
            let kind = self.number(notes, 8, 4)?;
            let name = notes.get(12..12_usize.checked_add(name_length)?)?;
            let from = (12 + name_length).checked_next_multiple_of(align)?;
            let to = from.checked_add(length)?;
            let content = notes.get(from..to)?;
            if kind == NT_GNU_BUILD_ID && name == b"GNU\0" && (1..=MAX_ID).contains(&length) {
                return Some(content);
            }
            notes = notes.get(to.checked_next_multiple_of(align)?..)?;
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::host::HostRoot;
    use proptest::prelude::*;

    fn number(value: u64, width: usize, is_big: bool) -> Vec<u8> {
        let bytes = value.to_be_bytes()[8 - width..].to_vec();
        if is_big { bytes } else { bytes.into_iter().rev().collect() }
    }

    /// A program of that width and byte order, with a note before the one that counts.
    pub(in super::super) fn program(is_wide: bool, is_big: bool, id: &[u8]) -> Vec<u8> {
        program_with(is_wide, is_big, id, false)
    }

    fn program_with(is_wide: bool, is_big: bool, id: &[u8], by_sections: bool) -> Vec<u8> {
        let n = |value, width| number(value, width, is_big);
        let word = if is_wide { 8 } else { 4 };
        let header = if is_wide { 64 } else { 52 };
        let entry = match (is_wide, by_sections) {
            (true, false) => 56,
            (false, false) => 32,
            (true, true) => 64,
            (false, true) => 40,
        };
        let note = |name: &[u8], kind, content: &[u8]| {
            let mut bytes = [n(name.len() as u64, 4), n(content.len() as u64, 4), n(kind, 4)].concat();
            bytes.extend_from_slice(name);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let notes = [note(b"GNU\0", 1, &[0; 16]), note(b"X\0", 3, b"no"), note(b"GNU\0", 3, id)].concat();
        let mut out = MAGIC.to_vec();
        out.extend([if is_wide { 2 } else { 1 }, if is_big { 2 } else { 1 }, 1]);
        out.resize(16, 0);
        let (segments, sections) = if by_sections { (0, 2) } else { (2, 0) };
        out.extend([n(2, 2), n(62, 2), n(1, 4), n(0, word), n(header * segments / 2, word)].concat());
        out.extend([n(header * sections / 2, word), n(0, 4), n(header, 2)].concat());
        out.extend([n(entry, 2), n(segments, 2), n(entry, 2), n(sections, 2), n(0, 2)].concat());
        assert_eq!(out.len() as u64, header);
        let at = header + 2 * entry;
        let size = notes.len() as u64;
        for kind in [1, if by_sections { SHT_NOTE } else { PT_NOTE }] {
            out.extend(match (is_wide, by_sections) {
                (true, false) => {
                    [n(kind, 4), n(4, 4), n(at, 8), n(at, 8), n(at, 8), n(size, 8), n(size, 8), n(4, 8)]
                        .concat()
                }
                (false, false) => {
                    [n(kind, 4), n(at, 4), n(at, 4), n(at, 4), n(size, 4), n(size, 4), n(4, 4), n(4, 4)]
                        .concat()
                }
                (true, true) => {
                    [n(1, 4), n(kind, 4), n(2, 8), n(at, 8), n(at, 8), n(size, 8), n(0, 8), n(4, 8), n(0, 8)]
                        .concat()
                }
                (false, true) => {
                    let start = [n(1, 4), n(kind, 4), n(2, 4), n(at, 4), n(at, 4), n(size, 4)].concat();
                    [start, n(0, 4), n(0, 4), n(4, 4), n(0, 4)].concat()
                }
            });
        }
        out.extend(notes);
        out
    }

    fn read_bytes(bytes: &[u8]) -> Program {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), bytes).unwrap();
        read(&HostRoot::at(dir.path()).pieces("file").unwrap()).unwrap()
    }

    #[test]
    fn every_width_and_byte_order_gives_its_identifier() {
        for (is_wide, is_big) in [(true, false), (true, true), (false, false), (false, true)] {
            for by_sections in [false, true] {
                let bytes = program_with(is_wide, is_big, &[0xab, 0x01, 0x23], by_sections);
                let expected = Program::Elf(Some("ab0123".to_owned()));
                assert_eq!(read_bytes(&bytes), expected, "{is_wide} {is_big} {by_sections}");
            }
        }
    }

    #[test]
    fn what_is_no_program_or_is_cut_off_has_none() {
        assert_eq!(read_bytes(b"#!/bin/sh\n"), Program::Other);
        assert_eq!(read_bytes(b"\x7fE"), Program::Other);
        assert_eq!(read_bytes(b"\x7fELF"), Program::Elf(None));
        let whole = program(true, false, &[7; 20]);
        for end in [5, 20, 63, 64, 100, 170, whole.len() - 1] {
            assert_eq!(read_bytes(&whole[..end]), Program::Elf(None), "{end}");
        }
    }

    #[test]
    fn numbers_that_lead_out_of_the_file_lead_nowhere() {
        let whole = program(true, false, &[7; 20]);
        // Place, size and number of the headers; place and size of the notes.
        for (at, width) in [(32, 8), (54, 2), (56, 2), (64 + 56 + 8, 8), (64 + 56 + 32, 8)] {
            let mut bytes = whole.clone();
            bytes[at..at + width].fill(0xff);
            let _ = read_bytes(&bytes);
        }
        assert_eq!(read_bytes(&program(true, false, &[1; 65])), Program::Elf(None), "too long to be one");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn no_damage_panics(at in 0..300_usize, bytes in prop::array::uniform4(any::<u8>()), is_wide: bool) {
            let mut file = program(is_wide, false, &[7; 20]);
            for (offset, byte) in bytes.into_iter().enumerate() {
                let length = file.len();
                file[(at + offset) % length] = byte;
            }
            let _ = read_bytes(&file);
        }
    }
}
