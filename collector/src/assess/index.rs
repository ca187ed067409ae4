//! Knowledge arranged by what it looks at: from an installed name to the requirements and rules about it.
//!
//! Built anew for every change of knowledge and whenever a rule expires. Subjects are numbered in
//! the order of their texts, so that sorting numbers sorts subjects.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use holdpoint_common::proto::v1::SoftwareRow;
use holdpoint_common::version::Scheme;
use holdpoint_common::version::range::Reading;

use crate::knowledge::map::{self, InstalledName, ProductName};
use crate::knowledge::map_file::{self, Decision, FactName, MapRule};
use crate::knowledge::text::folded;
use crate::knowledge::{
    Advisory, HeldAdvisory, Identity, Knowledge, NameKind, Requirement, Vulnerability, Wanted,
};

use super::microsoft::Calendar;
use super::package::{self, Distribution, Fit};
use super::row::{Beside, Names};
use super::verdict::Outcome;

use super::map_rules::{self, MapRules, Origin};

/// Number of a subject.
pub(super) type SubjectId = u32;

/// What a finding can be about.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// `ADVISORY/CVE/ENTRY`, or a requirement's identifier.
    pub(super) text: Arc<str>,
    pub(super) of: Of,
}

/// Where a subject comes from, as positions in the knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Requirement(u32),
    Entry { advisory: u32, vulnerability: u32, entry: u32, product: u32 },
}

/// A product that advisories name, with everything they say of it.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) name: ProductName,
    /// How it is recognised; rules of the map bind the named ones alone.
    pub(super) identity: Identity,
    pub(super) places: Vec<Place>,
    /// Valid rules of either decision, and confirmed ones that have expired.
    pub(super) confirmed: u32,
    pub(super) rejected: u32,
    pub(super) expired: u32,
}

/// One advisory's entries for a product.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) advisory: u32,
    /// Positions of the entries, ascending.
    pub(super) entries: Vec<u32>,
    /// Vulnerability, entry and subject of every statement about these entries, ascending.
    pub(super) subjects: Vec<(u32, u32, SubjectId)>,
}

/// Statements of one vulnerability: its position, the entry's, and the subject.
pub(super) type Spoken = [(u32, u32, SubjectId)];

impl Place {
    /// The statements, vulnerability by vulnerability.
    pub(super) fn by_vulnerability(&self) -> impl Iterator<Item = &Spoken> {
        self.subjects.chunk_by(|one, two| one.0 == two.0)
    }

    /// Adds outcomes of entries, by position, as outcomes of their subjects.
    pub(super) fn put(here: &Spoken, judged: Vec<(u32, Outcome)>, found: &mut Vec<(SubjectId, Outcome)>) {
        for (entry, outcome) in judged {
            if let Some(&(_, _, subject)) = here.iter().find(|it| it.1 == entry) {
                found.push((subject, outcome));
            }
        }
    }
}

/// What a rule does for a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Binding {
    Confirmed {
        reading: Option<Reading>,
        /// What the decision says beyond a scheme.
        details: Option<Arc<MapRule>>,
    },
    Expired,
    Rejected,
}

/// A rule at an installed name.
#[derive(Debug, Clone)]
pub(super) struct NamedRule {
    /// Position in the knowledge.
    pub(super) rule: usize,
    pub(super) product: u32,
    pub(super) binding: Binding,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) knowledge: Arc<Knowledge>,
    pub(super) subjects: Vec<Subject>,
    pub(super) products: Vec<Product>,
    /// When it was built, Unix milliseconds.
    pub(super) built_ms: i64,
    /// From this time on a rule has expired that is counted here, Unix milliseconds.
    pub(super) good_until_ms: Option<i64>,
    /// Requirements about the platform.
    pub(super) platform: Vec<u32>,
    /// Subject of every requirement, by its position.
    pub(super) requirement_subjects: Vec<SubjectId>,
    /// Products that are a Windows.
    pub(super) windows: Vec<u32>,
    /// When which build of Windows was published.
    pub(super) calendar: Calendar,
    packages: HashMap<String, Vec<u32>>,
    literal_names: HashMap<String, Vec<u32>>,
    literal_sources: HashMap<String, Vec<u32>>,
    patterns: Vec<u32>,
    /// Rules of files, and starter rules.
    pub(super) map_rules: MapRules,
    /// Facts of hosts that a rule of the map asks for.
    pub(super) facts: BTreeSet<FactName>,
    /// Facts that persons declare, by asset.
    pub(super) declared: BTreeMap<String, Vec<(FactName, String)>>,
    rules: HashMap<String, Vec<NamedRule>>,
    folded: HashMap<String, Vec<u32>>,
}

