//! Entries of one product in one vulnerability that are not about the same versions.
//!
//! Such entries speak of lines that their text does not tell apart; a version that is inside one of them and
//! outside another one is UNKNOWN(sibling-conflict).

use std::collections::BTreeMap;

use holdpoint_common::version::range::Range;

use super::super::text::{folded, folded_vendor};
use super::super::{Advisory, Entry, Identity, Stated, Versions, Vulnerability};
use super::{Fault, FaultKind};

/// Most ranges that a sentence quotes.
const QUOTED: usize = 4;

pub(super) fn faults(advisory: &Advisory, vulnerability: &Vulnerability) -> Vec<Fault> {
    let mut products: BTreeMap<(String, String), Vec<&Entry>> = BTreeMap::new();
    for (position, stated) in &vulnerability.statements {
        let entry = usize::try_from(*position).ok().and_then(|it| advisory.entries.get(it));
        let Some(entry) = entry.filter(|it| *stated == Stated::Affected && it.identity == Identity::Named)
        else {
            continue;
        };
        let key = (folded_vendor(&entry.vendor), folded(&entry.product));
        products.entry(key).or_default().push(entry);
    }
    let disagree = products.into_values().filter_map(|entries| {
        let first = *entries.first()?;
        let mut texts: Vec<String> = Vec::new();
        for entry in &entries {
            let text = entry.versions.text().into_owned();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        // One exact version each is a list that was written in several lines.
        let all_exact =
            entries.iter().all(|it| matches!(&it.versions, Versions::One(text) if is_exact(text)));
        if texts.len() < 2 || all_exact {
            return None;
        }
        let more = texts.len().saturating_sub(QUOTED);
        texts.truncate(QUOTED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = format!(
            "{} entries say `{}`{more}: a version inside one and outside another is not decided",
            entries.len(),
            texts.join("`, `")
        );
        // The same product in the same words is one matter, whichever vulnerability it is about.
        Some(Fault::new(FaultKind::Siblings, first, None, &text))
    });
    disagree.collect()
}

fn is_exact(text: &str) -> bool {
    matches!(Range::parse(text), Range::Constraints(it)
        if it.list().iter().all(|it| it.operator == holdpoint_common::version::range::Operator::Equal))
}
