//! One-shots: scans that a person carries in, instead of an agent that calls.
//!
//! A signed one is judged as its agent's call would be: certificate from a CA of this zone, known,
//! not revoked, not retired, the machine the one that was enrolled, its sequence higher than every
//! report that is on disk. Anything else is refused and nothing of it is taken. What it brings has grade
//! C, because nobody asked for it: it answers no challenge and proves no moment.
//!
//! With grade D are taken, when the operator says which asset they are of (`import --as ASSET`):
//! - a file that nobody signed, of an asset that has no identity of its own. The host's clock is then
//!   the only order among its files: one that is not later than the last is refused;
//! - a file signed under a certificate that has expired since, of that very asset. Hosts that no network
//!   reaches cannot renew.
//!
//! A file that was taken before changes nothing. Its bytes are not kept; their digest, who brought them and
//! when are in the asset's record, its events and the audit log.

mod origin;

use std::sync::Arc;

use holdpoint_common::clock::readable;
use holdpoint_common::one_shot::OneShot;
use holdpoint_common::proto::store::{AssetRecord, OneShotRecord};
use holdpoint_common::proto::v1::{HostFacts, Outcome, SectionPart};
use holdpoint_common::section::Digest;
use tonic::{Code, Status};

use super::admit;
use super::apply::apply;
use super::copies;
use super::parse::{Header, Opening, Speaker, kind_name, known_kind, opening, speaker};
use super::receive::Incoming;
use super::resolve::{KnownFacts, Resolved, resolve};
use crate::audit::Act;
use crate::store::Txn;
use crate::zone::items::bounded;
use crate::zone::{Grade, Zone, amend, event, status_of};
use origin::Origin;

/// Event and audit entry: a one-shot was taken.
pub const ONE_SHOT: &str = "one-shot";
/// Most one-shots of an asset that are remembered.
const MAX_REMEMBERED: usize = 16;
/// Most bytes of new rows of one file, unpacked: no host has more, and it is what memory has to hold.
const MAX_UNPACKED: usize = 64 * 1024 * 1024;

/// A file as it was brought.
#[derive(Debug, Clone)]
pub struct Carried {
    /// Who brought it.
    pub by: String,
    /// Its name, without directories.
    pub file: String,
    /// What it is.
    pub bytes: Vec<u8>,
    /// The asset that it is said to be of.
    pub as_asset: Option<String>,
}

/// A one-shot that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Whose it is.
    pub asset: String,
    /// What it is worth.
    pub grade: Grade,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// How many sections were taken.
    pub sections: u32,
    /// It was taken before.
    pub unchanged: bool,
    /// What a person should know besides.
    pub notes: Vec<String>,
}

/// Why a file is not taken.
#[derive(Debug)]
pub enum NotKept {
    /// It cannot be: one sentence.
    Refused(String),
    /// It could not be just now.
    Failed(Status),
}

impl NotKept {
    fn refused<T>(why: impl Into<String>) -> Result<T, Self> {
        Err(Self::Refused(why.into()))
    }
}

/// What the gate or another check of the link says of a file. What is about the store or the moment stays a failure.
impl From<Status> for NotKept {
    fn from(status: Status) -> Self {
        let reason = holdpoint_common::refusal::Reason::of(&status);
        match (reason, status.code()) {
            (Some(reason), _) => Self::Refused(format!("{reason}: {}", status.message())),
            (None, Code::InvalidArgument | Code::FailedPrecondition | Code::NotFound) => {
                Self::Refused(status.message().to_owned())
            }
            (None, _) => Self::Failed(status),
        }
    }
}

/// Takes one-shots into a zone.
#[derive(Debug)]
pub struct OneShots {
    zone: Arc<Zone>,
    facts: Arc<KnownFacts>,
    /// One at a time: each may need as much memory as a large report.
    turn: tokio::sync::Mutex<()>,
}

impl OneShots {
    /// For a zone.
    pub fn new(zone: Arc<Zone>) -> Self {
        Self { zone, facts: Arc::default(), turn: tokio::sync::Mutex::default() }
    }

