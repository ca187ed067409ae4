//! What a report does to an asset's record: a pure function of (record, report, now).

use data_encoding::HEXLOWER;
use holdpoint_common::proto::store::{
    AnswerRecord, AssetRecord, ChallengeRecord, EventRecord, SnapshotRecord, SnapshotSection,
};
use holdpoint_common::proto::v1::{HeldSection, JournalEntry, Outcome, SectionStatus};
use holdpoint_common::row::{REPORTED, SectionKind, section_name, status_name};

use super::admit::{WENT_BACK, clear, newest, place, section_of};
use super::parse::{Header, Speaker, kind_name};
use super::resolve::{Change, Resolved, Taken};
use crate::zone::event;
use crate::zone::items::{bounded, describe};

/// Most answers that are kept.
const MAX_ANSWERS: usize = 16;
/// Rows that an event of the journal names on each side.
const JOURNAL_EXAMPLES: usize = 3;

/// What a report comes to beside the record.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// What is worth an event.
    pub(super) events: Vec<EventRecord>,
    /// What is kept because a change rests on it.
    pub(super) snapshots: Vec<SnapshotRecord>,
    /// Questions that it answers and that are not asked now, nor were answered before.
    pub(super) old: Vec<Vec<u8>>,
}

/// Takes a report into the record. The sections' rows are in the store or in the same transaction.
pub(super) fn apply(
    record: &mut AssetRecord,
    header: &Header,
    sections: &[Resolved],
    now_ms: i64,
) -> Applied {
    let mut events = journal(record, header, now_ms);
    let first = record.sequence == 0 && record.sections.is_empty();
    for section in sections {
        if section.outcome == Outcome::Refused {
            let text = format!("{} was refused: {}", kind_name(section.kind), section.reason);
            events.push(event(now_ms, &record.id, "refused", text));
        }
        if let Some(taken) = &section.taken {
            take(record, taken, section.outcome, now_ms, &mut events);
        }
    }
    if first {
        let kinds: Vec<_> = record.sections.iter().map(|it| kind_name(it.kind)).collect();
        events.push(event(now_ms, &record.id, "first-report", kinds.join(", ")));
    }
    let Applied { events: answered, snapshots, old } = answer(record, header, sections, now_ms);
    events.extend(answered);
    record.sequence = header.speaker.sequence;
    clear(record, WENT_BACK);
    Applied { events, snapshots, old }
}

fn take(
    record: &mut AssetRecord,
    taken: &Taken,
    outcome: Outcome,
    now_ms: i64,
    events: &mut Vec<EventRecord>,
) {
    let Taken { kind, state, facts, new: _, change } = taken;
    let before = section_of(record, *kind).and_then(newest).map(|it| (it.status, it.reasons.clone()));
    place(record, *kind, state.clone());
    let shown = section_of(record, *kind).and_then(|it| it.shown.as_ref()).is_some_and(|it| it == state);

    if let Some(change) = change
        && shown
    {
        events.push(event(now_ms, &record.id, "section-changed", changed(*kind, change)));
    }
    let complete = i32::from(SectionStatus::Complete);
    let news = before.as_ref() != Some(&(state.status, state.reasons.clone()));
    if outcome == Outcome::Stored && state.status != complete && news {
        let status =
            SectionStatus::try_from(state.status).ok().and_then(status_name).unwrap_or("of unknown status");
        let why =
            if state.reasons.is_empty() { String::new() } else { format!(": {}", state.reasons.join("; ")) };
        events.push(event(
            now_ms,
            &record.id,
            "section-incomplete",
            format!("{} is {status}{why}", section_name(*kind)),
        ));
    } else if state.status == complete && before.is_some_and(|it| it.0 != complete) {
        let text = format!("{} is complete again", section_name(*kind));
        events.push(event(now_ms, &record.id, "section-complete", text));
    }
    if shown && *kind == SectionKind::Platform {
        record.os_name = facts.os_name.as_deref().map(bounded);
        record.os_version = facts.os_version.as_deref().map(bounded);
    }
    if shown && *kind == SectionKind::Software {
        record.software_count = facts.software_count;
    }
}

fn changed(kind: SectionKind, change: &Change) -> String {
    let Change { added, removed, examples } = change;
    let more = if added + removed > examples.len() { ", ..." } else { "" };
    format!("{} +{added} -{removed}: {}{more}", section_name(kind), examples.join(", "))
}

