//! What can be typed after `holdpoint-agent`.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use holdpoint_common::row::{REPORTED, SectionKind, section_named};
use holdpoint_common::token::Token;

use crate::service::Account;
use crate::settings::default_state;

/// Looks at this host and reports what is installed and running. It changes nothing: it starts
/// no process, opens no listening port and writes only to its state directory.
#[derive(Debug, Parser)]
#[command(
    name = "holdpoint-agent",
    version,
    after_help = "Exit codes: 0 done, 1 the answer is \"no\", 2 usage, 3 could not reach or not permitted."
)]
pub(crate) struct Args {
    /// How log lines are written to standard error.
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// What is logged: error, warn, info, debug or trace, also per module.
    #[arg(long, global = true, env = "HOLDPOINT_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Get this host's identity from a collector, with a token of `holdpoint-collector token create`.
    Enroll(EnrollArgs),
    /// Report to the collector and answer its challenges until stopped.
    Run(RunArgs),
    /// Look once and print what was found, or write it to a file for `holdpoint import`; needs no collector.
    Scan(ScanArgs),
    /// The agent as a service of Windows. On Linux systemd starts `holdpoint-agent run`.
    #[command(subcommand, hide = !cfg!(windows))]
    Service(ServiceCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Run under the service manager, which alone can start this; a person types `holdpoint-agent run`.
    Run(StateArgs),
    /// Make the service and start it, as an administrator; again to change it. For sites that take no installer.
    Install(InstallArgs),
    /// Stop the service and take it away with its state, as an administrator. The program's file stays.
    Remove(RemoveArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct InstallArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// As whom the service runs.
    #[arg(long, value_enum, default_value = "virtual")]
    pub(crate) account: Account,

    /// Let the service's token write whatever its account may; only where it does not start otherwise.
    #[arg(long)]
    pub(crate) not_write_restricted: bool,

    /// Enrol at the first start, with this collector.
    #[arg(long, value_name = "HOST:PORT", requires = "token")]
    pub(crate) collector: Option<String>,

    /// Enrol at the first start, with this token. The variable keeps it out of the list of processes.
    #[arg(long, env = "HOLDPOINT_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<Token>,

    /// Do not start it now; Windows does at its next start.
    #[arg(long)]
    pub(crate) no_start: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// Leave identity, settings and journal where they are, for an installation that comes later.
    #[arg(long)]
    pub(crate) keep_state: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EnrollArgs {
    /// Where the collector listens.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) collector: String,

    /// The token. It is a secret: the variable keeps it out of the list of processes.
    #[arg(long, env = "HOLDPOINT_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Token,

    #[command(flatten)]
    pub(crate) state: StateArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,

    /// Report once and end; exit code 0 means that the collector has everything on disk.
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StateArgs {
    /// The agent's only writable place: identity, settings, journal.
    #[arg(long = "state", value_name = "DIR", default_value_os_t = default_state())]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = SCAN_HELP)]
pub(crate) struct ScanArgs {
    /// Look at another root: a mounted disk, a chroot, an image. Facts that only a running
    /// system knows are then absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,

    /// Only this section; may be given several times.
    #[arg(long = "section", value_name = "SECTION", value_parser = section)]
    pub(crate) sections: Vec<SectionKind>,

    /// How the result is printed [default: table, or nothing with --out].
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<Output>,

    /// Write a one-shot to this file, for a person to carry to the collector (`holdpoint import FILE`).
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Where this host's identity is, which signs the one-shot.
    #[arg(long = "state", value_name = "DIR", default_value_os_t = default_state(), requires = "out", conflicts_with = "root")]
    pub(crate) state: PathBuf,

    /// Do not sign the one-shot, although this host is enrolled.
    #[arg(long, requires = "out")]
    pub(crate) unsigned: bool,
}

const SCAN_HELP: &str = "\
Examples:
  holdpoint-agent scan --section software
  holdpoint-agent scan -o json > scan.json
  holdpoint-agent scan --out hmi-01.oneshot

A one-shot is signed when the host is enrolled; the agent's service has to be stopped meanwhile, because
both number their reports. Of a host that is not enrolled, and of another root, it is unsigned: the
collector takes it only when an operator says which asset it is of (`holdpoint import --as ASSET FILE`).";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A summary for people; sections that are named are shown whole.
    Table,
    /// One JSON document.
    Json,
}

fn section(name: &str) -> Result<SectionKind, String> {
    section_named(name).filter(|it| REPORTED.contains(it)).ok_or_else(|| {
        let known: Vec<&str> = REPORTED.into_iter().map(holdpoint_common::row::section_name).collect();
        format!("this agent reads {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn only_sections_that_are_read_can_be_named() {
        assert_eq!(section("software"), Ok(SectionKind::Software));
        assert!(section("devices").is_err());
        assert!(section("").unwrap_err().contains("software"));
    }
}
