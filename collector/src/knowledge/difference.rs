//! What a newer revision says otherwise than the one that it replaces, in lines for people.
//!
//! Entries and statements are matched by vendor and product, because identifiers of entries change from revision
//! to revision. The lines decide nothing; what is judged is the newer revision alone.

use std::collections::{BTreeMap, BTreeSet};

use super::skipped::Skipped;
use super::text::{folded, folded_vendor};
use super::{Advisory, Entry, Vulnerability};

/// The changes, the weightiest first, as bounded lines.
pub(crate) fn difference(old: &Advisory, new: &Advisory) -> Vec<String> {
    let mut lines = Skipped::default();
    if old.revision.id != new.revision.id {
        lines.add(|| format!("{} takes the place of {}", new.revision.id, old.revision.id));
    }
    if new.withdrawn != old.withdrawn {
        let now = if new.withdrawn { "withdrawn" } else { "no longer withdrawn" };
        lines.add(|| format!("it is {now}"));
    }
    if new.status != old.status {
        lines.add(|| format!("status {} is now {}", old.status, new.status));
    }
    if new.title != old.title {
        lines.add(|| format!("title is now `{}`", new.title));
    }
    vulnerabilities(old, new, &mut lines);
    products(old, new, &mut lines);
    let lines = lines.into_lines();
    if lines.is_empty() { vec!["nothing that is judged".to_owned()] } else { lines }
}

fn vulnerabilities(old: &Advisory, new: &Advisory, lines: &mut Skipped) {
    let by_id = |of: &'_ Advisory| -> BTreeMap<String, Vulnerability> {
        of.vulnerabilities.iter().map(|it| (it.id.clone(), it.clone())).collect()
    };
    let (before, after) = (by_id(old), by_id(new));
    for id in before.keys().filter(|it| !after.contains_key(*it)) {
        lines.add(|| format!("{id} removed: where it applied the answer is unknown now"));
    }
    for (id, now) in &after {
        let Some(was) = before.get(id) else {
            lines.add(|| format!("{id} added"));
            continue;
        };
        if was.severity != now.severity {
            let text = |it: &Vulnerability| it.severity.clone().unwrap_or_else(|| "none".to_owned());
            lines.add(|| format!("{id}: severity {} is now {}", text(was), text(now)));
        }
        let (was, now) = (stated(old, was), stated(new, now));
        for (product, words) in &now {
            match was.get(product) {
                Some(before) if before != words => {
                    lines.add(|| format!("{id}: {product} was {} and is {}", list(before), list(words)));
                }
                Some(_) => {}
                None => lines.add(|| format!("{id}: {product} is {}", list(words))),
            }
        }
        for product in was.keys().filter(|it| !now.contains_key(*it)) {
            lines.add(|| format!("{id}: nothing is said of {product} any more"));
        }
    }
}

fn list(words: &BTreeSet<&'static str>) -> String {
    words.iter().copied().collect::<Vec<_>>().join(" and ")
}

/// What a vulnerability states of which product.
fn stated(of: &Advisory, vulnerability: &Vulnerability) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut found: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for (position, stated) in &vulnerability.statements {
        let entry = usize::try_from(*position).ok().and_then(|it| of.entries.get(it));
        if let Some(entry) = entry {
            found.entry(title(entry)).or_default().insert(stated.as_str());
        }
    }
    found
}

/// Which versions a product is named with.
struct Named<'a> {
    entry: &'a Entry,
    versions: BTreeSet<String>,
}

fn products(old: &Advisory, new: &Advisory, lines: &mut Skipped) {
    let (before, after) = (named(old), named(new));
    for it in before.iter().filter(|it| !after.contains_key(it.0)).map(|it| it.1) {
        lines.add(|| format!("{} removed", title(it.entry)));
    }
    for (key, now) in &after {
        match before.get(key) {
            None => lines.add(|| format!("{} added: {}", title(now.entry), joined(&now.versions))),
            Some(was) if was.versions != now.versions => lines.add(|| {
                format!(
                    "{}: `{}` is now `{}`",
                    title(now.entry),
                    joined(&was.versions),
                    joined(&now.versions)
                )
            }),
            Some(_) => {}
        }
    }
}

fn named(of: &Advisory) -> BTreeMap<(String, String), Named<'_>> {
    let mut found: BTreeMap<_, Named<'_>> = BTreeMap::new();
    for entry in &of.entries {
        let key = (folded_vendor(&entry.vendor), folded(&entry.product));
        let mut text = entry.versions.text().into_owned();
        for condition in &entry.conditions {
            text = format!("{text} with {condition}");
        }
        found
            .entry(key)
            .or_insert_with(|| Named { entry, versions: BTreeSet::new() })
            .versions
            .insert(super::text::shown(&text, 120));
    }
    found
}

fn title(entry: &Entry) -> String {
    super::text::shown(&format!("{} {}", entry.vendor, entry.product), 120)
}

fn joined(versions: &BTreeSet<String>) -> String {
    super::text::shown(&versions.iter().map(String::as_str).collect::<Vec<_>>().join("; "), 200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::csaf;

    const OLD: &str = include_str!("../../fixtures/csaf/exc-26-001.json");

    fn changed(from: &[(&str, &str)]) -> Vec<String> {
        let mut text = OLD.to_owned();
        for (before, after) in from {
            assert!(text.contains(before), "{before} is in the document");
            text = text.replace(before, after);
        }
        let read = |text: &str| csaf::read(text.as_bytes()).unwrap().0;
        difference(&read(OLD), &read(&text))
    }

    #[test]
    fn what_changed_is_said_and_nothing_else() {
        assert_eq!(changed(&[]), ["nothing that is judged"]);
        assert_eq!(changed(&[("CVE-2026-1001", "CVE-2026-9999")]).len(), 2);
        let removed = changed(&[("CVE-2026-1001", "CVE-2026-9999")]);
        assert!(removed[0].starts_with("CVE-2026-1001 removed: where it applied"), "{removed:?}");
        assert_eq!(removed[1], "CVE-2026-9999 added");
        let withdrawn = changed(&[("csaf_security_advisory", "csaf_withdrawn")]);
        assert_eq!(withdrawn, ["it is withdrawn"]);
    }

    #[test]
    fn a_range_and_a_status_that_changed_are_shown_side_by_side() {
        let (old, _) = csaf::read(OLD.as_bytes()).unwrap();
        let mut new = old.clone();
        new.entries[0].versions = crate::knowledge::Versions::Range("< 99".into());
        let product = old.entries[0].product.clone();
        let lines = difference(&old, &new);
        assert!(lines.iter().any(|it| it.contains(&product) && it.ends_with("is now `< 99`")), "{lines:?}");
        let mut new = old.clone();
        for statement in &mut new.vulnerabilities[0].statements {
            statement.1 = crate::knowledge::Stated::NotAffected;
        }
        let lines = difference(&old, &new);
        assert!(lines[0].ends_with("was known_affected and is known_not_affected"), "{lines:?}");
    }
}
