//! Linux: a filter of system calls, and the length of a socket's queue.
//!
//! The filter refuses with EPERM and kills nobody, so a surprise is an error where it happens. It is a list of
//! what is given up; the systemd units beside it work with a list of what is kept.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::io;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use tokio::net::TcpStream;

use super::Role;

/// Bytes that were written and not acknowledged: `SIOCOUTQ` of tcp(7), the same number as `TIOCOUTQ`.
const SIOCOUTQ: rustix::ioctl::Opcode = 0x5411;

/// Marks the numbers of the x32 convention, which an `x86_64` kernel may serve beside its own.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// Whom a filter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    /// The whole process.
    All,
    /// The one that asks: so that a test can be held to a role without its neighbours.
    #[cfg(test)]
    This,
}

/// No half starts a program or gets at sockets past the other calls.
const BOTH: [i64; 7] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_ptrace,
    libc::SYS_pidfd_getfd,
];

fn given_up(role: Role) -> &'static [i64] {
    match role {
        // Without socket() there is nothing that could be connected; a connection may also be opened by
        // sendto() on a fresh socket.
        Role::Ingest => &[libc::SYS_socket, libc::SYS_connect, libc::SYS_bind, libc::SYS_listen],
        Role::Forward => &[libc::SYS_bind, libc::SYS_listen, libc::SYS_accept4, libc::SYS_accept],
    }
}

pub(super) fn restrict(role: Role, threads: Threads) -> io::Result<()> {
    let program = program(role).map_err(io::Error::other)?;
    let applied = match threads {
        Threads::All => seccompiler::apply_filter_all_threads(&program),
        #[cfg(test)]
        Threads::This => seccompiler::apply_filter(&program),
    };
    applied.map_err(io::Error::other)
}

fn program(role: Role) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules = BTreeMap::new();
    for call in BOTH.iter().chain(given_up(role)) {
        rules.insert(*call, Vec::new());
        #[cfg(target_arch = "x86_64")]
        rules.insert(call | X32, Vec::new());
    }
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(refused()), arch)?.try_into()
}

fn refused() -> u32 {
    libc::EPERM.unsigned_abs()
}

#[expect(unsafe_code, reason = "the call has no safe wrapper")]
pub(super) fn unacknowledged(tcp: &TcpStream) -> io::Result<u64> {
    // SAFETY: SIOCOUTQ writes one int, which is what the pattern has room for, and reads nothing.
    let waiting = unsafe { rustix::ioctl::ioctl(tcp, rustix::ioctl::Getter::<SIOCOUTQ, c_int>::new()) }?;
    Ok(u64::from(waiting.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    /// Held to a role on a thread of its own, since a filter is for ever.
    fn held(role: Role, then: impl FnOnce() + Send + 'static) {
        let thread = std::thread::spawn(move || {
            restrict(role, Threads::This).unwrap();
            then();
        });
        thread.join().unwrap();
    }

    fn is_refused<T>(outcome: io::Result<T>) -> bool {
        outcome.is_err_and(|it| it.raw_os_error() == Some(libc::EPERM))
    }

    #[test]
    fn ingest_accepts_and_cannot_call_anybody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let caller = TcpStream::connect(address).unwrap();
        held(Role::Ingest, move || {
            listener.accept().unwrap();
            assert!(is_refused(TcpStream::connect(elsewhere)));
            assert!(is_refused(UdpSocket::bind("127.0.0.1:0")));
            assert!(is_refused(TcpListener::bind("127.0.0.1:0")));
        });
        drop(caller);
    }

    #[test]
    fn forward_calls_and_cannot_be_called() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        held(Role::Forward, move || {
            TcpStream::connect(address).unwrap();
            // Names are still looked up, though the C library would like to bind a netlink socket for it.
            TcpStream::connect(("localhost", address.port())).unwrap();
            assert!(is_refused(TcpListener::bind("127.0.0.1:0")));
            assert!(is_refused(listener.accept()));
        });
    }

    #[test]
    fn what_was_not_acknowledged_is_counted() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let tcp = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            assert_eq!(unacknowledged(&tcp).unwrap(), 0);
            // Nobody reads: the other side's buffer fills, and then this side's.
            while tcp.try_write(&[0; 16_384]).is_ok() {}
            assert!(unacknowledged(&tcp).unwrap() > 0);
        });
    }
}
