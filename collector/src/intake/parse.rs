//! From an agent's messages to checked values. Every limit on what an agent may say is here.
//!
//! Kinds and states that this version does not know are left out, because agents may be newer
//! than their collector; lengths and counts that no agent needs are refused.

use std::collections::BTreeMap;

use holdpoint_common::proto::v1::{
    CheckInRequest, Declined, Health, HeldSection, JournalEntry, ReportHeader, SectionBody, SectionPart,
    SectionStatus,
};
use holdpoint_common::row::{SectionKind, section_name};
use holdpoint_common::section::{Digest, MAX_PACKED, MAX_REASON, MAX_REASONS};
use tonic::Status;

use crate::zone::DeclinedNow;
use crate::zone::items::bounded;

/// Longest boot id or agent version, in bytes.
const MAX_WORD: usize = 128;
/// Most sections that an agent lists.
const MAX_HELD: usize = 64;
/// Most challenges that a message answers or declines.
const MAX_NONCES: usize = 64;
/// Most entries of a journal.
pub(super) const MAX_JOURNAL: usize = 1_000;
/// Largest journal, in bytes.
pub(super) const MAX_JOURNAL_BYTES: usize = 512 * 1024;

/// Which machine speaks, by its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Speaker {
    pub(super) fingerprint: Digest,
    /// Empty when the host cannot tell.
    pub(super) boot_id: String,
    pub(super) agent_version: String,
    /// Of its last report, or of the one that it brings.
    pub(super) sequence: u64,
    pub(super) host_time_ms: Option<i64>,
}

/// What an agent holds of one section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) digest: Digest,
    pub(super) status: SectionStatus,
}

/// A check-in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CheckIn {
    pub(super) speaker: Speaker,
    pub(super) held: BTreeMap<SectionKind, Held>,
    pub(super) health: Option<Health>,
    pub(super) anchors_digest: Vec<u8>,
    pub(super) declined: Vec<DeclinedNow>,
    pub(super) max_hold_s: u32,
    pub(super) journal_entries: u32,
}

impl TryFrom<CheckInRequest> for CheckIn {
    type Error = Status;

    fn try_from(wire: CheckInRequest) -> Result<Self, Status> {
        let CheckInRequest {
            sequence,
            boot_id,
            fingerprint,
            held,
            health,
            agent_version,
            anchors_digest,
            declined,
            max_hold_s,
            journal_entries,
        } = wire;
        if held.len() > MAX_HELD || declined.len() > MAX_NONCES || anchors_digest.len() > 32 {
            return Err(Status::invalid_argument("the check-in lists more than a host can have"));
        }
        let host_time_ms = health.as_ref().map(|it| it.host_time_ms);
        Ok(Self {
            speaker: speaker(&fingerprint, &boot_id, &agent_version, sequence, host_time_ms)?,
            held: held.iter().map(held_section).filter_map(Result::transpose).collect::<Result<_, _>>()?,
            health,
            anchors_digest,
            declined: declined.into_iter().filter_map(declined_now).collect(),
            max_hold_s,
            journal_entries,
        })
    }
}

/// What opens a report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub(super) speaker: Speaker,
    pub(super) nonces: Vec<Vec<u8>>,
    pub(super) journal: Vec<JournalEntry>,
    pub(super) journal_dropped: u64,
}

impl TryFrom<ReportHeader> for Header {
    type Error = Status;

    fn try_from(wire: ReportHeader) -> Result<Self, Status> {
        let ReportHeader {
            sequence,
            boot_id,
            fingerprint,
            host_time_ms,
            nonces,
            agent_version,
            mut journal,
            mut journal_dropped,
        } = wire;
        if sequence == 0 {
            return Err(Status::invalid_argument("reports are numbered from 1"));
        }
        if nonces.len() > MAX_NONCES {
            return Err(Status::invalid_argument("the report answers more challenges than there can be"));
        }
        // Of a journal that is too long, the newest entries that fit are kept.
        let mut room = MAX_JOURNAL_BYTES;
        let fits = journal.iter().rev().take(MAX_JOURNAL).take_while(|entry| {
            let left = room.checked_sub(prost::Message::encoded_len(*entry));
            room = left.unwrap_or(0);
            left.is_some()
        });
        let dropped = journal.len() - fits.count();
        journal.drain(..dropped);
        journal_dropped = journal_dropped.saturating_add(u64::try_from(dropped).unwrap_or(u64::MAX));
        Ok(Self {
            speaker: speaker(&fingerprint, &boot_id, &agent_version, sequence, Some(host_time_ms))?,
            nonces,
            journal,
            journal_dropped,
        })
    }
}

