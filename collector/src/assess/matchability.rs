//! How far the product map reaches: every installed product and every product of an advisory, with its class, and a
//! review of the rules against what is really there.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use holdpoint_common::proto::v1::{SectionKind, SoftwareRow};
use holdpoint_common::section::Digest;
use holdpoint_common::version::range::{Containment, Range, Undecided};
use prost::Message;

use crate::knowledge::map::{self, InstalledName, ProductName};
use crate::knowledge::map_file::{self, Decision, Lint, MAX_LINTS, MapFile, Severity};
use crate::knowledge::text::shown;
use crate::knowledge::{Held, Identity, Knowledge, Source, Versions};

use super::board::{Board, BoardError, OnBoard, State};
use super::index::Index;
use super::judge::Judged;
use super::map_rules::{BoundRule, Origin};
use super::mapped;
use super::package::Distribution;
use super::qualifiers::Qualifiers;
use super::row::{self, Beside, Match};
use super::subject::Of;
use super::verdict::Reason;

/// Most distinct rows that a review looks at.
const MAX_ROWS: usize = 200_000;
/// Most ranges that a version is held against in a review.
const MAX_RANGES: usize = 50;
/// The name of a file that is reviewed before it is imported.
const NOT_IMPORTED: &str = "(not imported)";

/// Which products are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What is installed.
    Installed,
    /// What advisories name.
    Advisory,
}

/// How far a product is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A person or a site's rule binds it.
    Confirmed,
    /// It may be bound; nobody has decided, or a decision has ended.
    Candidate,
    /// A person has said that it is none.
    Rejected,
    /// A requirement looks at it, no advisory does.
    Required,
    /// Nothing that is held speaks of it.
    NoFeed,
    /// Nothing that is installed was matched with it.
    NoData,
}

impl Side {
    /// The side of that word.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "installed" => Some(Self::Installed),
            "advisory" => Some(Self::Advisory),
            _ => None,
        }
    }

    /// The classes that occur on this side.
    pub fn classes(self) -> &'static [Class] {
        match self {
            Self::Installed => {
                &[Class::Confirmed, Class::Candidate, Class::Rejected, Class::Required, Class::NoFeed]
            }
            Self::Advisory => {
                &[Class::Confirmed, Class::Candidate, Class::Rejected, Class::NoFeed, Class::NoData]
            }
        }
    }
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 6] =
        [Self::Confirmed, Self::Candidate, Self::Rejected, Self::Required, Self::NoFeed, Self::NoData];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Candidate => "candidate",
            Self::Rejected => "rejected",
            Self::Required => "required",
            Self::NoFeed => "no-feed",
            Self::NoData => "no-data",
        }
    }

    /// The class of that word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// The words, for whoever writes another one.
    pub fn known() -> String {
        format!("there is no such class; known are {}", Self::ALL.map(Self::as_str).join(", "))
    }
}

impl From<Match> for Class {
    fn from(matched: Match) -> Self {
        match matched {
            Match::Confirmed => Self::Confirmed,
            Match::Candidate => Self::Candidate,
            Match::Rejected => Self::Rejected,
            Match::Required => Self::Required,
            Match::NoFeed => Self::NoFeed,
        }
    }
}

/// One product of a side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// How far it is matched.
    pub class: Class,
    /// Publisher or vendor.
    pub company: Option<String>,
    /// Its name.
    pub name: String,
    /// Of what is installed: where it was read.
    pub source: Option<String>,
    /// Assets that have it, or on which it was matched.
    pub assets: u32,
    /// Of an advisory's product: advisories that name it.
    pub advisories: u32,
}

