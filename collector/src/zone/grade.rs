//! How far evidence can be trusted, by the way in which it came.
//!
//! Source of the five grades: the glossary's "evidence grade". A grade belongs to the rows of a section;
//! what rests on several has the lowest of theirs. It says nothing about what the rows say.

use std::fmt;

use holdpoint_common::proto::store::{AssetRecord, Grade as Kept, SectionState};

/// A grade, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// An agent over its link, with a key that cannot leave the machine.
    A,
    /// An agent over its link, with a key in a file.
    B,
    /// A one-shot that the agent signed: whole and its own, but nobody asked for it, so it proves no moment.
    C,
    /// A one-shot that only the person who brought it speaks for.
    D,
    /// A person's word.
    E,
}

impl Grade {
    /// The letter in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::E => "E",
        }
    }

    /// What the letter means.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::A => "an agent over its link, with a key that cannot leave the machine",
            Self::B => "an agent over its link",
            Self::C => "a one-shot that the agent signed",
            Self::D => "a one-shot that only who brought it speaks for",
            Self::E => "a person's word",
        }
    }

    /// The grade of a section's rows. What was kept before grades were came over a link; a grade of a newer
    /// collector counts as the lowest.
    pub fn of(state: &SectionState) -> Self {
        Self::of_kept(state.grade)
    }

    /// The grade as records keep it.
    pub fn of_kept(grade: i32) -> Self {
        match Kept::try_from(grade) {
            Ok(Kept::A) => Self::A,
            Ok(Kept::Unspecified | Kept::B) => Self::B,
            Ok(Kept::C) => Self::C,
            Ok(Kept::D) => Self::D,
            Ok(Kept::E) | Err(_) => Self::E,
        }
    }

    /// The lowest grade among what is shown of an asset; `None` when nothing is.
    pub fn of_asset(record: &AssetRecord) -> Option<Self> {
        record.sections.iter().filter_map(|it| it.shown.as_ref()).map(Self::of).max()
    }

    /// Whether the rows came by themselves, over an agent's own link.
    pub fn is_link(self) -> bool {
        self <= Self::B
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Grade> for i32 {
    fn from(grade: Grade) -> Self {
        match grade {
            Grade::A => Kept::A,
            Grade::B => Kept::B,
            Grade::C => Kept::C,
            Grade::D => Kept::D,
            Grade::E => Kept::E,
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdpoint_common::proto::store::HeldRecord;

    fn state(grade: i32) -> SectionState {
        SectionState { grade, ..SectionState::default() }
    }

    #[test]
    fn a_grade_is_read_back_and_an_unknown_one_is_the_lowest() {
        for grade in [Grade::A, Grade::B, Grade::C, Grade::D, Grade::E] {
            assert_eq!(Grade::of(&state(grade.into())), grade);
        }
        assert_eq!(Grade::of(&state(0)), Grade::B, "records of before");
        assert_eq!(Grade::of(&state(77)), Grade::E);
    }

    #[test]
    fn an_asset_is_as_good_as_its_weakest_section() {
        let held = |grade: Grade| HeldRecord { shown: Some(state(grade.into())), ..HeldRecord::default() };
        let mut record = AssetRecord { sections: vec![held(Grade::B)], ..AssetRecord::default() };
        assert_eq!(Grade::of_asset(&record), Some(Grade::B));
        record.sections.push(held(Grade::D));
        assert_eq!(Grade::of_asset(&record), Some(Grade::D));
        assert_eq!(Grade::of_asset(&AssetRecord::default()), None);
    }
}