    /// Takes a file; it is on disk afterwards.
    ///
    /// # Errors
    /// It is refused, and nothing of it was taken; or the store does not take it now.
    pub async fn take(&self, carried: Carried) -> Result<Kept, NotKept> {
        let _turn = self.turn.lock().await;
        let Carried { by, file, bytes, as_asset } = carried;
        let (digest, one_shot) =
            tokio::task::spawn_blocking(move || (Digest::of(&bytes), OneShot::read(&bytes)))
                .await
                .map_err(|_| NotKept::Failed(Status::internal("the file could not be read")))?;
        let one_shot = one_shot.map_err(|it| NotKept::Refused(it.to_string()))?;
        if let Some(kept) = self.taken_before(&one_shot, as_asset.as_deref(), digest) {
            return Ok(kept);
        }
        let origin = origin::of(&self.zone, &one_shot, as_asset.as_deref())?;
        let OneShot { host, host_time_ms, sections, proof: _ } = one_shot;
        let now_ms = self.zone.now_ms();
        let record = OneShotRecord {
            digest: digest.to_vec(),
            file,
            imported_ms: now_ms,
            imported_by: by,
            sequence: origin.sequence(),
            host_time_ms,
            grade: origin.grade().into(),
        };
        let (known, slot) = (self.zone.asset(origin.asset()), self.zone.slot(origin.asset()));
        let speaker = self.recognise(&origin, &host, known.as_deref(), &record).await?;
        let Some(_one_at_a_time) = slot.as_ref().map_or(Some(None), |it| it.start_report().map(Some)) else {
            return Err(NotKept::Failed(Status::unavailable("the asset reports just now: import it again")));
        };
        let (resolved, mut notes) = self.resolve(known.unwrap_or_default(), sections, &origin).await?;
        notes.extend(self.clock_note(host_time_ms, now_ms));
        notes.extend(self.namesakes(&origin, &speaker));
        let sections = u32::try_from(resolved.len()).unwrap_or(u32::MAX);
        let (asset, grade) = (origin.asset().to_owned(), origin.grade());
        self.record(origin, &host, speaker, resolved, record).await?;
        Ok(Kept { asset, grade, digest, sections, unchanged: false, notes })
    }

    /// What became of these very bytes when they were brought before. It changes nothing, so nobody needs to be
    /// asked again whether they may.
    fn taken_before(&self, file: &OneShot, said: Option<&str>, digest: Digest) -> Option<Kept> {
        let known = match (origin::signer(self.zone.name(), file), said) {
            (Some(id), _) => self.zone.asset(id.as_str())?,
            (None, Some(said)) => self.zone.find_asset(said).ok()?,
            (None, None) => return None,
        };
        let before = known.one_shots.iter().find(|it| it.digest == digest.as_bytes())?;
        let when = readable(before.imported_ms);
        let mut notes = vec![format!("taken before: {when}, by {}", bounded(&before.imported_by))];
        if known.one_shots.last() != Some(before) || known.sequence > before.sequence {
            notes.push("newer sections are shown".to_owned());
        }
        Some(Kept {
            asset: known.id.clone(),
            grade: Grade::of_kept(before.grade),
            digest,
            sections: u32::try_from(file.sections.len()).unwrap_or(u32::MAX),
            unchanged: true,
            notes,
        })
    }

    /// Which machine speaks, when it may: the one that was there before, later than it was before.
    async fn recognise(
        &self,
        origin: &Origin,
        host: &HostFacts,
        known: Option<&AssetRecord>,
        record: &OneShotRecord,
    ) -> Result<Speaker, NotKept> {
        // The file was written some time ago: its clock is shown, and not held against ours.
        let speaker =
            speaker(&host.fingerprint, &host.boot_id, &host.agent_version, origin.sequence(), None)?;
        let Some(known) = known else { return Ok(speaker) };
        in_order(known, record)?;
        if let Err(sign) = admit::recognise(known, &speaker) {
            return Err(match origin {
                Origin::Agent { .. } => copies::refuse(&self.zone, known, &speaker, sign).await.into(),
                Origin::Vouched { .. } => NotKept::Refused(format!(
                    "it is of another machine than `{}` ({}): give it another name with --as",
                    known.id,
                    sign.text()
                )),
            });
        }
        Ok(speaker)
    }

