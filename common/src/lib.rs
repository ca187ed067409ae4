//! The words that agent, collector and operators share.
//!
//! No module here knows the store or reads a host. Sockets are opened by [`channel`] alone, files
//! are touched by [`atomic_file`], [`private`] and [`credentials`], and the one reading of the system clock is
//! [`clock::SystemClock`]; everywhere else time is an argument.

pub mod atomic_file;
pub mod bundle;
pub mod chain;
pub mod channel;
pub mod clock;
pub mod conduit;
pub mod credentials;
pub mod decision;
pub mod enrolment;
pub mod identity;
pub mod one_shot;
pub mod pack;
pub mod private;
pub mod refusal;
pub mod row;
pub mod section;
pub mod tls;
pub mod token;
pub mod version;

pub use holdpoint_proto as proto;
