//! What each verb of `site` does and says. Data on stdout, the rest on stderr.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use holdpoint_common::bundle::NotAccepted;
use holdpoint_common::identity::InvalidName;
use holdpoint_proto::v1 as pb;
use tonic::Status;

use super::args::{
    IngestFormat, Site, SiteAcknowledge, SiteAdmit, SiteIngest, SiteInit, SiteRevoke, SiteTrust,
};
use super::config::Config;
use super::daemon::{self, SiteError};
use super::local::{Local, LocalError};
use super::report::Report;
use super::{medium, report};
use crate::conduit::{Enrolment, InvalidEnrolment};
use crate::config::ConfigError;

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SiteVerbError {
    /// The site is no name.
    #[error("--site")]
    Name(#[source] InvalidName),
    /// The site.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// There is no way to the site.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The enrolment of a zone.
    #[error("the enrolment cannot be used")]
    Enrolment(#[from] InvalidEnrolment),
    /// Its statement.
    #[error("the enrolment of {} does not hold", path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NotAccepted,
    },
    /// What was typed is another fingerprint.
    #[error(
        "this is not the fingerprint of {}: compare again, and if it still differs, the file is not what the \
         zone wrote", .0.display()
    )]
    OtherFingerprint(PathBuf),
    /// The answer cannot be written.
    #[error("cannot write the answer as JSON")]
    Json(#[from] serde_json::Error),
    /// The site said no.
    #[error("{}", .0.message())]
    Refused(Status),
}

impl From<Status> for SiteVerbError {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

/// Where a verb's words go.
pub struct Out<'a> {
    /// The answer itself.
    pub print: &'a dyn Fn(&str),
    /// What a person may want to know besides.
    pub say: &'a dyn Fn(&str),
}

/// Does what was typed.
///
/// # Errors
/// A [`SiteVerbError`] that names the cause; the answer "no" is an exit code and not an error.
pub async fn run(typed: Site, out: &Out<'_>) -> Result<ExitCode, SiteVerbError> {
    match typed {
        Site::Init(typed) => init(typed, out),
        Site::Run(data) => serve(&data.path).await,
        Site::Trust(typed) => trust(typed, out).await,
        Site::Revoke(typed) => revoke(typed, out).await,
        Site::Admit(typed) => admit(typed, out).await,
        Site::Acknowledge(typed) => acknowledge(typed, out).await,
        Site::Ingest(typed) => ingest(&typed, out).await,
    }
}

fn init(typed: SiteInit, out: &Out<'_>) -> Result<ExitCode, SiteVerbError> {
    let SiteInit { data, site, listen, operators, names, engine } = typed;
    let mut config = Config::new(&site.parse().map_err(SiteVerbError::Name)?);
    config.listen = listen.unwrap_or(config.listen);
    config.operators = operators.unwrap_or(config.operators);
    (config.names, config.store.engine) = (names, engine);
    let made = daemon::init(&data.path, &config)?;
    let dir = data.path.display();
    (out.say)(&format!("site {site} is ready in {dir}"));
    (out.say)(&format!("what it exports is signed by the key {}", made.key));
    (out.say)(&format!(
        "carry {} to the conduit's CA: `holdpoint-collector conduit issue`, then `conduit install`",
        made.request.display()
    ));
    (out.say)(&format!(
        "next: holdpoint-collector site trust FILE.zone --data {dir}, then site run --data {dir}"
    ));
    Ok(ExitCode::SUCCESS)
}

async fn serve(data: &Path) -> Result<ExitCode, SiteVerbError> {
    let running = daemon::start(data).await?;
    crate::daemon::stop_signal().await;
    running.stop().await?;
    Ok(ExitCode::SUCCESS)
}

