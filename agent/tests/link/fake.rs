//! A collector that keeps everything in memory and does as it is told. Real TLS on loopback, no policy.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdpoint_common::identity::ZoneName;
use holdpoint_common::proto::v1::agent_link_server::{AgentLink, AgentLinkServer};
use holdpoint_common::proto::v1::enrollment_server::{Enrollment, EnrollmentServer};
use holdpoint_common::proto::v1::report_part::Part;
use holdpoint_common::proto::v1::{
    Challenge, CheckInRequest, Directives, EnrollRequest, EnrollResponse, JournalEntry, Outcome,
    RenewRequest, ReportAck, ReportPart, SectionBody, SectionOutcome, SectionPart, Wanted,
};
use holdpoint_common::refusal::Reason;
use holdpoint_common::section::{Digest, Rows, unpack_delta};
use holdpoint_common::token::{Token, TokenSecret};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::copy_bidirectional;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// What the collector was told, and what it shall answer.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) sections: BTreeMap<i32, Rows>,
    pub(crate) reports: Vec<Taken>,
    pub(crate) journal: Vec<JournalEntry>,
    pub(crate) check_ins: Vec<CheckInRequest>,
    pub(crate) renewals: usize,
    pub(crate) challenges: Vec<Vec<u8>>,
    pub(crate) refuse: Option<(Reason, &'static str)>,
    pub(crate) away: bool,
    pub(crate) asks_renewal: bool,
    pub(crate) forgets_bases: bool,
    pub(crate) sequence_floor: u64,
}

/// One report.
pub(crate) struct Taken {
    pub(crate) sequence: u64,
    pub(crate) nonces: Vec<Vec<u8>>,
    /// How each section travelled.
    pub(crate) forms: BTreeMap<i32, SectionBody>,
}

pub(crate) struct Fake {
    pub(crate) address: String,
    pub(crate) token: Token,
    memory: Arc<Mutex<Memory>>,
}

impl Fake {
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the collector has been told something.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut(&Memory) -> bool) {
        for _ in 0..600 {
            if holds(&self.memory()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("this did not happen: {what}");
    }

    pub(crate) async fn start() -> Self {
        let zone = ZoneName { site: "plant".parse().unwrap(), zone: "line-1".parse().unwrap() };
        let authority = Arc::new(Authority::new(zone));
        let memory = Arc::new(Mutex::new(Memory::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(authority.server()));
        let (give, incoming) = tokio::sync::mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, give) = (acceptor.clone(), give.clone());
                tokio::spawn(async move {
                    let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                    let (plain, mut inner) = tokio::io::duplex(64 * 1024);
                    if give.send(Ok::<_, io::Error>(plain)).await.is_ok() {
                        let _ = copy_bidirectional(&mut tls, &mut inner).await;
                    }
                });
            }
        });
        let service = Service { memory: Arc::clone(&memory), authority: Arc::clone(&authority) };
        let server = tonic::transport::Server::builder()
            .add_service(AgentLinkServer::new(service.clone()))
            .add_service(EnrollmentServer::new(service));
        tokio::spawn(server.serve_with_incoming(ReceiverStream::new(incoming)));
        let token = Token { pin: Digest::of(&authority.certificate), secret: TokenSecret::random().unwrap() };
        Self { address, token, memory }
    }
}

/// A zone CA that signs whatever it is asked to.
struct Authority {
    zone: ZoneName,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(zone: ZoneName) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "zone CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { zone, certificate, issuer: Issuer::new(params, key) }
    }

    fn leaf(identity: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(identity.try_into().unwrap())];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params
    }

    fn server(&self) -> rustls::ServerConfig {
        let key = KeyPair::generate().unwrap();
        let leaf = Self::leaf(&self.zone.collector().to_string()).signed_by(&key, &self.issuer).unwrap();
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = rustls::ServerConfig::builder_with_provider(holdpoint_common::tls::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![holdpoint_common::tls::ALPN.to_vec()];
        config
    }

    fn answer(&self, csr: &[u8]) -> EnrollResponse {
        let identity = self.zone.agent("hmi-01".parse().unwrap()).to_string();
        let mut request = CertificateSigningRequestParams::from_der(&csr.to_vec().into()).unwrap();
        request.params = Self::leaf(&identity);
        let leaf = request.signed_by(&self.issuer).unwrap().der().to_vec();
        let anchor = self.certificate.to_vec();
        EnrollResponse {
            identity,
            chain: vec![leaf, anchor.clone()],
            anchors: vec![anchor],
            collector_time_ms: 1_700_000_000_000,
            roles: Vec::new(),
        }
    }
}

#[derive(Clone)]
struct Service {
    memory: Arc<Mutex<Memory>>,
    authority: Arc<Authority>,
}

