//! How a supplier's lists are read: which header it is for, which column means what, which word means which state.
//!
//! Source of truth: a TOML file that a person wrote and reviewed. There is no default state: a word that is not
//! listed is undetermined, and no word at all is no statement.

use std::collections::BTreeMap;

use super::statement::SupplierState;
use super::text::shown;

/// Longest value, in bytes.
const MAX_VALUE: usize = 200;
/// Most words or columns.
const MAX_WORDS: usize = 500;
/// What a column can mean.
const FIELDS: [&str; 9] =
    ["vendor", "product", "version", "patch", "state", "conditions", "date", "superseded_by", "note"];

/// How lists with certain columns are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mapping {
    /// Its name; a newer file of that name takes its place.
    pub id: String,
    /// The supplier, where the list does not say it.
    pub vendor: String,
    /// Headings that a list must have to be read by this mapping.
    pub header: Vec<String>,
    /// What separates cells.
    pub delimiter: u8,
    /// From our word for a column to its heading.
    pub columns: BTreeMap<String, String>,
    /// From the supplier's word, lower case, to the state.
    pub states: BTreeMap<String, SupplierState>,
}

/// Why a mapping is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMapping {
    /// The TOML cannot be read.
    #[error("it cannot be read: {0}")]
    Syntax(String),
    /// A key that means nothing here.
    #[error("`{0}` is not a known key of a mapping")]
    UnknownKey(String),
    /// A key that is needed.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A value of another form.
    #[error("`{0}` is not what a mapping needs there")]
    Value(String),
    /// A state that does not exist.
    #[error("`{word}` is no state; use one of {known}")]
    State {
        /// As written.
        word: String,
        /// All that are.
        known: String,
    },
    /// A word for nothing.
    #[error("an empty word is no statement and cannot mean anything else")]
    Silence,
}

/// Whether a text looks like a mapping.
pub fn looks_like(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
    lines.next().is_some_and(|it| it.replace(' ', "") == "[mapping]")
}

impl Mapping {
    /// Reads a file.
    pub fn read(text: &str) -> Result<Self, InvalidMapping> {
        let file: toml::Table =
            text.parse().map_err(|it: toml::de::Error| InvalidMapping::Syntax(shown(it.message(), 200)))?;
        if let Some(key) = file.keys().find(|it| !["mapping", "columns", "states"].contains(&it.as_str())) {
            return Err(InvalidMapping::UnknownKey(shown(key, 60)));
        }
        let table = |key: &'static str| match file.get(key) {
            Some(toml::Value::Table(table)) if table.len() <= MAX_WORDS => Ok(table),
            Some(_) => Err(InvalidMapping::Value(key.to_owned())),
            None => Err(InvalidMapping::Missing(key)),
        };
        let mut mapping = Self { delimiter: b',', ..Self::default() };
        for (key, value) in table("mapping")? {
            let wrong = || InvalidMapping::Value(shown(key, 60));
            match key.as_str() {
                "id" => mapping.id = text_of(value).ok_or_else(wrong)?,
                "vendor" => mapping.vendor = text_of(value).ok_or_else(wrong)?,
                "delimiter" => {
                    mapping.delimiter = match value.as_str() {
                        Some(",") => b',',
                        Some(";") => b';',
                        Some("\t" | "tab") => b'\t',
                        _ => return Err(wrong()),
                    };
                }
                "header" => {
                    let headings = value.as_array().filter(|it| it.len() <= MAX_WORDS).ok_or_else(wrong)?;
                    let headings: Option<Vec<String>> = headings.iter().map(text_of).collect();
                    mapping.header = headings.ok_or_else(wrong)?;
                }
                _ => return Err(InvalidMapping::UnknownKey(shown(key, 60))),
            }
        }
        for (key, value) in table("columns")? {
            if !FIELDS.contains(&key.as_str()) {
                return Err(InvalidMapping::UnknownKey(shown(key, 60)));
            }
            let heading = text_of(value).ok_or_else(|| InvalidMapping::Value(shown(key, 60)))?;
            mapping.columns.insert(key.clone(), heading);
        }
        for (word, state) in table("states")? {
            let state = text_of(state).ok_or_else(|| InvalidMapping::Value(shown(word, 60)))?;
            let known = || SupplierState::ALL.map(SupplierState::as_str).join(", ");
            let state = SupplierState::named(&state)
                .ok_or_else(|| InvalidMapping::State { word: shown(&state, 60), known: known() })?;
            let word = word.trim().to_lowercase();
            if word.is_empty() {
                return Err(InvalidMapping::Silence);
            }
            mapping.states.insert(word, state);
        }
        for (key, missing) in [("id", mapping.id.is_empty()), ("header", mapping.header.is_empty())] {
            if missing {
                return Err(InvalidMapping::Missing(key));
            }
        }
        for key in ["patch", "state"] {
            if !mapping.columns.contains_key(key) {
                return Err(InvalidMapping::Missing(key));
            }
        }
        Ok(mapping)
    }

    /// Whether a list with these headings is one of this mapping's.
    pub fn recognises(&self, headings: &[String]) -> bool {
        self.header.iter().all(|wanted| headings.iter().any(|it| it.eq_ignore_ascii_case(wanted)))
    }

    /// What a word means, and whether the mapping knows it.
    pub fn state(&self, raw: &str) -> (SupplierState, bool) {
        let word = raw.trim().to_lowercase();
        match self.states.get(&word) {
            Some(state) => (*state, true),
            None if word.is_empty() => (SupplierState::NoStatement, true),
            None => (SupplierState::Undetermined, false),
        }
    }
}

fn text_of(value: &toml::Value) -> Option<String> {
    let text = value.as_str()?.trim();
    (!text.is_empty() && text.len() <= MAX_VALUE).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_says_what_it_is_for_or_is_refused() {
        let whole = "[mapping]\nid = \"a\"\nheader = [\"P\"]\n[columns]\npatch = \"P\"\nstate = \"S\"\n\
                     [states]\n\"Good\" = \"Approved\"\n";
        assert_eq!(Mapping::read(whole).unwrap().state(" GOOD "), (SupplierState::Approved, true));
        let refused = |from: &str, to: &str| Mapping::read(&whole.replace(from, to)).unwrap_err();
        assert_eq!(refused("id = \"a\"", ""), InvalidMapping::Missing("id"));
        assert_eq!(refused("patch = \"P\"", ""), InvalidMapping::Missing("patch"));
        assert_eq!(refused("\"Good\"", "\"\""), InvalidMapping::Silence);
        assert_eq!(refused("[columns]", "[column]"), InvalidMapping::UnknownKey("column".into()));
        assert!(refused("Approved", "Fine").to_string().starts_with("`Fine` is no state; use one of NoS"));
        assert!(looks_like(whole) && !looks_like("[[requirement]]\n"));
    }
}
