//! Enrolment and renewal: from a token, or from an older certificate, to a certificate.
//!
//! Who somebody is comes from the token or from the certificate in use, never from the request: a
//! host suggests a name for a new asset and nothing else. The use of a token, the record that it
//! bought and the audit entry are one transaction, so a token is never spent for nothing or spent twice.
//! Whether two machines speak for one asset is judged at check-ins; here only a renewal by a machine
//! other than the enrolled one is refused, because its first use would lock the other one out.

mod host;

use std::sync::Arc;

use holdpoint_common::chain::Chain;
use holdpoint_common::identity::{MAX_NAME, Name, Subject};
use holdpoint_common::proto::store::token_record::Grant;
use holdpoint_common::proto::store::{AgentGrant, AssetRecord, CertificateRecord, OperatorRecord};
use holdpoint_common::proto::v1::enrollment_server::Enrollment;
use holdpoint_common::proto::v1::{EnrollRequest, EnrollResponse, RenewRequest};
use holdpoint_common::refusal::Reason;
use holdpoint_common::section::Digest;
use holdpoint_common::token::TokenSecret;
use tokio::sync::Mutex;
use tonic::{Code, Request, Response, Status};

use crate::audit::Act;
use crate::pki::{Issued, PkiError, Request as Csr, token};
use crate::server::Peer;
use crate::store::Txn;
use crate::zone::{Call, Zone, amend, event, gate, status_of};
use host::Host;

/// Most certificates that are kept of one asset or operator; the oldest go first.
const MAX_CERTIFICATES: usize = 8;
/// How often an enrolment starts again because somebody else changed the same token or took the same name.
const ATTEMPTS: u32 = 8;
/// The name of a host that has none that could be used.
const NAMELESS: &str = "host";
/// Highest number that is put behind a name to make it unique.
const MAX_NAMESAKES: u32 = 100_000;
const REPLACED: &str = "replaced";

/// The service that hands out certificates.
#[derive(Debug)]
pub struct EnrolService {
    zone: Arc<Zone>,
    /// One enrolment at a time: they share tokens and names, and waiting is cheaper than trying again.
    turn: Mutex<()>,
}

#[tonic::async_trait]
impl Enrollment for EnrolService {
    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        self.enroll_with(request.into_inner()).await.map(Response::new)
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<EnrollResponse>, Status> {
        let peer = request.extensions().get::<Peer>().cloned().unwrap_or(Peer::NoCertificate);
        self.renew_for(&peer, request.into_inner()).await.map(Response::new)
    }
}

impl EnrolService {
    /// The service of a zone.
    pub fn new(zone: Arc<Zone>) -> Self {
        Self { zone, turn: Mutex::default() }
    }

