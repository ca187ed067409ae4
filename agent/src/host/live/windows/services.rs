//! The service control manager, from the side of an administrator: making the agent's service, and taking it away.
//!
//! Used by `service install` and `service remove` alone; an agent that runs has no right to any of it. What
//! an old Windows, or one that is not quite one, does not take of the service's settings is said and left out.
#![expect(unsafe_code, reason = "the service manager and registry have no safe interface for writing")]

use std::ffi::c_void;
use std::io;
use std::ptr::{null, null_mut};
use std::thread;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::ERROR_FILE_NOT_FOUND;
use windows_sys::Win32::Foundation::{
    ERROR_SERVICE_ALREADY_RUNNING, ERROR_SERVICE_DOES_NOT_EXIST, ERROR_SERVICE_EXISTS,
    ERROR_SERVICE_NOT_ACTIVE,
};
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_LOCAL_MACHINE, KEY_SET_VALUE, KEY_WOW64_64KEY, REG_DWORD, REG_EXPAND_SZ,
    REG_OPTION_NON_VOLATILE, REG_VALUE_TYPE, RegCloseKey, RegCreateKeyExW, RegDeleteKeyExW, RegSetValueExW,
};
use windows_sys::Win32::System::Services::{
    ChangeServiceConfig2W, ChangeServiceConfigW, CloseServiceHandle, ControlService, CreateServiceW,
    DeleteService, OpenSCManagerW, OpenServiceW, QueryServiceStatus, SC_ACTION, SC_ACTION_RESTART, SC_HANDLE,
    SC_MANAGER_CONNECT, SC_MANAGER_CREATE_SERVICE, SERVICE_ALL_ACCESS, SERVICE_AUTO_START, SERVICE_CONFIG,
    SERVICE_CONFIG_DELAYED_AUTO_START_INFO, SERVICE_CONFIG_DESCRIPTION, SERVICE_CONFIG_FAILURE_ACTIONS,
    SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO,
    SERVICE_CONFIG_SERVICE_SID_INFO, SERVICE_CONTROL_STOP, SERVICE_DELAYED_AUTO_START_INFO,
    SERVICE_DESCRIPTIONW, SERVICE_ERROR_NORMAL, SERVICE_FAILURE_ACTIONS_FLAG, SERVICE_FAILURE_ACTIONSW,
    SERVICE_REQUIRED_PRIVILEGES_INFOW, SERVICE_SID_INFO, SERVICE_STATUS, SERVICE_STOPPED,
    SERVICE_WIN32_OWN_PROCESS, StartServiceW,
};

use super::{done, wide};
use crate::service::Plan;

