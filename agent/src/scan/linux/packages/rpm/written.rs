//! Databases that tests write, by the documented layouts and by nothing of what reads them.

use super::bdb::Order;
use super::ndb::Adler;

/// The value of a tag.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<u32>),
    Binary(Vec<u8>),
    Chars(Vec<u8>),
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(super) fn texts(texts: &[&str]) -> Value {
    Value::Texts(texts.iter().map(|it| (*it).to_owned()).collect())
}

pub(super) fn number(number: u32) -> Value {
    Value::Numbers(vec![number])
}

/// A header: what the package brought, and what was added when it was installed.
pub(super) fn header(region: &[(u32, Value)], added: &[(u32, Value)]) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for (tag, value) in region {
        entry(*tag, value, &mut index, &mut data);
    }
    // The region's own entry stands first and points to its end, which points back.
    let back = 0_u32.wrapping_sub(u32::try_from(index.len() + 16).unwrap());
    let mut first = Vec::new();
    words(&mut first, &[63, 7, u32::try_from(data.len()).unwrap(), 16]);
    words(&mut data, &[63, 7, back, 16]);
    index.splice(0..0, first);
    for (tag, value) in added {
        entry(*tag, value, &mut index, &mut data);
    }
    let mut header = Vec::new();
    words(&mut header, &[u32::try_from(index.len() / 16).unwrap(), u32::try_from(data.len()).unwrap()]);
    [header, index, data].concat()
}

fn entry(tag: u32, value: &Value, index: &mut Vec<u8>, data: &mut Vec<u8>) {
    let (kind, count, bytes) = match value {
        Value::Text(it) => (6, 1, [it.as_bytes(), &[0]].concat()),
        Value::Texts(it) => (8, it.len(), it.iter().flat_map(|it| [it.as_bytes(), &[0]].concat()).collect()),
        Value::Numbers(it) => (4, it.len(), it.iter().flat_map(|it| it.to_be_bytes()).collect()),
        Value::Binary(it) => (7, it.len(), it.clone()),
        Value::Chars(it) => (1, it.len(), it.clone()),
    };
    while kind == 4 && !data.len().is_multiple_of(4) {
        data.push(0);
    }
    words(index, &[tag, kind, u32::try_from(data.len()).unwrap(), u32::try_from(count).unwrap()]);
    data.extend(bytes);
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    out.extend(words.iter().flat_map(|it| it.to_be_bytes()));
}

/// The header of a package with a few files, of at least so many bytes.
pub(super) fn package(name: &str, bytes: usize) -> Vec<u8> {
    header(
        &[
            (1000, text(name)),
            (1001, text("1.2")),
            (1002, text("3.el9")),
            (1004, text(&"x".repeat(bytes))),
            (1011, text("Red Hat, Inc.")),
            (1022, text("x86_64")),
            (1029, Value::Chars(vec![0, 0])),
            (1044, text(&format!("{name}-1.2-3.el9.src.rpm"))),
            (1116, Value::Numbers(vec![0, 1])),
            (1117, texts(&[name, "x.conf"])),
            (1118, texts(&["/usr/bin/", "/etc/"])),
        ],
        &[(1008, number(1_700_000_000))],
    )
}

/// A database of rpm's own format.
pub(super) fn ndb(headers: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0; 4096];
    for slot in file.chunks_exact_mut(16).skip(2) {
        slot[..4].copy_from_slice(b"Slot");
    }
    let count = u32::try_from(headers.len()).unwrap();
    put(&mut file, 0, &[u32::from_le_bytes(*b"RpmP"), 0, 7, 1, count + 1]);
    for (number, header) in (1..).zip(headers) {
        let len = u32::try_from(header.len()).unwrap();
        let first = u32::try_from(file.len() / 16).unwrap();
        let blocks = (16 + len + 12).div_ceil(16);
        let at = 16 + 16 * usize::try_from(number).unwrap();
        put(&mut file, at + 4, &[number, first, blocks]);
        let mut blob = b"BlbS".to_vec();
        blob.extend([number, 7, len].iter().flat_map(|it| it.to_le_bytes()));
        blob.extend(header);
        blob.resize(usize::try_from(blocks).unwrap() * 16 - 12, 0);
        let mut sum = Adler::new();
        sum.add(&blob);
        blob.extend([sum.value(), len, u32::from_le_bytes(*b"BlbE")].iter().flat_map(|it| it.to_le_bytes()));
        file.extend(blob);
    }
    file
}

fn put(file: &mut [u8], at: usize, words: &[u32]) {
    for (word, place) in words.iter().zip((at..).step_by(4)) {
        file[place..place + 4].copy_from_slice(&word.to_le_bytes());
    }
}

