//! The words that agent, collector and operators share.
//!
//! No module here opens a socket, knows the store or reads a host; files are touched by
//! [`atomic_file`] alone. Time is always an argument.

pub mod atomic_file;
pub mod chain;
pub mod identity;
pub mod refusal;
pub mod row;
pub mod section;
pub mod version;

pub use holdpoint_proto as proto;
