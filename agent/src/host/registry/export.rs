//! Exports as regedit and `reg export` write them: text, of which the lines apply in order.
//!
//! Forms: "Windows Registry Editor Version 5.00" and `REGEDIT4` (ANSI bytes in its hexadecimal texts),
//! described in Microsoft's "How to add, modify, or delete registry subkeys and values by using a .reg
//! file". What a person who writes one by hand gets wrong is an error with its line, and no part of such
//! an export is used: half a registry would say that programs are not installed.
//!
//! `HKEY_CLASSES_ROOT` and `HKEY_CURRENT_CONFIG` are other names of machine keys and are read as these.
//! `HKEY_CURRENT_USER` is left out, because an export does not say who that was; the list of users is
//! then an error. Keys of the machine that hold secrets are left out, as everywhere.

use std::io::{self, BufRead};

use super::data::{BINARY, EXPAND, LIST, TEXT, decode};
use super::lines::Lines;
use super::tree::{Refused, Tree};
use super::{Data, Value, is_secret};

/// Most characters of one statement, over all of its lines: what a value of 1 MiB takes.
const MAX_STATEMENT: usize = 4 * 1024 * 1024;

const CURRENT_USER: &str =
    "the export has keys of HKEY_CURRENT_USER and does not say whose they are; export HKEY_USERS instead";

const NO_FORM: &str = "data is neither text in quotes nor dword:, hex: or hex(type):";

/// Keys as an export spells their beginning, and as probes do.
const ROOTS: &[(&str, Option<&str>)] = &[
    ("HKEY_LOCAL_MACHINE", Some("HKLM")),
    ("HKLM", Some("HKLM")),
    ("HKEY_USERS", Some("HKU")),
    ("HKU", Some("HKU")),
    ("HKEY_CLASSES_ROOT", Some(r"HKLM\SOFTWARE\Classes")),
    ("HKCR", Some(r"HKLM\SOFTWARE\Classes")),
    ("HKEY_CURRENT_CONFIG", Some(r"HKLM\SYSTEM\CurrentControlSet\Hardware Profiles\Current")),
    ("HKCC", Some(r"HKLM\SYSTEM\CurrentControlSet\Hardware Profiles\Current")),
    ("HKEY_CURRENT_USER", None),
    ("HKCU", None),
];

/// Why an export is not used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidExport {
    /// Its text cannot be read.
    #[error("line {line} cannot be read")]
    Text {
        /// Line, from 1.
        line: usize,
        /// What is wrong there.
        source: io::Error,
    },
    /// A line is not understood.
    #[error("line {line}: {why}")]
    Line {
        /// Line, from 1, on which the statement begins.
        line: usize,
        /// What is wrong there, and what to write instead.
        why: String,
    },
}

/// The two forms, which differ in what hexadecimal text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Wide,
    Ansi,
}

impl Tree {
    /// The keys of one export.
    ///
    /// # Errors
    /// As [`Tree::merge`].
    pub fn from_export(text: &str) -> Result<Self, InvalidExport> {
        let mut tree = Self::default();
        tree.merge(text.as_bytes())?;
        Ok(tree)
    }

    /// Applies an export to the tree, line by line, as an import would.
    ///
    /// # Errors
    /// It cannot be read, is no export, or goes beyond a bound; the tree is then half changed and of no use.
    pub fn merge(&mut self, source: impl BufRead) -> Result<(), InvalidExport> {
        let mut lines = Lines::new(source).map_err(|source| InvalidExport::Text { line: 1, source })?;
        let form = form(&mut lines)?;
        let mut key = Place::None;
        while let Some((line, statement)) = statement(&mut lines)? {
            let applied = if statement.starts_with('[') {
                self.key_line(&statement).map(|it| key = it)
            } else {
                self.value_line(&statement, &key, form)
            };
            applied.map_err(|why| InvalidExport::Line { line, why })?;
        }
        Ok(())
    }

    fn key_line(&mut self, statement: &str) -> Result<Place, String> {
        let inside = statement[1..].strip_suffix(']').ok_or("a key has no ] at its end")?;
        let (is_removed, path) = inside.strip_prefix('-').map_or((false, inside), |it| (true, it));
        let (root, below) = path.split_once('\\').unwrap_or((path, ""));
        let known = ROOTS.iter().find(|(spelled, _)| spelled.eq_ignore_ascii_case(root));
        let Some((_, root)) = known else {
            return Err(format!("{root:?} begins no key; write HKEY_LOCAL_MACHINE or HKEY_USERS"));
        };
        let Some(root) = root else {
            self.lacks_users(CURRENT_USER);
            return Ok(Place::LeftOut);
        };
        let path = format!("{root}\\{below}");
        if is_secret(&path) {
            return Ok(Place::LeftOut);
        }
        if is_removed {
            self.remove_key(&path);
            return Ok(Place::None);
        }
        Ok(Place::At(self.add_key(&path).map_err(said)?))
    }

    fn value_line(&mut self, statement: &str, key: &Place, form: Form) -> Result<(), String> {
        let (name, rest) = match statement.strip_prefix('@') {
            Some(rest) => (String::new(), rest),
            None => quoted(statement)?,
        };
        let written = rest.trim_start().strip_prefix('=').ok_or("= is missing behind the name of a value")?;
        let written = written.trim();
        let data = if without_comment(written) == "-" { None } else { Some(data(written, form)?) };
        match (key, data) {
            (Place::None, Some(_)) => Err("a value stands before any key".to_owned()),
            (Place::None, None) | (Place::LeftOut, _) => Ok(()),
            (Place::At(key), None) => {
                self.remove_value(*key, &name);
                Ok(())
            }
            (Place::At(key), Some(data)) => self.set(*key, Value { name, data }).map_err(said),
        }
    }
}