    /// Works out the rows of every section, off the tasks that serve others. One bad section refuses the file.
    async fn resolve(
        &self,
        record: Arc<AssetRecord>,
        parts: Vec<SectionPart>,
        origin: &Origin,
    ) -> Result<(Vec<Resolved>, Vec<String>), NotKept> {
        let (store, facts) = (self.zone.store().clone(), Arc::clone(&self.facts));
        let (sequence, grade, now_ms) = (origin.sequence(), origin.grade(), self.zone.now_ms());
        let work = move || {
            let (mut sections, mut notes, mut unpacked) = (Vec::new(), Vec::new(), 0);
            for mut part in parts {
                let kind = part.kind;
                if known_kind(kind).is_none() {
                    notes.push(format!("section {kind} is not known to this collector"));
                    continue;
                }
                let payload = std::mem::take(&mut part.payload);
                let head = match opening(part) {
                    Opening::Taken(head) => head,
                    Opening::Refused { why, .. } => return NotKept::refused(section_refused(kind, &why)),
                };
                let incoming = Incoming::Taken { head, payload };
                let mut resolved = resolve(&store, &facts, &record, incoming, sequence, now_ms)
                    .map_err(|it| NotKept::Failed(status_of(&it)))?;
                if resolved.outcome != Outcome::Stored {
                    return NotKept::refused(section_refused(kind, &resolved.reason));
                }
                if let Some(taken) = &mut resolved.taken {
                    taken.state.grade = grade.into();
                    let rows = taken.new.iter().flat_map(|it| &it.rows);
                    unpacked += rows.map(|it| it.len() + ROW_COST).sum::<usize>();
                }
                if unpacked > MAX_UNPACKED {
                    return NotKept::refused(format!(
                        "it unpacks to more than {} MiB",
                        MAX_UNPACKED / 1024 / 1024
                    ));
                }
                sections.push(resolved);
            }
            if sections.is_empty() {
                return NotKept::refused("it holds no section that this collector knows");
            }
            Ok((sections, notes))
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| NotKept::Failed(Status::internal("a section could not be worked out")))?
    }

    /// Puts the sections on disk together with who brought them.
    async fn record(
        &self,
        origin: Origin,
        host: &HostFacts,
        speaker: Speaker,
        mut sections: Vec<Resolved>,
        one_shot: OneShotRecord,
    ) -> Result<(), NotKept> {
        let (now, tolerance) = (one_shot.imported_ms, self.zone.settings().clock_tolerance);
        let id = origin.asset().to_owned();
        let header = Header { speaker, nonces: Vec::new(), journal: Vec::new(), journal_dropped: 0 };
        let text = told(&origin, &one_shot);
        let act = Act {
            by: one_shot.imported_by.clone(),
            action: "one-shot-imported",
            subject: format!("{id} {}", hex(&one_shot.digest)),
            text: text.clone(),
            detail: None,
        };
        self.zone
            .change_assets(&[&id], Txn::report(), |assets, txn| {
                let record = match (assets.get_mut(&id), &origin) {
                    (Some(record), _) => record,
                    (None, Origin::Agent { .. }) => return Err(Status::aborted("the asset is gone")),
                    (None, Origin::Vouched { .. }) => {
                        assets.entry(id.clone()).or_insert_with(|| founded(&id, host, now))
                    }
                };
                // It may have reported, or been revoked or retired, while this call waited for its turn.
                origin::still(&origin, record)?;
                in_order(record, &one_shot).map_err(|it| match it {
                    NotKept::Refused(why) => Status::failed_precondition(why),
                    NotKept::Failed(status) => status,
                })?;
                let certificate = origin.certificate();
                let mut events = admit::take_word(record, &header.speaker, certificate, tolerance, now);
                // A file answers no question, so there is nothing else.
                events.extend(apply(record, &header, &sections, now).events);
                events.push(event(now, &id, ONE_SHOT, text));
                record.one_shots.push(one_shot);
                let extra = record.one_shots.len().saturating_sub(MAX_REMEMBERED);
                record.one_shots.drain(..extra);
                let new: Vec<_> = sections
                    .iter_mut()
                    .filter_map(|it| it.taken.as_mut().and_then(|it| it.new.take()))
                    .collect();
                amend(txn, |txn| {
                    let txn = new.into_iter().fold(txn, Txn::put_section);
                    events.into_iter().fold(txn, Txn::add_event)
                });
                Ok(((), vec![act]))
            })
            .await?;
        Ok(())
    }

