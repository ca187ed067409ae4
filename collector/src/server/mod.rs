//! The collector's one port and its own socket: who is let in, how many, and how long.
//!
//! ```text
//! TCP -> caps -> ClientHello in time -> turn for the handshake -> TLS 1.3 -> HTTP/2 -> Admission -> service
//! admin.sock (mode 0600) ---------------------------------------------------^
//! ```
//! A connection proves that the peer holds a key that a zone CA certified, and no more: dates,
//! revocation, zone and roles are judged per call behind this module, which knows no records.
//! Every bound is a field of [`Limits`] or a named constant.

mod accept;
mod admission;
mod connection;
mod local;
mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use holdpoint_common::identity::Identity;
use holdpoint_common::section::Digest;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::pki::Pki;
use admission::Admission;

pub use connection::Connection;
#[cfg(unix)]
pub use local::LocalListener;
pub use tls::server_config;

/// Who is at the other end; an extension of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// TLS without a client certificate.
    NoCertificate,
    /// A certificate of one of the zone's CAs, whatever its dates and status.
    Certificate {
        /// Whom it names.
        identity: Identity,
        /// SHA-256 of the certificate.
        fingerprint: Digest,
        /// SHA-256 of the zone CA that signed it.
        issuer: Digest,
        /// Unix milliseconds.
        not_before_ms: i64,
        /// Unix milliseconds.
        not_after_ms: i64,
    },
    /// The collector's own socket, which only its account can open.
    Local,
}

/// What a site may set about connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most connections at once; about 1.2 times the agents.
    pub connections: usize,
    /// Most connections at once from one address.
    pub connections_per_address: usize,
    /// For a peer's first message, and again for the rest of its handshake.
    pub handshake_timeout: Duration,
    /// A connection is asked to end after this long, which is the one bound on peers that finish TLS and then say nothing.
    pub connection_age: Duration,
    /// And is cut this much later.
    pub connection_age_grace: Duration,
    /// How long a stop waits for calls that run.
    pub stop_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 12_000,
            connections_per_address: 64,
            handshake_timeout: Duration::from_secs(4),
            connection_age: Duration::from_mins(90),
            connection_age_grace: Duration::from_secs(30),
            stop_within: Duration::from_secs(20),
        }
    }
}

/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 4_096;
/// Streams that one peer may have open.
const CONCURRENT_STREAMS: u32 = 8;
/// Calls of one connection that run at the same time.
const CALLS_PER_CONNECTION: usize = 8;
/// Unread bytes of one call.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Unread bytes of one connection.
const CONNECTION_WINDOW: u32 = 128 * 1024;
/// Largest HTTP/2 frame.
const FRAME: u32 = 16 * 1024;
/// Largest header list.
const HEADER_LIST: u32 = 8 * 1024;
/// Between HTTP/2 pings to a quiet peer.
const KEEPALIVE: Duration = Duration::from_secs(90);
/// Without an answer to a ping for this long a peer is gone.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Streams reset by a peer before they were served: rapid-reset floods end the connection here.
const PENDING_RESETS: usize = 8;
/// Streams reset by this side because of the peer's errors.
const LOCAL_RESETS: usize = 32;
/// Connections between their handshake and HTTP/2.
const HANDED_OVER: usize = 256;
/// How often the collector's own certificates are looked at.
const REFRESH_EVERY: Duration = Duration::from_mins(10);

/// What happened at the port, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections that are open now, handshakes included.
    open: AtomicU64,
    /// Connections dropped because a cap was reached.
    over_cap: AtomicU64,
    /// Handshakes that failed or took too long.
    failed_handshakes: AtomicU64,
    /// Calls refused because too many ran.
    shed_calls: AtomicU64,
}

impl Counters {
    /// Connections that are open now, handshakes included.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections dropped because a cap was reached, since the start.
    pub fn over_cap(&self) -> u64 {
        self.over_cap.load(Ordering::Relaxed)
    }

