//! Who may call: from the certificate of a connection to an asset or an operator.
//!
//! Pure: what the zone knows and the time are arguments. TLS has shown that the peer holds the
//! key of a certificate that chains to the zone's CA and nothing else; dates, revocation and
//! roles are judged here on every call, so that a revocation acts at once and a wrong clock
//! gets an answer that names it.

use std::time::Duration;

use holdpoint_common::identity::{Identity, Name, Subject, ZoneName};
use holdpoint_common::proto::store::{AssetRecord, CertificateRecord, OperatorRecord};
use holdpoint_common::refusal::Reason;
use holdpoint_common::section::Digest;
use tonic::Status;

use super::role::Role;
use holdpoint_common::clock::readable;

/// What a caller wants, as far as the gate cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A new certificate: allowed for a while after expiry.
    Renew,
    /// Anything else.
    Other,
}

/// A certificate as the connection showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<'a> {
    /// What it speaks for.
    pub identity: &'a Identity,
    /// SHA-256 of the certificate.
    pub fingerprint: &'a Digest,
    /// First moment of its validity, Unix milliseconds.
    pub not_before_ms: i64,
    /// Last moment of its validity, Unix milliseconds.
    pub not_after_ms: i64,
}

/// The asset that the certificate names.
///
/// # Errors
/// It is of another zone, or speaks for no agent.
pub fn asset_of<'a>(zone: &ZoneName, shown: &Shown<'a>) -> Result<&'a Name, Status> {
    in_zone(zone, shown)?;
    match &shown.identity.subject {
        Subject::Agent(asset) => Ok(asset),
        Subject::Operator(_) | Subject::Collector => {
            Err(Reason::Role.refuse("this call is for agents; the certificate is not an agent's"))
        }
    }
}

/// The operator whom the certificate names.
///
/// # Errors
/// It is of another zone, or speaks for no operator.
pub fn operator_of<'a>(zone: &ZoneName, shown: &Shown<'a>) -> Result<&'a Name, Status> {
    in_zone(zone, shown)?;
    match &shown.identity.subject {
        Subject::Operator(name) => Ok(name),
        Subject::Agent(_) | Subject::Collector => {
            Err(Reason::Role.refuse("this call is for operators; the certificate is not an operator's"))
        }
    }
}

fn in_zone(zone: &ZoneName, shown: &Shown<'_>) -> Result<(), Status> {
    if shown.identity.zone == *zone {
        return Ok(());
    }
    Err(Reason::WrongZone.refuse(format!(
        "this collector serves {zone}; the certificate is of {}: enrol with a token of this zone",
        shown.identity.zone
    )))
}

/// Judges an agent's certificate against its asset's record.
///
/// # Errors
/// A refusal with what to do next.
pub fn admit_agent(
    asset: &Name,
    record: Option<&AssetRecord>,
    shown: &Shown<'_>,
    call: Call,
    grace: Duration,
    now_ms: i64,
) -> Result<(), Status> {
    let Some(record) = record else {
        return Err(Reason::Unknown.refuse(format!(
            "this collector does not know asset `{asset}`: enrol again with a token (token create)"
        )));
    };
    if record.retired_ms.is_some() {
        return Err(Reason::Retired.refuse(format!(
            "asset `{asset}` was retired ({}); `token create --for {asset}` makes a token that enrols it again",
            record.retired_reason
        )));
    }
    let again = format!("`token create --for {asset}` makes a token that enrols it again");
    known(&record.certificates, shown, &again)?;
    dates(shown, call, grace, now_ms, &again)
}

