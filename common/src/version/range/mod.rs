//! The ranges of real advisories: which versions a sentence such as `All versions < V7.5 SP1` means.
//!
//! Vendors write ranges as `vers`, as something like it, and as prose. What can be read in one way is
//! decided by the scheme that the product rule names; what can be read in several ways is decided only
//! where all of them agree; conditions, dates and serial numbers are for a person. Unknown is the answer
//! to all the rest, and never a default in either direction.
//!
//! `read` knows the spellings, `decide` knows the answers. Neither knows the product: that two
//! entries speak about the same one is the caller's knowledge, see [`among_siblings`].

mod decide;
mod read;
mod words;

use std::cmp::Ordering;
use std::fmt;

use super::{Incomparable, Padded, Scheme, quote};

/// The longest range that is read, in bytes.
pub const MAX_RANGE_BYTES: usize = 1024;

/// The most constraints in one range; more is no range that a person wrote.
pub const MAX_CONSTRAINTS: usize = 128;

/// A range as an advisory states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Range {
    /// Every version: identity alone decides.
    All,
    /// Bounds and exact versions.
    Constraints(Constraints),
    /// The range holds only under a condition: a second product, an option, a serial number.
    Conditional {
        /// The range as written.
        text: String,
    },
    /// One bound for each of several branches, without saying which branch is meant.
    BranchList {
        /// The range as written.
        text: String,
        /// The same bound for every branch, at least two.
        bounds: Vec<Constraint>,
    },
    /// Not understood: prose, a date, damage.
    Unparsed {
        /// The range as written, cut at [`MAX_RANGE_BYTES`] characters.
        text: String,
    },
}

/// Constraints in the order in which they were written, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraints {
    list: Vec<Constraint>,
    /// The versioning scheme that a strict `vers` range names. `None` when the text names none, where
    /// a bar may stand for anything.
    vers_type: Option<String>,
}

impl Constraints {
    /// The constraints as written.
    pub fn list(&self) -> &[Constraint] {
        &self.list
    }

    /// The type of a `vers` range, such as `npm`; `None` for any other text and for `vers:all`.
    pub fn vers_type(&self) -> Option<&str> {
        self.vers_type.as_deref()
    }
}

/// One bound or exact version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// How the versions that are meant stand to [`Self::version`].
    pub operator: Operator,
    /// The version as written, without white space around it; never empty.
    pub version: String,
}

/// How a version stands to a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `=`, or nothing at all.
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        })
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operator, self.version)
    }
}

/// Whether a version is in a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Containment {
    /// Under every sensible reading it is.
    In,
    /// Under every sensible reading it is not.
    Out,
    /// Nobody can say without a person, for this reason.
    Unknown(Undecided),
}

/// Why it is unknown whether a version is in a range, as a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// No version is known.
    #[error("the version is missing")]
    VersionMissing,
    /// The version and a bound are not comparable.
    #[error("{0}")]
    NotComparable(Incomparable),
    /// The range depends on something that is not a version.
    #[error("the range has a condition: {0}")]
    Conditional(String),
    /// The range gives a bound for each branch and the version is between them.
    #[error("the range is a list of branches and the version is between them: {0}")]
    Branch(String),
    /// The range is not understood.
    #[error("the range cannot be read: {0}")]
    Unparsed(String),
    /// The range has several readings and they do not agree about this version.
    #[error("{0}")]
    Readings(&'static str),
    /// Entries for the same product do not agree about this version.
    #[error("entries for the same product disagree about this version")]
    Siblings,
}

/// How a product rule has versions read: whose order, and what the order leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reading {
    /// Whose order decides.
    pub scheme: Scheme,
    /// What a zero before a number means.
    pub padded: Padded,
    /// How many leading numbers of a version name its branch in a list of branches; `None` when no rule says so.
    pub branch: Option<usize>,
}

impl From<Scheme> for Reading {
    fn from(scheme: Scheme) -> Self {
        Self { scheme, padded: Padded::Unstated, branch: None }
    }
}

impl Reading {
    /// Compares by the scheme with what the rule adds.
    pub fn order(self, a: &str, b: &str) -> Result<Ordering, Incomparable> {
        self.scheme.order_padded(self.padded, a, b)
    }
}

