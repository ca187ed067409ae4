//! What is otherwise than the approved baseline: `drift`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{hex, kind_name, short_time, some_text, text, time};
use crate::output::{Answer, Page, Table};

/// One item that is otherwise, or an asset of which nothing can be said.
#[derive(Debug, Serialize)]
pub struct Drift {
    asset: String,
    part: Option<String>,
    item: Option<String>,
    baseline: Option<String>,
    now: Option<String>,
    digest: Option<String>,
    disposition: Option<String>,
    reason: Option<String>,
    until: Option<String>,
    section: Option<String>,
    undetermined: Option<String>,
}

impl From<pb::DriftItem> for Drift {
    fn from(wire: pb::DriftItem) -> Self {
        let pb::DriftItem {
            asset,
            part,
            item,
            baseline,
            now,
            digest,
            disposition,
            reason,
            until_ms,
            kind,
            undetermined,
        } = wire;
        Self {
            asset,
            part: text(part),
            item: text(item),
            baseline: some_text(baseline),
            now: some_text(now),
            digest: hex(&digest),
            disposition: text(disposition),
            reason: text(reason),
            until: until_ms.and_then(time),
            section: (kind != 0).then(|| kind_name(kind)),
            undetermined: text(undetermined),
        }
    }
}

impl Answer for Vec<Drift> {
    fn page(&self) -> Page {
        let mut unknown = Table::new(["asset", "nothing_can_be_said"]);
        let mut table = Table::new([
            "asset",
            "part",
            "item",
            "baseline",
            "now",
            "disposition",
            "reason",
            "until",
            "digest",
        ]);
        for it in self {
            if it.undetermined.is_some() {
                unknown.row([Some(it.asset.clone()), it.undetermined.clone()]);
                continue;
            }
            table.row([
                Some(it.asset.clone()),
                it.part.clone(),
                it.item.clone(),
                it.baseline.clone(),
                it.now.clone(),
                it.disposition.clone(),
                it.reason.clone(),
                short_time(it.until.as_deref()),
                it.digest.as_ref().map(|it| it.chars().take(12).collect()),
            ]);
        }
        Page::of(table.dense()).table(unknown).or_line("nothing is otherwise than its baseline")
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "asset",
            "part",
            "item",
            "baseline",
            "now",
            "digest",
            "disposition",
            "reason",
            "until",
            "section",
            "undetermined",
        ]);
        for it in self {
            table.row([
                Some(it.asset.clone()),
                it.part.clone(),
                it.item.clone(),
                it.baseline.clone(),
                it.now.clone(),
                it.digest.clone(),
                it.disposition.clone(),
                it.reason.clone(),
                it.until.clone(),
                it.section.clone(),
                it.undetermined.clone(),
            ]);
        }
        table
    }
}
