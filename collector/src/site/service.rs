//! The site's services: what operators ask, and what the site's own account does over its socket.

use std::sync::Arc;

use holdpoint_common::bundle::{Algorithm, Class, PublicKey};
use holdpoint_common::identity::{Name, ZoneName};
use holdpoint_common::refusal::Reason;
use holdpoint_common::section::Digest;
use holdpoint_proto::v1 as pb;
use holdpoint_proto::v1::fleet_server::Fleet as FleetCalls;
use holdpoint_proto::v1::site_admin_server::SiteAdmin as SiteAdminCalls;
use tonic::{Request, Response, Status, async_trait};

use super::answer;
use super::fleet::{ActError, Member, Taken, history};
use super::keeper::{Keeper, KeeperError};
use super::keys::Heard;
use super::seal::Sealer;
use crate::conduit::Revoked;
use crate::store::StoreError;

/// Who asks; an extension of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The site's own account, over its socket.
    Local,
    /// A person with a certificate of the conduit.
    Operator {
        /// Who.
        name: Name,
        /// SHA-256 of the certificate.
        fingerprint: Digest,
        /// Until when it is good, Unix milliseconds.
        not_after_ms: i64,
    },
}

impl Caller {
    /// As whom an act is written down.
    fn word(&self) -> String {
        match self {
            Self::Local => "local".to_owned(),
            Self::Operator { name, .. } => format!("operator/{name}"),
        }
    }
}

/// The services over one fleet.
#[derive(Debug, Clone)]
pub struct SiteService {
    keeper: Arc<Keeper>,
    sealer: Arc<Sealer>,
    revoked: Revoked,
}

type Answer<T> = Result<Response<T>, Status>;

impl SiteService {
    /// Answers from this fleet, signs with this key, and refuses whose certificate is revoked.
    pub fn new(keeper: Arc<Keeper>, sealer: Arc<Sealer>, revoked: Revoked) -> Self {
        Self { keeper, sealer, revoked }
    }

    /// Who asks. A connection may be older than a revocation, so each call is asked for.
    fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        let found = request.extensions().get::<Caller>().cloned();
        let caller = found
            .ok_or_else(|| Reason::NoCertificate.refuse("this call needs a certificate of the conduit"))?;
        if let Caller::Operator { name, fingerprint, not_after_ms } = &caller {
            if self.keeper.now_ms() > *not_after_ms {
                return Err(
                    Reason::Expired.refuse("the certificate of this operator has ended: issue a new one")
                );
            }
            // A file that cannot be read revokes everybody.
            if self.revoked.holds(fingerprint).unwrap_or(true) {
                return Err(Reason::Revoked.refuse(format!("the certificate of {name} is revoked")));
            }
        }
        Ok(caller)
    }

    fn local<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        match self.caller(request)? {
            Caller::Local => Ok(Caller::Local),
            Caller::Operator { .. } => {
                Err(Reason::Role.refuse("this is done on the site's own machine: `holdpoint-collector site`"))
            }
        }
    }

    /// Works on what belongs to a zone.
    fn with_zone<T>(
        &self,
        zone: &str,
        work: impl FnOnce(&Member, i64) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let fleet = self.keeper.fleet();
        let member = fleet.member(zone).ok_or_else(|| no_zone(zone))?;
        work(member, self.keeper.now_ms())
    }

    fn history(&self, zone: &str, class: Class, name: &str) -> Result<(Vec<pb::FleetMoment>, u64), Status> {
        let kept = history(self.keeper.store(), zone, class, name);
        let kept = kept.map_err(|cause| Status::internal(chain(&cause)))?;
        Ok(answer::history(kept))
    }

    /// Does what waits for the disk where waiting holds nobody up.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Keeper) -> Result<T, KeeperError> + Send + 'static,
    ) -> Result<T, Status> {
        let keeper = Arc::clone(&self.keeper);
        let done = tokio::task::spawn_blocking(move || work(&keeper)).await;
        done.map_err(|_| Status::internal("the site failed at this"))?.map_err(|cause| refusal(&cause))
    }
}

#[async_trait]
impl FleetCalls for SiteService {
    async fn zones(&self, request: Request<pb::FleetZonesRequest>) -> Answer<pb::FleetZonesResponse> {
        self.caller(&request)?;
        let (objects, bytes) = self.blocking(|it| Ok(it.quarantined())).await?;
        let mut zones = answer::zones(&self.keeper.fleet(), self.keeper.now_ms());
        zones.quarantined = u64::try_from(objects).unwrap_or(u64::MAX);
        zones.quarantined_bytes = bytes;
        zones.stopped = self.keeper.stopped();
        Ok(Response::new(zones))
    }

