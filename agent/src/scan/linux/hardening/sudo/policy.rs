//! A whole policy: the lines of `sudoers` and of what it includes, and what the aliases stand for.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::files::{self, Found};
use super::grammar::{self, Item, Kind, Line, Privilege, Setting};
use crate::scan::Look;

/// As deep as sudo follows includes.
const MAX_DEPTH: usize = 128;
/// Most files of one policy.
const MAX_FILES: usize = 256;
/// Most lines that say something.
const MAX_LINES: usize = 8_192;
/// Most members that a list grows to when its aliases are written out.
const MAX_MEMBERS: usize = 512;
/// How often an alias may lead to another one.
const MAX_ALIASES: usize = 16;

/// A line of `Defaults`.
#[derive(Debug)]
pub(super) struct Defaults {
    pub(super) scope: Option<String>,
    pub(super) settings: Vec<Setting>,
    pub(super) file: Rc<str>,
}

/// A rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) users: Vec<Item>,
    pub(super) privileges: Vec<Privilege>,
    pub(super) file: Rc<str>,
}

/// Everything that the files say.
#[derive(Debug, Default)]
pub(super) struct Policy {
    pub(super) defaults: Vec<Defaults>,
    pub(super) rules: Vec<Rule>,
    /// The first thing that could not be read.
    pub(super) gap: Option<(String, Found)>,
    aliases: BTreeMap<(Kind, String), Vec<Item>>,
    files: usize,
    lines: usize,
}

impl Policy {
    /// Reads a file and what it includes.
    pub(super) fn of(look: &mut Look<'_>, path: &str) -> Self {
        let mut policy = Self::default();
        let found = files::read(look, path);
        policy.file(look, path, found, 0);
        policy
    }

    fn file(&mut self, look: &mut Look<'_>, path: &str, found: Found, depth: usize) {
        self.files += 1;
        let text = match found {
            Found::Text(text) => text,
            gap @ (Found::Absent | Found::Denied | Found::Broken(_)) => {
                self.gap.get_or_insert((path.to_owned(), gap));
                return;
            }
        };
        let file: Rc<str> = path.into();
        for (number, line) in grammar::logical_lines(&text) {
            match grammar::read(&line) {
                None => continue,
                Some(Ok(line)) => self.line(look, line, &file, depth),
                Some(Err(why)) => self.wrong(look, &file, &format!("line {number}: {why}")),
            }
            self.lines += 1;
            if self.lines >= MAX_LINES {
                self.wrong(look, &file, &format!("more than {MAX_LINES} lines"));
                return;
            }
        }
    }

    fn line(&mut self, look: &mut Look<'_>, line: Line, file: &Rc<str>, depth: usize) {
        match line {
            Line::Include { path, is_directory } => self.include(look, &path, is_directory, file, depth + 1),
            Line::Aliases(kind, aliases) => {
                self.aliases.extend(aliases.into_iter().map(|(name, members)| ((kind, name), members)));
            }
            Line::Defaults { scope, settings } => {
                self.defaults.push(Defaults { scope, settings, file: Rc::clone(file) });
            }
            Line::Rule { users, privileges } => {
                self.rules.push(Rule { users, privileges, file: Rc::clone(file) });
            }
        }
    }

    fn include(&mut self, look: &mut Look<'_>, path: &str, is_directory: bool, by: &Rc<str>, depth: usize) {
        if path.contains('%') {
            return self.wrong(look, by, "a file with this host's name is included, which is not followed");
        }
        let path = match path.strip_prefix('/') {
            Some(path) => path.to_owned(),
            None => format!("{}/{path}", by.rsplit_once('/').map_or("", |it| it.0)),
        };
        if depth > MAX_DEPTH || self.files >= MAX_FILES || self.lines >= MAX_LINES {
            return self.wrong(look, by, "it includes too much");
        }
        let found = if is_directory {
            // Names of editors' and package managers' copies have a dot or end with a tilde.
            files::read_all(look, path.trim_end_matches('/'), |it| !it.ends_with('~') && !it.contains('.'))
        } else {
            let found = files::read(look, &path);
            if found == Found::Absent {
                self.wrong(look, by, &format!("{path}, which it includes, is not there"));
                return;
            }
            vec![(path, found)]
        };
        for (path, found) in found {
            self.file(look, &path, found, depth);
        }
    }

    fn wrong(&mut self, look: &mut Look<'_>, file: &str, why: &str) {
        // The first of these says enough when files include one another.
        if self.gap.as_ref().is_none_or(|it| it.1 != Found::Broken(why.to_owned())) {
            look.fault(format!("{file}: {why}"));
        }
        self.gap.get_or_insert((file.to_owned(), Found::Broken(why.to_owned())));
    }

    /// A list with its aliases written out, cut at a bound. What no alias has that name stays.
    pub(super) fn written_out(&self, kind: Kind, items: &[Item]) -> Vec<Item> {
        let mut out = Vec::new();
        self.write_out(kind, items, false, 0, &mut out);
        out
    }

    fn write_out(&self, kind: Kind, items: &[Item], is_negative: bool, depth: usize, out: &mut Vec<Item>) {
        for item in items {
            if out.len() >= MAX_MEMBERS {
                return;
            }
            let is_negative = is_negative != item.is_negative;
            let members = if grammar::is_alias(&item.text) && item.text != "ALL" && depth < MAX_ALIASES {
                self.aliases.get(&(kind, item.text.clone()))
            } else {
                None
            };
            match members {
                Some(members) => self.write_out(kind, members, is_negative, depth + 1, out),
                None => out.push(Item { is_negative, text: item.text.clone() }),
            }
        }
    }
}