/// How long a service that stops is waited for; the agent's takes 5 seconds at most.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Makes the service, or brings one that is there to the same settings.
///
/// Gives the settings that this system did not take.
///
/// # Errors
/// Not permitted, or the manager refuses.
pub(in crate::host) fn install(plan: &Plan) -> io::Result<Vec<(&'static str, io::Error)>> {
    let manager = Handle::manager(SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE)?;
    let service = manager.create_or_change(plan)?;
    let settings: [(&'static str, io::Result<()>); 6] = [
        ("description", service.describe(&plan.description)),
        ("delayed start", service.delay_start()),
        ("restart after a failure", service.recover(&plan.restarts)),
        ("restart after an error", service.recover_from_errors()),
        ("write-restricted token", service.restrict(plan.sid_type)),
        ("few privileges", service.require(&plan.privileges)),
    ];
    let refused = settings.into_iter().filter_map(|(name, done)| done.err().map(|it| (name, it)));
    Ok(refused.collect())
}

/// Starts the service.
///
/// # Errors
/// It is not there, or cannot be started.
pub(in crate::host) fn start(name: &str) -> io::Result<()> {
    let service = Handle::manager(SC_MANAGER_CONNECT)?.service(name)?;
    // SAFETY: the handle is open; there are no arguments.
    match done(unsafe { StartServiceW(service.0, 0, null()) }) {
        Err(cause) if is_code(&cause, ERROR_SERVICE_ALREADY_RUNNING) => Ok(()),
        other => other,
    }
}

/// Stops the service, waits until it has ended, and deletes it; whether there was one.
///
/// # Errors
/// Not permitted, it does not stop, or the manager refuses.
pub(in crate::host) fn remove(name: &str) -> io::Result<bool> {
    let service = match Handle::manager(SC_MANAGER_CONNECT)?.service(name) {
        Err(cause) if is_code(&cause, ERROR_SERVICE_DOES_NOT_EXIST) => return Ok(false),
        other => other?,
    };
    service.stop()?;
    // SAFETY: the handle is open; the service goes when the last handle of anybody is closed.
    done(unsafe { DeleteService(service.0) })?;
    Ok(true)
}

/// Registers a source of the application log with the file that has its messages.
///
/// # Errors
/// Not permitted.
pub(in crate::host) fn register_events(key: &str, file: &str, kinds: u32) -> io::Result<()> {
    let path = wide(key);
    let mut made: HKEY = null_mut();
    // SAFETY: the path ends with 0; the system writes one handle.
    check(unsafe {
        RegCreateKeyExW(
            HKEY_LOCAL_MACHINE,
            path.as_ptr(),
            0,
            null(),
            REG_OPTION_NON_VOLATILE,
            KEY_SET_VALUE | KEY_WOW64_64KEY,
            null(),
            &raw mut made,
            null_mut(),
        )
    })?;
    let file: Vec<u8> = wide(file).into_iter().flat_map(u16::to_le_bytes).collect();
    let written = set_value(made, "EventMessageFile", REG_EXPAND_SZ, &file)
        .and_then(|()| set_value(made, "TypesSupported", REG_DWORD, &kinds.to_le_bytes()));
    // SAFETY: the handle is open and closed once.
    unsafe { RegCloseKey(made) };
    written
}

fn set_value(key: HKEY, name: &str, kind: REG_VALUE_TYPE, bytes: &[u8]) -> io::Result<()> {
    let name = wide(name);
    let size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    // SAFETY: the key is open, the name ends with 0, and `size` bytes are read during the call.
    check(unsafe { RegSetValueExW(key, name.as_ptr(), 0, kind, bytes.as_ptr(), size) })
}

/// Takes a source away; nothing when it is not there.
///
/// # Errors
/// Not permitted.
pub(in crate::host) fn forget_events(key: &str) -> io::Result<()> {
    let path = wide(key);
    // SAFETY: the path ends with 0.
    let code = unsafe { RegDeleteKeyExW(HKEY_LOCAL_MACHINE, path.as_ptr(), KEY_WOW64_64KEY, 0) };
    if code == ERROR_FILE_NOT_FOUND { Ok(()) } else { check(code) }
}

fn check(code: u32) -> io::Result<()> {
    match i32::try_from(code) {
        Ok(0) => Ok(()),
        Ok(code) => Err(io::Error::from_raw_os_error(code)),
        Err(_) => Err(io::Error::other(format!("error {code}"))),
    }
}

fn is_code(cause: &io::Error, code: u32) -> bool {
    cause.raw_os_error().and_then(|it| u32::try_from(it).ok()) == Some(code)
}

/// The manager, or a service of it.
struct Handle(SC_HANDLE);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is open and closed once.
        unsafe { CloseServiceHandle(self.0) };
    }
}

