//! Making a pack: a function of its arguments.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use holdpoint_common::clock::readable;
use holdpoint_common::identity::ZoneName;
use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{SignedDecision, SnapshotRecord};
use holdpoint_common::row::SectionKind;
use holdpoint_common::section::{Digest, InvalidSection, Rows};
use prost::Message;
use rustls::pki_types::CertificateDer;

use super::container::{self, InvalidContainer};
use super::excerpt::{Excerpt, Own};
use super::manifest::{self, FORMAT, Listed, Manifest, Policy, Span};
use super::member::Member;
use super::report;
use crate::assess::RowSource;
use crate::audit::AuditKey;
use crate::change::Change;
use crate::change::fold::{Refused, Written};

/// What a pack is made from.
pub struct Input<'a> {
    /// "CHG-0001".
    pub change: &'a str,
    /// Of the collector.
    pub zone: &'a ZoneName,
    /// The change's entries.
    pub excerpt: &'a Excerpt,
    /// Of agents and authorities, as far as known; those of decisions are in the entries.
    pub certificates: &'a [CertificateDer<'static>],
    /// Where rows are read.
    pub rows: &'a dyn RowSource,
    /// How much goes in.
    pub policy: Policy,
    /// Unix milliseconds.
    pub exported_ms: i64,
    /// The audit log's key.
    pub key: &'a AuditKey,
}

