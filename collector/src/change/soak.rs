//! After the work: whether a later report shows the old state again.
//!
//! Only a machine's answer that something is bad opens a regression. What cannot be seen any more, is incomplete or
//! too old says neither; the finding itself says so elsewhere.

use holdpoint_common::proto::store::{Regressed, TargetVerdict};
use holdpoint_common::section::Digest;

use super::fold::{Change, Stage};
use super::plan::{Expectation, Wanted};
use super::word::{State, Verdict};

/// What an expectation comes to on the sections that an asset shows now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It holds.
    Holds,
    /// It does not.
    Broken {
        /// What was seen, in words.
        text: String,
        /// The rows that say so.
        digest: Digest,
        /// Sequence of the report that brought them.
        sequence: u64,
    },
    /// Nobody can tell.
    Open,
}

/// Whether later reports are still held against a change.
pub fn is_soaking(change: &Change, now_ms: i64) -> bool {
    let until_ms = change.closed.as_ref().map(|it| it.soak_until_ms);
    match change.state {
        State::Verified => true,
        State::Closed => until_ms.is_some_and(|it| now_ms < it),
        State::Draft
        | State::InReview
        | State::Authorised
        | State::InProgress
        | State::Vetoed
        | State::ClosedUnremediated
        | State::RolledBack => false,
    }
}

/// What came back on an asset: to be written as entries. `look` holds an expectation against what the asset shows
/// now, given the verdict that was reached; for MITIGATED it is the control that has to hold.
pub fn regressed(
    change: &Change,
    asset: &str,
    now_ms: i64,
    look: &dyn Fn(&Expectation, Verdict) -> Seen,
) -> Vec<Regressed> {
    if !is_soaking(change, now_ms) {
        return Vec::new();
    }
    let of_stage = |stage: &Stage| {
        // What was asked for last was the old state.
        let judged_at = stage.judged_at.filter(|_| stage.rollback.is_none());
        let target = stage.targets.get(asset);
        let (Some(judged_at), Some(post)) = (judged_at, target.and_then(|it| it.post.as_ref())) else {
            return Vec::new();
        };
        let verdicts = stage.verdicts.iter().filter(|it| it.asset == asset);
        let known = &change.regressions;
        let judged = Judged { revision: judged_at, sequence: post.sequence, known };
        verdicts.filter_map(|it| judged.again(it, &change.plan.expectations, look)).collect()
    };
    change.stages.iter().flat_map(of_stage).collect()
}

/// What was said before, and on what.
struct Judged<'a> {
    /// Revision of the entry with the verdicts.
    revision: u64,
    /// Sequence of the snapshot that they rest on.
    sequence: u64,
    /// What was found to be back already.
    known: &'a [Regressed],
}

impl Judged<'_> {
    fn again(
        &self,
        said: &TargetVerdict,
        expectations: &[Expectation],
        look: &dyn Fn(&Expectation, Verdict) -> Seen,
    ) -> Option<Regressed> {
        let verdict = Verdict::named(&said.verdict).filter(|it| it.closes() && it.needs_snapshots())?;
        let expected = expectations.iter().find(|it| it.id == said.expectation)?;
        // That a host was restarted is about the time between two snapshots and stays true.
        if expected.wanted == Wanted::Restarted {
            return None;
        }
        let is_known = |it: &Regressed| {
            it.asset == said.asset
                && it.expectation == said.expectation
                && it.verdict_revision == self.revision
        };
        if self.known.iter().any(is_known) {
            return None;
        }
        match look(expected, verdict) {
            // Rows from before the verdict tell of nothing that came back.
            Seen::Broken { text, digest, sequence } if sequence > self.sequence => Some(Regressed {
                asset: said.asset.clone(),
                expectation: said.expectation.clone(),
                text,
                digest: digest.to_vec(),
                verdict_revision: self.revision,
            }),
            Seen::Broken { .. } | Seen::Holds | Seen::Open => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expectation(id: &str, wanted: Wanted) -> Expectation {
        Expectation { id: id.into(), wanted }
    }

    fn again(verdict: &str, id: &str, seen: &Seen, known: &[Regressed]) -> Option<Regressed> {
        let expectations = [
            expectation("runs", Wanted::ServiceRunning("ssh".into())),
            expectation("restarted", Wanted::Restarted),
        ];
        let said = TargetVerdict {
            asset: "hmi".into(),
            expectation: id.into(),
            verdict: verdict.into(),
            ..TargetVerdict::default()
        };
        Judged { revision: 9, sequence: 5, known }.again(&said, &expectations, &|_, _| seen.clone())
    }

    fn broken(sequence: u64) -> Seen {
        Seen::Broken { text: "stopped".into(), digest: Digest::of(b"rows"), sequence }
    }

    #[test]
    fn only_a_later_answer_that_something_good_is_bad_again_counts() {
        let found = again("REMEDIATED", "runs", &broken(6), &[]).unwrap();
        assert_eq!((found.asset.as_str(), found.verdict_revision), ("hmi", 9));
        for (verdict, id, seen, why) in [
            ("REMEDIATED", "runs", broken(5), "the snapshot itself"),
            ("REMEDIATED", "runs", Seen::Open, "nobody can tell"),
            ("REMEDIATED", "runs", Seen::Holds, "it holds"),
            ("NOT_REMEDIATED", "runs", broken(6), "it never was good"),
            ("INCONCLUSIVE", "runs", broken(6), "nothing was said"),
            ("ATTESTED_ONLY", "runs", broken(6), "no machine said it"),
            ("REMEDIATED", "restarted", broken(6), "that stays true"),
            ("REMEDIATED", "other", broken(6), "nobody expects it"),
            ("REMEDIATED", "", broken(6), "the target as a whole"),
        ] {
            assert_eq!(again(verdict, id, &seen, &[]), None, "{why}");
        }
        for verdict in ["REMEDIATED_OTHERWISE", "ALREADY_REMEDIATED", "MITIGATED"] {
            assert!(again(verdict, "runs", &broken(6), &[]).is_some(), "{verdict}");
        }
        assert_eq!(
            again("REMEDIATED", "runs", &broken(7), std::slice::from_ref(&found)),
            None,
            "told before"
        );
        let older = Regressed { verdict_revision: 4, ..found };
        assert!(again("REMEDIATED", "runs", &broken(7), &[older]).is_some(), "a verdict of its own");
    }
}
