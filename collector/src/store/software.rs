//! Which sections hold a program of a given name: lookups in the software index.
//!
//! The index has an entry per name and section, never per asset. An overlay has entries for the
//! names in which it differs from its base; for all others the base's entry stands for it too.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdpoint_proto::v1::{SectionKind, SoftwareRow};
use prost::Message;

use super::backend::Backend;
use super::catalog::{Catalog, each};
use super::error::StoreError;
use super::keys::{self, Digest, SectionKey, Table};
use super::rows::{self, Rows};
use super::value;

/// A name with `*` for any run of characters. Upper and lower case are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    /// What lies between the stars, in lower case.
    parts: Vec<String>,
}

impl NamePattern {
    /// Reads a pattern; without a star it is the whole name.
    pub fn new(pattern: &str) -> Self {
        Self { parts: pattern.to_lowercase().split('*').map(str::to_owned).collect() }
    }

    /// Whether a name is one of these.
    pub fn matches(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let Some((first, rest)) = self.parts.split_first() else { return false };
        let Some(mut left) = name.strip_prefix(first.as_str()) else { return false };
        let Some((last, middle)) = rest.split_last() else { return left.is_empty() };
        for part in middle {
            match left.find(part.as_str()) {
                Some(at) => left = &left[at + part.len()..],
                None => return false,
            }
        }
        left.ends_with(last.as_str())
    }
}

/// A section that has matching rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoftwareHit {
    /// Which section; [`super::Store::assets_with_section`] tells who is shown with it.
    pub section: SectionKey,
    /// The encoded rows (`holdpoint.v1.SoftwareRow`) that match, at least one.
    pub rows: Arc<Rows>,
}

/// A part of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SoftwarePage {
    /// Sections with what matches in them, by name; a section comes once for each name.
    pub hits: Vec<SoftwareHit>,
    /// Where to go on; `None` when this was all.
    pub next: Option<Vec<u8>>,
}

/// Every section with a program of exactly that name.
pub(super) fn named(
    backend: &dyn Backend,
    catalog: &Catalog,
    name: &str,
) -> Result<Vec<SoftwareHit>, StoreError> {
    hits(backend, catalog, &keys::stem(name), |it| it == name)
}

/// Sections with programs whose names match, from `after` on; stops after the name with which
/// `max` hits are reached.
pub(super) fn matching(
    backend: &dyn Backend,
    catalog: &Catalog,
    pattern: &NamePattern,
    after: Option<&[u8]>,
    max: usize,
) -> Result<SoftwarePage, StoreError> {
    let mut page = SoftwarePage::default();
    let mut after = after.map(keys::software_after);
    loop {
        let found = backend
            .page(&Table::Software.prefix(), after.as_deref(), 1)
            .map_err(StoreError::engine("search the software index"))?;
        let Some((key, _)) = found.first() else { return Ok(page) };
        let Some((stem, _)) = keys::software_parts(key) else {
            return Err(value::corrupt(key, "it is no index key"));
        };
        if keys::stem_name(stem).is_none_or(|name| pattern.matches(name)) {
            page.hits.extend(hits(backend, catalog, stem, |name| pattern.matches(name))?);
            if page.hits.len() >= max {
                page.next = Some(stem.to_vec());
                return Ok(page);
            }
        }
        after = Some(keys::software_after(stem));
    }
}

fn hits(
    backend: &dyn Backend,
    catalog: &Catalog,
    stem: &[u8],
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<SoftwareHit>, StoreError> {
    let mut own: BTreeMap<SectionKey, Arc<Rows>> = BTreeMap::new();
    each(backend, &keys::software_of(stem), |key, content| {
        let digest = digest_of(key)?;
        let mut rows =
            rows::decode(content).ok_or_else(|| value::corrupt(key, "its rows cannot be parted"))?;
        rows.retain(|row| SoftwareRow::decode(row.as_slice()).is_ok_and(|row| wanted(&row.name)));
        own.insert(SectionKey::new(SectionKind::Software, digest), Arc::new(rows));
        Ok(())
    })?;
    let mut hits = Vec::new();
    for (&section, rows) in own.iter().filter(|(_, rows)| !rows.is_empty()) {
        hits.push(SoftwareHit { section, rows: rows.clone() });
        let sharing = catalog.overlays(section).filter(|overlay| !own.contains_key(overlay));
        hits.extend(sharing.map(|section| SoftwareHit { section, rows: rows.clone() }));
    }
    Ok(hits)
}

fn digest_of(key: &[u8]) -> Result<Digest, StoreError> {
    keys::software_parts(key)
        .map(|(_, digest)| digest)
        .ok_or_else(|| value::corrupt(key, "it is no index key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        for (pattern, name, expected) in [
            ("zlib1g", "zlib1g", true),
            ("zlib1g", "zlib1g-dev", false),
            ("ZLIB*", "zlib1g-dev", true),
            ("*lib*g", "zlib1g", true),
            ("*lib*g", "zlib1g-dev", false),
            ("a*a", "a", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("**", "x", true),
        ] {
            assert_eq!(NamePattern::new(pattern).matches(name), expected, "{pattern} on {name}");
        }
    }
}
