//! The zone in memory: its assets and operators, who may speak for them, and the one way to change them.
//!
//! The store is the source of truth; what is here is what the store has acknowledged. Every
//! change goes through [`Zone::change_asset`] or one of its siblings: one at a time per asset,
//! on disk first, shown afterwards, and carried through even when the caller has gone.

mod change;
mod machines;
mod operators;
mod slot;
#[cfg(test)]
pub(crate) mod world;

pub mod freshness;
pub mod gate;
pub mod grade;
pub mod items;
pub mod pace;
pub mod role;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::identity::{Name, ZoneName};
use holdpoint_common::proto::store::{AssetRecord, ChallengePurpose, ChallengeRecord, SeenRecord};
use holdpoint_common::proto::v1::Health;
use holdpoint_common::refusal::Reason;
use holdpoint_common::section::Digest;
use tokio::sync::watch;
use tonic::Status;

use crate::audit::{Audit, AuditError};
use crate::pki::Pki;
use crate::server::Peer;
use crate::store::{Store, StoreError};

pub use change::{Assets, amend, event, status_of};
pub use freshness::{Freshness, Thresholds};
pub use gate::{Call, Shown, admit_operator, operator_of};
pub use grade::Grade;
pub use pace::Pace;
pub use role::Role;
pub use slot::{Allowances, DeclinedNow};

use machines::Machines;
use operators::Operators;
use pace::Recent;
pub(crate) use slot::Slot;

/// Most challenges that one asset is asked at the same time.
pub const MAX_CHALLENGES: usize = 16;
/// Longest time between check-ins of an asset in an open stage.
const HURRY: Duration = Duration::from_secs(15);
/// Assets that are read from the store at once.
const PAGE: usize = 1_000;
/// The identity of the collector's own account in records.
pub const LOCAL: &str = "local";

/// How a zone behaves; every default is documented where it is defined.
#[derive(Debug, Clone)]
pub struct ZoneSettings {
    /// When a quiet asset counts as stale and as silent.
    pub thresholds: Thresholds,
    /// How fast check-ins shall come.
    pub pace: Pace,
    /// How many calls one agent may make.
    pub allowances: Allowances,
    /// For how long after its expiry a certificate may be renewed.
    pub grace: Duration,
    /// How far a host's clock may be from the collector's.
    pub clock_tolerance: Duration,
    /// The collector's clock.
    pub clock: Arc<dyn Clock>,
}

impl Default for ZoneSettings {
    fn default() -> Self {
        Self {
            thresholds: Thresholds::default(),
            pace: Pace::default(),
            allowances: Allowances::default(),
            grace: Duration::from_hours(400 * 24),
            clock_tolerance: Duration::from_mins(5),
            clock: Arc::new(SystemClock),
        }
    }
}

/// Somebody who wants to hear of every asset that changed, after the change is durable.
pub trait Watcher: Send + Sync + 'static {
    /// The asset's record was replaced. Called on the task of the change: must be quick.
    fn asset_changed(&self, record: &Arc<AssetRecord>);

    /// A report with answers to these questions did not count. Called on the task of the report: must be quick.
    fn answer_refused(&self, _asset: &str, _nonces: &[Vec<u8>], _why: Unanswered) {}
}

/// Why the answer of a report did not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// The question is not asked any more.
    OldQuestion,
    /// The report's sequence is not higher than that of the one before.
    Order,
    /// Such a report was taken before: neither its sequence nor its question is a new one.
    Replay,
    /// The machine is another one than the asset's.
    Identity,
}

