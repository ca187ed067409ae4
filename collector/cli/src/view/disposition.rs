//! What was decided about findings: `dispose`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{number, short_time, some_text, text, time};
use crate::output::{Answer, Page, Table};

/// A decision, and whether it stands.
#[derive(Debug, Serialize)]
pub struct Disposition {
    number: u64,
    asset: String,
    subject: String,
    kind: String,
    owner: Option<String>,
    until: Option<String>,
    reason: Option<String>,
    control: Option<String>,
    status: String,
    by: String,
    at: Option<String>,
    findings: u32,
}

impl From<pb::Disposition> for Disposition {
    fn from(wire: pb::Disposition) -> Self {
        let pb::Disposition {
            number,
            asset,
            subject,
            kind,
            owner,
            until_ms,
            reason,
            control,
            status,
            by,
            at_ms,
            findings,
        } = wire;
        Self {
            number,
            asset,
            subject,
            kind,
            owner: text(owner),
            until: until_ms.and_then(time),
            reason: text(reason),
            control: some_text(control),
            status,
            by,
            at: time(at_ms),
            findings,
        }
    }
}

impl Answer for Vec<Disposition> {
    fn page(&self) -> Page {
        let mut table = Table::new([
            "number", "asset", "subject", "kind", "owner", "until", "reason", "control", "status", "by",
            "at", "findings",
        ]);
        for it in self {
            table.row([
                number(it.number),
                Some(it.asset.clone()),
                Some(it.subject.clone()),
                Some(it.kind.clone()),
                it.owner.clone(),
                short_time(it.until.as_deref()),
                it.reason.clone(),
                it.control.clone(),
                Some(it.status.clone()),
                Some(it.by.clone()),
                short_time(it.at.as_deref()),
                number(it.findings),
            ]);
        }
        Page::of(table.dense()).or_line("nothing is decided")
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "number", "asset", "subject", "kind", "owner", "until", "reason", "control", "status", "by",
            "at", "findings",
        ]);
        for it in self {
            table.row([
                number(it.number),
                Some(it.asset.clone()),
                Some(it.subject.clone()),
                Some(it.kind.clone()),
                it.owner.clone(),
                it.until.clone(),
                it.reason.clone(),
                it.control.clone(),
                Some(it.status.clone()),
                Some(it.by.clone()),
                it.at.clone(),
                number(it.findings),
            ]);
        }
        table
    }
}
