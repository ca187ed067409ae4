//! CSAF 2.0 and 2.1 documents, read into advisories.
//!
//! Source of truth: the OASIS standard "Common Security Advisory Framework 2.0" and what vendors
//! really publish. Lenient where real files are sloppy: an entry that cannot be used is left out
//! and listed with its reason. Strict where a guess would be dangerous: an identifier that is
//! given twice refuses the file. Nothing here reads a range; that needs a scheme, which only a
//! confirmed rule can name.

use std::collections::{BTreeMap, HashMap};

use super::advisory::{Advisory, Entry, FixText, Identity, Stated, Versions, Vulnerability};
use super::csaf_wire as wire;
use super::import::Kind;
use super::json::{self, InvalidJson};
use super::microsoft;
use super::score::{self, Scored};
use super::skipped::Skipped;
use super::text::{repaired, shown};
use super::tracking::{Revision, moment};

/// Most product entries of one advisory.
pub const MAX_ENTRIES: usize = 50_000;
/// Most vulnerabilities of one advisory.
pub const MAX_VULNERABILITIES: usize = 5_000;
/// Most pairs of an entry and a vulnerability of one advisory.
pub const MAX_STATEMENTS: usize = 500_000;
/// Most conditions of one entry.
const MAX_CONDITIONS: usize = 16;
/// Most sentences about fixes of one advisory.
const MAX_FIXES: usize = 5_000;
/// Longest such sentence, in characters.
const MAX_FIX: usize = 400;
/// Longest name or range, in bytes.
pub const MAX_TEXT: usize = 1_000;

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCsaf {
    /// Not JSON, cut off, too deep or of another form.
    #[error(transparent)]
    Json(#[from] InvalidJson),
    /// A version of the standard that this release cannot read.
    #[error("it is CSAF {0}; this release reads 2.0 and 2.1")]
    Version(String),
    /// No identifier to track it by.
    #[error("its tracking identifier or version is empty")]
    Untracked,
    /// Two products under one identifier: statements about it mean nothing.
    #[error("the product id `{0}` is given twice")]
    DuplicateProduct(String),
    /// More of something than an honest document has.
    #[error("it has more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

/// Reads an advisory and says what was left out.
pub fn read(bytes: &[u8]) -> Result<(Advisory, Vec<String>), InvalidCsaf> {
    let wire::File { document, product_tree, vulnerabilities } = json::read(bytes)?;
    let wire::Document { csaf_version, category, title, tracking, publisher, references } = document;
    if !matches!(csaf_version.as_str(), "2.0" | "2.1") {
        return Err(InvalidCsaf::Version(shown(&csaf_version, 20)));
    }
    let wire::Tracking { id, version, status, current_release_date, initial_release_date } = tracking;
    let (id, version) = (shown(&id, 200), shown(&version, 60));
    if id.is_empty() || version.is_empty() {
        return Err(InvalidCsaf::Untracked);
    }
    let mut skipped = Skipped::default();
    let mut products = Products::default();
    products.take_tree(product_tree, &mut skipped)?;
    let vulnerabilities = read_vulnerabilities(vulnerabilities, &products, &mut skipped)?;

    let released_ms = moment(&current_release_date);
    if released_ms.is_none() {
        skipped.add(|| format!("the release date `{}` cannot be read", shown(&current_release_date, 40)));
    }
    let advisory = Advisory {
        kind: Kind::Csaf,
        original: original(&publisher, &references, &id),
        revision: Revision { id, version, released_ms },
        title: shown(&repaired(&title), MAX_TEXT),
        publisher: shown(&repaired(&publisher.name), MAX_TEXT),
        status: shown(&status, 20),
        withdrawn: matches!(category.as_str(), "csaf_withdrawn" | "csaf_superseded"),
        entries: products.entries,
        vulnerabilities,
    };
    let mut advisory = if microsoft::csaf::is_microsoft(&publisher.namespace) {
        microsoft::csaf::with_builds(advisory)
    } else {
        advisory
    };
    if advisory.kind == Kind::Microsoft {
        // The month that a fix is of decides there, not the last change of its description.
        advisory.revision.released_ms = moment(&initial_release_date).or(released_ms);
    }
    Ok((advisory, skipped.into_lines()))
}

/// The vendor's own document that a converted one repeats: the only CSAF file that it refers to outside.
fn original(publisher: &wire::Publisher, references: &[wire::Reference], own: &str) -> Option<String> {
    if !matches!(publisher.category.as_str(), "other" | "translator") {
        return None;
    }
    let outside = references.iter().filter(|it| it.category == "external").filter_map(|it| {
        let file = it.url.rsplit('/').next()?;
        let id = file.strip_suffix(".json")?.to_ascii_uppercase();
        (!id.is_empty() && id.len() <= 200 && !id.eq_ignore_ascii_case(own)).then(|| shown(&id, 200))
    });
    let mut named: Vec<String> = outside.take(1_000).collect();
    named.sort_unstable();
    named.dedup();
    <[String; 1]>::try_from(named).ok().map(|[only]| only)
}

/// Where a branch stands in the tree.
#[derive(Clone, Default)]
struct Place {
    vendor: String,
    product: String,
    versions: Option<Versions>,
    conditions: Vec<String>,
}

impl Place {
    /// The place one level below.
    fn below(&self, category: &str, name: &str) -> Self {
        let mut place = self.clone();
        let name = || shown(&repaired(name), MAX_TEXT);
        match category {
            "vendor" => place.vendor = name(),
            // A name below a family is the more exact one.
            "product_family" | "product_name" => place.product = name(),
            "product_version_range" => place.versions = Some(Versions::Range(name())),
            "product_version" => place.versions = Some(Versions::One(name())),
            other => place.conditions.push(format!("{} {}", shown(other, 40), name())),
        }
        place
    }
}

#[derive(Default)]
struct Products {
    entries: Vec<Entry>,
    by_id: HashMap<String, u32>,
}

impl Products {
    fn take_tree(&mut self, tree: wire::Tree, skipped: &mut Skipped) -> Result<(), InvalidCsaf> {
        let wire::Tree { branches, full_product_names, relationships, product_paths } = tree;
        // Depth was bounded with the JSON; the walk still keeps its own stack, in file order.
        let mut open: Vec<(wire::Branch, Place)> =
            branches.into_iter().rev().map(|it| (it, Place::default())).collect();
        while let Some((branch, above)) = open.pop() {
            let wire::Branch { category, name, branches, product } = branch;
            let place = above.below(&category, &name);
            if let Some(product) = product {
                self.take(product, &place, skipped)?;
            }
            open.extend(branches.into_iter().rev().map(|it| (it, place.clone())));
        }
        for product in full_product_names {
            let place = Place {
                product: shown(&repaired(&product.name), MAX_TEXT),
                versions: Some(Versions::InName),
                ..Place::default()
            };
            self.take(product, &place, skipped)?;
        }
        for relationship in relationships {
            let wire::Relationship { product_reference, relates_to_product_reference, full_product_name } =
                relationship;
            self.relate(&product_reference, &[relates_to_product_reference], full_product_name, skipped)?;
        }
        for path in product_paths {
            let wire::Path { beginning_product_reference, subpaths, full_product_name } = path;
            let steps: Vec<String> = subpaths.into_iter().map(|it| it.next_product_reference).collect();
            self.relate(&beginning_product_reference, &steps, full_product_name, skipped)?;
        }
        Ok(())
    }

    /// Products together are an entry of the first one, under the condition of the others.
    fn relate(
        &mut self,
        first: &str,
        others: &[String],
        product: Option<wire::Product>,
        skipped: &mut Skipped,
    ) -> Result<(), InvalidCsaf> {
        let Some(product) = product else {
            skipped.add(|| "a relationship without a product".to_owned());
            return Ok(());
        };
        let entry = |id: &str| self.by_id.get(id).and_then(|&at| self.entries.get(at as usize));
        let others: Option<Vec<&Entry>> = others.iter().map(|it| entry(it)).collect();
        let (Some(first), Some(others)) = (entry(first), others.filter(|it| !it.is_empty())) else {
            skipped.add(|| {
                format!("product `{}` combines products that are not there", shown(&product.product_id, 80))
            });
            return Ok(());
        };
        let mut place = Place {
            vendor: first.vendor.clone(),
            product: first.product.clone(),
            versions: Some(first.versions.clone()),
            conditions: first.conditions.clone(),
        };
        let together = |it: &&Entry| format!("together with {} {}", it.product, it.versions.text());
        place.conditions.extend(others.iter().take(MAX_CONDITIONS).map(together));
        self.take(product, &place, skipped)
    }

    fn take(
        &mut self,
        product: wire::Product,
        place: &Place,
        skipped: &mut Skipped,
    ) -> Result<(), InvalidCsaf> {
        let wire::Product { name, product_id, product_identification_helper: helper } = product;
        if product_id.is_empty() || product_id.len() > MAX_TEXT {
            skipped.add(|| format!("product `{}` has no usable id", shown(&name, 80)));
            return Ok(());
        }
        if self.entries.len() == MAX_ENTRIES {
            return Err(InvalidCsaf::TooMany { what: "product entries", max: MAX_ENTRIES });
        }
        let at = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        if self.by_id.insert(product_id.clone(), at).is_some() {
            return Err(InvalidCsaf::DuplicateProduct(shown(&product_id, 80)));
        }
        let versions = place.versions.clone().unwrap_or(if place.product.is_empty() {
            Versions::InName
        } else {
            Versions::All
        });
        let product =
            if place.product.is_empty() { shown(&repaired(&name), MAX_TEXT) } else { place.product.clone() };
        let mut conditions = place.conditions.clone();
        conditions.truncate(MAX_CONDITIONS);
        self.entries.push(Entry {
            id: shown(&product_id, MAX_TEXT),
            vendor: place.vendor.clone(),
            product,
            versions,
            identity: Identity::Named,
            conditions,
            model_numbers: helper.model_numbers.iter().take(1_000).map(|it| shown(it, 100)).collect(),
            // The others of version 2.1 are further names of the same product.
            purl: helper.purl.or_else(|| helper.purls.into_iter().next()).map(|it| shown(&it, MAX_TEXT)),
        });
        Ok(())
    }
}

fn read_vulnerabilities(
    listed: Vec<wire::Vulnerability>,
    products: &Products,
    skipped: &mut Skipped,
) -> Result<Vec<Vulnerability>, InvalidCsaf> {
    if listed.len() > MAX_VULNERABILITIES {
        return Err(InvalidCsaf::TooMany { what: "vulnerabilities", max: MAX_VULNERABILITIES });
    }
    let (mut statements, mut sentences) = (0, 0);
    let mut taken: BTreeMap<String, u32> = BTreeMap::new();
    let mut found = Vec::with_capacity(listed.len());
    for (index, vulnerability) in listed.into_iter().enumerate() {
        let wire::Vulnerability { cve, ids, product_status, remediations, scores, metrics } = vulnerability;
        let id = cve
            .filter(|it| !it.trim().is_empty())
            .or_else(|| ids.into_iter().map(|it| it.text).find(|it| !it.trim().is_empty()))
            .map(|it| shown(&it, 100).replace('/', "-"))
            .filter(|it| !it.is_empty())
            .unwrap_or_else(|| format!("vulnerability-{}", index + 1));
        // The same identifier twice is two statements of their own.
        let seen = taken.entry(id.clone()).or_default();
        *seen += 1;
        let id = if *seen == 1 { id } else { format!("{id}#{seen}") };
        let (stated, recommended) = read_status(product_status, &id, &products.by_id, skipped);
        statements += stated.len();
        let mut fixes: Vec<FixText> =
            remediations.iter().filter_map(|it| fix_text(it, &products.by_id)).collect();
        fixes.extend(recommended.into_iter().filter_map(|at| {
            let entry = products.entries.get(usize::try_from(at).ok()?)?;
            let text = shown(&format!("{} {}", entry.product, entry.versions.text()), MAX_FIX);
            Some(FixText { category: "recommended".to_owned(), text, entries: vec![at] })
        }));
        fixes.truncate(MAX_FIXES - sentences);
        sentences += fixes.len();
        statements += fixes.iter().map(|it| it.entries.len()).sum::<usize>();
        if statements > MAX_STATEMENTS {
            return Err(InvalidCsaf::TooMany { what: "statements", max: MAX_STATEMENTS });
        }
        let mut offered: Vec<String> = remediations
            .into_iter()
            .filter(|it| !it.product_ids.is_empty())
            .map(|it| shown(&it.category, 40))
            .collect();
        offered.sort_unstable();
        offered.dedup();
        let scored = metrics.into_iter().filter_map(|it| it.content).chain(scores).flat_map(|it| {
            let all = [it.cvss_v4, it.cvss_v3, it.cvss_v2].into_iter().flatten();
            all.map(|it| Scored { vector: it.vector, score: it.base_score, word: it.base_severity })
        });
        let (severity, vector) =
            score::highest(scored, skipped).map_or((None, None), |it| (it.severity, it.vector));
        found.push(Vulnerability { id, severity, vector, statements: stated, remediations: offered, fixes });
    }
    Ok(found)
}

/// What is written about a fix; the address belongs to it.
fn fix_text(remediation: &wire::Remediation, products: &HashMap<String, u32>) -> Option<FixText> {
    let wire::Remediation { category, details, url, product_ids } = remediation;
    if category != "vendor_fix" {
        return None;
    }
    let entries: Vec<u32> = product_ids.iter().filter_map(|it| products.get(it).copied()).collect();
    let text = shown(format!("{details} {url}").trim(), MAX_FIX);
    (!entries.is_empty()).then(|| FixText { category: category.clone(), text, entries })
}

/// The statements, and the entries that the vendor recommends.
fn read_status(
    status: wire::Status,
    vulnerability: &str,
    products: &HashMap<String, u32>,
    skipped: &mut Skipped,
) -> (Vec<(u32, Stated)>, Vec<u32>) {
    let wire::Status {
        first_affected,
        known_affected,
        last_affected,
        known_not_affected,
        first_fixed,
        fixed,
        under_investigation,
        unknown,
        recommended,
    } = status;
    let groups = [
        (first_affected, Stated::Affected),
        (known_affected, Stated::Affected),
        (last_affected, Stated::Affected),
        (known_not_affected, Stated::NotAffected),
        (first_fixed, Stated::Fixed),
        (fixed, Stated::Fixed),
        (under_investigation, Stated::UnderInvestigation),
        // Not even looked at: as little is known as while somebody looks.
        (unknown, Stated::UnderInvestigation),
    ];
    let mut found = Vec::new();
    for (ids, stated) in groups {
        for id in ids {
            match products.get(&id) {
                Some(&at) => found.push((at, stated)),
                None => skipped.add(|| {
                    format!(
                        "{vulnerability}: {} names the unknown product `{}`",
                        stated.as_str(),
                        shown(&id, 80)
                    )
                }),
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    let recommended = recommended.iter().filter_map(|it| products.get(it).copied()).collect();
    (found, recommended)
}
