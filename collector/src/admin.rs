//! The Admin service: tokens, operators, revocation, the CA, the care of the store.
//!
//! Served to operators with role admin and, without TLS, on the collector's own socket. Paths
//! belong to the collector's machine, so calls with a path are for that socket alone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use holdpoint_common::bundle::resend::{Code, InvalidCode};
use holdpoint_common::chain::Chain;
use holdpoint_common::identity::Name;
use holdpoint_common::proto::store::token_record::Grant;
use holdpoint_common::proto::store::{AgentGrant, CertificateRecord, OperatorGrant, OperatorRecord};
use holdpoint_common::proto::v1::admin_server::Admin;
use holdpoint_common::proto::v1::{
    AddOperatorRequest, AddOperatorResponse, BackupStoreRequest, CarryOutboxRequest, CompactStoreRequest,
    CreateTokenRequest, CreateTokenResponse, OutboxCarried, OutboxResent, OutboxRotated, OutboxState,
    ReindexRequest, ResendOutboxRequest, RevokeRequest, RevokeResponse, RotateCaRequest, RotateCaResponse,
    RotateOutboxRequest, ShowOutboxRequest, ShowStoreRequest, StoreReport, StoreStats, VerifyAuditRequest,
    VerifyAuditResponse, VerifyStoreRequest,
};
use tonic::{Request, Response, Status};

use crate::audit::Act;
use crate::outbox::resend::{NotResent, Turnstile};
use crate::outbox::run::{NotNow, OnMedium, Outbox};
use crate::outbox::wire;
use crate::pki::{Origin, PkiError, token};
use crate::server::Peer;
use crate::store::{StoreError, Txn};
use crate::zone::{LOCAL, Role, Zone, status_of};

/// Most tags of a host.
const MAX_TAGS: usize = 16;
/// Longest reason for a revocation, bytes.
const MAX_REASON: usize = 512;
/// Longest name of a person, bytes.
const MAX_PERSON: usize = 200;
/// Largest PEM file of a root, bytes.
const MAX_PEM: usize = 64 * 1024;
/// Purdue levels end here.
const MAX_LEVEL: u32 = 5;

/// The service over one zone.
#[derive(Debug, Clone)]
pub struct AdminService {
    zone: Arc<Zone>,
    /// There is none where no collector runs, or where nothing is to leave the zone.
    outbox: Option<Arc<Outbox>>,
    /// There is none where codes are not taken.
    resends: Option<Arc<Turnstile>>,
}

impl AdminService {
    /// The service of that zone.
    pub fn new(zone: Arc<Zone>) -> Self {
        Self { zone, outbox: None, resends: None }
    }

    /// The service of a zone of which summaries leave.
    #[must_use]
    pub fn with_outbox(self, outbox: Option<Arc<Outbox>>) -> Self {
        Self { outbox, ..self }
    }

    /// The same service; with `allowed` it takes codes that the site printed.
    #[must_use]
    pub fn with_resend_codes(self, allowed: bool) -> Self {
        Self { resends: allowed.then(Arc::default), ..self }
    }

    fn outbox(&self) -> Result<Arc<Outbox>, Status> {
        self.outbox.clone().ok_or_else(|| {
            Status::failed_precondition(
                "nothing leaves this zone: `holdpoint-collector outbox init` makes an outbox, and the collector \
                 must run",
            )
        })
    }

    /// The caller's name in the audit log, once it may run the zone.
    fn admin<T>(&self, request: &Request<T>) -> Result<String, Status> {
        let peer = peer(request)?;
        self.zone.operator_caller(peer, Role::Admin)?;
        Ok(self.zone.actor(peer))
    }

    /// As [`Self::admin`], for what only the collector's own machine may ask.
    fn local<T>(request: &Request<T>) -> Result<(), Status> {
        match peer(request)? {
            Peer::Local => Ok(()),
            Peer::Certificate { .. } | Peer::NoCertificate => Err(Status::permission_denied(
                "this works on the collector's machine only: `holdpoint-collector store ... --data DIR`",
            )),
        }
    }
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let by = self.admin(&request)?;
        let CreateTokenRequest { uses, ttl_s, role, level, tags, for_asset } = request.into_inner();
        let for_asset = match for_asset {
            Some(asset) => Some(self.zone.find_asset(&asset)?.id.clone()),
            None => None,
        };
        if tags.len() > MAX_TAGS {
            return Err(Status::invalid_argument(format!("a host has at most {MAX_TAGS} tags")));
        }
        if level.is_some_and(|it| it > MAX_LEVEL) {
            return Err(Status::invalid_argument("a level is a number from 0 to 5"));
        }
        for word in role.iter().chain(&tags) {
            name(word)?;
        }

