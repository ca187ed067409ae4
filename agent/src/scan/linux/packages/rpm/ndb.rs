//! rpm's own database (`Packages.db`: SUSE).
//!
//! Source of truth: rpm's `lib/backend/ndb/rpmpkg.c`. Little-endian. A header of 32 bytes, pages of
//! slots of 16 bytes (a package's number, where its blob begins and how long it is, in blocks of
//! 16 bytes), then the blobs, each with a checksum (Adler-32) at its end.
//!
//! rpm itself does not look at the checksum when it reads; here a blob whose checksum is wrong is a
//! fault and no row.

use std::io;

use super::Visitor;
use super::blob::{Blob, ReadAt, wrong};

pub(super) const MAGIC: &[u8; 4] = b"RpmP";
pub(super) const SLOT_MAGIC: &[u8; 4] = b"Slot";
pub(super) const BLOB_MAGIC: &[u8; 4] = b"BlbS";
pub(super) const END_MAGIC: &[u8; 4] = b"BlbE";
/// Bytes of the header, of a slot, of a block; of what stands before and after a blob.
pub(super) const HEADER: usize = 32;
pub(super) const SLOT: usize = 16;
pub(super) const BLOCK: u64 = 16;
pub(super) const BEFORE: u64 = 16;
pub(super) const AFTER: u64 = 12;
/// Bytes of a page of slots.
pub(super) const PAGE: usize = 4096;
/// Most pages of slots: 262,000 packages.
const MAX_PAGES: u32 = 1024;
/// Bytes that are read at once to be summed.
const STEP: usize = 64 * 1024;

/// Reads every header of a database.
///
/// # Errors
/// It is not such a database, or the visitor wants no more.
pub(super) fn read(file: &dyn ReadAt, visitor: &mut dyn Visitor) -> io::Result<()> {
    let mut header = [0; HEADER];
    if file.bytes() == 0 {
        return Err(wrong("it is empty"));
    }
    file.read_at(0, &mut header)?;
    if !header.starts_with(MAGIC) {
        return Err(wrong("it is no NDB database"));
    }
    if word(&header, 4) != 0 {
        return Err(wrong(format!("it is of version {}", word(&header, 4))));
    }
    let pages = word(&header, 12);
    if pages == 0 || pages > MAX_PAGES {
        return Err(wrong(format!("it has {pages} pages of slots")));
    }
    let mut database = Database {
        file,
        first: u64::from(pages) * 256,
        blocks: file.bytes() / BLOCK,
        used: 0,
        blob: Blob::new(),
        buffer: vec![0; STEP],
    };
    let mut page = vec![0; PAGE];
    for number in 0..pages {
        let at = u64::from(number) * 4096;
        file.read_at(at, &mut page)?;
        for slot in page.chunks_exact(SLOT).skip(if number == 0 { HEADER / SLOT } else { 0 }) {
            visitor.in_time()?;
            if !slot.starts_with(SLOT_MAGIC) {
                // Nothing tells where the next slot would be.
                return Err(wrong(format!("page {number} of its slots is damaged")));
            }
            if word(slot, 8) != 0 {
                database.slot(slot, visitor)?;
            }
        }
    }
    Ok(())
}

struct Database<'p> {
    file: &'p dyn ReadAt,
    /// First block after the slots.
    first: u64,
    blocks: u64,
    /// Blocks of the blobs so far; no two share one.
    used: u64,
    blob: Blob<'p>,
    buffer: Vec<u8>,
}

impl Database<'_> {
    fn slot(&mut self, slot: &[u8], visitor: &mut dyn Visitor) -> io::Result<()> {
        let (number, first, count) = (word(slot, 4), word(slot, 8), word(slot, 12));
        self.used += u64::from(count);
        if self.used > self.blocks {
            return Err(wrong("its blobs overlap, or it is cut off"));
        }
        match self.find(number, u64::from(first), u64::from(count)) {
            Ok(()) => visitor.header(u64::from(number), &mut self.blob),
            Err(cause) => {
                visitor.fault(format!("package {number}: {cause}"));
                Ok(())
            }
        }
    }

    /// Finds a blob and checks it as a whole.
    fn find(&mut self, number: u32, first: u64, count: u64) -> io::Result<()> {
        if first < self.first || first + count > self.blocks {
            return Err(wrong("its blob lies outside the database"));
        }
        let mut before = [0; 16];
        self.file.read_at(first * BLOCK, &mut before)?;
        let len = u64::from(word(&before, 12));
        let is_sound = before.starts_with(BLOB_MAGIC)
            && word(&before, 4) == number
            && count == (BEFORE + len + AFTER).div_ceil(BLOCK);
        if !is_sound {
            return Err(wrong("its blob is damaged at the beginning"));
        }
        // What is summed is all but the end: the blob's header, the blob, and zeros up to a block.
        let mut sum = Adler::new();
        let mut at = first * BLOCK;
        let end = (first + count) * BLOCK - AFTER;
        while at < end {
            let step = usize::try_from(end - at).unwrap_or(STEP).min(STEP);
            self.file.read_at(at, &mut self.buffer[..step])?;
            sum.add(&self.buffer[..step]);
            at += u64::try_from(step).unwrap_or(u64::MAX);
        }
        let mut after = [0; 12];
        self.file.read_at(end, &mut after)?;
        if !after.ends_with(END_MAGIC) || u64::from(word(&after, 4)) != len {
            return Err(wrong("its blob is damaged at the end"));
        }
        if word(&after, 0) != sum.value() {
            return Err(wrong("the checksum of its blob is wrong"));
        }
        self.blob.clear();
        self.blob.push(self.file, first * BLOCK + BEFORE, len);
        Ok(())
    }
}

/// Adler-32 (RFC 1950).
pub(super) struct Adler {
    plain: u32,
    weighed: u32,
}

impl Adler {
    const MODULUS: u32 = 65_521;
    /// Bytes that are summed side by side; a compiler makes vectors of them.
    const LANES: usize = 16;
    /// So many rounds of lanes stay within 32 bits.
    const ROUNDS: usize = 256;

    pub(super) const fn new() -> Self {
        Self { plain: 1, weighed: 0 }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(Self::LANES * Self::ROUNDS) {
            let lanes = part.chunks_exact(Self::LANES);
            let rest = lanes.remainder();
            let rounds = u32::try_from(lanes.len()).unwrap_or(u32::MAX);
            let (mut sums, mut sums_of_sums) = ([0_u32; Self::LANES], [0_u32; Self::LANES]);
            for round in lanes {
                for lane in 0..Self::LANES {
                    sums_of_sums[lane] += sums[lane];
                    sums[lane] += u32::from(round[lane]);
                }
            }
            // Every byte weighs as often as bytes follow it up to the end, itself included.
            let (mut plain, mut weighed) = (0, rounds * 16 * self.plain % Self::MODULUS);
            for (lane, weight) in (1..=16).rev().enumerate() {
                plain += sums[lane];
                weighed += (sums_of_sums[lane] * 16 % Self::MODULUS) + sums[lane] * weight % Self::MODULUS;
            }
            self.plain = (self.plain + plain) % Self::MODULUS;
            self.weighed = (self.weighed + weighed) % Self::MODULUS;
            for byte in rest {
                self.plain += u32::from(*byte);
                self.weighed += self.plain;
            }
            self.plain %= Self::MODULUS;
            self.weighed %= Self::MODULUS;
        }
    }

    pub(super) const fn value(&self) -> u32 {
        self.weighed << 16 | self.plain
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|it| it.try_into().ok()).map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
#[path = "ndb_tests.rs"]
mod tests;
