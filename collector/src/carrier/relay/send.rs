//! The side that calls: empties trays towards the next hop, and is told nothing.

use std::collections::{BTreeSet, VecDeque};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use holdpoint_common::chain::Chain;
use holdpoint_common::clock::Clock;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::outgoing::Outgoing;
use super::trays::{Spot, Trays};
use super::{PROTOCOL, pace};
use crate::carrier::tray::TrayError;
use crate::conduit::{ConduitError, Credentials, PartyLeaf, tls};

/// The name in the handshake is not looked at by anybody, and not sent.
const NOBODY: &str = "conduit.invalid";
/// Most objects that are lined up at once: what comes meanwhile, from all zones in turn, is lined up next.
const MOST_LINED_UP: usize = 1_000;
/// Most objects that were sent and not yet taken away.
const MOST_WAITING: usize = 1_000;

/// An address to call: a host name or IP address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HostPort {
    host: String,
    port: u16,
}

/// The text is no address to call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not HOST:PORT")]
pub struct InvalidHostPort(String);

impl FromStr for HostPort {
    type Err = InvalidHostPort;

    fn from_str(text: &str) -> Result<Self, InvalidHostPort> {
        let invalid = || InvalidHostPort(text.chars().take(100).collect());
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let bracketed = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let is_plain = !host.is_empty() && !host.contains([':', '[', ']', '/', ' ']);
        let host = bracketed.or(is_plain.then_some(host)).ok_or_else(invalid)?;
        Ok(Self { host: host.to_owned(), port: port.parse().map_err(|_| invalid())? })
    }
}

impl TryFrom<String> for HostPort {
    type Error = InvalidHostPort;

    fn try_from(text: String) -> Result<Self, InvalidHostPort> {
        text.parse()
    }
}

impl From<HostPort> for String {
    fn from(address: HostPort) -> Self {
        address.to_string()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// How a sender waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two looks into the trays.
    pub look: Duration,
    /// How long a connection has to outlive an acknowledgement before the object leaves its tray.
    pub settle: Duration,
    /// For the connection and the handshake, each.
    pub handshake: Duration,
    /// Without any progress of what was written.
    pub stall: Duration,
    /// Until a connection with nothing to do is closed.
    pub idle: Duration,
    /// How often it is asked again whether the next hop still counts.
    pub recheck: Duration,
    /// After the first failure.
    pub retry_first: Duration,
    /// After many failures.
    pub retry_most: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            look: Duration::from_millis(500),
            settle: Duration::from_secs(2),
            handshake: Duration::from_secs(10),
            stall: Duration::from_mins(2),
            idle: Duration::from_mins(1),
            recheck: Duration::from_secs(10),
            retry_first: Duration::from_secs(1),
            retry_most: Duration::from_mins(5),
        }
    }
}

/// What may be told to people: what was sent. Whether it was delivered is not known here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last one left, Unix milliseconds.
    pub last_ms: Option<i64>,
    /// Why the last attempt failed; `None` when it did not.
    pub trouble: Option<String>,
}

