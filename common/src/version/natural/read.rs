//! Takes a vendor's spelling apart: label, numbers, letter, qualifiers; or one opaque word.
//!
//! What the words mean is the table here; how the pieces compare is the parent's.

use super::super::{Incomparable, digits};

/// Words before the number that say only that it is a version.
pub(super) const NEUTRAL_LABELS: [&str; 5] = ["v", "ver", "version", "fw", "firmware"];

/// Qualifiers that come after the release, in the order in which a version may stack them: a hotfix is
/// made for a service pack, never the reverse.
pub(super) const QUALIFIERS: [(&str, u8); 16] = [
    ("r", 0),
    ("release", 0),
    ("sp", 1),
    ("servicepack", 1),
    ("service pack", 1),
    ("tcu", 2),
    ("update", 3),
    ("upd", 3),
    ("cu", 4),
    ("cumulative update", 4),
    ("hf", 5),
    ("hotfix", 5),
    ("hot fix", 5),
    ("patch", 6),
    ("build", 7),
    ("bld", 7),
];

/// Words that come before the release, oldest first.
pub(super) const PRE_RELEASES: [(&str, u8); 3] = [("alpha", 0), ("beta", 1), ("rc", 2)];

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Qualifier {
    /// Before the release; the number may be missing.
    Before { rank: u8, number: String },
    /// After the release.
    After { rank: u8, number: String },
}

/// A version inside the grammar.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Structured {
    /// Lower case, empty when neutral or missing.
    pub(super) label: String,
    pub(super) core: Vec<String>,
    pub(super) letter: Option<char>,
    pub(super) qualifiers: Vec<Qualifier>,
}

/// A single word outside the grammar: its numbers, and everything else with `#` for each number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opaque {
    pub(super) skeleton: String,
    pub(super) numbers: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Structured(Structured),
    Opaque(Opaque),
}

/// A run of digits, a run of letters, or one other sign, in lower case; white space is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Number(&'a str),
    Word(&'a str),
    Dot,
    /// An underscore or hyphen, which vendors use as a space.
    Joint,
    Space,
}

pub(super) fn read(text: &str) -> Result<Reading, Incomparable> {
    if text.is_empty() {
        return Err(Incomparable::Empty);
    }
    let lower = text.to_ascii_lowercase();
    if has_wildcard(&lower) {
        return Err(Incomparable::Undecided("a version holds a wildcard"));
    }
    if let Some(read) = tokenize(&lower).and_then(|tokens| read_structured(&tokens)) {
        return Ok(Reading::Structured(read));
    }
    read_opaque(&lower).map(Reading::Opaque)
}

/// Whether a part of the version, in lower case, stands for any number: `*`, `x`, or digits and `x`.
pub(in crate::version) fn has_wildcard(lower: &str) -> bool {
    lower.contains('*')
        || lower.split(|it: char| !it.is_ascii_alphanumeric()).any(|part| {
            let fixed = part.trim_end_matches('x');
            fixed.len() < part.len()
                && (matches!(fixed, "" | "v") || fixed.ends_with(|it: char| it.is_ascii_digit()))
        })
}

/// The tokens of a version, or `None` when it has a sign that the grammar does not know.
fn tokenize(text: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let same = |test: fn(&u8) -> bool| rest.bytes().take_while(test).count();
        let (token, length) = match first {
            '0'..='9' => {
                let length = same(u8::is_ascii_digit);
                (Token::Number(&rest[..length]), length)
            }
            'a'..='z' => {
                let length = same(u8::is_ascii_lowercase);
                (Token::Word(&rest[..length]), length)
            }
            '.' => (Token::Dot, 1),
            '_' | '-' => (Token::Joint, 1),
            ' ' => (Token::Space, 1),
            _ => return None,
        };
        tokens.push(token);
        rest = &rest[length..];
    }
    Some(tokens)
}

/// Takes tokens from the front.
struct Cursor<'t, 'a> {
    tokens: &'t [Token<'a>],
}

impl<'a> Cursor<'_, 'a> {
    fn word(&mut self) -> Option<&'a str> {
        let [Token::Word(word), rest @ ..] = self.tokens else { return None };
        self.tokens = rest;
        Some(word)
    }

    fn number(&mut self) -> Option<&'a str> {
        let [Token::Number(number), rest @ ..] = self.tokens else { return None };
        self.tokens = rest;
        Some(number)
    }

    fn skip(&mut self, unwanted: &[Token<'_>]) {
        while let [first, rest @ ..] = self.tokens {
            if !unwanted.contains(first) {
                break;
            }
            self.tokens = rest;
        }
    }
}

