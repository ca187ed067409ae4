//! Text as regedit writes it, line by line: UTF-16 with a byte-order mark, or UTF-8 with or without one.

use std::io::{self, BufRead, Read};

/// Most bytes of one line; a line of regedit has 80 characters, one text value may have more.
const MAX_LINE: usize = 1024 * 1024;

/// Lines without their ends.
#[derive(Debug)]
pub(super) struct Lines<R> {
    source: R,
    is_wide: bool,
    /// How many lines were read.
    pub(super) count: usize,
}

impl<R: BufRead> Lines<R> {
    /// Looks at the first bytes and begins behind the mark.
    pub(super) fn new(mut source: R) -> io::Result<Self> {
        let start = source.fill_buf()?;
        let (mark, is_wide) = match start {
            [0xFF, 0xFE, ..] => (2, true),
            [0xEF, 0xBB, 0xBF, ..] => (3, false),
            _ => (0, false),
        };
        source.consume(mark);
        Ok(Self { source, is_wide, count: 0 })
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<String>> {
        let mut bytes = Vec::new();
        if self.is_wide {
            self.wide(&mut bytes)?;
        } else {
            self.narrow(&mut bytes)?;
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        self.count += 1;
        let mut line = if self.is_wide { from_wide(&bytes)? } else { from_narrow(bytes)? };
        for end in ['\n', '\r'] {
            if line.ends_with(end) {
                line.pop();
            }
        }
        Ok(Some(line))
    }

    fn narrow(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let limit = u64::try_from(MAX_LINE + 1).unwrap_or(u64::MAX);
        self.source.by_ref().take(limit).read_until(b'\n', bytes)?;
        if bytes.len() > MAX_LINE { Err(too_long()) } else { Ok(()) }
    }

    fn wide(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        loop {
            // A unit may stand across the end of the buffer, so that units and not bytes are sought.
            let mut unit = [0; 2];
            let first = self.source.by_ref().take(2).read(&mut unit)?;
            if first == 0 {
                return Ok(());
            }
            if first == 1 && self.source.by_ref().take(1).read(&mut unit[1..])? == 0 {
                let why = "the file ends within a character";
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            bytes.extend(unit);
            if unit == [b'\n', 0] {
                return Ok(());
            }
            if bytes.len() > MAX_LINE {
                return Err(too_long());
            }
        }
    }
}

fn from_wide(bytes: &[u8]) -> io::Result<String> {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|it| u16::from_le_bytes([it[0], it[1]])).collect();
    String::from_utf16(&units)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "half a surrogate pair"))
}

fn from_narrow(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| {
        let why = "neither UTF-8 nor UTF-16 with a byte-order mark; export again with regedit";
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a line has more than {MAX_LINE} bytes"))
}
