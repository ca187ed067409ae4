//! The system's side of the cage on Windows: each function does one thing and says whether the system took it.
//!
//! A job object, the token and mitigation policies are the whole process's; background mode is the
//! thread's. What came after Windows 7 is looked up by name when it is wanted.
#![expect(unsafe_code, reason = "jobs, tokens and policies have no safe interface")]

use std::ffi::{CStr, c_void};
use std::io;
use std::mem;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::{
    ERROR_INSUFFICIENT_BUFFER, ERROR_THREAD_MODE_ALREADY_BACKGROUND, HANDLE, LUID,
};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, GetTokenInformation, LUID_AND_ATTRIBUTES, LookupPrivilegeValueW,
    SE_PRIVILEGE_REMOVED, TOKEN_ADJUST_PRIVILEGES, TOKEN_INFORMATION_CLASS, TOKEN_PRIVILEGES, TOKEN_QUERY,
    TokenPrivileges, TokenRestrictedSids,
};
use windows_sys::Win32::System::Diagnostics::Debug::{
    GetErrorMode, SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SEM_NOOPENFILEERRORBOX, SetErrorMode,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_ACTIVE_PROCESS,
    JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION, JOB_OBJECT_LIMIT_PROCESS_MEMORY, JOB_OBJECT_UILIMIT_DESKTOP,
    JOB_OBJECT_UILIMIT_DISPLAYSETTINGS, JOB_OBJECT_UILIMIT_EXITWINDOWS, JOB_OBJECT_UILIMIT_GLOBALATOMS,
    JOB_OBJECT_UILIMIT_HANDLES, JOB_OBJECT_UILIMIT_READCLIPBOARD, JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS,
    JOB_OBJECT_UILIMIT_WRITECLIPBOARD, JOBOBJECT_BASIC_UI_RESTRICTIONS,
    JOBOBJECT_CPU_RATE_CONTROL_INFORMATION, JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JOBOBJECTINFOCLASS,
    JobObjectBasicUIRestrictions, JobObjectCpuRateControlInformation, JobObjectExtendedLimitInformation,
    QueryInformationJobObject, SetInformationJobObject,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Threading::{
    BELOW_NORMAL_PRIORITY_CLASS, GetCurrentProcess, GetCurrentThread, GetPriorityClass, IDLE_PRIORITY_CLASS,
    OpenProcessToken, SetPriorityClass, SetThreadPriority, THREAD_MODE_BACKGROUND_BEGIN,
    THREAD_MODE_BACKGROUND_END,
};

use super::{done, wide};
use crate::cage::{MOST_MEMORY, Needs, Restriction, Walls};

pub(in crate::host) const PROGRAM: &[Restriction] = &[
    Restriction { name: "low-priority", enter: Some(low_priority), holds: Some(has_low_priority) },
    Restriction { name: "no-crash-dialog", enter: Some(no_dialog), holds: Some(has_no_dialog) },
    Restriction { name: "memory-ceiling", enter: Some(limit), holds: Some(has_limited_memory) },
    Restriction { name: "no-child-process", enter: Some(no_children), holds: Some(has_no_children) },
    Restriction { name: "cpu-ceiling", enter: Some(limit_cpu), holds: Some(has_limited_cpu) },
    Restriction { name: "no-desktop", enter: Some(no_desktop), holds: Some(has_no_desktop) },
    Restriction {
        name: "no-dynamic-code",
        enter: Some(|| DYNAMIC_CODE.set()),
        holds: Some(|| DYNAMIC_CODE.holds()),
    },
    Restriction {
        name: "no-extension-points",
        enter: Some(|| EXTENSION_POINTS.set()),
        holds: Some(|| EXTENSION_POINTS.holds()),
    },
    Restriction {
        name: "no-remote-images",
        enter: Some(|| IMAGE_LOADS.set()),
        holds: Some(|| IMAGE_LOADS.holds()),
    },
    Restriction { name: "few-privileges", enter: Some(few_privileges), holds: Some(has_few_privileges) },
    // The service manager makes the token so (see `service install`).
    Restriction { name: "write-restricted", enter: None, holds: Some(is_write_restricted) },
];

pub(in crate::host) const SCAN: &[Restriction] =
    &[Restriction { name: "background-mode", enter: Some(background), holds: Some(has_background) }];

/// What reading a host may need beyond rights to files and keys: passing through directories, variables of
/// the firmware, and the audit policy.
const KEPT_PRIVILEGES: [&str; 3] =
    ["SeChangeNotifyPrivilege", "SeSystemEnvironmentPrivilege", "SeSecurityPrivilege"];
/// Most privileges of a token that are looked at; Windows has 36.
const MAX_PRIVILEGES: usize = 128;

/// `JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP` of winnt.h.
const HARD_CAP: u32 = 0x1 | 0x4;
/// A quarter of one processor, in ten-thousandths.
const RATE_OF_ONE: u32 = 2_500;

const DESKTOP: u32 = JOB_OBJECT_UILIMIT_DESKTOP
    | JOB_OBJECT_UILIMIT_DISPLAYSETTINGS
    | JOB_OBJECT_UILIMIT_EXITWINDOWS
    | JOB_OBJECT_UILIMIT_GLOBALATOMS
    | JOB_OBJECT_UILIMIT_HANDLES
    | JOB_OBJECT_UILIMIT_READCLIPBOARD
    | JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS
    | JOB_OBJECT_UILIMIT_WRITECLIPBOARD;

/// No window of the system's when something fails: nobody sits before a service.
const NO_DIALOG: u32 = SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX;

fn low_priority() -> io::Result<()> {
    // SAFETY: takes the pseudo handle of this process and a number.
    done(unsafe { SetPriorityClass(GetCurrentProcess(), BELOW_NORMAL_PRIORITY_CLASS) })
}

fn has_low_priority() -> bool {
    // SAFETY: takes the pseudo handle of this process and gives a number.
    let class = unsafe { GetPriorityClass(GetCurrentProcess()) };
    class == BELOW_NORMAL_PRIORITY_CLASS || class == IDLE_PRIORITY_CLASS
}

#[expect(clippy::unnecessary_wraps, reason = "one signature for every restriction")]
fn no_dialog() -> io::Result<()> {
    // SAFETY: takes a number and gives one.
    unsafe { SetErrorMode(NO_DIALOG) };
    Ok(())
}

fn has_no_dialog() -> bool {
    // SAFETY: gives a number.
    (unsafe { GetErrorMode() }) & NO_DIALOG == NO_DIALOG
}

fn background() -> io::Result<()> {
    // SAFETY: takes the pseudo handle of this thread and a number.
    match done(unsafe { SetThreadPriority(GetCurrentThread(), THREAD_MODE_BACKGROUND_BEGIN) }) {
        Err(cause) if is_code(&cause, ERROR_THREAD_MODE_ALREADY_BACKGROUND) => Ok(()),
        other => other,
    }
}

/// Asks for it again: only that says whether it holds. Where it did not, it does not after this either.
fn has_background() -> bool {
    // SAFETY: as in `background`.
    match done(unsafe { SetThreadPriority(GetCurrentThread(), THREAD_MODE_BACKGROUND_BEGIN) }) {
        Err(cause) => is_code(&cause, ERROR_THREAD_MODE_ALREADY_BACKGROUND),
        Ok(()) => {
            // SAFETY: as in `background`.
            unsafe { SetThreadPriority(GetCurrentThread(), THREAD_MODE_BACKGROUND_END) };
            false
        }
    }
}

fn is_code(cause: &io::Error, code: u32) -> bool {
    cause.raw_os_error().and_then(|it| u32::try_from(it).ok()) == Some(code)
}

// ------------------------------------------------------------------------------------- job object

/// The job of this process, made once and kept for as long as it runs. It kills nothing when it is closed.
fn job() -> io::Result<&'static OwnedHandle> {
    static JOB: OnceLock<Result<OwnedHandle, i32>> = OnceLock::new();
    let job = JOB.get_or_init(|| make_job().map_err(|it| it.raw_os_error().unwrap_or(0)));
    job.as_ref().map_err(|code| io::Error::from_raw_os_error(*code))
}

