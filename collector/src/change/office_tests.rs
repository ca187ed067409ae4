//! A window from plan to closure against a zone in a temporary directory, and everything that must not pass.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::credentials::{Credentials, new_key};
use holdpoint_common::decision;
use holdpoint_common::proto::store::{Decision, OperatorRecord, SignedDecision};
use holdpoint_common::row::SectionKind;
use holdpoint_common::tls::Leaf;
use rcgen::CertificateParams;
use rustls::pki_types::PrivateKeyDer;
use tokio::time::Instant;
use tonic::Status;

use super::Change;
use super::office::ChangeOffice;
use super::word::{StageState, State};
use crate::assess::Board;
use crate::knowledge::{AllowedAges, Library};
use crate::pki::Request;
use crate::store::Txn;
use crate::zone::world::{Agent, START, World, software};

const PLAN: &str = r#"
title = "A library of May"

[window]
start = "2023-11-14T00:00:00Z"
end = "2023-11-16T00:00:00Z"
hard_stop = "2023-11-16T00:00:00Z"
latest_rollback = "2023-11-15T12:00:00Z"

[rollback]
procedure = "put the image of yesterday back"
verified_by = "ada"

[backup]
place = "the backup server"
sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
taken = "2023-11-14T12:00:00Z"
restore_tested = "2023-11-01T00:00:00Z"

[safety_review]
by = "grace"
summary = "no safety function depends on it"

[package]
source = "the distribution"
sha256 = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
signature = "signed by the distribution's archive key"

[[stage]]
title = "the stations"
tier = "hmi"
assets = ["hmi-1", "hmi-2"]

[[expectation]]
id = "library"
at_least = { product = "libtls", min_version = "2.0", scheme = "deb", source = "dpkg" }
"#;

struct Site {
    world: World,
    office: Arc<ChangeOffice>,
}

/// A board of two persons, their operators with keys of their own.
struct Persons {
    ada: Credentials,
    grace: Credentials,
}

fn office(world: &World) -> Arc<ChangeOffice> {
    let library = Arc::new(Library::open(world.zone.store()).unwrap());
    let board = Board::open(Arc::new(world.zone.store().clone()), AllowedAges::default());
    for record in world.zone.assets() {
        board.asset_changed(&record);
    }
    ChangeOffice::open(&world.zone, library, board).unwrap()
}

impl Site {
    async fn new() -> (Self, Agent, Agent, Persons) {
        let world = World::new();
        let mut agents = Vec::new();
        for id in ["hmi-1", "hmi-2"] {
            let mut agent = world.agent(id).await;
            agent.runs("Debian", "12");
            agent.has_software(vec![software("libtls", "1.0"), software("editor", "3")]);
            agent.reports(&world, &[]).await.unwrap();
            agent.calls(&world).await.unwrap();
            agents.push(agent);
        }
        let persons = Persons {
            ada: operator(&world, "ada", &["ot-security", "control-engineer", "maintenance"]).await,
            grace: operator(&world, "grace", &["operations", "plant-safety"]).await,
        };
        let two = agents.pop().unwrap();
        let one = agents.pop().unwrap();
        (Self { office: office(&world), world }, one, two, persons)
    }

    async fn draft(&self) -> Arc<Change> {
        self.office.draft("local", PLAN.as_bytes(), "plan.toml").await.unwrap()
    }

    /// A change that the board has authorised.
    async fn authorised(&self, persons: &Persons) -> Arc<Change> {
        let change = self.draft().await;
        self.office.submit("local", &change.id).await.unwrap();
        for role in ["ot-security", "control-engineer", "maintenance"] {
            self.office.decide(persons.ada.signs(&change, "sign-off", role)).await.unwrap();
        }
        for role in ["operations", "plant-safety"] {
            self.office.decide(persons.grace.signs(&change, "sign-off", role)).await.unwrap();
        }
        self.office.change(&change.id).unwrap()
    }

