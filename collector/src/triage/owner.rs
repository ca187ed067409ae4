//! The owner's track of a patch in a zone or for a class of assets: which step may follow, and where it stands.
//!
//! Authorising needs the supplier's approval or release, or a deviation that two people of two roles answer for; a
//! conditional approval needs each condition acknowledged first. Silence of the supplier is no approval.

use std::collections::BTreeSet;

use holdpoint_common::proto::store::{DeviationRecord, OwnerStepRecord};

use crate::knowledge::statement::{Statement, SupplierState};

/// Where a patch stands with its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnerState {
    /// Nobody has looked.
    Unevaluated,
    /// It concerns nothing here.
    NotApplicable,
    /// It concerns something here.
    Applicable,
    /// The owner tests it.
    InInternalTest,
    /// It may not be used.
    NotAuthorized,
    /// It may be used.
    Authorized,
    /// It is ready to be fetched. The standard's word for this is "Effective".
    Posted,
}

impl OwnerState {
    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unevaluated => "Unevaluated",
            Self::NotApplicable => "NotApplicable",
            Self::Applicable => "Applicable",
            Self::InInternalTest => "InInternalTest",
            Self::NotAuthorized => "NotAuthorized",
            Self::Authorized => "Authorized",
            Self::Posted => "Posted",
        }
    }
}

/// The steps, as they are typed and recorded.
pub const STEPS: [&str; 7] =
    ["applicable", "not-applicable", "test", "authorize", "refuse", "acknowledge", "post"];

/// A step that may not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// No such step.
    #[error("there is no such step; use one of {}", STEPS.join(", "))]
    Step,
    /// Another step comes first.
    #[error("the patch is {} here; {needs}", state.as_str())]
    Order {
        /// Where it stands.
        state: OwnerState,
        /// What comes first.
        needs: &'static str,
    },
    /// The supplier has not approved it and nobody answers for a deviation.
    #[error(
        "no supplier approves or releases it ({said}): a deviation needs two people of two roles, as NAME (ROLE)"
    )]
    NotApproved {
        /// What suppliers state.
        said: String,
    },
    /// A condition that nobody has acknowledged.
    #[error("the approval has a condition that was not acknowledged: {0}")]
    Condition(String),
    /// A condition that no supplier makes.
    #[error("no supplier makes this condition; acknowledge it in the supplier's own words")]
    NoSuchCondition,
}

/// The conditions of what suppliers state, each once. A conditional approval without words is its own condition.
pub fn conditions(stated: &[&Statement]) -> Vec<String> {
    let conditional = stated.iter().filter(|it| it.state == SupplierState::ApprovedConditional);
    let texts: BTreeSet<String> =
        conditional.map(|it| it.conditions.clone().unwrap_or_else(|| it.raw.clone())).collect();
    texts.into_iter().collect()
}

/// Conditions that nobody has acknowledged.
pub fn unacknowledged(steps: &[&OwnerStepRecord], stated: &[&Statement]) -> Vec<String> {
    let acknowledged =
        |text: &String| steps.iter().any(|it| it.step == "acknowledge" && it.condition == *text);
    conditions(stated).into_iter().filter(|it| !acknowledged(it)).collect()
}

/// Where a patch stands after its steps.
pub fn fold(steps: &[&OwnerStepRecord]) -> OwnerState {
    steps.iter().fold(OwnerState::Unevaluated, |state, step| match step.step.as_str() {
        "applicable" => OwnerState::Applicable,
        "not-applicable" => OwnerState::NotApplicable,
        "test" => OwnerState::InInternalTest,
        "authorize" => OwnerState::Authorized,
        "refuse" => OwnerState::NotAuthorized,
        "post" => OwnerState::Posted,
        // Acknowledging changes nothing but what may follow.
        _ => state,
    })
}

/// Whether a step may follow. `stated` is what suppliers state of the patch now.
pub fn check(
    steps: &[&OwnerStepRecord],
    stated: &[&Statement],
    next: &OwnerStepRecord,
) -> Result<(), Forbidden> {
    use OwnerState::{Applicable, Authorized, InInternalTest, NotAuthorized, Posted, Unevaluated};
    let state = fold(steps);
    let order = |allowed: &[OwnerState], needs: &'static str| {
        if allowed.contains(&state) { Ok(()) } else { Err(Forbidden::Order { state, needs }) }
    };
    match next.step.as_str() {
        // An evaluation may be made again whenever something new was released.
        "applicable" | "not-applicable" => Ok(()),
        "test" => order(&[Applicable, InInternalTest, NotAuthorized], "evaluate it as applicable first"),
        "refuse" => order(
            &[Applicable, InInternalTest, Authorized, Posted, NotAuthorized],
            "evaluate it as applicable first",
        ),
        "acknowledge" => {
            let known = conditions(stated).contains(&next.condition);
            if known { Ok(()) } else { Err(Forbidden::NoSuchCondition) }
        }
        "authorize" => {
            if state == Unevaluated {
                return order(&[], "evaluate it as applicable first");
            }
            order(&[Applicable, InInternalTest, NotAuthorized], "it has to be applicable or in test")?;
            authorised_by(steps, stated, &next.deviation)
        }
        "post" => order(&[Authorized], "authorise it first"),
        _ => Err(Forbidden::Step),
    }
}

