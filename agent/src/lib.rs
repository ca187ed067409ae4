//! The Holdpoint agent: looks at its host, reports, changes nothing.
//!
//! A whole agent can be started inside a test or another program with [`run`]: it has no global
//! state and handles no signal. There is no code here that starts a process or opens a
//! listening socket, and nothing that looks or reports writes outside the state directory. The one
//! exception is what an administrator types: `service install` and `service remove` on Windows.

mod agent;
pub mod cage;
pub mod command;
mod enrol;
pub mod host;
pub mod link;
pub mod notice;
pub mod one_shot;
pub mod scan;
pub mod service;
pub mod settings;
pub mod show;

pub use agent::{RunError, run, run_once};
pub use cage::hold::Hold;
pub use enrol::{EnrollError, enroll};
pub use settings::Settings;

/// Version of this agent.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
