//! Hives that tests write, by the documented layout and by nothing of what reads them.
//!
//! Also used by `tests/hive.rs`, which hands them to hivex.

/// How the list of the keys below a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    /// With hashes, since Windows XP.
    Lh,
    /// With the first four letters, before.
    Lf,
    /// With neither.
    Li,
    /// A list of `lh` lists with one key each.
    Ri,
}

/// A key with all below it.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    name: String,
    written: u64,
    flags: u16,
    list: List,
    values: Vec<(String, u32, Vec<u8>)>,
    keys: Vec<Key>,
}

/// The filetime of 2024-01-01 00:00:00 UTC.
pub(crate) const WRITTEN: u64 = 133_485_408_000_000_000;
/// Bytes of a large value in each cell.
const SEGMENT: usize = 16_344;
const NONE: u32 = u32::MAX;

pub(crate) fn key(name: &str) -> Key {
    Key {
        name: name.to_owned(),
        written: WRITTEN,
        flags: 0,
        list: List::Lh,
        values: Vec::new(),
        keys: Vec::new(),
    }
}

pub(crate) fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

impl Key {
    pub(crate) fn value(mut self, name: &str, kind: u32, bytes: &[u8]) -> Self {
        self.values.push((name.to_owned(), kind, bytes.to_vec()));
        self
    }

    pub(crate) fn text(self, name: &str, text: &str) -> Self {
        self.value(name, 1, &wide(&format!("{text}\0")))
    }

    pub(crate) fn number(self, name: &str, number: u32) -> Self {
        self.value(name, 4, &number.to_le_bytes())
    }

    pub(crate) fn below(mut self, key: Key) -> Self {
        self.keys.push(key);
        self
    }

    pub(crate) fn list(mut self, list: List) -> Self {
        self.list = list;
        self
    }

    pub(crate) fn flags(mut self, flags: u16) -> Self {
        self.flags |= flags;
        self
    }

    /// Makes the key a link.
    pub(crate) fn link(self, target: &str) -> Self {
        self.flags(0x10).value("SymbolicLinkValue", 6, &wide(target))
    }
}

/// A hive that was closed, with one bin.
pub(crate) fn hive(root: &Key) -> Vec<u8> {
    let mut bin = Bin(Vec::from([0; 32]));
    let security = bin.security();
    let root = bin.key(root, 0x0C, NONE, security);
    bin.end();
    let mut hive = base(root, bin.0.len());
    hive.extend(bin.0);
    hive
}

fn base(root: u32, bins: usize) -> Vec<u8> {
    let mut base = vec![0; 4096];
    base[..4].copy_from_slice(b"regf");
    put(&mut base, 4, 7);
    put(&mut base, 8, 7);
    base[12..20].copy_from_slice(&WRITTEN.to_le_bytes());
    for (at, word) in
        [(20, 1), (24, 5), (28, 0), (32, 1), (36, root), (40, u32::try_from(bins).unwrap()), (44, 1)]
    {
        put(&mut base, at, word);
    }
    seal(&mut base);
    base
}

/// Writes a word.
pub(crate) fn put(bytes: &mut [u8], at: usize, word: u32) {
    bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
}

/// Writes the checksum of the first block.
pub(crate) fn seal(hive: &mut [u8]) {
    let words = hive[..508].chunks_exact(4).map(|it| u32::from_le_bytes(it.try_into().unwrap()));
    let sum = words.fold(0, |sum, word| sum ^ word);
    put(hive, 508, sum.clamp(1, u32::MAX - 1));
}

/// The place of a key with that name, in the file.
pub(crate) fn place_of(hive: &[u8], name: &str) -> usize {
    let mut cells = hive.windows(76 + name.len());
    cells.position(|it| it.starts_with(b"nk") && it.ends_with(name.as_bytes())).unwrap()
}

/// Marks a hive as not closed: its sequence numbers become these.
pub(crate) fn opened(hive: &mut [u8], first: u32, second: u32) {
    put(hive, 4, first);
    put(hive, 8, second);
    seal(hive);
}

