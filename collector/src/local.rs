//! The administrator's way in: the running collector's own socket, or the store itself when none runs.
//!
//! Both ways speak the same service, so a verb does not know which one it got. The socket is
//! `admin.sock` in the data directory with mode 0600: who may open it is the collector's account.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdpoint_common::channel::{self, ChannelSettings, ConnectError};
use holdpoint_common::proto::v1::admin_client::AdminClient;
use holdpoint_common::proto::v1::admin_server::AdminServer;
use tonic::transport::{Channel, Server};
use tonic::{Request, Status};

use crate::admin::AdminService;
use crate::daemon::{self, DaemonError};
use crate::server::Peer;
use crate::store::{Store, StoreError};

/// Name of the socket in a data directory.
pub const SOCKET: &str = "admin.sock";
/// Bytes in flight between this process and itself.
const PIPE: usize = 64 * 1024;

/// An open way to the Admin service.
pub struct Local {
    /// To call it.
    pub client: AdminClient<Channel>,
    offline: Option<Store>,
}

/// There is no way in.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The running collector's socket cannot be used.
    #[error("cannot use the collector's socket")]
    Socket(#[source] ConnectError),
    /// No collector runs.
    #[error("no collector runs on {}: start it with `holdpoint-collector run`", .0.display())]
    NotRunning(PathBuf),
    /// No collector runs, and its files cannot be opened either.
    #[error("no collector runs on {}, and it cannot be opened", dir.display())]
    Open {
        /// The data directory.
        dir: PathBuf,
        /// Why.
        source: Box<DaemonError>,
    },
    /// The service cannot be reached inside this process.
    #[error("cannot start the service")]
    Start(#[from] tonic::transport::Error),
    /// The store did not close.
    #[error("cannot close the store")]
    Close(#[from] StoreError),
}

impl Local {
    /// Connects to the running collector of a data directory, or opens the directory.
    pub async fn open(data: &Path) -> Result<Self, LocalError> {
        match Self::running(data).await {
            Err(LocalError::NotRunning(_)) => Self::offline(data).await,
            other => other,
        }
    }

    /// Connects to the running collector of a data directory, for what only that one can answer.
    pub async fn running(data: &Path) -> Result<Self, LocalError> {
        match channel::connect_unix(&data.join(SOCKET), ChannelSettings::default()).await {
            Ok(channel) => Ok(Self { client: AdminClient::new(channel), offline: None }),
            Err(ConnectError::Socket { source, .. })
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                Err(LocalError::NotRunning(data.to_owned()))
            }
            Err(cause) => Err(LocalError::Socket(cause)),
        }
    }

    /// Serves the zone's files to this process alone.
    async fn offline(data: &Path) -> Result<Self, LocalError> {
        let opened = daemon::open_zone(data)
            .map_err(|source| LocalError::Open { dir: data.to_owned(), source: Box::new(source) })?;
        let store = opened.zone.store().clone();
        let service = AdminServer::with_interceptor(
            AdminService::new(Arc::clone(&opened.zone)),
            |mut request: Request<()>| -> Result<Request<()>, Status> {
                request.extensions_mut().insert(Peer::Local);
                Ok(request)
            },
        );
        let (here, there) = tokio::io::duplex(PIPE);
        let incoming = tokio_stream::once(Ok::<_, io::Error>(there));
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        let channel = channel::over(here, ChannelSettings::default()).await?;
        Ok(Self { client: AdminClient::new(channel), offline: Some(store) })
    }

    /// Makes what was done durable and lets go of the directory.
    pub async fn close(self) -> Result<(), LocalError> {
        drop(self.client);
        match self.offline {
            Some(store) => Ok(store.close().await?),
            None => Ok(()),
        }
    }
}
