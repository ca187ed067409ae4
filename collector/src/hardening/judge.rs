//! The pure function: (rule, facts of an asset, what the asset is) -> outcome, with the rows that decide.

use holdpoint_common::row::HardeningRow;

use super::approved;
use super::condition::{Absent, Condition, Each, Expect, Leaf, Meaning, Unsaid};
use super::facts::{Facts, is_whole};
use super::result::{Elsewhere, Missing, Outcome};
use super::rule::{Applies, Asks, Family, RoleGroups, Rule};
use super::value::Value;
use crate::knowledge::Pattern;

/// What an asset is, as far as rules ask.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Asset {
    /// Its role.
    pub role: Option<String>,
    /// Its Purdue level.
    pub level: Option<u32>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Which family of systems it is; `None` when that is not known.
    pub family: Option<Family>,
    /// Build of Windows, without the revision.
    pub build: Option<u32>,
    /// Whether the system ran when it was looked at; `None` when that is not known.
    pub runs: Option<bool>,
    /// Whether the facts are a whole; else why nothing follows from them.
    pub gap: Option<Missing>,
    /// What is installed, as far as rules ask.
    pub products: Products,
}

/// Which of the patterns that rules ask for are installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Products {
    /// The patterns that fit a name, as they are written.
    pub installed: Vec<String>,
    /// Whether what is not among them is not installed.
    pub are_all: bool,
}

impl Products {
    fn has(&self, pattern: &Pattern) -> Option<bool> {
        if self.installed.iter().any(|it| it == pattern.as_str()) {
            return Some(true);
        }
        self.are_all.then_some(false)
    }
}

/// Whether something is for an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is.
    Yes,
    /// It is not.
    No(Elsewhere),
    /// Nobody can say.
    Unknown(Missing),
}

impl Applies {
    /// Whether this is for an asset. What is certain decides before what is not known.
    pub fn reaches(&self, asset: &Asset, groups: &RoleGroups) -> Reach {
        let Self { os, roles, not_roles, levels, tags, not_tags, from_build, before_build, products } = self;
        let mut unknown = None;
        match (os, asset.family) {
            (Some(os), Some(family)) if *os != family => return Reach::No(Elsewhere::OtherSystem),
            (Some(_), None) => unknown = Some(Missing::SystemUnknown),
            (None, _) | (Some(_), Some(_)) => {}
        }
        let has_role = |named: &String| {
            asset.role.as_ref().is_some_and(|role| {
                let is_it = |it: &String| it.eq_ignore_ascii_case(role);
                is_it(named) || groups.get(named).is_some_and(|it| it.iter().any(is_it))
            })
        };
        let has_tag = |named: &String| asset.tags.iter().any(|it| it.eq_ignore_ascii_case(named));
        let is_there = (roles.is_empty() || roles.iter().any(has_role))
            && !not_roles.iter().any(has_role)
            && (levels.is_empty() || asset.level.is_some_and(|it| levels.contains(&it)))
            && tags.iter().all(has_tag)
            && !not_tags.iter().any(has_tag);
        if !is_there {
            return Reach::No(Elsewhere::OtherAsset);
        }
        if from_build.is_some() || before_build.is_some() {
            match asset.build {
                None => unknown = unknown.or(Some(Missing::BuildUnknown)),
                Some(build) => {
                    let is_in =
                        from_build.is_none_or(|it| build >= it) && before_build.is_none_or(|it| build < it);
                    if !is_in {
                        return Reach::No(Elsewhere::OtherAsset);
                    }
                }
            }
        }
        if !products.is_empty() {
            let found: Vec<Option<bool>> = products.iter().map(|it| asset.products.has(it)).collect();
            if !found.contains(&Some(true)) {
                if !found.contains(&None) {
                    return Reach::No(Elsewhere::OtherAsset);
                }
                unknown = unknown.or(Some(Missing::SectionIncomplete));
            }
        }
        unknown.map_or(Reach::Yes, Reach::Unknown)
    }
}

/// An outcome with the rows that decide it.
#[derive(Debug)]
pub struct Seen<'a> {
    /// What follows.
    pub outcome: Outcome,
    /// Every expectation that has this outcome, with the row that it was held against.
    pub parts: Vec<Part<'a>>,
}

/// One expectation that decides.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// What was expected.
    pub leaf: &'a Leaf,
    /// The row; `None` when nothing is said of the fact.
    pub row: Option<&'a HardeningRow>,
    /// What follows from it.
    pub outcome: Outcome,
}

impl Seen<'_> {
    fn without_rows(outcome: Outcome) -> Self {
        Self { outcome, parts: Vec::new() }
    }
}

