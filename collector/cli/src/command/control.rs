//! `control`: compensating controls, their tests, and their end.

use clap::{Args, Subcommand};
use holdpoint_common::proto::v1::{
    EndControlRequest, ListControlsRequest, RegisterControlRequest, TestControlRequest,
};

use crate::connection::{Connection, answer};
use crate::failure::Failure;
use crate::input::{Expiry, expiry};
use crate::output::Output;
use crate::view::control::Control;

/// `control`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Register what protects an asset while a vulnerability stays.
    Register(Register),
    /// Record that somebody tested a control that no machine sees.
    Test(Test),
    /// End a control; the vulnerability is open again at once.
    End {
        /// The control.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// List controls and whether they work.
    List {
        /// Also those that have ended.
        #[arg(long)]
        all: bool,
    },
}

/// `control register`.
#[derive(Debug, Args)]
pub struct Register {
    /// A word for it, unique in the zone.
    pub id: String,
    /// The asset that it protects.
    #[arg(long, value_name = "ID")]
    pub asset: String,
    /// The finding, the beginning of its subject in whole parts, or a vulnerability.
    #[arg(long)]
    pub subject: String,
    /// Who answers for it.
    #[arg(long)]
    pub owner: String,
    /// What it is.
    #[arg(long)]
    pub description: String,
    /// The hardening fact by which the collector sees that it works.
    #[arg(long, value_name = "FACT=VALUE")]
    pub fact: Option<String>,
    /// How often it has to be tested, in days.
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub interval: u32,
    /// When it ends: a date, a time, or a duration from now.
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    pub until: Expiry,
}

/// `control test`.
#[derive(Debug, Args)]
pub struct Test {
    /// The control.
    pub id: String,
    /// It worked.
    #[arg(long, required_unless_present = "fails", conflicts_with = "fails")]
    pub works: bool,
    /// It did not; the vulnerability is open again at once.
    #[arg(long)]
    pub fails: bool,
    /// What was done and seen.
    #[arg(long)]
    pub text: String,
}

const EXAMPLES: &str = "\
Examples:
  holdpoint control register C-7 --asset hmi-01 --subject ICSA-26-001-01 --owner ada --until 180d \\
      --description 'SMB 1 is off' --fact smb.server_v1=false
  holdpoint control test C-8 --works --text 'port scan from line 2, no answer'
  holdpoint control list

A control that is not tested in time, does not work or has ended reopens the vulnerability at once.";

/// Registers, tests, ends or lists.
pub async fn run(
    command: Command,
    connection: &Connection,
    out: &Output,
    now_ms: i64,
) -> Result<(), Failure> {
    let mut changes = connection.changes();
    let controls = match command {
        Command::List { all } => answer(changes.list_controls(ListControlsRequest { all })).await?.controls,
        Command::Register(options) => {
            let Register { id, asset, subject, owner, description, fact, interval, until } = options;
            let request = RegisterControlRequest {
                id,
                asset,
                subject,
                owner,
                description,
                fact,
                interval_days: interval,
                until_ms: until.resolve(now_ms),
            };
            vec![answer(changes.register_control(request)).await?]
        }
        Command::Test(Test { id, works, fails: _, text }) => {
            vec![answer(changes.test_control(TestControlRequest { id, works, text })).await?]
        }
        Command::End { id, reason } => {
            vec![answer(changes.end_control(EndControlRequest { id, reason })).await?]
        }
    };
    out.print(&controls.into_iter().map(Control::from).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use crate::args::Format;

    #[tokio::test]
    async fn a_control_is_registered_and_tested() {
        let connection = fake::collector().await;
        let out = Output::plain(Format::Csv, None);
        let register = Register {
            id: "C-7".into(),
            asset: "hmi-01".into(),
            subject: "DSA-1".into(),
            owner: "ada".into(),
            description: "d".into(),
            fact: None,
            interval: 90,
            until: expiry("180d").unwrap(),
        };
        run(Command::Register(register), &connection, &out, 5).await.unwrap();
        let test = Test { id: "C-7".into(), works: false, fails: true, text: "t".into() };
        run(Command::Test(test), &connection, &out, 5).await.unwrap();
        run(Command::List { all: true }, &connection, &out, 5).await.unwrap();
    }
}
