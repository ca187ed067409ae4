//! Two hops on loopback, and what strangers, thieves and full disks make of them.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdpoint_common::bundle::MAX_OBJECT;
use holdpoint_common::clock::{Clock, SetClock, SystemClock};
use holdpoint_common::conduit::Party;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::carrier::tray::{Emptier, Filler, Limits as TrayLimits};
use crate::conduit::testing::{Ca, Held, Signer, collector, name, relay, site, until};
use crate::conduit::{Credentials, REVOKED_FILE, tls};

const QUICK: Timing = Timing {
    look: Duration::from_millis(10),
    settle: Duration::from_millis(50),
    handshake: Duration::from_secs(5),
    stall: Duration::from_secs(5),
    idle: Duration::from_millis(200),
    recheck: Duration::from_secs(10),
    retry_first: Duration::from_millis(20),
    retry_most: Duration::from_millis(100),
};

/// Keeps what it gets.
#[derive(Default)]
struct Shelf {
    objects: Mutex<Vec<Vec<u8>>>,
    is_full: AtomicBool,
    /// Reads an object and never comes back with it.
    is_stuck: AtomicBool,
}

impl Shelf {
    fn count(&self) -> usize {
        self.objects.lock().unwrap().len()
    }
}

impl Sink for Shelf {
    fn admits(&self, party: &Party) -> bool {
        *party != collector("line-9")
    }

    fn has_room(&self, _: &Party, _: u64) -> bool {
        !self.is_full.load(Ordering::SeqCst)
    }

    fn take(&self, _: &Party, object: Vec<u8>) -> Took {
        while self.is_stuck.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.objects.lock().unwrap().push(object);
        Took::Kept
    }
}

struct Served {
    address: SocketAddr,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
    _stop: watch::Sender<bool>,
}

fn serve(own: &Credentials, limits: Limits, sink: Arc<dyn Sink>) -> Served {
    serve_at("127.0.0.1:0".parse().unwrap(), own, limits, sink)
}

fn serve_at(at: SocketAddr, own: &Credentials, limits: Limits, sink: Arc<dyn Sink>) -> Served {
    let listener = Listener::bind(at, own, Arc::new(SystemClock), limits, sink).unwrap();
    let (address, counters) = (listener.local_addr().unwrap(), listener.counters());
    let (stop, stopped) = watch::channel(false);
    Served { address, counters, task: tokio::spawn(listener.run(stopped)), _stop: stop }
}

fn start(tray: &Path, to: SocketAddr, own: &Held) -> (watch::Sender<bool>, watch::Receiver<Sent>) {
    let to = to.to_string().parse().unwrap();
    let sender = Sender::new(Trays::one(tray), to, &own.credentials, Arc::new(SystemClock), QUICK).unwrap();
    let (stop, stopped) = watch::channel(false);
    let sent = sender.sent();
    tokio::spawn(sender.run(stopped));
    (stop, sent)
}

fn fill(tray: &Path, objects: &[Vec<u8>]) {
    let mut filler = Filler::open(tray, TrayLimits::default()).unwrap();
    for it in objects {
        filler.put(it).unwrap();
    }
}

fn lying(tray: &Path) -> usize {
    Emptier::new(tray).places().unwrap().len()
}

/// A caller that knows the handshake and nothing of manners.
async fn call(own: &Credentials, to: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
    let config = tls::client_config(own, Arc::new(SystemClock), Arc::new(|_| true), PROTOCOL).unwrap();
    let tcp = TcpStream::connect(to).await?;
    let name = ServerName::try_from("x.invalid").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    // Let in, or an alert.
    assert_eq!(stream.read(&mut [0; 1]).await?, 0);
    Ok(stream)
}

