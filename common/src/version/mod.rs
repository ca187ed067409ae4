//! Which of two versions is newer, by the order of whoever numbers them.
//!
//! One file holds one ordering rule. The scheme is named by the product rule and never guessed from
//! the text; *not comparable* is an answer, so nothing here sorts and nothing falls back to a default.
//! The sources of truth are dpkg, rpm and apk for their packages, Semantic Versioning, the Windows
//! file version, and for vendors' spellings a strict reading of our own (`natural`).
//!
//! Versions come from hosts and advisories and are hostile: their length is bounded, numbers may have
//! any number of digits and are never turned into machine integers, and nothing recurses.

mod alpine;
mod deb;
mod digits;
mod intdot;
mod line;
mod natural;
pub mod range;
mod rpm;
mod semver;
mod win4;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

pub use line::{range_line, vercmp_line};

/// The longest version that is compared, in bytes.
pub const MAX_VERSION_BYTES: usize = 1024;

/// How much of a version a reason quotes, in characters.
const QUOTED_CHARS: usize = 64;

/// The order that owns a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Debian packages: `epoch:upstream-revision`.
    Deb,
    /// RPM packages: `epoch:version-release`.
    Rpm,
    /// Windows files and builds: up to four numbers.
    Win4,
    /// Vendor spellings whose dotted parts are declared to be integers.
    Intdot,
    /// Semantic Versioning, with a leading `v` and missing parts allowed.
    Semver,
    /// Alpine packages, as apk orders them.
    Alpine,
    /// Vendor spellings, read strictly: what two people could read differently is refused.
    Natural,
}

const NAMES: [(Scheme, &str); 7] = [
    (Scheme::Deb, "deb"),
    (Scheme::Rpm, "rpm"),
    (Scheme::Win4, "win4"),
    (Scheme::Intdot, "intdot"),
    (Scheme::Semver, "semver"),
    (Scheme::Alpine, "alpine"),
    (Scheme::Natural, "natural"),
];

impl Scheme {
    /// Every scheme, in the order in which they are listed to people.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(scheme, _)| scheme)
    }

    /// The name that operators and rules write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Rpm => "rpm",
            Self::Win4 => "win4",
            Self::Intdot => "intdot",
            Self::Semver => "semver",
            Self::Alpine => "alpine",
            Self::Natural => "natural",
        }
    }

    /// Says how `a` stands to `b`. Versions that are empty, longer than [`MAX_VERSION_BYTES`], not
    /// valid in this scheme, or open to two readings are not comparable, whichever side they are on.
    pub fn compare(self, a: &str, b: &str) -> Comparison {
        match self.order(a, b) {
            Ok(Ordering::Less) => Comparison::Less,
            Ok(Ordering::Equal) => Comparison::Equal,
            Ok(Ordering::Greater) => Comparison::Greater,
            Err(reason) => Comparison::NotComparable(reason),
        }
    }

    /// The comparison where a product rule says what a zero before a number means. Only vendors' spellings leave
    /// that open; every other scheme answers as ever.
    pub fn order_padded(self, padded: Padded, a: &str, b: &str) -> Result<Ordering, Incomparable> {
        match (self, padded) {
            (Self::Natural, Padded::Integers) => Self::Intdot.order(a, b),
            (Self::Natural, Padded::Decimals) => {
                // The limits are those of every comparison.
                self.order(a, a)?;
                self.order(b, b)?;
                natural::compare(a, b, natural::Parts::Decimals)
            }
            (
                Self::Deb
                | Self::Rpm
                | Self::Win4
                | Self::Intdot
                | Self::Semver
                | Self::Alpine
                | Self::Natural,
                _,
            ) => self.order(a, b),
        }
    }

    /// The comparison as a standard ordering, or why there is none.
    pub fn order(self, a: &str, b: &str) -> Result<Ordering, Incomparable> {
        if a.len() > MAX_VERSION_BYTES || b.len() > MAX_VERSION_BYTES {
            return Err(Incomparable::TooLong);
        }
        if a.trim().is_empty() || b.trim().is_empty() {
            return Err(Incomparable::Empty);
        }
        match self {
            Self::Deb => deb::compare(a, b),
            Self::Rpm => rpm::compare(a, b),
            Self::Win4 => win4::compare(a, b),
            Self::Intdot => intdot::compare(a, b),
            Self::Semver => semver::compare(a, b),
            Self::Alpine => alpine::compare(a, b),
            Self::Natural => natural::compare(a, b, natural::Parts::Strict),
        }
    }
}

