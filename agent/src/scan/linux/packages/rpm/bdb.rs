//! Berkeley DB (`Packages`: RHEL 5 to 8, and SUSE before 15): just enough of it to read one hash table.
//!
//! Source of truth: Berkeley DB's `db_page.h`, and rpm's own reader `lib/backend/bdb_ro.cc`. In the byte
//! order of the machine that wrote it. A page of metadata; buckets of pages with keys and values in
//! pairs; a value that is too long for its page lies in a chain of overflow pages. A key is the
//! header's number, four bytes in that order; number 0 is rpm's own counter.
//!
//! Known lie: while rpm works, the newest pages can be in its shared cache and not yet in the file.

use std::io;

use super::Visitor;
use super::blob::{Blob, Once, ReadAt, wrong};

pub(super) const MAGIC: u32 = 0x0006_1561;
/// Bytes of metadata, and of a page's header.
const METADATA: usize = 512;
pub(super) const HEADER: usize = 26;
/// Most pages: 4 GiB of the usual size.
const MAX_PAGES: u32 = 1 << 20;
/// Largest header; rpm's own limit is 256 MiB.
const MAX_BLOB: u32 = 64 * 1024 * 1024;

/// Kinds of pages.
const UNSORTED: u8 = 2;
pub(super) const OVERFLOW: u8 = 7;
pub(super) const METADATA_KIND: u8 = 8;
pub(super) const HASH: u8 = 13;
/// Kinds of items: on the page, and in overflow pages.
pub(super) const ON_PAGE: u8 = 1;
pub(super) const OFF_PAGE: u8 = 3;
/// Bytes of an item that points to overflow pages.
const POINTER: usize = 12;

/// Reads every header of a database.
///
/// # Errors
/// It is not such a database, or the visitor wants no more.
pub(super) fn read(file: &dyn ReadAt, visitor: &mut dyn Visitor) -> io::Result<()> {
    let (mut database, buckets) = Database::open(file, visitor)?;
    let mut page = vec![0; database.page_size];
    let mut blob = Blob::new();
    for bucket in 0..=buckets.last {
        let mut next = buckets.page(bucket);
        while next != 0 {
            visitor.in_time()?;
            match database.page(next, &mut page) {
                Ok(after) => {
                    database.pairs(&page, &mut blob, visitor)?;
                    next = after;
                }
                Err(cause) => {
                    visitor.fault(format!("page {next}: {cause}"));
                    next = 0;
                }
            }
        }
    }
    Ok(())
}

/// Where each bucket begins.
struct Buckets {
    last: u32,
    /// Pages that were added before the buckets of each power of two.
    spares: [u32; 32],
}

impl Buckets {
    fn page(&self, bucket: u32) -> u32 {
        let power = usize::try_from(u32::BITS - bucket.leading_zeros()).unwrap_or(usize::MAX);
        // Page 0 is the metadata, and never a bucket.
        self.spares.get(power).and_then(|it| it.checked_add(bucket)).unwrap_or(0)
    }
}

struct Database<'p> {
    file: &'p dyn ReadAt,
    order: Order,
    page_size: usize,
    /// Number of the last page.
    pages: u32,
    once: Once,
}

impl<'p> Database<'p> {
    fn open(file: &'p dyn ReadAt, visitor: &mut dyn Visitor) -> io::Result<(Self, Buckets)> {
        let mut metadata = [0; METADATA];
        if file.bytes() == 0 {
            return Err(wrong("it is empty"));
        }
        file.read_at(0, &mut metadata)?;
        let order = [Order::Little, Order::Big]
            .into_iter()
            .find(|it| it.word(&metadata, 12) == MAGIC)
            .ok_or_else(|| wrong("it is no Berkeley DB hash"))?;
        let version = order.word(&metadata, 16);
        if !(8..=10).contains(&version) || metadata[25] != METADATA_KIND {
            return Err(wrong(format!("it is a hash of version {version}")));
        }
        if metadata[24] != 0 || metadata[26] & 1 != 0 {
            return Err(wrong("it is encrypted or has checksums, which rpm never writes"));
        }
        let page_size = usize::try_from(order.word(&metadata, 20)).unwrap_or(0);
        if !(512..=65_536).contains(&page_size) || !page_size.is_power_of_two() {
            return Err(wrong(format!("it has pages of {page_size} bytes")));
        }
        let pages = order.word(&metadata, 32);
        if pages > MAX_PAGES {
            return Err(wrong(format!("it has more than {MAX_PAGES} pages")));
        }
        let in_file = file.bytes() / u64::try_from(page_size).unwrap_or(u64::MAX);
        if in_file <= u64::from(pages) {
            visitor.fault(format!("it is cut off: {in_file} of {} pages are there", u64::from(pages) + 1));
        }
        let mut spares = [0; 32];
        for (place, spare) in spares.iter_mut().enumerate() {
            *spare = order.word(&metadata, 96 + 4 * place);
        }
        let last = order.word(&metadata, 72);
        if last > pages {
            return Err(wrong(format!("it has {last} buckets in {pages} pages")));
        }
        Ok((Self { file, order, page_size, pages, once: Once::new(pages) }, Buckets { last, spares }))
    }

