//! A PAM stack: the modules that a service runs, with what its files include put in place.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::files::{self, Found};
use crate::scan::Look;

/// Directories of service files, the strongest first; the others are those of packages.
pub(super) const DIRECTORIES: [&str; 3] = ["etc/pam.d", "usr/lib/pam.d", "usr/etc/pam.d"];
/// As deep as Linux-PAM follows includes.
const MAX_DEPTH: usize = 32;
/// Most includes of one stack: files that include each other twice would go on for ever.
const MAX_INCLUDES: usize = 128;
/// Largest file of a service.
const MAX_FILE: usize = 64 * 1024;
/// Most modules of one stack.
const MAX_MODULES: usize = 512;

/// What a module is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Auth,
    Account,
    Password,
    Session,
}

/// A module in a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) kind: Type,
    /// "required", "[success=1 default=ignore]".
    pub(super) control: String,
    /// Without its directory and ending: `pam_unix`.
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    pub(super) file: Rc<str>,
}

/// The modules of a service, and what of them could not be read.
#[derive(Debug, Default)]
pub(super) struct Stack {
    pub(super) modules: Vec<Module>,
    pub(super) gap: Option<(String, Found)>,
    includes: usize,
}

/// Service files that were read once.
#[derive(Debug, Default)]
pub(super) struct Files {
    read: BTreeMap<String, Rc<(String, Found)>>,
}

impl Files {
    /// The stack of a service; `None` when it has no file.
    pub(super) fn stack(&mut self, look: &mut Look<'_>, service: &str) -> Option<Stack> {
        if self.file(look, service).1 == Found::Absent {
            return None;
        }
        let mut stack = Stack::default();
        self.add(look, service, None, 0, &mut stack);
        Some(stack)
    }

    fn file(&mut self, look: &mut Look<'_>, service: &str) -> Rc<(String, Found)> {
        if let Some(file) = self.read.get(service) {
            return Rc::clone(file);
        }
        let mut file = (service.to_owned(), Found::Absent);
        if let Some(path) = service.strip_prefix('/') {
            file = (path.to_owned(), files::read_up_to(look, path, MAX_FILE));
        } else {
            for directory in DIRECTORIES {
                let path = format!("{directory}/{service}");
                let found = files::read_up_to(look, &path, MAX_FILE);
                if found != Found::Absent {
                    file = (path, found);
                    break;
                }
            }
        }
        let file = Rc::new(file);
        self.read.insert(service.to_owned(), Rc::clone(&file));
        file
    }

    fn add(
        &mut self,
        look: &mut Look<'_>,
        service: &str,
        only: Option<Type>,
        depth: usize,
        stack: &mut Stack,
    ) {
        let file = self.file(look, service);
        let (path, found) = &*file;
        let text = match found {
            Found::Text(text) => text,
            Found::Absent => return stack.wrong(look, path, "it is included and not there".to_owned()),
            gap @ (Found::Denied | Found::Broken(_)) => {
                stack.gap.get_or_insert_with(|| (path.clone(), gap.clone()));
                return;
            }
        };
        stack.includes += 1;
        if depth > MAX_DEPTH || stack.includes > MAX_INCLUDES {
            return stack.wrong(look, path, "it includes too much".to_owned());
        }
        let source: Rc<str> = path.as_str().into();
        for (number, line) in logical_lines(text) {
            if stack.modules.len() >= MAX_MODULES {
                return stack.wrong(look, path, format!("more than {MAX_MODULES} modules"));
            }
            match read(&line, &source) {
                None => {}
                Some(Ok(Line::Module(module))) if only.is_some_and(|it| it != module.kind) => {}
                Some(Ok(Line::Module(module))) => stack.modules.push(module),
                Some(Ok(Line::Include(kind, service))) => {
                    // An include for one type within an include for another gives nothing.
                    match (only, kind) {
                        (Some(only), Some(kind)) if only != kind => {}
                        (only, kind) => self.add(look, &service, only.or(kind), depth + 1, stack),
                    }
                }
                Some(Err(why)) => stack.wrong(look, path, format!("line {number}: {why}")),
            }
        }
    }
}

enum Line {
    Module(Module),
    /// Another service's lines, of one type or of all.
    Include(Option<Type>, String),
}

/// Lines after those that end with a backslash are joined; a hash starts a comment.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim_end();
        let (part, continues) = line.strip_suffix('\\').map_or((line, false), |it| (it, true));
        match lines.last_mut() {
            Some((_, last)) if goes_on => {
                last.push(' ');
                last.push_str(part);
            }
            _ => lines.push((index + 1, part.to_owned())),
        }
        goes_on = continues;
    }
    lines
}

