//! Lines of advisories that can never be decided: `feeds lint`.

use std::collections::BTreeMap;

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{number, some_text};
use crate::output::{Answer, Page, Table};

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Lint {
    faults: Vec<Fault>,
    total: u32,
    advisories: u32,
    by_kind: BTreeMap<String, u32>,
}

/// A line with something wrong.
#[derive(Debug, Serialize)]
pub struct Fault {
    advisory: String,
    entry: String,
    product: String,
    vulnerability: Option<String>,
    kind: String,
    consequence: String,
    text: String,
}

impl Lint {
    /// Adds a page.
    pub fn add(&mut self, faults: impl Iterator<Item = pb::Fault>) {
        self.faults.extend(faults.map(|wire| {
            let pb::Fault { advisory, entry, product, vulnerability, kind, consequence, text } = wire;
            let vulnerability = some_text(vulnerability);
            Fault { advisory, entry, product, vulnerability, kind, consequence, text }
        }));
    }

    /// Takes the counts of the whole answer.
    pub fn counts(&mut self, total: u32, advisories: u32, by_kind: Vec<pb::FaultCount>) {
        self.total = total;
        self.advisories = advisories;
        self.by_kind = by_kind.into_iter().map(|pb::FaultCount { kind, count }| (kind, count)).collect();
    }
}

impl Answer for Lint {
    fn page(&self) -> Page {
        let mut faults = Table::new(["advisory", "product", "fault", "answer", "what stands there"]);
        for it in &self.faults {
            let about = it.vulnerability.as_ref().map_or_else(String::new, |it| format!("{it}: "));
            faults.row([
                Some(it.advisory.clone()),
                Some(it.product.clone()),
                Some(it.kind.clone()),
                Some(it.consequence.clone()),
                Some(format!("{about}{}", it.text)),
            ]);
        }
        let mut counts = Table::new(["fault", "count"]);
        for (kind, count) in &self.by_kind {
            counts.row([Some(kind.clone()), number(count)]);
        }
        let page = Page::of(faults).table(counts);
        page.or_line(format!("no line of {} advisories is undecidable by itself", self.advisories))
    }

    fn records(&self) -> Table {
        let mut table =
            Table::new(["advisory", "entry", "product", "vulnerability", "kind", "consequence", "text"]);
        for it in &self.faults {
            table.row([
                Some(it.advisory.clone()),
                Some(it.entry.clone()),
                Some(it.product.clone()),
                it.vulnerability.clone(),
                Some(it.kind.clone()),
                Some(it.consequence.clone()),
                Some(it.text.clone()),
            ]);
        }
        table
    }
}
