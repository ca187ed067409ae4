//! What each verb of `holdpoint-collector` does and prints. Data on stdout, the rest on stderr.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;
use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::clock::readable;
use holdpoint_common::identity::{InvalidName, ZoneName};
use holdpoint_common::proto::v1::{
    AddOperatorRequest, BackupStoreRequest, CompactStoreRequest, CreateTokenRequest, OperatorFiles,
    ReindexRequest, RevokeRequest, RotateCaRequest, StoreReport, VerifyStoreRequest,
};
use holdpoint_common::section::Digest;
use tonic::Status;

use crate::args::{
    Arguments, Ca, Command, Convert, FileInOut, Init, Operator, OperatorAdd, Revoke, Store, Token,
    TokenCreate,
};
#[cfg(unix)]
use crate::carrier::diode;
use crate::carrier::relay;
use crate::conduit;
use crate::config::{Config, ConfigError};
use crate::daemon::{self, Brought, DaemonError, InitOptions};
use crate::local::{Local, LocalError};
use crate::outbox::signer::SignerError;
use crate::site::verbs::{self as site, SiteVerbError};
use crate::store::{Engine, StoreError};

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum VerbError {
    /// The site or zone is no name.
    #[error("--{option}")]
    Name {
        /// Which option.
        option: &'static str,
        /// Why.
        source: InvalidName,
    },
    /// A file cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// "read" or "write".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The zone cannot be made or served.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// There is no way to the zone.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The collector said no.
    #[error("{}", .0.message())]
    Refused(Status),
    /// The store's files.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No such engine.
    #[error("there is no engine `{0}`")]
    Engine(String),
    /// The keys of what leaves.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The request for the conduit's authority.
    #[error(transparent)]
    Request(#[from] conduit::ConduitError),
    /// What relays and sites are told of a zone.
    #[error(transparent)]
    Enrolment(#[from] conduit::InvalidEnrolment),
    /// The conduit's authority.
    #[error(transparent)]
    Conduit(#[from] conduit::verbs::ConduitVerbError),
    /// The diode.
    #[cfg(unix)]
    #[error(transparent)]
    Diode(#[from] diode::verbs::DiodeVerbError),
    /// The relay.
    #[error(transparent)]
    Relay(#[from] relay::verbs::RelayVerbError),
    /// The site.
    #[error(transparent)]
    Site(#[from] SiteVerbError),
    /// The collector is running and must not be.
    #[error("a collector runs on {}: stop it first (systemctl stop holdpoint-collector)", .0.display())]
    Running(PathBuf),
}

impl From<Status> for VerbError {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

/// Does what was typed.
///
/// # Errors
/// A [`VerbError`] that names the cause; the answer "no" is an exit code and not an error.
pub async fn run(command: Command) -> Result<ExitCode, VerbError> {
    match command {
        Command::Init(typed) => init(typed).await,
        Command::Run(typed) => serve(&typed.data.path).await,
        Command::Token(Token::Create(typed)) => create_token(typed).await,
        Command::Operator(Operator::Add(typed)) => add_operator(typed).await,
        Command::Revoke(typed) => revoke(typed).await,
        Command::Ca(Ca::Rotate(typed)) => rotate(&typed.data.path, typed.root.as_deref()).await,
        Command::Store(Store::Backup(typed)) => backup(typed).await,
        Command::Store(Store::Restore(typed)) => restore(&typed),
        Command::Store(Store::Verify(data)) => verify(&data.path).await,
        Command::Store(Store::Compact(data)) => compact(&data.path).await,
        Command::Store(Store::Convert(typed)) => convert(&typed).await,
        Command::Reindex(data) => reindex(&data.path).await,
        Command::Outbox(typed) => crate::outbox::verbs::run(typed).await,
        Command::Conduit(typed) => Ok(conduit::verbs::run(typed, &say)?),
        #[cfg(unix)]
        Command::Diode(typed) => Ok(diode::verbs::run(typed, print, say).await?),
        Command::Relay(typed) => Ok(relay::verbs::run(typed, &say, daemon::stop_signal()).await?),
        Command::Site(typed) => Ok(site::run(typed, &site::Out { print: &print, say: &say }).await?),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Arguments::command(),
                "holdpoint-collector",
                &mut io::stdout(),
            );
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn init(typed: Init) -> Result<ExitCode, VerbError> {
    let name = |option, text: &str| text.parse().map_err(|source| VerbError::Name { option, source });
    let zone = ZoneName { site: name("site", &typed.site)?, zone: name("zone", &typed.zone)? };
    let brought = match (typed.ca_certificate, typed.ca_key) {
        (Some(certificate), Some(key)) => {
            Some(Brought { certificate: read(&certificate)?, key: read(&key)? })
        }
        _ => None,
    };
    let mut config = Config::new(&zone);
    if let Some(listen) = typed.listen {
        config.listen = listen;
    }
    config.names = typed.names;
    config.store.engine = typed.engine;
    let dir = typed.data.path;
    let founded = daemon::init(&InitOptions { data: dir.clone(), config, brought }).await?;

    say(&format!("zone {zone} is ready in {}", dir.display()));
    say(&format!("zone CA {} until {}", founded.fingerprint, readable(founded.not_after_ms)));
    if let Some(root) = founded.root_to_take_away {
        say(&format!(
            "take {} out of the zone and delete it here: it is needed for `ca rotate` only",
            root.display()
        ));
    }
    say(&format!("next: holdpoint-collector run --data {}", dir.display()));
    Ok(ExitCode::SUCCESS)
}

async fn serve(data: &Path) -> Result<ExitCode, VerbError> {
    let running = daemon::start(data).await?;
    daemon::stop_signal().await;
    running.stop().await?;
    Ok(ExitCode::SUCCESS)
}

async fn create_token(typed: TokenCreate) -> Result<ExitCode, VerbError> {
    let mut local = Local::open(&typed.data.path).await?;
    let request = CreateTokenRequest {
        uses: typed.uses,
        ttl_s: typed.ttl.as_secs(),
        role: typed.role,
        level: typed.level,
        tags: typed.tags,
        for_asset: typed.for_asset,
    };
    let made = local.client.create_token(request).await?.into_inner();
    local.close().await?;
    print(&made.token);
    let config = Config::read(&typed.data.path)?;
    say(&format!("good until {}; on the host:", readable(made.expires_ms)));
    say(&format!(
        "  holdpoint-agent enroll --collector {} --token TOKEN --state /var/lib/holdpoint-agent",
        config.reached_at()
    ));
    Ok(ExitCode::SUCCESS)
}

async fn add_operator(typed: OperatorAdd) -> Result<ExitCode, VerbError> {
    let mut local = Local::open(&typed.data.path).await?;
    let request = AddOperatorRequest {
        name: typed.name.clone(),
        roles: typed.roles,
        ttl_s: typed.ttl.as_secs(),
        key_on_collector: typed.out.is_some(),
        person: typed.person.unwrap_or_default(),
    };
    let made = local.client.add_operator(request).await?.into_inner();
    local.close().await?;
    let config = Config::read(&typed.data.path)?;
    match (made.files, typed.out) {
        (Some(files), Some(dir)) => {
            let profile = write_profile(&dir, &config.reached_at(), &typed.name, &files)?;
            say("this key was made here, so it cannot sign decisions");
            say(&format!("next: holdpoint --profile {} assets", profile.display()));
        }
        _ => {
            print(&made.token);
            say(&format!("good once, until {}; where the person works:", readable(made.expires_ms)));
            say(&format!("  holdpoint enroll --collector {} --token TOKEN", config.reached_at()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes an operator's profile with its certificate, key and CA beside it.
///
/// # Errors
/// A file cannot be written.
pub fn write_profile(
    dir: &Path,
    collector: &str,
    name: &str,
    files: &OperatorFiles,
) -> Result<PathBuf, VerbError> {
    fs::create_dir_all(dir).map_err(file("create", dir))?;
    let write = |name: &str, text: &str, readable| {
        let path = dir.join(name);
        atomic_file::replace(&path, text.as_bytes(), readable).map_err(file("write", &path))
    };
    write("operator.crt", &files.certificate_pem, Readable::All)?;
    write("operator.key", &files.key_pem, Readable::Owner)?;
    write("ca.crt", &files.ca_pem, Readable::All)?;
    let profile: toml::Table = [
        ("collector", collector),
        ("name", name),
        ("certificate", "operator.crt"),
        ("key", "operator.key"),
        ("ca", "ca.crt"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.into()))
    .collect();
    write("operator.toml", &profile.to_string(), Readable::All)?;
    Ok(dir.join("operator.toml"))
}

async fn revoke(typed: Revoke) -> Result<ExitCode, VerbError> {
    let (kind, typed) = match typed {
        Revoke::Agent(typed) => ("agent", typed),
        Revoke::Operator(typed) => ("operator", typed),
    };
    let mut local = Local::open(&typed.data.path).await?;
    let request = RevokeRequest { kind: kind.to_owned(), name: typed.name.clone(), reason: typed.reason };
    let revoked = local.client.revoke(request).await?.into_inner();
    local.close().await?;
    say(&format!(
        "{kind} {}: {} certificates revoked from the next call on",
        typed.name, revoked.certificates
    ));
    Ok(ExitCode::SUCCESS)
}

async fn rotate(data: &Path, root: Option<&Path>) -> Result<ExitCode, VerbError> {
    let request = match root {
        Some(root) => RotateCaRequest {
            root_certificate_pem: read(&root.join("root.crt"))?,
            root_key_pem: read(&root.join("root.key"))?,
        },
        None => RotateCaRequest::default(),
    };
    let mut local = Local::open(data).await?;
    let rotated = local.client.rotate_ca(request).await?.into_inner();
    local.close().await?;
    say(&format!("new zone CA {} until {}", hex(&rotated.fingerprint), readable(rotated.not_after_ms)));
    say(&format!(
        "{} agents renew at their next check-in; the old zone CA stays trusted until it expires",
        rotated.agents_to_renew
    ));
    if let Some(root) = rotated.root_to_take_away {
        say(&format!("take {root} out of the zone and delete it here"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn backup(typed: FileInOut) -> Result<ExitCode, VerbError> {
    let path = std::path::absolute(&typed.file).map_err(file("write", &typed.file))?;
    let mut local = Local::open(&typed.data.path).await?;
    let request = BackupStoreRequest { path: path.display().to_string() };
    let report = local.client.backup_store(request).await?.into_inner();
    local.close().await?;
    say(&format!(
        "{} records in {}, SHA-256 of the contents {}",
        report.records,
        path.display(),
        hex(&report.digest)
    ));
    say("keys are not in it: back up the pki directory and audit.key apart from it");
    Ok(ExitCode::SUCCESS)
}

fn restore(typed: &FileInOut) -> Result<ExitCode, VerbError> {
    let config = Config::read(&typed.data.path)?;
    let mut input = fs::File::open(&typed.file).map_err(file("read", &typed.file))?;
    let store = daemon::store_dir(&typed.data.path);
    let summary = crate::store::Store::restore(&mut input, &store, engine(&config.store.engine)?)?;
    let outbox = typed.data.path.join(crate::outbox::DIRECTORY);
    if outbox.exists() {
        // What left since the backup is not in it: the next run begins a new incarnation and says so.
        let note = outbox.join("restored");
        fs::write(&note, b"").map_err(file("write", &note))?;
    }
    say(&format!("{} records restored into {}", summary.entries, store.display()));
    Ok(ExitCode::SUCCESS)
}

async fn verify(data: &Path) -> Result<ExitCode, VerbError> {
    let mut local = Local::open(data).await?;
    let StoreReport { faults, .. } = local.client.verify_store(VerifyStoreRequest {}).await?.into_inner();
    local.close().await?;
    for fault in &faults {
        print(fault);
    }
    say(&match faults.len() {
        0 => "every record is what it was when it was written".to_owned(),
        count => format!("{count} faults: restore a backup, or let the agents report again"),
    });
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn compact(data: &Path) -> Result<ExitCode, VerbError> {
    let mut local = Local::open(data).await?;
    let report = local.client.compact_store(CompactStoreRequest {}).await?.into_inner();
    local.close().await?;
    say(&format!("the store takes {} bytes now", report.bytes));
    Ok(ExitCode::SUCCESS)
}

async fn reindex(data: &Path) -> Result<ExitCode, VerbError> {
    let mut local = Local::open(data).await?;
    let report = local.client.reindex(ReindexRequest {}).await?.into_inner();
    local.close().await?;
    say(&format!("{} index entries rebuilt", report.records));
    Ok(ExitCode::SUCCESS)
}

async fn convert(typed: &Convert) -> Result<ExitCode, VerbError> {
    let data = &typed.data.path;
    // The store's lock would say so too; this says what to do.
    if tokio::net::UnixStream::connect(data.join(crate::local::SOCKET)).await.is_ok() {
        return Err(VerbError::Running(data.clone()));
    }
    let mut config = Config::read(data)?;
    let summary = crate::store::Store::convert(&daemon::store_dir(data), engine(&typed.to)?)?;
    config.store.engine.clone_from(&typed.to);
    config.write(data)?;
    say(&format!("{} records moved to {}", summary.entries, typed.to));
    Ok(ExitCode::SUCCESS)
}

fn engine(name: &str) -> Result<Engine, VerbError> {
    name.parse().map_err(|_| VerbError::Engine(name.to_owned()))
}

pub(crate) fn read(path: &Path) -> Result<String, VerbError> {
    fs::read_to_string(path).map_err(file("read", path))
}

pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> VerbError + use<> {
    let path = path.to_owned();
    move |source| VerbError::File { doing, path, source }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    Digest::try_from(bytes).map_or_else(|_| "unknown".to_owned(), |it| it.to_string())
}

/// The answer itself.
#[expect(clippy::print_stdout, reason = "the one place where this program prints data")]
pub(crate) fn print(text: &str) {
    println!("{text}");
}

/// What a person may want to know besides.
#[expect(clippy::print_stderr, reason = "the one place where this program talks")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
