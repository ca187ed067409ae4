//! `quickstart`: a whole zone on this machine, in this process, over real mutual TLS on loopback.
//!
//! ```text
//! DIR/                 the collector's data directory
//! DIR/agent/           this host's agent: identity and state
//! DIR/operator.toml    the operator's profile; its key lies in DIR/operator/
//! ```
//! Nothing is spawned and nothing is skipped: the agent enrols with a token and the questions go
//! through the operator's own certificate. A second start on the same directory uses what is there.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use holdpoint_agent::host::Host;
use holdpoint_agent::{EnrollError, RunError, Settings};
use holdpoint_collector::config::{self, Config};
use holdpoint_collector::daemon::{self, DaemonError, InitOptions, Running};
use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::credentials::{
    ANCHORS_FILE, CERTIFICATE_FILE, Credentials, CredentialsError, KEY_FILE,
};
use holdpoint_common::identity::{Name, Subject, ZoneName};
use holdpoint_common::proto::v1::{GetAssetRequest, OperatorFiles, SectionKind};
use holdpoint_common::token::{InvalidToken, Token};
use serde::Serialize;
use tokio::sync::oneshot;

use super::{Caller, status};
use crate::connection::{Connection, answer};
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Output, Page, Table};
use crate::profile::{self, Found, Profile};
use crate::view::asset::Asset;
use crate::view::finding::Finding;

/// The zone's name; the site is named after the machine.
const ZONE: &str = "local";
/// The site's name when the machine's own is none.
const SITE: &str = "quickstart";
/// The operator.
const OPERATOR: &str = "operator";
/// What the operator of an evaluation may do.
const ROLES: [&str; 3] = ["admin", "engineer", "viewer"];
/// Where everything is kept when nobody says so.
const DEFAULT_DATA: &str = "holdpoint-data";
/// How long the first inventory may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// `quickstart`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  holdpoint quickstart\n  holdpoint quickstart --once -o json")]
pub struct Options {
    /// Where the zone is kept [default: ./holdpoint-data; with --once a directory that is removed].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// End after the first inventory instead of serving until Ctrl-C.
    #[arg(long)]
    pub once: bool,
}

