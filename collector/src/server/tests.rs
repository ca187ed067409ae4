//! The port on real loopback sockets, with honest and hostile peers.

use std::path::Path;
use std::sync::atomic::AtomicUsize;

use holdpoint_common::channel::{self, ChannelSettings, ConnectError};
use holdpoint_common::clock::{Clock, SetClock, SystemClock};
use holdpoint_common::credentials::Credentials;
use holdpoint_common::enrolment::{self, EnrolError};
use holdpoint_common::identity::ZoneName;
use holdpoint_common::proto::v1::enrollment_server::{Enrollment, EnrollmentServer};
use holdpoint_common::proto::v1::{EnrollRequest, EnrollResponse, HostFacts, RenewRequest};
use holdpoint_common::refusal::Reason;
use holdpoint_common::tls::{self as client_tls, Distrust, Leaf, PREFERRED_GROUP, Trust};
use holdpoint_common::token::{Token, TokenSecret};
use rcgen::{CertificateParams, KeyPair};
use rustls::ClientConfig;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::pki::{Origin, Request as Csr};

const YEAR_MS: i64 = 365 * 86_400_000;

fn zone() -> ZoneName {
    ZoneName { site: "plant".parse().unwrap(), zone: "line-1".parse().unwrap() }
}

fn hmi() -> Identity {
    zone().agent("hmi-01".parse().unwrap())
}

/// Issues without asking, and lies when the host's name says so.
struct Enroller(Pki);

impl Enroller {
    fn answer(&self, identity: &Identity, csr: &[u8]) -> Response<EnrollResponse> {
        let issued = self.0.issue(identity, &Csr::read(csr).unwrap(), SystemClock.now_ms()).unwrap();
        Response::new(EnrollResponse {
            identity: identity.to_string(),
            chain: issued.chain.iter().map(|it| it.to_vec()).collect(),
            anchors: self.0.anchors().iter().map(|it| it.to_vec()).collect(),
            collector_time_ms: 7,
            roles: Vec::new(),
        })
    }
}

#[tonic::async_trait]
impl Enrollment for Enroller {
    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        let request = request.into_inner();
        let mut answer = self.answer(&hmi(), &request.csr);
        match request.host.unwrap_or_default().hostname.as_str() {
            "other-name" => answer.get_mut().identity = zone().agent("hmi-02".parse().unwrap()).to_string(),
            "operator" => answer = self.answer(&zone().operator("anna".parse().unwrap()), &request.csr),
            "other-key" => {
                let key = KeyPair::generate().unwrap();
                let csr = CertificateParams::default().serialize_request(&key).unwrap();
                answer = self.answer(&hmi(), csr.der());
            }
            "other-anchors" => {
                answer.get_mut().anchors = foreign_pki().1.anchors().iter().map(|it| it.to_vec()).collect();
            }
            "no-chain" => answer.get_mut().chain.clear(),
            _ => {}
        }
        Ok(answer)
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<EnrollResponse>, Status> {
        let peer = request.extensions().get::<Peer>().cloned();
        match peer {
            Some(Peer::Certificate { identity, not_after_ms, .. }) => {
                let mut answer = self.answer(&identity, &request.into_inner().csr);
                answer.get_mut().collector_time_ms = not_after_ms;
                Ok(answer)
            }
            Some(Peer::Local) => Err(Status::aborted("local")),
            Some(Peer::NoCertificate) | None => Err(Status::internal("must not be reached")),
        }
    }
}

struct Running {
    address: SocketAddr,
    dir: tempfile::TempDir,
    pki: Pki,
    counters: Arc<Counters>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<Result<(), ServerError>>,
}

impl Running {
    /// A collector whose zone CA is five years old.
    async fn start(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemClock.now_ms();
        Pki::init(dir.path(), &zone(), Origin::NewRoot, now - 5 * YEAR_MS).unwrap();
        let pki = Pki::open(dir.path(), &zone(), now).unwrap();
        let tcp = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = tcp.local_addr().unwrap();
        let local = Some(LocalListener::bind(&dir.path().join("admin.sock")).await.unwrap());
        let (_, health) = tonic_health::server::health_reporter();
        let mut routes = Routes::builder();
        routes.add_service(health).add_service(EnrollmentServer::new(Enroller(pki.clone())));
        let counters = Arc::new(Counters::default());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let served = tokio::spawn(serve(
            Listeners { tcp, local },
            pki.clone(),
            routes.routes(),
            limits,
            Arc::clone(&counters),
            Arc::new(SystemClock),
            async move { drop(stopped.await) },
        ));
        Self { address, dir, pki, counters, stop: Some(stop), served }
    }

