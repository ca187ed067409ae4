//! `relay`, as typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Pass on what zones send, between two firewalls.
#[derive(Debug, Subcommand)]
pub enum Relay {
    /// Make the directory of a relay and the requests for its certificates.
    Init(RelayInit),
    /// Accept objects from zones until stopped. Opens no connection.
    Ingest(RelayData),
    /// Hand objects to the sites until stopped. Accepts no connection.
    Forward(RelayData),
}

/// Where a relay's files are.
#[derive(Debug, Args)]
pub struct RelayData {
    /// The relay's directory.
    #[arg(long = "data", value_name = "DIR")]
    pub data: PathBuf,
}

/// `relay init`.
#[derive(Debug, Args)]
pub struct RelayInit {
    /// The relay's directory.
    #[arg(long = "data", value_name = "DIR")]
    pub data: PathBuf,
    /// The site: the trust domain of every identity.
    #[arg(long)]
    pub site: String,
    /// The relay's name.
    #[arg(long)]
    pub name: String,
    /// Where zones connect [default: 0.0.0.0:7444].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// A site that gets everything; may be repeated.
    #[arg(long = "forward-to", value_name = "HOST:PORT")]
    pub forward_to: Vec<String>,
    /// A name under which this relay is reached; may be repeated.
    #[arg(long = "address-name", value_name = "HOST")]
    pub address_names: Vec<String>,
}