    /// Lets the office write what it heard.
    async fn heard(&self, id: &str, wanted: impl Fn(&Change) -> bool) -> Arc<Change> {
        let mut written = self.office.written();
        loop {
            let change = self.office.change(id).unwrap();
            if wanted(&change) {
                return change;
            }
            tokio::time::timeout(Duration::from_secs(20), written.changed()).await.unwrap().unwrap();
        }
    }

    /// A stage whose pre-snapshots are taken.
    async fn opened(&self, persons: &Persons, agents: [&mut Agent; 2]) -> Arc<Change> {
        let change = self.authorised(persons).await;
        self.office
            .open_stage("local", &change.id, 1, "the tests' hosts say little", BTreeMap::new())
            .await
            .unwrap();
        for agent in agents {
            self.answers(agent).await;
        }
        self.heard(&change.id, |it| it.stage(1).unwrap().state() == StageState::Open).await
    }

    /// An agent answers whatever it is asked.
    async fn answers(&self, agent: &mut Agent) {
        let directives = agent.calls(&self.world).await.unwrap();
        let nonces: Vec<Vec<u8>> = directives.challenges.into_iter().map(|it| it.nonce).collect();
        assert!(!nonces.is_empty(), "nothing is asked");
        agent.reports(&self.world, &nonces).await.unwrap();
    }
}

async fn operator(world: &World, name: &str, roles: &[&str]) -> Credentials {
    let key = new_key().unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap();
    let identity = world.zone.name().operator(name.parse().unwrap());
    let request = Request::read(csr.der()).unwrap();
    let issued = world.zone.pki().issue(&identity, &request, START).unwrap();
    let record = OperatorRecord {
        name: name.into(),
        roles: roles.iter().map(|&it| it.to_owned()).collect(),
        certificates: vec![issued.record],
        ..OperatorRecord::default()
    };
    let change = |_: Option<&OperatorRecord>, _: &mut Txn| Ok((record, (), Vec::new()));
    world.zone.change_operator(name, Txn::admin(), change).await.unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Credentials::new(issued.chain, key, world.zone.pki().anchors()).unwrap()
}

trait Signs {
    fn decides(&self, change: &Change, decision: Decision) -> SignedDecision;
    fn signs(&self, change: &Change, kind: &str, role: &str) -> SignedDecision;
}

impl Signs for Credentials {
    fn decides(&self, change: &Change, decision: Decision) -> SignedDecision {
        let mut nonce = vec![0; 16];
        aws_lc_rs::rand::fill(&mut nonce).unwrap();
        let decision = Decision {
            change: change.id.clone(),
            plan_digest: change.plan_digest.to_vec(),
            nonce,
            ..decision
        };
        decision::sign(&decision, self).unwrap()
    }

    fn signs(&self, change: &Change, kind: &str, role: &str) -> SignedDecision {
        let decision = Decision {
            kind: kind.into(),
            role: role.into(),
            text: "as agreed".into(),
            rollback_verified: role == "maintenance",
            ..Decision::default()
        };
        self.decides(change, decision)
    }
}

fn told<T>(refused: Result<T, Status>) -> String {
    refused.err().map(|it| it.message().to_owned()).unwrap_or_default()
}

fn verdicts(change: &Change) -> Vec<(String, String, String, Vec<String>)> {
    let whole = change.stages[0].verdicts.iter().filter(|it| it.expectation.is_empty());
    whole.map(|it| (it.asset.clone(), it.verdict.clone(), it.reason.clone(), it.modifiers.clone())).collect()
}