impl Service {
    fn memory(&self) -> Result<MutexGuard<'_, Memory>, Status> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        match memory.refuse {
            Some((reason, advice)) => Err(reason.refuse(advice)),
            None if memory.away => Err(Status::unavailable("away")),
            None => Ok(memory),
        }
    }
}

impl Memory {
    fn directives(&self, wanted: Vec<Wanted>) -> Directives {
        Directives {
            wanted,
            challenges: self.challenges.iter().map(|it| Challenge { nonce: it.clone() }).collect(),
            collector_time_ms: 1_700_000_000_000,
            next_check_in_ms: 300,
            renew: self.asks_renewal,
            sequence_floor: self.sequence_floor,
        }
    }

    fn take(&mut self, section: &SectionPart, payload: &[u8]) -> Outcome {
        let held = self.sections.get(&section.kind);
        let rows = match section.body() {
            SectionBody::Full => Rows::unpack(payload).ok(),
            SectionBody::Delta if self.forgets_bases => None,
            SectionBody::Delta => held
                .filter(|it| it.digest().as_bytes() == section.base.as_slice())
                .and_then(|it| it.apply(&unpack_delta(payload).ok()?).ok()),
            SectionBody::Reference => held.cloned(),
            SectionBody::Unspecified => None,
        };
        match rows.filter(|it| it.digest().as_bytes() == section.digest.as_slice()) {
            Some(rows) => {
                self.sections.insert(section.kind, rows);
                Outcome::Stored
            }
            None => Outcome::WantFull,
        }
    }
}

#[tonic::async_trait]
impl AgentLink for Service {
    async fn check_in(&self, request: Request<CheckInRequest>) -> Result<Response<Directives>, Status> {
        let mut memory = self.memory()?;
        let request = request.into_inner();
        let mut wanted: Vec<Wanted> = Vec::new();
        for held in &request.held {
            let own = memory.sections.get(&held.kind).map(|it| it.digest().to_vec());
            let carries_journal = request.journal_entries > 0 && wanted.is_empty();
            if own.as_ref() != Some(&held.digest) || carries_journal {
                wanted.push(Wanted { kind: held.kind, base: own.unwrap_or_default(), content_known: false });
            }
        }
        memory.check_ins.push(request);
        Ok(Response::new(memory.directives(wanted)))
    }

    async fn report(&self, request: Request<Streaming<ReportPart>>) -> Result<Response<ReportAck>, Status> {
        let mut parts = request.into_inner();
        let (mut header, mut sections) = (None, Vec::<(SectionPart, Vec<u8>)>::new());
        while let Some(part) = parts.message().await? {
            match part.part {
                Some(Part::Header(it)) => header = Some(it),
                Some(Part::Section(mut it)) => {
                    let first = std::mem::take(&mut it.payload);
                    sections.push((it, first));
                }
                Some(Part::Payload(it)) => sections.last_mut().unwrap().1.extend(it),
                None => return Err(Status::invalid_argument("an empty part")),
            }
        }
        let header = header.ok_or_else(|| Status::invalid_argument("no header"))?;
        let mut memory = self.memory()?;
        let outcomes: Vec<SectionOutcome> = sections
            .iter()
            .map(|(section, payload)| {
                assert_eq!(usize::try_from(section.payload_bytes).unwrap(), payload.len());
                let outcome = memory.take(section, payload).into();
                SectionOutcome { kind: section.kind, outcome, reason: String::new() }
            })
            .collect();
        let is_whole = outcomes.iter().all(|it| it.outcome() == Outcome::Stored);
        if is_whole && sections.len() == holdpoint_common::row::REPORTED.len() {
            memory.challenges.retain(|it| !header.nonces.contains(it));
        }
        memory.journal.extend(header.journal);
        let forms = sections.iter().map(|(it, _)| (it.kind, it.body())).collect();
        memory.reports.push(Taken { sequence: header.sequence, nonces: header.nonces, forms });
        let directives = Some(memory.directives(Vec::new()));
        Ok(Response::new(ReportAck { sequence: header.sequence, outcomes, directives }))
    }
}

#[tonic::async_trait]
impl Enrollment for Service {
    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        let _allowed = self.memory()?;
        let EnrollRequest { csr, host, token: _ } = request.into_inner();
        assert_eq!(host.unwrap().hostname, "hmi-01");
        Ok(Response::new(self.authority.answer(&csr)))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<EnrollResponse>, Status> {
        let mut memory = self.memory()?;
        memory.renewals += 1;
        memory.asks_renewal = false;
        Ok(Response::new(self.authority.answer(&request.into_inner().csr)))
    }
}

/// Writes the packages of a captured host.
pub(crate) fn install(root: &Path, packages: &[String]) {
    let stanza = |it: &String| format!("Package: {it}\nStatus: install ok installed\nVersion: 1\n\n");
    let path = root.join("var/lib/dpkg/status");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, packages.iter().map(stanza).collect::<String>()).unwrap();
}
