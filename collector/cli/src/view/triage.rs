//! How soon a finding has to be dealt with, and why: `triage`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{hex, joined, number, short_time, some_text, text, time};
use crate::output::{Answer, Page, Table};

/// A finding by every scheme.
#[derive(Debug, Serialize)]
pub struct Triage {
    asset: String,
    subject: String,
    verdict: String,
    epss: Option<String>,
    decisions: Vec<Decision>,
    recorded: Vec<Recorded>,
}

/// A decision with what it rests on.
#[derive(Debug, Default, Serialize)]
pub struct Decision {
    scheme: String,
    version: String,
    table_digest: Option<String>,
    outcome: String,
    undetermined: bool,
    missing: Vec<String>,
    inputs: Vec<Input>,
}

/// An input: one value, or all that are possible.
#[derive(Debug, Serialize)]
pub struct Input {
    name: String,
    values: Vec<String>,
    source: Option<String>,
    as_of: Option<String>,
    digest: Option<String>,
}

/// A decision that was recorded.
#[derive(Debug, Serialize)]
pub struct Recorded {
    number: u64,
    asset: String,
    subject: String,
    at: Option<String>,
    by: String,
    decision: Decision,
    override_outcome: Option<String>,
    override_reason: Option<String>,
}

/// Whether recorded decisions come out again.
#[derive(Debug, Serialize)]
pub struct Checked {
    checked: u32,
    agrees: bool,
    faults: Vec<Fault>,
}

/// One that does not.
#[derive(Debug, Serialize)]
pub struct Fault {
    number: u64,
    asset: String,
    subject: String,
    text: String,
}

impl From<pb::TriageResponse> for Triage {
    fn from(wire: pb::TriageResponse) -> Self {
        let pb::TriageResponse { asset, subject, verdict, decisions, recorded, epss } = wire;
        Self {
            asset,
            subject,
            verdict,
            epss: some_text(epss),
            decisions: decisions.into_iter().map(Decision::from).collect(),
            recorded: recorded.into_iter().map(Recorded::from).collect(),
        }
    }
}

impl From<pb::TriageDecision> for Decision {
    fn from(wire: pb::TriageDecision) -> Self {
        let pb::TriageDecision { scheme, version, table_digest, inputs, outcome, undetermined, missing } =
            wire;
        let input = |it| {
            let pb::TriageValue { name, values, source, as_of_ms, digest } = it;
            let (source, as_of, digest) = (text(source), as_of_ms.and_then(time), hex(&digest));
            Input { name, values, source, as_of, digest }
        };
        let inputs = inputs.into_iter().map(input).collect();
        Self { scheme, version, table_digest: hex(&table_digest), outcome, undetermined, missing, inputs }
    }
}

impl From<pb::RecordedTriage> for Recorded {
    fn from(wire: pb::RecordedTriage) -> Self {
        let pb::RecordedTriage {
            number,
            asset,
            subject,
            at_ms,
            by,
            decision,
            override_outcome,
            override_reason,
        } = wire;
        Self {
            number,
            asset,
            subject,
            at: time(at_ms),
            by,
            decision: decision.map(Decision::from).unwrap_or_default(),
            override_outcome: some_text(override_outcome),
            override_reason: some_text(override_reason),
        }
    }
}

impl From<pb::CheckTriageResponse> for Checked {
    fn from(wire: pb::CheckTriageResponse) -> Self {
        let pb::CheckTriageResponse { checked, faults } = wire;
        let fault = |pb::TriageFault { number, asset, subject, text }| Fault { number, asset, subject, text };
        Self { checked, agrees: faults.is_empty(), faults: faults.into_iter().map(fault).collect() }
    }
}

impl Checked {
    /// Whether every one comes out again.
    pub fn agrees(&self) -> bool {
        self.agrees
    }
}

impl Decision {
    fn outcome(&self) -> String {
        if self.undetermined {
            format!("{} (undetermined: {} not known)", self.outcome, self.missing.join(", "))
        } else {
            self.outcome.clone()
        }
    }
}

impl Answer for Triage {
    fn page(&self) -> Page {
        let mut decided = Table::new(["scheme", "version", "outcome"]);
        for it in &self.decisions {
            decided.row([Some(it.scheme.clone()), Some(it.version.clone()), Some(it.outcome())]);
        }
        let mut recorded = Table::new(["number", "recorded", "outcome", "instead", "reason", "by"]);
        for it in &self.recorded {
            recorded.row([
                number(it.number),
                short_time(it.at.as_deref()),
                Some(format!("{}: {}", it.decision.scheme, it.decision.outcome())),
                it.override_outcome.clone(),
                it.override_reason.clone(),
                Some(it.by.clone()),
            ]);
        }
        let page = Page::default().facts([
            ("asset", Some(self.asset.clone())),
            ("subject", Some(self.subject.clone())),
            ("verdict", Some(self.verdict.clone())),
            ("EPSS", self.epss.clone()),
        ]);
        let page = page.table(decided).table(self.records().dense()).table(recorded.dense());
        if self.decisions.is_empty() {
            return page.line("a requirement of the site is no vulnerability: there is no triage");
        }
        page
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["scheme", "input", "values", "source", "as_of", "digest"]);
        for decision in &self.decisions {
            for it in &decision.inputs {
                table.row([
                    Some(decision.scheme.clone()),
                    Some(it.name.clone()),
                    joined(&it.values),
                    it.source.clone(),
                    it.as_of.clone(),
                    it.digest.clone(),
                ]);
            }
        }
        table
    }
}

impl Answer for Recorded {
    fn page(&self) -> Page {
        Page::default().facts([
            ("decision", number(self.number)),
            ("asset", Some(self.asset.clone())),
            ("subject", Some(self.subject.clone())),
            ("scheme", Some(format!("{} {}", self.decision.scheme, self.decision.version))),
            ("outcome", Some(self.decision.outcome())),
            ("instead", self.override_outcome.clone()),
            ("reason", self.override_reason.clone()),
            ("by", Some(self.by.clone())),
            ("at", short_time(self.at.as_deref())),
        ])
    }

    fn records(&self) -> Table {
        let mut table =
            Table::new(["number", "asset", "subject", "scheme", "outcome", "override_outcome", "by", "at"]);
        table.row([
            number(self.number),
            Some(self.asset.clone()),
            Some(self.subject.clone()),
            Some(self.decision.scheme.clone()),
            Some(self.decision.outcome.clone()),
            self.override_outcome.clone(),
            Some(self.by.clone()),
            self.at.clone(),
        ]);
        table
    }
}

impl Answer for Checked {
    fn page(&self) -> Page {
        let all = format!(
            "{} of {} recorded decisions come out again, byte for byte",
            { usize::try_from(self.checked).unwrap_or(0).saturating_sub(self.faults.len()) },
            self.checked
        );
        Page::of(self.records()).line(all)
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["number", "asset", "subject", "text"]);
        for it in &self.faults {
            table.row([
                number(it.number),
                Some(it.asset.clone()),
                Some(it.subject.clone()),
                Some(it.text.clone()),
            ]);
        }
        table
    }
}
