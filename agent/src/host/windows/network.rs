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

    /// The endpoints of one table: TCP sockets that listen, or every UDP socket.
    ///
    /// # Errors
    /// The system refuses, has no such protocol (`NotFound`), or has more of them than anybody needs.
    fn endpoints(&self, table: Table) -> io::Result<Vec<Endpoint>>;

    /// Path of the program that a process runs: `C:\Windows\System32\svchost.exe`.
    ///
    /// # Errors
    /// The process ended (`NotFound`) or may not be asked (`PermissionDenied`).
    fn program(&self, process: u32) -> io::Result<String>;

    /// The service that marked an endpoint, where one process runs several; `None` when the system
    /// does not say.
    ///
    /// # Errors
    /// The process ended (`NotFound`) or may not be asked (`PermissionDenied`).
    fn marked_by(&self, process: u32, mark: u32) -> io::Result<Option<String>>;
}

/// A table of endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// TCP over IPv4.
    Tcp,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over IPv4.
    Udp,
    /// UDP over IPv6.
    Udp6,
}

/// A socket that accepts traffic. Its process and mark move by themselves: they only lead to other facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it accepts.
    pub address: IpAddr,
    /// On which port.
    pub port: u16,
    /// Whose it is.
    pub process: u32,
    /// Mark of the service that opened it; 0 when there is none.
    pub mark: u32,
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
    /// Kind by `lmshare.h`: 0 files, 1 printer, 3 interprocess; with `0x8000_0000` hidden.
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
    pub(crate) endpoints: super::Answers<Table, Vec<Endpoint>>,
    pub(crate) programs: super::Answers<u32, String>,
    pub(crate) marks: super::Answers<(u32, u32), Option<String>>,
}

#[cfg(test)]
impl Network for Recorded {
    fn adapters(&self) -> io::Result<Vec<Adapter>> {
        self.adapters.give()
    }

    fn shares(&self) -> io::Result<Vec<Share>> {
        self.shares.give()
    }

    fn endpoints(&self, table: Table) -> io::Result<Vec<Endpoint>> {
        super::find(&self.endpoints, &table)
    }

    fn program(&self, process: u32) -> io::Result<String> {
        super::find(&self.programs, &process)
    }

    fn marked_by(&self, process: u32, mark: u32) -> io::Result<Option<String>> {
        super::find(&self.marks, &(process, mark))
    }
}
