//! The collector of one zone: accepts agents, keeps what they report, judges it, answers operators.

pub mod pki;
pub mod server;
