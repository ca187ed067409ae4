//! Why a verdict is what it is: `explain`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::some_text;
use crate::output::{Answer, Page, Table};

/// A verdict with the chain that leads to it.
#[derive(Debug, Serialize)]
pub struct Explanation {
    asset: String,
    subject: String,
    verdict: String,
    reason: Option<String>,
    chain: Vec<Step>,
    grade: Option<String>,
}

/// One step of the chain.
#[derive(Debug, Serialize)]
pub struct Step {
    step: String,
    text: String,
    evidence: Option<String>,
}

impl From<pb::ExplainResponse> for Explanation {
    fn from(wire: pb::ExplainResponse) -> Self {
        let pb::ExplainResponse { asset, subject, verdict, reason, chain, grade } = wire;
        let step = |pb::Step { step, text, evidence }| Step { step, text, evidence: some_text(evidence) };
        Self {
            asset,
            subject,
            verdict,
            reason: some_text(reason),
            chain: chain.into_iter().map(step).collect(),
            grade: some_text(grade),
        }
    }
}

impl Answer for Explanation {
    fn page(&self) -> Page {
        Page::default()
            .facts([
                ("asset", Some(self.asset.clone())),
                ("subject", Some(self.subject.clone())),
                ("verdict", Some(self.verdict.clone())),
                ("reason", self.reason.clone()),
                ("evidence grade", self.grade.clone()),
            ])
            .table(self.records().dense())
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["step", "text", "evidence"]);
        for it in &self.chain {
            table.row([Some(it.step.clone()), Some(it.text.clone()), it.evidence.clone()]);
        }
        table
    }
}
