//! The product map: which installed thing is which product of an advisory.
//!
//! Only a person decides. A *candidate* is an advisory's product (vendor and name as written)
//! beside an installed thing (name, publisher, source); it is ranked with its reasons and is worth
//! nothing until somebody confirms it. A decision may expire; it then no longer counts, and what
//! it bound becomes unknown again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

use holdpoint_common::proto::store::MapRuleRecord;
use holdpoint_common::section::Digest;

use super::map_file::{MapRule, Publisher, order_numbers_in, spelled};
use super::name_pattern::NamePattern;
use super::starter::{self, company};
use super::text::{folded, folded_vendor, line, tokens};

/// The decision word of a rule that binds.
pub const CONFIRMED: &str = "confirmed";
/// The decision word of a rule that separates.
pub const REJECTED: &str = "rejected";
/// Candidates below this score are not worth a person's time.
pub const MIN_SCORE: u32 = 25;
/// Most candidates that are kept for one advisory's product: the best ones.
pub const MAX_PER_PRODUCT: usize = 20;
/// Most candidates that one call ranks.
pub const MAX_CANDIDATES: usize = 20_000;

/// Words that half of all products have in their names.
const COMMON: [&str; 24] = [
    "all",
    "and",
    "application",
    "client",
    "control",
    "controller",
    "device",
    "driver",
    "edition",
    "firmware",
    "for",
    "module",
    "of",
    "package",
    "product",
    "runtime",
    "series",
    "server",
    "software",
    "suite",
    "system",
    "the",
    "tool",
    "version",
];

/// A product as an advisory writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductName {
    /// The vendor; empty when the advisory names none.
    pub vendor: String,
    /// The product.
    pub product: String,
}

/// Something installed, as its source writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstalledName {
    /// The installed name.
    pub name: String,
    /// The publisher; `None` when the source does not say.
    pub publisher: Option<String>,
    /// `dpkg`, `registry64`, ...
    pub source: String,
}

/// A pair that a person may confirm or reject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The advisory's side.
    pub product: ProductName,
    /// The inventory's side.
    pub installed: InstalledName,
    /// 0 to 100; ranks, never decides.
    pub score: u32,
    /// Why it is ranked so.
    pub reasons: Vec<String>,
    /// Assets on which it is installed.
    pub assets: u32,
    /// The starter rule that speaks for it.
    pub starter: Option<&'static MapRule>,
}

impl Candidate {
    /// The stable identifier of the pair.
    pub fn id(&self) -> String {
        pair_id(&self.product, &self.installed)
    }
}

/// The stable identifier of a pair.
pub fn pair_id(product: &ProductName, installed: &InstalledName) -> String {
    let ProductName { vendor, product } = product;
    let InstalledName { name, publisher, source } = installed;
    let publisher = publisher.as_deref().unwrap_or("");
    let mut text = String::new();
    for part in [vendor, product, name, publisher, source] {
        // The length keeps neighbours apart whatever they contain.
        let _ = write!(text, "{}:{part}", part.len());
    }
    Digest::of(text.as_bytes()).to_string().chars().take(12).collect()
}

/// The two sides of a rule.
pub fn sides(rule: &MapRuleRecord) -> (ProductName, InstalledName) {
    let MapRuleRecord { vendor, product, installed_name, installed_publisher, source, .. } = rule;
    (
        ProductName { vendor: vendor.clone(), product: product.clone() },
        InstalledName {
            name: installed_name.clone(),
            publisher: installed_publisher.clone(),
            source: source.clone(),
        },
    )
}

/// Whether a rule counts now.
pub fn is_valid(rule: &MapRuleRecord, now_ms: i64) -> bool {
    rule.expires_ms.is_none_or(|it| now_ms < it)
}

/// Whether an installed name is, letter by letter, what an advisory calls the product, with or without
/// the vendor before it. Folds case and punctuation and nothing else.
pub fn same_folded_name(product: &ProductName, installed: &str) -> bool {
    let installed = folded(installed);
    !installed.is_empty() && folded_names(product).contains(&installed)
}

/// The folded names under which a product would be installed if it were called as in the advisory.
pub fn folded_names(product: &ProductName) -> Vec<String> {
    let (name, vendor) = (folded(&product.product), folded_vendor(&product.vendor));
    if name.is_empty() {
        return Vec::new();
    }
    let mut names = vec![name.clone()];
    if !vendor.is_empty() {
        match name.strip_prefix(&format!("{vendor} ")) {
            Some(bare) if !bare.is_empty() => names.push(bare.to_owned()),
            _ => names.push(format!("{vendor} {name}")),
        }
    }
    names
}

