//! Rules of files and starter rules, arranged so that a row finds its few without looking at the others.
//!
//! A rule stands under one exact key of its inventory side: an order number, a code, a package, a file, or the first
//! whole words of its name. A row has a handful of such keys.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use holdpoint_common::proto::v1::SoftwareRow;

use crate::knowledge::map_file::{
    AdvisorySide, InstalledSide, MapRule, Publisher, VersionFrom, order_number, order_numbers_in, spelled,
};
use crate::knowledge::name_pattern::{Fit, NamePattern, normal};
use crate::knowledge::{Entry, Knowledge, starter};

use super::product::Product;

/// Rows of this source are firmware, see [`super::firmware`].
pub(super) const FIRMWARE: &str = "firmware";
/// Sources in which a name without a source package is a package's own.
const PACKAGES: [&str; 6] = ["dpkg", "rpm", "apk", "pacman", "snap", "flatpak"];

/// Who wrote a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The site, in this file.
    File { file: String },
    /// Holdpoint: a candidate, never a verdict.
    Starter,
}

/// A rule with the products that it is about.
#[derive(Debug)]
pub(super) struct BoundRule {
    pub(super) rule: Arc<MapRule>,
    pub(super) origin: Origin,
    pub(super) valid: bool,
    /// Ascending.
    pub(super) products: Vec<u32>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct MapRules {
    pub(super) rules: Vec<BoundRule>,
    by_key: HashMap<String, Vec<u32>>,
    /// Products by the order numbers of their entries.
    by_number: HashMap<String, Vec<u32>>,
}

impl MapRules {
    pub(super) fn build(knowledge: &Knowledge, products: &[Product], now_ms: i64) -> Self {
        let mut built = Self::default();
        let named = ByName::of(products);
        for (number, product) in (0_u32..).zip(products) {
            let entries = product.places.iter().filter_map(|place| {
                let held = super::index::at(&knowledge.advisories, place.advisory)?;
                Some(place.entries.iter().filter_map(|&it| super::index::at(&held.advisory.entries, it)))
            });
            let numbers: BTreeSet<String> = entries.flatten().flat_map(model_numbers).collect();
            for order in numbers {
                built.by_number.entry(order).or_default().push(number);
            }
        }
        for held in &knowledge.maps {
            for rule in &held.content.rules {
                let file = held.source.file.clone();
                let products = named.about(&rule.advisory, &built.by_number);
                let valid = rule.signed.is_valid(now_ms);
                built.add(BoundRule {
                    rule: Arc::new(rule.clone()),
                    origin: Origin::File { file },
                    valid,
                    products,
                });
            }
        }
        for rule in starter::rules() {
            let products = named.like(&rule.advisory);
            if !products.is_empty() {
                built.add(BoundRule {
                    rule: Arc::new(rule.clone()),
                    origin: Origin::Starter,
                    valid: true,
                    products,
                });
            }
        }
        built
    }

    fn add(&mut self, rule: BoundRule) {
        let number = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        self.by_key.entry(key_of(&rule.rule.installed)).or_default().push(number);
        self.rules.push(rule);
    }

    /// Whether any of a row's keys leads to a rule or to a product by its order number.
    pub(super) fn look_at(&self, keys: impl FnOnce() -> Vec<String>) -> bool {
        if self.by_key.is_empty() && self.by_number.is_empty() {
            return false;
        }
        keys().iter().any(|it| self.by_key.contains_key(it) || !self.numbered(it).is_empty())
    }

    /// Whether a rule under one of these keys, or an order number, leads to one of these products.
    pub(super) fn may_mean(&self, keys: impl FnOnce() -> Vec<String>, products: &HashSet<u32>) -> bool {
        if self.by_key.is_empty() && self.by_number.is_empty() {
            return false;
        }
        let leads = |number: &u32| {
            super::index::at(&self.rules, *number)
                .is_some_and(|it| it.products.iter().any(|it| products.contains(it)))
        };
        keys().iter().any(|key| {
            self.by_key.get(key).is_some_and(|it| it.iter().any(leads))
                || self.numbered(key).iter().any(|it| products.contains(it))
        })
    }

