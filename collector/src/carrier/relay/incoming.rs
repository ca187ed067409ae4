//! The reading half of a connection, and nothing that could write.

use std::io::{self, Read as _};

use rustls::ServerConnection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio_rustls::server::TlsStream;

/// Bytes that are read from the socket, and out of TLS, at once.
const CHUNK: usize = 16 * 1024;

/// What a caller sends.
pub(super) struct Incoming {
    half: OwnedReadHalf,
    /// Still wants to answer key updates and to say alerts, and has nobody who would send them.
    tls: ServerConnection,
    raw: Box<[u8]>,
    /// The part of `raw` that TLS has not taken.
    left: std::ops::Range<usize>,
    plain: Box<[u8]>,
}

impl Incoming {
    /// Says the last thing that this side ever says, and gives up the writing half.
    pub(super) async fn begin(mut stream: TlsStream<TcpStream>) -> io::Result<Self> {
        // close_notify, then FIN.
        stream.shutdown().await?;
        let (tcp, tls) = stream.into_inner();
        let (half, write) = tcp.into_split();
        drop(write);
        let buffer = || vec![0; CHUNK].into_boxed_slice();
        Ok(Self { half, tls, raw: buffer(), left: 0..0, plain: buffer() })
    }

    /// Reads until `bytes` holds `whole` of them; `false` when the caller had ended before the first. It grows
    /// with what arrives, whatever was announced.
    pub(super) async fn fill(&mut self, bytes: &mut Vec<u8>, whole: usize) -> io::Result<bool> {
        loop {
            let wanted = whole.saturating_sub(bytes.len()).min(CHUNK);
            if wanted == 0 {
                return Ok(true);
            }
            match self.tls.reader().read(&mut self.plain[..wanted]) {
                Ok(0) if bytes.is_empty() => return Ok(false),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => bytes.extend_from_slice(&self.plain[..read]),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => self.more().await?,
                Err(cause) => return Err(cause),
            }
        }
    }

    /// Gives TLS what comes next; at the end of the connection, that it has ended.
    async fn more(&mut self) -> io::Result<()> {
        if self.left.is_empty() {
            self.left = 0..self.half.read(&mut self.raw).await?;
        }
        let taken = self.tls.read_tls(&mut &self.raw[self.left.clone()])?;
        self.left.start += taken;
        self.tls.process_new_packets().map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use holdpoint_common::bundle::MAX_OBJECT;
    use holdpoint_common::clock::SystemClock;
    use rustls::pki_types::ServerName;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use crate::carrier::relay::PROTOCOL;
    use crate::conduit::testing::{Ca, collector, relay};
    use crate::conduit::tls;

    #[tokio::test]
    async fn memory_follows_what_arrived_and_not_what_was_announced() {
        let ca = Ca::new();
        let (own, zone) = (ca.party(&relay()), ca.party(&collector("line-1")));
        let clock = || Arc::new(SystemClock);
        let server = tls::server_config(&own.credentials, clock(), Arc::new(|_| true), PROTOCOL).unwrap();
        let client = tls::client_config(&zone.credentials, clock(), Arc::new(|_| true), PROTOCOL).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let accepted = async {
            let tcp = listener.accept().await.unwrap().0;
            Incoming::begin(tokio_rustls::TlsAcceptor::from(Arc::new(server)).accept(tcp).await.unwrap())
                .await
        };
        let name = ServerName::try_from("x.invalid").unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let (incoming, caller) = tokio::join!(accepted, connector.connect(name, tcp));
        let (mut incoming, mut caller) = (incoming.unwrap(), caller.unwrap());
        caller.write_all(&[7; 1_000]).await.unwrap();
        caller.flush().await.unwrap();

        let mut bytes = Vec::new();
        let announced = incoming.fill(&mut bytes, MAX_OBJECT);
        assert!(timeout(Duration::from_millis(200), announced).await.is_err());
        assert_eq!(bytes.len(), 1_000);
        assert!(bytes.capacity() < 64 * 1024, "{}", bytes.capacity());
    }
}