/// A log of Windows 8.1 and later: entries from a number on, each with places in the bins and their bytes.
pub(crate) fn log(
    hive: &[u8],
    first: u32,
    entries: &[Vec<(u32, Vec<u8>)>],
    hash: fn(&[u8]) -> u64,
) -> Vec<u8> {
    let mut log = hive[..512].to_vec();
    put(&mut log, 4, first);
    put(&mut log, 8, first);
    put(&mut log, 28, 6);
    seal(&mut log);
    let bins = u32::try_from(hive.len() - 4096).unwrap();
    for (entry, sequence) in entries.iter().zip(first..) {
        let grown =
            entry.iter().map(|(at, bytes)| at + u32::try_from(bytes.len()).unwrap()).max().unwrap_or(0);
        let mut body: Vec<u8> = Vec::new();
        for (at, bytes) in entry {
            body.extend(at.to_le_bytes());
            body.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        }
        body.extend(entry.iter().flat_map(|(_, bytes)| bytes));
        body.resize((40 + body.len()).next_multiple_of(512) - 40, 0);
        let mut head = b"HvLE".to_vec();
        let size = u32::try_from(40 + body.len()).unwrap();
        for word in [size, 0, sequence, bins.max(grown), u32::try_from(entry.len()).unwrap()] {
            head.extend(word.to_le_bytes());
        }
        head.extend(hash(&body).to_le_bytes());
        let own = hash(&head);
        head.extend(own.to_le_bytes());
        log.extend(head);
        log.extend(body);
    }
    log
}

/// A log of Windows up to 8: a bitmap of sectors and the sectors.
pub(crate) fn old_log(hive: &[u8], sequence: u32, sectors: &[(usize, [u8; 512])]) -> Vec<u8> {
    let mut log = hive[..512].to_vec();
    put(&mut log, 4, sequence);
    put(&mut log, 8, sequence);
    put(&mut log, 28, 1);
    seal(&mut log);
    log.extend(b"DIRT");
    let mut bits = vec![0_u8; (hive.len() - 4096) / 512 / 8];
    for (sector, _) in sectors {
        bits[sector / 8] |= 1 << (sector % 8);
    }
    log.extend(bits);
    log.resize(log.len().next_multiple_of(512), 0);
    for (_, bytes) in sectors {
        log.extend(bytes);
    }
    log
}

struct Bin(Vec<u8>);

