//! A connection that is ready for HTTP/2, and its place under the caps.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::{Counters, Limits, Peer};

/// Bytes in and out, and who is at the other end.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    peer: Peer,
    /// Held until the connection ends.
    _place: Option<Place>,
}

#[derive(Debug)]
enum Stream {
    Tls(Box<TlsStream<TcpStream>>),
    #[cfg(unix)]
    Local(tokio::net::UnixStream),
}

impl Connection {
    pub(super) fn tls(stream: TlsStream<TcpStream>, peer: Peer, place: Place) -> Self {
        Self { stream: Stream::Tls(Box::new(stream)), peer, _place: Some(place) }
    }

    #[cfg(unix)]
    pub(super) fn local(stream: tokio::net::UnixStream) -> Self {
        Self { stream: Stream::Local(stream), peer: Peer::Local, _place: None }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

macro_rules! on_stream {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.get_mut().stream {
            Stream::Tls(it) => {
                let $stream = Pin::new(&mut **it);
                $call
            }
            #[cfg(unix)]
            Stream::Local(it) => {
                let $stream = Pin::new(it);
                $call
            }
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => stream.poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tls(it) => it.is_write_vectored(),
            #[cfg(unix)]
            Stream::Local(it) => it.is_write_vectored(),
        }
    }
}

/// How many connections there are, in all and by address.
#[derive(Debug)]
pub(super) struct Places {
    by_address: Mutex<HashMap<IpAddr, usize>>,
    limits: Limits,
    counters: Arc<Counters>,
}

impl Places {
    pub(super) fn new(limits: Limits, counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self { by_address: Mutex::default(), limits, counters })
    }

    /// A place for one more connection; `None` when a cap is reached.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        // An IPv4 peer of a dual-stack socket is the same host.
        let address = address.to_canonical();
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let most = u64::try_from(self.limits.connections).unwrap_or(u64::MAX);
        let held = by_address.get(&address).copied().unwrap_or(0);
        if self.counters.open() >= most || held >= self.limits.connections_per_address {
            self.counters.over_cap.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        by_address.insert(address, held + 1);
        self.counters.open.fetch_add(1, Ordering::Relaxed);
        Some(Place { places: Arc::clone(self), address })
    }
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_address = self.places.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        match by_address.get_mut(&self.address) {
            Some(held) if *held > 1 => *held -= 1,
            Some(_) | None => {
                by_address.remove(&self.address);
            }
        }
        self.places.counters.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_by_address_and_given_back() {
        let counters = Arc::new(Counters::default());
        let limits = Limits { connections: 3, connections_per_address: 2, ..Limits::default() };
        let places = Places::new(limits, Arc::clone(&counters));
        let [one, two]: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];

        let first = places.take(one);
        let mapped = places.take("::ffff:10.0.0.1".parse().unwrap());
        assert!(first.is_some() && mapped.is_some());
        assert!(places.take(one).is_none(), "the address is full");
        let third = places.take(two);
        assert!(third.is_some());
        assert!(places.take(two).is_none(), "the collector is full");
        assert_eq!((counters.open(), counters.over_cap()), (3, 2));

        drop((first, mapped, third));
        assert_eq!(counters.open(), 0);
        assert!(places.by_address.lock().unwrap().is_empty(), "addresses are forgotten");
    }
}