fn read_structured(tokens: &[Token<'_>]) -> Option<Structured> {
    const GAP: [Token<'_>; 2] = [Token::Space, Token::Joint];

    let mut cursor = Cursor { tokens };
    let label = read_label(&mut cursor);
    let core = read_core(&mut cursor)?;
    let letter = match cursor.tokens {
        // A letter with a number behind it begins a qualifier or a word that nobody knows.
        [Token::Word(word), rest @ ..] if word.len() == 1 && !matches!(rest, [Token::Number(_), ..]) => {
            cursor.tokens = rest;
            word.chars().next()
        }
        _ => None,
    };
    let mut qualifiers = Vec::new();
    cursor.skip(&GAP);
    while !cursor.tokens.is_empty() {
        qualifiers.push(read_qualifier(&mut cursor)?);
        cursor.skip(&GAP);
    }
    let stacked = qualifiers.windows(2).all(|pair| match pair {
        [Qualifier::After { rank: first, .. }, Qualifier::After { rank: second, .. }] => first < second,
        [Qualifier::After { .. }, Qualifier::Before { .. }] => true,
        _ => false,
    });
    (stacked || qualifiers.len() < 2).then_some(Structured { label, core, letter, qualifiers })
}

fn read_label(cursor: &mut Cursor<'_, '_>) -> String {
    let mut label = String::new();
    // "WinCC V7.2" has a name and then a neutral label; a second name is not a version any more.
    while let [Token::Word(_), ..] = cursor.tokens {
        let Some(word) = cursor.word() else { break };
        let neutral = NEUTRAL_LABELS.contains(&word);
        if !neutral && !label.is_empty() {
            label.push(' ');
        }
        if !neutral {
            label.push_str(word);
        }
        cursor.skip(&[Token::Dot, Token::Space]);
    }
    label
}

/// Reads dotted numbers; one dot at the end is tolerated. Zeros at the end stay, because the length of
/// the core says what kind of version it is.
fn read_core(cursor: &mut Cursor<'_, '_>) -> Option<Vec<String>> {
    let mut core = vec![cursor.number()?.to_owned()];
    while let [Token::Dot, rest @ ..] = cursor.tokens {
        cursor.tokens = rest;
        match cursor.number() {
            Some(number) => core.push(number.to_owned()),
            None if matches!(cursor.tokens, [] | [Token::Space | Token::Joint, ..]) => break,
            None => return None,
        }
    }
    Some(core)
}

fn read_qualifier(cursor: &mut Cursor<'_, '_>) -> Option<Qualifier> {
    let first = cursor.word()?;
    let mut name = first.to_owned();
    if let [Token::Space, Token::Word(second), rest @ ..] = cursor.tokens {
        let phrase = format!("{first} {second}");
        if QUALIFIERS.iter().any(|(it, _)| *it == phrase) {
            name = phrase;
            cursor.tokens = rest;
        }
    }
    let before = PRE_RELEASES.iter().find(|(it, _)| *it == name);
    if let (Some((_, rank)), [] | [Token::Space | Token::Joint, Token::Word(_), ..]) = (before, cursor.tokens)
    {
        return Some(Qualifier::Before { rank: *rank, number: "0".to_owned() });
    }
    cursor.skip(&[Token::Space, Token::Dot, Token::Joint]);
    let number = cursor.number()?.to_owned();
    // "Update 3.1" and "HF4a" would need an order inside the qualifier.
    if !matches!(cursor.tokens, [] | [Token::Space | Token::Joint, ..]) {
        return None;
    }
    if let Some((_, rank)) = before {
        return Some(Qualifier::Before { rank: *rank, number });
    }
    let (_, rank) = QUALIFIERS.iter().find(|(it, _)| *it == name)?;
    Some(Qualifier::After { rank: *rank, number })
}

fn read_opaque(lower: &str) -> Result<Opaque, Incomparable> {
    if lower.contains(|it: char| it.is_whitespace() || it.is_control() || "/_,;|<>=#".contains(it)) {
        return Err(Incomparable::Undecided("a version is more than one word and none of the known forms"));
    }
    let (mut skeleton, mut numbers) = (String::new(), Vec::new());
    let mut rest = lower;
    while let Some(first) = rest.chars().next() {
        let (number, after) = digits::split(rest);
        if number.is_empty() {
            skeleton.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            skeleton.push('#');
            numbers.push(number.to_owned());
            rest = after;
        }
    }
    if numbers.is_empty() {
        return Err(Incomparable::Undecided("a version has no number"));
    }
    Ok(Opaque { skeleton, numbers })
}
