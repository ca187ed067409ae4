use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::super::super::testing::{keys, profile};
use super::super::super::{Arrival, Assembler, BUFFER, Limits, Line, MAX_HELD, Receiver, Route, Urgency};
use super::*;

fn here() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn denied<T: std::fmt::Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
}

/// One thread and what it starts stand for the process, because what is taken away does not come back.
#[test]
fn a_receiver_that_is_locked_down_receives_and_writes_and_sends_nothing() {
    let receiver = Receiver::bind(here(), BUFFER).unwrap();
    let to = receiver.at();
    let (done, out) = mpsc::channel();
    let locked = thread::spawn(move || {
        let other = UdpSocket::bind(here()).unwrap();
        lock_down(Threads::Own).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("object");
        let receiving = receiver.start(Assembler::new(keys(), &[], Limits::default()), move |it| {
            if let Arrival::Object(object) = it {
                std::fs::write(&file, object.bytes).unwrap();
                done.send((std::fs::read(&file).unwrap(), UdpSocket::bind(here()).is_ok())).unwrap();
            }
        });
        let receiving = receiving.unwrap();
        denied(other.send_to(b"x", to));
        denied(other.connect(to));
        denied(TcpStream::connect(to));
        denied(other.set_broadcast(true));
        // A socket that was never connected has no address to write to.
        let mut other = std::fs::File::from(OwnedFd::from(other));
        assert!(other.write(b"x").is_err());
        let (object, opens) = out.recv_timeout(Duration::from_secs(15)).unwrap();
        assert!(object == vec![1; 50_000] && !opens);
        assert!(!receiving.is_broken());
        receiving.stop();
    });
    let route = Route { from: here(), to };
    let line = Line::start(&route, profile(|it| it.copies = 2), keys(), MAX_HELD).unwrap();
    line.offer(vec![1; 50_000].into(), Urgency::Usual).unwrap();
    line.close();
    locked.join().unwrap();
}

#[test]
fn what_starts_programs_or_submits_calls_elsewhere_is_refused() {
    let refused: Vec<c_long> = refused().collect();
    for call in [libc::SYS_execve, libc::SYS_execveat, libc::SYS_io_uring_setup, libc::SYS_pidfd_getfd] {
        assert!(refused.contains(&call), "{call}");
    }
    for call in [libc::SYS_recvmmsg, libc::SYS_openat, libc::SYS_write, libc::SYS_ppoll, libc::SYS_futex] {
        assert!(!refused.contains(&call), "{call}");
    }
}

/// The queue of what arrives at the sender's socket is as full when it has ended its work: nobody read it.
#[test]
fn the_sender_never_reads() {
    let receiver = Receiver::bind(here(), BUFFER).unwrap();
    let route = Route { from: here(), to: receiver.at() };
    let line = Line::start(&route, profile(|it| it.copies = 1), keys(), MAX_HELD).unwrap();
    let queue = || {
        let table = std::fs::read_to_string("/proc/self/net/udp").unwrap();
        let port = format!(":{:04X} ", line.from().port());
        let line = table.lines().find(|it| it.contains(&port)).unwrap().to_owned();
        let queues = line.split_ascii_whitespace().nth(4).unwrap().to_owned();
        u64::from_str_radix(queues.split(':').nth(1).unwrap(), 16).unwrap()
    };
    assert_eq!(queue(), 0);
    let stranger = UdpSocket::bind(here()).unwrap();
    stranger.send_to(b"an answer that nobody wants", line.from()).unwrap();
    let waiting = queue();
    assert!(waiting > 0);
    line.offer(vec![1; 100_000].into(), Urgency::Usual).unwrap();
    line.flush();
    assert_eq!(queue(), waiting);
}
