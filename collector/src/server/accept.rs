//! From a TCP connection to TLS, without letting strangers keep others waiting.
//!
//! A peer that says nothing holds a place under the caps and nothing else. A turn for the
//! handshake is taken only once its first message is there, and kept for a moment only: a peer
//! that stalls in the middle goes on without one until it runs out of time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;

use super::connection::{Connection, Place, Places};
use super::{Counters, Limits, tls};
use crate::pki::Pki;

/// Handshakes in work for each core.
const HANDSHAKES_PER_CORE: usize = 32;
/// How long a handshake keeps its turn; an honest one needs milliseconds.
const TURN: Duration = Duration::from_millis(500);
/// How long a peer may wait for its turn in a storm.
const WAIT_FOR_TURN: Duration = Duration::from_secs(10);
/// Pause when the process has no file descriptor left, instead of spinning.
const PAUSE: Duration = Duration::from_millis(20);
/// Quiet time before the kernel probes a peer.
#[cfg(unix)]
const TCP_KEEPALIVE: Duration = Duration::from_mins(1);

/// What a handshake needs.
pub(super) struct Port {
    pub(super) config: Arc<ServerConfig>,
    pub(super) pki: Pki,
    pub(super) limits: Limits,
    pub(super) counters: Arc<Counters>,
}

/// Accepts until told to stop; handshakes that run then are dropped.
pub(super) async fn run(
    listener: TcpListener,
    port: Port,
    hand_over: mpsc::Sender<Connection>,
    mut stopped: watch::Receiver<bool>,
) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let turns = Arc::new(Semaphore::new(cores * HANDSHAKES_PER_CORE));
    let places = Places::new(port.limits, Arc::clone(&port.counters));
    let port = Arc::new(port);
    let mut handshakes = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = handshakes.join_next() => continue,
            _ = stopped.wait_for(|it| *it) => return,
        };
        match accepted {
            Ok((stream, address)) => {
                let Some(place) = places.take(address.ip()) else { continue };
                let (port, turns, hand_over) = (Arc::clone(&port), Arc::clone(&turns), hand_over.clone());
                handshakes.spawn(async move {
                    match shake_hands(stream, place, &port, &turns).await {
                        // The server is stopping when nobody takes it.
                        Ok(connection) => drop(hand_over.send(connection).await),
                        Err(cause) => {
                            port.counters.failed_handshakes.fetch_add(1, Ordering::Relaxed);
                            note(address, &cause);
                        }
                    }
                });
            }
            Err(cause) => {
                tracing::debug!(error = &cause as &dyn std::error::Error, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn note(address: SocketAddr, cause: &io::Error) {
    tracing::debug!(peer = %address, error = cause as &dyn std::error::Error, "handshake failed");
}

async fn shake_hands(
    stream: TcpStream,
    place: Place,
    port: &Port,
    turns: &Semaphore,
) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    #[cfg(unix)]
    {
        rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
        rustix::net::sockopt::set_tcp_keepidle(&stream, TCP_KEEPALIVE)?;
    }
    let limit = port.limits.handshake_timeout;
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
    let hello = timeout(limit, hello).await.map_err(late)??;

    let turn = timeout(WAIT_FOR_TURN, turns.acquire()).await.map_err(late)?;
    let handshake = hello.into_stream(Arc::clone(&port.config));
    tokio::pin!(handshake);
    let stream = if let Ok(done) = timeout(TURN.min(limit), &mut handshake).await {
        done?
    } else {
        drop(turn);
        timeout(limit.saturating_sub(TURN), handshake).await.map_err(late)??
    };
    let peer = tls::peer_of(&port.pki, stream.get_ref().1.peer_certificates());
    // Only a rotation between the handshake and this line can make a signer unknown.
    let peer = peer.ok_or_else(|| io::Error::from(io::ErrorKind::PermissionDenied))?;
    Ok(Connection::tls(stream, peer, place))
}
