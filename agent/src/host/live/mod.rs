//! What only the running operating system can say. The one place that knows which OS this is.
//!
//! Everything here is cheap, reads only, and has an answer of "not known".

#[cfg(target_os = "linux")]
mod ethtool;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as os;

#[cfg(not(any(target_os = "linux", windows)))]
mod other;
#[cfg(not(any(target_os = "linux", windows)))]
use other as os;

mod netfilter;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use holdpoint_common::section::Digest;

use super::bus::{Bus, TIME_LIMIT};
use crate::cage::hours::LocalTime;
use crate::cage::{Needs, Walls};
use netfilter::PacketFilter;
pub(crate) use netfilter::{Ask, messages};

/// Where the message bus of a Linux system is, by the D-Bus specification.
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";

/// Facts of the running system that are in no file below its root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// The kernel's word for the machine's architecture: `x86_64`.
    pub architecture: Option<String>,
    /// The name that the running system has now.
    pub hostname: Option<String>,
    /// Socket of the system's message bus, if it has one.
    pub system_bus: PathBuf,
}

impl Live {
    /// Asks the running system.
    pub fn look() -> Self {
        let hostname = hostname::get().ok().and_then(|it| it.into_string().ok());
        Self {
            architecture: os::architecture(),
            hostname: hostname.filter(|it| !it.is_empty()),
            system_bus: SYSTEM_BUS.into(),
        }
    }

    /// Connects to the system's message bus. Where a service manager listens in its place, that starts
    /// the bus: whoever asks makes sure before that it runs.
    ///
    /// # Errors
    /// Nothing listens there, or what does is no bus or does not answer within a few seconds.
    pub fn bus(&self) -> io::Result<Bus> {
        Bus::greet(os::connect_local(&self.system_bus)?, TIME_LIMIT)
    }

    /// A way to ask the drivers of network cards.
    ///
    /// # Errors
    /// The system refuses it or has none.
    pub fn nics(&self) -> io::Result<Nics> {
        os::NicSocket::open().map(Nics)
    }

    /// Opens a conversation with the running packet filter. Only where `nf_tables` is loaded: the
    /// kernel would load it.
    ///
    /// # Errors
    /// The system has none or refuses the socket.
    #[expect(clippy::unused_self, reason = "only who has a running system may ask it")]
    pub(crate) fn packet_filter(&self) -> io::Result<PacketFilter> {
        PacketFilter::open()
    }
}

/// What the driver of a network card says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NicDriver {
    /// Its own name.
    pub driver: Option<String>,
    /// Revision of the card's firmware, as the driver writes it.
    pub firmware: Option<String>,
}

/// A way to ask the drivers of network cards.
pub struct Nics(os::NicSocket);

impl Nics {
    /// Asks the driver of one card, which may wake it.
    ///
    /// # Errors
    /// There is no such card, or its driver does not answer.
    pub fn driver(&self, nic: &str) -> io::Result<NicDriver> {
        self.0.driver(nic)
    }
}

/// What the agent itself uses; it moves by itself and is never part of a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Seconds since boot.
    pub uptime_s: u64,
    /// Resident memory of this process, KiB.
    pub resident_kib: u32,
    /// CPU time of this process since it started, milliseconds.
    pub cpu_ms: u64,
}

impl Usage {
    /// Asks the running system; what it does not say is 0.
    pub fn now() -> Self {
        os::usage()
    }
}

/// Restrictions of the calling thread and, where it is said, of the process; and whether they hold.
/// Each is tried alone, because an old system has some of them.
pub(crate) mod restrict {
    use super::{Needs, Walls, io, os};

    /// The least favourable nice value for this thread and those that it starts.
    pub(crate) fn nice() -> io::Result<()> {
        os::nice()
    }

    /// Whether this thread has it.
    pub(crate) fn has_nice() -> bool {
        os::has_nice()
    }

    /// Processor time for this thread only when nobody else wants any.
    pub(crate) fn idle_cpu() -> io::Result<()> {
        os::idle_cpu()
    }

    /// Whether this thread waits so.
    pub(crate) fn has_idle_cpu() -> bool {
        os::has_idle_cpu()
    }

    /// Disk time for this thread only when nobody else wants any.
    pub(crate) fn idle_io() -> io::Result<()> {
        os::idle_io()
    }

    /// Whether this thread waits so.
    pub(crate) fn has_idle_io() -> bool {
        os::has_idle_io()
    }

    /// Ceilings for the process: private memory and address space, in bytes.
    pub(crate) fn limit_memory(data: u64, addresses: u64) -> io::Result<()> {
        os::limit_memory(data, addresses)
    }

    /// Whether private memory has such a ceiling or a lower one.
    pub(crate) fn has_limited_memory(data: u64) -> bool {
        os::has_limited_memory(data)
    }

    /// No image of the process's memory on disk when it crashes.
    pub(crate) fn no_core() -> io::Result<()> {
        os::no_core()
    }

    /// No way to more rights than this thread has.
    pub(crate) fn no_new_privileges() -> io::Result<()> {
        os::no_new_privileges()
    }

    /// Whether that holds.
    pub(crate) fn has_no_new_privileges() -> bool {
        os::has_no_new_privileges()
    }

    /// Refuses this thread and those that it starts what an agent never does, and, when
    /// `changing`, also what changes a file.
    pub(crate) fn refuse_calls(changing: bool) -> io::Result<()> {
        os::refuse_calls(changing)
    }

    /// Whether what an agent never does is refused.
    pub(crate) fn has_refused_calls() -> bool {
        os::has_refused_calls()
    }

    /// Whether what changes a file is refused.
    pub(crate) fn has_refused_changes() -> bool {
        os::has_refused_changes()
    }

    /// Leaves this thread and those that it starts the given places and ports alone.
    pub(crate) fn wall_in(needs: &Needs) -> io::Result<Walls> {
        os::wall_in(needs)
    }
}

/// The host's local time; `None` where the system does not say it.
pub(crate) fn local_time(unix_ms: i64) -> Option<LocalTime> {
    os::local_time(unix_ms)
}

/// The file system as the running system itself sees it.
pub(super) fn root() -> PathBuf {
    os::root()
}

/// Makes the whole process keep little memory between its work. For the agent's own program,
/// not for one that runs an agent beside other things.
pub(crate) fn keep_memory_small() {
    os::keep_memory_small();
}

/// Gives memory that was freed back to the system: an agent waits far longer than it works.
pub(crate) fn release_memory() {
    os::release_memory();
}

/// Which top-level directories of another root are windows into the running kernel.
pub(super) fn kernel_mounts(root: &Path) -> Vec<&'static str> {
    os::kernel_mounts(root)
}

/// SHA-256 of this program's executable, read in pieces.
pub(super) fn executable_digest() -> io::Result<Digest> {
    const PIECE: usize = 64 * 1024;
    let mut file = os::executable()?;
    let mut context = Context::new(&SHA256);
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        context.update(&piece[..read]);
    }
    Digest::try_from(context.finish().as_ref()).map_err(io::Error::other)
}