fn make_job() -> io::Result<OwnedHandle> {
    // SAFETY: no name and no attributes; the system makes a handle or says 0.
    let handle = unsafe { CreateJobObjectW(null(), null()) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is open and nobody else's.
    let job = unsafe { OwnedHandle::from_raw_handle(handle) };
    // SAFETY: plain numbers; all zero is a value of it.
    let mut limits: JOBOBJECT_EXTENDED_LIMIT_INFORMATION = unsafe { mem::zeroed() };
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_ACTIVE_PROCESS
        | JOB_OBJECT_LIMIT_PROCESS_MEMORY
        | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION;
    limits.BasicLimitInformation.ActiveProcessLimit = 1;
    limits.ProcessMemoryLimit = usize::try_from(MOST_MEMORY).unwrap_or(usize::MAX);
    set(&job, JobObjectExtendedLimitInformation, &limits)?;
    // Windows 7 knows one job for a process: where a supervisor has put it into another, this fails.
    // SAFETY: both handles are open.
    done(unsafe { AssignProcessToJobObject(job.as_raw_handle(), GetCurrentProcess()) })?;
    Ok(job)
}

fn set<T>(job: &OwnedHandle, class: JOBOBJECTINFOCLASS, value: &T) -> io::Result<()> {
    let size = u32::try_from(mem::size_of::<T>()).map_err(io::Error::other)?;
    let value: *const c_void = std::ptr::from_ref(value).cast();
    // SAFETY: the handle is open; the system reads `size` bytes of a plain value that lives over the call.
    done(unsafe { SetInformationJobObject(job.as_raw_handle(), class, value, size) })
}

/// What the job that this process is in says; `None` when it is in none, or the system does not know the question.
fn get<T>(class: JOBOBJECTINFOCLASS) -> Option<T> {
    let size = u32::try_from(mem::size_of::<T>()).ok()?;
    // SAFETY: used for plain structures of numbers alone, of which all zero is a value.
    let mut value: T = unsafe { mem::zeroed() };
    let into: *mut c_void = std::ptr::from_mut(&mut value).cast();
    // SAFETY: 0 is this process's job; the system writes at most `size` bytes to a value of that size.
    let got = unsafe { QueryInformationJobObject(null_mut(), class, into, size, null_mut()) };
    (got != 0).then_some(value)
}

fn limits() -> Option<JOBOBJECT_EXTENDED_LIMIT_INFORMATION> {
    get(JobObjectExtendedLimitInformation)
}

fn limit() -> io::Result<()> {
    job().map(|_| ())
}

fn has_limited_memory() -> bool {
    let most = usize::try_from(MOST_MEMORY).unwrap_or(usize::MAX);
    limits().is_some_and(|it| {
        it.BasicLimitInformation.LimitFlags & JOB_OBJECT_LIMIT_PROCESS_MEMORY != 0
            && it.ProcessMemoryLimit <= most
    })
}

fn no_children() -> io::Result<()> {
    job()?;
    // Beside the job, where the system knows it: it also stops what leaves a job.
    let _ = CHILDREN.set();
    Ok(())
}

fn has_no_children() -> bool {
    CHILDREN.holds()
        || limits().is_some_and(|it| {
            it.BasicLimitInformation.LimitFlags & JOB_OBJECT_LIMIT_ACTIVE_PROCESS != 0
                && it.BasicLimitInformation.ActiveProcessLimit == 1
        })
}

fn limit_cpu() -> io::Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let processors = u32::try_from(processors).unwrap_or(u32::MAX);
    // SAFETY: plain numbers; all zero is a value of it.
    let mut rate: JOBOBJECT_CPU_RATE_CONTROL_INFORMATION = unsafe { mem::zeroed() };
    rate.ControlFlags = HARD_CAP;
    // Of all processors together.
    rate.Anonymous.CpuRate = (RATE_OF_ONE / processors).max(1);
    set(job()?, JobObjectCpuRateControlInformation, &rate)
}

