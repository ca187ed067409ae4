//! What scenario tests, benches and the fleet simulator share: believable hosts, simulated
//! agents that speak the real protocol over real TLS, and the simulator itself.

pub mod fleet;
pub mod inventory;
pub mod operator;
pub mod peer;
pub mod program;