    fn credentials(&self, identity: &Identity, issued_ms: i64) -> Credentials {
        credentials(&self.pki, identity, issued_ms)
    }

    fn anchors(&self) -> Trust {
        Trust::Anchors { anchors: self.pki.anchors(), zone: zone() }
    }

    async fn connect(&self, own: Option<&Credentials>, trust: Trust) -> Result<Channel, ConnectError> {
        self.connect_at(own, trust, SystemClock.now_ms()).await
    }

    async fn connect_at(
        &self,
        own: Option<&Credentials>,
        trust: Trust,
        believed_ms: i64,
    ) -> Result<Channel, ConnectError> {
        let config = client_tls::client_config(own, trust, Arc::new(SetClock::new(believed_ms))).unwrap();
        channel::connect(&self.address.to_string(), Arc::new(config), ChannelSettings::default()).await
    }

    fn token(&self) -> Token {
        Token { pin: self.pki.fingerprint().unwrap(), secret: TokenSecret::random().unwrap() }
    }

    async fn enrol(&self, token: &Token, hostname: &str) -> Result<enrolment::Enrolled, EnrolError> {
        let host = HostFacts { hostname: hostname.to_owned(), ..HostFacts::default() };
        enrolment::enrol(&self.address.to_string(), token, Some(host), Arc::new(SystemClock)).await
    }
}

fn credentials(pki: &Pki, identity: &Identity, issued_ms: i64) -> Credentials {
    let key = KeyPair::generate().unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap();
    let issued = pki.issue(identity, &Csr::read(csr.der()).unwrap(), issued_ms).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Credentials::new(issued.chain, key, pki.anchors()).unwrap()
}

fn foreign_pki() -> (tempfile::TempDir, Pki) {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemClock.now_ms();
    Pki::init(dir.path(), &zone(), Origin::NewRoot, now).unwrap();
    let pki = Pki::open(dir.path(), &zone(), now).unwrap();
    (dir, pki)
}

async fn healthy(channel: Channel) -> Result<(), Status> {
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.map(drop)
}

/// Shakes hands without HTTP/2 and hands out the stream.
async fn raw(address: SocketAddr, config: ClientConfig) -> tokio_rustls::client::TlsStream<TcpStream> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("unused.invalid").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

fn config(own: Option<&Credentials>, trust: Trust) -> ClientConfig {
    client_tls::client_config(own, trust, Arc::new(SystemClock)).unwrap()
}

fn distrust(result: Result<Channel, ConnectError>) -> Distrust {
    let error = result.unwrap_err();
    let ConnectError::Distrusted { source, .. } = error else { panic!("{error}") };
    source
}

#[tokio::test]
async fn a_certified_peer_is_served_and_known_by_its_certificate() {
    let server = Running::start(Limits::default()).await;
    let own = server.credentials(&hmi(), SystemClock.now_ms());
    let channel = server.connect(Some(&own), own.trust()).await.unwrap();
    healthy(channel.clone()).await.unwrap();

    let renewed = enrolment::renew(channel, &own, None).await.unwrap();
    assert_eq!(renewed.credentials.identity, hmi());
    assert_eq!(renewed.collector_time_ms, own.leaf().unwrap().not_after_ms);
    assert_ne!(renewed.credentials.key, own.key);
}

