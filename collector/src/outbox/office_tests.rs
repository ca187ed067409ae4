//! The outbox of a real zone and a receiver that gets what its carriers hand on, or a part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdpoint_common::bundle::{Body, Bundle, Class, Key, Keyring, Line, open};
use holdpoint_common::proto::store::audit_entry::Detail;
use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{ChangeEntry, StageJudged, TargetVerdict};
use holdpoint_common::proto::summary as pb;
use holdpoint_common::proto::v1::import_result::Result as Outcome;
use proptest::prelude::Rng as _;
use proptest::test_runner::TestRunner;
use prost::Message;
use tempfile::TempDir;
use tokio::task::block_in_place;

use super::office::{Office, OutboxError, Settings};
use super::schedule::Rhythm;
use super::signer::Signer;
use super::spool::Limits;
use crate::audit::Act;
use crate::carrier::tray::Emptier;
use crate::change::ChangeOffice;
use crate::knowledge::{AllowedAges, Kind, default_days};
use crate::query::knowledge::{KnowledgeService, ZoneOffice};
use crate::site::{Agreement, Ruling, Terms, Zone as Receiver};
use crate::store::Txn;
use crate::summary::{Field, Level, Policy, Sources};
use crate::zone::world::World;

const INTERVAL_MS: i64 = 60_000;

pub(super) struct Sender {
    pub(super) world: World,
    pub(super) sources: Sources,
    settings: Settings,
    knowledge: KnowledgeService<ZoneOffice>,
    office: Option<Office>,
    dir: TempDir,
}

fn ages() -> AllowedAges {
    let days = |it| std::time::Duration::from_hours(u64::from(default_days(it)) * 24);
    AllowedAges {
        feeds: Kind::ALL.map(|it| (it, days(it))).into_iter().collect(),
        inventory: std::time::Duration::from_hours(7 * 24),
    }
}

impl Sender {
    fn new(policy: Policy, carriers: Vec<&'static str>) -> Self {
        Self::of(World::new(), policy, carriers, 4)
    }

    pub(super) fn of(world: World, policy: Policy, carriers: Vec<&'static str>, slices: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let zone = Arc::clone(&world.zone);
        let knowledge = crate::query::knowledge::open(&zone, ages()).unwrap();
        let (library, board) = (Arc::clone(knowledge.library()), Arc::clone(knowledge.board()));
        let changes = ChangeOffice::open(&zone, Arc::clone(&library), Arc::clone(&board)).unwrap();
        let hardening = Arc::clone(knowledge.hardening_board());
        let sources = Sources { zone, board, hardening, library, changes };
        let path = dir.path().join("outbox");
        let root = holdpoint_common::credentials::new_key().unwrap().serialize_pem();
        Signer::found(&path, world.zone.name(), &root, 1).unwrap();
        let rhythm = Rhythm { slices: NonZeroU16::new(slices).unwrap(), ..Rhythm::default() };
        let limits = Limits { cycle_ms: rhythm.cycle_ms(), ..Limits::default() };
        let settings = Settings { dir: path, policy, rhythm, limits, carriers };
        let mut sender = Self { world, sources, settings, knowledge, office: None, dir };
        sender.start();
        sender
    }

    pub(super) async fn learn(&self, file: &str, bytes: Vec<u8>) {
        let taken = self.knowledge.take_file("local".into(), file.into(), bytes).await.unwrap();
        assert!(matches!(taken.result, Some(Outcome::Taken(_))), "{taken:?}");
    }

    fn start(&mut self) {
        // Two of the same directory there never are.
        self.office = None;
        let (settings, sources) = (self.settings.clone(), self.sources.clone());
        self.office = Some(block_in_place(|| Office::open(settings, sources)).unwrap());
    }

    fn step(&mut self) -> Result<u64, OutboxError> {
        self.ask(Office::step)
    }

    pub(super) fn ask<T>(&mut self, ask: impl FnOnce(&mut Office, i64) -> T) -> T {
        let now_ms = self.world.zone.now_ms();
        let office = self.office.as_mut().unwrap();
        block_in_place(|| ask(office, now_ms))
    }

