//! Which lines of an advisory can never be decided, or contradict themselves, before anybody needs them.
//!
//! Pure functions over [`Advisory`]; nothing here judges an asset. A fault names the line and says what it
//! means for the answer. That a line has no fault is no promise: identity comes first.

mod fix;
mod range;
mod siblings;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::text::shown;
use super::{Advisory, Entry, Identity, Versions};

/// Most faults of one advisory.
pub const MAX_FAULTS: usize = 1_000;
/// Longest sentence, in characters.
const MAX_TEXT: usize = 300;

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// The range is prose, a date, or damaged.
    RangeUnparsed,
    /// It holds only under a condition that is no version.
    Condition,
    /// One bound for each of several branches, without saying which is meant.
    BranchList,
    /// It can be read in several ways that do not always agree.
    SeveralReadings,
    /// No scheme can compare its bound with anything.
    Incomparable,
    /// A part with leading zeros: 5.028 is above or below 5.9, depending on who reads.
    ZeroPadded,
    /// Everything from a version on, for ever: it knows nothing of later fixes.
    LowerBoundOnly,
    /// No version is inside: the lower bound is not below the upper one.
    EmptyRange,
    /// An order number or a product's name where a version belongs.
    OrderNumber,
    /// No version at all.
    NoVersion,
    /// Entries of one product that are not about the same versions.
    Siblings,
    /// The fix that is named is inside the range that it ends.
    FixInsideRange,
    /// Filed as a fix, and the text says that there is none.
    FixDenied,
}

impl FaultKind {
    /// Every kind, in the order in which they are listed.
    pub const ALL: [Self; 13] = [
        Self::RangeUnparsed,
        Self::Condition,
        Self::BranchList,
        Self::SeveralReadings,
        Self::Incomparable,
        Self::ZeroPadded,
        Self::LowerBoundOnly,
        Self::EmptyRange,
        Self::OrderNumber,
        Self::NoVersion,
        Self::Siblings,
        Self::FixInsideRange,
        Self::FixDenied,
    ];

    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RangeUnparsed => "range-unparsed",
            Self::Condition => "condition",
            Self::BranchList => "branch-list",
            Self::SeveralReadings => "several-readings",
            Self::Incomparable => "incomparable",
            Self::ZeroPadded => "zero-padded",
            Self::LowerBoundOnly => "lower-bound-only",
            Self::EmptyRange => "empty-range",
            Self::OrderNumber => "order-number",
            Self::NoVersion => "no-version",
            Self::Siblings => "siblings",
            Self::FixInsideRange => "fix-inside-range",
            Self::FixDenied => "fix-denied",
        }
    }

    /// What the answer for such a line is.
    pub fn consequence(self) -> Consequence {
        match self {
            Self::RangeUnparsed | Self::Condition | Self::Incomparable | Self::OrderNumber => {
                Consequence::Never
            }
            Self::BranchList
            | Self::SeveralReadings
            | Self::ZeroPadded
            | Self::EmptyRange
            | Self::NoVersion
            | Self::Siblings => Consequence::Sometimes,
            Self::LowerBoundOnly | Self::FixInsideRange | Self::FixDenied => Consequence::Look,
        }
    }
}

/// What a fault means for answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// Every version is UNKNOWN.
    Never,
    /// Some versions are UNKNOWN.
    Sometimes,
    /// It is answered; a person should read it before the answer is used.
    Look,
}

impl Consequence {
    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never-decided",
            Self::Sometimes => "partly-undecided",
            Self::Look => "read-it",
        }
    }
}

/// A line with something wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// The product as the line names it.
    pub product: String,
    /// The identifier of the entry.
    pub entry: String,
    /// The vulnerability; `None` when it is about every one.
    pub vulnerability: Option<String>,
    /// What stands there and what it means.
    pub text: String,
}

impl Fault {
    fn new(kind: FaultKind, entry: &Entry, vulnerability: Option<&str>, text: &str) -> Self {
        Self {
            kind,
            product: entry.product.clone(),
            entry: entry.id.clone(),
            vulnerability: vulnerability.map(str::to_owned),
            text: shown(text, MAX_TEXT),
        }
    }
}

/// The faults of an advisory, each once, at most [`MAX_FAULTS`]. A withdrawn one has none: nothing in it is decided.
pub fn lint(advisory: &Advisory) -> Vec<Fault> {
    if advisory.withdrawn {
        return Vec::new();
    }
    let stated: BTreeSet<u32> =
        advisory.vulnerabilities.iter().flat_map(|it| it.statements.iter().map(|it| it.0)).collect();
    let mut faults = BTreeSet::new();
    for position in stated {
        let entry = usize::try_from(position).ok().and_then(|it| advisory.entries.get(it));
        if let Some(entry) = entry {
            faults.extend(of_entry(entry));
        }
        if faults.len() >= MAX_FAULTS {
            break;
        }
    }
    // Each range is read once, however many vulnerabilities and fixes speak of it.
    let bounds = fix::bounds(advisory);
    for vulnerability in &advisory.vulnerabilities {
        if faults.len() >= MAX_FAULTS {
            break;
        }
        faults.extend(siblings::faults(advisory, vulnerability));
        faults.extend(fix::faults(advisory, &bounds, vulnerability));
    }
    faults.into_iter().take(MAX_FAULTS).collect()
}

/// What is wrong with an entry by itself.
fn of_entry(entry: &Entry) -> Vec<Fault> {
    let fault = |kind, text: &str| Fault::new(kind, entry, None, text);
    let mut found = Vec::new();
    if let Some(condition) = entry.conditions.first() {
        found.push(fault(FaultKind::Condition, &format!("it holds only with: {condition}")));
    }
    match (&entry.versions, &entry.identity) {
        (Versions::InName, _) => {
            let text = "only the product's full name is given; no part of it is marked as a version";
            found.push(fault(FaultKind::NoVersion, text));
        }
        (Versions::All, _) => {
            let text = "no version is given, so every version counts as meant";
            found.push(fault(FaultKind::NoVersion, text));
        }
        (Versions::Range(text), _) => found.extend(range::faults(entry, text, false)),
        (Versions::One(text), _) => found.extend(range::faults(entry, text, true)),
        (Versions::Events(branches), Identity::Package(ecosystem)) => {
            found.extend(range::of_events(entry, branches, ecosystem.scheme));
        }
        (Versions::Events(_), Identity::Named | Identity::Windows) => {
            found.push(fault(FaultKind::Incomparable, "its versions are those of no known ecosystem"));
        }
        (Versions::Builds(fixes), _) => {
            if fixes.iter().all(|it| it.build.is_none()) {
                let text = "no fixed build is published: nothing that is installed can be compared with it";
                found.push(fault(FaultKind::NoVersion, text));
            }
        }
    }
    found
}
