//! A person joins a site, a relay delivers, and the person asks: real ports, real certificates.

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use holdpoint_collector::carrier::relay::{self, Timing, Trays};
use holdpoint_collector::carrier::tray::{Filler, Limits};
use holdpoint_collector::conduit::{self, Authority, Enrolment, Requested};
use holdpoint_collector::site::config::Config;
use holdpoint_collector::site::daemon::{self, Running};
use holdpoint_common::bundle::{
    Algorithm, Body, ByClass, Class, ClockQuality, Header, Key, Kind, Links, Record, SigningKey, Spool,
    State, Statement, Stream, make,
};
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::conduit::Party;
use holdpoint_common::credentials::pem_of_certificates;
use holdpoint_common::identity::ZoneName;
use holdpoint_common::tls::Purpose;
use tempfile::TempDir;
use tokio::sync::watch;

use super::super::{Caller, join};
use super::*;
use crate::args::Format;
use crate::profile::{FILE, Search};

struct World {
    dir: TempDir,
    authority: Authority,
    running: Running,
}

fn name(text: &str) -> holdpoint_common::identity::Name {
    text.parse().unwrap()
}

/// A key from a seed: PKCS#8 of RFC 8410.
fn signer(seed: u8) -> SigningKey {
    let head = data_encoding::HEXLOWER.decode(b"302e020100300506032b657004220420").unwrap();
    SigningKey::from_pkcs8(Algorithm::Ed25519, &[head, vec![seed; 32]].concat()).unwrap()
}

fn zone() -> ZoneName {
    ZoneName { site: name("plant"), zone: name("line-1") }
}

/// What a person carries to the conduit's CA and back.
fn certify(authority: &Authority, dir: &Path, request: &Path) {
    let pem = fs::read(request).unwrap();
    let text = String::from_utf8(pem).unwrap();
    let body: String = text.lines().filter(|it| !it.starts_with("-----")).collect();
    let requested = Requested::read(&data_encoding::BASE64.decode(body.as_bytes()).unwrap()).unwrap();
    let (certificate, _) = authority.issue(&requested, 30, SystemClock.now_ms()).unwrap();
    let certificate = pem_of_certificates(&[certificate]);
    conduit::install(dir, certificate.as_bytes(), authority.certificate_pem().as_bytes()).unwrap();
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority =
            Authority::found(&dir.path().join("ca"), &name("plant"), SystemClock.now_ms()).unwrap();
        let site = dir.path().join("site");
        let mut config = Config::new(&name("plant"));
        config.operators = "127.0.0.1:0".parse().unwrap();
        config.listen = "127.0.0.1:0".parse().unwrap();
        let made = daemon::init(&site, &config).unwrap();
        certify(&authority, &site, &made.request);
        let running = daemon::start(&site).await.unwrap();
        Self { dir, authority, running }
    }

    /// Somebody with a certificate of the conduit, and a profile as `join` writes it.
    fn somebody(&self, party: &Party) -> PathBuf {
        let dir = self.dir.path().join(party.file_stem());
        let request = conduit::save_request(&dir, party, &[Purpose::Client], &[]).unwrap();
        certify(&self.authority, &dir, &request);
        let server = self.running.operators().unwrap();
        let profile = format!(
            "collector = \"{server}\"\nname = \"x\"\ncertificate = \"conduit.crt\"\nkey = \"conduit.key\"\nca = \
             \"conduit-ca.crt\"\n"
        );
        fs::write(dir.join(FILE), profile).unwrap();
        dir
    }

    async fn trust(&self) {
        let enrolment = Enrolment { zone: zone(), root: signer(9).public(), statement: statement() };
        let keeper = Arc::clone(self.running.keeper());
        let act = move || {
            keeper
                .act(|fleet, now_ms| {
                    fleet.trust(&enrolment.zone, &enrolment.root, &enrolment.statement, "test", now_ms)
                })
                .unwrap();
        };
        tokio::task::spawn_blocking(act).await.unwrap();
    }
}

fn stream() -> Stream {
    Stream { zone: zone(), collector: signer(1).public().id() }
}

fn statement() -> Vec<u8> {
    let statement = Statement {
        stream: stream(),
        serial: 1,
        epoch: 1,
        key: signer(1).public(),
        next: signer(2).public().id(),
        created_ms: 0,
        expires_ms: None,
    };
    statement.certify(&signer(1), &signer(9)).unwrap()
}

fn bundle() -> Vec<u8> {
    let record = Record {
        key: Key::new(Class::Asset, "hmi-01").unwrap(),
        revision: NonZeroU64::MIN,
        content: Some(Vec::new()),
    };
    let mut state = State::default();
    state.apply(&record);
    let header = Header {
        stream: stream(),
        epoch: [1; 16].into(),
        sequence: 1,
        kind: Kind::Delta,
        created_ms: SystemClock.now_ms() - 37_000,
        clock: ClockQuality::Unsynchronised,
        key_epoch: 1,
        state: state.digest(),
        links: Links::of(1, |_| None),
        spool: Spool::default(),
        drops: ByClass::default(),
        next_due_ms: 600_000,
        before: None,
    };
    make(&header, Body::Records(vec![record]), &signer(1)).unwrap().bytes
}

fn caller(profile: &Path, format: Format) -> Caller {
    Caller {
        out: Output::plain(format, None),
        profile: Search::new(Some(profile.join(FILE).into()), |_| None),
    }
}

