//! What a rule says of an asset: six words, and why.

use std::fmt;
use std::str::FromStr;

/// The six words of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// What is expected is there.
    Pass,
    /// Something else is there.
    Fail,
    /// Something else is there, and somebody answers for it until a day.
    Exception,
    /// The rule is not about this asset.
    NotApplicable,
    /// Nobody can say; the reason says what is missing.
    NotChecked,
    /// The fact is there and could not be read.
    Error,
}

/// All of them, in the order in which they are counted.
pub const VERDICTS: [Verdict; 6] = [
    Verdict::Pass,
    Verdict::Fail,
    Verdict::Exception,
    Verdict::NotApplicable,
    Verdict::NotChecked,
    Verdict::Error,
];

impl Verdict {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Exception => "EXCEPTION",
            Self::NotApplicable => "NOT_APPLICABLE",
            Self::NotChecked => "NOT_CHECKED",
            Self::Error => "ERROR",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is none of the six.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no result; results are PASS, FAIL, EXCEPTION, NOT_APPLICABLE, NOT_CHECKED and ERROR")]
pub struct UnknownResult(String);

impl FromStr for Verdict {
    type Err = UnknownResult;

    fn from_str(word: &str) -> Result<Self, UnknownResult> {
        VERDICTS
            .into_iter()
            .find(|it| it.as_str().eq_ignore_ascii_case(word))
            .ok_or_else(|| UnknownResult(crate::knowledge::text::shown(word, 40)))
    }
}

/// Why nobody can say. A closed list: programs branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Missing {
    /// The asset never sent the section.
    SectionMissing,
    /// The newest attempt did not read everything.
    SectionIncomplete,
    /// Nothing was heard of the asset for too long.
    InventoryStale,
    /// The rows are held and cannot be read just now.
    RowsUnreadable,
    /// Which family of systems it is, is not known.
    SystemUnknown,
    /// What an absent fact means depends on a build that is not known.
    BuildUnknown,
    /// An image or a disk was looked at; the fact is one of a system that runs.
    NotRunning,
    /// The agent says nothing of this fact.
    FactMissing,
    /// The fact is absent, and what that means is not certain.
    AbsenceUndetermined,
    /// Reading the fact needs more rights than the agent has.
    Denied,
    /// A list was cut: what is not in it may be in the rest.
    ListCut,
    /// Nobody approved a baseline.
    NoBaseline,
    /// There is no list of what vendors still support.
    NoLifecycle,
    /// Only the collector could know it, and it does not yet.
    NotCollected,
    /// No agent reads it.
    NotReported,
    /// The site has still to say what it expects.
    NoSiteRule,
    /// The site takes it out.
    Disabled,
}

impl Missing {
    /// The code at the beginning of a reason.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SectionMissing => "section-missing",
            Self::SectionIncomplete => "section-incomplete",
            Self::InventoryStale => "inventory-stale",
            Self::RowsUnreadable => "rows-unreadable",
            Self::SystemUnknown => "system-unknown",
            Self::BuildUnknown => "build-unknown",
            Self::NotRunning => "not-running",
            Self::FactMissing => "fact-missing",
            Self::AbsenceUndetermined => "absence-undetermined",
            Self::Denied => "denied",
            Self::ListCut => "list-cut",
            Self::NoBaseline => "no-baseline",
            Self::NoLifecycle => "no-lifecycle",
            Self::NotCollected => "not-collected",
            Self::NotReported => "not-reported",
            Self::NoSiteRule => "no-site-rule",
            Self::Disabled => "disabled",
        }
    }

    /// What is missing, in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::SectionMissing => "the asset never sent what this rests on",
            Self::SectionIncomplete => "the newest scan did not read everything",
            Self::InventoryStale => "nothing was heard of the asset for too long",
            Self::RowsUnreadable => "what is held cannot be read at this moment",
            Self::SystemUnknown => "which system this is, is not known",
            Self::BuildUnknown => "what its absence means depends on a build that is not known",
            Self::NotRunning => "only a system that runs can say it",
            Self::FactMissing => "the agent says nothing of it",
            Self::AbsenceUndetermined => "it is not there, and what that means is not certain",
            Self::Denied => "the agent may not read it",
            Self::ListCut => "the list is longer than what was sent",
            Self::NoBaseline => "no baseline of this asset is approved",
            Self::NoLifecycle => "no list of supported versions is held",
            Self::NotCollected => "the collector does not keep this yet",
            Self::NotReported => "no agent reads this yet",
            Self::NoSiteRule => "the site has still to say what it expects",
            Self::Disabled => "the site does not check it",
        }
    }
}

