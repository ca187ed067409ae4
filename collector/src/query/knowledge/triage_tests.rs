//! Triage, dispositions and tracks over a real zone and store.

use holdpoint_common::proto::v1 as pb;
use holdpoint_common::proto::v1::import_result::Result as Outcome;
use holdpoint_common::proto::v1::knowledge_server::Knowledge;
use holdpoint_common::refusal::Reason;
use holdpoint_common::row::{HardeningRow, SectionKind, hardening_row::Value};
use prost::Message;
use tonic::Code;

use crate::knowledge::AllowedAges;
use crate::server::Peer;
use crate::zone::world::{START, World, from, section, software};

use super::{KnowledgeService, ZoneOffice, open};

const MIXER: &[u8] = include_bytes!("../../../fixtures/csaf/exc-26-001.json");
const SUBJECT: &str = "EXC-26-001/CVE-2026-1001/P1";
const DAY_MS: i64 = 86_400_000;

type Tested = KnowledgeService<ZoneOffice>;

async fn take(service: &Tested, file: &str, text: &[u8]) -> pb::Taken {
    match service.take_file("kim".into(), file.into(), text.to_vec()).await.unwrap().result.unwrap() {
        Outcome::Taken(taken) => taken,
        Outcome::Refused(refused) => panic!("{}", refused.reason),
    }
}

/// A host that is affected by the fixture, with a fact that says whether SMB 1 is on.
async fn affected(world: &World, service: &Tested, engineer: &Peer, smb: bool) {
    take(service, "exc.json", MIXER).await;
    let mut agent = world.agent("hmi").await;
    reported(world, &mut agent, smb).await;
    let request = pb::SuggestMapRequest { advisory: None, limit: 0 };
    let candidates = service.suggest_map(from(engineer, request)).await.unwrap().into_inner().candidates;
    let request = pb::ConfirmMapRequest {
        candidate: candidates[0].id.clone(),
        scheme: "natural".into(),
        evidence: "nameplate".into(),
        expires_ms: None,
    };
    service.confirm_map(from(engineer, request)).await.unwrap();
}

async fn reported(world: &World, agent: &mut crate::zone::world::Agent, smb: bool) {
    agent.has_software(vec![software("mixer-studio", "3.0")]);
    let fact = HardeningRow {
        id: "smb.server_v1".into(),
        state: "observed".into(),
        value: Some(Value::Flag(smb)),
        ..HardeningRow::default()
    };
    let kind = SectionKind::Hardening;
    agent.sections.insert(kind, section(kind, vec![fact.encode_to_vec()]));
    agent.reports(world, &[]).await.unwrap();
}

async fn finding(service: &Tested, viewer: &Peer) -> pb::Finding {
    let request = pb::StatusRequest { advisory: Some("EXC-26-001".into()), ..pb::StatusRequest::default() };
    let answer = service.status(from(viewer, request)).await.unwrap().into_inner();
    answer.findings.into_iter().find(|it| it.subject == SUBJECT).unwrap()
}

fn disposed(kind: &str, until_ms: Option<i64>) -> pb::DisposeRequest {
    pb::DisposeRequest {
        asset: "hmi".into(),
        subject: "CVE-2026-1001".into(),
        kind: kind.into(),
        owner: "ada".into(),
        until_ms,
        reason: "because".into(),
        control: None,
    }
}

