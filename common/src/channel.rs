//! One connection to a collector, and why it could not be made.
//!
//! tonic speaks gRPC over a TLS stream that is opened here, so that a failed handshake becomes
//! advice to a person instead of "transport error". A channel is one connection: when it is
//! gone, calls answer UNAVAILABLE and the caller, who paces its own attempts, connects again.
//! Nothing here listens.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::tls::Distrust;

/// What a caller may choose about a connection.
#[derive(Debug, Clone, Copy)]
pub struct ChannelSettings {
    /// For name, TCP, TLS and the collector's first bytes together.
    pub connect_timeout: Duration,
    /// Between HTTP/2 pings, also while no call runs; below the idle limit of firewalls.
    pub keepalive: Duration,
    /// Without an answer to a ping for this long the connection is gone.
    pub keepalive_timeout: Duration,
}

impl Default for ChannelSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            keepalive: Duration::from_secs(90),
            keepalive_timeout: Duration::from_secs(20),
        }
    }
}

/// Unread bytes of one call's answer.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Unread bytes of all calls of the connection.
const CONNECTION_WINDOW: u32 = 128 * 1024;
/// Largest HTTP/2 frame.
const FRAME: u32 = 16 * 1024;
/// Largest header list that is accepted.
const HEADER_LIST: u32 = 8 * 1024;
/// TLS wants a name; the collector is known by its certificate's identity instead.
const UNUSED_NAME: &str = "collector.holdpoint.invalid";

/// Why there is no connection, as advice to a person.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not HOST:PORT.
    #[error("`{collector}` is not an address: write HOST:PORT, for example 10.1.2.3:7443")]
    Address {
        /// What was given.
        collector: String,
    },
    /// The name has no address.
    #[error("cannot find {collector}: check the name, or use the collector's IP address")]
    Resolve {
        /// HOST:PORT.
        collector: String,
        /// Why.
        source: io::Error,
    },
    /// TCP was refused or cut.
    #[error("cannot reach {collector}: is the collector running and the port open on the way")]
    Tcp {
        /// HOST:PORT.
        collector: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody answered in time.
    #[error(
        "{collector} did not answer within {seconds} s: is it a collector, and is the port open on the way"
    )]
    Timeout {
        /// HOST:PORT.
        collector: String,
        /// The limit.
        seconds: u64,
    },
    /// The collector is not believed.
    #[error("{collector} is not trusted")]
    Distrusted {
        /// HOST:PORT.
        collector: String,
        /// Why, and what to do.
        source: Distrust,
    },
    /// The collector refused this side's certificate.
    #[error(
        "{collector} refused this certificate ({alert}): it is not from a zone CA of that collector; \
         check the address, or enrol again with a new token"
    )]
    Refused {
        /// HOST:PORT.
        collector: String,
        /// The TLS alert.
        alert: String,
    },
    /// TLS failed otherwise.
    #[error("no TLS 1.3 connection to {collector}: is it a collector")]
    Tls {
        /// HOST:PORT.
        collector: String,
        /// Why.
        source: io::Error,
    },
    /// The collector closed the connection before it said anything: it is full or stopping.
    #[error("{collector} closed the connection: it has no room at the moment, or it is stopping")]
    Closed {
        /// HOST:PORT.
        collector: String,
    },
    /// The socket of a local collector cannot be opened.
    #[error("cannot open {}: is the collector running, and is this its account", path.display())]
    Socket {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// HTTP/2 did not start.
    #[error("no HTTP/2 with {collector}")]
    Http {
        /// HOST:PORT or the socket's path.
        collector: String,
        /// Why.
        source: tonic::transport::Error,
    },
}

/// Connects over TLS.
///
/// # Errors
/// A [`ConnectError`] that tells clock, trust, refusal and network apart.
pub async fn connect(
    collector: &str,
    tls: Arc<ClientConfig>,
    settings: ChannelSettings,
) -> Result<Channel, ConnectError> {
    let opened = tokio::time::timeout(settings.connect_timeout, open(collector, tls)).await;
    let stream = opened.unwrap_or_else(|_| {
        let seconds = settings.connect_timeout.as_secs();
        Err(ConnectError::Timeout { collector: collector.to_owned(), seconds })
    })?;
    over(stream, settings)
        .await
        .map_err(|source| ConnectError::Http { collector: collector.to_owned(), source })
}

