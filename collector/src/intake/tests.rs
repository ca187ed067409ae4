//! The agents' service over a real store.

use std::time::{Duration, Instant};

use holdpoint_common::proto::v1::{
    Declined, HeldSection, JournalEntry, Outcome, ReportHeader, SectionBody, SectionStatus,
};
use holdpoint_common::refusal::Reason;
use holdpoint_common::row::{REPORTED, SectionKind};
use holdpoint_common::section::Digest;
use tonic::{Code, Status};

use super::{CLOCK, DUPLICATE, WENT_BACK};
use crate::server::Peer;
use crate::store::{StoreConfig, Txn};
use crate::zone::world::{Agent, START, VALID_MS, World, outcomes, section, software};

const SOFTWARE: SectionKind = SectionKind::Software;

fn reason<T: std::fmt::Debug>(refused: Result<T, Status>) -> Reason {
    Reason::of(&refused.unwrap_err()).unwrap()
}

async fn reported(world: &World, id: &str) -> Agent {
    let mut agent = world.agent(id).await;
    agent.runs("Debian", "13");
    agent.has_software(vec![software("curl", "8"), software("nginx", "1.1")]);
    agent.reports(world, &[]).await.unwrap();
    agent
}

#[tokio::test]
async fn a_first_contact_is_asked_for_everything_at_once_and_is_known_after_its_report() {
    let world = World::new();
    let mut agent = world.agent("hmi").await;
    agent.runs("Debian", "13");
    agent.has_software(vec![software("curl", "8")]);

    let mut request = agent.check_in();
    request.max_hold_s = 60;
    let asked = world.intake.check_in_from(&agent.peer, request).await.unwrap();
    assert_eq!(asked.wanted.len(), REPORTED.len());
    assert_eq!(asked.collector_time_ms, START);

    let ack = agent.reports(&world, &[]).await.unwrap();
    assert!(outcomes(&ack).values().all(|it| *it == Outcome::Stored), "{ack:?}");
    let record = world.record("hmi");
    assert_eq!((record.sequence, record.software_count), (1, 1));
    assert_eq!((record.os_name.as_deref(), record.os_version.as_deref()), (Some("Debian"), Some("13")));
    assert!(agent.calls(&world).await.unwrap().wanted.is_empty());
}

#[tokio::test]
async fn the_certificate_of_one_asset_cannot_report_as_another() {
    let world = World::new();
    let (mut a, b) = (reported(&world, "a").await, reported(&world, "b").await);
    let before = world.record("b");

    // The identity of B with the certificate of A.
    let (Peer::Certificate { identity, .. }, Peer::Certificate { fingerprint, issuer, .. }) =
        (&b.peer, &a.peer)
    else {
        panic!("both have certificates")
    };
    let mixed = Peer::Certificate {
        identity: identity.clone(),
        fingerprint: *fingerprint,
        issuer: *issuer,
        not_before_ms: START,
        not_after_ms: START + VALID_MS,
    };
    assert_eq!(reason(world.intake.check_in_from(&mixed, a.check_in()).await), Reason::Unknown);

    // The certificate of A from the machine of B.
    a.machine = b.machine;
    assert_eq!(reason(a.reports(&world, &[]).await), Reason::Duplicate);
    assert_eq!(world.record("b"), before);
    assert_eq!(
        reason(world.intake.check_in_from(&Peer::NoCertificate, a.check_in()).await),
        Reason::NoCertificate
    );
}

