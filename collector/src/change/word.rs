//! The words of changes: states, roles of the board, verdicts and why one is not reached.

/// Declares an enum whose variants have one word each, which is read back.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every one, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in answers and records.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word.
            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// Where a change stands.
    State {
        /// Written, and nobody was asked yet.
        Draft = "draft",
        /// The board decides.
        InReview = "in_review",
        /// Everybody has signed.
        Authorised = "authorised",
        /// A stage was opened.
        InProgress = "in_progress",
        /// Every stage has verdicts that allow closing.
        Verified = "verified",
        /// Ended with everything proven.
        Closed = "closed",
        /// Operations or safety said no. Terminal: nothing lifts it.
        Vetoed = "vetoed",
        /// Ended without remediation, with the reason.
        ClosedUnremediated = "closed_unremediated",
        /// Ended with the old state back in place.
        RolledBack = "rolled_back",
    }
}

impl State {
    /// Whether nothing can follow but soak.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Closed | Self::ClosedUnremediated | Self::RolledBack)
    }
}

words! {
    /// Where a stage stands.
    StageState {
        /// Not opened, or its pre-snapshots are not all taken.
        Pending = "pending",
        /// Pre-snapshots are taken: work may be done.
        Open = "open",
        /// Work is over, hosts were asked again.
        WorkComplete = "work_complete",
        /// Every verdict allows closing.
        Verified = "verified",
        /// A verdict says that it is not done.
        Failed = "failed",
        /// Something is missing to say either.
        Inconclusive = "inconclusive",
    }
}

words! {
    /// Roles of the patch board.
    BoardRole {
        /// OT security.
        OtSecurity = "ot-security",
        /// The control systems engineer.
        ControlEngineer = "control-engineer",
        /// Operations.
        Operations = "operations",
        /// Maintenance.
        Maintenance = "maintenance",
        /// Plant safety.
        PlantSafety = "plant-safety",
    }
}

impl BoardRole {
    /// Whether its no is final.
    pub fn may_veto(self) -> bool {
        matches!(self, Self::Operations | Self::PlantSafety)
    }
}

words! {
    /// What is said of a target and an expectation, see `verdicts.md`: the most alarming first.
    Verdict {
        /// The old state is back without a record of a rollback.
        Regressed = "REGRESSED",
        /// Still as it was, after work was called complete.
        NotRemediated = "NOT_REMEDIATED",
        /// Some instances are fixed and some are not.
        Partial = "PARTIAL",
        /// Two sources of equal rank disagree.
        Contradicted = "CONTRADICTED",
        /// Fixed on disk and not in effect.
        InstalledNotLive = "INSTALLED_NOT_LIVE",
        /// Something is missing; the reason says what.
        Inconclusive = "INCONCLUSIVE",
        /// Nobody looked.
        NotAssessed = "NOT_ASSESSED",
        /// The old state is back, as planned.
        RolledBack = "ROLLED_BACK",
        /// Two persons say so, and no machine can.
        AttestedOnly = "ATTESTED_ONLY",
        /// Still affected; the declared control was seen working.
        Mitigated = "MITIGATED",
        /// It was fixed before the window.
        AlreadyRemediated = "ALREADY_REMEDIATED",
        /// What was affected is gone, or something newer is in its place.
        RemediatedOtherwise = "REMEDIATED_OTHERWISE",
        /// Affected before; fixed and in effect after.
        Remediated = "REMEDIATED",
    }
}

impl Verdict {
    /// Whether a stage with this verdict may be closed. An attested one counts apart.
    pub fn closes(self) -> bool {
        matches!(
            self,
            Self::Remediated
                | Self::RemediatedOtherwise
                | Self::AlreadyRemediated
                | Self::Mitigated
                | Self::AttestedOnly
        )
    }

    /// Whether only a machine's snapshots can say it.
    pub fn needs_snapshots(self) -> bool {
        !matches!(self, Self::Inconclusive | Self::NotAssessed | Self::AttestedOnly)
    }

    /// Whether it says that work has not reached its aim.
    pub fn fails(self) -> bool {
        matches!(
            self,
            Self::Regressed
                | Self::NotRemediated
                | Self::Partial
                | Self::InstalledNotLive
                | Self::Contradicted
                | Self::RolledBack
        )
    }
}

/// Beside a verdict: something moved that was not declared.
pub const COLLATERAL_CHANGE: &str = "COLLATERAL_CHANGE";

words! {
    /// Why a verdict is INCONCLUSIVE, or why what is installed is not live.
    Why {
        /// No answer to the challenge came in time.
        Stale = "STALE",
        /// The answer is from before the work was called complete.
        BeforeWorkEnd = "BEFORE_WORK_END",
        /// Less was read than before.
        CoverageLower = "COVERAGE_LOWER",
        /// The agent may not read what decides.
        AccessDenied = "ACCESS_DENIED",
        /// Reading what decides failed.
        CollectionError = "COLLECTION_ERROR",
        /// The host's clock cannot be believed, and something rests on it.
        ClockUntrusted = "CLOCK_UNTRUSTED",
        /// Another machine answered.
        IdentityMismatch = "IDENTITY_MISMATCH",
        /// There is nothing to compare with.
        NoPreSnapshot = "NO_PRE_SNAPSHOT",
        /// No rule says what the product is.
        NoRule = "NO_RULE",
        /// A version or range cannot be read or compared.
        UnparsedVersion = "UNPARSED_VERSION",
        /// What is judged by changed after the board decided.
        RuleChangedBetween = "RULE_CHANGED_BETWEEN",
        /// The advisory's feed is too old.
        FeedStale = "FEED_STALE",
        /// The agent's program is another one than before.
        AgentAltered = "AGENT_ALTERED",
        /// The answer came after the time that was set.
        Late = "LATE",
        /// An answer to an earlier question.
        OldNonce = "OLD_NONCE",
        /// A report that does not follow the one before it.
        SequenceNotHigher = "SEQUENCE_NOT_HIGHER",
        /// A report that was sent before.
        Replayed = "REPLAYED",
        /// The host said that it may not look now.
        HostDeclined = "HOST_DECLINED",
        /// The fix waits for a restart.
        RestartPending = "RESTART_PENDING",
        /// A process still runs the old code.
        OldCodeMapped = "OLD_CODE_MAPPED",
        /// The new kernel is on disk and not booted.
        KernelNotBooted = "KERNEL_NOT_BOOTED",
        /// The setting that enables it is off.
        SwitchOff = "SWITCH_OFF",
        /// The service was not restarted since its package changed.
        ServiceNotRestarted = "SERVICE_NOT_RESTARTED",
    }
}
