//! Where patches stand with the owner: `patch`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{joined, number, short_time, some_text, text, time};
use crate::output::{Answer, Page, Table};

/// A patch in a zone or for a class of assets.
#[derive(Debug, Serialize)]
pub struct Track {
    patch: String,
    scope: String,
    state: String,
    supplier: Vec<String>,
    unacknowledged: Vec<String>,
    steps: Vec<Step>,
}

/// One step that somebody took.
#[derive(Debug, Serialize)]
pub struct Step {
    number: u64,
    step: String,
    reason: Option<String>,
    deviation: Vec<String>,
    condition: Option<String>,
    by: String,
    at: Option<String>,
}

impl From<pb::PatchTrack> for Track {
    fn from(wire: pb::PatchTrack) -> Self {
        let pb::PatchTrack { patch, scope, state, steps, supplier, unacknowledged } = wire;
        let step = |it| {
            let pb::OwnerStep { number, step, reason, deviation, condition, by, at_ms } = it;
            let (reason, condition, at) = (text(reason), some_text(condition), time(at_ms));
            Step { number, step, reason, deviation, condition, by, at }
        };
        Self { patch, scope, state, supplier, unacknowledged, steps: steps.into_iter().map(step).collect() }
    }
}

impl Answer for Vec<Track> {
    fn page(&self) -> Page {
        let mut tracks = Table::new(["patch", "scope", "state", "supplier", "not_acknowledged"]);
        let mut steps =
            Table::new(["number", "patch", "scope", "step", "reason", "deviation", "condition", "by", "at"]);
        for it in self {
            tracks.row([
                Some(it.patch.clone()),
                Some(it.scope.clone()),
                Some(it.state.clone()),
                joined(&it.supplier).or_else(|| Some("NoStatement".to_owned())),
                joined(&it.unacknowledged),
            ]);
            for step in &it.steps {
                steps.row([
                    number(step.number),
                    Some(it.patch.clone()),
                    Some(it.scope.clone()),
                    Some(step.step.clone()),
                    step.reason.clone(),
                    joined(&step.deviation),
                    step.condition.clone(),
                    Some(step.by.clone()),
                    short_time(step.at.as_deref()),
                ]);
            }
        }
        Page::of(tracks.dense()).table(steps.dense()).or_line("no patch was evaluated yet")
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["patch", "scope", "state", "supplier", "unacknowledged"]);
        for it in self {
            table.row([
                Some(it.patch.clone()),
                Some(it.scope.clone()),
                Some(it.state.clone()),
                joined(&it.supplier),
                joined(&it.unacknowledged),
            ]);
        }
        table
    }
}