    /// Rules that match a row, with what the name shows as the version.
    pub(super) fn matching(&self, row: &SoftwareRow) -> Vec<(&BoundRule, Option<String>)> {
        if self.by_key.is_empty() {
            return Vec::new();
        }
        let numbers: BTreeSet<u32> =
            keys_of(row).iter().filter_map(|it| self.by_key.get(it)).flatten().copied().collect();
        let name = normal(&row.name);
        numbers
            .into_iter()
            .filter_map(|it| super::index::at(&self.rules, it))
            .filter_map(|it| matches(&it.rule.installed, row, &name).map(|fit| (it, fit.version)))
            .collect()
    }

    /// Rules that match a row, by number, with the version that each reads of the row alone.
    pub(super) fn versions_of(&self, row: &SoftwareRow) -> Vec<(u32, Option<String>)> {
        let name = normal(&row.name);
        let numbers: BTreeSet<u32> =
            keys_of(row).iter().filter_map(|it| self.by_key.get(it)).flatten().copied().collect();
        let version = |number: u32| {
            let rule = &super::index::at(&self.rules, number)?.rule;
            let in_name = matches(&rule.installed, row, &name)?.version;
            let version = match &rule.version_from {
                VersionFrom::Row => row.version.clone(),
                VersionFrom::Name => in_name,
                VersionFrom::Text(text) => Some(text.clone()),
                VersionFrom::Fact(_) => None,
            };
            Some((number, version))
        };
        numbers.into_iter().filter_map(version).collect()
    }

    /// Products that have an entry with the order number of a key.
    pub(super) fn numbered(&self, key: &str) -> &[u32] {
        key.strip_prefix("order ").and_then(|it| self.by_number.get(it)).map_or(&[], Vec::as_slice)
    }
}

/// Products under their spelling.
struct ByName<'a> {
    exact: HashMap<(&'a str, &'a str), Vec<u32>>,
    /// Of a vendor, by the first word of the product: number and spelling.
    by_word: HashMap<(&'a str, &'a str), Vec<(u32, &'a str)>>,
    products: &'a [Product],
}

impl<'a> ByName<'a> {
    fn of(products: &'a [Product]) -> Self {
        let mut named = Self { exact: HashMap::new(), by_word: HashMap::new(), products };
        for (number, product) in (0_u32..).zip(products) {
            let (vendor, name) = (product.spelled.vendor.as_str(), product.spelled.product.as_str());
            let word = name.split(' ').next().unwrap_or("");
            named.by_word.entry((vendor, word)).or_default().push((number, name));
            named.exact.entry((vendor, name)).or_default().push(number);
        }
        named
    }

    /// Products that a site's rule is about.
    fn about(&self, side: &AdvisorySide, by_number: &HashMap<String, Vec<u32>>) -> Vec<u32> {
        let vendors: BTreeSet<String> = side.vendors.iter().map(|it| spelled(it)).collect();
        let mut found = BTreeSet::new();
        for vendor in &vendors {
            for product in &side.products {
                let spelled = spelled(product);
                found.extend(self.exact.get(&(vendor.as_str(), spelled.as_str())).into_iter().flatten());
            }
        }
        let of_vendor = |it: &&u32| {
            let product = super::index::at(self.products, **it);
            vendors.is_empty() || product.is_some_and(|it| vendors.contains(&it.spelled.vendor))
        };
        for number in &side.order_numbers {
            found.extend(by_number.get(number).into_iter().flatten().filter(of_vendor));
        }
        found.into_iter().collect()
    }

