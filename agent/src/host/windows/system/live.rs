//! What a running Windows answers about itself. Everything called here is there since Windows 7.
//!
//! Processes come from `NtQuerySystemInformation`, because opening one of another user needs rights that
//! an agent without them does not have: the list (class 5) and the path of a program by the number of its
//! process (class 88, `SystemProcessIdInformation`) are given to everybody, and no process is opened.
#![expect(unsafe_code, reason = "the system is asked by calls of C")]

use std::fs;
use std::io;
use std::time::{Duration, SystemTime};

use windows_sys::Wdk::System::SystemInformation::{
    NtQuerySystemInformation, SYSTEM_INFORMATION_CLASS, SystemProcessInformation, SystemTimeOfDayInformation,
};
use windows_sys::Win32::Foundation::{RtlNtStatusToDosError, STATUS_INFO_LENGTH_MISMATCH, UNICODE_STRING};
use windows_sys::Win32::Storage::FileSystem::{
    GetDiskFreeSpaceExW, GetDriveTypeW, GetLogicalDrives, GetVolumeInformationW, QueryDosDeviceW,
};

use super::process_list::{self, Listed};
use super::{FileTimes, Process, Volume};

/// `GetDriveTypeW`: the drive is fixed in the machine.
const FIXED: u32 = 3;
/// `SystemProcessIdInformation`.
const PROGRAM_OF_PROCESS: SYSTEM_INFORMATION_CLASS = 88;
/// Most processes.
const MAX_PROCESSES: usize = 16_384;
/// Size of the list of processes at first, and the most that it may grow to, in words of 8 bytes.
const FIRST_WORDS: usize = 32 * 1024;
const MAX_WORDS: usize = 2 * 1024 * 1024;
/// Longest path, in code units: what the length of a counted text can say.
const MAX_PATH: usize = 32 * 1024 - 1;
/// Longest name of a device, in code units.
const MAX_DEVICE: usize = 512;
/// Units of 100 ns from 1601 to 1970.
const UNIX_EPOCH: u64 = 116_444_736_000_000_000;

/// Asks the kernel; says how many bytes it gave.
fn query(class: SYSTEM_INFORMATION_CLASS, buffer: &mut [u64]) -> Result<usize, i32> {
    let length = u32::try_from(size_of_val(buffer)).unwrap_or(u32::MAX);
    let mut given = 0;
    // SAFETY: the buffer is as long as said, aligned for every structure of the kernel, and lives longer
    // than the call.
    let status =
        unsafe { NtQuerySystemInformation(class, buffer.as_mut_ptr().cast(), length, &raw mut given) };
    if status < 0 { Err(status) } else { Ok(usize::try_from(given).unwrap_or(usize::MAX)) }
}

fn failure(status: i32) -> io::Error {
    // SAFETY: the function only looks the number up.
    let code = unsafe { RtlNtStatusToDosError(status) };
    io::Error::from_raw_os_error(code.cast_signed())
}

/// See [`super::System::booted`].
pub(in crate::host::windows) fn booted() -> io::Result<u64> {
    /// `SYSTEM_TIMEOFDAY_INFORMATION` in words: the time of the boot is the first, and what changes of the
    /// clock have added to it the fifth.
    const WORDS: usize = 6;
    let mut words = [0; WORDS];
    let given = query(SystemTimeOfDayInformation, &mut words).map_err(failure)?;
    if given < size_of_val(&words) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the system says too little of its boot"));
    }
    Ok(words[0].wrapping_sub(words[4]))
}

/// See [`super::System::processes`].
pub(in crate::host::windows) fn processes() -> io::Result<Vec<Process>> {
    let devices = devices()?;
    let mut found = Vec::new();
    for Listed { number, created } in listed()? {
        let Some(started) = time(created) else { continue };
        // What ended meanwhile has no path any more, and what belongs to the kernel never had one.
        let program = program(number).and_then(|it| on_drive(&devices, &it));
        found.push(Process { program, started });
    }
    Ok(found)
}

fn listed() -> io::Result<Vec<Listed>> {
    let mut words = vec![0_u64; FIRST_WORDS];
    loop {
        match query(SystemProcessInformation, &mut words) {
            Ok(given) => {
                let bytes: Vec<u8> = words.iter().flat_map(|it| it.to_ne_bytes()).take(given).collect();
                let list = process_list::read(&bytes, MAX_PROCESSES);
                return list.ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidData, "the list of processes is broken or too long")
                });
            }
            Err(STATUS_INFO_LENGTH_MISMATCH) if words.len() < MAX_WORDS => words = vec![0; words.len() * 2],
            Err(status) => return Err(failure(status)),
        }
    }
}

/// The path that the kernel has of a process's program: `\Device\HarddiskVolume3\...`.
fn program(number: usize) -> Option<String> {
    #[repr(C)]
    struct ProgramOfProcess {
        number: usize,
        path: UNICODE_STRING,
    }
    let mut path = vec![0_u16; MAX_PATH];
    let mut asked = ProgramOfProcess {
        number,
        path: UNICODE_STRING {
            Length: 0,
            MaximumLength: u16::try_from(size_of_val(path.as_slice())).ok()?,
            Buffer: path.as_mut_ptr(),
        },
    };
    let length = u32::try_from(size_of::<ProgramOfProcess>()).ok()?;
    let mut given = 0;
    // SAFETY: the structure is as long as said; its text points to a buffer of the length that it says,
    // and both live longer than the call.
    let status = unsafe {
        NtQuerySystemInformation(PROGRAM_OF_PROCESS, (&raw mut asked).cast(), length, &raw mut given)
    };
    let units = path.get(..usize::from(asked.path.Length) / 2).filter(|_| status >= 0)?;
    String::from_utf16(units).ok().filter(|it| !it.is_empty())
}

