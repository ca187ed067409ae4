//! An anchored pattern over an installed name, which may show where the version stands in it.
//!
//! `*` is any run of characters, `{version}` the run that is the version, `\` takes the next character as
//! itself; everything else stands for itself. A last ` *` may be missing from a name with its blank. Case and doubled blanks do not matter. A pattern begins with a whole
//! word, so that an index by words finds the few patterns that could match a name, whatever their number.

use super::pattern::MAX_PATTERN;

/// How a pattern writes the place of the version.
const VERSION: &str = "{version}";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// In lower case.
    Literal(String),
    Anything,
    Version,
}

/// A name fits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fit {
    /// What the pattern shows as the version; `None` when it shows none.
    pub version: Option<String>,
}

/// The text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNamePattern {
    /// Nothing to look for.
    #[error("the name is empty")]
    Empty,
    /// Too long to be a name.
    #[error("the name is longer than {MAX_PATTERN} bytes")]
    TooLong,
    /// Would have to be held against every name.
    #[error("the name has to begin with a whole word: `*` may come after the first blank, not before it")]
    NoWord,
    /// Where the version begins or ends cannot be told.
    #[error("`{VERSION}` may stand once, after plain text, and not beside or behind a `*`")]
    Version,
    /// Nothing behind it.
    #[error("the last `\\` has nothing behind it")]
    Escape,
}

impl NamePattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Result<Self, InvalidNamePattern> {
        if text.len() > MAX_PATTERN {
            return Err(InvalidNamePattern::TooLong);
        }
        let parts = parts_of(&normal(text))?;
        match parts.as_slice() {
            [] => return Err(InvalidNamePattern::Empty),
            [Part::Literal(_)] => {}
            [Part::Literal(first), ..] if first.contains(' ') => {}
            [Part::Literal(_) | Part::Anything | Part::Version, ..] => {
                return Err(InvalidNamePattern::NoWord);
            }
        }
        let mut seen = false;
        for (at, part) in parts.iter().enumerate() {
            let before = &parts[..at];
            let beside = parts.get(at + 1) == Some(&Part::Anything);
            if *part == Part::Version
                && (std::mem::replace(&mut seen, true) || before.contains(&Part::Anything) || beside)
            {
                return Err(InvalidNamePattern::Version);
            }
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The pattern for exactly one name.
    pub fn exactly(name: &str) -> String {
        name.chars()
            .flat_map(|it| {
                let escape = matches!(it, '*' | '{' | '\\').then_some('\\');
                escape.into_iter().chain([it])
            })
            .collect()
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it shows where the version stands.
    pub fn has_version(&self) -> bool {
        self.parts.contains(&Part::Version)
    }

    /// The whole name in [`normal`] form when nothing in it is open.
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Literal(only)] => Some(only),
            _ => None,
        }
    }

    /// The whole words that every name begins with: one or two, none for a literal of one word.
    pub fn first_words(&self) -> Vec<&str> {
        let Some(Part::Literal(first)) = self.parts.first() else { return Vec::new() };
        let complete = first.rsplit_once(' ').map_or("", |it| it.0);
        complete.split(' ').filter(|it| !it.is_empty()).take(2).collect()
    }

    /// Holds the pattern against a whole name in [`normal`] form.
    pub fn matches(&self, name: &str) -> Option<Fit> {
        let found = match_parts(&self.parts, name);
        if found.is_none() && self.parts.last() == Some(&Part::Anything) {
            return match_parts(&self.parts, &format!("{name} "));
        }
        found
    }
}

