//! Tar, as a stream.

use std::io::{self, Read};
use std::ops::ControlFlow;

use tar::Archive;

use super::meter::Meter;
use super::{Counts, InvalidArchive, MAX_MEMBER, MAX_TOTAL, Member, content, harmless};

/// Longest header with everything that extends it, in bytes.
const MAX_HEADER: u64 = 1024 * 1024;

pub(super) fn read(
    stream: impl Read,
    counts: &mut Counts,
    wanted: &impl Fn(&str) -> bool,
    receive: &mut impl FnMut(Member) -> ControlFlow<()>,
) -> Result<(), InvalidArchive> {
    let (meter, allowance) = Meter::new(stream);
    let mut archive = Archive::new(meter);
    allowance.set(MAX_HEADER);
    let mut entries = archive.entries()?;
    loop {
        // The rest of the member before was read to its end; only its padding and headers follow.
        allowance.set(MAX_HEADER);
        let Some(entry) = entries.next() else { return Ok(()) };
        let mut entry = entry?;
        counts.member()?;
        counts.bytes(MAX_HEADER - allowance.left())?;
        allowance.set(MAX_TOTAL);
        let is_file = entry.header().entry_type().is_file() || entry.header().entry_type().is_gnu_sparse();
        let name = harmless(&entry.path_bytes());
        if let Some(name) = name.filter(|it| is_file && wanted(it)) {
            let content = content(&mut entry, counts)?;
            if receive(Member { name, content }).is_break() {
                return Ok(());
            }
        }
        drain(&mut entry, counts)?;
    }
}

/// Reads a member to its end without keeping it.
fn drain(member: &mut impl Read, counts: &mut Counts) -> Result<(), InvalidArchive> {
    loop {
        let read = io::copy(&mut member.take(MAX_MEMBER), &mut io::sink())?;
        if read == 0 {
            return Ok(());
        }
        counts.bytes(read)?;
    }
}
