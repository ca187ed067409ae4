//! What the agent itself uses, and giving back what it does not.
#![expect(unsafe_code, reason = "what Windows says of a process has no safe interface")]

use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;
use windows_sys::Win32::System::Memory::{GetProcessHeap, HeapCompact};
use windows_sys::Win32::System::ProcessStatus::{
    K32EmptyWorkingSet, K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS,
};
use windows_sys::Win32::System::SystemInformation::GetTickCount64;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessTimes};

use super::Usage;

/// Steps of a `FILETIME` (100 ns) in a millisecond.
const STEPS: u64 = 10_000;

pub(in crate::host) fn usage() -> Usage {
    // SAFETY: gives a number.
    let uptime_ms = unsafe { GetTickCount64() };
    Usage {
        uptime_s: uptime_ms / 1_000,
        resident_kib: resident_kib().unwrap_or(0),
        cpu_ms: cpu_ms().unwrap_or(0),
        disk_free_kib: disk_free_kib(),
    }
}

fn disk_free_kib() -> Option<u64> {
    let mut free = 0;
    // SAFETY: without a name the system means the disk of the current directory, for a service the system's own; it
    // writes one number.
    let got = unsafe { GetDiskFreeSpaceExW(null(), &raw mut free, null_mut(), null_mut()) };
    (got != 0).then_some(free / 1_024)
}

fn resident_kib() -> Option<u32> {
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    let size = u32::try_from(size_of::<PROCESS_MEMORY_COUNTERS>()).ok()?;
    // SAFETY: the pseudo handle of this process; the system writes a structure of the size that it is told.
    let got = unsafe { K32GetProcessMemoryInfo(GetCurrentProcess(), &raw mut counters, size) };
    (got != 0).then(|| u32::try_from(counters.WorkingSetSize / 1_024).unwrap_or(u32::MAX))
}

fn cpu_ms() -> Option<u64> {
    let mut times = [FILETIME::default(); 4];
    let [made, ended, kernel, user] = &mut times;
    // SAFETY: the pseudo handle of this process; the system writes four structures.
    let got = unsafe {
        GetProcessTimes(
            GetCurrentProcess(),
            &raw mut *made,
            &raw mut *ended,
            &raw mut *kernel,
            &raw mut *user,
        )
    };
    let steps = |it: &FILETIME| u64::from(it.dwHighDateTime) << 32 | u64::from(it.dwLowDateTime);
    (got != 0).then(|| (steps(kernel) + steps(user)) / STEPS)
}

/// Freed memory goes back to the system, and pages that nobody touches leave the working set: an agent waits far
/// longer than it works. What it touches again comes back by itself.
pub(in crate::host) fn release_memory() {
    // SAFETY: the process's own heap and the pseudo handle of this process; nothing that is in use is freed.
    unsafe {
        HeapCompact(GetProcessHeap(), 0);
        K32EmptyWorkingSet(GetCurrentProcess());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_on_a_system_that_is_up() {
        release_memory();
        let usage = usage();
        assert!(usage.resident_kib > 0 && usage.uptime_s > 0, "{usage:?}");
    }
}
