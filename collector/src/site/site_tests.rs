//! A whole site but for its ports: objects in trays, a store, and what operators are answered.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use holdpoint_common::bundle::Class;
use holdpoint_common::bundle::resend;
use holdpoint_common::clock::SetClock;
use holdpoint_proto::v1 as pb;
use holdpoint_proto::v1::fleet_server::Fleet as _;
use holdpoint_proto::v1::site_admin_server::SiteAdmin as _;
use tempfile::TempDir;
use tonic::{Code, Request};

use super::config::Config;
use super::daemon::{self, Opened};
use super::plant::Plant;
use super::service::{Caller, SiteService};
use super::trays::{INBOX, round};
use crate::carrier::tray::{Emptier, Filler, Limits};

const START: i64 = 1_795_000_000_000;
const MINUTE: i64 = 60_000;

struct Site {
    dir: TempDir,
    clock: Arc<SetClock>,
    opened: Option<Opened>,
}

fn by<T>(caller: Caller, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(caller);
    request
}

fn local<T>(message: T) -> Request<T> {
    by(Caller::Local, message)
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        daemon::init(dir.path(), &Config::new(&"plant".parse().unwrap())).unwrap();
        let mut site = Self { dir, clock: Arc::new(SetClock::new(START)), opened: None };
        site.restart();
        site
    }

    fn restart(&mut self) {
        // Dropped first: one process owns the store.
        drop(self.opened.take());
        self.opened = Some(daemon::open(self.dir.path(), self.clock.clone()).unwrap());
    }

    fn service(&self) -> &SiteService {
        &self.opened.as_ref().unwrap().service
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    async fn trust(&self, plant: &Plant) -> pb::SiteTrustResponse {
        let request = pb::SiteTrustRequest {
            site: plant.zone.site.to_string(),
            zone: plant.zone.zone.to_string(),
            algorithm: plant.root().algorithm().cose(),
            root: plant.root().as_bytes().to_vec(),
            statement: plant.enrolment(),
        };
        self.service().trust(local(request)).await.unwrap().into_inner()
    }

    /// Puts objects into a tray.
    fn put(&self, tray: &str, objects: &[Vec<u8>]) {
        let mut filler = Filler::open(&self.path().join(INBOX).join(tray), Limits::default()).unwrap();
        for object in objects {
            filler.put(object).unwrap();
        }
    }

    /// Empties the trays.
    async fn empty(&self) -> usize {
        let (inbox, keeper) = (self.path().join(INBOX), Arc::clone(&self.opened.as_ref().unwrap().keeper));
        let work = move || {
            let (mut sum, stop) = (0, AtomicBool::new(false));
            loop {
                match round(&inbox, &keeper, &stop).unwrap() {
                    0 => return sum,
                    taken => sum += taken,
                }
            }
        };
        tokio::task::spawn_blocking(work).await.unwrap()
    }

    async fn take(&self, objects: &[Vec<u8>]) {
        self.put("relay", objects);
        self.empty().await;
    }

    async fn look(&self) {
        let keeper = Arc::clone(&self.opened.as_ref().unwrap().keeper);
        tokio::task::spawn_blocking(move || keeper.look().unwrap()).await.unwrap();
    }

    async fn zones(&self) -> pb::FleetZonesResponse {
        self.service().zones(local(pb::FleetZonesRequest {})).await.unwrap().into_inner()
    }

    async fn zone(&self, zone: &str) -> pb::FleetZone {
        let request = pb::FleetZoneRequest { zone: zone.to_owned() };
        self.service().zone(local(request)).await.unwrap().into_inner()
    }

    async fn asset(&self, zone: &str, asset: &str) -> Result<pb::FleetAssetResponse, tonic::Status> {
        let request = pb::FleetAssetRequest { zone: zone.to_owned(), asset: asset.to_owned() };
        self.service().asset(local(request)).await.map(tonic::Response::into_inner)
    }

    fn lying(&self, folder: &str) -> usize {
        Emptier::new(&self.path().join(folder)).places().unwrap().len()
    }
}

fn counter(zone: &pb::FleetZone, word: &str) -> u64 {
    zone.counters.iter().find(|it| it.word == word).unwrap().count
}

fn alarms(zone: &pb::FleetZone) -> Vec<&str> {
    zone.alarms.iter().map(|it| it.kind.as_str()).collect()
}