#[tokio::test]
async fn a_delta_that_does_not_lead_to_its_digest_is_asked_for_in_full_and_loses_nothing() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    let before = agent.sections[&SOFTWARE].rows.clone();
    agent.has_software(vec![software("curl", "9"), software("nginx", "1.1")]);

    let mut wrong = agent.delta(SOFTWARE, &before);
    wrong.digest = vec![9; 32];
    let header = agent.header(&[]);
    let ack = agent.sends(&world, header, vec![wrong]).await.unwrap();
    assert_eq!(outcomes(&ack)[&SOFTWARE], Outcome::WantFull);
    let wanted = &ack.directives.unwrap().wanted[0];
    assert!(wanted.base.is_empty() && wanted.kind == i32::from(SOFTWARE));
    assert_eq!(world.rows("hmi", SOFTWARE), before.as_slice());

    let mut foreign = agent.delta(SOFTWARE, &before);
    foreign.base = vec![7; 32];
    let header = agent.header(&[]);
    let ack = agent.sends(&world, header, vec![foreign]).await.unwrap();
    assert_eq!(outcomes(&ack)[&SOFTWARE], Outcome::WantFull);

    let (header, good) = (agent.header(&[]), agent.delta(SOFTWARE, &before));
    let ack = agent.sends(&world, header, vec![good]).await.unwrap();
    assert_eq!(outcomes(&ack)[&SOFTWARE], Outcome::Stored);
    assert_eq!(world.rows("hmi", SOFTWARE), agent.sections[&SOFTWARE].rows.as_slice());
    let events = world.events("hmi");
    assert!(events[0].contains("software +1 -1: + curl amd64 9, - curl amd64 8"), "{events:?}");
}

#[tokio::test]
async fn sections_over_a_limit_and_bombs_are_refused_while_the_others_are_stored() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    let bomb = zstd::bulk::compress(&vec![0; 64 * 1024 * 1024], 1).unwrap();
    let mut software_bomb = agent.full(SOFTWARE);
    software_bomb.digest = vec![5; 32];
    software_bomb.payload_bytes = u32::try_from(bomb.len()).unwrap();
    software_bomb.payload = bomb;
    let mut many_reasons = agent.full(SectionKind::Accounts);
    many_reasons.reasons = vec!["x".into(); 65];
    agent.runs("Debian", "14");
    let fine = agent.full(SectionKind::Platform);

    let before = world.rows("hmi", SOFTWARE);
    let header = agent.header(&[]);
    let ack = agent.sends(&world, header, vec![software_bomb, many_reasons, fine]).await.unwrap();
    let outcomes = outcomes(&ack);
    assert_eq!(outcomes[&SOFTWARE], Outcome::Refused, "{ack:?}");
    assert_eq!(outcomes[&SectionKind::Accounts], Outcome::Refused);
    assert_eq!(outcomes[&SectionKind::Platform], Outcome::Stored);
    let record = world.record("hmi");
    assert_eq!(record.os_version.as_deref(), Some("14"));
    assert_eq!(world.rows("hmi", SOFTWARE), before, "what was complete is still shown");
    assert!(world.events("hmi").iter().any(|it| it.starts_with("refused: software")));
}

#[tokio::test]
async fn a_section_that_was_refused_is_not_asked_for_again_until_it_changes() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    agent.sections.insert(SOFTWARE, section(SOFTWARE, vec![vec![0xff; 3]]));
    let (header, part) = (agent.header(&[]), agent.full(SOFTWARE));
    let ack = agent.sends(&world, header, vec![part]).await.unwrap();
    assert_eq!(outcomes(&ack)[&SOFTWARE], Outcome::Refused, "no software row");
    assert!(agent.calls(&world).await.unwrap().wanted.is_empty());
    agent.has_software(vec![software("curl", "9")]);
    assert_eq!(agent.calls(&world).await.unwrap().wanted.len(), 1);
}

#[tokio::test]
async fn fields_that_the_collector_does_not_know_survive_byte_for_byte() {
    let world = World::new();
    let mut agent = world.agent("hmi").await;
    let mut newer = software("curl", "8");
    // Field 2000, length-delimited: "new".
    newer.extend_from_slice(&[0x82, 0x7d, 3, b'n', b'e', b'w']);
    agent.has_software(vec![newer.clone()]);
    let ack = agent.reports(&world, &[]).await.unwrap();
    assert_eq!(outcomes(&ack)[&SOFTWARE], Outcome::Stored);
    assert_eq!(world.rows("hmi", SOFTWARE), [newer]);
}

#[tokio::test]
async fn rows_of_a_cloned_image_are_taken_by_reference_and_unknown_ones_are_asked_for() {
    let world = World::new();
    let first = reported(&world, "first").await;
    let mut clone = world.agent("clone").await;
    clone.sections = first.sections.clone();
    let wanted = clone.calls(&world).await.unwrap().wanted;
    assert!(wanted.iter().all(|it| it.content_known), "{wanted:?}");
    let header = clone.header(&[]);
    let parts = REPORTED.map(|it| clone.reference(it)).to_vec();
    clone.sends(&world, header, parts).await.unwrap();
    assert_eq!(world.record("clone").software_count, 2);

    clone.has_software(vec![software("vim", "9")]);
    let (header, part) = (clone.header(&[]), clone.reference(SOFTWARE));
    let ack = clone.sends(&world, header, vec![part]).await.unwrap();
    assert_eq!(outcomes(&ack)[&SOFTWARE], Outcome::WantFull);
    assert_eq!(world.record("clone").software_count, 2);
}

