//! Talking to the collector: what is said, how often, and what is kept between two calls.
//!
//! The pure parts ([`retry`], [`pace`], [`body`]) take time and chance as arguments; files are
//! touched in [`state`], [`held`] and [`journal`] alone, the network in [`client`] alone.

pub mod body;
pub mod client;
pub mod held;
pub mod journal;
pub mod key;
pub mod pace;
pub mod retry;
pub mod seen;
pub mod state;