fn has_limited_cpu() -> bool {
    get::<JOBOBJECT_CPU_RATE_CONTROL_INFORMATION>(JobObjectCpuRateControlInformation)
        .is_some_and(|it| it.ControlFlags & HARD_CAP == HARD_CAP)
}

fn no_desktop() -> io::Result<()> {
    set(
        job()?,
        JobObjectBasicUIRestrictions,
        &JOBOBJECT_BASIC_UI_RESTRICTIONS { UIRestrictionsClass: DESKTOP },
    )
}

fn has_no_desktop() -> bool {
    get::<JOBOBJECT_BASIC_UI_RESTRICTIONS>(JobObjectBasicUIRestrictions)
        .is_some_and(|it| it.UIRestrictionsClass & DESKTOP == DESKTOP)
}

// ------------------------------------------------------------------------------ mitigation policies

/// A policy whose value is one number of flags: its number in `PROCESS_MITIGATION_POLICY`, and the flags.
struct Policy {
    number: i32,
    flags: u32,
}

/// `ProhibitDynamicCode`.
const DYNAMIC_CODE: Policy = Policy { number: 2, flags: 0x1 };
/// `DisableExtensionPoints`: no foreign input methods, hooks or `AppInit` libraries in this process.
const EXTENSION_POINTS: Policy = Policy { number: 6, flags: 0x1 };
/// `NoRemoteImages`, `NoLowMandatoryLabelImages`, `PreferSystem32Images`.
const IMAGE_LOADS: Policy = Policy { number: 10, flags: 0x1 | 0x2 | 0x4 };
/// `NoChildProcessCreation`; Windows 10 1709.
const CHILDREN: Policy = Policy { number: 13, flags: 0x1 };