#[tokio::test]
async fn a_patched_host_is_remediated_and_one_that_was_left_out_is_not() {
    let (site, mut one, mut two, persons) = Site::new().await;
    let change = site.opened(&persons, [&mut one, &mut two]).await;
    one.has_software(vec![software("libtls", "2.0"), software("editor", "3")]);
    site.office.complete_stage("local", &change.id, 1, "").await.unwrap();
    site.answers(&mut one).await;
    site.answers(&mut two).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    site.office.wait(&change.id, 1, deadline, |_| {}).await.unwrap();
    let judged = site.office.judge_stage("local", &change.id, 1).await.unwrap();
    let said = verdicts(&judged);
    assert_eq!(said[0].1, "REMEDIATED", "{said:?}");
    assert_eq!(said[1].1, "NOT_REMEDIATED", "{said:?}");
    assert_eq!(judged.stages[0].state(), StageState::Failed);
    assert!(told(site.office.close("local", &change.id, "", Vec::new()).await).contains("stage 1 is failed"));

    // Put right, asked again, verified, learnt, closed.
    two.has_software(vec![software("libtls", "2.0"), software("editor", "3")]);
    site.office.complete_stage("local", &change.id, 1, "").await.unwrap();
    site.answers(&mut one).await;
    site.answers(&mut two).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    site.office.wait(&change.id, 1, deadline, |_| {}).await.unwrap();
    let judged = site.office.judge_stage("local", &change.id, 1).await.unwrap();
    assert_eq!((judged.state, judged.stages[0].state()), (State::Verified, StageState::Verified));
    assert!(told(site.office.close("local", &change.id, "", Vec::new()).await).contains("lessons"));
    site.office.learn("local", &change.id, "none".into()).await.unwrap();
    let blocked = vec!["no baseline".to_owned()];
    assert!(told(site.office.close("local", &change.id, "", blocked).await).contains("no baseline"));
    let closed = site.office.close("local", &change.id, "", Vec::new()).await.unwrap();
    assert_eq!(closed.state, State::Closed);

    // What comes back while it soaks opens by itself.
    two.has_software(vec![software("libtls", "1.0"), software("editor", "3")]);
    two.reports(&site.world, &[]).await.unwrap();
    let again = site.heard(&change.id, |it| !it.regressions.is_empty()).await;
    assert_eq!((again.regressions[0].asset.as_str(), again.state), ("hmi-2", State::Closed));
    assert!(site.world.zone.audit().verify().unwrap().faults.is_empty());
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart_between_any_two_steps() {
    let (mut site, mut one, mut two, persons) = Site::new().await;
    let change = site.draft().await;
    let id = change.id.clone();
    let mut told = Vec::new();
    for step in 0..7 {
        match step {
            0 => drop(site.office.submit("local", &id).await.unwrap()),
            1 => {
                drop(
                    site.office.decide(persons.ada.signs(&change, "sign-off", "ot-security")).await.unwrap(),
                );
            }
            2 => {
                for role in ["control-engineer", "maintenance"] {
                    site.office.decide(persons.ada.signs(&change, "sign-off", role)).await.unwrap();
                }
                for role in ["operations", "plant-safety"] {
                    site.office.decide(persons.grace.signs(&change, "sign-off", role)).await.unwrap();
                }
            }
            3 => drop(site.office.open_stage("local", &id, 1, "test", BTreeMap::new()).await.unwrap()),
            4 => {
                site.answers(&mut one).await;
                site.answers(&mut two).await;
                site.heard(&id, |it| it.stage(1).unwrap().state() == StageState::Open).await;
            }
            5 => drop(site.office.complete_stage("local", &id, 1, "").await.unwrap()),
            _ => {
                site.answers(&mut one).await;
                site.heard(&id, |it| it.stage(1).unwrap().targets["hmi-1"].post.is_some()).await;
            }
        }
        let before = site.office.change(&id).unwrap();
        told.push(before.revision);
        let Site { world, office: gone } = site;
        drop(gone);
        let world = world.restarted().await;
        site = Site { office: office(&world), world };
        assert_eq!(*site.office.change(&id).unwrap(), *before, "after step {step}");
    }
    assert!(told.is_sorted_by(|one, two| one < two), "{told:?}");
}

#[tokio::test]
async fn an_answer_that_nobody_took_before_the_collector_fell_is_found_in_the_store() {
    let (site, mut one, mut two, persons) = Site::new().await;
    let change = site.authorised(&persons).await;
    let id = change.id.clone();
    site.office.open_stage("local", &id, 1, "test", BTreeMap::new()).await.unwrap();
    // Nobody listens while these reports come.
    let Site { world, office: gone } = site;
    drop(gone);
    let world = world.restarted().await;
    for agent in [&mut one, &mut two] {
        let directives = agent.calls(&world).await.unwrap();
        let nonces: Vec<Vec<u8>> = directives.challenges.into_iter().map(|it| it.nonce).collect();
        agent.reports(&world, &nonces).await.unwrap();
    }
    let site = Site { office: office(&world), world };
    let change = site.heard(&id, |it| it.stage(1).unwrap().state() == StageState::Open).await;
    let snapshot = change.stages[0].targets["hmi-1"].pre.as_ref().unwrap();
    assert!(snapshot.sections.iter().any(|it| it.kind == i32::from(SectionKind::Software)));
}

#[tokio::test]
async fn rows_of_a_snapshot_stay_when_the_host_has_moved_on() {
    let (site, mut one, mut two, persons) = Site::new().await;
    let change = site.opened(&persons, [&mut one, &mut two]).await;
    for version in 3..6 {
        one.has_software(vec![software("libtls", &format!("{version}.0"))]);
        one.reports(&site.world, &[]).await.unwrap();
    }
    let pre = change.stages[0].targets["hmi-1"].pre.clone().unwrap();
    let rows = Arc::new(site.world.zone.store().clone());
    let snapshot = super::Snapshot::load(pre, rows.as_ref()).unwrap();
    assert!(snapshot.is_complete(SectionKind::Software));
    assert_eq!(snapshot.rows(SectionKind::Software).len(), 2);
    assert!(site.world.zone.store().verify().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_veto_ends_it_and_what_was_begun_is_still_verified() {
    let (site, mut one, mut two, persons) = Site::new().await;
    let change = site.opened(&persons, [&mut one, &mut two]).await;
    let by_maintenance = persons.ada.signs(&change, "veto", "maintenance");
    assert!(told(site.office.decide(by_maintenance).await).contains("only operations and plant-safety"));
    let vetoed = site.office.decide(persons.grace.signs(&change, "veto", "operations")).await.unwrap();
    assert_eq!(vetoed.state, State::Vetoed);
    site.office.complete_stage("local", &change.id, 1, "stopped").await.unwrap();
    site.answers(&mut one).await;
    site.answers(&mut two).await;
    site.office.wait(&change.id, 1, Instant::now() + Duration::from_secs(20), |_| {}).await.unwrap();
    let judged = site.office.judge_stage("local", &change.id, 1).await.unwrap();
    assert_eq!(judged.state, State::Vetoed);
    let refused = told(site.office.close("local", &change.id, "it was vetoed", Vec::new()).await);
    assert!(refused.contains("a veto is the end"), "{refused}");
}

#[tokio::test]
async fn no_decision_counts_that_its_person_did_not_sign_for_this_plan() {
    let (site, _, _, persons) = Site::new().await;
    let change = site.draft().await;
    site.office.submit("local", &change.id).await.unwrap();

    let wrong_role = persons.grace.signs(&change, "sign-off", "ot-security");
    assert!(told(site.office.decide(wrong_role).await).contains("needs the role ot-security"));

    let good = persons.ada.signs(&change, "sign-off", "ot-security");
    let mut changed = good.clone();
    changed.decision[3] ^= 1;
    assert!(!told(site.office.decide(changed).await).is_empty());
    site.office.decide(good.clone()).await.unwrap();
    assert!(told(site.office.decide(good).await).contains("taken in before"));

    let other_plan = Decision {
        kind: "sign-off".into(),
        role: "maintenance".into(),
        change: change.id.clone(),
        plan_digest: vec![0; 32],
        nonce: vec![1; 16],
        ..Decision::default()
    };
    let other_plan = decision::sign(&other_plan, &persons.ada).unwrap();
    assert!(told(site.office.decide(other_plan).await).contains("another plan"));

    let leaf = Leaf::read(&persons.grace.chain[0]).unwrap();
    site.world
        .zone
        .change_operator("grace", Txn::admin(), |before, _| {
            let mut record = before.cloned().unwrap();
            for it in &mut record.certificates {
                assert_eq!(it.fingerprint, leaf.fingerprint.as_bytes());
                it.revoked_ms = Some(START);
            }
            Ok((record, (), Vec::new()))
        })
        .await
        .unwrap();
    let revoked = persons.grace.signs(&change, "sign-off", "operations");
    assert!(told(site.office.decide(revoked).await).contains("revoked"));
}

#[tokio::test]
async fn one_person_with_every_role_authorises_nothing() {
    let (site, _, _, _) = Site::new().await;
    let everything = ["ot-security", "control-engineer", "maintenance", "operations", "plant-safety"];
    let kim = operator(&site.world, "kim", &everything).await;
    let change = site.draft().await;
    site.office.submit("local", &change.id).await.unwrap();
    for role in &everything[..4] {
        site.office.decide(kim.signs(&change, "sign-off", role)).await.unwrap();
    }
    let last = told(site.office.decide(kim.signs(&change, "sign-off", "plant-safety")).await);
    assert!(last.contains("cannot be one person"), "{last}");
    let closed = told(site.office.open_stage("local", &change.id, 1, "x", BTreeMap::new()).await);
    assert!(closed.contains("would have to be authorised"), "{closed}");
}

#[tokio::test]
async fn an_old_answer_a_replay_and_a_late_one_are_told_apart() {
    let (site, mut one, mut two, persons) = Site::new().await;
    let change = site.opened(&persons, [&mut one, &mut two]).await;
    let pre = change.stages[0].targets["hmi-1"].pre.clone().unwrap();
    site.office.complete_stage("local", &change.id, 1, "").await.unwrap();

    // The report of before, once more.
    let mut replay = one.clone();
    replay.sequence = pre.sequence - 1;
    replay.reports(&site.world, std::slice::from_ref(&pre.nonce)).await.unwrap_err();
    let now = site.heard(&change.id, |it| it.stages[0].targets["hmi-1"].refused.is_some()).await;
    assert_eq!(now.stages[0].targets["hmi-1"].refused.as_ref().unwrap().0.as_str(), "REPLAYED");

    // A new report for a question that is asked no more.
    let first = now.stages[0].targets["hmi-2"].post_asked.clone().unwrap().nonce;
    site.office.complete_stage("local", &change.id, 1, "again").await.unwrap();
    two.reports(&site.world, &[first]).await.unwrap();
    let now = site.heard(&change.id, |it| it.stages[0].targets["hmi-2"].refused.is_some()).await;
    assert_eq!(now.stages[0].targets["hmi-2"].refused.as_ref().unwrap().0.as_str(), "OLD_NONCE");

    // An answer after its time.
    site.world.clock.set(START + 31 * 60_000);
    site.answers(&mut one).await;
    let late = |it: &Change| {
        it.stages[0].targets["hmi-1"].refused.as_ref().is_some_and(|it| it.0.as_str() == "LATE")
    };
    let now = site.heard(&change.id, late).await;
    assert!(now.stages[0].targets["hmi-1"].post.is_none());
}

#[tokio::test]
async fn a_stage_opens_in_its_time_with_every_check_passed_or_overridden() {
    let (site, _, _, persons) = Site::new().await;
    let change = site.authorised(&persons).await;
    site.world.clock.set(START + 30 * 86_400_000);
    let refused = told(site.office.open_stage("local", &change.id, 1, " ", BTreeMap::new()).await);
    for wanted in ["window: agreed is", "backup-age", "agent of hmi-1", "--override"] {
        assert!(refused.contains(wanted), "{wanted} is missing in {refused}");
    }
    let opened = site
        .office
        .open_stage("local", &change.id, 1, "the plant stands still", BTreeMap::new())
        .await
        .unwrap();
    assert_eq!(opened.stages[0].overridden, "the plant stands still");
    assert_eq!(opened.stages[0].state(), StageState::Pending, "no pre-snapshot is taken yet");
    let early = told(site.office.complete_stage("local", &change.id, 1, "").await);
    assert!(early.contains("waits for its pre-snapshots"), "{early}");
}
