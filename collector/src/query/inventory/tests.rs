//! The inventory service over a real store.

use holdpoint_common::proto::v1::inventory_server::Inventory;
use holdpoint_common::proto::v1::{
    CompareAssetsRequest, Declined, GetAssetRequest, ListAssetsRequest, ListEventsRequest,
    MergeAssetsRequest, RenameAssetRequest, RescanAnswer, RescanRequest, RetireAssetRequest,
    SearchSoftwareRequest, SectionStatus, SplitAssetRequest,
};
use holdpoint_common::refusal::Reason;
use holdpoint_common::row::SectionKind;
use holdpoint_common::section::Digest;
use tokio_stream::StreamExt;
use tonic::{Code, Status};

use crate::server::Peer;
use crate::zone::world::{Agent, World, from, section, software};

const SOFTWARE: SectionKind = SectionKind::Software;

async fn reported(world: &World, id: &str, rows: Vec<Vec<u8>>) -> Agent {
    let mut agent = world.agent(id).await;
    agent.runs("Debian", "13");
    agent.has_software(rows);
    agent.reports(world, &[]).await.unwrap();
    agent
}

fn reason<T>(refused: Result<T, Status>) -> Option<Reason> {
    Reason::of(&refused.err()?)
}

#[tokio::test]
async fn assets_come_in_pages_sorted_by_id() {
    let world = World::new();
    let viewer = world.operator("vi", &["viewer"]).await;
    for id in ["c", "a", "d", "b"] {
        world.agent(id).await;
    }
    let list = |limit, after: &str| {
        let request = ListAssetsRequest { limit, after: after.into(), with_retired: false };
        world.inventory.list_assets(from(&viewer, request))
    };
    let first = list(3, "").await.unwrap().into_inner();
    assert_eq!(first.assets.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(first.next_after.as_deref(), Some("c"));
    assert_eq!(first.assets[0].freshness, "never");
    let rest = list(3, "c").await.unwrap().into_inner();
    assert_eq!((rest.assets[0].id.as_str(), rest.next_after), ("d", None));
    assert_eq!(list(4, "").await.unwrap().into_inner().next_after, None, "a full last page has no next one");
}

#[tokio::test]
async fn an_asset_is_shown_by_id_or_name_with_its_rows() {
    let world = World::new();
    let viewer = world.operator("vi", &["viewer"]).await;
    let agent = reported(&world, "hmi", vec![software("curl", "8")]).await;
    let engineer = world.operator("en", &["engineer"]).await;
    let request = RenameAssetRequest { id: "hmi".into(), name: "Mixer 3".into() };
    world.inventory.rename_asset(from(&engineer, request)).await.unwrap();

    let get = |id: &str| world.inventory.get_asset(from(&viewer, GetAssetRequest { id: id.into() }));
    let shown = get("Mixer 3").await.unwrap().into_inner();
    let asset = shown.asset.unwrap();
    assert_eq!((asset.id.as_str(), asset.os.as_deref(), asset.software_count), ("hmi", Some("Debian"), 1));
    assert_eq!(asset.freshness, "fresh");
    let rows = shown.sections.iter().find(|it| it.kind == i32::from(SOFTWARE)).unwrap();
    assert_eq!(rows.rows, agent.sections[&SOFTWARE].rows.as_slice());
    assert_eq!(get("nobody").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn viewers_read_and_engineers_change_and_nobody_else_does_either() {
    let world = World::new();
    let agent = reported(&world, "hmi", Vec::new()).await;
    let viewer = world.operator("vi", &["viewer"]).await;
    let admin = world.operator("ad", &["admin"]).await;
    let list = |peer: &Peer| world.inventory.list_assets(from(peer, ListAssetsRequest::default()));
    let retire = |peer: &Peer| {
        let request = RetireAssetRequest { id: "hmi".into(), reason: "scrapped".into() };
        world.inventory.retire_asset(from(peer, request))
    };
    assert!(list(&viewer).await.is_ok());
    assert!(list(&admin).await.is_ok());
    assert_eq!(reason(list(&agent.peer).await), Some(Reason::Role));
    assert_eq!(reason(list(&Peer::NoCertificate).await), Some(Reason::NoCertificate));
    assert_eq!(reason(retire(&viewer).await), Some(Reason::Role));
    assert_eq!(reason(retire(&admin).await), Some(Reason::Role));
    assert!(retire(&Peer::Local).await.is_ok(), "the collector's own account may");
}

#[tokio::test]
async fn software_is_found_by_part_and_by_pattern_page_by_page() {
    let world = World::new();
    let viewer = world.operator("vi", &["viewer"]).await;
    let rows = || vec![software("libssl3", "3.0"), software("openssl", "3.0"), software("vim", "9")];
    reported(&world, "a", rows()).await;
    reported(&world, "b", rows()).await;
    reported(&world, "c", vec![software("OpenSSL", "1.1")]).await;
    let find = |query: &str, limit, after: &str| {
        let request = SearchSoftwareRequest { query: query.into(), limit, after: after.into() };
        world.inventory.search_software(from(&viewer, request))
    };
    let told = |found: &[holdpoint_common::proto::v1::InstalledSoftware]| {
        found.iter().map(|it| format!("{} {}", it.asset, it.name)).collect::<Vec<_>>()
    };
    let all = find("SSL", 0, "").await.unwrap().into_inner();
    assert_eq!(told(&all.found), ["a libssl3", "a openssl", "b libssl3", "b openssl", "c OpenSSL"]);
    let anchored = find("open*", 0, "").await.unwrap().into_inner();
    assert_eq!(told(&anchored.found), ["a openssl", "b openssl", "c OpenSSL"]);

    let (mut after, mut paged) = (String::new(), Vec::new());
    loop {
        let page = find("ssl", 2, &after).await.unwrap().into_inner();
        paged.extend(told(&page.found));
        let Some(next) = page.next_after else { break };
        after = next;
    }
    assert_eq!(paged, told(&all.found));
    assert_eq!(find(" ", 0, "").await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_comparison_names_differences_and_what_proves_nothing() {
    let world = World::new();
    let viewer = world.operator("vi", &["viewer"]).await;
    reported(&world, "bench", vec![software("nginx", "1.2"), software("zlib", "1")]).await;
    let mut other = world.agent("line").await;
    other.runs("Debian", "12");
    other.has_software(vec![software("nginx", "1.1"), software("zlib", "1")]);
    let mut partial = section(SectionKind::Services, Vec::new());
    partial.status = SectionStatus::Partial;
    other.sections.insert(SectionKind::Services, partial);
    other.reports(&world, &[]).await.unwrap();

    let request = CompareAssetsRequest { left: "bench".into(), right: "line".into() };
    let compared = world.inventory.compare_assets(from(&viewer, request)).await.unwrap().into_inner();
    let told: Vec<_> = compared
        .differences
        .iter()
        .map(|it| (it.item.as_str(), it.left.as_deref().unwrap(), it.right.as_deref().unwrap()))
        .collect();
    assert_eq!(told, [("os_version", "13", "12"), ("nginx amd64", "1.2", "1.1")]);
    assert_eq!(compared.incomplete, ["services"]);
}

#[tokio::test]
async fn a_retired_asset_is_refused_with_advice_and_stays_on_record() {
    let world = World::new();
    let engineer = world.operator("en", &["engineer"]).await;
    let mut agent = reported(&world, "hmi", vec![software("curl", "8")]).await;
    let request = RetireAssetRequest { id: "hmi".into(), reason: "scrapped".into() };
    let asset = world.inventory.retire_asset(from(&engineer, request)).await.unwrap().into_inner();
    assert!(asset.retired);
    for refused in [agent.calls(&world).await.unwrap_err(), agent.reports(&world, &[]).await.unwrap_err()] {
        assert_eq!(Reason::of(&refused), Some(Reason::Retired));
        assert!(refused.message().contains("token create --for hmi"), "{}", refused.message());
    }
    let list = |with_retired| ListAssetsRequest { with_retired, ..ListAssetsRequest::default() };
    let shown = world.inventory.list_assets(from(&engineer, list(false))).await.unwrap().into_inner();
    assert!(shown.assets.is_empty());
    let shown = world.inventory.list_assets(from(&engineer, list(true))).await.unwrap().into_inner();
    assert_eq!((shown.assets.len(), world.rows("hmi", SOFTWARE).len()), (1, 1));
    assert!(world.record("hmi").certificates.iter().all(|it| it.revoked_ms.is_some()));
}

async fn copied(world: &World) -> (Agent, Agent, String) {
    let agent = reported(world, "hmi", vec![software("curl", "8")]).await;
    let mut copy = agent.clone();
    copy.machine = Digest::of(b"new board");
    copy.boot_id = "boot-2".into();
    assert_eq!(reason(copy.calls(world).await), Some(Reason::Duplicate));
    let id = format!("hmi.copy-{}", &copy.machine.to_string()[..8]);
    (agent, copy, id)
}

#[tokio::test]
async fn a_merged_copy_is_the_asset_from_then_on() {
    let world = World::new();
    let engineer = world.operator("en", &["engineer"]).await;
    let (old, new, copy) = copied(&world).await;
    let request = MergeAssetsRequest { copy: copy.clone(), into: "hmi".into() };
    world.inventory.merge_assets(from(&engineer, request)).await.unwrap();
    assert!(world.alarms("hmi").is_empty() && world.alarms(&copy).is_empty());
    assert!(new.calls(&world).await.unwrap().wanted.is_empty(), "its history is kept");
    assert_eq!(reason(old.calls(&world).await), Some(Reason::Duplicate), "now the old machine is the copy");
}

#[tokio::test]
async fn a_split_copy_is_told_to_enrol_as_itself() {
    let world = World::new();
    let engineer = world.operator("en", &["engineer"]).await;
    let (original, new, copy) = copied(&world).await;
    let split = |name: &str| {
        let request = SplitAssetRequest { copy: copy.clone(), name: name.into() };
        world.inventory.split_asset(from(&engineer, request))
    };
    assert_eq!(split("hmi").await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(split("No Name").await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(split("hmi-2").await.unwrap().into_inner().id, "hmi-2");
    assert!(world.alarms("hmi").is_empty());
    let refused = new.calls(&world).await.unwrap_err();
    assert!(refused.message().contains("token create --for hmi-2"), "{}", refused.message());
    assert!(world.alarms("hmi").is_empty(), "what is decided is not alarmed again");
    original.calls(&world).await.unwrap();
    assert_eq!(split("hmi-3").await.unwrap_err().code(), Code::FailedPrecondition, "it is decided");
}

#[tokio::test]
async fn every_act_is_in_the_audit_log_and_the_log_verifies() {
    let world = World::new();
    let engineer = world.operator("en", &["engineer"]).await;
    reported(&world, "hmi", Vec::new()).await;
    for name in ["one", "two"] {
        let request = RenameAssetRequest { id: "hmi".into(), name: name.into() };
        world.inventory.rename_asset(from(&engineer, request)).await.unwrap();
    }
    let world = world.restarted().await;
    let request = RetireAssetRequest { id: "hmi".into(), reason: "scrapped".into() };
    world.inventory.retire_asset(from(&engineer, request)).await.unwrap();
    let verified = world.zone.audit().verify().unwrap();
    assert_eq!((verified.entries, verified.faults.as_slice()), (3, &[][..]));
}

async fn rescan(world: &World, peer: &Peer, assets: &[&str], wait_s: u32) -> Vec<RescanAnswer> {
    let request = RescanRequest { assets: assets.iter().map(|&it| it.to_owned()).collect(), wait_s };
    let stream = world.inventory.rescan(from(peer, request)).await.unwrap().into_inner();
    stream.map(Result::unwrap).collect().await
}

#[tokio::test]
async fn a_rescan_streams_the_answer_as_soon_as_it_is_on_disk() {
    let world = World::new();
    let engineer = world.operator("en", &["engineer"]).await;
    let mut agent = reported(&world, "hmi", Vec::new()).await;
    let mut request = agent.check_in();
    request.max_hold_s = 60;
    let (answers, ()) = tokio::join!(rescan(&world, &engineer, &["hmi"], 30), async {
        let asked = world.intake.check_in_from(&agent.peer, request).await.unwrap();
        let nonces: Vec<_> = asked.challenges.into_iter().map(|it| it.nonce).collect();
        world.clock.advance(1_500);
        agent.reports(&world, &nonces).await.unwrap();
    });
    let answer = &answers[0];
    assert!(answer.answered && answer.reason.is_none());
    assert_eq!(
        (answer.sequence, answer.took_ms, answer.boot_id.as_deref()),
        (Some(2), Some(1_500), Some("boot-1"))
    );
}

#[tokio::test]
async fn a_rescan_without_an_answer_says_why() {
    let world = World::new();
    let engineer = world.operator("en", &["engineer"]).await;
    reported(&world, "quiet", Vec::new()).await;
    world.agent("never").await;
    reported(&world, "gone", Vec::new()).await;
    let request = RetireAssetRequest { id: "gone".into(), reason: "scrapped".into() };
    world.inventory.retire_asset(from(&engineer, request)).await.unwrap();
    let mut answers = rescan(&world, &engineer, &["quiet", "never", "gone", "quiet"], 0).await;
    answers.sort_by(|a, b| a.asset.cmp(&b.asset));
    let told: Vec<_> = answers.iter().map(|it| (it.asset.as_str(), it.reason.as_deref().unwrap())).collect();
    assert_eq!(told, [("gone", "retired"), ("never", "silent"), ("quiet", "waiting")]);

    let agent = reported(&world, "busy", Vec::new()).await;
    let ((), answers) = tokio::join!(
        async {
            let mut request = agent.check_in();
            request.max_hold_s = 60;
            let asked = world.intake.check_in_from(&agent.peer, request).await.unwrap();
            let nonce = asked.challenges[0].nonce.clone();
            let mut request = agent.check_in();
            request.declined = vec![Declined { nonce, reason: "quiet-hours".into(), until_ms: None }];
            world.intake.check_in_from(&agent.peer, request).await.unwrap();
        },
        rescan(&world, &engineer, &["busy"], 600)
    );
    assert_eq!(answers[0].reason.as_deref(), Some("quiet-hours"));
}

#[tokio::test]
async fn events_are_listed_newest_first_for_one_asset_or_all() {
    let world = World::new();
    let viewer = world.operator("vi", &["viewer"]).await;
    reported(&world, "a", Vec::new()).await;
    reported(&world, "b", Vec::new()).await;
    let list = |asset: &str| {
        let request = ListEventsRequest { asset: asset.into(), limit: 0 };
        world.inventory.list_events(from(&viewer, request))
    };
    let one = list("a").await.unwrap().into_inner().events;
    assert!(one.iter().all(|it| it.asset == "a") && one.iter().any(|it| it.kind == "first-report"));
    let all = list("").await.unwrap().into_inner().events;
    assert!(all.len() > one.len() && all[0].asset == "b");
}