/// The zone cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    /// The store cannot be read.
    #[error("cannot read the zone's records")]
    Read(#[from] StoreError),
    /// The audit log cannot be used.
    #[error("cannot open the audit log")]
    Audit(#[from] AuditError),
}

/// A zone. Always behind an [`Arc`].
pub struct Zone {
    name: ZoneName,
    settings: ZoneSettings,
    store: Store,
    pki: Pki,
    audit: Audit,
    assets: RwLock<BTreeMap<String, Arc<Slot>>>,
    machines: RwLock<Machines>,
    operators: Operators,
    /// Who holds it may add assets.
    adding: Arc<tokio::sync::Mutex<()>>,
    recent: Mutex<Recent>,
    /// Assets of stages that are open: they are asked to call more often.
    hurried: RwLock<BTreeSet<String>>,
    watchers: RwLock<Vec<Arc<dyn Watcher>>>,
    shutdown: watch::Sender<bool>,
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zone").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Zone {
    /// Loads every asset and operator from the store; the audit key is in `dir`.
    ///
    /// # Errors
    /// The store or the audit key cannot be read.
    pub fn open(
        dir: &Path,
        settings: ZoneSettings,
        store: Store,
        pki: Pki,
        now_ms: i64,
    ) -> Result<Arc<Self>, ZoneError> {
        let audit = Audit::open(dir, store.clone())?;
        let (mut assets, mut machines) = (BTreeMap::new(), Machines::default());
        let mut after: Option<String> = None;
        loop {
            let page = store.assets(after.as_deref(), PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            for record in page {
                machines.replace(None, &record);
                let id = record.id.clone();
                assets.insert(id, Arc::new(Slot::new(record, &settings.allowances, now_ms)));
            }
        }
        let operators = Operators::new(store.operators()?);
        Ok(Arc::new(Self {
            name: pki.zone().clone(),
            settings,
            store,
            pki,
            audit,
            assets: RwLock::new(assets),
            machines: RwLock::new(machines),
            operators,
            adding: Arc::default(),
            recent: Mutex::default(),
            hurried: RwLock::default(),
            watchers: RwLock::default(),
            shutdown: watch::Sender::new(false),
        }))
    }

    /// The site and zone that this collector serves.
    pub fn name(&self) -> &ZoneName {
        &self.name
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The zone's CA.
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// The audit log.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The collector's clock.
    pub fn clock(&self) -> &dyn Clock {
        self.settings.clock.as_ref()
    }

    /// The collector's time, Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.settings.clock.now_ms()
    }

    /// How the zone behaves.
    pub fn settings(&self) -> &ZoneSettings {
        &self.settings
    }

    /// An asset by its id.
    pub fn asset(&self, id: &str) -> Option<Arc<AssetRecord>> {
        self.slot(id).map(|it| it.record())
    }

    /// Every asset, sorted by id. Reads memory only.
    pub fn assets(&self) -> Vec<Arc<AssetRecord>> {
        read(&self.assets).values().map(|it| it.record()).collect()
    }

    /// How many assets there are, retired ones and copies included.
    pub fn asset_count(&self) -> usize {
        read(&self.assets).len()
    }

    /// At most `limit` assets with ids after `after`, sorted by id.
    pub fn assets_after(&self, after: &str, limit: usize) -> Vec<Arc<AssetRecord>> {
        let from = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        read(&self.assets).range::<str, _>(from).take(limit).map(|(_, it)| it.record()).collect()
    }

    /// The assets whose ids start with that text, sorted by id.
    pub fn assets_starting_with(&self, prefix: &str) -> Vec<Arc<AssetRecord>> {
        let from = (std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded);
        let assets = read(&self.assets);
        assets
            .range::<str, _>(from)
            .take_while(|(id, _)| id.starts_with(prefix))
            .map(|(_, it)| it.record())
            .collect()
    }

    /// The asset with that id or, when exactly one has it, that display name.
    ///
    /// # Errors
    /// There is none, or several share the name.
    pub fn find_asset(&self, id_or_name: &str) -> Result<Arc<AssetRecord>, Status> {
        if let Some(asset) = self.asset(id_or_name) {
            return Ok(asset);
        }
        let mut named = self.assets().into_iter().filter(|it| it.name == id_or_name);
        match (named.next(), named.next()) {
            (Some(asset), None) => Ok(asset),
            (Some(one), Some(other)) => Err(Status::failed_precondition(format!(
                "`{}` and `{}` are both named `{}`: say the id",
                one.id,
                other.id,
                items::bounded(id_or_name)
            ))),
            (None, _) => Err(Status::not_found(format!(
                "no asset has the id or name `{}`: `holdpoint assets` lists them",
                items::bounded(id_or_name)
            ))),
        }
    }

    /// The ids of the assets with that machine fingerprint, retired ones included.
    pub fn machines(&self, fingerprint: &[u8]) -> Vec<String> {
        read(&self.machines).assets(fingerprint)
    }

    /// When the agent called last, and what it said of its health.
    pub fn last_seen(&self, id: &str) -> Option<SeenRecord> {
        self.store.seen(id)
    }

    /// How recently the agent of an asset called.
    pub fn freshness(&self, record: &AssetRecord) -> Freshness {
        let seen = self.last_seen(&record.id).map(|it| it.seen_ms);
        self.settings.thresholds.judge(seen, self.now_ms())
    }

    /// Adds somebody who hears of every change from now on.
    pub fn watch(&self, watcher: Arc<dyn Watcher>) {
        write(&self.watchers).push(watcher);
    }

    /// Tells everybody who watches that an answer did not count.
    pub(crate) fn tell_refused(&self, asset: &str, nonces: &[Vec<u8>], why: Unanswered) {
        for watcher in read(&self.watchers).iter() {
            watcher.answer_refused(asset, nonces, why);
        }
    }

    /// Asks these assets to call more often, instead of those that were asked before.
    pub fn hurry(&self, assets: BTreeSet<String>) {
        *write(&self.hurried) = assets;
    }

    /// Ends every held call; no check-in is held afterwards.
    pub fn shut_down(&self) {
        self.shutdown.send_replace(true);
    }

    /// Tells when the zone shuts down.
    pub fn shutdown(&self) -> watch::Receiver<bool> {
        self.shutdown.subscribe()
    }

    /// The asset that a connection may speak for: the one gate for agents.
    ///
    /// # Errors
    /// A refusal with its reason and what to do next.
    pub fn agent_caller(&self, peer: &Peer, call: Call) -> Result<Arc<AssetRecord>, Status> {
        let shown = shown(peer)?;
        let asset = gate::asset_of(&self.name, &shown)?;
        let record = self.asset(asset.as_str());
        gate::admit_agent(asset, record.as_deref(), &shown, call, self.settings.grace, self.now_ms())?;
        record.ok_or_else(|| Reason::Unknown.refuse("this collector does not know the asset"))
    }

    /// The operator whom a connection speaks for, who has a role that covers `needs`: the one
    /// gate for operators. The collector's own socket may do everything; its name is [`LOCAL`].
    ///
    /// # Errors
    /// A refusal with its reason and what to do next.
    pub fn operator_caller(&self, peer: &Peer, needs: Role) -> Result<Name, Status> {
        self.operator_call(peer, Call::Other, Some(needs))
    }

    /// The operator whom a connection speaks for when no role is needed, as for a renewal.
    ///
    /// # Errors
    /// A refusal with its reason and what to do next.
    pub fn operator_call(&self, peer: &Peer, call: Call, needs: Option<Role>) -> Result<Name, Status> {
        if matches!(peer, Peer::Local) {
            return LOCAL.parse().map_err(|_| Status::internal("the local account has no name"));
        }
        let shown = shown(peer)?;
        let name = gate::operator_of(&self.name, &shown)?;
        let record = self.operator(name.as_str());
        let (grace, now) = (self.settings.grace, self.now_ms());
        gate::admit_operator(name, record.as_deref(), &shown, call, needs, grace, now)?;
        Ok(name.clone())
    }

    /// Who acts, as the audit log writes it.
    pub fn actor(&self, peer: &Peer) -> String {
        match peer {
            Peer::Certificate { identity, .. } => identity.to_string(),
            Peer::Local => LOCAL.to_owned(),
            Peer::NoCertificate => "nobody".to_owned(),
        }
    }

    /// Asks an asset to look again: a durable challenge, which also wakes a held check-in.
    ///
    /// # Errors
    /// The asset is unknown or retired, has too many challenges, or the store refuses.
    pub async fn challenge(self: &Arc<Self>, id: &str, issued_by: &str) -> Result<ChallengeRecord, Status> {
        let challenge = self.question(issued_by, None)?;
        let added = challenge.clone();
        self.change_asset(id, move |record, _| ask(record, added)).await?;
        self.grant(id);
        Ok(challenge)
    }

    /// A question with a nonce that nobody can guess, which is still to be put to an asset. With a purpose its answer
    /// is kept.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(crate) fn question(
        &self,
        by: &str,
        purpose: Option<ChallengePurpose>,
    ) -> Result<ChallengeRecord, Status> {
        let mut nonce = vec![0; 16];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Status::internal("no random numbers"))?;
        Ok(ChallengeRecord { nonce, issued_ms: self.now_ms(), issued_by: by.to_owned(), purpose })
    }

    /// What the collector asks for does not count against the agent's budget.
    pub fn grant(&self, id: &str) {
        if let Some(slot) = self.slot(id) {
            let mut live = slot.live();
            live.check_ins.grant(2);
            live.reports.grant(2);
        }
    }

    /// Why an asset does not act on a challenge now; `None` when it did not decline.
    pub fn declined(&self, id: &str, nonce: &[u8]) -> Option<DeclinedNow> {
        self.slot(id)?.live().declined.iter().find(|it| it.nonce == nonce).cloned()
    }

    /// Notes that an agent called: at once for readers, on disk within seconds.
    pub(crate) fn seen(&self, id: &str, health: Option<Health>) {
        let health = health.or_else(|| self.store.seen(id).and_then(|it| it.health));
        self.store.touch(id, SeenRecord { seen_ms: self.now_ms(), health });
    }

    /// Counts a check-in and says what the interval between an asset's check-ins is now.
    pub(crate) fn interval(&self, asset: &str, now_ms: i64) -> Duration {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner).count(now_ms);
        let interval = self.settings.pace.stretched(self.asset_count(), recent);
        if read(&self.hurried).contains(asset) { interval.min(HURRY) } else { interval }
    }

    pub(crate) fn slot(&self, id: &str) -> Option<Arc<Slot>> {
        read(&self.assets).get(id).cloned()
    }
}