#[tokio::test]
async fn triage_is_shown_recorded_overridden_checked_and_survives_a_restart() {
    let world = World::new();
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    let engineer = world.operator("en", &["engineer"]).await;
    affected(&world, &service, &engineer, false).await;
    let before = finding(&service, &engineer).await;
    assert_eq!((before.verdict.as_str(), before.triage.as_deref()), ("AFFECTED", Some("immediate")));
    let open_inputs = ["exploitation", "automatable", "system_exposure", "safety_impact", "mission_impact"]
        .map(str::to_owned);
    assert_eq!(before.triage_missing, open_inputs, "nothing is known, so it is the worst, and it says so");

    let placed: &[u8] = b"asset,zone,role,level,safety_impact,mission_impact,exposure\n\
        hmi,line-1,scada,2,marginal,degraded,small\nplc-9,line-1,plc,1,,,\n";
    assert_eq!(take(&service, "placement.csv", placed).await.items, 2);
    let after = finding(&service, &engineer).await;
    assert_eq!(after.triage.as_deref(), Some("scheduled"));
    assert_eq!(after.triage_missing, ["exploitation", "automatable"]);

    let request = pb::TriageRequest { asset: "hmi".into(), subject: "EXC".into() };
    let shown = service.show_triage(from(&engineer, request)).await.unwrap().into_inner();
    let schemes: Vec<_> = shown.decisions.iter().map(|it| it.scheme.as_str()).collect();
    assert_eq!(
        (shown.subject.as_str(), schemes),
        (SUBJECT, vec!["ssvc-deployer", "now-next-never", "bod-26-04"])
    );
    let exposure = shown.decisions[0].inputs.iter().find(|it| it.name == "system_exposure").unwrap();
    assert_eq!(exposure.values, ["small"]);
    assert!(exposure.source.contains("placement.csv") && exposure.digest.len() == 32);

    let record = pb::RecordTriageRequest { asset: "hmi".into(), subject: "EXC".into(), ..Default::default() };
    service.record_triage(from(&engineer, record.clone())).await.unwrap();
    let overridden = pb::RecordTriageRequest { override_outcome: Some("defer".into()), ..record };
    let refused = service.record_triage(from(&engineer, overridden.clone())).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "an override needs its reason");
    let overridden = pb::RecordTriageRequest { override_reason: Some("fw-1 blocks it".into()), ..overridden };
    service.record_triage(from(&engineer, overridden.clone())).await.unwrap();
    assert_eq!(finding(&service, &engineer).await.triage.as_deref(), Some("defer"));
    let unknown = pb::RecordTriageRequest { override_outcome: Some("never".into()), ..overridden };
    assert!(service.record_triage(from(&engineer, unknown)).await.is_err());

    drop(service);
    let world = world.restarted().await;
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    assert_eq!(finding(&service, &engineer).await.triage.as_deref(), Some("defer"));
    let checked =
        service.check_triage(from(&engineer, pb::CheckTriageRequest {})).await.unwrap().into_inner();
    assert_eq!((checked.checked, checked.faults), (2, vec![]));
    let audit = world.zone.audit().verify().unwrap();
    assert!(audit.faults.is_empty());

    let list =
        service.list_placement(from(&engineer, pb::ListPlacementRequest {})).await.unwrap().into_inner();
    let known: Vec<_> = list.assets.iter().map(|it| (it.asset.as_str(), it.enrolled)).collect();
    assert_eq!(known, [("hmi", true), ("plc-9", false)], "an asset that nobody enrolled is kept and shown");
    let request = pb::ExplainRequest { asset: "hmi".into(), subject: SUBJECT.into() };
    let told = service.explain(from(&engineer, request)).await.unwrap().into_inner();
    let triage = told.chain.iter().find(|it| it.step == "triage").unwrap();
    assert!(triage.text.contains("a person decided defer"), "{}", triage.text);
}

