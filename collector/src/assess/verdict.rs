//! The words of a finding: six verdicts, and the closed list of reasons for not knowing.

use std::fmt;
use std::str::FromStr;

/// What is said of one asset and one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The asset has what the requirement or advisory is about, in a version that is concerned.
    Affected,
    /// The fix is on disk and not in effect.
    InstalledNotLive,
    /// Nobody can tell from what is known; the reason says why.
    Unknown,
    /// The required or fixed version is installed.
    Fixed,
    /// The product is installed in a version that is not concerned.
    NotAffected,
    /// Nothing of that product was found in a complete inventory.
    NoProduct,
}

/// Every verdict, worst first.
pub const VERDICTS: [Verdict; 6] = [
    Verdict::Affected,
    Verdict::InstalledNotLive,
    Verdict::Unknown,
    Verdict::Fixed,
    Verdict::NotAffected,
    Verdict::NoProduct,
];

impl Verdict {
    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Affected => "AFFECTED",
            Self::InstalledNotLive => "INSTALLED_NOT_LIVE",
            Self::Unknown => "UNKNOWN",
            Self::Fixed => "FIXED",
            Self::NotAffected => "NOT_AFFECTED",
            Self::NoProduct => "NO_PRODUCT",
        }
    }

    /// Whether somebody has to act or to look.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Affected | Self::InstalledNotLive | Self::Unknown)
    }

    /// Whether the verdict lets somebody stop worrying.
    pub fn is_good(self) -> bool {
        !self.is_open()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is none of the six verdicts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no such verdict: use AFFECTED, INSTALLED_NOT_LIVE, FIXED, NOT_AFFECTED, UNKNOWN or NO_PRODUCT"
)]
pub struct UnknownVerdict;

impl FromStr for Verdict {
    type Err = UnknownVerdict;

    fn from_str(text: &str) -> Result<Self, UnknownVerdict> {
        VERDICTS.into_iter().find(|it| it.as_str().eq_ignore_ascii_case(text)).ok_or(UnknownVerdict)
    }
}

/// Why a verdict is what it is, where a verdict needs a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The names are alike and nobody has confirmed that the products are the same.
    IdentityUnconfirmed,
    /// The source did not say which version is installed.
    VersionMissing,
    /// The scheme cannot order the two versions.
    VersionNotComparable,
    /// The advisory's range cannot be read.
    RangeUnparsed,
    /// The range holds only under a condition that is not known.
    RangeConditional,
    /// Entries for the same product disagree about the installed version.
    SiblingConflict,
    /// The statement is about another maintained branch than the installed one.
    BranchUnknown,
    /// The product's name states a line that the installed product was not shown to be of.
    LineUnbound,
    /// It is not known which release track the product follows.
    TrackUnknown,
    /// What is in effect shows only after a restart.
    RestartPending,
    /// The section that decides could not be read completely.
    SectionIncomplete,
    /// The asset did not call for too long.
    InventoryStale,
    /// The newest import of this kind is too old.
    FeedStale,
    /// The advisory does not decide yet, or is known to be outdated.
    AdvisoryOutdated,
    /// The advisory, or the revision that said so, was withdrawn.
    AdvisoryWithdrawn,
    /// No valid rule says what the product is called where it is installed.
    NoMapRule,
}

/// Every reason.
pub const REASONS: [Reason; 16] = [
    Reason::IdentityUnconfirmed,
    Reason::VersionMissing,
    Reason::VersionNotComparable,
    Reason::RangeUnparsed,
    Reason::RangeConditional,
    Reason::SiblingConflict,
    Reason::BranchUnknown,
    Reason::LineUnbound,
    Reason::TrackUnknown,
    Reason::RestartPending,
    Reason::SectionIncomplete,
    Reason::InventoryStale,
    Reason::FeedStale,
    Reason::AdvisoryOutdated,
    Reason::AdvisoryWithdrawn,
    Reason::NoMapRule,
];

impl Reason {
    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IdentityUnconfirmed => "identity-unconfirmed",
            Self::VersionMissing => "version-missing",
            Self::VersionNotComparable => "version-not-comparable",
            Self::RangeUnparsed => "range-unparsed",
            Self::RangeConditional => "range-conditional",
            Self::SiblingConflict => "sibling-conflict",
            Self::BranchUnknown => "branch-unknown",
            Self::LineUnbound => "line-unbound",
            Self::TrackUnknown => "track-unknown",
            Self::RestartPending => "restart-pending",
            Self::SectionIncomplete => "section-incomplete",
            Self::InventoryStale => "inventory-stale",
            Self::FeedStale => "feed-stale",
            Self::AdvisoryOutdated => "advisory-outdated",
            Self::AdvisoryWithdrawn => "advisory-withdrawn",
            Self::NoMapRule => "no-map-rule",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A verdict with its reason. Only the functions here make one, so UNKNOWN never lacks a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outcome {
    verdict: Verdict,
    reason: Option<Reason>,
}

impl Outcome {
    /// The product is concerned.
    pub const AFFECTED: Self = Self { verdict: Verdict::Affected, reason: None };
    /// The fix is there and in effect.
    pub const FIXED: Self = Self { verdict: Verdict::Fixed, reason: None };
    /// The product is there and not concerned.
    pub const NOT_AFFECTED: Self = Self { verdict: Verdict::NotAffected, reason: None };
    /// The product is not there.
    pub const NO_PRODUCT: Self = Self { verdict: Verdict::NoProduct, reason: None };
    /// The fix is on disk, and something that was started before it still runs.
    pub const OLD_CODE: Self = Self { verdict: Verdict::InstalledNotLive, reason: None };
    /// The fix is on disk and waits for a restart.
    pub const RESTART_PENDING: Self =
        Self { verdict: Verdict::InstalledNotLive, reason: Some(Reason::RestartPending) };