/// Judges a rule that is for this asset. `asks` is what it asks after overrides.
pub fn judge<'a>(rule: &'a Rule, asks: &'a Asks, asset: &Asset, facts: &'a Facts) -> Seen<'a> {
    let condition = match asks {
        Asks::Nothing(missing, _) => return Seen::without_rows(Outcome::NotChecked(*missing)),
        Asks::Facts(condition) => condition,
    };
    if let Some(gap) = asset.gap {
        return Seen::without_rows(Outcome::NotChecked(gap));
    }
    if rule.needs_running && asset.runs != Some(true) {
        let missing = if asset.runs.is_none() { Missing::SectionMissing } else { Missing::NotRunning };
        return Seen::without_rows(Outcome::NotChecked(missing));
    }
    if let Some(when) = &rule.when {
        let seen = examine(when, asset, facts);
        match seen.outcome {
            Outcome::Pass => {}
            Outcome::Fail => {
                let outcome = Outcome::NotApplicable(Elsewhere::NothingThere);
                return Seen { outcome, ..seen };
            }
            Outcome::NotApplicable(_) | Outcome::NotChecked(_) | Outcome::Error => return seen,
        }
    }
    examine(condition, asset, facts)
}

fn examine<'a>(condition: &'a Condition, asset: &Asset, facts: &'a Facts) -> Seen<'a> {
    let (parts, is_all) = match condition {
        Condition::Fact(leaf) => return leaf.examine(asset, facts),
        Condition::All(parts) => (parts, true),
        Condition::Any(parts) => (parts, false),
    };
    let seen: Vec<Seen<'a>> = parts.iter().map(|it| examine(it, asset, facts)).collect();
    let outcomes = seen.iter().map(|it| it.outcome);
    let outcome = if is_all { Outcome::all(outcomes) } else { Outcome::any(outcomes) };
    let deciding = seen.into_iter().filter(|it| it.outcome.verdict() == outcome.verdict());
    Seen { outcome, parts: deciding.flat_map(|it| it.parts).collect() }
}

impl Leaf {
    fn examine<'a>(&'a self, asset: &Asset, facts: &'a Facts) -> Seen<'a> {
        // A fact that could not be read at all has no subject. One that is absent as a whole says nothing of any.
        let is_meant = |row: &&HardeningRow| match (&self.subject, &row.subject) {
            (None, _) => true,
            (Some(wanted), Some(subject)) => wanted.matches(subject),
            (Some(_), None) => matches!(row.state.as_str(), "denied" | "error"),
        };
        let mut parts: Vec<Part<'a>> = facts
            .rows(&self.fact)
            .iter()
            .filter(is_meant)
            .map(|row| Part { leaf: self, row: Some(row), outcome: self.hold(row, asset, facts.approved()) })
            .collect();
        let is_said = !parts.is_empty() || self.missing != Unsaid::NotChecked;
        if is_said && self.asks_baseline() && self.is_gone(facts) {
            // Something that was approved is not there any more, and no row is left to show it.
            parts.push(Part { leaf: self, row: None, outcome: Outcome::Fail });
        }
        if parts.is_empty() {
            // The fact is absent as a whole, and its row says why.
            let row = facts.rows(&self.fact).iter().find(|it| it.subject.is_none());
            let outcome = match (self.missing, row) {
                (Unsaid::NotChecked, Some(_)) => Outcome::NotChecked(Missing::AbsenceUndetermined),
                (Unsaid::NotChecked, None) => Outcome::NotChecked(facts.gap(&self.fact)),
                (Unsaid::NotApplicable, _) => Outcome::NotApplicable(Elsewhere::NothingThere),
                (Unsaid::Fail, _) => Outcome::Fail,
            };
            return Seen { outcome, parts: vec![Part { leaf: self, row, outcome }] };
        }
        let outcomes = parts.iter().map(|it| it.outcome);
        let outcome = match self.each {
            Each::Every => Outcome::all(outcomes),
            Each::Some => Outcome::any(outcomes),
        };
        let parts = parts.into_iter().filter(|it| it.outcome.verdict() == outcome.verdict()).collect();
        Seen { outcome, parts }
    }

    pub(super) fn asks_baseline(&self) -> bool {
        self.expect.contains(&Expect::Baseline)
    }

    /// Whether the baseline has something of which nothing is said now.
    fn is_gone(&self, facts: &Facts) -> bool {
        let is_meant = |row: &HardeningRow| match (&self.subject, &row.subject) {
            (None, _) => true,
            (Some(wanted), Some(subject)) => wanted.matches(subject),
            (Some(_), None) => false,
        };
        // A fact that could not be read has no subjects: then nobody can say that one is gone.
        let rows = facts.rows(&self.fact);
        rows.iter().all(|it| matches!(it.state.as_str(), "observed" | "absent"))
            && approved::is_gone(&self.fact, rows, facts.approved(), is_meant)
    }

    fn hold(&self, row: &HardeningRow, asset: &Asset, approved: Option<&Facts>) -> Outcome {
        let own = match row.state.as_str() {
            "denied" => return Outcome::NotChecked(Missing::Denied),
            "absent" => self.hold_absent(asset),
            "observed" => match &row.value {
                Some(value) => self.hold_value(&Value::of_row(value), is_whole(row)),
                None => Some(Outcome::Error),
            },
            _ => return Outcome::Error,
        };
        let kept = self.asks_baseline().then(|| approved::equals(row, approved, self.missing));
        Outcome::all(own.into_iter().chain(kept))
    }

