//! The service control manager: services and drivers.

use std::fmt;
use std::io;

/// The service control manager: services and drivers.
///
/// Source: `EnumServicesStatusExW` and `QueryServiceConfigW`, which every user may ask; what a service's
/// own descriptor keeps from this user is refused for that service alone.
pub trait Services: fmt::Debug + Send + Sync {
    /// Every service and driver that the manager knows, with its state now.
    ///
    /// # Errors
    /// The system refuses, or has more of them than anybody needs.
    fn list(&self) -> io::Result<Vec<Service>>;

    /// How one of them is set up, as the manager holds it: also where its key may not be read.
    ///
    /// # Errors
    /// There is none of that name (`NotFound`), or it may not be asked (`PermissionDenied`).
    fn setup(&self, name: &str) -> io::Result<Setup>;
}

/// A service or driver as it is now. Which process it is moves by itself: it only leads to other facts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Its name, which is that of its key.
    pub name: String,
    /// What people call it, in the language of the system.
    pub display_name: String,
    /// `Type` by `winnt.h`: 1 and 2 are drivers, 0x10 and 0x20 services; 0x80 marks an instance for
    /// one user who is logged on.
    pub kind: u32,
    /// Its state.
    pub state: State,
    /// Its process; 0 when there is none.
    pub process: u32,
}

/// `dwCurrentState` by `winsvc.h`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// It does not run.
    #[default]
    Stopped,
    /// It runs.
    Running,
    /// Its process runs and does no work.
    Paused,
    /// On its way to another state, or in one that the system has no name for.
    Passing,
}

impl From<u32> for State {
    fn from(state: u32) -> Self {
        match state {
            1 => Self::Stopped,
            4 => Self::Running,
            7 => Self::Paused,
            _ => Self::Passing,
        }
    }
}

/// How a service is set up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// `Type`, as in [`Service`].
    pub kind: u32,
    /// `Start` by `winnt.h`: 0 boot, 1 system, 2 automatic, 3 manual, 4 disabled.
    pub start: u32,
    /// Whether an automatic service starts a while after the others.
    pub is_delayed: bool,
    /// Command line of a service, path of a driver, as written.
    pub image: Option<String>,
    /// The account that it runs as.
    pub account: Option<String>,
    /// What people call it.
    pub display_name: Option<String>,
}

/// Answers that a test brings. What it does not bring is not there.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) list: super::Answer<Vec<Service>>,
    pub(crate) setups: super::Answers<&'static str, Setup>,
}

#[cfg(test)]
impl Services for Recorded {
    fn list(&self) -> io::Result<Vec<Service>> {
        self.list.give()
    }

    fn setup(&self, name: &str) -> io::Result<Setup> {
        super::find(&self.setups, &name)
    }
}