/// Puts a question to an asset.
///
/// # Errors
/// The asset is retired, or a copy that is refused.
pub fn ask(record: &mut AssetRecord, challenge: ChallengeRecord) -> Result<(), Status> {
    if record.retired_ms.is_some() {
        return Err(Reason::Retired.refuse(format!("asset `{}` was retired", record.id)));
    }
    if record.copy_of.is_some() {
        return Err(Status::failed_precondition(format!(
            "`{}` is a copy that is refused: merge or split it first",
            record.id
        )));
    }
    if record.challenges.len() >= MAX_CHALLENGES {
        // The oldest goes: whoever waits for it has waited for 15 newer ones.
        record.challenges.remove(0);
    }
    record.challenges.push(challenge);
    Ok(())
}

fn shown(peer: &Peer) -> Result<gate::Shown<'_>, Status> {
    match peer {
        Peer::Certificate { identity, fingerprint, not_before_ms, not_after_ms, .. } => Ok(gate::Shown {
            identity,
            fingerprint,
            not_before_ms: *not_before_ms,
            not_after_ms: *not_after_ms,
        }),
        Peer::NoCertificate => Err(Reason::NoCertificate.refuse(
            "this call needs a client certificate: enrol first (holdpoint-agent enroll, or holdpoint enroll)",
        )),
        Peer::Local => Err(Reason::NoCertificate.refuse("the collector's own socket speaks for no asset")),
    }
}

/// The fingerprint of a connection's certificate.
pub(crate) fn fingerprint_of(peer: &Peer) -> Option<&Digest> {
    match peer {
        Peer::Certificate { fingerprint, .. } => Some(fingerprint),
        Peer::NoCertificate | Peer::Local => None,
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
