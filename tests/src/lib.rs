//! What scenario tests, benches and the fleet simulator share: believable hosts.

pub mod inventory;
