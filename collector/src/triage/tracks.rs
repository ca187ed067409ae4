//! Suppliers' statements by the patches and products that they name.
//!
//! A statement is about a finding when it names the finding's vulnerability, advisory or update as its patch. What only
//! names the same product is shown beside it and decides nothing.

use std::collections::HashMap;
use std::sync::Arc;

use crate::knowledge::statement::{Statement, SupplierState};
use crate::knowledge::text::{folded, folded_vendor};
use crate::knowledge::{Knowledge, Source};

/// See the module.
#[derive(Debug, Default)]
pub struct Tracks {
    knowledge: Arc<Knowledge>,
    by_patch: HashMap<String, Vec<(usize, usize)>>,
    by_product: HashMap<String, Vec<(usize, usize)>>,
}

impl Tracks {
    /// Arranges what is known.
    pub fn of(knowledge: &Arc<Knowledge>) -> Self {
        let mut tracks = Self { knowledge: Arc::clone(knowledge), ..Self::default() };
        for (list, held) in knowledge.statements.iter().enumerate() {
            for (line, said) in held.content.stated.iter().enumerate() {
                tracks.by_patch.entry(key(&said.patch)).or_default().push((list, line));
                if !said.product.is_empty() {
                    tracks.by_product.entry(folded(&said.product)).or_default().push((list, line));
                }
            }
        }
        tracks
    }

    fn at(&self, (list, line): (usize, usize)) -> Option<(&Statement, &Arc<Source>)> {
        let held = self.knowledge.statements.get(list)?;
        Some((held.content.stated.get(line)?, &held.source))
    }

    /// What is stated of a patch, newest list first, each product and version once.
    pub fn of_patch(&self, patch: &str) -> Vec<(&Statement, &Arc<Source>)> {
        current(self.by_patch.get(&key(patch)).into_iter().flatten().rev().filter_map(|it| self.at(*it)))
    }

    /// What is stated of patches for a product, newest list first, each patch and version once.
    pub fn of_product(&self, vendor: &str, product: &str) -> Vec<(&Statement, &Arc<Source>)> {
        let same_vendor = |it: &Statement| {
            it.vendor.is_empty() || vendor.is_empty() || folded_vendor(&it.vendor) == folded_vendor(vendor)
        };
        let found = self.by_product.get(&folded(product)).into_iter().flatten().rev();
        current(found.filter_map(|it| self.at(*it)).filter(|it| same_vendor(it.0)))
    }

    /// Everything, newest list first; with each statement whether no later list says anything else of the same.
    pub fn all(&self) -> Vec<(&Statement, &Arc<Source>, Option<&str>, bool)> {
        let mut seen = std::collections::HashSet::new();
        let mut found = Vec::new();
        for held in self.knowledge.statements.iter().rev() {
            for said in &held.content.stated {
                let newest = seen.insert(identity(said));
                found.push((said, &held.source, held.content.mapping.as_deref(), newest));
            }
        }
        found
    }
}

/// The state that counts where several are stated: the one that leaves most to do.
pub fn worst(stated: &[&Statement]) -> Option<SupplierState> {
    const WORST_FIRST: [SupplierState; 11] = [
        SupplierState::NotApproved,
        SupplierState::Withdrawn,
        SupplierState::Undetermined,
        SupplierState::NoStatement,
        SupplierState::InTest,
        SupplierState::Available,
        SupplierState::Superseded,
        SupplierState::ApprovedConditional,
        SupplierState::Approved,
        SupplierState::Released,
        SupplierState::NotApplicable,
    ];
    WORST_FIRST.into_iter().find(|state| stated.iter().any(|it| it.state == *state))
}

fn current<'a>(
    newest_first: impl Iterator<Item = (&'a Statement, &'a Arc<Source>)>,
) -> Vec<(&'a Statement, &'a Arc<Source>)> {
    let mut seen = std::collections::HashSet::new();
    newest_first.filter(|it| seen.insert(identity(it.0))).collect()
}

fn identity(said: &Statement) -> (String, String, String, String) {
    let versions = said.versions.as_deref().unwrap_or_default();
    (key(&said.patch), folded_vendor(&said.vendor), folded(&said.product), folded(versions))
}

/// A patch's name without case and blanks; a Microsoft article is the same with and without its letters.
fn key(patch: &str) -> String {
    let plain: String = patch.chars().filter(|it| !it.is_whitespace()).flat_map(char::to_uppercase).collect();
    if !plain.is_empty() && plain.len() >= 6 && plain.bytes().all(|it| it.is_ascii_digit()) {
        return format!("KB{plain}");
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::super::inputs::tests::source;
    use super::*;
    use crate::knowledge::{Held, statement};

    #[test]
    fn a_later_list_goes_before_an_earlier_one_and_takes_nothing_away() {
        let list = |file: &str, text: &str| Held {
            content: Arc::new(
                statement::recognise(text.as_bytes(), text, &Knowledge::default()).unwrap().unwrap().0,
            ),
            source: source(file),
        };
        let first = "vendor,product,version,patch,state\nR,View SE,13,KB5031356,InTest\nR,View SE,12,5031356,Approved\n";
        let second = "vendor,product,version,patch,state\nR,View SE,13,kb 5031356,NotApproved\n";
        let statements = vec![list("1.csv", first), list("2.csv", second)];
        let tracks = Tracks::of(&Arc::new(Knowledge { statements, ..Knowledge::default() }));
        let said: Vec<_> = tracks.of_patch("KB5031356").iter().map(|it| it.0.state.as_str()).collect();
        assert_eq!(said, ["NotApproved", "Approved"]);
        assert_eq!(tracks.all().iter().filter(|it| !it.3).count(), 1, "the earlier word is still there");
        assert_eq!(tracks.of_product("R", "view se").len(), 2);
        assert!(tracks.of_product("Other Corp", "view se").is_empty() && tracks.of_patch("KB1").is_empty());
        let found = tracks.of_patch("KB5031356");
        let lent: Vec<_> = found.iter().map(|it| it.0).collect();
        assert_eq!(worst(&lent), Some(SupplierState::NotApproved));
        assert_eq!(worst(&[]), None);
    }
}