        let subject = for_asset.clone().unwrap_or_else(|| "any host".to_owned());
        let grant = Grant::Agent(AgentGrant { role, level, tags, for_asset });
        let text = format!("{} uses", uses.max(1));
        let (token, expires_ms) = self
            .token(grant, uses, ttl_s, |expires_ms| Act {
                by,
                action: "token-created",
                subject,
                text: format!("{text}, until {}", holdpoint_common::clock::readable(expires_ms)),
                detail: None,
            })
            .await?;
        Ok(Response::new(CreateTokenResponse { token, expires_ms }))
    }

    async fn add_operator(
        &self,
        request: Request<AddOperatorRequest>,
    ) -> Result<Response<AddOperatorResponse>, Status> {
        let by = self.admin(&request)?;
        let AddOperatorRequest { name: typed, roles, ttl_s, key_on_collector, person } = request.into_inner();
        let operator = name(&typed)?;
        if operator.as_str() == LOCAL {
            return Err(Status::invalid_argument("`local` is the collector's own account"));
        }
        let mut checked = roles
            .iter()
            .map(|it| it.parse::<Role>().map_err(|cause| Status::invalid_argument(cause.to_string())))
            .collect::<Result<Vec<_>, _>>()?;
        checked.sort_unstable();
        checked.dedup();
        if checked.is_empty() {
            return Err(Status::invalid_argument(
                "say at least one role: viewer, engineer, admin, or one of the board",
            ));
        }
        if person.len() > MAX_PERSON || person.chars().any(char::is_control) {
            return Err(Status::invalid_argument(format!("a person is named in at most {MAX_PERSON} bytes")));
        }
        let roles: Vec<String> = checked.iter().map(|it| it.as_str().to_owned()).collect();

        let now = self.zone.now_ms();
        let made = if key_on_collector {
            let identity = self.zone.name().operator(operator.clone());
            Some(self.zone.pki().issue_with_key(&identity, now).map_err(|it| pki_status(&it))?)
        } else {
            None
        };
        let act = Act {
            by: by.clone(),
            action: "operator-added",
            subject: operator.to_string(),
            text: if person.is_empty() {
                format!("roles {}", roles.join(", "))
            } else {
                format!("roles {}, person {person}", roles.join(", "))
            },
            detail: None,
        };
        let files = self
            .zone
            .change_operator(operator.as_str(), Txn::admin(), |before, _| {
                let mut record = before.cloned().unwrap_or_else(|| OperatorRecord {
                    name: operator.to_string(),
                    added_ms: now,
                    ..OperatorRecord::default()
                });
                record.roles = roles;
                if !person.is_empty() {
                    record.person = person;
                }
                let files = made.map(|(issued, files)| {
                    revoke(&mut record.certificates, now, "replaced");
                    record.certificates.push(issued.record);
                    record.key_on_collector = true;
                    files
                });
                Ok((record, files, vec![act]))
            })
            .await?;
        if files.is_some() {
            return Ok(Response::new(AddOperatorResponse { token: String::new(), expires_ms: 0, files }));
        }
        let grant = Grant::Operator(OperatorGrant { name: operator.to_string() });
        let (token, expires_ms) = self
            .token(grant, 1, ttl_s, |expires_ms| Act {
                by,
                action: "token-created",
                subject: operator.to_string(),
                text: format!("once, until {}", holdpoint_common::clock::readable(expires_ms)),
                detail: None,
            })
            .await?;
        Ok(Response::new(AddOperatorResponse { token, expires_ms, files: None }))
    }

    async fn revoke(&self, request: Request<RevokeRequest>) -> Result<Response<RevokeResponse>, Status> {
        let by = self.admin(&request)?;
        let RevokeRequest { kind, name: typed, reason } = request.into_inner();
        if reason.len() > MAX_REASON {
            return Err(Status::invalid_argument(format!("a reason has at most {MAX_REASON} bytes")));
        }
        let now = self.zone.now_ms();
        let act = |action, subject: &str| Act {
            by: by.clone(),
            action,
            subject: subject.to_owned(),
            text: reason.clone(),
            detail: None,
        };
        let certificates = match kind.as_str() {
            "agent" => {
                let id = self.zone.find_asset(&typed)?.id.clone();
                self.zone
                    .change_asset_in(&id, Txn::admin(), |record, _| {
                        let count = revoke(&mut record.certificates, now, &reason);
                        Ok((count, vec![act("agent-revoked", &record.id)]))
                    })
                    .await?
            }
            "operator" => {
                let unknown =
                    || Status::not_found(format!("no operator is named `{}`", typed.escape_debug()));
                self.zone
                    .change_operator(&typed, Txn::admin(), |before, _| {
                        let mut record = before.cloned().ok_or_else(unknown)?;
                        let count = revoke(&mut record.certificates, now, &reason);
                        Ok((record, count, vec![act("operator-revoked", &typed)]))
                    })
                    .await?
            }
            _ => return Err(Status::invalid_argument("kind is `agent` or `operator`")),
        };
        Ok(Response::new(RevokeResponse { certificates }))
    }

    async fn rotate_ca(
        &self,
        request: Request<RotateCaRequest>,
    ) -> Result<Response<RotateCaResponse>, Status> {
        let by = self.admin(&request)?;
        let RotateCaRequest { root_certificate_pem, root_key_pem } = request.into_inner();
        if root_certificate_pem.len() > MAX_PEM || root_key_pem.len() > MAX_PEM {
            return Err(Status::invalid_argument("that is no certificate and no key: far too large"));
        }
        let origin = match (root_certificate_pem.is_empty(), root_key_pem.is_empty()) {
            (true, true) => Origin::NewRoot,
            (false, false) => Origin::Root { certificate: &root_certificate_pem, key: &root_key_pem },
            _ => return Err(Status::invalid_argument("a root is its certificate and its key, both")),
        };
        let founded = self.zone.pki().rotate(origin, self.zone.now_ms()).map_err(|it| pki_status(&it))?;
        let act = Act {
            by,
            action: "ca-rotated",
            subject: founded.fingerprint.to_string(),
            text: format!("valid until {}", holdpoint_common::clock::readable(founded.not_after_ms)),
            detail: None,
        };
        self.zone.commit(Txn::admin(), vec![act]).await?;
        let older = |it: &CertificateRecord| {
            it.revoked_ms.is_none() && it.issuer != founded.fingerprint.as_bytes().as_slice()
        };
        let agents = self.zone.assets().iter().filter(|it| it.certificates.iter().any(older)).count();
        Ok(Response::new(RotateCaResponse {
            fingerprint: founded.fingerprint.to_vec(),
            not_after_ms: founded.not_after_ms,
            agents_to_renew: u32::try_from(agents).unwrap_or(u32::MAX),
            root_to_take_away: founded.root_to_take_away.map(|it| it.display().to_string()),
        }))
    }

    async fn verify_audit(
        &self,
        request: Request<VerifyAuditRequest>,
    ) -> Result<Response<VerifyAuditResponse>, Status> {
        self.zone.operator_caller(peer(&request)?, Role::Viewer)?;
        let zone = Arc::clone(&self.zone);
        let verified = tokio::task::spawn_blocking(move || zone.audit().verify())
            .await
            .map_err(|_| Status::internal("the verification ended early; the collector's log says why"))?
            .map_err(|it| status_of(&it))?;
        Ok(Response::new(VerifyAuditResponse {
            valid: verified.faults.is_empty(),
            entries: verified.entries,
            head: verified.head.to_vec(),
            faults: verified.faults,
            key: self.zone.audit().key().public().to_vec(),
        }))
    }

    async fn show_store(&self, request: Request<ShowStoreRequest>) -> Result<Response<StoreStats>, Status> {
        self.admin(&request)?;
        let stats = self.zone.store().stats();
        Ok(Response::new(StoreStats {
            engine: stats.engine.to_string(),
            bytes_on_disk: stats.bytes_on_disk,
            bytes_free: stats.bytes_free,
            last_durable_sequence: stats.sequence,
            real_syncs: stats.real_syncs,
            refusing_reports: !stats.admits_reports,
            assets: u32::try_from(stats.assets).unwrap_or(u32::MAX),
            sections: u32::try_from(stats.sections).unwrap_or(u32::MAX),
        }))
    }

    async fn backup_store(
        &self,
        request: Request<BackupStoreRequest>,
    ) -> Result<Response<StoreReport>, Status> {
        let by = self.admin(&request)?;
        Self::local(&request)?;
        let path = PathBuf::from(request.into_inner().path);
        if !path.is_absolute() {
            return Err(Status::invalid_argument("the backup's path must be absolute"));
        }
        let backup = Backup::create(&path)?;
        let summary = self.zone.store().export(Box::new(backup.file()?)).await;
        let summary = summary.map_err(|it| status_of(&it))?;
        backup.keep()?;
        let act = Act {
            by,
            action: "store-backed-up",
            subject: path.display().to_string(),
            text: format!("SHA-256 of the contents {}", HEXLOWER.encode(&summary.digest)),
            detail: None,
        };
        self.zone.commit(Txn::admin(), vec![act]).await?;
        Ok(Response::new(StoreReport {
            records: summary.entries,
            bytes: summary.bytes,
            digest: summary.digest.to_vec(),
            faults: Vec::new(),
        }))
    }

    async fn verify_store(
        &self,
        request: Request<VerifyStoreRequest>,
    ) -> Result<Response<StoreReport>, Status> {
        self.admin(&request)?;
        let faults = self.zone.store().verify().await.map_err(|it| status_of(&it))?;
        let faults = faults.into_iter().map(|it| format!("{} {}: {}", it.table, it.key, it.text)).collect();
        Ok(Response::new(StoreReport { faults, ..StoreReport::default() }))
    }

    async fn compact_store(
        &self,
        request: Request<CompactStoreRequest>,
    ) -> Result<Response<StoreReport>, Status> {
        let by = self.admin(&request)?;
        Self::local(&request)?;
        let (before, after) = self.zone.store().compact().await.map_err(|it| status_of(&it))?;
        let act = Act {
            by,
            action: "store-compacted",
            subject: "store".to_owned(),
            text: format!("{before} to {after} bytes"),
            detail: None,
        };
        self.zone.commit(Txn::admin(), vec![act]).await?;
        Ok(Response::new(StoreReport { bytes: after, ..StoreReport::default() }))
    }

    async fn reindex(&self, request: Request<ReindexRequest>) -> Result<Response<StoreReport>, Status> {
        self.admin(&request)?;
        let records = self.zone.store().reindex().await.map_err(|it| status_of(&it))?;
        Ok(Response::new(StoreReport { records, ..StoreReport::default() }))
    }

    async fn show_outbox(
        &self,
        request: Request<ShowOutboxRequest>,
    ) -> Result<Response<OutboxState>, Status> {
        self.zone.operator_caller(peer(&request)?, Role::Viewer)?;
        let outbox = self.outbox()?;
        in_background(move || Ok(wire::state(&outbox))).await.map(Response::new)
    }

    async fn carry_outbox(
        &self,
        request: Request<CarryOutboxRequest>,
    ) -> Result<Response<OutboxCarried>, Status> {
        Self::local(&request)?;
        let outbox = self.outbox()?;
        let path = PathBuf::from(request.into_inner().path);
        let told = path.display().to_string();
        let OnMedium { written, numbers, slices } =
            in_background(move || outbox.carry(&path).map_err(|it| outbox_status(&it))).await?;
        let act = Act {
            by: LOCAL.to_owned(),
            action: "outbox-carried",
            subject: told,
            text: format!("{} files of {} bytes", written.files, written.bytes),
            detail: None,
        };
        self.zone.commit(Txn::admin(), vec![act]).await?;
        Ok(Response::new(wire::carried(&written, numbers, slices)))
    }

    async fn rotate_outbox(
        &self,
        request: Request<RotateOutboxRequest>,
    ) -> Result<Response<OutboxRotated>, Status> {
        Self::local(&request)?;
        let outbox = self.outbox()?;
        let key_epoch = in_background(move || outbox.rotate().map_err(|it| outbox_status(&it))).await?;
        let act = Act {
            by: LOCAL.to_owned(),
            action: "outbox-key-rotated",
            subject: format!("key {key_epoch}"),
            text: String::new(),
            detail: None,
        };
        self.zone.commit(Txn::admin(), vec![act]).await?;
        Ok(Response::new(OutboxRotated { key_epoch }))
    }

    async fn resend_outbox(
        &self,
        request: Request<ResendOutboxRequest>,
    ) -> Result<Response<OutboxResent>, Status> {
        Self::local(&request)?;
        let outbox = self.outbox()?;
        let turnstile = self.resends.clone().ok_or_else(|| {
            Status::failed_precondition(
                "this zone takes no codes: `resend_codes = true` under [outbox] in collector.toml allows them",
            )
        })?;
        let ResendOutboxRequest { code, person } = request.into_inner();
        if person.len() > MAX_PERSON || person.chars().any(char::is_control) {
            return Err(Status::invalid_argument(format!("a person is named in at most {MAX_PERSON} bytes")));
        }
        let code: Code = code.parse().map_err(|it: InvalidCode| Status::invalid_argument(it.to_string()))?;
        turnstile.pass(self.zone.now_ms()).map_err(|wait| {
            Status::failed_precondition(format!("one code a minute is taken: try again in {wait} s"))
        })?;
        let outcome = in_background(move || Ok(outbox.resend(&code))).await?;
        let (action, text) = match &outcome {
            Ok(resent) => {
                let asked = code.to() - code.from() + 1;
                ("outbox-resent", format!("{} of {asked} bundles left again", resent.bundles))
            }
            Err(why) => ("outbox-resend-refused", Chain(why).to_string()),
        };
        let person = if person.is_empty() { "somebody".to_owned() } else { person };
        let act = Act {
            by: LOCAL.to_owned(),
            action,
            subject: format!("bundles {} to {}", code.from(), code.to()),
            text: format!("{person} typed {code}: {text}"),
            detail: None,
        };
        self.zone.commit(Txn::admin(), vec![act]).await?;
        let resent = outcome.map_err(|why| match &why {
            NotResent::NotHere(_) | NotResent::NoCarrier => Status::failed_precondition(why.to_string()),
            NotResent::NotNow(cause) => outbox_status(cause),
        })?;
        Ok(Response::new(wire::resent(&code, &resent)))
    }
}

