//! Changes of all zones: `fleet changes`.

use std::collections::BTreeMap;

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{Moment, by_word, counts};
use crate::output::{Answer, Page, Table};
use crate::view::{short_time, text, time};

/// One change of one zone.
#[derive(Debug, Serialize)]
pub struct Change {
    zone: String,
    id: String,
    title: Option<String>,
    state: String,
    vetoed: bool,
    stages: Vec<Stage>,
    verdicts: BTreeMap<String, u64>,
    since: Option<String>,
    said: Option<String>,
    history: Vec<Moment>,
    history_beyond: u64,
    uncertain_since: Option<String>,
}

#[derive(Debug, Serialize)]
struct Stage {
    n: u32,
    state: String,
}

impl From<pb::FleetChange> for Change {
    fn from(wire: pb::FleetChange) -> Self {
        let pb::FleetChange { zone, id, title, state, vetoed, stages, verdicts, since_ms, .. } = wire;
        let pb::FleetChange { said_ms, history, history_beyond, uncertain_since_ms, .. } = wire;
        Self {
            zone,
            id,
            title: text(title),
            state,
            vetoed,
            stages: stages.into_iter().map(|it| Stage { n: it.number, state: it.state }).collect(),
            verdicts: by_word(verdicts),
            since: time(since_ms),
            said: time(said_ms),
            history: history.into_iter().map(Moment::from).collect(),
            history_beyond,
            uncertain_since: uncertain_since_ms.and_then(time),
        }
    }
}

impl Answer for Vec<Change> {
    fn page(&self) -> Page {
        Page::of(self.records().dense()).or_line("no zone speaks of a change")
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "zone",
            "id",
            "title",
            "state",
            "vetoed",
            "stages",
            "verdicts",
            "since",
            "said",
            "uncertain_since",
        ]);
        for it in self {
            let stages: Vec<_> = it.stages.iter().map(|it| format!("{} {}", it.n, it.state)).collect();
            table.row([
                Some(it.zone.clone()),
                Some(it.id.clone()),
                it.title.clone(),
                Some(it.state.clone()),
                Some(it.vetoed.to_string()),
                text(stages.join(", ")),
                counts(&it.verdicts),
                short_time(it.since.as_deref()),
                short_time(it.said.as_deref()),
                short_time(it.uncertain_since.as_deref()),
            ]);
        }
        table
    }
}
