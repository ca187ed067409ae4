//! A simulated agent: real TLS identity, real protocol, believable rows, no host behind it.
//!
//! It keeps nothing on disk and decides nothing: the caller says when it connects, checks in
//! and reports, and gets every answer.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use holdpoint_common::channel::{self, ChannelSettings};
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::credentials::Credentials;
use holdpoint_common::enrolment::{self, EnrolError};
use holdpoint_common::identity::Subject;
use holdpoint_common::proto::v1::agent_link_client::AgentLinkClient;
use holdpoint_common::proto::v1::report_part::Part;
use holdpoint_common::proto::v1::{
    CheckInRequest, Directives, Health, HeldSection, HostFacts, Outcome, ReportAck, ReportHeader, ReportPart,
    SectionBody, SectionPart, Wanted,
};
use holdpoint_common::section::{self, Section};
use holdpoint_common::tls::{self, anchors_digest};
use holdpoint_common::token::Token;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tonic::transport::Channel;

use crate::inventory::Host;

/// Bytes of all connections of a run, as they cross the socket: TLS records included.
#[derive(Debug, Default)]
pub struct Traffic {
    /// From the collector.
    pub received: AtomicU64,
    /// To the collector.
    pub sent: AtomicU64,
}

impl Traffic {
    /// Both ways together.
    pub fn total(&self) -> u64 {
        self.received.load(Ordering::Relaxed) + self.sent.load(Ordering::Relaxed)
    }
}

/// An agent without a connection.
#[derive(Debug)]
pub struct Peer {
    /// What it reports.
    pub host: Host,
    /// Sequence of its last report.
    pub sequence: u64,
    /// Which boot of the host it is.
    pub boot: u32,
    /// Who it is.
    pub credentials: Credentials,
    /// What it says about the zone CAs that it trusts.
    pub anchors: Vec<u8>,
}

/// A section that clones of an image share.
pub type Held = Arc<Section>;

/// A connected agent's way to its collector.
pub type Link = AgentLinkClient<Channel>;

/// A TLS connection on which nothing has been said.
pub type Secured = tokio_rustls::client::TlsStream<Counted>;

