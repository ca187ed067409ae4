//! How much leaves a zone: what its owner allows, and nothing beyond.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which records leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Counts over the zone, states of changes, ages of feeds: no asset has a name outside.
    #[default]
    Counts,
    /// Also assets with placement, freshness, counts and score, and the verdicts of changes.
    Assets,
    /// Also what is open on each asset.
    Full,
}

impl Level {
    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counts => "counts",
            Self::Assets => "assets",
            Self::Full => "full",
        }
    }
}

/// A field that can be struck out of everything that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Field {
    /// Names of assets; identifiers stay, because records are found by them.
    AssetName,
    /// Operating system and version.
    AssetOs,
    /// Who answers for it.
    AssetOwner,
    /// Its process line.
    AssetLine,
    /// How critical it is.
    AssetCriticality,
    /// What is installed.
    FindingInstalled,
    /// The product as advisories write it.
    FindingProduct,
    /// Title of a change.
    ChangeTitle,
    /// What a change expected.
    ChangeExpectation,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::AssetName,
        Self::AssetOs,
        Self::AssetOwner,
        Self::AssetLine,
        Self::AssetCriticality,
        Self::FindingInstalled,
        Self::FindingProduct,
        Self::ChangeTitle,
        Self::ChangeExpectation,
    ];

    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AssetName => "asset.name",
            Self::AssetOs => "asset.os",
            Self::AssetOwner => "asset.owner",
            Self::AssetLine => "asset.line",
            Self::AssetCriticality => "asset.criticality",
            Self::FindingInstalled => "finding.installed",
            Self::FindingProduct => "finding.product",
            Self::ChangeTitle => "change.title",
            Self::ChangeExpectation => "change.expectation",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Field> for String {
    fn from(field: Field) -> Self {
        field.as_str().to_owned()
    }
}

/// No such field can be struck out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be struck out: use some of {list}", list = Field::ALL.map(Field::as_str).join(", "))]
pub struct UnknownField(String);

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(text: &str) -> Result<Self, UnknownField> {
        let known = Self::ALL.into_iter().find(|it| it.as_str() == text);
        known.ok_or_else(|| UnknownField(text.chars().take(60).collect()))
    }
}

impl TryFrom<String> for Field {
    type Error = UnknownField;

    fn try_from(text: String) -> Result<Self, UnknownField> {
        text.parse()
    }
}

/// What leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Which records.
    pub level: Level,
    /// What is struck out of them.
    pub redacted: BTreeSet<Field>,
}

impl Policy {
    /// A text, or nothing when its field is struck out.
    pub fn show(&self, field: Field, text: impl Into<String>) -> String {
        if self.redacted.contains(&field) { String::new() } else { text.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_read_back_and_no_other_is_taken() {
        for field in Field::ALL {
            assert_eq!(field.as_str().parse(), Ok(field));
        }
        let refused = "asset.serial".parse::<Field>().unwrap_err().to_string();
        assert!(refused.contains("asset.serial") && refused.contains("change.title"), "{refused}");
    }

    #[test]
    fn what_is_struck_out_is_gone() {
        let policy = Policy { level: Level::Assets, redacted: [Field::AssetOwner].into() };
        assert_eq!(policy.show(Field::AssetOwner, "mill"), "");
        assert_eq!(policy.show(Field::AssetName, "hmi-01"), "hmi-01");
    }
}
