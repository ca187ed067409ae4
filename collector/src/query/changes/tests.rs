//! Baselines and duties over a real store.

use std::sync::Arc;

use holdpoint_common::proto::v1 as pb;
use tonic::{Code, Status};

use super::{Caller, ChangeBook, baseline, duty};
use crate::assess::Board;
use crate::baseline::Shelf;
use crate::change::Change;
use crate::duty::Books;
use crate::knowledge::{AllowedAges, Knowledge};
use crate::zone::world::{Agent, START, World, software};

const DAY_MS: i64 = 86_400_000;

struct NoChanges;

impl ChangeBook for NoChanges {
    fn change(&self, _: &str) -> Option<Arc<Change>> {
        None
    }

    fn changes(&self) -> Vec<Arc<Change>> {
        Vec::new()
    }
}

fn caller() -> Caller {
    Caller { by: "local".into(), person: "kim".into() }
}

fn open(world: &World) -> (Arc<Books>, Shelf) {
    let shelf = Shelf::default();
    let board = Board::open(Arc::new(world.zone.store().clone()), AllowedAges::default());
    (Books::open(&world.zone, &shelf, &board).unwrap(), shelf)
}

/// Asks for a baseline while the host answers.
async fn approved(world: &World, books: &Arc<Books>, agent: &mut Agent) -> Result<pb::Baseline, Status> {
    let request =
        pb::ApproveBaselineRequest { asset: "hmi".into(), change: String::new(), reason: "as built".into() };
    let asked = Arc::clone(books);
    let waiting = tokio::spawn(async move { baseline::approve(&asked, &NoChanges, caller(), request).await });
    let nonce = loop {
        tokio::task::yield_now().await;
        if let Some(asked) = world.record("hmi").challenges.last() {
            break asked.nonce.clone();
        }
    };
    agent.reports(world, &[nonce]).await.unwrap();
    waiting.await.unwrap()
}

async fn drift(books: &Arc<Books>, all: bool) -> Vec<pb::DriftItem> {
    let request = pb::ListDriftRequest { asset: None, all };
    baseline::list_drift(books, &AllowedAges::default(), request).await.unwrap().items
}

fn told(items: &[pb::DriftItem]) -> Vec<String> {
    let one = |it: &pb::DriftItem| format!("{} {} {}{}", it.part, it.item, it.disposition, it.undetermined);
    items.iter().map(one).collect()
}

fn dispose(items: &[&str], word: &str, until_ms: Option<i64>) -> pb::DisposeDriftRequest {
    pb::DisposeDriftRequest {
        asset: "hmi".into(),
        items: items.iter().map(|&it| it.to_owned()).collect(),
        r#as: word.into(),
        reason: "looked at".into(),
        until_ms,
    }
}

