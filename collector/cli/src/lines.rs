//! Questions from stdin: one line in, exactly one line out, whatever the line holds.
//!
//! Lines are not trimmed. Bytes that are no UTF-8 become U+FFFD, and a line over
//! [`MAX_LINE`] is not judged but still answered; it is never held in memory.

use std::io::{self, BufRead};

/// Longest line that is judged, in bytes, without its line break.
pub const MAX_LINE: usize = 64 * 1024;

/// A line of two fields.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Left and right of the first tab.
    Pair(String, String),
    /// No tab.
    NoTab,
    /// Longer than [`MAX_LINE`].
    TooLong,
}

/// Reads the next line; `None` at the end. A last line without a line break is a line.
pub fn next_line(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let mut length = 0_usize;
    loop {
        let available = match input.fill_buf() {
            Ok(it) => it,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            Err(cause) => return Err(cause),
        };
        if available.is_empty() {
            return Ok((length > 0).then(|| parse(&line, length)));
        }
        let end = available.iter().position(|&it| it == b'\n');
        let piece = &available[..end.unwrap_or(available.len())];
        length = length.saturating_add(piece.len());
        if length <= MAX_LINE {
            line.extend_from_slice(piece);
        }
        let used = piece.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(Some(parse(&line, length)));
        }
    }
}

fn parse(line: &[u8], length: usize) -> Line {
    if length > MAX_LINE {
        return Line::TooLong;
    }
    match String::from_utf8_lossy(line).split_once('\t') {
        Some((left, right)) => Line::Pair(left.to_owned(), right.to_owned()),
        None => Line::NoTab,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut input: &[u8]) -> Vec<Line> {
        std::iter::from_fn(|| next_line(&mut input).unwrap()).collect()
    }

    fn pair(left: &str, right: &str) -> Line {
        Line::Pair(left.into(), right.into())
    }

    #[test]
    fn fields_are_not_trimmed() {
        assert_eq!(lines(b" 1 \t2 \r\na\tb\tc"), [pair(" 1 ", "2 \r"), pair("a", "b\tc")]);
    }

    #[test]
    fn every_line_gives_one_answer() {
        let mut input = vec![b'\t'; 1];
        input.extend(b"\n\nno tab\n\xff\xfe\t1\n");
        input.extend(vec![b'x'; 3 * MAX_LINE]);
        input.extend(b"\n1\t2\n");
        assert_eq!(
            lines(&input),
            [
                pair("", ""),
                Line::NoTab,
                Line::NoTab,
                pair("\u{fffd}\u{fffd}", "1"),
                Line::TooLong,
                pair("1", "2")
            ]
        );
    }

    #[test]
    fn the_longest_line_is_judged() {
        let mut input = vec![b'x'; MAX_LINE - 2];
        input.extend(b"\t1\n");
        assert!(matches!(&lines(&input)[..], [Line::Pair(left, _)] if left.len() == MAX_LINE - 2));
    }
}