#[tokio::test]
async fn a_disposition_shows_in_the_state_and_ends_by_itself() {
    let world = World::new();
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    let engineer = world.operator("en", &["engineer"]).await;
    let viewer = world.operator("vi", &["viewer"]).await;
    affected(&world, &service, &engineer, false).await;
    let plain = finding(&service, &engineer).await;
    let beside = (plain.state.as_deref(), plain.disposition.as_deref());
    assert_eq!(beside, (Some("AWAITING_EVALUATION"), Some("open")));

    let refused = service.dispose(from(&viewer, disposed("patch", None))).await.unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::Role));
    for bad in [
        disposed("accept", None),
        disposed("accept", Some(START)),
        disposed("ignore", Some(START + DAY_MS)),
        pb::DisposeRequest { owner: String::new(), ..disposed("defer", Some(START + DAY_MS)) },
        pb::DisposeRequest { reason: String::new(), ..disposed("patch", None) },
        pb::DisposeRequest { control: Some("a=b".into()), ..disposed("accept", Some(START + DAY_MS)) },
        pb::DisposeRequest { control: Some("nothing".into()), ..disposed("mitigate", Some(START + DAY_MS)) },
    ] {
        assert_eq!(service.dispose(from(&engineer, bad)).await.unwrap_err().code(), Code::InvalidArgument);
    }
    let other = pb::DisposeRequest { subject: "CVE-2026-9".into(), ..disposed("patch", None) };
    assert_eq!(service.dispose(from(&engineer, other)).await.unwrap_err().code(), Code::NotFound);

    let accepted = disposed("accept", Some(START + DAY_MS));
    let first = service.dispose(from(&engineer, accepted)).await.unwrap().into_inner();
    assert_eq!((first.status.as_str(), first.findings), ("in force", 1));
    let now = finding(&service, &engineer).await;
    assert_eq!((now.verdict.as_str(), now.disposition.as_deref()), ("AFFECTED", Some("accept")));
    assert!(now.state.unwrap().starts_with("RISK_ACCEPTED(2023-"));
    world.clock.set(START + DAY_MS);
    let now = finding(&service, &engineer).await;
    let beside = (now.state.as_deref(), now.disposition.as_deref());
    assert_eq!(beside, (Some("AWAITING_EVALUATION(reopened: disposition expired)"), Some("open")));

    let until = Some(START + 5 * DAY_MS);
    let mitigated =
        pb::DisposeRequest { control: Some("smb.server_v1=false".into()), ..disposed("mitigate", until) };
    let second = service.dispose(from(&engineer, mitigated)).await.unwrap().into_inner();
    assert_eq!(second.status, "verified");
    assert_eq!(finding(&service, &engineer).await.state.as_deref(), Some("MITIGATED_VERIFIED"));
    let mut agent = world.agent("other").await;
    agent.peer = Peer::Certificate {
        identity: world.zone.name().agent("hmi".parse().unwrap()),
        fingerprint: holdpoint_common::section::Digest::of(b"hmi"),
        issuer: holdpoint_common::section::Digest::of(b"ca"),
        not_before_ms: START,
        not_after_ms: START + 365 * DAY_MS,
    };
    agent.machine = holdpoint_common::section::Digest::of(b"machine of hmi");
    agent.sequence = 7;
    reported(&world, &mut agent, true).await;
    let now = finding(&service, &engineer).await;
    assert_eq!(now.state.as_deref(), Some("AWAITING_EVALUATION(reopened: control failed)"));
    assert_eq!(now.disposition.as_deref(), Some("open"), "the machine has seen that the control is gone");

    let request = pb::WithdrawDispositionRequest { number: second.number, reason: "done".into() };
    let withdrawn =
        service.withdraw_disposition(from(&engineer, request.clone())).await.unwrap().into_inner();
    assert_eq!(withdrawn.status, "withdrawn");
    assert!(service.withdraw_disposition(from(&engineer, request)).await.is_err(), "once is enough");
    let request = pb::ListDispositionsRequest { asset: None, all: true };
    let listed = service.list_dispositions(from(&viewer, request)).await.unwrap().into_inner().dispositions;
    let words: Vec<_> = listed.iter().map(|it| (it.number, it.status.as_str())).collect();
    assert_eq!(words, [(2, "withdrawn"), (1, "expired")]);
}

