//! What one file of rules says.

use std::fmt;

use super::condition::Condition;
use super::rule::{Applies, RoleGroups, Rule, Severity};
use crate::knowledge::Pattern;

/// One file of rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleFile {
    /// What the file is about as a whole; a file without it speaks for the whole site.
    pub profile: Option<Profile>,
    /// Names of roles that rules take for the same.
    pub roles: RoleGroups,
    /// Rules that are new, or that replace those of the same identifier.
    pub rules: Vec<Rule>,
    /// Other expectations for some assets.
    pub overrides: Vec<Override>,
    /// Rules that are not checked.
    pub disabled: Vec<Disabled>,
    /// What is accepted until a day.
    pub exceptions: Vec<Exception>,
}

impl RuleFile {
    /// Everything that the file says, counted.
    pub fn items(&self) -> usize {
        self.rules.len() + self.overrides.len() + self.disabled.len() + self.exceptions.len()
    }
}

/// A set of expectations for a family of systems or for a vendor's product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name: `windows`, `pcs7-v9`.
    pub name: String,
    /// The vendor's document that it rests on. A profile that changes expectations has one.
    pub document: Option<String>,
    /// For whom everything in the file is, beside what its parts say themselves.
    pub applies: Applies,
}

/// Another expectation for some assets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// A rule, or a check with all its rules.
    pub rule: String,
    /// For whom.
    pub applies: Applies,
    /// What is expected instead.
    pub change: Change,
    /// Another severity.
    pub severity: Option<Severity>,
    /// Why.
    pub reason: String,
    /// The vendor's document that says so.
    pub document: Option<String>,
}

/// What an [`Override`] changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Something else is expected.
    Expect(Condition),
    /// Nothing is expected of these assets.
    NotApplicable,
    /// The same is expected.
    Nothing,
}

/// A rule that is not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disabled {
    /// A rule, or a check with all its rules.
    pub rule: String,
    /// For whom.
    pub applies: Applies,
    /// Why.
    pub reason: String,
}

/// What somebody answers for until a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// A rule, or a check with all its rules.
    pub rule: String,
    /// Assets whose identifier or name is this.
    pub asset: Option<Pattern>,
    /// A role, or a group of roles.
    pub role: Option<String>,
    /// A tag.
    pub tag: Option<String>,
    /// Why it is accepted.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// From then on it is none, Unix milliseconds: the end of the day, UTC.
    pub expires_ms: i64,
    /// The last day, as written: `2027-03-31`.
    pub last_day: String,
}

impl Exception {
    /// Whether it still holds.
    pub fn is_valid(&self, now_ms: i64) -> bool {
        now_ms < self.expires_ms
    }

    /// For whom it is, in words.
    pub fn scope(&self) -> String {
        let asset = self.asset.as_ref().map(|it| format!("asset {}", it.as_str()));
        let role = self.role.as_ref().map(|it| format!("role {it}"));
        let tag = self.tag.as_ref().map(|it| format!("tag {it}"));
        [asset, role, tag].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Why a file of rules is refused: everything that is wrong with it, at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRules {
    /// One sentence each, with its place.
    pub faults: Vec<String>,
}

impl fmt::Display for InvalidRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.split_first() {
            Some((first, [])) => f.write_str(first),
            Some((first, more)) => write!(f, "{first} (and {} more: `holdpoint hardening lint`)", more.len()),
            None => f.write_str("it holds no rules"),
        }
    }
}

impl std::error::Error for InvalidRules {}
