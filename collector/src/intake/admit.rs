//! What an agent's word does to its asset: pure functions of (record, message, now).
//!
//! Here is decided whether a machine is the one that was enrolled, whether its sequence and
//! clock can be believed, and what it is asked for. Nothing here reads the store or a clock.

use std::collections::BTreeMap;
use std::time::Duration;

use data_encoding::HEXLOWER;
use holdpoint_common::proto::store::{AlarmRecord, AssetRecord, EventRecord, HeldRecord, SectionState};
use holdpoint_common::proto::v1::{SectionStatus, Wanted};
use holdpoint_common::row::SectionKind;
use holdpoint_common::section::Digest;

use super::parse::{Held, Speaker};
use crate::zone::{Grade, event, gate};
use holdpoint_common::clock::readable;

/// Most earlier boot ids that are remembered.
const MAX_EARLIER_BOOTS: usize = 8;

/// Alarm: two machines use one identity.
pub const DUPLICATE: &str = "duplicate-identity";
/// Alarm: the host's clock and the collector's disagree.
pub const CLOCK: &str = "clock";
/// Alarm: the agent's state is older than what it has reported.
pub const WENT_BACK: &str = "sequence-went-back";

/// Why a machine is taken for a copy of the one that was enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CopySign {
    /// Its identity parts differ.
    OtherMachine,
    /// It runs under a boot id that another boot has superseded.
    EarlierBoot,
}

impl CopySign {
    /// The sign as a clause.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::OtherMachine => "its machine fingerprint differs from the enrolled one",
            Self::EarlierBoot => "it runs under a boot id that a later boot has replaced",
        }
    }
}

/// Whether the machine that speaks is the one of the record.
///
/// # Errors
/// The sign that it is another one.
pub(super) fn recognise(record: &AssetRecord, speaker: &Speaker) -> Result<(), CopySign> {
    if !record.fingerprint.is_empty() && record.fingerprint != speaker.fingerprint.as_bytes() {
        return Err(CopySign::OtherMachine);
    }
    let earlier = !speaker.boot_id.is_empty() && record.earlier_boot_ids.contains(&speaker.boot_id);
    if earlier && record.boot_id != speaker.boot_id { Err(CopySign::EarlierBoot) } else { Ok(()) }
}

/// The id under which a copy of an asset is shown.
pub(super) fn copy_id(asset: &str, speaker: &Speaker) -> String {
    let hex = HEXLOWER.encode(&speaker.fingerprint.as_bytes()[..4]);
    format!("{asset}.copy-{hex}")
}

/// Takes what a recognised machine says of itself into the record; returns what is worth an event.
pub(super) fn take_word(
    record: &mut AssetRecord,
    speaker: &Speaker,
    certificate: Option<&Digest>,
    clock_tolerance: Duration,
    now_ms: i64,
) -> Vec<EventRecord> {
    let mut events = Vec::new();
    let mut tell = |id: &str, kind: &str, text: String| events.push(event(now_ms, id, kind, text));
    let id = record.id.clone();

    if record.fingerprint.is_empty() {
        record.fingerprint = speaker.fingerprint.to_vec();
    }
    if let Some(certificate) = certificate
        && gate::settle(&mut record.certificates, certificate, now_ms) > 0
    {
        tell(&id, "renewed", "the renewed certificate is in use; the one before it is revoked".into());
    }
    let restarted = !speaker.boot_id.is_empty() && speaker.boot_id != record.boot_id;
    if speaker.sequence < record.sequence {
        let text = format!(
            "the agent says that its last report was {}, the collector has {}: the agent's state comes from an older \
             copy (a restored image or backup); it goes on above {}",
            speaker.sequence, record.sequence, record.sequence
        );
        if raise(record, WENT_BACK, &text, now_ms) {
            tell(&id, WENT_BACK, text);
        }
    }
    if restarted {
        if !record.boot_id.is_empty() {
            let before = std::mem::take(&mut record.boot_id);
            record.earlier_boot_ids.insert(0, before);
            record.earlier_boot_ids.truncate(MAX_EARLIER_BOOTS);
            tell(&id, "restarted", "the host has a new boot id".into());
        }
        record.boot_id.clone_from(&speaker.boot_id);
    }
    if !speaker.agent_version.is_empty() {
        record.agent_version.clone_from(&speaker.agent_version);
    }
    if let Some(host_time_ms) = speaker.host_time_ms {
        let off_ms = host_time_ms.abs_diff(now_ms);
        if Duration::from_millis(off_ms) > clock_tolerance {
            let text = format!(
                "host clock is {}, collector clock is {}: {} apart; set the one that is wrong",
                readable(host_time_ms),
                readable(now_ms),
                humantime::format_duration(Duration::from_secs(off_ms / 1_000))
            );
            if raise(record, CLOCK, &text, now_ms) {
                tell(&id, CLOCK, text);
            }
        } else if clear(record, CLOCK) {
            tell(&id, CLOCK, "host clock and collector clock agree again".into());
        }
    }
    events
}