/// Connects to the collector's own socket, without TLS: the file's mode says who may.
#[cfg(unix)]
pub async fn connect_unix(
    path: &std::path::Path,
    settings: ChannelSettings,
) -> Result<Channel, ConnectError> {
    let stream = tokio::net::UnixStream::connect(path)
        .await
        .map_err(|source| ConnectError::Socket { path: path.to_owned(), source })?;
    over(stream, settings)
        .await
        .map_err(|source| ConnectError::Http { collector: path.display().to_string(), source })
}

/// Opens TCP and TLS and waits until the collector speaks HTTP/2.
async fn open(
    collector: &str,
    tls: Arc<ClientConfig>,
) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static, ConnectError> {
    let named = || collector.to_owned();
    if collector.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
        return Err(ConnectError::Address { collector: named() });
    }
    let addresses = tokio::net::lookup_host(collector)
        .await
        .map_err(|source| ConnectError::Resolve { collector: named(), source })?
        .collect::<Vec<_>>();
    let tcp = TcpStream::connect(addresses.as_slice())
        .await
        .map_err(|source| ConnectError::Tcp { collector: named(), source })?;
    tcp.set_nodelay(true).map_err(|source| ConnectError::Tcp { collector: named(), source })?;

    let name = ServerName::try_from(UNUSED_NAME)
        .map_err(|source| ConnectError::Tls { collector: named(), source: io::Error::other(source) })?;
    let mut stream =
        TlsConnector::from(tls).connect(name, tcp).await.map_err(|cause| diagnose(collector, cause))?;
    // In TLS 1.3 a client is done before the server has judged its certificate. The server
    // speaks first in HTTP/2, so its first byte, or its alert, is the verdict.
    match stream.fill_buf().await {
        Ok([]) => Err(ConnectError::Closed { collector: named() }),
        Ok(_) => Ok(stream),
        Err(cause) => Err(diagnose(collector, cause)),
    }
}

fn diagnose(collector: &str, cause: io::Error) -> ConnectError {
    let collector = collector.to_owned();
    if let Some(why) = Distrust::inside(&cause) {
        return ConnectError::Distrusted { collector, source: why.clone() };
    }
    match cause.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) if is_about_the_certificate(*alert) => {
            ConnectError::Refused { collector, alert: format!("{alert:?}") }
        }
        None if cause.kind() == io::ErrorKind::UnexpectedEof
            || cause.kind() == io::ErrorKind::ConnectionReset =>
        {
            ConnectError::Closed { collector }
        }
        Some(_) | None => ConnectError::Tls { collector, source: cause },
    }
}

fn is_about_the_certificate(alert: AlertDescription) -> bool {
    [
        AlertDescription::UnknownCA,
        AlertDescription::BadCertificate,
        AlertDescription::CertificateUnknown,
        AlertDescription::UnsupportedCertificate,
        AlertDescription::CertificateExpired,
        AlertDescription::AccessDenied,
        AlertDescription::DecryptError,
    ]
    .contains(&alert)
}

/// Starts HTTP/2 over one stream.
async fn over<S>(stream: S, settings: ChannelSettings) -> Result<Channel, tonic::transport::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let once = Arc::new(Mutex::new(Some(stream)));
    let connector = tower::service_fn(move |_| {
        let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        let gone = || io::Error::new(io::ErrorKind::NotConnected, "the connection to the collector is gone");
        std::future::ready(stream.map(TokioIo::new).ok_or_else(gone))
    });
    Endpoint::from_static("http://collector.holdpoint.invalid")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .http2_max_header_list_size(HEADER_LIST)
        .http2_keep_alive_interval(settings.keepalive)
        .keep_alive_timeout(settings.keepalive_timeout)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await
}