#[tokio::test]
async fn without_a_certificate_nothing_but_enrolment_is_reached() {
    let server = Running::start(Limits::default()).await;
    let channel = server.connect(None, server.anchors()).await.unwrap();
    let refused = healthy(channel.clone()).await.unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::NoCertificate));
    let own = server.credentials(&hmi(), SystemClock.now_ms());
    let refused = enrolment::renew(channel, &own, None).await.unwrap_err();
    let EnrolError::Refused(status) = refused else { panic!("{refused}") };
    assert_eq!(Reason::of(&status), Some(Reason::NoCertificate));

    let enrolled = server.enrol(&server.token(), "hmi-01").await.unwrap();
    assert_eq!(enrolled.credentials.identity, hmi());
    let channel = server.connect(Some(&enrolled.credentials), enrolled.credentials.trust()).await.unwrap();
    healthy(channel).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_a_foreign_ca_is_refused_by_alert() {
    let server = Running::start(Limits::default()).await;
    let (_dir, foreign) = foreign_pki();
    let own = credentials(&foreign, &hmi(), SystemClock.now_ms());
    let refused = server.connect(Some(&own), server.anchors()).await.unwrap_err();
    let ConnectError::Refused { alert, .. } = &refused else { panic!("{refused}") };
    assert_eq!(alert, "UnknownCA");
}

#[tokio::test]
async fn a_client_believes_only_its_own_zones_collector() {
    let server = Running::start(Limits::default()).await;
    let (_dir, foreign) = foreign_pki();
    let strangers = Trust::Anchors { anchors: foreign.anchors(), zone: zone() };
    assert_eq!(distrust(server.connect(None, strangers).await), Distrust::UnknownAuthority);

    let other = ZoneName { zone: "line-2".parse().unwrap(), ..zone() };
    let elsewhere = Trust::Anchors { anchors: server.pki.anchors(), zone: other.clone() };
    let expected = Distrust::OtherZone { expected: other, presented: zone() };
    assert_eq!(distrust(server.connect(None, elsewhere).await), expected);

    let pin = Digest::of(b"another zone CA");
    assert_eq!(distrust(server.connect(None, Trust::Pin(pin)).await), Distrust::OtherPin { pin });
}

#[tokio::test]
async fn an_agent_cannot_pose_as_the_collector() {
    let (_dir, pki) = foreign_pki();
    let agent = credentials(&pki, &hmi(), SystemClock.now_ms());
    let config = rustls::ServerConfig::builder_with_provider(client_tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(agent.chain.clone(), agent.key.clone_key())
        .unwrap();
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let posing = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(tcp).await.is_err()
    });
    let client = Arc::new(self::config(None, agent.trust()));
    let refused = channel::connect(&address, client, ChannelSettings::default()).await;
    assert_eq!(distrust(refused), Distrust::UnknownAuthority);
    assert!(posing.await.unwrap());
}

#[tokio::test]
async fn a_wrong_clock_is_named_with_both_times() {
    let server = Running::start(Limits::default()).await;
    let past = distrust(server.connect_at(None, server.anchors(), 1_300_000_000_000).await);
    assert!(
        matches!(&past, Distrust::NotYetValid { believed, .. } if believed.starts_with("2011-")),
        "{past}"
    );
    let future = distrust(server.connect_at(None, server.anchors(), 2_200_000_000_000).await);
    assert!(
        matches!(&future, Distrust::Expired { believed, .. } if believed.starts_with("2039-")),
        "{future}"
    );
}

#[tokio::test]
async fn an_expired_certificate_passes_tls_and_is_judged_by_the_call() {
    let server = Running::start(Limits::default()).await;
    let own = server.credentials(&hmi(), SystemClock.now_ms() - 3 * YEAR_MS);
    let ended = own.leaf().unwrap().not_after_ms;
    assert!(ended < SystemClock.now_ms());
    let channel = server.connect(Some(&own), server.anchors()).await.unwrap();
    let renewed = enrolment::renew(channel, &own, None).await.unwrap();
    assert_eq!(renewed.collector_time_ms, ended, "the service saw the certificate's own dates");
}

