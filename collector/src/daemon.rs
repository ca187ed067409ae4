//! A whole collector: made by [`init`], served by [`start`], ended by [`Running::stop`].
//!
//! ```text
//! DIR/collector.toml   settings           DIR/store/       the embedded store
//! DIR/pki/             zone CAs           DIR/audit.key    signs the audit log
//! DIR/admin.sock       the administrator's way in, while a collector runs
//! DIR/outbox/          keys and trays of what leaves the zone, where anything does
//! ```
//! Nothing here reads arguments, prints, or handles signals, so tests and `quickstart` run the
//! very same collector; [`stop_signal`] is for the program.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::chain::Chain;
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::proto::v1::admin_server::{Admin as _, AdminServer};
use holdpoint_common::proto::v1::agent_link_server::AgentLinkServer;
use holdpoint_common::proto::v1::changes_server::ChangesServer;
use holdpoint_common::proto::v1::enrollment_server::EnrollmentServer;
use holdpoint_common::proto::v1::inventory_server::InventoryServer;
use holdpoint_common::proto::v1::knowledge_server::KnowledgeServer;
use holdpoint_common::proto::v1::{AddOperatorRequest, CreateTokenRequest, OperatorFiles};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::{Request, Status};
use tracing::{error, info, warn};

use crate::admin::AdminService;
use crate::audit::Act;
use crate::carrier::relay::{self, HostPort, Trays};
use crate::change::ChangeOffice;
use crate::conduit::Credentials;
use crate::config::{self, Config, ConfigError};
use crate::duty::Books;
use crate::enrol::EnrolService;
use crate::intake::Intake;
use crate::knowledge::LibraryError;
use crate::local::SOCKET;
use crate::memory;
use crate::metrics::{self, Label, Metrics};
use crate::outbox;
use crate::pki::{Founded, Origin, Pki, PkiError};
use crate::query::{self, changes::ChangesService, inventory::InventoryService};
use crate::server::{self, Counters, Limits, Listeners, LocalListener, Peer, ServerError};
use crate::store::{Engine, LostData, Store, StoreConfig, StoreError, Txn};
use crate::summary::Sources;
use crate::zone::{self, Pace, Thresholds, Zone, ZoneError, ZoneSettings};

/// Largest request of an agent, bytes: one part of a report.
const MAX_REQUEST: usize = 4 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;
/// How often a certificate of the conduit is looked for that is not there yet.
const CERTIFICATE_AGAIN: Duration = Duration::from_secs(10);

/// What `init` makes.
#[derive(Debug)]
pub struct InitOptions {
    /// The data directory; made when it is missing.
    pub data: PathBuf,
    /// Its settings.
    pub config: Config,
    /// An intermediate of the plant's own CA; without it a root and a zone CA are made.
    pub brought: Option<Brought>,
}

/// An intermediate that the plant brings.
#[derive(Debug)]
pub struct Brought {
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub key: String,
}