fn gaps(zone: &pb::FleetZone) -> Vec<(u64, u64, &str)> {
    zone.gaps.iter().map(|it| (it.from, it.to, it.state.as_str())).collect()
}

#[tokio::test]
async fn what_a_zone_says_is_answered_and_comes_back_after_a_restart() {
    let (mut site, mut plant) = (Site::new(), Plant::new("line-1", 1));
    site.trust(&plant).await;
    let records =
        vec![plant.policy("full"), plant.asset("hmi-01", "fresh", 2), plant.change("CHG-1", "authorised")];
    let findings = plant.findings("hmi-01", &[("ADV-1/CVE-1", "AFFECTED"), ("ADV-2/CVE-2", "UNKNOWN")]);
    let first = plant.delta(records);
    let second = plant.delta(vec![findings]);
    // The same from several carriers.
    site.put("relay", &[first.clone(), second.clone()]);
    site.put("diode", &[second, first, plant.beacon()]);
    assert_eq!(site.empty().await, 5);

    for _ in 0..2 {
        let zone = site.zone("line-1").await;
        assert_eq!((zone.last_sequence, zone.age_s, zone.assets, zone.changes), (Some(2), Some(0), 1, 1));
        assert_eq!((counter(&zone, "taken"), counter(&zone, "duplicates")), (5, 2));
        assert!(zone.converged_since_ms.is_some() && zone.uncertain_since_ms.is_none());
        assert_eq!((zone.policy.as_str(), zone.clock_source.as_str()), ("full", "unsynchronised"));
        let asset = site.asset("line-1", "hmi-01-host").await.unwrap();
        assert_eq!(asset.asset.unwrap().freshness, "fresh");
        assert_eq!((asset.findings.len(), asset.history.len()), (2, 1));
        let status = pb::FleetStatusRequest { verdict: Some("affected".into()), ..Default::default() };
        let status = site.service().status(local(status)).await.unwrap().into_inner();
        assert_eq!(status.findings.iter().map(|it| it.subject.as_str()).collect::<Vec<_>>(), ["ADV-1/CVE-1"]);
        assert!(status.counts.is_empty(), "a zone that names all its findings counts none");
        let changes = site.service().changes(local(pb::FleetChangesRequest::default())).await.unwrap();
        assert_eq!(changes.into_inner().changes[0].state, "authorised");
        site.restart();
    }
    assert_eq!(
        site.service().zone(local(pb::FleetZoneRequest { zone: "x".into() })).await.unwrap_err().code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn a_hole_opens_and_heals_late_or_by_a_cycle_also_over_a_restart() {
    let (mut site, mut plant) = (Site::new(), Plant::new("line-1", 1));
    site.trust(&plant).await;
    let asset = plant.asset("hmi-01", "fresh", 0);
    let one = plant.delta(vec![asset]);
    let asset = plant.asset("hmi-02", "fresh", 0);
    let (two, three) = (plant.delta(vec![asset]), plant.delta(vec![]));
    site.take(&[one, three]).await;
    let zone = site.zone("line-1").await;
    assert_eq!(gaps(&zone), [(2, 2, "open")]);
    let code = zone.gaps[0].resend.parse::<resend::Code>().unwrap();
    assert_eq!((code.from(), code.to()), (2, 2), "what a person would type at the collector");
    assert_eq!(zone.covered_by_ms, Some(START + 3_600_000));
    assert_eq!(zone.uncertain_since_ms, Some(START));
    site.restart();
    site.clock.advance(MINUTE);
    site.take(&[two]).await;
    assert_eq!(gaps(&site.zone("line-1").await), [(2, 2, "healed")]);

    // The second is lost for good, and a cycle says what it said.
    let asset = plant.asset("hmi-03", "fresh", 0);
    plant.delta(vec![asset]);
    let cycle = plant.cycle();
    site.take(&cycle[..2]).await;
    site.restart();
    assert_eq!(gaps(&site.zone("line-1").await), [(2, 2, "healed"), (4, 4, "open")]);
    site.take(&cycle[2..]).await;
    site.take(&[plant.beacon()]).await;
    let zone = site.zone("line-1").await;
    assert_eq!(gaps(&zone), [(2, 2, "healed"), (4, 4, "healed")]);
    assert_eq!(zone.gaps[1].how, "superseded");
    assert_eq!(zone.assets, 3);
}

#[tokio::test]
async fn a_fork_freezes_the_zone_keeps_both_objects_and_raises_an_alarm_that_can_be_acknowledged() {
    let (mut site, mut plant) = (Site::new(), Plant::new("line-1", 1));
    site.trust(&plant).await;
    let asset = plant.asset("hmi-01", "fresh", 0);
    let one = plant.delta(vec![asset]);
    let mut thief = plant.copy();
    let other = {
        let asset = thief.asset("hmi-01", "fresh", 99);
        thief.delta(vec![asset])
    };
    let asset = plant.asset("hmi-02", "fresh", 0);
    let two = plant.delta(vec![asset]);
    site.take(&[one, two.clone(), other.clone()]).await;
    let asset = plant.asset("hmi-02", "stale", 0);
    let three = plant.delta(vec![asset]);
    site.take(&[three]).await;
    site.restart();
    let zone = site.zone("line-1").await;
    assert_eq!((counter(&zone, "forks"), counter(&zone, "frozen")), (1, 1));
    assert_eq!(alarms(&zone), ["fork"]);
    assert!(zone.frozen_since_ms.is_some());
    assert_eq!(site.asset("line-1", "hmi-02").await.unwrap().asset.unwrap().freshness, "fresh");
    let keeper = &site.opened.as_ref().unwrap().keeper;
    let originals = super::fleet::originals(keeper.store(), "line-1").unwrap();
    let kept: Vec<_> = originals.iter().filter(|it| it.sequence == 2).map(|it| it.object.clone()).collect();
    assert!(kept.contains(&two) && kept.contains(&other), "both sides of the fork");

    let request =
        |kind: &str| pb::FleetAcknowledgeRequest { zone: "line-1".into(), kind: kind.into(), sequence: None };
    let seen = site.service().acknowledge(local(request("fork"))).await.unwrap().into_inner();
    assert_eq!(seen.alarms[0].acknowledged_by.as_deref(), Some("local"));
    assert_eq!(site.service().acknowledge(local(request("jump"))).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(
        site.service().acknowledge(local(request("x"))).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    site.restart();
    assert!(site.zone("line-1").await.alarms[0].acknowledged_ms.is_some());
}

#[tokio::test]
async fn old_bundles_that_are_repeated_change_nothing() {
    let (mut site, mut plant) = (Site::new(), Plant::new("line-1", 1));
    site.trust(&plant).await;
    let asset = plant.asset("hmi-01", "fresh", 0);
    let old = vec![plant.delta(vec![asset])];
    site.take(&old).await;
    plant.before = Some(holdpoint_common::bundle::Before { epoch: plant.epoch.into(), sequence: plant.head });
    (plant.epoch, plant.head) = ([77; 16], 0);
    let asset = plant.asset("hmi-01", "stale", 0);
    let new = [plant.delta(vec![asset])];
    site.take(&new).await;
    site.restart();
    site.take(&old).await;
    let zone = site.zone("line-1").await;
    assert_eq!(counter(&zone, "ended"), 1);
    assert_eq!(alarms(&zone), ["replay"]);
    assert_eq!(zone.past.len(), 1);
    assert_eq!(site.asset("line-1", "hmi-01").await.unwrap().asset.unwrap().freshness, "stale");
}

#[tokio::test]
async fn what_is_signed_by_an_unknown_key_waits_in_quarantine_until_its_zone_is_trusted() {
    let (mut site, mut plant) = (Site::new(), Plant::new("line-2", 2));
    let asset = plant.asset("hmi-01", "fresh", 0);
    let objects = [plant.delta(vec![asset]), plant.beacon()];
    site.take(&objects).await;
    let zones = site.zones().await;
    assert_eq!((zones.zones.len(), zones.quarantined), (0, 2));
    assert_eq!(zones.alarms.iter().map(|it| it.kind.as_str()).collect::<Vec<_>>(), ["unverified"]);
    site.restart();
    assert_eq!(site.trust(&plant).await.released, 2);
    assert_eq!((site.zone("line-2").await.assets, site.lying("quarantine")), (1, 0));
    assert!(site.trust(&plant).await.known);
    site.restart();
    assert_eq!(site.zone("line-2").await.assets, 1);
}

#[tokio::test]
async fn keys_follow_each_other_and_a_revoked_one_is_believed_no_more() {
    let (mut site, mut plant) = (Site::new(), Plant::new("line-1", 1));
    site.trust(&plant).await;
    let asset = plant.asset("hmi-01", "fresh", 0);
    site.take(&[plant.delta(vec![asset])]).await;
    // The second key signs before anybody here has heard of it.
    let statement = plant.statement(1, 2, 11, 10);
    (plant.key, plant.key_epoch) = (11, 2);
    let asset = plant.asset("hmi-02", "fresh", 0);
    site.take(&[plant.delta(vec![asset])]).await;
    assert_eq!((site.zone("line-1").await.assets, site.lying("quarantine")), (1, 1));
    site.take(&[statement]).await;
    let zone = site.zone("line-1").await;
    assert_eq!((zone.assets, zone.keys.len(), site.lying("quarantine")), (2, 2, 0));
    site.restart();

    let key = zone.keys[1].id.clone();
    let revoked = site.service().revoke(local(pb::SiteRevokeRequest { key })).await.unwrap().into_inner();
    assert_eq!(revoked.zone, "line-1");
    site.restart();
    let asset = plant.asset("hmi-03", "fresh", 0);
    site.take(&[plant.delta(vec![asset])]).await;
    assert_eq!((site.zone("line-1").await.assets, site.lying("quarantine")), (2, 1));
    let zones = site.zones().await;
    assert_eq!(zones.alarms.len(), 1);
}

#[tokio::test]
async fn a_silent_zone_keeps_its_facts_and_only_ages() {
    let (mut site, mut plant) = (Site::new(), Plant::new("line-1", 1));
    site.trust(&plant).await;
    let asset = plant.asset("hmi-01", "fresh", 1);
    site.take(&[plant.delta(vec![asset]), plant.beacon()]).await;
    site.clock.advance(24 * 60 * MINUTE);
    site.look().await;
    site.restart();
    let zone = site.zone("line-1").await;
    assert_eq!((zone.assets, zone.age_s), (1, Some(86_400)));
    assert_eq!(alarms(&zone), ["silent"]);
    assert_eq!((zone.silent_since_ms, zone.uncertain_since_ms), (Some(START), Some(START)));
    site.take(&[plant.beacon()]).await;
    assert!(alarms(&site.zone("line-1").await).is_empty());
}

#[tokio::test]
async fn history_tells_when_verdicts_changed_and_when_a_thing_went() {
    let (mut site, mut plant) = (Site::new(), Plant::new("line-1", 1));
    site.trust(&plant).await;
    for affected in [2, 2, 0] {
        let (asset, change) = (plant.asset("hmi-01", "fresh", affected), plant.change("CHG-1", "draft"));
        site.take(&[plant.delta(vec![asset, change])]).await;
        site.clock.advance(MINUTE);
    }
    site.restart();
    let gone = plant.set(Class::Asset, "hmi-01", None);
    site.take(&[plant.delta(vec![gone])]).await;
    let asset = site.asset("line-1", "hmi-01").await.unwrap();
    assert!(asset.asset.unwrap().gone);
    let moments: Vec<_> = asset.history.iter().map(|it| (it.at_ms - START, it.gone)).collect();
    assert_eq!(moments, [(3 * MINUTE, true), (2 * MINUTE, false), (0, false)]);
    let changes =
        site.service().changes(local(pb::FleetChangesRequest::default())).await.unwrap().into_inner();
    assert_eq!(changes.changes[0].history.len(), 1);
    assert_eq!(site.asset("line-1", "never").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_zone_that_only_counts_answers_with_counts() {
    let (site, mut plant) = (Site::new(), Plant::new("line-1", 1));
    site.trust(&plant).await;
    let policy = plant.policy("counts");
    site.take(&[plant.delta(vec![policy])]).await;
    let status = site.service().status(local(pb::FleetStatusRequest::default())).await.unwrap().into_inner();
    assert!(status.findings.is_empty());
    assert_eq!((status.counts[0].policy.as_str(), status.counts[0].verdicts[0].count), ("counts", 7));
}

#[tokio::test]
async fn an_incarnation_that_does_not_follow_waits_for_a_person() {
    let (mut site, mut plant) = (Site::new(), Plant::new("line-1", 1));
    site.trust(&plant).await;
    let asset = plant.asset("hmi-01", "fresh", 0);
    site.take(&[plant.delta(vec![asset])]).await;
    (plant.epoch, plant.head) = ([0xab; 16], 0);
    let asset = plant.asset("hmi-02", "fresh", 0);
    site.take(&[plant.delta(vec![asset])]).await;
    let zone = site.zone("line-1").await;
    assert_eq!((zone.assets, zone.strangers.len()), (1, 1));
    let admit = |epoch: &str| local(pb::SiteAdmitRequest { zone: "line-1".into(), epoch: epoch.into() });
    assert_eq!(site.service().admit(admit("cdcdcdcd")).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(site.service().admit(admit("ab")).await.unwrap_err().code(), Code::InvalidArgument);
    site.service().admit(admit("abababab")).await.unwrap();
    site.restart();
    site.take(&plant.cycle()).await;
    let zone = site.zone("line-1").await;
    assert_eq!((zone.assets, zone.past.len(), zone.strangers.len()), (2, 1, 0));
}

#[tokio::test]
async fn an_operator_asks_and_acknowledges_and_does_nothing_else() {
    let (site, plant) = (Site::new(), Plant::new("line-1", 1));
    site.trust(&plant).await;
    let fingerprint = holdpoint_common::section::Digest::of(b"certificate");
    let anna = |not_after_ms| Caller::Operator { name: "anna".parse().unwrap(), fingerprint, not_after_ms };
    let zones = |caller| by(caller, pb::FleetZonesRequest {});
    let service = site.service();
    assert!(service.zones(zones(anna(START + 1))).await.is_ok());
    assert_eq!(
        service.zones(Request::new(pb::FleetZonesRequest {})).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    assert_eq!(service.zones(zones(anna(START - 1))).await.unwrap_err().code(), Code::Unauthenticated);
    let revoke = by(anna(START + 1), pb::SiteRevokeRequest { key: "0".repeat(64) });
    assert_eq!(service.revoke(revoke).await.unwrap_err().code(), Code::PermissionDenied);
    let take = by(anna(START + 1), pb::SiteTakeRequest::default());
    assert_eq!(service.take(take).await.unwrap_err().code(), Code::PermissionDenied);
    fs::write(site.path().join("revoked"), format!("{fingerprint} lost\n")).unwrap();
    assert_eq!(service.zones(zones(anna(START + 1))).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn an_export_is_signed_and_holds_what_the_digest_of_the_zone_is_made_of() {
    let (site, mut plant) = (Site::new(), Plant::new("line-1", 1));
    site.trust(&plant).await;
    let records = vec![plant.policy("full"), plant.asset("hmi-01", "fresh", 2)];
    site.take(&[plant.delta(records), plant.evidence("change/CHG-1/1/1")]).await;
    let export = pb::FleetExportRequest { zone: "line-1".into() };
    let envelope = site.service().export(local(export)).await.unwrap().into_inner().envelope;
    let public = fs::read_to_string(site.path().join("site.pub")).unwrap();
    let public = data_encoding::HEXLOWER.decode(public.trim().as_bytes()).unwrap();
    let statement = super::seal::open(&envelope, &public).unwrap();
    let mut state = holdpoint_common::bundle::State::default();
    let records = statement["predicate"]["records"].as_array().unwrap();
    assert_eq!(records.len(), 3);
    for record in records.iter().filter(|it| it["evidence"] == false) {
        let class = Class::ALL.into_iter().find(|it| it.to_string() == record["class"].as_str().unwrap());
        state.apply(&holdpoint_common::bundle::Record {
            key: holdpoint_common::bundle::Key::new(class.unwrap(), record["name"].as_str().unwrap())
                .unwrap(),
            revision: record["revision"].as_u64().unwrap().try_into().unwrap(),
            content: Some(
                data_encoding::BASE64.decode(record["content"].as_str().unwrap().as_bytes()).unwrap(),
            ),
        });
    }
    assert_eq!(statement["subject"][0]["digest"]["sha256"], state.digest().to_string());
    assert_eq!(statement["subject"][0]["name"], "plant/line-1");
}

#[tokio::test]
async fn a_full_disk_stops_taking_and_loses_nothing() {
    let (mut site, mut plant) = (Site::new(), Plant::new("line-1", 1));
    site.trust(&plant).await;
    let asset = plant.asset("hmi-01", "fresh", 0);
    let unknown = Plant::new("line-2", 2).beacon();
    site.put("relay", &[plant.delta(vec![asset]), unknown]);
    // No disk has so much room.
    let mut config = Config::read(site.path()).unwrap();
    let low_watermark_mib = std::mem::replace(&mut config.store.low_watermark_mib, 1 << 40);
    config.write(site.path()).unwrap();
    site.restart();
    let (inbox, keeper) = (site.path().join(INBOX), Arc::clone(&site.opened.as_ref().unwrap().keeper));
    // Told to stop, it does not wait for the disk for ever.
    let stopped = move || round(&inbox, &keeper, &AtomicBool::new(true)).unwrap();
    assert_eq!(tokio::task::spawn_blocking(stopped).await.unwrap(), 0);
    assert_eq!(site.lying("inbox/relay"), 2, "it waits in its tray");
    assert!(site.zones().await.stopped.unwrap().contains("cannot be written"));

    config.store.low_watermark_mib = low_watermark_mib;
    config.write(site.path()).unwrap();
    site.restart();
    assert_eq!(site.empty().await, 2);
    let zone = site.zone("line-1").await;
    assert_eq!((zone.assets, counter(&zone, "taken"), counter(&zone, "duplicates")), (1, 1, 0));
    assert_eq!((site.lying("inbox/relay"), site.zones().await.stopped), (0, None));
}

/// Ends a process between two of its steps, as `kill -9` does, again and again.
#[tokio::test]
async fn whenever_the_process_ends_what_it_took_is_taken_again_and_never_otherwise() {
    let mut plant = Plant::new("line-1", 1);
    let mut objects = Vec::new();
    for number in 0..12_u64 {
        let asset = plant.asset(&format!("hmi-{}", number % 5), "fresh", number);
        objects.push(plant.delta(vec![asset]));
        objects.push(plant.beacon());
    }
    objects.extend(plant.cycle());
    // One that is lost, and two that come the other way round.
    objects.remove(6);
    objects.swap(10, 14);

    let (calm, mut killed) = (Site::new(), Site::new());
    for site in [&calm, &killed] {
        site.trust(&plant).await;
    }
    for (number, object) in objects.iter().enumerate() {
        calm.clock.advance(1_000);
        killed.clock.advance(1_000);
        calm.take(std::slice::from_ref(object)).await;
        let keeper = Arc::clone(&killed.opened.as_ref().unwrap().keeper);
        let (object, at) = (object.clone(), number % 3);
        // Before it is durable; after that and before it is removed; not at all.
        tokio::task::spawn_blocking(move || {
            let (taken, outcome) = keeper.take(std::iter::once(object.as_slice()));
            assert!(outcome.is_ok() && taken.len() == 1);
            if at > 0 {
                keeper.flush().unwrap();
            }
        })
        .await
        .unwrap();
        if at < 2 {
            killed.restart();
            killed.take(std::slice::from_ref(&objects[number])).await;
        }
    }
    let (calm, killed) = (calm.zone("line-1").await, killed.zone("line-1").await);
    assert_eq!((calm.last_sequence, gaps(&calm)), (killed.last_sequence, gaps(&killed)));
    assert_eq!((calm.assets, calm.facts), (killed.assets, killed.facts));
    assert_eq!(calm.converged_since_ms, killed.converged_since_ms);
    assert_eq!((alarms(&calm), calm.clock_behind_ms), (alarms(&killed), killed.clock_behind_ms));
    for word in ["accepted", "late", "beacons", "forks", "ended", "strangers"] {
        assert_eq!(counter(&calm, word), counter(&killed, word), "{word}");
    }
    assert!(counter(&killed, "duplicates") + counter(&killed, "old_beacons") >= 8, "some were taken twice");
}

#[tokio::test]
async fn evidence_stays_over_a_cycle_a_restart_and_a_new_incarnation() {
    let (mut site, mut plant) = (Site::new(), Plant::new("line-1", 1));
    site.trust(&plant).await;
    let asset = plant.asset("hmi-01", "fresh", 0);
    let said = [plant.delta(vec![asset]), plant.evidence("change/CHG-1/1/1")];
    site.take(&said).await;
    site.restart();
    site.take(&plant.cycle()).await;
    assert_eq!(site.zone("line-1").await.facts, 2);
    plant.before = Some(holdpoint_common::bundle::Before { epoch: plant.epoch.into(), sequence: plant.head });
    (plant.epoch, plant.head) = ([78; 16], 0);
    site.take(&plant.cycle()).await;
    site.restart();
    let zone = site.zone("line-1").await;
    assert_eq!((zone.facts, zone.inherited, zone.past.len()), (2, 0, 1));
    assert!(zone.converged_since_ms.is_some() && zone.uncertain_since_ms.is_none());
}
