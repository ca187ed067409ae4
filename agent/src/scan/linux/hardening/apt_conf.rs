//! The configuration of apt, as apt itself puts it together.
//!
//! Source of truth: the files of `etc/apt/apt.conf.d` in the order of their names, then
//! `etc/apt/apt.conf`; a later setting is stronger, and lists grow. Names of settings do not tell
//! capital letters. `#clear` takes a setting and all below it away. What `APT_CONFIG` of some program's
//! environment adds is not seen, and `#include` is not followed.

use std::rc::Rc;

use super::files::{self, Found};
use crate::host::Reads;
use crate::scan::Look;

/// What this source may touch.
pub(super) const READS: &[Reads] =
    &[Reads::content("etc/apt/apt.conf"), Reads::content("etc/apt/apt.conf.d/*")];

const MAIN: &str = "etc/apt/apt.conf";
const PARTS: &str = "etc/apt/apt.conf.d";
/// Most settings that are kept.
const MAX_ENTRIES: usize = 16_384;
/// Most sections within sections.
const MAX_DEPTH: usize = 64;

/// Everything that the files set.
#[derive(Debug, Default)]
pub(super) struct AptConf {
    entries: Vec<Entry>,
    /// The first thing that could not be read: anything could stand there.
    pub(super) gap: Option<(String, Found)>,
}

#[derive(Debug)]
struct Entry {
    /// In small letters; that of an item of a list is its list's.
    name: String,
    is_item: bool,
    value: String,
    file: Rc<str>,
}

impl AptConf {
    /// Reads the files.
    pub(super) fn of(look: &mut Look<'_>) -> Self {
        let mut conf = Self::default();
        let mut all = files::read_all(look, PARTS, |it| is_name(it, "conf") || is_plain(it));
        all.push((MAIN.to_owned(), files::read(look, MAIN)));
        for (path, found) in all {
            match found {
                Found::Text(text) => conf.add(look, &path, &text),
                Found::Absent => {}
                gap @ (Found::Denied | Found::Broken(_)) => {
                    conf.gap.get_or_insert((path, gap));
                }
            }
        }
        conf
    }

    fn add(&mut self, look: &mut Look<'_>, path: &str, text: &str) {
        let file: Rc<str> = path.into();
        if let Err(why) = self.read(text, &file) {
            look.fault(format!("{path}: {why}"));
            self.gap.get_or_insert((path.to_owned(), Found::Broken(why.to_owned())));
        }
    }

    /// What the sections are called in which a statement stands is put before its name.
    fn read(&mut self, text: &str, file: &Rc<str>) -> Result<(), &'static str> {
        let mut parents: Vec<String> = Vec::new();
        let mut statement = String::new();
        let mut rest = text;
        let mut in_quotes = false;
        while let Some(it) = rest.chars().next() {
            let after = &rest[it.len_utf8()..];
            match it {
                '\n' if in_quotes => return Err("a quote that does not end with its line"),
                '"' => {
                    in_quotes = !in_quotes;
                    statement.push(it);
                }
                it if in_quotes => statement.push(it),
                '/' if after.starts_with('*') => {
                    let Some((_, after)) = after.split_once("*/") else {
                        return Err("a comment that does not end");
                    };
                    rest = after;
                    continue;
                }
                '/' if after.starts_with('/') => {
                    rest = line_end(after);
                    continue;
                }
                '#' if !after.starts_with("clear") => {
                    rest = line_end(after);
                    continue;
                }
                '{' => {
                    let parent = self.open(&statement, parents.last(), file)?;
                    if parents.len() == MAX_DEPTH {
                        return Err("too many sections within sections");
                    }
                    parents.push(parent);
                    statement.clear();
                }
                ';' | '}' => {
                    self.close(&statement, parents.last(), file)?;
                    statement.clear();
                    if it == '}' {
                        parents.pop();
                    }
                }
                it => statement.push(it),
            }
            rest = after;
        }
        if in_quotes || !parents.is_empty() || !statement.trim().is_empty() {
            return Err("it ends within a statement");
        }
        Ok(())
    }

    /// `NAME {` or `NAME "value" {`.
    fn open(
        &mut self,
        statement: &str,
        parent: Option<&String>,
        file: &Rc<str>,
    ) -> Result<String, &'static str> {
        let (name, rest) = word(statement)?;
        let name = below(parent, &name);
        if !rest.trim().is_empty() {
            let (value, rest) = word(rest)?;
            if !rest.trim().is_empty() {
                return Err("more than a name and a value");
            }
            self.set(&name, value, file)?;
        }
        Ok(name)
    }

    /// `NAME "value";`, `"value";` of a list, `#clear NAME;`, or nothing.
    fn close(
        &mut self,
        statement: &str,
        parent: Option<&String>,
        file: &Rc<str>,
    ) -> Result<(), &'static str> {
        if statement.trim().is_empty() {
            return Ok(());
        }
        let (first, rest) = word(statement)?;
        if rest.trim().is_empty() {
            return self.set(&below(parent, ""), first, file);
        }
        let (value, rest) = word(rest)?;
        if !rest.trim().is_empty() {
            return Err("more than a name and a value");
        }
        if first == "#clear" {
            self.clear(&value);
            return Ok(());
        }
        self.set(&below(parent, &first), value, file)
    }

    fn set(&mut self, name: &str, value: String, file: &Rc<str>) -> Result<(), &'static str> {
        if self.entries.len() == MAX_ENTRIES {
            return Err("more settings than are kept");
        }
        let name = name.to_ascii_lowercase();
        let (name, is_item) = match name.strip_suffix("::") {
            Some(list) => (list.to_owned(), true),
            None => (name, false),
        };
        self.entries.push(Entry { name, is_item, value, file: Rc::clone(file) });
        Ok(())
    }

    fn clear(&mut self, name: &str) {
        let name = name.trim_end_matches(':').to_ascii_lowercase();
        self.entries.retain(|it| {
            it.name.strip_prefix(&name).is_none_or(|below| !below.is_empty() && !below.starts_with("::"))
        });
    }

    /// The value that counts, and the file that says it.
    pub(super) fn get(&self, name: &str) -> Option<(&str, &str)> {
        let entry = self.entries.iter().rev().find(|it| !it.is_item && it.name.eq_ignore_ascii_case(name))?;
        Some((&entry.value, &entry.file))
    }

    /// The items of a list, and the file that added the last one.
    pub(super) fn list(&self, name: &str) -> Option<(Vec<String>, &str)> {
        let items = self.entries.iter().filter(|it| it.is_item && it.name.eq_ignore_ascii_case(name));
        let last = items.clone().next_back()?;
        Some((items.map(|it| it.value.clone()).collect(), &last.file))
    }
}

