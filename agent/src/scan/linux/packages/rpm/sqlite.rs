//! SQLite (`rpmdb.sqlite`: Fedora 33, RHEL 9 and later): just enough of it to read one table.
//!
//! Source of truth: SQLite's "Database File Format", and rpm's `lib/backend/sqlite.cc` for the table:
//! `Packages(hnum INTEGER PRIMARY KEY, blob BLOB)`, in which the row's number is `hnum` and each
//! header lies in a chain of overflow pages. No index is used and nothing is locked.
//!
//! Every page belongs to one place of a tree or of a chain, and row numbers only grow; a file in which
//! this is not so is broken or hostile, and it is said. The SQLite library itself would open files
//! beside this one on its own account, and hold more memory than the agent has.

use std::io;

use super::Visitor;
use super::blob::{Blob, Once, ReadAt, wrong};
use super::wal::Wal;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The table that holds the headers.
const TABLE: &[u8] = b"Packages";
/// Bytes before the tree in the first page.
pub(super) const HEADER: usize = 100;
/// Deepest tree; a table of a million rows has four levels.
const MAX_DEPTH: usize = 20;
/// Most pages: 4 GiB of the usual size.
const MAX_PAGES: u32 = 1 << 20;
/// Largest header; rpm's own limit is 256 MiB.
const MAX_BLOB: u64 = 64 * 1024 * 1024;
/// Longest list of column types that the two tables have, in bytes.
const MAX_TYPES: usize = 64;

const INTERIOR: u8 = 5;
const LEAF: u8 = 13;

/// Reads every header of a database, and what is committed in its write-ahead log.
///
/// # Errors
/// It is not such a database, or the visitor wants no more.
pub(super) fn read(main: &dyn ReadAt, log: Option<&dyn ReadAt>, visitor: &mut dyn Visitor) -> io::Result<()> {
    let log = log.and_then(|it| {
        // What is in the database itself is true without its log, only older.
        Wal::read(it, visitor).unwrap_or_else(|cause| {
            visitor.fault(cause.to_string());
            None
        })
    });
    let mut database = Database::open(main, log, visitor)?;
    let mut root = None;
    // The schema is a table as well, at page 1.
    database.rows(1, visitor, &mut |_, record, _| {
        if let Some(page) = table_root(record)? {
            root = Some(page);
        }
        Ok(())
    })?;
    let root = root.ok_or_else(|| wrong("it has no table Packages"))?;
    database.rows(root, visitor, &mut |number, record, visitor| match header_of(record) {
        Ok(()) => visitor.header(number, record),
        Err(cause) => {
            visitor.fault(format!("header {number}: {cause}"));
            Ok(())
        }
    })
}

/// What is done with each row: its number and its record.
type Each<'e, 'p> = &'e mut dyn FnMut(u64, &mut Blob<'p>, &mut dyn Visitor) -> io::Result<()>;

struct Database<'p> {
    main: &'p dyn ReadAt,
    log: Option<Wal<'p>>,
    page_size: usize,
    /// Bytes of a page that hold content.
    usable: usize,
    /// How many there are, which is the number of the last one.
    pages: u32,
    once: Once,
}

impl<'p> Database<'p> {
    fn open(main: &'p dyn ReadAt, log: Option<Wal<'p>>, visitor: &mut dyn Visitor) -> io::Result<Self> {
        let (source, at) = log.as_ref().and_then(|it| it.find(1)).unwrap_or((main, 0));
        let mut header = [0; HEADER];
        if source.bytes() == 0 {
            return Err(wrong("it is empty"));
        }
        source.read_at(at, &mut header)?;
        if !header.starts_with(MAGIC) {
            return Err(wrong("it is no SQLite database"));
        }
        let page_size = match u16_at(&header, 16) {
            1 => 65_536,
            it @ 512.. if it.is_power_of_two() => usize::from(it),
            it => return Err(wrong(format!("it has pages of {it} bytes"))),
        };
        if header[19] > 2 {
            return Err(wrong(format!("it is of version {}", header[19])));
        }
        if log.as_ref().is_some_and(|it| it.page_size != page_size) {
            return Err(wrong("its write-ahead log has pages of another size"));
        }
        if !matches!(u32_at(&header, 56), 0 | 1) {
            return Err(wrong("its text is not UTF-8"));
        }
        let usable = page_size - usize::from(header[20]);
        if usable < 480 {
            return Err(wrong(format!("it reserves {} bytes of each page", header[20])));
        }
        let in_file = main.bytes() / u64::try_from(page_size).unwrap_or(u64::MAX);
        // The count in the header holds only when the same program wrote both.
        let counted = Some(u64::from(u32_at(&header, 28)))
            .filter(|it| *it != 0 && u32_at(&header, 24) == u32_at(&header, 92));
        let pages = log.as_ref().map(|it| it.pages).or(counted).unwrap_or(in_file);
        if log.is_none() && pages > in_file {
            visitor.fault(format!("it is cut off: {in_file} of {pages} pages are there"));
        }
        let pages = u32::try_from(pages).ok().filter(|it| *it <= MAX_PAGES);
        let pages = pages.ok_or_else(|| wrong(format!("it has more than {MAX_PAGES} pages")))?;
        Ok(Self { main, log, page_size, usable, pages, once: Once::new(pages) })
    }

