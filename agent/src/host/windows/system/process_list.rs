//! The list of processes as the kernel lays it out: `SystemProcessInformation` of
//! `NtQuerySystemInformation`, one entry after the other, each followed by its threads.
//!
//! Only three fields are read, whose places every Windows since XP shares: how far the next entry is, the
//! time at which the process was created, and its number.

/// Where the number of a process stands in an entry; after a text whose length and pointer are of the
/// width of a pointer.
const NUMBER_AT: usize = if WIDTH == 8 { 80 } else { 68 };
/// Where the time of creation stands.
const CREATED_AT: usize = 32;
/// Bytes of a pointer.
const WIDTH: usize = size_of::<usize>();

/// A process in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its number; 0 for what the processor does when nothing is to be done.
    pub(super) number: usize,
    /// When it was created, in units of 100 ns since 1601.
    pub(super) created: u64,
}

/// Takes a list apart; `None` when an entry leads out of it.
pub(super) fn read(list: &[u8], most: usize) -> Option<Vec<Listed>> {
    let mut found = Vec::new();
    let mut at = 0_usize;
    loop {
        let entry = list.get(at..)?;
        let next = u32::from_le_bytes(entry.get(..4)?.try_into().ok()?);
        let created = u64::from_le_bytes(entry.get(CREATED_AT..CREATED_AT + 8)?.try_into().ok()?);
        let number = usize::from_le_bytes(entry.get(NUMBER_AT..NUMBER_AT + WIDTH)?.try_into().ok()?);
        if found.len() == most {
            return None;
        }
        found.push(Listed { number, created });
        if next == 0 {
            return Some(found);
        }
        at = at.checked_add(usize::try_from(next).ok()?)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(next: u32, number: usize, created: u64) -> Vec<u8> {
        let mut entry = vec![0; 184];
        entry[..4].copy_from_slice(&next.to_le_bytes());
        entry[CREATED_AT..CREATED_AT + 8].copy_from_slice(&created.to_le_bytes());
        entry[NUMBER_AT..NUMBER_AT + WIDTH].copy_from_slice(&number.to_le_bytes());
        entry
    }

    #[test]
    fn entries_follow_one_another_over_their_threads() {
        let mut list = entry(264, 4, 0);
        list.resize(264, 0xff);
        list.extend(entry(0, 1_234, 133_000_000_000_000_000));
        let found = read(&list, 10).unwrap();
        let second = Listed { number: 1_234, created: 133_000_000_000_000_000 };
        assert_eq!(found, [Listed { number: 4, created: 0 }, second]);
    }

    #[test]
    fn a_list_that_leads_out_of_itself_or_has_no_end_is_none() {
        assert_eq!(read(&entry(184, 4, 0), 10), None);
        assert_eq!(read(&entry(u32::MAX, 4, 0), 10), None);
        assert_eq!(read(&[], 10), None);
        let endless: Vec<u8> = (0..20).flat_map(|it| entry(184, it, 0)).collect();
        assert_eq!(read(&endless, 10), None);
    }
}
