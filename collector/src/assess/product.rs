//! Products that advisories name, each with everything that is said of it.

use std::sync::Arc;

use crate::knowledge::map::{self, ProductName};
use crate::knowledge::{Entry, Identity, map_file};

use super::subject::SubjectId;
use super::verdict::Outcome;

/// A product that advisories name, with everything they say of it.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) name: ProductName,
    /// What follows from the name.
    pub(super) spelled: Arc<Spelled>,
    /// How it is recognised; rules of the map bind the named ones alone.
    pub(super) identity: Identity,
    pub(super) places: Vec<Place>,
    /// Valid rules of either decision, and confirmed ones that have expired.
    pub(super) confirmed: u32,
    pub(super) rejected: u32,
    pub(super) expired: u32,
}

impl Product {
    /// The product of an entry, of which nothing is said yet. `spelled` is what follows from its name, where that is
    /// known.
    pub(super) fn named(entry: &Entry, spelled: Option<Arc<Spelled>>) -> Self {
        let name = ProductName { vendor: entry.vendor.clone(), product: entry.product.clone() };
        let spelled = spelled.unwrap_or_else(|| Arc::new(Spelled::of(&name, &entry.identity)));
        let (identity, places) = (entry.identity.clone(), Vec::new());
        Self { name, spelled, identity, places, confirmed: 0, rejected: 0, expired: 0 }
    }
}

/// What follows from a product's name alone: worked out once, however often knowledge changes.
#[derive(Debug)]
pub(super) struct Spelled {
    /// The vendor as rules of files spell it.
    pub(super) vendor: String,
    /// The product likewise.
    pub(super) product: String,
    /// Names under which it would be installed, see [`map::folded_names`]; none of what is not recognised by name.
    pub(super) folded: Vec<Arc<str>>,
}

impl Spelled {
    fn of(name: &ProductName, identity: &Identity) -> Self {
        let folded = match identity {
            Identity::Named => map::folded_names(name),
            Identity::Package(_) | Identity::Windows => Vec::new(),
        };
        Self {
            vendor: map_file::spelled(&name.vendor),
            product: map_file::spelled(&name.product),
            folded: folded.into_iter().map(Into::into).collect(),
        }
    }
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
