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

#[cfg(windows)]
use windows::service;

#[cfg(not(windows))]
mod no_service;
#[cfg(not(windows))]
use no_service as service;

mod netfilter;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use holdpoint_common::credentials::Seal;
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
    /// Free for everybody on the disk that the system is on, KiB; `None` when the system does not say.
    pub disk_free_kib: Option<u64>,
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
    use crate::cage::Restriction;

    /// What the whole program gives up, before it has any other thread.
    pub(crate) const PROGRAM: &[Restriction] = os::PROGRAM;

    /// What the thread that scans gives up.
    pub(crate) const SCAN: &[Restriction] = os::SCAN;

    /// Leaves this thread and those that it starts the given places and ports alone.
    pub(crate) fn wall_in(needs: &Needs) -> io::Result<Walls> {
        os::wall_in(needs)
    }
}

/// The service manager of Windows; everywhere else there is none.
pub(crate) mod service_manager {
    use tokio::sync::watch;

    use super::{io, service};
    use crate::notice::Sink;
    use crate::service::Plan;

    /// What runs as the service, until it is told to stop. Says how it ended: 0, or a number for people.
    pub(crate) type Body = Box<dyn FnOnce(watch::Receiver<bool>) -> u32 + Send>;

    /// Runs something as a service and returns when it has ended.
    pub(crate) fn serve(name: &str, body: Body) -> io::Result<()> {
        service::serve(name, body)
    }

    /// Makes a service or brings it to these settings; gives what the system did not take.
    pub(crate) fn install(plan: &Plan) -> io::Result<Vec<(&'static str, io::Error)>> {
        service::install(plan)
    }

    /// Starts a service.
    pub(crate) fn start(name: &str) -> io::Result<()> {
        service::start(name)
    }

    /// Stops a service and deletes it; whether there was one.
    pub(crate) fn remove(name: &str) -> io::Result<bool> {
        service::remove(name)
    }

    /// Registers a source of events, by its key below `HKLM`.
    pub(crate) fn register_events(key: &str, file: &str, kinds: u32) -> io::Result<()> {
        service::register_events(key, file, kinds)
    }

    /// Takes a source of events away.
    pub(crate) fn forget_events(key: &str) -> io::Result<()> {
        service::forget_events(key)
    }

    /// Where notices of a source go.
    pub(crate) fn event_log(source: &str) -> io::Result<Sink> {
        service::event_log(source)
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

/// What seals a private key in a state directory; `None` where its file's mode is all that there is.
pub(crate) fn seal(state: &Path) -> Option<Box<dyn Seal>> {
    os::seal(state)
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

#[cfg(test)]
#[cfg(any(target_os = "linux", windows))]
mod tests {
    use super::*;

    #[test]
    fn minutes_follow_the_clock_and_days_follow_each_other() {
        const MINUTE: i64 = 60_000;
        let at = |unix_ms| local_time(unix_ms).unwrap();
        // A Thursday in the middle of a month in which no zone moves its clock.
        let start = 1_736_942_400_000;
        let week = 7 * 24 * 60;
        for minutes in [1, 59, 60, 24 * 60, 6 * 24 * 60] {
            let (before, after) = (at(start), at(start + i64::from(minutes) * MINUTE));
            assert_eq!((before.minute_of_week + minutes) % week, after.minute_of_week);
        }
        assert_eq!(at(start + 1_234).into_minute_ms, 1_234);
        assert_eq!(at(start + MINUTE - 1).into_minute_ms, 59_999);
    }
}
