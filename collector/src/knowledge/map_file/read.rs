//! From the text of a file to its rules.
//!
//! Every fault is found and said with its place; the file is refused with the first ones.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_common::version::range::Reading;
use holdpoint_common::version::{Padded, Scheme};
use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::super::name_pattern::{NamePattern, normal};
use super::super::pattern::Pattern;
use super::super::text::shown;
use super::{
    AdvisorySide, Choice, Decision, Declared, DocumentRevision, FactName, InstalledSide, Line, MAX_LIST,
    MAX_MAP_FILE, MAX_RULES, MAX_VALUE, MapFile, MapRule, Publisher, Signed, VersionFrom, order_number,
};

/// Longest identifier, in bytes.
const MAX_ID: usize = 100;
/// Most faults that are listed.
const MAX_FAULTS: usize = 100;
/// The most leading numbers that name a branch.
const MAX_BRANCH: u8 = 4;

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMap {
    /// Over [`MAX_MAP_FILE`].
    #[error("it is larger than {} MiB", MAX_MAP_FILE / 1024 / 1024)]
    TooLarge,
    /// Not TOML, or not of these tables.
    #[error("it cannot be read: {0}")]
    Syntax(String),
    /// Nothing in it.
    #[error("it holds no rule")]
    Empty,
    /// More than a site can mean.
    #[error("it has more than {MAX_RULES} rules and facts")]
    TooMany,
    /// At least one rule has a fault.
    #[error("{first}{}", more_faults(*.more))]
    Rule {
        /// The first fault, with its place.
        first: String,
        /// How many more there are.
        more: usize,
    },
}

fn more_faults(more: usize) -> String {
    match more {
        0 => String::new(),
        more => format!(" (and {more} more: `holdpoint map lint FILE` lists them)"),
    }
}

/// Whether a text looks like a file of rules.
pub fn looks_like_map(text: &str) -> bool {
    text.lines().map(|it| it.replace([' ', '\t'], "")).any(|it| it == "[[map]]" || it.starts_with("[[map]]#"))
}

/// Reads a site's file.
pub fn read(text: &str) -> Result<MapFile, InvalidMap> {
    refuse_faults(read_all(text, false)?)
}

/// Reads starter rules: their products may be patterns, and each names an advisory that shows them.
pub fn read_starter(text: &str) -> Result<MapFile, InvalidMap> {
    refuse_faults(read_all(text, true)?)
}

/// Every fault of a site's file, with its place.
pub fn faults(text: &str) -> Result<Vec<String>, InvalidMap> {
    read_all(text, false).map(|it| it.1)
}

fn refuse_faults((file, faults): (MapFile, Vec<String>)) -> Result<MapFile, InvalidMap> {
    match faults.split_first() {
        Some((first, rest)) => Err(InvalidMap::Rule { first: first.clone(), more: rest.len() }),
        None if file.rules.is_empty() && file.declared.is_empty() => Err(InvalidMap::Empty),
        None => Ok(file),
    }
}

fn read_all(text: &str, starter: bool) -> Result<(MapFile, Vec<String>), InvalidMap> {
    if text.len() > MAX_MAP_FILE {
        return Err(InvalidMap::TooLarge);
    }
    let syntax = |why: &str| InvalidMap::Syntax(shown(why, 200));
    let mut tables: toml::Table = text.parse().map_err(|it: toml::de::Error| syntax(it.message()))?;
    let mut list = |key: &str| match tables.remove(key) {
        Some(toml::Value::Array(list)) => Ok(list),
        None => Ok(Vec::new()),
        Some(_) => Err(syntax(&format!("`{key}` is no list of tables"))),
    };
    let (rules, facts) = (list("map")?, list("fact")?);
    if let Some(key) = tables.keys().next() {
        return Err(syntax(&format!("the table `{key}` is not known; known are `map` and `fact`")));
    }
    if rules.len() + facts.len() > MAX_RULES {
        return Err(InvalidMap::TooMany);
    }
    let (mut file, mut faults, mut ids) = (MapFile::default(), Vec::new(), BTreeMap::new());
    let mut fault = |place: String, why: String| {
        if faults.len() < MAX_FAULTS {
            faults.push(format!("{place}: {why}"));
        }
    };
    for (number, value) in (1_usize..).zip(rules) {
        let id = value.get("id").and_then(toml::Value::as_str).map(|it| format!(" `{}`", shown(it, 60)));
        let place = format!("rule {number}{}", id.unwrap_or_default());
        match too_long(&value).map_or_else(|| rule(value, starter), Err) {
            Err(why) => fault(place, why),
            Ok(rule) => match ids.insert(rule.id.clone(), number) {
                Some(before) => fault(place, format!("rule {before} has the same id")),
                None => file.rules.push(rule),
            },
        }
    }
    for (number, value) in (1_usize..).zip(facts) {
        match too_long(&value).map_or_else(|| declared(value), Err) {
            Err(why) => fault(format!("fact {number}"), why),
            Ok(fact) => file.declared.push(fact),
        }
    }
    Ok((file, faults))
}

