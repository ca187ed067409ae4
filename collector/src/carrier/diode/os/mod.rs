//! What only the operating system can do for a receiver: take the means to send away, give a large buffer, and
//! say what it dropped.

mod drops;
#[cfg(target_os = "linux")]
mod linux;

use std::io;

use socket2::Socket;

pub(super) use drops::{drops, inode};

/// What stays possible although it should not be.
#[derive(Debug, thiserror::Error)]
pub enum LockDownError {
    /// There is no filter of calls for this kind of processor.
    #[error("no filter of calls for this processor")]
    Unsupported,
    /// The filter is not accepted.
    #[error("cannot install a filter of calls")]
    Install(#[source] io::Error),
    /// It was, and a socket could be opened all the same.
    #[error("a socket can be opened in spite of the filter")]
    Ineffective,
}

/// Takes from a process what sending needs, for good. `false` where the system has no such thing.
///
/// After it no thread of the process can open, connect or bind a socket, send on one, start a program, or get a
/// socket of another process. Files can still be opened and written. The receiver's own socket was never
/// connected, so `write`, `splice` and `sendfile` on it have no address to send to and fail by themselves;
/// connecting it is what is refused here. So this is for a process that does nothing but receive: it has no page
/// for people and no metrics to fetch, unless these are files.
///
/// Refused calls fail with EPERM. They do not kill: a dead receiver is a plant that nobody sees, and a call that
/// failed has sent nothing. The kernel does not count what it refuses; that nothing leaves is counted outside, at
/// the interface. A call of another calling convention (32 bit) kills, because it is none of ours.
///
/// # Errors
/// The system has it and refuses: then the process should not go on.
pub fn lock_down() -> Result<bool, LockDownError> {
    #[cfg(target_os = "linux")]
    {
        linux::lock_down(linux::Threads::All).map(|()| true)
    }
    #[cfg(not(target_os = "linux"))]
    {
        Ok(false)
    }
}

/// Asks for a receive buffer of so many bytes, beyond the limit of this host where that is possible.
pub(super) fn set_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if linux::force_buffer(socket, bytes) {
        return Ok(());
    }
    socket.set_recv_buffer_size(bytes)
}