/// The class of every product that advisories name, in the order of the index.
pub(super) fn product_classes(state: &State) -> Vec<(Class, u32)> {
    let index = state.index.as_ref();
    // Assets that are alike share their findings: these are walked once.
    let mut shared: HashMap<*const Judged, (&Judged, u32)> = HashMap::new();
    for judged in state.assets.values().filter_map(super::board::OnBoard::judged) {
        shared.entry(std::ptr::from_ref(judged)).or_insert((judged, 0)).1 += 1;
    }
    let (mut alike, mut assets) = (HashSet::new(), vec![0_u32; index.products.len()]);
    // By product, which findings named it last.
    let mut named_by = vec![0_usize; index.products.len()];
    for (number, (judged, count)) in (1..).zip(shared.into_values()) {
        for finding in &judged.findings {
            let Some(Of::Entry { product, .. }) = index.subject(finding.subject).map(|it| it.of) else {
                continue;
            };
            if finding.outcome.reason() == Some(Reason::IdentityUnconfirmed) {
                alike.insert(product);
            }
            let Ok(at) = usize::try_from(product) else { continue };
            if let (Some(last), Some(assets)) = (named_by.get_mut(at), assets.get_mut(at))
                && *last != number
            {
                *last = number;
                *assets += count;
            }
        }
    }
    let classify = |((number, it), assets): ((u32, &super::product::Product), u32)| {
        let spoken =
            it.places.iter().any(|place| index.advisory(place.advisory).is_some_and(|it| !it.is_withdrawn()));
        let class = match it {
            // Packages of distributions and Windows need nobody to say what they are.
            it if it.identity != Identity::Named => Class::Confirmed,
            it if it.confirmed > 0 => Class::Confirmed,
            it if it.expired > 0 || alike.contains(&number) => Class::Candidate,
            it if it.rejected > 0 => Class::Rejected,
            _ if !spoken => Class::NoFeed,
            _ => Class::NoData,
        };
        (class, assets)
    };
    (0_u32..).zip(&index.products).zip(assets).map(classify).collect()
}

impl Board {
    /// Every product of a side, the least decided and most widespread first.
    pub fn standings(&self, side: Side, now_ms: i64) -> Result<Vec<Standing>, BoardError> {
        let mut found = match side {
            Side::Advisory => {
                let state = self.settled(None, now_ms)?;
                let classes = product_classes(&state);
                let of = |(product, (class, assets)): (&super::product::Product, (Class, u32))| Standing {
                    class,
                    company: Some(product.name.vendor.clone()).filter(|it| !it.is_empty()),
                    name: product.name.product.clone(),
                    source: None,
                    assets,
                    advisories: u32::try_from(product.places.len()).unwrap_or(u32::MAX),
                };
                state.index.products.iter().zip(classes).map(of).collect()
            }
            Side::Installed => self.installed_standings(now_ms)?,
        };
        found.sort_by(|one: &Standing, two| {
            let key = |it: &Standing| (urgency(it.class), std::cmp::Reverse(it.assets));
            key(one).cmp(&key(two)).then_with(|| (&one.name, &one.company).cmp(&(&two.name, &two.company)))
        });
        Ok(found)
    }

    fn installed_standings(&self, now_ms: i64) -> Result<Vec<Standing>, BoardError> {
        let index = Arc::clone(&self.settled(None, now_ms)?.index);
        let mut known: BTreeMap<InstalledName, (Match, u32)> = BTreeMap::new();
        self.each_row(now_ms, &mut |row, distribution, assets| {
            let name = name_of(&row);
            let beside = Beside { distribution, facts: Qualifiers::default() };
            let judged = row::judge(&index, &beside, &row.encode_to_vec());
            let matched = judged.map_or(Match::NoFeed, |it| it.matched);
            if row.source == super::map_rules::FIRMWARE && matched == Match::NoFeed {
                return;
            }
            let held = known.entry(name).or_insert((matched, 0));
            held.0 = held.0.min(matched);
            held.1 += assets;
        })?;
        let of = |(name, (matched, assets)): (InstalledName, (Match, u32))| Standing {
            class: matched.into(),
            company: name.publisher,
            name: name.name,
            source: Some(name.source),
            assets,
            advisories: 0,
        };
        Ok(known.into_iter().map(of).collect())
    }

