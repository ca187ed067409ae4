//! The receiving side of one zone: what is believed of it, and what is known to be missing.
//!
//! A site gets bundles of a zone from any carrier, in any order, any number of times, and can ask nobody for
//! what it did not get. So it keeps two things apart. What a bundle says is applied at once, by revision:
//! order and holes never wait. Which bundles there must be is known from their numbers, links and beacons,
//! and each that is missing stays a hole until it arrives late, until the digest of the sender's whole state
//! shows that nothing is missing of what it said, or until it is known that it will not come.
//!
//! [`places`] knows which numbers came, [`incarnation`] one life of the sender's collector, [`clock`] what
//! its clock is worth, [`facts`] what it said, [`alarm`] what people have to look at; [`zone`] puts a bundle
//! through all of them and [`view`] is what people see.
//!
//! All of it is a function of its arguments: bundles come in opened, the time of receipt with them. There is
//! no file, clock or socket here. The sender's clock decides nothing. A silent zone loses no fact: facts only
//! age. Nothing is filled by guessing, and what a limit cuts off is counted.

pub mod alarm;
pub mod answer;
pub mod args;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod doorstep;
pub mod facts;
pub mod fleet;
pub mod history;
pub mod incarnation;
pub mod keeper;
pub mod keys;
pub mod listen;
pub mod local;
pub mod medium;
pub mod page;
pub mod places;
pub mod quarantine;
pub mod report;
pub mod ruling;
pub mod seal;
pub mod service;
pub mod shelf;
pub mod trays;
pub mod verbs;
pub mod view;
mod words;
pub mod zone;

#[cfg(test)]
mod bench_tests;
#[cfg(test)]
mod medium_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod plant;
#[cfg(test)]
mod site_tests;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod testing;

pub use alarm::{Alarm, Alarms, Refusal};
pub use facts::{Fact, Facts};
pub use ruling::{Counters, Ruling};
pub use zone::{Agreement, Terms, Zone};
