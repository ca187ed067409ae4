//! Whose a one-shot is, and what that is worth: from its proof, the zone's records and the operator's word.

use holdpoint_common::identity::{Name, Subject, ZoneName};
use holdpoint_common::one_shot::{OneShot, Proof};
use holdpoint_common::proto::store::AssetRecord;
use holdpoint_common::refusal::Reason;
use holdpoint_common::section::Digest;
use holdpoint_common::tls::{Leaf, Purpose};
use rustls::pki_types::CertificateDer;
use tonic::Status;

use super::NotKept;
use crate::zone::items::bounded;
use crate::zone::{Call, Grade, Zone, gate};

/// Whose a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// Of an enrolled agent, which signed it.
    Agent {
        /// Its asset.
        asset: String,
        /// SHA-256 of the certificate.
        certificate: Digest,
        /// Higher than 0.
        sequence: u64,
        /// C, or D under a certificate that has expired.
        grade: Grade,
    },
    /// Of an asset that the operator names; grade D.
    Vouched {
        /// The asset, which may not exist yet.
        asset: String,
    },
}

impl Origin {
    pub(super) fn asset(&self) -> &str {
        match self {
            Self::Agent { asset, .. } | Self::Vouched { asset } => asset,
        }
    }

    pub(super) fn grade(&self) -> Grade {
        match self {
            Self::Agent { grade, .. } => *grade,
            Self::Vouched { .. } => Grade::D,
        }
    }

    /// 0 when nobody numbered it.
    pub(super) fn sequence(&self) -> u64 {
        match self {
            Self::Agent { sequence, .. } => *sequence,
            Self::Vouched { .. } => 0,
        }
    }

    /// The certificate that is in use, as a call would show it. An expired one replaces none.
    pub(super) fn certificate(&self) -> Option<&Digest> {
        match self {
            Self::Agent { certificate, grade: Grade::C, .. } => Some(certificate),
            Self::Agent { .. } | Self::Vouched { .. } => None,
        }
    }
}

/// Finds out whose a file is.
///
/// # Errors
/// Nobody may bring it, or the operator has to say more.
pub(super) fn of(zone: &Zone, file: &OneShot, said: Option<&str>) -> Result<Origin, NotKept> {
    match &file.proof {
        Proof::Unsigned => vouched(zone, said),
        Proof::Signed { certificate, leaf, sequence } => signed(zone, certificate, leaf, *sequence, said),
    }
}

/// The asset of this zone that signed a file, by its own certificate; nobody has been asked about that yet.
pub(super) fn signer<'a>(zone: &ZoneName, file: &'a OneShot) -> Option<&'a Name> {
    let Proof::Signed { leaf, .. } = &file.proof else { return None };
    match &leaf.identity.subject {
        Subject::Agent(asset) if leaf.identity.zone == *zone => Some(asset),
        Subject::Agent(_) | Subject::Operator(_) | Subject::Collector => None,
    }
}

fn signed(
    zone: &Zone,
    certificate: &CertificateDer<'_>,
    leaf: &Leaf,
    sequence: u64,
    said: Option<&str>,
) -> Result<Origin, NotKept> {
    // First who issued it: what a stranger's certificate says is nobody's word.
    if !zone.pki().serving().anchors().any(|it| it.signed(certificate, leaf, Purpose::Client)) {
        return NotKept::refused(
            "the certificate that signed it is not from this zone's CA: it is of another zone, or enrolled long ago",
        );
    }
    let shown = gate::Shown {
        identity: &leaf.identity,
        fingerprint: &leaf.fingerprint,
        not_before_ms: leaf.not_before_ms,
        not_after_ms: leaf.not_after_ms,
    };
    let asset = gate::asset_of(zone.name(), &shown)?;
    let id = asset.to_string();
    if let Some(said) = said.filter(|it| zone.find_asset(it).map_or(*it != id, |found| found.id != id)) {
        return NotKept::refused(format!("`{id}` signed it, so it is not of `{}`", bounded(said)));
    }
    let record = zone.asset(&id);
    let renewable = zone.settings().grace;
    let admitted = gate::admit_agent(asset, record.as_deref(), &shown, Call::Other, renewable, zone.now_ms());
    let grade = match admitted {
        Ok(()) => Grade::C,
        Err(status) if Reason::of(&status) == Some(Reason::Expired) => {
            if said.is_none() {
                return NotKept::refused(format!(
                    "{}: {}; `holdpoint import --as {id} FILE` takes it on your word, with evidence grade D",
                    Reason::Expired,
                    status.message()
                ));
            }
            Grade::D
        }
        Err(status) => return Err(status.into()),
    };
    Ok(Origin::Agent { asset: id, certificate: leaf.fingerprint, sequence, grade })
}

fn vouched(zone: &Zone, said: Option<&str>) -> Result<Origin, NotKept> {
    let Some(said) = said else {
        return NotKept::refused(
            "it is not signed, so it does not prove which asset it is of; `holdpoint import --as ASSET FILE` takes it on \
             your word, with evidence grade D",
        );
    };
    match zone.find_asset(said) {
        Ok(found) => {
            may_be_vouched_for(&found)?;
            Ok(Origin::Vouched { asset: found.id.clone() })
        }
        Err(status) if status.code() == tonic::Code::NotFound => {
            let name: Name = said.parse().map_err(|it| NotKept::Refused(format!("--as: {it}")))?;
            Ok(Origin::Vouched { asset: name.to_string() })
        }
        Err(status) => Err(status.into()),
    }
}

/// Whether an asset has nobody better to speak for it than the operator.
fn may_be_vouched_for(record: &AssetRecord) -> Result<(), Status> {
    let id = &record.id;
    if record.retired_ms.is_some() {
        return Err(Reason::Retired.refuse(format!("asset `{id}` was retired: give the file another name")));
    }
    if record.copy_of.is_some() {
        return Err(Status::failed_precondition(format!(
            "`{id}` is a copy that is refused: merge or split it first"
        )));
    }
    if !record.certificates.is_empty() {
        return Err(Status::failed_precondition(format!(
            "`{id}` has an identity of its own, and this file is not signed with it: scan there as the account that the \
             agent runs as"
        )));
    }
    Ok(())
}

/// Whether a file may still be taken as what it was found to be.
///
/// # Errors
/// The asset changed meanwhile.
pub(super) fn still(origin: &Origin, record: &AssetRecord) -> Result<(), Status> {
    match origin {
        Origin::Vouched { .. } => may_be_vouched_for(record),
        Origin::Agent { certificate, .. } => {
            let held = record.certificates.iter().find(|it| it.fingerprint == certificate.as_bytes());
            if record.retired_ms.is_some() || held.is_none_or(|it| it.revoked_ms.is_some()) {
                return Err(Reason::Revoked.refuse("the certificate was revoked a moment ago"));
            }
            Ok(())
        }
    }
}