    /// How many products of advisories each decision (file empty) and each rule is about.
    pub fn bound_products(&self, now_ms: i64) -> Result<HashMap<(String, String), u32>, BoardError> {
        let index = Arc::clone(&self.settled(None, now_ms)?.index);
        let names: HashSet<&ProductName> = index.products.iter().map(|it| &it.name).collect();
        let decisions = index.knowledge.rules.iter().map(|it| {
            let bound = u32::from(names.contains(&map::sides(it).0));
            ((String::new(), it.id.clone()), bound)
        });
        let rules = index.map_rules.rules.iter().filter_map(|it| match &it.origin {
            Origin::File { file } => {
                let bound = u32::try_from(it.products.len()).unwrap_or(u32::MAX);
                Some(((file.clone(), it.rule.id.clone()), bound))
            }
            Origin::Starter => None,
        });
        Ok(decisions.chain(rules).collect())
    }

    /// Reviews the rules against advisories and inventory, together with a file that is not imported yet.
    pub fn review_map(&self, file: Option<MapFile>, now_ms: i64) -> Result<(Vec<Lint>, u32), BoardError> {
        let mut index = Arc::clone(&self.settled(None, now_ms)?.index);
        if let Some(file) = file {
            let mut knowledge = Knowledge::clone(&index.knowledge);
            knowledge.maps.push(Held { content: Arc::new(file), source: Arc::new(not_imported(now_ms)) });
            index = Arc::new(Index::build(&Arc::new(knowledge), now_ms, &Index::default()));
        }
        let mut lints = map_file::lint(index.knowledge.maps.iter().map(|it| it.content.as_ref()), now_ms);
        let mut seen: HashMap<u32, Seen> = HashMap::new();
        let mut contradictions = BTreeSet::new();
        self.each_row(now_ms, &mut |row, _, _| {
            contradictions.extend(mapped::contradictions(&index, &row));
            for (number, version) in index.map_rules.versions_of(&row) {
                let Some(bound) = super::index::at(&index.map_rules.rules, number) else { continue };
                seen.entry(number).or_default().add(&index, bound, version.as_deref());
            }
        })?;
        lints.extend(contradictions.into_iter().map(|(id, text)| Lint::new(Severity::Error, &id, text)));
        for (number, bound) in
            (0_u32..).zip(&index.map_rules.rules).filter(|it| it.1.origin != Origin::Starter)
        {
            if bound.products.is_empty() {
                let text = "no advisory that is held names its product";
                lints.push(Lint::new(Severity::Warning, &bound.rule.id, text));
            }
            match seen.get(&number) {
                None => {
                    let text = "nothing that is installed in this zone matches it";
                    lints.push(Lint::new(Severity::Warning, &bound.rule.id, text));
                }
                Some(Seen { unread: Some(version), count, .. }) => {
                    let text = format!(
                        "its scheme cannot compare {count} installed versions with any range, such as {version:?}"
                    );
                    lints.push(Lint::new(Severity::Warning, &bound.rule.id, text));
                }
                Some(Seen { unread: None, .. }) => {}
            }
        }
        let names: HashSet<&ProductName> = index.products.iter().map(|it| &it.name).collect();
        for rule in index.knowledge.rules.iter() {
            if !map::is_valid(rule, now_ms) {
                lints.push(Lint::new(
                    Severity::Error,
                    &rule.id,
                    "the decision has expired and binds nothing",
                ));
            } else if !names.contains(&map::sides(rule).0) {
                let text = "no advisory that is held names the product of this decision in this spelling";
                lints.push(Lint::new(Severity::Warning, &rule.id, text));
            }
        }
        lints.sort();
        lints.dedup();
        lints.truncate(MAX_LINTS);
        let rules = index.knowledge.maps.iter().map(|it| it.content.rules.len() + it.content.declared.len());
        let looked_at = index.knowledge.rules.len() + rules.sum::<usize>();
        Ok((lints, u32::try_from(looked_at).unwrap_or(u32::MAX)))
    }

