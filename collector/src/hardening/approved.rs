//! What was approved of an asset's facts, and whether a fact still says it.
//!
//! Without a baseline, and where the baseline itself says nothing that was read, nobody can say. A fact of which the
//! baseline has other subjects, or that agents say only where there is such a thing, was not there when it was
//! approved: then something new is there.

use holdpoint_common::row::HardeningRow;

use super::condition::Unsaid;
use super::facts::{Facts, is_whole};
use super::result::{Missing, Outcome};
use super::value::Value;

const UNKNOWN: Outcome = Outcome::NotChecked(Missing::NoBaseline);

/// A row that was read now, against what was approved. `unsaid` is what silence about the fact means.
pub(super) fn equals(row: &HardeningRow, approved: Option<&Facts>, unsaid: Unsaid) -> Outcome {
    let Some(approved) = approved.filter(|it| it.gap(&row.id) == Missing::FactMissing) else {
        return UNKNOWN;
    };
    let rows = approved.rows(&row.id);
    let mut same = rows.iter().filter(|it| it.subject == row.subject);
    let Some(before) = same.next() else {
        // What was denied as a whole was not looked at, subject by subject.
        let was_looked_at = rows.iter().all(|it| matches!(it.state.as_str(), "observed" | "absent"));
        return match unsaid {
            Unsaid::NotApplicable | Unsaid::Fail if was_looked_at => Outcome::Fail,
            Unsaid::NotChecked if was_looked_at && !rows.is_empty() => Outcome::Fail,
            Unsaid::NotApplicable | Unsaid::Fail | Unsaid::NotChecked => UNKNOWN,
        };
    };
    match (before.state.as_str(), row.state.as_str()) {
        ("absent", "absent") => Outcome::Pass,
        ("absent", "observed") | ("observed", "absent") => Outcome::Fail,
        ("observed", "observed") => match (&before.value, &row.value) {
            _ if !is_whole(row) => Outcome::NotChecked(Missing::ListCut),
            _ if !is_whole(before) => UNKNOWN,
            (Some(before), Some(now)) => match Value::of_row(before).is_same(&Value::of_row(now)) {
                Some(true) => Outcome::Pass,
                Some(false) => Outcome::Fail,
                None => Outcome::Error,
            },
            (_, _) => Outcome::Error,
        },
        (_, _) => UNKNOWN,
    }
}