#[tokio::test]
async fn a_copy_is_refused_and_shown_and_never_takes_the_originals_place() {
    let world = World::new();
    let agent = reported(&world, "hmi").await;
    let mut copy = agent.clone();
    copy.machine = Digest::of(b"another machine");
    copy.has_software(vec![software("malware", "1")]);
    let before = world.record("hmi");

    let refused = copy.calls(&world).await.unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::Duplicate));
    let id = format!("hmi.copy-{}", &copy.machine.to_string()[..8]);
    assert!(refused.message().contains(&format!("asset merge {id} hmi")), "{}", refused.message());
    assert_eq!(reason(copy.reports(&world, &[]).await), Reason::Duplicate);

    assert_eq!(
        (world.alarms("hmi"), world.alarms(&id)),
        (vec![DUPLICATE.to_owned()], vec![DUPLICATE.to_owned()])
    );
    let after = world.record("hmi");
    assert_eq!(
        (after.sections, after.sequence, after.fingerprint),
        (before.sections, before.sequence, before.fingerprint)
    );
    assert_eq!(world.record(&id).copy_of.as_deref(), Some("hmi"));
    assert_eq!(world.events("hmi").iter().filter(|it| it.starts_with(DUPLICATE)).count(), 1, "told once");
    agent.calls(&world).await.unwrap();
}

#[tokio::test]
async fn a_boot_id_that_returns_is_a_copy() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    let old = agent.clone();
    agent.boot_id = "boot-2".into();
    agent.calls(&world).await.unwrap();
    assert_eq!(reason(old.calls(&world).await), Reason::Duplicate);
    assert_eq!(world.alarms("hmi"), [DUPLICATE]);
}

#[tokio::test]
async fn an_asset_with_the_name_of_a_copy_is_left_alone() {
    let world = World::new();
    let mut copy = reported(&world, "hmi").await;
    copy.machine = Digest::of(b"another machine");
    let id = format!("hmi.copy-{}", &copy.machine.to_string()[..8]);
    world.agent(&id).await;
    let before = world.record(&id);
    assert_eq!(reason(copy.calls(&world).await), Reason::Duplicate);
    assert_eq!((world.record(&id), world.zone.last_seen(&id)), (before, None));
}

#[tokio::test]
async fn copies_of_one_asset_are_bounded() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    for machine in 0_u8..20 {
        agent.machine = Digest::of(&[machine]);
        assert_eq!(reason(agent.calls(&world).await), Reason::Duplicate);
    }
    assert_eq!(world.zone.asset_count(), 1 + 8);
}

#[tokio::test]
async fn a_sequence_that_goes_back_raises_an_alarm_and_names_the_floor() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    agent.reports(&world, &[]).await.unwrap();
    let mut restored = agent.clone();
    restored.sequence = 0;
    restored.boot_id = "boot-9".into();

    let told = restored.calls(&world).await.unwrap();
    assert_eq!((told.sequence_floor, world.alarms("hmi")), (2, vec![WENT_BACK.to_owned()]));
    assert!(told.wanted.len() == 1 && told.wanted[0].content_known, "a report settles it");
    let refused = restored.reports(&world, &[]).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("sequence_floor 2"));
    restored.sequence = 2;
    restored.reports(&world, &[]).await.unwrap();
    assert!(world.alarms("hmi").is_empty(), "it clears by itself");
}

#[tokio::test]
async fn a_report_whose_acknowledgement_was_lost_is_no_alarm() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    agent.sequence = 0;
    assert_eq!(agent.reports(&world, &[]).await.unwrap_err().code(), Code::FailedPrecondition);
    assert!(world.alarms("hmi").is_empty());
}

