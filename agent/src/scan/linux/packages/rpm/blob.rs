//! Bytes where they lie: a stored header is read in pieces, and never held as a whole.
//!
//! Headers are some 100 KiB each and can be a hundred times that; a row needs one or two of it.

use std::io;

use crate::host::Pieces;

/// How much is read at once where little is asked for.
const WINDOW: usize = 4 * 1024;

/// Something that is read by place: a file, or bytes in memory.
pub(super) trait ReadAt {
    /// Size in bytes.
    fn bytes(&self) -> u64;
    /// Fills a buffer from a place.
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl ReadAt for Pieces {
    fn bytes(&self) -> u64 {
        Pieces::bytes(self)
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        Pieces::read_at(self, at, buffer).map_err(|cause| {
            if cause.kind() == io::ErrorKind::UnexpectedEof { ends_early(at) } else { cause }
        })
    }
}

impl ReadAt for Vec<u8> {
    fn bytes(&self) -> u64 {
        u64::try_from(self.len()).unwrap_or(u64::MAX)
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let part = usize::try_from(at)
            .ok()
            .and_then(|from| self.get(from..from.checked_add(buffer.len())?))
            .ok_or_else(|| ends_early(at))?;
        buffer.copy_from_slice(part);
        Ok(())
    }
}

fn ends_early(at: u64) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the file ends inside what begins at byte {at}"))
}

/// Content that is not what the format says.
pub(super) fn wrong(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// A value that lies in one or more runs of one or more files.
pub(super) struct Blob<'p> {
    runs: Vec<Run<'p>>,
    /// Bytes in all runs.
    stored: u64,
    /// Where the value begins in them, and how long it is.
    start: u64,
    len: u64,
    window: Vec<u8>,
    window_at: u64,
}

/// Bytes that follow each other in a file.
struct Run<'p> {
    /// Place of the first one in the blob.
    start: u64,
    source: &'p dyn ReadAt,
    at: u64,
}

impl<'p> Blob<'p> {
    /// A blob of nothing; it is filled and cleared again and again.
    pub(super) fn new() -> Self {
        Self { runs: Vec::new(), stored: 0, start: 0, len: 0, window: Vec::new(), window_at: 0 }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.window.clear();
        (self.stored, self.start, self.len) = (0, 0, 0);
    }

    /// Adds a run at the end.
    pub(super) fn push(&mut self, source: &'p dyn ReadAt, at: u64, bytes: u64) {
        self.runs.push(Run { start: self.stored, source, at });
        self.stored += bytes;
        self.len = self.stored - self.start;
    }

    /// Takes a part of the value for the value.
    pub(super) fn narrow(&mut self, at: u64, len: u64) -> io::Result<()> {
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(wrong("a value is longer than its record"));
        }
        (self.start, self.len) = (self.start + at, len);
        Ok(())
    }

    /// Size of the value in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Fills a buffer from a place of the value.
    pub(super) fn read(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let wanted = size(buffer);
        if at.checked_add(wanted).is_none_or(|end| end > self.len) {
            return Err(wrong("a value lies outside its header"));
        }
        let at = self.start + at;
        if let Some(part) = self.in_window(at, buffer.len()) {
            buffer.copy_from_slice(part);
            return Ok(());
        }
        let number = self.runs.partition_point(|it| it.start <= at).saturating_sub(1);
        let end = self.end_of(number);
        if buffer.len() > WINDOW || at + wanted > end {
            return self.across(number, at, buffer);
        }
        let ahead = usize::try_from(end - at).unwrap_or(WINDOW).min(WINDOW);
        let run = &self.runs[number];
        self.window.resize(ahead, 0);
        self.window_at = at;
        if let Err(cause) = run.source.read_at(run.at + (at - run.start), &mut self.window) {
            self.window.clear();
            return Err(cause);
        }
        buffer.copy_from_slice(&self.window[..buffer.len()]);
        Ok(())
    }

    fn in_window(&self, at: u64, bytes: usize) -> Option<&[u8]> {
        let from = usize::try_from(at.checked_sub(self.window_at)?).ok()?;
        self.window.get(from..from.checked_add(bytes)?)
    }

    fn end_of(&self, number: usize) -> u64 {
        self.runs.get(number + 1).map_or(self.stored, |it| it.start)
    }

    fn across(&self, first: usize, mut at: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        for number in first..self.runs.len() {
            if buffer.is_empty() {
                break;
            }
            let run = &self.runs[number];
            let here = usize::try_from(self.end_of(number) - at).unwrap_or(usize::MAX).min(buffer.len());
            let (part, rest) = buffer.split_at_mut(here);
            run.source.read_at(run.at + (at - run.start), part)?;
            at += size(part);
            buffer = rest;
        }
        Ok(())
    }
}

/// Pages that were gone through. In a sound file each one belongs to one place; a file in which one is
/// met again leads in a circle.
pub(super) struct Once(Vec<u64>);

impl Once {
    /// For pages up to a number.
    pub(super) fn new(last: u32) -> Self {
        Self(vec![0; usize::try_from(last / 64 + 1).unwrap_or(0)])
    }

    /// Notes a page.
    ///
    /// # Errors
    /// It was noted before, or is above the last number.
    pub(super) fn note(&mut self, page: u32) -> io::Result<()> {
        let word = usize::try_from(page / 64).ok().and_then(|it| self.0.get_mut(it));
        let (Some(word), bit) = (word, 1 << (page % 64)) else { return Err(wrong("it is not there")) };
        if *word & bit != 0 {
            return Err(wrong(format!("page {page} is used twice")));
        }
        *word |= bit;
        Ok(())
    }
}

/// Length of bytes in memory, which is never more than 64 bits hold.
pub(super) fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_in_runs_reads_as_if_it_lay_in_one(
            runs in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..9_000), 1..5),
            reads in prop::collection::vec((0_usize..20_000, 0_usize..6_000), 1..20),
            skip in 0_usize..50,
        ) {
            let whole: Vec<u8> = runs.concat();
            let skip = skip.min(whole.len());
            let mut blob = Blob::new();
            for run in &runs {
                blob.push(run, 0, size(run));
            }
            blob.narrow(u64::try_from(skip).unwrap(), size(&whole[skip..])).unwrap();
            for (at, bytes) in reads {
                let mut buffer = vec![0; bytes];
                let result = blob.read(u64::try_from(at).unwrap(), &mut buffer);
                match whole[skip..].get(at..at + bytes) {
                    Some(expected) => prop_assert_eq!(buffer.as_slice(), expected),
                    None => prop_assert!(result.is_err()),
                }
            }
        }
    }

    #[test]
    fn a_file_that_ends_early_says_where() {
        let file = vec![0; 10];
        let mut blob = Blob::new();
        blob.push(&file, 4, 20);
        let error = blob.read(0, &mut [0; 8]).unwrap_err();
        assert_eq!(error.to_string(), "the file ends inside what begins at byte 4");
        assert!(blob.narrow(10, 11).is_err());
    }
}
