//! Baselines: `baseline show` and `baseline approve`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{hex, number, short_time, text, time};
use crate::output::{Answer, Page, Table};

/// What was approved for an asset.
#[derive(Debug, Serialize)]
pub struct Baseline {
    asset: String,
    version: u64,
    approved: Option<String>,
    approved_by: String,
    change: Option<String>,
    reason: Option<String>,
    sequence: u64,
    grade: Option<String>,
    parts: Vec<Part>,
}

/// One of the five parts.
#[derive(Debug, Serialize)]
pub struct Part {
    part: String,
    digest: Option<String>,
    complete: bool,
    items: Vec<String>,
}

impl From<pb::Baseline> for Baseline {
    fn from(wire: pb::Baseline) -> Self {
        let pb::Baseline { asset, version, parts, approved_ms, approved_by, change, reason, sequence, grade } =
            wire;
        let part = |pb::BaselinePart { part, digest, items, complete }| Part {
            part,
            digest: hex(&digest),
            complete,
            items,
        };
        Self {
            asset,
            version,
            approved: time(approved_ms),
            approved_by,
            change: text(change),
            reason: text(reason),
            sequence,
            grade: text(grade),
            parts: parts.into_iter().map(part).collect(),
        }
    }
}

impl Answer for Baseline {
    fn page(&self) -> Page {
        let mut table = Table::new(["part", "items", "complete", "digest"]);
        for it in &self.parts {
            let digest = it.digest.as_ref().map(|it| it.chars().take(16).collect());
            table.row([Some(it.part.clone()), number(it.items.len()), number(it.complete), digest]);
        }
        let mut items = Table::new(["part", "item"]);
        for it in &self.parts {
            for item in &it.items {
                items.row([Some(it.part.clone()), Some(item.clone())]);
            }
        }
        Page::default()
            .facts([
                ("asset", Some(self.asset.clone())),
                ("version", number(self.version)),
                ("approved", short_time(self.approved.as_deref())),
                ("approved by", text(self.approved_by.clone())),
                ("change", self.change.clone()),
                ("reason", self.reason.clone()),
                ("report", number(self.sequence)),
                ("evidence grade", self.grade.clone()),
            ])
            .table(table)
            .table(items)
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["asset", "version", "part", "complete", "item"]);
        for part in &self.parts {
            for item in &part.items {
                table.row([
                    Some(self.asset.clone()),
                    number(self.version),
                    Some(part.part.clone()),
                    number(part.complete),
                    Some(item.clone()),
                ]);
            }
        }
        table
    }
}
