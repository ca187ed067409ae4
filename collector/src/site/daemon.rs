//! A whole site: made by [`init`], served by [`start`], ended by [`Running::stop`].
//!
//! ```text
//! DIR/site.toml      settings              DIR/store/       the embedded store
//! DIR/site.key       signs what is exported                 DIR/site.pub    its public half
//! DIR/conduit.key    and conduit.crt, conduit-ca.crt, revoked: the site on the conduit
//! DIR/inbox/*        trays of what came    DIR/quarantine/  what cannot be verified
//! DIR/site.sock      the administrator's way in, while the site runs
//! ```
//! Nothing here reads arguments, prints or handles signals.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use holdpoint_common::chain::Chain;
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::conduit::Party;
use holdpoint_common::tls::Purpose;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::config::{self, Config};
use super::doorstep::Doorstep;
use super::keeper::{Keeper, KeeperError};
use super::listen::{self, Doors};
use super::seal::{SealError, Sealer};
use super::service::SiteService;
use super::trays::{self, INBOX};
use crate::carrier::relay::{self, ListenError};
use crate::conduit::{CERTIFICATE_FILE, ConduitError, Credentials, Revoked, save_request};
use crate::config::ConfigError;
use crate::server::{self, LocalListener, ServerError};
use crate::store::{Engine, Store, StoreConfig, StoreError};

/// Name of the socket in a site's directory.
pub const SOCKET: &str = "site.sock";
const MIB: u64 = 1024 * 1024;

