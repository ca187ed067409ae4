//! Configuration files of single modules: `NAME = VALUE`, `NAME VALUE` or `NAME` alone.

use super::super::files::{self, Found};
use crate::scan::Look;

/// What the files of a module say, and what could not be read.
#[derive(Debug, Default)]
pub(super) struct Rules {
    set: Vec<(String, String, String)>,
    pub(super) gap: Option<(String, Found)>,
}

impl Rules {
    /// Reads the first of some files that is there.
    pub(super) fn of_first(look: &mut Look<'_>, paths: &[&str]) -> Self {
        let mut rules = Self::default();
        for path in paths {
            let found = files::read(look, path);
            if found != Found::Absent {
                rules.add(path, found);
                break;
            }
        }
        rules
    }

    /// Adds a file, the settings of which are stronger than those before it.
    pub(super) fn add(&mut self, path: &str, found: Found) {
        let text = match found {
            Found::Text(text) => text,
            Found::Absent => return,
            gap @ (Found::Denied | Found::Broken(_)) => {
                self.gap.get_or_insert_with(|| (path.to_owned(), gap));
                return;
            }
        };
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let end = line.find(|it: char| it.is_whitespace() || it == '=').unwrap_or(line.len());
            let (name, rest) = line.split_at(end);
            let rest = rest.trim_start();
            let value = rest.strip_prefix('=').unwrap_or(rest).trim();
            self.set.push((name.to_owned(), value.to_owned(), path.to_owned()));
        }
    }

    /// Whether no file was there, or none that sets anything.
    pub(super) fn is_absent(&self) -> bool {
        self.set.is_empty() && self.gap.is_none()
    }

    /// The value that counts, and the file that says it; the value of a name alone is empty.
    pub(super) fn get(&self, name: &str) -> Option<(&str, &str)> {
        let (_, value, path) = self.set.iter().rev().find(|it| it.0 == name)?;
        Some((value, path))
    }
}
