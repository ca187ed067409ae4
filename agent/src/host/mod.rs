//! What a probe may touch: a file-system root, and facts of the running system where there is one.
//!
//! With another root (an offline image, a captured machine) nothing of the machine that runs the
//! agent is mixed in: facts that only a running kernel knows are then absent, and kernel file
//! systems that happen to be mounted inside the root are hidden.

mod bus;
pub mod dbus;
pub mod home;
mod live;
mod open;
mod reads;
pub mod registry;
mod root;
pub mod windows;

use std::path::PathBuf;

use holdpoint_common::section::Digest;

pub use bus::{Answer, Bus};
pub use home::{Home, Storage};
pub(crate) use live::{Ask, messages};
pub use live::{Live, NicDriver, Nics, Usage};
pub(crate) use live::{keep_memory_small, local_time, release_memory, restrict, seal, service_manager};
pub use reads::{Access, RUNTIME, ReadList, Reads};
pub use registry::Registry;
pub use root::{Entry, EntryKind, Facts, HostRoot, Listing, Pieces, is_absent};
pub use windows::Windows;

/// One machine to look at.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its files.
    pub root: HostRoot,
    /// What only its running kernel knows; `None` when the machine is not the one that runs the agent.
    pub live: Option<Live>,
    /// Its registry, where it is a Windows machine.
    pub registry: Option<Registry>,
    /// What only its running Windows knows; `None` for every other machine.
    pub windows: Option<Windows>,
    /// The program that looks.
    pub agent: Agent,
    /// Where that program keeps its identity; `None` where it has none.
    pub home: Option<Home>,
}

/// Which probes a machine needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Files and the kernel's own file systems.
    Linux,
    /// A registry, and calls to the running system.
    Windows,
}

/// The agent about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Version of the program.
    pub version: String,
    /// SHA-256 of the executable; `None` when it could not be read.
    pub digest: Option<Digest>,
    /// SHA-256 of the configuration file; `None` without one.
    pub config_digest: Option<Digest>,
}

impl Agent {
    /// Describes the program that runs now. Reads the executable once, in pieces.
    pub fn running() -> Self {
        Self {
            version: crate::VERSION.to_owned(),
            digest: live::executable_digest().ok(),
            config_digest: None,
        }
    }
}

impl Host {
    /// The machine that runs the agent.
    pub fn running() -> Self {
        Self {
            root: HostRoot::at(live::root()),
            live: Some(Live::look()),
            registry: registry::running(),
            windows: Windows::running(),
            agent: Agent::running(),
            home: None,
        }
    }

    /// Which probes it needs.
    pub fn family(&self) -> Family {
        if self.registry.is_some() { Family::Windows } else { Family::Linux }
    }

    /// The same machine, of which only what is on a list can be read.
    #[must_use]
    pub fn limited_to(&self, reads: ReadList) -> Self {
        let registry = self.registry.as_ref().map(|it| it.limited_to(&reads));
        Self { root: self.root.limited_to(reads), registry, ..self.clone() }
    }

    /// A machine that does not run: a mounted image, a chroot, a captured host.
    pub fn captured(dir: impl Into<PathBuf>, agent: Agent) -> Self {
        let dir = dir.into();
        let kernel = live::kernel_mounts(&dir);
        let root = kernel.into_iter().fold(HostRoot::at(dir), HostRoot::hiding);
        let registry = registry::captured(&root);
        Self { root, live: None, registry, windows: None, agent, home: None }
    }
}