impl Index {
    /// An index of what is known. What the one before has worked out of the same advisories is used again.
    pub(super) fn build(knowledge: &Arc<Knowledge>, now_ms: i64, before: &Self) -> Self {
        let mut index = Self { knowledge: Arc::clone(knowledge), built_ms: now_ms, ..Self::default() };
        index.add_subjects(knowledge, &before.texts());
        index.add_requirements(knowledge);
        index.add_rules(knowledge, now_ms);
        for (number, product) in numbered(&index.products) {
            match &product.identity {
                Identity::Named => {
                    for name in map::folded_names(&product.name) {
                        index.folded.entry(name).or_default().push(number);
                    }
                }
                Identity::Package(_) => {
                    index.packages.entry(product.name.product.clone()).or_default().push(number);
                }
                Identity::Windows => index.windows.push(number),
            }
        }
        if !index.windows.is_empty() {
            index.calendar = Calendar::of(&knowledge.advisories);
        }
        index
    }

    /// Texts of the subjects of every advisory, ascending, with the vulnerability and the entry that each is about.
    fn texts(&self) -> HashMap<DocumentKey, Texts> {
        let mut by_advisory = vec![Vec::new(); self.knowledge.advisories.len()];
        for subject in &self.subjects {
            if let Of::Entry { advisory, vulnerability, entry, .. } = subject.of
                && let Some(texts) = at_mut(&mut by_advisory, advisory)
            {
                texts.push((vulnerability, entry, Arc::clone(&subject.text)));
            }
        }
        self.knowledge.advisories.iter().map(document).zip(by_advisory).collect()
    }

    fn add_subjects(&mut self, knowledge: &Knowledge, before: &HashMap<DocumentKey, Texts>) {
        let mut subjects: Vec<Subject> = numbered(&knowledge.requirements)
            .map(|(number, it)| Subject {
                text: it.requirement.id.as_str().into(),
                of: Of::Requirement(number),
            })
            .collect();
        let mut products: HashMap<(&str, &str, &Identity), u32> = HashMap::new();
        // In the order of their texts as far as advisories go: sorting what is nearly sorted is quick.
        let mut labelled: Vec<(String, u32, &HeldAdvisory)> = numbered(&knowledge.advisories)
            .map(|(advisory, held)| (held.label() + "/", advisory, held))
            .collect();
        labelled.sort_unstable_by(|one, two| (&one.0, one.1).cmp(&(&two.0, two.1)));
        for (label, advisory, held) in labelled {
            let from = subjects.len();
            let mut here: HashMap<u32, usize> = HashMap::new();
            let mut product_of = Vec::with_capacity(held.advisory.entries.len());
            for (position, entry) in numbered(&held.advisory.entries) {
                let next = u32::try_from(products.len()).unwrap_or(u32::MAX);
                let key = (entry.vendor.as_str(), entry.product.as_str(), &entry.identity);
                let product = *products.entry(key).or_insert_with(|| {
                    let name = ProductName { vendor: entry.vendor.clone(), product: entry.product.clone() };
                    let (identity, places) = (entry.identity.clone(), Vec::new());
                    self.products.push(Product {
                        name,
                        identity,
                        places,
                        confirmed: 0,
                        rejected: 0,
                        expired: 0,
                    });
                    next
                });
                product_of.push(product);
                let Some(known) = at_mut(&mut self.products, product) else { continue };
                let place = *here.entry(product).or_insert_with(|| {
                    known.places.push(Place { advisory, entries: Vec::new(), subjects: Vec::new() });
                    known.places.len() - 1
                });
                known.places[place].entries.push(position);
            }
            if let Some(texts) = before.get(&document(held)) {
                subjects.extend(texts.iter().filter_map(|(vulnerability, entry, text)| {
                    let (vulnerability, entry) = (*vulnerability, *entry);
                    let product = *at(&product_of, entry)?;
                    let of = Of::Entry { advisory, vulnerability, entry, product };
                    Some(Subject { text: Arc::clone(text), of })
                }));
                continue;
            }
            for (vulnerability, said) in numbered(&held.advisory.vulnerabilities) {
                let mut entries: Vec<u32> = said.statements.iter().map(|it| it.0).collect();
                entries.dedup();
                for entry in entries {
                    let (Some(named), Some(&product)) =
                        (at(&held.advisory.entries, entry), at(&product_of, entry))
                    else {
                        continue;
                    };
                    let text = format!("{label}{}/{}", said.id, named.id.replace('/', "-"));
                    let of = Of::Entry { advisory, vulnerability, entry, product };
                    subjects.push(Subject { text: text.into(), of });
                }
            }
            subjects[from..].sort_by(|one, two| one.text.cmp(&two.text));
        }
        for product in &mut self.products {
            product.places.sort_unstable_by_key(|it| it.advisory);
        }
        subjects.sort_by(|one, two| one.text.cmp(&two.text));
        self.requirement_subjects = vec![0; knowledge.requirements.len()];
        for (number, subject) in numbered(&subjects) {
            match subject.of {
                Of::Requirement(requirement) => {
                    if let Some(slot) = at_mut(&mut self.requirement_subjects, requirement) {
                        *slot = number;
                    }
                }
                Of::Entry { advisory, vulnerability, entry, product } => {
                    let place = at_mut(&mut self.products, product).and_then(|it| {
                        let position = it.places.binary_search_by_key(&advisory, |it| it.advisory).ok()?;
                        it.places.get_mut(position)
                    });
                    if let Some(place) = place {
                        place.subjects.push((vulnerability, entry, number));
                    }
                }
            }
        }
        for place in self.products.iter_mut().flat_map(|it| &mut it.places) {
            place.subjects.sort_unstable();
        }
        self.subjects = subjects;
    }

