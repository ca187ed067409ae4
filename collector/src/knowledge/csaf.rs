//! CSAF 2.0 and 2.1 documents, read into advisories.
//!
//! Source of truth: the OASIS standard "Common Security Advisory Framework 2.0" and what vendors
//! really publish. Lenient where real files are sloppy: an entry that cannot be used is left out
//! and listed with its reason. Strict where a guess would be dangerous: an identifier that is
//! given twice refuses the file. Nothing here reads a range; that needs a scheme, which only a
//! confirmed rule can name.

use std::collections::{BTreeMap, HashMap};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::advisory::{Advisory, Entry, Identity, Stated, Versions, Vulnerability};
use super::csaf_wire as wire;
use super::import::Kind;
use super::json::{self, InvalidJson};
use super::text::{repaired, shown};
use super::tracking::Revision;

/// Most product entries of one advisory.
pub const MAX_ENTRIES: usize = 50_000;
/// Most vulnerabilities of one advisory.
pub const MAX_VULNERABILITIES: usize = 5_000;
/// Most pairs of an entry and a vulnerability of one advisory.
pub const MAX_STATEMENTS: usize = 500_000;
/// Longest name or range, in bytes.
pub const MAX_TEXT: usize = 1_000;
/// Most entries that are listed as left out.
pub const MAX_SKIPPED: usize = 100;

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCsaf {
    /// Not JSON, cut off, too deep or of another form.
    #[error(transparent)]
    Json(#[from] InvalidJson),
    /// JSON of some other kind.
    #[error("it is JSON and not a CSAF advisory: it has no document.csaf_version")]
    OtherKind,
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
    let peek: wire::Peek = json::read(bytes).map_err(|error| match error {
        InvalidJson::OtherForm { .. } => InvalidCsaf::OtherKind,
        InvalidJson::NotJson { .. } | InvalidJson::Truncated { .. } | InvalidJson::TooDeep => error.into(),
    })?;
    match peek.document.and_then(|it| it.csaf_version).as_deref() {
        Some("2.0" | "2.1") => {}
        Some(other) => return Err(InvalidCsaf::Version(shown(other, 20))),
        None => return Err(InvalidCsaf::OtherKind),
    }
    let wire::File { document, product_tree, vulnerabilities } = json::read(bytes)?;
    let mut skipped = Skipped::default();
    let mut products = Products::default();
    products.take_tree(product_tree, &mut skipped)?;
    let vulnerabilities = read_vulnerabilities(vulnerabilities, &products.by_id, &mut skipped)?;

    let wire::Document { category, title, tracking, publisher } = document;
    let wire::Tracking { id, version, status, current_release_date } = tracking;
    let (id, version) = (shown(&id, 200), shown(&version, 60));
    if id.is_empty() || version.is_empty() {
        return Err(InvalidCsaf::Untracked);
    }
    let released_ms = OffsetDateTime::parse(current_release_date.trim(), &Rfc3339)
        .ok()
        .and_then(|it| i64::try_from(it.unix_timestamp_nanos() / 1_000_000).ok());
    if released_ms.is_none() {
        skipped.add(|| format!("the release date `{}` cannot be read", shown(&current_release_date, 40)));
    }
    let advisory = Advisory {
        kind: Kind::Csaf,
        revision: Revision { id, version, released_ms },
        title: shown(&repaired(&title), MAX_TEXT),
        publisher: shown(&repaired(&publisher.name), MAX_TEXT),
        status: shown(&status, 20),
        withdrawn: matches!(category.as_str(), "csaf_withdrawn" | "csaf_superseded"),
        entries: products.entries,
        vulnerabilities,
    };
    Ok((advisory, skipped.into_lines()))
}

/// What was left out, bounded.
#[derive(Default)]
struct Skipped {
    lines: Vec<String>,
    more: usize,
}

impl Skipped {
    fn add(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() < MAX_SKIPPED {
            self.lines.push(line());
        } else {
            self.more += 1;
        }
    }

    fn into_lines(mut self) -> Vec<String> {
        if self.more > 0 {
            self.lines.push(format!("{} more", self.more));
        }
        self.lines
    }
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
        let wire::Tree { branches, full_product_names, relationships } = tree;
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
            self.relate(relationship, skipped)?;
        }
        Ok(())
    }

    /// Two products together are an entry of the first one, under the condition of the second one.
    fn relate(&mut self, relationship: wire::Relationship, skipped: &mut Skipped) -> Result<(), InvalidCsaf> {
        let wire::Relationship { product_reference, relates_to_product_reference, full_product_name } =
            relationship;
        let Some(product) = full_product_name else {
            skipped.add(|| "a relationship without a product".to_owned());
            return Ok(());
        };
        let entry = |id: &str| self.by_id.get(id).and_then(|&at| self.entries.get(at as usize));
        let (Some(first), Some(second)) = (entry(&product_reference), entry(&relates_to_product_reference))
        else {
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
        place.conditions.push(format!("together with {} {}", second.product, second.versions.text()));
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
        conditions.truncate(16);
        self.entries.push(Entry {
            id: shown(&product_id, MAX_TEXT),
            vendor: place.vendor.clone(),
            product,
            versions,
            identity: Identity::Named,
            conditions,
            model_numbers: helper.model_numbers.iter().take(1_000).map(|it| shown(it, 100)).collect(),
            purl: helper.purl.map(|it| shown(&it, MAX_TEXT)),
        });
        Ok(())
    }
}

