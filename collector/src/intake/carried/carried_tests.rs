//! Files over a real store and a real zone CA.

use super::*;
use crate::intake::DUPLICATE;
use crate::pki::Request;
use crate::store::Txn;
use crate::zone::world::{Agent, START, VALID_MS, World, section, software};
use holdpoint_common::credentials::{Credentials, new_key};
use holdpoint_common::identity::Identity;
use holdpoint_common::one_shot::{Contents, write};
use holdpoint_common::proto::v1::{SectionBody, SectionKind, SectionStatus};
use holdpoint_common::section::Section;
use rcgen::CertificateParams;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

const DAY: i64 = 86_400_000;

/// An agent whose files are carried.
struct Host {
    agent: Agent,
    key: Credentials,
}

impl Host {
    /// A file of what the agent sees, signed.
    fn file(&self, sequence: u64) -> Vec<u8> {
        write(self.contents(), Some((&self.key, sequence))).unwrap()
    }

    fn contents(&self) -> Contents {
        contents(&self.agent)
    }
}

fn contents(agent: &Agent) -> Contents {
    let host = HostFacts {
        hostname: "hmi".into(),
        fingerprint: agent.machine.to_vec(),
        boot_id: agent.boot_id.clone(),
        agent_version: "0.1.0".into(),
        ..HostFacts::default()
    };
    let sections = agent.sections.values().map(part).collect();
    Contents { host, host_time_ms: agent.host_time_ms, sections }
}

fn part(section: &Section) -> SectionPart {
    let payload = section.rows.pack().unwrap();
    SectionPart {
        kind: section.kind.into(),
        status: section.status.into(),
        digest: section.digest.to_vec(),
        payload,
        ..SectionPart::default()
    }
}

fn credentials(world: &World, identity: &Identity) -> (Credentials, Digest) {
    let key = new_key().unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap();
    let issued =
        world.zone.pki().issue(identity, &Request::read(csr.der()).unwrap(), world.zone.now_ms()).unwrap();
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let fingerprint = Digest::try_from(issued.record.fingerprint.as_slice()).unwrap();
    (Credentials::new(issued.chain, private, world.zone.pki().anchors()).unwrap(), fingerprint)
}

async fn enrolled(world: &World, id: &str) -> Host {
    let mut agent = world.agent(id).await;
    let identity = world.zone.name().agent(id.parse().unwrap());
    let (key, fingerprint) = credentials(world, &identity);
    let change = |record: &mut AssetRecord, _: &mut Txn| {
        record.certificates[0].fingerprint = fingerprint.to_vec();
        Ok(())
    };
    world.zone.change_asset(id, change).await.unwrap();
    if let crate::server::Peer::Certificate { fingerprint: held, .. } = &mut agent.peer {
        *held = fingerprint;
    }
    agent.runs("Windows XP", "5.1");
    agent.has_software(vec![software("curl", "8"), software("nginx", "1")]);
    Host { agent, key }
}

async fn import(world: &World, bytes: Vec<u8>, as_asset: Option<&str>) -> Result<Kept, String> {
    let shots = OneShots::new(Arc::clone(&world.zone));
    let as_asset = as_asset.map(str::to_owned);
    let carried = Carried { by: "spiffe://p/kim".into(), file: "a.oneshot".into(), bytes, as_asset };
    shots.take(carried).await.map_err(|it| match it {
        NotKept::Refused(why) => why,
        NotKept::Failed(status) => panic!("{status:?}"),
    })
}

/// Why a file is refused; nothing of it may have been taken.
async fn refused(world: &World, bytes: Vec<u8>, as_asset: Option<&str>) -> String {
    let before: Vec<_> = world.zone.assets().iter().map(|it| (it.id.clone(), it.sections.clone())).collect();
    let why = import(world, bytes, as_asset).await.unwrap_err();
    let after: Vec<_> = world.zone.assets().iter().map(|it| (it.id.clone(), it.sections.clone())).collect();
    let grown = after.len() - before.len();
    assert!(grown == 0 || world.zone.assets().iter().any(|it| it.copy_of.is_some()), "{why}");
    assert!(before.iter().all(|it| after.contains(it)), "{why}");
    why
}

