//! What only a running Windows can say, by topic. Each topic is a trait: its live half calls the system
//! and is the only code that exists on Windows alone; tests bring recorded answers, so that every probe
//! runs, and is tested, anywhere.

pub mod accounts;
pub mod hardware;
#[cfg(windows)]
mod live;
pub mod network;
pub mod services;
pub mod system;
// Laid out by Windows and read in every test.
#[cfg(any(windows, test))]
mod tables;

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
        #[cfg(windows)]
        let it = {
            let running = Arc::new(live::Running);
            Some(Self {
                system: running.clone(),
                services: running.clone(),
                network: running.clone(),
                accounts: running.clone(),
                hardware: running,
            })
        };
        #[cfg(not(windows))]
        let it = None;
        it
    }
}

/// A Windows of recorded answers: nothing is there before a test puts it there.
#[cfg(test)]
pub(crate) fn recorded() -> Windows {
    Windows {
        system: Arc::new(system::Recorded::default()),
        services: Arc::new(services::Recorded::default()),
        network: Arc::new(network::Recorded::default()),
        accounts: Arc::new(accounts::Recorded::default()),
        hardware: Arc::new(hardware::Recorded::default()),
    }
}

/// What a recorded half answers: a value, or a kind of error; "not there" when a test brings neither.
#[cfg(test)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer<T>(pub(crate) Result<T, std::io::ErrorKind>);

#[cfg(test)]
impl<T> Default for Answer<T> {
    fn default() -> Self {
        Self(Err(std::io::ErrorKind::NotFound))
    }
}

#[cfg(test)]
impl<T> From<T> for Answer<T> {
    fn from(value: T) -> Self {
        Self(Ok(value))
    }
}

#[cfg(test)]
impl<T: Clone> Answer<T> {
    /// An answer of "more rights are needed".
    pub(crate) fn denied() -> Self {
        Self(Err(std::io::ErrorKind::PermissionDenied))
    }

    pub(crate) fn give(&self) -> std::io::Result<T> {
        self.0.clone().map_err(Into::into)
    }
}

/// Answers to a question that has a key.
#[cfg(test)]
pub(crate) type Answers<K, T> = Vec<(K, Answer<T>)>;

/// The answer under a key; "not there" where a test brings none.
#[cfg(test)]
fn find<K: PartialEq, T: Clone>(answers: &[(K, Answer<T>)], key: &K) -> std::io::Result<T> {
    let found = answers.iter().find(|(it, _)| it == key);
    found.map_or_else(|| Err(std::io::ErrorKind::NotFound.into()), |(_, answer)| answer.give())
}