#[tokio::test]
async fn during_a_rotation_every_client_gets_the_chain_that_it_can_verify() {
    let server = Running::start(Limits::default()).await;
    let (old_trust, old_token) = (server.anchors(), server.token());
    let own = server.credentials(&hmi(), SystemClock.now_ms());
    let old = server.pki.fingerprint().unwrap();

    let new = server.pki.rotate(Origin::NewRoot, SystemClock.now_ms()).unwrap().fingerprint;

    let issuer = async |config| {
        let stream = raw(server.address, config).await;
        Digest::of(&stream.get_ref().1.peer_certificates().unwrap()[1])
    };
    assert_eq!(issuer(config(None, old_trust.clone())).await, old);
    assert_eq!(issuer(config(None, server.anchors())).await, new);
    assert_eq!(issuer(config(None, Trust::Pin(old))).await, old);
    assert_eq!(issuer(config(None, Trust::Pin(new))).await, new);

    // The old identity still works and renews into the new one.
    let channel = server.connect(Some(&own), old_trust).await.unwrap();
    let renewed = enrolment::renew(channel, &own, None).await.unwrap().credentials;
    assert_eq!(Digest::of(&renewed.chain[1]), new);
    assert_eq!(renewed.anchors.len(), 2);
    let channel = server.connect(Some(&renewed), renewed.trust()).await.unwrap();
    healthy(channel).await.unwrap();

    let late = server.enrol(&old_token, "hmi-01").await.unwrap().credentials;
    assert_eq!(Digest::of(&late.chain[1]), new, "a token outlives the rotation");
}

#[tokio::test]
async fn an_answer_that_does_not_fit_the_request_is_refused() {
    let server = Running::start(Limits::default()).await;
    for lie in ["other-name", "other-key", "other-anchors", "operator", "no-chain"] {
        let refused = server.enrol(&server.token(), lie).await.unwrap_err();
        assert!(matches!(refused, EnrolError::Answer(_) | EnrolError::Key(_)), "{lie}: {refused}");
    }
}

/// The TLS alert `protocol_version`.
const PROTOCOL_VERSION: u8 = 70;

#[tokio::test]
async fn tls_1_2_is_refused_by_alert() {
    let server = Running::start(Limits::default()).await;
    // ClientHello of TLS 1.2: random, no session, ECDHE-ECDSA-AES128-GCM, no compression, groups and schemes.
    let extensions: [u8; 22] = [
        0, 10, 0, 4, 0, 2, 0, 23, // supported_groups: secp256r1
        0, 13, 0, 4, 0, 2, 4, 3, // signature_algorithms: ecdsa_secp256r1_sha256
        0, 11, 0, 2, 1, 0, // ec_point_formats: uncompressed
    ];
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 22]);
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(body);

    let mut tcp = TcpStream::connect(server.address).await.unwrap();
    tcp.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.unwrap();
    assert_eq!((answer[0], answer.last()), (21, Some(&PROTOCOL_VERSION)), "an alert: {answer:?}");
}

#[derive(Debug, Default)]
struct CountTickets(AtomicUsize);

impl ClientSessionStore for CountTickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: rustls::NamedGroup) {}
    fn kx_hint(&self, _: &ServerName<'_>) -> Option<rustls::NamedGroup> {
        None
    }
    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}
    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }
    fn remove_tls12_session(&self, _: &ServerName<'static>) {}
    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

#[tokio::test]
async fn the_hybrid_key_exchange_is_used_and_no_ticket_is_given() {
    let server = Running::start(Limits::default()).await;
    let tickets = Arc::new(CountTickets::default());
    let mut config = config(None, server.anchors());
    config.resumption =
        rustls::client::Resumption::store(Arc::clone(&tickets) as Arc<dyn ClientSessionStore>);
    let mut stream = raw(server.address, config).await;
    // Tickets would come before the first bytes of HTTP/2.
    assert_ne!(stream.read(&mut [0; 64]).await.unwrap(), 0);

    let connection = stream.get_ref().1;
    assert_eq!(
        connection.negotiated_key_exchange_group().map(rustls::crypto::SupportedKxGroup::name),
        Some(PREFERRED_GROUP)
    );
    assert_eq!(connection.alpn_protocol(), Some(client_tls::ALPN));
    assert_eq!(tickets.0.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn silent_connections_are_closed_while_others_are_served() {
    const SILENT: usize = 200;
    let limits = Limits {
        connections_per_address: SILENT + 8,
        handshake_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let server = Running::start(limits).await;
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let own = server.credentials(&hmi(), SystemClock.now_ms());
    let channel = server.connect(Some(&own), own.trust()).await.unwrap();
    healthy(channel.clone()).await.unwrap();
    for mut stream in silent {
        let closed = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut [0; 1])).await;
        assert!(matches!(closed.unwrap(), Ok(0) | Err(_)));
    }
    assert_eq!(server.counters.failed_handshakes(), u64::try_from(SILENT).unwrap());
    assert_eq!(server.counters.open(), 1);
    healthy(channel).await.unwrap();
}

#[tokio::test]
async fn tls_without_http_2_ends_with_the_connections_age() {
    let limits = Limits {
        connection_age: Duration::from_millis(300),
        connection_age_grace: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = Running::start(limits).await;
    let mut stream = raw(server.address, config(None, server.anchors())).await;
    let mut sent = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut sent)).await;
    assert!(closed.is_ok());
}

#[tokio::test]
async fn an_address_over_its_cap_is_dropped_and_told_so() {
    let server = Running::start(Limits { connections_per_address: 1, ..Limits::default() }).await;
    let own = server.credentials(&hmi(), SystemClock.now_ms());
    let first = server.connect(Some(&own), own.trust()).await.unwrap();
    let refused = server.connect(Some(&own), own.trust()).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Closed { .. }), "{refused}");
    assert_eq!(server.counters.over_cap(), 1);
    healthy(first).await.unwrap();
}

