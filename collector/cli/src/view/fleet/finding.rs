//! What is to be done, over all zones: `fleet status`.

use std::collections::BTreeMap;

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{by_word, counts};
use crate::output::{Answer, Page, Table};
use crate::view::{short_time, text, time};

/// Findings, and how many there are where a zone does not name them.
#[derive(Debug, Serialize)]
pub struct Status {
    findings: Vec<Finding>,
    beyond: u64,
    counts: Vec<Counts>,
}

/// One finding of one zone.
#[derive(Debug, Serialize)]
pub struct Finding {
    zone: String,
    asset: String,
    subject: String,
    verdict: String,
    reason: Option<String>,
    state: Option<String>,
    product: Option<String>,
    installed: Option<String>,
    required: Option<String>,
    triage: Option<String>,
    disposition: Option<String>,
    said: Option<String>,
    uncertain_since: Option<String>,
}

#[derive(Debug, Serialize)]
struct Counts {
    zone: String,
    policy: Option<String>,
    verdicts: BTreeMap<String, u64>,
    reasons: BTreeMap<String, u64>,
    said: Option<String>,
    uncertain_since: Option<String>,
}

impl From<pb::FleetStatusResponse> for Status {
    fn from(wire: pb::FleetStatusResponse) -> Self {
        let pb::FleetStatusResponse { findings, beyond, counts } = wire;
        let counts = counts.into_iter().map(|it| {
            let pb::FleetZoneCounts { zone, policy, verdicts, reasons, said_ms, uncertain_since_ms } = it;
            Counts {
                zone,
                policy: text(policy),
                verdicts: by_word(verdicts),
                reasons: by_word(reasons),
                said: said_ms.and_then(time),
                uncertain_since: uncertain_since_ms.and_then(time),
            }
        });
        Self { findings: findings.into_iter().map(Finding::from).collect(), beyond, counts: counts.collect() }
    }
}

impl From<pb::FleetFinding> for Finding {
    fn from(wire: pb::FleetFinding) -> Self {
        let pb::FleetFinding { zone, asset, subject, verdict, reason, state, product, installed, .. } = wire;
        let pb::FleetFinding { required, triage, disposition, said_ms, uncertain_since_ms, .. } = wire;
        Self {
            zone,
            asset,
            subject,
            verdict,
            reason: text(reason),
            state: text(state),
            product: text(product),
            installed: text(installed),
            required: text(required),
            triage: text(triage),
            disposition: text(disposition),
            said: time(said_ms),
            uncertain_since: uncertain_since_ms.and_then(time),
        }
    }
}

/// Findings for people.
pub(super) fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new([
        "zone",
        "asset",
        "subject",
        "verdict",
        "reason",
        "state",
        "product",
        "installed",
        "required",
        "triage",
        "disposition",
        "said",
        "uncertain_since",
    ]);
    for it in findings {
        table.row([
            Some(it.zone.clone()),
            Some(it.asset.clone()),
            Some(it.subject.clone()),
            Some(it.verdict.clone()),
            it.reason.clone(),
            it.state.clone(),
            it.product.clone(),
            it.installed.clone(),
            it.required.clone(),
            it.triage.clone(),
            it.disposition.clone(),
            short_time(it.said.as_deref()),
            short_time(it.uncertain_since.as_deref()),
        ]);
    }
    table
}

impl Answer for Status {
    fn page(&self) -> Page {
        let mut page = Page::of(table(&self.findings).dense()).or_line("no zone names such a finding");
        if self.beyond > 0 {
            page = page.line(format!("{} more match: --limit shows more of them", self.beyond));
        }
        if !self.counts.is_empty() {
            page = page.line("These zones say how many, and not or not all of which:");
            let mut table =
                Table::new(["zone", "policy", "findings", "unknown_because", "said", "uncertain_since"]);
            for it in &self.counts {
                table.row([
                    Some(it.zone.clone()),
                    it.policy.clone().or_else(|| Some("not said".to_owned())),
                    counts(&it.verdicts),
                    counts(&it.reasons),
                    short_time(it.said.as_deref()),
                    short_time(it.uncertain_since.as_deref()),
                ]);
            }
            page = page.table(table.dense());
        }
        page
    }

    fn records(&self) -> Table {
        table(&self.findings)
    }
}