    /// Says where a page lies.
    fn place(&mut self, number: u32) -> io::Result<u64> {
        if number == 0 || number > self.pages {
            return Err(wrong(format!("it is not one of {}", self.pages)));
        }
        self.once.note(number)?;
        Ok(u64::from(number) * u64::try_from(self.page_size).unwrap_or(u64::MAX))
    }

    /// Reads a page of a bucket; gives the number of the next one.
    fn page(&mut self, number: u32, page: &mut [u8]) -> io::Result<u32> {
        let at = self.place(number)?;
        self.file.read_at(at, page)?;
        if self.order.word(page, 8) != number || !matches!(page[25], HASH | UNSORTED) {
            return Err(wrong("it is no page of the hash"));
        }
        Ok(self.order.word(page, 16))
    }

    /// Goes through the pairs of a page.
    fn pairs(&mut self, page: &[u8], blob: &mut Blob<'p>, visitor: &mut dyn Visitor) -> io::Result<()> {
        let number = self.order.word(page, 8);
        let items = usize::from(self.order.half(page, 20));
        if items % 2 != 0 || HEADER + 2 * items > self.page_size {
            visitor.fault(format!("page {number}: it claims {items} items"));
            return Ok(());
        }
        // Items fill the page from its end, so that each ends where the one before it begins.
        let mut end = self.page_size;
        let offset = |place: usize| usize::from(self.order.half(page, HEADER + 2 * place));
        let places: Vec<(usize, usize)> =
            (0..items).step_by(2).map(|it| (offset(it), offset(it + 1))).collect();
        for (key, value) in places {
            visitor.in_time()?;
            blob.clear();
            let found = self.pair(page, (key, value, end), blob);
            end = value;
            match found {
                Ok(Some(header)) => visitor.header(u64::from(header), blob)?,
                Ok(None) => {}
                Err(cause) => visitor.fault(format!("page {number}: {cause}")),
            }
        }
        Ok(())
    }

    /// Finds a value; `None` is rpm's counter.
    fn pair(
        &mut self,
        page: &[u8],
        (key, value, end): (usize, usize, usize),
        blob: &mut Blob<'p>,
    ) -> io::Result<Option<u32>> {
        let (Some([ON_PAGE, key @ ..]), Some([kind, rest @ ..])) = (page.get(key..end), page.get(value..key))
        else {
            return Err(wrong("a pair lies outside the page"));
        };
        if key.len() != 4 {
            return Err(wrong(format!("a key of {} bytes", key.len())));
        }
        let header = self.order.word(key, 0);
        if header == 0 {
            return Ok(None);
        }
        match *kind {
            ON_PAGE => {
                let page = u64::from(self.order.word(page, 8));
                let at = page * wide(self.page_size) + wide(value + 1);
                blob.push(self.file, at, wide(rest.len()));
            }
            OFF_PAGE if rest.len() + 1 == POINTER => {
                let (first, bytes) = (self.order.word(rest, 3), self.order.word(rest, 7));
                self.chain(first, bytes, blob).map_err(|why| wrong(format!("header {header}: {why}")))?;
            }
            other => return Err(wrong(format!("header {header}: an item of kind {other}"))),
        }
        Ok(Some(header))
    }

    /// Follows a chain of overflow pages.
    fn chain(&mut self, first: u32, bytes: u32, blob: &mut Blob<'p>) -> io::Result<()> {
        if bytes > MAX_BLOB {
            return Err(wrong(format!("it claims {bytes} bytes")));
        }
        let (mut number, mut left) = (first, u64::from(bytes));
        while left > 0 {
            let mut header = [0; HEADER];
            let at = self.place(number).map_err(|why| wrong(format!("page {number}: {why}")))?;
            self.file.read_at(at, &mut header)?;
            let here = u64::from(self.order.half(&header, 22));
            let is_sound = self.order.word(&header, 8) == number
                && header[25] == OVERFLOW
                && here > 0
                && here <= left
                && here <= wide(self.page_size - HEADER);
            if !is_sound {
                return Err(wrong(format!("page {number} is not the next part of it")));
            }
            blob.push(self.file, at + wide(HEADER), here);
            left -= here;
            number = self.order.word(&header, 16);
        }
        Ok(())
    }
}

/// The byte order of the machine that wrote a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    fn word(self, bytes: &[u8], at: usize) -> u32 {
        let bytes = bytes.get(at..at + 4).and_then(|it| it.try_into().ok()).unwrap_or([0; 4]);
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    fn half(self, bytes: &[u8], at: usize) -> u16 {
        let bytes = bytes.get(at..at + 2).and_then(|it| it.try_into().ok()).unwrap_or([0; 2]);
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "bdb_tests.rs"]
mod tests;
