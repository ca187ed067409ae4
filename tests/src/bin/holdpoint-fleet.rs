//! `holdpoint-fleet`: simulates many agents against one collector and prints figures as JSON.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use holdpoint_tests::fleet::{self, Mode, Plan};

/// Simulates agents with real TLS identities and believable inventories.
#[derive(Debug, Parser)]
#[command(name = "holdpoint-fleet", version)]
struct Arguments {
    /// The collector under test.
    #[arg(long, value_name = "IP:PORT")]
    collector: SocketAddr,
    /// A token with enough uses; needed for hosts without an identity.
    #[arg(long)]
    token: Option<String>,
    /// Where identities are kept between runs.
    #[arg(long, value_name = "DIR")]
    identities: PathBuf,
    /// An operator's profile: every acknowledged report is looked up with it afterwards.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Number of hosts.
    #[arg(long, default_value_t = 1_000)]
    agents: u32,
    /// Number of golden images that they were cloned from.
    #[arg(long, default_value_t = 50)]
    images: u32,
    /// What the fleet does.
    #[arg(long, value_enum, default_value_t = Mode::Storm)]
    mode: Mode,
    /// How long `steady` and `churn` go on, seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The collector's process: its resident memory is read while the fleet is connected.
    #[arg(long, value_name = "PID")]
    collector_pid: Option<u32>,
}

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "figures are this program's output")]
async fn main() -> ExitCode {
    let typed = Arguments::parse();
    let plan = Plan {
        collector: typed.collector,
        token: typed.token,
        identities: typed.identities,
        profile: typed.profile,
        agents: typed.agents,
        images: typed.images,
        mode: typed.mode,
        duration: Duration::from_secs(typed.seconds),
        collector_pid: typed.collector_pid,
    };
    let figures = match fleet::run(&plan).await {
        Ok(figures) => figures,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(3);
        }
    };
    match serde_json::to_string_pretty(&figures) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("error: {error}"),
    }
    // A lost report or an agent that was refused for good is the answer "no".
    if figures.refused == 0 && figures.lost.unwrap_or(0) == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