/// Why no pack could be made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The audit log has something in it that does not verify.
    #[error("the audit log does not hold: {0}; `holdpoint audit verify` says more")]
    Log(String),
    /// An entry may not follow the ones before.
    #[error("the change's entries do not follow each other")]
    Fold(#[from] Refused),
    /// Rows cannot be read now.
    #[error("rows of a snapshot cannot be read: {0}")]
    Rows(String),
    /// Rows that are no rows.
    #[error("rows of a snapshot are damaged")]
    Damaged(#[from] InvalidSection),
    /// Rows cannot be compressed, or the manifest not be written.
    #[error("memory is short")]
    Memory(#[source] std::io::Error),
    /// More than a file can hold.
    #[error("the evidence is too large for one file; the policy `digests` makes it smaller")]
    Container(#[from] InvalidContainer),
}

/// Makes a pack.
///
/// # Errors
/// Its entries do not verify or do not follow each other, rows cannot be read, or it gets too large. Rows that are
/// gone are no error: the pack is made without them, and checking it says so.
pub fn export(input: &Input<'_>) -> Result<Vec<u8>, ExportError> {
    let Input { change: id, zone, excerpt, certificates, rows, policy, exported_ms, key } = input;
    let public = <[u8; 32]>::try_from(key.public()).unwrap_or_default();
    let entries = excerpt.verified(id, &public).map_err(ExportError::Log)?;
    let change = folded(&entries, |_, _| {})?;
    let number = |it: Option<&Own>| it.map_or(0, |it| it.audit.number);
    let head = excerpt.records.last().map(|it| HEXLOWER.encode(&it.chain)).unwrap_or_default();
    let mut manifest = Manifest {
        format: FORMAT,
        change: change.id.clone(),
        zone: zone.to_string(),
        exported: readable(*exported_ms),
        policy: *policy,
        made_by: concat!("holdpoint-collector ", env!("CARGO_PKG_VERSION")).to_owned(),
        audit_key: HEXLOWER.encode(key.public()),
        log: Span { first: number(entries.first()), last: number(entries.last()), head },
        members: Vec::new(),
    };

    let mut members = BTreeMap::new();
    members.insert(Member::Audit, excerpt.to_bytes());
    members.insert(Member::Plan, change.text.clone().into_bytes());
    members.insert(Member::Report, report::page(&change, &manifest).into_bytes());
    let of_decisions = entries.iter().filter_map(decision).flat_map(|it| &it.chain).map(Vec::as_slice);
    for der in of_decisions.chain(certificates.iter().map(AsRef::as_ref)) {
        members.insert(Member::Certificate(Digest::of(der)), der.to_vec());
    }
    let mut sections = BTreeSet::new();
    for snapshot in entries.iter().filter_map(snapshot) {
        if let Ok(nonce) = <[u8; 16]>::try_from(snapshot.nonce.as_slice()) {
            members.insert(Member::Snapshot(nonce), snapshot.encode_to_vec());
        }
        if *policy == Policy::Rows {
            sections.extend(named(snapshot).map(|(kind, digest, _)| (digest, kind)));
        }
    }
    for (digest, kind) in sections {
        let Some(found) = rows.rows(kind, &digest).map_err(ExportError::Rows)? else { continue };
        let packed = Rows::from_encoded(found.to_vec()).pack().map_err(ExportError::Memory)?;
        members.insert(Member::Section(digest), packed);
    }
    manifest.members = members.iter().map(|(member, bytes)| Listed::of(*member, bytes)).collect();
    seal(&manifest, members, key)
}

/// Signs a manifest and puts everything into one file.
pub(super) fn seal(
    manifest: &Manifest,
    mut members: BTreeMap<Member, Vec<u8>>,
    key: &AuditKey,
) -> Result<Vec<u8>, ExportError> {
    let manifest = manifest.to_bytes().map_err(|it| ExportError::Memory(it.into()))?;
    members.insert(Member::Signature, manifest::sign(&manifest, key));
    members.insert(Member::Manifest, manifest);
    Ok(container::write(&members.into_iter().collect::<Vec<_>>())?)
}

/// Folds entries again; `before` sees each together with the change as it was before it, but for the first.
pub(super) fn folded(entries: &[Own], mut before: impl FnMut(&Change, &Own)) -> Result<Change, Refused> {
    let [first, rest @ ..] = entries else {
        return Err(Refused(vec!["there are no entries".to_owned()]));
    };
    let at = |entry: &Own, Refused(why): Refused| {
        Refused(vec![format!(
            "entry {} of the change ({}) may not follow what is before it: {}",
            entry.change.revision,
            entry.audit.action,
            why.join("; ")
        )])
    };
    let mut change = Change::draft(&first.change, Written::from(&first.audit)).map_err(|it| at(first, it))?;
    for entry in rest {
        before(&change, entry);
        change.take(&entry.change, Written::from(&entry.audit)).map_err(|it| at(entry, it))?;
    }
    Ok(change)
}

/// The decision of a person in an entry.
pub(super) fn decision(entry: &Own) -> Option<&SignedDecision> {
    match entry.change.what.as_ref()? {
        What::Decision(signed) => Some(signed),
        What::Explained(it) => it.decision.as_ref(),
        What::Point(it) => it.decision.as_ref(),
        What::Drafted(_)
        | What::Submitted(_)
        | What::Meeting(_)
        | What::Opening(_)
        | What::Snapshot(_)
        | What::Refused(_)
        | What::Completed(_)
        | What::Judged(_)
        | What::RolledBack(_)
        | What::Lessons(_)
        | What::Closed(_)
        | What::Regressed(_)
        | What::Exported(_) => None,
    }
}

/// The snapshot in an entry.
pub(super) fn snapshot(entry: &Own) -> Option<&SnapshotRecord> {
    let Some(What::Snapshot(taken)) = &entry.change.what else { return None };
    taken.snapshot.as_ref()
}

/// Kind, digest and number of rows of every section that a snapshot names.
pub(super) fn named(snapshot: &SnapshotRecord) -> impl Iterator<Item = (SectionKind, Digest, u32)> {
    snapshot.sections.iter().filter_map(|section| {
        let state = section.state.as_ref()?;
        let kind = SectionKind::try_from(section.kind).ok()?;
        Some((kind, Digest::try_from(state.digest.as_slice()).ok()?, state.rows))
    })
}
