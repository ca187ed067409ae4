//! Where the site is asked: its own socket, and a port for operators who have a certificate of the conduit.
//!
//! TLS 1.3 alone, and only an operator of this site finishes the handshake. A certificate that is revoked
//! afterwards is refused at the next call.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use holdpoint_common::clock::Clock;
use holdpoint_common::conduit::Party;
use holdpoint_common::identity::Name;
use holdpoint_common::tls::ALPN;
use holdpoint_proto::v1::fleet_server::FleetServer;
use holdpoint_proto::v1::site_admin_server::SiteAdminServer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use super::service::{Caller, SiteService};
use crate::conduit::{Credentials, tls};
use crate::server::{LocalListener, ServerError};

/// Connections of operators at once.
const CONNECTIONS: usize = 256;
/// For the handshake of a connection.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Pause when the process has no file descriptor left, instead of spinning.
const PAUSE: Duration = Duration::from_millis(20);
/// Connections between their handshake and HTTP/2.
const HANDED_OVER: usize = 32;
/// A connection is asked to end after this long.
const CONNECTION_AGE: Duration = Duration::from_mins(30);
/// Calls of one connection that run at the same time.
const CALLS_PER_CONNECTION: usize = 8;
/// Longest call until its answer begins.
const CALL_TIME: Duration = Duration::from_mins(2);
/// Largest request over the socket, in bytes: an object and what is around it.
const MAX_REQUEST: usize = holdpoint_common::bundle::MAX_OBJECT + 64 * 1024;

/// Where calls come from.
pub struct Doors {
    /// The site's own account.
    pub local: LocalListener,
    /// Operators; `None` as long as the site has no certificate.
    pub operators: Option<(TcpListener, TlsAcceptor)>,
}

/// TLS for the operators of a site.
///
/// # Errors
/// The certificate and its key do not work.
pub fn acceptor(
    own: &Credentials,
    clock: Arc<dyn Clock>,
) -> Result<TlsAcceptor, crate::conduit::ConduitError> {
    let site = own.party.site().clone();
    let admits = move |party: &Party| operator_of(party, &site).is_some();
    let config = tls::server_config(own, clock, Arc::new(admits), ALPN)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The operator of this site that a party is.
fn operator_of(party: &Party, own: &Name) -> Option<Name> {
    match party {
        Party::SiteOperator { site, name } => (site == own).then(|| name.clone()),
        Party::Relay { .. } | Party::Site { .. } | Party::Collector(_) => None,
    }
}

/// Serves until `stopped`.
///
/// # Errors
/// HTTP/2 ended by itself.
pub async fn serve(
    doors: Doors,
    service: SiteService,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), ServerError> {
    let (hand_over, connections) = mpsc::channel::<Connection>(HANDED_OVER);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(accept_local(doors.local, hand_over.clone()));
    if let Some((listener, acceptor)) = doors.operators {
        tasks.spawn(accept_operators(listener, acceptor, hand_over.clone()));
    }
    drop(hand_over);
    let served = Server::builder()
        .timeout(CALL_TIME)
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION)
        .max_connection_age(CONNECTION_AGE)
        .add_service(FleetServer::new(service.clone()))
        .add_service(SiteAdminServer::new(service).max_decoding_message_size(MAX_REQUEST))
        .serve_with_incoming_shutdown(ReceiverStream::new(connections).map(Ok::<_, io::Error>), async move {
            // A sender that is gone means the same as one that says stop.
            let _ = stopped.wait_for(|it| *it).await;
        })
        .await;
    tasks.shutdown().await;
    served.map_err(ServerError::Serve)
}

async fn accept_local(local: LocalListener, hand_over: mpsc::Sender<Connection>) {
    loop {
        match local.accept().await {
            Ok(stream) => {
                let connection = Connection { stream: Box::pin(stream), caller: Caller::Local, _place: None };
                if hand_over.send(connection).await.is_err() {
                    return;
                }
            }
            Err(cause) => not_accepted(&cause).await,
        }
    }
}

async fn accept_operators(listener: TcpListener, acceptor: TlsAcceptor, hand_over: mpsc::Sender<Connection>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut handshakes = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = handshakes.join_next() => continue,
        };
        match accepted {
            Ok((stream, address)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                let (acceptor, hand_over) = (acceptor.clone(), hand_over.clone());
                handshakes.spawn(async move {
                    match shake_hands(stream, &acceptor, place).await {
                        // The server is stopping when nobody takes it.
                        Ok(connection) => drop(hand_over.send(connection).await),
                        Err(cause) => tell(address, &cause),
                    }
                });
            }
            Err(cause) => not_accepted(&cause).await,
        }
    }
}

fn tell(address: SocketAddr, cause: &io::Error) {
    tracing::info!(peer = %address, error = cause as &dyn std::error::Error, "an operator is not let in");
}

async fn not_accepted(cause: &io::Error) {
    tracing::debug!(error = cause as &dyn std::error::Error, "a connection was not accepted");
    tokio::time::sleep(PAUSE).await;
}

async fn shake_hands(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    place: OwnedSemaphorePermit,
) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let stream = timeout(HANDSHAKE, acceptor.accept(stream)).await.map_err(late)??;
    let leaf = tls::party_of(stream.get_ref().1.peer_certificates());
    let leaf = leaf.ok_or_else(|| io::Error::from(io::ErrorKind::PermissionDenied))?;
    // The handshake let in operators of this site alone.
    let name = operator_of(&leaf.party, leaf.party.site());
    let name = name.ok_or_else(|| io::Error::from(io::ErrorKind::PermissionDenied))?;
    let (fingerprint, not_after_ms) = (leaf.fingerprint, leaf.not_after_ms);
    let caller = Caller::Operator { name, fingerprint, not_after_ms };
    Ok(Connection { stream: Box::pin(stream), caller, _place: Some(place) })
}

trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Duplex for S {}

/// Bytes in and out, and who is at the other end.
struct Connection {
    stream: Pin<Box<dyn Duplex>>,
    caller: Caller,
    /// Held until the connection ends.
    _place: Option<OwnedSemaphorePermit>,
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().stream.as_mut().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().stream.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.as_mut().poll_shutdown(cx)
    }
}