impl Undecided {
    /// The reason in the closed list that verdicts use.
    pub fn code(&self) -> &'static str {
        match self {
            Self::VersionMissing | Self::NotComparable(Incomparable::Empty) => "version-missing",
            Self::NotComparable(_) => "version-not-comparable",
            Self::Conditional(_) => "range-conditional",
            Self::Branch(_) => "branch-unknown",
            Self::Unparsed(_) | Self::Readings(_) => "range-unparsed",
            Self::Siblings => "sibling-conflict",
        }
    }
}

impl Range {
    /// Reads a range. Never fails: what is not understood is kept as [`Range::Unparsed`].
    pub fn parse(text: &str) -> Self {
        read::parse(text)
    }

    /// Says whether `version` is in this range, comparing by a scheme or by all that a product rule says.
    pub fn contains(&self, reading: impl Into<Reading>, version: &str) -> Containment {
        let reading = reading.into();
        match self {
            Self::All => Containment::In,
            Self::Conditional { text } => Containment::Unknown(Undecided::Conditional(quote(text))),
            Self::Unparsed { text } => Containment::Unknown(Undecided::Unparsed(quote(text))),
            Self::BranchList { .. } | Self::Constraints(_) if version.trim().is_empty() => {
                Containment::Unknown(Undecided::VersionMissing)
            }
            Self::BranchList { text, bounds } => decide::branches(text, bounds, reading, version),
            Self::Constraints(constraints) => decide::constraints(constraints, reading, version),
        }
    }
}

/// Says whether `version` is affected by the entries that one advisory has for one product and
/// vulnerability. Entries that disagree speak about lines that their text does not tell apart, so
/// neither their union nor their intersection is an answer. No entry at all is unknown too.
pub fn among_siblings<'a>(
    ranges: impl IntoIterator<Item = &'a Range>,
    scheme: Scheme,
    version: &str,
) -> Containment {
    let mut agreed = None;
    for range in ranges {
        let answer = range.contains(scheme, version);
        match (&agreed, answer) {
            (_, Containment::Unknown(reason)) => return Containment::Unknown(reason),
            (None, answer) => agreed = Some(answer),
            (Some(before), answer) if *before != answer => return Containment::Unknown(Undecided::Siblings),
            (Some(_), Containment::In | Containment::Out) => {}
        }
    }
    agreed.unwrap_or(Containment::Unknown(Undecided::Siblings))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRANCHES: &str = "<V33.017_V34.014_V35.013_V36.011";

    fn by_branch(version: &str, branch: usize) -> Containment {
        let reading = Reading { branch: Some(branch), padded: Padded::Integers, ..Scheme::Natural.into() };
        Range::parse(BRANCHES).contains(reading, version)
    }

    #[test]
    fn a_branch_that_a_rule_names_decides_by_its_own_bound() {
        assert_eq!(by_branch("34.013", 1), Containment::In);
        assert_eq!(by_branch("V34.014", 1), Containment::Out);
        assert_eq!(by_branch("36.010", 1), Containment::In);
        assert_eq!(by_branch("33.017", 1), Containment::Out, "the fixed version of its branch");
        assert_eq!(by_branch("37.001", 1), Containment::Out, "above every branch");
        for (version, branch) in [("34.013", 2), ("34", 1), ("blue", 1), ("34.013", 0)] {
            assert!(matches!(by_branch(version, branch), Containment::Unknown(_)), "{version} {branch}");
        }
        assert!(matches!(
            Range::parse(BRANCHES).contains(Scheme::Natural, "34.013"),
            Containment::Unknown(_)
        ));
    }

    #[test]
    fn a_rule_says_what_a_zero_before_a_number_means() {
        let read =
            |padded| Range::parse("< 5.9").contains(Reading { padded, ..Scheme::Natural.into() }, "5.028");
        assert!(matches!(read(Padded::Unstated), Containment::Unknown(_)));
        assert_eq!(read(Padded::Integers), Containment::Out);
        assert_eq!(read(Padded::Decimals), Containment::In);
        let endless = "1".repeat(super::super::MAX_VERSION_BYTES + 1);
        assert!(Scheme::Natural.order_padded(Padded::Decimals, &endless, "1").is_err());
    }
}