    /// Every distinct row of what is installed, with the number of assets that have it; each name, publisher, source
    /// and version once.
    fn each_row(
        &self,
        now_ms: i64,
        take: &mut dyn FnMut(SoftwareRow, Distribution, u32),
    ) -> Result<(), BoardError> {
        let held: Vec<_> = {
            let state = self.settled(None, now_ms)?;
            let digests =
                |it: &OnBoard| (it.facts.software.digest, it.facts.firmware.digest, it.facts.platform);
            state.assets.values().map(digests).collect()
        };
        let mut images: HashMap<_, u32> = HashMap::new();
        let mut platforms: HashMap<Option<Digest>, Distribution> = HashMap::new();
        for (software, firmware, platform) in held {
            let distribution = platforms
                .entry(platform.digest)
                .or_insert_with(|| Distribution::of(self.sections.platform(&platform).as_ref()));
            let software = software.map(|it| (true, it));
            for (is_software, digest) in software.into_iter().chain(firmware.map(|it| (false, it))) {
                *images.entry((is_software, digest, distribution.clone())).or_default() += 1;
            }
        }
        let mut rows: HashMap<(InstalledName, Option<String>, Distribution), (SoftwareRow, u32)> =
            HashMap::new();
        for ((is_software, digest, distribution), assets) in images {
            let encoded = if is_software {
                self.sections.rows(SectionKind::Software, &digest).unwrap_or_default()
            } else {
                Arc::new(self.sections.firmware(&digest))
            };
            let decoded = encoded.iter().filter_map(|it| SoftwareRow::decode(it.as_slice()).ok());
            let mut here = HashSet::new();
            for row in decoded.filter(|it| it.source != row::LEFTOVER) {
                let key = (name_of(&row), row.version.clone(), distribution.clone());
                if !here.insert(key.clone()) || (rows.len() >= MAX_ROWS && !rows.contains_key(&key)) {
                    continue;
                }
                rows.entry(key).or_insert((row, 0)).1 += assets;
            }
        }
        for ((_, _, distribution), (row, assets)) in rows {
            take(row, distribution, assets);
        }
        Ok(())
    }
}

/// What a rule met in the inventory.
#[derive(Debug, Default)]
struct Seen {
    count: u32,
    /// A version that no range of its products can be compared with.
    unread: Option<String>,
}

impl Seen {
    fn add(&mut self, index: &Index, bound: &BoundRule, version: Option<&str>) {
        let (Decision::Same, Some(reading), Some(version)) =
            (&bound.rule.decision, bound.rule.reading, version)
        else {
            return;
        };
        let entries = bound.products.iter().filter_map(|&it| index.product(it)).flat_map(|it| &it.places);
        let entries = entries.filter_map(|place| {
            let entries = &index.advisory(place.advisory)?.advisory.entries;
            Some(place.entries.iter().filter_map(move |&it| super::index::at(entries, it)))
        });
        let ranges = entries.flatten().filter_map(|it| match &it.versions {
            Versions::Range(text) | Versions::One(text) => Some(Range::parse(text)),
            Versions::All | Versions::InName | Versions::Events(_) | Versions::Builds(_) => None,
        });
        let answers: Vec<Containment> = ranges
            .filter(|it| *it != Range::All)
            .take(MAX_RANGES)
            .map(|it| it.contains(reading, version))
            .collect();
        let is_lost = |it: &Containment| matches!(it, Containment::Unknown(Undecided::NotComparable(_)));
        if !answers.is_empty() && answers.iter().all(is_lost) {
            self.count += 1;
            self.unread = Some(shown(version, 60));
        }
    }
}

/// Nobody has looked at it is more urgent than decided.
fn urgency(class: Class) -> u8 {
    match class {
        Class::Candidate => 0,
        Class::NoFeed | Class::NoData => 1,
        Class::Required => 2,
        Class::Confirmed => 3,
        Class::Rejected => 4,
    }
}

fn name_of(row: &SoftwareRow) -> InstalledName {
    InstalledName { name: row.name.clone(), publisher: row.publisher.clone(), source: row.source.clone() }
}

fn not_imported(now_ms: i64) -> Source {
    let digest = holdpoint_common::section::Digest::of(b"");
    Source { digest, file: NOT_IMPORTED.to_owned(), imported_ms: now_ms, imported_by: String::new() }
}