/// Why a connection did not do.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nobody is reached.
    #[error("cannot reach {to}")]
    Connect {
        /// Who was called.
        to: HostPort,
        /// Why not.
        source: io::Error,
    },
    /// One of the two sides does not believe the other.
    #[error("no handshake with {to}")]
    Handshake {
        /// Who was called.
        to: HostPort,
        /// Why not.
        source: io::Error,
    },
    /// It sends, and nothing of the conduit does that.
    #[error("{0} sends something, which no relay and no site does: it is something else")]
    Talks(HostPort),
    /// Its certificate has ended, or was revoked here, while the connection was open.
    #[error("{to} is not believed any more")]
    Distrust {
        /// Who was called.
        to: HostPort,
        /// Why not.
        source: tls::Distrust,
    },
    /// It broke, or nothing moved for too long.
    #[error("the connection to {to} broke")]
    Broken {
        /// Who was called.
        to: HostPort,
        /// Why.
        source: io::Error,
    },
    /// The tray.
    #[error(transparent)]
    Tray(#[from] TrayError),
    /// The task that reads the tray ended.
    #[error("a task ended early")]
    Task(#[source] tokio::task::JoinError),
}

/// Empties trays towards one hop.
pub struct Sender {
    trays: Trays,
    to: HostPort,
    own: Credentials,
    admits: tls::Admits,
    config: Arc<ClientConfig>,
    clock: Arc<dyn Clock>,
    timing: Timing,
    told: watch::Sender<Sent>,
}

/// Sends what lies in the trays until told to stop. It fails at once or never: an outage is waited for.
///
/// # Errors
/// The certificate cannot be used.
pub async fn send(
    trays: Trays,
    to: HostPort,
    own: &Credentials,
    clock: Arc<dyn Clock>,
    stopped: watch::Receiver<bool>,
) -> Result<(), ConduitError> {
    Sender::new(trays, to, own, clock, Timing::default())?.run(stopped).await;
    Ok(())
}

impl Sender {
    /// A sender that has not called yet. Whom it takes for the next hop follows from who it is: see
    /// [`Party::delivers_to`](holdpoint_common::conduit::Party::delivers_to).
    ///
    /// # Errors
    /// The certificate cannot be used.
    pub fn new(
        trays: Trays,
        to: HostPort,
        own: &Credentials,
        clock: Arc<dyn Clock>,
        timing: Timing,
    ) -> Result<Self, ConduitError> {
        let party = own.party.clone();
        let admits: tls::Admits = Arc::new(move |it| party.delivers_to(it));
        let config = tls::client_config(own, Arc::clone(&clock), Arc::clone(&admits), PROTOCOL)?;
        let (own, config, told) = (own.clone(), Arc::new(config), watch::Sender::default());
        Ok(Self { trays, to, own, admits, config, clock, timing, told })
    }

    /// What was sent, as it happens.
    pub fn sent(&self) -> watch::Receiver<Sent> {
        self.told.subscribe()
    }

    /// Sends until told to stop.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut failures = 0_u32;
        while !is_over(&stopped) {
            let before = self.told.borrow().objects;
            let outcome = self.one_connection(&mut stopped).await;
            let pause = match outcome {
                Ok(()) => {
                    failures = 0;
                    self.timing.look
                }
                Err(cause) => {
                    // A hop that lets in and takes nothing is as good as one that is not there.
                    failures =
                        if self.told.borrow().objects > before { 1 } else { failures.saturating_add(1) };
                    let text = Chain(&cause).to_string();
                    if failures.is_power_of_two() {
                        tracing::warn!(to = %self.to, error = &cause as &dyn StdError, failures, "cannot send");
                    }
                    self.told.send_modify(|it| it.trouble = Some(text));
                    let Timing { retry_first, retry_most, .. } = self.timing;
                    pace::wait(failures, retry_first, retry_most, random())
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                _ = stopped.wait_for(|it| *it) => {}
            }
        }
    }

    /// Waits for something to send, connects, and sends until there is nothing more for a while.
    async fn one_connection(&self, stopped: &mut watch::Receiver<bool>) -> Result<(), SendError> {
        let queue = self.look(BTreeSet::new()).await?;
        if queue.is_empty() {
            return Ok(());
        }
        let (outgoing, leaf) = tokio::select! {
            connected = self.connect() => connected?,
            _ = stopped.wait_for(|it| *it) => return Ok(()),
        };
        tracing::info!(to = %self.to, "connected");
        self.told.send_modify(|it| it.trouble = None);
        Session {
            sender: self,
            outgoing,
            leaf,
            checked: Instant::now(),
            queue,
            waiting: VecDeque::new(),
            unread: BTreeSet::new(),
            progress: (0, Instant::now()),
            busy: Instant::now(),
        }
        .run(stopped)
        .await
    }

    /// What lies there, but for what was sent already.
    async fn look(&self, known: BTreeSet<Spot>) -> Result<VecDeque<Spot>, SendError> {
        let trays = self.trays.clone();
        let looked = blocking(move || trays.spots()).await??;
        Ok(looked.into_iter().filter(|it| !known.contains(it)).take(MOST_LINED_UP).collect())
    }

    /// Connects and waits to be let in.
    async fn connect(&self) -> Result<(Outgoing, PartyLeaf), SendError> {
        let Timing { handshake, .. } = self.timing;
        let to = || self.to.clone();
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        let tcp = timeout(handshake, TcpStream::connect((self.to.host.as_str(), self.to.port)));
        let tcp = tcp.await.map_err(|_| late()).flatten();
        let tcp = tcp.map_err(|source| SendError::Connect { to: to(), source })?;
        let failed = |source: io::Error| SendError::Handshake { to: to(), source };
        tcp.set_nodelay(true).map_err(failed)?;
        let name = ServerName::try_from(NOBODY).map_err(|it| failed(io::Error::other(it)))?;
        let whole = async {
            let mut stream = TlsConnector::from(Arc::clone(&self.config)).connect(name, tcp).await?;
            // The handshake is over here before the other side has seen the certificate. Its `close_notify`
            // says that it has let this side in, and is the last that is ever read.
            let said = stream.read(&mut [0; 1]).await?;
            Ok((stream, said))
        };
        let (stream, said) = timeout(handshake, whole).await.map_err(|_| late()).flatten().map_err(failed)?;
        if said != 0 || stream.get_ref().1.alpn_protocol() != Some(PROTOCOL) {
            return Err(SendError::Talks(to()));
        }
        let leaf = tls::party_of(stream.get_ref().1.peer_certificates());
        let leaf = leaf.ok_or_else(|| failed(io::ErrorKind::PermissionDenied.into()))?;
        Ok((Outgoing::begin(stream), leaf))
    }
}

/// What was sent and lies in its tray still.
struct Waiting {
    spot: Spot,
    bytes: u64,
    /// Where in the connection it ends.
    end: u64,
    /// Since when it is acknowledged.
    since: Option<Instant>,
}

/// One connection.
struct Session<'a> {
    sender: &'a Sender,
    outgoing: Outgoing,
    /// Who was reached.
    leaf: PartyLeaf,
    /// When that was last asked.
    checked: Instant,
    queue: VecDeque<Spot>,
    waiting: VecDeque<Waiting>,
    /// What cannot be read, so that it does not keep the rest waiting.
    unread: BTreeSet<Spot>,
    /// The last figure that was acknowledged, and since when.
    progress: (u64, Instant),
    /// When there was last something to do.
    busy: Instant,
}

