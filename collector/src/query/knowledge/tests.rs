//! The knowledge service over a real zone and store.

use holdpoint_common::proto::v1 as pb;
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::proto::v1::import_result::Result as Outcome;
use holdpoint_common::proto::v1::knowledge_server::Knowledge;
use holdpoint_common::refusal::Reason;
use holdpoint_common::row::hardening_row::Value;
use holdpoint_common::row::{HardeningRow, PlatformRow, SectionKind, TextList};
use prost::Message;
use tonic::Code;

use crate::knowledge::AllowedAges;
use crate::server::Peer;
use crate::zone::world::{World, from, section, software};

use super::{KnowledgeService, ZoneOffice, open};

const MIXER: &[u8] = include_bytes!("../../../fixtures/csaf/exc-26-001.json");
const UPDATE: &[u8] = include_bytes!("../../../fixtures/csaf/exc-26-001-update.json");
const LIST: &[u8] = b"id,product,min_version,scheme\nR-CURL,curl,8.0,deb\nR-VIM,vim,9.1,deb\n";

type Tested = KnowledgeService<ZoneOffice>;

async fn take(service: &Tested, file: &str, bytes: &[u8]) -> Result<pb::Taken, String> {
    let result = service.take_file("kim".into(), file.into(), bytes.to_vec()).await.unwrap();
    match result.result.unwrap() {
        Outcome::Taken(taken) => Ok(taken),
        Outcome::Refused(refused) => Err(refused.reason),
    }
}

async fn status(service: &Tested, viewer: &Peer, verdict: Option<&str>) -> pb::StatusResponse {
    let request = pb::StatusRequest { verdict: verdict.map(Into::into), ..pb::StatusRequest::default() };
    service.status(from(viewer, request)).await.unwrap().into_inner()
}

fn words(answer: &pb::StatusResponse) -> Vec<(&str, &str, &str)> {
    answer
        .findings
        .iter()
        .map(|it| (it.subject.as_str(), it.verdict.as_str(), it.reason.as_deref().unwrap_or("")))
        .collect()
}

async fn reported(world: &World, id: &str, rows: Vec<Vec<u8>>) {
    let mut agent = world.agent(id).await;
    agent.has_software(rows);
    agent.reports(world, &[]).await.unwrap();
}

#[tokio::test]
async fn a_requirement_is_imported_judged_explained_and_survives_a_restart() {
    let world = World::new();
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    let viewer = world.operator("vi", &["viewer"]).await;
    let taken = take(&service, "site.csv", LIST).await.unwrap();
    assert_eq!((taken.kind.as_str(), taken.items, taken.unchanged), ("requirements", 2, false));
    assert!(take(&service, "site.csv", LIST).await.unwrap().unchanged);

    reported(&world, "hmi", vec![software("curl", "7.88"), software("vim", "9.1")]).await;
    let answer = status(&service, &viewer, None).await;
    assert_eq!(words(&answer), [("R-CURL", "AFFECTED", ""), ("R-VIM", "FIXED", "")]);
    assert!(answer.any_open);
    assert_eq!(answer.findings[0].installed.as_deref(), Some("7.88 (amd64)"));
    assert!(!status(&service, &viewer, Some("fixed")).await.any_open);

    let request = pb::ExplainRequest { asset: "hmi".into(), subject: "R-CURL".into() };
    let told = service.explain(from(&viewer, request)).await.unwrap().into_inner();
    assert_eq!(told.verdict, "AFFECTED");
    assert!(
        told.chain.iter().any(|it| it.text.contains("7.88 is older than 8.0 by deb")),
        "{:?}",
        told.chain
    );

    let audit = world.zone.audit().verify().unwrap();
    assert!(audit.faults.is_empty() && audit.entries >= 2, "imports are in the audit log");
    drop(service);
    let world = world.restarted().await;
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    assert_eq!(words(&status(&service, &viewer, None).await).len(), 2);
}