    /// `None` when nothing is expected beside the baseline.
    fn hold_absent(&self, asset: &Asset) -> Option<Outcome> {
        match self.expect.as_slice() {
            [Expect::Absent] => return Some(Outcome::Pass),
            [Expect::Present] => return Some(Outcome::Fail),
            [Expect::Baseline] => return None,
            _ => {}
        }
        let Some(means) = self.meaning(asset) else {
            return Some(Outcome::NotChecked(Missing::BuildUnknown));
        };
        match means {
            Meaning::Value(value) => self.hold_value(value, true),
            Meaning::Pass => Some(Outcome::Pass),
            Meaning::Fail => Some(Outcome::Fail),
            Meaning::NotApplicable => Some(Outcome::NotApplicable(Elsewhere::NothingThere)),
            Meaning::NotChecked => Some(Outcome::NotChecked(Missing::AbsenceUndetermined)),
        }
    }

    /// What it means here that the fact is absent; `None` when that depends on a build that is not known.
    pub(super) fn meaning(&self, asset: &Asset) -> Option<&Meaning> {
        for Absent { before, means } in &self.absent {
            match (before, asset.build) {
                (None, _) => return Some(means),
                (Some(_), None) => return None,
                (Some(before), Some(build)) if build < *before => return Some(means),
                (Some(_), Some(_)) => {}
            }
        }
        Some(&Meaning::NotChecked)
    }

    /// `None` when nothing is expected beside the baseline.
    fn hold_value(&self, value: &Value, is_whole: bool) -> Option<Outcome> {
        let mut own = self.expect.iter().filter(|it| **it != Expect::Baseline).peekable();
        own.peek()?;
        Some(Outcome::all(own.map(|it| it.hold(value, is_whole))))
    }
}

impl Expect {
    fn hold(&self, value: &Value, is_whole: bool) -> Outcome {
        let among = |all: &[Value]| {
            let same: Vec<Option<bool>> = all.iter().map(|it| it.is_same(value)).collect();
            (!same.contains(&None)).then(|| same.contains(&Some(true)))
        };
        let held = match (self, value) {
            (Self::Equals(wanted), _) => wanted.is_same(value),
            (Self::OneOf(all), _) => among(all),
            (Self::NoneOf(all), _) => among(all).map(|it| !it),
            (Self::AtLeast(least), Value::Number(number)) => Some(number >= least),
            (Self::AtMost(most), Value::Number(number)) => Some(number <= most),
            (Self::Present, _) => Some(true),
            (Self::Absent, _) => Some(false),
            (Self::Matches(patterns), Value::Text(text)) => Some(is_like(patterns, text)),
            (Self::Matches(patterns), Value::List(items)) => {
                Some(items.iter().all(|it| is_like(patterns, it)))
            }
            (Self::Contains(patterns), Value::List(items)) => {
                Some(patterns.iter().all(|pattern| items.iter().any(|it| pattern.matches(it))))
            }
            (Self::ContainsNone(patterns), Value::List(items)) => {
                Some(!items.iter().any(|it| is_like(patterns, it)))
            }
            (Self::ContainsNone(patterns), Value::Text(text)) => Some(!is_like(patterns, text)),
            (Self::Empty, Value::List(items)) => Some(items.is_empty()),
            (Self::NotEmpty, Value::List(items)) => Some(!items.is_empty()),
            (Self::Baseline, _) => return Outcome::NotChecked(Missing::NoBaseline),
            (
                Self::AtLeast(_)
                | Self::AtMost(_)
                | Self::Matches(_)
                | Self::Contains(_)
                | Self::ContainsNone(_)
                | Self::Empty
                | Self::NotEmpty,
                _,
            ) => None,
        };
        match held {
            None => Outcome::Error,
            Some(held) if !is_whole && self.may_turn(held) => Outcome::NotChecked(Missing::ListCut),
            Some(true) => Outcome::Pass,
            Some(false) => Outcome::Fail,
        }
    }

    /// Whether what was cut off could say the opposite.
    fn may_turn(&self, held: bool) -> bool {
        match self {
            Self::Matches(_) | Self::ContainsNone(_) | Self::Empty => held,
            Self::Contains(_) | Self::NotEmpty => !held,
            Self::Equals(_) | Self::OneOf(_) | Self::NoneOf(_) | Self::Baseline => true,
            Self::AtLeast(_) | Self::AtMost(_) | Self::Present | Self::Absent => false,
        }
    }
}

fn is_like(patterns: &[Pattern], text: &str) -> bool {
    let lower = text.to_lowercase();
    patterns.iter().any(|it| it.matches_lower(&lower))
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