#[tokio::test]
async fn a_wrong_host_clock_is_an_alarm_that_clears_by_itself_and_refuses_nothing() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    agent.host_time_ms = START - 10 * VALID_MS;
    agent.calls(&world).await.unwrap();
    assert_eq!(world.alarms("hmi"), [CLOCK]);
    assert!(world.record("hmi").alarms[0].text.contains("host clock is 2013-11"));
    agent.host_time_ms = START;
    agent.calls(&world).await.unwrap();
    assert!(world.alarms("hmi").is_empty());
}

#[tokio::test]
async fn a_partial_section_never_takes_the_place_of_a_complete_one() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    let before = world.rows("hmi", SOFTWARE);
    let mut partial = section(SOFTWARE, Vec::new());
    partial.status = SectionStatus::Partial;
    partial.reasons = vec!["var/lib/dpkg/status is truncated".into()];
    agent.sections.insert(SOFTWARE, partial);

    assert_eq!(agent.calls(&world).await.unwrap().wanted.len(), 1);
    let (header, part) = (agent.header(&[]), agent.full(SOFTWARE));
    agent.sends(&world, header, vec![part]).await.unwrap();
    assert_eq!((world.rows("hmi", SOFTWARE), world.record("hmi").software_count), (before, 2));
    let events = world.events("hmi");
    assert!(events[0].contains("software is partial: var/lib/dpkg/status is truncated"), "{events:?}");
    assert!(agent.calls(&world).await.unwrap().wanted.is_empty(), "the attempt is known");
}

#[tokio::test]
async fn a_challenge_is_answered_once_and_only_by_a_report_of_everything() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    let nonce = world.zone.challenge("hmi", "kim").await.unwrap().nonce;
    assert_eq!(agent.calls(&world).await.unwrap().challenges[0].nonce, nonce);

    let (header, part) = (agent.header(std::slice::from_ref(&nonce)), agent.reference(SOFTWARE));
    agent.sends(&world, header, vec![part]).await.unwrap();
    assert!(world.record("hmi").answers.is_empty(), "one section is not everything");

    let header = agent.header(std::slice::from_ref(&nonce));
    let parts = REPORTED.map(|it| agent.reference(it)).to_vec();
    let ack = agent.sends(&world, header, parts).await.unwrap();
    assert!(ack.directives.unwrap().challenges.is_empty());
    let answer = world.record("hmi").answers[0].clone();
    assert_eq!((answer.nonce, answer.sequence, answer.boot_id.as_str()), (nonce.clone(), 3, "boot-1"));
    assert_eq!(answer.sections.len(), REPORTED.len());

    // The same nonce again, and one that nobody issued.
    agent.reports(&world, &[nonce, vec![4; 16]]).await.unwrap();
    assert_eq!(world.record("hmi").answers.len(), 1);
    let ignored = world.events("hmi").iter().filter(|it| it.starts_with("rescan-ignored")).count();
    assert_eq!(ignored, 1, "a repeated answer is no news; an invented one is");
}

#[tokio::test]
async fn a_challenge_survives_a_restart_and_can_be_answered_late() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    let nonce = world.zone.challenge("hmi", "kim").await.unwrap().nonce;
    let world = world.restarted().await;
    world.clock.advance(30 * 86_400_000);
    agent.reports(&world, std::slice::from_ref(&nonce)).await.unwrap();
    let answer = &world.record("hmi").answers[0];
    assert_eq!(answer.answered_ms - answer.issued_ms, 30 * 86_400_000);
}

