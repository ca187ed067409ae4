//! Topics of which a test brings nothing.

use std::io;

use super::accounts::Accounts;
use super::hardware::Hardware;
use super::network::{Adapter, Network, Share};
use super::services::Services;

/// Nothing of it is there.
#[derive(Debug)]
pub(super) struct Nothing;

impl Accounts for Nothing {}
impl Hardware for Nothing {}
impl Services for Nothing {}

impl Network for Nothing {
    fn adapters(&self) -> io::Result<Vec<Adapter>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn shares(&self) -> io::Result<Vec<Share>> {
        Err(io::ErrorKind::NotFound.into())
    }
}