type SetPolicy = unsafe extern "system" fn(i32, *const c_void, usize) -> i32;
type GetPolicy = unsafe extern "system" fn(HANDLE, i32, *mut c_void, usize) -> i32;

impl Policy {
    fn set(&self) -> io::Result<()> {
        let function = kernel32(c"SetProcessMitigationPolicy").ok_or(io::ErrorKind::Unsupported)?;
        // SAFETY: the function of this name has had this signature since Windows 8 (processthreadsapi.h).
        let function: SetPolicy = unsafe { mem::transmute(function) };
        let size = mem::size_of::<u32>();
        // SAFETY: the system reads `size` bytes of a number that lives over the call.
        done(unsafe { function(self.number, (&raw const self.flags).cast(), size) })
    }

    fn holds(&self) -> bool {
        let Some(function) = kernel32(c"GetProcessMitigationPolicy") else { return false };
        // SAFETY: as in `set`.
        let function: GetPolicy = unsafe { mem::transmute(function) };
        let (mut flags, size) = (0_u32, mem::size_of::<u32>());
        // SAFETY: the system writes `size` bytes to a number of that size.
        let got = unsafe { function(GetCurrentProcess(), self.number, (&raw mut flags).cast(), size) };
        got != 0 && flags & self.flags == self.flags
    }
}

/// A function that an old Windows does not have.
fn kernel32(name: &CStr) -> Option<unsafe extern "system" fn() -> isize> {
    let library = wide("kernel32.dll");
    // SAFETY: both names end with 0; the library is in every process and stays there.
    unsafe { GetProcAddress(GetModuleHandleW(library.as_ptr()), name.as_ptr().cast()) }
}

// ------------------------------------------------------------------------------------------ token

