//! What is shipped to help a person decide: starter rules of well-known families, and spellings of vendors.
//!
//! Neither decides anything. A starter rule makes a candidate with a strong reason; a spelling brings two names of one
//! company together for ranking.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use tracing::error;

use super::map_file::{self, MapRule};
use super::text::folded_vendor;

const RULES: &str = include_str!("../../data/map/starter.toml");
const VENDORS: &str = include_str!("../../data/map/vendors.toml");

/// The starter rules.
pub fn rules() -> &'static [MapRule] {
    static READ: LazyLock<Vec<MapRule>> = LazyLock::new(|| match map_file::read_starter(RULES) {
        Ok(file) => file.rules,
        Err(error) => {
            error!(error = &error as &dyn std::error::Error, "the shipped starter rules cannot be read");
            Vec::new()
        }
    });
    &READ
}

/// The starter rule of that identifier.
pub fn rule(id: &str) -> Option<&'static MapRule> {
    rules().iter().find(|it| it.id == id)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vendors {
    vendor: Vec<Vendor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vendor {
    name: String,
    spellings: Vec<String>,
    #[expect(dead_code, reason = "for whoever reviews the spelling")]
    shown_in: Option<String>,
}

/// One form for all known spellings of a company; the folded name itself where none is known.
pub fn company(name: &str) -> String {
    static GROUPS: LazyLock<HashMap<String, String>> =
        LazyLock::new(|| match toml::from_str::<Vendors>(VENDORS) {
            Ok(read) => read
                .vendor
                .iter()
                .flat_map(|group| {
                    let all = group.spellings.iter().chain([&group.name]);
                    all.map(|it| (folded_vendor(it), folded_vendor(&group.name)))
                })
                .collect(),
            Err(error) => {
                error!(
                    error = &error as &dyn std::error::Error,
                    "the shipped spellings of vendors cannot be read"
                );
                HashMap::new()
            }
        });
    let folded = folded_vendor(name);
    GROUPS.get(&folded).cloned().unwrap_or(folded)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::knowledge::map_file::lint;

    #[test]
    fn every_starter_rule_can_be_read_and_names_its_advisory() {
        let file = map_file::read_starter(RULES).unwrap();
        assert_eq!(file.rules.len(), rules().len());
        assert!(file.rules.len() > 40);
        for rule in rules() {
            assert!(rule.advisory.shown_in.is_some() && rule.signed.author == "Holdpoint", "{}", rule.id);
        }
        assert!(lint(&[file], 0).iter().all(|it| it.severity != map_file::Severity::Error));
    }

    #[test]
    fn no_spelling_stands_in_two_groups() {
        let read: Vendors = toml::from_str(VENDORS).unwrap();
        let mut seen = BTreeSet::new();
        for group in &read.vendor {
            let own: BTreeSet<String> =
                group.spellings.iter().chain([&group.name]).map(|it| folded_vendor(it)).collect();
            for spelling in own {
                assert!(seen.insert(spelling.clone()), "{spelling}");
            }
        }
    }

    #[test]
    fn spellings_of_one_company_are_one_and_strangers_stay_apart() {
        assert_eq!(company("Allen-Bradley"), company("Rockwell Automation, Inc."));
        assert_eq!(company("OSIsoft, LLC"), company("AVEVA"));
        assert_ne!(company("Siemens AG"), company("Schneider Electric"));
        assert_eq!(company("Nobody Ltd."), "nobody");
    }
}