#[tokio::test]
async fn a_signed_file_is_shown_with_grade_c_and_names_who_brought_it() {
    let world = World::new();
    let host = enrolled(&world, "hmi").await;
    let kept = import(&world, host.file(7), None).await.unwrap();
    assert_eq!((kept.asset.as_str(), kept.grade, kept.unchanged), ("hmi", Grade::C, false));
    let record = world.record("hmi");
    assert_eq!((record.sequence, record.software_count, Grade::of_asset(&record)), (7, 2, Some(Grade::C)));
    assert_eq!(record.os_name.as_deref(), Some("Windows XP"));
    assert_eq!(world.rows("hmi", SectionKind::Software).len(), 2);
    assert_eq!(world.zone.last_seen("hmi"), None, "nobody called");
    let told = world.events("hmi").join("\n");
    assert!(told.contains(&kept.digest.to_string()) && told.contains("spiffe://p/kim"), "{told}");
    assert!(world.zone.audit().verify().unwrap().faults.is_empty());
    assert_eq!(record.one_shots[0].digest, kept.digest.to_vec());
}

#[tokio::test]
async fn the_same_file_again_changes_nothing_even_after_a_restart_and_a_revocation() {
    let world = World::new();
    let host = enrolled(&world, "hmi").await;
    let file = host.file(1);
    import(&world, file.clone(), None).await.unwrap();
    let world = world.restarted().await;
    let before = world.record("hmi");
    let again = import(&world, file.clone(), None).await.unwrap();
    assert!(again.unchanged && again.notes[0].contains("taken before"), "{again:?}");
    assert_eq!(world.record("hmi"), before);
    import(&world, host.file(2), None).await.unwrap();
    let replayed = import(&world, file, None).await.unwrap();
    assert!(replayed.unchanged && replayed.notes[1].contains("newer"), "{replayed:?}");
    assert_eq!(world.record("hmi").sequence, 2);
}

#[tokio::test]
async fn an_older_file_never_replaces_newer_sections() {
    let world = World::new();
    let mut host = enrolled(&world, "hmi").await;
    let (older, between) = (host.file(1), host.file(2));
    host.agent.has_software(vec![software("curl", "9")]);
    import(&world, host.file(3), None).await.unwrap();
    for file in [older, between] {
        let why = refused(&world, file, None).await;
        assert!(why.contains("report 3 of `hmi` is on disk"), "{why}");
    }
    host.agent.sequence = 3;
    host.agent.reports(&world, &[]).await.unwrap();
    let why = refused(&world, host.file(4), None).await;
    assert!(why.contains("report 4"), "a report over the link counts too: {why}");
    assert!(world.alarms("hmi").is_empty(), "an old file is no sign of a copy");
}

#[tokio::test]
async fn an_agent_that_calls_afterwards_brings_everything_again_and_better() {
    let world = World::new();
    let mut host = enrolled(&world, "hmi").await;
    import(&world, host.file(1), None).await.unwrap();
    host.agent.sequence = 1;
    let directives = host.agent.calls(&world).await.unwrap();
    assert_eq!(directives.wanted.len(), host.agent.sections.len());
    host.agent.reports(&world, &[]).await.unwrap();
    assert_eq!(Grade::of_asset(&world.record("hmi")), Some(Grade::B));
    assert!(host.agent.calls(&world).await.unwrap().wanted.is_empty());
}

#[tokio::test]
async fn a_file_answers_no_challenge() {
    let world = World::new();
    let host = enrolled(&world, "hmi").await;
    let asked = world.zone.challenge("hmi", "kim").await.unwrap();
    import(&world, host.file(1), None).await.unwrap();
    let record = world.record("hmi");
    assert_eq!((record.challenges, record.answers.len()), (vec![asked], 0));
}

