//! Takes from a process what sending needs, by a filter of system calls.

use std::collections::BTreeMap;
use std::io;
use std::net::UdpSocket;

use libc::c_long;
#[cfg(test)]
use seccompiler::apply_filter;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter_all_threads};
use socket2::Socket;

use super::LockDownError;

/// For whom a filter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    /// All of the process.
    All,
    /// The one that asks, and those that it starts: a test runs beside others.
    #[cfg(test)]
    Own,
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

/// Refuses these calls, and tries one.
pub(super) fn lock_down(threads: Threads) -> Result<(), LockDownError> {
    let filter = filter()?;
    let applied = match threads {
        Threads::All => apply_filter_all_threads(&filter),
        #[cfg(test)]
        Threads::Own => apply_filter(&filter),
    };
    applied.map_err(install)?;
    match UdpSocket::bind("127.0.0.1:0") {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Ok(_) | Err(_) => Err(LockDownError::Ineffective),
    }
}

/// Whether the kernel gave a receive buffer beyond the limit of this host, which only a privileged process gets.
pub(super) fn force_buffer(socket: &Socket, bytes: usize) -> bool {
    rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, bytes).is_ok()
}

fn install(error: seccompiler::Error) -> LockDownError {
    LockDownError::Install(io::Error::other(error))
}

fn filter() -> Result<BpfProgram, LockDownError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| LockDownError::Unsupported)?;
    let eperm = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let rules: BTreeMap<c_long, _> = refused().map(|it| (it, Vec::new())).collect();
    SeccompFilter::new(rules, SeccompAction::Allow, eperm, arch)
        .and_then(BpfProgram::try_from)
        .map_err(|it| install(it.into()))
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

#[cfg(test)]
#[path = "linux_tests.rs"]
mod tests;
