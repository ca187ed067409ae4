//! A rule: what it is called, for whom it is, what it expects, and where that comes from.

use std::collections::BTreeMap;
use std::fmt;

use crate::knowledge::Pattern;

use super::condition::Condition;
use super::result::Missing;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `W06.server`; what stands before the first dot is the check.
    pub id: String,
    /// What is checked.
    pub title: String,
    /// Why it matters in a plant.
    pub why: Option<String>,
    /// For whom it is.
    pub applies: Applies,
    /// What it asks.
    pub asks: Asks,
    /// The asset is looked at only where this holds; elsewhere there is nothing to check.
    pub when: Option<Condition>,
    /// The facts are those of a system that runs; of an image they say nothing.
    pub needs_running: bool,
    /// Where the expectation comes from.
    pub references: Vec<Reference>,
    /// How much it counts.
    pub severity: Severity,
    /// Its weight in a score, where it is not that of its severity.
    pub weight: Option<u32>,
}

impl Rule {
    /// The check that the rule is a part of.
    pub fn check(&self) -> &str {
        check_of(&self.id)
    }

    /// Its weight in a score.
    pub fn weight(&self) -> u32 {
        self.weight.unwrap_or_else(|| self.severity.weight())
    }

    /// What is expected, in words.
    pub fn expected(&self) -> Option<String> {
        match &self.asks {
            Asks::Facts(condition) => Some(condition.text()),
            Asks::Nothing(_, _) => None,
        }
    }
}

/// What stands before the first dot.
pub fn check_of(id: &str) -> &str {
    id.split('.').next().unwrap_or(id)
}

/// Whether an identifier of a rule, or of a whole check, means this rule.
pub fn is_named(named: &str, rule: &str) -> bool {
    named.eq_ignore_ascii_case(rule)
        || rule
            .get(..named.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(named) && rule[named.len()..].starts_with('.'))
}

/// What a rule asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// Facts.
    Facts(Condition),
    /// Nothing yet: what it needs is not there, in words.
    Nothing(Missing, String),
}

/// For whom something is. What is not said is for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applies {
    /// The family of systems.
    pub os: Option<Family>,
    /// One of these roles, or a role of one of these groups.
    pub roles: Vec<String>,
    /// None of these roles and groups.
    pub not_roles: Vec<String>,
    /// One of these Purdue levels.
    pub levels: Vec<u32>,
    /// All of these tags.
    pub tags: Vec<String>,
    /// None of these tags.
    pub not_tags: Vec<String>,
    /// Builds of Windows from this one on.
    pub from_build: Option<u32>,
    /// Builds of Windows below this one.
    pub before_build: Option<u32>,
    /// One of these is installed.
    pub products: Vec<Pattern>,
}

/// A family of systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Windows.
    Windows,
    /// Linux.
    Linux,
}

impl Family {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Linux => "linux",
        }
    }
}

/// Names of roles that mean the same to rules: `operator-station` has `hmi` and others.
pub type RoleGroups = BTreeMap<String, Vec<String>>;

/// How much a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Severity {
    /// Good to have.
    Low,
    /// Should be so.
    #[default]
    Medium,
    /// A way in, or a way for trouble to spread.
    High,
    /// An open door.
    Critical,
}

impl Severity {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Weight in a score.
    pub fn weight(self) -> u32 {
        match self {
            Self::Low => 1,
            Self::Medium => 3,
            Self::High => 6,
            Self::Critical => 10,
        }
    }
}

/// Where an expectation comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Whose numbering.
    pub system: System,
    /// As written: `SR 7.7`.
    pub text: String,
}

/// A numbering of requirements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum System {
    /// System requirements of IEC 62443-3-3.
    Sr,
    /// Safeguards of the CIS Controls, version 8.
    C8,
    /// Parts of the NERC CIP standards.
    Cip,
    /// Something else, in words.
    Document,
}

impl Reference {
    /// Reads one.
    pub fn new(text: &str) -> Self {
        let system = match text.split([' ', '-']).next() {
            Some("SR") => System::Sr,
            Some("C8") => System::C8,
            Some("CIP") => System::Cip,
            Some(_) | None => System::Document,
        };
        Self { system, text: text.to_owned() }
    }

    /// Whether it is somebody's mapping. Only the parts of CIP ask for the thing itself.
    pub fn is_mapping(&self) -> bool {
        match self.system {
            System::Sr | System::C8 => true,
            System::Cip | System::Document => false,
        }
    }
}

impl System {
    /// A name of the numbering for machines.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Sr => "urn:iec:std:iec:62443-3-3",
            Self::C8 => "https://www.cisecurity.org/controls/v8",
            Self::Cip => "urn:nerc:cip",
            Self::Document => "urn:holdpoint:reference",
        }
    }
}

impl fmt::Display for Applies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.os.map(|it| it.as_str().to_owned()));
        let mut list = |word: &str, all: &[String]| {
            if !all.is_empty() {
                parts.push(format!("{word} {}", all.join(" or ")));
            }
        };
        list("role", &self.roles);
        list("not role", &self.not_roles);
        list("level", &self.levels.iter().map(ToString::to_string).collect::<Vec<_>>());
        list("tag", &self.tags);
        list("not tag", &self.not_tags);
        list("with", &self.products.iter().map(|it| it.as_str().to_owned()).collect::<Vec<_>>());
        parts.extend(self.from_build.map(|it| format!("from build {it}")));
        parts.extend(self.before_build.map(|it| format!("before build {it}")));
        f.write_str(&if parts.is_empty() { "all".to_owned() } else { parts.join(", ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_names_all_its_rules_and_no_other() {
        assert!(is_named("w06", "W06.server") && is_named("W06.server", "W06.server"));
        assert!(!is_named("W0", "W06.server") && !is_named("W06.s", "W06.server"));
        assert!(!is_named("W06.server.x", "W06.server") && !is_named("é", "W06"));
    }

    #[test]
    fn only_parts_of_cip_are_no_mapping() {
        assert!(Reference::new("SR 7.7").is_mapping() && Reference::new("C8 4.8").is_mapping());
        assert!(!Reference::new("CIP-007 R2").is_mapping());
        assert_eq!(Reference::new("Vendor guide 4711").system, System::Document);
    }
}
