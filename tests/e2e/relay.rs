//! A relay between a zone and a site: killed at any moment, and owned by somebody else.

#[expect(dead_code, reason = "the collector's own tests use the rest")]
#[path = "../../collector/src/conduit/testing.rs"]
mod testing;

mod hostile_relay;

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdpoint_collector::carrier::relay::{
    Believed, Limits, Listener, Sender, Sink, Timing, Took, Trays, Zones,
};
use holdpoint_collector::carrier::tray::{self, Emptier, Filler};
// What the throw-away authority is made of.
use holdpoint_collector::conduit::{Authority, Credentials, Enrolment, Requested, install, save_request};
use holdpoint_common::clock::SystemClock;
use holdpoint_common::conduit::Party;
use holdpoint_common::identity::ZoneName;
use holdpoint_tests::program::{Running, run, succeed};
use tokio::sync::watch;

use hostile_relay::Mischief;
use testing::{Ca, Signer, collector, name, relay, site, until, zone};

const COLLECTOR: &str = "holdpoint-collector";
const QUICK: Timing = Timing {
    look: Duration::from_millis(10),
    settle: Duration::from_millis(200),
    handshake: Duration::from_secs(5),
    stall: Duration::from_secs(5),
    idle: Duration::from_secs(1),
    recheck: Duration::from_secs(10),
    retry_first: Duration::from_millis(20),
    retry_most: Duration::from_millis(100),
};

/// A site that believes one zone and remembers everything.
struct Site {
    zones: Mutex<Zones>,
    from: ZoneName,
    believed: Mutex<BTreeSet<Vec<u8>>>,
    refused: Mutex<Vec<String>>,
}

impl Site {
    fn new(data: &Path, signer: &Signer) -> Arc<Self> {
        signer.enrol(data);
        let zones = Zones::open(&data.join("zones"), &name("plant")).unwrap();
        let (believed, refused) = (Mutex::default(), Mutex::default());
        Arc::new(Self { zones: Mutex::new(zones), from: zone("line-1"), believed, refused })
    }

    fn has(&self, objects: &BTreeSet<Vec<u8>>) -> bool {
        objects.is_subset(&self.believed.lock().unwrap())
    }
}

impl Sink for Site {
    fn admits(&self, party: &Party) -> bool {
        matches!(party, Party::Relay { .. })
    }

    fn take(&self, _: &Party, object: Vec<u8>) -> Took {
        match Zones::judge(&self.zones, &self.from, &object) {
            Believed::Yes => {
                self.believed.lock().unwrap().insert(object);
                Took::Kept
            }
            Believed::UnknownKey(key) => {
                self.refused.lock().unwrap().push(key.to_string());
                Took::Refused
            }
            Believed::No(why) => {
                self.refused.lock().unwrap().push(why);
                Took::Refused
            }
        }
    }
}

/// What runs until the test ends.
struct Served {
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

fn serve(own: &Credentials, sink: Arc<dyn Sink>) -> Served {
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(any, own, Arc::new(SystemClock), Limits::default(), sink).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(listener.run(stopped));
    Served { address, _stop: stop }
}

fn start_sending(trays: Trays, to: &str, own: &Credentials) -> watch::Sender<bool> {
    let sender = Sender::new(trays, to.parse().unwrap(), own, Arc::new(SystemClock), QUICK).unwrap();
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(sender.run(stopped));
    stop
}

fn fill<'a>(tray: &Path, objects: impl IntoIterator<Item = &'a Vec<u8>>) {
    let mut filler = Filler::open(tray, tray::Limits::default()).unwrap();
    for object in objects {
        filler.put(object).unwrap();
    }
}