    /// Lets go of the office, for somebody else to open one of the same directory.
    pub(super) fn given_up(&mut self) -> (Settings, Sources) {
        self.office = None;
        (self.settings.clone(), self.sources.clone())
    }

    pub(super) fn interval(&mut self) {
        self.step().unwrap();
        self.world.clock.advance(INTERVAL_MS);
    }

    pub(super) fn taken(&self) -> Vec<Vec<u8>> {
        let emptier = Emptier::new(&self.settings.dir.join("relay"));
        let take = |it| {
            let object = emptier.read(&it).unwrap().unwrap();
            emptier.remove(&it).unwrap();
            object
        };
        emptier.places().unwrap().into_iter().map(take).collect()
    }

    fn receiver(&self) -> Site {
        let signer = Signer::open(&self.settings.dir, self.world.zone.name()).unwrap();
        let line = Line::found(self.world.zone.name(), signer.root(), signer.first()).unwrap();
        let mut keys = Keyring::default();
        keys.follow(&line);
        let terms = Terms { cycle_ms: self.settings.rhythm.cycle_ms(), interval_ms: None };
        Site { zone: Receiver::new(signer.stream().clone(), terms), line, keys, rulings: BTreeMap::new() }
    }
}

struct Site {
    zone: Receiver,
    line: Line,
    keys: Keyring,
    rulings: BTreeMap<String, usize>,
}

impl Site {
    fn get(&mut self, object: &[u8], now_ms: i64) -> Option<Ruling> {
        if self.line.accept(object).is_ok() {
            self.keys.follow(&self.line);
            return None;
        }
        let bundle = open(object, &self.keys).unwrap();
        let ruling = self.zone.take(bundle, now_ms);
        *self.rulings.entry(format!("{ruling:?}")).or_default() += 1;
        Some(ruling)
    }

    fn agrees(&self) -> bool {
        matches!(self.zone.agreement(), Agreement::Same { .. })
    }

    fn names(&self, class: Class) -> Vec<String> {
        let of = self.zone.facts().live().filter(|it| it.0.class() == class);
        of.map(|it| it.0.name().to_owned()).collect()
    }
}

pub(super) fn full() -> Policy {
    Policy { level: Level::Full, ..Policy::default() }
}

