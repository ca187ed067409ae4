//! The collector of one zone: accepts agents, keeps what they report, judges it, answers operators.

pub mod admin;
pub mod args;
pub mod assess;
pub mod audit;
pub mod baseline;
pub mod change;
pub mod config;
pub mod daemon;
pub mod duty;
pub mod enrol;
pub mod evidence;
pub mod hardening;
pub mod intake;
pub mod knowledge;
pub mod local;
pub mod memory;
pub mod metrics;
pub mod outbox;
pub mod pki;
pub mod query;
pub mod server;
pub mod site;
pub mod store;
pub mod triage;
pub mod verbs;
pub mod zone;
