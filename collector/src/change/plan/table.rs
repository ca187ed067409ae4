//! Keys of a TOML table, taken one by one. Whatever is wrong is told with the key that it stands at and replaced
//! by nothing; a key that nobody took is not known.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::{Table, Value};

use super::MAX_FAULTS;
use crate::knowledge::text::shown;

/// Longest word or line, in bytes.
pub(super) const MAX_LINE: usize = 500;
/// Longest text of several lines, in bytes.
pub(super) const MAX_PROSE: usize = 4_000;
/// Longest identifier, in bytes.
const MAX_ID: usize = 64;
/// Most entries of a list of words.
const MAX_WORDS: usize = 10_000;
/// What an identifier is made of.
const ID: &str = "1 to 64 letters, digits, dots, dashes and underscores, the first a letter or digit";

/// What is wrong with a file, in the order in which it is found.
#[derive(Debug, Default)]
pub(super) struct Faults {
    told: RefCell<Vec<String>>,
}

impl Faults {
    /// Adds what is wrong at a key.
    pub(super) fn add(&self, at: &str, what: impl AsRef<str>) {
        let mut told = self.told.borrow_mut();
        // One more than is listed, so that the last line can say that there are more.
        if told.len() <= MAX_FAULTS {
            told.push(format!("{at}: {}", shown(what.as_ref(), 300)));
        }
    }

    /// All of them, at most [`MAX_FAULTS`] lines.
    pub(super) fn into_lines(self) -> Vec<String> {
        let mut told = self.told.into_inner();
        if told.len() > MAX_FAULTS {
            told.truncate(MAX_FAULTS - 1);
            told.push("there are more faults than these".to_owned());
        }
        told
    }
}

/// A table whose keys are taken one by one.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    place: String,
    table: Table,
    asked: Vec<&'static str>,
    faults: &'a Faults,
}

impl<'a> Keys<'a> {
    /// The whole file.
    pub(super) fn of_file(table: Table, faults: &'a Faults) -> Self {
        Self { place: String::new(), table, asked: Vec::new(), faults }
    }

    /// Where a key stands: "window.start".
    pub(super) fn at(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }

    /// Tells what is wrong with a key.
    pub(super) fn fault(&self, key: &str, what: impl AsRef<str>) {
        self.faults.add(&self.at(key), what);
    }

    /// Tells what is wrong with the table as a whole.
    pub(super) fn fault_here(&self, what: impl AsRef<str>) {
        self.faults.add(if self.place.is_empty() { "the file" } else { &self.place }, what);
    }

