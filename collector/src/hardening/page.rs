//! What is asked about hardening, and what is answered: pages of results and scores.

use std::sync::Arc;

use holdpoint_common::proto::store::AssetRecord;

use super::file::RuleFile;
use super::result::Verdict;
use super::rule::Severity;
use super::score::Score;
use super::told::Told;
use crate::assess::RowSource;
use crate::knowledge::{self, AllowedAges};
use crate::zone::Grade;

/// Results of a page when nothing is said.
pub const DEFAULT_LIMIT: usize = 200;
/// Most results of a page.
pub const MAX_LIMIT: usize = 1_000;
/// What a page shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Identifier of an asset.
    pub asset: Option<String>,
    /// A rule, or a check with all its rules.
    pub rule: Option<String>,
    /// One word.
    pub verdict: Option<Verdict>,
    /// Assets of this role.
    pub role: Option<String>,
    /// At most so many; 0 is [`DEFAULT_LIMIT`].
    pub limit: usize,
    /// Asset and rule of the last result of the page before.
    pub after: Option<(String, String)>,
}

/// One result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whose it is.
    pub asset: String,
    /// The rule.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// Its severity for this asset.
    pub severity: Severity,
    /// The profile or file that sets the expectation.
    pub profile: String,
    /// The result in words.
    pub told: Told,
    /// When the rows that decide were received, Unix milliseconds.
    pub as_of_ms: Option<i64>,
    /// How far they can be trusted.
    pub grade: Option<Grade>,
}

/// A page of results.
#[derive(Debug, Default)]
pub struct Page {
    /// By asset, then in the order of the rules.
    pub lines: Vec<Line>,
    /// What to say for the next page.
    pub next_after: Option<(String, String)>,
}

/// The scores of some assets, and of all together.
#[derive(Debug, Default)]
pub struct Scores {
    /// By asset, with its role.
    pub assets: Vec<(String, Option<String>, Score)>,
    /// Over everything that was asked for.
    pub zone: Score,
    /// The last asset of this page, when there are more.
    pub next_after: Option<String>,
}

/// What a question is asked of.
pub struct World<'a> {
    /// Sorted by identifier; retired ones may be among them.
    pub assets: &'a [Arc<AssetRecord>],
    /// Where rows come from.
    pub rows: &'a dyn RowSource,
    /// The site's files.
    pub files: &'a [knowledge::Held<RuleFile>],
    /// How old an inventory may be.
    pub ages: &'a AllowedAges,
    /// When an asset last called, Unix milliseconds.
    pub seen: &'a dyn Fn(&str) -> Option<i64>,
    /// Now, Unix milliseconds.
    pub now_ms: i64,
}
