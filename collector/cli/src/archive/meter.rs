//! A reader that gives no more than it was allowed to.
//!
//! Parsers of archives read headers of any length into memory; the allowance is set anew before each header and
//! before each member, so that no header can be longer than a header is.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// How many bytes may still be read.
#[derive(Debug, Clone)]
pub(super) struct Allowance(Rc<Cell<u64>>);

impl Allowance {
    pub(super) fn set(&self, bytes: u64) {
        self.0.set(bytes);
    }

    pub(super) fn left(&self) -> u64 {
        self.0.get()
    }
}

/// The reader.
#[derive(Debug)]
pub(super) struct Meter<R> {
    inner: R,
    left: Allowance,
}

impl<R> Meter<R> {
    /// A reader that gives nothing yet, and its allowance.
    pub(super) fn new(inner: R) -> (Self, Allowance) {
        let left = Allowance(Rc::new(Cell::new(0)));
        (Self { inner, left: left.clone() }, left)
    }
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.left.left()).unwrap_or(usize::MAX);
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::other("a header is longer than any header is"));
        }
        let size = buffer.len().min(left);
        let read = self.inner.read(&mut buffer[..size])?;
        self.left.set(self.left.left() - u64::try_from(read).unwrap_or(0));
        Ok(read)
    }
}
