//! Results, scores and rules of hardening.

use holdpoint_collector::hardening::Lint;
use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{joined, number, some_text, text, time};
use crate::output::{Answer, Page, Table};

/// The six words of a result.
pub const RESULTS: [&str; 6] = ["PASS", "FAIL", "EXCEPTION", "NOT_APPLICABLE", "NOT_CHECKED", "ERROR"];

/// What one rule says of one asset.
#[derive(Debug, Clone, Serialize)]
pub struct Tested {
    pub(crate) asset: String,
    pub(crate) rule: String,
    pub(crate) result: String,
    pub(crate) observed: Option<String>,
    pub(crate) expected: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) title: String,
    pub(crate) severity: String,
    pub(crate) expires: Option<String>,
    pub(crate) profile: String,
    pub(crate) as_of: Option<String>,
    pub(crate) grade: Option<String>,
}

impl From<pb::HardeningResult> for Tested {
    fn from(wire: pb::HardeningResult) -> Self {
        let pb::HardeningResult {
            asset,
            rule,
            result,
            observed,
            expected,
            source,
            reason,
            title,
            severity,
            expires_ms,
            profile,
            as_of_ms,
            grade,
        } = wire;
        Self {
            asset,
            rule,
            result,
            observed: some_text(observed),
            expected: some_text(expected),
            source: some_text(source),
            reason: some_text(reason),
            title,
            severity,
            expires: expires_ms.and_then(time),
            profile,
            as_of: as_of_ms.and_then(time),
            grade: some_text(grade),
        }
    }
}

impl Answer for Vec<Tested> {
    fn page(&self) -> Page {
        let mut table = Table::new(["asset", "rule", "result", "title", "observed", "expected", "reason"]);
        for it in self {
            table.row([
                Some(it.asset.clone()),
                Some(it.rule.clone()),
                Some(it.result.clone()),
                Some(it.title.clone()),
                it.observed.clone(),
                it.expected.clone(),
                it.reason.clone(),
            ]);
        }
        Page::of(table.dense()).or_line("no results; this is not an all-clear: see `holdpoint assets`")
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "asset", "rule", "result", "observed", "expected", "source", "reason", "title", "severity",
            "expires", "profile", "as_of", "grade",
        ]);
        for it in self {
            table.row([
                Some(it.asset.clone()),
                Some(it.rule.clone()),
                Some(it.result.clone()),
                it.observed.clone(),
                it.expected.clone(),
                it.source.clone(),
                it.reason.clone(),
                Some(it.title.clone()),
                Some(it.severity.clone()),
                it.expires.clone(),
                Some(it.profile.clone()),
                it.as_of.clone(),
                it.grade.clone(),
            ]);
        }
        table
    }
}

/// How much of what was checked is as it should be, of an asset or of the zone.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Score {
    pub(crate) asset: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) score: Option<f64>,
    pub(crate) checked: Option<f64>,
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) excepted: u64,
    pub(crate) not_applicable: u64,
    pub(crate) not_checked: u64,
    pub(crate) errors: u64,
}

impl From<pb::HardeningScore> for Score {
    fn from(wire: pb::HardeningScore) -> Self {
        let pb::HardeningScore {
            asset,
            role,
            passed,
            failed,
            excepted,
            not_applicable,
            not_checked,
            errors,
            score,
            checked,
        } = wire;
        Self {
            asset: some_text(asset),
            role: some_text(role),
            score,
            checked,
            passed,
            failed,
            excepted,
            not_applicable,
            not_checked,
            errors,
        }
    }
}

/// The scores of assets, and of all that were asked for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Scores {
    pub(crate) assets: Vec<Score>,
    pub(crate) zone: Score,
}

impl Scores {
    /// Adds a page.
    pub fn add(&mut self, page: pb::ScoreHardeningResponse) {
        let pb::ScoreHardeningResponse { assets, zone, next_after: _ } = page;
        self.assets.extend(assets.into_iter().map(Score::from));
        self.zone = zone.map(Score::from).unwrap_or_default();
    }

    fn table(&self, name: &str) -> Table {
        let mut table = Table::new([
            "asset",
            "role",
            "score",
            "checked",
            "passed",
            "failed",
            "excepted",
            "errors",
            "not_checked",
            "not_applicable",
        ]);
        let mut zone = self.zone.clone();
        zone.asset = text(name.to_owned());
        for it in self.assets.iter().chain(std::iter::once(&zone)) {
            let percent = |it: f64| format!("{it:.1}");
            table.row([
                it.asset.clone(),
                it.role.clone(),
                it.score.map(percent),
                it.checked.map(percent),
                number(it.passed),
                number(it.failed),
                number(it.excepted),
                number(it.errors),
                number(it.not_checked),
                number(it.not_applicable),
            ]);
        }
        table
    }
}

impl Answer for Scores {
    fn page(&self) -> Page {
        Page::of(self.table("(zone)")).line(
            "score: PASS in percent of what was checked, by weight; checked: how much of what applies that is",
        )
    }

    fn records(&self) -> Table {
        self.table("")
    }
}

/// A rule.
#[derive(Debug, Clone, Serialize)]
pub struct Rule {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) why: Option<String>,
    pub(crate) severity: String,
    pub(crate) weight: u32,
    pub(crate) applies: String,
    pub(crate) expected: String,
    pub(crate) references: Vec<Reference>,
    pub(crate) facts: Vec<String>,
    pub(crate) profile: String,
    pub(crate) changes: Vec<String>,
}