    /// Whether a key is there and was not taken.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.table.remove(key)
    }

    fn wrong(&self, key: &str, found: &str, wanted: &str) {
        self.fault(key, format!("it has the type {found}, and has to be {wanted}"));
    }

    fn string(&mut self, key: &'static str) -> Option<String> {
        let value = self.take(key)?;
        let found = value.type_str();
        let Value::String(text) = value else {
            self.wrong(key, found, "text");
            return None;
        };
        Some(text)
    }

    /// One line of text without blanks around it; `None` when it is missing or wrong.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let text = self.string(key)?;
        self.line(key, &text)
    }

    /// As [`Keys::text`], and it has to be there.
    pub(super) fn needed(&mut self, key: &'static str) -> Option<String> {
        if !self.has(key) {
            self.asked.push(key);
            self.fault(key, "it is missing");
            return None;
        }
        self.text(key)
    }

    /// Text of several lines.
    pub(super) fn prose(&mut self, key: &'static str) -> Option<String> {
        let text = self.string(key)?;
        let text = text.trim();
        let is_odd = |it: char| it.is_control() && !matches!(it, '\n' | '\r' | '\t');
        if text.is_empty() || text.len() > MAX_PROSE || text.chars().any(is_odd) {
            self.fault(key, format!("it is not a text of 1 to {MAX_PROSE} bytes without control characters"));
            return None;
        }
        Some(text.to_owned())
    }

    /// An identifier that has to be there.
    pub(super) fn id(&mut self, key: &'static str) -> Option<String> {
        let id = self.needed(key)?;
        if !is_id(&id) {
            self.fault(key, format!("it is not {ID}"));
            return None;
        }
        Some(id)
    }

    /// SHA-256 in hexadecimal digits, in lower case.
    pub(super) fn sha256(&mut self, key: &'static str) -> Option<String> {
        let text = self.text(key)?;
        if text.len() != 64 || !text.bytes().all(|it| it.is_ascii_hexdigit()) {
            self.fault(key, "it is no SHA-256 in 64 hexadecimal digits");
            return None;
        }
        Some(text.to_ascii_lowercase())
    }

    /// A list of lines; empty when it is missing. What is there twice is there once.
    pub(super) fn words(&mut self, key: &'static str) -> Vec<String> {
        let listed = match self.take(key) {
            None => return Vec::new(),
            Some(Value::Array(listed)) => listed,
            Some(other) => {
                self.wrong(key, other.type_str(), "a list of texts");
                return Vec::new();
            }
        };
        if listed.len() > MAX_WORDS {
            self.fault(key, format!("it has more than {MAX_WORDS} entries"));
            return Vec::new();
        }
        let (mut words, mut seen) = (Vec::new(), BTreeSet::new());
        for value in listed {
            match &value {
                Value::String(text) => {
                    let Some(word) = self.line(key, text) else { continue };
                    if seen.insert(word.clone()) {
                        words.push(word);
                    } else {
                        self.fault(key, format!("`{word}` is there twice"));
                    }
                }
                Value::Integer(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Datetime(_)
                | Value::Array(_)
                | Value::Table(_) => self.wrong(key, value.type_str(), "a list of texts"),
            }
        }
        words
    }

    /// A whole number within bounds; `otherwise` when it is missing or wrong.
    pub(super) fn whole(&mut self, key: &'static str, bounds: RangeInclusive<u32>, otherwise: u32) -> u32 {
        match self.take(key) {
            None => otherwise,
            Some(Value::Integer(number)) => match u32::try_from(number).ok().filter(|it| bounds.contains(it))
            {
                Some(number) => number,
                None => {
                    self.fault(key, format!("it is not between {} and {}", bounds.start(), bounds.end()));
                    otherwise
                }
            },
            Some(other) => {
                self.wrong(key, other.type_str(), "a whole number");
                otherwise
            }
        }
    }

    /// A number, which has a size.
    pub(super) fn number(&mut self, key: &'static str) -> Option<f64> {
        let number = match self.take(key)? {
            Value::Float(number) => number,
            Value::Integer(number) => match i32::try_from(number) {
                Ok(number) => f64::from(number),
                Err(_) => {
                    self.fault(key, "write a number of that size with a decimal point");
                    return None;
                }
            },
            other @ (Value::String(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Table(_)) => {
                self.wrong(key, other.type_str(), "a number");
                return None;
            }
        };
        if !number.is_finite() {
            self.fault(key, "it is no number that can be compared");
            return None;
        }
        Some(number)
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        let Value::Boolean(flag) = value else {
            self.wrong(key, value.type_str(), "true or false");
            return None;
        };
        Some(flag)
    }

    /// A moment with its offset from UTC, as text or as TOML's own, in Unix milliseconds.
    pub(super) fn moment(&mut self, key: &'static str) -> Option<i64> {
        let text = match self.take(key)? {
            Value::String(text) => text,
            Value::Datetime(at) => at.to_string(),
            other @ (Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Array(_)
            | Value::Table(_)) => {
                self.wrong(key, other.type_str(), "a time");
                return None;
            }
        };
        let at = OffsetDateTime::parse(text.trim(), &Rfc3339).ok();
        let at = at.and_then(|it| i64::try_from(it.unix_timestamp_nanos() / 1_000_000).ok());
        if at.is_none() {
            self.fault(
                key,
                format!("`{}` is no time with its offset, such as 2027-03-04T06:00:00Z", shown(&text, 60)),
            );
        }
        at
    }

    /// A table; `None` when it is missing or wrong.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Keys<'a>> {
        let place = self.at(key);
        let value = self.take(key)?;
        let found = value.type_str();
        let Value::Table(table) = value else {
            self.wrong(key, found, "a table");
            return None;
        };
        Some(Keys { place, table, asked: Vec::new(), faults: self.faults })
    }

    /// A list of tables; empty when it is missing or wrong.
    pub(super) fn tables(&mut self, key: &'static str, max: usize) -> Vec<Keys<'a>> {
        let listed = match self.take(key) {
            None => return Vec::new(),
            Some(Value::Array(listed)) => listed,
            Some(other) => {
                self.wrong(key, other.type_str(), "a list of tables");
                return Vec::new();
            }
        };
        if listed.len() > max {
            self.fault(key, format!("there are more than {max}"));
            return Vec::new();
        }
        let mut tables = Vec::new();
        for (number, value) in (1_usize..).zip(listed) {
            let place = format!("{}[{number}]", self.at(key));
            let found = value.type_str();
            let Value::Table(table) = value else {
                self.faults.add(&place, format!("it has the type {found}, and has to be a table"));
                continue;
            };
            tables.push(Keys { place, table, asked: Vec::new(), faults: self.faults });
        }
        tables
    }

    /// As [`Keys::tables`], and there has to be one.
    pub(super) fn needed_tables(&mut self, key: &'static str, max: usize, why: &str) -> Vec<Keys<'a>> {
        let is_there = self.table.get(key).is_some_and(|it| it.as_array().is_none_or(|it| !it.is_empty()));
        if !is_there {
            self.fault(key, why);
        }
        self.tables(key, max)
    }

    /// What is left of the table, for a reader that knows its keys itself.
    pub(super) fn into_table(self) -> Table {
        self.table
    }

    /// Ends the table: whatever nobody took is not known.
    pub(super) fn end(self) {
        for key in self.table.keys() {
            let known = self.asked.join(", ");
            self.fault(&shown(key, 60), format!("the key is not known; known are {known}"));
        }
    }

    fn line(&self, key: &str, text: &str) -> Option<String> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_LINE || text.chars().any(char::is_control) {
            self.fault(key, format!("it is not one line of 1 to {MAX_LINE} bytes"));
            return None;
        }
        Some(text.to_owned())
    }
}

fn is_id(text: &str) -> bool {
    let is_fine = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_');
    text.len() <= MAX_ID
        && text.starts_with(|it: char| it.is_ascii_alphanumeric())
        && text.chars().all(is_fine)
}
