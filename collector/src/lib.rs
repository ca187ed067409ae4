//! The Holdpoint collector: keeps a zone's inventory and judges it.

pub mod audit;
pub mod store;
pub mod zone;
