//! What a rule expects of facts, and what it takes an absent one for.

use std::fmt;

use crate::knowledge::Pattern;

use super::value::Value;

/// Something that holds of an asset's facts or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Every part holds.
    All(Vec<Condition>),
    /// At least one part holds.
    Any(Vec<Condition>),
    /// One fact is as expected.
    Fact(Box<Leaf>),
}

/// An expectation of one fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Dotted name: `smb1.server`.
    pub fact: String,
    /// Only what the fact says about these subjects; `None` for all, and for facts without a subject.
    pub subject: Option<Pattern>,
    /// Of several subjects.
    pub each: Each,
    /// All of these.
    pub expect: Vec<Expect>,
    /// What an absent fact means.
    pub absent: Vec<Absent>,
    /// What it means that a complete section says nothing of the fact.
    pub missing: Unsaid,
}

/// How many of several subjects have to be as expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Each {
    /// All.
    #[default]
    Every,
    /// At least one.
    Some,
}

/// What is expected of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// It is this.
    Equals(Value),
    /// It is one of these.
    OneOf(Vec<Value>),
    /// It is none of these.
    NoneOf(Vec<Value>),
    /// It is this number or more.
    AtLeast(i64),
    /// It is this number or less.
    AtMost(i64),
    /// There is a value, whichever.
    Present,
    /// There is none.
    Absent,
    /// The text, or every item of a list, is one of these patterns.
    Matches(Vec<Pattern>),
    /// Each of these patterns is one of the items.
    Contains(Vec<Pattern>),
    /// No item, or not the text, is one of these patterns.
    ContainsNone(Vec<Pattern>),
    /// The list has no items.
    Empty,
    /// The list has at least one item.
    NotEmpty,
    /// It is what was approved for this asset.
    Baseline,
}

/// What an absent fact means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// Only for builds of Windows below this one.
    pub before: Option<u32>,
    /// What then holds.
    pub means: Meaning,
}

/// See [`Absent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The documented default.
    Value(Value),
    /// It is as it should be.
    Pass,
    /// It is not as it should be.
    Fail,
    /// There is nothing to check.
    NotApplicable,
    /// That is not certain.
    NotChecked,
}

/// What it means that a complete section says nothing of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unsaid {
    /// The agent does not know the fact.
    #[default]
    NotChecked,
    /// Agents say it only where there is such a thing.
    NotApplicable,
    /// Agents say it only where it is as it should be.
    Fail,
}

impl Condition {
    /// Every expectation of a single fact in it, in order.
    pub fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::leaves).collect(),
            Self::Fact(leaf) => vec![leaf],
        }
    }

    /// In words; a single fact is not named, because the rule is about it.
    pub fn text(&self) -> String {
        match self {
            Self::Fact(leaf) => leaf.text(),
            Self::All(_) | Self::Any(_) => self.to_string(),
        }
    }
}

impl Leaf {
    /// What is expected, without the fact's name.
    pub fn text(&self) -> String {
        let parts: Vec<String> = self.expect.iter().map(Expect::to_string).collect();
        parts.join(" and ")
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, word) = match self {
            Self::All(parts) => (parts, "and"),
            Self::Any(parts) => (parts, "or"),
            Self::Fact(leaf) => {
                let each = if leaf.each == Each::Some { "some " } else { "" };
                return match &leaf.subject {
                    Some(subject) => write!(f, "{each}{}[{}] {}", leaf.fact, subject.as_str(), leaf.text()),
                    None => write!(f, "{each}{} {}", leaf.fact, leaf.text()),
                };
            }
        };
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                write!(f, " {word} ")?;
            }
            match part {
                Self::Fact(_) => write!(f, "{part}")?,
                Self::All(_) | Self::Any(_) => write!(f, "({part})")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = |it: &[Value]| it.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
        let patterns = |it: &[Pattern]| it.iter().map(Pattern::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::Equals(value) => write!(f, "is {value}"),
            Self::OneOf(all) => write!(f, "is one of {}", values(all)),
            Self::NoneOf(all) => write!(f, "is none of {}", values(all)),
            Self::AtLeast(number) => write!(f, "is at least {number}"),
            Self::AtMost(number) => write!(f, "is at most {number}"),
            Self::Present => f.write_str("is set"),
            Self::Absent => f.write_str("is not set"),
            Self::Matches(all) => write!(f, "is like {}", patterns(all)),
            Self::Contains(all) => write!(f, "has {}", patterns(all)),
            Self::ContainsNone(all) => write!(f, "has no {}", patterns(all)),
            Self::Empty => f.write_str("is empty"),
            Self::NotEmpty => f.write_str("is not empty"),
            Self::Baseline => f.write_str("equals the baseline"),
        }
    }
}
