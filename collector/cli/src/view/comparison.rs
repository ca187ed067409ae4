//! What two assets have not in common: `compare`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{joined, kind_name, some_text};
use crate::output::{Answer, Page, Table};

/// Two assets and their differences.
#[derive(Debug, Serialize)]
pub struct Comparison {
    left: String,
    right: String,
    differences: Vec<Difference>,
    incomplete: Vec<String>,
}

/// One difference; the side that lacks the item is absent.
#[derive(Debug, Serialize)]
pub struct Difference {
    section: String,
    item: String,
    left: Option<String>,
    right: Option<String>,
}

impl Comparison {
    /// Of the two assets that were asked for.
    pub fn new(left: String, right: String, wire: pb::CompareAssetsResponse) -> Self {
        let pb::CompareAssetsResponse { differences, incomplete } = wire;
        let difference = |pb::Difference { kind, item, left, right }| Difference {
            section: kind_name(kind),
            item,
            left: some_text(left),
            right: some_text(right),
        };
        Self { left, right, differences: differences.into_iter().map(difference).collect(), incomplete }
    }
}

impl Answer for Comparison {
    fn page(&self) -> Page {
        let mut table = Table::new(["section", "item", self.left.as_str(), self.right.as_str()]);
        for it in &self.differences {
            table.row([Some(it.section.clone()), Some(it.item.clone()), it.left.clone(), it.right.clone()]);
        }
        let page =
            Page::of(table).or_line(format!("no differences between {} and {}", self.left, self.right));
        match joined(&self.incomplete) {
            None => page,
            Some(sections) => {
                page.line(format!("not complete on both sides, so nothing is proved about: {sections}"))
            }
        }
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["section", "item", "left", "right"]);
        for it in &self.differences {
            table.row([Some(it.section.clone()), Some(it.item.clone()), it.left.clone(), it.right.clone()]);
        }
        table
    }
}
