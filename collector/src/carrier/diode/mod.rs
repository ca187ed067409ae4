//! The diode carrier: objects over a line on which nothing comes back.
//!
//! ```text
//! object -> cut, repair -> datagrams with MAC -> paced, in passes that are seconds apart
//!                                                                  | one way
//! object <- digest <- restore <- assemble <- MAC checked <- datagrams, some of them
//! ```
//! An object is an opaque sealed bundle of 1 byte to 64 MiB. What a line may lose is agreed beforehand
//! ([`profile`]), from a measurement that a person carries back ([`commission`]); how much repair that needs is
//! computed for each object ([`code`]). The datagram is drawn in [`datagram`]. Each pass of an object bears the
//! design loss by itself, a later pass bears a burst that takes all of an earlier one, and what is left of
//! several passes adds up.
//!
//! Whoever has no link key changes nothing at the receiver but counters, unless he recorded datagrams: played
//! again, one is a duplicate, or makes an object again that its receiver knows by number, or waits in the budget
//! as part of one. Whoever has the key can waste memory up to that budget. What an object says is believed for
//! its own signature alone, which is not looked at here.
//!
//! The sender has no call that receives, the receiver none that sends ([`lock_down()`]).

#[cfg(unix)]
pub mod args;
pub mod assemble;
pub mod code;
pub mod commission;
#[cfg(unix)]
pub mod config;
pub mod counters;
pub mod datagram;
mod delivered;
mod erasure;
mod incomplete;
pub mod keys;
pub mod line;
#[cfg(unix)]
pub mod os;
mod pace;
mod pass;
pub mod profile;
pub mod quality;
#[cfg(unix)]
pub mod receive;
mod schedule;
pub mod shape;
#[cfg(test)]
mod testing;
#[cfg(test)]
#[cfg(unix)]
#[path = "link_tests.rs"]
mod tests;
#[cfg(unix)]
pub mod verbs;
mod waiting;
mod wire;

pub use assemble::{Assembler, Limits, Object, Taken};
pub use counters::Counters;
pub use datagram::{Cause, ObjectId};
pub use keys::{KeyError, Keys, Slot};
pub use line::{Line, MAX_HELD, Refused, Sent, Urgency};
#[cfg(unix)]
pub use os::{LockDownError, lock_down};
pub use profile::{InvalidProfile, Preset, Profile};
#[cfg(unix)]
pub use receive::{Arrival, BUFFER, ReceiveError, Receiver, Receiving, Watch};
pub use shape::MAX_OBJECT;
pub use wire::{Route, Traffic, WireError};
