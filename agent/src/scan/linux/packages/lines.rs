//! Text databases line by line, so that a large one is never held in memory.

use std::io;

use crate::host::Pieces;

/// How much is read at once; also the longest line of which more than the start is seen.
const BUFFER: usize = 64 * 1024;

/// One line of a file, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Its bytes; of a line over 64 KiB only the start.
    pub(super) bytes: &'a [u8],
    /// Whether a line end follows: the last line of a file that is cut off has none.
    pub(super) is_whole: bool,
}

/// Hands every line of a file to `each`, which says whether to go on. Asks `in_time` now and then.
///
/// # Errors
/// The file is larger than `max_bytes`, shrinks while it is read, or cannot be read; time is up.
pub(super) fn each_line(
    file: &Pieces,
    max_bytes: u64,
    in_time: impl Fn() -> io::Result<()>,
    mut each: impl FnMut(Line<'_>) -> bool,
) -> io::Result<()> {
    if file.bytes() > max_bytes {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {max_bytes} bytes")));
    }
    let mut buffer = vec![0; BUFFER];
    let mut offset = 0;
    // Bytes at the start of the buffer that belong to a line whose end is not read yet.
    let mut held = 0;
    // Whether the rest of a line that was too long is being passed over.
    let mut is_skipping = false;
    while offset < file.bytes() {
        in_time()?;
        let wanted = usize::try_from(file.bytes() - offset).unwrap_or(usize::MAX).min(BUFFER - held);
        file.read_at(offset, &mut buffer[held..held + wanted])?;
        offset += u64::try_from(wanted).unwrap_or(u64::MAX);
        let filled = held + wanted;
        let mut start = 0;
        while let Some(length) = buffer[start..filled].iter().position(|it| *it == b'\n') {
            let bytes = &buffer[start..start + length];
            start += length + 1;
            if !std::mem::take(&mut is_skipping) && !each(Line { bytes, is_whole: true }) {
                return Ok(());
            }
        }
        buffer.copy_within(start..filled, 0);
        held = filled - start;
        if held == BUFFER {
            if !is_skipping && !each(Line { bytes: &buffer, is_whole: true }) {
                return Ok(());
            }
            is_skipping = true;
            held = 0;
        }
    }
    if held > 0 && !is_skipping {
        each(Line { bytes: &buffer[..held], is_whole: false });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::HostRoot;
    use proptest::prelude::*;

    fn read(bytes: &[u8], max_bytes: u64) -> io::Result<Vec<(Vec<u8>, bool)>> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("file"), bytes)?;
        let file = HostRoot::at(dir.path()).pieces("file")?;
        let mut lines = Vec::new();
        each_line(
            &file,
            max_bytes,
            || Ok(()),
            |it| {
                lines.push((it.bytes.to_vec(), it.is_whole));
                true
            },
        )?;
        Ok(lines)
    }

    #[test]
    fn a_line_without_an_end_is_not_whole() {
        let line = |text: &str, is_whole| (text.as_bytes().to_vec(), is_whole);
        assert_eq!(read(b"a\n\nbc", 100).unwrap(), [line("a", true), line("", true), line("bc", false)]);
        assert!(read(b"", 100).unwrap().is_empty());
    }

    #[test]
    fn a_giant_line_is_seen_by_its_start_and_the_next_one_is_whole() {
        let text = [b"x".repeat(3 * BUFFER + 7), b"\nnext\n".to_vec()].concat();
        let lines = read(&text, u64::MAX).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].0.len(), lines[1].0.as_slice()), (BUFFER, b"next".as_slice()));
    }

    #[test]
    fn a_file_over_its_bound_is_not_begun() {
        assert_eq!(read(b"1234", 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_reader_that_has_enough_ends_the_reading() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "a\nb\nc\n").unwrap();
        let file = HostRoot::at(dir.path()).pieces("file").unwrap();
        let mut seen = 0;
        each_line(
            &file,
            100,
            || Ok(()),
            |_| {
                seen += 1;
                seen < 2
            },
        )
        .unwrap();
        assert_eq!(seen, 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn pieces_give_the_lines_that_the_whole_file_has(
            lengths in prop::collection::vec(0..(BUFFER - 1), 1..6),
        ) {
            let text = lengths.iter().map(|it| "y".repeat(*it)).collect::<Vec<_>>().join("\n") + "\n";
            let found: Vec<usize> = read(text.as_bytes(), u64::MAX).unwrap().iter().map(|it| it.0.len()).collect();
            prop_assert_eq!(found, lengths);
        }
    }
}
