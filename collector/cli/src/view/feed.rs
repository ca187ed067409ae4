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
    age_s: Option<u64>,
    allowed_age_s: u64,
    stale: bool,
}

impl From<pb::Feed> for Feed {
    fn from(wire: pb::Feed) -> Self {
        let pb::Feed { kind, items, imported_ms, age_s, allowed_age_s, stale } = wire;
        // A kind that was never imported has no age: 0 would read as brand-new.
        let imported = (imported_ms > 0).then(|| time(imported_ms)).flatten();
        Self { kind, items, age_s: imported.is_some().then_some(age_s), imported, allowed_age_s, stale }
    }
}

/// The table that `feeds` and `status --summary` show.
pub(super) fn table(feeds: &[Feed]) -> Table {
    let mut table = Table::new(["feed", "items", "imported", "age", "allowed", "freshness"]);
    for it in feeds {
        table.row([
            Some(it.kind.clone()),
            number(it.items),
            short_time(it.imported.as_deref()).or_else(|| Some("never".into())),
            it.age_s.and_then(age),
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
                it.age_s.and_then(number),
                number(it.allowed_age_s),
                number(it.stale),
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Format;
    use crate::output::Output;

    #[test]
    fn what_was_never_imported_is_not_brand_new() {
        let feed = pb::Feed { kind: "csaf".into(), allowed_age_s: 86_400, stale: true, ..Default::default() };
        let text = Output::plain(Format::Table, None).render(&vec![Feed::from(feed)]).unwrap();
        assert_eq!(
            text,
            "FEED  ITEMS  IMPORTED  AGE  ALLOWED  FRESHNESS\ncsaf  0      never     -    1 d      stale\n"
        );
    }
}