/// How the rows of a section arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Full,
    Delta { base: Digest },
    Reference,
}

/// A section of a report without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SectionHead {
    pub(super) kind: SectionKind,
    pub(super) status: SectionStatus,
    pub(super) reasons: Vec<String>,
    pub(super) digest: Digest,
    pub(super) body: Body,
    pub(super) payload_bytes: usize,
}

/// What the opening of a section says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Opening {
    /// It can be taken.
    Taken(SectionHead),
    /// It cannot, and sending it again cannot help. Its payload is passed over.
    Refused { kind: i32, digest: Option<Digest>, payload_bytes: usize, why: String },
}

/// Reads the opening of a section; the first piece of its payload is not part of it.
pub(super) fn opening(wire: SectionPart) -> Opening {
    let SectionPart { kind, status, reasons, digest, body, base, payload_bytes, payload: _ } = wire;
    let payload_bytes = usize::try_from(payload_bytes).unwrap_or(usize::MAX);
    let digest = Digest::try_from(digest.as_slice()).ok();
    let refused = |why: &str| Opening::Refused { kind, digest, payload_bytes, why: why.to_owned() };

    let Some(kind) = known_kind(kind) else { return refused("this collector does not know such a section") };
    let Some(digest) = digest else { return refused("its digest has not 32 bytes") };
    let status = match SectionStatus::try_from(status) {
        Ok(SectionStatus::Unspecified) | Err(_) => return refused("its status is not known"),
        Ok(status) => status,
    };
    if reasons.len() > MAX_REASONS || reasons.iter().any(|it| it.len() > MAX_REASON) {
        return refused("its reasons are more or longer than allowed");
    }
    if payload_bytes > MAX_PACKED {
        return refused("it is larger than 4 MiB");
    }
    let body = match SectionBody::try_from(body) {
        Ok(SectionBody::Full) => Body::Full,
        Ok(SectionBody::Reference) if payload_bytes == 0 => Body::Reference,
        Ok(SectionBody::Reference) => return refused("a reference has no payload"),
        Ok(SectionBody::Delta) => match Digest::try_from(base.as_slice()) {
            Ok(base) => Body::Delta { base },
            Err(_) => return refused("its base has not 32 bytes"),
        },
        Ok(SectionBody::Unspecified) | Err(_) => return refused("its body is of a kind that is not known"),
    };
    // A complete section has no excuse; reasons of one that is not are shown to people.
    let reasons = match status {
        SectionStatus::Complete => Vec::new(),
        SectionStatus::Unspecified
        | SectionStatus::Partial
        | SectionStatus::Failed
        | SectionStatus::Unsupported => reasons.iter().map(|it| bounded(it)).collect(),
    };
    Opening::Taken(SectionHead { kind, status, reasons, digest, body, payload_bytes })
}

/// The kind as a word, also of one that is not known.
pub(super) fn kind_name(kind: i32) -> String {
    known_kind(kind).map_or_else(|| format!("section {kind}"), |it| section_name(it).to_owned())
}

/// The kind, when this version knows it.
pub(super) fn known_kind(kind: i32) -> Option<SectionKind> {
    SectionKind::try_from(kind).ok().filter(|&it| it != SectionKind::Unspecified)
}

/// Which machine speaks; lengths that no machine needs are refused.
pub(super) fn speaker(
    fingerprint: &[u8],
    boot_id: &str,
    agent_version: &str,
    sequence: u64,
    host_time_ms: Option<i64>,
) -> Result<Speaker, Status> {
    let fingerprint = Digest::try_from(fingerprint)
        .map_err(|_| Status::invalid_argument("the machine's fingerprint has not 32 bytes"))?;
    for (what, word) in [("boot id", boot_id), ("agent version", agent_version)] {
        if word.len() > MAX_WORD || word.chars().any(char::is_control) {
            return Err(Status::invalid_argument(format!(
                "the {what} is longer than {MAX_WORD} bytes or not text"
            )));
        }
    }
    // A sequence near the end could never be followed by a higher one.
    if sequence > u64::MAX / 2 {
        return Err(Status::invalid_argument("the sequence is out of range"));
    }
    Ok(Speaker {
        fingerprint,
        boot_id: boot_id.to_owned(),
        agent_version: agent_version.to_owned(),
        sequence,
        host_time_ms,
    })
}