fn judged(change: &str) -> Act {
    let verdict =
        TargetVerdict { asset: "hmi-01".into(), verdict: "REMEDIATED".into(), ..TargetVerdict::default() };
    let what = What::Judged(StageJudged { stage: 1, verdicts: vec![verdict], ..StageJudged::default() });
    let entry = ChangeEntry { change: change.into(), revision: 9, what: Some(what) };
    Act {
        by: "local".into(),
        action: "change-judged",
        subject: change.into(),
        text: String::new(),
        detail: Some(Detail::Change(entry.encode_to_vec())),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_gets_everything_holds_what_the_zone_says() {
    let mut sender = Sender::new(full(), vec!["relay"]);
    let mut site = sender.receiver();
    for id in ["hmi-01", "hmi-02"] {
        sender.world.agent(id).await;
    }
    for round in 0..12 {
        if round == 6 {
            sender.world.agent("hmi-03").await;
        }
        sender.interval();
        for object in sender.taken() {
            site.get(&object, sender.world.zone.now_ms());
        }
        assert!(site.agrees(), "round {round}: {:?}", site.rulings);
    }
    assert_eq!(site.names(Class::Asset), ["hmi-01", "hmi-02", "hmi-03"]);
    assert_eq!(site.names(Class::Zone), ["line-1"]);
    assert_eq!(site.names(Class::Feed).len(), Kind::ALL.len());
    let key = Key::new(Class::Asset, "hmi-03").unwrap();
    let fact = site.zone.facts().find(&key).unwrap().content.clone().unwrap();
    let asset = pb::AssetSummary::decode(fact.as_slice()).unwrap();
    assert_eq!((asset.name.as_str(), asset.freshness.as_str()), ("hmi-03", "never"));
}

#[tokio::test(flavor = "multi_thread")]
async fn losses_heal_within_a_cycle_and_a_crash_contradicts_nothing() {
    let mut random = TestRunner::deterministic();
    let mut sender = Sender::new(full(), vec!["relay"]);
    let mut site = sender.receiver();
    let mut seen: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for round in 0..60 {
        if round % 7 == 0 {
            sender.world.agent(&format!("hmi-{round:02}")).await;
        }
        if round % 5 == 3 {
            sender.start();
        }
        sender.interval();
        for object in sender.taken() {
            if let Ok(Bundle { header, hash, .. }) = open(&object, &site.keys)
                && header.kind != holdpoint_common::bundle::Kind::Beacon
            {
                let known = seen.insert(header.sequence, hash.as_bytes().to_vec());
                assert!(known.is_none_or(|it| it == hash.as_bytes()), "a number twice");
            }
            if random.rng().next_u32() % 10 < 3 && round < 50 {
                continue;
            }
            site.get(&object, sender.world.zone.now_ms());
        }
    }
    assert!(site.agrees(), "{:?}", site.rulings);
    assert_eq!(site.names(Class::Asset).len(), 9);
    assert!(site.zone.forks().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_is_known_soon_and_within_a_cycle_at_the_latest() {
    const INTERVALS: i64 = 1_000;
    let mut random = TestRunner::deterministic();
    for lost_of_thousand in [10, 50] {
        let mut sender = Sender::of(World::new(), full(), vec!["relay"], 60);
        let mut site = sender.receiver();
        for number in 0..20 {
            sender.world.agent(&format!("hmi-{number:02}")).await;
        }
        // Each asset says something new every twenty intervals; by asset since when the site does not know it.
        let mut waiting: BTreeMap<String, (String, i64)> = BTreeMap::new();
        let mut delays = Vec::new();
        for interval in 0..INTERVALS {
            let (id, name) = (format!("hmi-{:02}", interval % 20), format!("of {interval}"));
            let new = name.clone();
            sender
                .world
                .zone
                .change_asset(&id, |it, _| {
                    it.name = new;
                    Ok(())
                })
                .await
                .unwrap();
            waiting.entry(id).and_modify(|it| it.0.clone_from(&name)).or_insert((name, interval));
            sender.interval();
            let now_ms = sender.world.zone.now_ms();
            for object in sender.taken() {
                if random.rng().next_u32() % 1_000 >= lost_of_thousand {
                    site.get(&object, now_ms);
                }
            }
            waiting.retain(|id, (name, since)| {
                let fact = site.zone.facts().find(&Key::new(Class::Asset, id.as_str()).unwrap());
                let content = fact.and_then(|it| it.content.as_deref()).unwrap_or_default();
                let known = pb::AssetSummary::decode(content).unwrap().name == *name;
                if known {
                    delays.push(interval - *since);
                }
                !known
            });
        }
        delays.sort_unstable();
        let (p99, most) = (delays[delays.len() * 99 / 100], delays[delays.len() - 1]);
        println!(
            "{lost_of_thousand} of 1,000 bundles lost: p99 {p99} and at most {most} intervals late, of 60 a cycle"
        );
        assert!(p99 <= 2 && most <= 60 && waiting.len() < 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_store_begins_a_new_incarnation_that_names_the_one_before() {
    let mut sender = Sender::new(full(), vec!["relay"]);
    let mut site = sender.receiver();
    sender.world.agent("hmi-01").await;
    for round in 0..10 {
        if round == 5 {
            fs::write(sender.settings.dir.join("restored"), b"").unwrap();
            sender.start();
            assert!(!sender.settings.dir.join("restored").exists());
        }
        sender.interval();
        for object in sender.taken() {
            site.get(&object, sender.world.zone.now_ms());
        }
    }
    assert!(site.agrees(), "{:?}", site.rulings);
    assert_eq!(site.zone.past().len(), 1);
    assert!(site.zone.forks().is_empty() && site.zone.strangers().0.is_empty());
}

/// Copies a folder, as a machine that is set back does.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            drop(fs::copy(entry.path(), target));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_knows_more_than_the_store_begins_a_new_incarnation() {
    let mut sender = Sender::new(full(), vec!["relay"]);
    sender.world.agent("hmi-01").await;
    let mut epochs = BTreeSet::new();
    let kept = sender.dir.path().join("witness");
    for round in 0..4 {
        sender.interval();
        epochs.insert(sender.office.as_ref().unwrap().show().epoch);
        match round {
            0 => drop(fs::copy(sender.settings.dir.join("witness"), &kept)),
            // A copy without its witness, as on another machine.
            1 => fs::remove_file(sender.settings.dir.join("witness")).unwrap(),
            // One of an earlier incarnation.
            2 => drop(fs::copy(&kept, sender.settings.dir.join("witness"))),
            _ => {}
        }
        sender.start();
    }
    assert_eq!(epochs.len(), 3, "the first, one without its witness, one with an older one");
}

#[tokio::test(flavor = "multi_thread")]
async fn months_without_a_carrier_stay_bounded_and_one_medium_tells_everything() {
    // A year of hours where somebody waits for it, half a month with every change.
    let hours = if std::env::var_os("HOLDPOINT_LONG").is_some() { 8_760 } else { 400 };
    let mut sender = Sender::new(full(), Vec::new());
    sender.settings.rhythm.interval_ms = 3_600_000;
    sender.settings.limits.cycle_ms = sender.settings.rhythm.cycle_ms();
    sender.start();
    for id in ["hmi-01", "hmi-02"] {
        sender.world.agent(id).await;
    }
    let mut most = 0;
    for hour in 0..hours {
        if hour % (hours / 8) == 0 {
            sender.world.agent(&format!("hmi-1{}", hour / (hours / 8))).await;
            sender.world.zone.commit(Txn::admin(), vec![judged("CHG-0001")]).await.unwrap();
        }
        sender.step().unwrap();
        sender.world.clock.advance(3_600_000);
        most = most.max(sender.office.as_ref().unwrap().show().waiting);
    }
    let lost = sender.office.as_ref().unwrap().show().tally.evidence.of(Class::Audit);
    println!(
        "{hours} hours: at most {most} parcels waited, {lost} pieces of evidence were dropped and declared"
    );
    assert!(most < 64, "{most} parcels waited");
    let mut site = sender.receiver();
    let now_ms = sender.world.zone.now_ms();
    let carried = sender.ask(Office::carry).unwrap();
    assert_eq!(carried.slices, (4, 4));
    for (_, file) in &carried.bundles {
        site.get(&fs::read(file).unwrap(), now_ms);
    }
    site.get(&carried.beacon, now_ms);
    assert!(site.agrees(), "{:?}", site.rulings);
    assert_eq!(site.names(Class::Asset).len(), 10);
    // A medium a cycle later is whole by itself.
    for _ in 0..4 {
        sender.step().unwrap();
        sender.world.clock.advance(3_600_000);
    }
    let mut other = sender.receiver();
    let carried = sender.ask(Office::carry).unwrap();
    for (_, file) in &carried.bundles {
        other.get(&fs::read(file).unwrap(), now_ms);
    }
    assert!(other.agrees(), "{:?}", other.rulings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_refuses_loses_nothing_and_is_gone_on_from() {
    let mut sender = Sender::new(full(), vec!["relay"]);
    let mut site = sender.receiver();
    sender.world.agent("hmi-01").await;
    sender.interval();
    let kept = sender.settings.dir.join("kept");
    fs::remove_dir_all(&kept).unwrap();
    fs::write(&kept, b"no folder").unwrap();
    sender.world.agent("hmi-02").await;
    assert!(matches!(sender.step(), Err(OutboxError::File { .. })));
    fs::remove_file(&kept).unwrap();
    sender.start();
    for _ in 0..5 {
        sender.interval();
    }
    for object in sender.taken() {
        site.get(&object, sender.world.zone.now_ms());
    }
    assert!(site.agrees(), "{:?}", site.rulings);
    assert_eq!(site.names(Class::Asset), ["hmi-01", "hmi-02"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn judgements_leave_as_evidence_once_and_again() {
    let mut sender = Sender::new(full(), vec!["relay"]);
    let mut site = sender.receiver();
    sender.interval();
    sender.world.zone.commit(Txn::admin(), vec![judged("CHG-0001")]).await.unwrap();
    let mut pieces = Vec::new();
    for round in 0..9 {
        if round == 2 {
            sender.start();
        }
        sender.interval();
        let now_ms = sender.world.zone.now_ms();
        for object in sender.taken() {
            let Ok(bundle) = open(&object, &site.keys) else { continue };
            site.get(&object, now_ms);
            let Body::Records(records) = bundle.body else { continue };
            if bundle.header.kind == holdpoint_common::bundle::Kind::Evidence {
                pieces.extend(records.into_iter().map(|it| (round, it)));
            }
        }
    }
    // Policy F, and once a cycle of four.
    assert_eq!(pieces.iter().map(|it| it.0).collect::<Vec<_>>(), [0, 1, 3, 4, 7, 8]);
    let judgement = pb::Judgement::decode(pieces[0].1.content.as_deref().unwrap()).unwrap();
    assert_eq!((judgement.change.as_str(), judgement.stage), ("CHG-0001", 1));
    assert_eq!(judgement.verdicts[0].verdict, "REMEDIATED");
    // It stays at the site beside the state, which speaks of it not at all.
    assert!(site.agrees(), "{:?}", site.rulings);
    let name = pieces[0].1.key.name().to_owned();
    assert!(site.names(Class::Audit).contains(&name));
    assert_eq!(judgement.audit_hash, sender.world.zone.store().last_audit().unwrap().unwrap().chain);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_that_the_policy_does_not_allow() {
    for (policy, shown) in [
        (Policy::default(), false),
        (Policy { level: Level::Assets, redacted: [Field::AssetName].into() }, false),
        (Policy { level: Level::Assets, ..Policy::default() }, true),
    ] {
        let mut sender = Sender::new(policy.clone(), vec!["relay"]);
        let site = sender.receiver();
        sender.world.agent("secret-hmi").await;
        sender.world.zone.commit(Txn::admin(), vec![judged("CHG-0001")]).await.unwrap();
        sender
            .world
            .zone
            .change_asset("secret-hmi", |it, _| {
                it.name = "Boiler 7".into();
                Ok(())
            })
            .await
            .unwrap();
        for _ in 0..5 {
            sender.interval();
        }
        let mut bodies = Vec::new();
        for object in sender.taken() {
            let Ok(Bundle { body: Body::Records(records), .. }) = open(&object, &site.keys) else { continue };
            for record in records {
                bodies.extend_from_slice(record.key.name().as_bytes());
                bodies.extend_from_slice(record.content.as_deref().unwrap_or_default());
            }
        }
        let says = |text: &str| bodies.windows(text.len()).any(|it| it == text.as_bytes());
        assert_eq!(says("Boiler 7"), shown, "{policy:?}");
        assert_eq!(says("secret-hmi"), policy.level != Level::Counts, "{policy:?}");
        assert_eq!(says("hmi-01"), policy.level != Level::Counts, "verdicts name assets: {policy:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_follow_each_other_while_bundles_flow() {
    let mut sender = Sender::new(full(), vec!["relay"]);
    let mut site = sender.receiver();
    sender.world.agent("hmi-01").await;
    for round in 0..24 {
        if round % 3 == 2 {
            sender.ask(Office::rotate).unwrap();
        }
        sender.interval();
        let now_ms = sender.world.zone.now_ms();
        for object in sender.taken() {
            // Statements are often lost, those that come later tell the same.
            let is_statement =
                open(&object, &site.keys).is_err() && site.line.clone().accept(&object).is_ok();
            if is_statement && round % 4 != 3 {
                continue;
            }
            if is_statement || open(&object, &site.keys).is_ok() {
                site.get(&object, now_ms);
            }
        }
    }
    assert_eq!(sender.office.as_ref().unwrap().show().key_epoch, 9);
    assert_eq!(site.line.current().epoch, 9);
    assert!(site.agrees(), "{:?}", site.rulings);
}

#[test]
fn paths_of_a_set_back_machine_are_another_place() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    fs::create_dir(&a).unwrap();
    fs::write(a.join("witness"), b"x").unwrap();
    copy(&a, &b);
    let place = |it: &PathBuf| super::office::place(it);
    assert_ne!(place(&a), place(&b));
    assert_eq!(place(&a), place(&a));
}
