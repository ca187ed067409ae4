//! The zone in numbers: `status --summary`.

use std::collections::BTreeMap;

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::feed::{self, Feed};
use super::finding::is_open;
use super::number;
use crate::output::{Answer, Page, Table};

/// Counts of everything that was judged.
#[derive(Debug, Serialize)]
pub struct Summary {
    by_verdict: BTreeMap<String, u64>,
    by_reason: BTreeMap<String, u64>,
    matchability: BTreeMap<String, u64>,
    feeds: Vec<Feed>,
    assets: u32,
    by_triage: BTreeMap<String, u64>,
}

impl From<pb::SummarizeResponse> for Summary {
    fn from(wire: pb::SummarizeResponse) -> Self {
        let pb::SummarizeResponse { by_verdict, by_reason, matchability, feeds, assets, by_triage } = wire;
        Self {
            by_verdict: counts(by_verdict),
            by_reason: counts(by_reason),
            matchability: counts(matchability),
            feeds: feeds.into_iter().map(Feed::from).collect(),
            assets,
            by_triage: counts(by_triage),
        }
    }
}

fn counts(wire: Vec<pb::Count>) -> BTreeMap<String, u64> {
    wire.into_iter().map(|pb::Count { name, count }| (name, count)).collect()
}

impl Summary {
    /// Whether any verdict leaves something to do or to find out.
    pub fn any_open(&self) -> bool {
        self.by_verdict.iter().any(|(verdict, &count)| count > 0 && is_open(verdict))
    }

    fn groups(&self) -> [(&'static str, &BTreeMap<String, u64>); 4] {
        [
            ("verdict", &self.by_verdict),
            ("reason", &self.by_reason),
            ("triage", &self.by_triage),
            ("matchability", &self.matchability),
        ]
    }
}

impl Answer for Summary {
    fn page(&self) -> Page {
        let page = Page::default().facts([("assets", number(self.assets))]);
        let page = self.groups().into_iter().fold(page, |page, (name, counts)| {
            let mut table = Table::new([name, "count"]);
            for (word, count) in counts {
                table.row([Some(word.clone()), number(count)]);
            }
            page.table(table)
        });
        if self.feeds.is_empty() {
            return page.line("nothing was imported yet: no host can be judged");
        }
        page.table(feed::table(&self.feeds))
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["group", "name", "count"]);
        for (group, counts) in self.groups() {
            for (name, count) in counts {
                table.row([Some(group.into()), Some(name.clone()), number(count)]);
            }
        }
        table.row([Some("zone".into()), Some("assets".into()), number(self.assets)]);
        table
    }
}
