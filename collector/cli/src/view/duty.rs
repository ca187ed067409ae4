//! What somebody has to do in time: `due`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{short_time, text, time};
use crate::output::{Answer, Page, Table};

/// A duty with its day.
#[derive(Debug, Serialize)]
pub struct Duty {
    kind: String,
    subject: String,
    asset: Option<String>,
    due: Option<String>,
    state: String,
    text: Option<String>,
    rule: Option<String>,
}

impl From<pb::Duty> for Duty {
    fn from(wire: pb::Duty) -> Self {
        let pb::Duty { kind, subject, asset, due_ms, state, text: said, rule } = wire;
        Self {
            kind,
            subject,
            asset: text(asset),
            due: time(due_ms),
            state,
            text: text(said),
            rule: text(rule),
        }
    }
}

impl Answer for Vec<Duty> {
    fn page(&self) -> Page {
        let mut table = Table::new(["state", "due", "kind", "subject", "asset", "text", "rule"]);
        for it in self {
            // What is late stands out among what is only coming.
            let state = if it.state == "overdue" { it.state.to_uppercase() } else { it.state.clone() };
            table.row([
                Some(state),
                short_time(it.due.as_deref()),
                Some(it.kind.clone()),
                Some(it.subject.clone()),
                it.asset.clone(),
                it.text.clone(),
                it.rule.clone(),
            ]);
        }
        Page::of(table.dense()).or_line("nothing is due")
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["kind", "subject", "asset", "due", "state", "text", "rule"]);
        for it in self {
            table.row([
                Some(it.kind.clone()),
                Some(it.subject.clone()),
                it.asset.clone(),
                it.due.clone(),
                Some(it.state.clone()),
                it.text.clone(),
                it.rule.clone(),
            ]);
        }
        table
    }
}
