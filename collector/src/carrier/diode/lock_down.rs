//! Takes from a process what sending needs, for good.
//!
//! After [`lock_down`] no thread of the process can open, connect or bind a socket, send on one, start a
//! program, or get a socket of another process. Files can still be opened and written. The receiver's own
//! socket was never connected, so `write`, `splice` and `sendfile` on it have no address to send to and fail
//! by themselves; connecting it is what is refused here.
//!
//! So this is for a process that does nothing but receive: it has no page for people and no metrics to fetch,
//! unless these are files.
//!
//! Refused calls fail with EPERM. They do not kill: a dead receiver is a plant that nobody sees, and a call
//! that failed has sent nothing. The kernel does not count what it refuses; that nothing leaves is counted
//! outside, at the interface. A call of another calling convention (32 bit) kills, because it is none of ours.

use std::collections::BTreeMap;
use std::io;
use std::net::UdpSocket;

use libc::c_long;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter_all_threads};

/// What stays possible although it should not be.
#[derive(Debug, thiserror::Error)]
pub enum LockDownError {
    /// This processor is not known.
    #[error("no filter of calls for this processor")]
    Unsupported,
    /// The filter is not accepted.
    #[error("cannot install a filter of calls")]
    Install(#[source] seccompiler::Error),
    /// It was, and a socket could be opened all the same.
    #[error("a socket can be opened in spite of the filter")]
    Ineffective,
}

/// Calls that send or prepare it.
const REFUSED: &[c_long] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    // Joining a group sends a report to its routers.
    libc::SYS_setsockopt,
    // These submit calls that no filter sees.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // These reach into other processes.
    libc::SYS_pidfd_getfd,
    libc::SYS_ptrace,
    libc::SYS_process_vm_writev,
    libc::SYS_execve,
    libc::SYS_execveat,
];

/// On this processor a second convention has its own numbers: this bit, and some that differ.
#[cfg(target_arch = "x86_64")]
const X32: c_long = 0x4000_0000;
/// ptrace, execve, sendmsg, sendmmsg, `process_vm_writev`, setsockopt, execveat.
#[cfg(target_arch = "x86_64")]
const X32_ONLY: &[c_long] = &[521, 520, 518, 538, 540, 541, 545];

/// Refuses these calls to all threads of the process, and tries one.
pub fn lock_down() -> Result<(), LockDownError> {
    apply_filter_all_threads(&filter()?).map_err(LockDownError::Install)?;
    match UdpSocket::bind("127.0.0.1:0") {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Ok(_) | Err(_) => Err(LockDownError::Ineffective),
    }
}

fn filter() -> Result<BpfProgram, LockDownError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| LockDownError::Unsupported)?;
    let eperm = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let rules: BTreeMap<c_long, _> = refused().map(|it| (it, Vec::new())).collect();
    SeccompFilter::new(rules, SeccompAction::Allow, eperm, arch)
        .and_then(BpfProgram::try_from)
        .map_err(|it| LockDownError::Install(it.into()))
}

#[cfg(target_arch = "x86_64")]
fn refused() -> impl Iterator<Item = c_long> {
    let x32 = REFUSED.iter().chain(X32_ONLY).map(|it| it | X32);
    REFUSED.iter().copied().chain(x32)
}

#[cfg(not(target_arch = "x86_64"))]
fn refused() -> impl Iterator<Item = c_long> {
    REFUSED.iter().copied()
}