/// Where values go.
enum Place {
    None,
    LeftOut,
    At(u32),
}

fn said(refused: Refused) -> String {
    refused.to_string()
}

fn form<R: BufRead>(lines: &mut Lines<R>) -> Result<Form, InvalidExport> {
    loop {
        let line = next(lines)?;
        match line.as_deref().map(str::trim) {
            Some("") => {}
            Some("Windows Registry Editor Version 5.00") => return Ok(Form::Wide),
            Some("REGEDIT4") => return Ok(Form::Ansi),
            Some(_) | None => {
                let why =
                    "no export of a registry: the first line is no \"Windows Registry Editor Version 5.00\"";
                return Err(InvalidExport::Line { line: lines.count.max(1), why: why.to_owned() });
            }
        }
    }
}

fn next<R: BufRead>(lines: &mut Lines<R>) -> Result<Option<String>, InvalidExport> {
    let line = lines.count + 1;
    lines.next().map_err(|source| InvalidExport::Text { line, source })
}

/// The next key or value with the line that it begins on: lines that end with `\` outside of quotes go on,
/// and so does a text that has a line break in it.
fn statement<R: BufRead>(lines: &mut Lines<R>) -> Result<Option<(usize, String)>, InvalidExport> {
    loop {
        let Some(line) = next(lines)? else { return Ok(None) };
        let (begun, mut all) = (lines.count, line.trim_start().to_owned());
        if all.is_empty() || all.starts_with(';') {
            continue;
        }
        if all.starts_with('[') {
            all.truncate(all.trim_end().len());
            return Ok(Some((begun, all)));
        }
        let mut text = Quotes::default();
        text.read(&all);
        while text.is_open || all.trim_end().ends_with('\\') {
            let at_end =
                || InvalidExport::Line { line: begun, why: "the file ends within a value".to_owned() };
            let more = next(lines)?.ok_or_else(at_end)?;
            if text.is_open {
                all.push('\n');
            } else {
                all.truncate(all.trim_end().len() - 1);
            }
            text.read(&more);
            all.push_str(&more);
            if all.len() > MAX_STATEMENT {
                let why = format!("a value of more than {MAX_STATEMENT} characters");
                return Err(InvalidExport::Line { line: begun, why });
            }
        }
        return Ok(Some((begun, all)));
    }
}

/// Whether a statement stops within quotes.
#[derive(Default)]
struct Quotes {
    is_open: bool,
}

impl Quotes {
    fn read(&mut self, text: &str) {
        let mut is_escaped = false;
        for letter in text.chars() {
            match letter {
                _ if is_escaped => is_escaped = false,
                '\\' if self.is_open => is_escaped = true,
                '"' => self.is_open = !self.is_open,
                // What a comment quotes opens nothing.
                ';' if !self.is_open => return,
                _ => {}
            }
        }
    }
}

/// The text of a quoted beginning, and what follows it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let inside = text.strip_prefix('"').ok_or("neither a key in [ ] nor a value in quotes")?;
    let mut plain = String::new();
    let mut letters = inside.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((plain, &inside[at + 1..])),
            '\\' => match letters.next() {
                Some((_, it @ ('\\' | '"'))) => plain.push(it),
                Some((_, it)) => return Err(format!("one \\ before {it:?} within quotes; write two")),
                None => break,
            },
            it => plain.push(it),
        }
    }
    Err("a quote is not closed".to_owned())
}

fn without_comment(text: &str) -> &str {
    text.split_once(';').map_or(text, |(before, _)| before).trim_end()
}

fn data(written: &str, form: Form) -> Result<Data, String> {
    if written.starts_with('"') {
        let (text, rest) = quoted(written)?;
        return if without_comment(rest).is_empty() {
            Ok(Data::Text(text))
        } else {
            Err("something follows the closing quote".to_owned())
        };
    }
    let (kind, digits) = without_comment(written).split_once(':').ok_or(NO_FORM)?;
    let kind = kind.to_ascii_lowercase();
    if kind == "dword" {
        return number(digits.trim())
            .map(Data::Number)
            .ok_or_else(|| "dword: takes 1 to 8 digits of 0-9 a-f".to_owned());
    }
    let kind = match kind.strip_prefix("hex") {
        Some("") => Some(BINARY),
        Some(it) => it.strip_prefix('(').and_then(|it| it.strip_suffix(')')).and_then(number),
        None => None,
    };
    let kind = kind.ok_or(NO_FORM)?;
    let bytes = bytes(digits).ok_or("hex: takes pairs of 0-9 a-f with commas between")?;
    Ok(match form {
        Form::Ansi if matches!(kind, TEXT | EXPAND | LIST) => from_ansi(kind, bytes),
        Form::Ansi | Form::Wide => decode(kind, bytes),
    })
}

fn number(digits: &str) -> Option<u32> {
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_hexdigit());
    is_number.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.trim().trim_end_matches(',');
    if digits.is_empty() {
        return Some(Vec::new());
    }
    digits.split(',').map(str::trim).map(|it| number(it).and_then(|it| u8::try_from(it).ok())).collect()
}

/// Text of one byte a character. Which code page it was in is not known, so that only ASCII is text.
fn from_ansi(kind: u32, bytes: Vec<u8>) -> Data {
    if bytes.is_ascii() {
        decode(kind, bytes.into_iter().flat_map(|it| [it, 0]).collect())
    } else {
        Data::Bytes { kind, bytes }
    }
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
