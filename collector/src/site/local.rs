//! The administrator's way in: the running site's own socket, or its files when none runs.
//!
//! Both ways speak the same services, so a verb does not know which one it got. The socket has mode 0600: who
//! may open it is the site's account.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdpoint_common::bundle::MAX_OBJECT;
use holdpoint_common::channel::{self, ChannelSettings, ConnectError};
use holdpoint_common::clock::SystemClock;
use holdpoint_proto::v1::fleet_client::FleetClient;
use holdpoint_proto::v1::fleet_server::FleetServer;
use holdpoint_proto::v1::site_admin_client::SiteAdminClient;
use holdpoint_proto::v1::site_admin_server::SiteAdminServer;
use tonic::transport::{Channel, Server};
use tonic::{Request, Status};

use super::daemon::{self, Opened, SOCKET, SiteError};
use super::service::Caller;
use crate::store::{Store, StoreError};

/// Bytes in flight between this process and itself.
const PIPE: usize = 256 * 1024;
/// Largest message: an object and what is around it.
const MAX_MESSAGE: usize = MAX_OBJECT + 64 * 1024;

/// An open way to the services.
pub struct Local {
    /// To ask.
    pub fleet: FleetClient<Channel>,
    /// To act.
    pub admin: SiteAdminClient<Channel>,
    offline: Option<Store>,
}

/// There is no way in.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The running site's socket cannot be used.
    #[error("cannot use the site's socket")]
    Socket(#[source] ConnectError),
    /// No site runs, and its files cannot be opened either.
    #[error("no site runs on {}, and it cannot be opened", dir.display())]
    Open {
        /// The site's directory.
        dir: PathBuf,
        /// Why.
        source: Box<SiteError>,
    },
    /// The services cannot be reached inside this process.
    #[error("cannot start the service")]
    Start(#[from] tonic::transport::Error),
    /// The store did not close.
    #[error("cannot close the store")]
    Close(#[from] StoreError),
}

impl Local {
    /// Connects to the running site of a directory, or opens the directory.
    ///
    /// # Errors
    /// Neither works.
    pub async fn open(data: &Path) -> Result<Self, LocalError> {
        match channel::connect_unix(&data.join(SOCKET), ChannelSettings::default()).await {
            Ok(channel) => Ok(Self::over(channel, None)),
            Err(ConnectError::Socket { source, .. })
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                Self::offline(data).await
            }
            Err(cause) => Err(LocalError::Socket(cause)),
        }
    }

    fn over(channel: Channel, offline: Option<Store>) -> Self {
        let fleet = FleetClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        let admin = SiteAdminClient::new(channel).max_encoding_message_size(MAX_MESSAGE);
        Self { fleet, admin, offline }
    }

    /// Serves the site's files to this process alone.
    async fn offline(data: &Path) -> Result<Self, LocalError> {
        let opened = daemon::open(data, Arc::new(SystemClock));
        let Opened { keeper, service, .. } =
            opened.map_err(|source| LocalError::Open { dir: data.to_owned(), source: Box::new(source) })?;
        let store = keeper.store().clone();
        let local = |mut request: Request<()>| -> Result<Request<()>, Status> {
            request.extensions_mut().insert(Caller::Local);
            Ok(request)
        };
        let admin = SiteAdminServer::new(service.clone()).max_decoding_message_size(MAX_MESSAGE);
        let (here, there) = tokio::io::duplex(PIPE);
        let incoming = tokio_stream::once(Ok::<_, io::Error>(there));
        let server = Server::builder()
            .layer(tonic::service::InterceptorLayer::new(local))
            .add_service(FleetServer::new(service))
            .add_service(admin);
        tokio::spawn(server.serve_with_incoming(incoming));
        let channel = channel::over(here, ChannelSettings::default()).await?;
        Ok(Self::over(channel, Some(store)))
    }

    /// Makes what was done durable and lets go of the directory.
    ///
    /// # Errors
    /// The store does not close.
    pub async fn close(self) -> Result<(), LocalError> {
        drop((self.fleet, self.admin));
        match self.offline {
            Some(store) => Ok(store.close().await?),
            None => Ok(()),
        }
    }
}
