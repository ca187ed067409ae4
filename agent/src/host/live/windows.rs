//! The running Windows: processor, system drive, local time; and the agent's own place in it.
#![expect(unsafe_code, reason = "what Windows says of itself has no safe interface")]

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::windows::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::ptr::null;

use windows_sys::Win32::Foundation::{FILETIME, SYSTEMTIME};
use windows_sys::Win32::System::SystemInformation::{
    GetNativeSystemInfo, GetSystemWindowsDirectoryW, PROCESSOR_ARCHITECTURE_AMD64,
    PROCESSOR_ARCHITECTURE_ARM64, PROCESSOR_ARCHITECTURE_INTEL, SYSTEM_INFO,
};
use windows_sys::Win32::System::Time::{FileTimeToSystemTime, SystemTimeToTzSpecificLocalTime};

use super::{NicDriver, Usage};
use crate::cage::hours::LocalTime;
use crate::host::bus::Duplex;

mod cage;
mod event_log;
mod scm;
mod seal;
mod services;
mod usage;

pub(in crate::host) use cage::{PROGRAM, SCAN, wall_in};
pub(in crate::host) use seal::seal;
pub(in crate::host) use usage::{release_memory, usage};

/// The service manager, from both sides.
pub(super) mod service {
    pub(in crate::host) use super::event_log::event_log;
    pub(in crate::host) use super::scm::serve;
    pub(in crate::host) use super::services::{forget_events, install, register_events, remove, start};
}

/// Milliseconds from 1601, where Windows starts to count, to 1970.
const EPOCH_MS: i64 = 11_644_473_600_000;
/// Steps of a `FILETIME` (100 ns) in a millisecond.
const STEPS: i64 = 10_000;
/// Longest path of the Windows directory, UTF-16 units with the 0 (`MAX_PATH`).
const MAX_PATH: usize = 260;

/// The machine's own architecture, also for a 32-bit agent on 64-bit Windows; in the words of Linux, so
/// that a site has one word for it.
pub(super) fn architecture() -> Option<String> {
    let mut info = MaybeUninit::<SYSTEM_INFO>::uninit();
    // SAFETY: the call fills the whole structure and cannot fail; its first four bytes are the
    // processor's kind in either reading of the union.
    let kind = unsafe {
        GetNativeSystemInfo(info.as_mut_ptr());
        info.assume_init().Anonymous.Anonymous.wProcessorArchitecture
    };
    let name = match kind {
        PROCESSOR_ARCHITECTURE_AMD64 => "x86_64",
        PROCESSOR_ARCHITECTURE_ARM64 => "aarch64",
        PROCESSOR_ARCHITECTURE_INTEL => "x86",
        _ => return None,
    };
    Some(name.to_owned())
}

pub(super) fn executable() -> io::Result<File> {
    File::open(std::env::current_exe()?)
}

/// The drive that Windows is on, as `\\?\C:\`: in such a path no name is a device (`COM1`), none is changed
/// (a point at its end), and none is too long.
pub(super) fn root() -> PathBuf {
    let drive = windows_directory().and_then(|it| match it.components().next()? {
        Component::Prefix(prefix) => prefix.as_os_str().to_str().map(str::to_owned),
        Component::RootDir | Component::CurDir | Component::ParentDir | Component::Normal(_) => None,
    });
    PathBuf::from(format!(r"\\?\{}\", drive.as_deref().unwrap_or("C:")))
}

/// Where Windows itself is, also in a session of a terminal server: `C:\Windows`.
fn windows_directory() -> Option<PathBuf> {
    let mut path = [0_u16; MAX_PATH];
    // SAFETY: the buffer is as long as it is said to be and lives over the call.
    let length = unsafe { GetSystemWindowsDirectoryW(path.as_mut_ptr(), u32::try_from(path.len()).ok()?) };
    let path = path.get(..usize::try_from(length).ok()?).filter(|it| !it.is_empty())?;
    Some(OsString::from_wide(path).into())
}

pub(super) fn local_time(unix_ms: i64) -> Option<LocalTime> {
    let steps = unix_ms.checked_add(EPOCH_MS)?.checked_mul(STEPS)?;
    let steps = u64::try_from(steps).ok()?;
    let time = FILETIME {
        dwLowDateTime: u32::try_from(steps & u64::from(u32::MAX)).ok()?,
        dwHighDateTime: u32::try_from(steps >> 32).ok()?,
    };
    let (mut utc, mut local) = (SYSTEMTIME::default(), SYSTEMTIME::default());
    // SAFETY: each call reads one structure and writes another during the call; without a time zone it
    // takes the one that the system has now.
    let known = unsafe {
        FileTimeToSystemTime(&raw const time, &raw mut utc) != 0
            && SystemTimeToTzSpecificLocalTime(null(), &raw const utc, &raw mut local) != 0
    };
    // Windows counts days from Sunday.
    let day = (u32::from(local.wDayOfWeek) + 6) % 7;
    let into_minute_ms = i64::from(local.wSecond) * 1_000 + i64::from(local.wMilliseconds);
    known.then(|| LocalTime::new(day, local.wHour.into(), local.wMinute.into(), into_minute_ms))
}

/// A system call that says with 0 that it failed.
fn done(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A text as the system takes it, with a 0 at its end.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Windows' heap gives memory back by itself, and more on request (`release_memory`).
pub(super) fn keep_memory_small() {}

/// No root has directories of the running Windows in it.
pub(super) fn kernel_mounts(_: &Path) -> Vec<&'static str> {
    Vec::new()
}

/// Drivers of network cards are asked otherwise.
pub(super) struct NicSocket;

impl NicSocket {
    pub(super) fn open() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn driver(&self, _: &str) -> io::Result<NicDriver> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Windows has no message bus.
pub(super) fn connect_local(_: &Path) -> io::Result<Box<dyn Duplex>> {
    Err(io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_an_architecture_and_a_system_drive() {
        assert!(architecture().is_some());
        assert!(root().join("Windows/System32").is_dir(), "{}", root().display());
    }

    #[test]
    fn a_time_that_no_windows_counts_to_is_not_known() {
        assert_eq!(local_time(i64::MIN), None);
    }
}
