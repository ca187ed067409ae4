//! The command line of `holdpoint-collector`, as typed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[cfg(unix)]
use crate::carrier::diode::args::Diode;
use crate::carrier::relay::HostPort;
use crate::carrier::relay::args::Relay;
use crate::conduit::args::Conduit;
use crate::site::args::Site;
use crate::summary::Field;

/// Keeps a zone's inventory, judges it, and answers its operators.
#[derive(Debug, Parser)]
#[command(name = "holdpoint-collector", version, about, after_help = FIRST_STEPS)]
pub struct Arguments {
    /// How log lines on stderr look.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "HOLDPOINT_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// What is logged, e.g. `info` or `holdpoint_collector=debug`.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        default_value = "info,h2=error",
        env = "HOLDPOINT_LOG"
    )]
    pub log: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const FIRST_STEPS: &str = "\
First steps for a zone:
  holdpoint-collector init --data /var/lib/holdpoint-collector --site plant --zone line-1
  holdpoint-collector run --data /var/lib/holdpoint-collector
  holdpoint-collector token create --data /var/lib/holdpoint-collector --uses 20
  holdpoint-collector operator add anna --data /var/lib/holdpoint-collector --role engineer";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where a zone's files are.
#[derive(Debug, Args)]
pub struct DataDir {
    /// The data directory of this zone.
    #[arg(long = "data", value_name = "DIR")]
    pub path: PathBuf,
}

/// What the collector's administrator can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the data directory of a new zone: CA, keys, empty store.
    Init(Init),
    /// Serve agents and operators until stopped.
    Run(Run),
    /// Tokens that let agents enrol.
    #[command(subcommand)]
    Token(Token),
    /// People who may ask and decide.
    #[command(subcommand)]
    Operator(Operator),
    /// Refuse a certificate from the next call on.
    #[command(subcommand)]
    Revoke(Revoke),
    /// The zone's certificate authority.
    #[command(subcommand)]
    Ca(Ca),
    /// Backup, restore and care of the store.
    #[command(subcommand)]
    Store(Store),
    /// Rebuild the indexes of the store from its records.
    Reindex(DataDir),
    /// What leaves the zone, one way.
    #[command(subcommand)]
    Outbox(Outbox),
    /// The certificate authority between the zones and the site.
    #[command(subcommand)]
    Conduit(Conduit),
    /// Pass on what zones send, between two firewalls.
    #[command(subcommand)]
    Relay(Relay),
    /// Send over a line on which nothing comes back, or receive from one.
    #[cfg(unix)]
    #[command(subcommand)]
    Diode(Diode),
    /// The receiving side of all zones.
    #[command(subcommand)]
    Site(Site),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The zone's directory.
    #[command(flatten)]
    pub data: DataDir,
    /// The site: the trust domain of every identity.
    #[arg(long)]
    pub site: String,
    /// The zone of the site.
    #[arg(long)]
    pub zone: String,
    /// Where to listen [default: 0.0.0.0:7443].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// A name under which this collector is reached; may be repeated.
    #[arg(long = "name", value_name = "HOST")]
    pub names: Vec<String>,
    /// Engine of the store.
    #[arg(long, default_value = "sled", value_parser = ["sled", "redb"])]
    pub engine: String,
    /// Bring an intermediate of your own as zone CA: its certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    pub ca_certificate: Option<PathBuf>,
    /// The key of that intermediate, PEM.
    #[arg(long, value_name = "FILE", requires = "ca_certificate")]
    pub ca_key: Option<PathBuf>,
}

/// `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The zone's directory.
    #[command(flatten)]
    pub data: DataDir,
}

/// `token`.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token and print it.
    Create(TokenCreate),
}

/// `token create`.
#[derive(Debug, Args)]
pub struct TokenCreate {
    /// The zone's directory.
    #[command(flatten)]
    pub data: DataDir,
    /// How many hosts may enrol with it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub uses: u32,
    /// How long it is good for.
    #[arg(long, default_value = "24h", value_parser = humantime::parse_duration)]
    pub ttl: Duration,
    /// Role of the hosts, e.g. "hmi".
    #[arg(long)]
    pub role: Option<String>,
    /// Purdue level of the hosts.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=5))]
    pub level: Option<u32>,
    /// A tag for the hosts; may be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Enrol this asset again, under the same name.
    #[arg(long = "for", value_name = "ASSET")]
    pub for_asset: Option<String>,
}

/// `operator`.
#[derive(Debug, Subcommand)]
pub enum Operator {
    /// Add a person and print the token for `holdpoint enroll`.
    Add(OperatorAdd),
}

