//! The collector's own socket: `admin.sock`, mode 0600.
//!
//! Whoever can open the file is the collector's account or root, and may do what an
//! administrator may. Only Unix has it.
#![cfg(unix)]

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};

use super::ServerError;
use super::connection::Connection;

const MODE: u32 = 0o600;
/// Pause when the process has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(20);

/// The listening socket; its file goes when it is dropped.
#[derive(Debug)]
pub struct LocalListener {
    listener: UnixListener,
    path: PathBuf,
}

impl LocalListener {
    /// Makes the socket; one that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// Another collector listens there, or the file system refuses.
    pub async fn bind(path: &Path) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Socket { path: path.to_owned(), source };
        if UnixStream::connect(path).await.is_ok() {
            return Err(failed(io::ErrorKind::AddrInUse.into()));
        }
        // Made under another name, so that nobody finds it before its mode is set.
        let new = path.with_extension("sock.new");
        match fs::remove_file(&new) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(failed(cause)),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&new).map_err(failed)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(MODE)).map_err(failed)?;
        fs::rename(&new, path).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Waits for somebody of this account.
    ///
    /// # Errors
    /// The process has no file descriptor left, for one.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        // A leftover is replaced by the next start.
        let _ = fs::remove_file(&self.path);
    }
}

pub(super) async fn run(
    local: LocalListener,
    hand_over: mpsc::Sender<Connection>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = local.listener.accept() => accepted,
            _ = stopped.wait_for(|it| *it) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                if hand_over.send(Connection::local(stream)).await.is_err() {
                    return;
                }
            }
            Err(cause) => {
                tracing::debug!(
                    error = &cause as &dyn std::error::Error,
                    "a local connection was not accepted"
                );
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