/// What a person could decide about.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Products of advisories, with their order numbers, folded.
    pub products: BTreeMap<ProductName, BTreeSet<String>>,
    /// Installed things with the number of assets that have them.
    pub installed: BTreeMap<InstalledName, u32>,
    /// Pairs that are decided, by id.
    pub decided: BTreeSet<String>,
}

/// Ranks pairs, best first. Decided pairs are left out.
pub fn suggest(question: &Question) -> Vec<Candidate> {
    let Question { products, installed, decided } = question;
    let sides: Vec<Side<'_>> = installed.iter().map(|(name, &assets)| Side::new(name, assets)).collect();
    let mut by_number: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut by_starter: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, side) in sides.iter().enumerate() {
        side.numbers.iter().for_each(|it| by_number.entry(it).or_default().push(index));
        side.starters.iter().for_each(|it| by_starter.entry(&it.id).or_default().push(index));
    }
    let mut by_token: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, side) in sides.iter().enumerate() {
        for token in side.tokens.iter().filter(|it| is_telling(it)) {
            by_token.entry(token.as_str()).or_default().push(index);
        }
    }
    let mut found = Vec::new();
    for (product, numbers) in products {
        let words = words_of(&product.product, &product.vendor);
        let wanted = Wanted { product, words, numbers, starters: starters_of(product) };
        let near: BTreeSet<usize> = (wanted.words.iter().filter_map(|it| by_token.get(it.as_str())))
            .chain(numbers.iter().filter_map(|it| by_number.get(it.as_str())))
            .chain(wanted.starters.iter().filter_map(|it| by_starter.get(it.id.as_str())))
            .flatten()
            .copied()
            .collect();
        let mut best: Vec<Candidate> = near
            .into_iter()
            .filter_map(|index| sides.get(index))
            .map(|side| rank(&wanted, side))
            .filter(|it| it.score >= MIN_SCORE && !decided.contains(&it.id()))
            .collect();
        best.sort_by(|one, two| order(one).cmp(&order(two)));
        best.truncate(MAX_PER_PRODUCT);
        found.append(&mut best);
        if found.len() >= MAX_CANDIDATES {
            break;
        }
    }
    found.sort_by(|one, two| order(one).cmp(&order(two)));
    found
}

fn order(it: &Candidate) -> (Reverse<u32>, Reverse<u32>, &ProductName, &InstalledName) {
    (Reverse(it.score), Reverse(it.assets), &it.product, &it.installed)
}

struct Side<'a> {
    name: &'a InstalledName,
    assets: u32,
    vendor: String,
    tokens: BTreeSet<String>,
    numbers: Vec<String>,
    starters: Vec<&'static MapRule>,
}

/// A product with what is looked for in installed names.
struct Wanted<'a> {
    product: &'a ProductName,
    words: BTreeSet<String>,
    numbers: &'a BTreeSet<String>,
    starters: Vec<&'static MapRule>,
}

/// Starter rules that may be about a product.
fn starters_of(product: &ProductName) -> Vec<&'static MapRule> {
    let (vendor, name) = (spelled(&product.vendor), spelled(&product.product));
    let speaks = |it: &&MapRule| {
        let side = &it.advisory;
        side.vendors.iter().any(|it| spelled(it) == vendor)
            && side
                .products
                .iter()
                .filter_map(|it| NamePattern::new(it).ok())
                .any(|it| it.matches(&name).is_some())
    };
    starter::rules().iter().filter(speaks).collect()
}

/// Starter rules that may be about something installed.
fn starters_for(installed: &InstalledName) -> Vec<&'static MapRule> {
    let name = spelled(&installed.name);
    let speaks = |it: &&MapRule| {
        let side = &it.installed;
        let publisher = match (&side.publisher, &installed.publisher) {
            (None, _) => true,
            (Some(Publisher::Absent), own) => own.is_none(),
            (Some(Publisher::Like(pattern)), own) => own.as_ref().is_some_and(|it| pattern.matches(it)),
        };
        publisher
            && side.source.as_ref().is_none_or(|it| *it == installed.source)
            && side.name.as_ref().is_some_and(|it| it.matches(&name).is_some())
    };
    starter::rules().iter().filter(speaks).collect()
}