async fn zones(profile: &Path) -> Result<serde_json::Value, Failure> {
    let caller = caller(profile, Format::Json);
    let way = Way::open(&caller.profile.find()?, &caller.out).await?;
    let zones = way.answer(|mut it| async move { it.zones(pb::FleetZonesRequest {}).await }).await?;
    Ok(serde_json::from_str(&caller.out.render(&Zones::new(zones)).unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_joined_sees_what_a_relay_delivered() {
    let world = World::new().await;
    world.trust().await;

    // The relay.
    let party = Party::Relay { site: name("plant"), name: name("dmz-1") };
    let relay = world.dir.path().join("relay");
    let request = conduit::save_request(&relay, &party, party.purposes(), &[]).unwrap();
    certify(&world.authority, &relay, &request);
    let tray = relay.join("tray");
    Filler::open(&tray, Limits::default()).unwrap().put(&bundle()).unwrap();
    let (stop, stopped) = watch::channel(false);
    let address = world.running.deliveries().unwrap().to_string().parse().unwrap();
    let own = conduit::Credentials::load(&relay).unwrap();
    let clock = Arc::new(SystemClock);
    let sender = relay::Sender::new(Trays::one(&tray), address, &own, clock, Timing::default()).unwrap();
    let sending = tokio::spawn(sender.run(stopped));

    // The person.
    let out = world.dir.path().join("anna");
    let options = join::Options {
        site: "plant".into(),
        name: "anna".into(),
        server: world.running.operators().unwrap().to_string(),
        out: out.clone(),
    };
    let typed = caller(&out, Format::Json);
    assert_eq!(join::run(&options, &typed).unwrap(), Exit::Done);
    assert!(matches!(zones(&out).await, Err(Failure::SiteProfile { .. })), "nobody certified it yet");
    certify(&world.authority, &out, &out.join("operator-anna.csr"));

    let mut shown = zones(&out).await.unwrap();
    for _ in 0..200 {
        if shown[0]["last_sequence"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        shown = zones(&out).await.unwrap();
    }
    assert_eq!((&shown[0]["zone"], &shown[0]["assets"]), (&"line-1".into(), &1.into()), "{shown:#}");
    assert!(shown[0]["clock_offset_ms"].as_i64().unwrap() <= -37_000);
    let way = Way::open(&typed.profile.find().unwrap(), &typed.out).await.unwrap();
    let file = out.join("line-1.dsse");
    for command in [
        None,
        Some(Command::Zone(ZoneOptions { zone: "line-1".into() })),
        Some(Command::Asset(AssetOptions { asset: "line-1/hmi-01".into() })),
        Some(Command::Status(StatusOptions { zone: None, verdict: None, advisory: None, limit: 10 })),
        Some(Command::Changes(ChangesOptions { zone: None })),
        Some(Command::Site),
        Some(Command::Export(ExportOptions { zone: "line-1".into(), out: file.clone() })),
    ] {
        for format in [Format::Table, Format::Json, Format::Csv] {
            let command = command.clone();
            let out = Output::plain(format, Some(100));
            assert_eq!(ask(Options { command }, &way, &out).await.unwrap(), Exit::Done);
        }
    }
    let public = fs::read_to_string(world.dir.path().join("site/site.pub")).unwrap();
    let public = data_encoding::HEXLOWER.decode(public.trim().as_bytes()).unwrap();
    assert!(holdpoint_collector::site::seal::open(&fs::read(&file).unwrap(), &public).is_some());

    // A line in a file ends it, also on the connection that is open.
    let own = conduit::Credentials::load(&out).unwrap();
    fs::write(world.dir.path().join("site/revoked"), format!("{} left\n", own.leaf.fingerprint)).unwrap();
    let refused = way.answer(|mut it| async move { it.zones(pb::FleetZonesRequest {}).await }).await;
    assert!(matches!(refused, Err(Failure::SiteRefused { .. })));
    assert!(zones(&out).await.is_err());
    stop.send_replace(true);
    sending.await.unwrap();
    world.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_an_operator_of_the_site_is_let_in() {
    let world = World::new().await;
    let anna = Party::SiteOperator { site: name("plant"), name: name("anna") };
    assert!(zones(&world.somebody(&anna)).await.is_ok());
    for party in [Party::Relay { site: name("plant"), name: name("dmz-1") }, Party::Collector(zone())] {
        assert!(matches!(zones(&world.somebody(&party)).await, Err(Failure::SiteConnect(_))), "{party}");
    }
    // A person of the same name, certified by another conduit.
    let other = World::new().await;
    let dir = other.somebody(&anna);
    let text = fs::read_to_string(dir.join(FILE)).unwrap();
    let (theirs, ours) = (other.running.operators().unwrap(), world.running.operators().unwrap());
    fs::write(dir.join(FILE), text.replace(&theirs.to_string(), &ours.to_string())).unwrap();
    assert!(matches!(zones(&dir).await, Err(Failure::SiteConnect(_))));
    // A zone's operator has another profile altogether.
    let zone = tempfile::tempdir().unwrap();
    super::super::fake::profile(zone.path());
    let refused = zones(zone.path()).await.unwrap_err();
    assert!(matches!(refused, Failure::SiteProfile { .. }));
    assert!(refused.hint().unwrap().contains("holdpoint join"));
    world.running.stop().await.unwrap();
    other.running.stop().await.unwrap();
}