/// Judges an operator's certificate against the operator's record.
///
/// # Errors
/// A refusal with what to do next.
pub fn admit_operator(
    name: &Name,
    record: Option<&OperatorRecord>,
    shown: &Shown<'_>,
    call: Call,
    needs: Option<Role>,
    grace: Duration,
    now_ms: i64,
) -> Result<(), Status> {
    let again = format!("ask an admin for a new token (operator add {name})");
    let Some(record) = record else {
        return Err(
            Reason::Unknown.refuse(format!("this collector does not know operator `{name}`: {again}"))
        );
    };
    known(&record.certificates, shown, &again)?;
    dates(shown, call, grace, now_ms, &again)?;
    // A role that an older or newer collector wrote and this one does not know allows nothing.
    let held: Vec<Role> = record.roles.iter().filter_map(|it| it.parse().ok()).collect();
    match needs {
        Some(role) if !role.covered_by(&held) => Err(Reason::Role.refuse(format!(
            "this call needs the role {role}; `{name}` has {}",
            if held.is_empty() { "none".to_owned() } else { record.roles.join(", ") }
        ))),
        Some(_) | None => Ok(()),
    }
}

fn known(certificates: &[CertificateRecord], shown: &Shown<'_>, again: &str) -> Result<(), Status> {
    let found = certificates.iter().find(|it| it.fingerprint == shown.fingerprint.as_bytes());
    match found.map(|it| (it.revoked_ms, &it.revoked_reason)) {
        None => Err(Reason::Unknown.refuse(format!(
            "this certificate is not one that the collector issued last for {}; {again}",
            shown.identity
        ))),
        Some((Some(at), why)) => Err(Reason::Revoked
            .refuse(format!("this certificate was revoked on {} ({why}); {again}", readable(at)))),
        Some((None, _)) => Ok(()),
    }
}

fn dates(shown: &Shown<'_>, call: Call, grace: Duration, now_ms: i64, again: &str) -> Result<(), Status> {
    if now_ms < shown.not_before_ms {
        return Err(Reason::Clock.refuse(format!(
            "the certificate is valid from {} and the collector's clock shows {}: correct the clock that is wrong",
            readable(shown.not_before_ms),
            readable(now_ms)
        )));
    }
    let grace_ms = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
    let last = match call {
        Call::Renew => shown.not_after_ms.saturating_add(grace_ms),
        Call::Other => shown.not_after_ms,
    };
    if now_ms <= last {
        return Ok(());
    }
    let advice = match call {
        Call::Renew => format!("the grace for renewal is over; {again}"),
        Call::Other => "renew it".to_owned(),
    };
    Err(Reason::Expired.refuse(format!(
        "the certificate expired on {} by the collector's clock ({}); {advice}",
        readable(shown.not_after_ms),
        readable(now_ms)
    )))
}