/// Raises an alarm; `false` when it is raised already, whose text and time then stay.
pub(crate) fn raise(record: &mut AssetRecord, kind: &str, text: &str, now_ms: i64) -> bool {
    let raised = record.alarms.iter().any(|it| it.kind == kind);
    if !raised {
        record.alarms.push(AlarmRecord { kind: kind.to_owned(), text: text.to_owned(), since_ms: now_ms });
    }
    !raised
}

/// Clears an alarm; `false` when there was none.
pub(crate) fn clear(record: &mut AssetRecord, kind: &str) -> bool {
    let before = record.alarms.len();
    record.alarms.retain(|it| it.kind != kind);
    record.alarms.len() < before
}

/// Whether a report's sequence can follow the last durable one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// It is higher.
    Next,
    /// It is the last one again, under the same boot id: its acknowledgement was lost.
    Repeated,
    /// It is lower, or the same from another boot: the agent's state went back.
    Back,
}

/// Compares a report's sequence with the durable one.
pub(super) fn order(record: &AssetRecord, speaker: &Speaker) -> Order {
    if speaker.sequence > record.sequence {
        Order::Next
    } else if speaker.sequence == record.sequence && speaker.boot_id == record.boot_id {
        Order::Repeated
    } else {
        Order::Back
    }
}

/// The newest that is known of a section: the last attempt, or what is shown.
pub(super) fn newest(held: &HeldRecord) -> Option<&SectionState> {
    held.attempt.as_ref().or(held.shown.as_ref())
}

/// The record of a section.
pub(super) fn section_of(record: &AssetRecord, kind: SectionKind) -> Option<&HeldRecord> {
    record.sections.iter().find(|it| it.kind == i32::from(kind))
}

/// The sections to ask for: those of which the agent holds other rows, or another status, than
/// the collector, and those that the collector has from a carried file alone. What was refused is not
/// asked for again until it changes. `known` says whether rows are stored already.
pub(super) fn wanted(
    record: &AssetRecord,
    held: &BTreeMap<SectionKind, Held>,
    refused: &BTreeMap<SectionKind, Digest>,
    known: impl Fn(SectionKind, &Digest) -> bool,
) -> Vec<Wanted> {
    let differs = |kind: SectionKind, held: &Held| {
        let newest = section_of(record, kind).and_then(newest);
        let same = newest.is_some_and(|it| {
            let equal = it.digest == held.digest.as_bytes() && it.status == i32::from(held.status);
            equal && Grade::of(it).is_link()
        });
        !same && refused.get(&kind) != Some(&held.digest)
    };
    held.iter()
        .filter(|&(&kind, held)| differs(kind, held))
        .map(|(&kind, held)| Wanted {
            kind: kind.into(),
            base: base_of(record, kind),
            content_known: known(kind, &held.digest),
        })
        .collect()
}

/// What a delta of a section starts from: the digest of the rows that are shown.
pub(super) fn base_of(record: &AssetRecord, kind: SectionKind) -> Vec<u8> {
    section_of(record, kind).and_then(|it| it.shown.as_ref()).map(|it| it.digest.clone()).unwrap_or_default()
}