#[tokio::test]
async fn a_person_confirms_a_candidate_and_a_newer_revision_takes_over() {
    let world = World::new();
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    let engineer = world.operator("en", &["engineer"]).await;
    take(&service, "exc.json", MIXER).await.unwrap();
    reported(&world, "hmi", vec![software("mixer-studio", "3.0")]).await;
    let answer = status(&service, &engineer, None).await;
    assert_eq!(words(&answer), [("EXC-26-001/CVE-2026-1001/P1", "UNKNOWN", "identity-unconfirmed")]);

    let request = pb::SuggestMapRequest { advisory: Some("exc-26-001".into()), limit: 0 };
    let candidates = service.suggest_map(from(&engineer, request)).await.unwrap().into_inner().candidates;
    let best = candidates.first().unwrap();
    assert_eq!((best.product.as_str(), best.installed_name.as_str()), ("Mixer Studio", "mixer-studio"));

    let mut request =
        pb::ConfirmMapRequest { candidate: best.id.clone(), scheme: "natural".into(), ..Default::default() };
    let refused = service.confirm_map(from(&engineer, request.clone())).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "a confirmation needs evidence");
    request.evidence = "order number on the nameplate".into();
    let rule = service.confirm_map(from(&engineer, request)).await.unwrap().into_inner();
    assert_eq!(rule.decision, "confirmed");
    assert_eq!(words(&status(&service, &engineer, None).await)[0].1, "AFFECTED");

    take(&service, "exc-a.json", UPDATE).await.unwrap();
    let answer = status(&service, &engineer, None).await;
    // The update writes the vendor without its comma: the rule is for the other spelling.
    assert_eq!(words(&answer), [("EXC-26-001/CVE-2026-1001/A1", "UNKNOWN", "identity-unconfirmed")]);
    let older = take(&service, "exc.json", &[MIXER, b"\n"].concat()).await.unwrap_err();
    assert_eq!(older, "version 3 of EXC-26-001 is held; version 2 of EXC-26-001 is older");

    let request =
        pb::RejectMapRequest { candidate: rule.id, reason: "another product".into(), expires_ms: None };
    let rejected = service.reject_map(from(&engineer, request)).await.unwrap().into_inner();
    assert_eq!(rejected.decision, "rejected");

    let before = status(&service, &engineer, None).await;
    drop(service);
    let world = world.restarted().await;
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    let after = status(&service, &engineer, None).await;
    assert_eq!(after.findings, before.findings, "both revisions are read again");
    assert!(take(&service, "exc.json", MIXER).await.unwrap().unchanged, "the older revision is still held");
}

