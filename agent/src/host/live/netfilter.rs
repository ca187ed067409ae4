//! The running packet filter: dumps of `nf_tables` over `NETLINK_NETFILTER`.
//!
//! Interface: `nfnetlink.h` and `nf_tables.h` of linux/netfilter; the kernel answers only a process with
//! `CAP_NET_ADMIN` in its network namespace, and only about that namespace. What is asked is a closed
//! list of dumps: no message that changes, resets or flushes anything can be said with it.
//!
//! The kernel loads its modules when such a socket is opened, so a caller first makes sure that
//! `nf_tables` is there: an agent that looks loads nothing.

use std::io;
#[cfg(target_os = "linux")]
use std::time::Duration;

/// Most bytes of all answers to one [`PacketFilter`].
#[cfg(target_os = "linux")]
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Most datagrams of all answers.
#[cfg(target_os = "linux")]
const MAX_DATAGRAMS: usize = 4_096;
/// How long all answers may take.
#[cfg(target_os = "linux")]
const TIME_LIMIT: Duration = Duration::from_secs(3);

/// Bytes before the attributes of a message: `nlmsghdr` and `nfgenmsg`.
const HEADER: usize = 16;
const PREFIX: usize = HEADER + 4;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The subsystem of `nf_tables`, in the high byte of a type.
const NF_TABLES: u16 = 10 << 8;
/// A dump that was interrupted by a change.
const INTERRUPTED: u16 = 0x10;

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask<'a> {
    /// Tables of every family.
    Tables,
    /// Chains of every table.
    Chains,
    /// Rules of every chain, in order.
    Rules,
    /// Sets and maps of every table, without what they hold.
    Sets,
    /// What one set holds.
    Elements {
        /// Address family of the table.
        family: u8,
        /// Name of the table.
        table: &'a str,
        /// Name of the set.
        set: &'a str,
    },
    /// Named counters, quotas, limits and helpers.
    Objects,
    /// Flow tables.
    Flowtables,
}

impl Ask<'_> {
    /// `NFT_MSG_GET*`; none of the `_RESET` ones is here.
    fn message(self) -> u16 {
        NF_TABLES
            | match self {
                Self::Tables => 1,
                Self::Chains => 4,
                Self::Rules => 7,
                Self::Sets => 10,
                Self::Elements { .. } => 13,
                Self::Objects => 19,
                Self::Flowtables => 23,
            }
    }

    /// The whole request.
    #[cfg_attr(not(any(target_os = "linux", test)), expect(dead_code, reason = "nothing is asked there"))]
    fn bytes(self, sequence: u32) -> Vec<u8> {
        const REQUEST: u16 = 0x1;
        const DUMP: u16 = 0x300;
        let mut bytes = vec![0; 4];
        bytes.extend(self.message().to_ne_bytes());
        bytes.extend((REQUEST | DUMP).to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        let family = if let Self::Elements { family, .. } = self { family } else { 0 };
        bytes.extend([family, 0, 0, 0]);
        if let Self::Elements { table, set, .. } = self {
            attribute(&mut bytes, 1, table);
            attribute(&mut bytes, 2, set);
        }
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes
    }
}

/// A text with the zero that ends it, padded to four bytes. Names of `nf_tables` are at most 255 bytes.
fn attribute(bytes: &mut Vec<u8>, kind: u16, text: &str) {
    let length = u16::try_from(text.len() + 5).unwrap_or(u16::MAX);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// One message of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// The low byte of its type: `NFT_MSG_NEW*`; `None` for one that is not of `nf_tables`.
    pub(crate) kind: Option<u8>,
    /// Address family.
    pub(crate) family: u8,
    /// What follows the headers.
    pub(crate) attributes: &'a [u8],
    control: u16,
    flags: u16,
}

/// The messages in a row of datagrams; `Err` once for a row that does not end where one ends.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Malformed>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let Some((message, rest)) = message(bytes) else {
            bytes = &[];
            return Some(Err(Malformed));
        };
        bytes = rest;
        Some(Ok(message))
    })
}

/// Bytes that are no messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is no row of netlink messages")]
pub(crate) struct Malformed;

fn message(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let number = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
    let length = usize::try_from(length).ok().filter(|it| *it >= HEADER && *it <= bytes.len())?;
    let kind = number(4)?;
    let body = &bytes[HEADER..length];
    let is_own = kind & 0xff00 == NF_TABLES;
    let message = Message {
        kind: is_own.then(|| kind.to_le_bytes()[0]),
        family: if is_own { *body.first()? } else { 0 },
        attributes: if is_own { bytes.get(PREFIX..length)? } else { body },
        control: kind,
        flags: number(6)?,
    };
    let next = length.next_multiple_of(4).min(bytes.len());
    Some((message, &bytes[next..]))
}

/// What the messages of a datagram say about the dump that they belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    More,
    Done,
}

#[cfg_attr(not(any(target_os = "linux", test)), expect(dead_code, reason = "nothing is received there"))]
fn state(datagram: &[u8]) -> io::Result<State> {
    for message in messages(datagram) {
        let message = message.map_err(io::Error::other)?;
        if message.flags & INTERRUPTED != 0 {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "the rules changed while they were read"));
        }
        if matches!(message.control, ERROR | DONE) {
            let code = message.attributes.get(..4).and_then(|it| it.try_into().ok()).map(i32::from_ne_bytes);
            return match code {
                Some(0) => Ok(State::Done),
                Some(code) if code < 0 && code > i32::MIN => Err(io::Error::from_raw_os_error(-code)),
                Some(_) | None => Err(io::Error::other(Malformed)),
            };
        }
    }
    Ok(State::More)
}