/// A Berkeley DB hash of two buckets.
pub(super) fn bdb(headers: &[Vec<u8>], order: Order, page_size: usize) -> Vec<u8> {
    let word = |it: u32| match order {
        Order::Little => it.to_le_bytes(),
        Order::Big => it.to_be_bytes(),
    };
    let half = |it: usize| {
        let it = u16::try_from(it).unwrap();
        match order {
            Order::Little => it.to_le_bytes(),
            Order::Big => it.to_be_bytes(),
        }
    };
    let page = |number: usize, kind: u8| {
        let mut page = vec![0; page_size];
        page[8..12].copy_from_slice(&word(u32::try_from(number).unwrap()));
        page[25] = kind;
        page
    };
    let mut pages = vec![page(0, 8), page(1, 13), page(2, 13)];
    // What each bucket's last page is, how many items it has, and where they begin.
    let mut buckets = [(1, 0, page_size), (2, 0, page_size)];
    let counter = vec![(0_u32, vec![9, 0, 0, 0])];
    for (number, value) in counter.into_iter().chain((1..).zip(headers.iter().cloned())) {
        let item = if value.len() <= page_size / 4 {
            [&[1][..], &value].concat()
        } else {
            let first = pages.len();
            let parts: Vec<&[u8]> = value.chunks(page_size - 26).collect();
            for (place, part) in parts.iter().enumerate() {
                let mut page = page(first + place, 7);
                if place + 1 < parts.len() {
                    page[16..20].copy_from_slice(&word(u32::try_from(first + place + 1).unwrap()));
                }
                page[22..24].copy_from_slice(&half(part.len()));
                page[26..26 + part.len()].copy_from_slice(part);
                pages.push(page);
            }
            let (first, len) = (u32::try_from(first).unwrap(), u32::try_from(value.len()).unwrap());
            [&[3, 0, 0, 0][..], &word(first), &word(len)].concat()
        };
        let bucket = &mut buckets[usize::from(number % 2 == 1)];
        if bucket.2 < 5 + item.len() + 26 + 2 * (bucket.1 + 2) {
            let next = pages.len();
            pages[bucket.0][16..20].copy_from_slice(&word(u32::try_from(next).unwrap()));
            pages.push(page(next, 13));
            *bucket = (next, 0, page_size);
        }
        for bytes in [[&[1][..], &word(number)].concat(), item] {
            bucket.2 -= bytes.len();
            let page = &mut pages[bucket.0];
            page[bucket.2..bucket.2 + bytes.len()].copy_from_slice(&bytes);
            page[26 + 2 * bucket.1..28 + 2 * bucket.1].copy_from_slice(&half(bucket.2));
            bucket.1 += 1;
            page[20..22].copy_from_slice(&half(bucket.1));
        }
    }
    let last = u32::try_from(pages.len() - 1).unwrap();
    let size = u32::try_from(page_size).unwrap();
    for (at, value) in [(12, 0x0006_1561), (16, 9), (20, size), (32, last), (72, 1), (96, 1), (100, 1)] {
        pages[0][at..at + 4].copy_from_slice(&word(value));
    }
    pages[0][25] = 8;
    pages.concat()
}

