//! The Holdpoint collector: keeps a zone's inventory and judges it.

pub mod assess;
pub mod knowledge;
pub mod query;
pub mod store;
