//! Memory that the system fills with structures which point into each other.
//!
//! A pointer is followed only where it leads into the same memory, whatever the system left there.
#![expect(unsafe_code, reason = "structures of the system are read from its bytes")]

use std::io;
use std::ptr;

/// Structures of the system that are made of numbers and raw pointers alone.
///
/// # Safety
/// Every pattern of bits is a value of the type.
pub(super) unsafe trait Plain: Copy {}

/// Longest text that is read, in characters of UTF-16.
const MAX_TEXT: usize = 32 * 1024;

/// Zeroed memory that is aligned for every structure.
pub(super) struct Buffer {
    words: Vec<u64>,
}

impl Buffer {
    /// Memory of at least that many bytes.
    pub(super) fn of(bytes: usize) -> Self {
        Self { words: vec![0; bytes.div_ceil(size_of::<u64>())] }
    }

    /// Its size as calls want it.
    pub(super) fn size(&self) -> u32 {
        u32::try_from(self.words.len() * size_of::<u64>()).unwrap_or(u32::MAX)
    }

    /// Where it starts. What writes there keeps to [`Self::size`].
    pub(super) fn start<T>(&mut self) -> *mut T {
        self.words.as_mut_ptr().cast()
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the words are initialised memory of that length, and a byte has no alignment.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), size_of_val(self.words.as_slice())) }
    }

    /// The first bytes, as many as a call says that it wrote.
    pub(super) fn first(&self, count: u32) -> &[u8] {
        let bytes = self.bytes();
        usize::try_from(count).ok().and_then(|it| bytes.get(..it)).unwrap_or(bytes)
    }

    /// Some bytes from where a pointer leads; `None` where it leads out of this memory.
    pub(super) fn bytes_at<T>(&self, at: *const T, count: usize) -> Option<&[u8]> {
        let offset = at.addr().checked_sub(self.words.as_ptr().addr())?;
        self.bytes().get(offset..offset.checked_add(count)?)
    }

    /// The structure that a pointer leads to; `None` where it leads out of this memory.
    pub(super) fn read<T: Plain>(&self, at: *const T) -> Option<T> {
        let bytes = self.bytes_at(at, size_of::<T>())?;
        // SAFETY: the bytes are as many as the type has, and each pattern of them is a value (`Plain`).
        Some(unsafe { ptr::read_unaligned(bytes.as_ptr().cast()) })
    }

    /// The structures that stand at the start, one behind the other.
    pub(super) fn array<T: Plain>(&self, count: u32) -> io::Result<Vec<T>> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let all = self.bytes().chunks_exact(size_of::<T>()).take(count);
        if all.len() < count {
            return Err(io::Error::other("the system's answer is shorter than it says"));
        }
        // SAFETY: each chunk has as many bytes as the type, and each pattern of them is a value (`Plain`).
        Ok(all.map(|it| unsafe { ptr::read_unaligned(it.as_ptr().cast()) }).collect())
    }

    /// The text that a pointer leads to, up to its zero; empty where it leads out of this memory.
    pub(super) fn text(&self, at: *const u16) -> String {
        let Some(offset) = at.addr().checked_sub(self.words.as_ptr().addr()) else { return String::new() };
        text(self.bytes().get(offset..).unwrap_or_default())
    }
}

/// UTF-16 in bytes, up to its zero.
fn text(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .take(MAX_TEXT)
        .map(|it| u16::from_ne_bytes([it[0], it[1]]))
        .take_while(|it| *it != 0)
        .collect();
    String::from_utf16_lossy(&units)
}

/// Text as calls want it: UTF-16 with a zero behind it.
pub(super) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Text in memory of the system's, up to its zero.
///
/// # Safety
/// The pointer is null or leads to UTF-16 that ends with a zero.
pub(super) unsafe fn text_at(at: *const u16) -> String {
    let mut units = Vec::new();
    while !at.is_null() && units.len() < MAX_TEXT {
        // SAFETY: the caller promises a zero, and none of the units before this one was it.
        match unsafe { at.add(units.len()).read_unaligned() } {
            0 => break,
            unit => units.push(unit),
        }
    }
    String::from_utf16_lossy(&units)
}
