//! Candidates and decisions of the product map: `map`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{joined, number, short_time, some_text, text, time};
use crate::output::{Answer, Page, Table};

/// An installed product that an advisory may mean. Worth nothing until a person confirms it.
#[derive(Debug, Serialize)]
pub struct Candidate {
    id: String,
    vendor: Option<String>,
    product: String,
    installed_name: String,
    installed_publisher: Option<String>,
    source: String,
    score: u32,
    reasons: Vec<String>,
    assets: u32,
    starter: Option<String>,
    scheme: Option<String>,
}

impl From<pb::MapCandidate> for Candidate {
    fn from(wire: pb::MapCandidate) -> Self {
        let pb::MapCandidate {
            id,
            vendor,
            product,
            installed_name,
            installed_publisher,
            source,
            score,
            reasons,
            assets,
            starter,
            scheme,
        } = wire;
        Self {
            id,
            vendor: text(vendor),
            product,
            installed_name,
            installed_publisher: some_text(installed_publisher),
            source,
            score,
            reasons,
            assets,
            starter: some_text(starter),
            scheme: some_text(scheme),
        }
    }
}

impl Answer for Vec<Candidate> {
    fn page(&self) -> Page {
        Page::of(self.records().dense())
            .or_line("no candidates: every product is decided, or no advisory was imported")
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "id",
            "score",
            "vendor",
            "product",
            "installed_name",
            "installed_publisher",
            "source",
            "assets",
            "starter",
            "scheme",
            "reasons",
        ]);
        for it in self {
            table.row([
                Some(it.id.clone()),
                number(it.score),
                it.vendor.clone(),
                Some(it.product.clone()),
                Some(it.installed_name.clone()),
                it.installed_publisher.clone(),
                Some(it.source.clone()),
                number(it.assets),
                it.starter.clone(),
                it.scheme.clone(),
                joined(&it.reasons),
            ]);
        }
        table
    }
}

/// A person's decision.
#[derive(Debug, Serialize)]
pub struct Rule {
    id: String,
    decision: String,
    vendor: Option<String>,
    product: String,
    installed_name: String,
    installed_publisher: Option<String>,
    source: String,
    scheme: Option<String>,
    by: String,
    at: Option<String>,
    why: Option<String>,
    expires: Option<String>,
}

impl From<pb::MapRule> for Rule {
    fn from(wire: pb::MapRule) -> Self {
        let pb::MapRule {
            id,
            decision,
            vendor,
            product,
            installed_name,
            installed_publisher,
            source,
            scheme,
            by,
            at_ms,
            why,
            expires_ms,
        } = wire;
        Self {
            id,
            decision,
            vendor: text(vendor),
            product,
            installed_name,
            installed_publisher: some_text(installed_publisher),
            source,
            scheme: some_text(scheme),
            by,
            at: time(at_ms),
            why: text(why),
            expires: expires_ms.and_then(time),
        }
    }
}

impl Answer for Rule {
    fn page(&self) -> Page {
        Page::default().facts([
            ("rule", Some(self.id.clone())),
            ("decision", Some(self.decision.clone())),
            ("vendor", self.vendor.clone()),
            ("product", Some(self.product.clone())),
            ("installed name", Some(self.installed_name.clone())),
            ("installed publisher", self.installed_publisher.clone()),
            ("source", Some(self.source.clone())),
            ("scheme", self.scheme.clone()),
            ("by", Some(self.by.clone())),
            ("at", short_time(self.at.as_deref())),
            ("why", self.why.clone()),
            ("expires", short_time(self.expires.as_deref())),
        ])
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "id",
            "decision",
            "vendor",
            "product",
            "installed_name",
            "installed_publisher",
            "source",
            "scheme",
            "by",
            "at",
            "why",
            "expires",
        ]);
        table.row([
            Some(self.id.clone()),
            Some(self.decision.clone()),
            self.vendor.clone(),
            Some(self.product.clone()),
            Some(self.installed_name.clone()),
            self.installed_publisher.clone(),
            Some(self.source.clone()),
            self.scheme.clone(),
            Some(self.by.clone()),
            self.at.clone(),
            self.why.clone(),
            self.expires.clone(),
        ]);
        table
    }
}