/// A collector cannot be made or served.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The directory has a configuration already.
    #[error("{} is a zone's directory already: serve it with `holdpoint-collector run`, or name another", .0.display())]
    Exists(PathBuf),
    /// The directory cannot be made.
    #[error("cannot make {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The settings.
    #[error("the configuration cannot be used")]
    Config(#[from] ConfigError),
    /// No such engine.
    #[error("store.engine = \"{0}\" is not an engine: use \"sled\" or \"redb\"")]
    Engine(String),
    /// The zone's CA.
    #[error("the certificate authority cannot be used")]
    Pki(#[from] PkiError),
    /// The store.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// The zone's records.
    #[error("the zone cannot be opened")]
    Zone(#[from] ZoneError),
    /// The knowledge of the zone.
    #[error("what was imported cannot be read")]
    Knowledge(#[from] LibraryError),
    /// The port or the socket.
    #[error("the collector cannot listen")]
    Server(#[from] ServerError),
    /// The metrics endpoint.
    #[error("cannot listen on {address} for metrics")]
    Metrics {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A call inside the collector was refused.
    #[error("{}", .0.message())]
    Refused(Status),
    /// The system starts no more threads.
    #[error("no thread can be started")]
    Thread(#[source] io::Error),
}

/// Makes the directory of a new zone.
pub async fn init(options: &InitOptions) -> Result<Founded, DaemonError> {
    let InitOptions { data, config, brought } = options;
    if data.join(config::FILE).exists() {
        return Err(DaemonError::Exists(data.clone()));
    }
    let zone = config.zone_name()?;
    make_private(data).map_err(|source| DaemonError::Directory { path: data.clone(), source })?;
    let origin = match brought {
        Some(Brought { certificate, key }) => Origin::Brought { certificate, key },
        None => Origin::NewRoot,
    };
    let founded = Pki::init(data, &zone, origin, SystemClock.now_ms())?;
    let (store, _) = Store::open(&store_dir(data), &store_config(config)?)?;
    store.close().await?;
    // Last: a directory is a zone's when everything else is there.
    config.write(data)?;
    Ok(founded)
}

/// Where a data directory keeps its store.
pub fn store_dir(data: &Path) -> PathBuf {
    data.join("store")
}

/// A zone with its files open.
pub struct OpenedZone {
    /// The zone.
    pub zone: Arc<Zone>,
    /// Its settings.
    pub config: Config,
    /// What the store had acknowledged and does not have.
    lost: Option<LostData>,
}

/// Opens a data directory that nobody else has open.
pub fn open_zone(data: &Path) -> Result<OpenedZone, DaemonError> {
    let config = Config::read(data)?;
    let name = config.zone_name()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let now_ms = clock.now_ms();
    let pki = Pki::open(data, &name, now_ms)?;
    let (store, report) = Store::open(&store_dir(data), &store_config(&config)?)?;
    if let Some(lost) = &report.lost_data {
        error!(?lost, "the store is behind what it has acknowledged: agents will report again");
    }
    if let Some(aside) = &report.quarantined {
        warn!(path = %aside.display(), "damaged files were set aside");
    }
    let zone = Zone::open(data, zone_settings(&config, clock), store, pki, now_ms)?;
    Ok(OpenedZone { zone, config, lost: report.lost_data })
}

/// Writes a loss into the events and the audit log, where a person finds it; only then it counts as told.
async fn tell_of_loss(zone: &Arc<Zone>, lost: &LostData) -> Result<(), DaemonError> {
    let found = lost.found.map_or_else(|| "is empty".to_owned(), |it| format!("ends at {it}"));
    let text = format!(
        "the store had acknowledged transaction {} and {found}: restore a backup; agents that are still \
         known report again by themselves, the others enrol again",
        lost.expected
    );
    let event = zone::event(zone.now_ms(), "", "collector-lost-data", text.clone());
    let act = Act {
        by: zone::LOCAL.to_owned(),
        action: "collector-lost-data",
        subject: "store".to_owned(),
        text,
        detail: None,
    };
    zone.commit(Txn::admin().add_event(event), vec![act]).await.map_err(DaemonError::Refused)?;
    Ok(zone.store().acknowledge_loss().await?)
}

/// A collector that serves.
pub struct Running {
    address: SocketAddr,
    zone: Arc<Zone>,
    config: Config,
    stop: watch::Sender<bool>,
    serving: JoinHandle<Result<(), ServerError>>,
    metrics: Option<JoinHandle<()>>,
    giving_back: JoinHandle<()>,
    outbox: Option<outbox::run::Running>,
    relay: Option<JoinHandle<()>>,
}

/// Opens a data directory and serves it.
pub async fn start(data: &Path) -> Result<Running, DaemonError> {
    let OpenedZone { zone, config, lost } = open_zone(data)?;
    if let Some(lost) = &lost {
        tell_of_loss(&zone, lost).await?;
    }
    let tcp = server::bind(config.listen)?;
    let address =
        tcp.local_addr().map_err(|source| ServerError::Listen { address: config.listen, source })?;
    let listeners = Listeners { tcp, local: Some(LocalListener::bind(&data.join(SOCKET)).await?) };

    let counters = Arc::new(Counters::default());
    let metrics = Metrics::new();
    let (stop, stopped) = watch::channel(false);
    let scraped = match config.metrics {
        Some(address) => {
            let listener =
                metrics::bind(address).await.map_err(|source| DaemonError::Metrics { address, source })?;
            let refresh = refresher(&zone, &counters, &metrics);
            let serving = metrics::serve(listener, metrics.clone(), refresh, ended(stopped.clone()));
            Some(tokio::spawn(serving))
        }
        None => None,
    };

    let (routes, outbox) = routes(data, &zone, &config, &metrics).await?;
    let limits = Limits {
        connections: usize::try_from(config.agents.max_connections).unwrap_or(usize::MAX),
        connections_per_address: usize::try_from(config.agents.max_connections_per_address)
            .unwrap_or(usize::MAX),
        ..Limits::default()
    };
    let relay = config.outbox.as_ref().and_then(|it| it.relay.clone());
    let relay =
        relay.map(|it| tokio::spawn(send_by_relay(data.join(outbox::DIRECTORY), it, stopped.clone())));
    let serving = server::serve(
        listeners,
        zone.pki().clone(),
        routes,
        limits,
        counters,
        Arc::new(SystemClock),
        ended(stopped),
    );
    let serving = tokio::spawn(serving);
    info!(%address, zone = %zone.name(), assets = zone.asset_count(), "collector serves");
    let giving_back = tokio::spawn(memory::give_back());
    Ok(Running { address, zone, config, stop, serving, metrics: scraped, giving_back, outbox, relay })
}

impl Running {
    /// Where it listens; the port that was chosen when the configuration says 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The zone that it serves.
    pub fn zone(&self) -> &Arc<Zone> {
        &self.zone
    }

    /// The address to type on another machine.
    pub fn reached_at(&self) -> String {
        self.config.reached_at()
    }

    /// Adds an operator whose key is made here; such a key cannot sign decisions.
    pub async fn add_operator_with_key(
        &self,
        name: &str,
        roles: &[&str],
    ) -> Result<OperatorFiles, DaemonError> {
        let request = AddOperatorRequest {
            name: name.to_owned(),
            roles: roles.iter().map(|&it| it.to_owned()).collect(),
            ttl_s: 0,
            key_on_collector: true,
            person: String::new(),
        };
        let added = self.admin().add_operator(local(request)).await.map_err(DaemonError::Refused)?;
        let none = || DaemonError::Refused(Status::internal("the collector made no key"));
        added.into_inner().files.ok_or_else(none)
    }

    /// Makes a token for one host.
    pub async fn create_token(&self) -> Result<String, DaemonError> {
        let request = CreateTokenRequest { uses: 1, ..CreateTokenRequest::default() };
        let made = self.admin().create_token(local(request)).await.map_err(DaemonError::Refused)?;
        Ok(made.into_inner().token)
    }

    /// Ends held calls, waits for running ones, writes what is left, closes the store.
    pub async fn stop(self) -> Result<(), DaemonError> {
        info!("collector stops");
        self.zone.shut_down();
        self.stop.send_replace(true);
        let served = self.serving.await;
        self.giving_back.abort();
        if let Some(relay) = self.relay {
            // What was sent and not yet taken away is sent again.
            relay.abort();
        }
        if let Some(outbox) = self.outbox {
            // It ends the step in hand, which may wait for the disk.
            let stopped = tokio::task::spawn_blocking(|| outbox.stop()).await;
            if let Err(cause) = stopped {
                warn!(error = %Chain(&cause), "the outbox did not end by itself");
            }
        }
        if let Some(metrics) = self.metrics {
            // It ends with the same signal; a scrape that hangs is not waited for.
            metrics.abort();
        }
        self.zone.store().clone().close().await?;
        match served {
            Ok(outcome) => Ok(outcome?),
            Err(cause) => {
                warn!(error = %Chain(&cause), "the server's task did not end by itself");
                Ok(())
            }
        }
    }

    fn admin(&self) -> AdminService {
        AdminService::new(Arc::clone(&self.zone))
    }
}

/// Completes when the process is told to stop.
pub async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without a handler the signal ends the process by itself.
    let _ = interrupt.await;
}

async fn routes(
    data: &Path,
    zone: &Arc<Zone>,
    config: &Config,
    metrics: &Metrics,
) -> Result<(Routes, Option<outbox::run::Running>), DaemonError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<AgentLinkServer<Intake>>().await;
    let ages = config.knowledge.allowed_ages();
    let knowledge = query::knowledge::open(zone, ages)?.by_packs_only(config.knowledge.packs_only);
    knowledge.finish_packs().await;
    let (library, board) = (Arc::clone(knowledge.library()), Arc::clone(knowledge.board()));
    let books = Books::open(zone, knowledge.baselines(), &board)?;
    let office = ChangeOffice::open(zone, Arc::clone(&library), board)?;
    let running = match &config.outbox {
        Some(section) => {
            let sources = Sources {
                zone: Arc::clone(zone),
                board: Arc::clone(knowledge.board()),
                hardening: Arc::clone(knowledge.hardening_board()),
                library: Arc::clone(&library),
                changes: Arc::clone(&office),
            };
            let started = outbox::run::Running::start(section.settings(data), sources);
            Some(started.map_err(DaemonError::Thread)?)
        }
        None => None,
    };
    let admin = AdminService::new(Arc::clone(zone))
        .with_outbox(running.as_ref().map(|it| Arc::clone(it.outbox())))
        .with_resend_codes(config.outbox.as_ref().is_some_and(|it| it.resend_codes));
    let intake = Intake::new(Arc::clone(zone)).counted_by(metrics.clone());
    let routes = Routes::new(AgentLinkServer::new(intake).max_decoding_message_size(MAX_REQUEST))
        .add_service(EnrollmentServer::new(EnrolService::new(Arc::clone(zone))))
        .add_service(InventoryServer::new(InventoryService::new(Arc::clone(zone))))
        .add_service(KnowledgeServer::new(knowledge))
        .add_service(ChangesServer::new(ChangesService::new(office, books, library)))
        .add_service(AdminServer::new(admin))
        .add_service(health_service);
    Ok((routes, running))
}

/// Empties the outbox's tray towards a relay. Without a certificate of the conduit it waits for one.
async fn send_by_relay(outbox: PathBuf, to: HostPort, stopped: watch::Receiver<bool>) {
    loop {
        let own = Credentials::load(&outbox.join(outbox::CONDUIT));
        let trays = Trays::one(&outbox.join(outbox::RELAY));
        let sent = match own {
            Ok(own) => relay::send(trays, to.clone(), &own, Arc::new(SystemClock), stopped.clone()).await,
            Err(cause) => Err(cause),
        };
        match sent {
            Ok(()) => return,
            Err(cause) => warn!(error = %Chain(&cause), "bundles wait for the conduit's certificate"),
        }
        tokio::time::sleep(CERTIFICATE_AGAIN).await;
    }
}

/// Reads the gauges that nobody counts, just before a scrape.
fn refresher(
    zone: &Arc<Zone>,
    counters: &Arc<Counters>,
    metrics: &Metrics,
) -> impl Fn() + Clone + Send + Sync + 'static {
    let (zone, counters, metrics) = (Arc::clone(zone), Arc::clone(counters), metrics.clone());
    move || {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        metrics.connections.set(gauge(counters.open()));
        let stats = zone.store().stats();
        metrics.store_bytes.set(gauge(stats.bytes_on_disk.unwrap_or(0)));
        metrics.store_refusing.set(i64::from(!stats.admits_reports));
        metrics.assets.clear();
        for asset in zone.assets().iter().filter(|it| it.retired_ms.is_none()) {
            let kind = zone.freshness(asset).as_str();
            metrics.assets.get_or_create(&Label { kind }).inc();
        }
    }
}

fn store_config(config: &Config) -> Result<StoreConfig, DaemonError> {
    let engine: Engine =
        config.store.engine.parse().map_err(|_| DaemonError::Engine(config.store.engine.clone()))?;
    Ok(StoreConfig {
        engine,
        low_free_bytes: config.store.low_watermark_mib * MIB,
        ballast_bytes: config.store.ballast_mib * MIB,
        ..StoreConfig::default()
    })
}

fn zone_settings(config: &Config, clock: Arc<dyn Clock>) -> ZoneSettings {
    let seconds = |it: u32| Duration::from_secs(u64::from(it));
    ZoneSettings {
        thresholds: Thresholds {
            stale: seconds(config.agents.stale_after_s),
            silent: seconds(config.agents.silent_after_s),
        },
        pace: Pace { interval: seconds(config.agents.check_in_s), ..Pace::default() },
        grace: config.renewal_grace(),
        clock,
        ..ZoneSettings::default()
    }
}

async fn ended(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone means the same as one that says stop.
    let _ = stopped.wait_for(|it| *it).await;
}

fn local<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Peer::Local);
    request
}

/// Keys are below: nobody else may look into the directory.
fn make_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(dir)
}
