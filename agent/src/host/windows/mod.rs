//! What only a running Windows can say, by topic. Each topic is a trait: its live half calls the system
//! and is the only code that exists on Windows alone; tests bring recorded answers, so that every probe
//! runs, and is tested, anywhere.

pub mod accounts;
pub mod hardware;
pub mod network;
pub mod services;
pub mod system;

use std::sync::Arc;

use accounts::Accounts;
use hardware::Hardware;
use network::Network;
use services::Services;
use system::System;

/// A running Windows, as probes ask it.
#[derive(Debug, Clone)]
pub struct Windows {
    /// Version, boot, processes, volumes.
    pub system: Arc<dyn System>,
    /// The service control manager.
    pub services: Arc<dyn Services>,
    /// Endpoints, adapters, shares.
    pub network: Arc<dyn Network>,
    /// Local users, groups and policies.
    pub accounts: Arc<dyn Accounts>,
    /// Firmware tables, disks, TPM.
    pub hardware: Arc<dyn Hardware>,
}

impl Windows {
    /// The system that runs the agent; `None` where it is no Windows.
    pub(super) fn running() -> Option<Self> {
        None
    }
}