/// `operator add`.
#[derive(Debug, Args)]
pub struct OperatorAdd {
    /// The person's name in certificates and in the audit log.
    pub name: String,
    /// The zone's directory.
    #[command(flatten)]
    pub data: DataDir,
    /// viewer, engineer, admin, or of the patch board ot-security, control-engineer, operations, maintenance,
    /// plant-safety; may be repeated.
    #[arg(long = "role", value_name = "ROLE", required = true)]
    pub roles: Vec<String>,
    /// The person who acts under this name, where that is not the name itself. Two names of one person count once.
    #[arg(long)]
    pub person: Option<String>,
    /// How long the token is good for.
    #[arg(long, default_value = "24h", value_parser = humantime::parse_duration)]
    pub ttl: Duration,
    /// Make the key here and write a ready profile into this directory. Such a key cannot sign decisions.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `revoke`.
#[derive(Debug, Subcommand)]
pub enum Revoke {
    /// Refuse an agent.
    Agent(RevokeArgs),
    /// Refuse an operator.
    Operator(RevokeArgs),
}

/// Whom to refuse and why.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Asset or operator.
    pub name: String,
    /// The zone's directory.
    #[command(flatten)]
    pub data: DataDir,
    /// Why; it stands in the audit log and in the refusal.
    #[arg(long, default_value = "revoked by the administrator")]
    pub reason: String,
}

/// `ca`.
#[derive(Debug, Subcommand)]
pub enum Ca {
    /// Make a new zone CA. The old one stays trusted until it expires; agents renew by themselves.
    Rotate(CaRotate),
}

/// `ca rotate`.
#[derive(Debug, Args)]
pub struct CaRotate {
    /// The zone's directory.
    #[command(flatten)]
    pub data: DataDir,
    /// Directory with root.crt and root.key, as `init` made it; without it a new root is made.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

/// `outbox`.
#[derive(Debug, Subcommand)]
pub enum Outbox {
    /// Make the keys that sign what leaves, certified by the zone's root, and switch the outbox on.
    Init(OutboxInit),
    /// Show what was sent and what waits. Whether anything arrived is unknown by design.
    Show(DataDir),
    /// Write everything onto a medium that a person carries: a whole cycle, and all that waits.
    Carry(OutboxCarry),
    /// Let the announced key follow the present one.
    Rotate(DataDir),
    /// Send kept bundles once more, by a code that the site printed. Off unless collector.toml allows it.
    Resend(OutboxResend),
}

/// `outbox init`.
#[derive(Debug, Args)]
pub struct OutboxInit {
    /// The zone's directory.
    #[command(flatten)]
    pub data: DataDir,
    /// Directory with root.key, as `init` made it: it certifies the first key and is not kept.
    #[arg(long, value_name = "DIR")]
    pub root: PathBuf,
    /// How much leaves: counts, assets or full.
    #[arg(long, default_value = "counts", value_parser = ["counts", "assets", "full"])]
    pub policy: String,
    /// A field that is struck out, e.g. "asset.owner"; may be repeated.
    #[arg(long = "redact", value_name = "FIELD")]
    pub redact: Vec<Field>,
    /// Host and port of the relay that takes bundles.
    #[arg(long, value_name = "HOST:PORT")]
    pub relay: Option<HostPort>,
    /// Hand bundles to a diode's sending end too.
    #[arg(long)]
    pub diode: bool,
}

/// `outbox carry`.
#[derive(Debug, Args)]
pub struct OutboxCarry {
    /// A directory on the medium.
    pub medium: PathBuf,
    /// The zone's directory.
    #[command(flatten)]
    pub data: DataDir,
}

/// `outbox resend`.
#[derive(Debug, Args)]
pub struct OutboxResend {
    /// The code as the site shows it: six groups of four characters.
    pub code: String,
    /// The zone's directory.
    #[command(flatten)]
    pub data: DataDir,
    /// Who types it, for the audit log.
    #[arg(long, value_name = "NAME")]
    pub person: Option<String>,
}

/// `store`.
#[derive(Debug, Subcommand)]
pub enum Store {
    /// Write everything into one file.
    Backup(FileInOut),
    /// Fill an empty data directory's store from a backup.
    Restore(FileInOut),
    /// Read everything and compare every digest.
    Verify(DataDir),
    /// Rebuild the store by copy, which gives disk space back.
    Compact(DataDir),
    /// Move to the other engine. The collector must be stopped.
    Convert(Convert),
}

/// A store command with a file.
#[derive(Debug, Args)]
pub struct FileInOut {
    /// The backup.
    pub file: PathBuf,
    /// The zone's directory.
    #[command(flatten)]
    pub data: DataDir,
}

/// `store convert`.
#[derive(Debug, Args)]
pub struct Convert {
    /// The zone's directory.
    #[command(flatten)]
    pub data: DataDir,
    /// The engine to move to.
    #[arg(long, value_parser = ["sled", "redb"])]
    pub to: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
