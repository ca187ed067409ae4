//! The collector of one zone: accepts agents, keeps what they report, judges it, answers operators.

pub mod audit;
pub mod intake;
pub mod pki;
pub mod query;
pub mod server;
pub mod store;
pub mod zone;