    fn clock_note(&self, host_time_ms: i64, now_ms: i64) -> Option<String> {
        let ahead = host_time_ms.saturating_sub(now_ms);
        let tolerance = i64::try_from(self.zone.settings().clock_tolerance.as_millis()).unwrap_or(i64::MAX);
        let scanned = readable(host_time_ms);
        (ahead > tolerance)
            .then(|| format!("the host's clock said {scanned}, which is still to come: it is wrong"))
    }

    /// Other assets of the same machine: probably a name that was mistyped.
    fn namesakes(&self, origin: &Origin, speaker: &Speaker) -> Option<String> {
        let others: Vec<_> = self
            .zone
            .machines(speaker.fingerprint.as_bytes())
            .into_iter()
            .filter(|it| it != origin.asset())
            .collect();
        let is_known = speaker.fingerprint != Digest::of(b"");
        (is_known && !others.is_empty()).then(|| format!("the same machine is also {}", others.join(", ")))
    }
}

/// What a row costs in memory beyond its bytes.
const ROW_COST: usize = 24;

fn section_refused(kind: i32, why: &str) -> String {
    format!("its section {} cannot be taken: {why}", kind_name(kind))
}

/// Whether a file is newer than what is on disk: by its sequence when it is signed, else by the host's clock.
fn in_order(record: &AssetRecord, file: &OneShotRecord) -> Result<(), NotKept> {
    if file.sequence > 0 {
        if file.sequence > record.sequence {
            return Ok(());
        }
        return NotKept::refused(format!(
            "report {} of `{}` is on disk and this file is report {}: an older one-shot never replaces newer sections",
            record.sequence, record.id, file.sequence
        ));
    }
    match record.one_shots.last() {
        Some(last) if file.host_time_ms <= last.host_time_ms => NotKept::refused(format!(
            "by the host's clock it was made {} and the last one taken for `{}` {}: an older one-shot never replaces \
             newer sections (if the host's clock was set back, correct it and scan again)",
            readable(file.host_time_ms),
            record.id,
            readable(last.host_time_ms)
        )),
        Some(_) | None => Ok(()),
    }
}

/// The record of an asset that is known from a file alone: nobody can speak for it over a link.
fn founded(id: &str, host: &HostFacts, now_ms: i64) -> AssetRecord {
    AssetRecord {
        id: id.to_owned(),
        name: id.to_owned(),
        hostname: bounded(&host.hostname),
        enrolled_ms: now_ms,
        ..AssetRecord::default()
    }
}

fn told(origin: &Origin, file: &OneShotRecord) -> String {
    let worth = match origin {
        Origin::Agent { sequence, grade: Grade::C, .. } => format!("signed as report {sequence}"),
        Origin::Agent { sequence, .. } => {
            format!("signed as report {sequence} under a certificate that has expired")
        }
        Origin::Vouched { .. } => "not signed".to_owned(),
    };
    format!(
        "{} ({}), {worth}, scanned {} by the host's clock, brought by {}: evidence grade {}",
        bounded(&file.file),
        hex(&file.digest),
        readable(file.host_time_ms),
        bounded(&file.imported_by),
        origin.grade()
    )
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[cfg(test)]
#[path = "carried_tests.rs"]
mod tests;