fn is_empty(tray: &Path) -> bool {
    Emptier::new(tray).places().unwrap().is_empty()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A relay that was set up as a person does it, with its conduit's authority.
struct Dmz {
    dir: tempfile::TempDir,
    listen: String,
}

impl Dmz {
    fn set_up(to: SocketAddr, ca: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (data, listen) = (dir.path().join("relay"), format!("127.0.0.1:{}", free_port()));
        let place = ["--data", text(&data)];
        let who = ["--site", "plant", "--name", "dmz-1", "--listen", &listen];
        let to = ["--forward-to", &to.to_string()];
        succeed(COLLECTOR, &[&["relay", "init"], &place[..], &who[..], &to[..]].concat());
        for part in ["ingest", "forward"] {
            certify(ca, &data.join(part).join(format!("relay-dmz-1-{part}.csr")), &data.join(part));
        }
        Self { dir, listen }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("relay")
    }

    fn start(&self, half: &str) -> Running {
        Running::start(COLLECTOR, &["relay", half, "--data", text(&self.data())])
    }
}

/// Issues and installs, as a person does it.
fn certify(ca: &Path, request: &Path, data: &Path) {
    let out = tempfile::tempdir().unwrap();
    let arguments = ["conduit", "issue", text(request), "--data", text(ca), "--out", text(out.path())];
    succeed(COLLECTOR, &arguments);
    let certificate = out.path().join(request.file_name().unwrap()).with_extension("crt");
    succeed(COLLECTOR, &["conduit", "install", text(&certificate), "--data", text(data)]);
}

fn party(ca: &Path, data: &Path, party: &Party) -> Credentials {
    let request = save_request(data, party, &[], &[]).unwrap();
    certify(ca, &request, data);
    Credentials::load(data).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_killed_again_and_again_invents_nothing_and_what_it_lost_heals() {
    let dir = tempfile::tempdir().unwrap();
    let at = |it: &str| dir.path().join(it);
    let ca = at("ca");
    succeed(COLLECTOR, &["conduit", "init", "--data", text(&ca), "--site", "plant"]);
    let mut signer = Signer::new("line-1");
    let (at_site, own) = (party(&ca, &at("site"), &site()), party(&ca, &at("zone"), &collector("line-1")));
    let receiver = Site::new(&at("site-data"), &signer);
    let served = serve(&at_site, Arc::clone(&receiver) as _);
    let dmz = Dmz::set_up(served.address, &ca);
    signer.enrol(&dmz.data());

    let mut halves = [dmz.start("ingest"), dmz.start("forward")];
    let tray = at("tray");
    let _sending = start_sending(Trays::one(&tray), &dmz.listen, &own);
    let mut sent = BTreeSet::new();
    for round in 0..8 {
        let more: Vec<_> = (0..25).map(|it| signer.bundle(200 + 900 * it)).collect();
        fill(&tray, &more);
        sent.extend(more);
        tokio::time::sleep(Duration::from_millis(30 + 40 * (round % 4))).await;
        if round > 0 {
            let half = usize::try_from(round % 2).unwrap();
            halves[half].kill().unwrap();
            halves[half] = dmz.start(["ingest", "forward"][half]);
        }
    }
    let passed = || is_empty(&tray) && dmz.spools().iter().all(|it| is_empty(it));
    until("everything is on its way or lost", passed).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let arrived = receiver.believed.lock().unwrap().clone();
    assert!(arrived.is_subset(&sent), "nothing is there that was not sent");
    assert_eq!(*receiver.refused.lock().unwrap(), Vec::<String>::new(), "and nothing in parts");
    println!("{} of {} arrived before any repetition", arrived.len(), sent.len());

    fill(&tray, sent.difference(&arrived));
    until("the rest arrives", || receiver.has(&sent)).await;

    for half in ["ingest", "forward"] {
        let second = run(COLLECTOR, &["relay", half, "--data", text(&dmz.data())]);
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert!(!second.status.success() && said.contains("runs once"), "{said}");
    }
    #[cfg(target_os = "linux")]
    for half in &halves {
        let status = fs::read_to_string(format!("/proc/{}/status", half.pid())).unwrap();
        assert!(status.contains("Seccomp:\t2"), "each half is held to its role");
    }
}

impl Dmz {
    fn spools(&self) -> Vec<PathBuf> {
        let sites = fs::read_dir(self.data().join("spool")).into_iter().flatten();
        sites.map(|it| it.unwrap().path().join("line-1")).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_somebody_else_owns_can_lose_and_delay_and_nothing_worse() {
    let ca = Ca::new();
    let dir = tempfile::tempdir().unwrap();
    let mut signer = Signer::new("line-1");
    let receiver = Site::new(&dir.path().join("site"), &signer);
    let at_site = ca.party(&site());
    let served = serve(&at_site.credentials, Arc::clone(&receiver) as _);

    let (taken_over, own) = (ca.party(&relay()), ca.party(&collector("line-1")));
    let stolen = dir.path().join("stolen");
    let mischief = Arc::new(Mischief::new(&stolen, 7));
    let front = serve(&taken_over.credentials, Arc::clone(&mischief) as _);
    let _onwards = start_sending(Trays::one(&stolen), &served.address.to_string(), &taken_over.credentials);

    let sent: BTreeSet<_> = (0..60).map(|it| signer.bundle(100 + 40 * it)).collect();
    let tray = dir.path().join("tray");
    let _sending = start_sending(Trays::one(&tray), &front.address.to_string(), &own.credentials);
    let mut rounds = 0;
    while !receiver.has(&sent) {
        rounds += 1;
        assert!(rounds < 30, "what is repeated comes through at last");
        fill(&tray, sent.difference(&receiver.believed.lock().unwrap().clone()));
        until("a round is over", || is_empty(&tray) && is_empty(&stolen)).await;
    }
    assert_eq!(*receiver.believed.lock().unwrap(), sent, "nothing that was altered counts");
    let (refused, played) = (receiver.refused.lock().unwrap().len(), mischief.played());
    println!("{rounds} rounds; {played:?}; {refused} refused");
    assert!(
        refused > 0 && played.dropped > 0 && played.repeated > 0 && played.held > 0 && played.altered > 0
    );
}
