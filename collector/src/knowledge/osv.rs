//! OSV records of Linux distributions, read into advisories: one record, one advisory.
//!
//! Source of truth: the Open Source Vulnerability schema 1.x. The names in it are those of source packages and
//! are certain within their ecosystem, so no rule of the map is needed. What is not a distribution, and ranges
//! of commits, are left out and said. A fix that needs a subscription is not available to a host without one:
//! such an entry counts as affected without a fix, so that it can never say fixed.

mod ecosystem;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use holdpoint_common::version::Scheme;
use serde::Deserialize;

use super::advisory::{Advisory, Branch, Ecosystem, Entry, Event, Identity, Stated, Versions, Vulnerability};
use super::epss::cve;
use super::import::Kind;
use super::json::{self, InvalidJson};
use super::score::{self, Scored};
use super::skipped::Skipped;
use super::text::shown;
use super::tracking::{Revision, moment};

use ecosystem::Named;

/// Most package entries of one record.
pub const MAX_AFFECTED: usize = 20_000;
/// Most events and listed versions of one record.
pub const MAX_VERSIONS: usize = 200_000;
/// Longest name or version, in characters.
const MAX_TEXT: usize = 300;

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOsv {
    /// Not JSON, cut off, too deep or of another form.
    #[error(transparent)]
    Json(#[from] InvalidJson),
    /// A later major version of the schema.
    #[error("it is an OSV record of schema {0}; this release reads 1.x")]
    Schema(String),
    /// No identifier to track it by.
    #[error("its id is empty")]
    Untracked,
    /// Revisions are told apart by this date alone.
    #[error("its date of modification `{0}` cannot be read")]
    Undated(String),
    /// A record of something else, or one that names nothing that can be compared.
    #[error("it names no package of a Linux distribution that can be compared ({0})")]
    NothingUsable(String),
    /// More of something than an honest record has.
    #[error("it has more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

#[derive(Debug, Deserialize)]
struct Record {
    schema_version: Option<String>,
    #[serde(default)]
    id: String,
    #[serde(default)]
    modified: String,
    withdrawn: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    upstream: Vec<String>,
    summary: Option<String>,
    #[serde(default)]
    affected: Vec<Affected>,
    #[serde(default)]
    severity: Vec<Severity>,
    #[serde(default)]
    database_specific: Specific,
}

#[derive(Debug, Default, Deserialize)]
struct Specific {
    /// A word; some databases write objects here.
    severity: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Affected {
    package: Option<Package>,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Package {
    #[serde(default)]
    ecosystem: String,
    #[serde(default)]
    name: String,
    purl: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Range {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    events: Vec<WireEvent>,
}

#[derive(Debug, Deserialize)]
struct WireEvent {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Severity {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    score: String,
}

/// Reads a record and says what was left out.
pub fn read(bytes: &[u8]) -> Result<(Advisory, Vec<String>), InvalidOsv> {
    let record: Record = json::read(bytes)?;
    let Record { schema_version, id, modified, withdrawn, aliases, upstream, .. } = &record;
    if let Some(schema) = schema_version.as_deref().filter(|it| !it.starts_with("1.")) {
        return Err(InvalidOsv::Schema(shown(schema, 20)));
    }
    let id = shown(id, 200);
    if id.is_empty() {
        return Err(InvalidOsv::Untracked);
    }
    let released_ms = moment(modified).ok_or_else(|| InvalidOsv::Undated(shown(modified, 40)))?;
    let mut skipped = Skipped::default();
    let vulnerability = vulnerability_of(&id, aliases, upstream);
    let (severity, vector) = severity_of(&record.severity, &record.database_specific, &mut skipped);
    let withdrawn = withdrawn.is_some();
    let publisher = record.affected.iter().find_map(|it| it.package.as_ref());
    let publisher =
        publisher.map(|it| shown(it.ecosystem.split(':').next().unwrap_or(""), MAX_TEXT)).unwrap_or_default();
    let title = record.summary.as_deref().map(|it| shown(it, MAX_TEXT)).filter(|it| !it.is_empty());
    let revision = Revision { id: id.clone(), version: shown(modified, 60), released_ms: Some(released_ms) };

    let mut entries = Entries::default();
    if record.affected.len() > MAX_AFFECTED {
        return Err(InvalidOsv::TooMany { what: "packages", max: MAX_AFFECTED });
    }
    entries.take_all(record.affected, &mut skipped)?;
    let entries = entries.list;
    // What was taken back may be empty; its earlier statements stay visible beside it.
    if entries.is_empty() && !withdrawn {
        let lines = skipped.into_lines();
        let first = lines.first().map_or("it has no `affected`", String::as_str);
        return Err(InvalidOsv::NothingUsable(shown(first, 200)));
    }
    let statements = (0..).zip(&entries).map(|(at, _)| (at, Stated::Affected)).collect();
    let vulnerability = Vulnerability {
        id: vulnerability,
        severity,
        vector,
        statements,
        remediations: Vec::new(),
        fixes: Vec::new(),
    };
    let advisory = Advisory {
        kind: Kind::Osv,
        revision,
        title: title.unwrap_or(id),
        publisher,
        status: "final".to_owned(),
        withdrawn,
        original: None,
        entries,
        vulnerabilities: vec![vulnerability],
    };
    Ok((advisory, skipped.into_lines()))
}

/// The one CVE that the record is about, or else its own identifier: a notice about several is one matter.
fn vulnerability_of(id: &str, aliases: &[String], upstream: &[String]) -> String {
    let named = [id].into_iter().chain(aliases.iter().chain(upstream).map(String::as_str));
    let cves: BTreeSet<&str> = named.filter(|it| cve(it).is_some()).collect();
    match (cves.len(), cves.first()) {
        (1, Some(only)) => (*only).to_owned(),
        _ => id.replace('/', "-"),
    }
}

fn severity_of(
    listed: &[Severity],
    specific: &Specific,
    skipped: &mut Skipped,
) -> (Option<String>, Option<String>) {
    let vectors = listed.iter().filter(|it| it.kind.starts_with("CVSS_"));
    let scored = score::highest(vectors.map(|it| Scored::of_vector(&it.score)), skipped);
    let word = |it: &Severity| (it.kind == "Ubuntu").then(|| shown(&it.score, 20));
    let said = || specific.severity.as_ref().and_then(serde_json::Value::as_str).map(|it| shown(it, 20));
    match scored {
        Some(scored) => (scored.severity, scored.vector),
        None => (listed.iter().find_map(word).or_else(said).filter(|it| !it.is_empty()), None),
    }
}

#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    by_id: HashMap<String, usize>,
    versions: usize,
}

impl Entries {
    /// Entries that hosts can have first, so that those of subscriptions know whether they stand alone.
    fn take_all(&mut self, affected: Vec<Affected>, skipped: &mut Skipped) -> Result<(), InvalidOsv> {
        let mut later = Vec::new();
        for affected in affected {
            let Affected { package: Some(package), ranges, versions } = affected else {
                skipped.add(|| "an entry without a package".to_owned());
                continue;
            };
            let name = shown(&package.name, MAX_TEXT);
            if name.is_empty() {
                skipped.add(|| format!("{}: a package without a name", shown(&package.ecosystem, 80)));
                continue;
            }
            match ecosystem::read(&package.ecosystem) {
                Named::Release(ecosystem) => {
                    self.take(ecosystem, &name, &package, ranges, &versions, false, skipped)?;
                }
                Named::Subscription(ecosystem) => later.push((ecosystem, name, package, ranges, versions)),
                Named::Other(why) => {
                    skipped.add(|| format!("`{name}` of {}: {why}", shown(&package.ecosystem, 80)));
                }
            }
        }
        for (ecosystem, name, package, ranges, versions) in later {
            let stands_beside = |it: &Entry| {
                it.product == name && matches!(&it.identity, Identity::Package(own) if *own == ecosystem)
            };
            let of = shown(&package.ecosystem, 80);
            if self.list.iter().any(stands_beside) {
                skipped
                    .add(|| format!("`{name}` of {of}: the entry for hosts without a subscription decides"));
            } else {
                skipped.add(|| {
                    format!(
                        "`{name}` of {of}: a fix for subscribers alone; it counts as affected without a fix"
                    )
                });
                self.take(ecosystem, &name, &package, ranges, &versions, true, skipped)?;
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one entry, each used once")]
    fn take(
        &mut self,
        ecosystem: Ecosystem,
        name: &str,
        package: &Package,
        ranges: Vec<Range>,
        versions: &[String],
        without_fix: bool,
        skipped: &mut Skipped,
    ) -> Result<(), InvalidOsv> {
        let of = shown(&package.ecosystem, MAX_TEXT);
        self.versions += versions.len() + ranges.iter().map(|it| it.events.len()).sum::<usize>();
        if self.versions > MAX_VERSIONS {
            return Err(InvalidOsv::TooMany { what: "versions", max: MAX_VERSIONS });
        }
        let mut conditions = Vec::new();
        let mut branches = Vec::new();
        for range in ranges {
            match range.kind.as_str() {
                "ECOSYSTEM" => {}
                // Another order than the distribution's: no comparison of packages decides it.
                "SEMVER" => {
                    conditions.push("a range of semantic versions and not of package versions".into());
                }
                other => {
                    let kind = shown(other, 20);
                    skipped.add(|| format!("`{name}` of {of}: a range of type {kind} is not used"));
                    continue;
                }
            }
            branches.push(branch(range.events, without_fix, &mut conditions));
        }
        branches.retain(|it| !it.events.is_empty());
        let listed: Vec<String> = versions
            .iter()
            .map(|it| shown(it, MAX_TEXT))
            .filter(|it| !it.is_empty() && !branches.iter().any(|own| covers(own, ecosystem.scheme, it)))
            .collect();
        if branches.is_empty() && versions.is_empty() {
            skipped.add(|| format!("`{name}` of {of}: it has no versions"));
            return Ok(());
        }
        if without_fix && branches.is_empty() {
            // Versions alone would leave a later one of a host without the subscription outside.
            let events = vec![Event::Introduced("0".to_owned())];
            branches.push(Branch { events, listed: Vec::new() });
        }
        match branches.first_mut() {
            Some(first) => first.listed = listed,
            None => branches.push(Branch { events: Vec::new(), listed }),
        }
        if branches.iter().flat_map(|it| &it.events).any(is_modular) {
            conditions.push("the module stream that the package is of".to_owned());
        }
        let id = format!("{of}:{name}").replace('/', "-");
        if let Some(known) = self.by_id.get(&id).and_then(|&at| self.list.get_mut(at)) {
            // One package in several parts: what any of them says holds.
            if let Versions::Events(known) = &mut known.versions {
                known.extend(branches);
            }
            known.conditions.extend(conditions);
            return Ok(());
        }
        self.by_id.insert(id.clone(), self.list.len());
        self.list.push(Entry {
            id,
            vendor: of,
            product: name.to_owned(),
            versions: Versions::Events(branches),
            identity: Identity::Package(ecosystem),
            conditions,
            model_numbers: Vec::new(),
            purl: package.purl.as_deref().map(|it| shown(it, MAX_TEXT)).filter(|it| !it.is_empty()),
        });
        Ok(())
    }
}

fn branch(events: Vec<WireEvent>, without_fix: bool, conditions: &mut Vec<String>) -> Branch {
    let mut read = Vec::with_capacity(events.len());
    for event in events {
        let text = |it: Option<String>| it.map(|it| shown(&it, MAX_TEXT)).filter(|it| !it.is_empty());
        let WireEvent { introduced, fixed, last_affected, limit } = event;
        read.extend(text(introduced).map(Event::Introduced));
        if !without_fix {
            read.extend(text(fixed).map(Event::Fixed));
            read.extend(text(last_affected).map(Event::LastAffected));
        }
        if let Some(limit) = text(limit).filter(|it| it != "*") {
            conditions.push(format!("a version below the limit {limit}"));
        }
    }
    Branch { events: read, listed: Vec::new() }
}

/// Whether a plain range says of a version what the list says as well; thousands of versions are then one range.
fn covers(branch: &Branch, scheme: Scheme, version: &str) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let (start, end) = match branch.events.as_slice() {
        [Event::Introduced(start)] => (start, None),
        [Event::Introduced(start), end] => (start, Some(end)),
        _ => return false,
    };
    let order = |bound: &String| scheme.order(version, bound).ok();
    let begun = start == "0" || matches!(order(start), Some(Equal | Greater));
    begun
        && match end {
            None => true,
            Some(Event::Fixed(end)) => order(end) == Some(Less),
            Some(Event::LastAffected(end)) => matches!(order(end), Some(Less | Equal)),
            Some(Event::Introduced(_)) => false,
        }
}

/// Packages of module streams are only ordered within their stream.
fn is_modular(event: &Event) -> bool {
    match event {
        Event::Introduced(version) | Event::Fixed(version) | Event::LastAffected(version) => {
            version.contains(".module")
        }
    }
}
