//! Microsoft's monthly security updates (CVRF), read into advisories: one month, one advisory.
//!
//! Source of truth: the XML of the Security Response Center. Only releases of Windows are taken, because only
//! their builds can be compared: what a host lacks follows from the build that an update leads to, never from a
//! missing update. Lines without a build (before mid 2021) are kept as such and decide nothing by themselves.

pub(super) mod csaf;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::advisory::{Advisory, Entry, Identity, KnownFix, Stated, Versions, Vulnerability};
use super::import::Kind;
use super::score::{self, Scored};
use super::skipped::Skipped;
use super::text::shown;
use super::tracking::{Revision, moment};
use super::xml::{self, Attributes, InvalidXml, Visitor};

/// Most products of a document.
pub const MAX_PRODUCTS: usize = 20_000;
/// Most vulnerabilities of a document.
pub const MAX_VULNERABILITIES: usize = 5_000;
/// Most mentions of a product by a status or a remediation.
pub const MAX_MENTIONS: usize = 500_000;
/// Longest name, in characters.
const MAX_NAME: usize = 300;

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMicrosoft {
    /// No usable XML.
    #[error(transparent)]
    Xml(#[from] InvalidXml),
    /// XML of some other kind.
    #[error("it is XML and not a CVRF document: its root is `{0}`")]
    OtherKind(String),
    /// CVRF of another vendor: nothing in it has a build of Windows.
    #[error("it is a CVRF document that names no release of Windows")]
    NoWindows,
    /// No identifier to track it by.
    #[error("its tracking identifier is empty")]
    Untracked,
    /// The month that its fixes are of.
    #[error("its initial release date `{0}` cannot be read")]
    Undated(String),
    /// Two products under one identifier.
    #[error("the product id `{0}` is given two names")]
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

/// Whether bytes can be a CVRF document: a first element of that name near the beginning.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4 * 1024)];
    head.first() == Some(&b'<') && head.windows(7).any(|it| it == b"cvrfdoc")
}

/// Reads a month and says what was left out.
pub fn read(bytes: &[u8]) -> Result<(Advisory, Vec<String>), InvalidMicrosoft> {
    let mut document = Document::default();
    xml::walk(bytes, &mut document)?;
    document.into_advisory()
}

/// Whether a product's name is that of a Windows release, whose build decides; `Windows Admin Center` is none.
pub(super) fn is_release(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("Windows ") else { return false };
    let is_version = |it: &str| it.starts_with(|it: char| it.is_ascii_digit()) || it.starts_with("version ");
    match rest.strip_prefix("Server") {
        Some(rest) => is_version(rest.trim_start_matches([',', ' '])),
        None => is_version(rest) || ["RT ", "Vista", "XP"].iter().any(|it| rest.starts_with(it)),
    }
}

/// What is read so far.
#[derive(Default)]
struct Document {
    id: String,
    title: String,
    publisher: String,
    status: String,
    version: String,
    initial: String,
    current: String,
    /// The product that is being named.
    naming: Option<String>,
    products: HashMap<String, String>,
    vulnerabilities: Vec<Reported>,
    mentions: usize,
}

#[derive(Default)]
struct Reported {
    cve: String,
    affected: BTreeSet<String>,
    in_affected: bool,
    remediations: Vec<Remediation>,
    vectors: BTreeSet<String>,
}

#[derive(Default)]
struct Remediation {
    is_fix: bool,
    update: String,
    track: String,
    build: String,
    products: Vec<String>,
}

impl Visitor for Document {
    type Error = InvalidMicrosoft;

    fn open(
        &mut self,
        path: &[Box<str>],
        name: &str,
        attributes: &Attributes<'_>,
    ) -> Result<(), InvalidMicrosoft> {
        match (path, name) {
            ([], "cvrfdoc") => {}
            ([], other) => return Err(InvalidMicrosoft::OtherKind(shown(other, 40))),
            ([_], "Vulnerability") => {
                if self.vulnerabilities.len() == MAX_VULNERABILITIES {
                    return Err(too_many("vulnerabilities", MAX_VULNERABILITIES));
                }
                self.vulnerabilities.push(Reported::default());
            }
            (_, "FullProductName") => self.naming = attributes.get("ProductID"),
            (_, "Status") if path.len() == 3 => {
                if let Some(reported) = self.vulnerabilities.last_mut() {
                    reported.in_affected = attributes.get("Type").as_deref() == Some("Known Affected");
                }
            }
            (_, "Remediation") if path.len() == 3 => {
                let is_fix = attributes.get("Type").as_deref() == Some("Vendor Fix");
                self.mention()?;
                if let Some(reported) = self.vulnerabilities.last_mut() {
                    reported.remediations.push(Remediation { is_fix, ..Remediation::default() });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, path: &[Box<str>], name: &str, text: &str) -> Result<(), InvalidMicrosoft> {
        let around = path.last().map_or("", |it| it);
        let text = || shown(text, MAX_NAME);
        match (around, name) {
            ("cvrfdoc", "DocumentTitle") => self.title = text(),
            ("DocumentPublisher", "IssuingAuthority") => self.publisher = text(),
            ("Identification", "ID") if path.len() == 3 => self.id = text(),
            ("DocumentTracking", "Status") => self.status = text().to_lowercase(),
            ("DocumentTracking", "Version") => self.version = text(),
            ("DocumentTracking", "InitialReleaseDate") => self.initial = text(),
            ("DocumentTracking", "CurrentReleaseDate") => self.current = text(),
            (_, "FullProductName") => self.name_product(text())?,
            ("Vulnerability", "CVE") => self.reported(|it, text| it.cve = text.replace('/', "-"), text()),
            ("Status", "ProductID") => {
                self.mention()?;
                self.reported(
                    |it, text| {
                        if it.in_affected {
                            it.affected.insert(text);
                        }
                    },
                    text(),
                );
            }
            ("ScoreSet", "Vector") => {
                self.mention()?;
                self.reported(
                    |it, text| {
                        it.vectors.insert(text);
                    },
                    text(),
                );
            }
            ("Remediation", "ProductID") => {
                self.mention()?;
                self.remediation(|it, text| it.products.push(text), text());
            }
            ("Remediation", "Description") => self.remediation(|it, text| it.update = text, text()),
            ("Remediation", "SubType") => self.remediation(|it, text| it.track = text, text()),
            ("Remediation", "FixedBuild") => self.remediation(|it, text| it.build = text, text()),
            _ => {}
        }
        Ok(())
    }
}

fn too_many(what: &'static str, max: usize) -> InvalidMicrosoft {
    InvalidMicrosoft::TooMany { what, max }
}

impl Document {
    fn mention(&mut self) -> Result<(), InvalidMicrosoft> {
        self.mentions += 1;
        if self.mentions > MAX_MENTIONS {
            Err(too_many("mentions of products", MAX_MENTIONS))
        } else {
            Ok(())
        }
    }

    fn reported(&mut self, change: impl FnOnce(&mut Reported, String), text: String) {
        if let Some(reported) = self.vulnerabilities.last_mut() {
            change(reported, text);
        }
    }

    fn remediation(&mut self, change: impl FnOnce(&mut Remediation, String), text: String) {
        if let Some(it) = self.vulnerabilities.last_mut().and_then(|it| it.remediations.last_mut()) {
            change(it, text);
        }
    }

    /// The tree names a product in its branch and once more in a flat list.
    fn name_product(&mut self, name: String) -> Result<(), InvalidMicrosoft> {
        let Some(id) = self.naming.take().filter(|it| !it.is_empty()) else { return Ok(()) };
        if let Some(known) = self.products.get(&id) {
            let same = *known == name;
            return if same { Ok(()) } else { Err(InvalidMicrosoft::DuplicateProduct(shown(&id, 80))) };
        }
        if self.products.len() == MAX_PRODUCTS {
            return Err(too_many("products", MAX_PRODUCTS));
        }
        self.products.insert(id, name);
        Ok(())
    }

    fn into_advisory(self) -> Result<(Advisory, Vec<String>), InvalidMicrosoft> {
        if self.id.is_empty() {
            return Err(InvalidMicrosoft::Untracked);
        }
        let released_ms =
            moment(&self.initial).ok_or_else(|| InvalidMicrosoft::Undated(shown(&self.initial, 40)))?;
        // The version stays "1.0" from month to month; the date of the last change tells revisions apart.
        let version = if moment(&self.current).is_some() { self.current } else { self.version };
        let mut skipped = Skipped::default();
        let mut entries = Entries { products: &self.products, list: Vec::new(), known: HashMap::new() };
        let mut vulnerabilities = Vec::new();
        let mut taken: HashMap<String, u32> = HashMap::new();
        let mut elsewhere = 0_usize;
        for (at, reported) in self.vulnerabilities.into_iter().enumerate() {
            let statements = entries.take(&reported, &mut skipped);
            if statements.is_empty() {
                elsewhere += 1;
                continue;
            }
            let id = if reported.cve.is_empty() { format!("vulnerability-{}", at + 1) } else { reported.cve };
            let seen = taken.entry(id.clone()).or_default();
            *seen += 1;
            let id = if *seen == 1 { id } else { format!("{id}#{seen}") };
            let scored =
                score::highest(reported.vectors.iter().map(|it| Scored::of_vector(it)), &mut skipped);
            let (severity, vector) = scored.map_or((None, None), |it| (it.severity, it.vector));
            let remediations = vec!["vendor_fix".to_owned()];
            vulnerabilities.push(Vulnerability {
                id,
                severity,
                vector,
                statements,
                remediations,
                fixes: Vec::new(),
            });
        }
        if vulnerabilities.is_empty() {
            return Err(InvalidMicrosoft::NoWindows);
        }
        if elsewhere > 0 {
            skipped.add(|| format!("{elsewhere} vulnerabilities of products that are no release of Windows"));
        }
        let advisory = Advisory {
            kind: Kind::Microsoft,
            revision: Revision { id: self.id, version, released_ms: Some(released_ms) },
            title: self.title,
            publisher: if self.publisher.is_empty() { "Microsoft".to_owned() } else { self.publisher },
            status: self.status,
            withdrawn: false,
            original: None,
            entries: entries.list,
            vulnerabilities,
        };
        Ok((advisory, skipped.into_lines()))
    }
}

/// One entry for each product and set of fixes.
struct Entries<'a> {
    products: &'a HashMap<String, String>,
    list: Vec<Entry>,
    known: HashMap<(String, Vec<KeyOfFix>), u32>,
}

type KeyOfFix = (Option<String>, String, Option<String>);

impl Entries<'_> {
    /// What a vulnerability states of releases of Windows.
    fn take(&mut self, reported: &Reported, skipped: &mut Skipped) -> Vec<(u32, Stated)> {
        let mut fixes: BTreeMap<&str, Vec<KnownFix>> =
            reported.affected.iter().map(|it| (it.as_str(), Vec::new())).collect();
        for remediation in reported.remediations.iter().filter(|it| it.is_fix) {
            let fix = known_fix(remediation);
            for product in &remediation.products {
                let listed = fixes.entry(product.as_str()).or_default();
                if !listed.contains(&fix) {
                    listed.push(fix.clone());
                }
            }
        }
        let mut found = Vec::new();
        for (product, fixes) in fixes {
            let Some(name) = self.products.get(product) else {
                skipped.add(|| format!("{}: the unknown product `{}`", reported.cve, shown(product, 80)));
                continue;
            };
            if is_release(name) {
                found.push((self.entry(product, name, fixes), Stated::Affected));
            }
        }
        found.sort_unstable();
        found
    }

    fn entry(&mut self, id: &str, name: &str, mut fixes: Vec<KnownFix>) -> u32 {
        let key = |it: &KnownFix| (it.build.clone(), it.track.clone(), it.update.clone());
        fixes.sort_by_key(key);
        let keys = fixes.iter().map(key).collect();
        let next = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let at = *self.known.entry((id.to_owned(), keys)).or_insert(next);
        if at == next {
            // One vulnerability speaks of a product once, so the product's own identifier is enough.
            self.list.push(windows_entry(id, name, fixes));
        }
        at
    }
}

/// An entry about a release of Windows.
pub(super) fn windows_entry(id: &str, name: &str, fixes: Vec<KnownFix>) -> Entry {
    Entry {
        id: id.to_owned(),
        vendor: "Microsoft".to_owned(),
        product: name.to_owned(),
        versions: Versions::Builds(fixes),
        identity: Identity::Windows,
        conditions: Vec::new(),
        model_numbers: Vec::new(),
        purl: None,
    }
}

fn known_fix(remediation: &Remediation) -> KnownFix {
    let Remediation { update, track, build, .. } = remediation;
    KnownFix {
        build: Some(build.clone()).filter(|it| !it.is_empty()),
        track: track.clone(),
        update: update_name(update),
    }
}

/// The name of an update from its number: "5031356" is "KB5031356"; "Release Notes" is none.
pub(super) fn update_name(text: &str) -> Option<String> {
    let number = text.trim().trim_start_matches(['K', 'k']).trim_start_matches(['B', 'b']);
    let is_number = (6..=8).contains(&number.len()) && number.bytes().all(|it| it.is_ascii_digit());
    is_number.then(|| format!("KB{number}"))
}
