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
    Advisory, Entry, HeldAdvisory, HeldRequirement, Identity, Knowledge, NameKind, Requirement,
    Vulnerability, Wanted,
};

use super::map_rules::{self, MapRules, Origin};
use super::microsoft::Calendar;
use super::package::{self, Distribution, Fit};
use super::product::{Place, Product};
use super::row::{Beside, Names};
use super::subject::{Of, Subject, SubjectId, Subjects};

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
    pub(super) subjects: Subjects,
    pub(super) products: Vec<Product>,
    /// By advisory, the product of each of its entries.
    product_of: Vec<Box<[u32]>>,
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
    folded: HashMap<Arc<str>, Vec<u32>>,
}

impl Index {
    /// An index of what is known. What the one before has worked out of the same advisories is used again.
    pub(super) fn build(knowledge: &Arc<Knowledge>, now_ms: i64, before: &Self) -> Self {
        let mut index = Self { knowledge: Arc::clone(knowledge), built_ms: now_ms, ..Self::default() };
        index.add_subjects(knowledge, before);
        index.add_requirements(knowledge);
        index.add_rules(knowledge, now_ms);
        for (number, product) in numbered(&index.products) {
            match &product.identity {
                Identity::Named => {
                    for name in &product.spelled.folded {
                        index.folded.entry(Arc::clone(name)).or_default().push(number);
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

    /// What was worked out of every advisory, by the advisory.
    fn documents(&self) -> HashMap<DocumentKey, Document<'_>> {
        let mut subjects = vec![Vec::new(); self.knowledge.advisories.len()];
        for (number, subject) in self.subjects.iter() {
            if let Of::Entry { advisory, vulnerability, entry, .. } = subject.of
                && let Some(subjects) = at_mut(&mut subjects, advisory)
            {
                subjects.push(KnownSubject { vulnerability, entry, number, text: &subject.text });
            }
        }
        let documents = self.product_of.iter().zip(subjects);
        let documents = documents.map(|(product_of, subjects)| Document { product_of, subjects });
        self.knowledge.advisories.iter().map(key_of).zip(documents).collect()
    }

    fn add_subjects(&mut self, knowledge: &Knowledge, before: &Self) {
        let documents = before.documents();
        let mut products = Products::new(before);
        self.product_of = vec![Box::default(); knowledge.advisories.len()];
        // With the number that it had, and the position of its place among those of its product.
        let mut subjects: Vec<(Subject, Option<SubjectId>, usize)> = numbered(&knowledge.requirements)
            .map(|(number, it)| {
                let text = it.requirement.id.as_str().into();
                (Subject { text, of: Of::Requirement(number) }, before.number_of(number, it), 0)
            })
            .collect();
        // In the order of their texts as far as advisories go: sorting what is nearly sorted is quick.
        let mut labelled: Vec<(String, u32, &HeldAdvisory)> = numbered(&knowledge.advisories)
            .map(|(advisory, held)| (held.label() + "/", advisory, held))
            .collect();
        labelled.sort_unstable_by(|one, two| (&one.0, one.1).cmp(&(&two.0, two.1)));
        for (label, advisory, held) in labelled {
            let known = documents.get(&key_of(held));
            let entries: Vec<(u32, usize)> = numbered(&held.advisory.entries)
                .map(|(position, entry)| {
                    let old = known.and_then(|it| at(it.product_of, position)).copied();
                    let product = products.number(entry, old);
                    (product, products.place(product, advisory, position))
                })
                .collect();
            let subject = |vulnerability, entry, text, old| {
                let &(product, place) = at(&entries, entry)?;
                let of = Of::Entry { advisory, vulnerability, entry, product };
                Some((Subject { text, of }, old, place))
            };
            match known {
                Some(known) => {
                    subjects.extend(known.subjects.iter().filter_map(|it| {
                        subject(it.vulnerability, it.entry, Arc::clone(it.text), Some(it.number))
                    }));
                }
                None => {
                    let from = subjects.len();
                    for (vulnerability, said) in numbered(&held.advisory.vulnerabilities) {
                        let mut spoken_of: Vec<u32> = said.statements.iter().map(|it| it.0).collect();
                        spoken_of.dedup();
                        subjects.extend(spoken_of.into_iter().filter_map(|entry| {
                            let named = at(&held.advisory.entries, entry)?;
                            let text = format!("{label}{}/{}", said.id, named.id.replace('/', "-"));
                            subject(vulnerability, entry, text.into(), None)
                        }));
                    }
                    subjects[from..].sort_by(|one, two| one.0.text.cmp(&two.0.text));
                }
            }
            if let Some(product_of) = at_mut(&mut self.product_of, advisory) {
                *product_of = entries.into_iter().map(|it| it.0).collect();
            }
        }
        self.products = products.all;
        subjects.sort_by(|one, two| one.0.text.cmp(&two.0.text));
        let places: Vec<usize> = subjects.iter().map(|it| it.2).collect();
        self.subjects = Subjects::numbered(subjects.into_iter().map(|it| (it.0, it.1)).collect());
        self.requirement_subjects = vec![0; knowledge.requirements.len()];
        for ((number, subject), place) in self.subjects.iter().zip(places) {
            match subject.of {
                Of::Requirement(requirement) => {
                    if let Some(slot) = at_mut(&mut self.requirement_subjects, requirement) {
                        *slot = number;
                    }
                }
                Of::Entry { vulnerability, entry, product, .. } => {
                    let product = at_mut(&mut self.products, product);
                    if let Some(place) = product.and_then(|it| it.places.get_mut(place)) {
                        place.subjects.push((vulnerability, entry, number));
                    }
                }
            }
        }
        for product in &mut self.products {
            product.places.sort_unstable_by_key(|it| it.advisory);
            for place in &mut product.places {
                place.subjects.sort_unstable();
            }
        }
    }

    /// The number of a requirement's subject, if it is the same requirement here.
    fn number_of(&self, position: u32, held: &HeldRequirement) -> Option<SubjectId> {
        let own = at(&self.knowledge.requirements, position)?;
        let is_same = Arc::ptr_eq(&own.requirement, &held.requirement);
        at(&self.requirement_subjects, position).copied().filter(|_| is_same)
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
        let by_name: HashMap<(&str, &str), u32> =
            named.map(|(number, it)| ((it.name.vendor.as_str(), it.name.product.as_str()), number)).collect();
        let products: Vec<Option<u32>> = knowledge
            .rules
            .iter()
            .map(|it| by_name.get(&(it.vendor.as_str(), it.product.as_str())).copied())
            .collect();
        for ((position, rule), product) in knowledge.rules.iter().enumerate().zip(products) {
            let valid = map::is_valid(rule, now_ms);
            self.ends(rule.expires_ms.filter(|_| valid));
            let Some(product) = product else { continue };
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
            let rules = self.rules.entry(rule.installed_name.clone()).or_default();
            rules.push(NamedRule { rule: position, product, binding });
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
        self.folded.get(folded(name).as_str()).map_or(&[], Vec::as_slice)
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
        self.subjects.get(number)
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

fn key_of(held: &HeldAdvisory) -> DocumentKey {
    (Arc::as_ptr(&held.advisory), held.superseded)
}

/// What an index has worked out of a document.
#[derive(Debug)]
struct Document<'a> {
    /// Product of each entry.
    product_of: &'a [u32],
    /// Ascending by text.
    subjects: Vec<KnownSubject<'a>>,
}

/// A subject of a document, with the number that it has.
#[derive(Debug, Clone, Copy)]
struct KnownSubject<'a> {
    vulnerability: u32,
    entry: u32,
    number: SubjectId,
    text: &'a Arc<str>,
}

/// The products of an index while they are numbered.
#[derive(Debug)]
struct Products<'a> {
    all: Vec<Product>,
    numbers: HashMap<(&'a str, &'a str, &'a Identity), u32>,
    before: &'a [Product],
    /// The new number of each product of the index before, once it is known.
    renumbered: Vec<Option<u32>>,
}

impl<'a> Products<'a> {
    fn new(before: &'a Index) -> Self {
        let (before, renumbered) = (&before.products, vec![None; before.products.len()]);
        Self { all: Vec::new(), numbers: HashMap::new(), before, renumbered }
    }

    /// The number of an entry's product, which had the number `old` in the index before if it was there.
    fn number(&mut self, entry: &'a Entry, old: Option<u32>) -> u32 {
        if let Some(number) = old.and_then(|it| at(&self.renumbered, it).copied().flatten()) {
            return number;
        }
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let key = (entry.vendor.as_str(), entry.product.as_str(), &entry.identity);
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            let spelled = old.and_then(|it| at(self.before, it)).map(|it| Arc::clone(&it.spelled));
            self.all.push(Product::named(entry, spelled));
        }
        if let Some(slot) = old.and_then(|it| at_mut(&mut self.renumbered, it)) {
            *slot = Some(number);
        }
        number
    }

    /// Adds an entry to what an advisory says of a product, and tells where that stands. Advisories come one after the
    /// other.
    fn place(&mut self, product: u32, advisory: u32, entry: u32) -> usize {
        let Some(product) = at_mut(&mut self.all, product) else { return 0 };
        if product.places.last().is_none_or(|it| it.advisory != advisory) {
            product.places.push(Place { advisory, entries: Vec::new(), subjects: Vec::new() });
        }
        let last = product.places.len() - 1;
        product.places[last].entries.push(entry);
        last
    }
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
