//! The site's identity rules, as reviewed text: what is installed is, or is not, a product of an advisory.
//!
//! A rule also says where the installed version comes from and whose order compares it, which product line the
//! installed name has to show, and which facts of a host choose between entries of one product that their text does
//! not tell apart. Source of truth: TOML files with `[[map]]` and `[[fact]]` tables. A file with any fault is refused
//! as a whole: a rule that is missing could have contradicted one that is there.

mod lint;
mod read;
mod write;

use std::collections::BTreeSet;

use holdpoint_common::version::range::Reading;

use super::name_pattern::NamePattern;
use super::pattern::Pattern;

pub use lint::{Lint, MAX_LINTS, Severity, lint};
pub use read::{InvalidMap, faults, looks_like_map, read, read_starter};
pub use write::{Written, rule_text, write};

/// Largest file of rules, in bytes.
pub const MAX_MAP_FILE: usize = 8 * 1024 * 1024;
/// Most rules and declared facts of one file.
pub const MAX_RULES: usize = 20_000;
/// Longest text of one key, in bytes.
pub const MAX_VALUE: usize = 1_000;
/// Most texts in one list, and most choices of one rule.
pub const MAX_LIST: usize = 200;

/// One file of rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MapFile {
    /// In file order, each identifier once.
    pub rules: Vec<MapRule>,
    /// Facts of hosts that no agent can read.
    pub declared: Vec<Declared>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapRule {
    /// The site's identifier.
    pub id: String,
    /// What it says of the two sides.
    pub decision: Decision,
    /// What it is about where it is installed.
    pub installed: InstalledSide,
    /// What it is about in advisories.
    pub advisory: AdvisorySide,
    /// Whose order compares the versions; `None` only where the two sides are not the same.
    pub reading: Option<Reading>,
    /// Where the installed version comes from.
    pub version_from: VersionFrom,
    /// The product line that the installed name or version has to show.
    pub line: Option<Line>,
    /// Facts that choose between entries of one product.
    pub choices: Vec<Choice>,
    /// Who decided, when, and on what ground.
    pub signed: Signed,
}

/// Who answers for a rule or a fact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signed {
    /// The person.
    pub author: String,
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// A document, an order number, an inspection; of a negative rule the reason.
    pub evidence: String,
    /// From when on it does not count, Unix milliseconds.
    pub expires_ms: Option<i64>,
}

impl Signed {
    /// Whether it counts now.
    pub fn is_valid(&self, now_ms: i64) -> bool {
        self.expires_ms.is_none_or(|it| now_ms < it)
    }
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The two sides are the same product.
    Same,
    /// They are not.
    Not {
        /// Only as this revision of an advisory describes it; `None` for every advisory.
        revision: Option<DocumentRevision>,
    },
}

/// One revision of an advisory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRevision {
    /// The advisory's identifier.
    pub document: String,
    /// Its version.
    pub revision: String,
}

/// The inventory's side. Everything that is given has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstalledSide {
    /// `dpkg`, `registry64`, `firmware`, ...
    pub source: Option<String>,
    /// The publisher.
    pub publisher: Option<Publisher>,
    /// The whole name.
    pub name: Option<NamePattern>,
    /// The source package, or the package where there is none.
    pub package: Option<String>,
    /// The file's own name, of software that no package owns.
    pub file: Option<String>,
    /// Code of the Windows Installer.
    pub product_code: Option<String>,
    /// Order number, as [`order_number`] folds it.
    pub order_number: Option<String>,
}

/// What a rule wants of the publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Publisher {
    /// The source names none.
    Absent,
    /// The publisher is one of these.
    Like(Pattern),
}

/// The advisories' side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdvisorySide {
    /// Spellings of the vendor, an empty one for advisories that name none; no spelling at all for any vendor, which
    /// only order numbers allow.
    pub vendors: Vec<String>,
    /// Names of the product, in full. Of a starter rule: patterns.
    pub products: Vec<String>,
    /// Order numbers, as [`order_number`] folds them.
    pub order_numbers: BTreeSet<String>,
    /// Of a starter rule: an advisory that shows these names.
    pub shown_in: Option<String>,
}

/// Where the installed version comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum VersionFrom {
    /// The row's version.
    #[default]
    Row,
    /// What `{version}` stands for in the name.
    Name,
    /// A fact of the host.
    Fact(FactName),
    /// This text, which the one name that the rule is about has in it.
    Text(String),
}

/// A fact of a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactName {
    /// Its dotted name.
    pub id: String,
    /// What it is about, where there are several of that name.
    pub subject: Option<String>,
}

/// A product line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// As written: `V16`, `2014 R2`.
    pub text: String,
}

/// A fact with a value that says which entries of a product are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The fact.
    pub fact: FactName,
    /// Its value.
    pub value: String,
    /// Ranges of the entries that are meant, as the advisory writes them.
    pub ranges: BTreeSet<String>,
    /// Identifiers of the entries that are meant.
    pub entries: BTreeSet<String>,
}

/// A fact that a person states of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The asset's identifier.
    pub asset: String,
    /// The fact.
    pub fact: FactName,
    /// Its value.
    pub value: String,
    /// Who says so.
    pub signed: Signed,
}

impl MapRule {
    /// Facts of hosts that the rule asks for.
    pub fn facts(&self) -> impl Iterator<Item = &FactName> {
        let version = match &self.version_from {
            VersionFrom::Fact(name) => Some(name),
            VersionFrom::Row | VersionFrom::Name | VersionFrom::Text(_) => None,
        };
        version.into_iter().chain(self.choices.iter().map(|it| &it.fact))
    }
}

/// Folds an order number: capitals, no blanks, no hyphens. `6ES7 518-4AX00-1AB0` is `6ES75184AX001AB0`.
pub fn order_number(text: &str) -> String {
    text.chars().filter(|it| !it.is_whitespace() && *it != '-').flat_map(char::to_uppercase).collect()
}

/// The words of a name that can be order numbers, folded: alone, or together with the next word.
pub fn order_numbers_in(name: &str) -> Vec<String> {
    let words: Vec<String> = name
        .split(|it: char| it.is_whitespace() || "()[],;".contains(it))
        .filter(|it| !it.is_empty())
        .map(order_number)
        .collect();
    let pairs = words.windows(2).map(<[String]>::concat);
    let is_number = |it: &String| {
        (8..=40).contains(&it.len())
            && it.bytes().any(|it| it.is_ascii_digit())
            && it.bytes().any(|it| it.is_ascii_uppercase())
            && it.bytes().all(|it| it.is_ascii_alphanumeric())
    };
    let pairs: Vec<String> = pairs.filter(is_number).collect();
    words.into_iter().filter(is_number).chain(pairs).collect()
}

/// A vendor's or product's name in the form in which a rule's spelling is compared: case and blanks folded.
pub fn spelled(name: &str) -> String {
    super::name_pattern::normal(name)
}
