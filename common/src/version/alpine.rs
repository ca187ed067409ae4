//! The order of Alpine packages:
//! `digits{.digits}{letter}{_suffix{digits}}{~hash}{-r digits}`.
//!
//! Source of truth: apk-tools (`src/version.c`) and the package format in its manual. A part with a
//! leading zero compares as text, as apk does it; the first part never does.

use std::cmp::Ordering;

use super::{Incomparable, Scheme, digits};

/// What may follow an underscore; those up to `rc` come before the release.
const SUFFIXES: [&str; 9] = ["alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"];
/// How many of [`SUFFIXES`] mark a pre-release.
const PRE_RELEASES: usize = 4;

/// One piece of a version. The order of the variants is what decides when two versions continue in
/// different ways: the earlier variant is newer.
#[derive(Clone, Copy)]
enum Token<'a> {
    First(&'a str),
    Digits(&'a str),
    Letter(u8),
    Suffix(usize),
    SuffixNumber(&'a str),
    Hash(&'a str),
    Revision(&'a str),
    End,
}

impl Token<'_> {
    fn rank(self) -> u8 {
        match self {
            Self::First(_) => 0,
            Self::Digits(_) => 1,
            Self::Letter(_) => 2,
            Self::Suffix(_) => 3,
            Self::SuffixNumber(_) => 4,
            Self::Hash(_) => 5,
            Self::Revision(_) => 6,
            Self::End => 7,
        }
    }

    fn is_pre_release(self) -> bool {
        matches!(self, Self::Suffix(index) if index < PRE_RELEASES)
    }

    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Digits(a), Self::Digits(b)) if a.starts_with('0') || b.starts_with('0') => a.cmp(b),
            (Self::First(a), Self::First(b))
            | (Self::Digits(a), Self::Digits(b))
            | (Self::SuffixNumber(a), Self::SuffixNumber(b))
            | (Self::Revision(a), Self::Revision(b)) => digits::by_value(a, b),
            (Self::Letter(a), Self::Letter(b)) => a.cmp(&b),
            (Self::Suffix(a), Self::Suffix(b)) => a.cmp(&b),
            (Self::Hash(a), Self::Hash(b)) => a.cmp(b),
            (a, b) => b.is_pre_release().cmp(&a.is_pre_release()).then_with(|| b.rank().cmp(&a.rank())),
        }
    }
}

pub(super) fn compare(a: &str, b: &str) -> Result<Ordering, Incomparable> {
    let (a, b) = (read(a)?, read(b)?);
    // Both end with the same token, so the shorter one is decided before it runs out.
    Ok(a.iter().zip(&b).map(|(a, b)| a.compare(*b)).find(|it| it.is_ne()).unwrap_or(Ordering::Equal))
}

fn read(text: &str) -> Result<Vec<Token<'_>>, Incomparable> {
    tokens(text).map_err(|fault| Incomparable::invalid(Scheme::Alpine, text, fault))
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, &'static str> {
    let (first, mut rest) = number(text, "it does not start with a digit")?;
    let mut tokens = vec![Token::First(first)];
    while let Some(after) = rest.strip_prefix('.') {
        let (digits, after) = number(after, "a part is not a number")?;
        tokens.push(Token::Digits(digits));
        rest = after;
    }
    if let Some(letter) = rest.bytes().next().filter(u8::is_ascii_lowercase) {
        tokens.push(Token::Letter(letter));
        rest = &rest[1..];
    }
    while let Some(after) = rest.strip_prefix('_') {
        let name = after.bytes().take_while(u8::is_ascii_lowercase).count();
        let (name, after) = after.split_at(name);
        let index = SUFFIXES.iter().position(|it| *it == name).ok_or("its suffix is not known to apk")?;
        tokens.push(Token::Suffix(index));
        let (digits, after) = digits::split(after);
        if !digits.is_empty() {
            tokens.push(Token::SuffixNumber(digits));
        }
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('~') {
        let length = after.bytes().take_while(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f')).count();
        let (hash, after) = after.split_at(length);
        if hash.is_empty() {
            return Err("its commit hash is empty");
        }
        tokens.push(Token::Hash(hash));
        rest = after;
    }
    if let Some(after) = rest.strip_prefix("-r") {
        let (digits, after) = number(after, "its revision is not a number")?;
        tokens.push(Token::Revision(digits));
        rest = after;
    }
    if !rest.is_empty() {
        return Err("it does not follow apk's grammar");
    }
    tokens.push(Token::End);
    Ok(tokens)
}

fn number<'a>(text: &'a str, fault: &'static str) -> Result<(&'a str, &'a str), &'static str> {
    let (digits, rest) = digits::split(text);
    if digits.is_empty() { Err(fault) } else { Ok((digits, rest)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rise_in_the_order_of_apk() {
        let rising = [
            "1.0_alpha",
            "1.0_alpha2",
            "1.0_beta",
            "1.0_pre1",
            "1.0_rc",
            "1.0_rc1-r3",
            "1.0",
            "1.0-r0",
            "1.0-r10",
            "1.0~3f",
            "1.0_cvs20200101",
            "1.0_svn1",
            "1.0_git20210101",
            "1.0_hg1",
            "1.0_p1",
            "1.0_p10",
            "1.0a",
            "1.0b",
            "1.0.00",
            "1.0.05",
            "1.0.5",
            "1.0.10",
            "1.1",
            "1.10",
            "2",
            "10",
        ];
        for (index, a) in rising.iter().enumerate() {
            assert_eq!(compare(a, a), Ok(Ordering::Equal));
            for b in &rising[index + 1..] {
                assert_eq!(compare(a, b), Ok(Ordering::Less), "{a} {b}");
                assert_eq!(compare(b, a), Ok(Ordering::Greater), "{b} {a}");
            }
        }
    }

    #[test]
    fn what_apk_rejects_is_refused() {
        for bad in [
            "a1",
            "1.",
            "1.a",
            "1.0ab",
            "1.0_foo1",
            "1.0-1",
            "1.0-r",
            "1.0~",
            "1.0~xyz",
            "1.0_p1 ",
            "v1",
            "1.0-r1-r2",
        ] {
            assert!(compare(bad, "1").is_err(), "{bad}");
        }
    }
}