/// Revokes what the certificate in use replaced: the others that were issued no later.
/// Returns how many.
pub fn settle(certificates: &mut [CertificateRecord], used: &Digest, now_ms: i64) -> usize {
    let Some(at) = certificates.iter().position(|it| it.fingerprint == used.as_bytes()) else { return 0 };
    // Certificates are recorded in the order in which they were issued; dates may be equal.
    let mut settled = 0;
    for older in certificates.iter_mut().take(at).filter(|it| it.revoked_ms.is_none()) {
        older.revoked_ms = Some(now_ms);
        "replaced".clone_into(&mut older.revoked_reason);
        settled += 1;
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    const GRACE: Duration = Duration::from_hours(400 * 24);

    fn zone() -> ZoneName {
        ZoneName { site: "plant".parse().unwrap(), zone: "line-1".parse().unwrap() }
    }

    fn certificate(text: &[u8]) -> CertificateRecord {
        CertificateRecord { fingerprint: Digest::of(text).to_vec(), ..CertificateRecord::default() }
    }

    fn admit(record: Option<&AssetRecord>, call: Call, now_ms: i64) -> Option<Reason> {
        let asset: Name = "hmi".parse().unwrap();
        let identity = zone().agent(asset.clone());
        let fingerprint = Digest::of(b"a");
        let shown = Shown {
            identity: &identity,
            fingerprint: &fingerprint,
            not_before_ms: DAY,
            not_after_ms: 2 * DAY,
        };
        admit_agent(&asset, record, &shown, call, GRACE, now_ms).err().map(|it| Reason::of(&it).unwrap())
    }

    #[test]
    fn each_fault_has_its_own_reason() {
        let good = AssetRecord { certificates: vec![certificate(b"a")], ..AssetRecord::default() };
        assert_eq!(admit(Some(&good), Call::Other, DAY), None);
        assert_eq!(admit(Some(&good), Call::Other, DAY - 1), Some(Reason::Clock));
        assert_eq!(admit(Some(&good), Call::Other, 2 * DAY + 1), Some(Reason::Expired));
        assert_eq!(admit(None, Call::Other, DAY), Some(Reason::Unknown));

        let mut revoked = good.clone();
        revoked.certificates[0].revoked_ms = Some(5);
        assert_eq!(admit(Some(&revoked), Call::Other, DAY), Some(Reason::Revoked));
        assert_eq!(admit(Some(&revoked), Call::Renew, DAY), Some(Reason::Revoked));

        revoked.retired_ms = Some(6);
        assert_eq!(admit(Some(&revoked), Call::Renew, DAY), Some(Reason::Retired));

        let other = AssetRecord { certificates: vec![certificate(b"b")], ..AssetRecord::default() };
        assert_eq!(admit(Some(&other), Call::Other, DAY), Some(Reason::Unknown));
    }

    #[test]
    fn an_expired_agent_may_renew_within_the_grace_and_no_later() {
        let good = AssetRecord { certificates: vec![certificate(b"a")], ..AssetRecord::default() };
        assert_eq!(admit(Some(&good), Call::Renew, 402 * DAY), None);
        assert_eq!(admit(Some(&good), Call::Renew, 402 * DAY + 1), Some(Reason::Expired));
    }

    #[test]
    fn the_first_use_of_a_renewed_certificate_revokes_the_older_one() {
        let mut held = vec![certificate(b"old"), certificate(b"new")];
        assert_eq!(
            settle(&mut held, &Digest::of(b"old"), 9),
            0,
            "the old one works until the new one is used"
        );
        assert_eq!(settle(&mut held, &Digest::of(b"new"), 9), 1);
        assert_eq!((held[0].revoked_ms, held[0].revoked_reason.as_str()), (Some(9), "replaced"));
        assert_eq!(held[1].revoked_ms, None);
        assert_eq!(settle(&mut held, &Digest::of(b"new"), 10), 0);
    }

    #[test]
    fn foreign_zones_and_other_subjects_are_refused() {
        let name: Name = "hmi".parse().unwrap();
        let fingerprint = Digest::of(b"a");
        let foreign = ZoneName { site: "plant".parse().unwrap(), zone: "line-2".parse().unwrap() };
        for (identity, reason) in [
            (foreign.agent(name.clone()), Reason::WrongZone),
            (zone().operator(name.clone()), Reason::Role),
            (zone().collector(), Reason::Role),
        ] {
            let shown =
                Shown { identity: &identity, fingerprint: &fingerprint, not_before_ms: 0, not_after_ms: 1 };
            let refused = asset_of(&zone(), &shown).unwrap_err();
            assert_eq!(Reason::of(&refused), Some(reason));
        }
    }

    #[test]
    fn an_operator_without_the_role_is_told_which_one_is_needed() {
        let name: Name = "kim".parse().unwrap();
        let identity = zone().operator(name.clone());
        let fingerprint = Digest::of(b"a");
        let shown =
            Shown { identity: &identity, fingerprint: &fingerprint, not_before_ms: 0, not_after_ms: DAY };
        let record = OperatorRecord {
            roles: vec!["viewer".into(), "approver-of-the-future".into()],
            certificates: vec![certificate(b"a")],
            ..OperatorRecord::default()
        };
        let ask = |needs| admit_operator(&name, Some(&record), &shown, Call::Other, Some(needs), GRACE, 5);
        assert!(ask(Role::Viewer).is_ok());
        let refused = ask(Role::Engineer).unwrap_err();
        assert_eq!(Reason::of(&refused), Some(Reason::Role));
        assert!(refused.message().contains("engineer"), "{}", refused.message());
    }
}
