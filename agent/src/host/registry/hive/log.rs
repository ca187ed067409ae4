//! The logs of a hive that was not closed: sectors that are newer than those of the hive.
//!
//! Since Windows 8.1 a log holds entries (`HvLE`), each with a number and two hashes; they apply in the
//! order of their numbers, from the hive's second sequence number on, over both logs. Before, a log holds
//! one bitmap of changed sectors (`DIRT`) and the sectors. Nothing is written: the sectors are read from
//! where they stand. Layout: the same specification.
//!
//! Logs that do not complete a hive leave it as it is, with a reason.

use std::collections::BTreeMap;
use std::io;

use super::super::super::root::{HostRoot, Pieces, is_absent};
use super::base::{BLOCK, Base};
use super::field::{u32_at, u64_at};
use super::first_block;
use super::marvin::Marvin;
use super::pages::{Pages, Place, SECTOR, len};

/// Most sectors that logs may replace: 32 MiB of a hive, and somewhat over 1 MiB to remember them.
const MAX_SECTORS: usize = 64 * 1024;
/// Most bytes of one log that are looked at.
const MAX_LOG: u32 = 256 * 1024 * 1024;
/// Bytes of an entry before its references.
const ENTRY: usize = 40;
/// Bytes read at a time to be hashed.
const STEP: usize = 64 * 1024;

/// Ends of the names of logs.
const ENDS: [&str; 3] = [".LOG1", ".LOG2", ".LOG"];

/// What logs say that is newer.
#[derive(Default)]
struct Newer {
    logs: Vec<Pieces>,
    sectors: BTreeMap<u32, Place>,
    bins: u32,
}

/// Completes a hive that was not closed; says what is missing where it cannot.
///
/// # Errors
/// A log is there and cannot be read.
pub(super) fn complete(
    root: &HostRoot,
    path: &str,
    hive: &Base,
    pages: &mut Pages,
) -> io::Result<Option<String>> {
    let why = format!("{path} was not closed when it was copied, and its last changes may be missing");
    if !hive.is_sound {
        return Ok(Some(format!("{why}: the checksum of its first block is wrong")));
    }
    let mut logs = Vec::new();
    for end in ENDS {
        match root.pieces(&format!("{path}{end}")) {
            Ok(log) if log.bytes() >= len(BLOCK) => {
                if let Ok(base) = Base::read(&first_block(&log)?)
                    && base.is_sound
                {
                    logs.push((base, log));
                }
            }
            Ok(_) => {}
            Err(cause) if is_absent(&cause) => {}
            Err(cause) => return Err(cause),
        }
    }
    match newer(hive, logs) {
        Ok(newer) => {
            pages.newer(newer.logs, newer.sectors, newer.bins);
            Ok(None)
        }
        Err(reason) => Ok(Some(format!("{why}: {reason}"))),
    }
}

fn newer(hive: &Base, mut logs: Vec<(Base, Pieces)>) -> Result<Newer, String> {
    if logs.is_empty() {
        return Err("there is no log beside it".to_owned());
    }
    logs.sort_by_key(|(base, _)| base.sequences.0);
    let mut newer = Newer { bins: hive.bins, ..Newer::default() };
    let mut next = hive.sequences.1;
    let mut taken = 0;
    for (base, log) in logs {
        let entries = match base.kind {
            6 => newer.add_entries(log, &mut next)?,
            1 | 2 => newer.add_bitmap(&base, hive, log)?,
            _ => 0,
        };
        taken += entries;
    }
    if taken == 0 { Err("no log beside it continues it".to_owned()) } else { Ok(newer) }
}

impl Newer {
    /// Adds the entries of a log, from the number that comes next; says how many. Entries end where one is
    /// not whole: it was being written when the machine stopped, and nothing of it counts.
    fn add_entries(&mut self, log: Pieces, next: &mut u32) -> Result<usize, String> {
        let mut at = len(BLOCK);
        let (mut taken, mut before) = (0, None);
        while let Some(entry) = entry(&log, at) {
            let follows = before.is_none_or(|it: u32| it.wrapping_add(1) == entry.sequence);
            if !follows || at > u64::from(MAX_LOG) {
                break;
            }
            before = Some(entry.sequence);
            // Older entries are in the hive already.
            if entry.sequence >= *next {
                if taken == 0 && self.has_holes(entry.sequence, *next) {
                    break;
                }
                self.take(&log, at, &entry)?;
                *next = entry.sequence.wrapping_add(1);
                taken += 1;
            }
            at += u64::from(entry.bytes);
        }
        self.logs.push(log);
        Ok(taken)
    }

