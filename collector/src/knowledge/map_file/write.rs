//! Rules as text that reads back as the same rules.

use std::fmt::Write;

use holdpoint_common::proto::store::MapRuleRecord;
use holdpoint_common::version::Padded;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::map::{CONFIRMED, REJECTED};
use super::super::name_pattern::{NamePattern, normal};
use super::{
    AdvisorySide, Choice, Decision, Declared, FactName, InstalledSide, MapFile, MapRule, Publisher, Signed,
    VersionFrom,
};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// The file.
    pub text: String,
    /// Rules and facts in it.
    pub items: u32,
    /// What could not be written, each in a sentence.
    pub left_out: Vec<String>,
}

/// Writes decisions of persons and the rules of files as one file. Of several with one identifier the first stays.
pub fn write<'a>(decisions: &[MapRuleRecord], files: impl IntoIterator<Item = &'a MapFile>) -> Written {
    let mut written = Written {
        text: "# Identity rules of this site. `holdpoint import` takes this file back.\n".to_owned(),
        ..Written::default()
    };
    let mut ids = std::collections::BTreeSet::new();
    for decision in decisions {
        if ids.insert(decision.id.clone()) {
            match decision_text(decision) {
                Ok(text) => written.add(&text),
                Err(why) => written.left_out.push(format!("the decision {}: {why}", decision.id)),
            }
        }
    }
    for file in files {
        for rule in &file.rules {
            if ids.insert(rule.id.clone()) {
                written.add(&rule_text(rule));
            }
        }
        for declared in &file.declared {
            written.add(&declared_text(declared));
        }
    }
    written
}

impl Written {
    fn add(&mut self, text: &str) {
        self.text.push('\n');
        self.text.push_str(text);
        self.items += 1;
    }
}

/// A decision as the rule that does the same; reading it back shows that it can be written at all.
fn decision_text(decision: &MapRuleRecord) -> Result<String, String> {
    let MapRuleRecord {
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
        details,
    } = decision;
    let mut text = Text::default();
    text.line("[[map]]");
    text.key("id", id);
    let same = match decision.as_str() {
        CONFIRMED => true,
        REJECTED => false,
        other => return Err(format!("`{other}` is no decision that a file can say")),
    };
    text.key("decision", if same { "same" } else { "not" });
    let details =
        details.as_deref().filter(|_| same).map(super::read).transpose().map_err(|it| it.to_string())?;
    let details = details.as_ref().and_then(|it| it.rules.first());
    if same {
        match details {
            Some(rule) => {
                text.reading(&MapRule { version_from: fixed(rule, installed_name), ..rule.clone() });
            }
            None => text.some("scheme", scheme.as_deref()),
        }
        text.key("evidence", why);
    } else {
        text.key("reason", why);
    }
    text.signed(by, *at_ms, *expires_ms);
    text.line("[map.installed]");
    text.key("source", source);
    text.key("publisher", &exact_publisher(installed_publisher.as_deref())?);
    text.key("name", &NamePattern::exactly(installed_name));
    text.line("[map.advisory]");
    text.list("vendors", std::iter::once(vendor));
    text.list("products", std::iter::once(product));
    if let Some(rule) = details {
        for choice in &rule.choices {
            text.choice(choice);
        }
    }
    super::read(&text.0).map_err(|it| it.to_string())?;
    Ok(text.0)
}

/// Where the version of one installed name comes from: what a pattern shows in one name never changes.
fn fixed(rule: &MapRule, installed_name: &str) -> VersionFrom {
    let pattern = rule.installed.name.as_ref().filter(|_| rule.version_from == VersionFrom::Name);
    let version = pattern.and_then(|it| it.matches(&normal(installed_name))).and_then(|it| it.version);
    version.map_or_else(|| rule.version_from.clone(), VersionFrom::Text)
}

/// A publisher's pattern has no escape.
fn exact_publisher(publisher: Option<&str>) -> Result<String, String> {
    match publisher {
        Some(it) if it.contains('*') => Err("its publisher has a `*`".into()),
        it => Ok(it.unwrap_or("").to_owned()),
    }
}