    /// Handshakes that failed or took too long, since the start.
    pub fn failed_handshakes(&self) -> u64 {
        self.failed_handshakes.load(Ordering::Relaxed)
    }

    /// Calls refused because too many ran, since the start.
    pub fn shed_calls(&self) -> u64 {
        self.shed_calls.load(Ordering::Relaxed)
    }
}

/// Why the server could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: is another collector running, and is the address this machine's")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The local socket cannot be made.
    #[error("cannot make the socket {}", path.display())]
    Socket {
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS 1.3 is not available")]
    Tls(#[source] rustls::Error),
    /// HTTP/2 ended.
    #[error("the server stopped")]
    Serve(#[from] tonic::transport::Error),
}

/// Listens on a TCP address. Must be called inside a runtime.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Without it a restart would wait for the connections of the last run to be forgotten.
        if cfg!(unix) {
            socket.set_reuseaddr(true)?;
        }
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| ServerError::Listen { address, source })
}

/// Where calls come from.
#[derive(Debug)]
pub struct Listeners {
    /// Agents and operators, over TLS.
    pub tcp: TcpListener,
    /// The collector's own account.
    #[cfg(unix)]
    pub local: Option<LocalListener>,
}

/// Serves until `stop` completes and the running calls have ended, or [`Limits::stop_within`] has passed.
///
/// # Errors
/// TLS cannot be set up or HTTP/2 ended by itself.
pub async fn serve(
    listeners: Listeners,
    pki: Pki,
    routes: Routes,
    limits: Limits,
    counters: Arc<Counters>,
    clock: Arc<dyn holdpoint_common::clock::Clock>,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServerError> {
    let config = server_config(pki.clone()).map_err(ServerError::Tls)?;
    let (hand_over, connections) = mpsc::channel::<Connection>(HANDED_OVER);
    let (stopping, stopped) = watch::channel(false);

    let port = accept::Port { config, pki: pki.clone(), limits, counters: Arc::clone(&counters) };
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(accept::run(listeners.tcp, port, hand_over.clone(), stopped.clone()));
    #[cfg(unix)]
    if let Some(local) = listeners.local {
        tasks.spawn(local::run(local, hand_over.clone(), stopped.clone()));
    }
    drop(hand_over);
    tasks.spawn(keep_fresh(pki, clock, stopped.clone()));

    let mut server = Server::builder()
        .max_concurrent_streams(CONCURRENT_STREAMS)
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .http2_max_header_list_size(HEADER_LIST)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(LOCAL_RESETS))
        .max_connection_age(limits.connection_age)
        .max_connection_age_grace(limits.connection_age_grace)
        .layer(Admission::new(counters));
    let mut stopped_http = stopped.clone();
    let serving = server.add_routes(routes).serve_with_incoming_shutdown(
        ReceiverStream::new(connections).map(Ok::<_, io::Error>),
        async move {
            // A sender that is gone means the same as one that says stop.
            let _ = stopped_http.wait_for(|it| *it).await;
        },
    );
    tokio::pin!(serving);
    let outcome = tokio::select! {
        ended = &mut serving => ended.map_err(ServerError::Serve),
        () = stop => {
            stopping.send_replace(true);
            if let Ok(ended) = tokio::time::timeout(limits.stop_within, &mut serving).await {
                ended.map_err(ServerError::Serve)
            } else {
                tracing::warn!("some calls did not end in time and are cut off");
                Ok(())
            }
        }
    };
    stopping.send_replace(true);
    tasks.shutdown().await;
    outcome
}

/// Makes the collector's own certificates again before they end.
async fn keep_fresh(
    pki: Pki,
    clock: Arc<dyn holdpoint_common::clock::Clock>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut tick = tokio::time::interval(REFRESH_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopped.wait_for(|it| *it) => return,
        }
        match pki.refresh(clock.now_ms()) {
            Ok(true) => tracing::info!("the collector's own certificate was made again"),
            Ok(false) => {}
            Err(cause) => tracing::error!(
                error = &cause as &dyn std::error::Error,
                "the collector's own certificate cannot be made again"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
