//! Which program a process runs, and which of its services marked an endpoint.
//!
//! With rights the system is asked for the path of a process that was opened for limited information.
//! Without them it still tells the path by the process's number (`SystemProcessIdInformation`, not
//! documented, looked up): that is how the owner of a port is known to a service account of few rights.
#![expect(unsafe_code, reason = "no safe interface names the program of another process")]

use std::ffi::c_void;
use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::{
    CloseHandle, ERROR_ACCESS_DENIED, ERROR_GEN_FAILURE, ERROR_INVALID_PARAMETER, HANDLE, LocalFree,
};
use windows_sys::Win32::Storage::FileSystem::QueryDosDeviceW;
use windows_sys::Win32::System::Threading::{
    OpenProcess, PROCESS_NAME_WIN32, PROCESS_QUERY_LIMITED_INFORMATION, QueryFullProcessImageNameW,
};

use super::buffer::{Buffer, text_at, wide};
use super::library::Library;
use super::{denied, failure, last_code, not_found};

/// The kernel's own process, which has no program.
const SYSTEM: u32 = 4;
/// Longest path, in characters: that of the object manager.
const MAX_PATH: u16 = 16 * 1024;
/// `SystemProcessIdInformation`.
const PATH_BY_NUMBER: u32 = 88;
/// `eTagInfoLevelNameFromTag`.
const NAME_BY_MARK: u32 = 1;

pub(super) fn program(process: u32) -> io::Result<String> {
    match process {
        0 => Err(not_found("no process")),
        SYSTEM => Ok("System".to_owned()),
        _ => match path_of(process) {
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                path_by_number(process).map_err(|_| cause)
            }
            said => said,
        },
    }
}

/// A process, while it is asked.
struct Process(HANDLE);

impl Drop for Process {
    fn drop(&mut self) {
        // SAFETY: it is open, and closed here alone.
        unsafe { CloseHandle(self.0) };
    }
}

fn path_of(process: u32) -> io::Result<String> {
    // SAFETY: any number may be asked for.
    let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, process) };
    if handle.is_null() {
        return Err(match last_code() {
            ERROR_INVALID_PARAMETER => not_found("the process ended"),
            ERROR_ACCESS_DENIED => denied("the process may not be asked"),
            code => failure(code),
        });
    }
    let handle = Process(handle);
    let mut path = vec![0_u16; usize::from(MAX_PATH)];
    let mut length = u32::from(MAX_PATH);
    // SAFETY: the process is open to be asked; the call writes at most `length` characters.
    let done = unsafe {
        QueryFullProcessImageNameW(handle.0, PROCESS_NAME_WIN32, path.as_mut_ptr(), &raw mut length)
    };
    if done == 0 {
        return Err(match last_code() {
            // It ends while it is asked, and its memory is gone.
            ERROR_GEN_FAILURE => not_found("the process ended"),
            code => failure(code),
        });
    }
    let length = usize::try_from(length).unwrap_or(0);
    Ok(String::from_utf16_lossy(path.get(..length).unwrap_or_default()))
}

/// `SYSTEM_PROCESS_ID_INFORMATION`, whose text is a `UNICODE_STRING`.
#[repr(C)]
struct PathByNumber {
    process: usize,
    bytes: u16,
    max_bytes: u16,
    text: *mut u16,
}

fn path_by_number(process: u32) -> io::Result<String> {
    type Ask = unsafe extern "system" fn(u32, *mut c_void, u32, *mut u32) -> i32;
    let library = Library::of_system("ntdll.dll")?;
    let function = library.function(c"NtQuerySystemInformation")?;
    // SAFETY: this is the type of `NtQuerySystemInformation` (`winternl.h`).
    let ask: Ask = unsafe { std::mem::transmute(function) };
    let mut text = vec![0_u16; usize::from(MAX_PATH)];
    let mut answer = PathByNumber {
        process: usize::try_from(process).unwrap_or(0),
        bytes: 0,
        max_bytes: MAX_PATH.saturating_mul(2).saturating_sub(2),
        text: text.as_mut_ptr(),
    };
    let size = u32::try_from(size_of::<PathByNumber>()).unwrap_or(0);
    // SAFETY: the structure is the one that this class has, and its text leads to `max_bytes` bytes.
    let status = unsafe { ask(PATH_BY_NUMBER, (&raw mut answer).cast(), size, ptr::null_mut()) };
    if status < 0 {
        return Err(io::Error::other(format!("status {status:#x}")));
    }
    let path = String::from_utf16_lossy(text.get(..usize::from(answer.bytes / 2)).unwrap_or_default());
    if path.is_empty() { Err(not_found("the process has no program")) } else { Ok(lettered(&path)) }
}

/// The same path by its drive's letter; as it was where no drive has one.
fn lettered(path: &str) -> String {
    ('A'..='Z')
        .find_map(|letter| {
            let volume = volume_of(letter)?;
            let rest = path.strip_prefix(&volume).filter(|it| it.starts_with('\\'))?;
            Some(format!("{letter}:{rest}"))
        })
        .unwrap_or_else(|| path.to_owned())
}

/// `\Device\HarddiskVolume3` of `C:`.
fn volume_of(letter: char) -> Option<String> {
    let drive = wide(&format!("{letter}:"));
    let mut buffer = Buffer::of(2 * 1024);
    let characters = buffer.size() / 2;
    // SAFETY: the name ends with a zero; the call writes at most as many characters as the buffer has.
    let length = unsafe { QueryDosDeviceW(drive.as_ptr(), buffer.start(), characters) };
    let volume = if length == 0 { String::new() } else { buffer.text(buffer.bytes().as_ptr().cast()) };
    (!volume.is_empty()).then_some(volume)
}

/// `SC_SERVICE_TAG_QUERY`.
#[repr(C)]
struct Marked {
    process: u32,
    mark: u32,
    kind: u32,
    name: *mut u16,
}

pub(super) fn marked_by(process: u32, mark: u32) -> io::Result<Option<String>> {
    type Ask = unsafe extern "system" fn(*const u16, u32, *mut Marked) -> u32;
    if process == 0 || mark == 0 {
        return Ok(None);
    }
    let library = Library::of_system("advapi32.dll")?;
    let Ok(function) = library.function(c"I_QueryTagInformation") else { return Ok(None) };
    // SAFETY: this is the type of `I_QueryTagInformation`, as the system's own tools call it.
    let ask: Ask = unsafe { std::mem::transmute(function) };
    let mut answer = Marked { process, mark, kind: 0, name: ptr::null_mut() };
    // SAFETY: the structure is the one that this level has, and outlives the call.
    let code = unsafe { ask(ptr::null(), NAME_BY_MARK, &raw mut answer) };
    if code == ERROR_ACCESS_DENIED {
        return Err(denied("the marks of the process may not be asked"));
    }
    if code != 0 || answer.name.is_null() {
        return Ok(None);
    }
    // SAFETY: the call succeeded: the name is text with a zero at its end, in memory that is ours to free.
    let name = unsafe {
        let name = text_at(answer.name);
        LocalFree(answer.name.cast());
        name
    };
    Ok(Some(name).filter(|it| !it.is_empty()))
}