#[tokio::test]
async fn the_local_socket_is_the_owners_and_needs_no_certificate() {
    use std::os::unix::fs::PermissionsExt;
    let server = Running::start(Limits::default()).await;
    let path = server.dir.path().join("admin.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let channel = channel::connect_unix(&path, ChannelSettings::default()).await.unwrap();
    healthy(channel.clone()).await.unwrap();
    let own = server.credentials(&hmi(), SystemClock.now_ms());
    let EnrolError::Refused(status) = enrolment::renew(channel, &own, None).await.unwrap_err() else {
        panic!("must be refused")
    };
    assert_eq!(status.message(), "local");
    assert!(matches!(LocalListener::bind(&path).await, Err(ServerError::Socket { .. })), "in use");
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_frees_the_port_and_the_socket() {
    let mut server = Running::start(Limits::default()).await;
    let own = server.credentials(&hmi(), SystemClock.now_ms());
    let channel = server.connect(Some(&own), own.trust()).await.unwrap();
    healthy(channel.clone()).await.unwrap();

    drop(server.stop.take());
    let ended = tokio::time::timeout(Duration::from_secs(5), server.served).await;
    assert!(ended.unwrap().unwrap().is_ok());
    assert!(healthy(channel).await.is_err());
    assert!(!server.dir.path().join("admin.sock").exists());
    bind(server.address).unwrap();
}

#[tokio::test]
async fn an_unreachable_collector_is_told_apart_from_a_wrong_address() {
    let free = bind("127.0.0.1:0".parse().unwrap()).unwrap().local_addr().unwrap().to_string();
    let (_dir, pki) = foreign_pki();
    let tls = Arc::new(config(None, Trust::Anchors { anchors: pki.anchors(), zone: zone() }));
    let to = async |address: &str| {
        channel::connect(address, Arc::clone(&tls), ChannelSettings::default()).await.unwrap_err()
    };
    assert!(matches!(to(&free).await, ConnectError::Tcp { .. }));
    assert!(matches!(to("collector").await, ConnectError::Address { .. }));
    assert!(matches!(to("collector:https").await, ConnectError::Address { .. }));
    let none = channel::connect_unix(Path::new("/nonexistent/admin.sock"), ChannelSettings::default()).await;
    assert!(matches!(none, Err(ConnectError::Socket { .. })));
}

#[test]
fn a_leaf_with_two_names_is_no_identity() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    let uri =
        |name: &str| rcgen::SanType::URI(zone().agent(name.parse().unwrap()).to_string().try_into().unwrap());
    params.subject_alt_names = vec![uri("hmi-01"), uri("hmi-02")];
    let certificate: CertificateDer<'static> = params.self_signed(&key).unwrap().der().clone();
    assert_eq!(Leaf::read(&certificate), Err(client_tls::InvalidLeaf::Names));
}