    async fn zone(&self, request: Request<pb::FleetZoneRequest>) -> Answer<pb::FleetZone> {
        self.caller(&request)?;
        let zone = request.into_inner().zone;
        self.with_zone(&zone, |it, now_ms| Ok(answer::zone(it, now_ms))).map(Response::new)
    }

    async fn asset(&self, request: Request<pb::FleetAssetRequest>) -> Answer<pb::FleetAssetResponse> {
        self.caller(&request)?;
        let pb::FleetAssetRequest { zone, asset } = request.into_inner();
        let shown = self.with_zone(&zone, |member, now_ms| {
            let found = answer::find_asset(member, &asset);
            Ok(found.map(|found| (found.0.to_owned(), answer::asset(member, found, now_ms))))
        })?;
        if let Some((id, mut shown)) = shown {
            (shown.history, shown.history_beyond) = self.history(&zone, Class::Asset, &id)?;
            return Ok(Response::new(shown));
        }
        // It may be gone, and then its history says since when.
        let (moments, beyond) = self.history(&zone, Class::Asset, &asset)?;
        if moments.is_empty() {
            return Err(Status::not_found(format!("{zone} speaks of no asset `{asset}`, or of several")));
        }
        let mut gone = self.with_zone(&zone, |it, now_ms| Ok(answer::gone_asset(it, &asset, now_ms)))?;
        (gone.history, gone.history_beyond) = (moments, beyond);
        Ok(Response::new(gone))
    }

    async fn status(&self, request: Request<pb::FleetStatusRequest>) -> Answer<pb::FleetStatusResponse> {
        self.caller(&request)?;
        let request = request.into_inner();
        let fleet = self.keeper.fleet();
        if let Some(zone) = &request.zone {
            fleet.member(zone).ok_or_else(|| no_zone(zone))?;
        }
        Ok(Response::new(answer::status(&fleet, &request, self.keeper.now_ms())))
    }

    async fn changes(&self, request: Request<pb::FleetChangesRequest>) -> Answer<pb::FleetChangesResponse> {
        self.caller(&request)?;
        let wanted = request.into_inner().zone;
        let mut changes = {
            let (fleet, now_ms) = (self.keeper.fleet(), self.keeper.now_ms());
            if let Some(zone) = &wanted {
                fleet.member(zone).ok_or_else(|| no_zone(zone))?;
            }
            let meant =
                fleet.members().filter(|(name, _)| wanted.as_ref().is_none_or(|it| it == name.as_str()));
            meant.flat_map(|(_, it)| answer::changes(it, now_ms)).collect::<Vec<_>>()
        };
        for change in &mut changes {
            (change.history, change.history_beyond) =
                self.history(&change.zone, Class::Change, &change.id)?;
        }
        Ok(Response::new(pb::FleetChangesResponse { changes }))
    }

    async fn acknowledge(&self, request: Request<pb::FleetAcknowledgeRequest>) -> Answer<pb::FleetZone> {
        let by = self.caller(&request)?.word();
        let pb::FleetAcknowledgeRequest { zone, kind, sequence } = request.into_inner();
        let name = zone.clone();
        self.blocking(move |it| {
            it.act(|fleet, now_ms| fleet.acknowledge(&name, &kind, sequence, &by, now_ms)).map(|_| ())
        })
        .await?;
        self.with_zone(&zone, |it, now_ms| Ok(answer::zone(it, now_ms))).map(Response::new)
    }

    async fn export(&self, request: Request<pb::FleetExportRequest>) -> Answer<pb::FleetExportResponse> {
        self.caller(&request)?;
        let zone = request.into_inner().zone;
        let (subject, state, predicate) = self.with_zone(&zone, |member, now_ms| {
            let head = member.zone.incarnation().and_then(|it| it.head.as_ref());
            let head = head.ok_or_else(|| Status::failed_precondition("nothing was heard of this zone"))?;
            Ok((member.zone.stream().zone.to_string(), head.state, answer::state(member, now_ms)))
        })?;
        Ok(Response::new(pb::FleetExportResponse {
            envelope: self.sealer.seal(&subject, &state, &predicate),
        }))
    }
}

