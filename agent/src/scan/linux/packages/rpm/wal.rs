//! SQLite's write-ahead log (`rpmdb.sqlite-wal`): pages that are committed and not yet in the database.
//!
//! Source of truth: "WAL-mode File Format" of SQLite's documentation. rpm writes in this mode: while
//! it works, and after it was killed, the newest packages stand only here. A frame counts when its
//! salts are those of the log, the running checksum agrees, and a commit follows it. What does
//! not is what an older run of the log or a torn write left; it ends the log without being a fault,
//! as it does for SQLite.

use std::io;

use super::Visitor;
use super::blob::{ReadAt, wrong};
use super::sqlite::u32_at;

/// Bytes of the log's header, and of a frame's.
pub(super) const HEADER: usize = 32;
pub(super) const FRAME: usize = 24;
/// Where the first frame is, and where in a frame its page is.
const FIRST: u64 = 32;
const CONTENT: u64 = 24;
/// The lowest bit says in which byte order the checksums count.
pub(super) const MAGIC: u32 = 0x377f_0682;
pub(super) const VERSION: u32 = 3_007_000;
/// Most frames: 1 GiB of the usual page. rpm empties the log after 10,000.
const MAX_FRAMES: usize = 262_144;
/// Frames between two questions for the time.
const FRAMES_AT_ONCE: usize = 256;

/// The committed content of a log.
pub(super) struct Wal<'p> {
    file: &'p dyn ReadAt,
    /// Bytes of a page.
    pub(super) page_size: usize,
    /// Pages of the database after the last commit.
    pub(super) pages: u64,
    /// Page and frame, in order of pages; the newest frame of each.
    newest: Vec<(u32, u32)>,
}

impl<'p> Wal<'p> {
    /// Reads which pages a log holds; `None` when it holds none.
    ///
    /// # Errors
    /// The log is of a version that is not known, or larger than what is read.
    pub(super) fn read(file: &'p dyn ReadAt, visitor: &dyn Visitor) -> io::Result<Option<Self>> {
        let mut header = [0; HEADER];
        if file.bytes() <= FIRST {
            return Ok(None);
        }
        file.read_at(0, &mut header)?;
        let magic = u32_at(&header, 0);
        let Ok(page_size) = usize::try_from(u32_at(&header, 8)) else { return Ok(None) };
        let is_sized = (512..=65_536).contains(&page_size) && page_size.is_power_of_two();
        let mut sum = Checksum { is_big: magic & 1 == 1, sums: (0, 0) };
        sum.add(&header[..24]);
        if magic & !1 != MAGIC || !is_sized || !sum.is(&header[24..]) {
            return Ok(None);
        }
        if u32_at(&header, 4) != VERSION {
            return Err(wrong(format!("its write-ahead log is of version {}", u32_at(&header, 4))));
        }
        let mut log = Self { file, page_size, pages: 0, newest: Vec::new() };
        log.frames(&header[16..24], sum, visitor)?;
        Ok(Some(log).filter(|it| !it.newest.is_empty()))
    }

    fn frames(&mut self, salts: &[u8], mut sum: Checksum, visitor: &dyn Visitor) -> io::Result<()> {
        let mut frame = vec![0; FRAME + self.page_size];
        let mut committed = 0;
        for number in 0_u32.. {
            let known = self.newest.len();
            if known.is_multiple_of(FRAMES_AT_ONCE) {
                visitor.in_time()?;
            }
            // The log ends where the next frame is not whole.
            if self.file.read_at(self.place(number), &mut frame).is_err() {
                break;
            }
            let page = u32_at(&frame, 0);
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME..]);
            if page == 0 || frame[8..16] != *salts || !sum.is(&frame[16..FRAME]) {
                break;
            }
            if known == MAX_FRAMES {
                return Err(wrong(format!("its write-ahead log has more than {MAX_FRAMES} frames")));
            }
            self.newest.push((page, number));
            let pages = u32_at(&frame, 4);
            if pages != 0 {
                committed = self.newest.len();
                self.pages = u64::from(pages);
            }
        }
        self.newest.truncate(committed);
        // The later frame of a page comes first, and stays.
        self.newest.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        self.newest.dedup_by_key(|it| it.0);
        Ok(())
    }

    fn place(&self, frame: u32) -> u64 {
        let size = u64::try_from(FRAME + self.page_size).unwrap_or(u64::MAX);
        FIRST + u64::from(frame) * size
    }

    /// Where the newest content of a page is, if the log holds it.
    pub(super) fn find(&self, page: u32) -> Option<(&'p dyn ReadAt, u64)> {
        let place = self.newest.binary_search_by_key(&page, |it| it.0).ok()?;
        Some((self.file, self.place(self.newest[place].1) + CONTENT))
    }
}

/// The checksum that runs through a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checksum {
    pub(super) is_big: bool,
    pub(super) sums: (u32, u32),
}

impl Checksum {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let read = if self.is_big { u32::from_be_bytes } else { u32::from_le_bytes };
        let (mut first, mut second) = self.sums;
        for pair in bytes.chunks_exact(8) {
            let half = |at: usize| pair[at..at + 4].try_into().map_or(0, read);
            first = first.wrapping_add(half(0)).wrapping_add(second);
            second = second.wrapping_add(half(4)).wrapping_add(first);
        }
        self.sums = (first, second);
    }

    fn is(&self, stored: &[u8]) -> bool {
        (u32_at(stored, 0), u32_at(stored, 4)) == self.sums
    }
}
