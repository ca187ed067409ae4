//! The writing half of a connection, and nothing that could read.

use std::io::{self, Write as _};
use std::time::Duration;

use rustls::ClientConnection;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::{frame, os};

/// Bytes of one TLS record.
const CHUNK: usize = 16 * 1024;

/// A way to the next hop.
pub(super) struct Outgoing {
    half: OwnedWriteHalf,
    tls: ClientConnection,
    /// Bytes of TLS that the kernel took since the handshake.
    written: u64,
    record: Vec<u8>,
}

impl Outgoing {
    /// Gives up the reading half.
    pub(super) fn begin(stream: TlsStream<TcpStream>) -> Self {
        let (tcp, tls) = stream.into_inner();
        let (read, half) = tcp.into_split();
        drop(read);
        Self { half, tls, written: 0, record: Vec::new() }
    }

    /// Gives an object to the kernel. `stall`: the longest time for one record.
    pub(super) async fn write(&mut self, object: &[u8], stall: Duration) -> io::Result<()> {
        let header = frame::header(object.len()).map_err(io::Error::other)?;
        self.tls.writer().write_all(&header)?;
        for chunk in object.chunks(CHUNK) {
            self.tls.writer().write_all(chunk)?;
            self.pass_on(stall).await?;
        }
        Ok(())
    }

    /// Says that nothing more comes.
    pub(super) async fn end(&mut self, stall: Duration) -> io::Result<()> {
        self.tls.send_close_notify();
        self.pass_on(stall).await?;
        self.half.shutdown().await
    }

    /// Bytes that the kernel took since the handshake: where the last object ends.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Those of them that the other side's kernel has; where this cannot be asked, those that this one has.
    ///
    /// # Errors
    /// The connection is broken. What was acknowledged before it broke is then not known any more.
    pub(super) fn acknowledged(&self) -> io::Result<u64> {
        let tcp = self.half.as_ref();
        let waiting = os::unacknowledged(tcp)?;
        // Asked afterwards: of a socket that is broken, the figure means nothing.
        match tcp.take_error()? {
            Some(broken) => Err(broken),
            None => Ok(self.written.saturating_sub(waiting)),
        }
    }

    async fn pass_on(&mut self, stall: Duration) -> io::Result<()> {
        while self.tls.wants_write() {
            self.record.clear();
            self.tls.write_tls(&mut self.record)?;
            timeout(stall, self.half.write_all(&self.record))
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            self.written = self.written.saturating_add(u64::try_from(self.record.len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}
