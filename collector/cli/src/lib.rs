//! The operator's command line as a library, so that a test can run a command in its own process.
//!
//! A command takes its options and a connection, asks the collector, and hands a view to the one
//! place that writes. Nothing here judges: verdicts are the collector's.

pub mod archive;
pub mod args;
pub mod command;
pub mod connection;
pub mod export;
pub mod failure;
pub mod input;
pub mod lines;
pub mod output;
pub mod profile;
pub mod view;
pub mod xccdf;
