//! The operators' services: what they ask is answered here, who may ask is decided by the zone's gate.

pub mod changes;
pub mod inventory;
pub mod knowledge;