impl AdminService {
    /// Makes a token, keeps its record, and notes it in the audit log.
    async fn token(
        &self,
        grant: Grant,
        uses: u32,
        ttl_s: u64,
        act: impl FnOnce(i64) -> Act,
    ) -> Result<(String, i64), Status> {
        let pin = self.zone.pki().fingerprint().map_err(|it| pki_status(&it))?;
        let (token, record) = token::make(grant, uses, Duration::from_secs(ttl_s), pin, self.zone.now_ms())
            .map_err(|_| Status::internal("the operating system gave no random bytes"))?;
        let expires_ms = record.expires_ms;
        self.zone.commit(Txn::admin().put_token(record), vec![act(expires_ms)]).await?;
        Ok((token.reveal().to_string(), expires_ms))
    }
}

/// Who calls, as the server noted it.
fn peer<T>(request: &Request<T>) -> Result<&Peer, Status> {
    request.extensions().get::<Peer>().ok_or_else(|| Status::internal("the connection has no peer"))
}

fn name(text: &str) -> Result<Name, Status> {
    text.parse()
        .map_err(|cause: holdpoint_common::identity::InvalidName| Status::invalid_argument(cause.to_string()))
}

/// Revokes what is not revoked yet and counts it.
fn revoke(certificates: &mut [CertificateRecord], now_ms: i64, reason: &str) -> u32 {
    let mut count = 0;
    for certificate in certificates.iter_mut().filter(|it| it.revoked_ms.is_none()) {
        certificate.revoked_ms = Some(now_ms);
        reason.clone_into(&mut certificate.revoked_reason);
        count += 1;
    }
    count
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Status::internal("the work ended early; the collector's log says why"))?
}

