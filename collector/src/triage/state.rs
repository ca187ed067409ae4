//! The derived status of a finding: the first rule that fits, in the order of the four axes.
//!
//! It is said beside the verdict and never instead of it. States of changes and windows are not among them yet; a fix
//! that no change has verified is installed and unverified.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::assess::{Outcome, Reason, Verdict};
use crate::knowledge::statement::SupplierState;

use super::disposition::{Disposed, Disposition, Standing};
use super::owner::OwnerState;

/// What the state of a finding follows from.
#[derive(Debug, Clone, Default)]
pub struct Axes {
    /// The asset has never reported the rows that decide.
    pub never_reported: bool,
    /// What was decided about the finding.
    pub disposed: Option<Disposed>,
    /// What suppliers state of its patch.
    pub supplier: Option<SupplierState>,
    /// Where its patch stands with the owner.
    pub owner: Option<OwnerState>,
}

/// The state of a finding.
pub fn state(outcome: Outcome, axes: &Axes) -> String {
    let plain = match (outcome.verdict(), outcome.reason()) {
        (Verdict::Unknown, _) if axes.never_reported => Some("UNKNOWN_NO_AGENT"),
        (Verdict::Unknown, Some(Reason::InventoryStale | Reason::FeedStale)) => Some("UNKNOWN_STALE"),
        (Verdict::Unknown, _) => Some("UNDETERMINED_MATCH"),
        (Verdict::NotAffected | Verdict::NoProduct, _) => Some("NOT_APPLICABLE"),
        (Verdict::Fixed, _) => Some("INSTALLED_UNVERIFIED"),
        _ if axes.supplier == Some(SupplierState::Superseded) => Some("SUPERSEDED"),
        (Verdict::InstalledNotLive, _) => Some("INSTALLED_NOT_LIVE"),
        (Verdict::Affected, _) => None,
    };
    if let Some(plain) = plain {
        return plain.to_owned();
    }
    let reopened = match &axes.disposed {
        Some(disposed) if disposed.standing.counts() => match by_disposition(disposed) {
            Some(state) => return state,
            None => "",
        },
        Some(Disposed { standing: Standing::Expired, .. }) => "(reopened: disposition expired)",
        Some(Disposed { standing: Standing::Failed(_), .. }) => "(reopened: control failed)",
        Some(_) | None => "",
    };
    let word = match (axes.owner, axes.supplier) {
        (Some(OwnerState::Authorized | OwnerState::Posted), _) => "AUTHORIZED",
        (Some(OwnerState::NotAuthorized), _) => "NOT_AUTHORIZED",
        (Some(OwnerState::InInternalTest), _) => "IN_INTERNAL_TEST",
        (
            _,
            Some(
                SupplierState::NoStatement
                | SupplierState::Available
                | SupplierState::InTest
                | SupplierState::Undetermined,
            ),
        ) => "AWAITING_SUPPLIER",
        (_, Some(SupplierState::NotApproved | SupplierState::Withdrawn)) => "SUPPLIER_REJECTED",
        _ => "AWAITING_EVALUATION",
    };
    format!("{word}{reopened}")
}

fn by_disposition(disposed: &Disposed) -> Option<String> {
    let until = disposed.until_ms.and_then(day).map(|it| format!("({it})")).unwrap_or_default();
    match (disposed.kind, &disposed.standing) {
        (Disposition::Mitigate, Standing::Verified) => Some("MITIGATED_VERIFIED".to_owned()),
        (Disposition::Mitigate, _) => Some("MITIGATED_CLAIMED".to_owned()),
        (Disposition::Accept, _) => Some(format!("RISK_ACCEPTED{until}")),
        (Disposition::Defer, _) => Some(format!("DEFERRED{until}")),
        // Neither has an effect before somebody has acted.
        (Disposition::Patch | Disposition::Avoid, _) => None,
    }
}

/// A moment to the second, UTC.
fn day(unix_ms: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(unix_ms.div_euclid(1_000)).ok()?.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disposed(kind: Disposition, standing: Standing) -> Axes {
        let disposed = Disposed { number: 1, kind, until_ms: Some(86_400_000), standing };
        Axes { disposed: Some(disposed), ..Axes::default() }
    }

    #[test]
    fn doubt_comes_first_and_no_decision_hides_it() {
        let accepted = disposed(Disposition::Accept, Standing::InForce);
        let unknown = |reason| state(Outcome::unknown(reason), &accepted);
        assert_eq!(unknown(Reason::InventoryStale), "UNKNOWN_STALE");
        assert_eq!(unknown(Reason::RangeUnparsed), "UNDETERMINED_MATCH");
        assert_eq!(state(Outcome::AFFECTED, &accepted), "RISK_ACCEPTED(1970-01-02T00:00:00Z)");
        assert_eq!(state(Outcome::FIXED, &accepted), "INSTALLED_UNVERIFIED");
        assert_eq!(state(Outcome::OLD_CODE, &accepted), "INSTALLED_NOT_LIVE");
    }

    #[test]
    fn what_has_ended_is_open_again_and_says_why() {
        let ended = disposed(Disposition::Accept, Standing::Expired);
        assert_eq!(state(Outcome::AFFECTED, &ended), "AWAITING_EVALUATION(reopened: disposition expired)");
        let failed = disposed(Disposition::Mitigate, Standing::Failed("on".into()));
        assert_eq!(state(Outcome::AFFECTED, &failed), "AWAITING_EVALUATION(reopened: control failed)");
        let seen = disposed(Disposition::Mitigate, Standing::Verified);
        assert_eq!(state(Outcome::AFFECTED, &seen), "MITIGATED_VERIFIED");
        let claimed = disposed(Disposition::Mitigate, Standing::NotTested("denied".into()));
        assert_eq!(state(Outcome::AFFECTED, &claimed), "MITIGATED_CLAIMED");
    }

    #[test]
    fn the_owner_goes_before_the_supplier_and_approval_alone_waits_for_the_owner() {
        let at = |owner, supplier| state(Outcome::AFFECTED, &Axes { supplier, owner, ..Axes::default() });
        assert_eq!(at(Some(OwnerState::Authorized), Some(SupplierState::Approved)), "AUTHORIZED");
        assert_eq!(
            at(Some(OwnerState::InInternalTest), Some(SupplierState::NotApproved)),
            "IN_INTERNAL_TEST"
        );
        assert_eq!(at(None, Some(SupplierState::Approved)), "AWAITING_EVALUATION");
        assert_eq!(at(None, Some(SupplierState::Undetermined)), "AWAITING_SUPPLIER");
        assert_eq!(at(Some(OwnerState::Applicable), Some(SupplierState::NotApproved)), "SUPPLIER_REJECTED");
        assert_eq!(at(None, None), "AWAITING_EVALUATION");
    }
}