#[tokio::test]
async fn what_a_host_answers_is_approved_and_what_differs_later_is_drift() {
    let world = World::new();
    let mut agent = world.agent("hmi").await;
    agent.runs("Debian", "13");
    agent.has_software(vec![software("bash", "5")]);
    agent.reports(&world, &[]).await.unwrap();
    let (books, _) = open(&world);
    assert_eq!(told(&drift(&books, false).await), ["  openno-baseline"]);

    let baseline = approved(&world, &books, &mut agent).await.unwrap();
    assert_eq!((baseline.version, baseline.approved_by.as_str(), baseline.grade.as_str()), (1, "kim", "B"));
    let parts: Vec<_> =
        baseline.parts.iter().map(|it| (it.part.as_str(), it.complete, it.items.len())).collect();
    let expected = [
        ("operating-system", true, 2),
        ("software", true, 1),
        ("custom-software", true, 0),
        ("ports", true, 0),
        ("patches", true, 0),
    ];
    assert_eq!(parts, expected);
    assert!(drift(&books, true).await.is_empty());

    agent.has_software(vec![software("bash", "5"), software("nmap", "7")]);
    agent.reports(&world, &[]).await.unwrap();
    assert_eq!(told(&drift(&books, false).await), ["software nmap amd64 open"]);

    let ages = AllowedAges::default();
    let say = |request| baseline::dispose(&books, &ages, "local".into(), request);
    assert_eq!(say(dispose(&[], "revert", None)).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(say(dispose(&[], "revert", Some(START))).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(say(dispose(&["ffffffff"], "authorised", None)).await.unwrap_err().code(), Code::NotFound);
    let after = say(dispose(&[], "revert", Some(START + DAY_MS))).await.unwrap().items;
    assert_eq!(told(&after), ["software nmap amd64 revert"]);
    assert!(drift(&books, false).await.is_empty());
    world.clock.set(START + DAY_MS);
    assert_eq!(told(&drift(&books, false).await), ["software nmap amd64 open"], "it has ended");

    let renewed = approved(&world, &books, &mut agent).await.unwrap();
    assert_eq!(renewed.version, 2);
    assert!(drift(&books, true).await.is_empty(), "the new baseline holds it");
    world.clock.set(START + 10 * DAY_MS);
    assert_eq!(told(&drift(&books, false).await), ["  openinventory-stale"]);

    let (before, duties) = (books.baselines(), books.duties());
    drop(books);
    let world = world.restarted().await;
    let (books, shelf) = open(&world);
    assert_eq!(*books.baselines(), *before, "the log alone makes the same");
    assert_eq!(shelf.current(), before);
    assert_eq!(*books.duties(), *duties);
    let first = pb::GetBaselineRequest { asset: "hmi".into(), version: 1 };
    assert_eq!(baseline::show(&books, first).await.unwrap().parts, baseline.parts);
}

#[tokio::test]
async fn a_baseline_of_a_change_that_nobody_knows_is_refused() {
    let world = World::new();
    let mut agent = world.agent("hmi").await;
    agent.reports(&world, &[]).await.unwrap();
    let (books, _) = open(&world);
    let request =
        pb::ApproveBaselineRequest { asset: "hmi".into(), change: "CHG-0009".into(), reason: "done".into() };
    let refused = baseline::approve(&books, &NoChanges, caller(), request).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert!(books.baselines().of("hmi").is_none());
}

#[tokio::test]
async fn duties_are_recorded_listed_and_read_again() {
    let world = World::new();
    let mut agent = world.agent("hmi").await;
    agent.reports(&world, &[]).await.unwrap();
    let (books, _) = open(&world);
    let knowledge = Arc::new(Knowledge::default());
    let list = async |books: &Arc<Books>| {
        let request = pb::ListDutiesRequest { all: false };
        let duties = duty::list(books, &NoChanges, &knowledge, request).await.unwrap().duties;
        duties.into_iter().map(|it| format!("{} {} {}", it.kind, it.subject, it.state)).collect::<Vec<_>>()
    };
    assert_eq!(list(&books).await, ["evaluate patch sources due"]);
    let source = pb::NamePatchSourceRequest {
        source: "oem".into(),
        kind: "oem".into(),
        contact: "a portal".into(),
        assets: vec!["hmi".into()],
    };
    duty::name_source(&books, caller(), source).await.unwrap();
    let evaluation = |to_ms| pb::RecordEvaluationRequest {
        source: "oem".into(),
        from_ms: START - DAY_MS,
        to_ms,
        items: vec!["ADV-1".into()],
        text: String::new(),
    };
    let early = duty::record_evaluation(&books, caller(), evaluation(START + 1)).await.unwrap_err();
    assert_eq!(early.code(), Code::InvalidArgument);
    duty::record_evaluation(&books, caller(), evaluation(START)).await.unwrap();
    let control = pb::RegisterControlRequest {
        id: "C-1".into(),
        asset: "hmi".into(),
        subject: "ADV-1".into(),
        owner: "lee".into(),
        description: "the port is closed".into(),
        fact: Some("smb.v1=false".into()),
        interval_days: 7,
        until_ms: START + 90 * DAY_MS,
    };
    let registered = duty::register_control(&books, caller(), control.clone()).await.unwrap();
    assert_eq!((registered.state.as_str(), registered.fact.as_deref()), ("untested", Some("smb.v1=false")));
    let again = duty::register_control(&books, caller(), control).await.unwrap_err();
    assert_eq!(again.code(), Code::FailedPrecondition);
    let test = pb::TestControlRequest { id: "C-1".into(), works: true, text: "scanned".into() };
    assert_eq!(duty::test_control(&books, caller(), test).await.unwrap().state, "works");
    let expected = ["control-test C-1 due", "evaluate oem due", "act ADV-1 due", "control-ends C-1 due"];
    assert_eq!(list(&books).await, expected);

    let world = world.restarted().await;
    let (books, _) = open(&world);
    assert_eq!(list(&books).await, expected, "the log alone makes the same");
    world.clock.set(START + 36 * DAY_MS);
    let later = list(&books).await;
    assert!(later.contains(&"act ADV-1 overdue".to_owned()), "{later:?}");
    let end = pb::EndControlRequest { id: "C-1".into(), reason: "the station is gone".into() };
    assert_eq!(duty::end_control(&books, caller(), end).await.unwrap().state, "ended");
    let all = pb::ListControlsRequest { all: false };
    assert!(duty::list_controls(&books, all).await.unwrap().controls.is_empty());
}