    /// Where a page lies.
    fn page(&mut self, number: u32) -> io::Result<(&'p dyn ReadAt, u64)> {
        if number == 0 || number > self.pages {
            return Err(wrong(format!("page {number} is not one of its {}", self.pages)));
        }
        self.once.note(number)?;
        let in_log = self.log.as_ref().and_then(|it| it.find(number));
        let size = u64::try_from(self.page_size).unwrap_or(u64::MAX);
        Ok(in_log.unwrap_or((self.main, u64::from(number - 1) * size)))
    }

    /// Goes through the rows of a table in order. What of it is broken is a fault, and the rest goes on.
    fn rows(&mut self, root: u32, visitor: &mut dyn Visitor, each: Each<'_, 'p>) -> io::Result<()> {
        let mut page = vec![0; self.page_size];
        let mut record = Blob::new();
        let mut last = None;
        let mut ahead = vec![(root, 0)];
        while let Some((number, depth)) = ahead.pop() {
            visitor.in_time()?;
            let tree = self.page(number).and_then(|(source, at)| {
                source.read_at(at, &mut page)?;
                let node = Node::read(&page[..self.usable], if number == 1 { HEADER } else { 0 })?;
                Ok((node, source, at))
            });
            match tree {
                Ok((Node::Interior(_), _, _)) if depth == MAX_DEPTH => {
                    visitor.fault(format!("page {number}: the tree is too deep"));
                }
                Ok((Node::Interior(below), _, _)) => {
                    ahead.extend(below.into_iter().rev().map(|it| (it, depth + 1)));
                }
                Ok((Node::Leaf(cells), source, at)) => {
                    for cell in cells {
                        visitor.in_time()?;
                        let page = &page[..self.usable];
                        record.clear();
                        match self.record(page, cell, &mut record, (source, at)) {
                            Ok(row) if last.is_some_and(|it| row <= it) => {
                                return Err(wrong(format!("page {number}: row {row} is out of order")));
                            }
                            Ok(row) => {
                                last = Some(row);
                                each(row.unsigned_abs(), &mut record, visitor)?;
                            }
                            Err(cause) => visitor.fault(format!("page {number}: {cause}")),
                        }
                    }
                }
                Err(cause) => visitor.fault(format!("page {number}: {cause}")),
            }
        }
        Ok(())
    }

