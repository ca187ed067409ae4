//! Which documents speak of the same thing, and what happens to the statements of one when a better one comes.
//!
//! Revisions of one family replace each other. A vendor's own document also replaces what a coordinator made of
//! it: the conversion is as old as the day on which it was made.
//!
//! A newer revision replaces what it repeats. What it no longer says was taken back: where that
//! applied the answer is unknown until somebody has looked, it never silently becomes good.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use super::text::{folded, folded_vendor};
use super::{Advisory, HeldAdvisory};

/// How a new document stands to one that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They speak of different things.
    Unrelated,
    /// The new one takes its place.
    Newer,
    /// The held one is newer.
    Older,
    /// Neither says that it is newer, and they are not the same.
    Equal,
    /// Nobody can tell which is newer.
    Unordered,
    /// The held one is the vendor's own, and the new one repeats it.
    Outranked,
}

/// How a new document stands to a held one.
pub(crate) fn standing(new: &Advisory, held: &Advisory) -> Standing {
    if new.kind == held.kind && new.revision.family() == held.revision.family() {
        return match new.revision.order(&held.revision) {
            Some(Ordering::Greater) => Standing::Newer,
            Some(Ordering::Less) => Standing::Older,
            Some(Ordering::Equal) => Standing::Equal,
            None => Standing::Unordered,
        };
    }
    let repeats = |one: &Advisory, other: &Advisory| {
        let original = one.original.as_deref();
        other.original.is_none() && original.is_some_and(|it| it.eq_ignore_ascii_case(&other.revision.id))
    };
    if repeats(held, new) {
        Standing::Newer
    } else if repeats(new, held) {
        Standing::Outranked
    } else {
        Standing::Unrelated
    }
}

/// What identifies a statement across revisions: the vulnerability, the vendor and the product.
type Statement = (String, String, String);

fn key(advisory: &Advisory, vulnerability: &str, entry: u32) -> Option<Statement> {
    let entry = advisory.entries.get(usize::try_from(entry).ok()?)?;
    Some((vulnerability.to_owned(), folded_vendor(&entry.vendor), folded(&entry.product)))
}

fn statements(advisory: &Advisory) -> HashSet<Statement> {
    let pairs = advisory
        .vulnerabilities
        .iter()
        .flat_map(|it| it.statements.iter().map(move |(entry, _)| (it, *entry)));
    pairs.filter_map(|(vulnerability, entry)| key(advisory, &vulnerability.id, entry)).collect()
}

/// Adds a newer revision to the held advisories of its family: it becomes the one that is judged, and the
/// others keep only what it does not repeat.
pub(crate) fn add(held: &mut Vec<HeldAdvisory>, newer: HeldAdvisory) {
    let repeated = statements(&newer.advisory);
    held.retain_mut(|it| {
        if standing(&newer.advisory, &it.advisory) == Standing::Unrelated {
            return true;
        }
        // A document that says "withdrawn" repeats nothing; what it takes back stays visible.
        let mut rest = (*it.advisory).clone();
        for vulnerability in &mut rest.vulnerabilities {
            let id = vulnerability.id.clone();
            vulnerability.statements.retain(|(entry, _)| {
                key(&it.advisory, &id, *entry).is_some_and(|statement| !repeated.contains(&statement))
            });
        }
        rest.vulnerabilities.retain(|vulnerability| !vulnerability.statements.is_empty());
        it.superseded = true;
        let something_left = !rest.vulnerabilities.is_empty();
        it.advisory = Arc::new(rest);
        something_left
    });
    held.push(newer);
}