#[tokio::test]
async fn a_patch_is_authorised_by_what_its_supplier_states_or_by_two_people() {
    let world = World::new();
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    let engineer = world.operator("en", &["engineer"]).await;
    affected(&world, &service, &engineer, false).await;
    take(&service, "placement.csv", b"asset,zone\nhmi,line-1\n").await;
    let mapping: &[u8] = include_bytes!("../../../../deploy/mappings/rockwell.toml");
    assert_eq!(take(&service, "rockwell.toml", mapping).await.kind, "mapping");
    let list: &[u8] = b"Product,Version,Microsoft Patch,Qualification,Notes\n\
        Mixer Studio,3.0,CVE-2026-1001,Under_Test,\n";
    assert_eq!(take(&service, "may.csv", list).await.kind, "statements");
    assert_eq!(finding(&service, &engineer).await.state.as_deref(), Some("AWAITING_SUPPLIER"));

    let step = |step: &str| pb::DecidePatchRequest {
        patch: "CVE-2026-1001".into(),
        scope: "line-1".into(),
        step: step.into(),
        reason: "r".into(),
        ..pb::DecidePatchRequest::default()
    };
    let decide = async |request: pb::DecidePatchRequest| {
        service.decide_patch(from(&engineer, request)).await.map(|it| it.into_inner().state)
    };
    assert_eq!(decide(step("authorize")).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(decide(step("applicable")).await.unwrap(), "Applicable");
    let silent = decide(step("authorize")).await.unwrap_err();
    assert!(silent.message().contains("InTest"), "{}", silent.message());

    let later: &[u8] = b"Product,Version,Microsoft Patch,Qualification,Notes\n\
        Mixer Studio,3.0,CVE-2026-1001,Partially Qualified,restart both stations\n";
    world.clock.set(START + 60_000);
    take(&service, "june.csv", later).await;
    let conditional = decide(step("authorize")).await.unwrap_err();
    assert!(conditional.message().contains("restart both stations"), "{}", conditional.message());
    let known = pb::DecidePatchRequest { condition: "restart both stations".into(), ..step("acknowledge") };
    decide(known).await.unwrap();
    assert_eq!(decide(step("authorize")).await.unwrap(), "Authorized");
    assert_eq!(finding(&service, &engineer).await.state.as_deref(), Some("AUTHORIZED"));

    let all = pb::ListStatementsRequest::default();
    let listed = service.list_statements(from(&engineer, all)).await.unwrap().into_inner().statements;
    let words: Vec<_> = listed.iter().map(|it| (it.raw.as_deref(), it.current)).collect();
    assert_eq!(words, [(Some("Partially Qualified"), true), (Some("Under_Test"), false)]);
    let request = pb::ExplainRequest { asset: "hmi".into(), subject: SUBJECT.into() };
    let told = service.explain(from(&engineer, request)).await.unwrap().into_inner();
    let steps: Vec<_> = told.chain.iter().map(|it| it.step.as_str()).collect();
    assert!(steps.contains(&"supplier") && steps.contains(&"owner"), "{steps:?}");

    let deviating = pb::DecidePatchRequest {
        scope: "line-2".into(),
        deviation: vec!["Ada (control engineer)".into(), "Kim (safety officer)".into()],
        ..step("authorize")
    };
    decide(pb::DecidePatchRequest { scope: "line-2".into(), ..step("applicable") }).await.unwrap();
    assert_eq!(decide(deviating).await.unwrap(), "Authorized");

    drop(service);
    let world = world.restarted().await;
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    let request = pb::ListPatchesRequest { patch: None };
    let patches = service.list_patches(from(&engineer, request)).await.unwrap().into_inner().patches;
    let states: Vec<_> = patches.iter().map(|it| (it.scope.as_str(), it.state.as_str())).collect();
    assert_eq!(states, [("line-1", "Authorized"), ("line-2", "Authorized")]);
    let all = pb::ListStatementsRequest::default();
    let again = service.list_statements(from(&engineer, all)).await.unwrap().into_inner().statements;
    assert_eq!(again, listed, "lists are read again by their mapping");
}