    /// Whether entries are missing before the first one of a second log.
    fn has_holes(&self, first: u32, next: u32) -> bool {
        !self.sectors.is_empty() && first != next
    }

    fn take(&mut self, log: &Pieces, at: u64, entry: &Entry) -> Result<(), String> {
        let mut from = at + len(ENTRY) + 8 * u64::from(entry.pages);
        let end = at + u64::from(entry.bytes);
        for page in 0..u64::from(entry.pages) {
            let mut reference = [0; 8];
            log.read_at(at + len(ENTRY) + 8 * page, &mut reference).map_err(|it| it.to_string())?;
            let (to, bytes) = (u32_at(&reference, 0), u32_at(&reference, 4));
            if bytes % 512 != 0 || to % 512 != 0 || from + u64::from(bytes) > end {
                return Err("a log has a page of no sensible size".to_owned());
            }
            for sector in to / 512..(to / 512).saturating_add(bytes / 512) {
                self.put(sector, from)?;
                from += len(SECTOR);
            }
        }
        self.bins = entry.bins;
        Ok(())
    }

    /// Adds the one list of sectors of an older log; says whether it did.
    fn add_bitmap(&mut self, base: &Base, hive: &Base, log: Pieces) -> Result<usize, String> {
        let is_of_hive = base.sequences.0 == base.sequences.1 && base.sequences.0 >= hive.sequences.1;
        let bits = base.bins / 512;
        let mut head = vec![0; 4 + usize::try_from(bits.div_ceil(8)).unwrap_or(0)];
        let room = log.bytes().saturating_sub(len(BLOCK));
        if !is_of_hive || len(head.len()) > room || head.len() > MAX_SECTORS {
            return Ok(0);
        }
        log.read_at(len(BLOCK), &mut head).map_err(|it| it.to_string())?;
        if !head.starts_with(b"DIRT") {
            return Ok(0);
        }
        let mut from = (BLOCK + head.len()).next_multiple_of(SECTOR);
        for sector in 0..bits {
            let byte = head[4 + usize::try_from(sector / 8).unwrap_or(0)];
            if byte >> (sector % 8) & 1 == 1 {
                if len(from + SECTOR) > log.bytes() {
                    return Err("a log is cut off".to_owned());
                }
                self.put(sector, len(from))?;
                from += SECTOR;
            }
        }
        self.bins = base.bins;
        self.logs.push(log);
        Ok(1)
    }

    /// A sector of the log that is read now.
    fn put(&mut self, sector: u32, at: u64) -> Result<(), String> {
        let too_much = || format!("its logs replace more than {MAX_SECTORS} sectors");
        let log = u8::try_from(self.logs.len()).map_err(|_| too_much())?;
        self.sectors.insert(sector, Place { log, at: u32::try_from(at).map_err(|_| too_much())? });
        if self.sectors.len() > MAX_SECTORS { Err(too_much()) } else { Ok(()) }
    }
}

/// The head of a log entry.
struct Entry {
    bytes: u32,
    sequence: u32,
    bins: u32,
    pages: u32,
}

/// The entry at a place, where a whole one stands.
fn entry(log: &Pieces, at: u64) -> Option<Entry> {
    let mut head = [0; ENTRY];
    log.read_at(at, &mut head).ok()?;
    let entry = Entry {
        bytes: u32_at(&head, 4),
        sequence: u32_at(&head, 12),
        bins: u32_at(&head, 16),
        pages: u32_at(&head, 20),
    };
    let has_room = u64::from(entry.bytes) >= len(ENTRY) + 8 * u64::from(entry.pages);
    let is_whole = at + u64::from(entry.bytes) <= log.bytes().min(u64::from(MAX_LOG));
    if !head.starts_with(b"HvLE") || !entry.bytes.is_multiple_of(512) || !has_room || !is_whole {
        return None;
    }
    let mut own = Marvin::new();
    own.add(&head[..32]);
    if own.end(&[]) != u64_at(&head, 32) {
        return None;
    }
    let mut rest = Marvin::new();
    let mut buffer = vec![0; STEP];
    let (mut from, end) = (at + len(ENTRY), at + u64::from(entry.bytes));
    while from < end {
        let now = usize::try_from(end - from).unwrap_or(STEP).min(STEP);
        log.read_at(from, &mut buffer[..now]).ok()?;
        rest.add(&buffer[..now]);
        from += len(now);
    }
    (rest.end(&[]) == u64_at(&head, 24)).then_some(entry)
}
