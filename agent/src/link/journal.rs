//! Changes that the agent saw while it could not report them.
//!
//! ```text
//! "hpj1"  dropped (u64, little endian)
//! record  length (u32, little endian), first 8 bytes of the SHA-256 of the entry, the entry
//! ```
//! Bounded by [`MAX_ENTRIES`] and [`MAX_BYTES`]: the oldest entries go, and are counted. Records are
//! appended; a torn one ends the file, and everything before it counts. The journal is a story
//! for people: the sections themselves are reported whole whatever it says.

use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::proto::v1::JournalEntry;
use holdpoint_common::section::{Digest, Rows};
use prost::Message;

use super::seen::Seen;

/// Most entries.
pub const MAX_ENTRIES: usize = 1_000;
/// Largest file, in bytes.
pub const MAX_BYTES: usize = 512 * 1024;

/// Rows of each side that an entry shows.
const EXAMPLES: usize = 3;
/// Largest row that is shown, in bytes.
const MAX_EXAMPLE: usize = 1_024;

const FILE: &str = "journal";
const MAGIC: &[u8; 4] = b"hpj1";
const HEAD: usize = MAGIC.len() + 8;
const RECORD_HEAD: usize = 4 + 8;

/// The journal in a state directory.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    entries: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped: u64,
}

impl Journal {
    /// Reads what is there; what cannot be read is lost and no error.
    pub fn open(state: &Path) -> Self {
        let path = state.join(FILE);
        let too_large = |path: &Path| fs::metadata(path).is_ok_and(|it| it.len() > 2 * MAX_BYTES as u64);
        let bytes = if too_large(&path) { Vec::new() } else { fs::read(&path).unwrap_or_default() };
        let (entries, dropped, whole) = parse(&bytes);
        let mut journal = Self { path, bytes: HEAD, entries: VecDeque::new(), dropped };
        for entry in entries {
            journal.bytes += RECORD_HEAD + entry.len();
            journal.entries.push_back(entry);
        }
        journal.shrink();
        if !bytes.is_empty() && !whole {
            // A record after a torn one would never be found again. The next write repeats this.
            let _ = journal.rewrite();
        }
        journal
    }

    /// Entries that wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries that were dropped since the last acknowledged report.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> Vec<JournalEntry> {
        self.entries.iter().filter_map(|it| JournalEntry::decode(it.as_slice()).ok()).collect()
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// It is not on disk; it is kept in memory.
    pub fn add(&mut self, entry: &JournalEntry) -> io::Result<()> {
        let entry = entry.encode_to_vec();
        let is_new = self.entries.is_empty();
        let record = record(&entry);
        self.bytes += record.len();
        self.entries.push_back(entry);
        if self.shrink() || is_new {
            return self.rewrite();
        }
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        file.write_all(&record)?;
        file.sync_data()
    }

    /// Forgets what a report carried: it was acknowledged.
    ///
    /// # Errors
    /// The file cannot be written; entries may then be reported twice after a restart.
    pub fn acknowledged(&mut self, entries: usize, dropped: u64) -> io::Result<()> {
        if entries == 0 && dropped == 0 {
            return Ok(());
        }
        for _ in 0..entries.min(self.entries.len()) {
            self.drop_oldest();
        }
        self.dropped = self.dropped.saturating_sub(dropped);
        self.rewrite()
    }

    /// Drops the oldest entries until the bounds are kept, with room so that it stays rare.
    fn shrink(&mut self) -> bool {
        let is_over = |it: &Self| it.entries.len() > MAX_ENTRIES || it.bytes > MAX_BYTES;
        if !is_over(self) {
            return false;
        }
        let has_room = |it: &Self| {
            it.entries.len() <= MAX_ENTRIES - MAX_ENTRIES / 10 && it.bytes <= MAX_BYTES - MAX_BYTES / 10
        };
        while !has_room(self) && !self.entries.is_empty() {
            self.drop_oldest();
            self.dropped = self.dropped.saturating_add(1);
        }
        true
    }

    fn drop_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= RECORD_HEAD + entry.len();
        }
    }

    fn rewrite(&self) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(self.bytes);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.dropped.to_le_bytes());
        self.entries.iter().for_each(|it| bytes.extend_from_slice(&record(it)));
        atomic_file::replace(&self.path, &bytes, Readable::Agent)
    }
}

/// The entry for a section that changed.
pub fn change(before: &Seen, after: &Seen, host_time_ms: i64) -> JournalEntry {
    let (old, new) = (before.rows(), after.rows());
    let missing_in = |other: &Rows, row: &Vec<u8>| other.as_slice().binary_search(row).is_err();
    let added: Vec<&Vec<u8>> = new.as_slice().iter().filter(|it| missing_in(&old, it)).collect();
    let removed: Vec<&Vec<u8>> = old.as_slice().iter().filter(|it| missing_in(&new, it)).collect();
    let count = |it: &[&Vec<u8>]| u32::try_from(it.len()).unwrap_or(u32::MAX);
    let examples = |it: &[&Vec<u8>]| {
        it.iter().filter(|it| it.len() <= MAX_EXAMPLE).take(EXAMPLES).map(|it| (*it).clone()).collect()
    };
    JournalEntry {
        host_time_ms,
        kind: after.kind.into(),
        before: before.digest.to_vec(),
        after: after.digest.to_vec(),
        added: count(&added),
        removed: count(&removed),
        added_rows: examples(&added),
        removed_rows: examples(&removed),
    }
}