impl Bin {
    fn cell(&mut self, content: &[u8]) -> u32 {
        let at = u32::try_from(self.0.len()).unwrap();
        let size = (4 + content.len()).next_multiple_of(8);
        self.0.extend((-i32::try_from(size).unwrap()).to_le_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        at
    }

    fn end(&mut self) {
        let free = (self.0.len() + 8).next_multiple_of(4096) - self.0.len();
        self.0.extend(i32::try_from(free).unwrap().to_le_bytes());
        self.0.resize(self.0.len() + free - 4, 0);
        let size = u32::try_from(self.0.len()).unwrap();
        self.0[..4].copy_from_slice(b"hbin");
        put(&mut self.0, 8, size);
    }

    fn words(&mut self, words: &[u32]) -> u32 {
        self.cell(&words.iter().flat_map(|it| it.to_le_bytes()).collect::<Vec<u8>>())
    }

    fn security(&mut self) -> u32 {
        // A descriptor with an owner and a group, both Administrators.
        let administrators = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0];
        let head = [1, 0, 0, 0x80, 20, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let descriptor = [&head[..], &administrators, &administrators].concat();
        let at = u32::try_from(self.0.len()).unwrap();
        let mut cell = b"sk\0\0".to_vec();
        for word in [at, at, 1, u32::try_from(descriptor.len()).unwrap()] {
            cell.extend(word.to_le_bytes());
        }
        cell.extend(descriptor);
        self.cell(&cell)
    }

    fn key(&mut self, key: &Key, flags: u16, parent: u32, security: u32) -> u32 {
        let (name, is_narrow) = named(&key.name);
        let mut cell = b"nk".to_vec();
        cell.extend((flags | key.flags | if is_narrow { 0x20 } else { 0 }).to_le_bytes());
        cell.extend(key.written.to_le_bytes());
        cell.resize(76, 0);
        put(&mut cell, 16, parent);
        put(&mut cell, 44, security);
        put(&mut cell, 48, NONE);
        cell[72..74].copy_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
        cell.extend(name);
        let at = self.cell(&cell);
        let values: Vec<u32> = key.values.iter().map(|it| self.value(it)).collect();
        let value_list = if values.is_empty() { NONE } else { self.words(&values) };
        // As Windows keeps them: in the order of their names in upper case.
        let mut keys: Vec<&Key> = key.keys.iter().collect();
        keys.sort_by_key(|it| it.name.to_uppercase());
        let below: Vec<(u32, &str)> =
            keys.iter().map(|it| (self.key(it, 0, at, security), it.name.as_str())).collect();
        let list = if below.is_empty() { NONE } else { self.list(key.list, &below) };
        let place = usize::try_from(at).unwrap() + 4;
        for (field, word) in [
            (20, u32::try_from(below.len()).unwrap()),
            (28, list),
            (32, NONE),
            (36, u32::try_from(values.len()).unwrap()),
            (40, value_list),
            (52, 510),
            (60, 510),
            (64, 1 << 20),
        ] {
            put(&mut self.0, place + field, word);
        }
        at
    }

    fn list(&mut self, list: List, keys: &[(u32, &str)]) -> u32 {
        let count = u16::try_from(keys.len()).unwrap().to_le_bytes();
        let (sign, words): (&[u8], Vec<u32>) = match list {
            List::Lh => (b"lh", keys.iter().flat_map(|(at, name)| [*at, hash(name)]).collect()),
            List::Lf => (b"lf", keys.iter().flat_map(|(at, name)| [*at, hint(name)]).collect()),
            List::Li => (b"li", keys.iter().map(|(at, _)| *at).collect()),
            List::Ri => (b"ri", keys.iter().map(|it| self.list(List::Lh, &[*it])).collect()),
        };
        let words = words.iter().flat_map(|it| it.to_le_bytes());
        self.cell(&[sign, &count].concat().into_iter().chain(words).collect::<Vec<u8>>())
    }

    fn value(&mut self, (name, kind, bytes): &(String, u32, Vec<u8>)) -> u32 {
        let (name, is_narrow) = named(name);
        let size = u32::try_from(bytes.len()).unwrap();
        let (size, place) = if bytes.len() <= 4 {
            let mut four = [0; 4];
            four[..bytes.len()].copy_from_slice(bytes);
            (size | 1 << 31, u32::from_le_bytes(four))
        } else if bytes.len() > SEGMENT {
            let segments: Vec<u32> = bytes.chunks(SEGMENT).map(|it| self.cell(it)).collect();
            let list = self.words(&segments);
            let count = u16::try_from(segments.len()).unwrap().to_le_bytes();
            (size, self.cell(&[&b"db"[..], &count, &list.to_le_bytes(), &[0; 4]].concat()))
        } else {
            (size, self.cell(bytes))
        };
        let mut cell = b"vk".to_vec();
        cell.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        for word in [size, place, *kind, u32::from(is_narrow)] {
            cell.extend(word.to_le_bytes());
        }
        cell.extend(name);
        self.cell(&cell)
    }
}

/// A name as it is stored, and whether that is one byte for each character.
fn named(name: &str) -> (Vec<u8>, bool) {
    match name.chars().map(|it| u8::try_from(u32::from(it))).collect() {
        Ok(narrow) => (narrow, true),
        Err(_) => (wide(name), false),
    }
}

fn hash(name: &str) -> u32 {
    let units = name.to_uppercase();
    units.encode_utf16().fold(0, |sum: u32, it| sum.wrapping_mul(37).wrapping_add(u32::from(it)))
}

fn hint(name: &str) -> u32 {
    let mut four = [0; 4];
    for (place, letter) in four.iter_mut().zip(name.chars().filter(char::is_ascii)) {
        *place = u8::try_from(letter).unwrap();
    }
    u32::from_le_bytes(four)
}