/// Why a simulated agent got no connection.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// TCP or TLS.
    #[error("no connection")]
    Socket(#[from] io::Error),
    /// HTTP/2.
    #[error("no HTTP/2")]
    Http(#[from] tonic::transport::Error),
    /// Its own credentials.
    #[error("no TLS configuration")]
    Tls(#[from] tls::TlsError),
}

impl Peer {
    /// Gives a host an identity with a token.
    ///
    /// # Errors
    /// The collector's answer.
    pub async fn enrol(collector: SocketAddr, token: &Token, host: Host) -> Result<Self, EnrolError> {
        let facts = HostFacts {
            hostname: format!("sim-{:05}", host.number),
            fingerprint: host.fingerprint().to_vec(),
            boot_id: host.boot_id(1),
            agent_version: env!("CARGO_PKG_VERSION").into(),
            os_name: None,
            os_version: None,
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let enrolled = enrolment::enrol(&collector.to_string(), token, Some(facts), clock).await?;
        Ok(Self::with(host, enrolled.credentials, 0))
    }

    /// A host that has an identity and has made `sequence` reports.
    pub fn with(host: Host, credentials: Credentials, sequence: u64) -> Self {
        let anchors = anchors_digest(&credentials.anchors).to_vec();
        Self { host, sequence, boot: 1, credentials, anchors }
    }

    /// The asset that its certificate names.
    pub fn asset(&self) -> String {
        match &self.credentials.identity.subject {
            Subject::Agent(asset) => asset.to_string(),
            Subject::Operator(_) | Subject::Collector => String::new(),
        }
    }

    /// Opens TCP from an address of its own, TLS and HTTP/2.
    ///
    /// # Errors
    /// Any of the three.
    pub async fn connect(&self, collector: SocketAddr, traffic: &Arc<Traffic>) -> Result<Link, PeerError> {
        let stream = self.secure(collector, traffic).await?;
        let channel = channel::over(stream, ChannelSettings::default()).await?;
        Ok(AgentLinkClient::new(channel))
    }

    /// Opens TCP from an address of its own and TLS, and says nothing yet.
    ///
    /// # Errors
    /// Either of the two.
    pub async fn secure(&self, collector: SocketAddr, traffic: &Arc<Traffic>) -> Result<Secured, PeerError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let config = tls::client_config(Some(&self.credentials), self.credentials.trust(), clock)?;
        let socket = TcpSocket::new_v4()?;
        socket.set_nodelay(true)?;
        if collector.ip().is_loopback() {
            socket.bind(SocketAddr::from((self.own_address(), 0)))?;
        }
        let tcp = Counted { inner: socket.connect(collector).await?, traffic: traffic.clone() };
        let name = ServerName::try_from("collector.holdpoint.invalid").map_err(io::Error::other)?;
        Ok(tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await?)
    }

    /// Every host of a fleet on one machine has an address of its own in 127.0.0.0/8, as it has in a plant.
    fn own_address(&self) -> Ipv4Addr {
        let [_, high, middle, low] = self.host.number.to_be_bytes();
        Ipv4Addr::new(127, 1 + high % 200, middle, low.max(1))
    }

    /// Says which sections this agent holds; the answer may be held for `max_hold_s`.
    pub async fn check_in(
        &self,
        link: &mut Link,
        held: &[Held],
        max_hold_s: u32,
    ) -> Result<Directives, tonic::Status> {
        let request = CheckInRequest {
            sequence: self.sequence,
            boot_id: self.host.boot_id(self.boot),
            fingerprint: self.host.fingerprint().to_vec(),
            held: held
                .iter()
                .map(|it| HeldSection {
                    kind: it.kind.into(),
                    digest: it.digest.to_vec(),
                    status: it.status.into(),
                })
                .collect(),
            health: Some(Health {
                host_time_ms: SystemClock.now_ms(),
                uptime_s: 86_400,
                scan_ms: 40,
                resident_kib: 9_000,
                cpu_ms: 1_200,
                failed_check_ins: 0,
                disk_free_kib: Some(20_000_000),
            }),
            agent_version: env!("CARGO_PKG_VERSION").into(),
            anchors_digest: self.anchors.clone(),
            declined: Vec::new(),
            max_hold_s,
            journal_entries: 0,
        };
        Ok(link.check_in(request).await?.into_inner())
    }

    /// Brings what is wanted: a reference where the rows are known, a delta from `before` where its digest is the base.
    pub async fn report(
        &mut self,
        link: &mut Link,
        wanted: &[Wanted],
        held: &[Held],
        before: &[Held],
    ) -> Result<ReportAck, tonic::Status> {
        let mut parts = Vec::new();
        for wanted in wanted {
            if let Some(section) = held.iter().find(|it| it.kind == wanted.kind()) {
                let base =
                    before.iter().find(|it| it.kind == section.kind && wanted.base == it.digest.as_bytes());
                parts.push(body(section, wanted, base.map(Arc::as_ref))?);
            }
        }
        self.send(link, parts).await
    }

    /// Brings sections as they are, under the next sequence.
    ///
    /// # Errors
    /// The collector's answer.
    pub async fn send(
        &mut self,
        link: &mut Link,
        sections: Vec<SectionPart>,
    ) -> Result<ReportAck, tonic::Status> {
        self.sequence += 1;
        let header = ReportPart { part: Some(Part::Header(self.header())) };
        let sections = sections.into_iter().map(|it| ReportPart { part: Some(Part::Section(it)) });
        let parts: Vec<_> = std::iter::once(header).chain(sections).collect();
        Ok(link.report(tokio_stream::iter(parts)).await?.into_inner())
    }

    /// What opens a report under the present sequence.
    pub fn header(&self) -> ReportHeader {
        ReportHeader {
            sequence: self.sequence,
            boot_id: self.host.boot_id(self.boot),
            fingerprint: self.host.fingerprint().to_vec(),
            host_time_ms: SystemClock.now_ms(),
            nonces: Vec::new(),
            agent_version: env!("CARGO_PKG_VERSION").into(),
            journal: Vec::new(),
            journal_dropped: 0,
        }
    }
}

/// Whether every section of a report is on disk.
pub fn all_stored(ack: &ReportAck) -> bool {
    ack.outcomes.iter().all(|it| it.outcome() == Outcome::Stored)
}

fn body(section: &Section, wanted: &Wanted, base: Option<&Section>) -> io::Result<SectionPart> {
    if wanted.content_known {
        part(section, SectionBody::Reference, Vec::new())
    } else if let Some(base) = base {
        let payload = section::pack_delta(&section.rows.delta_from(&base.rows))?;
        let delta = part(section, SectionBody::Delta, payload)?;
        Ok(SectionPart { base: base.digest.to_vec(), ..delta })
    } else {
        part(section, SectionBody::Full, section.rows.pack()?)
    }
}

/// A section on the wire with the given payload.
///
/// # Errors
/// The payload is larger than the wire can say.
pub fn part(section: &Section, body: SectionBody, payload: Vec<u8>) -> io::Result<SectionPart> {
    Ok(SectionPart {
        kind: section.kind.into(),
        status: section.status.into(),
        reasons: section.reasons.clone(),
        digest: section.digest.to_vec(),
        body: body.into(),
        base: Vec::new(),
        payload_bytes: u32::try_from(payload.len()).map_err(io::Error::other)?,
        payload,
    })
}

/// A socket that counts.
#[derive(Debug)]
pub struct Counted {
    inner: TcpStream,
    traffic: Arc<Traffic>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let bytes = u64::try_from(buf.filled().len() - before).unwrap_or(0);
        self.traffic.received.fetch_add(bytes, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.traffic.sent.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
