//! Systems that this version does not observe: it answers "not known" and never guesses.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use holdpoint_common::credentials::Seal;

use super::{NicDriver, Usage};
use crate::cage::hours::LocalTime;
use crate::cage::{Needs, Restriction, Walls};
use crate::host::bus::Duplex;

pub(super) fn architecture() -> Option<String> {
    None
}

pub(super) fn executable() -> io::Result<File> {
    File::open(std::env::current_exe()?)
}

pub(super) fn root() -> PathBuf {
    PathBuf::from("/")
}

/// Nothing that can be given up.
pub(super) const PROGRAM: &[Restriction] = &[];
pub(super) const SCAN: &[Restriction] = &[];

pub(super) fn wall_in(_: &Needs) -> io::Result<Walls> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn local_time(_: i64) -> Option<LocalTime> {
    None
}

pub(super) fn seal(_: &Path) -> Option<Box<dyn Seal>> {
    None
}

pub(super) fn keep_memory_small() {}

pub(super) fn release_memory() {}

pub(super) fn kernel_mounts(_: &Path) -> Vec<&'static str> {
    Vec::new()
}

pub(super) fn usage() -> Usage {
    Usage::default()
}

/// Nobody to ask.
pub(super) struct NicSocket;

impl NicSocket {
    pub(super) fn open() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn driver(&self, _: &str) -> io::Result<NicDriver> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub(super) fn connect_local(_: &Path) -> io::Result<Box<dyn Duplex>> {
    Err(io::ErrorKind::NotFound.into())
}
