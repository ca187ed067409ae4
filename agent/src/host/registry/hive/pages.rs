//! The bins of a hive by place, a page at a time: a hive of a large machine has hundreds of megabytes,
//! and this holds a few.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use super::super::super::root::Pieces;
use super::base::BASE;
use super::broken;

/// Bytes of a page.
const PAGE: usize = 4096;
/// Pages held: 256 KiB, which is what the keys on the way to a key and their lists take.
const PAGES: usize = 64;
/// Bytes of what a log replaces at a time.
pub(super) const SECTOR: usize = 512;

/// Where a log holds a newer sector.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Number of the log.
    pub(super) log: u8,
    /// Place in it.
    pub(super) at: u32,
}

/// The sectors that logs hold.
type Newer = BTreeMap<u32, Place>;

/// A hive's bins.
#[derive(Debug)]
pub(super) struct Pages {
    file: Pieces,
    /// Bytes of all bins; nothing is read beyond.
    bins: u32,
    logs: Vec<Pieces>,
    newer: Newer,
    /// The page read last stands first.
    held: VecDeque<(u32, Box<[u8]>)>,
}

impl Pages {
    /// The bins of a file that has so many bytes of them.
    pub(super) fn new(file: Pieces, bins: u32) -> Self {
        let there = file.bytes().saturating_sub(len(BASE));
        let bins = bins.min(u32::try_from(there).unwrap_or(u32::MAX));
        Self { file, bins, logs: Vec::new(), newer: BTreeMap::new(), held: VecDeque::new() }
    }

    /// The same bins with what logs hold of them, which may make them longer.
    pub(super) fn newer(&mut self, logs: Vec<Pieces>, newer: Newer, bins: u32) {
        self.held.clear();
        (self.logs, self.newer, self.bins) = (logs, newer, bins);
    }

    /// Bytes of all bins.
    pub(super) fn bytes(&self) -> u32 {
        self.bins
    }

    /// Fills a buffer from a place in the bins.
    pub(super) fn read(&mut self, at: u32, buffer: &mut [u8]) -> io::Result<()> {
        let end = u64::from(at) + len(buffer.len());
        if end > u64::from(self.bins) {
            return Err(broken(format!("a place behind the end of the hive: {at:#x}")));
        }
        let (mut at, mut rest) = (usize::try_from(at).unwrap_or(usize::MAX), buffer);
        while !rest.is_empty() {
            let inside = at % PAGE;
            let (now, later) = rest.split_at_mut(rest.len().min(PAGE - inside));
            let page = self.page(u32::try_from(at / PAGE).unwrap_or(u32::MAX))?;
            now.copy_from_slice(&page[inside..inside + now.len()]);
            at += now.len();
            rest = later;
        }
        Ok(())
    }

    fn page(&mut self, number: u32) -> io::Result<&[u8]> {
        let found = self.held.iter().position(|(it, _)| *it == number);
        let (_, page) = match found.and_then(|at| self.held.remove(at)) {
            Some(it) => it,
            None => {
                let oldest = if self.held.len() < PAGES { None } else { self.held.pop_back() };
                let mut page = oldest.map_or_else(|| vec![0; PAGE].into_boxed_slice(), |(_, page)| page);
                self.load(number, &mut page)?;
                (number, page)
            }
        };
        self.held.push_front((number, page));
        Ok(&self.held[0].1)
    }

    fn load(&self, number: u32, page: &mut [u8]) -> io::Result<()> {
        let begin = len(BASE) + u64::from(number) * len(PAGE);
        let there = usize::try_from(self.file.bytes().saturating_sub(begin)).unwrap_or(PAGE).min(PAGE);
        self.file.read_at(begin, &mut page[..there])?;
        page[there..].fill(0);
        let each = u32::try_from(PAGE / SECTOR).unwrap_or(1);
        let first = number.saturating_mul(each);
        for (sector, place) in self.newer.range(first..first.saturating_add(each)) {
            let at = usize::try_from(sector - first).unwrap_or(0) * SECTOR;
            self.logs[usize::from(place.log)].read_at(u64::from(place.at), &mut page[at..at + SECTOR])?;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.len() * PAGE
    }
}

/// A length as places in files are counted.
pub(super) fn len(it: usize) -> u64 {
    u64::try_from(it).unwrap_or(u64::MAX)
}