fn record(entry: &[u8]) -> Vec<u8> {
    let length = u32::try_from(entry.len()).unwrap_or(u32::MAX);
    [length.to_le_bytes().as_slice(), &Digest::of(entry).as_bytes()[..8], entry].concat()
}

/// The whole records, the dropped count, and whether nothing is torn.
fn parse(bytes: &[u8]) -> (Vec<Vec<u8>>, u64, bool) {
    let Some((head, mut rest)) = bytes.split_first_chunk::<HEAD>() else { return (Vec::new(), 0, false) };
    let Some((MAGIC, dropped)) = head.split_first_chunk::<4>() else { return (Vec::new(), 0, false) };
    let dropped = dropped.try_into().map_or(0, u64::from_le_bytes);
    let mut entries = Vec::new();
    while let Some((entry, tail)) = next(rest) {
        entries.push(entry.to_vec());
        rest = tail;
    }
    (entries, dropped, rest.is_empty())
}

fn next(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (check, rest) = rest.split_at_checked(8)?;
    let (entry, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    (Digest::of(entry).as_bytes().starts_with(check) && JournalEntry::decode(entry).is_ok())
        .then_some((entry, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdpoint_common::proto::v1::SectionStatus;
    use holdpoint_common::row::SectionKind;
    use holdpoint_common::section::Section;
    use proptest::prelude::*;

    fn entry(number: i64, bytes: usize) -> JournalEntry {
        JournalEntry { host_time_ms: number, before: vec![1; bytes], ..JournalEntry::default() }
    }

    fn times(journal: &Journal) -> Vec<i64> {
        journal.entries().iter().map(|it| it.host_time_ms).collect()
    }

    #[test]
    fn entries_survive_a_restart_and_leave_when_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path());
        (1..=3).for_each(|it| journal.add(&entry(it, 10)).unwrap());
        let mut journal = Journal::open(dir.path());
        assert_eq!(times(&journal), [1, 2, 3]);
        journal.acknowledged(2, 0).unwrap();
        journal.add(&entry(4, 10)).unwrap();
        assert_eq!(times(&Journal::open(dir.path())), [3, 4]);
    }

    #[test]
    fn the_oldest_go_and_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path());
        let total = 200;
        (0..total).for_each(|it| journal.add(&entry(it, 8_000)).unwrap());
        assert!(fs::metadata(dir.path().join(FILE)).unwrap().len() <= MAX_BYTES as u64);
        let kept = i64::try_from(journal.len()).unwrap();
        assert!(kept < 100);
        assert_eq!(times(&journal), (total - kept..total).collect::<Vec<_>>());
        let journal = Journal::open(dir.path());
        assert_eq!(journal.dropped(), u64::try_from(total - kept).unwrap());
    }

    #[test]
    fn more_entries_than_the_limit_are_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let many = i64::try_from(MAX_ENTRIES).unwrap() + 1;
        let records = (0..many).flat_map(|it| record(&entry(it, 1).encode_to_vec()));
        let file: Vec<u8> = MAGIC.iter().copied().chain([0; 8]).chain(records).collect();
        fs::write(dir.path().join(FILE), file).unwrap();
        let journal = Journal::open(dir.path());
        assert!(journal.len() <= MAX_ENTRIES);
        assert_eq!(journal.dropped(), u64::try_from(MAX_ENTRIES + 1 - journal.len()).unwrap());
        assert_eq!(times(&journal).last().copied(), Some(many - 1));
    }

    #[test]
    fn a_change_counts_its_rows_and_shows_a_few() {
        let seen = |names: &[&str]| {
            let rows = Rows::from_encoded(names.iter().map(|it| it.as_bytes().to_vec()).collect());
            Seen::pack(Section::new(SectionKind::Software, SectionStatus::Complete, vec![], rows))
        };
        let entry = change(&seen(&["a", "b"]), &seen(&["b", "c", "d", "e", "f"]), 7);
        assert_eq!((entry.added, entry.removed, entry.added_rows.len()), (4, 1, EXAMPLES));
        assert_eq!(entry.removed_rows, [b"a".to_vec()]);
    }

    proptest! {
        #[test]
        fn a_torn_write_loses_no_whole_entry(count in 1_i64..8, cut in 0_usize..400, junk in prop::collection::vec(any::<u8>(), 0..20)) {
            let dir = tempfile::tempdir().unwrap();
            let mut journal = Journal::open(dir.path());
            let mut ends = vec![HEAD];
            for it in 0..count {
                journal.add(&entry(it, 30)).unwrap();
                ends.push(usize::try_from(fs::metadata(dir.path().join(FILE)).unwrap().len()).unwrap());
            }
            let mut bytes = fs::read(dir.path().join(FILE)).unwrap();
            bytes.truncate(cut.min(bytes.len()));
            let whole = ends.iter().filter(|it| **it <= bytes.len()).count().saturating_sub(1);
            bytes.extend(junk);
            fs::write(dir.path().join(FILE), &bytes).unwrap();
            let mut journal = Journal::open(dir.path());
            prop_assert!(times(&journal).starts_with(&(0..i64::try_from(whole).unwrap()).collect::<Vec<_>>()));
            prop_assert!(journal.len() <= whole + 1);
            // Whatever was torn, what is added next is found again.
            journal.add(&entry(99, 1)).unwrap();
            prop_assert_eq!(times(&Journal::open(dir.path())).last().copied(), Some(99));
        }
    }
}
