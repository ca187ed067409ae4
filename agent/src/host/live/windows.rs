//! The running Windows: processor, system drive, local time.
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
use crate::cage::{Needs, Walls};
use crate::host::bus::Duplex;

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

pub(super) fn usage() -> Usage {
    Usage::default()
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

fn unsupported() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn keep_memory_small() {}

pub(super) fn release_memory() {}

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
        assert_eq!(local_time(i64::MIN), None);
    }
}
