//! What only the operating system can do: hold a process to its role, and say what has been acknowledged.

#[cfg(target_os = "linux")]
mod linux;

use std::io;

use tokio::net::TcpStream;

/// Which half of the relay a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Accepts; opens no connection and no socket at all.
    Ingest,
    /// Connects; listens to nobody.
    Forward,
}

/// Gives up for good, for all threads of this process, what the other half does. Ingest listens already when it
/// calls this. `false` where the system has no such thing.
///
/// # Errors
/// The system has it and refuses: then the process should not go on.
pub fn restrict(role: Role) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    {
        linux::restrict(role, linux::Threads::All).map(|()| true)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = role;
        Ok(false)
    }
}

/// Bytes in the socket that the other side has not acknowledged; 0 where the system does not tell.
pub(super) fn unacknowledged(tcp: &TcpStream) -> io::Result<u64> {
    #[cfg(target_os = "linux")]
    {
        linux::unacknowledged(tcp)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = tcp;
        Ok(0)
    }
}
