//! Systems that this version does not observe: it answers "not known" and never guesses.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::{NicDriver, Usage};
use crate::cage::hours::LocalTime;
use crate::cage::{Needs, Walls};
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

pub(super) fn nice() -> io::Result<()> {
    unsupported()
}

pub(super) fn has_nice() -> bool {
    false
}

pub(super) fn idle_cpu() -> io::Result<()> {
    unsupported()
}

pub(super) fn has_idle_cpu() -> bool {
    false
}

pub(super) fn idle_io() -> io::Result<()> {
    unsupported()
}

pub(super) fn has_idle_io() -> bool {
    false
}

pub(super) fn limit_memory(_: u64, _: u64) -> io::Result<()> {
    unsupported()
}

pub(super) fn has_limited_memory(_: u64) -> bool {
    false
}

pub(super) fn no_core() -> io::Result<()> {
    unsupported()
}

pub(super) fn no_new_privileges() -> io::Result<()> {
    unsupported()
}

pub(super) fn has_no_new_privileges() -> bool {
    false
}

pub(super) fn refuse_calls(_: bool) -> io::Result<()> {
    unsupported()
}

pub(super) fn has_refused_calls() -> bool {
    false
}

pub(super) fn has_refused_changes() -> bool {
    false
}

pub(super) fn wall_in(_: &Needs) -> io::Result<Walls> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn local_time(_: i64) -> Option<LocalTime> {
    None
}

fn unsupported() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
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
