//! What scenario tests, benches and the fleet simulator share: believable hosts, simulated
//! agents that speak the real protocol over real TLS, and the simulator itself; both ends of a measured diode;
//! and the parsers of foreign input, with what damages it, for fuzzing.

pub mod diode;
pub mod fleet;
pub mod inventory;
pub mod mutation;
pub mod operator;
pub mod peer;
pub mod program;
pub mod targets;