/// `None` for a kind or a status of a newer agent.
fn held_section(wire: &HeldSection) -> Result<Option<(SectionKind, Held)>, Status> {
    let HeldSection { kind, digest, status } = wire;
    let Some(kind) = known_kind(*kind) else { return Ok(None) };
    let status = match SectionStatus::try_from(*status) {
        Ok(SectionStatus::Unspecified) | Err(_) => return Ok(None),
        Ok(status) => status,
    };
    let digest = Digest::try_from(digest.as_slice()).map_err(|_| {
        Status::invalid_argument(format!("the digest of section {} has not 32 bytes", section_name(kind)))
    })?;
    Ok(Some((kind, Held { digest, status })))
}

fn declined_now(wire: Declined) -> Option<DeclinedNow> {
    let Declined { nonce, reason, until_ms } = wire;
    let reason = ["quiet-hours", "kill-file"].into_iter().find(|it| *it == reason)?;
    Some(DeclinedNow { nonce, reason, until_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part() -> SectionPart {
        SectionPart {
            kind: SectionKind::Software.into(),
            status: SectionStatus::Complete.into(),
            digest: vec![1; 32],
            body: SectionBody::Full.into(),
            ..SectionPart::default()
        }
    }

    fn why(part: SectionPart) -> Option<String> {
        match opening(part) {
            Opening::Taken(_) => None,
            Opening::Refused { why, .. } => Some(why),
        }
    }

    #[test]
    fn openings_over_a_limit_or_malformed_are_refused_with_the_reason() {
        assert_eq!(why(part()), None);
        let too_large = u32::try_from(MAX_PACKED).unwrap() + 1;
        for (wrong, word) in [
            (SectionPart { payload_bytes: too_large, ..part() }, "4 MiB"),
            (SectionPart { kind: 99, ..part() }, "not know"),
            (SectionPart { kind: 0, ..part() }, "not know"),
            (SectionPart { status: 0, ..part() }, "status"),
            (SectionPart { body: 9, ..part() }, "body"),
            (SectionPart { digest: vec![1; 31], ..part() }, "digest"),
            (SectionPart { reasons: vec!["x".repeat(MAX_REASON + 1)], ..part() }, "reasons"),
            (SectionPart { body: SectionBody::Delta.into(), ..part() }, "base"),
            (SectionPart { body: SectionBody::Reference.into(), payload_bytes: 1, ..part() }, "no payload"),
        ] {
            assert!(why(wrong.clone()).is_some_and(|it| it.contains(word)), "{wrong:?}");
        }
    }

    #[test]
    fn sections_of_a_newer_agent_are_left_out_of_a_check_in() {
        let held = |kind, status| HeldSection { kind, digest: vec![1; 32], status };
        let request = CheckInRequest {
            fingerprint: vec![1; 32],
            held: vec![held(1, 1), held(77, 1), held(3, 88)],
            ..CheckInRequest::default()
        };
        let check_in = CheckIn::try_from(request).unwrap();
        assert_eq!(check_in.held.keys().copied().collect::<Vec<_>>(), [SectionKind::Platform]);
    }

    #[test]
    fn a_journal_that_is_too_long_keeps_its_newest_entries_and_counts_the_rest() {
        let journal =
            (0..1_500).map(|it| JournalEntry { host_time_ms: it, ..JournalEntry::default() }).collect();
        let wire = ReportHeader {
            sequence: 1,
            fingerprint: vec![1; 32],
            journal,
            journal_dropped: 2,
            ..ReportHeader::default()
        };
        let header = Header::try_from(wire).unwrap();
        assert_eq!(header.journal.len(), MAX_JOURNAL);
        assert_eq!(header.journal[0].host_time_ms, 500);
        assert_eq!(header.journal_dropped, 502);
    }

    #[test]
    fn words_that_no_agent_says_are_refused() {
        let request = |boot_id: &str, sequence| CheckInRequest {
            boot_id: boot_id.into(),
            sequence,
            fingerprint: vec![1; 32],
            ..CheckInRequest::default()
        };
        assert!(CheckIn::try_from(request("b", 7)).is_ok());
        assert!(CheckIn::try_from(request("b\u{7}", 7)).is_err());
        assert!(CheckIn::try_from(request(&"b".repeat(129), 7)).is_err());
        assert!(CheckIn::try_from(request("b", u64::MAX)).is_err());
        assert!(CheckIn::try_from(CheckInRequest::default()).is_err());
    }
}
