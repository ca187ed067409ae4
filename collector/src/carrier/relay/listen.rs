//! The side that is called: lets callers in, reads their objects, and hands each to a [`Sink`].
//!
//! A stranger can hold a place among the handshakes for some seconds and nothing else. Who was let in is bounded in
//! connections, in objects and bytes a minute, in time for each object, and in memory: a small object costs what
//! it is, a large one waits for its part of a common budget, and bytes are kept as they arrive, never for the
//! length that was announced.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::hash::Hash;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdpoint_common::bundle::MAX_OBJECT;
use holdpoint_common::clock::Clock;
use holdpoint_common::conduit::Party;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::PROTOCOL;
use super::frame::{self, HEADER, InvalidFrame};
use super::incoming::Incoming;
use super::pace::{Bucket, Rate};
use crate::conduit::{ConduitError, Credentials, PartyLeaf, tls};

/// Objects up to this size need no part of the common budget.
const SMALL: usize = 64 * 1024;
/// The budget is counted in these.
const UNIT: usize = 1024;
/// Bytes that the kernel keeps of a connection before they are read: what a killed process loses at most of it.
const RECEIVE_BUFFER: u32 = 256 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;
/// Pause when the process has no file descriptor left, instead of spinning.
const PAUSE: Duration = Duration::from_millis(20);

/// What becomes of objects that arrive. Everything but `admits` may block.
pub trait Sink: Send + Sync + 'static {
    /// Whether this party may send here. Asked in the handshake.
    fn admits(&self, party: &Party) -> bool;

    /// Whether an object of so many bytes could be kept now. Asked before its first byte is read.
    fn has_room(&self, from: &Party, bytes: u64) -> bool {
        let _ = (from, bytes);
        true
    }

    /// Takes an object. When this says [`Took::Kept`], the object is durable.
    fn take(&self, from: &Party, object: Vec<u8>) -> Took;
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Took {
    /// It is kept, or was kept before.
    Kept,
    /// It is not one that counts. The next one may.
    Refused,
    /// There is no room, or no working disk: the connection ends, and its caller tries again later.
    NoRoom,
}

/// What callers may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most connections that were let in.
    pub connections: usize,
    /// Most of them of one party.
    pub per_party: usize,
    /// Most handshakes at once.
    pub handshakes: usize,
    /// Most of them from one address.
    pub per_address: usize,
    /// Largest object, bytes.
    pub object: usize,
    /// Memory for all objects over 64 KiB that are on their way, bytes. One that is judged is held twice for that
    /// moment.
    pub memory: usize,
    /// Time for a handshake.
    pub handshake: Duration,
    /// How long a caller may be silent between two objects.
    pub idle: Duration,
    /// Time for an object, besides what its size takes at `slowest`.
    pub grace: Duration,
    /// Slowest rate at which an object may arrive, bytes a second.
    pub slowest: u32,
    /// How often it is asked again whether a caller may still be here.
    pub recheck: Duration,
    /// Objects of one party in a minute.
    pub objects_per_minute: u32,
    /// Bytes of one party in a minute.
    pub bytes_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            per_party: 8,
            handshakes: 256,
            per_address: 16,
            object: MAX_OBJECT,
            memory: 256 * 1024 * 1024,
            handshake: Duration::from_secs(10),
            idle: Duration::from_mins(5),
            grace: Duration::from_secs(30),
            slowest: 4_096,
            recheck: Duration::from_secs(10),
            objects_per_minute: 6_000,
            bytes_per_minute: 600_000_000,
        }
    }
}

/// What happened since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections that were let in.
    pub admitted: AtomicU64,
    /// Handshakes that came to nothing: strangers, refused certificates, silence.
    pub strangers: AtomicU64,
    /// Connections that were closed because there were too many.
    pub over_cap: AtomicU64,
    /// Objects that were kept.
    pub objects: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Objects that do not count.
    pub refused: AtomicU64,
    /// Connections that were ended for want of room.
    pub no_room: AtomicU64,
    /// Connections that ended in the middle of an object, or with something that is none.
    pub broken: AtomicU64,
}

/// Why nobody can be listened to.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Conduit(#[from] ConduitError),
}

/// A port that is open and does not serve yet.
pub struct Listener {
    tcp: TcpListener,
    port: Arc<Port>,
}

struct Port {
    config: Arc<ServerConfig>,
    own: Credentials,
    clock: Arc<dyn Clock>,
    admits: tls::Admits,
    limits: Limits,
    sink: Arc<dyn Sink>,
    counters: Arc<Counters>,
    handshakes: Arc<Places<IpAddr>>,
    parties: Arc<Places<Party>>,
    memory: Arc<Semaphore>,
    buckets: Mutex<HashMap<Party, Bucket>>,
}

