//! What the product map says of one software row: decisions of persons, rules of files, and likenesses.
//!
//! All that speaks of a row is gathered first and judged product by product, because two that contradict each other
//! decide nothing. A negative rule may be bound to one revision of an advisory; with the next revision the pair is
//! open again.

use std::collections::BTreeMap;

use holdpoint_common::proto::v1::SoftwareRow;
use holdpoint_common::version::range::Reading;

use crate::knowledge::map_file::{Choice, Decision, DocumentRevision, MapRule, VersionFrom};
use crate::knowledge::text::{leading_numbers, line, shown, tokens};
use crate::knowledge::{Advisory, Entry, HeldAdvisory, Vulnerability};

use super::advisory::{self, Bound};
use super::explain::{Step, Trace};
use super::index::{Binding, Index};
use super::map_rules::{self, Origin};
use super::product::Place;
use super::qualifiers::{Known, Qualifiers};
use super::row::Match;
use super::subject::SubjectId;
use super::verdict::{Outcome, Reason};

/// Where a row's outcomes are collected, and for whom.
pub(super) struct Found<'a> {
    /// Only this subject.
    pub(super) only: Option<SubjectId>,
    pub(super) found: &'a mut Vec<(SubjectId, Outcome)>,
    pub(super) trace: &'a mut Trace,
}

/// All that is said of one product.
#[derive(Default)]
struct Said<'a> {
    same: Vec<Same<'a>>,
    not: Vec<Not<'a>>,
    /// Rules that decided and no longer do.
    over: Vec<(&'a str, &'static str)>,
    starters: Vec<&'a MapRule>,
    alike: bool,
}

/// A rule that binds.
struct Same<'a> {
    id: &'a str,
    /// Who says so, where, and why.
    text: String,
    reading: Option<Reading>,
    /// What the rule says beyond the scheme.
    details: Option<&'a MapRule>,
    /// What the name shows as the version, where a rule looks there.
    in_name: Option<String>,
}

/// A rule that separates.
struct Not<'a> {
    id: &'a str,
    /// `None` for every advisory.
    revision: Option<&'a DocumentRevision>,
}

/// What separates a product from a row, in one advisory.
enum Apart<'a> {
    No,
    /// This rule does.
    By(&'a str),
    /// This rule did, of another revision.
    Ended(&'a str),
}

/// Judges what the map says of a row.
pub(super) fn judge(index: &Index, row: &SoftwareRow, facts: &Qualifiers, into: &mut Found<'_>) -> Match {
    let mut said = gather(index, row);
    let keys = map_rules::keys_of(row);
    for &product in index.candidates_for(&row.name).iter().chain(index.numbered_like(&keys)) {
        said.entry(product).or_default().alike = true;
    }
    let mut matched = Match::NoFeed;
    for (product, said) in &said {
        let Some(product) = index.product(*product) else { continue };
        for place in &product.places {
            let Some(held) = index.advisory(place.advisory) else { continue };
            let here = Here { index, row, facts, held, place };
            matched = matched.min(here.judge(said, into));
        }
    }
    matched
}

fn gather<'a>(index: &'a Index, row: &SoftwareRow) -> BTreeMap<u32, Said<'a>> {
    let mut said: BTreeMap<u32, Said<'a>> = BTreeMap::new();
    for named in index.rules_for(&row.name) {
        let Some(rule) = index.knowledge.rules.get(named.rule) else { continue };
        if rule.installed_publisher != row.publisher || rule.source != row.source {
            continue;
        }
        let said = said.entry(named.product).or_default();
        match &named.binding {
            Binding::Rejected => said.not.push(Not { id: &rule.id, revision: None }),
            Binding::Expired => said.over.push((&rule.id, "has expired")),
            Binding::Confirmed { reading, details } => {
                let text = format!("was confirmed by {}: {}", rule.by, shown(&rule.why, 300));
                let details = details.as_deref();
                let in_name = details.and_then(|it| map_rules::version_in_name(it, row));
                said.same.push(Same { id: &rule.id, text, reading: *reading, details, in_name });
            }
        }
    }
    for (bound, in_name) in index.map_rules.matching(row) {
        let rule = &bound.rule;
        for &product in &bound.products {
            let said = said.entry(product).or_default();
            match (&bound.origin, &rule.decision) {
                (Origin::Starter, _) => said.starters.push(rule),
                (Origin::File { .. }, _) if !bound.valid => said.over.push((&rule.id, "has expired")),
                (Origin::File { file }, Decision::Same) => {
                    let signed = &rule.signed;
                    let text = format!(
                        "is so by the rule `{}` of {} by {}: {}",
                        shown(&rule.id, 100),
                        shown(file, 100),
                        shown(&signed.author, 100),
                        shown(&signed.evidence, 300)
                    );
                    let (reading, details) = (rule.reading, Some(rule.as_ref()));
                    said.same.push(Same { id: &rule.id, text, reading, details, in_name: in_name.clone() });
                }
                (Origin::File { .. }, Decision::Not { revision }) => {
                    said.not.push(Not { id: &rule.id, revision: revision.as_ref() });
                }
            }
        }
    }
    said
}

