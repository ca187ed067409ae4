//! What findings can be about, each with a number: sorting numbers sorts subjects by their texts.
//!
//! Numbers have room between documents. An advisory that comes among thousands takes numbers that nobody had, so that
//! whoever holds the others need not hear of it.

use std::ops::Range;
use std::sync::Arc;

use super::index::at;

/// Number of a subject.
pub(super) type SubjectId = u32;

/// Numbers that are left free behind each document, at least; a large one has as much room again as it takes.
const ROOM: usize = 32;
/// A number that no subject has.
const FREE: u32 = u32::MAX;

/// What a finding can be about.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// `ADVISORY/CVE/ENTRY`, or a requirement's identifier.
    pub(super) text: Arc<str>,
    pub(super) of: Of,
}

impl Subject {
    /// The advisory that it is of; `None` for a requirement.
    fn document(&self) -> Option<u32> {
        match self.of {
            Of::Requirement(_) => None,
            Of::Entry { advisory, .. } => Some(advisory),
        }
    }
}

/// Where a subject comes from, as positions in the knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Requirement(u32),
    Entry { advisory: u32, vulnerability: u32, entry: u32, product: u32 },
}

/// Every subject of an index.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    /// In the order of their texts.
    all: Vec<Subject>,
    /// The number of each, ascending.
    numbers: Vec<SubjectId>,
    /// By number, the position of its subject; [`FREE`] where there is none.
    positions: Vec<u32>,
}

impl Subjects {
    /// Numbers subjects, which are in the order of their texts. One that had a number keeps it, if there is room between
    /// those for the others; otherwise all are numbered anew.
    pub(super) fn numbered(sorted: Vec<(Subject, Option<SubjectId>)>) -> Self {
        let numbers = kept(&sorted).unwrap_or_else(|| anew(&sorted));
        let end = numbers.last().map_or(0, |it| it + 1);
        let mut positions = vec![FREE; usize::try_from(end).unwrap_or(0)];
        for (position, number) in (0..).zip(&numbers) {
            if let Some(slot) = usize::try_from(*number).ok().and_then(|it| positions.get_mut(it)) {
                *slot = position;
            }
        }
        let all = sorted.into_iter().map(|it| it.0).collect();
        Self { all, numbers, positions }
    }

    pub(super) fn get(&self, number: SubjectId) -> Option<&Subject> {
        at(&self.all, *at(&self.positions, number)?)
    }

    /// Every subject with its number, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SubjectId, &Subject)> {
        self.numbers.iter().copied().zip(&self.all)
    }

    /// The first number behind all.
    pub(super) fn end(&self) -> usize {
        self.positions.len()
    }

    /// Every subject, in the order of the texts.
    pub(super) fn all(&self) -> &[Subject] {
        &self.all
    }

    /// The number of the subject at a position.
    pub(super) fn number(&self, position: usize) -> Option<SubjectId> {
        self.numbers.get(position).copied()
    }

    /// Numbers of the subjects whose texts start with `beginning`; whichever lie between are free.
    pub(super) fn starting_with(&self, beginning: &str) -> Range<SubjectId> {
        self.alike(beginning, |it| it.starts_with(beginning))
    }

    /// Numbers of the subjects whose text is this one; whichever lie between are free.
    pub(super) fn called(&self, text: &str) -> Range<SubjectId> {
        self.alike(text, |it| it == text)
    }

    fn alike(&self, from: &str, is_alike: impl Fn(&str) -> bool) -> Range<SubjectId> {
        let start = self.all.partition_point(|it| &*it.text < from);
        let behind = self.all.get(start..).unwrap_or_default();
        let count = behind.iter().take_while(|it| is_alike(&it.text)).count();
        let numbers = self.numbers.get(start..start + count).unwrap_or_default();
        numbers.first().zip(numbers.last()).map_or(0..0, |(first, last)| *first..*last + 1)
    }
}

/// The numbers of before with others in the room between them; `None` when there is too little, or none had one.
fn kept(sorted: &[(Subject, Option<SubjectId>)]) -> Option<Vec<SubjectId>> {
    sorted.iter().any(|it| it.1.is_some()).then_some(())?;
    let mut numbers: Vec<SubjectId> = Vec::with_capacity(sorted.len());
    let mut free: SubjectId = 0;
    for run in sorted.chunk_by(|one, two| one.1.is_none() && two.1.is_none()) {
        let end = match run {
            [(_, Some(old))] if *old < free => return None,
            [(_, Some(old))] => {
                numbers.push(*old);
                old.checked_add(1)?
            }
            run => {
                let end = free.checked_add(u32::try_from(run.len()).ok()?)?;
                let next = sorted.get(numbers.len() + run.len()).and_then(|it| it.1);
                if next.is_some_and(|it| end > it) {
                    return None;
                }
                numbers.extend(free..end);
                end
            }
        };
        free = end;
    }
    Some(numbers)
}

