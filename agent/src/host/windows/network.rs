//! Endpoints that are open, adapters, shares.

use std::fmt;
use std::io;
use std::net::IpAddr;

/// Endpoints that are open, adapters, shares.
pub trait Network: fmt::Debug + Send + Sync {
    /// Every adapter, also those that are down.
    ///
    /// # Errors
    /// The system refuses or has more of them than anybody needs.
    fn adapters(&self) -> io::Result<Vec<Adapter>>;

    /// Every share, hidden ones too.
    ///
    /// # Errors
    /// The system refuses, or the server service does not run (`NotFound`).
    fn shares(&self) -> io::Result<Vec<Share>>;
}

/// A network adapter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adapter {
    /// The name that people gave it.
    pub name: String,
    /// What its driver calls it.
    pub description: String,
    /// Hardware address, lower case with colons; `None` without one.
    pub mac: Option<String>,
    /// Interface type by IANA: 6 is Ethernet, 71 is wireless.
    pub kind: u32,
    /// Whether it works now.
    pub is_up: bool,
    /// Its addresses, without their prefixes.
    pub addresses: Vec<IpAddr>,
    /// Its gateways.
    pub gateways: Vec<IpAddr>,
}

/// A share of files or printers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// Its name: `C$`.
    pub name: String,
    /// Where it leads on this host.
    pub path: Option<String>,
    /// Kind by `lmshare.h`: 0 files, 1 printer, 3 interprocess; with the highest bit hidden.
    pub kind: u32,
    /// Its security descriptor, self-relative; `None` where it may not be read.
    pub descriptor: Option<Vec<u8>>,
}

/// Answers that a test brings. What it does not bring is not there.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) adapters: super::Answer<Vec<Adapter>>,
    pub(crate) shares: super::Answer<Vec<Share>>,
}

#[cfg(test)]
impl Network for Recorded {
    fn adapters(&self) -> io::Result<Vec<Adapter>> {
        self.adapters.give()
    }

    fn shares(&self) -> io::Result<Vec<Share>> {
        self.shares.give()
    }
}