fn line_end(text: &str) -> &str {
    text.find('\n').map_or("", |at| &text[at..])
}

fn below(parent: Option<&String>, name: &str) -> String {
    match parent {
        Some(parent) => format!("{parent}::{name}"),
        None => name.to_owned(),
    }
}

/// A word, quoted or not; percent signs stand for bytes only where apt writes files itself.
fn word(text: &str) -> Result<(String, &str), &'static str> {
    let text = text.trim_start();
    let mut word = String::new();
    let mut in_quotes = false;
    let mut end = text.len();
    for (at, it) in text.char_indices() {
        match it {
            '"' => in_quotes = !in_quotes,
            it if it.is_whitespace() && !in_quotes => {
                end = at;
                break;
            }
            it => word.push(it),
        }
    }
    if end == 0 { Err("a name is missing") } else { Ok((word, &text[end..])) }
}

/// Whether apt reads a file of that name: letters, digits and a few marks, and the ending.
pub(super) fn is_name(name: &str, ending: &str) -> bool {
    is_clean(name) && name.rsplit_once('.').is_some_and(|it| it.1 == ending)
}

fn is_plain(name: &str) -> bool {
    is_clean(name) && !name.contains('.')
}

fn is_clean(name: &str) -> bool {
    !name.starts_with('.')
        && name.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | ':' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host};

    fn conf(files: &[(&str, &str)]) -> (AptConf, Vec<String>) {
        let (_dir, host) = host(files);
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        let conf = AptConf::of(&mut look);
        (conf, look.finish().1)
    }

    #[test]
    fn sections_names_and_lists_are_put_together() {
        let (conf, faults) = conf(&[
            (
                "etc/apt/apt.conf.d/20auto",
                "// x\nAPT::Periodic::Update-Package-Lists \"1\"; # y\nAPT { Periodic { Unattended-Upgrade \"0\"; }; };\n\
                 /* z \n */ Unattended-Upgrade::Allowed-Origins { \"a:b\"; \"c//d\"; };\nA::B:: \"1\"; A::B:: \"2\";\n",
            ),
            ("etc/apt/apt.conf.d/50site.conf", "apt::periodic::unattended-upgrade \"1\";\nA::B { \"3\"; }\n"),
            ("etc/apt/apt.conf.d/99old.dpkg-dist", "broken {"),
            ("etc/apt/apt.conf", "APT::Periodic::Update-Package-Lists \"7\";\n"),
        ]);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(conf.get("APT::Periodic::Update-Package-Lists"), Some(("7", MAIN)));
        assert_eq!(
            conf.get("APT::Periodic::Unattended-Upgrade"),
            Some(("1", "etc/apt/apt.conf.d/50site.conf"))
        );
        assert_eq!(conf.list("Unattended-Upgrade::Allowed-Origins").unwrap().0, ["a:b", "c//d"]);
        assert_eq!(conf.list("A::B").unwrap().0, ["1", "2", "3"]);
    }

    #[test]
    fn what_is_cleared_is_gone_with_all_below_it() {
        let (conf, _) = conf(&[(
            "etc/apt/apt.conf",
            "A::B { \"1\"; C \"2\"; };\nA::Bx \"3\";\n#clear A::B;\nA::B { \"4\"; };\n",
        )]);
        assert_eq!(conf.list("A::B").unwrap().0, ["4"]);
        assert_eq!(conf.get("A::B::C"), None);
        assert_eq!(conf.get("A::Bx").unwrap().0, "3");
    }

    #[test]
    fn a_file_that_is_wrong_leaves_a_gap() {
        for text in ["A {", "A \"x", "A \"b\" c;", "/* x", "A \"b\"", "{ \"x\"; }"] {
            let (conf, faults) = conf(&[("etc/apt/apt.conf", text)]);
            assert!(conf.gap.is_some() && faults.len() == 1, "{text}");
        }
        let deep = "A {".repeat(1_000);
        assert_eq!(
            conf(&[("etc/apt/apt.conf", &deep)]).1,
            ["etc/apt/apt.conf: too many sections within sections"]
        );
    }
}
