//! `holdpoint-diode-bench`: one end of a diode with nothing behind it, or a hostile line; prints figures as
//! `name=value` words. `tests/benches/diode` sets up the line and makes a table of them.

use std::process::ExitCode;

use clap::Parser;
use holdpoint_tests::diode::{Failed, Flood, Receive, Send, Storm};

/// Measures the diode carrier.
#[derive(Debug, Parser)]
#[command(name = "holdpoint-diode-bench", version)]
enum Role {
    /// Send objects and end with the last pass of the last one.
    Send(Send),
    /// Receive them, compare every one, and end when the line has been silent.
    Receive(Receive),
    /// Send datagrams that the receiver believes, of objects that never become complete.
    Flood(Flood),
    /// Damaged datagrams into parser and assembler, in this process.
    Storm(Storm),
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "figures are this program's output")]
fn main() -> ExitCode {
    let ready = |words: &str| println!("{words}");
    let figures = match Role::parse() {
        Role::Send(typed) => typed.run(),
        Role::Receive(typed) => typed.run(ready),
        Role::Flood(typed) => typed.run(),
        Role::Storm(typed) => typed.run().map_err(Failed::from),
    };
    match figures {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {:#}", anyhow::Error::from(error));
            ExitCode::FAILURE
        }
    }
}
