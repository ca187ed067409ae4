//! `diode`, as typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

/// Send over a line on which nothing comes back, or receive from one.
#[derive(Debug, Subcommand)]
pub enum Diode {
    /// Make the directory of one end, and the link key with --new-key.
    Init(DiodeInit),
    /// Empty the tray onto the line until stopped. Never reads the line.
    Send(DiodeData),
    /// Fill the tray from the line until stopped. Cannot send anything.
    Receive(DiodeData),
    /// Measure a line with test patterns, once, before it is used.
    #[command(subcommand)]
    Commission(Commission),
}

/// Where the files of one end are.
#[derive(Debug, Args)]
pub struct DiodeData {
    /// The directory of this end.
    #[arg(long = "data", value_name = "DIR")]
    pub data: PathBuf,
}

/// `diode init`.
#[derive(Debug, Args)]
pub struct DiodeInit {
    /// The directory of this end.
    #[command(flatten)]
    pub data: DiodeData,
    /// Make a link key; without it link-1.key is brought from the other end by hand.
    #[arg(long)]
    pub new_key: bool,
}

/// `diode commission`.
#[derive(Debug, Subcommand)]
pub enum Commission {
    /// Send patterns at rising rates.
    Send(CommissionSend),
    /// Count what arrives of them, and print what to type into diode.toml at both ends.
    Receive(CommissionReceive),
}

/// `diode commission send`.
#[derive(Debug, Args)]
pub struct CommissionSend {
    /// The directory of this end.
    #[command(flatten)]
    pub data: DiodeData,
    /// The lowest rate, in Mbit/s.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub from_mbit: u64,
    /// The highest rate, in Mbit/s.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub to_mbit: u64,
    /// How long each rate is kept.
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    pub step: Duration,
}

/// `diode commission receive`.
#[derive(Debug, Args)]
pub struct CommissionReceive {
    /// The directory of this end.
    #[command(flatten)]
    pub data: DiodeData,
    /// How long the sender keeps each rate.
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    pub step: Duration,
    /// Give up when nothing more arrives for so long.
    #[arg(long, default_value = "1m", value_parser = humantime::parse_duration)]
    pub patience: Duration,
}