/// Puts a section's new state into the record. One that is not complete never takes the place
/// of one that is; it is kept beside it as the newest attempt.
pub(super) fn place(record: &mut AssetRecord, kind: SectionKind, state: SectionState) {
    let complete = i32::from(SectionStatus::Complete);
    let at = record.sections.iter().position(|it| it.kind == i32::from(kind)).unwrap_or_else(|| {
        record.sections.push(HeldRecord { kind: kind.into(), shown: None, attempt: None });
        record.sections.len() - 1
    });
    let held = &mut record.sections[at];
    let shown_complete = held.shown.as_ref().is_some_and(|it| it.status == complete);
    if state.status == complete || !shown_complete {
        held.shown = Some(state);
        held.attempt = None;
    } else {
        held.attempt = Some(state);
    }
    record.sections.sort_by_key(|it| it.kind);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_700_000_000_000;
    const TOLERANCE: Duration = Duration::from_mins(5);

    fn speaker(machine: u8, boot_id: &str, sequence: u64) -> Speaker {
        Speaker {
            fingerprint: Digest::try_from([machine; 32].as_slice()).unwrap(),
            boot_id: boot_id.into(),
            agent_version: "0.1.0".into(),
            sequence,
            host_time_ms: Some(NOW),
        }
    }

    fn record() -> AssetRecord {
        AssetRecord {
            id: "hmi".into(),
            fingerprint: vec![1; 32],
            boot_id: "b2".into(),
            earlier_boot_ids: vec!["b1".into()],
            sequence: 7,
            ..AssetRecord::default()
        }
    }

    fn hear(record: &mut AssetRecord, speaker: &Speaker) -> Vec<String> {
        take_word(record, speaker, None, TOLERANCE, NOW).into_iter().map(|it| it.kind).collect()
    }

    #[test]
    fn a_copy_is_told_by_its_machine_or_by_a_boot_id_that_returns() {
        assert_eq!(recognise(&record(), &speaker(1, "b2", 7)), Ok(()));
        assert_eq!(recognise(&record(), &speaker(1, "b3", 7)), Ok(()));
        assert_eq!(recognise(&record(), &speaker(1, "b1", 9)), Err(CopySign::EarlierBoot));
        assert_eq!(recognise(&record(), &speaker(2, "b2", 7)), Err(CopySign::OtherMachine));
        assert_eq!(copy_id("hmi", &speaker(0xab, "", 0)), "hmi.copy-abababab");
    }

    #[test]
    fn a_restart_is_remembered_and_the_boot_before_it_is_superseded() {
        let mut record = record();
        assert_eq!(hear(&mut record, &speaker(1, "b3", 7)), ["restarted"]);
        assert_eq!(
            (record.boot_id.as_str(), record.earlier_boot_ids.as_slice()),
            ("b3", &["b2".into(), "b1".into()][..])
        );
        assert_eq!(hear(&mut record, &speaker(1, "b3", 7)), [""; 0]);
    }

    #[test]
    fn a_lower_sequence_raises_an_alarm_once() {
        let mut record = record();
        assert_eq!(hear(&mut record, &speaker(1, "b2", 6)), [WENT_BACK]);
        assert_eq!(hear(&mut record, &speaker(1, "b2", 6)), [""; 0]);
        assert_eq!(record.sequence, 7);
        assert_eq!(order(&record, &speaker(1, "b2", 7)), Order::Repeated);
        assert_eq!(order(&record, &speaker(1, "b9", 7)), Order::Back);
        assert_eq!(order(&record, &speaker(1, "b2", 6)), Order::Back);
        assert_eq!(order(&record, &speaker(1, "b2", 8)), Order::Next);
    }

    #[test]
    fn a_wrong_clock_is_named_with_both_times_and_clears_by_itself() {
        let mut record = record();
        let mut late = speaker(1, "b2", 7);
        late.host_time_ms = Some(0);
        assert_eq!(hear(&mut record, &late), [CLOCK]);
        let text = &record.alarms[0].text;
        assert!(text.contains("1970-01-01") && text.contains("2023-11-14"), "{text}");
        assert_eq!(hear(&mut record, &speaker(1, "b2", 7)), [CLOCK]);
        assert!(record.alarms.is_empty());
        late.host_time_ms = Some(NOW + 300_000);
        assert_eq!(hear(&mut record, &late), [""; 0], "five minutes are tolerated");
        late.host_time_ms = Some(i64::MIN);
        assert_eq!(hear(&mut record, &late), [CLOCK], "no clock can break the arithmetic");
    }

    fn state(digest: u8, status: SectionStatus) -> SectionState {
        SectionState { status: status.into(), digest: vec![digest; 32], ..SectionState::default() }
    }

    #[test]
    fn what_differs_in_rows_or_status_is_wanted_and_what_was_refused_is_not() {
        let mut record = record();
        place(&mut record, SectionKind::Software, state(1, SectionStatus::Complete));
        place(&mut record, SectionKind::Services, state(2, SectionStatus::Complete));
        let held =
            |digest: u8, status| Held { digest: Digest::try_from([digest; 32].as_slice()).unwrap(), status };
        let ask = |kind, held: Held, refused: &BTreeMap<_, _>| {
            wanted(&record, &BTreeMap::from([(kind, held)]), refused, |_, it| it.as_bytes()[0] == 9)
        };
        let none = BTreeMap::new();
        assert!(ask(SectionKind::Software, held(1, SectionStatus::Complete), &none).is_empty());
        assert_eq!(ask(SectionKind::Software, held(1, SectionStatus::Partial), &none).len(), 1);
        let changed = ask(SectionKind::Software, held(9, SectionStatus::Complete), &none);
        assert_eq!((changed[0].base.as_slice(), changed[0].content_known), (&[1; 32][..], true));
        let new = ask(SectionKind::Accounts, held(3, SectionStatus::Complete), &none);
        assert!(new[0].base.is_empty() && !new[0].content_known);
        let refused = BTreeMap::from([(SectionKind::Accounts, held(3, SectionStatus::Complete).digest)]);
        assert!(ask(SectionKind::Accounts, held(3, SectionStatus::Complete), &refused).is_empty());
        assert_eq!(ask(SectionKind::Accounts, held(4, SectionStatus::Complete), &refused).len(), 1);
    }

    fn states() -> impl Strategy<Value = Vec<(u8, i32)>> {
        prop::collection::vec((0_u8..4, 1_i32..5), 1..12)
    }

    proptest! {
        #[test]
        fn what_is_shown_is_the_newest_complete_section_or_the_newest_of_all(states in states()) {
            let mut record = AssetRecord::default();
            for &(digest, status) in &states {
                place(&mut record, SectionKind::Software, state(digest, SectionStatus::try_from(status).unwrap()));
            }
            let held = section_of(&record, SectionKind::Software).unwrap();
            let complete = states.iter().rev().find(|it| it.1 == 1);
            let newest_of_all = states.last().unwrap();
            let shown = held.shown.as_ref().unwrap();
            prop_assert_eq!((shown.digest[0], shown.status), *complete.unwrap_or(newest_of_all));
            let latest = newest(held).unwrap();
            prop_assert_eq!((latest.digest[0], latest.status), *newest_of_all);
        }
    }
}