/// The kernel's name of the device behind each fixed drive.
fn devices() -> io::Result<Vec<(String, String)>> {
    let mut devices = Vec::new();
    for drive in fixed_drives()? {
        let name = format!("{drive}:");
        let mut device = vec![0_u16; MAX_DEVICE];
        let capacity = u32::try_from(device.len()).unwrap_or(0);
        // SAFETY: the name ends with a zero, and the buffer is as long as said.
        let given = unsafe { QueryDosDeviceW(wide(&name).as_ptr(), device.as_mut_ptr(), capacity) };
        if given != 0 {
            devices.push((text(&device), name));
        }
    }
    Ok(devices)
}

/// A path of the kernel as people write it; `None` when it is on no fixed drive.
fn on_drive(devices: &[(String, String)], path: &str) -> Option<String> {
    devices.iter().find_map(|(device, drive)| {
        let rest = path.strip_prefix(device.as_str()).filter(|it| it.starts_with('\\'))?;
        Some(format!("{drive}{rest}"))
    })
}

/// See [`super::System::file_times`].
pub(in crate::host::windows) fn file_times(path: &str) -> io::Result<FileTimes> {
    // In this form no name is a device, and none is too long.
    let facts = fs::symlink_metadata(format!(r"\\?\{path}"))?;
    Ok(FileTimes { created: facts.created()?, written: facts.modified()? })
}

/// See [`super::System::volumes`].
pub(in crate::host::windows) fn volumes() -> io::Result<Vec<Volume>> {
    let mut volumes = Vec::new();
    for drive in fixed_drives()? {
        let root = format!(r"{drive}:\");
        let place = wide(&root);
        let mut file_system = [0_u16; 64];
        let capacity = u32::try_from(file_system.len()).unwrap_or(0);
        let none = std::ptr::null_mut::<u32>();
        // SAFETY: the root ends with a zero, the buffer is as long as said, and what is not asked for is null.
        let is_known = unsafe {
            let (name, kind) = (std::ptr::null_mut(), file_system.as_mut_ptr());
            GetVolumeInformationW(place.as_ptr(), name, 0, none, none, none, kind, capacity)
        };
        let (mut total_bytes, mut free_bytes) = (0, 0);
        // SAFETY: the root ends with a zero, and both numbers live longer than the call.
        let is_sized = unsafe {
            let own = std::ptr::null_mut();
            GetDiskFreeSpaceExW(place.as_ptr(), own, &raw mut total_bytes, &raw mut free_bytes)
        };
        if is_known == 0 || is_sized == 0 {
            let cause = io::Error::last_os_error();
            return Err(io::Error::new(cause.kind(), format!("{root} {cause}")));
        }
        volumes.push(Volume { root, file_system: text(&file_system), total_bytes, free_bytes });
    }
    Ok(volumes)
}

/// The letters of the drives that are fixed in the machine.
fn fixed_drives() -> io::Result<Vec<char>> {
    // SAFETY: the call takes nothing.
    let drives = unsafe { GetLogicalDrives() };
    if drives == 0 {
        return Err(io::Error::last_os_error());
    }
    let letters = ('A'..='Z').enumerate().filter(|(bit, _)| drives >> bit & 1 == 1);
    // SAFETY: the root ends with a zero.
    let is_fixed = |it: &char| unsafe { GetDriveTypeW(wide(&format!(r"{it}:\")).as_ptr()) } == FIXED;
    Ok(letters.map(|(_, letter)| letter).filter(is_fixed).collect())
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Text up to its first zero.
fn text(units: &[u16]) -> String {
    let end = units.iter().position(|it| *it == 0).unwrap_or(units.len());
    String::from_utf16_lossy(&units[..end])
}

fn time(filetime: u64) -> Option<SystemTime> {
    let since = filetime.checked_sub(UNIX_EPOCH)?;
    let nanoseconds = u32::try_from(since % 10_000_000 * 100).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(since / 10_000_000, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_system_started_before_now_and_its_start_does_not_move() {
        let first = booted().unwrap();
        assert!(time(first).unwrap() < SystemTime::now());
        assert_eq!(booted().unwrap(), first);
    }

    #[test]
    fn this_very_test_is_among_the_processes_and_its_file_is_older_than_it() {
        let own = std::env::current_exe().unwrap().to_string_lossy().to_lowercase();
        let processes = processes().unwrap();
        let here = |it: &&Process| it.program.as_ref().is_some_and(|it| own.ends_with(&it.to_lowercase()));
        let own = processes.iter().find(here).expect("this process");
        let times = file_times(own.program.as_deref().unwrap()).unwrap();
        assert!(times.created <= own.started, "{times:?} {own:?}");
        assert_eq!(file_times(r"C:\no\such\file").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_drive_of_windows_is_a_volume() {
        let volumes = volumes().unwrap();
        let system = volumes.iter().find(|it| it.root == r"C:\").expect("the drive of Windows");
        assert!(system.total_bytes > 0 && system.free_bytes <= system.total_bytes, "{system:?}");
    }
}
