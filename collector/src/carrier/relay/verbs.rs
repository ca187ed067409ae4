//! What each verb of `relay` does and says.
//!
//! ```text
//! DIR/relay.toml                      settings of both processes
//! DIR/ingest/conduit.key|crt ...      ingest's own key: it is called, and its certificate is good for that alone
//! DIR/forward/conduit.key|crt ...     forward's own key, to call with
//! DIR/zones/NAME.zone                 enrolments; DIR/zones/state: what ingest learned since
//! DIR/spool/SITE/ZONE/                ingest fills, forward empties
//! DIR/quarantine/                     objects of keys that nobody knows
//! ```

use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::clock::{Clock, SystemClock, readable};
use holdpoint_common::conduit::Party;
use holdpoint_common::identity::{InvalidName, Name};
use holdpoint_common::tls::Purpose;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::args::{Relay, RelayData, RelayInit};
use super::config::{Config, ConfigError, Destination, FILE};
use super::desk::{Desk, DeskError, spool, tray};
use super::listen::{ListenError, Listener};
use super::os::{Role, restrict};
use super::send::{HostPort, InvalidHostPort, Sender, Timing};
use super::trays::Trays;
use crate::conduit::{ConduitError, Credentials, KEY_FILE, save_request};

/// Folder of ingest's key.
const INGEST: &str = "ingest";
/// Folder of forward's key.
const FORWARD: &str = "forward";
/// How often a running process says what it did.
const TELL_EVERY: Duration = Duration::from_mins(5);
/// From when on the end of the own certificate is said.
const WARN_BEFORE_MS: i64 = 60 * 86_400_000;

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RelayVerbError {
    /// A name is none.
    #[error("--{option}")]
    Name {
        /// Which option.
        option: &'static str,
        /// Why.
        source: InvalidName,
    },
    /// An address is none.
    #[error("--forward-to")]
    Address(#[from] InvalidHostPort),
    /// No site's name can be made of the address.
    #[error("--forward-to {0}: give this site a name in {FILE}")]
    Nameless(HostPort),
    /// The directory is a relay's already.
    #[error("{} is a relay's directory already", .0.display())]
    Exists(PathBuf),
    /// Nobody to pass on to.
    #[error("{FILE} has no [[forward]]: there is no site to pass on to")]
    NoDestination,
    /// The certificate is another party's.
    #[error("{} holds the certificate of {found}, and this is {expected}", path.display())]
    OtherParty {
        /// Where it lies.
        path: PathBuf,
        /// Whose it is.
        found: Box<Party>,
        /// Whose it should be.
        expected: Box<Party>,
    },
    /// Another process is this half already.
    #[error("another process holds {}: one half runs once", .0.display())]
    Running(PathBuf),
    /// A folder cannot be made.
    #[error("cannot make {}", path.display())]
    Make {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Keys and certificates.
    #[error(transparent)]
    Conduit(#[from] ConduitError),
    /// The port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The folders.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The system does not hold this process to its role.
    #[error("this process cannot be held to its role (seccomp is needed)")]
    Restrict(#[source] io::Error),
}

/// Does what was typed; `say` tells people, and `stop` ends the processes.
///
/// # Errors
/// It cannot begin. What goes wrong later is logged and waited out.
pub async fn run(
    typed: Relay,
    say: &(dyn Fn(&str) + Send + Sync),
    stop: impl Future<Output = ()> + Send,
) -> Result<ExitCode, RelayVerbError> {
    match typed {
        Relay::Init(typed) => init(&typed, say)?,
        Relay::Ingest(typed) => ingest(&typed, stop).await?,
        Relay::Forward(typed) => forward(&typed, stop).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn init(typed: &RelayInit, say: &dyn Fn(&str)) -> Result<(), RelayVerbError> {
    let name =
        |option, text: &str| text.parse::<Name>().map_err(|source| RelayVerbError::Name { option, source });
    let mut config = Config::new(&name("site", &typed.site)?, &name("name", &typed.name)?);
    if let Some(listen) = typed.listen {
        config.listen = listen;
    }
    for text in &typed.forward_to {
        let address: HostPort = text.parse()?;
        let name = Name::from_free_text(text).ok_or_else(|| RelayVerbError::Nameless(address.clone()))?;
        config.forward.push(Destination { name: name.to_string(), address: address.to_string() });
    }
    config.destinations()?;
    let dir = &typed.data;
    if dir.join(FILE).exists() {
        return Err(RelayVerbError::Exists(dir.clone()));
    }
    for folder in [dir.join("zones").join("state"), spool(dir), dir.join("quarantine")] {
        fs::create_dir_all(&folder).map_err(|source| RelayVerbError::Make { path: folder, source })?;
    }
    let party = config.party()?;
    // Two keys, so that who gets hold of one process cannot be the other one.
    let requests = [
        save_request(&dir.join(INGEST), &party, &[Purpose::Server], &typed.address_names)?,
        save_request(&dir.join(FORWARD), &party, &[Purpose::Client], &[])?,
    ];
    config.write(dir)?;
    say(&format!("{party} is prepared in {}", dir.display()));
    say("next, on the machine of the conduit CA:");
    for request in &requests {
        say(&format!("  holdpoint-collector conduit issue {} --data CA --out OUT", request.display()));
    }
    say("then here:");
    for (request, part) in requests.iter().zip([INGEST, FORWARD]) {
        let certificate =
            Path::new("OUT").join(request.file_name().unwrap_or_default()).with_extension("crt");
        let (certificate, part) = (certificate.display(), dir.join(part));
        say(&format!("  holdpoint-collector conduit install {certificate} --data {}", part.display()));
    }
    say(&format!("then put the enrolments of the zones into {}", dir.join("zones").display()));
    Ok(())
}

async fn ingest(typed: &RelayData, stop: impl Future<Output = ()>) -> Result<(), RelayVerbError> {
    let (config, credentials, _held) = prepare(&typed.data, INGEST)?;
    let destinations: Vec<_> = config.destinations()?.into_iter().map(|it| it.0).collect();
    if destinations.is_empty() {
        return Err(RelayVerbError::NoDestination);
    }
    let site = credentials.party.site();
    let desk = Arc::new(Desk::open(&typed.data, site, &destinations, config.bounds())?);
    let sink = Arc::clone(&desk);
    let listener = Listener::bind(config.listen, &credentials, Arc::new(SystemClock), config.limits(), sink)?;
    hold_to(Role::Ingest)?;
    tracing::info!(listen = %config.listen, party = %credentials.party, "ingest is ready");

    let counters = listener.counters();
    let (stopped, listens) = watch::channel(false);
    let running = listener.run(listens);
    tokio::pin!(running, stop);
    loop {
        tokio::select! {
            () = &mut running => return Ok(()),
            () = &mut stop => {
                stopped.send_replace(true);
                return Ok(());
            }
            () = tokio::time::sleep(TELL_EVERY) => {
                tracing::info!(?counters, tally = ?desk.tally(), "so far");
                warn_of_end(&credentials);
            }
        }
    }
}

async fn forward(typed: &RelayData, stop: impl Future<Output = ()>) -> Result<(), RelayVerbError> {
    let (config, credentials, _held) = prepare(&typed.data, FORWARD)?;
    let destinations = config.destinations()?;
    if destinations.is_empty() {
        return Err(RelayVerbError::NoDestination);
    }
    hold_to(Role::Forward)?;
    let (stopped, stops) = watch::channel(false);
    let (mut senders, mut told) = (JoinSet::new(), Vec::new());
    for (name, address) in destinations {
        let trays = Trays::below(&tray(&spool(&typed.data), &name));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let sender = Sender::new(trays, address, &credentials, clock, Timing::default())?;
        told.push((name, sender.sent()));
        senders.spawn(sender.run(stops.clone()));
    }
    tracing::info!(sites = told.len(), party = %credentials.party, "forward is ready");
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep(TELL_EVERY) => {
                for (site, sent) in &told {
                    tracing::info!(%site, sent = ?*sent.borrow(), "so far");
                }
                warn_of_end(&credentials);
            }
        }
    }
    stopped.send_replace(true);
    while senders.join_next().await.is_some() {}
    Ok(())
}

/// The settings, who this is, and the lock by which it is so alone: a tray has one process that fills it.
fn prepare(data: &Path, part: &str) -> Result<(Config, Credentials, fs::File), RelayVerbError> {
    let config = Config::read(data)?;
    let path = data.join(part);
    let credentials = Credentials::load(&path)?;
    let expected = config.party()?;
    if credentials.party != expected {
        let found = Box::new(credentials.party);
        return Err(RelayVerbError::OtherParty { path, found, expected: Box::new(expected) });
    }
    warn_of_end(&credentials);
    // The key is there, and this half may read it.
    let key = path.join(KEY_FILE);
    let held = fs::File::open(&key).map_err(|source| ConduitError::Read { path: key.clone(), source })?;
    held.try_lock().map_err(|_| RelayVerbError::Running(key))?;
    Ok((config, credentials, held))
}

fn hold_to(role: Role) -> Result<(), RelayVerbError> {
    if !restrict(role).map_err(RelayVerbError::Restrict)? {
        tracing::warn!(?role, "this system cannot hold a process to its role");
    }
    Ok(())
}

fn warn_of_end(own: &Credentials) {
    if own.leaf.not_after_ms.saturating_sub(SystemClock.now_ms()) < WARN_BEFORE_MS {
        tracing::warn!(party = %own.party, until = %readable(own.leaf.not_after_ms), "the certificate ends soon");
    }
}