/// A SQLite database with the table `Packages`; every header has a leaf of its own.
pub(super) fn sqlite(headers: &[Vec<u8>], page_size: usize) -> Vec<u8> {
    let sql = b"CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL)";
    let schema =
        [&[6, 23, 29, 29, 1][..], &varint(sql.len() * 2 + 13), b"tablePackagesPackages", &[2], sql].concat();
    let schema =
        [&[u8::try_from(6 + varint(sql.len() * 2 + 13).len() - 1).unwrap()][..], &schema[1..]].concat();
    let schema = [varint(schema.len()), vec![1], schema].concat();
    let mut pages = vec![leaf(page_size, 100, &schema), vec![0; page_size]];
    let mut leaves = Vec::new();
    for (number, header) in (1_usize..).zip(headers) {
        let kind = varint(header.len() * 2 + 12);
        let record = [&[u8::try_from(2 + kind.len()).unwrap(), 0][..], &kind, header].concat();
        let least = (page_size - 12) * 32 / 255 - 23;
        let most = page_size - 35;
        let even = least + record.len().saturating_sub(least) % (page_size - 4);
        let local = if record.len() <= most {
            record.len()
        } else if even <= most {
            even
        } else {
            least
        };
        let mut cell = [varint(record.len()), varint(number), record[..local].to_vec()].concat();
        let page = pages.len();
        pages.push(Vec::new());
        let parts: Vec<&[u8]> = record[local..].chunks(page_size - 4).collect();
        if !parts.is_empty() {
            cell.extend(u32::try_from(page + 2).unwrap().to_be_bytes());
        }
        for (place, part) in parts.iter().enumerate() {
            let next = if place + 1 < parts.len() { page + place + 3 } else { 0 };
            let mut bytes = u32::try_from(next).unwrap().to_be_bytes().to_vec();
            bytes.extend(*part);
            bytes.resize(page_size, 0);
            pages.push(bytes);
        }
        pages[page] = leaf(page_size, 0, &cell);
        leaves.push((page + 1, number));
    }
    pages[1] = root(page_size, &leaves);
    let count = u32::try_from(pages.len()).unwrap();
    pages[0][..16].copy_from_slice(b"SQLite format 3\0");
    let size = if page_size == 65_536 { 1 } else { u16::try_from(page_size).unwrap() };
    pages[0][16..18].copy_from_slice(&size.to_be_bytes());
    pages[0][18..24].copy_from_slice(&[2, 2, 0, 64, 32, 32]);
    pages[0][28..32].copy_from_slice(&count.to_be_bytes());
    pages[0][56..60].copy_from_slice(&1_u32.to_be_bytes());
    pages.concat()
}

fn varint(number: usize) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(number & 0x7f).unwrap()];
    let mut rest = number >> 7;
    while rest > 0 {
        bytes.insert(0, 0x80 | u8::try_from(rest & 0x7f).unwrap());
        rest >>= 7;
    }
    bytes
}

fn leaf(page_size: usize, at: usize, cell: &[u8]) -> Vec<u8> {
    let mut page = vec![0; page_size];
    let start = page_size - cell.len();
    page[start..].copy_from_slice(cell);
    page[at] = 13;
    page[at + 4] = 1;
    page[at + 8..at + 10].copy_from_slice(&u16::try_from(start).unwrap().to_be_bytes());
    page
}

fn root(page_size: usize, leaves: &[(usize, usize)]) -> Vec<u8> {
    let mut page = vec![0; page_size];
    let Some(((last, _), others)) = leaves.split_last() else {
        page[0] = 13;
        return page;
    };
    let mut end = page_size;
    for (place, (leaf, number)) in others.iter().enumerate() {
        let cell = [u32::try_from(*leaf).unwrap().to_be_bytes().to_vec(), varint(*number)].concat();
        end -= cell.len();
        page[end..end + cell.len()].copy_from_slice(&cell);
        let pointer = u16::try_from(end).unwrap().to_be_bytes();
        page[12 + 2 * place..14 + 2 * place].copy_from_slice(&pointer);
    }
    page[0] = 5;
    page[3..5].copy_from_slice(&u16::try_from(others.len()).unwrap().to_be_bytes());
    page[8..12].copy_from_slice(&u32::try_from(*last).unwrap().to_be_bytes());
    page
}

/// A write-ahead log: each frame with its page and, when it commits, the pages of the database.
pub(super) fn wal(frames: &[(usize, &[u8], usize)], page_size: usize, is_big: bool) -> Vec<u8> {
    let mut log = Vec::new();
    let magic = 0x377f_0682 | u32::from(is_big);
    words(&mut log, &[magic, 3_007_000, u32::try_from(page_size).unwrap(), 0, 0x5a17, 0x7a17]);
    let mut sums = checksum((0, 0), &log, is_big);
    words(&mut log, &[sums.0, sums.1]);
    for (page, content, commit) in frames {
        let mut frame = Vec::new();
        words(&mut frame, &[u32::try_from(*page).unwrap(), u32::try_from(*commit).unwrap()]);
        sums = checksum(checksum(sums, &frame, is_big), content, is_big);
        words(&mut frame, &[0x5a17, 0x7a17, sums.0, sums.1]);
        log.extend(frame);
        log.extend(*content);
    }
    log
}

fn checksum(mut sums: (u32, u32), bytes: &[u8], is_big: bool) -> (u32, u32) {
    let words: Vec<u32> = bytes
        .chunks_exact(4)
        .map(|it| it.try_into().unwrap())
        .map(if is_big { u32::from_be_bytes } else { u32::from_le_bytes })
        .collect();
    for pair in words.chunks_exact(2) {
        sums.0 = sums.0.wrapping_add(pair[0]).wrapping_add(sums.1);
        sums.1 = sums.1.wrapping_add(pair[1]).wrapping_add(sums.0);
    }
    sums
}