    fn add_requirements(&mut self, knowledge: &Knowledge) {
        for (number, held) in numbered(&knowledge.requirements) {
            match &held.requirement.wanted {
                Wanted::Build { .. } | Wanted::Kernel => self.platform.push(number),
                Wanted::Software { name, by, .. } => match (name.literal(), by) {
                    (Some(name), NameKind::Name) => {
                        self.literal_names.entry(name.to_owned()).or_default().push(number);
                    }
                    (Some(name), NameKind::SourcePackage) => {
                        self.literal_sources.entry(name.to_owned()).or_default().push(number);
                    }
                    (None, _) => self.patterns.push(number),
                },
            }
        }
    }

    fn add_rules(&mut self, knowledge: &Knowledge, now_ms: i64) {
        let named = numbered(&self.products).filter(|it| it.1.identity == Identity::Named);
        let by_name: HashMap<ProductName, u32> =
            named.map(|(number, it)| (it.name.clone(), number)).collect();
        for (position, rule) in knowledge.rules.iter().enumerate() {
            let (name, installed) = map::sides(rule);
            let valid = map::is_valid(rule, now_ms);
            self.ends(rule.expires_ms.filter(|_| valid));
            let Some(&product) = by_name.get(&name) else { continue };
            let Some(known) = at_mut(&mut self.products, product) else { continue };
            let binding = match (rule.decision.as_str(), valid) {
                (map::CONFIRMED, true) => {
                    known.confirmed += 1;
                    let scheme = rule.scheme.as_deref().and_then(|it| it.parse::<Scheme>().ok());
                    let details = rule.details.as_deref().and_then(|it| map_file::read(it).ok());
                    let details = details.and_then(|it| it.rules.into_iter().next()).map(Arc::new);
                    self.facts.extend(details.iter().flat_map(|it| it.facts()).cloned());
                    let reading = details.as_ref().and_then(|it| it.reading).or(scheme.map(Reading::from));
                    Binding::Confirmed { reading, details }
                }
                (map::CONFIRMED, false) => {
                    known.expired += 1;
                    Binding::Expired
                }
                (map::REJECTED, true) => {
                    known.rejected += 1;
                    Binding::Rejected
                }
                // A rejection that has expired leaves a candidate; a decision of another kind decides nothing.
                _ => continue,
            };
            self.rules.entry(installed.name).or_default().push(NamedRule {
                rule: position,
                product,
                binding,
            });
        }
        self.add_map_files(knowledge, now_ms);
    }