    /// Finds all parts of one row's record; gives its number.
    fn record(
        &mut self,
        page: &[u8],
        cell: usize,
        record: &mut Blob<'p>,
        (source, place): (&'p dyn ReadAt, u64),
    ) -> io::Result<i64> {
        let short = || wrong("a row lies outside its page");
        let (payload, at) = varint(page, cell).ok_or_else(short)?;
        let (row, at) = varint(page, at).ok_or_else(short)?;
        if payload > MAX_BLOB {
            return Err(wrong(format!("row {row} claims {payload} bytes")));
        }
        let total = usize::try_from(payload).map_err(|_| short())?;
        let (most, least) = (self.usable - 35, (self.usable - 12) * 32 / 255 - 23);
        let local = if total <= most {
            total
        } else {
            let even = least + (total - least) % (self.usable - 4);
            if even <= most { even } else { least }
        };
        let end = at.checked_add(local).filter(|it| *it <= page.len()).ok_or_else(short)?;
        record.push(source, place + wide(at), wide(local));
        let mut left = total - local;
        if left > 0 {
            let mut next = page.get(end..end + 4).map(|it| u32_at(it, 0)).ok_or_else(short)?;
            while left > 0 {
                let (source, place) = self.page(next)?;
                let here = left.min(self.usable - 4);
                let mut link = [0; 4];
                source.read_at(place, &mut link)?;
                record.push(source, place + 4, wide(here));
                next = u32::from_be_bytes(link);
                left -= here;
            }
        }
        Ok(i64::from_ne_bytes(row.to_ne_bytes()))
    }
}

/// What stands in a page of a table.
enum Node {
    /// Pages below, in order.
    Interior(Vec<u32>),
    /// Where the rows begin, in order.
    Leaf(Vec<usize>),
}

impl Node {
    fn read(page: &[u8], at: usize) -> io::Result<Self> {
        let kind = page[at];
        let (LEAF | INTERIOR) = kind else {
            return Err(wrong(format!("it is no page of a table but of kind {kind}")));
        };
        let count = usize::from(u16_at(page, at + 3));
        let first = at + if kind == LEAF { 8 } else { 12 };
        let pointers =
            page.get(first..first + 2 * count).ok_or_else(|| wrong(format!("it claims {count} rows")))?;
        let cells = pointers.chunks_exact(2).map(|it| usize::from(u16_at(it, 0)));
        if kind == LEAF {
            return Ok(Self::Leaf(cells.collect()));
        }
        let mut below = Vec::with_capacity(count + 1);
        for cell in cells {
            below.push(
                page.get(cell..cell + 4)
                    .map(|it| u32_at(it, 0))
                    .ok_or_else(|| wrong("a way down lies outside the page"))?,
            );
        }
        below.push(u32_at(page, at + 8));
        Ok(Self::Interior(below))
    }
}

/// One column of a record: its type, and where its value is.
#[derive(Debug, Clone, Copy, Default)]
struct Column {
    kind: u64,
    at: u64,
    bytes: u64,
}

/// The first columns of a record; missing ones are NULL.
fn columns<const N: usize>(record: &mut Blob<'_>) -> io::Result<[Column; N]> {
    let short = || wrong("a row whose columns cannot be told apart");
    let mut start = [0; MAX_TYPES];
    let there = usize::try_from(record.len()).unwrap_or(MAX_TYPES).min(MAX_TYPES);
    record.read(0, &mut start[..there])?;
    let (types, mut at) = varint(&start[..there], 0).ok_or_else(short)?;
    let types = usize::try_from(types).ok().filter(|it| *it <= there).ok_or_else(short)?;
    let mut place = wide(types);
    let mut columns = [Column::default(); N];
    for column in &mut columns {
        if at >= types {
            break;
        }
        let (kind, next) = varint(&start[..types], at).ok_or_else(short)?;
        let bytes = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return Err(short()),
            _ => (kind - 12) / 2,
        };
        *column = Column { kind, at: place, bytes };
        place = place.checked_add(bytes).ok_or_else(short)?;
        at = next;
    }
    Ok(columns)
}

/// The root page that a row of the schema gives, if it is that of the table.
fn table_root(record: &mut Blob<'_>) -> io::Result<Option<u32>> {
    let [kind, name, _, root] = columns::<4>(record)?;
    if !is_text(record, kind, b"table")? || !is_text(record, name, TABLE)? {
        return Ok(None);
    }
    match root.kind {
        9 => Ok(Some(1)),
        1..=4 => {
            let mut number = [0; 4];
            let from = 4 - usize::try_from(root.bytes).unwrap_or(4);
            record.read(root.at, &mut number[from..])?;
            Ok(Some(u32::from_be_bytes(number)))
        }
        _ => Err(wrong("the table Packages has no place")),
    }
}

fn is_text(record: &mut Blob<'_>, column: Column, text: &[u8]) -> io::Result<bool> {
    let mut buffer = [0; 16];
    if column.kind < 13 || column.kind.is_multiple_of(2) || column.bytes != wide(text.len()) {
        return Ok(false);
    }
    record.read(column.at, &mut buffer[..text.len()])?;
    Ok(&buffer[..text.len()] == text)
}

/// Narrows a row of `Packages` to its header.
fn header_of(record: &mut Blob<'_>) -> io::Result<()> {
    let [_, header] = columns::<2>(record)?;
    if header.kind < 12 || header.kind % 2 == 1 {
        return Err(wrong("a row of Packages holds no header"));
    }
    record.narrow(header.at, header.bytes)
}

/// A number of one to nine bytes, and where it ends.
fn varint(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let mut number = 0_u64;
    for _ in 0..8 {
        let byte = *bytes.get(at)?;
        at += 1;
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, at));
        }
    }
    Some((number << 8 | u64::from(*bytes.get(at)?), at + 1))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|it| it.try_into().ok()).map_or(0, u16::from_be_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|it| it.try_into().ok()).map_or(0, u32::from_be_bytes)
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
