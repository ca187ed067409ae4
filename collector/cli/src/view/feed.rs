//! How old the knowledge is: `feeds`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{age, number, short_time, time};
use crate::output::{Answer, Page, Table};

/// One kind of imported knowledge.
#[derive(Debug, Serialize)]
pub struct Feed {
    kind: String,
    items: u32,
    imported: Option<String>,
    age_s: u64,
    allowed_age_s: u64,
    stale: bool,
}

impl From<pb::Feed> for Feed {
    fn from(wire: pb::Feed) -> Self {
        let pb::Feed { kind, items, imported_ms, age_s, allowed_age_s, stale } = wire;
        Self { kind, items, imported: time(imported_ms), age_s, allowed_age_s, stale }
    }
}

/// The table that `feeds` and `status --summary` show.
pub(super) fn table(feeds: &[Feed]) -> Table {
    let mut table = Table::new(["feed", "items", "imported", "age", "allowed", "freshness"]);
    for it in feeds {
        table.row([
            Some(it.kind.clone()),
            number(it.items),
            short_time(it.imported.as_deref()),
            age(it.age_s),
            age(it.allowed_age_s),
            Some(if it.stale { "stale" } else { "fresh" }.into()),
        ]);
    }
    table
}

impl Answer for Vec<Feed> {
    fn page(&self) -> Page {
        Page::of(table(self)).or_line("nothing was imported yet: no host can be judged")
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["kind", "items", "imported", "age_s", "allowed_age_s", "stale"]);
        for it in self {
            table.row([
                Some(it.kind.clone()),
                number(it.items),
                it.imported.clone(),
                number(it.age_s),
                number(it.allowed_age_s),
                number(it.stale),
            ]);
        }
        table
    }
}