    /// Rules of files stand beside the decisions of persons.
    fn add_map_files(&mut self, knowledge: &Knowledge, now_ms: i64) {
        self.map_rules = MapRules::build(knowledge, &self.products, now_ms);
        let mut ends = Vec::new();
        for bound in self.map_rules.rules.iter().filter(|it| it.origin != Origin::Starter) {
            ends.extend(bound.rule.signed.expires_ms.filter(|_| bound.valid));
            self.facts.extend(bound.rule.facts().cloned());
            for &product in &bound.products {
                let Some(product) = at_mut(&mut self.products, product) else { continue };
                match (&bound.rule.decision, bound.valid) {
                    (Decision::Same, true) => product.confirmed += 1,
                    (Decision::Not { .. }, true) => product.rejected += 1,
                    (Decision::Same | Decision::Not { .. }, false) => product.expired += 1,
                }
            }
        }
        for declared in knowledge.maps.iter().flat_map(|it| &it.content.declared) {
            if declared.signed.is_valid(now_ms) {
                ends.extend(declared.signed.expires_ms);
                let of_asset = self.declared.entry(declared.asset.clone()).or_default();
                of_asset.push((declared.fact.clone(), declared.value.clone()));
            }
        }
        self.ends(ends.into_iter().min());
    }

    /// Something that is counted here ends then.
    fn ends(&mut self, at_ms: Option<i64>) {
        if let Some(at_ms) = at_ms {
            self.good_until_ms = Some(self.good_until_ms.map_or(at_ms, |it| it.min(at_ms)));
        }
    }

    /// Requirements that look at software of that name.
    pub(super) fn requirements_for(
        &self,
        name: &str,
        source_package: Option<&str>,
        source: &str,
    ) -> Vec<u32> {
        let lower = name.to_lowercase();
        let package = source_package.map_or_else(|| lower.clone(), str::to_lowercase);
        let mut found: Vec<u32> = Vec::new();
        found.extend(self.literal_names.get(&lower).into_iter().flatten());
        found.extend(self.literal_sources.get(&package).into_iter().flatten());
        found.extend(self.patterns.iter().filter(|&&number| {
            self.requirement(number).is_some_and(|it| match &it.wanted {
                Wanted::Software { name, by: NameKind::Name, .. } => name.matches_lower(&lower),
                Wanted::Software { name, by: NameKind::SourcePackage, .. } => name.matches_lower(&package),
                Wanted::Build { .. } | Wanted::Kernel => false,
            })
        }));
        found.retain(|&number| {
            self.requirement(number).is_some_and(|it| match &it.wanted {
                Wanted::Software { source: Some(wanted), .. } => wanted == source,
                Wanted::Software { source: None, .. } | Wanted::Build { .. } | Wanted::Kernel => true,
            })
        });
        found
    }

    /// Rules at an installed name, for any publisher and source.
    pub(super) fn rules_for(&self, name: &str) -> &[NamedRule] {
        self.rules.get(name).map_or(&[], Vec::as_slice)
    }

    /// Products that have an entry with an order number that a row's keys show.
    pub(super) fn numbered_like<'a>(&'a self, keys: &'a [String]) -> impl Iterator<Item = &'a u32> {
        keys.iter().flat_map(|it| self.map_rules.numbered(it))
    }

    /// Products that are called like this but for case, punctuation and the vendor before it.
    pub(super) fn candidates_for(&self, name: &str) -> &[u32] {
        if self.folded.is_empty() {
            return &[];
        }
        self.folded.get(&folded(name)).map_or(&[], Vec::as_slice)
    }

