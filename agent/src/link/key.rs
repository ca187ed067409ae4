//! The agent's identity on disk, its key sealed where the system can (see `common::credentials`).
//!
//! Whoever needs the identity comes here: a plain load cannot read a sealed key.

use std::path::Path;

use holdpoint_common::credentials::{Credentials, CredentialsError};
use tracing::info;

use crate::host::seal;

/// What protects a key that is not sealed: its file is the owner's alone.
const FILE_MODE: &str = "file-mode";

/// Reads the identity in a state directory. A key that an older version left plain is sealed on the way.
///
/// # Errors
/// There is none (`Read` with `NotFound`), or it cannot be used.
pub fn load(state: &Path) -> Result<Credentials, CredentialsError> {
    let Some(seal) = seal(state) else { return Credentials::load(state) };
    let loaded = Credentials::load_sealed(state, seal.as_ref())?;
    if !loaded.is_sealed {
        loaded.credentials.save_sealed(state, seal.as_ref())?;
        info!(protection = seal.protection(), "the private key is sealed now");
    }
    Ok(loaded.credentials)
}

/// Writes an identity into a state directory that exists.
///
/// # Errors
/// The key cannot be sealed, or a file not be written; what was there before is then still there.
pub fn save(credentials: &Credentials, state: &Path) -> Result<(), CredentialsError> {
    match seal(state) {
        Some(seal) => credentials.save_sealed(state, seal.as_ref()),
        None => credentials.save(state),
    }
}

/// The word for how a key in a state directory is kept.
pub fn protection(state: &Path) -> &'static str {
    seal(state).map_or(FILE_MODE, |it| it.protection())
}
