//! The Holdpoint agent: looks at its host, reports, changes nothing.
//!
//! A whole agent can be started inside a test or another program with [`run`]: it has no global
//! state and handles no signal. There is no code here that starts a process, opens a listening
//! socket, or writes outside the state directory.

pub mod command;
pub mod host;
pub mod scan;
pub mod show;

/// Version of this agent.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