    /// Packages of distributions with which records may mean a row on such a host, each with how it fits.
    pub(super) fn packages_for<'a>(
        &'a self,
        source_name: &str,
        source: &'a str,
        distribution: &'a Distribution,
    ) -> impl Iterator<Item = (u32, Fit)> + 'a {
        let numbers = self.packages.get(source_name).map_or(&[][..], Vec::as_slice);
        numbers.iter().filter_map(move |&number| match &self.product(number)?.identity {
            Identity::Package(ecosystem) if package::is_kept_by(source, ecosystem.scheme) => {
                let fit = distribution.fit(ecosystem);
                (fit != Fit::No).then_some((number, fit))
            }
            Identity::Package(_) | Identity::Named | Identity::Windows => None,
        })
    }

    /// Whether a row of such names on such a host may be bound to one of these products, or be alike.
    pub(super) fn may_mean(&self, names: &Names, beside: &Beside, products: &HashSet<u32>) -> bool {
        let any = |found: &[u32]| found.iter().any(|it| products.contains(it));
        !products.is_empty()
            && (self.rules_for(&names.name).iter().any(|it| products.contains(&it.product))
                || any(self.candidates_for(&names.name))
                || self
                    .packages_for(names.package(), &names.source, &beside.distribution)
                    .any(|it| products.contains(&it.0))
                || self.map_rules.may_mean(|| names.keys(), products))
    }

    pub(super) fn requirement(&self, number: u32) -> Option<&Requirement> {
        at(&self.knowledge.requirements, number).map(|it| it.requirement.as_ref())
    }

    pub(super) fn advisory(&self, number: u32) -> Option<&HeldAdvisory> {
        at(&self.knowledge.advisories, number)
    }

    pub(super) fn vulnerability(&self, advisory: u32, vulnerability: u32) -> Option<&Vulnerability> {
        self.advisory(advisory).and_then(|it| at(&it.advisory.vulnerabilities, vulnerability))
    }

    pub(super) fn subject(&self, number: SubjectId) -> Option<&Subject> {
        at(&self.subjects, number)
    }

    pub(super) fn product(&self, number: u32) -> Option<&Product> {
        at(&self.products, number)
    }

    /// Whether a product is a Windows.
    pub(super) fn is_windows(&self, product: u32) -> bool {
        self.product(product).is_some_and(|it| it.identity == Identity::Windows)
    }

    /// How the product of a subject is recognised; `None` for a requirement.
    pub(super) fn identity(&self, number: SubjectId) -> Option<&Identity> {
        match self.subject(number)?.of {
            Of::Requirement(_) => None,
            Of::Entry { product, .. } => self.product(product).map(|it| &it.identity),
        }
    }

    /// Subjects whose text starts with `beginning`, as a range of numbers.
    pub(super) fn subjects_from(&self, beginning: &str) -> std::ops::Range<SubjectId> {
        let from = self.subjects.partition_point(|it| &*it.text < beginning);
        let count = self.subjects[from..].iter().take_while(|it| it.text.starts_with(beginning)).count();
        let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        number(from)..number(from + count)
    }

    /// Every product that advisories name as people do, so that only a person can tell what it is, with its order
    /// numbers.
    pub(super) fn product_numbers(&self) -> BTreeMap<ProductName, BTreeSet<String>> {
        let numbers = |product: &Product| {
            let entries = product.places.iter().filter_map(|place| {
                let entries = &self.advisory(place.advisory)?.advisory.entries;
                Some(place.entries.iter().filter_map(move |&it| at(entries, it)))
            });
            entries.flatten().flat_map(map_rules::model_numbers).collect()
        };
        let named = self.products.iter().filter(|it| it.identity == Identity::Named);
        named.map(|it| (it.name.clone(), numbers(it))).collect()
    }

    /// Products about which a valid rule of a file decides for something of that name.
    pub(super) fn decided_by_files(&self, installed: &InstalledName) -> Vec<ProductName> {
        let InstalledName { name, publisher, source } = installed.clone();
        let row = SoftwareRow { name, publisher, source, ..SoftwareRow::default() };
        let matching = self.map_rules.matching(&row);
        let decides = |it: &&map_rules::BoundRule| it.valid && it.origin != Origin::Starter;
        let products = matching.iter().map(|it| it.0).filter(decides).flat_map(|it| &it.products);
        products.filter_map(|&it| self.product(it)).map(|it| it.name.clone()).collect()
    }
}

/// One document among those of an index: the same while it is held, and while nothing takes its place.
type DocumentKey = (*const Advisory, bool);
/// Vulnerability, entry and text of subjects.
type Texts = Vec<(u32, u32, Arc<str>)>;

fn document(held: &HeldAdvisory) -> DocumentKey {
    (Arc::as_ptr(&held.advisory), held.superseded)
}

/// Items with their positions; what lies beyond 2^32 does not exist within the limits of imports.
pub(super) fn numbered<T>(items: &[T]) -> impl Iterator<Item = (u32, &T)> {
    (0..=u32::MAX).zip(items)
}

pub(super) fn at<T>(items: &[T], position: u32) -> Option<&T> {
    items.get(usize::try_from(position).ok()?)
}

fn at_mut<T>(items: &mut [T], position: u32) -> Option<&mut T> {
    items.get_mut(usize::try_from(position).ok()?)
}