/// `[-]TYPE CONTROL MODULE ARGUMENTS`, or `@include SERVICE` as Debian has it.
fn read(line: &str, file: &Rc<str>) -> Option<Result<Line, &'static str>> {
    let mut words = words(line)?.into_iter();
    let first = words.next()?;
    if first.eq_ignore_ascii_case("@include") {
        return Some(words.next().map(|it| Line::Include(None, it)).ok_or("no file is named"));
    }
    let kind = match first.trim_start_matches('-').to_ascii_lowercase().as_str() {
        "auth" => Type::Auth,
        "account" => Type::Account,
        "password" => Type::Password,
        "session" => Type::Session,
        _ => return Some(Err("not a type of module")),
    };
    let (Some(control), Some(module)) = (words.next(), words.next()) else {
        return Some(Err("a module is missing"));
    };
    if matches!(control.to_ascii_lowercase().as_str(), "include" | "substack") {
        return Some(Ok(Line::Include(Some(kind), module)));
    }
    let name = module.rsplit('/').next().unwrap_or_default();
    let name = name.strip_suffix(".so").unwrap_or(name).to_owned();
    Some(Ok(Line::Module(Module { kind, control, name, arguments: words.collect(), file: Rc::clone(file) })))
}

/// Splits at blanks; brackets hold blanks, and a backslash holds a closing one. The brackets of a
/// control belong to it, those of an argument do not.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let mut word = String::new();
            let mut is_held = false;
            let mut end = inner.len();
            for (at, it) in inner.char_indices() {
                match it {
                    ']' if !is_held => {
                        end = at;
                        break;
                    }
                    '\\' if !is_held => is_held = true,
                    it => {
                        word.push(it);
                        is_held = false;
                    }
                }
            }
            words.push(if words.len() == 1 { format!("[{word}]") } else { word });
            rest = inner.get(end + 1..).unwrap_or_default().trim_start();
        } else {
            let end = rest.find(|it: char| it.is_whitespace()).unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
        }
    }
    (!words.is_empty()).then_some(words)
}

impl Type {
    /// As it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Account => "account",
            Self::Password => "password",
            Self::Session => "session",
        }
    }
}

impl Stack {
    /// Keeps what went wrong first; that says enough.
    fn wrong(&mut self, look: &mut Look<'_>, path: &str, why: String) {
        if self.gap.is_none() {
            look.fault(format!("{path}: {why}"));
            self.gap = Some((path.to_owned(), Found::Broken(why)));
        }
    }

    /// The first module of a name, of one type.
    pub(super) fn first(&self, kind: Type, name: &str) -> Option<&Module> {
        self.modules.iter().find(|it| it.kind == kind && it.name == name)
    }
}

impl Module {
    /// Whether an argument without a value is given.
    pub(super) fn has(&self, argument: &str) -> bool {
        self.arguments.iter().any(|it| it == argument)
    }

    /// The value of an argument; the last one counts.
    pub(super) fn value(&self, argument: &str) -> Option<&str> {
        self.arguments.iter().rev().find_map(|it| it.strip_prefix(argument)?.strip_prefix('='))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host};

    fn stack(files: &[(&str, &str)], service: &str) -> (Vec<String>, Vec<String>) {
        let (_dir, host) = host(files);
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        let stack = Files::default().stack(&mut look, service).unwrap();
        let said =
            |it: &Module| format!("{} {} {} {}", it.kind.name(), it.control, it.name, it.arguments.join("|"));
        (stack.modules.iter().map(said).collect(), look.finish().1)
    }

    #[test]
    fn includes_are_put_in_place_and_only_their_type_counts() {
        let (modules, faults) = stack(
            &[
                (
                    "etc/pam.d/sshd",
                    "# x\nauth substack password-auth\n@include common\n-session optional pam_x.so\n",
                ),
                (
                    "usr/lib/pam.d/password-auth",
                    "auth required /usr/lib/pam_unix.so nullok\naccount required pam_deny.so\n",
                ),
                ("etc/pam.d/common", "password [success=1 default=ignore] pam_unix.so [a b] c\\\n d # e\n"),
            ],
            "sshd",
        );
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(
            modules,
            [
                "auth required pam_unix nullok",
                "password [success=1 default=ignore] pam_unix a b|c|d",
                "session optional pam_x ",
            ]
        );
    }

    #[test]
    fn loops_end_and_what_is_missing_is_named() {
        let (modules, faults) =
            stack(&[("etc/pam.d/a", "auth include a\nauth include a\nauth required pam_x.so\n")], "a");
        assert!(modules.len() <= MAX_MODULES);
        assert_eq!(faults.len(), 1, "{faults:?}");
        let (_, faults) =
            stack(&[("etc/pam.d/a", "auth include none\nwrong line here\nauth required\n")], "a");
        assert_eq!(faults, ["none: it is included and not there"]);
    }
}
