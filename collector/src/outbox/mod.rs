//! The outbox: what the zone says to those outside, again and again, because nobody answers.
//!
//! ```text
//! what changed ─► ledger ─► schedule ─► spool ─► sequence ─► a bundle, signed ─► carriers
//!                 revision   when       waits    number
//! ```
//! It promises:
//! - a record that changed gets a higher revision than all before it, after a crash and a restore too;
//! - whatever was lost on the way is said again within one cycle ([`schedule`]), what is gone for as long as
//!   its tombstone is kept ([`schedule::Rhythm::tombstone_cycles`]);
//! - what waits is bounded, what does not fit is dropped in a fixed order, and every drop is counted and
//!   said ([`spool`]);
//! - no number of an incarnation is given twice ([`sequence`]).
//!
//! It does not promise that anything arrives: it hears nothing, and nothing in it says "delivered".
//!
//! [`office`] puts these to work: it alone reads the store, files and the zone, and [`run`] is its thread. The
//! others are plain data and functions of their arguments; contents of records are bytes that nobody here reads.
//!
//! # What survives a crash, and in which order it is written
//!
//! Each of these is one transaction of the store:
//! - A record changed: its [`ledger::Said`].
//! - Evidence came: its [`schedule::Repeated`], revision and content.
//! - An interval is made: [`schedule::Progress`], the new [`spool::Parcel`]s and their contents, what
//!   [`spool::Relief`] names, [`spool::Tally`] and whether a drop is undeclared.
//! - Numbers run out: [`sequence::Numbers`]; then [`sequence::Witness`] beside the store; then `reserved`.
//! - A carrier took a parcel: that it is gone, [`spool::Tally`], [`sequence::Numbers`], the tombstones that
//!   `slice_left` names and the floor.
//! - A new epoch begins: all of the ledger, the tally of `new_epoch`, [`sequence::Numbers`]; then the
//!   witness.
//!
//! Each is durable before what depends on it: the revision before its record is put into the spool, the
//! parcel before it is sealed, the reservation before its first number is given. A crash between two of them
//! then repeats something and never contradicts it. The worst case is a parcel that left and was not yet
//! deleted: it leaves again under another number, and records can be applied any number of times.
//!
//! A parcel gets its number when the first carrier is ready for it, and one bundle goes to all carriers of
//! the stream: a receiver behind one of them would take numbers of another for holes.

/// The directory of the outbox inside the collector's.
pub const DIRECTORY: &str = "outbox";
/// The directory inside it with the key and certificate by which relays know the collector.
pub const CONDUIT: &str = "conduit";
/// The relay's tray inside it.
pub const RELAY: &str = "relay";
/// The tray of the diode's sending process.
pub const DIODE: &str = "diode";

#[cfg(test)]
mod bench_tests;
pub mod kept;
pub mod ledger;
pub mod office;
#[cfg(test)]
mod office_tests;
pub mod pages;
pub mod resend;
#[cfg(test)]
mod resend_tests;
pub mod run;
pub mod schedule;
pub mod sequence;
pub mod signer;
pub mod spool;
#[cfg(test)]
mod tests;
pub mod verbs;
pub mod wire;
