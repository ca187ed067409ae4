//! The live half: what a running Windows answers. The only code of this folder that exists on Windows alone.
//!
//! Every function that is called by name exists since Windows 7 and Server 2008 R2; what came later, or
//! is not documented, is looked up when it is needed ([`library`]) and its absence is an answer.

mod adapters;
mod buffer;
mod disks;
mod firmware;
mod library;
mod privilege;
mod processes;
mod services;
mod shares;
mod sockets;

use std::io;

use super::accounts::Accounts;
use super::hardware::{Disk, Hardware};
use super::network::{Adapter, Endpoint, Network, Share, Table};
use super::services::{Service, Services, Setup};
use super::system::{self, FileTimes, Process, System, Volume};

/// The system that runs the agent.
#[derive(Debug)]
pub(super) struct Running;

impl Services for Running {
    fn list(&self) -> io::Result<Vec<Service>> {
        services::list()
    }

    fn setup(&self, name: &str) -> io::Result<Setup> {
        services::setup(name)
    }
}

impl Network for Running {
    fn adapters(&self) -> io::Result<Vec<Adapter>> {
        adapters::list()
    }

    fn shares(&self) -> io::Result<Vec<Share>> {
        shares::list()
    }

    fn endpoints(&self, table: Table) -> io::Result<Vec<Endpoint>> {
        sockets::endpoints(table)
    }

    fn program(&self, process: u32) -> io::Result<String> {
        processes::program(process)
    }

    fn marked_by(&self, process: u32, mark: u32) -> io::Result<Option<String>> {
        processes::marked_by(process, mark)
    }
}

impl Hardware for Running {
    fn smbios(&self) -> io::Result<Vec<u8>> {
        firmware::smbios()
    }

    fn started_by_uefi(&self) -> io::Result<bool> {
        firmware::started_by_uefi()
    }

    fn variable(&self, name: &str, vendor: &str) -> io::Result<Vec<u8>> {
        firmware::variable(name, vendor)
    }

    fn tpm_family(&self) -> io::Result<u32> {
        firmware::tpm_family()
    }

    fn disks(&self) -> io::Result<Vec<Disk>> {
        disks::list()
    }
}

impl System for Running {
    fn volumes(&self) -> io::Result<Vec<Volume>> {
        system::live::volumes()
    }

    fn booted(&self) -> io::Result<u64> {
        system::live::booted()
    }

    fn processes(&self) -> io::Result<Vec<Process>> {
        system::live::processes()
    }

    fn file_times(&self, path: &str) -> io::Result<FileTimes> {
        system::live::file_times(path)
    }
}

/// Branch of the facts: its live half stands in for this line.
impl Accounts for Running {}

/// An error of a call that returns its number.
fn failure(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code.cast_signed())
}

/// The number of the calling thread's last error.
fn last_code() -> u32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0).cast_unsigned()
}

fn not_found(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, what)
}

fn denied(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, what)
}

#[cfg(test)]
mod tests;