/// Numbers with room behind each document; without any where there are too many.
fn anew(sorted: &[(Subject, Option<SubjectId>)]) -> Vec<SubjectId> {
    let mut numbers = Vec::with_capacity(sorted.len());
    let mut free: usize = 0;
    for document in sorted.chunk_by(|one, two| one.0.document() == two.0.document()) {
        numbers.extend((free..free + document.len()).map(|it| u32::try_from(it).unwrap_or(FREE)));
        free += document.len() + document.len().max(ROOM);
    }
    if free < usize::try_from(FREE).unwrap_or(usize::MAX) {
        return numbers;
    }
    (0..FREE).take(sorted.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(advisory: u32, text: &str) -> Subject {
        let of = Of::Entry { advisory, vulnerability: 0, entry: 0, product: 0 };
        Subject { text: text.into(), of }
    }

    fn texts(subjects: &Subjects) -> Vec<(SubjectId, &str)> {
        subjects.iter().map(|(number, it)| (number, &*it.text)).collect()
    }

    #[test]
    fn what_comes_between_takes_free_numbers_and_moves_nothing() {
        let first = Subjects::numbered(vec![
            (subject(0, "a/1"), None),
            (subject(0, "a/2"), None),
            (subject(1, "c/1"), None),
        ]);
        assert_eq!(texts(&first), [(0, "a/1"), (1, "a/2"), (34, "c/1")]);
        let old = |it: SubjectId| (first.get(it).unwrap().clone(), Some(it));
        let second = Subjects::numbered(vec![
            old(0),
            old(1),
            (subject(2, "b/1"), None),
            (subject(2, "b/2"), None),
            old(34),
            (subject(3, "d/1"), None),
        ]);
        let wanted = [(0, "a/1"), (1, "a/2"), (2, "b/1"), (3, "b/2"), (34, "c/1"), (35, "d/1")];
        assert_eq!(texts(&second), wanted);
        for (number, text) in wanted {
            assert_eq!(second.get(number).map(|it| &*it.text), Some(text));
        }
        assert!(second.get(4).is_none() && second.get(36).is_none());
    }

    #[test]
    fn where_there_is_no_room_all_are_numbered_anew_and_in_order() {
        let mut sorted: Vec<_> = [0, 33].into_iter().zip([subject(0, "a"), subject(1, "z")]).collect();
        for round in 0..200_u32 {
            let mut next: Vec<(Subject, Option<SubjectId>)> =
                sorted.iter().map(|(number, it)| (it.clone(), Some(*number))).collect();
            // Each time behind the first: the room there is used up again and again.
            next.insert(1, (subject(2 + round, &format!("b{:03}", 999 - round)), None));
            let subjects = Subjects::numbered(next);
            let numbers: Vec<SubjectId> = subjects.iter().map(|it| it.0).collect();
            assert!(numbers.is_sorted_by(|one, two| one < two), "{numbers:?}");
            assert!(subjects.all().is_sorted_by(|one, two| one.text < two.text));
            sorted = subjects.iter().map(|(number, it)| (number, it.clone())).collect();
        }
        assert_eq!(sorted.len(), 202);
    }

    #[test]
    fn ranges_hold_what_is_alike_and_nothing_else() {
        let names = ["a/1", "a/1", "a/10", "a/2", "b/1"];
        let numbered = |(advisory, it): (u32, &&str)| (subject(advisory, it), None);
        let subjects = Subjects::numbered((0..).zip(&names).map(numbered).collect());
        let within = |range: Range<SubjectId>| -> Vec<&str> {
            range.filter_map(|it| subjects.get(it)).map(|it| &*it.text).collect()
        };
        assert_eq!(within(subjects.called("a/1")), ["a/1", "a/1"]);
        assert_eq!(within(subjects.starting_with("a/1")), ["a/1", "a/1", "a/10"]);
        assert_eq!(within(subjects.starting_with("a/")), ["a/1", "a/1", "a/10", "a/2"]);
        assert!(within(subjects.called("a")).is_empty() && within(subjects.starting_with("c")).is_empty());
    }
}
