//! The command line as typed; what a command's own options mean is in its file.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::command;

/// Shows what is installed in a zone, what is missing, and why Holdpoint thinks so.
#[derive(Debug, Parser)]
#[command(name = "holdpoint", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  holdpoint enroll --collector 10.1.2.3:7443 --token hp1.…   make this operator's key and profile
  holdpoint assets                                           every host of the zone
  holdpoint import requirements.csv advisories/              tell the collector what to check
  holdpoint status --verdict AFFECTED                        what is open
  holdpoint explain hmi-01 SITE-1                            why

Exit codes: 0 done, 1 the answer is no, 2 usage, 3 could not reach or not permitted.";

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The operator's profile [default: operator.toml in the user's configuration directory].
    #[arg(long, global = true, value_name = "FILE", env = "HOLDPOINT_PROFILE")]
    pub profile: Option<OsString>,
    /// How the answer is written to stdout.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,
    /// When words are coloured; `auto` means on a terminal, unless `NO_COLOR` is set.
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
}

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people; fits the terminal.
    Table,
    /// One JSON document.
    Json,
    /// For spreadsheets; values that would run as formulas are quoted with `'`.
    Csv,
    /// For log collectors: one CEF line for each event or finding.
    Cef,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    Auto,
    /// Also into a pipe.
    Always,
    /// Nowhere.
    Never,
}

/// What an operator can type.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Evaluate on this machine: a zone, its collector and this host's agent in one process.
    Quickstart(command::quickstart::Options),
    /// Commands that ask the collector.
    #[command(flatten)]
    Remote(Remote),
    /// Make this operator's key and profile with a token.
    Enroll(command::enroll::Options),
    /// Make the key, the request and the profile of an operator of a site.
    Join(command::join::Options),
    /// Show all zones of a site: how old, what is missing, what is to be done. Asks a site.
    Fleet(command::fleet::Options),
    /// Commands that need nobody.
    #[command(flatten)]
    Local(Local),
}

/// What needs a profile and a collector.
#[derive(Debug, Subcommand)]
pub enum Remote {
    /// List the assets of the zone.
    Assets(command::assets::Options),
    /// Show one asset, or decide about it.
    #[command(subcommand)]
    Asset(command::asset::Command),
    /// Find installed software on all assets.
    Software(command::software::Options),
    /// List what happened, newest first.
    Events(command::events::Options),
    /// Bring in advisories, requirements and carried scans; the kind of each file is detected.
    Import(command::import::Options),
    /// List findings: which asset misses what.
    Status(command::status::Options),
    /// Follow a finding to the rows and rules that it rests on.
    Explain(command::explain::Options),
    /// Test how hosts are configured, count it, and list the rules behind it.
    Hardening(command::hardening::Options),
    /// Write what is known in the forms of other programs.
    #[command(subcommand)]
    Export(command::export::Command),
    /// Ask hosts to look again now.
    Rescan(command::rescan::Options),
    /// Decide which installed product an advisory means.
    #[command(subcommand)]
    Map(command::map::Command),
    /// List where assets stand, and what their exposure follows from.
    Placement(command::placement::Options),
    /// Show how soon a finding has to be dealt with, and keep that decision.
    Triage(command::triage::Options),
    /// Decide what is done about a finding: patch, mitigate, accept, defer or avoid.
    Dispose(command::dispose::Options),
    /// List what suppliers state about patches.
    Statements(command::statements::Options),
    /// Evaluate, test and authorise a patch for a zone.
    #[command(subcommand)]
    Patch(command::patch::Command),
    /// Compile, release and reject knowledge packs, and say whose are taken.
    #[command(subcommand)]
    Pack(command::pack::Command),
    /// Show what knowledge is how old, and which of its lines cannot be decided.
    Feeds(command::feeds::Options),
    /// Plan, decide, open, verify and close changes.
    #[command(subcommand)]
    Change(Box<command::change::Command>),
    /// Write or check what proves a change.
    #[command(subcommand)]
    Evidence(command::evidence::Command),
    /// Show or approve the baseline of an asset.
    #[command(subcommand)]
    Baseline(command::baseline::Command),
    /// List what is otherwise than the approved baselines.
    Drift(command::drift::Options),
    /// List which duties fall due, and record that they were done.
    Due(command::due::Options),
    /// Register, test and end compensating controls.
    #[command(subcommand)]
    Control(command::control::Command),
    /// Show what two assets have not in common.
    Compare(command::compare::Options),
    /// The collector's record of every decision.
    #[command(subcommand)]
    Audit(command::audit::Command),
}

/// What works on any machine.
#[derive(Debug, Subcommand)]
pub enum Local {
    /// Compare two versions. Needs no collector.
    Vercmp(command::vercmp::Options),
    /// Ask whether a version lies in a range. Needs no collector.
    Range(command::range::Options),
    /// Print a completion script for a shell.
    Completions(command::completions::Options),
    /// Print the manual page, or write all pages into a directory.
    Man(command::man::Options),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_has_a_sentence() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no description", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Arguments::command());
    }

    #[test]
    fn global_options_are_taken_before_and_after_the_command() {
        for line in [["holdpoint", "-o", "json", "feeds"], ["holdpoint", "feeds", "-o", "json"]] {
            assert_eq!(Arguments::try_parse_from(line).unwrap().global.output, Format::Json);
        }
    }
}