/// A conversation with the packet filter, bounded in bytes, datagrams and time.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct PacketFilter {
    socket: std::os::fd::OwnedFd,
    sequence: u32,
    bytes_left: usize,
    datagrams_left: usize,
    end: std::time::Instant,
}

#[cfg(target_os = "linux")]
impl PacketFilter {
    /// Opens a socket that only asks.
    pub(super) fn open() -> io::Result<Self> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink, socket_with};
        let protocol = Some(netlink::NETFILTER);
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        Ok(Self {
            socket,
            sequence: 0,
            bytes_left: MAX_BYTES,
            datagrams_left: MAX_DATAGRAMS,
            end: std::time::Instant::now() + TIME_LIMIT,
        })
    }

    /// Asks, and waits for the whole answer: messages in a row, to be taken apart by [`messages`].
    ///
    /// # Errors
    /// The kernel refuses, the rules changed meanwhile (`Interrupted`), or a bound is reached.
    pub(crate) fn dump(&mut self, ask: Ask<'_>) -> io::Result<Vec<u8>> {
        use rustix::net::SendFlags;
        self.sequence += 1;
        rustix::net::send(&self.socket, &ask.bytes(self.sequence), SendFlags::empty())?;
        let mut answer = Vec::new();
        // A dump fills datagrams of at most 32 KiB, however small the buffer of the first is.
        let mut datagram = vec![0; 64 * 1024];
        loop {
            let length = self.receive(&mut datagram)?;
            let datagram = &datagram[..length];
            if datagram.get(8..12) != Some(&self.sequence.to_ne_bytes()) {
                // The end of an answer that was given up.
                continue;
            }
            answer.extend_from_slice(datagram);
            if state(datagram)? == State::Done {
                return Ok(answer);
            }
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use rustix::net::sockopt::{Timeout, set_socket_timeout};
        use rustix::net::{RecvFlags, netlink::SocketAddrNetlink};
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the packet filter takes too long to answer");
        let left = self.end.checked_duration_since(std::time::Instant::now()).filter(|it| !it.is_zero());
        set_socket_timeout(&self.socket, Timeout::Recv, Some(left.ok_or_else(late)?))?;
        let received = rustix::net::recvfrom(&self.socket, &mut *buffer, RecvFlags::TRUNC);
        let (length, from) = match received {
            Ok((_, length, from)) => (length, from),
            Err(rustix::io::Errno::AGAIN) => return Err(late()),
            Err(cause) => return Err(cause.into()),
        };
        let is_kernel = from.is_some_and(|it| SocketAddrNetlink::try_from(it).is_ok_and(|it| it.pid() == 0));
        if !is_kernel {
            return Err(io::Error::other("an answer that the kernel did not give"));
        }
        if length > buffer.len() {
            return Err(io::Error::other("an answer larger than the kernel makes them"));
        }
        let bound = || io::Error::other(format!("more than {MAX_BYTES} bytes of rules"));
        self.bytes_left = self.bytes_left.checked_sub(length).ok_or_else(bound)?;
        self.datagrams_left = self.datagrams_left.checked_sub(1).ok_or_else(bound)?;
        Ok(length)
    }
}

/// Systems without nf_tables.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(crate) struct PacketFilter;

#[cfg(not(target_os = "linux"))]
impl PacketFilter {
    pub(super) fn open() -> io::Result<Self> {
        Err(io::ErrorKind::NotFound.into())
    }

    pub(crate) fn dump(&mut self, _: Ask<'_>) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + body.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn every_question_is_a_dump_and_none_resets() {
        let elements = Ask::Elements { family: 1, table: "filter", set: "ports" };
        for ask in [Ask::Tables, Ask::Chains, Ask::Rules, Ask::Sets, elements, Ask::Objects, Ask::Flowtables]
        {
            let bytes = ask.bytes(7);
            assert_eq!(bytes.len() % 4, 0);
            assert_eq!(
                u32::from_ne_bytes(bytes[..4].try_into().unwrap()),
                u32::try_from(bytes.len()).unwrap()
            );
            assert_eq!(bytes[5], 10);
            assert!([1, 4, 7, 10, 13, 19, 23].contains(&bytes[4]));
        }
    }

    #[test]
    fn an_answer_ends_fails_or_goes_on() {
        let rule = packed(NF_TABLES | 6, 2, &[1, 0, 0, 0]);
        assert_eq!(state(&rule).unwrap(), State::More);
        assert_eq!(state(&[rule.clone(), packed(DONE, 2, &[0; 4])].concat()).unwrap(), State::Done);
        let denied = state(&packed(ERROR, 0, &(-1_i32).to_ne_bytes())).unwrap_err();
        assert_eq!(denied.kind(), io::ErrorKind::PermissionDenied);
        let changed = state(&packed(NF_TABLES | 6, INTERRUPTED, &[1, 0, 0, 0])).unwrap_err();
        assert_eq!(changed.kind(), io::ErrorKind::Interrupted);
        assert!(state(&packed(ERROR, 0, &i32::MIN.to_ne_bytes())).is_err());
    }

    #[test]
    fn lengths_that_lie_end_the_row() {
        for length in [0_u32, 3, 15, 17, u32::MAX] {
            let mut bytes = packed(NF_TABLES, 0, &[]);
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(messages(&bytes).collect::<Vec<_>>(), [Err(Malformed)]);
        }
        assert_eq!(messages(&[1, 2, 3]).count(), 1);
        assert_eq!(messages(&[]).count(), 0);
    }
}
