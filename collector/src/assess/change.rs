//! What a change of knowledge touches: everything, or the products that changed advisories name.
//!
//! An import brings one advisory among thousands. What follows from every other one stays as it was, so it is
//! only renumbered: subjects keep their order, and most rows never hear of the change. A change of rules,
//! requirements or the map may bind anything to anything, and touches everything.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::knowledge::{Advisory, HeldAdvisory, Identity, Knowledge};

use super::index::{Index, at, numbered};
use super::subject::{Of, Subject, SubjectId, Subjects};
use super::verdict::Outcome;

/// See the module.
#[derive(Debug)]
pub(super) enum Difference {
    /// Everything is judged again.
    Everything,
    /// Only what these products are bound to is judged again.
    Products(Products),
}

/// Products of advisories that changed.
#[derive(Debug)]
pub(super) struct Products {
    /// By their numbers in the old index: named by advisories that are no longer held like that.
    pub(super) gone: HashSet<u32>,
    /// By their numbers in the new index: named by advisories that were not held like that.
    pub(super) come: HashSet<u32>,
    /// One of them is a Windows.
    pub(super) windows: bool,
    subjects: Renumbering,
}

impl Difference {
    /// Compares what two indexes were built from.
    pub(super) fn between(old: &Index, new: &Index) -> Self {
        if !rests_on_the_same(&old.knowledge, &new.knowledge) || !binds_the_same(old, new) {
            return Self::Everything;
        }
        let key = |it: &HeldAdvisory| (Arc::as_ptr(&it.advisory), it.superseded);
        let of_new: HashMap<(*const Advisory, bool), u32> =
            numbered(&new.knowledge.advisories).map(|(number, it)| (key(it), number)).collect();
        let moved: Vec<Option<u32>> =
            old.knowledge.advisories.iter().map(|it| of_new.get(&key(it)).copied()).collect();
        let kept: HashSet<u32> = moved.iter().flatten().copied().collect();
        let gone = products_of(old, |advisory| at(&moved, advisory).is_some_and(Option::is_none));
        let come = products_of(new, |advisory| !kept.contains(&advisory));
        let is_windows = |index: &Index, numbers: &HashSet<u32>| {
            numbers.iter().any(|&it| index.product(it).is_some_and(|it| it.identity == Identity::Windows))
        };
        let windows = is_windows(old, &gone) || is_windows(new, &come);
        let subjects = Renumbering::between(&old.subjects, &new.subjects, &moved);
        Self::Products(Products { gone, come, windows, subjects })
    }

    /// Outcomes by the new numbers of their subjects: `Some(None)` when they are the old ones, `None` when one is
    /// gone.
    #[expect(clippy::option_option, reason = "three answers: judge again, keep as it is, or keep this")]
    pub(super) fn renumbered(
        &self,
        outcomes: &[(SubjectId, Outcome)],
    ) -> Option<Option<Vec<(SubjectId, Outcome)>>> {
        match self {
            Self::Everything => None,
            Self::Products(products) if products.keeps_numbers() => {
                outcomes.iter().all(|it| products.subject(it.0).is_some()).then_some(None)
            }
            Self::Products(products) => {
                let new = outcomes.iter().map(|it| Some((products.subject(it.0)?, it.1)));
                new.collect::<Option<Vec<_>>>().map(Some)
            }
        }
    }

    /// Whether what is judged of a Windows has to be judged again.
    pub(super) fn touches_windows(&self) -> bool {
        match self {
            Self::Everything => true,
            Self::Products(products) => products.windows,
        }
    }
}

impl Products {
    /// The new number of a subject.
    pub(super) fn subject(&self, old: SubjectId) -> Option<SubjectId> {
        at(&self.subjects.numbers, old).copied().flatten()
    }

    /// Whether every subject that is not gone has its old number.
    pub(super) fn keeps_numbers(&self) -> bool {
        self.subjects.keeps
    }
}

/// Whether everything beside the advisories that judging rows rests on is the same.
fn rests_on_the_same(old: &Knowledge, new: &Knowledge) -> bool {
    let requirements = old.requirements.len() == new.requirements.len()
        && old
            .requirements
            .iter()
            .zip(&new.requirements)
            .all(|(one, two)| Arc::ptr_eq(&one.requirement, &two.requirement));
    let maps = old.maps.len() == new.maps.len()
        && old.maps.iter().zip(&new.maps).all(|(one, two)| Arc::ptr_eq(&one.content, &two.content));
    requirements && maps && (Arc::ptr_eq(&old.rules, &new.rules) || old.rules == new.rules)
}

/// Whether the same rules are valid. One that has expired, or a clock that was set back, changes that.
fn binds_the_same(old: &Index, new: &Index) -> bool {
    new.built_ms >= old.built_ms && old.good_until_ms.is_none_or(|it| new.built_ms < it)
}

fn products_of(index: &Index, changed: impl Fn(u32) -> bool) -> HashSet<u32> {
    let named = numbered(&index.products).filter(|it| it.1.places.iter().any(|it| changed(it.advisory)));
    named.map(|it| it.0).collect()
}

/// The new number of every old subject.
#[derive(Debug)]
struct Renumbering {
    /// By the old number; `None` when it is gone or may have another meaning.
    numbers: Vec<Option<SubjectId>>,
    /// None has another number than before.
    keeps: bool,
}

impl Renumbering {
    /// Both are ascending by text, so one walk finds those that have another number; several subjects may have one
    /// text, and are then told apart by where they come from.
    fn between(old: &Subjects, new: &Subjects, moved: &[Option<u32>]) -> Self {
        let mut found = Self { numbers: vec![None; old.end()], keeps: true };
        let mut start = 0;
        for (number, subject) in old.iter() {
            let is_it = |it: &Subject| is_moved(subject.of, it.of, moved);
            let now = if new.get(number).is_some_and(is_it) {
                Some(number)
            } else {
                while new.all().get(start).is_some_and(|it| it.text < subject.text) {
                    start += 1;
                }
                let alike = new.all().get(start..).unwrap_or_default();
                let mut alike = alike.iter().take_while(|it| it.text == subject.text);
                alike.position(is_it).and_then(|it| new.number(start + it))
            };
            found.keeps &= now.is_none_or(|it| it == number);
            if let Some(slot) = usize::try_from(number).ok().and_then(|it| found.numbers.get_mut(it)) {
                *slot = now;
            }
        }
        found
    }
}

/// Whether an old place in the knowledge is now that new one. Requirements are the same in both.
fn is_moved(old: Of, new: Of, moved: &[Option<u32>]) -> bool {
    match (old, new) {
        (Of::Requirement(one), Of::Requirement(two)) => one == two,
        (
            Of::Entry { advisory, vulnerability, entry, .. },
            Of::Entry { advisory: new_advisory, vulnerability: new_vulnerability, entry: new_entry, .. },
        ) => {
            at(moved, advisory).copied().flatten() == Some(new_advisory)
                && (vulnerability, entry) == (new_vulnerability, new_entry)
        }
        (Of::Requirement(_), Of::Entry { .. }) | (Of::Entry { .. }, Of::Requirement(_)) => false,
    }
}