/// Whether the baseline has a value of a fact, about a subject that is meant, of which nothing is said now.
pub(super) fn is_gone(
    fact: &str,
    now: &[HardeningRow],
    approved: Option<&Facts>,
    is_meant: impl Fn(&HardeningRow) -> bool,
) -> bool {
    let Some(approved) = approved else { return false };
    approved
        .rows(fact)
        .iter()
        .filter(|it| it.state == "observed" && is_meant(it))
        .any(|before| now.iter().all(|it| it.subject != before.subject))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::cases::{asset, row};
    use super::super::rule::Family;
    use super::super::ruleset::Ruleset;
    use super::*;

    fn facts(said: &[(&str, &str)]) -> Facts {
        Facts::of(said.iter().map(|(name, said)| row(name, said)))
    }

    /// Facts and what is said of each.
    type Said<'a> = &'a [(&'a str, &'a str)];

    fn judged(rule: &str, now: Said<'_>, approved: Option<Said<'_>>) -> String {
        let rules = Ruleset::new(&[]);
        let entry = rules.rules.iter().find(|it| it.rule.id == rule).unwrap();
        let family = if rule.starts_with('W') { Family::Windows } else { Family::Linux };
        let facts = facts(now).against(approved.map(|it| Arc::new(self::facts(it))));
        match rules.judge(entry, &asset(family), &facts).1.outcome {
            Outcome::NotChecked(why) => why.as_str().to_owned(),
            other @ (Outcome::Pass | Outcome::Fail | Outcome::NotApplicable(_) | Outcome::Error) => {
                other.verdict().to_string()
            }
        }
    }

    #[test]
    fn a_fact_passes_only_as_it_was_approved() {
        const ADMINS: &str = "accounts.administrators";
        const MACHINE: &str = "authorities.roots_digest[machine]";
        let cases: &[(&str, Said<'_>, Option<Said<'_>>, &str)] = &[
            ("W17", &[(ADMINS, "[a; b]")], None, "no-baseline"),
            ("W17", &[(ADMINS, "[a; b]")], Some(&[]), "no-baseline"),
            ("W17", &[(ADMINS, "[a; b]")], Some(&[(ADMINS, "[a; b]")]), "PASS"),
            ("W17", &[(ADMINS, "[a; b; c]")], Some(&[(ADMINS, "[a; b]")]), "FAIL"),
            ("W17", &[(ADMINS, "[]")], Some(&[(ADMINS, "[a; b]")]), "FAIL"),
            ("W17", &[(ADMINS, "absent")], Some(&[(ADMINS, "[a; b]")]), "FAIL"),
            ("W17", &[(ADMINS, "[a]")], Some(&[(ADMINS, "absent")]), "FAIL"),
            ("W17", &[(ADMINS, "absent")], Some(&[(ADMINS, "absent")]), "PASS"),
            ("W17", &[(ADMINS, "denied")], Some(&[(ADMINS, "[a]")]), "denied"),
            ("W17", &[(ADMINS, "error")], Some(&[(ADMINS, "[a]")]), "ERROR"),
            ("W17", &[(ADMINS, "[a]")], Some(&[(ADMINS, "denied")]), "no-baseline"),
            ("W17", &[(ADMINS, "[a]")], Some(&[(ADMINS, "error")]), "no-baseline"),
            ("W17", &[(ADMINS, "[a]")], Some(&[(ADMINS, "5")]), "ERROR"),
            ("W17", &[], Some(&[(ADMINS, "[a]")]), "fact-missing"),
            ("W41", &[(MACHINE, "\"x\"")], Some(&[(MACHINE, "\"x\"")]), "PASS"),
            ("W41", &[(MACHINE, "\"y\"")], Some(&[(MACHINE, "\"x\"")]), "FAIL"),
            ("W41", &[("authorities.roots_digest", "denied")], Some(&[(MACHINE, "\"x\"")]), "denied"),
        ];
        for (rule, now, approved, said) in cases {
            assert_eq!(judged(rule, now, *approved), *said, "{rule} {now:?} {approved:?}");
        }
    }

    #[test]
    fn a_subject_that_is_new_or_gone_is_no_pass() {
        let (one, two) = ("start.run[a]", "start.run[b]");
        let tasks = ("start.tasks_digest", "\"t\"");
        let judge = |now: &[(&str, &str)], approved: &[(&str, &str)]| {
            judged("W42", &[now, &[tasks]].concat(), Some(&[approved, &[tasks]].concat()))
        };
        assert_eq!(judge(&[(one, "\"x\"")], &[(one, "\"x\"")]), "PASS");
        assert_eq!(judge(&[(one, "\"x\""), (two, "\"y\"")], &[(one, "\"x\"")]), "FAIL", "new");
        assert_eq!(judge(&[(one, "\"x\"")], &[(one, "\"x\""), (two, "\"y\"")]), "FAIL", "gone");
        assert_eq!(judge(&[("start.run", "absent")], &[(one, "\"x\"")]), "FAIL", "all of them gone");
        assert_eq!(judge(&[("start.run", "denied")], &[(one, "\"x\"")]), "denied");
    }

    #[test]
    fn what_was_cut_is_not_compared() {
        let cut = |said| {
            let mut row = row("accounts.administrators", said);
            row.reason = Some("and 3 more".into());
            row
        };
        let whole = || row("accounts.administrators", "[a]");
        let told = |now: HardeningRow, before: HardeningRow| {
            equals(&now, Some(&Facts::of([before])), Unsaid::NotChecked)
        };
        assert_eq!(told(cut("[a]"), whole()), Outcome::NotChecked(Missing::ListCut));
        assert_eq!(told(whole(), cut("[a]")), UNKNOWN);
        let mut unreadable = Facts::of([whole()]);
        unreadable.add_gap("", Missing::RowsUnreadable);
        assert_eq!(equals(&whole(), Some(&unreadable), Unsaid::NotApplicable), UNKNOWN);
        assert_eq!(
            equals(&whole(), Some(&Facts::default()), Unsaid::NotApplicable),
            Outcome::Fail,
            "it is new"
        );
    }
}
