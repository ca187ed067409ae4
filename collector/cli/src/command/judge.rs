//! What `vercmp` and `range` share: one question from the arguments, or one a line from stdin.

use std::io::{self, BufReader, Read, Write};

use crate::args::Format;
use crate::failure::{Exit, Failure};
use crate::lines::{Line, MAX_LINE, next_line};
use crate::output::{Output, write_stdout};
use crate::view::version::{AllJudged, Judged};

/// Judges `left` and `right`, or with `-` and nothing else every line of stdin.
///
/// `unknown` is the result for a line that is no question.
pub(super) fn judge(
    (left, right): (&str, Option<&str>),
    unknown: &'static str,
    out: &Output,
    question: impl Fn(&str, &str) -> Judged,
) -> Result<Exit, Failure> {
    match right {
        Some(right) => {
            let judged = question(left, right);
            if out.format() == Format::Table {
                write_stdout(format!("{}\n", judged.line()).as_bytes())?;
            } else {
                out.print(&AllJudged(vec![judged]))?;
            }
        }
        None if left == "-" => {
            let mut input = BufReader::with_capacity(MAX_LINE, io::stdin().lock());
            if out.format() == Format::Table {
                let mut stdout = io::BufWriter::new(io::stdout().lock());
                match stream(&mut input, &mut stdout, unknown, &question) {
                    Err(Failure::Stdout(cause)) if cause.kind() == io::ErrorKind::BrokenPipe => {}
                    ended => ended?,
                }
            } else {
                let mut all = Vec::new();
                while let Some(line) = next_line(&mut input).map_err(Failure::Stdin)? {
                    all.push(answer(line, unknown, &question));
                }
                out.print(&AllJudged(all))?;
            }
        }
        None => {
            return Err(Failure::Argument("two values are needed, or `-` to read lines from stdin".into()));
        }
    }
    Ok(Exit::Done)
}

/// Answers each line as soon as no further one waits, so that a program can hold a dialogue.
fn stream<R: Read>(
    input: &mut BufReader<R>,
    output: &mut impl Write,
    unknown: &'static str,
    question: &impl Fn(&str, &str) -> Judged,
) -> Result<(), Failure> {
    while let Some(line) = next_line(input).map_err(Failure::Stdin)? {
        writeln!(output, "{}", answer(line, unknown, question).line()).map_err(Failure::Stdout)?;
        if input.buffer().is_empty() {
            output.flush().map_err(Failure::Stdout)?;
        }
    }
    output.flush().map_err(Failure::Stdout)
}

fn answer(line: Line, unknown: &'static str, question: &impl Fn(&str, &str) -> Judged) -> Judged {
    match line {
        Line::Pair(left, right) => question(&left, &right),
        Line::NoTab => Judged::new(None, unknown, "the line has no tab".into()),
        Line::TooLong => Judged::new(None, unknown, format!("the line is longer than {MAX_LINE} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_gets_its_line_whatever_the_reason_says() {
        let echo = |left: &str, right: &str| {
            Judged::new(Some((left.into(), right.into())), "?", format!("{left}\n\u{1b}{right}"))
        };
        let mut output = Vec::new();
        let mut input = BufReader::with_capacity(3, &b"1\t2\n\nx"[..]);
        stream(&mut input, &mut output, "?", &echo).unwrap();
        assert_eq!(
            String::from_utf8(output).unwrap(),
            "?\t1\\n\\u{1b}2\n?\tthe line has no tab\n?\tthe line has no tab\n"
        );
    }
}