/// Rules that say of one product both that a row is it and that it is not: identifier and sentence.
pub(super) fn contradictions(index: &Index, row: &SoftwareRow) -> Vec<(String, String)> {
    let said = gather(index, row).into_values();
    let pairs = said.filter_map(|it| {
        let (same, not) = (it.same.first()?.id, it.not.iter().find(|it| it.revision.is_none())?.id);
        let text = format!(
            "`{}`: `{not}` says that it is another product, so it stays unknown",
            shown(&row.name, 100)
        );
        (same != not).then(|| (same.to_owned(), text))
    });
    pairs.collect()
}

/// A row beside one advisory's entries for a product.
struct Here<'a> {
    index: &'a Index,
    row: &'a SoftwareRow,
    facts: &'a Qualifiers,
    held: &'a HeldAdvisory,
    place: &'a Place,
}

impl Here<'_> {
    fn judge(&self, said: &Said<'_>, into: &mut Found<'_>) -> Match {
        let apart = self.apart(&said.not);
        match (apart, said.same.as_slice()) {
            (Apart::By(id), [one, ..]) => {
                let text = format!("`{}` says that it is this product and `{id}` that it is not", one.id);
                self.undecided(Reason::IdentityUnconfirmed, &text, id, into);
                Match::Candidate
            }
            (Apart::By(_), []) => Match::Rejected,
            (Apart::No | Apart::Ended(_), [_, ..]) => {
                said.same.iter().for_each(|it| self.bind(it, into));
                Match::Confirmed
            }
            (Apart::Ended(id), []) => {
                let text =
                    format!("`{id}` says that it is another product, of another revision of this advisory");
                self.undecided(Reason::IdentityUnconfirmed, &text, id, into);
                Match::Candidate
            }
            (Apart::No, []) => self.open(said, into),
        }
    }

    /// What separates the row from this advisory's product. The newest revision is another one than a rule is bound to
    /// as soon as its version differs.
    fn apart<'a>(&self, not: &[Not<'a>]) -> Apart<'a> {
        let own = &self.held.advisory.revision;
        let mut found = Apart::No;
        for rule in not {
            match rule.revision {
                None => return Apart::By(rule.id),
                Some(bound) if bound.document != own.id && bound.document != own.family() => {}
                Some(bound) if bound.document == own.id && bound.revision == own.version => {
                    return Apart::By(rule.id);
                }
                Some(_) => found = Apart::Ended(rule.id),
            }
        }
        found
    }

    /// Nothing decides.
    fn open(&self, said: &Said<'_>, into: &mut Found<'_>) -> Match {
        if let Some((id, why)) = said.over.first() {
            let text = format!("the rule that bound it {why}");
            self.undecided(Reason::NoMapRule, &text, id, into);
            return Match::Candidate;
        }
        if said.alike {
            let text = "it is called like the product or has its order number, and nobody has confirmed that it is: \
                        `holdpoint map suggest`";
            self.undecided(Reason::IdentityUnconfirmed, text, "", into);
            return Match::Candidate;
        }
        let product = self.product().map_or("", |it| &it.product);
        let starter = said
            .starters
            .iter()
            .find(|it| !shows_other_line(it, &self.row.name) && !shows_other_series(product, &self.row.name));
        if let Some(rule) = starter {
            let text = format!(
                "the starter rule `{}` says that it may be the product, and nobody has confirmed that it is: \
                 `holdpoint map suggest`",
                rule.id
            );
            self.undecided(Reason::IdentityUnconfirmed, &text, &rule.id, into);
            return Match::Candidate;
        }
        Match::NoFeed
    }

    /// A confirmed pair: every statement about the product is judged.
    fn bind(&self, same: &Same<'_>, into: &mut Found<'_>) {
        let mut version = self.row.version.clone();
        if let Some(rule) = same.details {
            version = match &rule.version_from {
                VersionFrom::Row => version,
                VersionFrom::Name => same.in_name.clone(),
                VersionFrom::Text(text) => Some(text.clone()),
                VersionFrom::Fact(name) => match self.facts.value(name) {
                    Known::Value(value) => Some(value.to_owned()),
                    Known::Nothing | Known::Contradiction => None,
                },
            };
            if let Some(wanted) = rule.line.as_ref()
                && !shows_line(&wanted.text, &self.row.name, version.as_deref())
            {
                let text = format!(
                    "the rule is for the line {}, and neither the installed name nor its version shows it",
                    shown(&wanted.text, 60)
                );
                self.undecided(Reason::LineUnbound, &text, same.id, into);
                return;
            }
        }
        let bound = Bound { name: &self.row.name, version: version.as_deref(), scheme: same.reading };
        let mut rest = self.place.subjects.as_slice();
        while let Some(&(vulnerability, _, _)) = rest.first() {
            let (here, later) = rest.split_at(rest.partition_point(|it| it.0 == vulnerability));
            rest = later;
            if into.only.is_some_and(|it| here.iter().all(|subject| subject.2 != it)) {
                continue;
            }
            let Some(said) = self.index.vulnerability(self.place.advisory, vulnerability) else { continue };
            into.trace.add(|| self.map_step(same));
            let group = self.group(same.details, said, into.trace);
            let advisory: &Advisory = &self.held.advisory;
            let judged = advisory::judge(advisory, said, &group, bound, self.held.is_withdrawn(), into.trace);
            // What holds for the entries that are meant holds for the product.
            let joint = judged.iter().map(|it| it.1).reduce(Outcome::worse);
            for &(_, entry, subject) in here {
                let own = judged.iter().find(|it| it.0 == entry).map(|it| it.1);
                into.found.extend(own.or(joint).map(|it| (subject, it)));
            }
        }
    }

    /// The entries that are meant: all of them, unless an order number or a known fact chooses.
    fn group(&self, rule: Option<&MapRule>, said: &Vulnerability, trace: &mut Trace) -> Vec<u32> {
        let all = &self.place.entries;
        let Some(rule) = rule else { return all.clone() };
        let mut chosen = all.clone();
        let stated = |group: &[u32]| said.statements.iter().any(|it| group.binary_search(&it.0).is_ok());
        let wanted = &rule.advisory.order_numbers;
        if !wanted.is_empty() {
            let of_number = self.keep(&chosen, |entry| {
                let numbers = map_rules::model_numbers(entry);
                numbers.is_empty() || numbers.iter().any(|it| wanted.contains(it))
            });
            if stated(&of_number) && of_number.len() < chosen.len() {
                trace.add(|| Step::new("map", "only the entries with the rule's order number are meant"));
                chosen = of_number;
            }
        }
        for choice in &rule.choices {
            let value = match self.facts.value(&choice.fact) {
                Known::Value(value) if value == choice.value => value,
                Known::Value(_) => continue,
                known @ (Known::Nothing | Known::Contradiction) => {
                    let why = if known == Known::Nothing { "is not known" } else { "is told in two ways" };
                    trace.add(|| Step::new("fact", format!("{} {why} of this asset", choice.fact.id)));
                    continue;
                }
            };
            let named = |choice: &Choice, entry: &Entry| {
                choice.entries.contains(&entry.id) || choice.ranges.contains(entry.versions.text().trim())
            };
            // A choice that names no entry any more was made for another revision.
            if self.keep(&chosen, |it| named(choice, it)).is_empty() {
                trace.add(|| {
                    Step::new("fact", format!("{} chooses no entry of this revision", choice.fact.id))
                });
                continue;
            }
            // An entry that no choice names is of nobody's line, so it counts as before.
            let meant = self
                .keep(&chosen, |it| named(choice, it) || !rule.choices.iter().any(|other| named(other, it)));
            if stated(&meant) {
                trace.add(|| {
                    let text = format!("{} is `{}`", choice.fact.id, shown(value, 60));
                    Step::new("fact", format!("{text}: {} of {} entries are meant", meant.len(), all.len()))
                });
                chosen = meant;
            }
        }
        chosen
    }

    fn keep(&self, group: &[u32], wanted: impl Fn(&Entry) -> bool) -> Vec<u32> {
        let entry = |it: u32| super::index::at(&self.held.advisory.entries, it);
        group.iter().copied().filter(|&it| entry(it).is_some_and(&wanted)).collect()
    }

    /// One entry of the product, for its names.
    fn product(&self) -> Option<&Entry> {
        self.place.entries.first().and_then(|&it| super::index::at(&self.held.advisory.entries, it))
    }

    fn map_step(&self, same: &Same<'_>) -> Step {
        let name =
            self.place.entries.first().and_then(|&it| super::index::at(&self.held.advisory.entries, it));
        let (product, vendor) = name.map_or(("", ""), |it| (it.product.as_str(), it.vendor.as_str()));
        let text = format!(
            "`{}` by {} {}; scheme {}",
            shown(product, 120),
            if vendor.is_empty() { "no named vendor" } else { vendor },
            same.text,
            same.reading.map_or("none", |it| it.scheme.name())
        );
        Step::new("map", text).resting_on(same.id)
    }

    /// A pair that decides nothing: every statement that could apply is unknown.
    fn undecided(&self, reason: Reason, text: &str, evidence: &str, into: &mut Found<'_>) {
        // What was taken back and never confirmed to apply is nobody's work.
        if self.held.is_withdrawn() {
            return;
        }
        for &(vulnerability, entry, subject) in &self.place.subjects {
            if into.only.is_some_and(|it| it != subject)
                || is_only_good(&self.held.advisory, vulnerability, entry)
            {
                continue;
            }
            into.trace.add(|| {
                let step = Step::new("map", text);
                if evidence.is_empty() { step } else { step.resting_on(evidence) }
            });
            into.found.push((subject, Outcome::unknown(reason)));
        }
    }
}

