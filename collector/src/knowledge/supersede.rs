//! What happens to the statements of a revision when a newer one comes.
//!
//! A newer revision replaces what it repeats. What it no longer says was taken back: where that
//! applied the answer is unknown until somebody has looked, it never silently becomes good.

use std::collections::HashSet;
use std::sync::Arc;

use super::text::{folded, folded_vendor};
use super::{Advisory, HeldAdvisory};

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
    let family = newer.advisory.revision.family().to_owned();
    held.retain_mut(|it| {
        if it.advisory.revision.family() != family {
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
