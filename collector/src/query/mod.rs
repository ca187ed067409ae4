//! What operators ask: one service a file, each call behind the zone's gate.

pub mod inventory;
pub mod knowledge;
