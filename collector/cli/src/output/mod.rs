//! The one place that writes: answers to stdout, everything else to stderr.
//!
//! A command hands over an [`Answer`]; the format decides whether its page, its records or its
//! JSON is written. A reader that goes away is not an error.

pub mod escape;
mod paint;
mod table;

use std::io::{self, IsTerminal, Write};

use holdpoint_common::chain::Chain;
use serde::Serialize;

use crate::args::{Format, When};
use crate::failure::Failure;
use crate::output::escape::{inert, visible, visible_json};
use crate::output::paint::Palette;
pub use crate::output::table::{Page, Table};

/// What a command answers.
pub trait Answer: Serialize {
    /// For people.
    fn page(&self) -> Page;

    /// For spreadsheets: a header of JSON names, then one record per line.
    fn records(&self) -> Table;

    /// For log collectors, a line each; `None` where the answer is nothing that happened or holds.
    fn cef(&self) -> Option<Vec<String>> {
        None
    }
}

/// How this call writes.
#[derive(Debug, Clone)]
pub struct Output {
    format: Format,
    stdout: Palette,
    stderr: Palette,
    /// Columns of the terminal; `None` when stdout is no terminal.
    width: Option<u16>,
    stderr_is_terminal: bool,
}

impl Output {
    /// Looks at the two streams and at the environment.
    pub fn from_environment(format: Format, color: When) -> Self {
        let wanted = |is_terminal| match color {
            When::Always => true,
            When::Never => false,
            When::Auto => is_terminal && paint::environment_wants_colour(|it| std::env::var_os(it)),
        };
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let width = out.then(|| terminal_size::terminal_size().map_or(DEFAULT_WIDTH, |(it, _)| it.0));
        Self {
            format,
            stdout: Palette::new(wanted(out)),
            stderr: Palette::new(wanted(err)),
            width,
            stderr_is_terminal: err,
        }
    }

    /// An output of plain text for tests.
    #[cfg(test)]
    pub fn plain(format: Format, width: Option<u16>) -> Self {
        let none = Palette::new(false);
        Self { format, stdout: none, stderr: none, width, stderr_is_terminal: false }
    }

    /// The chosen format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether somebody watches stderr.
    pub fn is_watched(&self) -> bool {
        self.stderr_is_terminal
    }

    /// Writes the answer to stdout.
    ///
    /// # Errors
    /// Stdout cannot be written for another cause than a reader that went away.
    pub fn print(&self, answer: &impl Answer) -> Result<(), Failure> {
        write_stdout(self.render(answer)?.as_bytes())
    }

    /// Writes a file's own bytes to stdout.
    ///
    /// # Errors
    /// As [`Output::print`].
    pub fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        write_stdout(bytes)
    }

    /// The answer in the chosen format, ending with a line break unless it is empty.
    pub fn render(&self, answer: &impl Answer) -> Result<String, Failure> {
        match self.format {
            Format::Table => Ok(answer.page().render(self.width, self.stdout)),
            Format::Json => {
                let mut json = visible_json(&serde_json::to_string_pretty(answer)?).into_owned();
                json.push('\n');
                Ok(json)
            }
            Format::Csv => csv(&answer.records()),
            Format::Cef => match answer.cef() {
                Some(lines) => Ok(lines.into_iter().map(|it| it + "\n").collect()),
                None => Err(Failure::Argument("only events and findings can be written as CEF".to_owned())),
            },
        }
    }

    /// Tells the person at the terminal something that is not data.
    pub fn note(&self, text: &str) {
        to_stderr(&visible(text));
    }

    /// Warns.
    pub fn warn(&self, text: &str) {
        to_stderr(&format!("{} {}", self.stderr.warning("warning:"), visible(text)));
    }

    /// Names a next step.
    pub fn hint(&self, text: &str) {
        to_stderr(&format!("{} {}", self.stderr.hint("hint:"), visible(text)));
    }

    /// Says what went wrong, with every cause, and what helps.
    pub fn fail(&self, failure: &Failure) {
        let chain = Chain(failure).to_string();
        let lines: Vec<_> = chain.lines().map(visible).collect();
        to_stderr(&format!("{} {}", self.stderr.error("error:"), lines.join("\n")));
        if let Some(hint) = failure.hint() {
            self.hint(&hint);
        }
    }
}

/// Columns of a terminal that does not tell its width.
const DEFAULT_WIDTH: u16 = 100;

/// Writes bytes to stdout; a reader that went away is no error.
pub fn write_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Stdout(cause)),
        _ => Ok(()),
    }
}

fn to_stderr(line: &str) {
    // Without a stderr there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

fn csv(records: &Table) -> Result<String, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(records.header())?;
    for row in records.rows() {
        writer.write_record(row.iter().map(|it| inert(it.as_deref().unwrap_or_default()).into_owned()))?;
    }
    let bytes = writer.into_inner().map_err(|it| Failure::Stdout(it.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair {
        name: &'static str,
        version: Option<&'static str>,
    }

    impl Answer for Vec<Pair> {
        fn page(&self) -> Page {
            Page::of(self.records()).or_line("nothing is installed")
        }

        fn records(&self) -> Table {
            let mut table = Table::new(["name", "version"]);
            for it in self {
                table.row([Some(it.name.into()), it.version.map(Into::into)]);
            }
            table
        }
    }

    fn hostile() -> Vec<Pair> {
        vec![
            Pair { name: "=cmd|' /C calc'!A0", version: None },
            Pair { name: "zl\u{1b}[31mib\n", version: Some("1,2") },
        ]
    }

    fn shown(format: Format, width: Option<u16>) -> String {
        Output::plain(format, width).render(&hostile()).unwrap()
    }

    #[test]
    fn tables_are_plain_in_a_pipe() {
        assert_eq!(
            shown(Format::Table, None),
            "NAME                VERSION\n=cmd|' /C calc'!A0  -\nzl\\u{1b}[31mib\\n    1,2\n"
        );
    }

    #[test]
    fn csv_quotes_commas_and_disarms_formulas() {
        assert_eq!(
            shown(Format::Csv, None),
            "name,version\n'=cmd|' /C calc'!A0,\nzl\\u{1b}[31mib\\n,\"1,2\"\n"
        );
    }

    #[test]
    fn json_is_one_document_with_null_for_absent() {
        let value: serde_json::Value = serde_json::from_str(&shown(Format::Json, None)).unwrap();
        assert_eq!(value[0]["version"], serde_json::Value::Null);
        assert_eq!(value[1]["name"], "zl\u{1b}[31mib\n");
    }

    #[test]
    fn what_is_no_event_is_not_written_as_one() {
        let failure = Output::plain(Format::Cef, None).render(&hostile()).unwrap_err();
        assert_eq!(failure.exit(), crate::failure::Exit::Usage);
    }

    #[test]
    fn nothing_is_said_in_words_only_to_people() {
        let none = Vec::<Pair>::new();
        let render = |format| Output::plain(format, None).render(&none).unwrap();
        assert_eq!(render(Format::Table), "nothing is installed\n");
        assert_eq!(render(Format::Json), "[]\n");
        assert_eq!(render(Format::Csv), "name,version\n");
    }
}
