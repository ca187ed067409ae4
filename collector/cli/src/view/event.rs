//! What happened: `events`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{short_time, text, time};
use crate::output::{Answer, Page, Table};

/// One event.
#[derive(Debug, Serialize)]
pub struct Event {
    pub(crate) at: Option<String>,
    pub(crate) asset: Option<String>,
    pub(crate) kind: String,
    pub(crate) text: Option<String>,
    pub(crate) host_time: Option<String>,
}

impl From<pb::Event> for Event {
    fn from(wire: pb::Event) -> Self {
        let pb::Event { at_ms, asset, kind, text: words, host_time_ms } = wire;
        Self {
            at: time(at_ms),
            asset: text(asset),
            kind,
            text: text(words),
            host_time: host_time_ms.and_then(time),
        }
    }
}

impl Answer for Vec<Event> {
    fn cef(&self) -> Option<Vec<String>> {
        Some(self.iter().map(crate::export::cef::event).collect())
    }

    fn page(&self) -> Page {
        let mut table = Table::new(["at", "asset", "kind", "text", "host_time"]);
        for it in self {
            table.row([
                short_time(it.at.as_deref()),
                it.asset.clone(),
                Some(it.kind.clone()),
                it.text.clone(),
                short_time(it.host_time.as_deref()),
            ]);
        }
        Page::of(table.dense()).or_line("nothing is recorded")
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["at", "asset", "kind", "text", "host_time"]);
        for it in self {
            table.row([
                it.at.clone(),
                it.asset.clone(),
                Some(it.kind.clone()),
                it.text.clone(),
                it.host_time.clone(),
            ]);
        }
        table
    }
}