impl Session<'_> {
    async fn run(mut self, stopped: &mut watch::Receiver<bool>) -> Result<(), SendError> {
        let Timing { look, idle, stall, .. } = self.sender.timing;
        while !is_over(stopped) {
            self.settle().await?;
            self.recheck()?;
            if self.queue.is_empty() {
                let known = self.waiting.iter().map(|it| it.spot.clone()).chain(self.unread.iter().cloned());
                self.queue = self.sender.look(known.collect()).await?;
            }
            let is_full = self.waiting.len() >= MOST_WAITING;
            let next = if is_full { None } else { self.queue.pop_front() };
            if let Some(spot) = next {
                tokio::select! {
                    sent = self.send(spot) => sent?,
                    // What was sent in part is sent again as a whole.
                    _ = stopped.wait_for(|it| *it) => break,
                }
                continue;
            }
            if self.waiting.is_empty() && self.busy.elapsed() >= idle {
                break;
            }
            tokio::select! {
                () = sleep(look) => {}
                _ = stopped.wait_for(|it| *it) => {}
            }
        }
        // Nothing depends on this: what is not settled by now is sent again.
        let ended = self.outgoing.end(stall.min(look)).await;
        ended.map_err(|source| self.broken(source))
    }

    async fn send(&mut self, spot: Spot) -> Result<(), SendError> {
        let from = spot.clone();
        let object = match blocking(move || from.read()).await? {
            Ok(Some(object)) => object,
            Ok(None) => return Ok(()),
            Err(cause) => {
                tracing::warn!(error = &cause as &dyn StdError, "an object cannot be read and is left");
                self.unread.insert(spot);
                return Ok(());
            }
        };
        let written = self.outgoing.write(&object, self.sender.timing.stall).await;
        written.map_err(|source| self.broken(source))?;
        self.busy = Instant::now();
        let bytes = u64::try_from(object.len()).unwrap_or(u64::MAX);
        self.waiting.push_back(Waiting { spot, bytes, end: self.outgoing.written(), since: None });
        Ok(())
    }

    /// Takes away what the connection has outlived.
    async fn settle(&mut self) -> Result<(), SendError> {
        let Timing { settle, stall, .. } = self.sender.timing;
        let now = Instant::now();
        let acknowledged = self.outgoing.acknowledged().map_err(|source| self.broken(source))?;
        if acknowledged != self.progress.0 || acknowledged == self.outgoing.written() {
            self.progress = (acknowledged, now);
        }
        if now.duration_since(self.progress.1) > stall {
            return Err(self.broken(io::ErrorKind::TimedOut.into()));
        }
        for it in self.waiting.iter_mut().filter(|it| it.end <= acknowledged) {
            it.since.get_or_insert(now);
        }
        let is_settled = |it: &Waiting| it.since.is_some_and(|since| now.duration_since(since) >= settle);
        let count = self.waiting.iter().take_while(|it| is_settled(it)).count();
        if count == 0 {
            return Ok(());
        }
        let settled: Vec<_> = self.waiting.drain(..count).collect();
        let (objects, bytes) =
            (u64::try_from(count).unwrap_or(u64::MAX), settled.iter().map(|it| it.bytes).sum());
        blocking(move || settled.iter().try_for_each(|it| it.spot.remove())).await??;
        let last_ms = Some(self.sender.clock.now_ms());
        self.sender.told.send_modify(|it| {
            *it = Sent {
                objects: it.objects.saturating_add(objects),
                bytes: it.bytes.saturating_add(bytes),
                last_ms,
                trouble: None,
            };
        });
        Ok(())
    }

    fn recheck(&mut self) -> Result<(), SendError> {
        let Sender { own, admits, clock, timing, to, .. } = self.sender;
        if self.checked.elapsed() < timing.recheck {
            return Ok(());
        }
        self.checked = Instant::now();
        tls::still_counts(own, &**clock, &**admits, &self.leaf)
            .map_err(|source| SendError::Distrust { to: to.clone(), source })
    }

    fn broken(&self, source: io::Error) -> SendError {
        SendError::Broken { to: self.sender.to.clone(), source }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SendError> {
    tokio::task::spawn_blocking(work).await.map_err(SendError::Task)
}

/// Told to stop, or nobody is left who could tell.
fn is_over(stopped: &watch::Receiver<bool>) -> bool {
    *stopped.borrow() || stopped.has_changed().is_err()
}

/// For spreading alone: without random numbers the whole wait is taken.
fn random() -> u8 {
    let mut byte = [u8::MAX];
    let _ = rand::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_their_text_and_others_are_refused() {
        for good in ["relay.plant:7444", "10.0.0.1:1", "[fd00::1]:7444"] {
            assert_eq!(good.parse::<HostPort>().unwrap().to_string(), good);
        }
        for bad in ["relay", "relay:", ":7444", "fd00::1:7444", "a b:1", "relay:70000", "[x:1", ""] {
            assert!(bad.parse::<HostPort>().is_err(), "{bad}");
        }
    }
}