    /// Products that a starter rule may be about.
    fn like(&self, side: &AdvisorySide) -> Vec<u32> {
        let mut found = BTreeSet::new();
        for pattern in side.products.iter().filter_map(|it| NamePattern::new(it).ok()) {
            let word = pattern.literal().and_then(|it| it.split(' ').next()).map(str::to_owned);
            let word = word.or_else(|| pattern.first_words().first().map(|it| (*it).to_owned()));
            for vendor in &side.vendors {
                let vendor = spelled(vendor);
                let near = self.by_word.get(&(vendor.as_str(), word.as_deref().unwrap_or_default()));
                let near = near.into_iter().flatten();
                found.extend(near.filter(|(_, name)| pattern.matches(name).is_some()).map(|it| it.0));
            }
        }
        found.into_iter().collect()
    }
}

/// The order numbers of an entry, folded; one with a sign for "any" is none.
pub(super) fn model_numbers(entry: &Entry) -> Vec<String> {
    entry.model_numbers.iter().map(|it| order_number(it)).filter(|it| !it.contains(['*', '?'])).collect()
}

/// The key under which a rule stands: what its inventory side gives most exactly.
fn key_of(side: &InstalledSide) -> String {
    let InstalledSide { name, package, file, product_code, order_number, .. } = side;
    if let Some(number) = order_number {
        return format!("order {number}");
    }
    if let Some(code) = product_code {
        return format!("code {code}");
    }
    if let Some(package) = package {
        return format!("package {package}");
    }
    if let Some(file) = file {
        return format!("file {file}");
    }
    let Some(name) = name else { return String::new() };
    match name.literal() {
        Some(literal) => format!("name {literal}"),
        None => format!("words {}", name.first_words().join(" ")),
    }
}

/// The keys of a row.
pub(super) fn keys_of(row: &SoftwareRow) -> Vec<String> {
    let name = normal(&row.name);
    let mut keys: Vec<String> = numbers_of(row).into_iter().map(|it| format!("order {it}")).collect();
    keys.extend(row.product_code.as_ref().map(|it| format!("code {}", it.to_uppercase())));
    keys.extend(package_of(row).map(|it| format!("package {it}")));
    keys.extend(file_of(row).map(|it| format!("file {it}")));
    let mut words = name.split(' ');
    if let Some(first) = words.next() {
        keys.push(format!("words {first}"));
        keys.extend(words.next().map(|second| format!("words {first} {second}")));
    }
    keys.push(format!("name {name}"));
    keys
}

fn numbers_of(row: &SoftwareRow) -> Vec<String> {
    let mut numbers = order_numbers_in(&row.name);
    // A model is written whole where the firmware's row comes from.
    let model = row.product_code.as_ref().filter(|_| row.source == FIRMWARE);
    numbers.extend(model.map(|it| order_number(it)));
    numbers
}

fn package_of(row: &SoftwareRow) -> Option<String> {
    let own = PACKAGES.contains(&row.source.as_str()).then_some(&row.name);
    row.source_package.as_ref().or(own).map(|it| it.to_lowercase())
}

fn file_of(row: &SoftwareRow) -> Option<String> {
    let path = row.path.as_ref()?;
    path.rsplit(['/', '\\']).next().filter(|it| !it.is_empty()).map(str::to_lowercase)
}

/// Holds an inventory side against a row; what the name shows as the version.
fn matches(side: &InstalledSide, row: &SoftwareRow, name: &str) -> Option<Fit> {
    let InstalledSide { source, publisher, name: pattern, package, file, product_code, order_number } = side;
    let publisher_fits = match (publisher, &row.publisher) {
        (None, _) => true,
        (Some(Publisher::Absent), own) => own.is_none(),
        (Some(Publisher::Like(pattern)), own) => own.as_ref().is_some_and(|it| pattern.matches(it.trim())),
    };
    let fits = source.as_ref().is_none_or(|it| *it == row.source)
        && publisher_fits
        && package.as_ref().is_none_or(|it| package_of(row).as_ref() == Some(it))
        && file.as_ref().is_none_or(|it| file_of(row).as_ref() == Some(it))
        && product_code
            .as_ref()
            .is_none_or(|it| row.product_code.as_ref().is_some_and(|own| own.to_uppercase() == *it))
        && order_number.as_ref().is_none_or(|it| numbers_of(row).contains(it));
    if !fits {
        return None;
    }
    pattern.as_ref().map_or(Some(Fit::default()), |it| it.matches(name))
}

/// What a rule's pattern shows as the version in a row's name.
pub(super) fn version_in_name(rule: &MapRule, row: &SoftwareRow) -> Option<String> {
    rule.installed.name.as_ref().and_then(|it| it.matches(&normal(&row.name))).and_then(|it| it.version)
}