/// What a zero before a number of a vendor's version means, where a product rule says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Padded {
    /// Nobody said: both readings must agree.
    #[default]
    Unstated,
    /// Nothing: `5.028` is newer than `5.9`.
    Integers,
    /// A place of a fraction: `5.028` is older than `5.9`.
    Decimals,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no version scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown version scheme {name:?}; known are deb, rpm, win4, intdot, semver, alpine and natural")]
pub struct UnknownScheme {
    name: String,
}

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(text: &str) -> Result<Self, UnknownScheme> {
        NAMES
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(scheme, _)| *scheme)
            .ok_or_else(|| UnknownScheme { name: text.chars().take(QUOTED_CHARS).collect() })
    }
}

/// How one version stands to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// The first is older.
    Less,
    /// Both name the same version, perhaps in different spellings.
    Equal,
    /// The first is newer.
    Greater,
    /// Nobody can say, for this reason.
    NotComparable(Incomparable),
}

/// Why two versions cannot be compared, as a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Incomparable {
    /// A version is missing.
    #[error("a version is empty")]
    Empty,
    /// A version is longer than any real one.
    #[error("a version is longer than {MAX_VERSION_BYTES} bytes")]
    TooLong,
    /// A version breaks the rules of its scheme.
    #[error("{version} is not a valid {scheme} version: {fault}")]
    Invalid {
        /// The scheme that was asked.
        scheme: Scheme,
        /// The version, quoted, with control characters escaped, and shortened.
        version: String,
        /// The rule that it breaks.
        fault: &'static str,
    },
    /// Both versions can be read, but not beside each other.
    #[error("{0}")]
    Undecided(&'static str),
}

impl Incomparable {
    fn invalid(scheme: Scheme, version: &str, fault: &'static str) -> Self {
        Self::Invalid { scheme, version: quote(version), fault }
    }
}

/// Quotes text of a peer for a sentence: one line, no control characters, bounded.
fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(QUOTED_CHARS).is_some() {
        shown.push_str("...");
    }
    format!("\"{shown}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_is_read_back_by_its_name() {
        for scheme in Scheme::all() {
            assert_eq!(scheme.to_string().parse(), Ok(scheme));
        }
        assert!("Deb".parse::<Scheme>().is_err());
        assert!("".parse::<Scheme>().is_err());
    }

    #[test]
    fn an_empty_or_endless_version_is_refused_by_every_scheme() {
        let endless = "1".repeat(MAX_VERSION_BYTES + 1);
        for scheme in Scheme::all() {
            for bad in ["", " ", "\t", endless.as_str()] {
                assert!(matches!(scheme.compare(bad, "1"), Comparison::NotComparable(_)), "{scheme}");
                assert!(matches!(scheme.compare("1", bad), Comparison::NotComparable(_)), "{scheme}");
                assert!(matches!(scheme.compare(bad, bad), Comparison::NotComparable(_)), "{scheme}");
            }
        }
    }

    #[test]
    fn a_reason_is_one_line_whatever_it_quotes() {
        let Comparison::NotComparable(reason) = Scheme::Win4.compare("a\tb\nc\u{2028}", "1") else {
            panic!("letters are no Windows version")
        };
        assert_eq!(
            reason.to_string(),
            r#""a\tb\nc\u{2028}" is not a valid win4 version: a part is not a number"#
        );
    }
}
