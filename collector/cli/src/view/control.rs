//! Compensating controls: `control`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{number, short_time, some_text, text, time};
use crate::output::{Answer, Page, Table};

/// A control and whether it works.
#[derive(Debug, Serialize)]
pub struct Control {
    id: String,
    asset: String,
    subject: String,
    state: String,
    text: Option<String>,
    owner: String,
    description: Option<String>,
    fact: Option<String>,
    interval_days: u32,
    tested: Option<String>,
    until: Option<String>,
}

impl From<pb::Control> for Control {
    fn from(wire: pb::Control) -> Self {
        let pb::Control {
            id,
            asset,
            subject,
            owner,
            description,
            fact,
            interval_days,
            until_ms,
            state,
            text: said,
            tested_ms,
        } = wire;
        Self {
            id,
            asset,
            subject,
            state,
            text: text(said),
            owner,
            description: text(description),
            fact: some_text(fact),
            interval_days,
            tested: tested_ms.and_then(time),
            until: time(until_ms),
        }
    }
}

impl Answer for Vec<Control> {
    fn page(&self) -> Page {
        let mut table = Table::new([
            "id", "asset", "subject", "state", "text", "owner", "fact", "every", "tested", "until",
        ]);
        for it in self {
            table.row([
                Some(it.id.clone()),
                Some(it.asset.clone()),
                Some(it.subject.clone()),
                Some(it.state.clone()),
                it.text.clone().or_else(|| it.description.clone()),
                Some(it.owner.clone()),
                it.fact.clone(),
                Some(format!("{} d", it.interval_days)),
                short_time(it.tested.as_deref()),
                short_time(it.until.as_deref()),
            ]);
        }
        Page::of(table.dense()).or_line("no control is registered")
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "id",
            "asset",
            "subject",
            "state",
            "text",
            "owner",
            "description",
            "fact",
            "interval_days",
            "tested",
            "until",
        ]);
        for it in self {
            table.row([
                Some(it.id.clone()),
                Some(it.asset.clone()),
                Some(it.subject.clone()),
                Some(it.state.clone()),
                it.text.clone(),
                Some(it.owner.clone()),
                it.description.clone(),
                it.fact.clone(),
                number(it.interval_days),
                it.tested.clone(),
                it.until.clone(),
            ]);
        }
        table
    }
}