fn outbox_status(cause: &NotNow) -> Status {
    Status::unavailable(Chain(cause).to_string())
}

fn pki_status(cause: &PkiError) -> Status {
    tracing::error!(error = cause as &dyn std::error::Error, "the certificate authority failed");
    Status::failed_precondition(Chain(cause).to_string())
}

/// A backup in the making: it has its name only when it is whole and on disk.
struct Backup {
    path: PathBuf,
    making: PathBuf,
}

impl Backup {
    fn create(path: &Path) -> Result<Self, Status> {
        if path.exists() {
            return Err(Status::already_exists(format!("{} exists already", path.display())));
        }
        let mut making = path.as_os_str().to_owned();
        making.push(".part");
        Ok(Self { path: path.to_owned(), making: making.into() })
    }

    fn file(&self) -> Result<File, Status> {
        File::create(&self.making).map_err(|cause| self.failed(cause))
    }

    fn keep(self) -> Result<(), Status> {
        let synced = File::open(&self.making).and_then(|file| file.sync_all());
        synced.and_then(|()| fs::rename(&self.making, &self.path)).map_err(|cause| self.failed(cause))
    }

    fn failed(&self, source: std::io::Error) -> Status {
        let cause = StoreError::File { doing: "write", path: self.making.clone(), source };
        Status::failed_precondition(Chain(&cause).to_string())
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        // After `keep` there is nothing left under this name.
        let _ = fs::remove_file(&self.making);
    }
}