/// Why the zone does not start.
#[derive(Debug, thiserror::Error)]
pub enum QuickstartError {
    /// The data directory.
    #[error("cannot make {}", path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The collector.
    #[error("the collector does not start")]
    Collector(#[from] DaemonError),
    /// Its token.
    #[error("the collector's token cannot be read")]
    Token(#[from] InvalidToken),
    /// The agent's enrolment.
    #[error("the agent cannot enroll")]
    Enroll(#[source] Box<EnrollError>),
    /// The agent's settings.
    #[error("the agent's settings cannot be written")]
    Settings(#[from] holdpoint_agent::settings::SettingsError),
    /// The agent's identity of an earlier start.
    #[error("the agent's identity cannot be read; remove {} to start afresh", path.display())]
    Identity {
        /// Its directory.
        path: PathBuf,
        /// Why.
        source: CredentialsError,
    },
    /// The agent.
    #[error("the agent does not run")]
    Agent(#[source] Box<RunError>),
    /// The agent ended although nobody told it to.
    #[error("the agent ended before its first report")]
    AgentEnded,
    /// No inventory.
    #[error("no inventory arrived within {} s", PATIENCE.as_secs())]
    NoInventory,
}

/// What a person sees first.
#[derive(Debug, Serialize)]
pub struct Quickstart {
    asset: Asset,
    software_count: u32,
    findings: Vec<Finding>,
    next: Vec<String>,
}

/// Starts the zone, shows the first inventory, and serves unless `once` is set.
pub async fn run(options: &Options, caller: &Caller) -> Result<Exit, Failure> {
    let temporary = match (&options.data, options.once) {
        (None, true) => Some(Temporary::make()?),
        _ => None,
    };
    let data = match (&temporary, &options.data) {
        (Some(it), _) => it.0.clone(),
        (None, Some(data)) => data.clone(),
        (None, None) => PathBuf::from(DEFAULT_DATA),
    };
    // Both halves log what a person should look at; a subscriber that is there already stays.
    let _ = tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(tracing::Level::WARN).try_init();
    let afterwards = match (options.once, &temporary) {
        (false, _) => Afterwards::Serve,
        (true, None) => Afterwards::Keep,
        (true, Some(_)) => Afterwards::Remove,
    };
    zone(&data, afterwards, &caller.out).await
}

/// What becomes of the zone after the first inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    /// It is served until Ctrl-C.
    Serve,
    /// Its files stay.
    Keep,
    /// It was made for this one look.
    Remove,
}

async fn zone(data: &Path, afterwards: Afterwards, out: &Output) -> Result<Exit, Failure> {
    let running = collector(data).await?;
    // From here on Ctrl-C closes the store in order, also before the first inventory.
    let ended = with_agent(data, &running, afterwards, out).await;
    let stopped = running.stop().await.map_err(QuickstartError::from);
    let exit = ended?;
    stopped?;
    Ok(exit)
}

/// Runs the agent beside the questions, in this very task.
async fn with_agent(
    data: &Path,
    running: &Running,
    afterwards: Afterwards,
    out: &Output,
) -> Result<Exit, Failure> {
    let address = running.address().to_string();
    let found = operator(data, &address, running).await?;
    let host = Host::running();
    let (asset, settings) = agent(&data.join("agent"), &address, running, &host).await?;
    let connection = Connection::open(&found, out).await?;
    let before = sequence(&connection, &asset).await?;

    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        // A sender that is gone means stop, too.
        let _ = stopped.await;
    };
    let reporting = holdpoint_agent::run(settings, host, shutdown);
    let asking = async {
        // Owned here, so that the agent is told however this ends.
        let _stop = stop;
        let interrupted = daemon::stop_signal();
        tokio::pin!(interrupted);
        tokio::select! {
            () = &mut interrupted => return Ok(Exit::Done),
            first = first_answer(&connection, &asset, before, next(afterwards, data, &found.path, &asset)) => out.print(&first?)?,
        }
        if afterwards == Afterwards::Serve {
            out.note(&format!("serving on {address} until Ctrl-C; the zone is kept in {}", data.display()));
            interrupted.await;
        }
        Ok::<_, Failure>(Exit::Done)
    };
    tokio::pin!(reporting);
    tokio::select! {
        ended = &mut reporting => {
            ended.map_err(|it| QuickstartError::Agent(Box::new(it)))?;
            Err(QuickstartError::AgentEnded.into())
        }
        answered = asking => {
            let exit = answered?;
            reporting.await.map_err(|it| QuickstartError::Agent(Box::new(it)))?;
            Ok(exit)
        }
    }
}

/// Makes the zone unless it is there, and serves it on a free port of loopback.
async fn collector(data: &Path) -> Result<Running, QuickstartError> {
    if !data.join(config::FILE).exists() {
        let mut config = Config::new(&zone_name());
        config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        daemon::init(&InitOptions { data: data.to_owned(), config, brought: None }).await?;
    }
    Ok(daemon::start(data).await?)
}

fn zone_name() -> ZoneName {
    let machine = hostname::get().ok().and_then(|it| Name::from_free_text(&it.to_string_lossy()));
    // Both constants are names: a test holds them against the rule.
    let name = |text: &str| Name::from_free_text(text);
    match (machine.or_else(|| name(SITE)), name(ZONE)) {
        (Some(site), Some(zone)) => ZoneName { site, zone },
        _ => unreachable!("constants that are names"),
    }
}

/// The operator of an earlier start, or a new one; the profile names today's port.
async fn operator(data: &Path, address: &str, running: &Running) -> Result<Found, Failure> {
    let path = data.join(profile::FILE);
    let directory = data.join(OPERATOR);
    if !path.exists() {
        let files = running.add_operator_with_key(OPERATOR, &ROLES).await.map_err(QuickstartError::from)?;
        keep(&directory, &files)?;
    }
    let beside = |file| Path::new(OPERATOR).join(file);
    let profile = Profile {
        collector: address.to_owned(),
        name: OPERATOR.to_owned(),
        certificate: beside(CERTIFICATE_FILE),
        key: beside(KEY_FILE),
        ca: beside(ANCHORS_FILE),
    };
    profile.write(&path)?;
    Ok(profile::Search::new(Some(path.into()), |_| None).find()?)
}

fn keep(directory: &Path, files: &OperatorFiles) -> Result<(), Failure> {
    fs::create_dir_all(directory)
        .map_err(|source| QuickstartError::Directory { path: directory.to_owned(), source })?;
    let OperatorFiles { certificate_pem, key_pem, ca_pem } = files;
    for (name, text, readable) in [
        (ANCHORS_FILE, ca_pem, Readable::All),
        (CERTIFICATE_FILE, certificate_pem, Readable::All),
        (KEY_FILE, key_pem, Readable::Owner),
    ] {
        let path = directory.join(name);
        atomic_file::replace(&path, text.as_bytes(), readable)
            .map_err(|source| Failure::Write { path, source })?;
    }
    Ok(())
}

/// This host's identity of an earlier start, or a new one, and the settings that call at once.
async fn agent(
    state: &Path,
    address: &str,
    running: &Running,
    host: &Host,
) -> Result<(String, Settings), QuickstartError> {
    let identity = if state.join(KEY_FILE).exists() {
        holdpoint_agent::settings::set_collector(state, address)?;
        Credentials::load(state)
            .map_err(|source| QuickstartError::Identity { path: state.to_owned(), source })?
            .identity
    } else {
        let token: Token = running.create_token().await?.parse()?;
        holdpoint_agent::enroll(state, address, &token, host)
            .await
            .map_err(|it| QuickstartError::Enroll(Box::new(it)))?
    };
    let asset = match identity.subject {
        Subject::Agent(name) | Subject::Operator(name) => name.to_string(),
        Subject::Collector => String::new(),
    };
    let settings = Settings { first_contact_spread: Duration::ZERO, ..Settings::new(state, address) };
    Ok((asset, settings))
}

/// How far the asset has reported; 0 when it never did.
async fn sequence(connection: &Connection, asset: &str) -> Result<u64, Failure> {
    let found = answer(connection.inventory().get_asset(GetAssetRequest { id: asset.to_owned() })).await?;
    Ok(found.asset.map_or(0, |it| it.sequence))
}

/// Waits for a report that is newer than `before` and holds the software, then asks for the findings.
async fn first_answer(
    connection: &Connection,
    asset: &str,
    before: u64,
    next: Vec<String>,
) -> Result<Quickstart, Failure> {
    let arrival = async {
        loop {
            let request = GetAssetRequest { id: asset.to_owned() };
            let found = answer(connection.inventory().get_asset(request)).await?.asset;
            let is_there = |kind: i32| kind == i32::from(SectionKind::Software);
            match found {
                Some(it) if it.sequence > before && it.sections.iter().any(|it| is_there(it.kind)) => {
                    return Ok::<_, Failure>(it);
                }
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, arrival).await.map_err(|_| QuickstartError::NoInventory)??;
    let all = status::Options { asset: Some(asset.to_owned()), ..status::Options::default() };
    Ok(Quickstart {
        software_count: found.software_count,
        asset: found.into(),
        findings: status::ask(&all, connection).await?.findings,
        next,
    })
}

/// What can be typed once this command has answered: a zone that is not served answers nobody.
fn next(afterwards: Afterwards, data: &Path, profile: &Path, asset: &str) -> Vec<String> {
    match afterwards {
        Afterwards::Serve => {}
        Afterwards::Keep => return vec![format!("holdpoint quickstart --data {}", data.display())],
        Afterwards::Remove => return vec!["holdpoint quickstart".to_owned()],
    }
    let command = |rest: &str| format!("holdpoint --profile {} {rest}", profile.display());
    vec![
        command("assets"),
        command(&format!("asset show {asset}")),
        command("software openssl"),
        command("import FILE"),
        command("status"),
        command(&format!("rescan {asset} --wait 30s")),
    ]
}

impl Answer for Quickstart {
    fn page(&self) -> Page {
        let page = self.asset.describe();
        let page = if self.findings.is_empty() {
            page.line("no findings yet: nothing was imported that could be checked")
        } else {
            page.table(self.findings.records().dense())
        };
        self.next.iter().fold(page.line("type next:"), |page, it| page.line(format!("  {it}")))
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["next"]);
        for it in &self.next {
            table.row([Some(it.clone())]);
        }
        table
    }
}

/// A directory that goes with its value.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Temporary {
    fn make() -> Result<Self, QuickstartError> {
        let path = std::env::temp_dir().join(format!("holdpoint-quickstart-{}", std::process::id()));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        // Not recursive: a directory that somebody else placed there is not used.
        builder.create(&path).map_err(|source| QuickstartError::Directory { path: path.clone(), source })?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // A directory of the system's temporary files that cannot be removed is removed by the system.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_has_a_name_on_every_machine() {
        let zone = zone_name();
        assert_eq!(zone.zone.as_str(), ZONE);
        assert!(SITE.parse::<Name>().is_ok());
    }

    #[test]
    fn what_is_temporary_goes_away() {
        let temporary = Temporary::make().unwrap();
        let path = temporary.0.clone();
        fs::write(path.join("file"), "x").unwrap();
        drop(temporary);
        assert!(!path.exists());
    }
}