/// A rule as text.
pub fn rule_text(rule: &MapRule) -> String {
    let MapRule { id, decision, installed, advisory, signed, choices, .. } = rule;
    let Signed { author, at_ms, evidence, expires_ms } = signed;
    let mut text = Text::default();
    text.line("[[map]]");
    text.key("id", id);
    match decision {
        Decision::Same => {
            text.key("decision", "same");
            text.reading(rule);
            text.key("evidence", evidence);
        }
        Decision::Not { .. } => {
            text.key("decision", "not");
            text.key("reason", evidence);
        }
    }
    text.signed(author, *at_ms, *expires_ms);
    let InstalledSide { source, publisher, name, package, file, product_code, order_number } = installed;
    text.line("[map.installed]");
    text.some("source", source.as_deref());
    match publisher {
        None => {}
        Some(Publisher::Absent) => text.key("publisher", ""),
        Some(Publisher::Like(pattern)) => text.key("publisher", pattern.as_str()),
    }
    text.some("name", name.as_ref().map(NamePattern::as_str));
    text.some("package", package.as_deref());
    text.some("file", file.as_deref());
    text.some("product_code", product_code.as_deref());
    text.some("order_number", order_number.as_deref());
    let AdvisorySide { vendors, products, order_numbers, shown_in } = advisory;
    text.line("[map.advisory]");
    text.list("vendors", vendors);
    text.list("products", products);
    text.list("order_numbers", order_numbers);
    text.some("shown_in", shown_in.as_deref());
    if let Decision::Not { revision: Some(bound) } = decision {
        text.key("document", &bound.document);
        text.key("revision", &bound.revision);
    }
    for choice in choices {
        text.choice(choice);
    }
    text.0
}

fn declared_text(declared: &Declared) -> String {
    let Declared { asset, fact, value, signed } = declared;
    let Signed { author, at_ms, evidence, expires_ms } = signed;
    let mut text = Text::default();
    text.line("[[fact]]");
    text.key("asset", asset);
    text.fact(fact);
    text.key("value", value);
    text.key("evidence", evidence);
    text.signed(author, *at_ms, *expires_ms);
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn key(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.0, "{key} = {}", toml::Value::String(value.to_owned()));
    }

    fn some(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.key(key, value);
        }
    }

    fn list<'a>(&mut self, key: &str, values: impl IntoIterator<Item = &'a String>) {
        let values: Vec<toml::Value> = values.into_iter().cloned().map(toml::Value::String).collect();
        if !values.is_empty() {
            let _ = writeln!(self.0, "{key} = {}", toml::Value::Array(values));
        }
    }

    fn signed(&mut self, author: &str, at_ms: i64, expires_ms: Option<i64>) {
        self.key("author", author);
        self.key("date", &time_text(at_ms));
        self.some("expires", expires_ms.map(time_text).as_deref());
    }

    fn reading(&mut self, rule: &MapRule) {
        if let Some(reading) = rule.reading {
            self.key("scheme", reading.scheme.name());
            match reading.padded {
                Padded::Unstated => {}
                Padded::Integers => self.key("zero_padded", "integers"),
                Padded::Decimals => self.key("zero_padded", "decimals"),
            }
            if let Some(branch) = reading.branch {
                let _ = writeln!(self.0, "branch = {branch}");
            }
        }
        match &rule.version_from {
            VersionFrom::Row => {}
            VersionFrom::Name => self.key("version_from", "name"),
            VersionFrom::Fact(fact) => self.key("version_from", &format!("fact:{}", fact.id)),
            VersionFrom::Text(text) => self.key("version_from", &format!("text:{text}")),
        }
        self.some("line", rule.line.as_ref().map(|it| it.text.as_str()));
    }

    fn fact(&mut self, fact: &FactName) {
        self.key("fact", &fact.id);
        self.some("subject", fact.subject.as_deref());
    }

    fn choice(&mut self, choice: &Choice) {
        let Choice { fact, value, ranges, entries } = choice;
        self.line("[[map.choice]]");
        self.fact(fact);
        self.key("value", value);
        self.list("ranges", ranges);
        self.list("entries", entries);
    }
}

fn time_text(at_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ms) * 1_000_000)
        .ok()
        .and_then(|it| it.format(&Rfc3339).ok())
        .unwrap_or_else(|| "1970-01-01".to_owned())
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
