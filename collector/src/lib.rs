//! The Holdpoint collector: keeps a zone's inventory and judges it.

pub mod store;