/// Why a rule is not about an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Elsewhere {
    /// It is about another family of systems; such answers are not even listed.
    OtherSystem,
    /// Roles, levels, tags, builds or products that this asset does not have.
    OtherAsset,
    /// What it is about is not installed or not switched on.
    NothingThere,
    /// A profile says so.
    Profile,
}

/// What follows from facts alone; exceptions are laid over it, because they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// What is expected is there.
    Pass,
    /// Something else is there.
    Fail,
    /// The rule is not about this asset.
    NotApplicable(Elsewhere),
    /// Nobody can say.
    NotChecked(Missing),
    /// The fact is there and could not be read, or is of another type than the rule expects.
    Error,
}

impl Outcome {
    /// The word, without exceptions.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Pass => Verdict::Pass,
            Self::Fail => Verdict::Fail,
            Self::NotApplicable(_) => Verdict::NotApplicable,
            Self::NotChecked(_) => Verdict::NotChecked,
            Self::Error => Verdict::Error,
        }
    }

    /// All of them must hold: the worst that is certain decides, then what is not certain.
    pub fn all(outcomes: impl IntoIterator<Item = Self>) -> Self {
        decided(outcomes, |it| match it {
            Self::Fail => 4,
            Self::Error => 3,
            Self::NotChecked(_) => 2,
            Self::Pass => 1,
            Self::NotApplicable(_) => 0,
        })
    }

    /// One of them is enough.
    pub fn any(outcomes: impl IntoIterator<Item = Self>) -> Self {
        decided(outcomes, |it| match it {
            Self::Pass => 4,
            Self::Error => 3,
            Self::NotChecked(_) => 2,
            Self::Fail => 1,
            Self::NotApplicable(_) => 0,
        })
    }
}

/// The first one of the highest rank; nothing at all is nothing that anybody could have checked.
fn decided(outcomes: impl IntoIterator<Item = Outcome>, rank: impl Fn(Outcome) -> u8) -> Outcome {
    let mut decided: Option<Outcome> = None;
    for outcome in outcomes {
        if decided.is_none_or(|it| rank(outcome) > rank(it)) {
            decided = Some(outcome);
        }
    }
    decided.unwrap_or(Outcome::NotChecked(Missing::FactMissing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubt_beats_what_is_good_and_yields_to_what_is_certain() {
        let doubt = Outcome::NotChecked(Missing::Denied);
        assert_eq!(Outcome::all([Outcome::Pass, doubt]), doubt);
        assert_eq!(Outcome::all([doubt, Outcome::Fail]), Outcome::Fail);
        assert_eq!(Outcome::any([Outcome::Fail, doubt]), doubt);
        assert_eq!(Outcome::any([doubt, Outcome::Pass]), Outcome::Pass);
        assert_eq!(Outcome::all([]), Outcome::NotChecked(Missing::FactMissing), "nothing is no pass");
        assert_eq!(Outcome::any([Outcome::Fail, Outcome::Error]), Outcome::Error);
    }

    #[test]
    fn words_read_back_in_any_case() {
        for verdict in VERDICTS {
            assert_eq!(verdict.as_str().to_lowercase().parse(), Ok(verdict));
        }
        assert!("GOOD".parse::<Verdict>().is_err());
    }
}
