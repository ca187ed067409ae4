//! The product map as a whole: `map list`, `map export`, `map lint`, `map status`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{joined, number, short_time, some_text, text, time};
use crate::output::{Answer, Page, Table};

/// A decision, a rule of a file, or a fact that a person declared.
#[derive(Debug, Serialize)]
pub struct Entry {
    kind: String,
    id: String,
    decision: String,
    valid: bool,
    file: Option<String>,
    vendors: Vec<String>,
    products: Vec<String>,
    installed: String,
    scheme: Option<String>,
    by: String,
    at: Option<String>,
    why: Option<String>,
    expires: Option<String>,
    bound: u32,
}

impl From<pb::MapEntry> for Entry {
    fn from(wire: pb::MapEntry) -> Self {
        let pb::MapEntry {
            kind,
            id,
            decision,
            valid,
            file,
            vendors,
            products,
            installed,
            scheme,
            by,
            at_ms,
            why,
            expires_ms,
            bound,
        } = wire;
        Self {
            kind,
            id,
            decision,
            valid,
            file: some_text(file),
            vendors,
            products,
            installed,
            scheme: some_text(scheme),
            by,
            at: time(at_ms),
            why: text(why),
            expires: expires_ms.and_then(time),
            bound,
        }
    }
}

impl Answer for Vec<Entry> {
    fn page(&self) -> Page {
        Page::of(self.records().dense())
            .or_line("the map is empty: nobody has decided, and no rules were imported")
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "kind",
            "id",
            "decision",
            "valid",
            "installed",
            "vendors",
            "products",
            "scheme",
            "bound",
            "by",
            "at",
            "expires",
            "file",
            "why",
        ]);
        for it in self {
            table.row([
                Some(it.kind.clone()),
                Some(it.id.clone()),
                Some(it.decision.clone()),
                Some(if it.valid { "yes" } else { "no" }.to_owned()),
                Some(it.installed.clone()),
                joined(&it.vendors),
                joined(&it.products),
                it.scheme.clone(),
                number(it.bound),
                Some(it.by.clone()),
                short_time(it.at.as_deref()),
                short_time(it.expires.as_deref()),
                it.file.clone(),
                it.why.clone(),
            ]);
        }
        table
    }
}

/// A file was written.
#[derive(Debug, Serialize)]
pub struct Exported {
    /// Where.
    pub file: String,
    /// Rules and facts in it.
    pub items: u32,
    /// What could not be written.
    pub left_out: Vec<String>,
}

impl Answer for Exported {
    fn page(&self) -> Page {
        Page::default().facts([
            ("file", Some(self.file.clone())),
            ("rules and facts", number(self.items)),
            ("left out", joined(&self.left_out)),
        ])
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["file", "items", "left_out"]);
        table.row([Some(self.file.clone()), number(self.items), joined(&self.left_out)]);
        table
    }
}

/// A remark about a rule.
#[derive(Debug, Serialize)]
pub struct Remark {
    severity: String,
    rule: Option<String>,
    text: String,
}

impl Remark {
    /// A remark.
    pub fn of(severity: &str, rule: Option<String>, text: String) -> Self {
        Self { severity: severity.to_owned(), rule: some_text(rule), text }
    }

    /// Whether a rule does not do what its author meant.
    pub fn is_error(&self) -> bool {
        self.severity == "error"
    }
}

impl From<pb::MapLint> for Remark {
    fn from(wire: pb::MapLint) -> Self {
        let pb::MapLint { severity, rule, text } = wire;
        Self::of(&severity, Some(rule), text)
    }
}

/// All remarks, the weightiest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Remarks(pub Vec<Remark>);

impl Answer for Remarks {
    fn page(&self) -> Page {
        Page::of(self.records().dense()).or_line("nothing to remark")
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["severity", "rule", "text"]);
        for it in &self.0 {
            table.row([Some(it.severity.clone()), it.rule.clone(), Some(it.text.clone())]);
        }
        table
    }
}

/// How far the products of a side are matched.
#[derive(Debug, Serialize)]
pub struct Standings {
    counts: std::collections::BTreeMap<String, u32>,
    total: u32,
    products: Vec<Standing>,
}

#[derive(Debug, Serialize)]
struct Standing {
    class: String,
    company: Option<String>,
    name: String,
    source: Option<String>,
    assets: u32,
    advisories: u32,
}

impl From<pb::MapStatusResponse> for Standings {
    fn from(wire: pb::MapStatusResponse) -> Self {
        let pb::MapStatusResponse { standings, counts, total } = wire;
        let product = |it: pb::MapStanding| {
            let pb::MapStanding { class, company, name, source, assets, advisories } = it;
            Standing {
                class,
                company: some_text(company),
                name,
                source: some_text(source),
                assets,
                advisories,
            }
        };
        Self {
            counts: counts.into_iter().map(|it| (it.class, it.count)).collect(),
            total,
            products: standings.into_iter().map(product).collect(),
        }
    }
}

impl Answer for Standings {
    fn page(&self) -> Page {
        let counts: Vec<String> =
            self.counts.iter().map(|(class, count)| format!("{class} {count}")).collect();
        let shown = format!("{} of {} products; {}", self.products.len(), self.total, counts.join(", "));
        Page::of(self.records().dense()).or_line("no such product").line(shown)
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["class", "company", "name", "source", "assets", "advisories"]);
        for it in &self.products {
            table.row([
                Some(it.class.clone()),
                it.company.clone(),
                Some(it.name.clone()),
                it.source.clone(),
                number(it.assets),
                number(it.advisories),
            ]);
        }
        table
    }
}