#[tokio::test]
async fn a_held_check_in_is_answered_as_soon_as_a_challenge_is_pending() {
    let world = World::new();
    let agent = reported(&world, "hmi").await;
    let mut request = agent.check_in();
    request.max_hold_s = 60;
    let (intake, peer) = (world.intake.clone(), agent.peer.clone());
    let held = tokio::spawn(async move { intake.check_in_from(&peer, request).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!held.is_finished(), "nothing is asked yet");

    let start = Instant::now();
    world.zone.challenge("hmi", "kim").await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(1), held).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.challenges.len(), 1);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_challenge_that_the_agent_declines_does_not_keep_it_calling() {
    let world = World::new();
    let agent = reported(&world, "hmi").await;
    let nonce = world.zone.challenge("hmi", "kim").await.unwrap().nonce;
    let mut request = agent.check_in();
    request.max_hold_s = 60;
    request.declined = vec![Declined { nonce: nonce.clone(), reason: "kill-file".into(), until_ms: None }];
    let (intake, peer) = (world.intake.clone(), agent.peer.clone());
    let held = tokio::spawn(async move { intake.check_in_from(&peer, request).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!held.is_finished());
    assert_eq!(world.zone.declined("hmi", &nonce).map(|it| it.reason), Some("kill-file"));
    world.zone.shut_down();
    tokio::time::timeout(Duration::from_secs(1), held).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_newer_check_in_releases_the_one_that_is_held() {
    let world = World::new();
    let agent = reported(&world, "hmi").await;
    let mut request = agent.check_in();
    request.max_hold_s = 60;
    let (intake, peer) = (world.intake.clone(), agent.peer.clone());
    let held = tokio::spawn(async move { intake.check_in_from(&peer, request).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    agent.calls(&world).await.unwrap();
    tokio::time::timeout(Duration::from_secs(1), held).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn revocation_acts_on_the_next_call_and_on_one_that_is_held() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    let mut request = agent.check_in();
    request.max_hold_s = 60;
    let (intake, peer) = (world.intake.clone(), agent.peer.clone());
    let held = tokio::spawn(async move { intake.check_in_from(&peer, request).await });
    tokio::time::sleep(Duration::from_millis(100)).await;

    let revoke = |record: &mut holdpoint_common::proto::store::AssetRecord, _: &mut Txn| {
        record.certificates[0].revoked_ms = Some(START);
        record.certificates[0].revoked_reason = "stolen".into();
        Ok(())
    };
    world.zone.change_asset("hmi", revoke).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(1), held).await.unwrap().unwrap();
    assert_eq!(reason(answer), Reason::Revoked);
    let refused = agent.reports(&world, &[]).await.unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::Revoked));
    assert!(refused.message().contains("stolen"));
}

#[tokio::test]
async fn certificates_out_of_their_dates_are_told_apart_from_wrong_clocks() {
    let world = World::new();
    let agent = reported(&world, "hmi").await;
    world.clock.advance(-1);
    assert_eq!(reason(agent.calls(&world).await), Reason::Clock);
    world.clock.advance(2 + VALID_MS);
    assert_eq!(reason(agent.calls(&world).await), Reason::Expired);
}

#[tokio::test]
async fn calling_too_often_is_refused_and_forgiven() {
    let world = World::new();
    let agent = reported(&world, "hmi").await;
    let mut refused = None;
    for _ in 0..10_001 {
        if let Err(cause) = world.intake.check_in_from(&agent.peer, agent.check_in()).await {
            refused = Some(cause);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!((Reason::of(&refused), refused.code()), (Some(Reason::Pace), Code::ResourceExhausted));
    world.clock.advance(60_000);
    agent.calls(&world).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_reports_and_still_answers() {
    let config = StoreConfig {
        ballast_bytes: 0,
        low_free_bytes: u64::MAX,
        admin_free_bytes: 0,
        ..StoreConfig::default()
    };
    let world = World::with(&config);
    let mut agent = world.agent("hmi").await;
    assert_eq!(agent.reports(&world, &[]).await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(world.record("hmi").sequence, 0);
    assert_eq!(agent.calls(&world).await.unwrap().wanted.len(), REPORTED.len());
}

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_restart() {
    let world = World::new();
    let agent = reported(&world, "hmi").await;
    let (record, rows) = (world.record("hmi"), world.rows("hmi", SOFTWARE));
    let world = world.restarted().await;
    assert_eq!((world.record("hmi"), world.rows("hmi", SOFTWARE)), (record, rows));
    assert!(agent.calls(&world).await.unwrap().wanted.is_empty());
    assert_eq!(world.zone.last_seen("hmi").map(|it| it.seen_ms), Some(START));
}

#[tokio::test]
async fn the_journal_becomes_events_with_the_hosts_own_times() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    let mut request = agent.check_in();
    request.journal_entries = 1;
    let asked = world.intake.check_in_from(&agent.peer, request).await.unwrap();
    assert!(asked.wanted.len() == 1 && asked.wanted[0].content_known, "a reference carries the journal");

    let entry = JournalEntry {
        host_time_ms: START - 5_000,
        kind: SOFTWARE.into(),
        added: 1,
        added_rows: vec![software("vim", "9")],
        ..JournalEntry::default()
    };
    let header = ReportHeader { journal: vec![entry], ..agent.header(&[]) };
    let part = agent.reference(SectionKind::Self_);
    agent.sends(&world, header, vec![part]).await.unwrap();
    let (_, event) = world.zone.store().events(Some("hmi"), None, 1).unwrap().remove(0);
    assert_eq!((event.kind.as_str(), event.host_time_ms), ("seen-while-away", Some(START - 5_000)));
    assert_eq!(event.text, "software +1 -0: + vim amd64 9");
}

#[tokio::test]
async fn journals_of_one_agent_cannot_push_out_the_events_of_others() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    for _ in 0..4 {
        let entry = JournalEntry { kind: SOFTWARE.into(), ..JournalEntry::default() };
        let header = ReportHeader { journal: vec![entry; 1_000], ..agent.header(&[]) };
        agent.sends(&world, header, Vec::new()).await.unwrap();
    }
    let events = world.zone.store().stats().events;
    assert!(events < 2_100, "{events}");
    assert!(world.events("hmi")[0].contains("1000 older changes"), "{:?}", &world.events("hmi")[0]);
}

#[tokio::test]
async fn a_copy_that_calls_without_pause_does_not_spend_the_originals_budget() {
    let world = World::new();
    let agent = reported(&world, "hmi").await;
    let mut copy = agent.clone();
    copy.machine = Digest::of(b"another machine");
    let mut last = None;
    for _ in 0..10_002 {
        last = Reason::of(&copy.calls(&world).await.unwrap_err());
    }
    assert_eq!(last, Some(Reason::Pace));
    agent.calls(&world).await.unwrap();
}

#[tokio::test]
async fn the_first_use_of_a_renewed_certificate_revokes_the_older_one() {
    let world = World::new();
    let agent = reported(&world, "hmi").await;
    let renewed = Digest::of(b"renewed");
    world
        .zone
        .change_asset("hmi", |record, _| {
            let mut next = record.certificates[0].clone();
            next.fingerprint = renewed.to_vec();
            record.certificates.push(next);
            Ok(())
        })
        .await
        .unwrap();
    agent.calls(&world).await.unwrap();
    let mut next = agent.clone();
    if let Peer::Certificate { fingerprint, .. } = &mut next.peer {
        *fingerprint = renewed;
    }
    next.calls(&world).await.unwrap();
    assert_eq!(reason(agent.calls(&world).await), Reason::Revoked);
}

#[tokio::test]
async fn a_large_section_is_worked_out_beside_the_calls_of_others() {
    let world = World::new();
    let mut agent = world.agent("hmi").await;
    let random = |it: u32| Digest::of(&it.to_le_bytes()).to_string();
    agent.has_software((0..5_000).map(|it| software(&random(it), "1")).collect());
    let part = agent.full(SOFTWARE);
    assert!(part.payload.len() > super::INLINE, "{}", part.payload.len());
    let ack = agent.reports(&world, &[]).await.unwrap();
    assert_eq!(outcomes(&ack)[&SOFTWARE], Outcome::Stored);
    assert_eq!(world.record("hmi").software_count, 5_000);
}

#[tokio::test]
async fn rows_with_another_digest_than_promised_are_refused() {
    let world = World::new();
    let mut agent = reported(&world, "hmi").await;
    let mut part = agent.full(SOFTWARE);
    part.digest = vec![3; 32];
    part.body = SectionBody::Full.into();
    let header = agent.header(&[]);
    let ack = agent.sends(&world, header, vec![part]).await.unwrap();
    assert_eq!(outcomes(&ack)[&SOFTWARE], Outcome::Refused);
    assert!(!world.rows("hmi", SOFTWARE).is_empty());
}

#[tokio::test]
async fn malformed_check_ins_are_invalid_and_not_refusals() {
    let world = World::new();
    let agent = reported(&world, "hmi").await;
    let mut request = agent.check_in();
    request.held.push(HeldSection { kind: SOFTWARE.into(), digest: vec![1; 5], status: 1 });
    let invalid = world.intake.check_in_from(&agent.peer, request).await.unwrap_err();
    assert_eq!((invalid.code(), Reason::of(&invalid)), (Code::InvalidArgument, None));
}