async fn trust(typed: SiteTrust, out: &Out<'_>) -> Result<ExitCode, SiteVerbError> {
    let SiteTrust { file, data, fingerprint } = typed;
    let enrolment = Enrolment::read(&file)?;
    let shown = enrolment.fingerprint();
    let line = enrolment.line().map_err(|source| SiteVerbError::Statement { path: file.clone(), source })?;
    (out.say)(&format!("zone {}, key {}", enrolment.zone, line.current().key.id()));
    (out.print)(&shown);
    let Some(typed) = fingerprint else {
        (out.say)("not trusted: compare this with the paper that came from the zone, then type it:");
        (out.say)(&format!(
            "  holdpoint-collector site trust {} --data {} --fingerprint HEX",
            file.display(),
            data.path.display()
        ));
        return Ok(ExitCode::from(1));
    };
    if digits(&typed) != digits(&shown) {
        return Err(SiteVerbError::OtherFingerprint(file));
    }
    let request = pb::SiteTrustRequest {
        site: enrolment.zone.site.to_string(),
        zone: enrolment.zone.zone.to_string(),
        algorithm: enrolment.root.algorithm().cose(),
        root: enrolment.root.as_bytes().to_vec(),
        statement: enrolment.statement,
    };
    let mut local = Local::open(&data.path).await?;
    let trusted = local.admin.trust(request).await;
    local.close().await?;
    let pb::SiteTrustResponse { zone, key, released, known } = trusted?.into_inner();
    (out.say)(&if known {
        format!("zone {zone} was trusted already; its key is {key}")
    } else {
        format!("zone {zone} is trusted with the key {key}")
    });
    if released > 0 {
        (out.say)(&format!("{released} objects from the quarantine could be verified now"));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is the same of a fingerprint however it is grouped and typed.
fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_hexdigit).map(|it| it.to_ascii_lowercase()).collect()
}

async fn revoke(typed: SiteRevoke, out: &Out<'_>) -> Result<ExitCode, SiteVerbError> {
    let mut local = Local::open(&typed.data.path).await?;
    let revoked = local.admin.revoke(pb::SiteRevokeRequest { key: typed.key }).await;
    local.close().await?;
    let pb::SiteRevokeResponse { key, zone } = revoked?.into_inner();
    (out.say)(&if zone.is_empty() {
        format!("the key {key} is not believed from now on; it was no zone's")
    } else {
        format!(
            "the key {key} of {zone} is not believed from now on: what it signs is set aside until the zone's \
             root names a new key"
        )
    });
    Ok(ExitCode::SUCCESS)
}

async fn admit(typed: SiteAdmit, out: &Out<'_>) -> Result<ExitCode, SiteVerbError> {
    let SiteAdmit { zone, epoch, data } = typed;
    let mut local = Local::open(&data.path).await?;
    let admitted = local.admin.admit(pb::SiteAdmitRequest { zone: zone.clone(), epoch }).await;
    local.close().await?;
    admitted?;
    (out.say)(&format!(
        "the next bundle of that incarnation of {zone} begins it; what it said before comes again"
    ));
    Ok(ExitCode::SUCCESS)
}

async fn acknowledge(typed: SiteAcknowledge, out: &Out<'_>) -> Result<ExitCode, SiteVerbError> {
    let SiteAcknowledge { zone, alarm, sequence, data } = typed;
    let mut local = Local::open(&data.path).await?;
    let request = pb::FleetAcknowledgeRequest { zone, kind: alarm, sequence };
    let seen = local.fleet.acknowledge(request).await;
    local.close().await?;
    seen?;
    (out.say)("noted; the alarm stays until its cause is gone");
    Ok(ExitCode::SUCCESS)
}

async fn ingest(typed: &SiteIngest, out: &Out<'_>) -> Result<ExitCode, SiteVerbError> {
    let contents = medium::look(&typed.paths);
    let mut local = Local::open(&typed.data.path).await?;
    let mut report = Report::of(&contents);
    let taken = take_all(&contents, &mut local, &mut report).await;
    local.close().await?;
    match typed.output {
        IngestFormat::Table => report.lines().iter().for_each(|it| (out.print)(it)),
        IngestFormat::Json => (out.print)(&serde_json::to_string_pretty(&report)?),
    }
    // What was taken before is taken, and told.
    taken?;
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn take_all(
    contents: &medium::Contents,
    local: &mut Local,
    report: &mut Report,
) -> Result<(), SiteVerbError> {
    let mut bytes = 0_u64;
    for entry in &contents.entries {
        if bytes > medium::MAX_BYTES {
            report.beyond = report.beyond.saturating_add(1);
            continue;
        }
        match entry.read() {
            Ok(object) => {
                bytes = bytes.saturating_add(u64::try_from(object.len()).unwrap_or(u64::MAX));
                let size = object.len();
                let taken = local.admin.take(pb::SiteTakeRequest { object }).await?.into_inner();
                report.add(report::File::taken(entry.shown.clone(), size, taken));
            }
            Err(cause) => report.add(report::File::not_read(entry.shown.clone(), cause.to_string())),
        }
    }
    Ok(())
}
