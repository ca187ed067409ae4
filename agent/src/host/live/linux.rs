//! The running Linux system: uname, priorities, and the agent's own use of it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use holdpoint_common::credentials::Seal;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::Usage;
pub(super) use super::ethtool::NicSocket;
use crate::host::bus::Duplex;

mod cage;
mod calls;
mod local_time;

pub(in crate::host) use cage::{PROGRAM, SCAN, wall_in};
pub(in crate::host) use local_time::local_time;

/// The least favourable nice value.
const LOWEST: i32 = 19;

/// The root as process 1 sees it; the slash at the end makes the link a directory.
const FIRST_ROOT: &str = "/proc/1/root/";

/// Ticks of `/proc/PID/stat` per second; part of the kernel's interface on every architecture
/// that Holdpoint is built for.
const TICKS_PER_SECOND: u64 = 100;

/// Magic numbers of `statfs(2)`.
const PROC_MAGIC: u64 = 0x9fa0;
const SYSFS_MAGIC: u64 = 0x6265_6572;

pub(super) fn architecture() -> Option<String> {
    rustix::system::uname().machine().to_str().ok().filter(|it| !it.is_empty()).map(str::to_owned)
}

pub(super) fn executable() -> io::Result<File> {
    // The link leads to what runs, also when the file was replaced since.
    File::open("/proc/self/exe")
}

/// Where this program's view of the file system differs from the system's own, the latter: a
/// service manager hides and empties directories for a service (`PrivateTmp=`, `ProtectHome=`), and what
/// it hid would look absent. Where the roots themselves are two (a container, a chroot), the own one is what
/// was asked for. Needs the right to look at process 1; without it the own view remains.
pub(super) fn root() -> PathBuf {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    let differs = match (namespace("self"), namespace("1")) {
        (Some(own), Some(first)) => own != first,
        _ => false,
    };
    let place = |root: &str| fs::metadata(root).ok().map(|it| (it.dev(), it.ino()));
    let is_one = place("/").is_some() && place("/") == place(FIRST_ROOT);
    PathBuf::from(if differs && is_one { FIRST_ROOT } else { "/" })
}

pub(super) fn has_nice() -> bool {
    rustix::process::getpriority_process(None) == Ok(LOWEST)
}

/// A key's file is its owner's alone; Linux has nothing beyond that which every host has.
pub(super) fn seal(_: &Path) -> Option<Box<dyn Seal>> {
    None
}

#[cfg(target_env = "gnu")]
mod glibc {
    #![expect(unsafe_code, reason = "glibc keeps what a scan freed, and no safe interface takes it back")]

    use std::ffi::c_int;

    /// `M_ARENA_MAX` of malloc.h.
    pub(super) const M_ARENA_MAX: c_int = -8;

    // SAFETY: both are thread-safe, take numbers, and touch no memory that is in use.
    unsafe extern "C" {
        pub(super) safe fn malloc_trim(pad: usize) -> c_int;
        pub(super) safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }
}

#[cfg(target_env = "gnu")]
pub(super) fn keep_memory_small() {
    // Only the first arena gives its end back to the system. A refusal costs memory, nothing else.
    glibc::mallopt(glibc::M_ARENA_MAX, 1);
}

#[cfg(target_env = "gnu")]
pub(super) fn release_memory() {
    glibc::malloc_trim(0);
}

/// Other C libraries give memory back by themselves.
#[cfg(not(target_env = "gnu"))]
pub(super) fn keep_memory_small() {}

/// Other C libraries give memory back by themselves.
#[cfg(not(target_env = "gnu"))]
pub(super) fn release_memory() {}

pub(super) fn kernel_mounts(root: &Path) -> Vec<&'static str> {
    let is = |name: &str, magic: u64| {
        rustix::fs::statfs(root.join(name)).is_ok_and(|it| u64::try_from(it.f_type) == Ok(magic))
    };
    [("proc", PROC_MAGIC), ("sys", SYSFS_MAGIC)]
        .into_iter()
        .filter_map(|(name, magic)| is(name, magic).then_some(name))
        .collect()
}

pub(super) fn usage() -> Usage {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    Usage {
        uptime_s: uptime.split('.').next().and_then(|it| it.parse().ok()).unwrap_or(0),
        resident_kib: resident_kib(&status).unwrap_or(0),
        cpu_ms: cpu_ms(&stat).unwrap_or(0),
        disk_free_kib: rustix::fs::statvfs("/")
            .ok()
            .map(|it| it.f_bavail.saturating_mul(it.f_frsize) / 1_024),
    }
}

fn resident_kib(status: &str) -> Option<u32> {
    status.lines().find_map(|it| it.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

fn cpu_ms(stat: &str) -> Option<u64> {
    // The program's name stands in parentheses and may hold anything; user and system time are
    // the 12th and 13th field after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * 1_000 / TICKS_PER_SECOND)
}

pub(super) fn connect_local(path: &Path) -> io::Result<Box<dyn Duplex>> {
    // Without blocking: a bus that accepts nobody would hold the agent up here already.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(Box::new(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_directories_of_the_running_system_are_recognised() {
        assert_eq!(kernel_mounts(Path::new("/")), ["proc", "sys"]);
        assert!(kernel_mounts(tempfile::tempdir().unwrap().path()).is_empty());
    }

    #[test]
    fn a_program_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194560 1 2 3 4 50 25 0 0 20 0";
        assert_eq!(cpu_ms(stat), Some(750));
        assert_eq!(cpu_ms(""), None);
    }

    #[test]
    fn this_process_uses_memory_on_a_system_that_is_up() {
        let usage = usage();
        assert!(usage.resident_kib > 0 && usage.uptime_s > 0);
    }
}