impl<'a> Side<'a> {
    fn new(name: &'a InstalledName, assets: u32) -> Self {
        let publisher = name.publisher.as_deref().unwrap_or("");
        // A distribution's maintainer is a person with an address, not a vendor.
        let vendor = if publisher.contains('@') { String::new() } else { folded_vendor(publisher) };
        let (numbers, starters) = (order_numbers_in(&name.name), starters_for(name));
        Self { name, assets, tokens: words_of(&name.name, publisher), vendor, numbers, starters }
    }
}

/// The words of a name without those of its vendor.
fn words_of(name: &str, vendor: &str) -> BTreeSet<String> {
    let vendor: BTreeSet<String> = tokens(vendor).into_iter().collect();
    let words: BTreeSet<String> = tokens(name).into_iter().collect();
    let own: BTreeSet<String> = words.difference(&vendor).cloned().collect();
    if own.is_empty() { words } else { own }
}

/// Whether a shared word says anything.
fn is_telling(token: &str) -> bool {
    token.len() > 1 && !COMMON.contains(&token) && token.chars().any(char::is_alphabetic)
}

fn rank(wanted: &Wanted<'_>, side: &Side<'_>) -> Candidate {
    let Wanted { product, words, numbers, starters } = wanted;
    let mut reasons = Vec::new();
    let vendor = folded_vendor(&product.vendor);
    let vendor_score = if vendor.is_empty() || side.vendor.is_empty() {
        reasons.push("one side names no vendor".to_owned());
        0
    } else if vendor == side.vendor {
        reasons.push("vendor equal".to_owned());
        35
    } else if company(&vendor) == company(&side.vendor) {
        reasons.push(format!("vendor equal in another spelling: `{vendor}` and `{}`", side.vendor));
        30
    } else if contains_words(&side.vendor, &vendor) || contains_words(&vendor, &side.vendor) {
        reasons.push(format!("vendor alike: `{vendor}` and `{}`", side.vendor));
        20
    } else {
        reasons.push(format!("vendor differs: `{vendor}` and `{}`", side.vendor));
        0
    };
    let list = |it: &mut dyn Iterator<Item = &String>| it.take(8).cloned().collect::<Vec<_>>().join(" ");
    let shared = words.intersection(&side.tokens).count();
    let all = words.union(&side.tokens).count().max(1);
    reasons.push(format!("words shared: {}", list(&mut words.intersection(&side.tokens))));
    if words.iter().any(|it| !side.tokens.contains(it)) {
        reasons.push(format!(
            "words missing in the installed name: {}",
            list(&mut words.difference(&side.tokens))
        ));
    }
    if side.tokens.iter().any(|it| !words.contains(it)) {
        reasons
            .push(format!("words only in the installed name: {}", list(&mut side.tokens.difference(words))));
    }
    let mut score = vendor_score + u32::try_from(50 * shared / all).unwrap_or(0);
    if same_folded_name(product, &side.name.name) {
        score += 15;
        reasons.push("the names are equal but for case and punctuation".to_owned());
    }
    if let Some(wanted) = line(&product.product) {
        reasons.push(
            match line(&side.name.name) {
                Some(own) if own == wanted => {
                    score += 5;
                    "product line equal"
                }
                Some(_) => {
                    score = score.saturating_sub(15);
                    "product line differs"
                }
                None => "the advisory names a product line",
            }
            .to_owned(),
        );
    }
    if let Some(number) = side.numbers.iter().find(|it| numbers.contains(*it)) {
        score += 50;
        reasons.push(format!("order number equal: {number}"));
    }
    let starter = side.starters.iter().find(|it| starters.iter().any(|other| other.id == it.id)).copied();
    if let Some(rule) = starter {
        score = score.max(MIN_SCORE) + 20;
        let shown_in = rule.advisory.shown_in.as_deref().unwrap_or("an advisory");
        reasons.push(format!("starter rule `{}` ({shown_in}): {}", rule.id, rule.signed.evidence));
    }
    Candidate {
        product: ProductName::clone(product),
        installed: side.name.clone(),
        score: score.min(100),
        reasons,
        assets: side.assets,
        starter,
    }
}

fn contains_words(long: &str, short: &str) -> bool {
    format!(" {long} ").contains(&format!(" {short} "))
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