impl Listener {
    /// Opens a port for those that `sink` admits; to be called inside a runtime.
    ///
    /// # Errors
    /// The address or the certificate cannot be used.
    pub fn bind(
        address: SocketAddr,
        own: &Credentials,
        clock: Arc<dyn Clock>,
        limits: Limits,
        sink: Arc<dyn Sink>,
    ) -> Result<Self, ListenError> {
        let admits: tls::Admits = {
            let (sink, party) = (Arc::clone(&sink), own.party.clone());
            Arc::new(move |it| it.delivers_to(&party) && sink.admits(it))
        };
        let config = Arc::new(tls::server_config(own, Arc::clone(&clock), Arc::clone(&admits), PROTOCOL)?);
        let tcp = open(address).map_err(|source| ListenError::Bind { address, source })?;
        let port = Port {
            config,
            own: own.clone(),
            clock,
            admits,
            limits,
            sink,
            counters: Arc::default(),
            handshakes: Places::new(limits.handshakes, limits.per_address),
            parties: Places::new(limits.connections, limits.per_party),
            memory: Arc::new(Semaphore::new(limits.memory / UNIT)),
            buckets: Mutex::default(),
        };
        Ok(Self { tcp, port: Arc::new(port) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// What happens, as it happens.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.port.counters)
    }

    /// Serves until told to stop; what is on its way then is dropped, and sent again later.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                Some(ended) = connections.join_next() => {
                    if ended.is_err() {
                        // A debug build of the TLS library stops at the alert that it is kept from sending.
                        count(&self.port.counters.broken, 1);
                        tracing::warn!("a connection ended by a panic");
                    }
                    continue;
                }
                _ = stopped.wait_for(|it| *it) => return,
            };
            match accepted {
                Ok((tcp, address)) => {
                    // An IPv4 peer of a dual-stack socket is the same host.
                    match self.port.handshakes.take(address.ip().to_canonical()) {
                        Some(place) => {
                            connections.spawn(Arc::clone(&self.port).serve(tcp, address, place));
                        }
                        None => count(&self.port.counters.over_cap, 1),
                    }
                }
                Err(cause) => {
                    tracing::debug!(error = &cause as &dyn StdError, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // Connections inherit it.
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Opens a port and serves until told to stop.
///
/// # Errors
/// The port cannot be opened.
pub async fn listen(
    address: SocketAddr,
    own: &Credentials,
    clock: Arc<dyn Clock>,
    limits: Limits,
    sink: Arc<dyn Sink>,
    stopped: watch::Receiver<bool>,
) -> Result<(), ListenError> {
    Listener::bind(address, own, clock, limits, sink)?.run(stopped).await;
    Ok(())
}

/// Why a connection ended otherwise than by its caller's word.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("there is no room")]
    NoRoom,
    #[error("it may not be here any more")]
    Distrust(#[from] tls::Distrust),
    #[error("it was silent for too long")]
    Silent,
    #[error("an object arrived too slowly")]
    Slow,
    #[error(transparent)]
    Frame(#[from] InvalidFrame),
    #[error("an object over the limit of {0} bytes")]
    TooLarge(usize),
    #[error("it broke")]
    Broken(#[from] io::Error),
}

impl Port {
    async fn serve(self: Arc<Self>, tcp: TcpStream, address: SocketAddr, place: Place<IpAddr>) {
        let (incoming, leaf) = match self.shake_hands(tcp).await {
            Ok(done) => done,
            Err(cause) => {
                count(&self.counters.strangers, 1);
                tracing::debug!(peer = %address, error = &cause as &dyn StdError, "handshake failed");
                return;
            }
        };
        drop(place);
        let party = leaf.party.clone();
        let Some(_held) = self.parties.take(party.clone()) else {
            count(&self.counters.over_cap, 1);
            tracing::warn!(%party, "too many connections");
            return;
        };
        count(&self.counters.admitted, 1);
        tracing::debug!(%party, peer = %address, "connection open");
        match self.read_all(incoming, &leaf).await {
            Ok(()) => tracing::debug!(%party, "connection done"),
            Err(cause) => {
                let counter = match cause {
                    Ended::NoRoom => &self.counters.no_room,
                    Ended::Distrust(_)
                    | Ended::Silent
                    | Ended::Slow
                    | Ended::Frame(_)
                    | Ended::TooLarge(_)
                    | Ended::Broken(_) => &self.counters.broken,
                };
                count(counter, 1);
                tracing::info!(%party, error = &cause as &dyn StdError, "connection ended");
            }
        }
    }

    async fn shake_hands(&self, tcp: TcpStream) -> io::Result<(Incoming, PartyLeaf)> {
        tcp.set_nodelay(true)?;
        let whole = async {
            let stream = TlsAcceptor::from(Arc::clone(&self.config)).accept(tcp).await?;
            let leaf = tls::party_of(stream.get_ref().1.peer_certificates());
            let leaf = leaf.ok_or_else(|| io::Error::from(io::ErrorKind::PermissionDenied))?;
            if stream.get_ref().1.alpn_protocol() != Some(PROTOCOL) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            Ok((Incoming::begin(stream).await?, leaf))
        };
        timeout(self.limits.handshake, whole).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// Reads objects until the caller says that no more come. Whatever this returns, the socket is closed next,
    /// and nothing is said.
    async fn read_all(&self, mut incoming: Incoming, leaf: &PartyLeaf) -> Result<(), Ended> {
        let (party, mut checked) = (&leaf.party, Instant::now());
        loop {
            // Asked before the header too: a caller that has not begun is as welcome to wait elsewhere.
            self.ask_for_room(party, 1).await?;
            let mut header = Vec::with_capacity(HEADER);
            let begun = timeout(self.limits.idle, incoming.fill(&mut header, HEADER));
            if !begun.await.map_err(|_| Ended::Silent)?? {
                return Ok(());
            }
            if checked.elapsed() >= self.limits.recheck {
                tls::still_counts(&self.own, &*self.clock, &*self.admits, leaf)?;
                checked = Instant::now();
            }
            let length = frame::length(header.try_into().unwrap_or_default())?;
            if length > self.limits.object {
                return Err(Ended::TooLarge(self.limits.object));
            }
            tokio::time::sleep(self.wait(party, length)).await;
            self.ask_for_room(party, u64::try_from(length).unwrap_or(u64::MAX)).await?;
            let units = if length > SMALL { length.div_ceil(UNIT) } else { 0 };
            let units = u32::try_from(units).unwrap_or(u32::MAX);
            let budget = timeout(self.limits.grace, Arc::clone(&self.memory).acquire_many_owned(units));
            let budget = budget.await.map_err(|_| Ended::NoRoom)?;

            let mut object = Vec::new();
            let whole = timeout(self.time_for(length), incoming.fill(&mut object, length));
            if !whole.await.map_err(|_| Ended::Slow)?? {
                return Err(Ended::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
            let (sink, from) = (Arc::clone(&self.sink), party.clone());
            let took = tokio::task::spawn_blocking(move || {
                let took = sink.take(&from, object);
                drop(budget);
                took
            });
            match took.await {
                Ok(Took::Kept) => {
                    count(&self.counters.objects, 1);
                    count(&self.counters.bytes, u64::try_from(length).unwrap_or(u64::MAX));
                }
                Ok(Took::Refused) => count(&self.counters.refused, 1),
                Ok(Took::NoRoom) => return Err(Ended::NoRoom),
                Err(panicked) => return Err(Ended::Broken(io::Error::other(panicked))),
            }
        }
    }

    async fn ask_for_room(&self, party: &Party, bytes: u64) -> Result<(), Ended> {
        let (sink, from) = (Arc::clone(&self.sink), party.clone());
        let asked = tokio::task::spawn_blocking(move || sink.has_room(&from, bytes)).await;
        if asked.is_ok_and(|it| it) { Ok(()) } else { Err(Ended::NoRoom) }
    }

    fn wait(&self, party: &Party, length: usize) -> Duration {
        let rate = Rate { objects: self.limits.objects_per_minute, bytes: self.limits.bytes_per_minute };
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // Parties come from certificates that were issued by hand: there are few.
        let bucket = buckets.entry(party.clone()).or_insert_with(|| Bucket::new(rate, now));
        bucket.take(rate, u32::try_from(length).unwrap_or(u32::MAX), now)
    }

    fn time_for(&self, length: usize) -> Duration {
        let slowest = u64::from(self.limits.slowest.max(1));
        self.limits.grace + Duration::from_secs(u64::try_from(length).unwrap_or(u64::MAX) / slowest)
    }
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// How many there are, in all and of each.
struct Places<K> {
    most: usize,
    most_of_one: usize,
    held: Mutex<HashMap<K, usize>>,
}

/// One place; given back when dropped.
struct Place<K: Eq + Hash> {
    places: Arc<Places<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Places<K> {
    fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_one, held: Mutex::default() })
    }

    fn take(self: &Arc<Self>, key: K) -> Option<Place<K>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = held.get(&key).copied().unwrap_or(0);
        if of_one >= self.most_of_one || held.values().sum::<usize>() >= self.most {
            return None;
        }
        held.insert(key.clone(), of_one + 1);
        Some(Place { places: Arc::clone(self), key })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut held = self.places.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.key) {
            Some(more) if *more > 1 => *more -= 1,
            Some(_) | None => {
                held.remove(&self.key);
            }
        }
    }
}