#[tokio::test]
async fn what_a_call_would_be_refused_for_refuses_a_file() {
    let world = World::new();
    let host = enrolled(&world, "hmi").await;
    let stranger = World::new();
    let foreign = enrolled(&stranger, "hmi").await;
    assert!(refused(&world, foreign.file(1), None).await.contains("not from this zone's CA"));

    let (key, _) = credentials(&world, &world.zone.name().agent("hmi".parse().unwrap()));
    let never_held = write(host.contents(), Some((&key, 1))).unwrap();
    assert!(refused(&world, never_held, None).await.starts_with("unknown: "));
    let (key, _) = credentials(&world, &world.zone.name().agent("ghost".parse().unwrap()));
    let ghost = write(host.contents(), Some((&key, 1))).unwrap();
    assert!(refused(&world, ghost, None).await.starts_with("unknown: "));
    let (key, _) = credentials(&world, &world.zone.name().operator("hmi".parse().unwrap()));
    let operator = write(host.contents(), Some((&key, 1))).unwrap();
    assert!(refused(&world, operator, None).await.starts_with("role: "));

    world.clock.set(START - DAY);
    assert!(refused(&world, host.file(1), None).await.starts_with("clock: "));
    world.clock.set(START);
    let revoke = |record: &mut AssetRecord, _: &mut Txn| {
        record.certificates[0].revoked_ms = Some(START);
        Ok(())
    };
    world.zone.change_asset("hmi", revoke).await.unwrap();
    for as_asset in [None, Some("hmi")] {
        assert!(refused(&world, host.file(1), as_asset).await.starts_with("revoked: "));
    }
    let retire = |record: &mut AssetRecord, _: &mut Txn| {
        record.retired_ms = Some(START);
        Ok(())
    };
    world.zone.change_asset("hmi", retire).await.unwrap();
    assert!(refused(&world, host.file(1), Some("hmi")).await.starts_with("retired: "));
}

#[tokio::test]
async fn under_an_expired_certificate_a_file_is_worth_what_the_operator_says() {
    let world = World::new();
    let host = enrolled(&world, "hmi").await;
    world.clock.set(START + VALID_MS + DAY);
    let why = refused(&world, host.file(1), None).await;
    assert!(why.starts_with("expired: ") && why.contains("--as hmi"), "{why}");
    assert!(refused(&world, host.file(1), Some("other")).await.contains("`hmi` signed it"));
    let kept = import(&world, host.file(1), Some("hmi")).await.unwrap();
    assert_eq!(kept.grade, Grade::D);
    assert!(
        refused(&world, host.file(1), Some("hmi")).await.contains("report 1"),
        "other bytes, same number"
    );
}

#[tokio::test]
async fn a_file_from_another_machine_is_a_copy_and_is_shown_as_one() {
    let world = World::new();
    let mut host = enrolled(&world, "hmi").await;
    host.agent.machine = Digest::of(b"another machine");
    let why = refused(&world, host.file(1), None).await;
    assert!(why.starts_with("duplicate: "), "{why}");
    assert_eq!(world.alarms("hmi"), [DUPLICATE]);
}