/// Settles the challenges that the report answers. Only those that are asked now can be
/// answered, and only by a report that names every section and has none to send again.
fn answer(record: &mut AssetRecord, header: &Header, sections: &[Resolved], now_ms: i64) -> Applied {
    let missing: Vec<_> = REPORTED
        .into_iter()
        .filter(|&kind| {
            !sections.iter().any(|it| it.kind == i32::from(kind) && it.outcome != Outcome::WantFull)
        })
        .map(section_name)
        .collect();
    let (mut events, mut snapshots, mut old) = (Vec::new(), Vec::new(), Vec::new());
    for nonce in &header.nonces {
        let name = HEXLOWER.encode(&nonce[..nonce.len().min(4)]);
        let Some(at) = record.challenges.iter().position(|it| it.nonce == *nonce) else {
            if record.answers.iter().all(|it| it.nonce != *nonce) {
                let text = format!("an answer to challenge {name}, which is not asked, was ignored");
                events.push(event(now_ms, &record.id, "rescan-ignored", text));
                old.push(nonce.clone());
            }
            continue;
        };
        if !missing.is_empty() {
            let text =
                format!("challenge {name} is not answered yet: {} must come again", missing.join(", "));
            events.push(event(now_ms, &record.id, "rescan-incomplete", text));
            continue;
        }
        let challenge = record.challenges.remove(at);
        if challenge.purpose.is_some() {
            snapshots.push(snapshot(record, header, sections, &challenge, now_ms));
        }
        let taken = sections.iter().filter_map(|it| it.taken.as_ref());
        record.answers.push(AnswerRecord {
            nonce: challenge.nonce,
            issued_ms: challenge.issued_ms,
            answered_ms: now_ms,
            sequence: header.speaker.sequence,
            boot_id: header.speaker.boot_id.clone(),
            sections: taken
                .map(|it| HeldSection {
                    kind: it.kind.into(),
                    digest: it.state.digest.clone(),
                    status: it.state.status,
                })
                .collect(),
        });
        let text = format!(
            "challenge {name} of {} is answered by report {}",
            challenge.issued_by, header.speaker.sequence
        );
        events.push(event(now_ms, &record.id, "rescan", text));
    }
    let extra = record.answers.len().saturating_sub(MAX_ANSWERS);
    record.answers.drain(..extra);
    Applied { events, snapshots, old }
}

/// What this very report said of every section.
fn snapshot(
    record: &AssetRecord,
    header: &Header,
    sections: &[Resolved],
    challenge: &ChallengeRecord,
    now_ms: i64,
) -> SnapshotRecord {
    let Speaker { fingerprint, boot_id, agent_version, sequence, host_time_ms } = &header.speaker;
    let taken = sections.iter().filter_map(|it| it.taken.as_ref());
    SnapshotRecord {
        nonce: challenge.nonce.clone(),
        asset: record.id.clone(),
        fingerprint: fingerprint.to_vec(),
        sequence: *sequence,
        boot_id: boot_id.clone(),
        issued_ms: challenge.issued_ms,
        received_ms: now_ms,
        host_time_ms: host_time_ms.unwrap_or_default(),
        agent_version: agent_version.clone(),
        sections: taken
            .map(|it| SnapshotSection { kind: it.kind.into(), state: Some(it.state.clone()) })
            .collect(),
        // The newest one speaks: an older one may only renew.
        certificate: record.certificates.last().map(|it| it.fingerprint.clone()).unwrap_or_default(),
    }
}

/// What the agent saw while it could not report, with its own times.
fn journal(record: &AssetRecord, header: &Header, now_ms: i64) -> Vec<EventRecord> {
    let mut events: Vec<_> = header.journal.iter().map(|entry| seen_away(record, entry, now_ms)).collect();
    if header.journal_dropped > 0 {
        let text = format!("{} older changes did not fit into the agent's journal", header.journal_dropped);
        events.insert(0, event(now_ms, &record.id, "seen-while-away", text));
    }
    events
}

fn seen_away(record: &AssetRecord, entry: &JournalEntry, now_ms: i64) -> EventRecord {
    let JournalEntry { host_time_ms, kind, before: _, after: _, added, removed, added_rows, removed_rows } =
        entry;
    let known = SectionKind::try_from(*kind).unwrap_or(SectionKind::Unspecified);
    let example = |sign: &str, row: &[u8]| format!("{sign} {}", describe(known, row));
    let examples: Vec<_> = added_rows
        .iter()
        .take(JOURNAL_EXAMPLES)
        .map(|row| example("+", row))
        .chain(removed_rows.iter().take(JOURNAL_EXAMPLES).map(|row| example("-", row)))
        .collect();
    let text = format!("{} +{added} -{removed}: {}", kind_name(*kind), examples.join(", "));
    EventRecord { host_time_ms: Some(*host_time_ms), ..event(now_ms, &record.id, "seen-while-away", text) }
}