    /// Every outcome, each at its [`Self::number`].
    pub(super) const ALL: [Self; VERDICTS.len() + REASONS.len()] = {
        let mut all = [Self::NO_PRODUCT; VERDICTS.len() + REASONS.len()];
        all[0] = Self::AFFECTED;
        all[1] = Self::OLD_CODE;
        all[2] = Self::RESTART_PENDING;
        all[3] = Self::FIXED;
        all[4] = Self::NOT_AFFECTED;
        let mut reason = 0;
        while reason < REASONS.len() {
            all[VERDICTS.len() + reason] = Self::unknown(REASONS[reason]);
            reason += 1;
        }
        all
    };

    /// Nobody can tell.
    pub const fn unknown(reason: Reason) -> Self {
        Self { verdict: Verdict::Unknown, reason: Some(reason) }
    }

    /// The verdict.
    pub fn verdict(self) -> Verdict {
        self.verdict
    }

    /// Its reason; `None` where the verdict needs none.
    pub fn reason(self) -> Option<Reason> {
        self.reason
    }

    /// Its position in [`Self::ALL`].
    pub(super) fn number(self) -> usize {
        match (self.verdict, self.reason) {
            (Verdict::Affected, _) => 0,
            (Verdict::InstalledNotLive, None) => 1,
            (Verdict::InstalledNotLive, Some(_)) => 2,
            (Verdict::Fixed, _) => 3,
            (Verdict::NotAffected, _) => 4,
            (Verdict::NoProduct, _) | (Verdict::Unknown, None) => 5,
            // In the order of their declaration.
            (Verdict::Unknown, Some(reason)) => VERDICTS.len() + reason as usize,
        }
    }

    /// What holds for two instances together: the worse of the two.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        self.min(other)
    }

    /// The outcome where good news may not be believed. Bad news and other doubts stay as they are.
    #[must_use]
    pub fn doubt_good(self, reason: Reason) -> Self {
        if self.verdict.is_good() { Self::unknown(reason) } else { self }
    }

    /// The outcome where the facts themselves may be outdated. Other doubts keep their own reason.
    #[must_use]
    pub fn doubt_all(self, reason: Reason) -> Self {
        if self.verdict == Verdict::Unknown { self } else { Self::unknown(reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_news_outweighs_doubt_and_doubt_outweighs_good_news() {
        let doubt = Outcome::unknown(Reason::VersionMissing);
        assert_eq!(Outcome::FIXED.worse(doubt), doubt);
        assert_eq!(doubt.worse(Outcome::AFFECTED), Outcome::AFFECTED);
        assert_eq!(Outcome::NOT_AFFECTED.worse(Outcome::FIXED), Outcome::FIXED);
        assert_eq!(Outcome::RESTART_PENDING.worse(doubt), Outcome::RESTART_PENDING);
    }

    #[test]
    fn every_outcome_has_a_number_of_its_own() {
        for (number, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome.number(), number, "{outcome:?}");
        }
    }

    #[test]
    fn a_stale_feed_takes_good_news_and_leaves_bad_news() {
        for good in [Outcome::FIXED, Outcome::NOT_AFFECTED, Outcome::NO_PRODUCT] {
            assert_eq!(good.doubt_good(Reason::FeedStale), Outcome::unknown(Reason::FeedStale));
        }
        assert_eq!(Outcome::AFFECTED.doubt_good(Reason::FeedStale), Outcome::AFFECTED);
        assert_eq!(Outcome::AFFECTED.doubt_all(Reason::InventoryStale).verdict(), Verdict::Unknown);
    }

    #[test]
    fn every_word_is_read_back() {
        for verdict in VERDICTS {
            assert_eq!(verdict.as_str().parse(), Ok(verdict));
        }
        assert_eq!("fine".parse::<Verdict>(), Err(UnknownVerdict));
        let words: std::collections::BTreeSet<_> = REASONS.iter().map(|it| it.as_str()).collect();
        assert_eq!(words.len(), REASONS.len());
    }
}