fn read_vulnerabilities(
    listed: Vec<wire::Vulnerability>,
    products: &HashMap<String, u32>,
    skipped: &mut Skipped,
) -> Result<Vec<Vulnerability>, InvalidCsaf> {
    if listed.len() > MAX_VULNERABILITIES {
        return Err(InvalidCsaf::TooMany { what: "vulnerabilities", max: MAX_VULNERABILITIES });
    }
    let mut statements = 0;
    let mut taken: BTreeMap<String, u32> = BTreeMap::new();
    let mut found = Vec::with_capacity(listed.len());
    for (index, vulnerability) in listed.into_iter().enumerate() {
        let wire::Vulnerability { cve, ids, product_status, remediations, scores } = vulnerability;
        let id = cve
            .or_else(|| ids.into_iter().next().map(|it| it.text))
            .map(|it| shown(&it, 100).replace('/', "-"))
            .filter(|it| !it.is_empty())
            .unwrap_or_else(|| format!("vulnerability-{}", index + 1));
        // The same identifier twice is two statements of their own.
        let seen = taken.entry(id.clone()).or_default();
        *seen += 1;
        let id = if *seen == 1 { id } else { format!("{id}#{seen}") };
        let stated = read_status(product_status, &id, products, skipped);
        statements += stated.len();
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
        found.push(Vulnerability {
            id,
            severity: highest(scores),
            vector: None,
            statements: stated,
            remediations: offered,
        });
    }
    Ok(found)
}

fn read_status(
    status: wire::Status,
    vulnerability: &str,
    products: &HashMap<String, u32>,
    skipped: &mut Skipped,
) -> Vec<(u32, Stated)> {
    let wire::Status {
        first_affected,
        known_affected,
        last_affected,
        known_not_affected,
        first_fixed,
        fixed,
        under_investigation,
    } = status;
    let groups = [
        (first_affected, Stated::Affected),
        (known_affected, Stated::Affected),
        (last_affected, Stated::Affected),
        (known_not_affected, Stated::NotAffected),
        (first_fixed, Stated::Fixed),
        (fixed, Stated::Fixed),
        (under_investigation, Stated::UnderInvestigation),
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
    found
}

fn highest(scores: Vec<wire::Score>) -> Option<String> {
    scores
        .into_iter()
        .flat_map(|it| [it.cvss_v3, it.cvss_v2])
        .flatten()
        .max_by(|one, two| one.base_score.unwrap_or(0.0).total_cmp(&two.base_score.unwrap_or(0.0)))
        .and_then(|it| {
            let severity = it.base_severity.map(|it| shown(&it, 20));
            match (it.base_score, severity) {
                (Some(score), Some(severity)) => Some(format!("{score} {severity}")),
                (Some(score), None) => Some(score.to_string()),
                (None, severity) => severity,
            }
        })
}
