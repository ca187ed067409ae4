//! The build identifier that a linker wrote into a program.
//!
//! Source of truth: the ELF specification's header and program headers, and the note
//! `NT_GNU_BUILD_ID` (name `GNU`, type 3) in a segment of notes. Both widths and both byte orders
//! are read. A file that is no ELF program, or that has no such note, has no identifier; neither has
//! one whose headers lead out of it, because a program is no database that could be cut off.

use std::fmt::Write;
use std::io;

use crate::host::Pieces;

/// Most program headers; real programs have about a dozen.
const MAX_HEADERS: u64 = 128;
/// Largest segment of notes that is read.
const MAX_NOTES: usize = 64 * 1024;
/// Longest identifier; a SHA-256 has 32 bytes.
const MAX_ID: usize = 64;

const MAGIC: &[u8] = b"\x7fELF";
const PT_NOTE: u64 = 4;
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
    let Some((table, size, count)) = shape.program_headers(start) else { return Ok(None) };
    let mut header = [0; 56];
    let wanted = if shape.is_wide { 56 } else { 32 };
    if size < u64::try_from(wanted).unwrap_or(u64::MAX) {
        return Ok(None);
    }
    for number in 0..count.min(MAX_HEADERS) {
        let Some(at) = size.checked_mul(number).and_then(|it| it.checked_add(table)) else { break };
        if !filled(file, at, &mut header[..wanted])? {
            break;
        }
        if let Some(notes) = shape.notes(&header[..wanted]) {
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

/// A segment of notes.
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

    /// Where the program headers are, how large each is, and how many.
    fn program_headers(self, start: &[u8]) -> Option<(u64, u64, u64)> {
        let (offset, width, sizes) = if self.is_wide { (32, 8, 54) } else { (28, 4, 42) };
        Some((
            self.number(start, offset, width)?,
            self.number(start, sizes, 2)?,
            self.number(start, sizes + 2, 2)?,
        ))
    }

    fn notes(self, header: &[u8]) -> Option<Notes> {
        let (offset, bytes, align, width) = if self.is_wide { (8, 32, 48, 8) } else { (4, 16, 28, 4) };
        if self.number(header, 0, 4)? != PT_NOTE {
            return None;
        }
        let bytes = usize::try_from(self.number(header, bytes, width)?).unwrap_or(usize::MAX);
        Some(Notes {
            offset: self.number(header, offset, width)?,
            bytes: bytes.min(MAX_NOTES),
            // Notes are padded to 4 bytes; a segment that is aligned to 8 pads to 8.
            align: if self.number(header, align, width)? == 8 { 8 } else { 4 },
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
        let n = |value, width| number(value, width, is_big);
        let word = if is_wide { 8 } else { 4 };
        let (header, entry) = if is_wide { (64, 56) } else { (52, 32) };
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
        out.extend([n(2, 2), n(62, 2), n(1, 4), n(0, word), n(header, word), n(0, word), n(0, 4)].concat());
        out.extend([n(header, 2), n(entry, 2), n(2, 2), n(0, 2), n(0, 2), n(0, 2)].concat());
        assert_eq!(out.len() as u64, header);
        let at = header + 2 * entry;
        let size = notes.len() as u64;
        for kind in [1, PT_NOTE] {
            let parts = if is_wide {
                [n(kind, 4), n(4, 4), n(at, 8), n(at, 8), n(at, 8), n(size, 8), n(size, 8), n(4, 8)]
            } else {
                [n(kind, 4), n(at, 4), n(at, 4), n(at, 4), n(size, 4), n(size, 4), n(4, 4), n(4, 4)]
            };
            out.extend(parts.concat());
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
            let bytes = program(is_wide, is_big, &[0xab, 0x01, 0x23]);
            assert_eq!(read_bytes(&bytes), Program::Elf(Some("ab0123".to_owned())), "{is_wide} {is_big}");
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