fn token(access: u32) -> io::Result<OwnedHandle> {
    let mut token: HANDLE = null_mut();
    // SAFETY: takes the pseudo handle of this process; the system writes one handle.
    done(unsafe { OpenProcessToken(GetCurrentProcess(), access, &raw mut token) })?;
    // SAFETY: the handle is open and nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// An answer about a token, in memory aligned for its structures.
fn about(token: &OwnedHandle, class: TOKEN_INFORMATION_CLASS) -> io::Result<Vec<u64>> {
    let mut size = 0;
    // SAFETY: asks for the size alone.
    let asked = unsafe { GetTokenInformation(token.as_raw_handle(), class, null_mut(), 0, &raw mut size) };
    match done(asked) {
        Err(cause) if is_code(&cause, ERROR_INSUFFICIENT_BUFFER) => {}
        Err(cause) => return Err(cause),
        Ok(()) => return Ok(vec![0]),
    }
    let mut answer = vec![0_u64; usize::try_from(size).unwrap_or(0).div_ceil(mem::size_of::<u64>()).max(1)];
    // SAFETY: the buffer has at least `size` bytes.
    done(unsafe {
        GetTokenInformation(token.as_raw_handle(), class, answer.as_mut_ptr().cast(), size, &raw mut size)
    })?;
    Ok(answer)
}

/// The privileges of this process that are not among those to keep.
fn too_many(token: &OwnedHandle) -> io::Result<Vec<LUID>> {
    let answer = about(token, TokenPrivileges)?;
    let head: *const TOKEN_PRIVILEGES = answer.as_ptr().cast();
    // SAFETY: the answer begins with this structure, and its array has as many entries as its count says,
    // all within the answer; the count is held against the answer's own size before.
    let privileges = unsafe {
        let count = usize::try_from((*head).PrivilegeCount).unwrap_or(usize::MAX);
        let room = answer.len() * mem::size_of::<u64>() / mem::size_of::<LUID_AND_ATTRIBUTES>();
        if count > room || count > MAX_PRIVILEGES {
            return Err(io::Error::other("a token with more privileges than Windows has"));
        }
        std::slice::from_raw_parts((&raw const (*head).Privileges).cast::<LUID_AND_ATTRIBUTES>(), count)
    };
    let kept: Vec<LUID> = KEPT_PRIVILEGES.into_iter().filter_map(privilege).collect();
    let is_kept =
        |luid: &LUID| kept.iter().any(|it| it.LowPart == luid.LowPart && it.HighPart == luid.HighPart);
    Ok(privileges.iter().map(|it| it.Luid).filter(|it| !is_kept(it)).collect())
}

fn privilege(name: &str) -> Option<LUID> {
    let name = wide(name);
    let mut luid = LUID { LowPart: 0, HighPart: 0 };
    // SAFETY: the name ends with 0; the system writes one number.
    let found = unsafe { LookupPrivilegeValueW(null(), name.as_ptr(), &raw mut luid) };
    (found != 0).then_some(luid)
}

fn few_privileges() -> io::Result<()> {
    let token = token(TOKEN_QUERY | TOKEN_ADJUST_PRIVILEGES)?;
    for luid in too_many(&token)? {
        let removed = TOKEN_PRIVILEGES {
            PrivilegeCount: 1,
            Privileges: [LUID_AND_ATTRIBUTES { Luid: luid, Attributes: SE_PRIVILEGE_REMOVED }],
        };
        // SAFETY: the system reads one entry of a value that lives over the call, and writes nothing back.
        done(unsafe {
            AdjustTokenPrivileges(token.as_raw_handle(), 0, &raw const removed, 0, null_mut(), null_mut())
        })?;
    }
    Ok(())
}

fn has_few_privileges() -> bool {
    token(TOKEN_QUERY).and_then(|it| too_many(&it)).is_ok_and(|it| it.is_empty())
}

/// Whether the token lists whom a write must be granted to besides: `TOKEN_GROUPS` with a count first.
fn is_write_restricted() -> bool {
    token(TOKEN_QUERY)
        .and_then(|it| about(&it, TokenRestrictedSids))
        .is_ok_and(|it| it.first().is_some_and(|first| first & u64::from(u32::MAX) != 0))
}

/// Windows has no walls of a thread's own; what a service may write is its token's (`write-restricted`).
pub(in crate::host) fn wall_in(_: &Needs) -> io::Result<Walls> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_up_holds_or_the_system_said_no() {
        for it in PROGRAM.iter().filter(|it| it.name != "few-privileges" && it.name != "no-child-process") {
            let (Some(enter), Some(holds)) = (it.enter, it.holds) else { continue };
            println!("{}: {:?}, holds: {}", it.name, enter().err(), holds());
        }
        low_priority().unwrap();
        assert!(has_low_priority());
        no_dialog().unwrap();
        assert!(has_no_dialog());
    }

    #[test]
    fn a_token_has_privileges_and_those_to_keep_are_known() {
        assert!(KEPT_PRIVILEGES.into_iter().all(|it| privilege(it).is_some()));
        assert!(privilege("SeNoSuchPrivilege").is_none());
        let token = token(TOKEN_QUERY).unwrap();
        let all = about(&token, TokenPrivileges).unwrap();
        assert!(all.len() > 1);
        too_many(&token).unwrap();
    }

    #[test]
    fn a_thread_is_in_the_background_only_when_it_went_there() {
        std::thread::spawn(|| {
            assert!(!has_background());
            assert!(!has_background(), "asking changes nothing");
        })
        .join()
        .unwrap();
    }
}