/// Where an expectation comes from.
#[derive(Debug, Clone, Serialize)]
pub struct Reference {
    pub(crate) text: String,
    pub(crate) mapping: bool,
}

/// The rules that hold.
#[derive(Debug, Clone, Serialize)]
pub struct Rules {
    pub(crate) rules: Vec<Rule>,
    pub(crate) warnings: Vec<String>,
}

impl From<pb::ListHardeningRulesResponse> for Rules {
    fn from(wire: pb::ListHardeningRulesResponse) -> Self {
        let pb::ListHardeningRulesResponse { rules, warnings } = wire;
        Self { rules: rules.into_iter().map(Rule::from).collect(), warnings }
    }
}

impl From<pb::HardeningRule> for Rule {
    fn from(wire: pb::HardeningRule) -> Self {
        let pb::HardeningRule {
            id,
            title,
            why,
            severity,
            weight,
            applies,
            expected,
            references,
            facts,
            profile,
            changes,
        } = wire;
        let reference = |it: pb::HardeningReference| {
            let pb::HardeningReference { text, mapping } = it;
            Reference { text, mapping }
        };
        Self {
            id,
            title,
            why: text(why),
            severity,
            weight,
            applies,
            expected,
            references: references.into_iter().map(reference).collect(),
            facts,
            profile,
            changes,
        }
    }
}

impl Rules {
    fn table(&self, names: &[&str]) -> Table {
        let mut table = Table::new([
            "rule",
            "title",
            "severity",
            "weight",
            "applies",
            "expected",
            "references",
            "facts",
            "why",
            "profile",
            "changes",
        ]);
        for it in &self.rules {
            // What somebody mapped is not what a standard asks for.
            let reference = |it: &Reference| {
                if it.mapping { format!("{} (mapping)", it.text) } else { it.text.clone() }
            };
            table.row([
                Some(it.id.clone()),
                Some(it.title.clone()),
                Some(it.severity.clone()),
                number(it.weight),
                Some(it.applies.clone()),
                text(it.expected.clone()),
                joined(&it.references.iter().map(reference).collect::<Vec<_>>()),
                joined(&it.facts),
                it.why.clone(),
                Some(it.profile.clone()),
                joined(&it.changes),
            ]);
        }
        if names.is_empty() { table } else { table.only(names) }
    }
}

impl Answer for Rules {
    fn page(&self) -> Page {
        let names = ["rule", "title", "severity", "applies", "expected", "references", "changes"];
        let mut page = Page::of(self.table(&names).dense());
        for warning in &self.warnings {
            page = page.line(format!("warning: {warning}"));
        }
        page
    }

    fn records(&self) -> Table {
        self.table(&[])
    }
}

/// What is to be said of a file of rules.
#[derive(Debug, Clone, Serialize)]
pub struct Linted {
    valid: bool,
    rules: usize,
    changes: usize,
    exceptions: usize,
    faults: Vec<String>,
    warnings: Vec<String>,
}

impl From<Lint> for Linted {
    fn from(it: Lint) -> Self {
        let Lint { faults, warnings, rules, changes, exceptions } = it;
        Self { valid: faults.is_empty(), rules, changes, exceptions, faults, warnings }
    }
}

impl Linted {
    /// Whether the file would be taken.
    pub fn is_valid(&self) -> bool {
        self.valid
    }
}

impl Answer for Linted {
    fn page(&self) -> Page {
        let mut page = Page::default();
        for fault in &self.faults {
            page = page.line(format!("refused: {fault}"));
        }
        for warning in &self.warnings {
            page = page.line(format!("warning: {warning}"));
        }
        if self.valid {
            page = page.line(format!(
                "{} rules, {} changes, {} exceptions: it can be imported",
                self.rules, self.changes, self.exceptions
            ));
        }
        page
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["kind", "text"]);
        for (kind, lines) in [("fault", &self.faults), ("warning", &self.warnings)] {
            for line in lines {
                table.row([Some(kind.to_owned()), Some(line.clone())]);
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Format;
    use crate::output::Output;

    #[test]
    fn what_was_not_checked_stands_beside_the_score() {
        let one = pb::HardeningScore {
            asset: Some("hmi-01".into()),
            passed: 3,
            failed: 1,
            not_checked: 6,
            score: Some(75.0),
            checked: Some(40.0),
            ..Default::default()
        };
        let zone = pb::HardeningScore { asset: None, ..one.clone() };
        let mut scores = Scores::default();
        scores.add(pb::ScoreHardeningResponse { assets: vec![one], zone: Some(zone), next_after: None });
        let text = Output::plain(Format::Table, None).render(&scores).unwrap();
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("ASSET   ROLE  SCORE  CHECKED  PASSED"), "{text}");
        assert!(lines.next().unwrap().starts_with("hmi-01  -     75.0   40.0     3"), "{text}");
        assert!(lines.next().unwrap().starts_with("(zone)  -     75.0"), "{text}");
    }

    #[test]
    fn a_mapping_is_marked_as_one() {
        let reference = |text: &str, mapping| pb::HardeningReference { text: text.into(), mapping };
        let rule = pb::HardeningRule {
            id: "W06".into(),
            references: vec![reference("SR 7.7", true), reference("CIP-007 R2", false)],
            ..Default::default()
        };
        let rules = Rules::from(pb::ListHardeningRulesResponse { rules: vec![rule], warnings: Vec::new() });
        let text = Output::plain(Format::Csv, None).render(&rules).unwrap();
        assert!(text.contains("\"SR 7.7 (mapping), CIP-007 R2\""), "{text}");
    }
}