#[tokio::test]
async fn an_unsigned_file_becomes_an_asset_only_when_somebody_says_which() {
    let world = World::new();
    let mut host = enrolled(&world, "hmi").await;
    host.agent.machine = Digest::of(b"an old machine");
    let file = write(host.contents(), None).unwrap();
    assert!(refused(&world, file.clone(), None).await.contains("--as ASSET"));
    assert!(refused(&world, file.clone(), Some("No Name")).await.contains("--as: "));
    assert!(refused(&world, file.clone(), Some("hmi")).await.contains("identity of its own"));

    let kept = import(&world, file.clone(), Some("xp-01")).await.unwrap();
    assert_eq!((kept.asset.as_str(), kept.grade), ("xp-01", Grade::D));
    let record = world.record("xp-01");
    assert_eq!((record.hostname.as_str(), record.sequence, record.software_count), ("hmi", 0, 2));
    assert!(record.certificates.is_empty(), "nobody can call as it");
    assert!(import(&world, file, Some("xp-01")).await.unwrap().unchanged);

    host.agent.host_time_ms -= 1;
    let older = write(host.contents(), None).unwrap();
    assert!(refused(&world, older, Some("xp-01")).await.contains("older one-shot"));
    host.agent.host_time_ms += DAY;
    host.agent.has_software(vec![software("curl", "9")]);
    let newer = write(host.contents(), None).unwrap();
    let kept = import(&world, newer, Some("xp-01")).await.unwrap();
    assert!(kept.notes[0].contains("still to come"), "{kept:?}");
    assert_eq!(world.record("xp-01").software_count, 1);

    host.agent.machine = Digest::of(b"yet another machine");
    host.agent.host_time_ms += DAY;
    let other = write(host.contents(), None).unwrap();
    assert!(refused(&world, other, Some("xp-01")).await.contains("another machine than `xp-01`"));
}

#[tokio::test]
async fn one_bad_section_refuses_the_whole_file() {
    let world = World::new();
    let host = enrolled(&world, "hmi").await;
    let with = |change: &dyn Fn(&mut SectionPart)| {
        let mut contents = host.contents();
        let software = i32::from(SectionKind::Software);
        change(contents.sections.iter_mut().find(|it| it.kind == software).unwrap());
        write(contents, Some((&host.key, 1))).unwrap()
    };
    let bomb = zstd::bulk::compress(&vec![0; 64 * 1024 * 1024], 1).unwrap();
    let nonsense = part(&section(SectionKind::Software, vec![vec![0xff; 4]]));
    for (file, word) in [
        (with(&|it| it.payload.clone_from(&bomb)), "expands"),
        (with(&|it| it.digest = vec![1; 32]), "another digest"),
        (with(&|it| it.digest = vec![1; 3]), "32 bytes"),
        (with(&|it| it.payload.truncate(3)), "decompressed"),
        (with(&|it| it.status = 77), "status"),
        (with(&|it| *it = nonsense.clone()), "no row of section software"),
        (with(&|it| it.reasons = vec![String::new(); 65]), "reasons"),
    ] {
        let why = refused(&world, file, None).await;
        assert!(why.contains("section software") && why.contains(word), "{why}");
    }
    let unknown = with(&|it| it.kind = 99);
    let kept = import(&world, unknown, None).await.unwrap();
    assert_eq!(kept.notes, ["section 99 is not known to this collector"]);
    assert_eq!(kept.sections, 9);
}

#[tokio::test]
async fn an_incomplete_section_of_a_file_never_replaces_a_complete_one() {
    let world = World::new();
    let mut host = enrolled(&world, "hmi").await;
    import(&world, host.file(1), None).await.unwrap();
    let partial = Section { status: SectionStatus::Partial, ..section(SectionKind::Software, Vec::new()) };
    host.agent.sections.insert(SectionKind::Software, partial);
    import(&world, host.file(2), None).await.unwrap();
    assert_eq!(world.rows("hmi", SectionKind::Software).len(), 2);
    assert_eq!(world.record("hmi").software_count, 2);
}

#[tokio::test]
async fn what_refers_to_other_rows_is_no_file() {
    let world = World::new();
    let host = enrolled(&world, "hmi").await;
    let file = host.file(1);
    for end in [10, 100, file.len() - 1] {
        assert!(refused(&world, file[..end].to_vec(), None).await.contains("cut off"));
    }
    let full = i32::from(SectionBody::Full);
    assert!(OneShot::read(&file).unwrap().sections.iter().all(|it| it.body == full));
}