/// Whether an entry is only named as fixed or not affected: a likeness to it is no reason for work.
fn is_only_good(advisory: &Advisory, vulnerability: u32, entry: u32) -> bool {
    use crate::knowledge::Stated;
    super::index::at(&advisory.vulnerabilities, vulnerability).is_some_and(|it| {
        it.statements
            .iter()
            .filter(|statement| statement.0 == entry)
            .all(|statement| matches!(statement.1, Stated::Fixed | Stated::NotAffected))
    })
}

/// Whether an installed name or version is of a line: its words stand in the name, or the version begins with its numbers.
fn shows_line(wanted: &str, name: &str, version: Option<&str>) -> bool {
    let (words, name_words) = (tokens(wanted), tokens(name));
    let in_name = !words.is_empty() && name_words.windows(words.len()).any(|it| it == words.as_slice());
    let numbers = leading_numbers(wanted);
    let in_name = in_name || (!numbers.is_empty() && words.len() == 1 && line(name) == Some(numbers.clone()));
    let shown = version.map(leading_numbers).unwrap_or_default();
    // "2014 R2" is more than its number.
    in_name || (words.len() == 1 && !numbers.is_empty() && shown.starts_with(&numbers))
}

/// Whether a name states another line than a starter rule is for.
fn shows_other_line(rule: &MapRule, name: &str) -> bool {
    let wanted = rule.line.as_ref().map(|it| leading_numbers(&it.text));
    wanted.is_some_and(|wanted| {
        line(name).is_some_and(|it| !it.starts_with(&wanted) && !wanted.starts_with(&it))
    })
}

/// Whether two names state different series: "Series A" and "Series B".
fn shows_other_series(product: &str, name: &str) -> bool {
    let series = |it: &str| tokens(it).windows(2).find(|it| it[0] == "series").map(|it| it[1].clone());
    matches!((series(product), series(name)), (Some(one), Some(two)) if one != two)
}

#[cfg(test)]
#[path = "mapped_tests.rs"]
mod tests;
