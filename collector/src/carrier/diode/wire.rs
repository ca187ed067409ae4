//! The sending socket: never connected, never read, paced.
//!
//! A connected socket would be told of errors that come back; this one is not. There is no call that receives:
//! what arrives fills the smallest buffer that the kernel allows and is thrown away by it. The routing
//! library only sets options and sends; it reads the queue of errors where that is switched on, which it is
//! not here. Fragmenting is forbidden, and a path's MTU that somebody claims is not believed.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use quinn_udp::{Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tracing::{info, warn};

use super::datagram::{HEADER, MAX_SEQUENCE, Origin};
use super::keys::Keys;
use super::pace::Pace;

/// What the kernel may hold of what is sent, in bytes.
const SEND_BUFFER: usize = 4 * 1024 * 1024;
/// Most bytes in one call: what one UDP length can say, less a margin for headers.
const MAX_BATCH: usize = 65_000;

/// Between two warnings that datagrams are refused.
const SAY_AGAIN: Duration = Duration::from_mins(1);

/// Where datagrams leave and go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The sender's own address. Its port is fixed where a filter on the way wants that; 0 takes any.
    pub from: SocketAddr,
    /// The receiver's address, of the same family.
    pub to: SocketAddr,
}

/// A socket that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// One address is IPv4, the other IPv6.
    #[error("{from} and {to} are not of one family")]
    Family {
        /// The sender's.
        from: SocketAddr,
        /// The receiver's.
        to: SocketAddr,
    },
    /// It cannot be opened.
    #[error("cannot send from {from}")]
    Open {
        /// The sender's address.
        from: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// There is no randomness for the name of a session.
    #[error("no randomness")]
    Random,
}

/// What a wire has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams that the kernel took.
    pub datagrams: u64,
    /// Their bytes, UDP and IP headers included.
    pub bytes: u64,
    /// Datagrams that the kernel refused, for example because they are longer than the MTU.
    pub failed: u64,
}

/// A paced socket. Datagrams of one length are put together, [`Wire::flush`] ends that.
pub(super) struct Wire {
    socket: UdpSocket,
    state: UdpSocketState,
    to: SocketAddr,
    keys: Keys,
    origin: Origin,
    pace: Pace,
    batch: Vec<u8>,
    /// Length of each datagram in the batch.
    each: usize,
    below: u64,
    traffic: Traffic,
    /// When it was last said that datagrams are refused.
    warned: Option<Instant>,
    /// It was said that this host does not segment.
    told: bool,
}

impl Wire {
    pub(super) fn open(route: &Route, keys: Keys, stream: u64, rate: u64) -> Result<Self, WireError> {
        let Route { from, to } = *route;
        if from.is_ipv4() != to.is_ipv4() {
            return Err(WireError::Family { from, to });
        }
        let (socket, state) = open(from).map_err(|source| WireError::Open { from, source })?;
        Ok(Self {
            socket,
            state,
            to,
            keys,
            origin: Origin { stream, session: session()?, sequence: 0 },
            pace: Pace::new(rate),
            batch: Vec::with_capacity(MAX_BATCH),
            each: 0,
            below: if to.is_ipv4() { 28 } else { 48 },
            traffic: Traffic::default(),
            warned: None,
            told: false,
        })
    }

    /// The address that it sends from.
    pub(super) fn from(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.traffic
    }

    pub(super) fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }

    /// Bytes of a datagram with such a symbol, UDP and IP headers included.
    pub(super) fn wire_bytes(&self, symbol: u16) -> u64 {
        u64::from(symbol) + 64 + self.below
    }

    /// Puts one datagram behind the others and sends them when they are enough; says whether it did.
    pub(super) fn push(&mut self, symbol: u16, write: impl FnOnce(&mut Vec<u8>, &Keys, Origin)) -> bool {
        let length = HEADER + usize::from(symbol);
        if self.each != length {
            self.flush();
            self.each = length;
        }
        write(&mut self.batch, &self.keys, self.origin);
        self.number();
        let many = self.pace.batch(self.wire_bytes(symbol)).min(MAX_BATCH / length);
        let full = self.batch.len() >= many.min(self.state.max_gso_segments().max(1)) * length;
        if full {
            self.flush();
        }
        full
    }

    /// Sends what is put together, when its time has come.
    pub(super) fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        loop {
            let wait = self.pace.wait(Instant::now());
            if wait.is_zero() {
                break;
            }
            thread::sleep(wait);
        }
        let datagrams = u64::try_from(self.batch.len() / self.each.max(1)).unwrap_or(0);
        let bytes = u64::try_from(self.batch.len()).unwrap_or(0) + datagrams * self.below;
        let now = Instant::now();
        self.pace.sent(bytes, now);
        let failed = self.transmit();
        self.traffic.failed += failed;
        self.traffic.datagrams += datagrams - failed;
        self.traffic.bytes += bytes / datagrams.max(1) * (datagrams - failed);
        if failed > 0 && self.warned.is_none_or(|it| now.saturating_duration_since(it) > SAY_AGAIN) {
            self.warned = Some(now);
            warn!(to = %self.to, failed = self.traffic.failed, "datagrams are refused by this host");
        }
        self.batch.clear();
    }

    /// Gives the number of datagrams that were refused.
    fn transmit(&mut self) -> u64 {
        let several = self.batch.len() > self.each;
        if several {
            match self.one(&self.batch, Some(self.each)) {
                Ok(()) => return 0,
                // Segmenting in the kernel is there for most devices and not for all; the library then says
                // one at a time from here on.
                Err(error) if !self.told => {
                    self.told = true;
                    info!(error = &error as &dyn std::error::Error, "sending datagrams one by one");
                }
                Err(_) => {}
            }
        }
        let failed = self.batch.chunks(self.each.max(1)).filter(|it| self.one(it, None).is_err());
        u64::try_from(failed.count()).unwrap_or(u64::MAX)
    }

    fn one(&self, contents: &[u8], segment_size: Option<usize>) -> io::Result<()> {
        let transmit = Transmit { destination: self.to, ecn: None, contents, segment_size, src_ip: None };
        self.state.try_send((&self.socket).into(), &transmit)
    }

    fn number(&mut self) {
        self.origin.sequence += 1;
        if self.origin.sequence > MAX_SEQUENCE {
            // Without randomness the numbers go on in the same session: only statistics would suffer.
            self.origin.session = session().unwrap_or(self.origin.session.wrapping_add(1));
            self.origin.sequence = 0;
        }
    }
}

fn session() -> Result<u32, WireError> {
    let mut bytes = [0; 4];
    rand::fill(&mut bytes).map_err(|_| WireError::Random)?;
    Ok(u32::from_be_bytes(bytes))
}

fn open(from: SocketAddr) -> io::Result<(UdpSocket, UdpSocketState)> {
    let socket = Socket::new(Domain::for_address(from), Type::DGRAM, Some(Protocol::UDP))?;
    // The kernel raises this to the least it allows.
    socket.set_recv_buffer_size(1)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(&from.into())?;
    let socket = UdpSocket::from(socket);
    let state = UdpSocketState::new((&socket).into())?;
    // The library wants a socket that does not wait; this one waits for room, which is what its thread is for.
    socket.set_nonblocking(false)?;
    Ok((socket, state))
}