    /// Exchanges a token for a certificate.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, a refusal with reason `token`, or the store's answer; then nothing happened.
    pub async fn enroll_with(&self, request: EnrollRequest) -> Result<EnrollResponse, Status> {
        let EnrollRequest { token, csr, host } = request;
        let csr = read(&csr)?;
        let host = host.map(Host::try_from).transpose()?;
        let secret = token.parse::<TokenSecret>().map_err(|cause| {
            Reason::Token.refuse(format!("{cause}: copy the whole token, or ask for another one"))
        })?;
        let digest = secret.digest();

        let _turn = self.turn.lock().await;
        let mut attempt = 1;
        loop {
            let done = self.enroll_once(&digest, &csr, host.as_ref()).await;
            match done {
                Err(status)
                    if matches!(status.code(), Code::Aborted | Code::AlreadyExists) && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn enroll_once(
        &self,
        digest: &Digest,
        csr: &Csr,
        host: Option<&Host>,
    ) -> Result<EnrollResponse, Status> {
        let held = self.zone.store().token(digest.as_bytes()).map_err(|cause| status_of(&cause))?;
        let (grant, spent) = token::redeem(held.as_ref(), self.zone.now_ms())?;
        // A token without uses left is kept, so that a person is told that it is used up.
        let txn = Txn::admin().expect_token(*digest.as_bytes(), held).put_token(spent);
        match (grant, host) {
            (Grant::Agent(grant), Some(host)) => match grant.for_asset.clone() {
                Some(asset) => self.enrol_again(&asset, grant, csr, host, txn).await,
                None => self.enrol_new(grant, csr, host, txn).await,
            },
            (Grant::Operator(grant), None) => self.enrol_operator(&grant.name, csr, txn).await,
            (Grant::Agent(_), None) => {
                Err(Reason::Token
                    .refuse("the token is for a host: use it there with `holdpoint-agent enroll`"))
            }
            (Grant::Operator(_), Some(_)) => Err(Reason::Token.refuse(
                "the token is for an operator: use it with `holdpoint enroll`, not on a host's agent",
            )),
        }
    }

    async fn enrol_new(
        &self,
        grant: AgentGrant,
        csr: &Csr,
        host: &Host,
        mut txn: Txn,
    ) -> Result<EnrollResponse, Status> {
        let (now, id) = (self.zone.now_ms(), self.free_name(&host.hostname)?);
        let identity = self.zone.name().agent(id.clone());
        let issued = self.zone.pki().issue(&identity, csr, now).map_err(|cause| pki_status(&cause))?;
        let AgentGrant { role, level, tags, for_asset: _ } = grant;
        let mut record = AssetRecord {
            id: id.to_string(),
            name: id.to_string(),
            role,
            level,
            tags,
            enrolled_ms: now,
            certificates: vec![issued.record.clone()],
            ..AssetRecord::default()
        };
        host.introduce(&mut record);

        let same = self.zone.machines(host.fingerprint.as_bytes());
        let text = if same.is_empty() {
            format!("host name {}", host.hostname)
        } else {
            format!("host name {}; the same machine is also {}", host.hostname, same.join(", "))
        };
        amend(&mut txn, |it| it.add_event(event(now, id.as_str(), "enrolled", text.clone())));
        let act = Act {
            by: identity.to_string(),
            action: "agent-enrolled",
            subject: id.to_string(),
            text,
            detail: None,
        };
        self.zone.create_asset(record, txn, vec![act]).await?;
        Ok(self.answer(&identity.to_string(), &issued, Vec::new()))
    }

    async fn enrol_again(
        &self,
        asset: &str,
        grant: AgentGrant,
        csr: &Csr,
        host: &Host,
        txn: Txn,
    ) -> Result<EnrollResponse, Status> {
        let gone =
            || Reason::Token.refuse(format!("the token is for asset `{asset}`, which is not known any more"));
        let name: Name = asset.parse().map_err(|_| gone())?;
        if self.zone.asset(asset).is_none() {
            return Err(gone());
        }
        let now = self.zone.now_ms();
        let identity = self.zone.name().agent(name);
        let issued = self.zone.pki().issue(&identity, csr, now).map_err(|cause| pki_status(&cause))?;
        let certificate = issued.record.clone();
        let by = identity.to_string();
        self.zone
            .change_asset_in(asset, txn, |record, txn| {
                let mut text = format!("host name {}", host.hostname);
                if record.fingerprint != host.fingerprint.as_bytes() {
                    text.push_str("; the machine is another one than before");
                }
                if record.retired_ms.take().is_some() {
                    record.retired_reason.clear();
                    text.push_str("; it is no longer retired");
                }
                revoke(&mut record.certificates, now);
                keep(&mut record.certificates, certificate, None);
                // Boots of the machine before say nothing of this one.
                record.earlier_boot_ids.clear();
                record.enrolled_ms = now;
                let AgentGrant { role, level, tags, for_asset: _ } = grant;
                record.role = role.or(record.role.take());
                record.level = level.or(record.level);
                if !tags.is_empty() {
                    record.tags = tags;
                }
                host.introduce(record);
                amend(txn, |it| it.add_event(event(now, &record.id, "enrolled-again", text.clone())));
                let act = Act {
                    by,
                    action: "agent-enrolled-again",
                    subject: record.id.clone(),
                    text,
                    detail: None,
                };
                Ok(((), vec![act]))
            })
            .await?;
        Ok(self.answer(&identity.to_string(), &issued, Vec::new()))
    }

    async fn enrol_operator(&self, name: &str, csr: &Csr, txn: Txn) -> Result<EnrollResponse, Status> {
        let gone =
            || Reason::Token.refuse(format!("the token is for operator `{name}`, who is not known any more"));
        let identity = self.zone.name().operator(name.parse().map_err(|_| gone())?);
        let now = self.zone.now_ms();
        let issued = self.zone.pki().issue(&identity, csr, now).map_err(|cause| pki_status(&cause))?;
        let certificate = issued.record.clone();
        let roles = self
            .zone
            .change_operator(name, txn, |before, _| {
                let mut record = before.cloned().ok_or_else(gone)?;
                revoke(&mut record.certificates, now);
                keep(&mut record.certificates, certificate, None);
                record.key_on_collector = false;
                let roles = record.roles.clone();
                let text = format!("roles {}", roles.join(", "));
                let by = identity.to_string();
                let act =
                    Act { by, action: "operator-enrolled", subject: record.name.clone(), text, detail: None };
                Ok((record, roles, vec![act]))
            })
            .await?;
        Ok(self.answer(&identity.to_string(), &issued, roles))
    }

    /// Exchanges the caller's certificate for a new one; the old one works until the new one is used.
    ///
    /// # Errors
    /// What the gate says, `INVALID_ARGUMENT`, or the store's answer; then nothing happened.
    pub async fn renew_for(&self, peer: &Peer, request: RenewRequest) -> Result<EnrollResponse, Status> {
        let Peer::Certificate { identity, fingerprint, .. } = peer else {
            return Err(Reason::NoCertificate
                .refuse("only the holder of a certificate can renew it: enrol with a token instead"));
        };
        match &identity.subject {
            Subject::Agent(_) => self.renew_agent(peer, fingerprint, request).await,
            Subject::Operator(_) | Subject::Collector => {
                self.renew_operator(peer, fingerprint, request).await
            }
        }
    }

    async fn renew_agent(
        &self,
        peer: &Peer,
        used: &Digest,
        request: RenewRequest,
    ) -> Result<EnrollResponse, Status> {
        let id = self.zone.agent_caller(peer, Call::Renew)?.id.clone();
        let RenewRequest { csr, host } = request;
        let csr = read(&csr)?;
        let host =
            host.ok_or_else(|| Status::invalid_argument("a host that renews says which machine it is"))?;
        let host = Host::try_from(host)?;
        let name: Name = id.parse().map_err(|_| Status::internal("the asset's id is no name"))?;
        let identity = self.zone.name().agent(name);
        let now = self.zone.now_ms();
        let issued = self.zone.pki().issue(&identity, &csr, now).map_err(|cause| pki_status(&cause))?;
        let certificate = issued.record.clone();
        let by = identity.to_string();
        self.zone
            .change_asset_in(&id, Txn::admin(), |record, txn| {
                let known = !record.fingerprint.is_empty();
                if known && record.fingerprint != host.fingerprint.as_bytes() {
                    return Err(Reason::Duplicate.refuse(format!(
                        "this certificate was issued to another machine ({}): enrol this host with a token of its own, \
                         or, when the hardware was replaced, with one from `token create --for {}`",
                        record.hostname, record.id
                    )));
                }
                // It may have been revoked or retired while this call waited for its turn.
                if record.retired_ms.is_some() || !in_use(&record.certificates, used) {
                    return Err(Reason::Revoked.refuse("this certificate was revoked a moment ago"));
                }
                let text = describe(&certificate);
                keep(&mut record.certificates, certificate, Some(used));
                amend(txn, |it| it.add_event(event(now, &record.id, "certificate-issued", text.clone())));
                let act = Act { by, action: "agent-renewed", subject: record.id.clone(), text, detail: None };
                Ok(((), vec![act]))
            })
            .await?;
        Ok(self.answer(&identity.to_string(), &issued, Vec::new()))
    }

    async fn renew_operator(
        &self,
        peer: &Peer,
        used: &Digest,
        request: RenewRequest,
    ) -> Result<EnrollResponse, Status> {
        let name = self.zone.operator_call(peer, Call::Renew, None)?;
        let csr = read(&request.csr)?;
        let identity = self.zone.name().operator(name.clone());
        let now = self.zone.now_ms();
        let issued = self.zone.pki().issue(&identity, &csr, now).map_err(|cause| pki_status(&cause))?;
        let certificate = issued.record.clone();
        let by = identity.to_string();
        let roles = self
            .zone
            .change_operator(name.as_str(), Txn::admin(), |before, _| {
                let known = before.filter(|it| in_use(&it.certificates, used));
                let mut record: OperatorRecord = known
                    .cloned()
                    .ok_or_else(|| Reason::Revoked.refuse("this certificate was revoked a moment ago"))?;
                let text = describe(&certificate);
                gate::settle(&mut record.certificates, used, now);
                keep(&mut record.certificates, certificate, Some(used));
                // The new key is made on the operator's machine, as every key of a request.
                record.key_on_collector = false;
                let roles = record.roles.clone();
                let act =
                    Act { by, action: "operator-renewed", subject: record.name.clone(), text, detail: None };
                Ok((record, roles, vec![act]))
            })
            .await?;
        Ok(self.answer(&identity.to_string(), &issued, roles))
    }

    fn answer(&self, identity: &str, issued: &Issued, roles: Vec<String>) -> EnrollResponse {
        EnrollResponse {
            identity: identity.to_owned(),
            chain: issued.chain.iter().map(|it| it.to_vec()).collect(),
            anchors: self.zone.pki().anchors().iter().map(|it| it.to_vec()).collect(),
            collector_time_ms: self.zone.now_ms(),
            roles,
        }
    }

    /// The host's name, or the first of NAME-2, NAME-3 ... that no asset has, retired ones included.
    fn free_name(&self, hostname: &str) -> Result<Name, Status> {
        let base = Name::from_free_text(hostname).map_or_else(|| NAMELESS.to_owned(), |it| it.to_string());
        (1..=MAX_NAMESAKES)
            .map(|number| numbered(&base, number))
            .find(|it| self.zone.asset(it).is_none())
            .and_then(|it| it.parse().ok())
            .ok_or_else(|| Status::resource_exhausted(format!("too many hosts are named `{base}`")))
    }
}

fn numbered(base: &str, number: u32) -> String {
    if number == 1 {
        return base.to_owned();
    }
    let end = format!("-{number}");
    // Names are ASCII, so every byte is a character.
    let kept = base.len().min(MAX_NAME - end.len());
    format!("{}{end}", &base[..kept])
}

fn read(csr: &[u8]) -> Result<Csr, Status> {
    Csr::read(csr).map_err(|cause| Status::invalid_argument(cause.to_string()))
}

fn revoke(certificates: &mut [CertificateRecord], now_ms: i64) {
    for certificate in certificates.iter_mut().filter(|it| it.revoked_ms.is_none()) {
        certificate.revoked_ms = Some(now_ms);
        REPLACED.clone_into(&mut certificate.revoked_reason);
    }
}

/// Adds the newest certificate; the oldest ones go when there are too many, but never the one in use.
fn keep(certificates: &mut Vec<CertificateRecord>, newest: CertificateRecord, used: Option<&Digest>) {
    certificates.push(newest);
    while certificates.len() > MAX_CERTIFICATES {
        let in_use = |it: &CertificateRecord| used.is_some_and(|used| it.fingerprint == used.as_bytes());
        let Some(oldest) = certificates.iter().position(|it| !in_use(it)) else { return };
        certificates.remove(oldest);
    }
}

fn in_use(certificates: &[CertificateRecord], used: &Digest) -> bool {
    certificates.iter().any(|it| it.fingerprint == used.as_bytes() && it.revoked_ms.is_none())
}

fn describe(certificate: &CertificateRecord) -> String {
    format!("a certificate until {}", holdpoint_common::clock::readable(certificate.not_after_ms))
}

fn pki_status(cause: &PkiError) -> Status {
    tracing::error!(error = cause as &dyn std::error::Error, "a certificate cannot be issued");
    Status::failed_precondition(Chain(cause).to_string())
}

#[cfg(test)]
mod tests;