#[tokio::test]
async fn a_bad_file_is_an_answer_and_a_caller_without_the_role_is_refused() {
    let world = World::new();
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    assert_eq!(
        take(&service, "a.json", b"{\"document\": ").await.unwrap_err(),
        "it is cut off: the JSON ends in the middle, at line 1 column 13"
    );
    let viewer = world.operator("vi", &["viewer"]).await;
    let request = pb::ConfirmMapRequest {
        candidate: "x".into(),
        scheme: "deb".into(),
        evidence: "y".into(),
        expires_ms: None,
    };
    let refused = service.confirm_map(from(&viewer, request)).await.unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::Role));
    let refused = service.list_feeds(from(&Peer::NoCertificate, pb::ListFeedsRequest {})).await.unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::NoCertificate));
    let feeds = service.list_feeds(from(&viewer, pb::ListFeedsRequest {})).await.unwrap().into_inner().feeds;
    assert!(
        feeds.len() == crate::knowledge::Kind::ALL.len() && feeds.iter().all(|it| it.stale),
        "what is empty is never fine"
    );
    let bad = pb::StatusRequest { verdict: Some("fine".into()), ..Default::default() };
    assert_eq!(service.status(from(&viewer, bad)).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_carried_scan_is_told_from_knowledge_by_its_content_and_every_answer_shows_its_grade() {
    use holdpoint_common::one_shot::{Contents, write};
    let world = World::new();
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    let viewer = world.operator("vi", &["viewer"]).await;
    let mut agent = world.agent("hmi").await;
    agent.has_software(vec![software("curl", "7.88")]);
    let host = pb::HostFacts { fingerprint: vec![5; 32], ..pb::HostFacts::default() };
    let sections = agent.sections.keys().map(|&it| agent.full(it)).collect();
    let file = write(Contents { host, host_time_ms: 1, sections }, None).unwrap();
    let bring = async |bytes: &[u8], as_asset: Option<&str>| {
        let as_asset = as_asset.map(str::to_owned);
        match service.take_any("kim".into(), "f".into(), bytes.to_vec(), as_asset).await.unwrap().result {
            Some(Outcome::Taken(taken)) => Ok(taken),
            Some(Outcome::Refused(refused)) => Err(refused.reason),
            None => panic!("an answer"),
        }
    };
    assert!(bring(LIST, Some("xp")).await.unwrap_err().contains("no one-shot"));
    bring(LIST, None).await.unwrap();
    let taken = bring(&file, Some("xp")).await.unwrap();
    assert_eq!(
        (taken.kind.as_str(), taken.asset.as_deref(), taken.grade.as_deref()),
        ("one-shot", Some("xp"), Some("D"))
    );
    agent.reports(&world, &[]).await.unwrap();

    let answer = status(&service, &viewer, None).await;
    let grades: Vec<_> = answer.findings.iter().map(|it| (it.asset.as_str(), it.grade.as_deref())).collect();
    assert_eq!(grades, [("hmi", Some("B")), ("xp", Some("D"))]);
    assert_eq!(answer.findings[1].verdict, "AFFECTED", "a file that was just brought is not outdated");
    let request = pb::ExplainRequest { asset: "xp".into(), subject: "R-CURL".into() };
    let told = service.explain(from(&viewer, request)).await.unwrap().into_inner();
    assert_eq!(told.grade.as_deref(), Some("D"));
    assert!(told.chain.iter().any(|it| it.text.contains("evidence grade D")), "{:?}", told.chain);
}

const RULES: &[u8] = b"kind = \"hardening\"\n\
    [[rule]]\nid = \"PLANT.marker\"\ntitle = \"The marker is there\"\n\
    expect = { fact = \"site.marker\", equals = true }\n\
    [[exception]]\nrule = \"L13.root\"\nrole = \"hmi\"\nreason = \"until the rebuild\"\n\
    owner = \"the process engineer\"\nexpires = 2099-01-01\n";

fn fact(id: &str, value: Value) -> Vec<u8> {
    let (source, state) = ("etc/passwd".to_owned(), "observed".to_owned());
    HardeningRow { id: id.into(), source, state, value: Some(value), ..HardeningRow::default() }
        .encode_to_vec()
}

#[tokio::test]
async fn rules_of_a_site_are_imported_and_judge_what_agents_reported() {
    let world = World::new();
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    let viewer = world.operator("vi", &["viewer"]).await;
    let mut agent = world.agent("hmi").await;
    let platform = PlatformRow {
        source: "linux/platform".into(),
        os_id: Some("debian".into()),
        boot_id: Some("b".into()),
        ..PlatformRow::default()
    };
    let platform = section(SectionKind::Platform, vec![platform.encode_to_vec()]);
    agent.sections.insert(SectionKind::Platform, platform);
    let list =
        |items: &[&str]| Value::List(TextList { items: items.iter().map(|it| (*it).to_owned()).collect() });
    let rows = vec![
        fact("accounts.empty_password", list(&[])),
        fact("accounts.uid_zero", list(&["root", "toor"])),
        fact("site.marker", Value::Flag(false)),
    ];
    agent.sections.insert(SectionKind::Hardening, section(SectionKind::Hardening, rows));
    agent.reports(&world, &[]).await.unwrap();

    let taken = take(&service, "site-rules.toml", RULES).await.unwrap();
    assert_eq!((taken.kind.as_str(), taken.items), ("hardening", 2));
    let refused = take(&service, "x.toml", b"kind = \"hardening\"\n[[rule]]\nid = 5\n").await.unwrap_err();
    assert!(refused.starts_with("rule 1: invalid type"), "{refused}");

    let list = |request: pb::ListHardeningRequest| service.list_hardening(from(&viewer, request));
    let words = async |rule: &str| {
        let request = pb::ListHardeningRequest { rule: Some(rule.into()), ..Default::default() };
        let results = list(request).await.unwrap().into_inner().results;
        let code = |it: pb::HardeningResult| match it.reason.filter(|_| it.result == "NOT_CHECKED") {
            Some(reason) => (it.rule, format!("{} {}", it.result, reason.split(':').next().unwrap())),
            None => (it.rule, it.result),
        };
        results.into_iter().map(code).collect::<Vec<_>>()
    };
    let pair = |rule: &str, result: &str| (rule.to_owned(), result.to_owned());
    assert_eq!(words("L13.empty").await, [pair("L13.empty", "PASS")]);
    assert_eq!(words("PLANT").await, [pair("PLANT.marker", "FAIL")]);
    assert_eq!(words("L13.root").await, [pair("L13.root", "FAIL")], "the exception is for a role");
    assert!(words("W06").await.is_empty(), "rules of another system are left out");
    let request = pb::ListHardeningRequest { result: Some("FINE".into()), ..Default::default() };
    assert_eq!(list(request).await.unwrap_err().code(), Code::InvalidArgument);
    let request = pb::ListHardeningRequest { asset: Some("nobody".into()), ..Default::default() };
    assert_eq!(list(request).await.unwrap_err().code(), Code::NotFound);
    let request = pb::ListHardeningRequest::default();
    let stranger = service.list_hardening(from(&Peer::NoCertificate, request)).await.unwrap_err();
    assert_eq!(Reason::of(&stranger), Some(Reason::NoCertificate));

    let scores = service.score_hardening(from(&viewer, pb::ScoreHardeningRequest::default())).await.unwrap();
    let zone = scores.into_inner().zone.unwrap();
    assert!(zone.passed >= 1 && zone.failed >= 2 && zone.not_checked > 10, "{zone:?}");

    // What is not whole any more checks nothing, although the rows are still shown.
    let mut partial = section(SectionKind::Hardening, Vec::new());
    partial.status = SectionStatus::Partial;
    agent.sections.insert(SectionKind::Hardening, partial);
    agent.reports(&world, &[]).await.unwrap();
    assert_eq!(words("L13.empty").await, [pair("L13.empty", "NOT_CHECKED section-incomplete")]);

    drop(service);
    let world = world.restarted().await;
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    let request = pb::ListHardeningRulesRequest {};
    let rules = service.list_hardening_rules(from(&viewer, request)).await.unwrap().into_inner();
    assert!(rules.rules.iter().any(|it| it.id == "PLANT.marker" && it.profile == "site-rules.toml"));
}

const MAP_RULES: &[u8] = b"[[map]]\nid = \"studio\"\ndecision = \"same\"\nscheme = \"natural\"\nevidence = \"nameplate\"\nauthor = \"kim\"\n\
    date = \"2026-05-01\"\n[map.installed]\nname = \"the studio\"\n[map.advisory]\nvendors = [\"Example Controls, Inc.\"]\n\
    products = [\"Mixer Studio\"]\n";

#[tokio::test]
async fn the_map_is_imported_listed_reviewed_exported_and_taken_back_elsewhere() {
    let world = World::new();
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    let engineer = world.operator("en", &["engineer"]).await;
    take(&service, "exc.json", MIXER).await.unwrap();
    reported(&world, "hmi", vec![software("the studio", "3.0"), software("mixer-link", "4.5")]).await;
    assert!(words(&status(&service, &engineer, None).await).iter().all(|it| it.2 == "identity-unconfirmed"));

    let error = take(&service, "map.toml", &MAP_RULES.replace(b"natural", b"best")).await.unwrap_err();
    assert!(error.starts_with("rule 1 `studio`: unknown version scheme"), "{error}");
    let taken = take(&service, "map.toml", MAP_RULES).await.unwrap();
    assert_eq!((taken.kind.as_str(), taken.items), ("map", 1));
    let answer = status(&service, &engineer, Some("AFFECTED")).await;
    assert_eq!(words(&answer), [("EXC-26-001/CVE-2026-1001/P1", "AFFECTED", "")]);

    let request = pb::SuggestMapRequest { advisory: None, limit: 0 };
    let candidates = service.suggest_map(from(&engineer, request)).await.unwrap().into_inner().candidates;
    assert!(candidates.iter().all(|it| it.installed_name != "the studio" || it.product != "Mixer Studio"));
    let link =
        candidates.iter().find(|it| it.installed_name == "mixer-link" && it.product == "Mixer Link").unwrap();
    let mut request = pb::ConfirmMapRequest {
        candidate: link.id.clone(),
        scheme: String::new(),
        evidence: "order".into(),
        expires_ms: None,
    };
    let refused = service.confirm_map(from(&engineer, request.clone())).await.unwrap_err();
    assert!(refused.message().starts_with("name the scheme"), "{refused}");
    request.scheme = "natural".into();
    service.confirm_map(from(&engineer, request)).await.unwrap();

    let request = pb::ListMapRequest { limit: 1, skip: 1 };
    let listed = service.list_map(from(&engineer, request)).await.unwrap().into_inner();
    assert_eq!(listed.total, 2);
    let [rule] = listed.entries.as_slice() else { panic!("{listed:?}") };
    assert_eq!((rule.kind.as_str(), rule.id.as_str(), rule.bound, rule.valid), ("rule", "studio", 1, true));

    let review = async |file: Option<Vec<u8>>| {
        service.lint_map(from(&engineer, pb::LintMapRequest { file })).await.map(tonic::Response::into_inner)
    };
    assert!(review(None).await.unwrap().lints.iter().all(|it| it.severity != "error"));
    let elsewhere = MAP_RULES.replace(b"studio\"\ndec", b"lost\"\ndec").replace(b"the studio", b"nobody");
    let reviewed = review(Some(elsewhere)).await.unwrap();
    assert!(
        reviewed.lints.iter().any(|it| it.rule == "lost" && it.text.starts_with("nothing that is installed"))
    );
    assert_eq!(review(Some(b"[[map]]".to_vec())).await.unwrap_err().code(), Code::InvalidArgument);

    let exported =
        service.export_map(from(&engineer, pb::ExportMapRequest { offset: 0 })).await.unwrap().into_inner();
    assert_eq!((exported.items, exported.left_out.len()), (2, 0));
    let before = words_of(&status(&service, &engineer, None).await);
    let other = World::new();
    let taken_back = open(&other.zone, AllowedAges::default()).unwrap();
    let engineer = other.operator("en", &["engineer"]).await;
    take(&taken_back, "exc.json", MIXER).await.unwrap();
    reported(&other, "hmi", vec![software("the studio", "3.0"), software("mixer-link", "4.5")]).await;
    assert_eq!(take(&taken_back, "site.toml", &exported.part).await.unwrap().items, 2);
    assert_eq!(words_of(&status(&taken_back, &engineer, None).await), before);
    let again = taken_back
        .export_map(from(&engineer, pb::ExportMapRequest { offset: 0 }))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again.part, exported.part);

    let request = pb::MapStatusRequest { side: "installed".into(), ..pb::MapStatusRequest::default() };
    let standing = taken_back.map_status(from(&engineer, request.clone())).await.unwrap().into_inner();
    assert!(standing.counts.iter().any(|it| it.class == "confirmed" && it.count == 2), "{standing:?}");
    let request = pb::MapStatusRequest { class: Some("odd".into()), ..request };
    assert_eq!(
        taken_back.map_status(from(&engineer, request)).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    drop(taken_back);
    let other = other.restarted().await;
    let reopened = open(&other.zone, AllowedAges::default()).unwrap();
    assert_eq!(words_of(&status(&reopened, &engineer, None).await), before, "the file is read again");
}

#[tokio::test]
async fn a_starter_rule_is_taken_by_a_person_and_reads_versions_as_it_says() {
    let world = World::new();
    let service = open(&world.zone, AllowedAges::default()).unwrap();
    let engineer = world.operator("en", &["engineer"]).await;
    let advisory = MIXER
        .replace(b"Example Controls, Inc.", b"Rockwell Automation")
        .replace(b"Mixer Studio", b"Studio 5000 Logix Designer");
    take(&service, "exc.json", &advisory).await.unwrap();
    reported(&world, "hmi", vec![software("Studio 5000 Logix Designer x", "3.0")]).await;
    assert_eq!(words(&status(&service, &engineer, None).await)[0].2, "identity-unconfirmed");
    let request = pb::SuggestMapRequest { advisory: None, limit: 1 };
    let found = service.suggest_map(from(&engineer, request)).await.unwrap().into_inner().candidates;
    assert_eq!(found[0].starter.as_deref(), Some("rockwell-studio-5000"), "{found:?}");
    let request = pb::ConfirmMapRequest {
        candidate: found[0].id.clone(),
        scheme: String::new(),
        evidence: "setup medium".into(),
        expires_ms: None,
    };
    service.confirm_map(from(&engineer, request)).await.unwrap();
    assert_eq!(words(&status(&service, &engineer, None).await)[0].1, "AFFECTED");
    let listed = service.list_map(from(&engineer, pb::ListMapRequest::default())).await.unwrap().into_inner();
    assert_eq!(listed.entries[0].scheme.as_deref(), Some("natural"));
}

fn words_of(answer: &pb::StatusResponse) -> Vec<(String, String, String)> {
    words(answer).into_iter().map(|it| (it.0.to_owned(), it.1.to_owned(), it.2.to_owned())).collect()
}

/// Text in a file for another.
trait Replace {
    fn replace(&self, from: &[u8], to: &[u8]) -> Vec<u8>;
}

impl Replace for [u8] {
    fn replace(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        let text = |it: &[u8]| String::from_utf8(it.to_vec()).unwrap();
        text(self).replace(&text(from), &text(to)).into_bytes()
    }
}
