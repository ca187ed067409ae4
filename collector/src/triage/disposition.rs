//! What a person decided to do about a finding, and whether that still stands.
//!
//! A disposition never changes a verdict. It ends by itself: when its time is over, when it is taken back, or when the
//! fact that shows its control says otherwise. Then the finding is open again, and the state says why.

use holdpoint_common::proto::store::{ControlRecord, DecisionRecord, DispositionRecord};

use super::control::Tested;
use super::ledger::Ledger;

/// What can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The patch will be applied.
    Patch,
    /// A compensating control stands in.
    Mitigate,
    /// The risk is accepted.
    Accept,
    /// It is put off.
    Defer,
    /// The asset or its function is taken away.
    Avoid,
}

impl Disposition {
    /// Every disposition.
    pub const ALL: [Self; 5] = [Self::Patch, Self::Mitigate, Self::Accept, Self::Defer, Self::Avoid];

    /// The word in answers and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Mitigate => "mitigate",
            Self::Accept => "accept",
            Self::Defer => "defer",
            Self::Avoid => "avoid",
        }
    }

    /// The disposition of that word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

/// Whether a disposition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It does, on a person's word.
    InForce,
    /// It does, and a machine has seen its control.
    Verified,
    /// It does, and its control cannot be tested: why.
    NotTested(String),
    /// Its control does not hold: why. The finding is open again.
    Failed(String),
    /// Its time is over. The finding is open again.
    Expired,
    /// It was taken back.
    Withdrawn,
}

impl Standing {
    /// Whether the disposition counts.
    pub fn counts(&self) -> bool {
        matches!(self, Self::InForce | Self::Verified | Self::NotTested(_))
    }

    /// In words.
    pub fn text(&self) -> String {
        match self {
            Self::InForce => "in force".to_owned(),
            Self::Verified => "verified".to_owned(),
            Self::NotTested(why) => format!("not tested: {why}"),
            Self::Failed(why) => format!("control failed: {why}"),
            Self::Expired => "expired".to_owned(),
            Self::Withdrawn => "withdrawn".to_owned(),
        }
    }
}

/// A disposition that is about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposed {
    /// The decision's number.
    pub number: u64,
    /// What was decided.
    pub kind: Disposition,
    /// When it ends, Unix milliseconds.
    pub until_ms: Option<i64>,
    /// Whether it stands.
    pub standing: Standing,
}

/// Whether a disposition's subject is about a finding: the subject itself, whole parts of its beginning, or its
/// vulnerability.
pub fn covers(subject: &str, finding: &str, vulnerability: Option<&str>) -> bool {
    let begins = finding.strip_prefix(subject).is_some_and(|it| it.is_empty() || it.starts_with('/'));
    begins || vulnerability.is_some_and(|it| it == subject)
}

/// Whether a disposition stands now. `tested` asks the host's facts.
pub fn standing(
    ledger: &Ledger,
    record: &DecisionRecord,
    disposition: &DispositionRecord,
    now_ms: i64,
    tested: impl FnOnce(&ControlRecord) -> Tested,
) -> Standing {
    if ledger.is_withdrawn(record.number) {
        return Standing::Withdrawn;
    }
    if disposition.until_ms.is_some_and(|it| now_ms >= it) {
        return Standing::Expired;
    }
    match disposition.control.as_ref().map(tested) {
        None => Standing::InForce,
        Some(Tested::Holds) => Standing::Verified,
        Some(Tested::Open(why)) => Standing::NotTested(why),
        Some(Tested::Broken(why)) => Standing::Failed(why),
    }
}

/// What was decided last about a finding and was not taken back.
pub fn of(
    ledger: &Ledger,
    asset: &str,
    finding: &str,
    vulnerability: Option<&str>,
    now_ms: i64,
    tested: impl Fn(&ControlRecord) -> Tested,
) -> Option<Disposed> {
    ledger
        .dispositions(asset)
        .filter(|it| !ledger.is_withdrawn(it.0.number) && covers(&it.1.subject, finding, vulnerability))
        .find_map(|(record, said)| {
            let kind = Disposition::named(&said.kind)?;
            let standing = standing(ledger, record, said, now_ms, &tested);
            Some(Disposed { number: record.number, kind, until_ms: said.until_ms, standing })
        })
}

#[cfg(test)]
mod tests {
    use holdpoint_common::proto::store::WithdrawalRecord;
    use holdpoint_common::proto::store::decision_record::What;
    use proptest::prelude::*;

    use super::super::control;
    use super::*;

    fn decided(number: u64, kind: &str, subject: &str, until_ms: Option<i64>) -> DecisionRecord {
        let what = What::Disposition(DispositionRecord {
            asset: "hmi".into(),
            subject: subject.into(),
            kind: kind.into(),
            owner: "kim".into(),
            until_ms,
            reason: "because".into(),
            control: (kind == "mitigate").then(|| control::read("smb.v1=false").unwrap()),
        });
        DecisionRecord { number, what: Some(what), ..DecisionRecord::default() }
    }

    fn asked(ledger: &Ledger, now_ms: i64, tested: &Tested) -> Option<Disposed> {
        of(ledger, "hmi", "A/CVE-1/P", Some("CVE-1"), now_ms, |_| tested.clone())
    }

    #[test]
    fn the_newest_decision_that_was_not_taken_back_counts_while_its_control_holds() {
        let mut ledger = Ledger::of([
            decided(1, "accept", "CVE-1", Some(100)),
            decided(2, "mitigate", "A/CVE-1", Some(100)),
            decided(3, "defer", "A/CVE-1/Q", Some(100)),
        ]);
        let now = |ledger: &Ledger, tested| asked(ledger, 50, &tested).unwrap();
        assert_eq!(now(&ledger, Tested::Holds).standing, Standing::Verified);
        assert!(!now(&ledger, Tested::Broken("on".into())).standing.counts());
        assert!(now(&ledger, Tested::Open("denied".into())).standing.counts());
        let taken_back = WithdrawalRecord { number: 2, reason: "wrong".into() };
        ledger.add(DecisionRecord {
            number: 4,
            what: Some(What::Withdrawal(taken_back)),
            ..DecisionRecord::default()
        });
        let left = now(&ledger, Tested::Holds);
        assert_eq!((left.number, left.kind, left.standing), (1, Disposition::Accept, Standing::InForce));
        assert!(of(&ledger, "other", "A/CVE-1/P", None, 50, |_| Tested::Holds).is_none());
    }

    #[test]
    fn only_whole_parts_of_a_subject_match() {
        assert!(covers("A/CVE-1", "A/CVE-1/P", None) && covers("A/CVE-1/P", "A/CVE-1/P", None));
        assert!(!covers("A/CVE-1", "A/CVE-11/P", Some("CVE-11")) && !covers("", "A/CVE-1", None));
        assert!(covers("CVE-1", "A/CVE-1/P", Some("CVE-1")) && !covers("CVE-1", "A/CVE-1/P", None));
    }

    proptest! {
        #[test]
        fn whatever_has_an_end_is_open_again_after_it(until in 1..1_000_i64, now in 0..2_000_i64) {
            for kind in ["mitigate", "accept", "defer", "avoid"] {
                let ledger = Ledger::of([decided(1, kind, "CVE-1", Some(until))]);
                let disposed = asked(&ledger, now, &Tested::Holds).unwrap();
                prop_assert_eq!(disposed.standing.counts(), now < until);
            }
        }
    }
}
