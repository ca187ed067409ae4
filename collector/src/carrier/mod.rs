//! Carriers: how sealed objects cross from one side to the other, with no way back.
//!
//! ```text
//! zone   outbox ─► tray ─► relay | diode | drop ─► ... ─► tray ─► site
//! ```
//! Every step between two processes is a [`tray`]: a folder that one of them fills and the other empties.
//! No carrier reads what it carries, and none has a key that could sign it. What arrives is believed for its
//! signature alone, so a carrier can lose, repeat, delay and reorder, and nothing worse.

pub mod diode;
pub mod drop;
pub mod relay;
pub mod tray;