#[cfg(test)]
mod tests {
    use super::super::resolve::Facts;
    use super::*;
    use holdpoint_common::proto::store::SectionState;
    use holdpoint_common::section::Digest;

    fn header(sequence: u64, nonces: &[u8]) -> Header {
        let speaker = Speaker {
            fingerprint: Digest::of(b"m"),
            boot_id: "b".into(),
            agent_version: String::new(),
            sequence,
            host_time_ms: Some(0),
        };
        let nonces = nonces.iter().map(|it| vec![*it; 16]).collect();
        Header { speaker, nonces, journal: Vec::new(), journal_dropped: 0 }
    }

    fn stored(kind: SectionKind, digest: u8, status: SectionStatus) -> Resolved {
        let state =
            SectionState { status: status.into(), digest: vec![digest; 32], ..SectionState::default() };
        let facts = Facts { software_count: u32::from(digest), ..Facts::default() };
        Resolved {
            kind: kind.into(),
            outcome: Outcome::Stored,
            reason: String::new(),
            refused: None,
            taken: Some(Taken { kind, state, facts, new: None, change: None }),
        }
    }

    fn everything() -> Vec<Resolved> {
        REPORTED.into_iter().map(|it| stored(it, 1, SectionStatus::Complete)).collect()
    }

    fn asked(nonce: u8) -> AssetRecord {
        let challenge =
            ChallengeRecord { nonce: vec![nonce; 16], issued_ms: 5, issued_by: "kim".into(), purpose: None };
        AssetRecord { id: "hmi".into(), challenges: vec![challenge], ..AssetRecord::default() }
    }

    #[test]
    fn an_answer_needs_every_section_and_a_nonce_that_is_asked() {
        let mut record = asked(7);
        let mut sections = everything();
        let left_out = sections.pop();
        apply(&mut record, &header(1, &[7]), &sections, 9);
        assert!(record.answers.is_empty() && record.challenges.len() == 1, "a section is missing");

        sections.extend(left_out);
        sections[0].outcome = Outcome::WantFull;
        apply(&mut record, &header(2, &[7]), &sections, 9);
        assert!(record.answers.is_empty(), "a section must come again");

        let events = apply(&mut record, &header(3, &[8]), &everything(), 9).events;
        assert!(record.answers.is_empty() && events.iter().any(|it| it.kind == "rescan-ignored"));

        apply(&mut record, &header(4, &[7]), &everything(), 9);
        let answer = &record.answers[0];
        assert_eq!((answer.sequence, answer.issued_ms, answer.answered_ms), (4, 5, 9));
        assert_eq!(answer.sections.len(), REPORTED.len());
        assert!(record.challenges.is_empty());
    }

    #[test]
    fn an_incomplete_section_changes_nothing_that_is_shown() {
        let mut record = asked(7);
        apply(&mut record, &header(1, &[]), &[stored(SectionKind::Software, 9, SectionStatus::Complete)], 1);
        let events = apply(
            &mut record,
            &header(2, &[]),
            &[stored(SectionKind::Software, 2, SectionStatus::Partial)],
            2,
        )
        .events;
        assert_eq!(record.software_count, 9);
        assert_eq!(
            section_of(&record, SectionKind::Software).unwrap().shown.as_ref().unwrap().digest,
            [9; 32]
        );
        assert!(events.iter().any(|it| it.kind == "section-incomplete"));
        let events = apply(
            &mut record,
            &header(3, &[]),
            &[stored(SectionKind::Software, 9, SectionStatus::Complete)],
            3,
        )
        .events;
        assert!(events.iter().any(|it| it.kind == "section-complete"));
    }

    #[test]
    fn the_journal_keeps_the_hosts_own_times() {
        let mut record = asked(7);
        let mut report = header(1, &[]);
        report.journal =
            vec![JournalEntry { host_time_ms: -5, kind: 3, added: 2, ..JournalEntry::default() }];
        report.journal_dropped = 4;
        let events = apply(&mut record, &report, &[], 100).events;
        assert!(events[0].text.starts_with("4 older"));
        assert_eq!((events[1].at_ms, events[1].host_time_ms), (100, Some(-5)));
    }
}