/// A site cannot be made or served.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The directory has a configuration already.
    #[error("{} is a site's directory already: serve it with `holdpoint-collector site run`, or name another", .0.display())]
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
    /// The store.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// What is known of the zones.
    #[error("what is known of the zones cannot be used")]
    Keeper(#[from] KeeperError),
    /// The site's key.
    #[error("the site's key cannot be used")]
    Seal(#[from] SealError),
    /// The site on the conduit.
    #[error("the site's place on the conduit cannot be used")]
    Conduit(#[from] ConduitError),
    /// The certificate is somebody else's.
    #[error("the certificate in {} is of {party}, and this is the site {site}", dir.display())]
    OtherParty {
        /// Where it lies.
        dir: PathBuf,
        /// Whose it is.
        party: Box<Party>,
        /// The site.
        site: String,
    },
    /// The operators' port or the socket.
    #[error("the site cannot listen")]
    Server(#[from] ServerError),
    /// The port of the conduit.
    #[error("the site cannot be delivered to")]
    Listen(#[from] ListenError),
    /// The thread that empties the trays.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// What `init` made.
#[derive(Debug)]
pub struct Made {
    /// The request for the conduit's CA.
    pub request: PathBuf,
    /// The name of the key that signs what is exported.
    pub key: holdpoint_common::section::Digest,
}

/// Makes the directory of a new site.
///
/// # Errors
/// It is there already, or cannot be made.
pub fn init(data: &Path, config: &Config) -> Result<Made, SiteError> {
    if data.join(config::FILE).exists() {
        return Err(SiteError::Exists(data.to_owned()));
    }
    let site = config.site_name()?;
    let directory = |path: &Path| {
        let failed = |source| SiteError::Directory { path: path.to_owned(), source };
        make_private(path).map_err(failed)
    };
    directory(data)?;
    directory(&data.join(INBOX))?;
    let sealer = Sealer::found(data)?;
    let party = Party::Site { site };
    let request = save_request(data, &party, &[Purpose::Server], &config.names)?;
    let (store, _) = Store::open(&store_dir(data), &store_config(config)?)?;
    drop(store);
    // Last: a directory is a site's when everything else is there.
    config.write(data)?;
    Ok(Made { request, key: sealer.key_id() })
}

/// Where a site's directory keeps its store.
pub fn store_dir(data: &Path) -> PathBuf {
    data.join("store")
}

/// A site's directory, opened.
#[derive(Debug)]
pub struct Opened {
    /// The fleet.
    pub keeper: Arc<Keeper>,
    /// Its services.
    pub service: SiteService,
    /// Its settings.
    pub config: Config,
}

/// Opens a directory that nobody else has open.
///
/// # Errors
/// It is no site's, or what is in it cannot be used.
pub fn open(data: &Path, clock: Arc<dyn Clock>) -> Result<Opened, SiteError> {
    let config = Config::read(data)?;
    let (store, report) = Store::open(&store_dir(data), &store_config(&config)?)?;
    if let Some(lost) = &report.lost_data {
        error!(
            ?lost,
            "the store is behind what it has acknowledged: zones say their state again within a cycle"
        );
    }
    if let Some(aside) = &report.quarantined {
        warn!(path = %aside.display(), "damaged files were set aside");
    }
    let keeper = Keeper::open(data, config.site_name()?, config.settings()?, store, clock)?;
    let (keeper, sealer) = (Arc::new(keeper), Arc::new(Sealer::load(data)?));
    let service = SiteService::new(Arc::clone(&keeper), sealer, Revoked::beside(data));
    Ok(Opened { keeper, service, config })
}

/// A site that serves.
#[derive(Debug)]
pub struct Running {
    /// Where operators ask; `None` as long as the site has no certificate.
    operators: Option<SocketAddr>,
    /// Where relays deliver; `None` as long as the site has no certificate.
    deliveries: Option<SocketAddr>,
    keeper: Arc<Keeper>,
    stop: watch::Sender<bool>,
    stop_trays: Arc<AtomicBool>,
    serving: tokio::task::JoinHandle<Result<(), ServerError>>,
    delivered: Option<tokio::task::JoinHandle<()>>,
    trays: Option<JoinHandle<()>>,
}

/// Opens a directory and serves it.
///
/// # Errors
/// It cannot be opened, or nothing can listen.
pub async fn start(data: &Path) -> Result<Running, SiteError> {
    start_at(data, Arc::new(SystemClock)).await
}

/// [`start`] by another clock.
///
/// # Errors
/// As [`start`].
pub async fn start_at(data: &Path, clock: Arc<dyn Clock>) -> Result<Running, SiteError> {
    let Opened { keeper, service, config } = open(data, Arc::clone(&clock))?;
    let own = credentials(data, &config)?;
    let operators = match &own {
        Some(own) => Some((server::bind(config.operators)?, listen::acceptor(own, Arc::clone(&clock))?)),
        None => {
            warn!(
                "no certificate yet: neither relays nor operators can connect; `conduit issue` signs the \
                 request, `conduit install` puts the certificate here"
            );
            None
        }
    };
    let failed = |source| ServerError::Listen { address: config.operators, source };
    let address =
        operators.as_ref().map(|(listener, _)| listener.local_addr()).transpose().map_err(failed)?;
    let local = LocalListener::bind(&data.join(SOCKET)).await?;
    let (stop, stopped) = watch::channel(false);
    let listener = match &own {
        Some(own) => Some(relay::Listener::bind(
            config.listen,
            own,
            clock,
            relay::Limits::default(),
            Arc::new(Doorstep::new(data)),
        )?),
        None => None,
    };
    let failed = |source| ListenError::Bind { address: config.listen, source };
    let deliveries = listener.as_ref().map(relay::Listener::local_addr).transpose().map_err(failed)?;
    let delivered = listener.map(|it| tokio::spawn(it.run(stopped.clone())));
    let serving = tokio::spawn(listen::serve(Doors { local, operators }, service, stopped));

    let stop_trays = Arc::new(AtomicBool::new(false));
    let (inner, stop_inner, dir) = (Arc::clone(&keeper), Arc::clone(&stop_trays), data.to_owned());
    let trays = thread::Builder::new()
        .name("trays".to_owned())
        .spawn(move || trays::run(&dir, &inner, &stop_inner))
        .map_err(SiteError::Thread)?;
    let zones = keeper.fleet().members().count();
    info!(site = %config.site, zones, "site serves");
    Ok(Running {
        operators: address,
        deliveries,
        keeper,
        stop,
        stop_trays,
        serving,
        delivered,
        trays: Some(trays),
    })
}

/// The site on the conduit; `None` before it has a certificate.
fn credentials(data: &Path, config: &Config) -> Result<Option<Credentials>, SiteError> {
    if !data.join(CERTIFICATE_FILE).exists() {
        return Ok(None);
    }
    let own = Credentials::load(data)?;
    let site = config.site_name()?;
    if own.party != (Party::Site { site }) {
        let (dir, party) = (data.to_owned(), Box::new(own.party));
        return Err(SiteError::OtherParty { dir, party, site: config.site.clone() });
    }
    Ok(Some(own))
}

impl Running {
    /// Where operators ask; `None` as long as the site has no certificate.
    pub fn operators(&self) -> Option<SocketAddr> {
        self.operators
    }

    /// Where relays deliver; `None` as long as the site has no certificate.
    pub fn deliveries(&self) -> Option<SocketAddr> {
        self.deliveries
    }

    /// The fleet that it serves.
    pub fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    /// Ends calls, makes durable what was taken, closes the store.
    ///
    /// # Errors
    /// The store does not close.
    pub async fn stop(mut self) -> Result<(), SiteError> {
        info!("site stops");
        self.stop_trays.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        match self.serving.await {
            Ok(outcome) => outcome?,
            Err(cause) => warn!(error = %Chain(&cause), "the server's task did not end by itself"),
        }
        if let Some(delivered) = self.delivered.take()
            && delivered.await.is_err()
        {
            warn!("the port of the conduit did not end by itself");
        }
        if let Some(trays) = self.trays.take() {
            let joined = tokio::task::spawn_blocking(move || trays.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                warn!("the thread of the trays did not end by itself");
            }
        }
        self.keeper.store().clone().close().await?;
        Ok(())
    }
}

fn store_config(config: &Config) -> Result<StoreConfig, SiteError> {
    let engine: Engine =
        config.store.engine.parse().map_err(|_| SiteError::Engine(config.store.engine.clone()))?;
    Ok(StoreConfig {
        engine,
        low_free_bytes: config.store.low_watermark_mib * MIB,
        ballast_bytes: config.store.ballast_mib * MIB,
        ..StoreConfig::default()
    })
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