#[async_trait]
impl SiteAdminCalls for SiteService {
    async fn trust(&self, request: Request<pb::SiteTrustRequest>) -> Answer<pb::SiteTrustResponse> {
        let by = self.local(&request)?.word();
        let pb::SiteTrustRequest { site, zone, algorithm, root, statement } = request.into_inner();
        let name = |it: &str| it.parse::<Name>().map_err(|cause| Status::invalid_argument(cause.to_string()));
        let zone = ZoneName { site: name(&site)?, zone: name(&zone)? };
        let root = Algorithm::from_cose(algorithm).ok().and_then(|it| PublicKey::new(it, &root).ok());
        let root = root.ok_or_else(|| Status::invalid_argument("the root's public key cannot be read"))?;
        let act =
            move |it: &Keeper| it.act(|fleet, now_ms| fleet.trust(&zone, &root, &statement, &by, now_ms));
        let (trusted, released) = self.blocking(act).await?;
        Ok(Response::new(pb::SiteTrustResponse {
            zone: trusted.zone.to_string(),
            key: trusted.key.to_string(),
            released,
            known: !trusted.news,
        }))
    }

    async fn revoke(&self, request: Request<pb::SiteRevokeRequest>) -> Answer<pb::SiteRevokeResponse> {
        let by = self.local(&request)?.word();
        let key = request.into_inner().key;
        let act = move |it: &Keeper| it.act(|fleet, now_ms| fleet.revoke(&key, &by, now_ms));
        let ((key, zone), _) = self.blocking(act).await?;
        let zone = zone.map_or_else(String::new, |it| it.to_string());
        Ok(Response::new(pb::SiteRevokeResponse { key: key.to_string(), zone }))
    }

    async fn admit(&self, request: Request<pb::SiteAdmitRequest>) -> Answer<pb::FleetZone> {
        self.local(&request)?;
        let pb::SiteAdmitRequest { zone, epoch } = request.into_inner();
        let name = zone.clone();
        self.blocking(move |it| it.act(|fleet, _| fleet.admit(&name, &epoch)).map(|_| ())).await?;
        self.with_zone(&zone, |it, now_ms| Ok(answer::zone(it, now_ms))).map(Response::new)
    }

    async fn take(&self, request: Request<pb::SiteTakeRequest>) -> Answer<pb::SiteTakeResponse> {
        self.local(&request)?;
        let object = request.into_inner().object;
        let taken = self
            .blocking(move |it| {
                let (mut taken, outcome) = it.take(std::iter::once(object.as_slice()));
                outcome.and_then(|()| it.flush()).map(|()| taken.pop())
            })
            .await?;
        let taken = taken.ok_or_else(|| Status::internal("nothing was taken"))?;
        Ok(Response::new(told(taken)))
    }
}

/// What became of an object, in words.
pub fn told(taken: Taken) -> pb::SiteTakeResponse {
    match taken {
        Taken::Ruled { zone, sequence, ruling } => pb::SiteTakeResponse {
            outcome: ruling.as_str().to_owned(),
            zone: zone.to_string(),
            sequence: Some(sequence),
            reason: String::new(),
        },
        Taken::Heard { zone, heard } => pb::SiteTakeResponse {
            outcome: match heard {
                Heard::Known => "duplicate",
                Heard::Waits => "waits",
                Heard::Changed { .. } => "statement",
            }
            .to_owned(),
            zone: zone.to_string(),
            sequence: None,
            reason: String::new(),
        },
        Taken::Refused(refused) => pb::SiteTakeResponse {
            outcome: if refused.is_kept() { "set_aside" } else { "refused" }.to_owned(),
            zone: refused.zone.map_or_else(String::new, |it| it.to_string()),
            sequence: None,
            reason: refused.why,
        },
    }
}

fn no_zone(zone: &str) -> Status {
    Status::not_found(ActError::NoZone(zone.to_owned()).to_string())
}

fn refusal(cause: &KeeperError) -> Status {
    let text = chain(cause);
    match cause {
        KeeperError::Act(ActError::NoZone(_) | ActError::NoEpoch(_) | ActError::NoAlarm) => {
            Status::not_found(text)
        }
        KeeperError::Act(ActError::OtherSite { .. } | ActError::OtherRoot(_) | ActError::Statement(_)) => {
            Status::failed_precondition(text)
        }
        KeeperError::Act(ActError::Ambiguous(..) | ActError::NoKey(_) | ActError::NoKind(_)) => {
            Status::invalid_argument(text)
        }
        KeeperError::Store(StoreError::Full) => Status::resource_exhausted(text),
        KeeperError::Store(_) | KeeperError::Load(_) | KeeperError::Quarantine(_) => {
            Status::unavailable(text)
        }
    }
}

fn chain(cause: &(dyn std::error::Error + 'static)) -> String {
    holdpoint_common::chain::Chain(cause).to_string()
}
