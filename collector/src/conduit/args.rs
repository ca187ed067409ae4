//! `conduit`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DEFAULT_LIFE_DAYS;

/// The certificate authority between the zones and the site.
#[derive(Debug, Subcommand)]
pub enum Conduit {
    /// Make the authority of a site, on a machine that is not connected.
    Init(ConduitInit),
    /// Sign requests that relays, sites and zones made, after showing whom they are for.
    Issue(ConduitIssue),
    /// Put a certificate beside the key that it is for.
    Install(ConduitInstall),
}

/// `conduit init`.
#[derive(Debug, Args)]
pub struct ConduitInit {
    /// The authority's directory.
    #[arg(long = "data", value_name = "DIR")]
    pub data: PathBuf,
    /// The site: the trust domain of every identity.
    #[arg(long)]
    pub site: String,
}

/// `conduit issue`.
#[derive(Debug, Args)]
pub struct ConduitIssue {
    /// Requests (PKCS#10, PEM).
    #[arg(required = true, value_name = "REQUEST.csr")]
    pub requests: Vec<PathBuf>,
    /// The authority's directory.
    #[arg(long = "data", value_name = "DIR")]
    pub data: PathBuf,
    /// Where certificates are written [default: beside each request].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How long the certificates live, in days.
    #[arg(long, default_value_t = DEFAULT_LIFE_DAYS, value_parser = clap::value_parser!(u32).range(1..=7_305))]
    pub days: u32,
}

/// `conduit install`.
#[derive(Debug, Args)]
pub struct ConduitInstall {
    /// The certificate that `conduit issue` wrote; conduit-ca.crt lies beside it.
    #[arg(value_name = "NAME.crt")]
    pub certificate: PathBuf,
    /// The directory that holds the key.
    #[arg(long = "data", value_name = "DIR")]
    pub data: PathBuf,
}