/// Passes bytes on and counts those that come back.
async fn counting_proxy(to: SocketAddr) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let back = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&back);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(to).await else { continue };
            let counter = Arc::clone(&counter);
            let ((mut near_read, mut near_write), (mut far_read, mut far_write)) =
                (near.into_split(), far.into_split());
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok(read @ 1..) = far_read.read(&mut buffer).await {
                    counter.fetch_add(u64::try_from(read).unwrap(), Ordering::SeqCst);
                    if near_write.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
                let _ = near_write.shutdown().await;
            });
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut near_read, &mut far_write).await;
                let _ = far_write.shutdown().await;
            });
        }
    });
    (address, back)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_bytes_come_back_for_a_kilobyte_as_for_many_megabytes() {
    let ca = Ca::new();
    let (own, zone) = (ca.party(&relay()), ca.party(&collector("line-1")));
    let many = if cfg!(debug_assertions) { 20_000_000 } else { 100_000_000 };
    let mut counted = BTreeSet::new();
    for total in [1_000, 1_000, 50_000, many] {
        let shelf = Arc::new(Shelf::default());
        let served = serve(&own.credentials, Limits::default(), Arc::clone(&shelf) as _);
        let (proxy, back) = counting_proxy(served.address).await;
        let tray = tempfile::tempdir().unwrap();
        let objects: Vec<_> =
            (0..total.min(4)).map(|it| vec![u8::try_from(it).unwrap(); total / total.min(4)]).collect();
        fill(tray.path(), &objects);
        let (_stop, sent) = start(tray.path(), proxy, &zone);
        until("all arrive", || shelf.count() == objects.len() && lying(tray.path()) == 0).await;
        assert_eq!(*shelf.objects.lock().unwrap(), objects);
        until("it is told", || sent.borrow().bytes == u64::try_from(total).unwrap()).await;
        counted.insert(back.load(Ordering::SeqCst));
    }
    println!("bytes towards the zone per connection: {counted:?}");
    assert_eq!(counted.len(), 1, "{counted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_comes_back_whatever_is_sent_after_the_handshake() {
    let ca = Ca::new();
    let (own, zone) = (ca.party(&relay()), ca.party(&collector("line-1")));
    let shelf = Arc::new(Shelf::default());
    let served = serve(&own.credentials, Limits::default(), Arc::clone(&shelf) as _);
    let (proxy, back) = counting_proxy(served.address).await;
    let mut after_handshake = BTreeSet::new();
    for mischief in 0..8 {
        let before = back.load(Ordering::SeqCst);
        let mut stream = call(&zone.credentials, proxy).await.unwrap();
        let handshake = back.load(Ordering::SeqCst) - before;
        let frame = [&frame::header(3).unwrap()[..], b"abc"].concat();
        match mischief {
            // Key updates, each asking for one in return.
            0 => {
                for _ in 0..5 {
                    stream.write_all(&frame).await.unwrap();
                    stream.get_mut().1.refresh_traffic_keys().unwrap();
                }
                let _ = stream.flush().await;
                until("frames arrive", || shelf.count() == 5).await;
            }
            // A frame that is none.
            1 => stream.write_all(&[0xff; 8]).await.unwrap(),
            2 => stream.write_all(&[0; 4]).await.unwrap(),
            // Cut in the middle, with a word and without.
            3 => {
                stream.write_all(&frame[..5]).await.unwrap();
                stream.shutdown().await.unwrap();
            }
            4 => stream.write_all(&frame[..5]).await.unwrap(),
            // Nothing that TLS understands.
            5 => stream.get_mut().0.write_all(&[0x17, 3, 3, 0, 32, 7, 7, 7, 7, 7]).await.unwrap(),
            6 => stream.get_mut().0.write_all(&[0x17; 100]).await.unwrap(),
            // A record that was changed on the way.
            _ => stream.get_mut().0.write_all(&[&[0x17, 3, 3, 0, 32][..], &[9; 32]].concat()).await.unwrap(),
        }
        let _ = stream.flush().await;
        drop(stream);
        until("it is over", || served.counters.broken.load(Ordering::SeqCst) >= mischief).await;
        after_handshake.insert(back.load(Ordering::SeqCst) - before - handshake);
        assert!(handshake > 0);
    }
    assert_eq!(after_handshake.into_iter().collect::<Vec<_>>(), [0]);
    assert_eq!(shelf.count(), 5, "no part of an object is an object");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_those_are_let_in_who_may_send_here_and_now() {
    let ca = Ca::new();
    let own = ca.party(&relay());
    let shelf = Arc::new(Shelf::default());
    let served = serve(&own.credentials, Limits::default(), Arc::clone(&shelf) as _);
    let day = 86_400_000;
    let now = SystemClock.now_ms();
    let good = ca.party(&collector("line-1"));
    assert!(call(&good.credentials, served.address).await.is_ok());

    let operator = Party::SiteOperator { site: name("plant"), name: name("anna") };
    let other_site =
        Party::Collector(holdpoint_common::identity::ZoneName { site: name("other"), zone: name("line-1") });
    let other_dir = tempfile::tempdir().unwrap();
    let other = crate::conduit::Authority::found(other_dir.path(), &name("other"), now).unwrap();
    let other = Ca { dir: other_dir, authority: other };
    for (who, refused) in [
        ("of another authority", Ca::new().party(&collector("line-1"))),
        ("of another site", other.party(&other_site)),
        ("an operator", ca.party(&operator)),
        ("another relay", ca.party(&Party::Relay { site: name("plant"), name: name("dmz-2") })),
        ("a zone that is not admitted", ca.party(&collector("line-9"))),
        ("expired", ca.party_at(&collector("line-1"), now - 3 * day / 4, 0)),
        ("not yet valid", ca.party_at(&collector("line-1"), now + 2 * day, 30)),
    ] {
        // It trusts this authority, whoever signed it.
        let mut credentials = refused.credentials.clone();
        credentials.ca.clone_from(&good.credentials.ca);
        let refusal = call(&credentials, served.address).await;
        assert!(refusal.is_err(), "{who}");
    }

    // From the next connection on, and for as long as the line stands.
    let list = own.dir.path().join(REVOKED_FILE);
    std::fs::write(&list, format!("{} stolen\n", good.credentials.leaf.fingerprint)).unwrap();
    assert!(call(&good.credentials, served.address).await.is_err());
    std::fs::write(&list, "no fingerprint\n").unwrap();
    assert!(call(&good.credentials, served.address).await.is_err(), "a damaged list lets nobody in");
    std::fs::remove_file(&list).unwrap();
    assert!(call(&good.credentials, served.address).await.is_ok());
    assert_eq!(shelf.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_revoked_while_connected_is_out() {
    let ca = Ca::new();
    let (own, zone) = (ca.party(&relay()), ca.party(&collector("line-1")));
    let limits = Limits { recheck: Duration::ZERO, ..Limits::default() };
    let shelf = Arc::new(Shelf::default());
    let served = serve(&own.credentials, limits, Arc::clone(&shelf) as _);
    let frame = [&frame::header(3).unwrap()[..], b"abc"].concat();
    let mut stream = call(&zone.credentials, served.address).await.unwrap();
    stream.write_all(&frame).await.unwrap();
    until("it arrives", || shelf.count() == 1).await;
    let line = format!("{}\n", zone.credentials.leaf.fingerprint);
    std::fs::write(own.dir.path().join(REVOKED_FILE), line).unwrap();
    stream.write_all(&frame).await.unwrap();
    until("it is out", || served.counters.broken.load(Ordering::SeqCst) == 1).await;
    assert_eq!(shelf.count(), 1);

    // And a relay that the zone has revoked gets no more of it.
    std::fs::remove_file(own.dir.path().join(REVOKED_FILE)).unwrap();
    let tray = tempfile::tempdir().unwrap();
    fill(tray.path(), &[b"first".to_vec()]);
    let to = served.address.to_string().parse().unwrap();
    let timing = Timing { recheck: Duration::ZERO, idle: Duration::from_mins(1), ..QUICK };
    let sender =
        Sender::new(Trays::one(tray.path()), to, &zone.credentials, Arc::new(SystemClock), timing).unwrap();
    let sent = sender.sent();
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(sender.run(stopped));
    until("the first is sent", || sent.borrow().objects == 1).await;
    let line = format!("{}\n", own.credentials.leaf.fingerprint);
    std::fs::write(zone.dir.path().join(REVOKED_FILE), line).unwrap();
    until("it is not believed", || sent.borrow().trouble.is_some()).await;
    fill(tray.path(), &[b"second".to_vec()]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((shelf.count(), lying(tray.path())), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_gives_nothing_to_whom_it_does_not_believe() {
    let ca = Ca::new();
    let zone = ca.party(&collector("line-1"));
    let tray = tempfile::tempdir().unwrap();
    fill(tray.path(), &[b"object".to_vec()]);
    let shelf = Arc::new(Shelf::default());

    // Another authority's relay; and one of this authority that is revoked here.
    let stranger = Ca::new().party(&relay());
    let revoked = ca.party(&relay());
    let list = format!("{}\n", revoked.credentials.leaf.fingerprint);
    std::fs::write(zone.dir.path().join(REVOKED_FILE), list).unwrap();
    for own in [&stranger, &revoked] {
        let mut credentials = own.credentials.clone();
        credentials.ca.clone_from(&zone.credentials.ca);
        let served = serve(&credentials, Limits::default(), Arc::clone(&shelf) as _);
        let (_stop, sent) = start(tray.path(), served.address, &zone);
        until("it fails", || sent.borrow().trouble.is_some()).await;
        assert!(sent.borrow().trouble.as_ref().unwrap().contains("no handshake"), "{:?}", sent.borrow());
    }
    // Past the end of the relay's certificate, by the sender's own clock.
    let served = serve(&ca.party(&relay()).credentials, Limits::default(), Arc::clone(&shelf) as _);
    let later = Arc::new(SetClock::new(SystemClock.now_ms() + 90 * 86_400_000));
    let to = served.address.to_string().parse().unwrap();
    let sender = Sender::new(Trays::one(tray.path()), to, &zone.credentials, later, QUICK).unwrap();
    let sent = sender.sent();
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(sender.run(stopped));
    until("it fails", || sent.borrow().trouble.is_some()).await;
    assert_eq!((shelf.count(), lying(tray.path())), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_talks_or_says_nothing_is_left() {
    let ca = Ca::new();
    let (own, zone) = (ca.party(&relay()), ca.party(&collector("line-1")));
    let tray = tempfile::tempdir().unwrap();
    fill(tray.path(), &[b"object".to_vec()]);
    // A server that answers after the handshake.
    let admits = Arc::new(|_: &Party| true);
    let config = tls::server_config(&own.credentials, Arc::new(SystemClock), admits, PROTOCOL).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let talks = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
            let _ = stream.write_all(b"welcome").await;
        }
    });
    let (_stop, sent) = start(tray.path(), talks, &zone);
    until("it fails", || sent.borrow().trouble.as_ref().is_some_and(|it| it.contains("sends something")))
        .await;

    // One that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = silent.local_addr().unwrap().to_string().parse().unwrap();
    let timing = Timing { handshake: Duration::from_millis(100), ..QUICK };
    let sender =
        Sender::new(Trays::one(tray.path()), to, &zone.credentials, Arc::new(SystemClock), timing).unwrap();
    let sent = sender.sent();
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(sender.run(stopped));
    until("it fails", || sent.borrow().trouble.is_some()).await;
    assert_eq!(lying(tray.path()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_silent_and_many_callers_do_not_keep_others_out() {
    let ca = Ca::new();
    let (own, zone) = (ca.party(&relay()), ca.party(&collector("line-1")));
    let limits = Limits {
        per_party: 2,
        handshakes: 8,
        per_address: 4,
        handshake: Duration::from_millis(300),
        idle: Duration::from_millis(300),
        grace: Duration::from_millis(300),
        slowest: 1_000_000,
        ..Limits::default()
    };
    let shelf = Arc::new(Shelf::default());
    let served = serve(&own.credentials, limits, Arc::clone(&shelf) as _);
    let count = |it: &AtomicU64| it.load(Ordering::SeqCst);

    // Strangers that say nothing: as many as the address may have, and the rest is closed at once.
    let mut strangers = Vec::new();
    for _ in 0..10 {
        strangers.push(TcpStream::connect(served.address).await.unwrap());
    }
    until("some are closed", || count(&served.counters.over_cap) == 6).await;
    until("the others run out of time", || count(&served.counters.strangers) == 4).await;

    // One that is silent after the handshake, one that dribbles: they hold the two places, and time ends both.
    let silent = call(&zone.credentials, served.address).await.unwrap();
    let mut slow = call(&zone.credentials, served.address).await.unwrap();
    slow.write_all(&frame::header(1_000).unwrap()).await.unwrap();
    slow.write_all(b"a").await.unwrap();
    until("both are in", || count(&served.counters.admitted) == 2).await;
    drop(call(&zone.credentials, served.address).await);
    until("a third is too many", || count(&served.counters.over_cap) == 7).await;
    until("both are out", || count(&served.counters.broken) == 2).await;
    drop((silent, slow));

    // And an honest one is served.
    let mut honest = call(&zone.credentials, served.address).await.unwrap();
    honest.write_all(&[&frame::header(3).unwrap()[..], b"abc"].concat()).await.unwrap();
    until("it arrives", || shelf.count() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_objects_share_a_bounded_memory_and_small_ones_need_none_of_it() {
    let ca = Ca::new();
    let (own, zone) = (ca.party(&relay()), ca.party(&collector("line-1")));
    // Room for one object of the largest size.
    let limits = Limits { memory: MAX_OBJECT, grace: Duration::from_millis(300), ..Limits::default() };
    let shelf = Arc::new(Shelf::default());
    let served = serve(&own.credentials, limits, Arc::clone(&shelf) as _);
    let mut first = call(&zone.credentials, served.address).await.unwrap();
    first.write_all(&frame::header(MAX_OBJECT).unwrap()).await.unwrap();
    first.write_all(&[7; 1_000]).await.unwrap();
    // The second large one finds no memory and is sent away; a small one needs none.
    let mut second = call(&zone.credentials, served.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    second.write_all(&frame::header(MAX_OBJECT).unwrap()).await.unwrap();
    let mut small = call(&zone.credentials, served.address).await.unwrap();
    small.write_all(&[&frame::header(3).unwrap()[..], b"abc"].concat()).await.unwrap();
    until("the small one arrives", || shelf.count() == 1).await;
    until("the second is sent away", || served.counters.no_room.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_nothing_is_read_and_nothing_is_lost() {
    let ca = Ca::new();
    let (own, zone) = (ca.party(&relay()), ca.party(&collector("line-1")));
    let shelf = Arc::new(Shelf::default());
    shelf.is_full.store(true, Ordering::SeqCst);
    let served = serve(&own.credentials, Limits::default(), Arc::clone(&shelf) as _);
    let tray = tempfile::tempdir().unwrap();
    let objects: Vec<_> = (0..20).map(|it| vec![it; 10_000]).collect();
    fill(tray.path(), &objects);
    let (_stop, sent) = start(tray.path(), served.address, &zone);
    until("it is turned away a few times", || served.counters.no_room.load(Ordering::SeqCst) > 2).await;
    assert_eq!((lying(tray.path()), sent.borrow().objects), (20, 0));
    shelf.is_full.store(false, Ordering::SeqCst);
    until("all arrive", || lying(tray.path()) == 0).await;
    let arrived: BTreeSet<_> = shelf.objects.lock().unwrap().iter().cloned().collect();
    assert_eq!(arrived, objects.into_iter().collect());
}

#[tokio::test]
async fn a_sender_that_nobody_can_stop_any_more_stops() {
    let ca = Ca::new();
    let (own, tray) = (ca.party(&collector("line-1")), tempfile::tempdir().unwrap());
    let to = "127.0.0.1:1".parse().unwrap();
    let sender =
        Sender::new(Trays::one(tray.path()), to, &own.credentials, Arc::new(SystemClock), QUICK).unwrap();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(sender.run(stopped));
    drop(stop);
    tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_relay_had_read_and_not_kept_is_sent_again() {
    let ca = Ca::new();
    let (own, zone) = (ca.party(&relay()), ca.party(&collector("line-1")));
    let tray = tempfile::tempdir().unwrap();
    fill(tray.path(), &[b"one".to_vec(), vec![2; 300_000], b"three".to_vec()]);
    let lost = Arc::new(Shelf::default());
    lost.is_stuck.store(true, Ordering::SeqCst);
    let timing = Timing { settle: Duration::from_secs(1), ..QUICK };
    let served = serve(&own.credentials, Limits::default(), Arc::clone(&lost) as _);
    let to = served.address.to_string().parse().unwrap();
    let sender =
        Sender::new(Trays::one(tray.path()), to, &zone.credentials, Arc::new(SystemClock), timing).unwrap();
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(sender.run(stopped));
    until("it is connected", || served.counters.admitted.load(Ordering::SeqCst) == 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    served.task.abort();
    let _ = served.task.await;
    assert_eq!(lying(tray.path()), 3, "nothing has left the tray on the word of a kernel");

    let shelf = Arc::new(Shelf::default());
    let again = serve_at(served.address, &own.credentials, Limits::default(), Arc::clone(&shelf) as _);
    until("all arrive", || lying(tray.path()) == 0).await;
    assert!(shelf.count() >= 3 && again.counters.objects.load(Ordering::SeqCst) >= 3);
    lost.is_stuck.store(false, Ordering::SeqCst);
}

/// A relay's directory with its two certificates, and the zone `line-1` enrolled.
struct Dmz {
    dir: tempfile::TempDir,
    signer: Signer,
}

const SITES: [&str; 2] = ["plant-site", "enterprise"];

impl Dmz {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let signer = Signer::new("line-1");
        signer.enrol(dir.path());
        Self { dir, signer }
    }

    fn desk(&self, tray: TrayLimits) -> Desk {
        self.bounded(Bounds { tray, total: u64::MAX, keep_free: 0 })
    }

    fn bounded(&self, bounds: Bounds) -> Desk {
        Desk::open(self.dir.path(), &name("plant"), &SITES.map(name), bounds).unwrap()
    }

    fn spool(&self, site: &str) -> std::path::PathBuf {
        self.dir.path().join("spool").join(site)
    }

    fn lying(&self, site: &str) -> usize {
        lying(&self.spool(site).join("line-1"))
    }
}

#[test]
fn only_what_a_zone_signed_itself_is_laid_down_for_every_site() {
    let mut dmz = Dmz::new();
    let desk = dmz.desk(TrayLimits::default());
    let from = collector("line-1");
    assert!(desk.admits(&from));
    assert!(!desk.admits(&collector("line-2")) && !desk.admits(&site()));
    let good = dmz.signer.bundle(500);
    assert_eq!(desk.take(&from, good.clone()), Took::Kept);
    assert_eq!(desk.take(&from, good.clone()), Took::Kept, "a repetition is as good");
    assert_eq!(SITES.map(|it| dmz.lying(it)), [1, 1]);

    for at in (0..good.len()).step_by(7) {
        let mut changed = good.clone();
        changed[at] ^= 1;
        assert_eq!(desk.take(&from, changed), Took::Refused, "byte {at}");
    }
    assert_eq!(desk.take(&from, good[..good.len() - 1].to_vec()), Took::Refused);
    assert_eq!(desk.take(&from, [good.as_slice(), b"x"].concat()), Took::Refused);
    assert_eq!(desk.take(&from, b"no object".to_vec()), Took::Refused);
    // A good object of a zone that is not the one of the certificate.
    let mut other = Signer::new("line-2");
    other.enrol(dmz.dir.path());
    assert!(desk.admits(&collector("line-2")), "enrolled while it runs");
    assert_eq!(desk.take(&from, other.bundle(500)), Took::Refused);
    assert_eq!(desk.take(&collector("line-2"), other.bundle(500)), Took::Kept);
    assert_eq!(SITES.map(|it| dmz.lying(it)), [1, 1]);
    assert_eq!(
        desk.tally().unknown_keys.load(Ordering::SeqCst) > 0,
        lying(&dmz.dir.path().join("quarantine")) > 0
    );

    std::fs::remove_file(dmz.dir.path().join("zones").join("line-2.zone")).unwrap();
    assert!(!desk.admits(&collector("line-2")), "given up while it runs");
    assert_eq!(desk.take(&collector("line-2"), other.bundle(500)), Took::Refused);
}

#[test]
fn a_zone_cannot_fill_what_is_for_another_and_a_dead_site_not_what_is_for_another() {
    let mut dmz = Dmz::new();
    let mut other = Signer::new("line-2");
    other.enrol(dmz.dir.path());
    let desk = dmz.desk(TrayLimits { bytes: 1_000_000, objects: 2 });
    let (one, two) = (collector("line-1"), collector("line-2"));
    for _ in 0..2 {
        assert_eq!(desk.take(&one, dmz.signer.bundle(100)), Took::Kept);
    }
    assert!(!desk.has_room(&one, 1) && desk.has_room(&two, 1));
    assert_eq!(desk.take(&one, dmz.signer.bundle(100)), Took::NoRoom);
    assert_eq!(desk.take(&two, other.bundle(100)), Took::Kept);

    // One site empties its tray, the other does not.
    let emptier = Emptier::new(&dmz.spool(SITES[0]).join("line-1"));
    emptier.places().unwrap().iter().for_each(|it| emptier.remove(it).unwrap());
    assert!(desk.has_room(&one, 1));
    assert_eq!(desk.take(&one, dmz.signer.bundle(100)), Took::Kept);
    assert_eq!(SITES.map(|it| dmz.lying(it)), [1, 2]);
    assert!(desk.tally().passed_over.load(Ordering::SeqCst) > 0);
}

#[test]
fn all_zones_together_and_the_disk_are_bounded_too() {
    let mut dmz = Dmz::new();
    let from = collector("line-1");
    let bounds = Bounds { tray: TrayLimits::default(), total: 10_000, keep_free: 0 };
    let desk = dmz.bounded(bounds);
    assert!(desk.has_room(&from, 5_000) && !desk.has_room(&from, 5_001), "it lies there for each site");
    assert_eq!(desk.take(&from, dmz.signer.bundle(3_000)), Took::Kept);
    assert!(!desk.has_room(&from, 3_000));
    let emptier = Emptier::new(&dmz.spool(SITES[0]).join("line-1"));
    emptier.places().unwrap().iter().for_each(|it| emptier.remove(it).unwrap());
    assert!(desk.has_room(&from, 3_000));
    drop(desk);
    assert!(!dmz.bounded(Bounds { keep_free: u64::MAX, ..bounds }).has_room(&from, 1));
}

#[test]
fn a_disk_that_does_not_write_is_no_room() {
    let mut dmz = Dmz::new();
    let desk = dmz.desk(TrayLimits::default());
    let from = collector("line-1");
    let trays = SITES.map(|it| dmz.spool(it).join("line-1"));
    for tray in &trays {
        std::fs::remove_dir(tray).unwrap();
    }
    let object = dmz.signer.bundle(100);
    assert_eq!(desk.take(&from, object.clone()), Took::NoRoom);
    std::fs::create_dir(&trays[1]).unwrap();
    assert_eq!(desk.take(&from, object.clone()), Took::Kept, "one site has it");
    std::fs::create_dir(&trays[0]).unwrap();
    assert_eq!(desk.take(&from, object), Took::Kept);
    assert_eq!(SITES.map(|it| dmz.lying(it)), [1, 1]);
}

#[test]
fn a_relay_follows_the_keys_of_a_zone_and_remembers_them() {
    let mut dmz = Dmz::new();
    let desk = dmz.desk(TrayLimits::default());
    let from = collector("line-1");
    let first = dmz.signer.bundle(100);
    let statement = dmz.signer.rotate();
    let second = dmz.signer.bundle(100);
    assert_eq!(desk.take(&from, second.clone()), Took::Refused, "its key is not known yet");
    assert_eq!(desk.tally().unknown_keys.load(Ordering::SeqCst), 1);
    assert_eq!(desk.take(&from, statement.clone()), Took::Kept);
    assert_eq!(desk.take(&from, statement.clone()), Took::Kept, "repeated for those behind");
    assert_eq!(desk.take(&from, second), Took::Kept);
    assert_eq!(desk.take(&from, first), Took::Kept, "late, and of the key before");
    assert_eq!(SITES.map(|it| dmz.lying(it)), [3, 3], "the statement travels too");

    // A statement by somebody else.
    let mut thief = Signer::new("line-1");
    assert_eq!(desk.take(&from, thief.enrolment().statement), Took::Refused);
    assert_eq!(desk.take(&from, thief.rotate()), Took::Refused);

    drop(desk);
    let again = dmz.desk(TrayLimits::default());
    assert_eq!(again.take(&from, dmz.signer.bundle(100)), Took::Kept, "remembered");
    for _ in 0..3 {
        let statement = dmz.signer.rotate();
        assert_eq!(again.take(&from, statement), Took::Kept);
    }
    drop(again);
    let third = dmz.desk(TrayLimits::default());
    assert_eq!(third.take(&from, dmz.signer.bundle(100)), Took::Kept);

    // Set up anew, with other keys under the same name: what was learned of the old ones is of no use.
    drop(third);
    dmz.signer = Signer::new("line-1");
    dmz.signer.enrol(dmz.dir.path());
    let anew = dmz.desk(TrayLimits::default());
    assert_eq!(anew.take(&from, dmz.signer.bundle(100)), Took::Kept);
}

#[test]
fn a_kill_in_the_middle_of_a_write_leaves_no_half_object() {
    let mut dmz = Dmz::new();
    let object = dmz.signer.bundle(1_000);
    drop(dmz.desk(TrayLimits::default()));
    let tray = dmz.spool(SITES[0]).join("line-1");
    let name = format!("{:016x}-{}.bundle.new", 0, "0".repeat(32));
    std::fs::write(tray.join(name), &object[..100]).unwrap();
    let desk = dmz.desk(TrayLimits::default());
    assert_eq!(std::fs::read_dir(&tray).unwrap().count(), 0);
    assert_eq!(desk.take(&collector("line-1"), object.clone()), Took::Kept);
    let emptier = Emptier::new(&tray);
    assert_eq!(emptier.read(&emptier.places().unwrap()[0]).unwrap().unwrap(), object);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_zone_through_a_relay_to_two_sites() {
    let ca = Ca::new();
    let mut dmz = Dmz::new();
    let (own, zone, at_site) = (ca.party(&relay()), ca.party(&collector("line-1")), ca.party(&site()));
    let desk = Arc::new(dmz.desk(TrayLimits::default()));
    let served = serve(&own.credentials, Limits::default(), Arc::clone(&desk) as _);
    let shelves = [Arc::new(Shelf::default()), Arc::new(Shelf::default())];
    let mut held = Vec::new();
    for (shelf, destination) in shelves.iter().zip(SITES) {
        let site = serve(&at_site.credentials, Limits::default(), Arc::clone(shelf) as _);
        let trays = Trays::below(&dmz.spool(destination));
        let to = site.address.to_string().parse().unwrap();
        let sender = Sender::new(trays, to, &own.credentials, Arc::new(SystemClock), QUICK).unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(sender.run(stopped));
        held.push((site, stop));
    }
    let tray = tempfile::tempdir().unwrap();
    let mut objects: Vec<_> = (0..10).map(|_| dmz.signer.bundle(3_000)).collect();
    objects.push(dmz.signer.rotate());
    objects.push(dmz.signer.bundle(2_000_000));
    fill(tray.path(), &objects);
    let (_stop, _) = start(tray.path(), served.address, &zone);
    until("both sites have all", || shelves.iter().all(|it| it.count() == objects.len())).await;
    for shelf in &shelves {
        assert_eq!(*shelf.objects.lock().unwrap(), objects, "as they were sent, and in their order");
    }
    until("nothing stays behind", || SITES.iter().all(|it| dmz.lying(it) == 0)).await;

    // A zone may not be told from a relay at the site, but no site is called by another one.
    assert!(call(&at_site.credentials, served.address).await.is_err());
}
