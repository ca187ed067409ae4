//! `site`, as typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Where a site's files are.
#[derive(Debug, Args)]
pub struct SiteData {
    /// The site's directory.
    #[arg(long = "data", value_name = "DIR")]
    pub path: PathBuf,
}

/// The receiving side of all zones.
#[derive(Debug, Subcommand)]
pub enum Site {
    /// Make the directory of a new site: settings, keys, empty store, and a request for the conduit's CA.
    Init(SiteInit),
    /// Take in what zones send and answer the site's operators until stopped.
    Run(SiteData),
    /// Believe a zone, by the enrolment that was carried from it.
    Trust(SiteTrust),
    /// Believe a key no more. Nothing that it signs from now on is applied.
    Revoke(SiteRevoke),
    /// Believe an incarnation of a collector that does not follow the one that is known.
    Admit(SiteAdmit),
    /// Note that somebody has seen an alarm. It stays until its cause is gone.
    Acknowledge(SiteAcknowledge),
    /// Take in the bundles of a medium that was carried here.
    Ingest(SiteIngest),
}

/// `site init`.
#[derive(Debug, Args)]
pub struct SiteInit {
    /// The site's directory.
    #[command(flatten)]
    pub data: SiteData,
    /// The site: the trust domain of every identity.
    #[arg(long)]
    pub site: String,
    /// Where relays deliver bundles [default: 0.0.0.0:7445].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Where operators of the site ask [default: 0.0.0.0:7446].
    #[arg(long, value_name = "ADDR")]
    pub operators: Option<SocketAddr>,
    /// A name under which the site is reached; may be repeated.
    #[arg(long = "name", value_name = "HOST")]
    pub names: Vec<String>,
    /// Engine of the store.
    #[arg(long, default_value = "sled", value_parser = ["sled", "redb"])]
    pub engine: String,
}

/// `site trust`.
#[derive(Debug, Args)]
pub struct SiteTrust {
    /// The zone's enrolment.
    #[arg(value_name = "FILE.zone")]
    pub file: PathBuf,
    /// The site's directory.
    #[command(flatten)]
    pub data: SiteData,
    /// The fingerprint, typed from the paper that came from the zone. Without it, it is only shown.
    #[arg(long, value_name = "HEX")]
    pub fingerprint: Option<String>,
}

/// `site revoke`.
#[derive(Debug, Args)]
pub struct SiteRevoke {
    /// The key, as `fleet zone` shows it, or all 64 digits.
    #[arg(value_name = "KEYID")]
    pub key: String,
    /// The site's directory.
    #[command(flatten)]
    pub data: SiteData,
}

/// `site admit`.
#[derive(Debug, Args)]
pub struct SiteAdmit {
    /// The zone.
    pub zone: String,
    /// The incarnation, as `fleet zone` shows it; its beginning is enough.
    pub epoch: String,
    /// The site's directory.
    #[command(flatten)]
    pub data: SiteData,
}

/// `site acknowledge`.
#[derive(Debug, Args)]
pub struct SiteAcknowledge {
    /// The zone.
    pub zone: String,
    /// The kind of the alarm, such as fork.
    pub alarm: String,
    /// The place of the alarm, where a zone has several of the kind.
    #[arg(long, value_name = "N")]
    pub sequence: Option<u64>,
    /// The site's directory.
    #[command(flatten)]
    pub data: SiteData,
}

/// `site ingest`.
#[derive(Debug, Args)]
pub struct SiteIngest {
    /// Bundles, folders with bundles, or a medium with such folders.
    #[arg(required = true, value_name = "FILE_OR_DIR")]
    pub paths: Vec<PathBuf>,
    /// The site's directory.
    #[command(flatten)]
    pub data: SiteData,
    /// How the answer is written to stdout.
    #[arg(short, long, value_enum, default_value_t = IngestFormat::Table, value_name = "FORMAT")]
    pub output: IngestFormat,
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IngestFormat {
    /// For people.
    Table,
    /// One JSON document.
    Json,
}