impl Handle {
    fn of(handle: SC_HANDLE) -> io::Result<Self> {
        if handle.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(handle)) }
    }

    fn manager(access: u32) -> io::Result<Self> {
        // SAFETY: no names mean this machine and its one database.
        Self::of(unsafe { OpenSCManagerW(null(), null(), access) })
    }

    fn service(&self, name: &str) -> io::Result<Self> {
        let name = wide(name);
        // SAFETY: the manager is open and the name ends with 0.
        Self::of(unsafe { OpenServiceW(self.0, name.as_ptr(), SERVICE_ALL_ACCESS) })
    }

    fn create_or_change(&self, plan: &Plan) -> io::Result<Self> {
        let [name, shown, command, account] =
            [&plan.name, &plan.display_name, &plan.command, &plan.account].map(|it| wide(it));
        // SAFETY: the manager is open; every text ends with 0 and lives over the call; there is no password.
        let made = Self::of(unsafe {
            CreateServiceW(
                self.0,
                name.as_ptr(),
                shown.as_ptr(),
                SERVICE_ALL_ACCESS,
                SERVICE_WIN32_OWN_PROCESS,
                SERVICE_AUTO_START,
                SERVICE_ERROR_NORMAL,
                command.as_ptr(),
                null(),
                null_mut(),
                null(),
                account.as_ptr(),
                null(),
            )
        });
        match made {
            Err(cause) if is_code(&cause, ERROR_SERVICE_EXISTS) => {}
            other => return other,
        }
        let service = self.service(&plan.name)?;
        // SAFETY: as above.
        done(unsafe {
            ChangeServiceConfigW(
                service.0,
                SERVICE_WIN32_OWN_PROCESS,
                SERVICE_AUTO_START,
                SERVICE_ERROR_NORMAL,
                command.as_ptr(),
                null(),
                null_mut(),
                null(),
                account.as_ptr(),
                null(),
                shown.as_ptr(),
            )
        })?;
        Ok(service)
    }

    fn configure<T>(&self, level: SERVICE_CONFIG, value: &T) -> io::Result<()> {
        let value: *const c_void = std::ptr::from_ref(value).cast();
        // SAFETY: the handle is open; each caller gives the structure of its level, and whatever that points
        // to lives over the call.
        done(unsafe { ChangeServiceConfig2W(self.0, level, value) })
    }

    fn describe(&self, text: &str) -> io::Result<()> {
        let mut text = wide(text);
        self.configure(SERVICE_CONFIG_DESCRIPTION, &SERVICE_DESCRIPTIONW { lpDescription: text.as_mut_ptr() })
    }

    fn delay_start(&self) -> io::Result<()> {
        self.configure(
            SERVICE_CONFIG_DELAYED_AUTO_START_INFO,
            &SERVICE_DELAYED_AUTO_START_INFO { fDelayedAutostart: 1 },
        )
    }

    fn recover(&self, restarts: &[Duration]) -> io::Result<()> {
        let millis = |it: &Duration| u32::try_from(it.as_millis()).unwrap_or(u32::MAX);
        let mut actions: Vec<SC_ACTION> =
            restarts.iter().map(|it| SC_ACTION { Type: SC_ACTION_RESTART, Delay: millis(it) }).collect();
        let value = SERVICE_FAILURE_ACTIONSW {
            // Seconds without a failure after which the first delay counts again: a day.
            dwResetPeriod: 24 * 60 * 60,
            lpRebootMsg: null_mut(),
            lpCommand: null_mut(),
            cActions: u32::try_from(actions.len()).map_err(io::Error::other)?,
            lpsaActions: actions.as_mut_ptr(),
        };
        self.configure(SERVICE_CONFIG_FAILURE_ACTIONS, &value)
    }

    fn recover_from_errors(&self) -> io::Result<()> {
        self.configure(
            SERVICE_CONFIG_FAILURE_ACTIONS_FLAG,
            &SERVICE_FAILURE_ACTIONS_FLAG { fFailureActionsOnNonCrashFailures: 1 },
        )
    }

    fn restrict(&self, sid_type: u32) -> io::Result<()> {
        self.configure(SERVICE_CONFIG_SERVICE_SID_INFO, &SERVICE_SID_INFO { dwServiceSidType: sid_type })
    }

    fn require(&self, privileges: &[&str]) -> io::Result<()> {
        // Names, each with its 0, and one more 0 at the end.
        let mut names: Vec<u16> = privileges.iter().flat_map(|it| wide(it)).chain([0]).collect();
        self.configure(
            SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO,
            &SERVICE_REQUIRED_PRIVILEGES_INFOW { pmszRequiredPrivileges: names.as_mut_ptr() },
        )
    }

    fn state(&self) -> io::Result<u32> {
        let mut status = NO_STATUS;
        // SAFETY: the handle is open; the system writes one structure.
        done(unsafe { QueryServiceStatus(self.0, &raw mut status) })?;
        Ok(status.dwCurrentState)
    }

    fn stop(&self) -> io::Result<()> {
        let mut status = NO_STATUS;
        // SAFETY: the handle is open; the system writes one structure.
        match done(unsafe { ControlService(self.0, SERVICE_CONTROL_STOP, &raw mut status) }) {
            Err(cause) if is_code(&cause, ERROR_SERVICE_NOT_ACTIVE) => return Ok(()),
            other => other?,
        }
        let asked = Instant::now();
        while self.state()? != SERVICE_STOPPED {
            if asked.elapsed() > STOP_PATIENCE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the service does not stop"));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

const NO_STATUS: SERVICE_STATUS = SERVICE_STATUS {
    dwServiceType: 0,
    dwCurrentState: 0,
    dwControlsAccepted: 0,
    dwWin32ExitCode: 0,
    dwServiceSpecificExitCode: 0,
    dwCheckPoint: 0,
    dwWaitHint: 0,
};
