//! Everything that `sshd_config` and what it includes say, in the order in which OpenSSH reads it.

use std::rc::Rc;

use super::super::files::{self, Found};
use super::line::{self, Line};
use crate::scan::Look;

/// Where relative names of `Include` start, whatever file names them.
const BASE: &str = "etc/ssh";
/// As deep as OpenSSH follows `Include`.
const MAX_DEPTH: usize = 16;
/// Most files of one configuration.
const MAX_FILES: usize = 256;
/// Criteria that everybody meets.
pub(super) const EVERYBODY: &str = "all";
/// Most settings that are kept.
const MAX_SETTINGS: usize = 4_096;

/// A setting and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) line: Line,
    pub(super) file: Rc<str>,
    pub(super) number: usize,
    /// Criteria of the `Match` blocks around it; `None` in the global part.
    pub(super) block: Option<Rc<str>>,
}

/// What could not be read, and how many settings came before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) after: usize,
    pub(super) file: String,
    pub(super) found: Found,
}

/// A whole configuration.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) all: Vec<Setting>,
    /// The first file that could not be read: later settings may not count, because the first one wins.
    pub(super) gap: Option<Gap>,
    files: usize,
    is_full: bool,
}

impl Settings {
    /// Adds what a file says.
    pub(super) fn add_file(&mut self, look: &mut Look<'_>, path: &str) {
        self.file(look, path, None, 0);
    }

    /// Adds a setting of the command line, which comes before every file.
    pub(super) fn add_option(&mut self, text: &str, file: &str) {
        if let Some(Ok(line)) = line::read(text) {
            self.push(Setting { line, file: file.into(), number: 0, block: None });
        }
    }

    fn file(&mut self, look: &mut Look<'_>, path: &str, outer: Option<&Rc<str>>, depth: usize) {
        if self.files == MAX_FILES {
            self.is_full = true;
            return;
        }
        self.files += 1;
        match files::read(look, path) {
            Found::Text(text) => self.text(look, &text, path, outer, depth),
            Found::Absent => {}
            gap @ (Found::Denied | Found::Broken(_)) => {
                self.gap.get_or_insert(Gap { after: self.all.len(), file: path.to_owned(), found: gap });
            }
        }
    }

    fn text(&mut self, look: &mut Look<'_>, text: &str, path: &str, outer: Option<&Rc<str>>, depth: usize) {
        let file: Rc<str> = path.into();
        // A block ends with its file, and blocks of an included file stand within the outer one.
        let mut block = outer.cloned();
        for (index, content) in text.lines().enumerate() {
            let number = index + 1;
            let line = match line::read(content) {
                None => continue,
                Some(Ok(line)) => line,
                Some(Err(why)) => {
                    look.fault(format!("{path}: line {number}: {why}"));
                    continue;
                }
            };
            match line.keyword.as_str() {
                "match" => {
                    let criteria = line.arguments.join(" ");
                    let is_for_all = criteria.eq_ignore_ascii_case(EVERYBODY);
                    block = Some(match outer {
                        Some(outer) if is_for_all => Rc::clone(outer),
                        Some(outer) => format!("{outer} and {criteria}").into(),
                        None if is_for_all => EVERYBODY.into(),
                        None => criteria.into(),
                    });
                }
                "include" => {
                    for pattern in &line.arguments {
                        self.include(look, pattern, path, block.as_ref(), depth + 1);
                    }
                }
                _ => self.push(Setting { line, file: Rc::clone(&file), number, block: block.clone() }),
            }
            if self.is_full {
                let why = format!("more than {MAX_FILES} files or {MAX_SETTINGS} settings");
                self.missed(look, path, Found::Broken(why));
                return;
            }
        }
    }

    fn include(
        &mut self,
        look: &mut Look<'_>,
        pattern: &str,
        by: &str,
        block: Option<&Rc<str>>,
        depth: usize,
    ) {
        if depth > MAX_DEPTH {
            self.missed(look, by, Found::Broken(format!("Include more than {MAX_DEPTH} deep")));
            return;
        }
        if pattern.starts_with('~') {
            self.missed(look, by, Found::Broken("Include of a home directory".to_owned()));
            return;
        }
        let whole = if pattern.starts_with('/') { pattern.to_owned() } else { format!("{BASE}/{pattern}") };
        for path in expanded(look, &whole) {
            self.file(look, &path, block, depth);
            if self.is_full {
                return;
            }
        }
    }

    fn missed(&mut self, look: &mut Look<'_>, file: &str, found: Found) {
        if let Found::Broken(why) = &found
            && self.gap.is_none()
        {
            look.fault(format!("{file}: {why}"));
        }
        self.gap.get_or_insert(Gap { after: self.all.len(), file: file.to_owned(), found });
    }

    fn push(&mut self, setting: Setting) {
        if self.all.len() == MAX_SETTINGS {
            self.is_full = true;
        } else {
            self.all.push(setting);
        }
    }
}

/// The paths that a pattern of `Include` names, in the order of their bytes.
fn expanded(look: &mut Look<'_>, pattern: &str) -> Vec<String> {
    let mut paths = vec![String::new()];
    for part in pattern.split('/').filter(|it| !it.is_empty() && *it != ".") {
        let is_pattern = part.contains(['*', '?', '[', '\\']);
        let mut longer = Vec::new();
        for path in paths {
            let start = if path.is_empty() { String::new() } else { format!("{path}/") };
            if is_pattern {
                let Some(listing) = look.list(&path, files::MAX_NAMES) else { continue };
                let names = listing.entries.iter().filter(|it| line::fits(part, &it.name));
                longer.extend(names.map(|it| format!("{start}{}", it.name)));
            } else {
                longer.push(format!("{start}{part}"));
            }
        }
        longer.truncate(MAX_FILES + 1);
        paths = longer;
    }
    paths
}