/// A name in lower case with single blanks.
pub fn normal(name: &str) -> String {
    name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn parts_of(text: &str) -> Result<Vec<Part>, InvalidNamePattern> {
    let mut parts: Vec<Part> = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let open = if first == '*' {
            Some((Part::Anything, 1))
        } else {
            rest.starts_with(VERSION).then_some((Part::Version, VERSION.len()))
        };
        if let Some((part, length)) = open {
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            // Two stars in a row are one.
            if !(part == Part::Anything && parts.last() == Some(&Part::Anything)) {
                parts.push(part);
            }
            rest = &rest[length..];
            continue;
        }
        rest = &rest[first.len_utf8()..];
        let plain = if first == '\\' {
            let next = rest.chars().next().ok_or(InvalidNamePattern::Escape)?;
            rest = &rest[next.len_utf8()..];
            next
        } else {
            first
        };
        literal.push(plain);
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

fn match_parts(parts: &[Part], name: &str) -> Option<Fit> {
    let showing = |it: &str| Fit { version: Some(it.trim().to_owned()) };
    let Some((first, rest)) = parts.split_first() else { return name.is_empty().then(Fit::default) };
    match first {
        Part::Literal(text) => match_parts(rest, name.strip_prefix(text.as_str())?),
        Part::Anything => match_any(rest, name).then(Fit::default),
        Part::Version => {
            let shown = |it: &str| it.chars().any(|it| it.is_ascii_digit());
            let Some(Part::Literal(behind)) = rest.first() else {
                return (rest.is_empty() && shown(name)).then(|| showing(name));
            };
            // The version ends where what is behind it first fits.
            name.match_indices(behind.as_str())
                .map(|(at, _)| name.split_at(at))
                .find(|(version, after)| {
                    shown(version)
                        && after
                            .strip_prefix(behind.as_str())
                            .is_some_and(|it| match_any_first(&rest[1..], it))
                })
                .map(|(version, _)| showing(version))
        }
    }
}

/// Whether what remains matches where it stands.
fn match_any_first(parts: &[Part], name: &str) -> bool {
    match parts.split_first() {
        None => name.is_empty(),
        Some((Part::Literal(text), rest)) => {
            name.strip_prefix(text.as_str()).is_some_and(|it| match_any_first(rest, it))
        }
        Some((Part::Anything | Part::Version, rest)) => match_any(rest, name),
    }
}

/// Whether what remains matches after any run of characters. Behind a star every piece may be taken at its first place.
fn match_any(parts: &[Part], name: &str) -> bool {
    let literals: Vec<&str> = parts
        .iter()
        .filter_map(|it| match it {
            Part::Literal(text) => Some(text.as_str()),
            Part::Anything | Part::Version => None,
        })
        .collect();
    let ends_open = parts.last().is_none_or(|it| *it == Part::Anything);
    let Some((last, middle)) = literals.split_last() else { return true };
    let mut left = name;
    for text in middle {
        match left.split_once(text) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    if ends_open { left.contains(last) } else { left.ends_with(last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The version, empty where the pattern shows none.
    fn version(pattern: &str, name: &str) -> Option<String> {
        let fit = NamePattern::new(pattern).unwrap().matches(&normal(name));
        fit.map(|it| it.version.unwrap_or_default())
    }

    #[test]
    fn a_name_is_matched_as_a_whole_and_shows_its_version() {
        for (pattern, name, expected) in [
            ("SIMATIC WinCC V7.5", "simatic  WinCC\u{a0}v7.5", Some("")),
            ("SIMATIC WinCC V7.5", "SIMATIC WinCC V7.5 SP2", None),
            ("SIMATIC WinCC V{version}", "SIMATIC WinCC V7.5 SP2 Update 17", Some("7.5 sp2 update 17")),
            ("Studio 5000 v{version} (*)", "Studio 5000 v33.01 (x64) (beta)", Some("33.01")),
            ("Studio 5000 v{version} (*)", "Studio 5000 v33.01", None),
            ("Studio 5000 v{version} (x64)", "Studio 5000 v33.01 (x64)", Some("33.01")),
            ("Studio 5000 v{version}", "Studio 5000 vNext", None),
            ("Foo * Bar", "foo x y bar", Some("")),
            ("Foo * Bar *", "foo x bar", Some("")),
            ("Foo *", "foobar", None),
            ("Foo *", "foo", Some("")),
            ("Foo * b", "foo b", None),
            ("Foo \\* {version}", "foo * 1", Some("1")),
            ("Foo *a*b", "foo ab", Some("")),
            ("Foo *a*b", "foo ba", None),
        ] {
            assert_eq!(version(pattern, name).as_deref(), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_found_by_its_first_word_is_refused() {
        use InvalidNamePattern::{Empty, Escape, NoWord, TooLong, Version};
        for (text, expected) in [
            ("", Empty),
            (" ", Empty),
            ("*", NoWord),
            ("{version}", NoWord),
            ("WinCC*", NoWord),
            ("*WinCC", NoWord),
            ("WinCC {version}*", Version),
            ("WinCC * {version}", Version),
            ("WinCC {version} {version}", Version),
            ("WinCC \\", Escape),
            (&"x".repeat(257), TooLong),
        ] {
            assert_eq!(NamePattern::new(text), Err(expected), "{text}");
        }
        let pattern = NamePattern::new("SIMATIC WinCC Runtime V*").unwrap();
        assert_eq!(pattern.first_words(), ["simatic", "wincc"]);
        assert_eq!(NamePattern::new("WinCC *").unwrap().first_words(), ["wincc"]);
    }

    #[test]
    fn a_name_with_signs_of_a_pattern_is_found_by_its_exact_pattern() {
        for name in ["a*b", "{version} 1", "c:\\x", "plain"] {
            let pattern = NamePattern::new(&NamePattern::exactly(name)).unwrap();
            assert!(pattern.matches(name).is_some() && pattern.literal() == Some(name), "{name}");
        }
    }
}
