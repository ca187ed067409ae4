//! The Holdpoint collector: keeps a zone's inventory and judges it.

pub mod audit;
pub mod intake;
pub mod pki;
pub mod query;
pub mod server;
pub mod store;
pub mod zone;