fn authorised_by(
    steps: &[&OwnerStepRecord],
    stated: &[&Statement],
    deviation: &[DeviationRecord],
) -> Result<(), Forbidden> {
    let names: BTreeSet<String> = deviation.iter().map(|it| it.name.to_lowercase()).collect();
    let roles: BTreeSet<String> = deviation.iter().map(|it| it.role.to_lowercase()).collect();
    if names.len() >= 2 && roles.len() >= 2 {
        return Ok(());
    }
    // One supplier's objection outweighs another's approval.
    let all_approve = !stated.is_empty()
        && stated.iter().all(|it| it.state.is_approval() || it.state == SupplierState::NotApplicable)
        && stated.iter().any(|it| it.state.is_approval());
    if !all_approve {
        let words: BTreeSet<&str> = stated.iter().map(|it| it.state.as_str()).collect();
        let said = if words.is_empty() {
            "NoStatement".to_owned()
        } else {
            words.into_iter().collect::<Vec<_>>().join(", ")
        };
        return Err(Forbidden::NotApproved { said });
    }
    match unacknowledged(steps, stated).into_iter().next() {
        Some(condition) => Err(Forbidden::Condition(condition)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(step: &str) -> OwnerStepRecord {
        OwnerStepRecord { patch: "KB1".into(), scope: "line".into(), step: step.into(), ..Default::default() }
    }

    fn stated(state: SupplierState, conditions: Option<&str>) -> Statement {
        let conditions = conditions.map(Into::into);
        Statement { patch: "KB1".into(), state, raw: state.as_str().into(), conditions, ..Default::default() }
    }

    fn people(list: &[(&str, &str)]) -> OwnerStepRecord {
        let record = |it: &(&str, &str)| DeviationRecord { name: it.0.into(), role: it.1.into() };
        OwnerStepRecord { deviation: list.iter().map(record).collect(), ..step("authorize") }
    }

    #[test]
    fn a_patch_is_evaluated_tested_authorised_and_posted_in_that_order() {
        let approved = stated(SupplierState::Approved, None);
        let mut taken: Vec<OwnerStepRecord> = Vec::new();
        for (next, before) in [
            ("test", "applicable"),
            ("authorize", "applicable"),
            ("post", "authorize"),
            ("refuse", "applicable"),
        ] {
            let refused = check(&[], &[&approved], &step(next)).unwrap_err();
            assert!(matches!(refused, Forbidden::Order { .. }), "{next} without {before}");
        }
        for next in ["applicable", "test", "authorize", "post"] {
            check(&taken.iter().collect::<Vec<_>>(), &[&approved], &step(next)).unwrap();
            taken.push(step(next));
        }
        assert_eq!(fold(&taken.iter().collect::<Vec<_>>()), OwnerState::Posted);
        assert_eq!(check(&[], &[], &step("bless")), Err(Forbidden::Step));
    }

    #[test]
    fn each_condition_is_acknowledged_in_the_suppliers_own_words() {
        let conditional = stated(SupplierState::ApprovedConditional, Some("not with the web client"));
        let (evaluated, mut known) = (step("applicable"), step("acknowledge"));
        let refused = check(&[&evaluated], &[&conditional], &step("authorize")).unwrap_err();
        assert_eq!(refused, Forbidden::Condition("not with the web client".into()));
        known.condition = "something else".into();
        assert_eq!(check(&[&evaluated], &[&conditional], &known), Err(Forbidden::NoSuchCondition));
        known.condition = "not with the web client".into();
        check(&[&evaluated], &[&conditional], &known).unwrap();
        check(&[&evaluated, &known], &[&conditional], &step("authorize")).unwrap();
    }

    #[test]
    fn a_deviation_takes_two_people_of_two_roles() {
        let evaluated = step("applicable");
        let ask = |list: &[(&str, &str)]| check(&[&evaluated], &[], &people(list)).is_ok();
        assert!(ask(&[("Ada", "control engineer"), ("Kim", "safety officer")]));
        assert!(!ask(&[("Ada", "control engineer"), ("ada", "safety officer")]));
        assert!(!ask(&[("Ada", "safety officer"), ("Kim", "Safety Officer")]));
        assert!(!ask(&[("Ada", "control engineer")]));
    }

    proptest! {
        #[test]
        fn nothing_but_approval_or_a_deviation_ever_authorises(
            states in prop::collection::vec(prop::sample::select(SupplierState::ALL.to_vec()), 0..4),
        ) {
            let statements: Vec<_> = states.iter().map(|it| stated(*it, None)).collect();
            let lent: Vec<_> = statements.iter().collect();
            let allowed = check(&[&step("applicable")], &lent, &step("authorize")).is_ok();
            let approval = |it: &SupplierState| {
                matches!(it, SupplierState::Approved | SupplierState::Released | SupplierState::NotApplicable)
            };
            let good = states.iter().all(approval) && states.iter().any(|it| it.is_approval());
            prop_assert_eq!(allowed, good);
        }
    }
}