/// Says which text or list of a table is longer than any that a person writes.
fn too_long(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => {
            (text.len() > MAX_VALUE).then(|| format!("a text is longer than {MAX_VALUE} bytes"))
        }
        toml::Value::Array(list) if list.len() > MAX_LIST => {
            Some(format!("a list has more than {MAX_LIST} items"))
        }
        toml::Value::Array(list) => list.iter().find_map(too_long),
        toml::Value::Table(table) => table.values().find_map(too_long),
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => None,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: String,
    decision: String,
    installed: RawInstalled,
    advisory: RawAdvisory,
    scheme: Option<String>,
    version_from: Option<String>,
    line: Option<String>,
    branch: Option<u8>,
    zero_padded: Option<String>,
    #[serde(default)]
    choice: Vec<RawChoice>,
    author: String,
    date: toml::Value,
    evidence: Option<String>,
    reason: Option<String>,
    expires: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInstalled {
    source: Option<String>,
    publisher: Option<String>,
    name: Option<String>,
    package: Option<String>,
    file: Option<String>,
    product_code: Option<String>,
    order_number: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAdvisory {
    #[serde(default)]
    vendors: Vec<String>,
    #[serde(default)]
    products: Vec<String>,
    #[serde(default)]
    order_numbers: Vec<String>,
    document: Option<String>,
    revision: Option<String>,
    shown_in: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChoice {
    fact: String,
    subject: Option<String>,
    value: String,
    #[serde(default)]
    ranges: Vec<String>,
    #[serde(default)]
    entries: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDeclared {
    asset: String,
    fact: String,
    subject: Option<String>,
    value: String,
    author: String,
    date: toml::Value,
    evidence: String,
    expires: Option<toml::Value>,
}

fn rule(value: toml::Value, starter: bool) -> Result<MapRule, String> {
    let raw: RawRule = value.try_into().map_err(|it: toml::de::Error| shown(it.message(), 200))?;
    let id = identifier("id", raw.id)?;
    let is_same = match raw.decision.as_str() {
        "same" => true,
        "not" => false,
        _ => return Err("`decision` is neither `same` nor `not`".into()),
    };
    let installed = installed(raw.installed)?;
    let (advisory, revision) = advisory(raw.advisory, starter)?;
    let version_from = version_from(raw.version_from.as_deref(), &installed)?;
    let reading = reading(raw.scheme.as_deref(), raw.zero_padded.as_deref(), raw.branch)?;
    let line = raw.line.map(|it| text("line", it)).transpose()?.map(|text| Line { text });
    let choices = raw.choice.into_iter().map(choice).collect::<Result<Vec<_>, String>>()?;
    let (decision, ground) = if is_same {
        if reading.is_none() {
            return Err("`scheme` is missing: whose order compares the versions?".into());
        }
        if revision.is_some() {
            return Err("only a rule that says `not` is bound to a `document` and its `revision`".into());
        }
        if raw.reason.is_some() {
            return Err("`reason` belongs to a rule that says `not`; give `evidence`".into());
        }
        (Decision::Same, text("evidence", raw.evidence.unwrap_or_default())?)
    } else {
        let reads = reading.is_some() || line.is_some() || version_from != VersionFrom::Row;
        if reads || !choices.is_empty() {
            return Err("a rule that says `not` reads no version".into());
        }
        if raw.evidence.is_some() {
            return Err("`evidence` belongs to a rule that says `same`; give `reason`".into());
        }
        (Decision::Not { revision }, text("reason", raw.reason.unwrap_or_default())?)
    };
    let signed = signed(raw.author, &raw.date, ground, raw.expires.as_ref())?;
    Ok(MapRule { id, decision, installed, advisory, reading, version_from, line, choices, signed })
}

fn installed(raw: RawInstalled) -> Result<InstalledSide, String> {
    let RawInstalled { source, publisher, name, package, file, product_code, order_number: number } = raw;
    let some = |key: &'static str, it: Option<String>| it.map(|it| text(key, it)).transpose();
    let publisher = match publisher {
        None => None,
        Some(none) if none.is_empty() => Some(Publisher::Absent),
        Some(like) => {
            Some(Publisher::Like(Pattern::new(&like).map_err(|it| format!("installed.publisher: {it}"))?))
        }
    };
    let name = name
        .map(|it| NamePattern::new(&it).map_err(|why| format!("installed.name `{}`: {why}", shown(&it, 80))));
    let side = InstalledSide {
        source: some("installed.source", source)?,
        publisher,
        name: name.transpose()?,
        package: some("installed.package", package)?.map(|it| it.to_lowercase()),
        file: some("installed.file", file)?.map(|it| it.to_lowercase()),
        product_code: some("installed.product_code", product_code)?.map(|it| it.to_uppercase()),
        order_number: some("installed.order_number", number)?.map(|it| order_number(&it)),
    };
    if side.file.as_ref().is_some_and(|it| it.contains(['/', '\\'])) {
        return Err("`installed.file` is the name of a file, without its directories".into());
    }
    let InstalledSide { name, package, file, product_code, order_number, .. } = &side;
    let exact = [package, file, product_code, order_number].iter().any(|it| it.is_some());
    if name.is_none() && !exact {
        return Err("`installed` needs a name, package, file, product_code or order_number".into());
    }
    Ok(side)
}

fn advisory(raw: RawAdvisory, starter: bool) -> Result<(AdvisorySide, Option<DocumentRevision>), String> {
    let RawAdvisory { vendors, products, order_numbers, document, revision, shown_in } = raw;
    let all = |key: &'static str, list: Vec<String>| {
        list.into_iter().map(|it| text(key, it)).collect::<Result<Vec<_>, String>>()
    };
    let vendors = vendors
        .into_iter()
        .map(|it| if it.is_empty() { Ok(it) } else { text("advisory.vendors", it) })
        .collect::<Result<Vec<_>, String>>()?;
    let products = all("advisory.products", products)?;
    let order_numbers: BTreeSet<String> =
        all("advisory.order_numbers", order_numbers)?.iter().map(|it| order_number(it)).collect();
    if products.is_empty() && order_numbers.is_empty() {
        return Err("`advisory` needs `products` or `order_numbers`".into());
    }
    if !products.is_empty() && vendors.is_empty() {
        return Err("`advisory.vendors` is missing: two vendors may sell a product of one name".into());
    }
    if order_numbers.iter().any(|it| it.contains(['*', '?'])) {
        return Err("an order number is given in full, without `*` and `?`".into());
    }
    match (starter, &shown_in) {
        (true, None) => {
            return Err("`advisory.shown_in` is missing: which advisory shows these names?".into());
        }
        (false, Some(_)) => return Err("`advisory.shown_in` belongs to starter rules".into()),
        (true, Some(_)) => {
            for product in &products {
                let pattern = NamePattern::new(product).map_err(|why| format!("`{product}`: {why}"))?;
                if pattern.has_version() {
                    return Err("a product's name shows no version".into());
                }
            }
        }
        (false, None) => {}
    }
    let revision = match (document, revision) {
        (None, None) => None,
        (Some(document), Some(revision)) => Some(DocumentRevision {
            document: text("advisory.document", document)?,
            revision: text("advisory.revision", revision)?,
        }),
        _ => return Err("`advisory.document` and `advisory.revision` go together".into()),
    };
    Ok((AdvisorySide { vendors, products, order_numbers, shown_in }, revision))
}

fn version_from(raw: Option<&str>, installed: &InstalledSide) -> Result<VersionFrom, String> {
    let has_version = installed.name.as_ref().is_some_and(NamePattern::has_version);
    match raw {
        None | Some("row") if has_version => {
            Err("the name has a `{version}`, and `version_from` is not `name`".into())
        }
        None | Some("row") => Ok(VersionFrom::Row),
        Some("name") if has_version => Ok(VersionFrom::Name),
        Some("name") => Err("`version_from` is `name`, and `installed.name` has no `{version}`".into()),
        Some(other) => match other.split_once(':') {
            Some(("fact", fact)) => Ok(VersionFrom::Fact(fact_name(fact.to_owned(), None)?)),
            Some(("text", version)) => {
                let version = text("version_from", version.to_owned())?;
                let literal = installed.name.as_ref().and_then(NamePattern::literal);
                if literal.is_some_and(|it| it.contains(&normal(&version))) {
                    Ok(VersionFrom::Text(version))
                } else {
                    Err("`version_from` gives a text that is not in the one name that the rule is about"
                        .into())
                }
            }
            _ => Err("`version_from` is none of `row`, `name`, `fact:ID` and `text:VERSION`".into()),
        },
    }
}

fn reading(
    scheme: Option<&str>,
    padded: Option<&str>,
    branch: Option<u8>,
) -> Result<Option<Reading>, String> {
    let padded = match padded {
        None => Padded::Unstated,
        Some("integers") => Padded::Integers,
        Some("decimals") => Padded::Decimals,
        Some(_) => return Err("`zero_padded` is neither `integers` nor `decimals`".into()),
    };
    let Some(scheme) = scheme else {
        let stray = padded != Padded::Unstated || branch.is_some();
        return if stray { Err("`zero_padded` and `branch` need a `scheme`".into()) } else { Ok(None) };
    };
    let scheme: Scheme =
        scheme.parse().map_err(|it: holdpoint_common::version::UnknownScheme| it.to_string())?;
    if padded != Padded::Unstated && scheme != Scheme::Natural {
        return Err(format!("`zero_padded` means nothing in the scheme {scheme}: it belongs to natural"));
    }
    if branch.is_some_and(|it| !(1..=MAX_BRANCH).contains(&it)) {
        return Err(format!("`branch` is how many leading numbers name a branch: 1 to {MAX_BRANCH}"));
    }
    Ok(Some(Reading { scheme, padded, branch: branch.map(usize::from) }))
}

fn choice(raw: RawChoice) -> Result<Choice, String> {
    let RawChoice { fact, subject, value, ranges, entries } = raw;
    if ranges.is_empty() && entries.is_empty() {
        return Err("a choice names the `ranges` or `entries` that are meant".into());
    }
    let set = |key: &'static str, list: Vec<String>| {
        list.into_iter().map(|it| text(key, it)).collect::<Result<BTreeSet<_>, String>>()
    };
    Ok(Choice {
        fact: fact_name(fact, subject)?,
        value: text("choice.value", value)?,
        ranges: set("choice.ranges", ranges)?,
        entries: set("choice.entries", entries)?,
    })
}

fn declared(value: toml::Value) -> Result<Declared, String> {
    let raw: RawDeclared = value.try_into().map_err(|it: toml::de::Error| shown(it.message(), 200))?;
    let RawDeclared { asset, fact, subject, value, author, date, evidence, expires } = raw;
    Ok(Declared {
        asset: identifier("asset", asset)?,
        fact: fact_name(fact, subject)?,
        value: text("value", value)?,
        signed: signed(author, &date, text("evidence", evidence)?, expires.as_ref())?,
    })
}

fn fact_name(id: String, subject: Option<String>) -> Result<FactName, String> {
    let subject = subject.map(|it| text("subject", it)).transpose()?;
    Ok(FactName { id: identifier("fact", id)?, subject })
}

fn signed(
    author: String,
    date: &toml::Value,
    evidence: String,
    expires: Option<&toml::Value>,
) -> Result<Signed, String> {
    let at_ms = time_of("date", date)?;
    let expires_ms = expires.map(|it| time_of("expires", it)).transpose()?;
    if expires_ms.is_some_and(|it| it <= at_ms) {
        return Err("it expires before it was decided".into());
    }
    Ok(Signed { author: text("author", author)?, at_ms, evidence, expires_ms })
}

/// A text of one line, without blanks at its ends.
fn text(key: &'static str, value: String) -> Result<String, String> {
    let trimmed = value.trim();
    if trimmed.is_empty() {
        return Err(format!("`{key}` is missing or empty"));
    }
    if trimmed.chars().any(char::is_control) {
        return Err(format!("`{key}` has a line break or control character"));
    }
    Ok(if trimmed.len() == value.len() { value } else { trimmed.to_owned() })
}

fn identifier(key: &'static str, value: String) -> Result<String, String> {
    let value = text(key, value)?;
    if value.len() > MAX_ID {
        return Err(format!("`{key}` is longer than {MAX_ID} bytes"));
    }
    if value.chars().any(|it| it.is_whitespace() || it == '/') {
        return Err(format!("`{key}` may not contain blanks or a slash"));
    }
    Ok(value)
}

/// A day (its beginning, UTC) or a time, as text or as TOML's own, Unix milliseconds.
fn time_of(key: &'static str, value: &toml::Value) -> Result<i64, String> {
    let text = match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Datetime(time) => time.to_string(),
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Array(_)
        | toml::Value::Table(_) => return Err(format!("`{key}` is no date")),
    };
    let day = Date::parse(&text, format_description!("[year]-[month]-[day]"));
    let time = day.map(|it| it.midnight().assume_utc()).or_else(|_| OffsetDateTime::parse(&text, &Rfc3339));
    let time = time.map_err(|_| format!("`{key}` is no date like 2026-05-31: `{}`", shown(&text, 40)))?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).map_err(|_| format!("`{key}` is no date"))
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
